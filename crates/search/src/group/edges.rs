//! The edges that groups are made of: pairs of near values, from the searches of a rule's alternatives.

use super::apart::Apart;
use crate::batch::{PairBatch, ValuePair};
use crate::context::SearchContext;
use crate::counter::PairCounter;
use crate::error::SearchError;
use crate::rule::Rule;
use crate::values::Values;

/// Pairs of near values, by their distance: the sum over all columns, whether they count or not.
#[derive(Debug)]
pub struct Edges<'a> {
    /// `left << 32 | right`.
    by_distance: Vec<Vec<u64>>,
    counter: PairCounter<'a>,
    rule: Rule,
    apart: Option<&'a Apart>,
}

/// The state of edges at a moment.
#[derive(Debug)]
pub struct EdgesMark<'a> {
    lengths: Vec<usize>,
    counter: PairCounter<'a>,
}

impl<'a> Edges<'a> {
    /// No edges, and room for at most `limit`, which are to be those of `rule` among `values`, but for values that are
    /// `apart`.
    pub fn new(values: &'a Values, rule: &Rule, apart: Option<&'a Apart>, limit: u64) -> Self {
        let counter = PairCounter::new(values, None, limit);
        Edges { by_distance: Vec::new(), counter, rule: rule.clone(), apart }
    }

    /// The most edges.
    pub(crate) fn limit(&self) -> u64 {
        self.counter.limit()
    }

    /// The values that are kept apart.
    pub(super) fn apart(&self) -> Option<&'a Apart> {
        self.apart
    }

    /// Whether two values are near, and not apart: those are the edges.
    #[inline]
    pub(super) fn connect(&self, values: &Values, a: u32, b: u32) -> bool {
        self.rule.near(values, a, b) && self.apart.is_none_or(|apart| !apart.are_apart(a, b))
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.counter.total()
    }

    /// The current state, to return to.
    pub fn mark(&self) -> EdgesMark<'a> {
        EdgesMark { lengths: self.by_distance.iter().map(Vec::len).collect(), counter: self.counter.clone() }
    }

    /// Removes what was added after a mark.
    pub fn back_to(&mut self, mark: &EdgesMark<'a>) {
        for (distance, edges) in self.by_distance.iter_mut().enumerate() {
            edges.truncate(mark.lengths.get(distance).copied().unwrap_or(0));
        }
        self.counter = mark.counter.clone();
    }

    /// Adds the pairs of a batch, found by a search of the rule's alternative of that number, from 0. A pair that is
    /// also within an earlier alternative belongs to that one and is skipped, so that each is held and counted once, in
    /// any order of searches: each alternative must be searched once. A pair that is kept apart is no edge.
    pub fn add(&mut self, batch: &PairBatch, alternative: usize, context: &SearchContext) -> Result<(), SearchError> {
        for (index, pair) in batch.pairs.iter().enumerate() {
            let distances = batch.distances_of(index);
            if self.rule.within_first(alternative, distances)
                || self.apart.is_some_and(|apart| apart.are_apart(pair.left, pair.right))
            {
                continue;
            }
            self.counter.count(*pair, 1)?;
            let distance: usize = distances.iter().map(|distance| usize::from(*distance)).sum();
            if distance >= self.by_distance.len() {
                self.by_distance.resize_with(distance + 1, Vec::new);
            }
            context.push(&mut self.by_distance[distance], u64::from(pair.left) << 32 | u64::from(pair.right))?;
        }
        Ok(())
    }

    /// All edges, nearest first once sorted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ValuePair> + '_ {
        self.by_distance.iter().flatten().map(|edge| ValuePair { left: (edge >> 32) as u32, right: *edge as u32 })
    }

    /// Sorts the edges of each distance.
    pub(super) fn sort(&mut self, context: &SearchContext) -> Result<(), SearchError> {
        for edges in &mut self.by_distance {
            context.sort(edges, u64::cmp)?;
        }
        Ok(())
    }

    /// Frees them.
    pub(super) fn free(self, context: &SearchContext) {
        self.by_distance.into_iter().for_each(|edges| context.free(edges));
    }
}
