//! Brute force: every left row with every right one, by the kernel that suits the device and the width.

#![allow(unsafe_code, reason = "kernels are launched with addresses of the device")]

use crate::device::{Device, Pointer};
use crate::error::GpuError;
use crate::kernels::{self, Instructions, Kernel};
use crate::params;
use crate::part::{DevicePart, PartRows, Uploaded};
use crate::request::PairRequest;
use crate::slices::{Rectangle, Slices};

/// Right rows per block, where there are many rows; few rows need short segments, to fill the device.
const LONG_SEGMENT: u32 = 4096;
const SHORT_SEGMENT: u32 = 512;
/// Rows below which segments are short.
const FEW_ROWS: u32 = 100_000;
/// The most blocks in the second dimension of a grid.
const MOST_BLOCKS: u32 = 65_535;

/// Left and right places that the kernel reads: rows in their order, or sorted by popcount.
#[derive(Clone, Copy)]
struct Places {
    hashes: Pointer<u64>,
    rows: Pointer<u32>,
    ones: Pointer<u16>,
}

/// A pass over all pairs.
pub(crate) struct BrutePass {
    kernel: kernels::BruteKernel,
    left: Places,
    right: Places,
    segment: u32,
    pub(crate) slices: Slices,
}

/// Right rows per block. A block never tests more pairs than `capacity`, so that a launch can always be cut to fit.
fn segment(rows: u32, block: u32, capacity: usize) -> u32 {
    let fits = (block as usize) * (LONG_SEGMENT as usize) <= capacity;
    if rows < FEW_ROWS || !fits { SHORT_SEGMENT } else { LONG_SEGMENT }
}

fn is_sorted(instructions: Instructions, words: usize) -> bool {
    instructions == Instructions::Bits && words == 4
}

impl BrutePass {
    /// The memory that it needs in addition to the part itself, in bytes.
    pub(crate) fn bytes(device: &Device, request: &PairRequest, rows: &PartRows) -> usize {
        let words = request.left.columns[request.driving].words();
        if !is_sorted(device.instructions(), words) {
            return 0;
        }
        let set = |rows: usize| {
            DevicePart::padded_bytes::<u64>(rows, 4)
                + DevicePart::padded_bytes::<u32>(rows, 1)
                + DevicePart::padded_bytes::<u16>(rows, 1)
                + DevicePart::padded_bytes::<u32>(params::ONES_COUNTS as usize, 1)
        };
        set(rows.left.len()) + rows.right.as_ref().map_or(0, |right| set(right.len()))
    }

    /// Prepares the sets of a part.
    pub(crate) fn begin(part: &DevicePart<'_>) -> Result<Self, GpuError> {
        let instructions = part.device.instructions();
        let kernel = kernels::brute(instructions, part.words, part.radius);
        let sorted = is_sorted(instructions, part.words);
        let places = |set: &Uploaded| {
            let hashes = set.columns[part.driving];
            if sorted {
                sort_by_ones(part, set)
            } else {
                Ok(Places { hashes, rows: Pointer::NULL, ones: Pointer::NULL })
            }
        };
        let left = places(&part.left)?;
        let right = if part.one_set { left } else { places(&part.right)? };
        let most = part.left.rows.max(part.right.rows);
        let segment = segment(most, kernel.rows, part.capacity());
        let blocks = part.left.rows.div_ceil(kernel.rows);
        // The first launch is short: nothing is known yet of the device's speed at this. Later ones grow.
        let area = f64::from(1 << 24) / f64::from(kernel.rows);
        let slices = Slices::new(blocks, part.right.rows, segment, area, MOST_BLOCKS);
        Ok(BrutePass { kernel, left, right, segment, slices })
    }

    /// Queues the comparison of a slice.
    pub(crate) fn launch(&self, part: &DevicePart<'_>, slice: &Rectangle) -> Result<(), GpuError> {
        let parameters = params::Brute {
            hits: part.hits(),
            left: self.left.hashes.address(),
            right: self.right.hashes.address(),
            left_rows: self.left.rows.address(),
            right_rows: self.right.rows.address(),
            left_ones: self.left.ones.address(),
            right_ones: self.right.ones.address(),
            n_left: part.left.rows,
            n_right: part.right.rows,
            radius: part.radius,
            words: part.words as u32,
            first_block: slice.blocks.start,
            first_segment: slice.window.start / self.segment,
            segment: self.segment,
            unused: 0,
        };
        let segments = (slice.window.end - slice.window.start).div_ceil(self.segment);
        let grid = (segments, slice.blocks.len() as u32);
        // SAFETY: the arrays are those of the part and of the sort, with the lengths that the kernel expects.
        unsafe { part.device.launch(self.kernel.kernel, grid, params::BRUTE_THREADS, &parameters) }
    }
}

fn sort_by_ones(part: &DevicePart<'_>, set: &Uploaded) -> Result<Places, GpuError> {
    let device = part.device;
    let places =
        Places { hashes: part.padded(set.rows, 4)?, rows: part.padded(set.rows, 1)?, ones: part.padded(set.rows, 1)? };
    let counts = part.padded::<u32>(params::ONES_COUNTS, 1)?;
    device.fill(counts, 0, params::ONES_COUNTS as usize)?;
    let padding = params::PADDING_ROWS as usize;
    device.fill(places.hashes.at(set.rows as usize * 4), 0, padding * 4)?;
    device.fill(places.rows.at(set.rows as usize), 0, padding)?;
    device.fill(places.ones.at(set.rows as usize), 0, padding)?;
    let parameters = params::OnesSort {
        hashes: set.columns[part.driving].address(),
        counts: counts.address(),
        sorted: places.hashes.address(),
        rows: places.rows.address(),
        ones: places.ones.address(),
        n: set.rows,
        unused: 0,
    };
    let grid = (set.rows.div_ceil(params::ONES_THREADS), 1);
    let each = |kernel: Kernel, grid: (u32, u32), threads: u32| {
        // SAFETY: the arrays were allocated for these kernels, with the lengths that they expect.
        unsafe { device.launch(kernel, grid, threads, &parameters) }
    };
    each(kernels::ONES_COUNT, grid, params::ONES_THREADS)?;
    each(kernels::ONES_STARTS, (1, 1), 1)?;
    each(kernels::ONES_SCATTER, grid, params::ONES_THREADS)?;
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::{LEAST_RESULTS, RESULTS};

    /// The results of the smallest launch fit, whatever the kernel and however small the buffer.
    #[test]
    fn the_smallest_launch_fits() {
        let all = [Instructions::Bits, Instructions::Bytes, Instructions::Popc];
        for (words, radius) in (1..=16).flat_map(|words| [(words, 5), (words, 1000)]) {
            for block in all.map(|instructions| kernels::brute(instructions, words, radius).rows) {
                for (capacity, rows) in [LEAST_RESULTS, RESULTS].into_iter().flat_map(|c| [(c, 10), (c, u32::MAX)]) {
                    let segment = segment(rows, block, capacity);
                    assert!(block as usize * segment as usize <= capacity, "{words} {block} {capacity}");
                    assert!(segment.is_multiple_of(params::SEGMENT_STEP));
                }
            }
        }
    }
}
