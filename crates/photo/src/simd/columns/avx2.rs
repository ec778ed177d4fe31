//! Columns and rows with AVX2.

#![allow(unsafe_code, reason = "loads and stores of vectors, and calls of functions that need a feature")]

use super::{Eight, PixelColumn, plain_means_down, plain_to_columns};
use crate::simd::Avx2;
use crate::strip::ROWS;
use std::arch::x86_64::*;

impl Avx2 {
    pub(super) fn to_columns<const LENGTH: usize>(self, rows: &[[f32; LENGTH]; ROWS], columns: &mut [PixelColumn]) {
        // SAFETY: the CPU features were detected.
        unsafe { to_columns(rows, columns) }
    }

    pub(super) fn means_down(self, eight: &Eight, ring: &mut [f32], sums: &mut [f32], columns: &mut [PixelColumn]) {
        // SAFETY: the CPU features were detected.
        unsafe { means_down(eight, ring, sums, columns) }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(floats: &[f32; 8]) -> __m256 {
    // SAFETY: there are eight.
    unsafe { _mm256_loadu_ps(floats.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(floats: &mut [f32; 8], vector: __m256) {
    // SAFETY: there are eight.
    unsafe { _mm256_storeu_ps(floats.as_mut_ptr(), vector) }
}

/// Transposes a square.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed(rows: [__m256; 8]) -> [__m256; 8] {
    let [a, b, c, d, e, f, g, h] = rows;
    let fours = |a, b, c, d| {
        let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let (next_low, next_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        [
            _mm256_shuffle_ps::<0x44>(low, next_low),
            _mm256_shuffle_ps::<0xee>(low, next_low),
            _mm256_shuffle_ps::<0x44>(high, next_high),
            _mm256_shuffle_ps::<0xee>(high, next_high),
        ]
    };
    let ([a, b, c, d], [e, f, g, h]) = (fours(a, b, c, d), fours(e, f, g, h));
    [
        _mm256_permute2f128_ps::<0x20>(a, e),
        _mm256_permute2f128_ps::<0x20>(b, f),
        _mm256_permute2f128_ps::<0x20>(c, g),
        _mm256_permute2f128_ps::<0x20>(d, h),
        _mm256_permute2f128_ps::<0x31>(a, e),
        _mm256_permute2f128_ps::<0x31>(b, f),
        _mm256_permute2f128_ps::<0x31>(c, g),
        _mm256_permute2f128_ps::<0x31>(d, h),
    ]
}

#[target_feature(enable = "avx2")]
fn to_columns<const LENGTH: usize>(rows: &[[f32; LENGTH]; ROWS], columns: &mut [PixelColumn]) {
    let (squares, rest) = columns.as_chunks_mut::<8>();
    for (index, square) in squares.iter_mut().enumerate() {
        let vectors = std::array::from_fn(|row| load(&rows[row].as_chunks().0[index]));
        for (column, vector) in square.iter_mut().zip(transposed(vectors)) {
            store(column, vector);
        }
    }
    plain_to_columns(rows, 8 * squares.len(), rest);
}

#[target_feature(enable = "avx2,fma")]
fn means_down(eight: &Eight, ring: &mut [f32], sums: &mut [f32], columns: &mut [PixelColumn]) {
    let counts: [__m256; ROWS] = std::array::from_fn(|row| _mm256_set1_ps(eight.counts[row]));
    let reciprocals: [__m256; ROWS] = std::array::from_fn(|row| _mm256_set1_ps(1.0 / eight.counts[row]));
    let squares = columns.as_chunks_mut::<8>().0;
    let done = 8 * squares.len();
    for (index, (square, sums)) in squares.iter_mut().zip(sums.as_chunks_mut::<8>().0).enumerate() {
        let mut rows = transposed(std::array::from_fn(|x| load(&square[x])));
        let mut sum = load(sums);
        for (lane, row) in rows.iter_mut().enumerate() {
            let Some(kept) = ring[eight.slots[lane] + 8 * index..].first_chunk_mut() else { return };
            sum = _mm256_sub_ps(_mm256_add_ps(sum, *row), load(kept));
            store(kept, *row);
            // Like `crate::simd::divide`.
            let near = _mm256_mul_ps(sum, reciprocals[lane]);
            let error = _mm256_fnmadd_ps(near, counts[lane], sum);
            *row = _mm256_fmadd_ps(error, reciprocals[lane], near);
        }
        store(sums, sum);
        for (column, vector) in square.iter_mut().zip(transposed(rows)) {
            store(column, vector);
        }
    }
    plain_means_down(eight, done, ring, sums, columns);
}
