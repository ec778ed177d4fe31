//! The permutation of a hash's bits before it is cut into bands.
//!
//! Neighbouring bits of a perceptual hash describe neighbouring parts of a picture and mostly agree with one another,
//! so that a band of neighbouring bits takes few of its values. Inside each word every fifth bit is therefore put next
//! to one another: on photo-like hashes of 8 × 8 bits that leaves a sixth of the candidates with three bands, two
//! fifths with six. Hamming distance does not change. The index stores hashes this way: its pages depend on it. Five
//! has no factor in common with the widths of the pictures that hashes are made of.

const STRIDE: usize = 5;

/// For each byte of a word and each value of it: the spread bits.
static TABLES: [[u64; 256]; 8] = tables(false);
static BACK: [[u64; 256]; 8] = tables(true);

/// Bit `i`, counted from the most significant, of a spread word is bit `source(i)` of the word.
const fn source(i: usize) -> usize {
    // The bits 0, 5, 10, …, 60, then 1, 6, …: the first four classes have thirteen bits, the last has twelve.
    let (mut class, mut at) = (0, i);
    while at >= class_size(class) {
        at -= class_size(class);
        class += 1;
    }
    class + at * STRIDE
}

const fn class_size(class: usize) -> usize {
    (64 - class).div_ceil(STRIDE)
}

const fn tables(back: bool) -> [[u64; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut i = 0;
    while i < 64 {
        let (from, to) = if back { (i, source(i)) } else { (source(i), i) };
        let mut value = 0;
        while value < 256 {
            if value >> (7 - from % 8) & 1 == 1 {
                tables[from / 8][value] |= 1 << (63 - to);
            }
            value += 1;
        }
        i += 1;
    }
    tables
}

fn look_up(tables: &[[u64; 256]; 8], word: u64) -> u64 {
    let bytes = word.to_be_bytes();
    let halves: [u64; 2] = std::array::from_fn(|half| {
        let at = half * 4;
        tables[at][bytes[at] as usize]
            | tables[at + 1][bytes[at + 1] as usize]
            | tables[at + 2][bytes[at + 2] as usize]
            | tables[at + 3][bytes[at + 3] as usize]
    });
    halves[0] | halves[1]
}

/// Spreads word `plane` of a hash of `bits` bits. A last word that is not full stays as it is.
#[inline]
pub fn spread(word: u64, plane: usize, bits: usize) -> u64 {
    if (plane + 1) * 64 <= bits { look_up(&TABLES, word) } else { word }
}

/// The inverse of [`spread`].
#[inline]
pub fn gather(word: u64, plane: usize, bits: usize) -> u64 {
    if (plane + 1) * 64 <= bits { look_up(&BACK, word) } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_bit_goes_somewhere_else() {
        let mut seen = 0;
        for i in 0..64 {
            let to = spread(1 << i, 0, 64);
            assert_eq!(to.count_ones(), 1);
            seen |= to;
        }
        assert_eq!(seen, u64::MAX);
        assert_eq!(spread(1 << 63 | 1 << 58 | 1 << 53, 0, 64), 0b111 << 61);
        assert_eq!(spread(5, 1, 96), 5, "half a word stays");
    }

    proptest! {
        #[test]
        fn distances_stay_and_words_come_back(a: u64, b: u64) {
            let (x, y) = (spread(a, 0, 64), spread(b, 0, 64));
            prop_assert_eq!((x ^ y).count_ones(), (a ^ b).count_ones());
            prop_assert_eq!(gather(x, 0, 64), a);
        }
    }
}
