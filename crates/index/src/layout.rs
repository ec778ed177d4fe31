//! How hashes of one width are stored in the pages: the bands, the rotated hash of each, and what an entry keeps of it.
//!
//! A hash is spread ([`lumina_hash::spread`]) and packed into words, most significant bits first: the *packed hash*.
//! For band b it is rotated so that the band comes first. The leaves of band 0 keep whole hashes. Up to 128 bits the
//! leaves of every other band do too; of a wider hash they keep the first 96 bits of the rotated hash: enough to
//! distinguish hits from all but a few in a hundred of the entries that share a band by chance, in a third of the
//! space. Such entries are *inexact*: their distance is a lower bound, and the caller must check the hash itself. Where
//! the band has 23 bits or more, these are stored, and sorted, by the nearest word of a code ([`crate::golay`]).

use crate::golay;
use crate::page::BODY;
use lumina_hash::bands::Bands;
use lumina_hash::spread::spread;
use lumina_hash::words::{pack, words_for};
use std::ops::Range;
use thiserror::Error;

/// The widest hash, in bits.
pub const MAX_BITS: usize = 1024;
/// Words of the widest hash.
pub const MAX_WORDS: usize = MAX_BITS / 64;
/// The most bands.
pub const MAX_BANDS: usize = 64;

/// A hash of any width, spread and packed into words; words past the width are zero.
pub type PackedHash = [u64; MAX_WORDS];

/// Why a layout is impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// Too wide, or not in whole bytes.
    #[error("hashes of {0} bits cannot be indexed")]
    Bits(usize),
    /// More bands than bits or than [`MAX_BANDS`], or none.
    #[error("hashes of {bits} bits cannot be cut into {bands} bands")]
    Bands {
        /// The width.
        bits: usize,
        /// The bands that were requested.
        bands: usize,
    },
}

/// What an entry of a leaf keeps beside its TID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryShape {
    /// Whole words, 0 to [`MAX_WORDS`].
    pub words: usize,
    /// Whether the upper half of one more word is stored.
    pub half: bool,
}

impl EntryShape {
    /// The shape of NULLs: nothing.
    pub const NULLS: EntryShape = EntryShape { words: 0, half: false };

    /// Bytes of an entry with its TID.
    pub fn bytes(self) -> usize {
        self.words * 8 + usize::from(self.half) * 4 + 6
    }

    /// Entries of a full leaf.
    pub fn capacity(self) -> usize {
        BODY / self.bytes()
    }
}

/// The layout of an index: fixed when it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    bits: usize,
    bands: Bands,
}

impl Layout {
    /// A layout for hashes of `bits` bits in `bands` bands, by default a number that suits the width.
    pub fn new(bits: usize, bands: Option<usize>) -> Result<Self, LayoutError> {
        if bits == 0 || bits > MAX_BITS || !bits.is_multiple_of(8) {
            return Err(LayoutError::Bits(bits));
        }
        let count = bands.unwrap_or_else(|| default_bands(bits));
        let wrong = LayoutError::Bands { bits, bands: count };
        let bands = Bands::new(bits, count).filter(|_| count <= MAX_BANDS).ok_or(wrong)?;
        Ok(Layout { bits, bands })
    }

    /// Bits of a hash.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// How many bands.
    pub fn bands(&self) -> usize {
        self.bands.count()
    }

    /// Words of a packed hash.
    pub fn words(&self) -> usize {
        words_for(self.bits)
    }

    /// The bits of a packed hash that band `band` is.
    pub fn range(&self, band: usize) -> Range<usize> {
        self.bands.range(band)
    }

    /// The tolerance of each band for `radius`: see [`Bands::exact_cover`]. Band 0 has the least, because it costs most
    /// where the others are coded.
    pub fn cover(&self, radius: u32) -> impl Iterator<Item = Option<u32>> + use<> {
        let bands = self.bands();
        let first = if self.is_exact() { 0 } else { bands - 1 };
        self.bands.exact_cover(radius).cycle().skip(first).take(bands)
    }

    /// Whether entries of `band` store their first bits as a place in the order of the code.
    pub(crate) fn is_coded(&self, band: usize) -> bool {
        !self.is_exact() && (1..self.bands()).contains(&band) && self.range(band).len() >= golay::BITS
    }

    /// The band number that stands for the list of NULLs.
    pub fn null_band(&self) -> usize {
        self.bands()
    }

    /// What entries of band `band` keep.
    pub fn shape(&self, band: usize) -> EntryShape {
        match self.words() {
            _ if band == self.null_band() => EntryShape::NULLS,
            words if band == 0 || words <= 2 => EntryShape { words, half: false },
            _ => EntryShape { words: 1, half: true },
        }
    }

    /// Whether the entries of every band give the exact distance.
    pub fn is_exact(&self) -> bool {
        self.words() <= 2
    }

    /// Packs a hash; `None` for a hash of another width.
    pub fn pack(&self, hash: &[u8]) -> Option<PackedHash> {
        if hash.len() * 8 != self.bits {
            return None;
        }
        let mut packed = [0; MAX_WORDS];
        pack(hash, &mut packed[..self.words()]);
        for (plane, word) in packed[..self.words()].iter_mut().enumerate() {
            *word = spread(*word, plane, self.bits);
        }
        Some(packed)
    }

    /// The hash rotated so that `band` comes first.
    pub fn rotated(&self, hash: &PackedHash, band: usize) -> PackedHash {
        let start = self.range(band).start;
        if start == 0 {
            return *hash;
        }
        let mut rotated = [0; MAX_WORDS];
        for (at, word) in rotated[..self.words()].iter_mut().enumerate() {
            *word = self.word_at(hash, (start + at * 64) % self.bits) & self.mask(at);
        }
        rotated
    }

    /// The first word that an entry of `band` keeps: what the entries of the band are sorted by.
    pub(crate) fn first_word(&self, hash: &[u64], band: usize) -> u64 {
        let word = self.word_at(hash, self.range(band).start) & self.mask(0);
        if self.is_coded(band) { golay::encode(word) } else { word }
    }

    /// A fingerprint of what an entry of `band` keeps of a hash: equal for equal entries, and hardly ever for others.
    pub fn fingerprint(&self, hash: &PackedHash, band: usize) -> u64 {
        let (kept, half) = self.kept(hash, band);
        fingerprint(&kept[..self.shape(band).words], half)
    }

    /// What an entry of `band` keeps of a hash: as many words as its shape has, and the upper half of the next.
    pub(crate) fn kept(&self, hash: &PackedHash, band: usize) -> (PackedHash, u32) {
        let (shape, mut kept) = (self.shape(band), self.rotated(hash, band));
        let half = if shape.half { (kept[shape.words] >> 32) as u32 } else { 0 };
        if self.is_coded(band) {
            kept[0] = golay::encode(kept[0]);
        }
        (kept, half)
    }

    /// The bits of word `at` that are part of a hash.
    fn mask(&self, at: usize) -> u64 {
        let bits = self.bits - at * 64;
        if bits >= 64 { u64::MAX } else { !(u64::MAX >> bits) }
    }

    /// The 64 bits, or all if there are fewer, of a hash from `start`, wrapping around at its end.
    fn word_at(&self, hash: &[u64], start: usize) -> u64 {
        let (word, shift) = (start / 64, start % 64);
        let mut value = hash[word] << shift;
        if shift > 0 && word + 1 < self.words() {
            value |= hash[word + 1] >> (64 - shift);
        }
        let rest = self.bits - start;
        if rest < 64 { value | hash[0] >> rest } else { value }
    }
}

/// See [`Layout::fingerprint`]: the words, folded by multiplication with the fraction of the golden ratio.
pub(crate) fn fingerprint(words: &[u64], half: u32) -> u64 {
    words
        .iter()
        .copied()
        .chain([u64::from(half)])
        .fold(0, |folded: u64, word| (folded.rotate_left(29) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Bands of about 16 bits up to 64 bits, of about 21 bits up to 128, of the coded width above, and no more than 24.
fn default_bands(bits: usize) -> usize {
    match bits {
        ..=64 => (bits / 16).max(1),
        65..=128 => bits * 3 / 64,
        _ => (bits / golay::BITS).min(24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bands_of_the_usual_widths() {
        let bands = |bits| Layout::new(bits, None).map(|layout| layout.bands());
        assert_eq!([8, 16, 64, 128, 256, 512, 1024].map(bands), [Ok(1), Ok(1), Ok(4), Ok(6), Ok(11), Ok(22), Ok(24)]);
        assert_eq!(Layout::new(1032, None), Err(LayoutError::Bits(1032)));
        assert_eq!(Layout::new(64, Some(0)), Err(LayoutError::Bands { bits: 64, bands: 0 }));
        assert_eq!(Layout::new(64, Some(65)), Err(LayoutError::Bands { bits: 64, bands: 65 }));
    }

    proptest! {
        #[test]
        fn rotations_are_those_of_the_bits(bytes in 1usize..=128, share in 0.0..1.0f64, seed: [u8; 128]) {
            let bits = bytes * 8;
            let bands = 1 + (share * bits.min(MAX_BANDS) as f64) as usize % bits.min(MAX_BANDS);
            let layout = Layout::new(bits, Some(bands)).map_err(|why| TestCaseError::fail(why.to_string()))?;
            let Some(hash) = layout.pack(&seed[..bytes]) else { return Err(TestCaseError::fail("no hash")) };
            let bit = |hash: &PackedHash, i: usize| hash[i / 64] >> (63 - i % 64) & 1;
            for band in 0..bands {
                let rotated = layout.rotated(&hash, band);
                let start = layout.range(band).start;
                for i in 0..MAX_BITS {
                    let expected = if i < bits { bit(&hash, (start + i) % bits) } else { 0 };
                    prop_assert_eq!(bit(&rotated, i), expected, "band {} bit {}", band, i);
                }
            }
        }
    }
}
