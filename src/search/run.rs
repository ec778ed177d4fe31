//! The threads of a search, while this backend stays awake: it looks for interrupts every few milliseconds, and takes
//! what the threads have found. What all functions have in common beside: the plan, and whom to blame for too many pairs.

use crate::error::LuminaError;
use crate::guc::{self, Device};
use crate::pg::allocator::{hold_reserve, reserve_spent};
use crate::pg::report::say;
use crate::pg::slot::Slot;
use crate::pg::threads::{room_for_threads, with_signals_blocked};
use lumina_search::{Batch, Blame, Context, Plan, Search, SearchError, Sink};
use pgrx::PgLogLevel;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::cell::OnceCell;
use std::time::Instant;

/// A search that is running: its place among the searches of the server, its threads, its memory.
pub(crate) struct Run<'a> {
    context: Context,
    /// Called now and then: whether the search is not wanted any more.
    watch: Option<&'a dyn Fn() -> bool>,
    threads: usize,
    pool: OnceCell<ThreadPool>,
    began: Instant,
    phase_began: Instant,
    _slot: Slot,
}

/// Enough for rayon's recursion, which goes as deep as the logarithm of the work.
const STACK: usize = 1 << 20;

impl Run<'static> {
    /// Takes a slot. Errors: 53400, where too many searches run; 53200.
    pub(crate) fn begin() -> Result<Self, LuminaError> {
        Self::with(Slot::take()?, None)
    }
}

impl<'a> Run<'a> {
    /// The same for a search that no transaction is around. `watch` is called now and then, and stops the search by true.
    pub(crate) fn begin_for_session(watch: &'a dyn Fn() -> bool) -> Result<Self, LuminaError> {
        Self::with(Slot::take_for_session()?, Some(watch))
    }

    fn with(slot: Slot, watch: Option<&'a dyn Fn() -> bool>) -> Result<Self, LuminaError> {
        if !hold_reserve() {
            return Err(LuminaError::OutOfMemory);
        }
        if guc::device() == Device::Cuda {
            say(PgLogLevel::NOTICE, "this build searches on the CPU alone; lumina.device = cuda has no effect");
        }
        let threads = guc::search_threads();
        let now = Instant::now();
        let context = Context::new(guc::search_memory().value);
        Ok(Run { context, watch, threads, pool: OnceCell::new(), began: now, phase_began: now, _slot: slot })
    }

    /// The memory and the cancel flag.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// How many threads.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// The threads, started when they are first needed: not while a query is read. Errors: 53000.
    fn pool(&self) -> Result<&ThreadPool, LuminaError> {
        if let Some(pool) = self.pool.get() {
            return Ok(pool);
        }
        let threads = self.threads;
        if !room_for_threads(threads, STACK) {
            return Err(LuminaError::OutOfMemory);
        }
        let pool = with_signals_blocked(|| {
            let builder = ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK);
            builder.thread_name(|thread| format!("lumina {thread}")).build()
        });
        if let Ok(pool) = &pool {
            pool.broadcast(|_| ()); // all of them are set up
        }
        let pool = pool.map_err(|error| LuminaError::Threads { threads, why: error.to_string() })?;
        Ok(self.pool.get_or_init(|| pool))
    }

    /// Says, at level DEBUG1, how long the phase took that ends now.
    pub(crate) fn phase(&mut self, what: &str) {
        let milliseconds = self.phase_began.elapsed().as_secs_f64() * 1e3;
        let used = self.context.used() / 1024;
        say(PgLogLevel::DEBUG1, &format!("lumina: {what} in {milliseconds:.1} ms, {used} kB in use"));
        self.phase_began = Instant::now();
    }

    /// Says, at level DEBUG1, how long all of it took.
    pub(crate) fn finish(mut self, what: &str) {
        self.phase_began = self.began;
        say(PgLogLevel::DEBUG1, &format!("lumina: at most {} kB were in use", self.context.peak() / 1024));
        self.phase(&format!("{what}, all phases together,"));
    }

    /// Runs `job` on the threads; `take` is given what it sends.
    pub(crate) fn stream<R: Send>(
        &self,
        job: impl FnOnce(&Context, &Sink<'_>) -> Result<R, SearchError> + Send,
        take: impl FnMut(Batch) -> Result<(), SearchError>,
    ) -> Result<R, LuminaError> {
        let context = &self.context;
        let result = lumina_search::run(self.pool()?, context, |sink| job(context, sink), take, || self.tick());
        if reserve_spent() { Err(LuminaError::OutOfMemory) } else { Ok(result?) }
    }

    /// Looks for interrupts, and whether the search is still wanted: if not, it is cancelled.
    pub(crate) fn tick(&self) {
        pgrx::check_for_interrupts!();
        if reserve_spent() || self.watch.is_some_and(|watch| watch()) {
            self.context.cancel();
        }
    }

    /// Runs `job` on the threads.
    pub(crate) fn job<R: Send>(
        &self,
        job: impl FnOnce(&Context, &Sink<'_>) -> Result<R, SearchError> + Send,
    ) -> Result<R, LuminaError> {
        self.stream(job, |batch| {
            batch.free(&self.context);
            Ok(())
        })
    }
    /// The plan for a search, said at level DEBUG1.
    pub(crate) fn plan(&mut self, search: &Search<'_>) -> Result<Plan, LuminaError> {
        let plan = self.job(|context, _| Plan::choose(search, context))?;
        let bands: Vec<String> = plan.bands().map(|(width, tolerance)| format!("{width}±{tolerance}")).collect();
        let method = if plan.is_brute_force() { "brute force".into() } else { format!("bands {}", bands.join(" ")) };
        self.phase(&format!("planned {method}, {:.0} candidates", plan.candidates));
        Ok(plan)
    }
}

/// Puts the hashes that are to blame for too many pairs into words, and names the setting that allows no more.
pub(crate) fn blame(error: LuminaError, search: &Search<'_>, setting: &'static str) -> LuminaError {
    let LuminaError::Search(SearchError::TooManyPairs { limit, blame }) = error else { return error };
    let text = |blame: &Blame| {
        let values = search.right.filter(|_| blame.right).unwrap_or(search.left);
        let column = |column| lumina_hash::hex::to_string(&values.hash(blame.value, column));
        let hashes: Vec<String> = (0..values.widths().len()).map(column).collect();
        (hashes.join(", "), blame.share)
    };
    let mut hashes: Vec<(String, f64)> = blame.iter().map(text).collect();
    hashes.dedup_by(|b, a| a.0 == b.0); // the same one on both sides
    LuminaError::TooManyPairs { limit, setting, hashes }
}
