//! Rules against the definition: the merged pairs of several searches, against a comparison of every two values.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::Rule;
use crate::group::Edges;
use crate::plan::{Costs, options};
use crate::tests::{Table, naive_near, pool, tables, unlimited, values};
use crate::{PairBatch, PairQuery, Plan, SearchContext, SearchError, Values, find_pairs, run_on_pool};
use proptest::prelude::*;

/// From the definition, bit by bit.
pub(crate) fn naive_rule(a: &[Vec<u8>], b: &[Vec<u8>], rule: &Rule) -> bool {
    rule.alternatives().iter().any(|radii| naive_near(a, b, radii))
}

/// The edges of a rule: a search for each alternative.
pub(crate) fn edges_of<'a>(
    values: &'a Values,
    rule: &Rule,
    limit: u64,
    threads: usize,
    context: &SearchContext,
) -> Result<Edges<'a>, SearchError> {
    let mut edges = Edges::new(values, rule, None, limit);
    for (alternative, radii) in rule.alternatives().iter().enumerate() {
        let query = PairQuery { left: values, right: None, radii };
        let plan = pool(threads).install(|| Plan::choose(&query, &Costs::cpu(), context))?;
        let take = |batch: PairBatch| {
            edges.add(&batch, alternative, context)?;
            batch.free(context);
            Ok(())
        };
        run_on_pool(pool(threads), context, |sink| find_pairs(&query, &plan, context, sink), take, || ())?;
    }
    Ok(edges)
}

/// Tables of [`tables`], and rules with one to three alternatives in which some columns do not count.
pub(crate) fn rules() -> impl Strategy<Value = (Vec<usize>, Rule, Table)> {
    let shares = prop::collection::vec(prop::collection::vec(0.0..1.0f64, 3), 1..=3);
    (tables(), shares).prop_map(|((widths, radii, table, _), shares)| {
        let radius = |((&bits, &radius), share): ((&usize, &u32), f64)| match share {
            0.0..0.1 => u32::MAX,
            0.1..0.2 => bits as u32 + 3,
            0.2..0.4 => bits as u32,
            0.4..0.6 => radius,
            share => ((share - 0.6) * 2.0 * bits as f64) as u32,
        };
        let alternative = |shares: Vec<f64>| widths.iter().zip(&radii).zip(shares).map(radius).collect();
        let alternatives = shares.into_iter().map(alternative).collect();
        (widths.clone(), Rule::any(alternatives), table)
    })
}

/// All edges in order, with repetitions, as pairs of values.
fn listed(edges: &Edges<'_>) -> Vec<(u32, u32)> {
    let mut pairs: Vec<(u32, u32)> = edges.iter().map(|pair| (pair.left, pair.right)).collect();
    pairs.sort_unstable();
    assert_eq!(edges.count(), pairs.len() as u64);
    pairs
}

fn hashes(values: &Values, value: u32) -> Vec<Vec<u8>> {
    (0..values.widths().len()).map(|column| values.hash(value, column)).collect()
}

fn naive_edges(values: &Values, rule: &Rule) -> Vec<(u32, u32)> {
    let all: Vec<Vec<Vec<u8>>> = (0..values.count() as u32).map(|value| hashes(values, value)).collect();
    let pairs = (0..all.len()).flat_map(|a| (a + 1..all.len()).map(move |b| (a, b)));
    pairs.filter(|&(a, b)| naive_rule(&all[a], &all[b], rule)).map(|(a, b)| (a as u32, b as u32)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn edges_are_the_pairs_of_the_rule_each_once((widths, rule, table) in rules(), threads in 1usize..=3) {
        let context = unlimited();
        let values = values(&table, &widths, threads, &context);
        let edges = edges_of(&values, &rule, u64::MAX, threads, &context).unwrap();
        let naive = naive_edges(&values, &rule);
        prop_assert_eq!(&listed(&edges), &naive);
        for a in 0..values.count() as u32 {
            for b in a + 1..values.count() as u32 {
                prop_assert_eq!(rule.near(&values, a, b), naive.binary_search(&(a, b)).is_ok());
            }
        }
    }

    /// Every plan of every alternative, the last alternative first and its last batch first.
    #[test]
    fn the_order_of_searches_and_batches_does_not_matter((widths, rule, table) in rules()) {
        let context = unlimited();
        let values = values(&table, &widths, 2, &context);
        let naive = naive_edges(&values, &rule);
        let mut found: Vec<Vec<Vec<PairBatch>>> = Vec::new();
        for radii in rule.alternatives() {
            let query = PairQuery { left: &values, right: None, radii };
            let plans = pool(2).install(|| options(&query, true, &Costs::cpu(), &context)).unwrap();
            let batches = |plan: &Plan| {
                prop_assert!(plan.is_brute_force() || (radii[plan.column] as usize) < widths[plan.column]);
                let mut batches = Vec::new();
                let take = |batch: PairBatch| {
                    batches.push(batch);
                    Ok(())
                };
                run_on_pool(pool(2), &context, |sink| find_pairs(&query, plan, &context, sink), take, || ()).unwrap();
                Ok(batches)
            };
            found.push(plans.iter().map(batches).collect::<Result<_, _>>()?);
        }
        for number in 0..found.iter().map(Vec::len).max().unwrap_or(0) {
            let mut edges = Edges::new(&values, &rule, None, u64::MAX);
            for (alternative, plans) in found.iter().enumerate().rev() {
                for batch in plans[number.min(plans.len() - 1)].iter().rev() {
                    edges.add(batch, alternative, &context).unwrap();
                }
            }
            prop_assert_eq!(&listed(&edges), &naive);
        }
    }
}

/// What the catalog calls *verified*: by the difference hash or the DCT hash, and confirmed by PDQ.
fn verified() -> Rule {
    Rule::any(vec![vec![12, 64, 100], vec![64, 14, 100]])
}

/// Columns of 64, 64 and 256 bits around a few centres, with distances on both sides of every radius of [`verified`].
fn pictures(count: u64) -> Table {
    let planes = lumina_sets::uniform(6, (count / 8) as usize, 0, 11);
    let centers = planes.len() as u64 / 6;
    let word = |plane: u64, center: u64| planes[(plane * centers + center) as usize];
    // Flips `bits` different bits, from a position that depends on the row.
    let flipped = |hash: &mut [u8], bits: u64, row: u64| {
        let width = hash.len() as u64 * 8;
        for i in 0..bits {
            let bit = ((i * 5 + row * 7) % width) as usize;
            hash[bit / 8] ^= 0x80 >> (bit % 8);
        }
    };
    let row = |row: u64| {
        let center = row % centers;
        let hash =
            |planes: std::ops::Range<u64>| planes.flat_map(|p| word(p, center).to_be_bytes()).collect::<Vec<u8>>();
        let mut row_hashes = vec![hash(0..1), hash(1..2), hash(2..6)];
        flipped(&mut row_hashes[0], row * 13 % 11, row);
        flipped(&mut row_hashes[1], row * 29 % 12, row);
        flipped(&mut row_hashes[2], row * 17 % 71, row);
        row_hashes
    };
    (0..count).map(row).collect()
}

#[test]
fn two_alternatives_over_three_columns() {
    let (context, table, rule) = (unlimited(), pictures(1600), verified());
    let values = values(&table, &[64, 64, 256], 2, &context);
    let naive = naive_edges(&values, &rule);
    let of = |radii: &[u32]| naive_edges(&values, &Rule::all(radii)).len();
    let (first, second, both) = (of(&[12, 64, 100]), of(&[64, 14, 100]), of(&[12, 14, 100]));
    let unconfirmed = of(&[12, 14, 256]);
    // The set distinguishes this rule from every similar one.
    assert!(both > 100 && first > both + 100 && second > both + 100 && unconfirmed > both + 100);
    assert_eq!(naive.len(), first + second - both);
    for threads in 1..=3 {
        let edges = edges_of(&values, &rule, u64::MAX, threads, &context).unwrap();
        assert!(listed(&edges) == naive, "{} instead of {}", edges.count(), naive.len());
    }
    // Pairs of both alternatives count once.
    let exact = edges_of(&values, &rule, naive.len() as u64, 2, &context);
    assert_eq!(exact.map(|edges| edges.count()), Ok(naive.len() as u64));
    for limit in [10, first as u64, naive.len() as u64 - 1] {
        // A search that ends early leaves its context cancelled.
        match edges_of(&values, &rule, limit, 2, &unlimited()) {
            Err(SearchError::TooManyPairs { limit: named, most_pairs }) => {
                assert!(named == limit && !most_pairs.is_empty());
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A column that does not count is never read, and the plan is that for the other columns alone.
#[test]
fn columns_that_do_not_count_do_not_drive() {
    let context = unlimited();
    let hash = |row: u64| row.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let two: Table =
        (0..40_000u64).map(|row| vec![hash(row).to_be_bytes().to_vec(), (row % 3).to_be_bytes().to_vec()]).collect();
    let one: Table = two.iter().map(|row| vec![row[0].clone()]).collect();
    let (two, one) = (values(&two, &[64, 64], 2, &context), values(&one, &[64], 2, &context));
    let plan = |values: &Values, radii: &[u32]| {
        pool(2)
            .install(|| options(&PairQuery { left: values, right: None, radii }, true, &Costs::cpu(), &context))
            .unwrap()
    };
    for width in [64, 65, u32::MAX] {
        let (wide, narrow) = (plan(&two, &[5, width]), plan(&one, &[5]));
        assert!(wide.len() > 5 && wide.iter().all(|plan| plan.column == 0));
        for (wide, narrow) in wide.iter().zip(&narrow) {
            assert!(wide.bands == narrow.bands && wide.candidates == narrow.candidates);
            assert!(wide.cost < 1.1 * narrow.cost, "{wide:?} {narrow:?}");
        }
        let all = plan(&two, &[width, width]);
        assert!(all.len() == 1 && all[0].is_brute_force());
    }
}

#[test]
fn no_alternative_and_no_column_that_counts() {
    let context = unlimited();
    let table: Table = (0..20u8).map(|row| vec![vec![row], vec![255 - row]]).collect();
    let values = values(&table, &[8, 8], 2, &context);
    assert_eq!(edges_of(&values, &Rule::any(Vec::new()), 0, 2, &context).unwrap().count(), 0);
    assert!(!Rule::any(Vec::new()).near(&values, 0, 0));
    let all = Rule::any(vec![vec![8, 9], vec![0, 0], vec![8, 8]]);
    assert_eq!(edges_of(&values, &all, 190, 2, &context).unwrap().count(), 190);
    assert_eq!(Rule::any(vec![vec![3, 4]]), Rule::all(&[3, 4]));
}

/// One bit less than the width counts: it keeps complements apart.
#[test]
fn a_radius_just_below_the_width() {
    let context = unlimited();
    let table: Table = [(0x00, 1), (0xff, 1), (0x0f, 2), (0xf0, 2)].map(|(a, b)| vec![vec![a], vec![b]]).to_vec();
    let values = values(&table, &[8, 8], 2, &context);
    let near = |radii: &[u32]| {
        let rule = Rule::all(radii);
        let pairs = listed(&edges_of(&values, &rule, 10, 2, &context).unwrap());
        let all = (0..4).flat_map(|a| (a + 1..4).map(move |b| (a, b)));
        assert_eq!(pairs, all.filter(|&(a, b)| rule.near(&values, a, b)).collect::<Vec<_>>());
        pairs
    };
    let complements = [(0, 1), (2, 3)];
    assert_eq!(near(&[7, 8]), [(0, 2), (0, 3), (1, 2), (1, 3)]);
    // Here the other column is the first to be compared.
    assert_eq!(near(&[7, 0]), []);
    assert_eq!(near(&[8, 0]), complements);
    assert_eq!(near(&[8, 8]).len(), 6);
}
