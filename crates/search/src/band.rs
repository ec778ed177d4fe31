//! How a band of a hash's words is read.

use std::ops::Range;

/// A band of at most 32 bits: where it lies in a hash's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HashBand {
    plane: usize,
    /// The first bit, counted in the plane's word.
    start: u32,
    /// How many bits, 0 to 32. They may reach into the next plane.
    pub(crate) width: u32,
}

impl HashBand {
    /// The first `width` ≤ 32 bits of a range of bits.
    pub(crate) fn new(range: Range<usize>, width: usize) -> Self {
        let width = range.len().min(width).min(32);
        HashBand { plane: range.start / 64, start: (range.start % 64) as u32, width: width as u32 }
    }

    /// The word in which it begins, and its first bit there, counted from the most significant.
    pub(crate) fn place(self) -> (u32, u32) {
        (self.plane as u32, self.start)
    }

    /// Its value, given how to read the words of a hash.
    #[inline(always)]
    pub(crate) fn value(self, word: impl Fn(usize) -> u64) -> u32 {
        if self.width == 0 {
            return 0;
        }
        let mut bits = word(self.plane) << self.start;
        if self.start + self.width > 64 {
            bits |= word(self.plane + 1) >> (64 - self.start);
        }
        (bits >> (64 - self.width)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bands_equal_the_naive_twin(words: [u64; 3], start in 0usize..160, width in 0usize..=32) {
            let bit = |i: usize| (words[i / 64] >> (63 - i % 64) & 1) as u32;
            let naive = (start..start + width).fold(0, |value: u32, i| value << 1 | bit(i));
            prop_assert_eq!(HashBand::new(start..start + width, 32).value(|plane| words[plane]), naive);
        }
    }
}
