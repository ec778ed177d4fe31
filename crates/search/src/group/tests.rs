//! Groups against the definition, by naive twins without values, lists or heaps.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::apart::{Apart, Label, are_apart};
use super::{GroupRows, GroupStep, Grouping, Groups, Primary, Strategy, find_groups};
use crate::batch::PairResults;
use crate::error::SearchError;
use crate::rule::tests::{naive_rule, rules};
use crate::tests::{Table, naive_distances, pool, tables, unlimited, values};
use crate::{CpuExecutor, Executor, PairBatch, PairQuery, Rule, SearchContext};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use std::collections::{BTreeMap, BTreeSet};

/// A group as users see it: the primary first, the largest distances, the also-near rows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    rows: Vec<u32>,
    distances: Vec<u16>,
    farthest: Vec<u16>,
    also_near: Vec<u32>,
}

/// The labels of each row.
type Labels = Vec<Vec<Label>>;

/// Rows without labels.
fn no_labels(table: &Table) -> Labels {
    vec![Vec::new(); table.len()]
}

fn shown(
    table: &Table,
    widths: &[usize],
    rule: &Rule,
    kind: (Strategy, Primary),
    threads: usize,
) -> Result<Vec<Shown>, SearchError> {
    shown_apart(table, &no_labels(table), widths, rule, kind, threads)
}

fn shown_apart(
    table: &Table,
    labels: &Labels,
    widths: &[usize],
    rule: &Rule,
    (strategy, primary): (Strategy, Primary),
    threads: usize,
) -> Result<Vec<Shown>, SearchError> {
    let context = unlimited();
    let mut values = values(table, widths, threads, &context);
    let mut apart = None;
    if labels.iter().any(|labels| !labels.is_empty()) {
        let keys: BTreeMap<&Vec<Label>, u32> = labels.iter().collect::<BTreeSet<_>>().into_iter().zip(0..).collect();
        values = values.split(|row| keys[&labels[row as usize]], &context)?;
        apart = Some(Apart::of(&values, |row| &labels[row as usize], &context)?);
    }
    let executor = CpuExecutor { pool: pool(threads), context: &context };
    let grouping = Grouping { rule, apart: apart.as_ref(), strategy, primary, max_pairs: 1 << 40 };
    let groups = find_groups(&executor, &values, &grouping, |_| Ok::<(), SearchError>(()))?;
    let mut listed = GroupRows::default();
    (0..groups.len())
        .map(|group| {
            groups.list(&executor, &values, group, &mut listed)?;
            let GroupRows { members, distances, also_near } = &listed;
            let farthest = groups.farthest(group).to_vec();
            let (rows, distances, also_near) = (members.clone(), distances.clone(), also_near.clone());
            Ok(Shown { rows, distances, farthest, also_near })
        })
        .collect()
}

/// The graph of rows, row by row.
struct Naive<'a> {
    table: &'a Table,
    labels: &'a Labels,
    /// Near, and not apart.
    near: Vec<Vec<bool>>,
    sums: Vec<Vec<u32>>,
}

impl<'a> Naive<'a> {
    fn new(table: &'a Table, labels: &'a Labels, rule: &Rule) -> Self {
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

    fn groups(&self, strategy: Strategy, primary: Primary) -> Vec<Shown> {
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

fn equal_the_naive_twins(
    widths: &[usize],
    rule: &Rule,
    table: &Table,
    labels: &Labels,
    threads: usize,
) -> Result<(), TestCaseError> {
    let naive = Naive::new(table, labels, rule);
    for (name, strategy) in Strategy::ALL {
        for primary in [Primary::Central, Primary::First] {
            let shown = shown_apart(table, labels, widths, rule, (strategy, primary), threads).unwrap();
            prop_assert_eq!(&shown, &naive.groups(strategy, primary), "{} {:?}", name, primary);
        }
    }
    Ok(())
}

/// Labels of a few sets, or none.
fn labels() -> impl proptest::strategy::Strategy<Value = Labels> {
    let labels = prop::collection::btree_map(0i64..4, 0i32..3, 0..3);
    let labels = labels.prop_map(|labels| labels.into_iter().map(|(set, part)| Label { set, part }).collect());
    prop::collection::vec(prop_oneof![Just(Vec::new()), labels], 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn groups_equal_the_naive_twins((widths, radii, table, _) in tables(), threads in 1usize..=3) {
        equal_the_naive_twins(&widths, &Rule::all(&radii), &table, &no_labels(&table), threads)?;
    }

    #[test]
    fn groups_of_rules_with_alternatives_equal_the_naive_twins(
        (widths, rule, table) in rules(),
        threads in 1usize..=3,
    ) {
        equal_the_naive_twins(&widths, &rule, &table, &no_labels(&table), threads)?;
    }

    /// Rows that are kept apart are in no group together, and all else is as without labels.
    #[test]
    fn groups_of_rows_kept_apart_equal_the_naive_twins(
        (widths, rule, table) in rules(),
        labels in labels(),
        threads in 1usize..=3,
    ) {
        let labels: Labels = (0..table.len()).map(|row| labels[row % labels.len()].clone()).collect();
        equal_the_naive_twins(&widths, &rule, &table, &labels, threads)?;
        for (_, strategy) in Strategy::ALL {
            for group in shown_apart(&table, &labels, &widths, &rule, (strategy, Primary::First), threads).unwrap() {
                let labels_of = |row: &u32| &labels[*row as usize];
                let is_apart = |a| group.rows.iter().any(|b| are_apart(labels_of(a), labels_of(b)));
                prop_assert!(!group.rows.iter().any(is_apart));
            }
        }
    }

    /// The guarantee of stars in order: the primary is the first row of its star and near all of it.
    #[test]
    fn stars_in_order_have_their_best_row_in_the_middle((widths, rule, table) in rules()) {
        let labels = no_labels(&table);
        let naive = Naive::new(&table, &labels, &rule);
        let kind = (Strategy::Star, Primary::First);
        for group in shown(&table, &widths, &rule, kind, 2).unwrap() {
            prop_assert_eq!(Some(&group.rows[0]), group.rows.iter().min());
            prop_assert!(group.rows.iter().all(|&row| naive.near[group.rows[0] as usize][row as usize]));
        }
    }

    /// The guarantee of a clique, in any order of making.
    #[test]
    fn cliques_are_near_and_complete((widths, radii, table, _) in tables()) {
        let rule = Rule::all(&radii);
        let labels = no_labels(&table);
        let naive = Naive::new(&table, &labels, &rule);
        let groups = shown(&table, &widths, &rule, (Strategy::Clique, Primary::Central), 2).unwrap();
        let mut group_of = vec![None; table.len()];
        for (number, group) in groups.iter().enumerate() {
            for &row in &group.rows {
                prop_assert_eq!(group_of[row as usize].replace(number), None, "a row in two groups");
            }
            for (&a, &b) in group.rows.iter().flat_map(|a| group.rows.iter().map(move |b| (a, b))) {
                prop_assert!(naive.near[a as usize][b as usize]);
            }
        }
        let mut parts: Vec<Vec<u32>> = groups.into_iter().map(|group| group.rows).collect();
        parts.extend((0..table.len()).filter(|&row| group_of[row].is_none()).map(|row| vec![row as u32]));
        for (at, a) in parts.iter().enumerate() {
            for b in &parts[at + 1..] {
                let all_near = a.iter().all(|&x| b.iter().all(|&y| naive.near[x as usize][y as usize]));
                prop_assert!(!all_near, "{:?} and {:?} belong together", a, b);
            }
        }
    }
}

fn table_of(hashes: impl IntoIterator<Item = u64>) -> Table {
    hashes.into_iter().map(|hash| vec![hash.to_be_bytes().to_vec()]).collect()
}

/// A chain of a hundred thousand hashes, each one bit from the next: one component, and no group of a clique is longer
/// than three links.
#[test]
fn a_component_of_a_hundred_thousand() {
    let gray = |i: u64| i ^ i >> 1;
    let table = table_of((0..100_000).map(gray));
    let groups = shown(&table, &[64], &Rule::all(&[1]), (Strategy::Component, Primary::Central), 2).unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].rows.len(), 100_000);
    assert_eq!(groups[0].farthest, [17], "no two 17-bit numbers differ in more bits, and some differ in all");
    let cliques = shown(&table, &[64], &Rule::all(&[1]), (Strategy::Clique, Primary::Central), 2).unwrap();
    assert!(cliques.iter().all(|group| group.rows.len() == 2 && group.farthest == [1]));
    let stars = shown(&table, &[64], &Rule::all(&[1]), (Strategy::Star, Primary::Central), 2).unwrap();
    assert!(stars.iter().all(|group| group.farthest[0] <= 2 && group.distances.iter().all(|d| *d <= 1)));
}

/// The predecessor's worst value: 5,659 equal hashes, and a few near them.
#[test]
fn five_thousand_equal_hashes() {
    let table = table_of(std::iter::repeat_n(0, 5659).chain([1, 3, 7, 0xff00]));
    for (_, strategy) in Strategy::ALL {
        let groups = shown(&table, &[64], &Rule::all(&[2]), (strategy, Primary::Central), 2).unwrap();
        assert!((0..5659).all(|row| groups[0].rows.contains(&row)), "{strategy:?}");
    }
    // 0, 1 and 3 are near one another; 7 is near 1 and 3, and 1 is near most rows.
    assert_eq!(shown(&table, &[64], &Rule::all(&[2]), (Strategy::Star, Primary::Central), 2).unwrap()[0].rows[0], 5659);
    let cliques = shown(&table, &[64], &Rule::all(&[2]), (Strategy::Clique, Primary::Central), 2).unwrap();
    assert_eq!(cliques.len(), 1);
    assert_eq!(cliques[0].rows[5659..], [5659, 5660]);
    assert_eq!(cliques[0].farthest, [2]);
    assert_eq!(cliques[0].also_near, [5661]);
}

#[test]
fn a_limit_on_edges_and_on_what_is_also_near() {
    let context = unlimited();
    let table = table_of(std::iter::repeat_n(0, 100).chain((0..64).map(|bit| 1u64 << bit)));
    let values = values(&table, &[64], 2, &context);
    let rule = Rule::all(&[1]);
    let form = |max_pairs| {
        let context = unlimited();
        let executor = CpuExecutor { pool: pool(2), context: &context };
        let grouping =
            Grouping { rule: &rule, apart: None, strategy: Strategy::Clique, primary: Primary::Central, max_pairs };
        find_groups(&executor, &values, &grouping, |_| Ok::<(), SearchError>(()))
    };
    let refused = form(63);
    let Err(SearchError::TooManyPairs { limit: 63, most_pairs }) = refused else { panic!("{refused:?}") };
    assert_eq!(most_pairs[0].hashes, [[0; 8]]);
    assert_eq!(form(64).map(|groups| (groups.len(), groups.pairs())), Ok((1, 64)));
}

/// Each step is reported when it begins, and an error of the report ends the search.
#[test]
fn steps_are_reported() {
    let context = unlimited();
    let table = table_of([0, 1, 3, 0xff00]);
    let values = values(&table, &[64], 2, &context);
    let rule = Rule::any(vec![vec![1], vec![2]]);
    let grouping =
        Grouping { rule: &rule, apart: None, strategy: Strategy::Component, primary: Primary::First, max_pairs: 10 };
    let executor = CpuExecutor { pool: pool(2), context: &context };
    let all = [
        GroupStep::Comparing { alternative: 0 },
        GroupStep::Comparing { alternative: 1 },
        GroupStep::Grouping { pairs: 3 },
    ];
    for end in 0..=all.len() {
        let mut steps = Vec::new();
        let found = find_groups(&executor, &values, &grouping, |step| {
            steps.push(step);
            if steps.len() > end { Err(SearchError::Cancelled) } else { Ok(()) }
        });
        assert_eq!(steps, all[..all.len().min(end + 1)]);
        assert_eq!(found.map(|groups| groups.len()), if end < all.len() { Err(SearchError::Cancelled) } else { Ok(1) });
    }
}

/// An executor whose device fails in the middle of each query, after `passed` pairs: all of it begins again.
struct FailsOnce<'a> {
    executor: CpuExecutor<'a>,
    passed: usize,
}

impl Executor for FailsOnce<'_> {
    type Error = SearchError;

    fn context(&self) -> &SearchContext {
        self.executor.context()
    }

    fn on_threads<R: Send>(
        &self,
        work: impl FnOnce(&SearchContext) -> Result<R, SearchError> + Send,
    ) -> Result<R, SearchError> {
        self.executor.on_threads(work)
    }

    fn find_pairs(&self, query: &PairQuery<'_>, results: &mut dyn PairResults) -> Result<(), SearchError> {
        self.executor.find_pairs(query, &mut Beginning { results, left: self.passed })?;
        self.executor.find_pairs(query, results)
    }
}

/// Passes on so many pairs, and no more.
struct Beginning<'a> {
    results: &'a mut dyn PairResults,
    left: usize,
}

impl PairResults for Beginning<'_> {
    fn begin(&mut self) -> Result<(), SearchError> {
        self.results.begin()
    }

    fn take(&mut self, batch: &PairBatch) -> Result<(), SearchError> {
        let columns = batch.distances.len() / batch.pairs.len().max(1);
        let passed = self.left.min(batch.pairs.len());
        self.left -= passed;
        let (pairs, distances) = (batch.pairs[..passed].to_vec(), batch.distances[..passed * columns].to_vec());
        self.results.take(&PairBatch { pairs, distances })
    }
}

/// Pairs that were found before a device failed are neither lost nor counted twice, in any alternative.
#[test]
fn a_query_that_begins_again_changes_nothing() {
    let context = unlimited();
    let table = table_of([0, 1, 3, 7, 15, 0xff00, 0xff01, 0xff03, 0xff0f]);
    let values = values(&table, &[64], 2, &context);
    let rule = Rule::any(vec![vec![1], vec![2]]);
    let executor = CpuExecutor { pool: pool(2), context: &context };
    let grouping = |max_pairs| Grouping {
        rule: &rule,
        apart: None,
        strategy: Strategy::Clique,
        primary: Primary::First,
        max_pairs,
    };
    let listed = |groups: Groups| {
        let (mut rows, mut all) = (GroupRows::default(), Vec::new());
        for group in 0..groups.len() {
            groups.list(&executor, &values, group, &mut rows).unwrap();
            all.push((rows.members.clone(), rows.distances.clone(), rows.also_near.clone()));
        }
        (all, groups.pairs())
    };
    let nothing = |_| Ok::<(), SearchError>(());
    let wanted = listed(find_groups(&executor, &values, &grouping(1 << 40), nothing).unwrap());
    for passed in 0..=wanted.1 as usize {
        let failing = FailsOnce { executor, passed };
        let found = find_groups(&failing, &values, &grouping(wanted.1), nothing);
        assert_eq!(found.map(listed), Ok(wanted.clone()), "after {passed} pairs");
    }
}
