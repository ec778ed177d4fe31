//! Brightness with AVX2: shuffles make pairs (red, green) and (green, blue) of words, whose weighted sums take one
//! instruction each. All sums are exact integers below 2^24.

#![allow(unsafe_code, reason = "loads and stores of vectors, and calls of functions that need a feature")]

use crate::simd::Avx2;
use std::arch::x86_64::*;

/// Bytes of eight pixels.
const EIGHT: usize = 24;

impl Avx2 {
    /// Returns how many pixels it took, which are the first ones; so do the other functions.
    pub(super) fn grey(self, rgb: &[u8], result: &mut [u8]) -> usize {
        // SAFETY: the CPU features were detected.
        unsafe { grey(rgb, result) }
    }

    pub(super) fn sum(self, rgb: &[u8], result: &mut [u32]) -> usize {
        // SAFETY: the CPU features were detected.
        unsafe { sum(rgb, result) }
    }

    pub(super) fn luminance(self, rgb: &[u8], result: &mut [f32]) -> usize {
        // SAFETY: the CPU features were detected.
        unsafe { luminance(rgb, result) }
    }

    pub(super) fn grey_709(self, rgb: &[u8], result: &mut [f32]) -> usize {
        // SAFETY: the CPU features were detected.
        unsafe { grey_709(rgb, result) }
    }
}

/// Weights of red and green, and of green and blue.
type ColourWeights = [[i16; 2]; 2];

/// The weighted sums of eight pixels.
#[inline]
#[target_feature(enable = "avx2")]
fn weigh(pixels: &[u8; EIGHT], weights: ColourWeights) -> __m256i {
    let [near, far] = weights.map(|[a, b]| _mm256_set1_epi32(i32::from(b) << 16 | i32::from(a) & 0xffff));
    // SAFETY: both loads lie within the 24 bytes.
    let (low, high) = unsafe {
        let pixels: *const u8 = pixels.as_ptr();
        (_mm_loadu_si128(pixels.cast()), _mm_loadu_si128(pixels.add(EIGHT - 16).cast()))
    };
    let both = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high);
    // Pixels 0 to 3 begin at byte 0 of the lower half, pixels 4 to 7 at byte 4 of the upper one.
    const NO: i8 = -1;
    let red_green = _mm256_setr_epi8(
        0, NO, 1, NO, 3, NO, 4, NO, 6, NO, 7, NO, 9, NO, 10, NO, //
        4, NO, 5, NO, 7, NO, 8, NO, 10, NO, 11, NO, 13, NO, 14, NO,
    );
    let green_blue = _mm256_setr_epi8(
        1, NO, 2, NO, 4, NO, 5, NO, 7, NO, 8, NO, 10, NO, 11, NO, //
        5, NO, 6, NO, 8, NO, 9, NO, 11, NO, 12, NO, 14, NO, 15, NO,
    );
    _mm256_add_epi32(
        _mm256_madd_epi16(_mm256_shuffle_epi8(both, red_green), near),
        _mm256_madd_epi16(_mm256_shuffle_epi8(both, green_blue), far),
    )
}

#[target_feature(enable = "avx2")]
fn grey(rgb: &[u8], result: &mut [u8]) -> usize {
    let (pixels, (results, _)) = (rgb.as_chunks::<{ 4 * EIGHT }>().0, result.as_chunks_mut::<32>());
    for (pixels, result) in pixels.iter().zip(&mut *results) {
        let mut greys = [_mm256_setzero_si256(); 4];
        for (grey, eight) in greys.iter_mut().zip(pixels.as_chunks().0) {
            // 38470 of green are more than a word holds.
            let sum = weigh(eight, [[19595, 19235], [19235, 7471]]);
            *grey = _mm256_srli_epi32::<16>(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << 15)));
        }
        let [a, b, c, d] = greys;
        let packed = _mm256_packus_epi16(_mm256_packus_epi32(a, b), _mm256_packus_epi32(c, d));
        let ordered = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
        // SAFETY: the result has 32 bytes.
        unsafe { _mm256_storeu_si256(result.as_mut_ptr().cast(), ordered) }
    }
    32 * pixels.len().min(results.len())
}

#[target_feature(enable = "avx2")]
fn sum(rgb: &[u8], result: &mut [u32]) -> usize {
    let (pixels, results) = (rgb.as_chunks().0, result.as_chunks_mut::<8>().0);
    for (pixels, result) in pixels.iter().zip(&mut *results) {
        let sum = weigh(pixels, [[1, 1], [0, 1]]);
        // SAFETY: the result has eight integers.
        unsafe { _mm256_storeu_si256(result.as_mut_ptr().cast(), sum) }
    }
    8 * pixels.len().min(results.len())
}

#[target_feature(enable = "avx2,fma")]
fn luminance(rgb: &[u8], result: &mut [f32]) -> usize {
    let (pixels, results) = (rgb.as_chunks().0, result.as_chunks_mut::<8>().0);
    let (count, reciprocal) = (_mm256_set1_ps(1000.0), _mm256_set1_ps(1.0 / 1000.0));
    for (pixels, result) in pixels.iter().zip(&mut *results) {
        let sum = _mm256_cvtepi32_ps(weigh(pixels, [[299, 587], [0, 114]]));
        // Like `crate::simd::divide`.
        let near = _mm256_mul_ps(sum, reciprocal);
        let thousandth = _mm256_fmadd_ps(_mm256_fnmadd_ps(near, count, sum), reciprocal, near);
        // SAFETY: the result has eight floats.
        unsafe { _mm256_storeu_ps(result.as_mut_ptr(), thousandth) }
    }
    8 * pixels.len().min(results.len())
}

#[target_feature(enable = "avx2")]
fn grey_709(rgb: &[u8], result: &mut [f32]) -> usize {
    let (pixels, results) = (rgb.as_chunks().0, result.as_chunks_mut::<8>().0);
    for (pixels, result) in pixels.iter().zip(&mut *results) {
        let sum = _mm256_cvtepi32_ps(weigh(pixels, [[2126, 7152], [0, 722]]));
        // Half a unit protects whole multiples of ten thousand from rounding.
        let scaled = _mm256_mul_ps(_mm256_add_ps(sum, _mm256_set1_ps(0.5)), _mm256_set1_ps(1e-4));
        // SAFETY: the result has eight floats.
        unsafe { _mm256_storeu_ps(result.as_mut_ptr(), _mm256_floor_ps(scaled)) }
    }
    8 * pixels.len().min(results.len())
}
