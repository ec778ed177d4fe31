//! The banded join: sets sorted by a band of the driving column, each left place compared with the right places whose
//! band differs in few bits. One pass per band; a pair is reported in the first band in which it is near.

#![allow(unsafe_code, reason = "kernels are launched with addresses of the device")]

use crate::device::{Arena, Pointer};
use crate::error::GpuError;
use crate::kernels::{self, Kernel};
use crate::params;
use crate::part::{DevicePart, PartRows, Uploaded};
use crate::request::{PairRequest, TolerantBand};
use crate::slices::{Rectangle, Slices};

/// The most blocks of a launch: far below the limit of a grid.
const MOST_BLOCKS: u32 = 1 << 24;

/// A set sorted by a band.
#[derive(Clone, Copy)]
struct Sorted {
    counts: Pointer<u32>,
    sums: Pointer<u32>,
    starts: Pointer<u32>,
    ranks: Pointer<u32>,
    hashes: Pointer<u64>,
    rows: Pointer<u32>,
}

/// The passes of all bands; each pass reuses the arrays.
pub(crate) struct BandedPass {
    bands: Vec<TolerantBand>,
    kernels: kernels::BandedKernels,
    left: Sorted,
    /// Equal to `left` within one set.
    right: Sorted,
    flips: Pointer<u32>,
    earlier: Pointer<params::Band>,
    /// The band whose pass is under way.
    current: usize,
    n_flips: u32,
    pub(crate) slices: Slices,
}

/// Counts of the scan for the widest of the bands.
fn counts_for(bands: &[TolerantBand]) -> usize {
    let widest = bands.iter().map(|band| band.width).max().unwrap_or(1);
    (1usize << widest).next_multiple_of(params::SCAN_COUNTS as usize)
}

fn most_flips(bands: &[TolerantBand]) -> usize {
    bands.iter().map(|band| band.flips().count()).max().unwrap_or(1)
}

impl BandedPass {
    /// The memory that it needs in addition to the part itself, in bytes.
    pub(crate) fn bytes(request: &PairRequest, rows: &PartRows, bands: &[TolerantBand]) -> usize {
        let words = request.left.columns[request.driving].words();
        let counts = counts_for(bands);
        let set = |rows: usize| {
            2 * Arena::bytes::<u32>(counts + 1)
                + Arena::bytes::<u32>(counts / params::SCAN_COUNTS as usize)
                + 2 * DevicePart::padded_bytes::<u32>(rows, 1)
                + DevicePart::padded_bytes::<u64>(rows, words)
        };
        set(rows.left.len())
            + rows.right.as_ref().map_or(0, |right| set(right.len()))
            + Arena::bytes::<u32>(most_flips(bands))
            + Arena::bytes::<params::Band>(bands.len())
    }

    /// Allocates the arrays, and begins with the first band.
    pub(crate) fn begin(part: &DevicePart<'_>, bands: &[TolerantBand]) -> Result<Self, GpuError> {
        let counts = counts_for(bands);
        let sorted = |set: &Uploaded| {
            let sorted = Sorted {
                counts: part.arena.array(counts + 1)?,
                starts: part.arena.array(counts + 1)?,
                sums: part.arena.array(counts / params::SCAN_COUNTS as usize)?,
                ranks: part.padded(set.rows, 1)?,
                rows: part.padded(set.rows, 1)?,
                hashes: part.padded(set.rows, part.words)?,
            };
            let padding = params::PADDING_ROWS as usize;
            part.device.fill(sorted.rows.at(set.rows as usize), 0, padding)?;
            part.device.fill(sorted.hashes.at(set.rows as usize * part.words), 0, padding * part.words)?;
            Ok::<_, GpuError>(sorted)
        };
        let left = sorted(&part.left)?;
        let right = if part.one_set { left } else { sorted(&part.right)? };
        let earlier = part.arena.array(bands.len())?;
        let as_params: Vec<params::Band> = bands.iter().map(TolerantBand::parameter).collect();
        part.device.copy_in(earlier, &as_params)?;
        let mut banded = BandedPass {
            bands: bands.to_vec(),
            kernels: kernels::banded(part.words),
            left,
            right,
            flips: part.arena.array(most_flips(bands))?,
            earlier,
            current: 0,
            n_flips: 0,
            slices: Slices::new(0, 0, 1, 1.0, 1),
        };
        banded.prepare(part)?;
        Ok(banded)
    }

    /// Continues with the next band. `false` after the last.
    pub(crate) fn next_band(&mut self, part: &DevicePart<'_>) -> Result<bool, GpuError> {
        self.current += 1;
        if self.current == self.bands.len() {
            return Ok(false);
        }
        self.prepare(part)?;
        Ok(true)
    }

    /// Sorts the sets by the current band.
    fn prepare(&mut self, part: &DevicePart<'_>) -> Result<(), GpuError> {
        let band = self.bands[self.current];
        self.sort(part, &part.left, self.left, &band)?;
        if !part.one_set {
            self.sort(part, &part.right, self.right, &band)?;
        }
        let flips: Vec<u32> = band.flips().collect();
        part.device.copy_in(self.flips, &flips)?;
        self.n_flips = flips.len() as u32;
        let blocks = part.left.rows.div_ceil(params::BAND_THREADS);
        // The first launch is short, counted in bucket look-ups: nothing is known yet of the device's speed at this.
        let looks = f64::from(1 << 22) / f64::from(params::BAND_THREADS);
        let area = looks / f64::from(self.n_flips) * f64::from(part.right.rows);
        self.slices = Slices::new(blocks, part.right.rows, params::BAND_THREADS, area, MOST_BLOCKS);
        Ok(())
    }

    fn sort(&self, part: &DevicePart<'_>, set: &Uploaded, sorted: Sorted, band: &TolerantBand) -> Result<(), GpuError> {
        let device = part.device;
        let buckets = 1usize << band.width;
        let blocks = buckets.div_ceil(params::SCAN_COUNTS as usize);
        device.fill(sorted.counts, 0, blocks * params::SCAN_COUNTS as usize)?;
        let parameters = params::BandSort {
            hashes: set.columns[part.driving].address(),
            counts: sorted.counts.address(),
            sums: sorted.sums.address(),
            starts: sorted.starts.address(),
            ranks: sorted.ranks.address(),
            sorted: sorted.hashes.address(),
            rows: sorted.rows.address(),
            band: band.parameter(),
            n: set.rows,
            words: part.words as u32,
        };
        let each = |kernel: Kernel, blocks: u32, threads: u32| {
            // SAFETY: the arrays were allocated for these kernels, with the lengths that they expect.
            unsafe { device.launch(kernel, (blocks, 1), threads, &parameters) }
        };
        let rows = set.rows.div_ceil(params::BAND_THREADS);
        each(self.kernels.count, rows, params::BAND_THREADS)?;
        each(kernels::SCAN_SUMS, blocks as u32, params::SCAN_THREADS)?;
        each(kernels::SCAN_BLOCKS, 1, params::SCAN_THREADS)?;
        each(kernels::SCAN_STARTS, blocks as u32, params::SCAN_THREADS)?;
        each(self.kernels.scatter, rows, params::BAND_THREADS)
    }

    /// Queues the comparison of a slice.
    pub(crate) fn launch(&self, part: &DevicePart<'_>, slice: &Rectangle) -> Result<(), GpuError> {
        let parameters = params::BandProbe {
            hits: part.hits(),
            left: self.left.hashes.address(),
            left_rows: self.left.rows.address(),
            right: self.right.hashes.address(),
            right_rows: self.right.rows.address(),
            right_starts: self.right.starts.address(),
            flips: self.flips.address(),
            earlier: self.earlier.address(),
            band: self.bands[self.current].parameter(),
            n_left: part.left.rows,
            n_flips: self.n_flips,
            n_earlier: self.current as u32,
            radius: part.radius,
            words: part.words as u32,
            first_block: slice.blocks.start,
            from: slice.window.start,
            to: slice.window.end,
        };
        // SAFETY: the arrays are those of the part and of the sort, with the lengths that the kernel expects.
        unsafe {
            part.device.launch(self.kernels.probe, (slice.blocks.len() as u32, 1), params::BAND_THREADS, &parameters)
        }
    }
}
