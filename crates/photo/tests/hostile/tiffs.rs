//! A writer of TIFF files.

/// Tags by name.
pub(crate) const WIDTH: u16 = 256;
pub(crate) const HEIGHT: u16 = 257;
pub(crate) const BITS: u16 = 258;
pub(crate) const COMPRESSION: u16 = 259;
pub(crate) const PHOTOMETRIC: u16 = 262;
pub(crate) const OFFSETS: u16 = 273;
pub(crate) const SAMPLES: u16 = 277;
pub(crate) const ROWS: u16 = 278;
pub(crate) const LENGTHS: u16 = 279;
pub(crate) const TILE_WIDTH: u16 = 322;
pub(crate) const TILE_HEIGHT: u16 = 323;
pub(crate) const TILE_OFFSETS: u16 = 324;
pub(crate) const TILE_LENGTHS: u16 = 325;

/// A tag with its values, or with its claims: a type, a count, an offset.
#[derive(Clone)]
pub(crate) enum Tag {
    Values(u16, Vec<u32>),
    Claim(u16, u16, u32, u32),
}

/// `data` lies at offset 8.
pub(crate) fn tiff(tags: &[Tag], data: &[u8]) -> Vec<u8> {
    let mut file = [b"II*\0\0\0\0\0", data].concat();
    if file.len() % 2 == 1 {
        file.push(0);
    }
    let mut entries = Vec::new();
    for tag in tags {
        let (tag, kind, count, value) = match tag {
            &Tag::Claim(tag, kind, count, value) => (tag, kind, count, value),
            Tag::Values(tag, values) if values.len() == 1 => (*tag, 4, 1, values[0]),
            Tag::Values(tag, values) => {
                let at = file.len() as u32;
                values.iter().for_each(|value| file.extend_from_slice(&value.to_le_bytes()));
                (*tag, 4, values.len() as u32, at)
            }
        };
        entries.extend_from_slice(&tag.to_le_bytes());
        entries.extend_from_slice(&kind.to_le_bytes());
        entries.extend_from_slice(&count.to_le_bytes());
        entries.extend_from_slice(&value.to_le_bytes());
    }
    let directory = file.len() as u32;
    file[4..8].copy_from_slice(&directory.to_le_bytes());
    file.extend_from_slice(&(tags.len() as u16).to_le_bytes());
    file.extend_from_slice(&entries);
    file.extend_from_slice(&[0; 4]); // no other page
    file
}

/// Tags of a page, without those of its strips: grey for 1 sample, else RGB.
pub(crate) fn page(width: u32, height: u32, compression: u32, samples: u32) -> Vec<Tag> {
    let photometric = if samples == 1 { 1 } else { 2 };
    vec![
        Tag::Values(WIDTH, vec![width]),
        Tag::Values(HEIGHT, vec![height]),
        Tag::Values(BITS, vec![8; samples as usize]),
        Tag::Values(COMPRESSION, vec![compression]),
        Tag::Values(PHOTOMETRIC, vec![photometric]),
        Tag::Values(SAMPLES, vec![samples]),
    ]
}

/// A page in one strip of these bytes.
pub(crate) fn one_strip(width: u32, height: u32, compression: u32, samples: u32, data: &[u8]) -> Vec<u8> {
    let mut tags = page(width, height, compression, samples);
    tags.push(Tag::Values(OFFSETS, vec![8]));
    tags.push(Tag::Values(ROWS, vec![u32::MAX]));
    tags.push(Tag::Values(LENGTHS, vec![data.len() as u32]));
    tiff(&tags, data)
}

/// A page in tiles, all of which are these bytes.
pub(crate) fn tiles(size: (u32, u32), tile: (u32, u32), compression: u32, samples: u32, data: &[u8]) -> Vec<u8> {
    let count = (size.0.div_ceil(tile.0) * size.1.div_ceil(tile.1)) as usize;
    let mut tags = page(size.0, size.1, compression, samples);
    tags.push(Tag::Values(TILE_WIDTH, vec![tile.0]));
    tags.push(Tag::Values(TILE_HEIGHT, vec![tile.1]));
    tags.push(Tag::Values(TILE_OFFSETS, vec![8; count]));
    tags.push(Tag::Values(TILE_LENGTHS, vec![data.len() as u32; count]));
    tiff(&tags, data)
}
