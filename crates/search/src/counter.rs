//! Counts pairs up to a limit; beyond it, an error names the values with most pairs.
//!
//! Used by [`crate::expand`] for pairs of rows, and by [`crate::group`] for pairs of values.

use crate::batch::ValuePair;
use crate::error::{SearchError, ValueShare};
use crate::values::Values;
use std::collections::HashMap;

/// Counts pairs up to a limit, and samples some, to find the values with most pairs.
#[derive(Debug, Clone)]
pub(crate) struct PairCounter<'a> {
    left: &'a Values,
    /// `None`: pairs are within the left set.
    right: Option<&'a Values>,
    limit: u64,
    total: u64,
    /// One in this many pairs is sampled.
    step: u64,
    next: u64,
    sample: Vec<ValuePair>,
}

/// A value: whether it is of the right set, its number, and the share of the pairs that it takes part in.
type PairShare = (bool, u32, f64);

/// Pairs in the sample.
const SAMPLE: u64 = 1024;
/// Values that are named.
const NAMED: usize = 3;

impl<'a> PairCounter<'a> {
    /// Counts pairs of `left` and `right`, or within `left`, up to `limit`.
    pub(crate) fn new(left: &'a Values, right: Option<&'a Values>, limit: u64) -> Self {
        PairCounter { left, right, limit, total: 0, step: (limit / SAMPLE).max(1), next: 0, sample: Vec::new() }
    }

    /// How many pairs so far.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The most pairs.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Counts `pairs` pairs of rows of a pair of values.
    #[inline]
    pub(crate) fn count(&mut self, pair: ValuePair, pairs: u64) -> Result<(), SearchError> {
        self.total += pairs;
        while self.total > self.next && self.sample.len() <= 2 * SAMPLE as usize {
            self.sample.push(pair);
            self.next += self.step;
        }
        if self.total > self.limit { Err(self.too_many_in_sample()) } else { Ok(()) }
    }

    #[cold]
    fn too_many_in_sample(&self) -> SearchError {
        let two_sets = self.right.is_some();
        let mut counts: HashMap<(bool, u32), u32> = HashMap::new();
        for pair in &self.sample {
            *counts.entry((false, pair.left)).or_default() += 1;
            if two_sets || pair.left != pair.right {
                *counts.entry((two_sets, pair.right)).or_default() += 1;
            }
        }
        let share = |count: u32| f64::from(count) / self.sample.len() as f64;
        self.too_many(counts.into_iter().map(|((right, value), count)| (right, value, share(count))))
    }

    /// The error that names those that take part in most pairs, but none with few.
    pub(crate) fn too_many(&self, shares: impl Iterator<Item = PairShare>) -> SearchError {
        let mut most: Vec<PairShare> = Vec::with_capacity(NAMED + 1);
        for share in shares {
            if most.get(NAMED - 1).is_some_and(|last| share.2 < last.2) {
                continue;
            }
            most.push(share);
            most.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.1.cmp(&b.1)).then(a.0.cmp(&b.0)));
            most.truncate(NAMED);
        }
        let largest = most.first().map_or(0.0, |first| first.2);
        most.retain(|share| share.2 > largest / 10.0);
        let named = |(right, value, share): PairShare| {
            let values = self.right.filter(|_| right).unwrap_or(self.left);
            ValueShare { hashes: (0..values.widths().len()).map(|column| values.hash(value, column)).collect(), share }
        };
        SearchError::TooManyPairs { limit: self.limit, most_pairs: most.into_iter().map(named).collect() }
    }
}
