//! Resizing like Pillow, bit for bit: Lanczos with three lobes, in integers, first along the rows.
//!
//! The recipe is Pillow's `Resample.c`: per axis, weights in double precision, normalised, rounded to 22 fractional
//! bits; each pass rounds to 8 bits. Other resizers differ in the last bit of a few pixels, and so in bits of hashes.

mod axis;

use crate::simd::fastest;
use crate::simd::weigh::{Across, Weigher};
use crate::strip::{ROWS, Strip, Tile, no_tiles, tiles};
use axis::{Axis, PRECISION};

/// The initial value of sums: half of what is cut off, for rounding.
const HALF: i32 = 1 << (PRECISION - 1);

/// Rounds a sum of weighted samples.
#[inline(always)]
fn round(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// A picture being resized: it takes strips, and stores the results of the first of the two passes.
pub(crate) struct Resize {
    from: (usize, usize),
    to: (usize, usize),
    weigher: Weigher,
    across: Across,
    down: Axis,
    first: First,
}

/// The first pass. Each pass rounds, so their order affects the result: Pillow 13 begins with the columns of pictures
/// that lose more than twice as many rows as columns; before, it always began with the rows.
enum First {
    /// Input rows, with output width.
    Across(Vec<u8>),
    /// Output rows, with one sum per input column, and the first row that is not complete.
    Down(Vec<i32>, usize),
}

fn down_first(from: (usize, usize), to: (usize, usize)) -> bool {
    from.0 != to.0 && from.1.saturating_sub(to.1) > 2 * from.0.saturating_sub(to.0)
}

impl Resize {
    /// Bytes that it takes.
    pub(crate) fn memory(from: (usize, usize), to: (usize, usize)) -> usize {
        let first = if down_first(from, to) { from.0 * (to.1 * size_of::<i32>() + 3 * ROWS) } else { to.0 * from.1 };
        let weights = Axis::memory(from.0, to.0) + Axis::memory(from.1, to.1);
        first
            + to.0 * (to.1 + ROWS)
            + size_of::<Tile>()
            + weights
            + 2 * Across::memory(to.0, Axis::longest(from.0, to.0))
    }

    /// `from` and `to` are widths and heights.
    pub(crate) fn new(from: (usize, usize), to: (usize, usize)) -> Self {
        let weigher = Weigher::fastest();
        let axis = Axis::new(from.0, to.0);
        let sums = axis.spans.iter().map(|(first, span)| (*first, &axis.weights[span.clone()]));
        let first = if down_first(from, to) {
            First::Down(vec![HALF; from.0 * to.1], 0)
        } else {
            First::Across(vec![0; to.0 * from.1])
        };
        Resize { from, to, weigher, across: Across::new(weigher, sums), down: Axis::new(from.1, to.1), first }
    }

    /// Takes the next rows.
    pub(crate) fn take(&mut self, strip: &Strip<'_>) {
        let (input, width) = (self.from.0, self.to.0);
        match &mut self.first {
            First::Across(rows) => {
                let rows = &mut rows[strip.y * width..(strip.y + strip.count) * width];
                if width == input {
                    rows.copy_from_slice(strip.grey);
                } else {
                    self.across.sums(HALF, PRECISION, strip.tiles, rows);
                }
            }
            First::Down(sums, open) => {
                let (y, end) = (strip.y, strip.y + strip.count);
                let spans = &self.down.spans;
                while spans.get(*open).is_some_and(|(first, span)| first + span.len() <= y) {
                    *open += 1;
                }
                for ((first, span), sums) in spans.iter().zip(sums.chunks_exact_mut(input)).skip(*open) {
                    let (from, to) = (y.max(*first), end.min(first + span.len()));
                    if *first >= end {
                        break;
                    }
                    if from < to {
                        let weights = &self.down.weights[span.start + from - first..span.start + to - first];
                        self.weigher.down(&strip.grey[(from - y) * input..], weights, sums);
                    }
                }
            }
        }
    }

    /// Makes the rows of the result, in order.
    pub(crate) fn finish(&self, mut row: impl FnMut(&[u8])) {
        let (input, width) = (self.from.0, self.to.0);
        match &self.first {
            First::Across(rows) if self.from.1 == self.to.1 => rows.chunks_exact(width).for_each(row),
            First::Across(rows) => {
                let (mut sums, mut result) = (vec![0; width], vec![0; width]);
                for (first, span) in &self.down.spans {
                    sums.fill(HALF);
                    self.weigher.down(&rows[first * width..], &self.down.weights[span.clone()], &mut sums);
                    rounded(&sums, &mut result);
                    row(&result);
                }
            }
            First::Down(sums, _) => {
                let (mut rows, mut made) = (vec![0; ROWS * input], no_tiles(input));
                let mut result = vec![0; ROWS * width];
                for sums in sums.chunks(ROWS * input) {
                    let count = sums.len() / input;
                    rounded(sums, &mut rows[..count * input]);
                    tiles(&rows[..count * input], input, &mut made);
                    self.across.sums(HALF, PRECISION, &made, &mut result[..count * width]);
                    result[..count * width].chunks_exact(width).for_each(&mut row);
                }
            }
        }
    }

    /// The whole result.
    pub(crate) fn into_pixels(self) -> Vec<u8> {
        let mut pixels = Vec::with_capacity(self.to.0 * self.to.1);
        self.finish(|row| pixels.extend_from_slice(row));
        pixels
    }
}

fastest! {
    fn rounded(sums: &[i32], result: &mut [u8]) {
        for (result, &sum) in result.iter_mut().zip(sums) {
            *result = round(sum);
        }
    }
}
