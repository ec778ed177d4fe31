//! PDQ: Meta's hash of 256 bits, with its quality and its eight forms.
//!
//! Davis and Rosen, "TMK+PDQF: Tools for Photo and Video Matching", Facebook, 2019, and its reference in C++: luminance,
//! blurred by a tent filter (two box filters each along rows and columns) and cut down to 64 x 64 samples; of their DCT
//! the frequencies 1 to 16 of each side; a bit for each that is above the median. All in single precision, and in the
//! order of the reference: its sums are running sums, so that even their rounding errors are to be the same. What the
//! reference does in four passes over the picture is done here in one, eight rows at a time: a box filter along the
//! columns needs no more than the rows that its window spans.

use super::Hash;
use crate::orientation::Orientation;
use crate::simd::fastest;
use crate::strip::{ROWS, Strip};
use std::f64::consts::PI;

/// The hash has as many bits as a square of this side has places.
pub(super) const SIZE: usize = 16;
/// Samples of a side before the transform.
const SIDE: usize = 64;
/// Below this many pixels a side the reference gives up: a hash of zeros, and quality 0.
const SMALLEST: usize = 5;

/// The window of a box filter (`computeJaroszFilterWindowSize`).
fn window(length: usize) -> usize {
    length.div_ceil(2 * SIDE)
}

/// The middle of each of the 64 parts of a side (`decimateFloat`).
fn middles(length: usize) -> [usize; SIDE] {
    std::array::from_fn(|part| ((part as f64 + 0.5) * length as f64 / SIDE as f64) as usize)
}

/// A box filter over rows that come one after the other, along their columns.
struct Columns {
    window: usize,
    width: usize,
    /// The last `window` rows, in a ring.
    ring: Vec<f32>,
    sums: Vec<f32>,
    /// Rows taken, and rows given.
    taken: usize,
    given: usize,
}

impl Columns {
    fn new(width: usize, height: usize) -> Self {
        let window = window(height);
        Columns { window, width, ring: vec![0.0; window * width], sums: vec![0.0; width], taken: 0, given: 0 }
    }

    /// Rows that a result is behind the last one that it needs.
    fn lag(&self) -> usize {
        self.window / 2
    }

    /// Takes a row; `result` is filled where there is one now.
    fn take(&mut self, row: &[f32], result: &mut [f32]) -> bool {
        let slot = &mut self.ring[self.taken % self.window * self.width..][..self.width];
        let full = self.taken >= self.window;
        add_row(row, full, slot, &mut self.sums);
        self.taken += 1;
        if self.taken <= self.lag() {
            return false;
        }
        divide_row(&self.sums, self.taken.min(self.window) as f32, result);
        self.given += 1;
        true
    }

    /// Gives the results that are left once all rows were taken.
    fn rest(&mut self, height: usize, result: &mut [f32]) -> bool {
        if self.given == height {
            return false;
        }
        // The window holds the rows from `left` on; the oldest one leaves.
        let left = self.given + self.lag() - self.window;
        let slot = &self.ring[left % self.window * self.width..][..self.width];
        subtract_row(slot, &mut self.sums);
        divide_row(&self.sums, (height - left - 1) as f32, result);
        self.given += 1;
        true
    }
}

fastest! {
    /// Adds a row to the sums, takes the oldest one away where the window is `full`, and keeps the row in its place.
    fn add_row(row: &[f32], full: bool, slot: &mut [f32], sums: &mut [f32]) {
        if full {
            for ((sum, slot), &sample) in sums.iter_mut().zip(slot).zip(row) {
                *sum = *sum + sample - *slot;
                *slot = sample;
            }
        } else {
            for ((sum, slot), &sample) in sums.iter_mut().zip(slot).zip(row) {
                *sum += sample;
                *slot = sample;
            }
        }
    }
}

fastest! {
    fn subtract_row(row: &[f32], sums: &mut [f32]) {
        for (sum, &sample) in sums.iter_mut().zip(row) {
            *sum -= sample;
        }
    }
}

fastest! {
    fn divide_row(sums: &[f32], count: f32, result: &mut [f32]) {
        for (result, &sum) in result.iter_mut().zip(sums) {
            *result = sum / count;
        }
    }
}

/// The luminance of pdqhash: a double, cut to single precision.
#[inline(always)]
fn luminance(r: u8, g: u8, b: u8) -> f32 {
    (f64::from(r) * 0.299 + f64::from(g) * 0.587 + f64::from(b) * 0.114) as f32
}

fastest! {
    fn luminances(rgb: &[u8], result: &mut [f32]) {
        for (pixel, result) in rgb.chunks_exact(3).zip(result) {
            *result = luminance(pixel[0], pixel[1], pixel[2]);
        }
    }
}

fastest! {
    fn floats(grey: &[u8], result: &mut [f32]) {
        for (&grey, result) in grey.iter().zip(result) {
            *result = f32::from(grey);
        }
    }
}

fastest! {
    /// The sums of a window along each of eight rows: eight chains of additions that do not wait for one another.
    /// `sums[i]` is the sum of the window around place `i`; what it is divided by follows from the place.
    fn row_sums(rows: &[f32], window: usize, sums: &mut [f32]) {
        let width = rows.len() / ROWS;
        let ahead = window / 2;
        let mut running = [0f32; ROWS];
        for x in 0..width + ahead {
            if x < width {
                for row in 0..ROWS {
                    running[row] += rows[row * width + x];
                }
            }
            if x >= window {
                for row in 0..ROWS {
                    running[row] -= rows[row * width + x - window];
                }
            }
            if x >= ahead {
                for row in 0..ROWS {
                    sums[row * width + x - ahead] = running[row];
                }
            }
        }
    }
}

/// How many pixels the window around `x` holds.
fn count(x: usize, width: usize, window: usize) -> usize {
    (x + window / 2 + 1).min(width) - (x + window / 2 + 1).saturating_sub(window)
}

/// Divides a row of sums by how many each is of.
fn divide_sums(sums: &mut [f32], window: usize) {
    let width = sums.len();
    let (before, behind) = (window, window / 2);
    let edge = |x: usize| x + behind + 1 < before || x + behind + 1 > width;
    let first = (0..width).find(|&x| !edge(x)).unwrap_or(width);
    let last = (first..width).rev().find(|&x| !edge(x)).map_or(first, |x| x + 1);
    for x in (0..first).chain(last..width) {
        sums[x] /= count(x, width, window) as f32;
    }
    divide_all(&mut sums[first..last], window as f32);
}

fastest! {
    fn divide_all(sums: &mut [f32], count: f32) {
        for sum in sums {
            *sum /= count;
        }
    }
}

/// A picture on its way to 64 x 64 samples.
pub(crate) struct Pdq {
    width: usize,
    height: usize,
    channels: usize,
    /// The picture has 64 x 64 pixels and is taken as it is.
    as_it_is: bool,
    /// Eight rows of luminance, and of sums along them.
    luminance: Vec<f32>,
    sums: Vec<f32>,
    first: Columns,
    /// Rows out of the first filter, until there are eight.
    waiting: Vec<f32>,
    waits: usize,
    second_sums: Vec<f32>,
    second: Columns,
    middles: ([usize; SIDE], [usize; SIDE]),
    /// The second filter's rows, counted.
    finished: usize,
    samples: Box<[[f32; SIDE]; SIDE]>,
}

impl Pdq {
    pub(super) fn memory((width, height): (usize, usize)) -> usize {
        (width * (4 * ROWS + window(height) + 2) + (window(height) + 2 + SIDE) * SIDE) * size_of::<f32>()
    }

    pub(super) fn new((width, height): (usize, usize), channels: usize) -> Self {
        Pdq {
            width,
            height,
            channels,
            as_it_is: width == SIDE && height == SIDE,
            luminance: vec![0.0; ROWS * width],
            sums: vec![0.0; ROWS * width],
            first: Columns::new(width, height),
            waiting: vec![0.0; ROWS * width],
            waits: 0,
            second_sums: vec![0.0; ROWS * width],
            second: Columns::new(SIDE, height),
            middles: (middles(width), middles(height)),
            finished: 0,
            samples: Box::new([[0.0; SIDE]; SIDE]),
        }
    }

    /// As the reference's function for the eight forms, which filters pictures of 64 x 64 pixels too.
    pub(super) fn always_filtered(self) -> Self {
        Pdq { as_it_is: false, ..self }
    }

    pub(super) fn take(&mut self, strip: &Strip<'_>) {
        let width = self.width;
        let target = &mut self.luminance[..strip.count * width];
        if self.channels == 1 {
            floats(strip.samples, target)
        } else {
            luminances(strip.samples, target)
        }
        if self.as_it_is {
            for (y, row) in target.chunks_exact(width).enumerate() {
                self.samples[strip.y + y].copy_from_slice(row);
            }
            return;
        }
        row_sums(&self.luminance, window(width), &mut self.sums);
        for row in 0..strip.count {
            let sums = &mut self.sums[row * width..(row + 1) * width];
            divide_sums(sums, window(width));
            let result = &mut self.waiting[self.waits * width..(self.waits + 1) * width];
            if self.first.take(sums, result) {
                self.waits += 1;
                if self.waits == ROWS {
                    self.second_pass();
                }
            }
        }
        if strip.y + strip.count == self.height {
            let width = self.width;
            while self.first.rest(self.height, &mut self.waiting[self.waits * width..(self.waits + 1) * width]) {
                self.waits += 1;
                if self.waits == ROWS {
                    self.second_pass();
                }
            }
            self.second_pass();
            let mut row = [0.0; SIDE];
            while self.second.rest(self.height, &mut row) {
                self.keep(&row);
            }
        }
    }

    /// Along the waiting rows once more; only 64 places of each are wanted from here on.
    fn second_pass(&mut self) {
        let (width, window) = (self.width, window(self.width));
        row_sums(&self.waiting, window, &mut self.second_sums);
        for row in 0..std::mem::take(&mut self.waits) {
            let sums = &self.second_sums[row * width..(row + 1) * width];
            let wanted = self.middles.0.map(|x| sums[x] / count(x, width, window) as f32);
            let mut result = [0.0; SIDE];
            if self.second.take(&wanted, &mut result) {
                self.keep(&result);
            }
        }
    }

    /// Keeps a finished row wherever it is one of the 64.
    fn keep(&mut self, row: &[f32; SIDE]) {
        for (sample, &middle) in self.samples.iter_mut().zip(&self.middles.1) {
            if middle == self.finished {
                *sample = *row;
            }
        }
        self.finished += 1;
    }

    /// The samples that the transform is given, row by row.
    #[cfg(test)]
    pub(super) fn samples(&self) -> Vec<f32> {
        self.samples.as_flattened().to_vec()
    }

    pub(super) fn finish(self) -> Found {
        if self.width < SMALLEST || self.height < SMALLEST {
            return Found { frequencies: None, quality: 0 };
        }
        Found { frequencies: Some(transform(&self.samples)), quality: quality(&self.samples) }
    }
}

/// How much there is to see: differences of neighbours, in hundredths of the brightness.
fn quality(samples: &[[f32; SIDE]; SIDE]) -> u8 {
    let steps = |a: f32, b: f32| (((a - b) * 100.0) / 255.0) as i32; // cut off, as the reference does
    let mut sum = 0;
    for y in 0..SIDE {
        for x in 0..SIDE {
            if y + 1 < SIDE {
                sum += steps(samples[y][x], samples[y + 1][x]).abs();
            }
            if x + 1 < SIDE {
                sum += steps(samples[y][x], samples[y][x + 1]).abs();
            }
        }
    }
    (sum / 90).min(100) as u8
}

/// Frequencies 1 to 16 of both sides.
type Frequencies = [[f32; SIZE]; SIZE];

/// D A D' with the 16 x 64 matrix D of the cosines.
fn transform(samples: &[[f32; SIDE]; SIDE]) -> Frequencies {
    let scale = (2.0 / SIDE as f64).sqrt() as f32;
    let cosine = |i: usize, j: usize| {
        let angle = (PI / 2.0 / SIDE as f64) * (i + 1) as f64 * (2 * j + 1) as f64;
        (f64::from(scale) * angle.cos()) as f32
    };
    let matrix: [[f32; SIDE]; SIZE] = std::array::from_fn(|i| std::array::from_fn(|j| cosine(i, j)));
    let half: [[f32; SIDE]; SIZE] = std::array::from_fn(|i| {
        let mut sums = [0f32; SIDE];
        for (weight, row) in matrix[i].iter().zip(samples) {
            for (sum, sample) in sums.iter_mut().zip(row) {
                *sum += weight * sample;
            }
        }
        sums
    });
    let dot = |a: &[f32; SIDE], b: &[f32; SIDE]| a.iter().zip(b).fold(0f32, |sum, (a, b)| sum + a * b);
    std::array::from_fn(|i| std::array::from_fn(|j| dot(&half[i], &matrix[j])))
}

/// What a picture came to.
pub(super) struct Found {
    /// None where it is too small.
    frequencies: Option<Frequencies>,
    quality: u8,
}

impl Found {
    pub(super) fn quality(&self) -> u8 {
        self.quality
    }

    /// The hash of the picture under `form`. Turning or mirroring a picture changes places and signs of its frequencies:
    /// mirrored along a side, those with an odd number of half waves along that side change their sign.
    pub(super) fn hash(&self, form: Orientation) -> Hash {
        let Some(stored) = &self.frequencies else { return vec![0; SIZE * SIZE / 8] };
        // Row and column here count from frequency 1: even ones are odd frequencies.
        let odd = |index: usize| index.is_multiple_of(2);
        let sign = |flip: bool| if flip { -1.0 } else { 1.0 };
        let frequency = |i: usize, j: usize| match form {
            Orientation::Upright => stored[i][j],
            Orientation::FlipHorizontal => sign(odd(j)) * stored[i][j],
            Orientation::FlipVertical => sign(odd(i)) * stored[i][j],
            Orientation::Rotate180 => sign(odd(i) != odd(j)) * stored[i][j],
            Orientation::Transpose => stored[j][i],
            Orientation::Rotate90 => sign(odd(j)) * stored[j][i],
            Orientation::Rotate270 => sign(odd(i)) * stored[j][i],
            Orientation::Transverse => sign(odd(i) != odd(j)) * stored[j][i],
        };
        let shown: Vec<f32> = (0..SIZE * SIZE).map(|index| frequency(index / SIZE, index % SIZE)).collect();
        let mut sorted = shown.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let median = sorted[sorted.len() / 2 - 1]; // Torben's: of an even number the smaller one of the middle
        // The last place is the most significant bit.
        super::pack(shown.iter().rev().map(|&value| value > median))
    }
}
