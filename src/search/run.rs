//! The threads of a search, while this backend stays awake: it looks for interrupts every few milliseconds, and takes
//! what the threads have found. What all functions have in common beside: the plan, and whom to blame for too many pairs.
//!
//! A search has a place among those of the server before it starts threads, and while it reads its query as soon as it holds
//! more than `work_mem`: the places bound threads and memory, but for what any statement may take. Until then it has none:
//! a user's query takes as long as it likes. Searches inside one another share a place, and one grant of memory.

use super::gpu::{self, Failure};
use crate::error::LuminaError;
use crate::gpu::connect::{Denied, connect, reason_not_to};
use crate::gpu::record::{Record, has_worker};
use crate::guc::{self, Device};
use crate::pg::allocator::{hold_reserve, reserve_spent};
use crate::pg::path::work_memory;
use crate::pg::report::say;
use crate::pg::slot::Slot;
use crate::pg::threads::{room_for_threads, with_signals_blocked};
use lumina_search::group::{Edges, Mark};
use lumina_search::{Batch, Blame, Context, Costs, Plan, Search, SearchError, Sink};
use pgrx::PgLogLevel;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Instant;

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
}

/// Where and how a search is run.
pub(crate) enum Way {
    /// By the threads of this backend.
    Cpu(Plan),
    /// By the GPU process.
    Gpu(Plan),
}

impl Way {
    pub(crate) fn plan(&self) -> &Plan {
        match self {
            Self::Cpu(plan) | Self::Gpu(plan) => plan,
        }
    }

    /// As users know it.
    pub(crate) fn device(&self) -> &'static str {
        match self {
            Self::Cpu(_) => "cpu",
            Self::Gpu(_) => "cuda",
        }
    }
}

/// What a search finds goes to.
pub(crate) trait Results {
    /// The search begins. It may have begun before, and failed: what was found counts no more.
    fn begin(&mut self) -> Result<(), SearchError>;

    /// Takes pairs of values.
    fn take(&mut self, batch: &Batch) -> Result<(), SearchError>;
}

/// Edges that are added to others.
struct NewEdges<'e> {
    edges: &'e mut Edges,
    before: Mark,
    alternative: usize,
    context: Rc<Context>,
}

impl Results for NewEdges<'_> {
    fn begin(&mut self) -> Result<(), SearchError> {
        self.edges.back_to(&self.before);
        Ok(())
    }

    fn take(&mut self, batch: &Batch) -> Result<(), SearchError> {
        self.edges.add(batch, self.alternative, &self.context)
    }
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

    /// How long a search is expected to take, in nanoseconds.
    pub(crate) fn nanoseconds(&self, way: &Way) -> f64 {
        match way {
            Way::Cpu(plan) => plan.cost / self.threads as f64,
            Way::Gpu(plan) => plan.cost,
        }
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

    /// Finds all pairs, on the device that was planned, or on the CPU where that fails. `results` is told when to begin,
    /// each time from nothing, and then given all that is found.
    pub(crate) fn find(&mut self, search: &Search<'_>, way: Way, results: &mut dyn Results) -> Result<(), LuminaError> {
        let plan = match way {
            Way::Cpu(plan) => plan,
            Way::Gpu(plan) => {
                results.begin()?;
                match gpu::find(self, search, &plan, &mut |batch| results.take(batch)) {
                    Ok(()) => return Ok(()),
                    Err(Failure::OfSearch(error)) => return Err(error),
                    // There was none, and nobody has asked for it.
                    Err(Failure::NotReached(why)) if guc::device() == Device::Auto => {
                        say(PgLogLevel::DEBUG1, &format!("lumina: no GPU: {why}"));
                    }
                    Err(Failure::OfGpu(why) | Failure::NotReached(why)) => {
                        say(PgLogLevel::NOTICE, &format!("the GPU has failed, the CPU searches instead: {why}"));
                    }
                }
                self.plan_for_cpu(search)?
            }
        };
        results.begin()?;
        self.stream(
            |context, sink| search.run(&plan, context, sink),
            |batch| {
                results.take(&batch)?;
                batch.free(&self.context);
                Ok(())
            },
        )
    }

    /// Finds the edges of a rule's alternative, from 0, and adds them to those of the ones before.
    pub(crate) fn find_edges(
        &mut self,
        search: &Search<'_>,
        edges: &mut Edges,
        alternative: usize,
    ) -> Result<(), LuminaError> {
        let way = self.plan(search)?;
        let (before, context) = (edges.mark(), Rc::clone(&self.context));
        self.find(search, way, &mut NewEdges { edges, before, alternative, context })
    }

    /// Runs `job` on the threads; `take` is given what it sends.
    fn stream<R: Send>(
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
    /// How to search: on which device, and how. Said at level DEBUG1. Errors: 55000, where the GPU is asked for and cannot
    /// be used.
    pub(crate) fn plan(&mut self, search: &Search<'_>) -> Result<Way, LuminaError> {
        let way = match guc::device() {
            Device::Cpu => Way::Cpu(self.plan_for_cpu(search)?),
            Device::Cuda => Way::Gpu(self.plan_for_named_gpu(search)?),
            Device::Auto => match self.plan_for_cpu(search) {
                Ok(plan) => self.cheaper(search, plan),
                // What is too much for the CPU may not be for the GPU.
                Err(error @ LuminaError::OverMemory { .. }) => {
                    self.plan_for_gpu(search, f64::INFINITY).map(Way::Gpu).ok_or(error)?
                }
                Err(error) => return Err(error),
            },
        };
        let plan = way.plan();
        let bands: Vec<String> = plan.bands().map(|(width, tolerance)| format!("{width}±{tolerance}")).collect();
        let method = if plan.is_brute_force() { "brute force".into() } else { format!("bands {}", bands.join(" ")) };
        let (device, candidates) = (way.device(), plan.candidates);
        self.phase(&format!("planned {method} on the {device}, {candidates:.0} candidates"));
        Ok(way)
    }

    fn plan_for_cpu(&self, search: &Search<'_>) -> Result<Plan, LuminaError> {
        self.job(|context, _| Plan::choose(search, &Costs::cpu(), context))
    }

    /// The GPU's plan where that is expected to take less time than the CPU's.
    fn cheaper(&self, search: &Search<'_>, plan: Plan) -> Way {
        let cpu = Way::Cpu(plan);
        self.plan_for_gpu(search, self.nanoseconds(&cpu)).map_or(cpu, Way::Gpu)
    }

    /// A plan for the GPU that takes less than so many nanoseconds, its start included where no process runs. Searches for
    /// which none could pay are not even looked at.
    fn plan_for_gpu(&self, search: &Search<'_>, nanoseconds: f64) -> Option<Plan> {
        if nanoseconds < gpu::LEAST || !gpu::can_take(search) {
            return None;
        }
        let record = Record::read();
        if reason_not_to(&record).is_some() {
            return None;
        }
        let start = if has_worker() { 0.0 } else { gpu::START };
        if nanoseconds < start {
            return None;
        }
        let mut plan = self.plan_at(search, record.rate()).ok()?;
        plan.cost += start;
        (plan.cost < nanoseconds && self.context.used() + plan.memory <= self.context.limit()).then_some(plan)
    }

    /// The plan for a GPU of this speed.
    fn plan_at(&self, search: &Search<'_>, rate: f64) -> Result<Plan, LuminaError> {
        let costs = Costs::gpu(rate, gpu::compared_words(search));
        let mut plan = self.job(|context, _| Plan::choose(search, &costs, context))?;
        plan.memory = gpu::memory(search);
        Ok(plan)
    }

    /// The plan for a GPU that the user has named.
    fn plan_for_named_gpu(&self, search: &Search<'_>) -> Result<Plan, LuminaError> {
        if !gpu::can_take(search) {
            return Err(LuminaError::Gpu(gpu::too_wide()));
        }
        // It is there, or the reason why it is not.
        match connect(|| self.is_wanted()) {
            Ok(_) => {}
            Err(Denied::Unavailable(why)) => return Err(LuminaError::Gpu(why)),
            Err(Denied::Stopped(error)) => return Err(error),
        }
        self.plan_at(search, Record::read().rate())
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
