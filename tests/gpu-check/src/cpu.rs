//! Searches on the CPU, by `crates/search`, for comparison.

use crate::Error;
use crate::engine::Take;
use lumina_search::{PairBatch, PairQuery, Plan, SearchContext, find_pairs, run_on_pool};
use rayon::ThreadPool;
use std::time::{Duration, Instant};

/// Searches; returns the duration.
pub(crate) fn find(
    pool: &ThreadPool,
    query: &PairQuery<'_>,
    plan: &Plan,
    context: &SearchContext,
    take: &mut Take<'_>,
) -> Result<Duration, Error> {
    let began = Instant::now();
    let mut numbers = Vec::new();
    let mut take = |batch: PairBatch| {
        numbers.clear();
        numbers.extend(batch.pairs.iter().map(|pair| (pair.left, pair.right)));
        take(&numbers, &batch.distances);
        batch.free(context);
        Ok(())
    };
    run_on_pool(pool, context, |sink| find_pairs(query, plan, context, sink), &mut take, || ())?;
    Ok(began.elapsed())
}
