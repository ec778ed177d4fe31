//! Cliques: complete-linkage grouping, best pairs first.
//!
//! Edges are taken nearest first. The groups of an edge's two ends are joined if every member of one is near every
//! member of the other, and none is apart from one. Groups only grow, so groups that cannot be joined once never can
//! be: at the end no two groups could be joined, and no value added to a group.

use super::assignment::{Assignment, NONE};
use super::edges::Edges;
use crate::context::SearchContext;
use crate::error::SearchError;
use crate::values::Values;
use rayon::prelude::*;
use std::collections::HashSet;

/// Groups as linked lists: each value knows its group and the next member.
struct LinkedGroups {
    /// The group of a value, by the number of one of its members.
    group_of: Vec<u32>,
    next: Vec<u32>,
    last: Vec<u32>,
    sizes: Vec<u32>,
}

impl LinkedGroups {
    fn members(&self, group: u32) -> impl Iterator<Item = u32> + Clone + '_ {
        std::iter::successors(Some(group), |&value| Some(self.next[value as usize]).filter(|next| *next != NONE))
    }

    /// Joins two groups; the larger one keeps its number.
    fn join(&mut self, a: u32, b: u32) {
        let (into, from) = if self.sizes[a as usize] >= self.sizes[b as usize] { (a, b) } else { (b, a) };
        let mut value = from;
        while value != NONE {
            self.group_of[value as usize] = into;
            value = self.next[value as usize];
        }
        self.next[self.last[into as usize] as usize] = from;
        self.last[into as usize] = self.last[from as usize];
        self.sizes[into as usize] += self.sizes[from as usize];
    }
}

/// Failed joins that are remembered, so that two large groups that nearly fit are not compared for each of their edges.
const REMEMBERED: usize = 1 << 16;

pub(super) fn assign(values: &Values, edges: &Edges<'_>, context: &SearchContext) -> Result<Assignment, SearchError> {
    let count = values.count();
    let numbers = || -> Result<Vec<u32>, SearchError> {
        let mut numbers = context.vec(count)?;
        numbers.extend(0..count as u32);
        Ok(numbers)
    };
    let mut groups = LinkedGroups {
        group_of: numbers()?,
        next: context.filled(count, NONE)?,
        last: numbers()?,
        sizes: context.filled(count, 1)?,
    };
    let mut apart: HashSet<(u32, u32)> = HashSet::new();
    for (at, edge) in edges.iter().enumerate() {
        if at % 4096 == 0 {
            context.check()?;
        }
        let (a, b) = (groups.group_of[edge.left as usize], groups.group_of[edge.right as usize]);
        if a == b {
            continue;
        }
        let key = (a.min(b), a.max(b));
        let work = groups.sizes[a as usize] as usize * groups.sizes[b as usize] as usize;
        if work > 16 && apart.contains(&key) {
            continue;
        }
        if all_near(values, &groups, edges, a, b, context)? {
            groups.join(a, b);
        } else if work > 16 {
            if apart.len() == REMEMBERED {
                apart.clear();
            }
            apart.insert(key);
        }
    }
    let LinkedGroups { group_of, next, last, sizes } = groups;
    context.free(next);
    context.free(last);
    context.free(sizes);
    Ok(Assignment { group_of, primary_of: Vec::new() })
}

fn all_near(
    values: &Values,
    groups: &LinkedGroups,
    edges: &Edges<'_>,
    a: u32,
    b: u32,
    context: &SearchContext,
) -> Result<bool, SearchError> {
    for (at, x) in groups.members(a).enumerate() {
        if at % 256 == 255 {
            context.check()?;
        }
        if !groups.members(b).all(|y| edges.connect(values, x, y)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The member with the smallest sum of distances to all rows of the group; the first on ties.
pub(super) fn medoid(values: &Values, members: &[u32], context: &SearchContext) -> Result<u32, SearchError> {
    let sum = |&a: &u32| -> u64 {
        let distance = |b: u32| u64::from(values.distance(a, b)) * values.weight(b);
        members.iter().map(|&b| distance(b)).sum()
    };
    let best = if members.len() < 64 {
        members.iter().map(|value| (sum(value), *value)).min()
    } else {
        let sums = members.par_iter().map(|value| context.check().map(|()| (sum(value), *value)));
        sums.try_reduce_with(|a, b| Ok(a.min(b))).transpose()?
    };
    Ok(best.map_or(NONE, |(_, value)| value))
}
