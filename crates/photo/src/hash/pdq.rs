//! PDQ: Meta's hash of 256 bits, with its quality and its eight forms.
//!
//! Davis and Rosen, "TMK+PDQF: Tools for Photo and Video Matching", Facebook, 2019, and its reference in C++:
//! luminance, blurred by a tent filter (two box filters each along rows and columns) and decimated to 64 x 64 samples;
//! of their DCT the frequencies 1 to 16 of each side; a bit for each that is above the median. All in single precision,
//! and in the order of the reference: its sums are running sums, and even their rounding errors must match. The four
//! passes of the reference over the picture are one pass here, eight rows at a time: a box filter along the columns
//! needs only the rows of its window.

use super::Hash;
use crate::orientation::Orientation;
use crate::simd::columns::{Down, PixelColumn, means_across, means_at, to_columns};
use crate::simd::rgb;
use crate::strip::{ROWS, Strip};
use std::f64::consts::PI;
use std::sync::LazyLock;

/// The hash has `SIZE * SIZE` bits.
pub(super) const SIZE: usize = 16;
/// Samples of a side before the transform.
const SIDE: usize = 64;
/// Below this many pixels a side the reference returns a hash of zeros, and quality 0.
const SMALLEST: usize = 5;

/// The window of a box filter (`computeJaroszFilterWindowSize`).
fn window(length: usize) -> usize {
    length.div_ceil(2 * SIDE)
}

/// The middle of each of the 64 parts of a side (`decimateFloat`).
fn middles(length: usize) -> [usize; SIDE] {
    std::array::from_fn(|part| ((part as f64 + 0.5) * length as f64 / SIDE as f64) as usize)
}

/// Pixels of eight rows that are transposed at once: they stay in the nearest cache.
const BLOCK: usize = 128;

/// A picture that is being reduced to 64 x 64 samples.
///
/// Box filters down the columns lag: a mean is known once the last row of its window has arrived. Rows are counted from
/// the first one; after the last row of the picture come rows of zeros, until the last mean is known.
pub(crate) struct Pdq {
    width: usize,
    height: usize,
    channels: usize,
    /// The picture has 64 x 64 pixels and is taken as it is.
    as_it_is: bool,
    /// Eight rows of luminance, and of means of them.
    luminance: Vec<PixelColumn>,
    means: Vec<PixelColumn>,
    first: Down,
    second: Down,
    middles: ([usize; SIDE], [usize; SIDE]),
    samples: Box<[[f32; SIDE]; SIDE]>,
}

impl Pdq {
    pub(super) fn memory((width, height): (usize, usize)) -> usize {
        let filters = Down::memory(width, window(height)) + Down::memory(SIDE, window(height));
        2 * width * size_of::<PixelColumn>() + filters + SIDE * SIDE * size_of::<f32>()
    }

    pub(super) fn new((width, height): (usize, usize), channels: usize) -> Self {
        Pdq {
            width,
            height,
            channels,
            as_it_is: width == SIDE && height == SIDE,
            luminance: vec![[0.0; ROWS]; width],
            means: vec![[0.0; ROWS]; width],
            first: Down::new(width, height, window(height)),
            second: Down::new(SIDE, height, window(height)),
            middles: (middles(width), middles(height)),
            samples: Box::new([[0.0; SIDE]; SIDE]),
        }
    }

    /// Like the reference's function for the eight forms, which filters pictures of 64 x 64 pixels too.
    pub(super) fn always_filtered(self) -> Self {
        Pdq { as_it_is: false, ..self }
    }

    pub(super) fn take(&mut self, strip: &Strip<'_>) {
        let mut rows = [[0.0; BLOCK]; ROWS];
        for (block, columns) in self.luminance.chunks_mut(BLOCK).enumerate() {
            let length = columns.len();
            for (row, samples) in rows.iter_mut().zip(strip.samples.chunks_exact(self.width * self.channels)) {
                let samples = &samples[block * BLOCK * self.channels..][..length * self.channels];
                if self.channels == 1 {
                    row.iter_mut().zip(samples).for_each(|(sample, &grey)| *sample = f32::from(grey));
                } else {
                    rgb::luminance(samples, &mut row[..length]);
                }
            }
            to_columns(&rows, columns);
        }
        if self.as_it_is {
            for (lane, y) in (strip.y..strip.y + strip.count).enumerate() {
                self.samples[y] = std::array::from_fn(|x| self.luminance[x][lane]);
            }
            return;
        }
        means_across(&self.luminance, window(self.width), &mut self.means);
        self.down(strip.y);
        if strip.y + strip.count == self.height {
            let lag = window(self.height) / 2;
            for y in (strip.y + ROWS..self.height + 2 * lag).step_by(ROWS) {
                self.means.fill([0.0; ROWS]);
                self.down(y);
            }
        }
    }

    /// The means of the rows from `y` on go down the columns, along the rows and down the columns again. Only 64 places
    /// of a row are needed from its second filter on.
    fn down(&mut self, y: usize) {
        let (window, lag) = ((window(self.width), window(self.height)), (window(self.height) / 2) as isize);
        clear(&mut self.means, y as isize, self.height);
        self.first.means(y as isize, &mut self.means);
        let mut wanted = [[0.0; ROWS]; SIDE];
        means_at(&self.means, window.0, &self.middles.0, &mut wanted);
        let y = y as isize - lag;
        clear(&mut wanted, y, self.height);
        self.second.means(y, &mut wanted);
        for (lane, row) in (y - lag..).take(ROWS).enumerate() {
            for (sample, &middle) in self.samples.iter_mut().zip(&self.middles.1) {
                if middle as isize == row {
                    *sample = std::array::from_fn(|x| wanted[x][lane]);
                }
            }
        }
    }

    /// The input of the transform, row by row.
    #[cfg(test)]
    pub(super) fn samples(&self) -> Vec<f32> {
        self.samples.as_flattened().to_vec()
    }

    pub(super) fn finish(self) -> PdqResult {
        if self.width < SMALLEST || self.height < SMALLEST {
            return PdqResult { frequencies: None, quality: 0 };
        }
        PdqResult { frequencies: Some(transform(&self.samples)), quality: quality(&self.samples) }
    }
}

/// The amount of detail: differences of neighbours, in hundredths of the brightness.
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

/// The cosines of the transform.
static COSINES: LazyLock<[[f32; SIDE]; SIZE]> = LazyLock::new(|| {
    let scale = (2.0 / SIDE as f64).sqrt() as f32;
    let cosine = |i: usize, j: usize| {
        let angle = (PI / 2.0 / SIDE as f64) * (i + 1) as f64 * (2 * j + 1) as f64;
        (f64::from(scale) * angle.cos()) as f32
    };
    std::array::from_fn(|i| std::array::from_fn(|j| cosine(i, j)))
});

/// D A D' with the 16 x 64 matrix D of the cosines.
fn transform(samples: &[[f32; SIDE]; SIDE]) -> Frequencies {
    let matrix = &*COSINES;
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

/// Rows outside of the picture, of those from `first` on, become 0.
fn clear(columns: &mut [PixelColumn], first: isize, height: usize) {
    let inside: [bool; ROWS] = std::array::from_fn(|lane| (0..height as isize).contains(&(first + lane as isize)));
    if inside == [true; ROWS] {
        return;
    }
    for column in columns {
        *column = std::array::from_fn(|lane| if inside[lane] { column[lane] } else { 0.0 });
    }
}

/// The result for a picture.
pub(super) struct PdqResult {
    /// `None` if it is too small.
    frequencies: Option<Frequencies>,
    quality: u8,
}

impl PdqResult {
    pub(super) fn quality(&self) -> u8 {
        self.quality
    }

    /// The hash of the picture under `form`. Turning or mirroring a picture changes places and signs of its
    /// frequencies: mirrored along a side, those with an odd number of half waves along that side change their sign.
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
