//! The wavelet hash: imagehash's `whash` with the Haar wavelet.
//!
//! imagehash scales the picture to the largest power of 2 that fits into it, transforms it all the way down, sets the
//! coarsest coefficient to zero, transforms back, down again to `size * size` coefficients, and compares those with
//! their median. In exact arithmetic that is the mean of each of `size * size` blocks, minus the mean of all: sums of
//! integers, which need no transform. If a block's sum equals the median, however, imagehash's bits come from the
//! rounding errors of its transforms; only those blocks are put through the same arithmetic here.

use super::{Hash, basic::above_median};
use crate::error::PhotoError;
use crate::lanczos::Resize;
use crate::limits::Limits;
use crate::strip::Strip;
use std::f64::consts::FRAC_1_SQRT_2;

/// The picture, being scaled to the side of a power of 2.
pub(super) struct Wavelet {
    resize: Resize,
    scale: usize,
    size: usize,
}

impl Wavelet {
    fn scale((width, height): (usize, usize), size: usize) -> usize {
        let smaller = width.min(height).max(1);
        (1 << smaller.ilog2()).max(size)
    }

    pub(super) fn memory(from: (usize, usize), size: usize) -> usize {
        let scale = Self::scale(from, size);
        let block = scale / size;
        // The pixels at that scale are kept in case of ties; a block is transformed in two buffers of doubles.
        Resize::memory(from, (scale, scale)) + scale * scale + 4 * block * block * size_of::<f64>()
    }

    pub(super) fn new(from: (usize, usize), size: usize) -> Self {
        let scale = Self::scale(from, size);
        Wavelet { resize: Resize::new(from, (scale, scale)), scale, size }
    }

    pub(super) fn take(&mut self, strip: &Strip<'_>) {
        self.resize.take(strip);
    }

    /// Errors: [`PhotoError::Cancelled`].
    pub(super) fn hash(self, limits: &Limits<'_>) -> Result<Hash, PhotoError> {
        let Wavelet { resize, scale, size } = self;
        let block = scale / size;
        let mut sums = vec![0u64; size * size];
        let mut y = 0;
        resize.finish(|row| {
            let band = &mut sums[y / block * size..][..size];
            for (sum, part) in band.iter_mut().zip(row.chunks_exact(block)) {
                *sum += u64::from(part.iter().map(|&sample| u32::from(sample)).sum::<u32>());
            }
            y += 1;
        });
        let mut sorted = sums.clone();
        sorted.sort_unstable();
        let (below, above) = (sorted[sorted.len() / 2 - 1], sorted[sorted.len() / 2]);
        if below != above {
            return Ok(super::pack(sums.iter().map(|&sum| sum >= above)));
        }
        // Different sums give coefficients that differ by far more than any rounding error: near values suffice.
        let mean = sums.iter().sum::<u64>() as f64 / sums.len() as f64;
        let near = |&sum: &u64| (sum as f64 - mean) / (255 * block) as f64;
        let mut values: Vec<f64> = sums.iter().map(near).collect();
        let pixels = resize.into_pixels();
        let transform = Haar { pixels: &pixels, scale, size, block };
        let coarse = transform.coarse(limits)?;
        for (index, value) in values.iter_mut().enumerate() {
            if sums[index] == above {
                limits.check()?;
                *value = transform.fine(index, &coarse);
            }
        }
        Ok(above_median(&values))
    }
}

/// PyWavelets' arithmetic: products with 1/sqrt(2), rounded, then their sum; per level first along the columns, then
/// along the rows, and the other way round on the way back.
struct Haar<'a> {
    pixels: &'a [u8],
    scale: usize,
    size: usize,
    /// Side of the square of pixels of one coefficient.
    block: usize,
}

/// sqrt(1/2), with PyWavelets' value.
const R: f64 = FRAC_1_SQRT_2;

/// One level of a square of `side`: means to the first half of rows and columns, details to the others.
fn down(square: &mut [f64], side: usize, scratch: &mut Vec<f64>) {
    let half = side / 2;
    scratch.clear();
    scratch.resize(side * side, 0.0);
    for y in 0..half {
        for x in 0..side {
            let (a, b) = (square[2 * y * side + x], square[(2 * y + 1) * side + x]);
            scratch[y * side + x] = R * b + R * a;
            scratch[(half + y) * side + x] = -R * b + R * a;
        }
    }
    for (row, target) in scratch.chunks_exact(side).zip(square.chunks_exact_mut(side)) {
        for x in 0..half {
            let (a, b) = (row[2 * x], row[2 * x + 1]);
            target[x] = R * b + R * a;
            target[half + x] = -R * b + R * a;
        }
    }
}

/// The inverse of `down`.
fn up(square: &mut [f64], side: usize, scratch: &mut Vec<f64>) {
    let half = side / 2;
    scratch.clear();
    scratch.resize(side * side, 0.0);
    for (row, target) in square.chunks_exact(side).zip(scratch.chunks_exact_mut(side)) {
        for x in 0..half {
            let (mean, detail) = (row[x], row[half + x]);
            target[2 * x] = R * mean + R * detail;
            target[2 * x + 1] = R * mean - R * detail;
        }
    }
    for y in 0..half {
        for x in 0..side {
            let (mean, detail) = (scratch[y * side + x], scratch[(half + y) * side + x]);
            square[2 * y * side + x] = R * mean + R * detail;
            square[(2 * y + 1) * side + x] = R * mean - R * detail;
        }
    }
}

/// All levels of a square in place; what is left at the top is its first value. Returns the details, finest first.
fn all_down(mut square: Vec<f64>, side: usize) -> (f64, Vec<Vec<f64>>) {
    let (mut details, mut scratch, mut side) = (Vec::new(), Vec::new(), side);
    while side > 1 {
        down(&mut square, side, &mut scratch);
        let half = side / 2;
        let means = (0..half).flat_map(|y| square[y * side..y * side + half].to_vec()).collect();
        details.push(std::mem::replace(&mut square, means));
        side = half;
    }
    (square[0], details)
}

/// The inverse of `all_down`, from the value at the top.
fn all_up(top: f64, details: Vec<Vec<f64>>) -> Vec<f64> {
    let mut square = vec![top];
    let mut scratch = Vec::new();
    for mut level in details.into_iter().rev() {
        let half = square.len().isqrt();
        for y in 0..half {
            level[y * 2 * half..y * 2 * half + half].copy_from_slice(&square[y * half..(y + 1) * half]);
        }
        up(&mut level, 2 * half, &mut scratch);
        square = level;
    }
    square
}

impl Haar<'_> {
    fn block(&self, index: usize) -> Vec<f64> {
        let (top, left) = (index / self.size * self.block, index % self.size * self.block);
        let row = |y: usize| &self.pixels[(top + y) * self.scale + left..][..self.block];
        (0..self.block).flat_map(row).map(|&sample| f64::from(sample) / 255.0).collect()
    }

    /// The coefficients of all blocks once the mean of the picture has been taken out.
    fn coarse(&self, limits: &Limits<'_>) -> Result<Vec<f64>, PhotoError> {
        let mut tops = Vec::with_capacity(self.size * self.size);
        for index in 0..self.size * self.size {
            limits.check()?;
            tops.push(all_down(self.block(index), self.block).0);
        }
        let (mean, details) = all_down(tops, self.size);
        Ok(all_up(mean * 0.0, details))
    }

    /// The coefficient of a block, down a second time.
    fn fine(&self, index: usize, coarse: &[f64]) -> f64 {
        let (_, details) = all_down(self.block(index), self.block);
        all_down(all_up(coarse[index], details), self.block).0
    }
}
