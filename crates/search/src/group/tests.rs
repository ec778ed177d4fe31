//! Groups against the definition, by naive twins without values, lists or heaps.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod naive;

use super::apart::{Apart, Label, are_apart};
use super::{GroupRows, GroupStep, Grouping, Groups, Primary, Strategy, find_groups};
use crate::batch::PairResults;
use crate::error::SearchError;
use crate::rule::tests::rules;
use crate::tests::{Table, pool, tables, unlimited, values};
use crate::{CpuExecutor, Executor, PairBatch, PairQuery, Rule, SearchContext};
use naive::Naive;
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

/// Passes on `left` pairs, and no more.
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
