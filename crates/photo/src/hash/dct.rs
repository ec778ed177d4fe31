//! The DCT hash: imagehash's `phash`.
//!
//! The picture at four times the size, transformed by a DCT-II along both sides; a bit for each of the `size * size`
//! lowest frequencies that is above their median (Zauner 2010, 3.2.1; scaling does not matter to it).

use super::{Hash, basic::above_median};
use std::f64::consts::PI;

/// Pixels of a side for each frequency that is kept.
pub(super) const OVERSAMPLING: usize = 4;

/// `pixels` has `4 * size` rows of `4 * size` pixels.
pub(super) fn hash(pixels: &[u8], size: usize) -> Hash {
    let side = OVERSAMPLING * size;
    let transform = Transform::new(side);
    // Along the columns first, like imagehash: the order affects the last bits of what would be zero.
    let mut columns = vec![0.0; size * side];
    let mut line = vec![0.0; side];
    for x in 0..side {
        for (y, sample) in line.iter_mut().enumerate() {
            *sample = f64::from(pixels[y * side + x]);
        }
        for (frequency, value) in transform.of(&line, size).into_iter().enumerate() {
            columns[frequency * side + x] = value;
        }
    }
    let low: Vec<f64> = columns.chunks_exact(side).flat_map(|row| transform.of(row, size)).collect();
    above_median(&low)
}

/// The cosines of a DCT-II of a length.
struct Transform {
    /// cos(pi k / (2 length)).
    cosines: Vec<f64>,
}

impl Transform {
    fn new(length: usize) -> Self {
        let cosine = |k: usize| (PI * k as f64 / (2 * length) as f64).cos();
        Transform { cosines: (0..4 * length).map(cosine).collect() }
    }

    /// The lowest `wanted` of the sums 2 x[n] cos(pi k (2n + 1) / (2 length)).
    ///
    /// Split into even and odd frequencies, computed from the sums and the differences of mirrored samples: what
    /// cancels in a flat or symmetrical line is then exactly zero, as in SciPy, and not a rounding error above or
    /// below.
    fn of(&self, line: &[f64], wanted: usize) -> Vec<f64> {
        let half = line.len() / 2;
        if line.len() % 2 == 1 || wanted <= 1 {
            return (0..wanted).map(|k| self.direct(line, line.len(), k)).collect();
        }
        let mirrored = || line[..half].iter().zip(line.iter().rev());
        let sums: Vec<f64> = mirrored().map(|(a, b)| a + b).collect();
        let differences: Vec<f64> = mirrored().map(|(a, b)| a - b).collect();
        let even = self.of(&sums, wanted.div_ceil(2));
        let odd = (0..wanted / 2).map(|k| self.direct(&differences, line.len(), 2 * k + 1));
        let mut frequencies: Vec<f64> = even.into_iter().zip(odd.chain([0.0])).flat_map(|(a, b)| [a, b]).collect();
        frequencies.truncate(wanted);
        frequencies
    }

    /// Frequency `k` of a line of `length`, from its first samples.
    fn direct(&self, samples: &[f64], length: usize, k: usize) -> f64 {
        let step = self.cosines.len() / 4 / length;
        let sum: f64 = samples
            .iter()
            .enumerate()
            .map(|(n, sample)| sample * self.cosines[(k * (2 * n + 1) % (4 * length)) * step])
            .sum();
        2.0 * sum
    }
}
