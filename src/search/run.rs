//! The threads of a search, while this backend stays awake: it looks for interrupts every few milliseconds, and takes
//! what the threads have found. What all functions have in common beside: whom to blame for too many pairs.
//!
//! A search has a place among those of the server before it starts threads, and while it reads its query as soon as it holds
//! more than `work_mem`: the places bound threads and memory, but for what any statement may take. Until then it has none:
//! a user's query takes as long as it likes. Searches inside one another share a place, and one grant of memory.

use crate::error::LuminaError;
use crate::gpu::connect::PATIENCE;
use crate::guc;
use crate::pg::allocator::{hold_reserve, reserve_spent};
use crate::pg::path::work_memory;
use crate::pg::report::say;
use crate::pg::slot::Slot;
use crate::pg::threads::{room_for_threads, with_signals_blocked};
use lumina_search::{Batch, Blame, Context, Search, SearchError, Sink};
use pgrx::PgLogLevel;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// A search that is running: its place among the searches of the server, its threads, its memory.
pub(crate) struct Run<'a> {
    context: Rc<Context>,
    /// That of the search that this one is inside of.
    outer: Weak<Context>,
    /// Bytes that it may hold before it has a place.
    without_place: usize,
    /// Called now and then: whether the search is not wanted any more.
    watch: Option<&'a dyn Fn() -> bool>,
    threads: usize,
    pool: OnceCell<ThreadPool>,
    began: Instant,
    phase_began: Instant,
    place: OnceCell<Slot>,
    /// Whether the GPU has failed this search: the CPU does the rest.
    pub(super) without_gpu: Cell<bool>,
    /// Whether the GPU that was asked for was there.
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
    /// A search that has no place yet. Errors: 53400, where none is free, so that nothing is read in vain; 53200.
    pub(crate) fn begin() -> Result<Self, LuminaError> {
        Slot::check()?;
        Self::with(None, None)
    }
}

impl<'a> Run<'a> {
    /// The same for a search that no transaction is around: it has its place from the beginning, as it waits for nobody's
    /// query. `watch` is called now and then, and stops the search by true. Errors: 53400, where no place is free.
    pub(crate) fn begin_for_session(watch: &'a dyn Fn() -> bool) -> Result<Self, LuminaError> {
        Self::with(Some(Slot::take_for_session()?), Some(watch))
    }

    fn with(place: Option<Slot>, watch: Option<&'a dyn Fn() -> bool>) -> Result<Self, LuminaError> {
        if !hold_reserve() {
            return Err(LuminaError::OutOfMemory);
        }
        let threads = guc::search_threads();
        let now = Instant::now();
        let context = Rc::new(Context::new(guc::search_memory().value));
        let outer = INNERMOST.with_borrow(Weak::clone);
        // The outer one stands still meanwhile: what it has counts here as well.
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
            patience: Cell::new(PATIENCE),
        })
    }

    /// Takes a place, if it has none, and waits for a while where none is free. Errors: 53400.
    fn take_place(&self) -> Result<(), LuminaError> {
        if self.place.get().is_none() {
            let place = Slot::take()?;
            self.place.get_or_init(|| place);
        }
        Ok(())
    }

    /// To be called with every row that is read. Errors: 53400, where so much is read that it takes a place, and none is free.
    #[inline]
    pub(crate) fn row_is_read(&self) -> Result<(), LuminaError> {
        if self.context.used() > self.without_place { self.take_place() } else { Ok(()) }
    }

    /// The memory and the cancel flag.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// The same, to be kept.
    pub(super) fn shared_context(&self) -> Rc<Context> {
        Rc::clone(&self.context)
    }

    /// How many threads.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// The threads, started when they are first needed: not while a query is read. The search has a place then. Errors: 53000,
    /// 53400.
    fn pool(&self) -> Result<&ThreadPool, LuminaError> {
        if let Some(pool) = self.pool.get() {
            return Ok(pool);
        }
        self.take_place()?;
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
    pub(super) fn stream<R: Send>(
        &self,
        job: impl FnOnce(&Context, &Sink<'_>) -> Result<R, SearchError> + Send,
        take: impl FnMut(Batch) -> Result<(), SearchError>,
    ) -> Result<R, LuminaError> {
        let context = &*self.context;
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

    /// The same; an error where the search is cancelled.
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
