//! Weighted sums with AVX-512 VNNI: `vpdpbusd` adds four products of bytes to an integer of 32 bits.
//!
//! Weights have up to 24 bits with their sign and are split into three signed digits of 8 bits; each digit has a sum,
//! and the three are combined at the end. All arithmetic wraps around: the final sum is below 2^31, and so is right
//! even if its parts overflowed.

#![allow(unsafe_code, reason = "loads and stores of vectors, and calls of functions that need a feature")]

use crate::strip::{ACROSS, ROWS, Tile};
use std::arch::x86_64::*;
use std::ops::Range;

/// A proof that the processor has what the functions of this file need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vnni(());

/// Eight weights, their lowest digits first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digits([[i8; ACROSS]; 3]);

/// A weight is the sum of `digit[i] << 8 * i`. It must be below 2^23 - 2^15 - 2^7.
#[inline(always)]
fn digits(weight: i32) -> [i8; 3] {
    let low = weight as i8;
    let rest = (weight - i32::from(low)) >> 8;
    let middle = rest as i8;
    [low, middle, ((rest - i32::from(middle)) >> 8) as i8]
}

impl Digits {
    pub(crate) fn new(weights: [i32; ACROSS]) -> Self {
        let split = weights.map(digits);
        Digits(std::array::from_fn(|digit| split.map(|weight| weight[digit])))
    }
}

impl Vnni {
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw");
        has.then_some(Vnni(()))
    }

    /// Like [`super::weigh`]'s plain loop.
    #[inline]
    pub(crate) fn across(
        self,
        start: i32,
        bits: u32,
        tiles: &[Tile],
        spans: &[(usize, Range<usize>)],
        weights: &[Digits],
        eights: &mut [[u8; ACROSS]; ROWS],
    ) {
        // SAFETY: the CPU features were detected.
        unsafe { across(start, bits, tiles, spans, weights, eights) }
    }

    /// Like [`super::weigh`]'s plain loop.
    #[inline]
    pub(crate) fn down(self, rows: &[u8], weights: &[i32], sums: &mut [i32]) {
        // SAFETY: the CPU features were detected.
        unsafe { down(rows, weights, sums) }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn together(sums: [__m512i; 3]) -> __m512i {
    let high = _mm512_add_epi32(sums[1], _mm512_slli_epi32::<8>(sums[2]));
    _mm512_add_epi32(sums[0], _mm512_slli_epi32::<8>(high))
}

/// The sums of each digit, plus a tile's products.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn with_tile(mut sums: [__m512i; 3], weights: &Digits, tile: &Tile) -> [__m512i; 3] {
    // SAFETY: a tile has 64 bytes.
    let pixels = unsafe { _mm512_loadu_si512((&raw const tile.0).cast()) };
    for (sum, digits) in sums.iter_mut().zip(weights.0) {
        let digits = i64::from_le_bytes(digits.map(|digit| digit as u8));
        *sum = _mm512_dpbusd_epi32(*sum, pixels, _mm512_set1_epi64(digits));
    }
    sums
}

/// The weighted sums of the halves of the rows of some tiles, which are their lanes of 32 bits.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn halves(weights: &[Digits], tiles: &[Tile]) -> __m512i {
    let mut sums = [_mm512_setzero_si512(); 3];
    let (fours, rest) = weights.as_chunks::<4>();
    let (four_tiles, rest_tiles) = tiles.split_at(4 * fours.len());
    if !fours.is_empty() {
        // Four independent chains of additions.
        let mut chains = [sums; 4];
        for (weights, tiles) in fours.iter().zip(four_tiles.chunks_exact(4)) {
            for ((chain, weights), tile) in chains.iter_mut().zip(weights).zip(tiles) {
                *chain = with_tile(*chain, weights, tile);
            }
        }
        for chain in chains {
            sums = std::array::from_fn(|digit| _mm512_add_epi32(sums[digit], chain[digit]));
        }
    }
    for (weights, tile) in rest.iter().zip(rest_tiles) {
        sums = with_tile(sums, weights, tile);
    }
    together(sums)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn across(
    start: i32,
    bits: u32,
    tiles: &[Tile],
    spans: &[(usize, Range<usize>)],
    weights: &[Digits],
    eights: &mut [[u8; ACROSS]; ROWS],
) {
    let (start, shift) = (_mm512_set1_epi32(start), _mm_cvtsi32_si128(bits as i32));
    let mut sums = [_mm512_setzero_si512(); ACROSS];
    for (sum, (first, span)) in sums.iter_mut().zip(spans) {
        *sum = halves(&weights[span.clone()], &tiles[*first..*first + span.len()]);
    }
    let [a, b, c, d, e, f, g, h] = sums.map(|sum| _mm512_castsi512_ps(sum));
    // Each quarter has two rows: those of both sums.
    let pair = |a, b| {
        let (left, right) = (_mm512_shuffle_ps::<0x88>(a, b), _mm512_shuffle_ps::<0xdd>(a, b));
        let sums = _mm512_add_epi32(_mm512_castps_si512(left), _mm512_castps_si512(right));
        _mm512_sra_epi32(_mm512_add_epi32(sums, start), shift)
    };
    let four = |a, b, c, d| _mm512_packs_epi32(pair(a, b), pair(c, d));
    let eight = _mm512_packus_epi16(four(a, b, c, d), four(e, f, g, h));
    let order = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
    // SAFETY: there are 64 bytes.
    unsafe { _mm512_storeu_si512(eights.as_mut_ptr().cast(), _mm512_shuffle_epi8(eight, order)) }
}

/// 64 columns and four rows at a time: a column's four pixels are brought together in a lane.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn down(rows: &[u8], weights: &[i32], sums: &mut [i32]) {
    let width = sums.len();
    assert!(rows.len() >= width * weights.len());
    for x in (0..width).step_by(64) {
        let here = u64::MAX >> (64 - (width - x).min(64));
        let mut parts = [[_mm512_setzero_si512(); 3]; 4];
        for (group, weights) in weights.chunks(4).enumerate() {
            let mut pixels = [_mm512_setzero_si512(); 4];
            let mut split = [[0; 4]; 3];
            for (index, &weight) in weights.iter().enumerate() {
                let row = &rows[(4 * group + index) * width..][..width];
                // SAFETY: the mask excludes what is past the end of the row.
                pixels[index] = unsafe { _mm512_maskz_loadu_epi8(here, row[x..].as_ptr().cast()) };
                for (digits, digit) in split.iter_mut().zip(digits(weight)) {
                    digits[index] = digit as u8;
                }
            }
            let [a, b, c, d] = pixels;
            let (ab, cd) = (_mm512_unpacklo_epi8(a, b), _mm512_unpacklo_epi8(c, d));
            let (ef, gh) = (_mm512_unpackhi_epi8(a, b), _mm512_unpackhi_epi8(c, d));
            let fours = [
                _mm512_unpacklo_epi16(ab, cd),
                _mm512_unpackhi_epi16(ab, cd),
                _mm512_unpacklo_epi16(ef, gh),
                _mm512_unpackhi_epi16(ef, gh),
            ];
            let split = split.map(|digits| _mm512_set1_epi32(i32::from_le_bytes(digits)));
            for (parts, four) in parts.iter_mut().zip(fours) {
                for (part, digits) in parts.iter_mut().zip(split) {
                    *part = _mm512_dpbusd_epi32(*part, four, digits);
                }
            }
        }
        // Quarter q of vector v holds the columns 16 q + 4 v to 16 q + 4 v + 3.
        let [a, b, c, d] = parts.map(|sums| together(sums));
        let (ab, cd) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0x44>(c, d));
        let (ef, gh) = (_mm512_shuffle_i32x4::<0xee>(a, b), _mm512_shuffle_i32x4::<0xee>(c, d));
        let ordered = [
            _mm512_shuffle_i32x4::<0x88>(ab, cd),
            _mm512_shuffle_i32x4::<0xdd>(ab, cd),
            _mm512_shuffle_i32x4::<0x88>(ef, gh),
            _mm512_shuffle_i32x4::<0xdd>(ef, gh),
        ];
        for (sums, added) in sums[x..].chunks_mut(16).zip(ordered) {
            let here = u16::MAX >> (16 - sums.len());
            // SAFETY: the mask excludes what is past the end of the sums.
            unsafe {
                let sum = _mm512_maskz_loadu_epi32(here, sums.as_ptr());
                _mm512_mask_storeu_epi32(sums.as_mut_ptr(), here, _mm512_add_epi32(sum, added));
            }
        }
    }
}
