//! The weights of Pillow's Lanczos filter along one axis.
//!
//! They are defined by `sin` in double precision, two of which per tap cost more than small pictures themselves. So
//! they are computed by one polynomial instead, which the compiler vectorises; the few that come so near to the middle
//! between two integers that its error could change them are recomputed by the definition.

use crate::simd::fastest;
use std::f64::consts::PI;
use std::ops::Range;

/// Fractional bits.
pub(super) const PRECISION: u32 = 32 - 8 - 2;

/// The weights along one axis.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    /// For each output pixel: its first input pixel, and its weights.
    pub(super) spans: Vec<TapSpan>,
    pub(super) weights: Vec<i32>,
}

/// The definition.
fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
    if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}

/// [`lanczos`] with an error below 1e-14: with s = sin(pi x / 3), sin(pi x) is 3 s - 4 s^3, and s its Taylor series.
#[inline(always)]
fn nearly_lanczos<const FMA: bool>(x: f64) -> f64 {
    let third = x.abs() * (1.0 / 3.0);
    let angle = third.min(1.0 - third) * PI;
    let square = angle * angle;
    // The term after that of n = 21 is below 1e-17 at pi / 2.
    let mut series = 1.0;
    for n in [21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        let step = square * (-1.0 / (n * (n - 1.0)));
        series = if FMA { step.mul_add(series, 1.0) } else { step * series + 1.0 };
    }
    let sine = angle * series;
    let value = sine * sine * (3.0 - 4.0 * sine * sine) * (3.0 / (PI * PI)) / (x * x);
    if x.abs() >= 3.0 {
        0.0
    } else if x.abs() < 1e-9 {
        1.0
    } else {
        value
    }
}

/// How near to the middle between two integers a weight may come, in units of its last place: an error of 1e-14 in each
/// of its taps and in the sum of all is far below 1e-6 of them.
const DOUBT: f64 = 1e-5;

/// Doubtful taps that are recomputed together.
const TOGETHER: usize = 64;

type TapSpan = (usize, Range<usize>);

fastest! {
    /// The filter at the taps of all spans, as parts of the sum of each span, in units of a weight's last place.
    fn filter(spans: &[TapSpan], scale: f64, per_pixel: f64, taps: &mut [f64]) {
        for (pixel, (low, span)) in spans.iter().enumerate() {
            let centre = (pixel as f64 + 0.5) * scale;
            for (tap, index) in taps[span.clone()].iter_mut().zip(*low as i32..) {
                *tap = (f64::from(index) - centre + 0.5) * per_pixel;
            }
        }
        for tap in &mut *taps {
            *tap = nearly_lanczos::<FMA>(*tap);
        }
        for (_, span) in spans {
            let (eights, rest) = taps[span.clone()].as_chunks_mut::<8>();
            let mut sums = [0.0; 8];
            for eight in &*eights {
                for (sum, tap) in sums.iter_mut().zip(eight) {
                    *sum += tap;
                }
            }
            let sum = sums.iter().sum::<f64>() + rest.iter().sum::<f64>();
            let scale = f64::from(1 << PRECISION) / sum;
            for tap in eights.as_flattened_mut().iter_mut().chain(rest) {
                *tap *= scale;
            }
        }
    }
}

fastest! {
    /// Rounds taps to weights, and detects whether any of them is in doubt.
    fn rounded(taps: &[f64], weights: &mut [i32], doubt: &mut bool) {
        let mut doubts = 0;
        for (weight, tap) in weights.iter_mut().zip(taps) {
            let up = tap.abs() + 0.5;
            let cut = up.floor();
            doubts |= i32::from((up - cut - 0.5).abs() > 0.5 - DOUBT);
            let magnitude = cut as i32;
            *weight = if *tap < 0.0 { -magnitude } else { magnitude };
        }
        *doubt = doubts != 0;
    }
}

/// Weights by the definition.
fn exactly(low: usize, centre: f64, per_pixel: f64, weights: &mut [i32]) {
    let tap = |index: usize| lanczos(((low + index) as f64 - centre + 0.5) * per_pixel);
    let taps: Vec<f64> = (0..weights.len()).map(tap).collect();
    let sum: f64 = taps.iter().sum();
    for (weight, tap) in weights.iter_mut().zip(taps) {
        let tap = if sum == 0.0 { tap } else { tap / sum };
        let half = if tap < 0.0 { -0.5 } else { 0.5 };
        *weight = (half + tap * f64::from(1 << PRECISION)) as i32;
    }
}

impl Axis {
    /// The most input pixels per output pixel.
    pub(super) fn longest(input: usize, output: usize) -> usize {
        (2 * (3 * input).div_ceil(output).max(3) + 1).min(input)
    }

    /// An upper bound of the bytes for making the weights for `input` pixels to `output`.
    pub(super) fn memory(input: usize, output: usize) -> usize {
        let longest = Self::longest(input, output);
        output * (longest * (size_of::<i32>() + size_of::<f64>() + 1) + size_of::<TapSpan>() + 16)
            + 2 * longest * size_of::<f64>()
    }

    /// Weights to bring `input` pixels to `output`.
    pub(super) fn new(input: usize, output: usize) -> Self {
        let scale = input as f64 / output as f64;
        let filter_scale = scale.max(1.0);
        let support = 3.0 * filter_scale;
        let per_pixel = 1.0 / filter_scale;
        let mut doubtful = Vec::new();
        let mut spans: Vec<TapSpan> = Vec::with_capacity(output);
        let mut length = 0;
        for pixel in 0..output {
            let centre = (pixel as f64 + 0.5) * scale;
            let low = (centre - support + 0.5).max(0.0) as usize; // cut off, as C's cast does
            let high = ((centre + support + 0.5) as usize).min(input);
            spans.push((low, length..length + high - low));
            length += high - low;
        }
        let (mut taps, mut weights) = (vec![0.0; length], vec![0; length]);
        filter(&spans, scale, per_pixel, &mut taps);
        for (index, weights) in weights.chunks_mut(TOGETHER).enumerate() {
            let mut doubt = false;
            let here = index * TOGETHER..index * TOGETHER + weights.len();
            rounded(&taps[here.clone()], weights, &mut doubt);
            doubtful.extend(doubt.then_some(here));
        }
        for doubtful in doubtful {
            let first = spans.partition_point(|(_, span)| span.end <= doubtful.start);
            let those = spans[first..].iter().take_while(|(_, span)| span.start < doubtful.end);
            for (pixel, (low, span)) in (first..).zip(those) {
                exactly(*low, (pixel as f64 + 0.5) * scale, per_pixel, &mut weights[span.clone()]);
            }
        }
        Axis { spans, weights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomial_is_near() {
        for step in -310_007..=310_007 {
            let x = f64::from(step) / 100_003.0;
            for x in [x, x * 1e-3, x * 1e-7, x * 1e-12] {
                assert!((nearly_lanczos::<false>(x) - lanczos(x)).abs() < 1e-14, "{x}");
            }
        }
    }

    #[test]
    fn weights_are_those_of_the_definition() {
        for input in (1..600).chain([640, 1000, 1023, 1024, 1080, 1920, 3024, 4000, 7777]) {
            for output in [1, 4, 8, 9, 32, 64, 100, 256, 512, 1024] {
                let axis = Axis::new(input, output);
                let scale = input as f64 / output as f64;
                for (pixel, (low, span)) in axis.spans.iter().enumerate() {
                    let mut weights = vec![0; span.len()];
                    exactly(*low, (pixel as f64 + 0.5) * scale, 1.0 / scale.max(1.0), &mut weights);
                    assert_eq!(axis.weights[span.clone()], weights, "{input} to {output}, pixel {pixel}");
                }
                assert!(axis.weights.len() * 4 + axis.spans.len() * 24 <= Axis::memory(input, output));
            }
        }
    }
}
