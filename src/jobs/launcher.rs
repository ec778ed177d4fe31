//! The launcher: where the library is preloaded, it has jobs resumed, whatever has interrupted them.
//!
//! It is connected to no database, so that it keeps none from being dropped. When it starts, every
//! `lumina.launcher_interval`, and whenever it is woken (by a worker that dies with a job), it starts a worker in each
//! database. A worker that finds no job ends within milliseconds.

use crate::guc;
use crate::pg::backend::report::ereport;
use crate::pg::worker::background::{self, WORKER, processes, sleep, start_worker};
use crate::pg::worker::databases;
use crate::pg::worker::transaction::{self, Caught, attempt};
use pgrx::PgLogLevel;
use pgrx::pg_sys::{Datum, Oid};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long it waits before it starts more.
const PAUSE: Duration = Duration::from_millis(100);

/// Workers that it starts at a time.
const AT_ONCE: usize = 2;

/// The launcher's entry point.
#[allow(unsafe_code, reason = "Postgres finds it by its name")]
#[pgrx::pg_guard]
#[unsafe(no_mangle)]
extern "C-unwind" fn lumina_launcher(_argument: Datum) {
    background::set_up(Oid::INVALID);
    let mut due = VecDeque::new();
    let mut round: Option<Instant> = None;
    loop {
        let interval = guc::launcher_interval();
        if round.is_none_or(|began| began.elapsed() >= interval) {
            due = databases();
            round = Some(Instant::now());
        }
        // A few at a time: others need background worker slots as well. Where there are workers enough for all jobs
        // that may run at once, one more would find nothing to do, or wait as they do.
        let mut started = 0;
        while started < AT_ONCE
            && let Some(&database) = due.front()
        {
            let there = processes(WORKER, Some(database)).len();
            if there <= guc::max_job_workers() as usize && !start_worker(database, 0) {
                break;
            }
            due.pop_front();
            started += 1;
        }
        let left = interval.saturating_sub(round.map_or(Duration::ZERO, |began| began.elapsed()));
        if sleep(if due.is_empty() { left } else { PAUSE.min(left) }) {
            round = None;
        }
    }
}

fn databases() -> VecDeque<Oid> {
    let found = attempt(|| transaction::run(|| Ok::<_, Caught>(databases::connectable())));
    match found.and_then(|found| found) {
        Ok(found) => found.into(),
        Err(caught) => {
            ereport(PgLogLevel::WARNING, &format!("lumina: the launcher could not list databases: {}", caught.message));
            VecDeque::new()
        }
    }
}
