//! Stars: a primary takes the ungrouped rows near it. Primaries are central, the value with most such rows first, or
//! come in the order of rows. Where values are kept apart, the edges are sorted: a primary takes the nearest first, and
//! leaves those that are apart from one that it has taken.

use super::apart::{Apart, Parts};
use super::assignment::{Assignment, NONE};
use super::edges::Edges;
use crate::context::SearchContext;
use crate::error::SearchError;
use crate::lists::Lists;
use crate::values::Values;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The value with most ungrouped near rows is a primary; the first on ties.
pub(super) fn assign(values: &Values, edges: &Edges<'_>, context: &SearchContext) -> Result<Assignment, SearchError> {
    let count = values.count();
    let neighbours = adjacency(count, edges, context)?;
    let around = |value: u32| neighbours.of(value as usize);
    // Rows that a star around a value would have, without that row itself.
    let mut free = context.vec(count)?;
    free.extend((0..count as u32).map(|value| {
        let near: u64 = around(value).iter().map(|&other| values.weight(other)).sum();
        near + values.weight(value) - 1
    }));
    let mut heap = context.vec(count)?;
    heap.extend((0..count as u32).filter(|&v| free[v as usize] > 0).map(|v| (free[v as usize], Reverse(v))));
    let mut heap = BinaryHeap::from(heap);
    let mut group_of = context.filled(count, NONE)?;
    let mut primary_of = context.filled(count, NONE)?;
    let mut steps = 0usize;
    while let Some((rows, Reverse(primary))) = heap.pop() {
        steps += 1 + around(primary).len();
        if steps > 1 << 16 {
            context.check()?;
            steps = 0;
        }
        let left = free[primary as usize];
        if group_of[primary as usize] != NONE || left == 0 {
            continue;
        }
        if left < rows {
            // Other stars have taken some since this was pushed; the slot that it left in the heap is free for it.
            heap.push((left, Reverse(primary)));
            continue;
        }
        primary_of[primary as usize] = primary;
        let mut star = StarParts::new(edges.apart());
        for value in std::iter::once(primary).chain(around(primary).iter().copied()) {
            if group_of[value as usize] == NONE && star.add(value) {
                group_of[value as usize] = primary;
                steps += around(value).len();
                for &other in around(value) {
                    free[other as usize] -= values.weight(value);
                }
            }
        }
    }
    context.free(heap.into_vec());
    context.free(free);
    neighbours.free(context);
    Ok(Assignment { group_of, primary_of })
}

/// The first ungrouped value is a primary. One without ungrouped neighbours, which will have none later, is a group of
/// its own: a single row is no group ([`super::groups::Groups`] drops it).
pub(super) fn assign_in_order(
    values: &Values,
    edges: &Edges<'_>,
    context: &SearchContext,
) -> Result<Assignment, SearchError> {
    let count = values.count();
    let neighbours = adjacency(count, edges, context)?;
    let mut group_of = context.filled(count, NONE)?;
    let mut steps = 0usize;
    for primary in 0..count as u32 {
        if group_of[primary as usize] != NONE {
            continue;
        }
        let around = neighbours.of(primary as usize);
        steps += 1 + around.len();
        if steps > 1 << 16 {
            context.check()?;
            steps = 0;
        }
        let mut star = StarParts::new(edges.apart());
        for &value in std::iter::once(&primary).chain(around) {
            let group = &mut group_of[value as usize];
            if *group == NONE && star.add(value) {
                *group = primary;
            }
        }
    }
    neighbours.free(context);
    Ok(Assignment { group_of, primary_of: Vec::new() })
}

/// The labels of a star that grows.
struct StarParts<'a> {
    apart: Option<&'a Apart>,
    parts: Parts,
}

impl<'a> StarParts<'a> {
    fn new(apart: Option<&'a Apart>) -> Self {
        StarParts { apart, parts: Parts::default() }
    }

    /// Adds a value, unless it is apart from one that is in the star. Returns whether it was added.
    fn add(&mut self, value: u32) -> bool {
        self.apart.is_none_or(|apart| self.parts.add(apart.labels(value)))
    }
}

/// The neighbours of each value, in the order of the edges.
fn adjacency(count: usize, edges: &Edges<'_>, context: &SearchContext) -> Result<Lists, SearchError> {
    let ends = || edges.iter().flat_map(|edge| [(edge.left, edge.right), (edge.right, edge.left)]);
    Lists::collect(count, ends, context)
}
