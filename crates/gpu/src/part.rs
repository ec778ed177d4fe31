//! A part of a search that fits the device: its sets, uploaded piece by piece, and its buffer for results.

use crate::device::{Arena, Device, Plain, Pointer, STAGING};
use crate::error::GpuError;
use crate::params;
use crate::request::{Hashes, PairRequest, Set};
use crate::slices::LAUNCH;
use std::ops::Range;
use std::time::Instant;

/// The smallest result buffer: the most pairs of the smallest slice.
pub(crate) const LEAST_RESULTS: usize = 1 << 18;
/// The result buffer of a launch, where there is memory.
pub(crate) const RESULTS: usize = 1 << 20;

/// Receives pairs of rows, the smaller first within one set, and distances, one a column, a pair's together.
pub type Take<'t, E> = dyn FnMut(&[(u32, u32)], &[u16]) -> Result<(), E> + 't;

/// Bytes of hashes that are uploaded between two looks at the clock.
const PIECE: usize = 2 * STAGING;

/// Rows of the two sets, or of one set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartRows {
    pub(crate) left: Range<usize>,
    /// `None`: the left ones among themselves.
    pub(crate) right: Option<Range<usize>>,
}

/// The hashes of a set on the device, one pointer per column.
#[derive(Debug, Clone)]
pub(crate) struct Uploaded {
    pub(crate) rows: u32,
    pub(crate) columns: Vec<Pointer<u64>>,
}

/// Hashes of a column that are still to be uploaded.
#[derive(Debug)]
struct Pending {
    hashes: Hashes,
    rows: Range<usize>,
    to: Pointer<u64>,
}

/// Sets and results on the device.
#[derive(Debug)]
pub(crate) struct DevicePart<'d> {
    pub(crate) device: &'d Device,
    pub(crate) arena: Arena<'d>,
    pub(crate) left: Uploaded,
    /// Equal to `left` within one set.
    pub(crate) right: Uploaded,
    pub(crate) one_set: bool,
    pub(crate) words: usize,
    pub(crate) radius: u32,
    pub(crate) driving: usize,
    table: Pointer<params::Column>,
    counter: Pointer<u64>,
    pairs: Pointer<u64>,
    distances: Pointer<u16>,
    capacity: usize,
    columns: usize,
    first: (usize, usize),
    pending: Vec<Pending>,
}

impl<'d> DevicePart<'d> {
    /// The memory that `new` needs, without that of the method.
    pub(crate) fn bytes(request: &PairRequest, rows: &PartRows, capacity: usize) -> usize {
        let columns = request.radii.len();
        let set = |rows: usize| {
            request.left.columns.iter().map(|column| Self::padded_bytes::<u64>(rows, column.words())).sum::<usize>()
        };
        set(rows.left.len())
            + rows.right.as_ref().map_or(0, |right| set(right.len()))
            + Arena::bytes::<params::Column>(columns)
            + Arena::bytes::<u64>(1)
            + Arena::bytes::<u64>(capacity)
            + Arena::bytes::<u16>(capacity * columns)
    }

    /// Allocates memory, `more` bytes beyond its own need; [`copy_some`](Self::copy_some) uploads the rows. Errors:
    /// `OutOfMemory`.
    pub(crate) fn new(
        device: &'d Device,
        request: &PairRequest,
        rows: &PartRows,
        capacity: usize,
        more: usize,
    ) -> Result<Self, GpuError> {
        let arena = device.arena(Self::bytes(request, rows, capacity) + more)?;
        let mut pending = Vec::new();
        let left = allocate(device, &arena, &request.left, &rows.left, &mut pending)?;
        let right = match &rows.right {
            Some(right) => {
                let set = request.right.as_ref().unwrap_or(&request.left);
                allocate(device, &arena, set, right, &mut pending)?
            }
            None => left.clone(),
        };
        let entry = |(column, (left, right)): (usize, (&Pointer<u64>, &Pointer<u64>))| params::Column {
            left: left.address(),
            right: right.address(),
            words: request.left.columns[column].words() as u32,
            radius: request.radii[column],
        };
        let entries: Vec<params::Column> = left.columns.iter().zip(&right.columns).enumerate().map(entry).collect();
        let table = arena.array(entries.len())?;
        device.copy_in(table, &entries)?;
        Ok(DevicePart {
            device,
            counter: arena.array(1)?,
            pairs: arena.array(capacity)?,
            distances: arena.array(capacity * entries.len())?,
            arena,
            left,
            right,
            one_set: rows.right.is_none(),
            words: request.left.columns[request.driving].words(),
            radius: request.radii[request.driving],
            driving: request.driving,
            table,
            capacity,
            columns: entries.len(),
            first: (rows.left.start, rows.right.as_ref().unwrap_or(&rows.left).start),
            pending,
        })
    }

    /// Whether all rows are uploaded.
    pub(crate) fn is_whole(&self) -> bool {
        self.pending.is_empty()
    }

    /// Uploads rows for as long as a launch may take, so that other searches wait no longer for this than for a launch,
    /// and the upload gets its share among them.
    pub(crate) fn copy_some(&mut self) -> Result<(), GpuError> {
        let began = Instant::now();
        while let Some(next) = self.pending.last_mut() {
            let words = next.hashes.words();
            let some = next.rows.len().min(PIECE / (words * size_of::<u64>()));
            let rows = next.rows.start..next.rows.start + some;
            self.device.copy_in(next.to, next.hashes.of(&rows))?;
            next.rows.start = rows.end;
            next.to = next.to.at(some * words);
            if next.rows.is_empty() {
                self.pending.pop();
            }
            if began.elapsed() >= LAUNCH {
                break;
            }
        }
        Ok(())
    }

    /// Allocates an array for the rows of a set and their padding.
    pub(crate) fn padded<T: Plain>(&self, rows: u32, words: usize) -> Result<Pointer<T>, GpuError> {
        self.arena.array(padded(rows as usize, words))
    }

    /// The size of [`padded`](Self::padded), in bytes.
    pub(crate) fn padded_bytes<T>(rows: usize, words: usize) -> usize {
        Arena::bytes::<T>(padded(rows, words))
    }

    /// The argument of the kernels.
    pub(crate) fn hits(&self) -> params::Hits {
        params::Hits {
            columns: self.table.address(),
            pairs: self.pairs.address(),
            distances: self.distances.address(),
            counter: self.counter.address(),
            capacity: self.capacity as u64,
            n_columns: self.columns as u32,
            one_set: u32::from(self.one_set),
        }
    }

    /// Queues what must happen before a launch.
    pub(crate) fn clear(&self) -> Result<(), GpuError> {
        self.device.fill(self.counter, 0, 1)
    }

    /// How many pairs the launch has found; those beyond the capacity were not written. Waits for the launch.
    pub(crate) fn found(&self) -> Result<usize, GpuError> {
        let mut found = 0;
        self.device.copy_out(self.counter, 1, |counter| {
            found = counter[0];
            Ok::<_, GpuError>(())
        })?;
        usize::try_from(found).map_err(|_| GpuError::wrong("the number of pairs"))
    }

    /// The most pairs of a launch.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Hands out the first `count` pairs: as rows of the whole sets, and the distances, those of a pair together.
    pub(crate) fn take<E: From<GpuError>>(&self, count: usize, take: &mut Take<'_, E>) -> Result<(), E> {
        const AT_A_TIME: usize = 1 << 16;
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        let mut distances: Vec<u16> = Vec::new();
        if pairs.try_reserve_exact(AT_A_TIME.min(count)).is_err()
            || distances.try_reserve_exact(AT_A_TIME.min(count) * self.columns).is_err()
        {
            return Err(GpuError::OutOfMemory(count).into());
        }
        let (first_left, first_right) = self.first;
        let (left_rows, right_rows) = (u64::from(self.left.rows), u64::from(self.right.rows));
        for first in (0..count).step_by(AT_A_TIME) {
            let some = AT_A_TIME.min(count - first);
            pairs.clear();
            distances.clear();
            self.device.copy_out(self.pairs.at(first), some, |found| {
                for &pair in found {
                    let (left, right) = (pair >> 32, pair & 0xffff_ffff);
                    // A faulty device must not make the caller index out of bounds.
                    if left >= left_rows || right >= right_rows || (self.one_set && left >= right) {
                        return Err(GpuError::wrong("a pair of rows that do not exist"));
                    }
                    pairs.push((left as u32 + first_left as u32, right as u32 + first_right as u32));
                }
                Ok(())
            })?;
            self.device.copy_out(self.distances.at(first * self.columns), some * self.columns, |found| {
                distances.extend_from_slice(found);
                Ok::<_, GpuError>(())
            })?;
            take(&pairs, &distances)?;
        }
        Ok(())
    }
}

/// Elements of an array of rows, including the padding that kernels may read.
fn padded(rows: usize, words: usize) -> usize {
    (rows + params::PADDING_ROWS as usize) * words
}

/// Allocates arrays for some rows of a set, and notes what is to be uploaded.
fn allocate<'d>(
    device: &'d Device,
    arena: &Arena<'d>,
    set: &Set,
    rows: &Range<usize>,
    pending: &mut Vec<Pending>,
) -> Result<Uploaded, GpuError> {
    let mut columns = Vec::with_capacity(set.columns.len());
    for hashes in &set.columns {
        let to = arena.array(padded(rows.len(), hashes.words()))?;
        // The padding is read, and its values do not matter.
        device.fill(to.at(rows.len() * hashes.words()), 0, params::PADDING_ROWS as usize * hashes.words())?;
        pending.push(Pending { hashes: hashes.clone(), rows: rows.clone(), to });
        columns.push(to);
    }
    Ok(Uploaded { rows: rows.len() as u32, columns })
}
