//! Which rows are connected to given hashes by near pairs: those near a hash, those near these, and so on.
//!
//! Called by the job that continues an earlier search: groups depend on nothing beyond what is connected. Each step is
//! a search of the rows that were reached last against all rows, by an [`Executor`]; there are as many steps as the
//! longest of the shortest chains has pairs, hardly ever more than five.

use crate::batch::{PairBatch, PairResults};
use crate::context::SearchContext;
use crate::error::SearchError;
use crate::executor::Executor;
use crate::query::PairQuery;
use crate::rows::HashRows;
use crate::rule::Rule;
use crate::values::Values;

/// The rows of `values` that are connected to `hashes`, ascending; `None` where there are more than `most`. Requires:
/// the columns of both are as wide.
pub fn find_connected<X: Executor>(
    executor: &X,
    hashes: HashRows,
    values: &Values,
    rule: &Rule,
    most: usize,
) -> Result<Option<Vec<u32>>, X::Error> {
    let context = executor.context();
    let mut reached = Reached { is_reached: context.filled(values.count(), false)?, last: Vec::new(), context };
    let mut rows = Vec::new();
    let mut next = hashes;
    loop {
        let left = executor.on_threads(|context| Values::collapse(next, context))?;
        for radii in rule.alternatives() {
            let query = PairQuery { left: &left, right: Some(values), radii };
            executor.find_pairs(&query, &mut reached)?;
        }
        left.free(context);
        next = HashRows::new(values.widths());
        for &value in &reached.last {
            for row in values.members(value).as_slice() {
                context.push(&mut rows, *row)?;
            }
            let hashes: Vec<Vec<u8>> = (0..values.widths().len()).map(|column| values.hash(value, column)).collect();
            next.push(hashes.iter().map(Vec::as_slice), context)?;
        }
        reached.last.clear();
        if rows.len() > most {
            return Ok(None);
        } else if next.is_empty() {
            break;
        }
    }
    context.free(reached.is_reached);
    context.free(reached.last);
    rows.sort_unstable();
    Ok(Some(rows))
}

/// The values that were reached.
struct Reached<'c> {
    is_reached: Vec<bool>,
    /// Those that were reached by the last step.
    last: Vec<u32>,
    context: &'c SearchContext,
}

impl PairResults for Reached<'_> {
    fn begin(&mut self) -> Result<(), SearchError> {
        Ok(()) // what an earlier attempt has found is reached, and found again
    }

    fn take(&mut self, batch: &PairBatch) -> Result<(), SearchError> {
        for pair in &batch.pairs {
            if !std::mem::replace(&mut self.is_reached[pair.right as usize], true) {
                self.context.push(&mut self.last, pair.right)?;
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
    use crate::tests::{Table, pool, unlimited, values};
    use proptest::prelude::*;

    /// By comparing every row with every other, until nothing is added.
    fn naive(table: &Table, hashes: &[Vec<Vec<u8>>], rule: &Rule) -> Vec<u32> {
        let mut reached = vec![false; table.len()];
        loop {
            let is_near = |row: &usize| {
                let others = (0..table.len()).filter(|other| reached[*other]).map(|other| &table[other]);
                hashes.iter().chain(others).any(|other| naive_rule(other, &table[*row], rule))
            };
            let new: Vec<usize> = (0..table.len()).filter(|row| !reached[*row] && is_near(row)).collect();
            if new.is_empty() {
                return (0..table.len() as u32).filter(|row| reached[*row as usize]).collect();
            }
            new.into_iter().for_each(|row| reached[row] = true);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// The first rows of a table are the hashes, the others the rows.
        #[test]
        fn as_by_definition((widths, rule, table) in rules(), count in 0usize..8, threads in 1usize..=3) {
            let context = unlimited();
            let (hashes, table) = table.split_at(count.min(table.len()));
            let table = table.to_vec();
            let mut rows = HashRows::new(&widths);
            for row in hashes {
                rows.push(row.iter().map(Vec::as_slice), &context).unwrap();
            }
            let expected = naive(&table, hashes, &rule);
            let values = values(&table, &widths, threads, &context);
            let executor = CpuExecutor { pool: pool(threads), context: &context };
            let found = find_connected(&executor, rows, &values, &rule, table.len()).unwrap();
            prop_assert_eq!(found.as_ref(), Some(&expected));
        }
    }

    /// More than are wanted are none.
    #[test]
    fn no_more_than_most() {
        let context = unlimited();
        let table: Table = (0..5u8).map(|row| vec![vec![(1 << row) - 1]]).collect();
        let values = values(&table, &[8], 1, &context);
        let executor = CpuExecutor { pool: pool(1), context: &context };
        let rule = Rule::all(&[1]);
        let found = |most| {
            let mut rows = HashRows::new(&[8]);
            rows.push([&[0b1000_0000u8][..]], &context).unwrap();
            find_connected(&executor, rows, &values, &rule, most).unwrap()
        };
        assert_eq!(found(5), Some(vec![0, 1, 2, 3, 4])); // a chain
        assert_eq!(found(4), None);
    }
}
