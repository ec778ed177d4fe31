//! Groups by the definition, row by row, without values, lists or heaps. Called by the tests of groups.

use super::{Labels, Primary, Shown, Strategy};
use crate::Rule;
use crate::group::apart::are_apart;
use crate::rule::tests::naive_rule;
use crate::tests::{Table, naive_distances};
use std::collections::BTreeSet;

/// The graph of rows, row by row.
pub(super) struct Naive<'a> {
    table: &'a Table,
    labels: &'a Labels,
    /// Near, and not apart.
    pub(super) near: Vec<Vec<bool>>,
    sums: Vec<Vec<u32>>,
}

impl<'a> Naive<'a> {
    pub(super) fn new(table: &'a Table, labels: &'a Labels, rule: &Rule) -> Self {
        let is_near =
            |(a, b): (usize, usize)| naive_rule(&table[a], &table[b], rule) && !are_apart(&labels[a], &labels[b]);
        let rows = 0..table.len();
        let near = rows.clone().map(|a| rows.clone().map(|b| is_near((a, b))).collect()).collect();
        let sum = |a, b| naive_distances(a, b).into_iter().map(u32::from).sum();
        let sums = table.iter().map(|a| table.iter().map(|b| sum(a, b)).collect()).collect();
        Naive { table, labels, near, sums }
    }

    fn rows(&self) -> std::ops::Range<usize> {
        0..self.table.len()
    }

    /// The first row with the same hashes and labels, which are always together.
    fn first(&self, row: usize) -> usize {
        let is_equal = |other: &usize| self.sums[row][*other] == 0 && self.labels[row] == self.labels[*other];
        self.rows().find(is_equal).unwrap_or(row)
    }

    /// Near pairs by their distances, then by the first rows of both.
    fn pairs(&self) -> Vec<(u32, usize, usize)> {
        let mut pairs: Vec<(u32, usize, usize)> = Vec::new();
        for a in self.rows() {
            for b in a + 1..self.table.len() {
                if self.near[a][b] {
                    let (x, y) = (self.first(a), self.first(b));
                    pairs.push((self.sums[a][b], x.min(y), x.max(y)));
                }
            }
        }
        pairs.sort_unstable();
        pairs
    }

    fn are_apart(&self, a: &BTreeSet<usize>, b: &BTreeSet<usize>) -> bool {
        a.iter().any(|&x| b.iter().any(|&y| are_apart(&self.labels[x], &self.labels[y])))
    }

    /// A row with the rows that are equal to it.
    fn equals(&self, row: usize) -> BTreeSet<usize> {
        self.rows().filter(|&other| self.first(other) == self.first(row)).collect()
    }

    /// Complete linkage, in the order of distances, then of the first rows of both hashes.
    fn cliques(&self) -> Vec<BTreeSet<usize>> {
        let first = |row| self.first(row);
        let pairs = self.pairs();
        let mut groups: Vec<BTreeSet<usize>> = Vec::new();
        for row in self.rows().filter(|&row| first(row) == row) {
            groups.push(self.rows().filter(|&other| first(other) == row).collect());
        }
        for (_, a, b) in pairs {
            let at = |row| groups.iter().position(|group| group.contains(&row)).expect("a group");
            let (a, b) = (at(a), at(b));
            if a != b && groups[a].iter().all(|&x| groups[b].iter().all(|&y| self.near[x][y])) {
                let joined = groups[b].clone();
                groups[a].extend(joined);
                groups.remove(b);
            }
        }
        groups
    }

    /// A star around a row, of remaining rows: near ones, the nearest first, none apart from one that is in it.
    fn star(&self, row: usize, left: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut near: Vec<usize> = left.iter().copied().filter(|&other| self.near[row][other]).collect();
        near.sort_by_key(|&other| (self.sums[row][other], self.first(other), other));
        let mut star = self.equals(row);
        for other in near {
            let equals = self.equals(other);
            if !self.are_apart(&star, &equals) {
                star.extend(equals);
            }
        }
        star
    }

    /// Repeatedly, of the remaining rows the one that is near most other remaining rows.
    fn stars(&self) -> Vec<(usize, BTreeSet<usize>)> {
        let mut left: BTreeSet<usize> = self.rows().collect();
        let mut stars = Vec::new();
        loop {
            let near = |row: usize| left.iter().filter(|&&other| self.near[row][other]).count();
            let Some(best) = left.iter().copied().max_by_key(|&row| (near(row), std::cmp::Reverse(row))) else {
                return stars;
            };
            let star = self.star(best, &left);
            left.retain(|row| !star.contains(row));
            stars.push((best, star));
        }
    }

    /// The first row in no star that has such a neighbour, which may be an equal row, takes all such neighbours.
    fn stars_in_order(&self) -> Vec<(usize, BTreeSet<usize>)> {
        let mut left: BTreeSet<usize> = self.rows().collect();
        let mut stars = Vec::new();
        while let Some(first) = left.iter().copied().find(|&row| self.star(row, &left).len() > 1) {
            let star = self.star(first, &left);
            left.retain(|row| !star.contains(row));
            stars.push((first, star));
        }
        stars
    }

    /// The nearest pairs first: the components of both are joined, unless a row of one is apart from one of the other.
    fn components(&self) -> Vec<BTreeSet<usize>> {
        let mut components: Vec<BTreeSet<usize>> =
            self.rows().filter(|&row| self.first(row) == row).map(|row| self.equals(row)).collect();
        for (_, a, b) in self.pairs() {
            let at = |row| components.iter().position(|component| component.contains(&row)).expect("a component");
            let (a, b) = (at(a), at(b));
            if a != b && !self.are_apart(&components[a], &components[b]) {
                let joined = components[b].clone();
                components[a].extend(joined);
                components.remove(b);
            }
        }
        components
    }

    fn shown(&self, group: &BTreeSet<usize>, primary: usize, also_near: bool) -> Shown {
        let mut rows: Vec<usize> = group.iter().copied().collect();
        rows.sort_by_key(|&row| (row != primary, self.sums[primary][row], row));
        let distances = |a: usize, b: usize| naive_distances(&self.table[a], &self.table[b]);
        let mut farthest = vec![0; self.table[0].len()];
        for &a in group {
            for &b in group {
                farthest.iter_mut().zip(distances(a, b)).for_each(|(most, distance)| *most = distance.max(*most));
            }
        }
        let outside = self.rows().filter(|row| !group.contains(row));
        let near = outside.filter(|&row| also_near && group.iter().any(|&member| self.near[member][row]));
        Shown {
            also_near: near.map(|row| row as u32).collect(),
            distances: rows.iter().flat_map(|&row| distances(primary, row)).collect(),
            rows: rows.into_iter().map(|row| row as u32).collect(),
            farthest,
        }
    }

    pub(super) fn groups(&self, strategy: Strategy, primary: Primary) -> Vec<Shown> {
        let first_of_least = |group: &BTreeSet<usize>, price: &dyn Fn(usize) -> i64| {
            group.iter().copied().min_by_key(|&row| (price(row), row)).expect("a member")
        };
        let mut groups: Vec<(usize, BTreeSet<usize>)> = match strategy {
            Strategy::Clique => {
                let medoid = |group: &BTreeSet<usize>| {
                    first_of_least(group, &|row| group.iter().map(|&other| i64::from(self.sums[row][other])).sum())
                };
                self.cliques().into_iter().map(|group| (medoid(&group), group)).collect()
            }
            Strategy::Star if primary == Primary::First => self.stars_in_order(),
            Strategy::Star => self.stars(),
            Strategy::Component => {
                let hub = |group: &BTreeSet<usize>| {
                    first_of_least(group, &|row| -(group.iter().filter(|&&other| self.near[row][other]).count() as i64))
                };
                self.components().into_iter().map(|group| (hub(&group), group)).collect()
            }
        };
        groups.retain(|(_, group)| group.len() > 1);
        if primary == Primary::First && strategy != Strategy::Star {
            groups.iter_mut().for_each(|(primary, group)| *primary = group.first().copied().expect("a member"));
        }
        groups.sort_by_key(|(_, group)| group.first().copied());
        groups.iter().map(|(primary, group)| self.shown(group, *primary, strategy != Strategy::Component)).collect()
    }
}
