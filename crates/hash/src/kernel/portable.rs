//! Any CPU: `count_ones` on words, four words at a time so that the compiler can overlap them.

use super::Hit;
use super::generic::{self, Lanes};
use super::join::{self, BlockJoin, RowPair};

struct Portable;

impl Lanes for Portable {
    const LANES: usize = 4;
    type Counts = [u64; 4];

    #[inline(always)]
    unsafe fn differing(a: *const u64, b: *const u64) -> [u64; 4] {
        // SAFETY: as the trait promises: four words are readable, and need no alignment.
        let word = |i: usize| unsafe { a.add(i).read_unaligned() ^ b.add(i).read_unaligned() };
        std::array::from_fn(|i| u64::from(word(i).count_ones()))
    }

    #[inline(always)]
    unsafe fn splat(word: u64) -> [u64; 4] {
        [word; 4]
    }

    #[inline(always)]
    unsafe fn parts(word: [u64; 4], b: *const u64) -> [u64; 4] {
        // SAFETY: as the trait promises: four words are readable, and need no alignment.
        let differing = |i: usize| unsafe { b.add(i).read_unaligned() ^ word[i] };
        std::array::from_fn(|i| u64::from(differing(i).count_ones()))
    }

    #[inline(always)]
    unsafe fn add_parts(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    unsafe fn sum(parts: [u64; 4]) -> [u64; 4] {
        parts
    }

    #[inline(always)]
    unsafe fn add(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    unsafe fn min(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
        std::array::from_fn(|i| a[i].min(b[i]))
    }

    #[inline(always)]
    unsafe fn sum_neighbours(low: [u64; 4], high: [u64; 4]) -> [u64; 4] {
        [low[0] + low[1], low[2] + low[3], high[0] + high[1], high[2] + high[3]]
    }

    #[inline(always)]
    unsafe fn at_most(counts: [u64; 4], limit: u32) -> u32 {
        counts.iter().enumerate().fold(0, |mask, (lane, &count)| mask | u32::from(count <= u64::from(limit)) << lane)
    }

    #[inline(always)]
    unsafe fn lanes(counts: [u64; 4]) -> [u64; 8] {
        let [a, b, c, d] = counts;
        [a, b, c, d, 0, 0, 0, 0]
    }
}

/// # Safety
/// None; the signature is that of the other kernels.
pub(super) unsafe fn distance(a: &[u8], b: &[u8]) -> u32 {
    generic::tail(a, b)
}

/// # Safety
/// As [`generic::within`].
pub(super) unsafe fn within(query: &[u64], hashes: &[u64], radius: u32, hits: &mut Vec<Hit>) {
    // SAFETY: as promised by the caller.
    unsafe { generic::within::<Portable>(query, hashes, radius, hits) }
}

/// # Safety
/// As [`join::join`].
pub(super) unsafe fn join(join: &BlockJoin<'_>, pairs: &mut Vec<RowPair>) -> usize {
    // SAFETY: as promised by the caller.
    unsafe { join::join::<Portable>(join, pairs) }
}
