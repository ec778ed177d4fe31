//! Components: near values are connected, however long the chain, unless that would join two that are apart: then the
//! nearest pairs are taken first. The central primary is the value with most near rows.

use super::apart::{Apart, Parts};
use super::assignment::{Assignment, NONE};
use super::edges::Edges;
use super::strategy::Primary;
use crate::context::SearchContext;
use crate::error::SearchError;
use crate::values::Values;
use std::collections::HashMap;

/// With [`Primary::First`] primaries are left open.
pub(super) fn assign(
    values: &Values,
    edges: &Edges<'_>,
    primary: Primary,
    context: &SearchContext,
) -> Result<Assignment, SearchError> {
    let count = values.count();
    let mut parents = context.vec(count)?;
    parents.extend(0..count as u32);
    let mut parts = edges.apart().map(|apart| ComponentParts { apart, by_root: HashMap::new() });
    for (at, edge) in edges.iter().enumerate() {
        if at % (1 << 16) == 0 {
            context.check()?;
        }
        let (a, b) = (root(&mut parents, edge.left), root(&mut parents, edge.right));
        let (first, second) = (a.min(b), a.max(b));
        if first != second && parts.as_mut().is_none_or(|parts| parts.join(first, second)) {
            // The smaller number is the root, whatever the order of the edges.
            parents[second as usize] = first;
        }
    }
    for value in 0..count as u32 {
        parents[value as usize] = root(&mut parents, value);
    }
    let primary_of = match primary {
        Primary::Central => most_near(values, edges, &parents, context)?,
        Primary::First => Vec::new(),
    };
    Ok(Assignment { group_of: parents, primary_of })
}

/// The labels of components of several values; those of one value are its own.
struct ComponentParts<'a> {
    apart: &'a Apart,
    by_root: HashMap<u32, Parts>,
}

impl ComponentParts<'_> {
    fn take(&mut self, root: u32) -> Parts {
        self.by_root.remove(&root).unwrap_or_else(|| Parts::of(self.apart.labels(root)))
    }

    /// Joins two components, by their roots, under the first one, unless they are apart. Returns whether they were
    /// joined.
    fn join(&mut self, first: u32, second: u32) -> bool {
        let (a, b) = (self.take(first), self.take(second));
        let is_joined = !a.is_apart_from(&b);
        if is_joined {
            self.by_root.insert(first, a.joined(b));
        } else {
            self.by_root.insert(first, a);
            self.by_root.insert(second, b);
        }
        is_joined
    }
}

/// For each group, by its number, the value with most near rows; the first on ties.
fn most_near(
    values: &Values,
    edges: &Edges<'_>,
    group_of: &[u32],
    context: &SearchContext,
) -> Result<Vec<u32>, SearchError> {
    let mut near = context.filled(values.count(), 0u32)?;
    for (at, edge) in edges.iter().enumerate() {
        if at % (1 << 16) == 0 {
            context.check()?;
        }
        if group_of[edge.left as usize] != group_of[edge.right as usize] {
            continue; // near, but a value that is apart keeps them in two components
        }
        for (value, other) in [(edge.left, edge.right), (edge.right, edge.left)] {
            near[value as usize] = near[value as usize].saturating_add(values.weight(other) as u32);
        }
    }
    let mut primary_of = context.filled(values.count(), NONE)?;
    for (value, &group) in group_of.iter().enumerate() {
        let rows = |value: usize| u64::from(near[value]) + values.weight(value as u32);
        let primary = &mut primary_of[group as usize];
        if *primary == NONE || rows(value) > rows(*primary as usize) {
            *primary = value as u32;
        }
    }
    context.free(near);
    Ok(primary_of)
}

/// The root of a value, with the path to it halved (Tarjan, van Leeuwen, "Worst-case analysis of set union algorithms",
/// Journal of the ACM 31(2), 1984).
fn root(parents: &mut [u32], mut value: u32) -> u32 {
    while parents[value as usize] != value {
        let grandparent = parents[parents[value as usize] as usize];
        parents[value as usize] = grandparent;
        value = grandparent;
    }
    value
}
