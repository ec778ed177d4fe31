//! A search on the device, step by step: between steps the caller serves others or checks for interrupts.
//!
//! - Sets that do not fit the memory together are cut into parts, and each part is searched with each.
//! - Each part is searched in passes: one by brute force, or one a band.
//! - A pass is cut into launches ([`slices`](crate::slices)): a step is one launch and its results.
//!
//! Invariant: each pair is handed out once. A launch whose results did not fit hands out nothing, and is repeated in
//! halves.

use crate::banded::BandedPass;
use crate::brute::BrutePass;
use crate::device::Device;
use crate::error::GpuError;
use crate::part::{DevicePart, LEAST_RESULTS, PartRows, RESULTS, Take};
use crate::request::{PairMethod, PairRequest};
use crate::slices::Slices;
use std::ops::Range;
use std::time::Instant;

/// The fewest rows of a part.
const LEAST_ROWS: usize = 1 << 12;
/// The most rows of a part: what the kernels' arithmetic allows.
const MOST_ROWS: usize = 1 << 31;
/// The most parts of a search: with more, the copies would take longer than the CPU does.
const MOST_PARTS: usize = 1 << 14;

/// The outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A launch, or the upload of some rows; there is more to do.
    Worked,
    /// Nothing: other searches hold the memory that the next part needs.
    Waits,
    /// The search has ended.
    Done,
}

enum Pass {
    Brute(BrutePass),
    Banded(BandedPass),
}

impl Pass {
    fn slices(&mut self) -> &mut Slices {
        match self {
            Self::Brute(brute) => &mut brute.slices,
            Self::Banded(banded) => &mut banded.slices,
        }
    }
}

/// The part that has device memory.
struct Current<'d> {
    rows: PartRows,
    part: DevicePart<'d>,
    /// `None` until all rows are uploaded.
    pass: Option<Pass>,
}

impl Current<'_> {
    /// Uploads rows; after the last ones, prepares the first pass.
    fn prepare(&mut self, method: &PairMethod) -> Result<(), GpuError> {
        self.part.copy_some()?;
        if self.part.is_whole() {
            self.pass = Some(match method {
                PairMethod::BruteForce => Pass::Brute(BrutePass::begin(&self.part)?),
                PairMethod::Bands(bands) => Pass::Banded(BandedPass::begin(&self.part, bands)?),
            });
        }
        Ok(())
    }
}

/// A running search.
pub struct GpuSearch<'d> {
    device: &'d Device,
    request: PairRequest,
    /// Rows of each part of a set.
    rows: usize,
    /// The number of results that fit.
    capacity: usize,
    /// Whether it waits while others hold the memory; otherwise that is an error.
    is_patient: bool,
    /// The parts that are still to be searched, the next at the end.
    left: Vec<PartRows>,
    current: Option<Current<'d>>,
    has_failed: bool,
}

impl<'d> GpuSearch<'d> {
    /// A search with kernels that are proved: called by [`crate::begin_search`], which checks the request.
    pub(crate) fn proved(device: &'d Device, request: PairRequest) -> Result<Self, GpuError> {
        Self::begin(device, request, RESULTS, true)
    }

    /// A search with kernels that are not proved yet. It needs little memory, and does not wait for any: no other
    /// search runs meanwhile.
    pub(crate) fn unproved(device: &'d Device, request: PairRequest) -> Result<Self, GpuError> {
        request.check()?;
        Self::begin(device, request, LEAST_RESULTS, false)
    }

    fn begin(device: &'d Device, request: PairRequest, capacity: usize, is_patient: bool) -> Result<Self, GpuError> {
        let most = request.left.rows.max(request.right.as_ref().map_or(0, |right| right.rows));
        let is_empty = request.left.rows == 0 || request.right.as_ref().is_some_and(|right| right.rows == 0);
        let (rows, left) = (most.clamp(1, MOST_ROWS), Vec::new());
        let mut search =
            GpuSearch { device, request, rows, capacity, is_patient, left, current: None, has_failed: false };
        if !is_empty {
            search.cut()?;
        }
        Ok(search)
    }

    /// Whether all rows of the current part are uploaded, and its first pass is prepared.
    pub(crate) fn is_prepared(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.pass.is_some())
    }

    /// One launch, or the upload of some rows. Errors: those of the driver; `OutOfMemory`, where not even the smallest
    /// part fits. After an error the search cannot continue.
    pub fn step<E: From<GpuError>>(&mut self, take: &mut Take<'_, E>) -> Result<Step, E> {
        if self.has_failed {
            return Err(GpuError::refused("a search that has failed", 0).into());
        }
        let outcome = self.try_step(take);
        if outcome.is_err() {
            self.has_failed = true;
            self.current = None;
        }
        outcome
    }

    fn try_step<E: From<GpuError>>(&mut self, take: &mut Take<'_, E>) -> Result<Step, E> {
        let Some(current) = &mut self.current else {
            return match self.left.pop() {
                Some(rows) => Ok(self.next_part(rows)?),
                None => Ok(Step::Done),
            };
        };
        let part = &current.part;
        let Some(pass) = &mut current.pass else { return Ok(self.prepare()?) };
        let Some(slice) = pass.slices().next() else {
            let goes_on = match pass {
                Pass::Brute(_) => false,
                Pass::Banded(banded) => banded.next_band(part)?,
            };
            if !goes_on {
                self.current = None;
            }
            return Ok(if goes_on || !self.left.is_empty() { Step::Worked } else { Step::Done });
        };
        let began = Instant::now();
        part.clear()?;
        match pass {
            Pass::Brute(brute) => brute.launch(part, &slice)?,
            Pass::Banded(banded) => banded.launch(part, &slice)?,
        }
        let found = part.found()?;
        let took = began.elapsed();
        if found > part.capacity() {
            return match pass.slices().overflowed(slice) {
                true => Ok(Step::Worked),
                false => Err(GpuError::wrong("more pairs than were compared").into()),
            };
        }
        pass.slices().done(&slice, took, found as f64 / part.capacity() as f64);
        part.take(found, take)?;
        Ok(Step::Worked)
    }

    /// Allocates memory for the next rows, and prepares them. If other searches hold the memory, the rows wait; if none
    /// does, all remaining parts are cut smaller.
    fn next_part(&mut self, rows: PartRows) -> Result<Step, GpuError> {
        let more = self.pass_bytes(&rows);
        match DevicePart::new(self.device, &self.request, &rows, self.capacity, more) {
            Ok(part) => {
                self.current = Some(Current { rows, part, pass: None });
                return self.prepare();
            }
            Err(GpuError::OutOfMemory(_)) if self.is_patient && self.device.is_shared() => {
                self.left.push(rows);
                return Ok(Step::Waits);
            }
            Err(GpuError::OutOfMemory(bytes)) => self.cut_smaller(rows, bytes)?,
            Err(error) => return Err(error),
        }
        Ok(Step::Worked)
    }

    /// Uploads rows, or prepares the first pass. If the driver has no memory for that, all is cut smaller at once: this
    /// search holds memory itself, and two that wait for each other would never end.
    fn prepare(&mut self) -> Result<Step, GpuError> {
        if let Some(current) = &mut self.current {
            match current.prepare(&self.request.method) {
                Err(GpuError::OutOfMemory(bytes)) => {
                    let rows = current.rows.clone();
                    self.current = None;
                    self.cut_smaller(rows, bytes)?;
                }
                outcome => outcome?,
            }
        }
        Ok(Step::Worked)
    }

    /// Cuts all remaining parts, `rows` first, after an allocation of `bytes` failed. Errors: `OutOfMemory`.
    fn cut_smaller(&mut self, rows: PartRows, bytes: usize) -> Result<(), GpuError> {
        if !self.shrink() {
            return Err(GpuError::OutOfMemory(bytes));
        }
        self.left.push(rows);
        let parts: usize = self.left.iter().map(|rows| count(rows, self.rows)).sum();
        if parts > MOST_PARTS {
            return Err(GpuError::OutOfMemory(bytes));
        }
        let left = std::mem::take(&mut self.left);
        self.left = left.iter().flat_map(|rows| cut(rows, self.rows)).collect();
        Ok(())
    }

    fn pass_bytes(&self, rows: &PartRows) -> usize {
        match &self.request.method {
            PairMethod::BruteForce => BrutePass::bytes(self.device, &self.request, rows),
            PairMethod::Bands(bands) => BandedPass::bytes(&self.request, rows, bands),
        }
    }

    /// The first cut, from the limit.
    fn cut(&mut self) -> Result<(), GpuError> {
        let right = self.request.right.as_ref().map(|right| 0..right.rows);
        let all = PartRows { left: 0..self.request.left.rows, right };
        loop {
            let largest = largest(&all, self.rows);
            let bytes = DevicePart::bytes(&self.request, &largest, self.capacity) + self.pass_bytes(&largest);
            if bytes <= self.device.limit() && count(&all, self.rows) <= MOST_PARTS {
                self.left = cut(&all, self.rows);
                return Ok(());
            }
            if bytes <= self.device.limit() || !self.shrink() {
                return Err(GpuError::OutOfMemory(bytes));
            }
        }
    }

    /// Reduces the need: fewer results first, then smaller parts. `false` at the minimum.
    fn shrink(&mut self) -> bool {
        if self.capacity > LEAST_RESULTS {
            self.capacity = (self.capacity / 4).max(LEAST_RESULTS);
        } else if self.rows > LEAST_ROWS {
            self.rows = self.rows.div_ceil(2).max(LEAST_ROWS);
        } else {
            return false;
        }
        true
    }
}

/// How many pieces of at most `most` rows `rows` are cut into, and the size of the first one.
fn piece(rows: usize, most: usize) -> (usize, usize) {
    let count = rows.div_ceil(most).max(1);
    (count, rows.div_ceil(count))
}

/// The largest part that [`cut`] makes.
fn largest(rows: &PartRows, most: usize) -> PartRows {
    let (count, size) = piece(rows.left.len(), most);
    let right = match &rows.right {
        Some(right) => Some(0..piece(right.len(), most).1),
        None => (count > 1).then_some(0..size),
    };
    PartRows { left: 0..size, right }
}

/// How many parts [`cut`] makes.
fn count(rows: &PartRows, most: usize) -> usize {
    let (left, _) = piece(rows.left.len(), most);
    match &rows.right {
        Some(right) => left.saturating_mul(piece(right.len(), most).0),
        None => left.saturating_mul(left + 1) / 2,
    }
}

/// Cuts rows into pieces of at most `most`.
fn pieces(rows: &Range<usize>, most: usize) -> Vec<Range<usize>> {
    let (count, size) = piece(rows.len(), most);
    (0..count).map(|piece| rows.start + piece * size..(rows.start + (piece + 1) * size).min(rows.end)).collect()
}

/// Cuts a search of rows into searches of parts, so that each pair is in one of them.
fn cut(rows: &PartRows, most: usize) -> Vec<PartRows> {
    let left = pieces(&rows.left, most);
    match &rows.right {
        Some(right) => {
            let right = pieces(right, most);
            let pairs = left.iter().flat_map(|left| right.iter().map(move |right| (left, right)));
            pairs.map(|(left, right)| PartRows { left: left.clone(), right: Some(right.clone()) }).collect()
        }
        None => {
            let among = left.iter().map(|piece| PartRows { left: piece.clone(), right: None });
            let between = left.iter().enumerate().flat_map(|(first, piece)| {
                left[first + 1..].iter().map(move |later| PartRows { left: piece.clone(), right: Some(later.clone()) })
            });
            among.chain(between).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cut once, and the rest cut again: each pair is in one part.
    #[test]
    fn parts_have_each_pair_once() {
        for (left, right, most) in [(10, None, 3), (7, None, 7), (1, None, 4), (9, Some(4), 2), (5, Some(11), 100)] {
            let all = PartRows { left: 0..left, right: right.map(|right| 0..right) };
            let first = cut(&all, most);
            assert_eq!(first.len(), count(&all, most));
            let largest = largest(&all, most);
            let size = |rows: &PartRows| rows.left.len() + rows.right.as_ref().map_or(0, ExactSizeIterator::len);
            assert_eq!(first.iter().map(size).max(), Some(size(&largest)));
            let parts: Vec<PartRows> = first.iter().flat_map(|rows| cut(rows, most.div_ceil(2))).collect();
            let mut times = vec![0; left * right.unwrap_or(left)];
            for part in parts {
                assert!(part.left.len() <= most.div_ceil(2));
                for a in part.left.clone() {
                    for b in part.right.clone().unwrap_or(a + 1..part.left.end) {
                        times[a * right.unwrap_or(left) + b] += 1;
                    }
                }
            }
            for (pair, times) in times.into_iter().enumerate() {
                let (a, b) = (pair / right.unwrap_or(left), pair % right.unwrap_or(left));
                assert_eq!(times, u32::from(right.is_some() || a < b), "{a} {b}");
            }
        }
    }
}
