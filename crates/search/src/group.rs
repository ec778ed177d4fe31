//! Groups of near rows: cliques, stars, components.
//!
//! All three work on values (equal rows are always together) and on the pairs of values that a rule makes near, the
//! *edges*. Values are numbered by their first row: if rows come in the order of their ids, ties go to the smallest id;
//! if they come best first, to the best. The result depends neither on the order of edges nor on the number of threads.
//!
//! - [`clique`]: every two members are near.
//! - [`star`]: every member is near the primary.
//! - [`component`]: every member is near another one.
//! - [`farthest`]: the largest distance in a group.
//!
//! A row is in at most one group. A row that is near a member of a group without being in it is listed as *also near*.

mod clique;
mod component;
mod farthest;
mod star;
#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::error::SearchError;
use crate::expand::Tally;
use crate::lists::Lists;
use crate::rule::Rule;
use crate::search::{Batch, ValuePair};
use crate::values::Values;
use rayon::prelude::*;

/// A grouping strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Every two members are near. Pairs are joined best first; two groups are joined if all their members are near.
    Clique,
    /// Every member is near the primary.
    Star,
    /// Every member is near some other one.
    Component,
}

impl Strategy {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 3] =
        [("clique", Self::Clique), ("star", Self::Star), ("component", Self::Component)];

    /// The strategy of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, strategy)| *strategy)
    }
}

/// Which row of a group is its primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Primary {
    /// The central row: in a clique the row with the smallest sum of distances to all others, in a star the one with
    /// most ungrouped neighbours, in a component the one with most neighbours. Ties go to the first.
    Central,
    /// The first row, for callers that pass rows in an order of preference, best first. Stars are made in that order:
    /// the first ungrouped row with ungrouped neighbours takes all of those.
    First,
}

/// Pairs of near values, by their distance: the sum over all columns, whether they count or not.
#[derive(Debug)]
pub struct Edges {
    /// `left << 32 | right`.
    by_distance: Vec<Vec<u64>>,
    tally: Tally,
    limit: u64,
    rule: Rule,
}

/// The state of edges at a moment.
#[derive(Debug)]
pub struct Mark {
    lengths: Vec<usize>,
    tally: Tally,
}

impl Edges {
    /// No edges, and room for at most `limit`, which are to be those of `rule`.
    pub fn new(rule: &Rule, limit: u64) -> Self {
        Edges { by_distance: Vec::new(), tally: Tally::new(limit, false), limit, rule: rule.clone() }
    }

    fn rule(&self) -> &Rule {
        &self.rule
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.tally.total()
    }

    /// The current state, to return to.
    pub fn mark(&self) -> Mark {
        Mark { lengths: self.by_distance.iter().map(Vec::len).collect(), tally: self.tally.clone() }
    }

    /// Removes what was added after a mark.
    pub fn back_to(&mut self, mark: &Mark) {
        for (distance, edges) in self.by_distance.iter_mut().enumerate() {
            edges.truncate(mark.lengths.get(distance).copied().unwrap_or(0));
        }
        self.tally = mark.tally.clone();
    }

    /// Adds the pairs of a batch, found by a search of the rule's alternative of that number, from 0. A pair that is
    /// also within an earlier alternative belongs to that one and is skipped, so that each is held and counted once, in
    /// any order of searches: each alternative must be searched once.
    pub fn add(&mut self, batch: &Batch, alternative: usize, context: &Context) -> Result<(), SearchError> {
        for (index, pair) in batch.pairs.iter().enumerate() {
            let distances = batch.distances_of(index);
            if self.rule.within_first(alternative, distances) {
                continue;
            }
            self.tally.count(*pair, 1)?;
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
    fn sort(&mut self, context: &Context) -> Result<(), SearchError> {
        for edges in &mut self.by_distance {
            context.sort(edges, u64::cmp)?;
        }
        Ok(())
    }

    fn free(self, context: &Context) {
        self.by_distance.into_iter().for_each(|edges| context.free(edges));
    }
}

/// In no group.
const NONE: u32 = u32::MAX;

/// Groups of rows.
#[derive(Debug)]
pub struct Groups {
    columns: usize,
    primaries: Vec<u32>,
    /// The values of each group, ascending.
    members: Lists,
    farthest: Vec<u16>,
    /// The values that are also near each group, ascending; `None` if not requested.
    near: Option<Lists>,
}

/// For each value its group, by any number below the number of values; and the primary, if already known.
struct Assignment {
    group_of: Vec<u32>,
    /// By the same number; empty if primaries are still to be chosen.
    primary_of: Vec<u32>,
}

impl Groups {
    /// Groups values by their edges. The also-near rows are limited by `edges`' limit. Runs on the current pool.
    pub fn form(
        values: &Values,
        mut edges: Edges,
        strategy: Strategy,
        primary: Primary,
        context: &Context,
    ) -> Result<Self, SearchError> {
        let assignment = match strategy {
            Strategy::Clique => {
                edges.sort(context)?;
                clique::assign(values, &edges, context)?
            }
            Strategy::Star => match primary {
                Primary::Central => star::assign(values, &edges, context)?,
                Primary::First => star::assign_in_order(values, &edges, context)?,
            },
            Strategy::Component => component::assign(values, &edges, primary, context)?,
        };
        let mut groups = Self::number(values, assignment, context)?;
        groups.measure(values, primary, context)?;
        if strategy != Strategy::Component {
            groups.find_near(values, &edges, context)?;
        }
        edges.free(context);
        Ok(groups)
    }

    /// Numbers the groups by their first members. A single row is no group.
    fn number(values: &Values, assignment: Assignment, context: &Context) -> Result<Self, SearchError> {
        let Assignment { mut group_of, primary_of } = assignment;
        let count = values.count();
        let mut sizes = context.filled(count, 0u32)?;
        for (value, &group) in group_of.iter().enumerate().filter(|(_, group)| **group != NONE) {
            sizes[group as usize] = sizes[group as usize].saturating_add(values.weight(value as u32) as u32);
        }
        let mut numbers = context.filled(count, NONE)?;
        let mut primaries = Vec::new();
        for group in &mut group_of {
            if *group == NONE || sizes[*group as usize] < 2 {
                *group = NONE;
                continue;
            }
            let number = &mut numbers[*group as usize];
            if *number == NONE {
                *number = primaries.len() as u32;
                context.push(&mut primaries, primary_of.get(*group as usize).copied().unwrap_or(NONE))?;
            }
            *group = *number;
        }
        let grouped = || group_of.iter().copied().zip(0..).filter(|(group, _)| *group != NONE);
        let members = Lists::collect(primaries.len(), grouped, context)?;
        context.free(sizes);
        context.free(numbers);
        context.free(primary_of);
        context.free(group_of);
        Ok(Groups { columns: values.widths().len(), primaries, members, farthest: Vec::new(), near: None })
    }

    /// Chooses the missing primaries, and measures the groups.
    fn measure(&mut self, values: &Values, which: Primary, context: &Context) -> Result<(), SearchError> {
        let mut primaries = std::mem::take(&mut self.primaries);
        let mut farthest = context.filled(primaries.len() * self.columns, 0u16)?;
        let groups = primaries.par_iter_mut().zip(farthest.par_chunks_mut(self.columns)).enumerate();
        groups.try_for_each(|(group, (primary, farthest))| {
            context.check()?;
            let members = self.values_of(group);
            if *primary == NONE {
                *primary = match which {
                    Primary::Central => clique::medoid(values, members, context)?,
                    // Values are numbered by their first rows.
                    Primary::First => members[0],
                };
            }
            farthest::measure(values, members, *primary, farthest, context)
        })?;
        (self.primaries, self.farthest) = (primaries, farthest);
        Ok(())
    }

    /// Lists for each group the values outside of it that are near one of its members.
    fn find_near(&mut self, values: &Values, edges: &Edges, context: &Context) -> Result<(), SearchError> {
        let mut group_of = context.filled(values.count(), NONE)?;
        for group in 0..self.len() {
            for &value in self.values_of(group) {
                group_of[value as usize] = group as u32;
            }
        }
        let mut near: Vec<u64> = Vec::new();
        for (at, pair) in edges.iter().enumerate() {
            if at % (1 << 20) == 0 {
                context.check()?;
            }
            let (left, right) = (group_of[pair.left as usize], group_of[pair.right as usize]);
            for (group, value) in [(left, pair.right), (right, pair.left)] {
                if left != right && group != NONE {
                    context.push(&mut near, u64::from(group) << 32 | u64::from(value))?;
                }
            }
        }
        context.free(group_of);
        context.sort(&mut near, u64::cmp)?;
        near.dedup();
        let mut tally = Tally::new(edges.limit, false);
        for item in &near {
            let value = *item as u32;
            tally.count(ValuePair { left: value, right: value }, values.weight(value))?;
        }
        let listed = || near.iter().map(|item| ((item >> 32) as u32, *item as u32));
        self.near = Some(Lists::collect(self.len(), listed, context)?);
        context.free(near);
        Ok(())
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.primaries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.primaries.is_empty()
    }

    /// How many rows a group has.
    pub fn size(&self, values: &Values, group: usize) -> u64 {
        self.values_of(group).iter().map(|&value| values.weight(value)).sum()
    }

    fn values_of(&self, group: usize) -> &[u32] {
        self.members.of(group)
    }

    /// The largest distance between two members, in each column.
    pub fn farthest(&self, group: usize) -> &[u16] {
        &self.farthest[group * self.columns..(group + 1) * self.columns]
    }

    /// Writes the rows of a group to `rows`, each with its distances to the primary, one a column after another, in
    /// `distances`: the primary first, then the nearest, equally near ones in the order of rows.
    pub fn rows(
        &self,
        values: &Values,
        group: usize,
        rows: &mut Vec<u32>,
        distances: &mut Vec<u16>,
        context: &Context,
    ) -> Result<(), SearchError> {
        let primary = self.primaries[group];
        let first = values.members(primary).as_slice()[0];
        let mut each = vec![0; self.columns];
        let mut measured: Vec<(bool, u32, u32, u32)> = Vec::new();
        for &value in self.values_of(group) {
            let sum = values.distances(primary, value, &mut each);
            for &row in values.members(value).as_slice() {
                context.push(&mut measured, (row != first, sum, row, value))?;
            }
        }
        measured.sort_unstable();
        rows.clear();
        distances.clear();
        context.grow(rows, measured.len())?;
        context.grow(distances, measured.len() * self.columns)?;
        for &(_, _, row, value) in &measured {
            values.distances(primary, value, &mut each);
            rows.push(row);
            distances.extend_from_slice(&each);
        }
        context.free(measured);
        Ok(())
    }

    /// Writes the rows outside of a group that are near one of its members to `rows`, ascending.
    pub fn also_near(
        &self,
        values: &Values,
        group: usize,
        rows: &mut Vec<u32>,
        context: &Context,
    ) -> Result<(), SearchError> {
        rows.clear();
        for &value in self.near.as_ref().map_or(&[][..], |near| near.of(group)) {
            let members = values.members(value);
            context.grow(rows, members.as_slice().len())?;
            rows.extend_from_slice(members.as_slice());
        }
        rows.sort_unstable();
        Ok(())
    }
}
