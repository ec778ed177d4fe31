//! When a session starts a worker.
//!
//! Every role may call functions that start workers, in a loop as well, and each worker takes a slot of
//! `max_worker_processes`, if only for milliseconds. So none is started where it would find nothing to do:
//!
//! - A worker that holds a place of the database (`lumina.max_job_workers`) looks for jobs again after releasing it.
//!   Where all places are held when a job becomes visible, no worker need be started, and nothing is lost.
//! - A transaction that queues jobs starts workers when it commits, as many as can run at once. The queued jobs bound
//!   their number; and a session that queues and cancels jobs in a loop waits for the workers it has started
//!   ([`await_started`]).
//! - For jobs that were queued before a session starts some at once ([`BURST`]), then again every [`PERIOD`]. They wait
//!   for a worker in any case, and the next call, or the launcher, starts one.

use crate::guc;
use crate::pg::backend::latch::pause;
use crate::pg::backend::lock::{Lock, database};
use crate::pg::backend::report::ereport_with_hint;
use crate::pg::worker::background::{
    RequestedWorker, WORKER, max_worker_processes, processes, request_worker, start_worker,
};
use crate::pg::worker::transaction::{after_commit, at_abort, before_any_commit, before_commit, top_xid};
use pgrx::PgLogLevel;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// How often in a row a session starts workers for jobs that were queued before.
const BURST: u32 = 3;
/// How often it does so afterwards.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a session that submits a job waits, at most, for workers that it has started.
const PATIENCE: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The outcome of an attempt to start workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Started,
    /// The workers in all places of this database look for jobs before they end.
    NotNeeded,
    /// No slot of `max_worker_processes` is free.
    NoSlot,
}

/// The places for workers of this database that no worker holds.
fn free_places() -> usize {
    (0..guc::max_job_workers()).filter(|&place| !Lock::worker(place).is_held()).count()
}

/// Starts workers that first wait for a transaction to end (0: for none). Never raises, and allocates nothing: it is
/// also called after the end of a transaction.
fn start(workers: u32, transaction: u32) -> Start {
    start_by(workers, || start_worker(database(), transaction))
}

/// Starts workers by a function, which answers whether it has started one.
fn start_by(workers: u32, start_one: impl Fn() -> bool) -> Start {
    let mut outcome = Start::NotNeeded;
    for _ in 0..(workers as usize).min(free_places()) {
        match start_one() {
            true => outcome = Start::Started,
            false if outcome == Start::NotNeeded => return Start::NoSlot,
            false => break,
        }
    }
    outcome
}

/// Starts a worker for a waiting job, unless there are as many as can be of use: those that have just started hold no
/// place yet. In a transaction.
pub(super) fn start_one() -> Start {
    match processes(WORKER, Some(database())).len() <= guc::max_job_workers() as usize {
        true => start(1, 0),
        false => Start::NotNeeded,
    }
}

/// Warns that no worker could be started.
pub(super) fn warn(what_waits: &str) {
    let slots = max_worker_processes();
    ereport_with_hint(
        PgLogLevel::WARNING,
        &format!("no background worker is free: {what_waits}"),
        &format!(
            "SELECT lumina.resume_jobs() starts one once one is free, and so does the next job. \
             max_worker_processes = {slots} is for all databases and extensions, and for parallel queries."
        ),
    );
}

/// Starts a worker when this transaction commits, for a job that it has queued; not where that is rolled back, or
/// prepared.
pub(super) fn at_commit() {
    before_commit(|place| {
        // Each worker runs one job after the other.
        if place < guc::max_job_workers() as usize {
            await_started();
            start_or_warn(1);
        }
    });
}

thread_local! {
    /// Workers that were started when transactions of this session committed, and have not ended yet, each with the
    /// transaction.
    static STARTED: RefCell<Vec<(u32, RequestedWorker)>> = const { RefCell::new(Vec::new()) };
}

/// Waits while earlier transactions of this session have started as many workers as can run at once, unless they hold
/// all places, and for [`PATIENCE`] at most. Those that hold none begin, or end, which mostly takes milliseconds: a
/// session that cancels each job that it has just submitted would take every slot of `max_worker_processes` otherwise.
/// Those of this transaction wait for it to end. Raises where the statement is cancelled.
fn await_started() {
    let (until, transaction) = (Instant::now() + PATIENCE, top_xid());
    while started_before(transaction) >= guc::max_job_workers() as usize && free_places() > 0 && Instant::now() < until
    {
        pause(POLL_INTERVAL);
    }
}

/// How many workers of other transactions of this session are there still.
fn started_before(transaction: u32) -> usize {
    STARTED.with_borrow_mut(|started| {
        started.extract_if(.., |(_, worker)| worker.has_ended()).for_each(|(_, worker)| worker.free());
        started.iter().filter(|(starter, _)| *starter != transaction).count()
    })
}

/// The jobs are not visible yet: a worker that holds a place now may look for the last time before they are.
fn start_before_commit(workers: u32) -> Start {
    let transaction = top_xid();
    let outcome = start_by(workers, || {
        let worker = request_worker(database(), transaction);
        worker.map(|worker| STARTED.with_borrow_mut(|started| started.push((transaction, worker)))).is_some()
    });
    if outcome == Start::NotNeeded {
        after_commit(|| _ = start(1, 0));
    }
    outcome
}

fn start_or_warn(workers: u32) -> Start {
    let outcome = start_before_commit(workers);
    if outcome == Start::NoSlot {
        warn("the job stays queued");
    }
    outcome
}

/// How many workers a session may start for jobs that were queued before.
struct Budget {
    /// To be started when this transaction ends.
    wanted: Cell<u32>,
    /// When the next start would be due at one start per [`PERIOD`].
    next: Cell<Option<Instant>>,
}

thread_local! {
    /// For calls that are meant to start workers: `resume_jobs`, `adopt_catalog`.
    static REQUESTED: Budget = const { Budget::new() };
    /// For other calls: a job was cancelled, or refused.
    static SIDE_EFFECT: Budget = const { Budget::new() };
}

/// Starts workers when this transaction ends, for jobs that were queued before: at ROLLBACK as well, and of a
/// savepoint, for a worker may have skipped what the transaction had locked; not where it is prepared.
pub(super) fn at_end(workers: u32, is_requested: bool) {
    if is_requested {
        REQUESTED.with(|budget| budget.want(workers));
        before_any_commit(|_| REQUESTED.with(|budget| budget.spend(start_or_warn)));
        at_abort(|| REQUESTED.with(|budget| budget.spend(start_after_end)));
    } else {
        SIDE_EFFECT.with(|budget| budget.want(workers));
        // Without a warning: the job has mostly ended by this call.
        before_any_commit(|_| SIDE_EFFECT.with(|budget| budget.spend(start_before_commit)));
        at_abort(|| SIDE_EFFECT.with(|budget| budget.spend(start_after_end)));
    }
}

/// Starts a worker at once for a job that waits already, as a side effect of another call.
pub(super) fn now_as_side_effect() -> Option<Start> {
    SIDE_EFFECT.with(|budget| budget.if_due(start_one))
}

fn start_after_end(workers: u32) -> Start {
    start(workers, 0)
}

impl Budget {
    const fn new() -> Self {
        Budget { wanted: Cell::new(0), next: Cell::new(None) }
    }

    fn want(&self, workers: u32) {
        self.wanted.set(self.wanted.get().max(workers));
    }

    /// Starts the workers that the transaction has asked for, once. Where that raises, the rollback starts them.
    fn spend(&self, start: impl FnOnce(u32) -> Start) {
        let workers = self.wanted.get();
        if workers > 0 {
            self.if_due(|| start(workers));
            self.wanted.set(0);
        }
    }

    /// Starts workers, if that is due. Successful starts count, not requests.
    fn if_due(&self, start: impl FnOnce() -> Start) -> Option<Start> {
        let now = Instant::now();
        let next = self.next.get().map_or(now, |next| next.max(now));
        let outcome = (next <= now + PERIOD * (BURST - 1)).then(start);
        if outcome == Some(Start::Started) {
            self.next.set(Some(next + PERIOD));
        }
        outcome
    }
}
