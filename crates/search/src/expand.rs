//! Expands pairs of values to pairs of rows, up to a limit; beyond it, names the values with most pairs.

use crate::error::{Blame, SearchError};
use crate::search::{Batch, ValuePair};
use crate::values::{Values, equal_pairs_of};
use std::collections::HashMap;

/// Counts pairs up to a limit, and samples some, to find the values with most pairs.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    limit: u64,
    total: u64,
    /// One in this many pairs is sampled.
    step: u64,
    next: u64,
    sample: Vec<ValuePair>,
    /// Whether right values are of another set.
    two_sets: bool,
}

/// Pairs in the sample.
const SAMPLE: u64 = 1024;
/// Values that are named.
const NAMED: usize = 3;

impl Tally {
    pub(crate) fn new(limit: u64, two_sets: bool) -> Self {
        Tally { limit, total: 0, step: (limit / SAMPLE).max(1), next: 0, sample: Vec::new(), two_sets }
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Counts `pairs` pairs of rows of a pair of values.
    #[inline]
    pub(crate) fn count(&mut self, pair: ValuePair, pairs: u64) -> Result<(), SearchError> {
        self.total += pairs;
        while self.total > self.next && self.sample.len() <= 2 * SAMPLE as usize {
            self.sample.push(pair);
            self.next += self.step;
        }
        if self.total > self.limit { Err(self.blame()) } else { Ok(()) }
    }

    #[cold]
    fn blame(&self) -> SearchError {
        let mut counts: HashMap<(bool, u32), u32> = HashMap::new();
        for pair in &self.sample {
            *counts.entry((false, pair.left)).or_default() += 1;
            if self.two_sets || pair.left != pair.right {
                *counts.entry((self.two_sets, pair.right)).or_default() += 1;
            }
        }
        let share = |count: u32| f64::from(count) / self.sample.len() as f64;
        too_many(self.limit, counts.into_iter().map(|((right, value), n)| Blame { right, value, share: share(n) }))
    }
}

/// Names those that take part in most pairs, but none with few.
fn too_many(limit: u64, all: impl Iterator<Item = Blame>) -> SearchError {
    let mut blame: Vec<Blame> = Vec::with_capacity(NAMED + 1);
    for one in all {
        if blame.get(NAMED - 1).is_some_and(|last| one.share < last.share) {
            continue;
        }
        blame.push(one);
        blame.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.value.cmp(&b.value)).then(a.right.cmp(&b.right)));
        blame.truncate(NAMED);
    }
    let most = blame.first().map_or(0.0, |first| first.share);
    blame.retain(|one| one.share > most / 10.0);
    SearchError::TooManyPairs { limit, blame }
}

/// Turns pairs of values into pairs of rows.
#[derive(Debug)]
pub struct Expansion<'a> {
    left: &'a Values,
    right: Option<&'a Values>,
    tally: Tally,
}

impl<'a> Expansion<'a> {
    /// The expansion of a search of `left` against `right` or itself, up to `limit` pairs of rows.
    pub fn new(left: &'a Values, right: Option<&'a Values>, limit: u64) -> Self {
        Expansion { left, right, tally: Tally::new(limit, right.is_some()) }
    }

    /// How many pairs of rows so far.
    pub fn total(&self) -> u64 {
        self.tally.total()
    }

    /// Every pair of rows of one value, the smaller row first. Fails before the first one if there are too many.
    pub fn equals(&mut self, mut emit: impl FnMut(u32, u32)) -> Result<(), SearchError> {
        let pairs = self.left.equal_pairs();
        if pairs > self.tally.limit {
            let share = |value: u32| equal_pairs_of(self.left.weight(value)) as f64 / pairs as f64;
            let blame = self.left.repeated().map(|value| Blame { right: false, value, share: share(value) });
            return Err(too_many(self.tally.limit, blame));
        }
        for value in self.left.repeated() {
            let members = self.left.members(value);
            let rows = members.as_slice();
            self.tally.count(ValuePair { left: value, right: value }, equal_pairs_of(rows.len() as u64))?;
            for (at, &a) in rows.iter().enumerate() {
                for &b in &rows[at + 1..] {
                    emit(a, b);
                }
            }
        }
        Ok(())
    }

    /// The pairs of rows of a batch, with their distances; within one set the smaller row first.
    pub fn batch(&mut self, batch: &Batch, mut emit: impl FnMut(u32, u32, &[u16])) -> Result<(), SearchError> {
        for (index, &pair) in batch.pairs.iter().enumerate() {
            let left = self.left.members(pair.left);
            let right = self.right.unwrap_or(self.left).members(pair.right);
            let (left, right) = (left.as_slice(), right.as_slice());
            self.tally.count(pair, left.len() as u64 * right.len() as u64)?;
            let distances = batch.distances_of(index);
            for &a in left {
                for &b in right {
                    let (a, b) = if self.right.is_none() && a > b { (b, a) } else { (a, b) };
                    emit(a, b, distances);
                }
            }
        }
        Ok(())
    }
}
