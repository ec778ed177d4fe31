//! The join that a plan describes: bucket against bucket, band by band.
//!
//! Invariant: each pair of values is reported once, by the first band of the plan in which it is within the tolerance.

use crate::batch::{PairSink, ValuePair};
use crate::buckets::Buckets;
use crate::buffers::{SpareBuffers, TILE, ThreadBuffers};
use crate::context::SearchContext;
use crate::error::SearchError;
use crate::plan::Plan;
use crate::query::PairQuery;
use lumina_hash::bands::flips;
use lumina_hash::kernel::{BlockJoin, JoinColumn, Kernels};
use lumina_hash::words::words_for;
use rayon::prelude::*;
use std::ops::Range;

/// Pairs of rows at which a pair of buckets is split among the threads.
const SHARED: usize = 1 << 24;
/// Ranges of buckets per thread, so that all end at about the same time.
const RANGES: usize = 16;

/// Passes every pair of values of `query` to `sink`. Equal rows of one set are one value and no pair.
///
/// Runs on the current thread pool.
pub fn find_pairs(
    query: &PairQuery<'_>,
    plan: &Plan,
    context: &SearchContext,
    sink: &PairSink<'_>,
) -> Result<(), SearchError> {
    if query.left.count() == 0 || query.right.is_some_and(|right| right.count() == 0) {
        return Ok(());
    }
    let spare = SpareBuffers::default();
    join_bands(query, plan, context, sink, &spare)?;
    for buffers in spare.into_all() {
        context.free(buffers.hits);
        if buffers.batch.pairs.is_empty() {
            buffers.batch.free(context);
        } else {
            sink(buffers.batch)?;
        }
    }
    Ok(())
}

fn join_bands(
    query: &PairQuery<'_>,
    plan: &Plan,
    context: &SearchContext,
    sink: &PairSink<'_>,
    spare: &SpareBuffers,
) -> Result<(), SearchError> {
    let columns = &query.compared(plan.column)[..];
    if plan.is_brute_force() {
        let left = Buckets::single(query.left);
        let right = query.right.map(Buckets::single);
        let pass = BandPass { query, plan, band: 0, columns, left, right, context, sink, spare };
        return pass.compare_buckets(&[0]);
    }
    let first_plane = query.left.first_plane(plan.column);
    for (band, part) in plan.bands.iter().enumerate() {
        let left = Buckets::sorted(query.left, first_plane, part.band, context)?;
        let right = match query.right {
            Some(right) => Some(Buckets::sorted(right, first_plane, part.band, context)?),
            None => None,
        };
        let width = part.band.width as usize;
        let flips: Vec<usize> = flips(width, part.tolerance).map(|mask| mask as usize).collect();
        let pass = BandPass { query, plan, band, columns, left, right, context, sink, spare };
        pass.compare_buckets(&flips)?;
        pass.left.free(context);
        if let Some(right) = pass.right {
            right.free(context);
        }
    }
    Ok(())
}

/// The join of one band.
struct BandPass<'p, 'a> {
    query: &'p PairQuery<'a>,
    plan: &'p Plan,
    /// The number of the band in the plan.
    band: usize,
    columns: &'p [JoinColumn],
    left: Buckets<'a>,
    right: Option<Buckets<'a>>,
    context: &'p SearchContext,
    sink: &'p PairSink<'p>,
    spare: &'p SpareBuffers,
}

impl<'a> BandPass<'_, 'a> {
    fn right(&self) -> &Buckets<'a> {
        self.right.as_ref().unwrap_or(&self.left)
    }

    /// Compares each bucket with those that its value is turned into by `flips`.
    fn compare_buckets(&self, flips: &[usize]) -> Result<(), SearchError> {
        let ranges = self.left.ranges(RANGES * rayon::current_num_threads());
        ranges.into_par_iter().try_for_each(|range| {
            let mut thread = JoinThread::new(self)?;
            for bucket in range {
                let places = self.left.places(bucket);
                if places.is_empty() {
                    continue;
                }
                thread.check_after(flips.len())?;
                for flip in flips {
                    let other = bucket ^ flip;
                    // Within one set each pair of buckets occurs twice.
                    if self.right.is_none() && other < bucket {
                        continue;
                    }
                    let others = self.right().places(other);
                    if !others.is_empty() {
                        thread.compare(places.clone(), others, self.right.is_none() && *flip == 0)?;
                    }
                }
            }
            thread.finish();
            Ok(())
        })
    }
}

/// One thread's part of the join of a band.
struct JoinThread<'w, 'p, 'a> {
    pass: &'w BandPass<'p, 'a>,
    kernels: &'static Kernels,
    buffers: ThreadBuffers,
    /// Comparisons since the last cancel check.
    unchecked: usize,
}

impl<'w, 'p, 'a> JoinThread<'w, 'p, 'a> {
    fn new(pass: &'w BandPass<'p, 'a>) -> Result<Self, SearchError> {
        let buffers = pass.spare.take(pass.context)?;
        Ok(JoinThread { pass, kernels: Kernels::best(), buffers, unchecked: 0 })
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
            let mut thread = JoinThread::new(pass)?;
            thread.tiles(start..left.end.min(start + step), right.clone(), ascending)?;
            thread.finish();
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
        let first_plane = pass.query.left.first_plane(pass.plan.column);
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
            for &bits in pass.query.left.widths() {
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
        let full = self.buffers.take_batch();
        if !full.pairs.is_empty() {
            (self.pass.sink)(full)?;
        }
        self.buffers.begin_batch(self.pass.query.radii.len(), self.pass.context)
    }

    /// Returns its buffers.
    fn finish(self) {
        self.pass.spare.put(self.buffers);
    }
}
