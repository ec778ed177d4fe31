//! Which rows of a set are near given hashes, by a rule with alternatives.
//!
//! Called by the job that continues an earlier search, step by step: which images are near those that have changed, and
//! which near these.

use crate::batch::{PairBatch, PairResults};
use crate::context::SearchContext;
use crate::error::SearchError;
use crate::executor::Executor;
use crate::query::PairQuery;
use crate::rows::HashRows;
use crate::rule::Rule;
use crate::values::Values;

/// The rows of `values` that are near one of `hashes`, ascending. Requires: the columns of both are as wide.
pub fn find_near_rows<X: Executor>(
    executor: &X,
    hashes: HashRows,
    values: &Values,
    rule: &Rule,
) -> Result<Vec<u32>, X::Error> {
    let context = executor.context();
    let mut near = NearValues { is_near: context.filled(values.count(), false)?, found: Vec::new(), context };
    let left = executor.on_threads(|context| Values::collapse(hashes, context))?;
    for radii in rule.alternatives() {
        let query = PairQuery { left: &left, right: Some(values), radii };
        executor.find_pairs(&query, &mut near)?;
    }
    left.free(context);
    context.free(near.is_near);
    let mut rows = Vec::new();
    for &value in &near.found {
        for row in values.members(value).as_slice() {
            context.push(&mut rows, *row)?;
        }
    }
    context.free(near.found);
    rows.sort_unstable();
    Ok(rows)
}

/// The values that were found, each once.
struct NearValues<'c> {
    is_near: Vec<bool>,
    found: Vec<u32>,
    context: &'c SearchContext,
}

impl PairResults for NearValues<'_> {
    fn begin(&mut self) -> Result<(), SearchError> {
        Ok(()) // what an earlier attempt has found is near, and found again
    }

    fn take(&mut self, batch: &PairBatch) -> Result<(), SearchError> {
        for pair in &batch.pairs {
            if !std::mem::replace(&mut self.is_near[pair.right as usize], true) {
                self.context.push(&mut self.found, pair.right)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::CpuExecutor;
    use crate::rule::tests::{naive_rule, rules};
    use crate::tests::{pool, unlimited, values};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// The first rows of a table are the hashes, the others the rows.
        #[test]
        fn as_by_comparing_all((widths, rule, table) in rules(), count in 0usize..8, threads in 1usize..=3) {
            let context = unlimited();
            let (hashes, table) = table.split_at(count.min(table.len()));
            let table = table.to_vec();
            let mut rows = HashRows::new(&widths);
            for row in hashes {
                rows.push(row.iter().map(Vec::as_slice), &context).unwrap();
            }
            let is_near = |row: &u32| hashes.iter().any(|hash| naive_rule(hash, &table[*row as usize], &rule));
            let expected: Vec<u32> = (0..table.len() as u32).filter(is_near).collect();
            let values = values(&table, &widths, threads, &context);
            let executor = CpuExecutor { pool: pool(threads), context: &context };
            prop_assert_eq!(find_near_rows(&executor, rows, &values, &rule).unwrap(), expected);
        }
    }
}
