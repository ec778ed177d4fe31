//! The pigeonhole rule: a hash cut into bands, and the tolerance to search each band with.
//!
//! Norouzi, Punjani, Fleet, "Fast Search in Hamming Space with Multi-Index Hashing" (CVPR 2012), with the exact
//! cover: if tolerances tᵢ ≥ 0 are given to some of the bands so that Σ(tᵢ + 1) = r + 1, then two hashes within r bits
//! agree up to tᵢ bits in at least one of those bands, else they would differ in Σ(tᵢ + 1) = r + 1 bits or more.

use crate::words::word_of;
use std::ops::Range;

/// A cut of `bits` bits into `count` bands of nearly equal width: the first `bits % count` are one bit wider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bands {
    bits: usize,
    count: usize,
}

impl Bands {
    /// The cut into `count` bands; `None` unless 1 ≤ `count` ≤ `bits`.
    pub fn new(bits: usize, count: usize) -> Option<Self> {
        (1..=bits).contains(&count).then_some(Bands { bits, count })
    }

    /// How many bands.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The bits of band `band`, counted from the most significant.
    pub fn range(&self, band: usize) -> Range<usize> {
        let (width, wider) = (self.bits / self.count, self.bits % self.count);
        let start = band * width + band.min(wider);
        start..start + width + usize::from(band < wider)
    }

    /// The value of band `band` of `hash` as a number.
    ///
    /// A band wider than 64 bits is folded: its 64-bit pieces, the last one right-aligned, are rotated by their
    /// position and combined by exclusive or. Equal bands keep equal values, which is all an equi-join needs.
    pub fn value(&self, hash: &[u8], band: usize) -> u64 {
        let range = self.range(band);
        let mut folded = 0u64;
        for (piece, start) in range.clone().step_by(64).enumerate() {
            let width = (range.end - start).min(64);
            folded ^= bits_at(hash, start, width).rotate_left(piece as u32 % 64);
        }
        folded
    }

    /// The tolerance tᵢ of each band for radius `radius`, as even as possible; `None`: the band is not searched.
    pub fn exact_cover(&self, radius: u32) -> impl Iterator<Item = Option<u32>> + Clone + use<> {
        let slots = radius as usize + 1;
        let (each, more) = (slots / self.count, slots % self.count);
        (0..self.count).map(move |band| (each + usize::from(band < more)).checked_sub(1).map(|t| t as u32))
    }
}

/// `width` ≤ 64 bits of `hash` from bit `start`, as a number.
fn bits_at(hash: &[u8], start: usize, width: usize) -> u64 {
    let (byte, shift) = (start / 8, start % 8);
    let end = hash.len().min(byte + 8);
    let mut word = word_of(&hash[byte..end]) << shift;
    if shift + width > 64 {
        word |= u64::from(hash[byte + 8]) >> (8 - shift);
    }
    word >> (64 - width)
}

/// The masks of `width` ≤ 64 bits with at most `tolerance` bits set, fewest bits first.
///
/// A band's value combined with each of them by exclusive or is its ball. Within one number of bits the masks come in
/// rising order, by Gosper's method (Beeler, Gosper, Schroeppel, "HAKMEM", item 175).
pub fn flips(width: usize, tolerance: u32) -> impl Iterator<Item = u64> {
    let tolerance = (tolerance as usize).min(width);
    (0..=tolerance).flat_map(move |ones| {
        let first = if ones == 0 { 0 } else { u64::MAX >> (64 - ones) };
        let last = if ones == 0 { 0 } else { first << (width - ones) };
        std::iter::successors(Some(first), move |&mask| (mask != last).then(|| next_of_same_weight(mask)))
    })
}

/// The next larger number with as many ones. `mask` has at least one, and is not the largest.
fn next_of_same_weight(mask: u64) -> u64 {
    let lowest = mask & mask.wrapping_neg();
    let ripple = mask + lowest;
    ripple | (((mask ^ ripple) >> 2) / lowest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bit(hash: &[u8], index: usize) -> u64 {
        u64::from(hash[index / 8] >> (7 - index % 8) & 1)
    }

    /// A naive twin of [`Bands::value`]: bit by bit.
    fn naive_value(hash: &[u8], range: Range<usize>) -> u64 {
        let bits: Vec<u64> = range.map(|index| bit(hash, index)).collect();
        bits.chunks(64).enumerate().fold(0, |folded, (piece, chunk)| {
            folded ^ chunk.iter().fold(0u64, |value, bit| value << 1 | bit).rotate_left(piece as u32)
        })
    }

    #[test]
    fn sixty_four_bits_at_radius_five() {
        let Some(bands) = Bands::new(64, 4) else { panic!("no bands") };
        assert_eq!(bands.exact_cover(5).collect::<Vec<_>>(), [Some(1), Some(1), Some(0), Some(0)]);
        let probes: usize = bands.exact_cover(5).flatten().map(|t| flips(16, t).count()).sum();
        assert_eq!(probes, 36);
        assert_eq!(bands.exact_cover(1).collect::<Vec<_>>(), [Some(0), Some(0), None, None]);
        assert_eq!(Bands::new(64, 0), None);
        assert_eq!(Bands::new(64, 65), None);
    }

    #[test]
    fn flips_are_all_masks_once() {
        for width in 1..=12 {
            for tolerance in 0..=13 {
                let mut masks: Vec<u64> = flips(width, tolerance).collect();
                assert!(masks.is_sorted_by_key(|mask| (mask.count_ones(), *mask)));
                masks.sort_unstable();
                let naive: Vec<u64> = (0..1u64 << width).filter(|mask| mask.count_ones() <= tolerance).collect();
                assert_eq!(masks, naive, "{width} {tolerance}");
            }
        }
        assert_eq!(flips(64, 2).count(), 1 + 64 + 64 * 63 / 2);
        assert_eq!(flips(64, 64).nth(1), Some(1));
    }

    #[test]
    fn values_of_every_cut_into_wide_bands_equal_the_naive_twin() {
        let bytes: Vec<u8> = (0..80u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        for bits in (8..=640).step_by(8) {
            let hash = &bytes[..bits / 8];
            for bands in (1..=bits / 8).filter_map(|count| Bands::new(bits, count)) {
                for band in 0..bands.count() {
                    assert_eq!(bands.value(hash, band), naive_value(hash, bands.range(band)), "{bands:?} {band}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn bands_cover_every_bit_once(bytes in 1usize..=512, share in 0.0..1.0f64) {
            let bits = bytes * 8;
            let count = 1 + (share * bits as f64) as usize;
            let bands = Bands::new(bits, count).ok_or_else(|| TestCaseError::fail("no bands"))?;
            let mut next = 0;
            for band in 0..bands.count() {
                let range = bands.range(band);
                prop_assert_eq!(range.start, next);
                prop_assert!(!range.is_empty() && range.len() <= bits.div_ceil(count));
                next = range.end;
            }
            prop_assert_eq!(next, bits);
        }

        #[test]
        fn values_equal_the_naive_twin(hash in prop::collection::vec(any::<u8>(), 1..=128), share in 0.0..1.0f64) {
            let bits = hash.len() * 8;
            let bands = Bands::new(bits, 1 + (share * bits as f64) as usize)
                .ok_or_else(|| TestCaseError::fail("no bands"))?;
            for band in 0..bands.count() {
                prop_assert_eq!(bands.value(&hash, band), naive_value(&hash, bands.range(band)));
            }
        }

        /// The guarantee: two hashes within `radius` agree up to the tolerance in some band that is searched.
        #[test]
        fn the_cover_misses_no_pair(
            hash in prop::collection::vec(any::<u8>(), 1..=32),
            flipped in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
            share in 0.0..1.0f64,
        ) {
            let bits = hash.len() * 8;
            let mut other = hash.clone();
            for index in &flipped {
                let bit = index.index(bits);
                other[bit / 8] ^= 0x80 >> (bit % 8);
            }
            let radius = crate::distance(&hash, &other);
            let bands = Bands::new(bits, 1 + (share * bits as f64) as usize)
                .ok_or_else(|| TestCaseError::fail("no bands"))?;
            let slots: u32 = bands.exact_cover(radius).flatten().map(|t| t + 1).sum();
            prop_assert_eq!(slots, radius + 1);
            let found = bands.exact_cover(radius).enumerate().any(|(band, tolerance)| tolerance.is_some_and(|t| {
                bands.range(band).map(|i| bit(&hash, i) ^ bit(&other, i)).sum::<u64>() <= u64::from(t)
            }));
            prop_assert!(found);
        }
    }
}
