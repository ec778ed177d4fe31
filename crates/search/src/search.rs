//! A search of values: bucket against bucket, band by band.
//!
//! Invariant: each pair of values is reported once, by the first band of the plan in which it is within the tolerance.

use crate::context::Context;
use crate::error::SearchError;
use crate::plan::Plan;
use crate::session::Sink;
use crate::sort::Buckets;
use crate::values::Values;
use lumina_hash::bands::flips;
use lumina_hash::kernel::{BlockJoin, JoinColumn, Kernels, RowPair};
use lumina_hash::words::words_for;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// A search: the pairs of values within `radii[c]` bits in every column c.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// The left set.
    pub left: &'a Values,
    /// The right set; `None`: the left one is compared with itself, each pair once.
    pub right: Option<&'a Values>,
    /// The maximum distance of each column, in bits. If that is its width or more, the column does not count: it is not
    /// compared, but its distances are reported like those of the others.
    pub radii: &'a [u32],
}

/// Two values; within one set the left one is the smaller number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValuePair {
    /// A value of the left set.
    pub left: u32,
    /// A value of the right set, or of the only one.
    pub right: u32,
}

/// Some of the pairs, unordered.
#[derive(Debug)]
pub struct Batch {
    /// The pairs.
    pub pairs: Vec<ValuePair>,
    /// The distances of the first pair in each column, then those of the second, …
    pub distances: Vec<u16>,
}

/// Rows of a block: two of them, in planes of a word, fit the first-level cache.
const TILE: usize = 2048;
/// Pairs of rows at which a pair of buckets is split among the threads.
const SHARED: usize = 1 << 24;
/// Pairs in a batch.
const BATCH: usize = 2048;
/// Runs of buckets per thread, so that all end at about the same time.
const RUNS: usize = 16;

/// The bytes that the threads of a search fill and have in transit.
pub(crate) fn buffers(columns: usize) -> usize {
    let batch = BATCH * (size_of::<ValuePair>() + columns * size_of::<u16>());
    // One being filled, one in transit, and one that the calling thread reads.
    rayon::current_num_threads() * (2 * TILE * size_of::<RowPair>() + 2 * batch) + batch
}

impl<'a> Search<'a> {
    /// The columns for the kernels.
    pub(crate) fn columns(&self) -> Vec<JoinColumn> {
        let mut first = 0;
        let column = |(&bits, &radius): (&usize, &u32)| {
            let planes = words_for(bits);
            first += planes;
            JoinColumn { first: first - planes, planes, radius }
        };
        self.left.widths().iter().zip(self.radii).map(column).collect()
    }

    /// Whether a column can exclude pairs.
    pub(crate) fn counts(&self, column: usize) -> bool {
        (self.radii[column] as usize) < self.left.widths()[column]
    }

    /// The columns to compare: the driving one, then the others that count.
    fn compared(&self, driving: usize) -> Vec<JoinColumn> {
        let columns = self.columns();
        let others = (0..columns.len()).filter(|&column| column != driving && self.counts(column));
        std::iter::once(driving).chain(others).map(|column| columns[column]).collect()
    }

    /// Passes every pair of values to `sink`. Equal rows of one set are one value and no pair.
    ///
    /// Runs on the current thread pool.
    pub fn run(&self, plan: &Plan, context: &Context, sink: &Sink<'_>) -> Result<(), SearchError> {
        if self.left.count() == 0 || self.right.is_some_and(|right| right.count() == 0) {
            return Ok(());
        }
        let columns = self.compared(plan.column);
        let spare = Spare::default();
        self.passes(plan, &columns, context, sink, &spare)?;
        for buffers in spare.into_inner().unwrap_or_else(PoisonError::into_inner) {
            context.free(buffers.hits);
            if buffers.batch.pairs.is_empty() {
                buffers.batch.free(context);
            } else {
                sink(buffers.batch)?;
            }
        }
        Ok(())
    }

    fn passes(
        &self,
        plan: &Plan,
        columns: &[JoinColumn],
        context: &Context,
        sink: &Sink<'_>,
        spare: &Spare,
    ) -> Result<(), SearchError> {
        if plan.is_brute_force() {
            let left = Buckets::single(self.left);
            let right = self.right.map(Buckets::single);
            let pass = Pass { search: self, plan, band: 0, columns, left, right, context, sink, spare };
            return pass.run(&[0]);
        }
        let first_plane = self.left.first_plane(plan.column);
        for (band, part) in plan.bands.iter().enumerate() {
            let left = Buckets::sorted(self.left, first_plane, part.band, context)?;
            let right = match self.right {
                Some(right) => Some(Buckets::sorted(right, first_plane, part.band, context)?),
                None => None,
            };
            let width = part.band.width as usize;
            let flips: Vec<usize> = flips(width, part.tolerance).map(|mask| mask as usize).collect();
            let pass = Pass { search: self, plan, band, columns, left, right, context, sink, spare };
            pass.run(&flips)?;
            pass.left.free(context);
            if let Some(right) = pass.right {
                right.free(context);
            }
        }
        Ok(())
    }
}

/// The join of one band.
struct Pass<'p, 'a> {
    search: &'p Search<'a>,
    plan: &'p Plan,
    /// The number of the band in the plan.
    band: usize,
    columns: &'p [JoinColumn],
    left: Buckets<'a>,
    right: Option<Buckets<'a>>,
    context: &'p Context,
    sink: &'p Sink<'p>,
    spare: &'p Spare,
}

/// A thread's buffers. A batch that is not full yet is passed on to the next piece of work, since waking the calling
/// thread for each of them would cost more than the work.
struct Buffers {
    hits: Vec<RowPair>,
    batch: Batch,
}

/// Buffers that are not in use.
type Spare = Mutex<Vec<Buffers>>;

impl<'a> Pass<'_, 'a> {
    fn right(&self) -> &Buckets<'a> {
        self.right.as_ref().unwrap_or(&self.left)
    }

    /// Compares each bucket with those that its value is turned into by `flips`.
    fn run(&self, flips: &[usize]) -> Result<(), SearchError> {
        let runs = self.left.runs(RUNS * rayon::current_num_threads());
        runs.into_par_iter().try_for_each(|run| {
            let mut worker = Worker::new(self)?;
            for bucket in run {
                let places = self.left.places(bucket);
                if places.is_empty() {
                    continue;
                }
                worker.check_after(flips.len())?;
                for flip in flips {
                    let other = bucket ^ flip;
                    // Within one set each pair of buckets occurs twice.
                    if self.right.is_none() && other < bucket {
                        continue;
                    }
                    let others = self.right().places(other);
                    if !others.is_empty() {
                        worker.compare(places.clone(), others, self.right.is_none() && *flip == 0)?;
                    }
                }
            }
            worker.finish();
            Ok(())
        })
    }
}

/// One thread's part of a pass.
struct Worker<'w, 'p, 'a> {
    pass: &'w Pass<'p, 'a>,
    kernels: &'static Kernels,
    buffers: Buffers,
    /// Comparisons since the last cancel check.
    unchecked: usize,
}

impl<'w, 'p, 'a> Worker<'w, 'p, 'a> {
    fn new(pass: &'w Pass<'p, 'a>) -> Result<Self, SearchError> {
        let spare = pass.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let buffers = match spare {
            Some(buffers) => buffers,
            None => Buffers { hits: pass.context.vec(2 * TILE)?, batch: Batch::empty() },
        };
        Ok(Worker { pass, kernels: Kernels::best(), buffers, unchecked: 0 })
    }

    /// Compares two buckets, or one with itself.
    fn compare(&mut self, left: Range<usize>, right: Range<usize>, ascending: bool) -> Result<(), SearchError> {
        if left.len() <= TILE && right.len() <= TILE {
            self.check_after(left.len() * right.len())?;
            return self.tile(left, right, ascending);
        }
        if left.len().saturating_mul(right.len()) <= SHARED {
            return self.tiles(left, right, ascending);
        }
        let pass = self.pass;
        let step = (left.len() / (8 * rayon::current_num_threads())).clamp(64, TILE);
        let blocks = left.len().div_ceil(step);
        (0..blocks).into_par_iter().try_for_each(|block| {
            let start = left.start + block * step;
            let mut worker = Worker::new(pass)?;
            worker.tiles(start..left.end.min(start + step), right.clone(), ascending)?;
            worker.finish();
            Ok(())
        })
    }

    /// Compares blocks that fit the cache.
    fn tiles(&mut self, left: Range<usize>, right: Range<usize>, ascending: bool) -> Result<(), SearchError> {
        for left_start in left.clone().step_by(TILE) {
            let left_rows = left_start..left.end.min(left_start + TILE);
            let first = if ascending { left_start } else { right.start };
            for right_start in (first..right.end).step_by(TILE) {
                let right_rows = right_start..right.end.min(right_start + TILE);
                self.check_after(left_rows.len() * right_rows.len())?;
                self.tile(left_rows.clone(), right_rows, ascending)?;
            }
        }
        Ok(())
    }

    /// Checks for cancellation every million comparisons.
    #[inline]
    fn check_after(&mut self, comparisons: usize) -> Result<(), SearchError> {
        self.unchecked += comparisons + 64;
        if self.unchecked > 1 << 20 {
            self.unchecked = 0;
            return self.pass.context.check();
        }
        Ok(())
    }

    #[inline]
    fn tile(&mut self, left_rows: Range<usize>, right_rows: Range<usize>, ascending: bool) -> Result<(), SearchError> {
        let pass = self.pass;
        let (left, right) = (pass.left.planes(), pass.right().planes());
        let mut join = BlockJoin { left, left_rows, right, right_rows, columns: pass.columns, ascending };
        while !join.left_rows.is_empty() {
            join.left_rows.start = self.kernels.join(&join, &mut self.buffers.hits);
            if !self.buffers.hits.is_empty() {
                self.take_hits()?;
            }
        }
        Ok(())
    }

    /// Turns hits into pairs: those that no earlier band has found, with their distances.
    #[inline(never)]
    fn take_hits(&mut self) -> Result<(), SearchError> {
        let pass = self.pass;
        let (left, right) = (pass.left.planes(), pass.right().planes());
        let first_plane = pass.search.left.first_plane(pass.plan.column);
        let mut hits = std::mem::take(&mut self.buffers.hits);
        for hit in hits.drain(..) {
            let differing = |plane: usize| left.word(plane, hit.left as usize) ^ right.word(plane, hit.right as usize);
            let found_before = pass.plan.bands[..pass.band]
                .iter()
                .any(|part| part.band.value(|plane| differing(first_plane + plane)).count_ones() <= part.tolerance);
            if found_before {
                continue;
            }
            let (mut a, mut b) = (pass.left.value(hit.left), pass.right().value(hit.right));
            if pass.right.is_none() && a > b {
                std::mem::swap(&mut a, &mut b);
            }
            if self.buffers.batch.pairs.len() == self.buffers.batch.pairs.capacity() {
                self.flush()?;
            }
            let batch = &mut self.buffers.batch;
            batch.pairs.push(ValuePair { left: a, right: b });
            let mut plane = 0;
            for &bits in pass.search.left.widths() {
                let planes = plane..plane + words_for(bits);
                plane = planes.end;
                batch.distances.push(planes.map(|plane| differing(plane).count_ones()).sum::<u32>() as u16);
            }
        }
        self.buffers.hits = hits;
        Ok(())
    }

    /// Sends the batch and begins another one.
    fn flush(&mut self) -> Result<(), SearchError> {
        let (context, batch) = (self.pass.context, &mut self.buffers.batch);
        if !batch.pairs.is_empty() {
            (self.pass.sink)(std::mem::replace(batch, Batch::empty()))?;
        }
        batch.pairs = context.vec(BATCH)?;
        batch.distances = context.vec(BATCH * self.pass.search.radii.len())?;
        Ok(())
    }

    /// Returns its buffers.
    fn finish(self) {
        self.pass.spare.lock().unwrap_or_else(PoisonError::into_inner).push(self.buffers);
    }
}

impl Batch {
    fn empty() -> Self {
        Batch { pairs: Vec::new(), distances: Vec::new() }
    }

    /// The distances of pair `index`, one a column.
    pub fn distances_of(&self, index: usize) -> &[u16] {
        let columns = self.distances.len() / self.pairs.len();
        &self.distances[index * columns..(index + 1) * columns]
    }

    /// Frees it.
    pub fn free(self, context: &Context) {
        context.free(self.pairs);
        context.free(self.distances);
    }
}
