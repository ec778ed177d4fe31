//! The session of a search: its place, its threads, its memory. While threads work, the backend checks for interrupts
//! every few milliseconds, and takes what the threads have found.
//!
//! Begun by the functions of this folder and by the jobs `detect_duplicates` and `detect_bursts`; `device.rs` executes
//! queries in it.
//!
//! A search takes one of the server's places before it starts threads, or earlier, when the rows of its query take more
//! than `work_mem`: the places bound threads and memory, but for what any statement may take. Until then it has none,
//! since a user's query may take any time. Nested searches share a place and one grant of memory.

use super::error::BulkError;
use crate::error::{LuminaError, OutOfMemory};
use crate::gpu::connect::START_TIMEOUT;
use crate::guc::{self, Bound};
use crate::pg::backend::allocator::{hold_reserve, reserve_spent};
use crate::pg::backend::place::SearchPlace;
use crate::pg::backend::report::ereport;
use crate::pg::backend::threads::{room_for_threads, with_signals_blocked};
use crate::pg::fmgr::error::ThreadsNotStarted;
use crate::pg::planner::path::work_memory;
use lumina_search::{PairBatch, PairSink, SearchContext, SearchError, ValueShare, run_on_pool};
use pgrx::PgLogLevel;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// A running search: its place, its threads, its memory.
pub(crate) struct SearchSession<'a> {
    context: Rc<SearchContext>,
    /// The context of the enclosing search.
    outer: Weak<SearchContext>,
    /// Bytes that it may use before it takes a place.
    without_place: usize,
    /// Called now and then: true cancels the search.
    is_cancelled: Option<&'a dyn Fn() -> bool>,
    threads: usize,
    pool: OnceCell<ThreadPool>,
    began: Instant,
    phase_began: Cell<Instant>,
    max_pairs: OnceCell<Bound>,
    place: OnceCell<SearchPlace>,
    /// Whether the GPU has failed this search: the CPU does the rest.
    pub(super) without_gpu: Cell<bool>,
    /// Whether the GPU that the user asked for was available.
    pub(super) had_gpu: Cell<bool>,
    /// How long it waits for a GPU process to start.
    pub(super) gpu_timeout: Cell<Duration>,
}

thread_local! {
    /// The memory of the innermost search of this backend.
    static INNERMOST: RefCell<Weak<SearchContext>> = const { RefCell::new(Weak::new()) };
}

/// Enough for rayon's recursion, which goes as deep as the logarithm of the work.
const STACK: usize = 1 << 20;

impl SearchSession<'static> {
    /// Begins a search without a place. Errors: 53400, where none is free, so that nothing is read in vain; 53200.
    pub(crate) fn begin() -> Result<Self, LuminaError> {
        SearchPlace::check()?;
        Self::with(None, None)
    }
}

impl<'a> SearchSession<'a> {
    /// Begins a search outside a transaction: it takes its place at once, as it reads no user's query. `is_cancelled`
    /// is called now and then; true cancels the search. Errors: 53400, where no place is free.
    pub(crate) fn begin_outside_transaction(is_cancelled: &'a dyn Fn() -> bool) -> Result<Self, LuminaError> {
        Self::with(Some(SearchPlace::take_for_session()?), Some(is_cancelled))
    }

    fn with(place: Option<SearchPlace>, is_cancelled: Option<&'a dyn Fn() -> bool>) -> Result<Self, LuminaError> {
        if !hold_reserve() {
            return Err(OutOfMemory.into());
        }
        let threads = guc::search_threads();
        let now = Instant::now();
        let context = Rc::new(SearchContext::new(guc::search_memory().value));
        let outer = INNERMOST.with_borrow(Weak::clone);
        // The enclosing search waits meanwhile: its memory counts here as well.
        context.take(outer.upgrade().map_or(0, |outer| outer.used()))?;
        INNERMOST.set(Rc::downgrade(&context));
        let place = place.map_or_else(OnceCell::new, OnceCell::from);
        Ok(SearchSession {
            context,
            outer,
            without_place: work_memory(),
            is_cancelled,
            threads,
            pool: OnceCell::new(),
            began: now,
            phase_began: Cell::new(now),
            max_pairs: OnceCell::new(),
            place,
            without_gpu: Cell::new(false),
            had_gpu: Cell::new(false),
            gpu_timeout: Cell::new(START_TIMEOUT),
        })
    }

    /// Takes a place, if it has none, and waits for a while where none is free. Errors: 53400.
    fn take_place(&self) -> Result<(), LuminaError> {
        if self.place.get().is_none() {
            let place = SearchPlace::take()?;
            self.place.get_or_init(|| place);
        }
        Ok(())
    }

    /// Called for every row that is read: above `work_mem` it takes a place. Errors: 53400, where none is free.
    #[inline]
    pub(crate) fn row_is_read(&self) -> Result<(), LuminaError> {
        if self.context.used() > self.without_place { self.take_place() } else { Ok(()) }
    }

    /// The memory and the cancel flag.
    pub(crate) fn context(&self) -> &SearchContext {
        &self.context
    }

    /// The most pairs, as it was when this was first asked for, and the setting that says so.
    pub(crate) fn max_pairs(&self) -> Bound {
        *self.max_pairs.get_or_init(guc::max_pairs)
    }

    /// The number of threads.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// The thread pool, started at its first use, after the query was read. The search has a place then. Errors: 53000,
    /// 53200, 53400.
    fn pool(&self) -> Result<&ThreadPool, LuminaError> {
        if let Some(pool) = self.pool.get() {
            return Ok(pool);
        }
        self.take_place()?;
        let threads = self.threads;
        if !room_for_threads(threads, STACK) {
            return Err(OutOfMemory.into());
        }
        let pool = with_signals_blocked(|| {
            let builder = ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK);
            builder.thread_name(|thread| format!("lumina {thread}")).build()
        });
        if let Ok(pool) = &pool {
            pool.broadcast(|_| ()); // all of them are set up
        }
        let pool = pool.map_err(|error| ThreadsNotStarted { threads, why: error.to_string() })?;
        Ok(self.pool.get_or_init(|| pool))
    }

    /// Logs, at level DEBUG1, how long the phase took that ends now.
    pub(crate) fn phase(&self, what: &str) {
        let milliseconds = self.phase_began.get().elapsed().as_secs_f64() * 1e3;
        let used = self.context.used() / 1024;
        ereport(PgLogLevel::DEBUG1, &format!("lumina: {what} in {milliseconds:.1} ms, {used} kB in use"));
        self.phase_began.set(Instant::now());
    }

    /// Logs, at level DEBUG1, how long the search took.
    pub(crate) fn finish(self, what: &str) {
        self.phase_began.set(self.began);
        ereport(PgLogLevel::DEBUG1, &format!("lumina: at most {} kB were in use", self.context.peak() / 1024));
        self.phase(&format!("{what}, all phases together,"));
    }

    /// Runs `work` on the threads, and passes what it sends to `take`. Errors: those of the work and of `take`, 53000,
    /// 53200, 53400.
    pub(super) fn stream<R: Send>(
        &self,
        work: impl FnOnce(&SearchContext, &PairSink<'_>) -> Result<R, SearchError> + Send,
        take: impl FnMut(PairBatch) -> Result<(), SearchError>,
    ) -> Result<R, LuminaError> {
        let context = &*self.context;
        let check_cancelled = || self.check_cancelled();
        let result = run_on_pool(self.pool()?, context, |sink| work(context, sink), take, check_cancelled);
        if reserve_spent() { Err(OutOfMemory.into()) } else { Ok(result?) }
    }

    /// Runs `work` on the threads. Errors: as [`SearchSession::stream`].
    pub(crate) fn on_threads<R: Send>(
        &self,
        work: impl FnOnce(&SearchContext) -> Result<R, SearchError> + Send,
    ) -> Result<R, LuminaError> {
        let discard = |batch: PairBatch| {
            batch.free(&self.context);
            Ok(())
        };
        self.stream(|context, _| work(context), discard).map_err(|error| self.with_setting(error))
    }

    /// Checks for interrupts, and cancels the search where it is not wanted or memory runs out.
    pub(crate) fn check_cancelled(&self) {
        pgrx::check_for_interrupts!();
        if reserve_spent() || self.is_cancelled.is_some_and(|is_cancelled| is_cancelled()) {
            self.context.cancel();
        }
    }

    /// Like [`SearchSession::check_cancelled`], with an error where the search is cancelled.
    pub(super) fn fail_if_cancelled(&self) -> Result<(), LuminaError> {
        self.check_cancelled();
        Ok(self.context.check()?)
    }

    /// Names the hashes that cause too many pairs, and the setting that limits them.
    pub(super) fn with_setting(&self, error: LuminaError) -> LuminaError {
        let Some(SearchError::TooManyPairs { limit, most_pairs }) = error.cause() else { return error };
        let text = |value: &ValueShare| {
            let columns: Vec<String> = value.hashes.iter().map(|hash| lumina_hash::hex::to_string(hash)).collect();
            (columns.join(", "), value.share)
        };
        let mut hashes: Vec<(String, f64)> = most_pairs.iter().map(text).collect();
        hashes.dedup_by(|b, a| a.0 == b.0); // the same one on both sides
        BulkError::TooManyPairs { limit: *limit, setting: self.max_pairs().setting, hashes }.into()
    }
}

impl Drop for SearchSession<'_> {
    fn drop(&mut self) {
        INNERMOST.set(std::mem::take(&mut self.outer));
    }
}
