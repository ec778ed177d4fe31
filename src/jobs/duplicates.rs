//! The kind `detect_duplicates`: groups the images of a catalog, and replaces its groups.
//!
//! It reads in one transaction, as the submitter; compares and groups in none; writes in one, together with the end of
//! the job. That one checks the images of all groups again: where one has changed since it was read, the job starts
//! over.
//!
//! - [`parameters`]: the job's parameters.
//! - [`input`]: reads the images of a catalog.
//! - [`compare`]: finds groups of them.
//! - [`output`]: writes groups into tables.
//!
//! Which image is the one to keep, what a pair is and how groups are made is decided in `crates/catalog`.

mod compare;
mod input;
mod output;
mod parameters;

use super::job::{Job, Progress, Work};
use super::kind::Kind;
use super::stop::{Failure, Stop};
use crate::pg::fmgr::error::Busy;
use crate::pg::worker::background::sleep;
use crate::search::session::SearchSession;
use compare::report_phase;
use lumina_catalog::{DuplicateGroups, RankedImages};
use parameters::Parameters;
use pgrx::PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE;
use pgrx::pg_sys::Oid;
use serde_json::Value;
use std::cell::RefCell;
use std::time::Duration;

/// The most attempts of the job where images change meanwhile.
const TRIES: usize = 5;

/// `detect_duplicates`.
pub(super) struct DetectDuplicates;

impl Kind for DetectDuplicates {
    fn name(&self) -> &'static str {
        "detect_duplicates"
    }

    fn right(&self) -> &'static str {
        "curate"
    }

    fn permission(&self, _role: Oid, _parameters: &Value) -> Result<String, Stop> {
        Ok(String::new()) // it reads the catalog, and nothing else
    }
}

impl Work for DetectDuplicates {
    fn run(&self, job: &Job) -> Result<(), Stop> {
        let parameters = Parameters::read(&job.parameters)?;
        for _ in 0..TRIES {
            let (images, groups) = compute(job, &parameters)?;
            report_phase(job, "writing", 0.8, images.len())?;
            let mut changed = false;
            let written = job.finish(|| {
                changed = output::have_changed(job, &images, &groups)?;
                // An error rolls back; this one is not reported, and the loop goes on.
                if changed { Err(Stop::LostClaim) } else { output::write(job, &parameters, &images, &groups) }
            });
            if !changed {
                return written;
            }
        }
        Err(Stop::Failed(Failure::new(
            "images_changed",
            ERRCODE_T_R_SERIALIZATION_FAILURE,
            format!("images changed {TRIES} times while they were compared"),
            "SELECT lumina.retry_job(...) submits it once more.",
        )))
    }
}

/// Reads and groups the images. A transaction is open only while it reads.
fn compute(job: &Job, parameters: &Parameters) -> Result<(RankedImages, DuplicateGroups), Stop> {
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
    let found = search(job, parameters, &run);
    drop(run);
    match stopped.into_inner() {
        Some(stop) => Err(stop),
        None => found,
    }
}

/// The time between two attempts to take a place among the searches.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

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

fn search(
    job: &Job,
    parameters: &Parameters,
    run: &SearchSession<'_>,
) -> Result<(RankedImages, DuplicateGroups), Stop> {
    let (images, rows) = input::read(job, parameters, run)?;
    report_phase(job, "comparing", 0.2, images.len())?;
    let groups = compare::find_groups(job, rows, &images, parameters, run)?;
    Ok((images, groups))
}
