//! Equal rows on the device: for each row, the first row that equals it in all columns.

#![allow(unsafe_code, reason = "kernels are launched with addresses of the device")]

use crate::device::{Arena, Device, Pointer};
use crate::error::GpuError;
use crate::kernels;
use crate::params;
use crate::part::{DevicePart, LEAST_RESULTS, PartRows};
use crate::request::{PairMethod, PairRequest, Set};
use crate::slices::{Rectangle, Slices};
use std::time::Instant;

/// The most blocks of a launch.
const MOST_BLOCKS: u32 = 1 << 22;

/// A running search for equal rows: a step is one launch, or the upload of some rows.
pub struct RowCollapse<'d> {
    part: DevicePart<'d>,
    places: Pointer<u32>,
    table: Pointer<u32>,
    first: Pointer<u32>,
    first_of: Pointer<u32>,
    mask: u32,
    seed: u64,
    slices: Slices,
    /// Whether all rows are in the table.
    inserted: bool,
    /// Rows whose results were handed out.
    handed: usize,
}

impl<'d> RowCollapse<'d> {
    /// Allocates memory for a set. Called by [`crate::begin_collapse`], and for the proof of the kernels.
    pub(crate) fn new(device: &'d Device, set: &Set, seed: u64) -> Result<Self, GpuError> {
        let columns = set.columns.len();
        let request = PairRequest {
            left: set.clone(),
            right: None,
            radii: vec![0; columns],
            driving: 0,
            method: PairMethod::BruteForce,
        };
        request.check()?;
        if set.rows > 1 << 30 {
            return Err(GpuError::OutOfMemory(set.rows));
        }
        let entries = (2 * set.rows.max(1)).next_power_of_two();
        let rows = PartRows { left: 0..set.rows, right: None };
        let more = 2 * Arena::bytes::<u32>(entries) + 2 * DevicePart::padded_bytes::<u32>(set.rows, 1);
        let part = DevicePart::new(device, &request, &rows, LEAST_RESULTS, more)?;
        let (table, first) = (part.arena.array(entries)?, part.arena.array(entries)?);
        device.fill(table, 0xff, entries)?;
        device.fill(first, 0xff, entries)?;
        let blocks = (set.rows as u32).div_ceil(params::COLLAPSE_THREADS);
        Ok(RowCollapse {
            places: part.padded(set.rows as u32, 1)?,
            first_of: part.padded(set.rows as u32, 1)?,
            part,
            table,
            first,
            mask: (entries - 1) as u32,
            seed,
            slices: Slices::new(blocks, 1, 1, 4096.0, MOST_BLOCKS),
            inserted: false,
            handed: 0,
        })
    }

    /// One launch, or the upload of some rows. `false` when done.
    pub fn step(&mut self) -> Result<bool, GpuError> {
        self.part.copy_some()?;
        if !self.part.is_whole() {
            return Ok(true);
        }
        let Some(slice) = self.slices.next() else {
            if self.inserted {
                return Ok(false);
            }
            self.inserted = true;
            let blocks = self.part.left.rows.div_ceil(params::COLLAPSE_THREADS);
            self.slices = Slices::new(blocks, 1, 1, f64::from(1 << 18), MOST_BLOCKS);
            return Ok(blocks > 0);
        };
        let began = Instant::now();
        self.launch(&slice)?;
        self.part.device.wait()?;
        self.slices.done(&slice, began.elapsed(), 0.0);
        Ok(true)
    }

    fn launch(&self, slice: &Rectangle) -> Result<(), GpuError> {
        let first_row = slice.blocks.start * params::COLLAPSE_THREADS;
        let rows = slice.blocks.len() as u32 * params::COLLAPSE_THREADS;
        let hits = self.part.hits();
        let parameters = params::Collapse {
            columns: hits.columns,
            table: self.table.address(),
            first: self.first.address(),
            places: self.places.address(),
            first_of: self.first_of.address(),
            seed: self.seed,
            mask: self.mask,
            n_columns: hits.n_columns,
            first_row,
            count: rows.min(self.part.left.rows - first_row),
        };
        let kernel = if self.inserted { kernels::COLLAPSE_FIRST } else { kernels::COLLAPSE_INSERT };
        // SAFETY: the arrays were allocated for these kernels, with the lengths that they expect.
        unsafe {
            self.part.device.launch(kernel, (slice.blocks.len() as u32, 1), params::COLLAPSE_THREADS, &parameters)
        }
    }

    /// Hands out, after the last step, the first equal row of each of the next rows, at most `most`. `false` after the
    /// last row. Errors: `WrongAnswer`.
    pub fn take<E: From<GpuError>>(
        &mut self,
        most: usize,
        mut take: impl FnMut(&[u32]) -> Result<(), E>,
    ) -> Result<bool, E> {
        let rows = self.part.left.rows as usize;
        let some = most.min(rows - self.handed);
        let mut row = self.handed;
        self.part.device.copy_out(self.first_of.at(self.handed), some, |first_of| {
            for &first in first_of {
                if first as usize > row {
                    return Err(GpuError::wrong("an equal row that comes later").into());
                }
                row += 1;
            }
            take(first_of)
        })?;
        self.handed = row;
        Ok(row < rows)
    }
}
