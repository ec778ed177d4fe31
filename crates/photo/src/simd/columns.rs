//! Eight rows of a strip side by side, so that all of them advance in one vector; and box filters over them.
//!
//! Called by PDQ. The order of all additions is that of one pixel after the other: their rounding errors are kept.

#[cfg(target_arch = "x86_64")]
mod avx2;

use super::divide;
use crate::strip::ROWS;

/// The eight pixels at one position of the rows.
pub(crate) type PixelColumn = [f32; ROWS];

/// Transposes eight rows of at least as many places as there are columns.
pub(crate) fn to_columns<const LENGTH: usize>(rows: &[[f32; LENGTH]; ROWS], columns: &mut [PixelColumn]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = super::Avx2::detect() {
        return avx2.to_columns(rows, columns);
    }
    plain_to_columns(rows, 0, columns);
}

/// The columns from place `first` on.
fn plain_to_columns<const LENGTH: usize>(rows: &[[f32; LENGTH]; ROWS], first: usize, columns: &mut [PixelColumn]) {
    for (x, column) in (first..).zip(columns) {
        *column = std::array::from_fn(|row| rows[row][x]);
    }
}

/// The number of pixels in a window of `window` whose last one is `last`, on a side of `length`.
pub(crate) fn held(last: usize, length: usize, window: usize) -> usize {
    (last + 1).min(length).saturating_sub((last + 1).saturating_sub(window))
}

/// Advances the window by one place.
#[inline(always)]
fn advance(running: &mut PixelColumn, columns: &[PixelColumn], last: usize, window: usize) {
    if let Some(column) = columns.get(last) {
        for (sum, sample) in running.iter_mut().zip(column) {
            *sum += sample;
        }
    }
    if let Some(column) = last.checked_sub(window).map(|left| &columns[left]) {
        for (sum, sample) in running.iter_mut().zip(column) {
            *sum -= sample;
        }
    }
}

fastest! {
    /// The means of a window around each place along the rows.
    pub(crate) fn means_across(columns: &[PixelColumn], window: usize, means: &mut [PixelColumn]) {
        let (width, ahead) = (columns.len(), window / 2);
        let mut running = [0.0; ROWS];
        let (full, reciprocal) = (window as f32, 1.0 / window as f32);
        for last in 0..width + ahead {
            advance(&mut running, columns, last, window);
            if last < ahead {
                continue;
            }
            if (window - 1..width).contains(&last) {
                means[last - ahead] = running.map(|sum| divide::<FMA>(sum, full, reciprocal));
            } else {
                let held = held(last, width, window) as f32;
                means[last - ahead] = running.map(|sum| sum / held);
            }
        }
    }
}

fastest! {
    /// [`means_across`] at some places only, which ascend.
    pub(crate) fn means_at(columns: &[PixelColumn], window: usize, places: &[usize], means: &mut [PixelColumn]) {
        let mut running = [0.0; ROWS];
        let mut next = 0;
        for (place, means) in places.iter().zip(means) {
            for last in next..=place + window / 2 {
                advance(&mut running, columns, last, window);
            }
            next = next.max(place + window / 2 + 1);
            let held = held(next - 1, columns.len(), window) as f32;
            *means = running.map(|sum| sum / held);
        }
    }
}

/// A box filter down the columns, eight rows at a time; a mean comes `window / 2` rows after its own.
pub(crate) struct Down {
    window: usize,
    height: usize,
    width: usize,
    /// The last `window` rows, in a ring: rows before the first one are 0, and so are those after the last one.
    ring: Vec<f32>,
    sums: Vec<f32>,
}

/// What eight rows need: their slots in the ring, and how many rows each sum covers.
struct Eight {
    slots: [usize; ROWS],
    counts: [f32; ROWS],
}

impl Down {
    pub(crate) fn memory(width: usize, window: usize) -> usize {
        width * (window + 1) * size_of::<f32>()
    }

    pub(crate) fn new(width: usize, height: usize, window: usize) -> Self {
        Down { window, height, width, ring: vec![0.0; window * width], sums: vec![0.0; width] }
    }

    /// Takes the rows from `first` on, and replaces them by the means of the windows that end with each. Rows before
    /// the first one of the picture, and after its last one, must be 0.
    pub(crate) fn means(&mut self, first: isize, columns: &mut [PixelColumn]) {
        let row = |lane: usize| first + lane as isize;
        let held = |row: isize| usize::try_from(row).map_or(1, |row| held(row, self.height, self.window).max(1));
        let eight = Eight {
            slots: std::array::from_fn(|lane| row(lane).rem_euclid(self.window as isize) as usize * self.width),
            counts: std::array::from_fn(|lane| held(row(lane)) as f32),
        };
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = super::Avx2::detect() {
            return avx2.means_down(&eight, &mut self.ring, &mut self.sums, columns);
        }
        plain_means_down(&eight, 0, &mut self.ring, &mut self.sums, columns);
    }
}

/// From column `first` on.
fn plain_means_down(eight: &Eight, first: usize, ring: &mut [f32], sums: &mut [f32], columns: &mut [PixelColumn]) {
    for (x, (sum, column)) in sums.iter_mut().zip(columns).enumerate().skip(first) {
        for ((sample, slot), count) in column.iter_mut().zip(eight.slots).zip(eight.counts) {
            let leaves = std::mem::replace(&mut ring[slot + x], *sample);
            *sum = *sum + *sample - leaves;
            *sample = *sum / count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_the_plain_loops(
            samples in prop::collection::vec(0..=255u8, 40 * ROWS),
            width in 1..=40usize,
            window in 1..=12usize,
            strips in 1..6usize,
        ) {
            let rows: [[f32; 40]; ROWS] =
                std::array::from_fn(|row| std::array::from_fn(|x| f32::from(samples[row * 40 + x]) / 7.0));
            let (mut columns, mut plain) = (vec![[0.0; ROWS]; width], vec![[0.0; ROWS]; width]);
            let mut down = Down::new(width, strips * ROWS, window);
            let (mut ring, mut sums) = (down.ring.clone(), down.sums.clone());
            for strip in 0..strips {
                to_columns(&rows, &mut columns);
                plain_to_columns(&rows, 0, &mut plain);
                prop_assert_eq!(&columns, &plain);
                let row = |lane: usize| strip * ROWS + lane;
                let eight = Eight {
                    slots: std::array::from_fn(|lane| row(lane) % window * width),
                    counts: std::array::from_fn(|lane| held(row(lane), strips * ROWS, window) as f32),
                };
                down.means((strip * ROWS) as isize, &mut columns);
                plain_means_down(&eight, 0, &mut ring, &mut sums, &mut plain);
                prop_assert_eq!(&columns, &plain);
            }
        }
    }
}
