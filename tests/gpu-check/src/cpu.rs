//! Searches on the CPU, by `crates/search`, for comparison.

use crate::Error;
use crate::engine::Take;
use lumina_search::{Batch, Context, Plan, Search, session};
use rayon::ThreadPool;
use std::time::{Duration, Instant};

/// Searches; returns the duration.
pub(crate) fn find(
    pool: &ThreadPool,
    search: &Search<'_>,
    plan: &Plan,
    context: &Context,
    take: &mut Take<'_>,
) -> Result<Duration, Error> {
    let began = Instant::now();
    let mut numbers = Vec::new();
    let mut take = |batch: Batch| {
        numbers.clear();
        numbers.extend(batch.pairs.iter().map(|pair| (pair.left, pair.right)));
        take(&numbers, &batch.distances);
        batch.free(context);
        Ok(())
    };
    session::run(pool, context, |sink| search.run(plan, context, sink), &mut take, || ())?;
    Ok(began.elapsed())
}
