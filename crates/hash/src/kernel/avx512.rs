//! AVX-512 with VPOPCNTDQ: eight words a vector.

use super::Hit;
use super::generic::{self, Lanes};
use super::join::{self, BlockJoin, RowPair};
use std::arch::x86_64::*;

struct Avx512;

impl Lanes for Avx512 {
    const LANES: usize = 8;
    type Counts = __m512i;

    #[inline(always)]
    unsafe fn differing(a: *const u64, b: *const u64) -> __m512i {
        // SAFETY: as the trait promises; the loads are unaligned ones.
        unsafe { _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_epi64(a.cast()), _mm512_loadu_epi64(b.cast()))) }
    }

    #[inline(always)]
    unsafe fn splat(word: u64) -> __m512i {
        // SAFETY: the CPU has the instructions.
        unsafe { _mm512_set1_epi64(word as i64) }
    }

    #[inline(always)]
    unsafe fn parts(word: __m512i, b: *const u64) -> __m512i {
        // SAFETY: as the trait promises; the load is an unaligned one.
        unsafe { _mm512_popcnt_epi64(_mm512_xor_si512(word, _mm512_loadu_epi64(b.cast()))) }
    }

    #[inline(always)]
    unsafe fn add_parts(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the CPU has the instructions.
        unsafe { _mm512_add_epi64(a, b) }
    }

    #[inline(always)]
    unsafe fn sum(parts: __m512i) -> __m512i {
        parts
    }

    #[inline(always)]
    unsafe fn add(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the CPU has the instructions.
        unsafe { _mm512_add_epi64(a, b) }
    }

    #[inline(always)]
    unsafe fn min(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the CPU has the instructions.
        unsafe { _mm512_min_epu32(a, b) }
    }

    #[inline(always)]
    unsafe fn sum_neighbours(low: __m512i, high: __m512i) -> __m512i {
        // SAFETY: the CPU has the instructions.
        unsafe {
            // Lanes l0+l1, h0+h1, l2+l3, h2+h3, …: every 128-bit half holds one of each; then put them in order.
            let mixed = _mm512_add_epi64(_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
            _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), mixed)
        }
    }

    #[inline(always)]
    unsafe fn at_most(counts: __m512i, limit: u32) -> u32 {
        // SAFETY: the CPU has the instructions.
        u32::from(unsafe { _mm512_cmple_epu64_mask(counts, _mm512_set1_epi64(i64::from(limit))) })
    }

    #[inline(always)]
    unsafe fn lanes(counts: __m512i) -> [u64; 8] {
        // SAFETY: both are 64 bytes of plain bits.
        unsafe { std::mem::transmute(counts) }
    }
}

/// # Safety
/// The CPU has the instructions; `a` and `b` are equally long.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")]
pub(super) unsafe fn distance(a: &[u8], b: &[u8]) -> u32 {
    let mut sum = _mm512_setzero_si512();
    for at in (0..a.len()).step_by(64) {
        let left = (a.len() - at).min(64);
        let mask = u64::MAX >> (64 - left);
        // SAFETY: the masked loads read only the `left` bytes from `at` that both slices have.
        let differing = unsafe {
            let a = _mm512_maskz_loadu_epi8(mask, a.as_ptr().add(at).cast());
            let b = _mm512_maskz_loadu_epi8(mask, b.as_ptr().add(at).cast());
            _mm512_popcnt_epi64(_mm512_xor_si512(a, b))
        };
        sum = _mm512_add_epi64(sum, differing);
    }
    _mm512_reduce_add_epi64(sum) as u32
}

/// # Safety
/// As [`generic::within`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")]
pub(super) unsafe fn within(query: &[u64], hashes: &[u64], radius: u32, hits: &mut Vec<Hit>) {
    // SAFETY: as promised by the caller.
    unsafe { generic::within::<Avx512>(query, hashes, radius, hits) }
}

/// # Safety
/// As [`join::join`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")]
pub(super) unsafe fn join(join: &BlockJoin<'_>, pairs: &mut Vec<RowPair>) -> usize {
    // SAFETY: as promised by the caller.
    unsafe { join::join::<Avx512>(join, pairs) }
}
