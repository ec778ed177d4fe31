//! The threads of a search. Meanwhile the backend checks for interrupts every few milliseconds, and takes what the
//! threads have found. Also [`blame`]: names the hashes that cause too many pairs.
//!
//! A search takes one of the server's slots before it starts threads, or earlier, when the rows of its query take more
//! than `work_mem`: the slots bound threads and memory, but for what any statement may take. Until then it has none,
//! since a user's query may take any time. Nested searches share a slot and one grant of memory.

use super::error::BulkError;
use crate::error::LuminaError;
use crate::error::OutOfMemory;
use crate::gpu::connect::START_TIMEOUT;
use crate::guc;
use crate::pg::allocator::{hold_reserve, reserve_spent};
use crate::pg::error::ThreadsNotStarted;
use crate::pg::path::work_memory;
use crate::pg::place::SearchPlace;
use crate::pg::report::ereport;
use crate::pg::threads::{room_for_threads, with_signals_blocked};
use lumina_search::{Batch, Blame, Context, Search, SearchError, Sink};
use pgrx::PgLogLevel;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// A running search: its slot, its threads, its memory.
pub(crate) struct Run<'a> {
    context: Rc<Context>,
    /// The context of the enclosing search.
    outer: Weak<Context>,
    /// Bytes that it may use before it takes a slot.
    without_place: usize,
    /// Called now and then: true cancels the search.
    watch: Option<&'a dyn Fn() -> bool>,
    threads: usize,
    pool: OnceCell<ThreadPool>,
    began: Instant,
    phase_began: Instant,
    place: OnceCell<SearchPlace>,
    /// Whether the GPU has failed this search: the CPU does the rest.
    pub(super) without_gpu: Cell<bool>,
    /// Whether the GPU that the user asked for was available.
    pub(super) had_gpu: Cell<bool>,
    /// How long it waits for a GPU process to start.
    pub(super) patience: Cell<Duration>,
}

thread_local! {
    /// The memory of the innermost search of this session.
    static INNERMOST: RefCell<Weak<Context>> = const { RefCell::new(Weak::new()) };
}

/// Enough for rayon's recursion, which goes as deep as the logarithm of the work.
const STACK: usize = 1 << 20;

impl Run<'static> {
    /// Begins a search without a slot. Errors: 53400, where none is free, so that nothing is read in vain; 53200.
    pub(crate) fn begin() -> Result<Self, LuminaError> {
        SearchPlace::check()?;
        Self::with(None, None)
    }
}

impl<'a> Run<'a> {
    /// Begins a search outside a transaction: it takes its slot at once, as it reads no user's query. `watch` is called
    /// now and then; true cancels the search. Errors: 53400, where no slot is free.
    pub(crate) fn begin_for_session(watch: &'a dyn Fn() -> bool) -> Result<Self, LuminaError> {
        Self::with(Some(SearchPlace::take_for_session()?), Some(watch))
    }

    fn with(place: Option<SearchPlace>, watch: Option<&'a dyn Fn() -> bool>) -> Result<Self, LuminaError> {
        if !hold_reserve() {
            return Err(OutOfMemory.into());
        }
        let threads = guc::search_threads();
        let now = Instant::now();
        let context = Rc::new(Context::new(guc::search_memory().value));
        let outer = INNERMOST.with_borrow(Weak::clone);
        // The enclosing search waits meanwhile: its memory counts here as well.
        context.take(outer.upgrade().map_or(0, |outer| outer.used()))?;
        INNERMOST.set(Rc::downgrade(&context));
        let place = place.map_or_else(OnceCell::new, OnceCell::from);
        Ok(Run {
            context,
            outer,
            without_place: work_memory(),
            watch,
            threads,
            pool: OnceCell::new(),
            began: now,
            phase_began: now,
            place,
            without_gpu: Cell::new(false),
            had_gpu: Cell::new(false),
            patience: Cell::new(START_TIMEOUT),
        })
    }

    /// Takes a slot, if it has none, and waits for a while where none is free. Errors: 53400.
    fn take_place(&self) -> Result<(), LuminaError> {
        if self.place.get().is_none() {
            let place = SearchPlace::take()?;
            self.place.get_or_init(|| place);
        }
        Ok(())
    }

    /// Called for every row that is read: above `work_mem` it takes a slot. Errors: 53400, where none is free.
    #[inline]
    pub(crate) fn row_is_read(&self) -> Result<(), LuminaError> {
        if self.context.used() > self.without_place { self.take_place() } else { Ok(()) }
    }

    /// The memory and the cancel flag.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// The context, to be kept.
    pub(super) fn shared_context(&self) -> Rc<Context> {
        Rc::clone(&self.context)
    }

    /// The number of threads.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// The thread pool, started at its first use, after the query was read. The search has a slot then. Errors: 53000,
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
    pub(crate) fn phase(&mut self, what: &str) {
        let milliseconds = self.phase_began.elapsed().as_secs_f64() * 1e3;
        let used = self.context.used() / 1024;
        ereport(PgLogLevel::DEBUG1, &format!("lumina: {what} in {milliseconds:.1} ms, {used} kB in use"));
        self.phase_began = Instant::now();
    }

    /// Logs, at level DEBUG1, how long the search took.
    pub(crate) fn finish(mut self, what: &str) {
        self.phase_began = self.began;
        ereport(PgLogLevel::DEBUG1, &format!("lumina: at most {} kB were in use", self.context.peak() / 1024));
        self.phase(&format!("{what}, all phases together,"));
    }

    /// Runs `job` on the threads, and passes what it sends to `take`.
    pub(super) fn stream<R: Send>(
        &self,
        job: impl FnOnce(&Context, &Sink<'_>) -> Result<R, SearchError> + Send,
        take: impl FnMut(Batch) -> Result<(), SearchError>,
    ) -> Result<R, LuminaError> {
        let context = &*self.context;
        let result = lumina_search::run(self.pool()?, context, |sink| job(context, sink), take, || self.tick());
        if reserve_spent() { Err(OutOfMemory.into()) } else { Ok(result?) }
    }

    /// Checks for interrupts, and cancels the search where it is not wanted or memory runs out.
    pub(crate) fn tick(&self) {
        pgrx::check_for_interrupts!();
        if reserve_spent() || self.watch.is_some_and(|watch| watch()) {
            self.context.cancel();
        }
    }

    /// Ticks; an error where the search is cancelled.
    pub(super) fn is_wanted(&self) -> Result<(), LuminaError> {
        self.tick();
        Ok(self.context.check()?)
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
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        INNERMOST.set(std::mem::take(&mut self.outer));
    }
}

/// Names the hashes that are to blame for too many pairs, and the setting that limits them.
pub(crate) fn blame(error: LuminaError, search: &Search<'_>, setting: &'static str) -> LuminaError {
    let Some(SearchError::TooManyPairs { limit, blame }) = error.cause() else { return error };
    let text = |blame: &Blame| {
        let values = search.right.filter(|_| blame.right).unwrap_or(search.left);
        let column = |column| lumina_hash::hex::to_string(&values.hash(blame.value, column));
        let hashes: Vec<String> = (0..values.widths().len()).map(column).collect();
        (hashes.join(", "), blame.share)
    };
    let mut hashes: Vec<(String, f64)> = blame.iter().map(text).collect();
    hashes.dedup_by(|b, a| a.0 == b.0); // the same one on both sides
    BulkError::TooManyPairs { limit: *limit, setting, hashes }.into()
}
