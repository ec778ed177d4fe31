//! Resizing as Pillow does it, bit for bit: Lanczos with three lobes, in integers, first along the rows.
//!
//! The recipe is Pillow's `Resample.c`: per axis, weights in double precision, normalised, rounded to 22 bits behind the
//! point; each pass rounds to 8 bits. Other resizers differ in the last bit of a few pixels, and so in bits of hashes.

use crate::simd::fastest;
use crate::strip::{self, ROWS, Strip};
use std::f64::consts::PI;
use std::ops::Range;

/// Bits behind the point.
const PRECISION: u32 = 32 - 8 - 2;

/// The weights along one axis.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    /// Pixels before and after.
    input: usize,
    /// For each pixel after: the first one before that counts, and where its weights are.
    spans: Vec<(usize, Range<usize>)>,
    weights: Vec<i32>,
}

fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
    if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}

impl Axis {
    /// Weights to bring `input` pixels to `output`.
    pub(crate) fn new(input: usize, output: usize) -> Self {
        let scale = input as f64 / output as f64;
        let filter_scale = scale.max(1.0);
        let support = 3.0 * filter_scale;
        let per_pixel = 1.0 / filter_scale;
        let mut spans = Vec::with_capacity(output);
        let mut weights = Vec::with_capacity(output * (2 * support.ceil() as usize + 1));
        let mut exact = Vec::new();
        for pixel in 0..output {
            let centre = (pixel as f64 + 0.5) * scale;
            let low = (centre - support + 0.5).max(0.0) as usize; // cut off, as C's cast does
            let high = ((centre + support + 0.5) as usize).min(input);
            exact.clear();
            exact.extend((low..high).map(|before| lanczos((before as f64 - centre + 0.5) * per_pixel)));
            let sum: f64 = exact.iter().sum();
            let first = weights.len();
            weights.extend(exact.iter().map(|weight| {
                let weight = if sum == 0.0 { *weight } else { weight / sum };
                let half = if weight < 0.0 { -0.5 } else { 0.5 };
                (half + weight * f64::from(1 << PRECISION)) as i32
            }));
            spans.push((low, first..weights.len()));
        }
        Axis { input, spans, weights }
    }

    fn output(&self) -> usize {
        self.spans.len()
    }
}

/// Rounds a sum of weighted samples.
#[inline(always)]
fn round(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// A picture on its way to another size: it takes strips, and keeps what the first of the two passes makes of them.
pub(crate) struct Resize {
    across: Axis,
    down: Axis,
    first: First,
}

/// The first pass. Each rounds, so that their order shows in the result: Pillow 13 begins with the columns of pictures
/// that lose more than twice as many rows as columns; before, it always began with the rows.
enum First {
    /// `down.input` rows of `across.output()` samples.
    Across(Vec<u8>),
    /// `down.output()` rows of `across.input` sums, and the first of them that is not complete.
    Down(Vec<i32>, usize),
}

fn down_first(from: (usize, usize), to: (usize, usize)) -> bool {
    from.0 != to.0 && from.1.saturating_sub(to.1) > 2 * from.0.saturating_sub(to.0)
}

impl Resize {
    /// Bytes that it takes.
    pub(crate) fn memory(from: (usize, usize), to: (usize, usize)) -> usize {
        let weights = |from: usize, to: usize| (6 * from.max(to) + 3 * to) * size_of::<i32>() + to * 40;
        let first = if down_first(from, to) { from.0 * (to.1 * size_of::<i32>() + 2 * ROWS) } else { to.0 * from.1 };
        first + to.0 * to.1 + weights(from.0, to.0) + weights(from.1, to.1)
    }

    /// From and to are widths and heights.
    pub(crate) fn new(from: (usize, usize), to: (usize, usize)) -> Self {
        let (across, down) = (Axis::new(from.0, to.0), Axis::new(from.1, to.1));
        let first = if down_first(from, to) {
            First::Down(vec![1 << (PRECISION - 1); from.0 * to.1], 0)
        } else {
            First::Across(vec![0; to.0 * from.1])
        };
        Resize { across, down, first }
    }

    /// Takes the next rows.
    pub(crate) fn take(&mut self, strip: &Strip<'_>) {
        let Resize { across, down, first } = self;
        match first {
            First::Across(rows) => {
                let width = across.output();
                let rows = &mut rows[strip.y * width..(strip.y + strip.count) * width];
                if width == across.input {
                    rows.copy_from_slice(strip.grey);
                } else {
                    horizontal(across, strip.columns, rows);
                }
            }
            First::Down(sums, open) => {
                for (y, row) in (strip.y..).zip(strip.grey.chunks_exact(across.input)) {
                    while down.spans.get(*open).is_some_and(|(first, span)| first + span.len() <= y) {
                        *open += 1;
                    }
                    let sums = sums.chunks_exact_mut(across.input).skip(*open);
                    for ((first, span), sums) in down.spans[*open..].iter().zip(sums) {
                        let Some(offset) = y.checked_sub(*first) else { break };
                        if offset < span.len() {
                            add_weighted(row, down.weights[span.start + offset], sums);
                        }
                    }
                }
            }
        }
    }

    /// Makes the rows of the result, in order.
    pub(crate) fn finish(&self, mut row: impl FnMut(&[u8])) {
        let (input, width) = (self.across.input, self.across.output());
        match &self.first {
            First::Across(rows) if self.down.output() == self.down.input => rows.chunks_exact(width).for_each(row),
            First::Across(rows) => {
                let (mut sums, mut result) = (vec![0; width], vec![0; width]);
                for (first, span) in &self.down.spans {
                    sums.fill(1 << (PRECISION - 1));
                    for (&weight, row) in
                        self.down.weights[span.clone()].iter().zip(rows[first * width..].chunks(width))
                    {
                        add_weighted(row, weight, &mut sums);
                    }
                    rounded(&sums, &mut result);
                    row(&result);
                }
            }
            First::Down(sums, _) => {
                let (mut rows, mut columns) = (vec![0; ROWS * input], vec![[0; ROWS]; input]);
                let mut result = vec![0; ROWS * width];
                for sums in sums.chunks(ROWS * input) {
                    let count = sums.len() / input;
                    rounded(sums, &mut rows[..count * input]);
                    strip::columns(&rows[..count * input], &mut columns);
                    horizontal(&self.across, &columns, &mut result[..count * width]);
                    result[..count * width].chunks_exact(width).for_each(&mut row);
                }
            }
        }
    }

    /// The whole result.
    pub(crate) fn into_pixels(self) -> Vec<u8> {
        let mut pixels = Vec::with_capacity(self.across.output() * self.down.output());
        self.finish(|row| pixels.extend_from_slice(row));
        pixels
    }
}

fastest! {
    /// Weighs the columns of a strip; `rows` are those of the result.
    fn horizontal(axis: &Axis, columns: &[[u8; ROWS]], rows: &mut [u8]) {
        let width = axis.spans.len();
        let count = rows.len() / width;
        for (x, (first, span)) in axis.spans.iter().enumerate() {
            let mut sums = [1 << (PRECISION - 1); ROWS];
            for (weight, column) in axis.weights[span.clone()].iter().zip(&columns[*first..]) {
                for (sum, &sample) in sums.iter_mut().zip(column) {
                    *sum += weight * i32::from(sample);
                }
            }
            for (row, &sum) in sums.iter().enumerate().take(count) {
                rows[row * width + x] = round(sum);
            }
        }
    }
}

fastest! {
    /// Adds a weighted row to sums.
    fn add_weighted(row: &[u8], weight: i32, sums: &mut [i32]) {
        for (sum, &sample) in sums.iter_mut().zip(row) {
            *sum += weight * i32::from(sample);
        }
    }
}

fastest! {
    fn rounded(sums: &[i32], result: &mut [u8]) {
        for (result, &sum) in result.iter_mut().zip(sums) {
            *result = round(sum);
        }
    }
}
