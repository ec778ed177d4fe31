//! A writer of HEIF files, and of HEVC's parameter sets and slices, with arbitrary lies.

use std::path::Path;

/// A file of `tests/hostile/heic`: pictures of one colour, by pillow-heif.
pub(crate) fn flat(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/heic").join(name)).unwrap()
}

pub(crate) fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

fn full(kind: &[u8; 4], version: u8, body: &[u8]) -> Vec<u8> {
    boxed(kind, &[&[version, 0, 0, 0], body].concat())
}

/// The contents of the first box of a name, wherever it is.
fn contents(file: &[u8], kind: &[u8; 4]) -> Vec<u8> {
    let at = file.windows(4).position(|window| window == kind).unwrap();
    let size = u32::from_be_bytes(file[at - 4..at].try_into().unwrap()) as usize;
    file[at + 4..at - 4 + size].to_vec()
}

/// A coded picture: its decoder configuration and its units.
#[derive(Clone)]
pub(crate) struct Coded {
    pub(crate) record: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

impl Coded {
    /// That of a file of one.
    pub(crate) fn of(file: &[u8]) -> Self {
        Coded { record: contents(file, b"hvcC"), data: contents(file, b"mdat") }
    }

    /// That of a file of one, coded with AV1.
    #[cfg(feature = "avif")]
    pub(crate) fn of_avif(file: &[u8]) -> Self {
        Coded { record: contents(file, b"av1C"), data: contents(file, b"mdat") }
    }

    /// Of these parameter sets and slices.
    pub(crate) fn new(sets: &[Vec<u8>], slices: &[Vec<u8>]) -> Self {
        let mut record = vec![0; 22];
        record[0] = 1;
        record[21] = 3;
        record.push(sets.len() as u8);
        for set in sets {
            record.push(set[0] >> 1);
            record.extend_from_slice(&[0, 1]);
            record.extend_from_slice(&(set.len() as u16).to_be_bytes());
            record.extend_from_slice(set);
        }
        Coded { record, data: slices.iter().flat_map(|slice| unit(slice)).collect() }
    }
}

/// A unit behind its length.
pub(crate) fn unit(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

/// A file of items; the first is the primary one.
#[derive(Default)]
pub(crate) struct Heic {
    entries: Vec<u8>,
    places: Vec<u8>,
    associations: Vec<u8>,
    properties: Vec<u8>,
    references: Vec<u8>,
    data: Vec<u8>,
    items: u32,
    kinds: u8,
}

impl Heic {
    /// Adds bytes; where they are in the file, and how many.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> (u64, u64) {
        let start = 24 + 8 + self.data.len() as u64;
        self.data.extend_from_slice(bytes);
        (start, bytes.len() as u64)
    }

    pub(crate) fn property(&mut self, kind: &[u8; 4], body: &[u8]) -> u8 {
        self.properties.extend(boxed(kind, body));
        self.kinds += 1;
        self.kinds
    }

    /// Adds an item; its number, from 1 on.
    pub(crate) fn item(&mut self, kind: &[u8; 4], extents: &[(u64, u64)], properties: &[u8]) -> u32 {
        self.items += 1;
        let id = self.items.to_be_bytes();
        self.entries.extend(full(b"infe", 3, &[&id[..], &[0, 0], kind, &[0]].concat()));
        self.places.extend([&id[..], &[0; 4], &(extents.len() as u16).to_be_bytes()].concat());
        for (offset, length) in extents {
            self.places.extend([offset.to_be_bytes(), length.to_be_bytes()].concat());
        }
        self.associations.extend([&id[..], &[properties.len() as u8], properties].concat());
        self.items
    }

    /// Adds an item of a coded picture.
    pub(crate) fn coded(&mut self, coded: &Coded) -> u32 {
        let property = self.property(b"hvcC", &coded.record);
        let extent = self.bytes(&coded.data);
        self.item(b"hvc1", &[extent], &[property])
    }

    /// Adds a grid. Its tiles follow.
    pub(crate) fn grid(&mut self, rows: usize, columns: usize, width: u32, height: u32) -> u32 {
        let head = [0, 1, (rows - 1) as u8, (columns - 1) as u8];
        let extent = self.bytes(&[&head[..], &width.to_be_bytes(), &height.to_be_bytes()].concat());
        self.item(b"grid", &[extent], &[])
    }

    pub(crate) fn derive(&mut self, from: u32, to: &[u32]) {
        let ids = to.iter().flat_map(|id| id.to_be_bytes());
        let head = [&from.to_be_bytes()[..], &(to.len() as u16).to_be_bytes()].concat();
        self.references.extend(boxed(b"dimg", &head.into_iter().chain(ids).collect::<Vec<_>>()));
    }

    pub(crate) fn finish(&self) -> Vec<u8> {
        self.finish_as(b"heic")
    }

    pub(crate) fn finish_as(&self, brand: &[u8; 4]) -> Vec<u8> {
        let count = self.items.to_be_bytes();
        let meta = [
            full(b"pitm", 1, &1u32.to_be_bytes()),
            full(b"iinf", 1, &[&count[..], &self.entries].concat()),
            full(b"iloc", 2, &[&[0x88, 0], &count[..], &self.places].concat()),
            full(b"iref", 1, &self.references),
            boxed(
                b"iprp",
                &[boxed(b"ipco", &self.properties), full(b"ipma", 1, &[&count[..], &self.associations].concat())]
                    .concat(),
            ),
        ];
        let head = boxed(b"ftyp", &[&brand[..], &[0; 4], b"mif1", brand].concat());
        [head, boxed(b"mdat", &self.data), full(b"meta", 0, &meta.concat())].concat()
    }
}

/// A file of one coded picture.
pub(crate) fn single(coded: &Coded) -> Vec<u8> {
    let mut file = Heic::default();
    file.coded(coded);
    file.finish()
}

/// A grid of one tile, many times.
pub(crate) fn repeated(rows: usize, columns: usize, (width, height): (u32, u32), tile: &Coded) -> Vec<u8> {
    let mut file = Heic::default();
    let grid = file.grid(rows, columns, width, height);
    let tile = file.coded(tile);
    file.derive(grid, &vec![tile; rows * columns]);
    file.finish()
}

/// Bits of a unit, the highest first.
#[derive(Default)]
struct Bits {
    bits: Vec<bool>,
}

impl Bits {
    fn put(&mut self, value: u64, width: u32) -> &mut Self {
        self.bits.extend((0..width).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    /// An Exp-Golomb code.
    fn number(&mut self, value: u32) -> &mut Self {
        let value = u64::from(value) + 1;
        let width = 64 - value.leading_zeros();
        self.put(0, width - 1).put(value, width)
    }

    fn numbers(&mut self, values: &[u32]) -> &mut Self {
        values.iter().fold(self, |bits, &value| bits.number(value))
    }

    /// The unit of this type, with what follows the bits.
    fn unit(&mut self, kind: u8, behind: &[u8]) -> Vec<u8> {
        self.put(1, 1);
        let bytes = self
            .bits
            .chunks(8)
            .map(|eight| eight.iter().enumerate().fold(0, |byte, (place, &bit)| byte | u8::from(bit) << (7 - place)));
        let (mut escaped, mut zeros) = (vec![kind << 1, 1], 0);
        for byte in bytes.chain(behind.iter().copied()) {
            if zeros >= 2 && byte <= 3 {
                escaped.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            escaped.push(byte);
        }
        escaped
    }
}

/// A sequence parameter set: 4:2:0 (1) and others, blocks of 16 pixels.
pub(crate) fn sequence(width: u32, height: u32, chroma: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(1, 8).put(3, 8).put(0, 32).put(0, 48).put(93, 8);
    bits.numbers(&[0, chroma]).put(0, u32::from(chroma == 3)).numbers(&[width, height]).put(0, 1);
    bits.numbers(&[0, 0, 0]).put(1, 1).numbers(&[0, 0, 0, 0, 1, 0, 2, 0, 0]);
    bits.put(0, 4).number(0).put(0, 5).unit(33, &[])
}

/// A picture parameter set; with tiles, their columns and rows.
pub(crate) fn picture(tiles: Option<(u32, u32)>) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.numbers(&[0, 0]).put(0b100_0000, 7).numbers(&[0, 0, 0]).put(0, 3).numbers(&[0, 0]).put(0, 4);
    bits.put(u64::from(tiles.is_some()), 1).put(0, 1);
    if let Some((columns, rows)) = tiles {
        bits.numbers(&[columns - 1, rows - 1]).put(0b11, 2);
    }
    bits.put(0, 4).number(0).put(0, 2).unit(34, &[])
}

/// A slice that begins at a block, of pictures of a number of blocks; with some bytes behind its header.
pub(crate) fn slice(block: u32, blocks: u32, dependent: bool, data: &[u8]) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(u64::from(block == 0), 1).put(0, 1).number(0);
    if block > 0 {
        bits.put(dependent.into(), 1).put(block.into(), 32 - (blocks - 1).leading_zeros());
    }
    if !dependent {
        bits.numbers(&[2, 0]);
    }
    bits.unit(19, data)
}
