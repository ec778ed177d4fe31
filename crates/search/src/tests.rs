//! Searches against brute force: every possible plan, not only the one that the cost model prefers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::group::{Edges, Groups, Primary, Strategy};
use crate::plan::{Costs, options};
use crate::{
    Expansion, HashRows, PairBatch, PairQuery, Plan, Rule, SearchContext, SearchError, Values, find_pairs, run_on_pool,
};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::OnceLock;

/// A table: hashes by row and column, as bytes.
pub(crate) type Table = Vec<Vec<Vec<u8>>>;

pub(crate) fn pool(threads: usize) -> &'static ThreadPool {
    static POOLS: [OnceLock<ThreadPool>; 4] = [const { OnceLock::new() }; 4];
    POOLS[threads].get_or_init(|| ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool"))
}

pub(crate) fn unlimited() -> SearchContext {
    SearchContext::new(1 << 32)
}

pub(crate) fn values(table: &Table, widths: &[usize], threads: usize, context: &SearchContext) -> Values {
    let mut rows = HashRows::new(widths);
    for row in table {
        rows.push(row.iter().map(|hash| &hash[..]), context).expect("memory");
    }
    pool(threads).install(|| Values::collapse(rows, context)).expect("values")
}

/// Bit by bit.
fn naive_distance(a: &[u8], b: &[u8]) -> u16 {
    (0..a.len() * 8).filter(|i| (a[i / 8] ^ b[i / 8]) >> (7 - i % 8) & 1 == 1).count() as u16
}

pub(crate) fn naive_distances(a: &[Vec<u8>], b: &[Vec<u8>]) -> Vec<u16> {
    a.iter().zip(b).map(|(a, b)| naive_distance(a, b)).collect()
}

pub(crate) fn naive_near(a: &[Vec<u8>], b: &[Vec<u8>], radii: &[u32]) -> bool {
    naive_distances(a, b).iter().zip(radii).all(|(distance, radius)| u32::from(*distance) <= *radius)
}

type Pairs = Vec<(u32, u32, Vec<u16>)>;

fn naive_pairs(left: &Table, right: Option<&Table>, radii: &[u32]) -> Pairs {
    let mut pairs = Pairs::new();
    for (a, hashes) in left.iter().enumerate() {
        for (b, others) in right.unwrap_or(left).iter().enumerate() {
            if (right.is_some() || a < b) && naive_near(hashes, others, radii) {
                pairs.push((a as u32, b as u32, naive_distances(hashes, others)));
            }
        }
    }
    pairs
}

fn found_pairs(
    query: &PairQuery<'_>,
    plan: &Plan,
    threads: usize,
    context: &SearchContext,
) -> Result<Pairs, SearchError> {
    let mut pairs = Pairs::new();
    let mut expansion = Expansion::new(query.left, query.right, u64::MAX);
    if query.right.is_none() {
        let zeros = vec![0; query.radii.len()];
        expansion.equals(|a, b| pairs.push((a, b, zeros.clone())))?;
    }
    let take = |batch: PairBatch| {
        assert!(query.right.is_some() || batch.pairs.iter().all(|pair| pair.left < pair.right));
        expansion.batch(&batch, |a, b, distances| pairs.push((a, b, distances.to_vec())))?;
        batch.free(context);
        Ok(())
    };
    run_on_pool(pool(threads), context, |sink| find_pairs(query, plan, context, sink), take, || ())?;
    assert_eq!(expansion.total(), pairs.len() as u64);
    pairs.sort_unstable();
    Ok(pairs)
}

/// Rows around a few centres, and copies of one another, so that every distance and popular values occur.
pub(crate) fn tables() -> impl proptest::strategy::Strategy<Value = (Vec<usize>, Vec<u32>, Table, Table)> {
    let width = prop::sample::select(vec![8usize, 16, 24, 64, 64, 64, 72, 128, 192, 256, 1024]);
    let widths = prop::collection::vec(width, 1..=3);
    (widths, prop::collection::vec(0.0..1.0f64, 3), 0usize..160, 0usize..60, any::<u64>(), 0u32..5).prop_map(
        |(widths, shares, left, right, seed, closeness)| {
            let mut random = seed | 1;
            let mut next = move || {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random
            };
            let mut table = |count: usize, centers: &Table| -> Table {
                let mut rows: Table = Vec::new();
                for _ in 0..count {
                    let kind = next() % 8;
                    let known = if centers.is_empty() { &rows } else { centers };
                    let mut row: Vec<Vec<u8>> = if kind == 0 || known.is_empty() {
                        widths.iter().map(|bits| (0..bits / 8).map(|_| next() as u8).collect()).collect()
                    } else {
                        known[(next() as usize) % known.len()].clone()
                    };
                    if kind > 1 {
                        for (hash, bits) in row.iter_mut().zip(&widths) {
                            for _ in 0..next() as usize % (bits >> closeness).max(2) {
                                let bit = next() as usize % bits;
                                hash[bit / 8] ^= 0x80 >> (bit % 8);
                            }
                        }
                    }
                    rows.push(row);
                }
                rows
            };
            let left = table(left, &Vec::new());
            let right = table(right, &left);
            // Radii from 0 to the width, small ones more often.
            let radii = widths.iter().zip(&shares).map(|(bits, share)| (share.powi(3) * (*bits as f64 + 0.99)) as u32);
            (widths.clone(), radii.collect(), left, right)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_plan_finds_what_brute_force_finds(
        (widths, radii, left, right) in tables(),
        two_sets: bool,
        threads in 1usize..=3,
    ) {
        let context = unlimited();
        let right = two_sets.then_some(right);
        let left_values = values(&left, &widths, threads, &context);
        let right_values = right.as_ref().map(|right| values(right, &widths, threads, &context));
        let query = PairQuery { left: &left_values, right: right_values.as_ref(), radii: &radii };
        let naive = naive_pairs(&left, right.as_ref(), &radii);
        let before = context.used();
        let plans = pool(threads).install(|| options(&query, true, &Costs::cpu(), &context)).unwrap();
        prop_assert!(plans[0].is_brute_force());
        for plan in plans {
            let found = found_pairs(&query, &plan, threads, &context).unwrap();
            prop_assert_eq!(&found, &naive, "{:?}", plan);
            prop_assert_eq!(context.used(), before, "memory was lost: {:?}", plan);
        }
    }

    #[test]
    fn values_are_the_distinct_rows((widths, _, table, _) in tables(), threads in 1usize..=3) {
        let context = unlimited();
        let values = values(&table, &widths, threads, &context);
        let mut seen = vec![false; table.len()];
        let mut firsts = Vec::new();
        for value in 0..values.count() as u32 {
            let members = values.members(value);
            prop_assert!(members.as_slice().is_sorted());
            firsts.push(members.as_slice()[0]);
            for &row in members.as_slice() {
                prop_assert!(!std::mem::replace(&mut seen[row as usize], true));
                for (column, hash) in table[row as usize].iter().enumerate() {
                    prop_assert_eq!(&values.hash(value, column), hash);
                }
            }
        }
        prop_assert!(firsts.is_sorted() && seen.into_iter().all(|seen| seen));
        let mut distinct = table.clone();
        distinct.sort();
        distinct.dedup();
        prop_assert_eq!(values.count(), distinct.len());
        prop_assert_eq!(values.equal_pairs(), naive_pairs(&table, None, &vec![0; widths.len()]).len() as u64);
        values.free(&context);
        prop_assert_eq!(context.used(), 0);
    }
}

fn table_of(hashes: impl IntoIterator<Item = u64>) -> Table {
    hashes.into_iter().map(|hash| vec![hash.to_be_bytes().to_vec()]).collect()
}

/// Large enough that work is shared, there are many parts and large buckets; the chosen plan against brute force.
#[test]
fn large_sets_by_every_plan() {
    let context = unlimited();
    let planes = |words, count| lumina_sets::uniform(words, count, 6 * words, 3);
    let wide: Table = {
        let (words, count) = (4, 3000);
        let planes = planes(words, count);
        let hash = |row| (0..words).flat_map(|p| u64::to_be_bytes(planes[p * count + row])).collect::<Vec<u8>>();
        (0..count).map(|row| vec![hash(row)]).collect()
    };
    let sets = [
        (table_of(planes(1, 20_000)), 64, vec![0, 1, 5, 9]),
        (table_of(lumina_sets::photo(20_000, 3)), 64, vec![0, 3, 6]),
        (table_of((0..5000).map(|i| i % 3)), 64, vec![1]),
        (wide, 256, vec![31, 90]),
    ];
    for (table, bits, radii) in sets {
        let values = values(&table, &[bits], 2, &context);
        for radius in radii {
            let radii = [radius];
            let query = PairQuery { left: &values, right: None, radii: &radii };
            let plans = pool(2).install(|| options(&query, true, &Costs::cpu(), &context)).unwrap();
            let truth = found_pairs(&query, &plans[0], 1, &context).unwrap();
            assert!(!truth.is_empty());
            for plan in &plans[1..] {
                let found = found_pairs(&query, plan, 3, &context).unwrap();
                assert!(found == truth, "{radius} {plan:?}: {} instead of {}", found.len(), truth.len());
            }
        }
    }
}

/// One bucket so large that its comparison is shared among threads.
#[test]
fn one_large_bucket() {
    let context = unlimited();
    // All differ in their last 13 bits alone.
    let table = table_of((0..8192u64).map(|i| i | 0xabcd << 40));
    let values = values(&table, &[64], 2, &context);
    let query = PairQuery { left: &values, right: None, radii: &[1] };
    for plan in pool(2).install(|| options(&query, true, &Costs::cpu(), &context)).unwrap() {
        let found = found_pairs(&query, &plan, 2, &context).unwrap();
        assert_eq!(found.len(), 8192 * 13 / 2, "{plan:?}");
    }
}

#[test]
fn the_cost_model_prefers_what_is_cheaper() {
    let context = unlimited();
    let choose = |hashes: Vec<u64>, radius: u32| {
        let values = values(&table_of(hashes), &[64], 2, &context);
        pool(2)
            .install(|| {
                Plan::choose(&PairQuery { left: &values, right: None, radii: &[radius] }, &Costs::cpu(), &context)
            })
            .unwrap()
    };
    let uniform = |count| lumina_sets::uniform(1, count, 6, 3);
    assert!(choose(uniform(1000), 5).is_brute_force(), "a small set");
    assert!(choose(uniform(50_000), 40).is_brute_force(), "a large distance");
    let banded = choose(uniform(50_000), 5);
    assert!(!banded.is_brute_force() && banded.flips() < 200, "{banded:?}");
    // An exact cover assigns all slots.
    assert_eq!(banded.bands().map(|(_, tolerance)| tolerance + 1).sum::<u32>(), 6);
    // Hashes that differ in the lowest 16 bits alone: most bands are equal for all, and none helps.
    let narrow = choose((0..50_000).collect(), 5);
    assert!(narrow.is_brute_force() || narrow.candidates > banded.candidates, "{narrow:?}");
    let photo = choose(lumina_sets::photo(50_000, 3), 5);
    assert!(photo.candidates > banded.candidates && photo.cost > banded.cost, "{photo:?}");
}

/// As measured on an NVIDIA H200: brute force is faster below some 60,000 hashes of 64 bits within 5, and for 256 bits
/// within 90 at any size; a search takes less time than on a core.
#[test]
fn the_cost_model_knows_what_pays_on_a_gpu() {
    let context = unlimited();
    let choose = |count: usize, words: usize, radius: u32, costs: &Costs| {
        let widths = [64 * words];
        let mut rows = HashRows::new(&widths);
        for hash in lumina_sets::uniform(words, count, 6, 3).chunks(words) {
            let bytes: Vec<u8> = hash.iter().flat_map(|word| word.to_be_bytes()).collect();
            rows.push([&bytes[..]], &context).unwrap();
        }
        let values = pool(2).install(|| Values::collapse(rows, &context)).unwrap();
        let query = PairQuery { left: &values, right: None, radii: &[radius] };
        pool(2).install(|| Plan::choose(&query, costs, &context)).unwrap()
    };
    let rate = 1.2e13;
    assert!(choose(10_000, 1, 5, &Costs::gpu(rate, 1)).is_brute_force());
    let banded = choose(300_000, 1, 5, &Costs::gpu(rate, 1));
    assert!(!banded.is_brute_force() && banded.cost < choose(300_000, 1, 5, &Costs::cpu()).cost / 10.0, "{banded:?}");
    let wide = choose(50_000, 4, 90, &Costs::gpu(rate, 4));
    // 1.25e9 pairs at that rate, plus the copy and the fixed cost of a search.
    assert!(wide.is_brute_force() && (0.1e6..2e6).contains(&wide.cost), "{wide:?}");
    assert!(choose(50_000, 4, 90, &Costs::gpu(rate / 10.0, 4)).cost > wide.cost);
}

/// The estimate of compared pairs is right within a factor of two.
#[test]
fn candidates_are_estimated_on_the_data() {
    let context = unlimited();
    let hashes = lumina_sets::photo(50_000, 5);
    let values = values(&table_of(hashes), &[64], 2, &context);
    let query = PairQuery { left: &values, right: None, radii: &[5] };
    for plan in pool(2).install(|| options(&query, true, &Costs::cpu(), &context)).unwrap().iter().skip(1) {
        let mut compared = 0f64;
        for part in &plan.bands {
            let mut buckets = vec![0f64; 1 << part.band.width];
            for value in 0..values.count() {
                buckets[part.band.value(|plane| values.planes().word(plane, value)) as usize] += 1.0;
            }
            for mask in lumina_hash::bands::flips(part.band.width as usize, part.tolerance) {
                let met = |bucket: usize| buckets[bucket] * (buckets[bucket ^ mask as usize] - f64::from(mask == 0));
                compared += (0..buckets.len()).map(met).sum::<f64>() / 2.0;
            }
        }
        let ratio = plan.candidates / compared;
        assert!((0.5..2.0).contains(&ratio), "{ratio} {plan:?}");
    }
}

#[test]
fn a_limit_names_the_hashes_with_most_pairs() {
    let context = unlimited();
    // A popular value near many others, which are far from one another.
    let ball = (0..64).flat_map(|a| (a + 1..64).map(move |b| 1u64 << a | 1 << b));
    let table = table_of(std::iter::repeat_n(0, 50).chain(ball));
    let values = values(&table, &[64], 2, &context);
    let query = PairQuery { left: &values, right: None, radii: &[2] };
    let plan = pool(2).install(|| Plan::choose(&query, &Costs::cpu(), &context)).unwrap();
    let limited = |limit| {
        let mut expansion = Expansion::new(&values, None, limit);
        let mut emitted = 0u64;
        let result = expansion.equals(|_, _| emitted += 1).and_then(|()| {
            let take = |batch: PairBatch| expansion.batch(&batch, |_, _, _| emitted += 1);
            run_on_pool(pool(2), &unlimited(), |sink| find_pairs(&query, &plan, &unlimited(), sink), take, || ())
        });
        assert!(emitted <= limit, "{emitted} pairs handed out");
        result
    };
    let all = naive_pairs(&table, None, &[2]).len() as u64;
    assert_eq!(limited(all), Ok(()));
    for limit in [100, 50_000, all - 1] {
        let Err(SearchError::TooManyPairs { limit: named, most_pairs }) = limited(limit) else { panic!("not refused") };
        assert_eq!(named, limit);
        assert_eq!(most_pairs[0].hashes, [[0; 8]], "{most_pairs:?}");
        assert!(
            most_pairs.len() <= 3 && most_pairs[0].share > 0.4 && most_pairs.get(1).is_none_or(|next| next.share < 0.1),
            "{most_pairs:?}"
        );
    }
}

#[test]
fn memory_is_counted_and_refused() {
    let table = table_of(lumina_sets::uniform(1, 50_000, 6, 3));
    let generous = unlimited();
    let whole = |context: &SearchContext| -> Result<usize, SearchError> {
        let mut rows = HashRows::new(&[64]);
        for row in &table {
            rows.push(row.iter().map(|hash| &hash[..]), context)?;
        }
        let values = pool(2).install(|| Values::collapse(rows, context))?;
        let query = PairQuery { left: &values, right: None, radii: &[5] };
        let plan = pool(2).install(|| Plan::choose(&query, &Costs::cpu(), context))?;
        let mut pairs = 0;
        let take = |batch: PairBatch| {
            pairs += batch.pairs.len();
            batch.free(context);
            Ok(())
        };
        run_on_pool(pool(2), context, |sink| find_pairs(&query, &plan, context, sink), take, || ())?;
        values.free(context);
        Ok(pairs)
    };
    let pairs = whole(&generous).unwrap();
    assert_eq!(generous.used(), 0, "all that was counted was released");
    let mut refused = 0;
    for limit in (0..=generous.peak() + (2 << 20)).step_by(64 << 10) {
        let context = SearchContext::new(limit);
        match whole(&context) {
            Ok(found) => assert_eq!(found, pairs),
            Err(SearchError::OverBudget { needed, limit: named }) => {
                refused += 1;
                assert!(named == limit && needed > limit && context.peak() <= limit, "{needed} {limit}");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(refused > 5);
}

#[test]
fn a_cancelled_search_ends() {
    let context = unlimited();
    let values = values(&table_of(lumina_sets::uniform(1, 50_000, 6, 3)), &[64], 2, &context);
    let query = PairQuery { left: &values, right: None, radii: &[40] };
    let plan = pool(2).install(|| Plan::choose(&query, &Costs::cpu(), &context)).unwrap();
    // By the flag, between batches.
    let cancelled = SearchContext::new(1 << 30);
    let result = run_on_pool(
        pool(2),
        &cancelled,
        |sink| find_pairs(&query, &plan, &cancelled, sink),
        |batch| {
            batch.free(&cancelled);
            Ok(())
        },
        || cancelled.cancel(),
    );
    assert_eq!(result, Err(SearchError::Cancelled));
    // By an error, while the threads wait to send.
    let refused = SearchContext::new(1 << 30);
    let error = SearchError::TooManyRows { limit: 7 };
    let result =
        run_on_pool(pool(2), &refused, |sink| find_pairs(&query, &plan, &refused, sink), |_| Err(error.clone()), || ());
    assert_eq!(result, Err(error));
    assert_eq!(refused.check(), Err(SearchError::Cancelled));
    // By a panic of the calling thread, like an error of Postgres.
    let unwound = SearchContext::new(1 << 30);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run_on_pool(
            pool(2),
            &unwound,
            |sink| find_pairs(&query, &plan, &unwound, sink),
            |_| panic!("interrupted"),
            || (),
        )
    }));
    assert!(panic.is_err());
    assert_eq!(unwound.check(), Err(SearchError::Cancelled));
    // A panic of a thread reaches the caller.
    let panic = std::panic::catch_unwind(|| {
        run_on_pool(pool(2), &unlimited(), |_| -> Result<(), SearchError> { panic!("a bug") }, |_| Ok(()), || ())
    });
    assert!(panic.is_err());
}

#[test]
fn nothing_and_little() {
    let context = unlimited();
    for count in 0..3 {
        let values = values(&table_of(std::iter::repeat_n(7, count)), &[64], 2, &context);
        for right in [None, Some(&values)] {
            let query = PairQuery { left: &values, right, radii: &[64] };
            for plan in pool(2).install(|| options(&query, true, &Costs::cpu(), &context)).unwrap() {
                let found = found_pairs(&query, &plan, 2, &context).unwrap();
                let pairs = if right.is_some() { count * count } else { count * count.saturating_sub(1) / 2 };
                assert_eq!(found.len(), pairs);
            }
        }
        let edges = Edges::new(&values, &Rule::all(&[64]), None, 10);
        let form = || Groups::form(&values, edges, Strategy::Clique, Primary::Central, &context);
        let groups = pool(2).install(form).unwrap();
        assert_eq!(groups.len(), usize::from(count == 2));
    }
}
