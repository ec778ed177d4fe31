//! NEON: two words a vector, the ones of each byte by `cnt`, summed pairwise to words.

use super::Hit;
use super::generic::{self, Lanes};
use super::join::{self, BlockJoin, RowPair};
use std::arch::aarch64::*;

struct Neon;

impl Lanes for Neon {
    const LANES: usize = 2;
    type Counts = uint64x2_t;

    #[inline(always)]
    unsafe fn differing(a: *const u64, b: *const u64) -> uint64x2_t {
        // SAFETY: as the trait promises; `ld1` of bytes needs no alignment.
        unsafe {
            let bits = veorq_u8(vld1q_u8(a.cast()), vld1q_u8(b.cast()));
            vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(vcntq_u8(bits))))
        }
    }

    #[inline(always)]
    unsafe fn splat(word: u64) -> uint64x2_t {
        // SAFETY: the CPU has the instructions.
        unsafe { vdupq_n_u64(word) }
    }

    #[inline(always)]
    unsafe fn parts(word: uint64x2_t, b: *const u64) -> uint64x2_t {
        // SAFETY: as the trait promises; `ld1` of bytes needs no alignment.
        unsafe { vreinterpretq_u64_u8(vcntq_u8(veorq_u8(vreinterpretq_u8_u64(word), vld1q_u8(b.cast())))) }
    }

    #[inline(always)]
    unsafe fn add_parts(a: uint64x2_t, b: uint64x2_t) -> uint64x2_t {
        // SAFETY: the CPU has the instructions.
        unsafe { vreinterpretq_u64_u8(vaddq_u8(vreinterpretq_u8_u64(a), vreinterpretq_u8_u64(b))) }
    }

    #[inline(always)]
    unsafe fn sum(parts: uint64x2_t) -> uint64x2_t {
        // SAFETY: the CPU has the instructions.
        unsafe { vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(vreinterpretq_u8_u64(parts)))) }
    }

    #[inline(always)]
    unsafe fn add(a: uint64x2_t, b: uint64x2_t) -> uint64x2_t {
        // SAFETY: the CPU has the instructions.
        unsafe { vaddq_u64(a, b) }
    }

    #[inline(always)]
    unsafe fn min(a: uint64x2_t, b: uint64x2_t) -> uint64x2_t {
        // SAFETY: the CPU has the instructions.
        unsafe { vreinterpretq_u64_u32(vminq_u32(vreinterpretq_u32_u64(a), vreinterpretq_u32_u64(b))) }
    }

    #[inline(always)]
    unsafe fn sum_neighbours(low: uint64x2_t, high: uint64x2_t) -> uint64x2_t {
        // SAFETY: the CPU has the instructions.
        unsafe { vpaddq_u64(low, high) }
    }

    #[inline(always)]
    unsafe fn at_most(counts: uint64x2_t, limit: u32) -> u32 {
        // SAFETY: the CPU has the instructions.
        unsafe {
            let within = vcleq_u64(counts, vdupq_n_u64(u64::from(limit)));
            (vgetq_lane_u64::<0>(within) & 1 | vgetq_lane_u64::<1>(within) & 2) as u32
        }
    }

    #[inline(always)]
    unsafe fn lanes(counts: uint64x2_t) -> [u64; 8] {
        // SAFETY: the CPU has the instructions.
        unsafe { [vgetq_lane_u64::<0>(counts), vgetq_lane_u64::<1>(counts), 0, 0, 0, 0, 0, 0] }
    }
}

/// # Safety
/// The CPU has the instructions; `a` and `b` are equally long.
#[target_feature(enable = "neon")]
pub(super) unsafe fn distance(a: &[u8], b: &[u8]) -> u32 {
    // SAFETY: as promised by the caller.
    unsafe { generic::distance::<Neon>(a, b) }
}

/// # Safety
/// As [`generic::within`].
#[target_feature(enable = "neon")]
pub(super) unsafe fn within(query: &[u64], hashes: &[u64], radius: u32, hits: &mut Vec<Hit>) {
    // SAFETY: as promised by the caller.
    unsafe { generic::within::<Neon>(query, hashes, radius, hits) }
}

/// # Safety
/// As [`join::join`].
#[target_feature(enable = "neon")]
pub(super) unsafe fn join(join: &BlockJoin<'_>, pairs: &mut Vec<RowPair>) -> usize {
    // SAFETY: as promised by the caller.
    unsafe { join::join::<Neon>(join, pairs) }
}
