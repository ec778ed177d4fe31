//! Groups of rows, formed of the edges by a strategy: their primaries, members, extents, and what is also near.

use super::assignment::{Assignment, NONE};
use super::edges::Edges;
use super::strategy::{Primary, Strategy};
use super::{clique, component, farthest, star};
use crate::batch::ValuePair;
use crate::context::SearchContext;
use crate::counter::PairCounter;
use crate::error::SearchError;
use crate::lists::Lists;
use crate::values::Values;
use rayon::prelude::*;
use std::ops::RangeInclusive;

/// Groups of rows.
#[derive(Debug)]
pub struct Groups {
    strategy: Strategy,
    columns: usize,
    pairs: u64,
    primaries: Vec<u32>,
    /// The values of each group, ascending.
    members: Lists,
    farthest: Vec<u16>,
    /// The values that are also near each group, ascending; `None` if not requested.
    near: Option<Lists>,
}

impl Groups {
    /// Groups values by their edges. The also-near rows are limited by `edges`' limit. Runs on the current pool.
    pub fn form(
        values: &Values,
        mut edges: Edges<'_>,
        strategy: Strategy,
        primary: Primary,
        context: &SearchContext,
    ) -> Result<Self, SearchError> {
        if strategy == Strategy::Clique || edges.apart().is_some() {
            edges.sort(context)?;
        }
        let assignment = match strategy {
            Strategy::Clique => clique::assign(values, &edges, context)?,
            Strategy::Star => match primary {
                Primary::Central => star::assign(values, &edges, context)?,
                Primary::First => star::assign_in_order(values, &edges, context)?,
            },
            Strategy::Component => component::assign(values, &edges, primary, context)?,
        };
        let mut groups = Self::number(values, strategy, assignment, context)?;
        groups.pairs = edges.count();
        groups.measure(values, primary, context)?;
        if strategy != Strategy::Component {
            groups.find_near(values, &edges, context)?;
        }
        edges.free(context);
        Ok(groups)
    }

    /// Numbers the groups by their first members. A single row is no group.
    fn number(
        values: &Values,
        strategy: Strategy,
        assignment: Assignment,
        context: &SearchContext,
    ) -> Result<Self, SearchError> {
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
        let columns = values.widths().len();
        Ok(Groups { strategy, columns, pairs: 0, primaries, members, farthest: Vec::new(), near: None })
    }

    /// Chooses the missing primaries, and measures the groups.
    fn measure(&mut self, values: &Values, which: Primary, context: &SearchContext) -> Result<(), SearchError> {
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
    fn find_near(&mut self, values: &Values, edges: &Edges<'_>, context: &SearchContext) -> Result<(), SearchError> {
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
        let mut counter = PairCounter::new(values, None, edges.limit());
        for item in &near {
            let value = *item as u32;
            counter.count(ValuePair { left: value, right: value }, values.weight(value))?;
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

    /// The strategy by which they were formed.
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// How many pairs of near values they were made of.
    pub fn pairs(&self) -> u64 {
        self.pairs
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
    /// `distances`: the primary first, then the nearest, equally near ones in the order of rows. The primary is the
    /// group's own, or the rows of the group that `instead` holds, which are equal.
    pub fn rows(
        &self,
        values: &Values,
        group: usize,
        instead: Option<RangeInclusive<u32>>,
        rows: &mut Vec<u32>,
        distances: &mut Vec<u16>,
        context: &SearchContext,
    ) -> Result<(), SearchError> {
        let is_instead = |value: &u32, row: u32| values.members(*value).as_slice().contains(&row);
        let primary = match &instead {
            Some(range) => self.values_of(group).iter().copied().find(|value| is_instead(value, *range.start())),
            None => None,
        };
        let primary = primary.unwrap_or(self.primaries[group]);
        let first = values.members(primary).as_slice()[0];
        let first = instead.unwrap_or(first..=first);
        let mut each = vec![0; self.columns];
        let mut measured: Vec<(bool, u32, u32, u32)> = Vec::new();
        for &value in self.values_of(group) {
            let sum = values.distances(primary, value, &mut each);
            for &row in values.members(value).as_slice() {
                context.push(&mut measured, (!first.contains(&row), sum, row, value))?;
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
        context: &SearchContext,
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
