//! Tables of a JPEG file: Huffman codes and quantization steps; and the Huffman codes that are meant where it has none:
//! frames of Motion JPEG, as webcams, old cameras and AVI files have them, leave out those of ITU-T T.81, annex K.3.

use super::huffman::Table;

/// A Huffman table as a segment has it behind the table's class and number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Codes<'a> {
    /// How many codes of 1 to 16 bits there are.
    pub(super) counts: &'a [u8; 16],
    pub(super) symbols: &'a [u8],
}

/// T.81, table K.3: means of luminance.
const LUMINANCE_DC: Codes<'static> = Codes {
    counts: &[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
    symbols: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
};
/// T.81, table K.4: means of chrominance.
const CHROMINANCE_DC: Codes<'static> = Codes {
    counts: &[0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
    symbols: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
};
/// T.81, table K.5: other frequencies of luminance.
const LUMINANCE_AC: Codes<'static> = Codes {
    counts: &[0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
    symbols: &[
        0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
        0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
        0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
        0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
        0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
        0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
        0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
        0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
        0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
    ],
};
/// T.81, table K.6: other frequencies of chrominance.
const CHROMINANCE_AC: Codes<'static> = Codes {
    counts: &[0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
    symbols: &[
        0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
        0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1,
        0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36,
        0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
        0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a,
        0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
        0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
        0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
        0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
    ],
};

/// Tables of a class.
const NUMBERS: usize = 4;
/// Tables of both classes.
const PLACES: usize = 2 * NUMBERS;

/// The place of a table among all of its kind, by class, 0 or 1, and number: the two halves of a byte.
fn place(id: u8) -> Option<usize> {
    (id & 0xec == 0).then(|| usize::from(id >> 4) * NUMBERS + usize::from(id & 15))
}

/// Class and number of all tables that there may be.
pub(super) const ALL: [u8; PLACES] = [0x00, 0x01, 0x02, 0x03, 0x10, 0x11, 0x12, 0x13];

/// The tables in effect, by number. None is built before a scan names it: a file may have millions.
#[derive(Clone, Default)]
pub(super) struct Tables<'a> {
    huffman: [Option<Codes<'a>>; PLACES],
    /// 64 steps each, of a byte or of two.
    steps: [Option<&'a [u8]>; NUMBERS],
    /// Units between restart markers, or 0.
    pub(super) restart: u16,
}

impl<'a> Tables<'a> {
    /// Reads the segment of a marker. `None` where it is malformed.
    pub(super) fn read(&mut self, marker: u8, mut body: &'a [u8]) -> Option<()> {
        if marker == 0xdd {
            let &[high, low] = body else { return None };
            self.restart = u16::from_be_bytes([high, low]);
        }
        // Decoders accept a segment without a table.
        while marker == 0xdb && !body.is_empty() {
            let (&id, behind) = body.split_first()?;
            let (steps, behind) = behind.split_at_checked(if id >> 4 == 0 { 64 } else { 128 })?;
            *self.steps.get_mut(usize::from(id & 15))? = Some(steps);
            body = behind;
        }
        while marker == 0xc4 && !body.is_empty() {
            let (&[id, ref counts @ ..], behind) = body.split_first_chunk::<17>()?;
            let count = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, behind) = behind.split_at_checked(count)?;
            if count > 256 {
                return None;
            }
            let counts = counts.first_chunk()?;
            self.set(id, Codes { counts, symbols })?;
            body = behind;
        }
        Some(())
    }

    /// The Huffman table of this class and number.
    pub(super) fn get(&self, id: u8) -> Option<Codes<'a>> {
        self.huffman.get(place(id)?).copied().flatten()
    }

    /// Sets the Huffman table of this class and number, if there may be one.
    pub(super) fn set(&mut self, id: u8, codes: Codes<'a>) -> Option<()> {
        *self.huffman.get_mut(place(id)?)? = Some(codes);
        Some(())
    }

    /// The quantization steps of this number.
    pub(super) fn steps(&self, number: u8) -> Option<&'a [u8]> {
        self.steps.get(usize::from(number)).copied().flatten()
    }

    /// Adds those of K.3 where there are none, of luminance with the number 0 and of chrominance with 1.
    pub(super) fn add_defaults(&mut self) {
        for (id, codes) in DEFAULTS {
            if self.get(id).is_none() {
                self.set(id, codes);
            }
        }
    }
}

/// Tables that were built.
#[derive(Default)]
pub(super) struct Built<'a>([Option<(Codes<'a>, Box<Table>)>; PLACES]);

impl<'a> Built<'a> {
    /// Builds the table of this class and number. `None` where it is not known, or wrong.
    pub(super) fn build(&mut self, tables: &Tables<'a>, id: u8) -> Option<()> {
        let place = place(id)?;
        let codes = tables.get(id)?;
        let built = self.0.get_mut(place)?;
        if built.as_ref().is_none_or(|(of, _)| *of != codes) {
            *built = Some((codes, Box::new(Table::new(codes.counts, codes.symbols)?)));
        }
        Some(())
    }

    /// The table of this class and number, as it was last built.
    pub(super) fn get(&self, id: u8) -> Option<&Table> {
        self.0.get(place(id)?)?.as_ref().map(|(_, table)| table.as_ref())
    }
}

/// The tables of K.3, with class and number.
pub(super) const DEFAULTS: [(u8, Codes<'static>); 4] =
    [(0x00, LUMINANCE_DC), (0x10, LUMINANCE_AC), (0x01, CHROMINANCE_DC), (0x11, CHROMINANCE_AC)];
