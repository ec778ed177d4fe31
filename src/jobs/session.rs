//! The search session of a job: it waits for a place among bulk searches, which bounds the threads and the memory of
//! all of them, and ends where the job is cancelled. The kinds that compute on threads (`duplicates.rs`, `bursts.rs`)
//! call it, outside of a transaction.

use super::job::{Job, Progress};
use super::stop::Stop;
use crate::pg::fmgr::error::Busy;
use crate::pg::worker::background::sleep;
use crate::search::session::SearchSession;
use std::cell::RefCell;
use std::time::Duration;

/// The time between two attempts to take a place among the searches.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Runs `work` in a search session of the job.
pub(super) fn in_session<R>(job: &Job, work: impl FnOnce(&SearchSession<'_>) -> Result<R, Stop>) -> Result<R, Stop> {
    let stopped: RefCell<Option<Stop>> = RefCell::new(None);
    // Whether the search is to stop; the reason is kept.
    let watch = || match job.check_cancelled() {
        Ok(()) => false,
        Err(stop) => {
            *stopped.borrow_mut() = Some(stop);
            true
        }
    };
    let run = begin(job, &watch)?;
    let found = work(&run);
    drop(run);
    match stopped.into_inner() {
        Some(stop) => Err(stop),
        None => found,
    }
}

/// Begins the search. Where all places of searches are taken the job waits for one, in the phase "waiting", which
/// `job_progress.note` explains.
fn begin<'a>(job: &Job, watch: &'a dyn Fn() -> bool) -> Result<SearchSession<'a>, Stop> {
    let phase = |phase| job.phase(Progress { phase, ..Progress::default() });
    let mut waits = false;
    loop {
        match SearchSession::begin_outside_transaction(watch) {
            Err(error) if error.cause::<Busy>().is_some() => {
                if !std::mem::replace(&mut waits, true) {
                    phase("waiting")?;
                } else {
                    job.check_cancelled()?;
                    sleep(POLL_INTERVAL);
                }
            }
            Ok(run) if waits => {
                phase("reading")?;
                return Ok(run);
            }
            begun => return Ok(begun?),
        }
    }
}
