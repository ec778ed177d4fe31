//! AVX2: four words a vector; popcount per byte by two look-ups of four bits, summed by `psadbw`.
//!
//! Muła, Kurz, Lemire, "Faster Population Counts Using AVX2 Instructions" (The Computer Journal 61(1), 2018), section
//! 2.

use super::Hit;
use super::generic::{self, Lanes};
use super::join::{self, BlockJoin, RowPair};
use std::arch::x86_64::*;

struct Avx2;

/// The popcount of each byte.
///
/// # Safety
/// The CPU has the instructions.
#[inline(always)]
unsafe fn ones_of_bytes(bits: __m256i) -> __m256i {
    // SAFETY: as promised by the caller.
    unsafe {
        let ones_of_nibble = _mm256_setr_epi8(
            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
        );
        let nibble = _mm256_set1_epi8(0x0f);
        let low = _mm256_shuffle_epi8(ones_of_nibble, _mm256_and_si256(bits, nibble));
        let high = _mm256_shuffle_epi8(ones_of_nibble, _mm256_and_si256(_mm256_srli_epi16(bits, 4), nibble));
        _mm256_add_epi8(low, high)
    }
}

impl Lanes for Avx2 {
    const LANES: usize = 4;
    type Counts = __m256i;

    #[inline(always)]
    unsafe fn differing(a: *const u64, b: *const u64) -> __m256i {
        // SAFETY: as the trait promises; the loads are unaligned ones.
        unsafe {
            Self::sum(ones_of_bytes(_mm256_xor_si256(_mm256_loadu_si256(a.cast()), _mm256_loadu_si256(b.cast()))))
        }
    }

    #[inline(always)]
    unsafe fn splat(word: u64) -> __m256i {
        // SAFETY: the CPU has the instructions.
        unsafe { _mm256_set1_epi64x(word as i64) }
    }

    #[inline(always)]
    unsafe fn parts(word: __m256i, b: *const u64) -> __m256i {
        // SAFETY: as the trait promises; the load is an unaligned one.
        unsafe { ones_of_bytes(_mm256_xor_si256(word, _mm256_loadu_si256(b.cast()))) }
    }

    #[inline(always)]
    unsafe fn add_parts(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the CPU has the instructions.
        unsafe { _mm256_add_epi8(a, b) }
    }

    #[inline(always)]
    unsafe fn sum(parts: __m256i) -> __m256i {
        // SAFETY: the CPU has the instructions.
        unsafe { _mm256_sad_epu8(parts, _mm256_setzero_si256()) }
    }

    #[inline(always)]
    unsafe fn add(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the CPU has the instructions.
        unsafe { _mm256_add_epi64(a, b) }
    }

    #[inline(always)]
    unsafe fn min(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the CPU has the instructions.
        unsafe { _mm256_min_epu32(a, b) }
    }

    #[inline(always)]
    unsafe fn sum_neighbours(low: __m256i, high: __m256i) -> __m256i {
        // SAFETY: the CPU has the instructions.
        unsafe {
            let mixed = _mm256_add_epi64(_mm256_unpacklo_epi64(low, high), _mm256_unpackhi_epi64(low, high));
            _mm256_permute4x64_epi64(mixed, 0b11_01_10_00)
        }
    }

    #[inline(always)]
    unsafe fn at_most(counts: __m256i, limit: u32) -> u32 {
        // SAFETY: the CPU has the instructions. Counts and limit are far from the sign bit.
        unsafe {
            let above = _mm256_cmpgt_epi64(counts, _mm256_set1_epi64x(i64::from(limit)));
            !_mm256_movemask_pd(_mm256_castsi256_pd(above)) as u32 & 0xf
        }
    }

    #[inline(always)]
    unsafe fn lanes(counts: __m256i) -> [u64; 8] {
        // SAFETY: both are 32 bytes of plain bits.
        let [a, b, c, d]: [u64; 4] = unsafe { std::mem::transmute(counts) };
        [a, b, c, d, 0, 0, 0, 0]
    }
}

/// # Safety
/// The CPU has the instructions; `a` and `b` are equally long.
#[target_feature(enable = "avx2,popcnt")]
pub(super) unsafe fn distance(a: &[u8], b: &[u8]) -> u32 {
    // SAFETY: as promised by the caller.
    unsafe { generic::distance::<Avx2>(a, b) }
}

/// # Safety
/// As [`generic::within`].
#[target_feature(enable = "avx2,popcnt")]
pub(super) unsafe fn within(query: &[u64], hashes: &[u64], radius: u32, hits: &mut Vec<Hit>) {
    // SAFETY: as promised by the caller.
    unsafe { generic::within::<Avx2>(query, hashes, radius, hits) }
}

/// # Safety
/// As [`join::join`].
#[target_feature(enable = "avx2,popcnt")]
pub(super) unsafe fn join(join: &BlockJoin<'_>, pairs: &mut Vec<RowPair>) -> usize {
    // SAFETY: as promised by the caller.
    unsafe { join::join::<Avx2>(join, pairs) }
}
