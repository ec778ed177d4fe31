//! Executors of searches: the threads, and the devices that find pairs.
//!
//! Procedures of several steps, such as [`crate::group::find_groups`], are written over [`Executor`], so that they know
//! neither Postgres nor a GPU. The extension's is the session of `src/search`, which chooses a device for each query
//! and checks for interrupts; [`CpuExecutor`] is one for everything else.

use crate::batch::PairResults;
use crate::context::SearchContext;
use crate::error::SearchError;
use crate::join::find_pairs;
use crate::plan::{Costs, Plan};
use crate::pool::run_on_pool;
use crate::query::PairQuery;
use rayon::ThreadPool;

/// Executes the steps of a search, for the thread that calls it.
pub trait Executor {
    /// Why a step fails.
    type Error: From<SearchError>;

    /// The memory and the cancel flag.
    fn context(&self) -> &SearchContext;

    /// Runs `work` on the threads, and waits for it.
    fn on_threads<R: Send>(
        &self,
        work: impl FnOnce(&SearchContext) -> Result<R, SearchError> + Send,
    ) -> Result<R, Self::Error>;

    /// Finds all pairs of a query. Each attempt, of which there is another one where a device fails, calls
    /// `results.begin`, then passes all that it finds to `results.take`.
    fn find_pairs(&self, query: &PairQuery<'_>, results: &mut dyn PairResults) -> Result<(), Self::Error>;
}

/// Executes on a pool of threads, and is cancelled by its context alone.
#[derive(Debug, Clone, Copy)]
pub struct CpuExecutor<'a> {
    /// The threads.
    pub pool: &'a ThreadPool,
    /// The memory and the cancel flag.
    pub context: &'a SearchContext,
}

impl Executor for CpuExecutor<'_> {
    type Error = SearchError;

    fn context(&self) -> &SearchContext {
        self.context
    }

    fn on_threads<R: Send>(
        &self,
        work: impl FnOnce(&SearchContext) -> Result<R, SearchError> + Send,
    ) -> Result<R, SearchError> {
        self.pool.install(|| work(self.context))
    }

    fn find_pairs(&self, query: &PairQuery<'_>, results: &mut dyn PairResults) -> Result<(), SearchError> {
        let plan = self.on_threads(|context| Plan::choose(query, &Costs::cpu(), context))?;
        results.begin()?;
        let take = |batch| {
            results.take(&batch)?;
            batch.free(self.context);
            Ok(())
        };
        run_on_pool(self.pool, self.context, |sink| find_pairs(query, &plan, self.context, sink), take, || ())
    }
}
