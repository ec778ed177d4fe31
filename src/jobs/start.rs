//! When a session starts a worker.
//!
//! Every role may call what starts workers, in a loop as well, and each takes a place of `max_worker_processes`, if
//! only for milliseconds. So none is started where it would find nothing to do:
//!
//! - A worker that holds a place of the database looks for jobs once more after giving the place back. Where all
//!   places are held when a job can be seen, nobody need be started, and nothing is lost.
//! - A transaction that queues jobs starts workers when it commits, as many as can run at once. It is what has been
//!   queued that bounds them.
//! - For jobs that are there already a session starts some at once ([`BURST`]), then again every [`PERIOD`]. They wait
//!   for a worker in any case, and somebody's next call, or the launcher, starts one.

use crate::guc;
use crate::pg::background::{WORKER, places, processes, start_worker};
use crate::pg::lock::{Lock, database};
use crate::pg::report::say_with_hint;
use crate::pg::transaction::{after_commit, at_abort, before_any_commit, before_commit, top_number};
use pgrx::PgLogLevel;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// How often in a row a session starts workers for jobs that are there already.
const BURST: u32 = 3;
/// How often it does so afterwards.
const PERIOD: Duration = Duration::from_secs(1);

/// What became of an attempt to start workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Started,
    /// Those who hold all places of this database look for jobs before they end.
    NotNeeded,
    /// `max_worker_processes` leaves no place on the server.
    NoPlace,
}

/// Starts workers that first wait for a transaction to end (0: for none). Never raises, and allocates nothing: it is
/// also called where a transaction has ended.
fn start(workers: u32, transaction: u32) -> Start {
    let free = (0..guc::max_job_workers()).filter(|&place| !Lock::worker(place).is_held()).count();
    let mut outcome = Start::NotNeeded;
    for _ in 0..(workers as usize).min(free) {
        match start_worker(database(), transaction) {
            true => outcome = Start::Started,
            false if outcome == Start::NotNeeded => return Start::NoPlace,
            false => break,
        }
    }
    outcome
}

/// Starts a worker for a job that waits, unless there are as many as could have a use: of those that have just started
/// none holds a place yet. In a transaction.
pub(super) fn start_one() -> Start {
    match processes(WORKER, Some(database())).len() <= guc::max_job_workers() as usize {
        true => start(1, 0),
        false => Start::NotNeeded,
    }
}

/// Says that no worker could be had.
pub(super) fn warn(what_waits: &str) {
    let places = places();
    say_with_hint(
        PgLogLevel::WARNING,
        &format!("no background worker is free: {what_waits}"),
        &format!(
            "SELECT lumina.resume_jobs() starts one once one is free, and so does the next job. \
             max_worker_processes = {places} is for all databases and extensions, and for parallel queries."
        ),
    );
}

/// Has a worker started when this transaction commits, for a job that it has queued; not where that is rolled back, or
/// prepared.
pub(super) fn at_commit() {
    before_commit(|place| {
        // Each worker runs one job after the other.
        if place < guc::max_job_workers() as usize {
            let _ = start_before_commit(1);
        }
    });
}

/// Jobs cannot be seen yet: a worker that holds a place now may look for the last time before they can.
fn start_before_commit(workers: u32) -> Start {
    let outcome = start(workers, top_number());
    match outcome {
        Start::Started => (),
        Start::NotNeeded => after_commit(|| _ = start(1, 0)),
        Start::NoPlace => warn("the job stays queued"),
    }
    outcome
}

/// How many workers a session may start for jobs that are there already.
struct Budget {
    /// To be started when this transaction ends.
    wanted: Cell<u32>,
    /// From when on it might have started workers one [`PERIOD`] after the other.
    next: Cell<Option<Instant>>,
}

thread_local! {
    /// Where that is what was asked for: `resume_jobs`, `adopt_catalog`.
    static ASKED: Budget = const { Budget::new() };
    /// Where something else was: a job that was cancelled, or refused.
    static BESIDE: Budget = const { Budget::new() };
}

/// Has workers started when this transaction ends, for jobs that were there before: at ROLLBACK as well, and of a
/// savepoint, for a worker may have passed by what the transaction had locked; not where it is prepared.
pub(super) fn at_end(workers: u32, is_asked: bool) {
    if is_asked {
        ASKED.with(|budget| budget.want(workers));
        before_any_commit(|_| ASKED.with(|budget| budget.spend(start_before_commit)));
        at_abort(|| ASKED.with(|budget| budget.spend(start_after_end)));
    } else {
        BESIDE.with(|budget| budget.want(workers));
        before_any_commit(|_| BESIDE.with(|budget| budget.spend(start_before_commit)));
        at_abort(|| BESIDE.with(|budget| budget.spend(start_after_end)));
    }
}

/// Starts a worker at once, for a job that is there already and waits, beside an answer that says something else.
pub(super) fn now_beside() -> Option<Start> {
    BESIDE.with(|budget| budget.if_due(start_one))
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

    /// Starts what the transaction has asked for, once.
    fn spend(&self, start: impl FnOnce(u32) -> Start) {
        let workers = self.wanted.take();
        if workers > 0 {
            self.if_due(|| start(workers));
        }
    }

    /// Has workers started, if that is due. How often some were started counts, and not how often they were asked for.
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
