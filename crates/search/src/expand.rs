//! Expands pairs of values to pairs of rows, up to a limit.
//!
//! Called by those who show pairs of rows: `src/search/pairs.rs` of the extension.

use crate::batch::{PairBatch, ValuePair};
use crate::counter::PairCounter;
use crate::error::SearchError;
use crate::values::{Values, equal_pairs_of};

/// Turns pairs of values into pairs of rows.
#[derive(Debug)]
pub struct Expansion<'a> {
    left: &'a Values,
    right: Option<&'a Values>,
    counter: PairCounter<'a>,
}

impl<'a> Expansion<'a> {
    /// The expansion of a search of `left` against `right` or itself, up to `limit` pairs of rows.
    pub fn new(left: &'a Values, right: Option<&'a Values>, limit: u64) -> Self {
        Expansion { left, right, counter: PairCounter::new(left, right, limit) }
    }

    /// How many pairs of rows so far.
    pub fn total(&self) -> u64 {
        self.counter.total()
    }

    /// Every pair of rows of one value, the smaller row first. Fails before the first one if there are too many.
    pub fn equals(&mut self, mut emit: impl FnMut(u32, u32)) -> Result<(), SearchError> {
        let pairs = self.left.equal_pairs();
        if pairs > self.counter.limit() {
            let share = |value: u32| equal_pairs_of(self.left.weight(value)) as f64 / pairs as f64;
            return Err(self.counter.too_many(self.left.repeated().map(|value| (false, value, share(value)))));
        }
        for value in self.left.repeated() {
            let members = self.left.members(value);
            let rows = members.as_slice();
            self.counter.count(ValuePair { left: value, right: value }, equal_pairs_of(rows.len() as u64))?;
            for (at, &a) in rows.iter().enumerate() {
                for &b in &rows[at + 1..] {
                    emit(a, b);
                }
            }
        }
        Ok(())
    }

    /// The pairs of rows of a batch, with their distances; within one set the smaller row first.
    pub fn batch(&mut self, batch: &PairBatch, mut emit: impl FnMut(u32, u32, &[u16])) -> Result<(), SearchError> {
        for (index, &pair) in batch.pairs.iter().enumerate() {
            let left = self.left.members(pair.left);
            let right = self.right.unwrap_or(self.left).members(pair.right);
            let (left, right) = (left.as_slice(), right.as_slice());
            self.counter.count(pair, left.len() as u64 * right.len() as u64)?;
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
