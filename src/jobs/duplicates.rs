//! The kind `detect_duplicates`: groups the images of a catalog, and replaces its groups.
//!
//! It reads in one transaction, as the submitter; compares and groups in none; writes in one, together with the end of
//! the job. That one checks the images of all groups again: where one has changed since it was read, the job starts
//! over.
//!
//! - [`rule`]: the pair rule in the job's parameters.
//! - [`input`]: the images of a catalog, best first.
//! - [`form`]: groups of images.
//! - [`output`]: writes groups into tables.

mod form;
mod input;
mod output;
mod rule;

use super::job::{Job, Progress, Work};
use super::kind::Kind;
use super::stop::{Failure, Stop};
use crate::pg::background::sleep;
use crate::pg::error::Busy;
use crate::search::session::SearchSession;
use form::Formed;
use input::Images;
use lumina_search::HashRows;
use pgrx::PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE;
use pgrx::pg_sys::Oid;
use rule::Parameters;
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
            let (images, formed) = compute(job, &parameters)?;
            phase(job, "writing", 0.8, images.all.len())?;
            let mut changed = false;
            let written = job.finish(|| {
                changed = output::have_changed(job, &images, &formed)?;
                if changed { Err(Stop::LostClaim) } else { output::write(job, &parameters, &images, &formed) }
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

fn phase(job: &Job, phase: &'static str, share: f32, images: usize) -> Result<(), Stop> {
    let done = (images as f64 * f64::from(share)) as i64;
    job.phase(Progress { phase, share, done, total: Some(images as i64), ..Progress::default() })
}

/// Reads and groups the images. A transaction is open only while it reads.
fn compute(job: &Job, parameters: &Parameters) -> Result<(Images, Formed), Stop> {
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

fn search(job: &Job, parameters: &Parameters, run: &SearchSession<'_>) -> Result<(Images, Formed), Stop> {
    let mut images = input::read(job, parameters, run)?;
    phase(job, "comparing", 0.2, images.all.len())?;
    let rows = std::mem::replace(&mut images.rows, HashRows::new(&[]));
    let formed = form::form(job, rows, &images, parameters, run)?;
    let formed = formed.add_exact(&images, parameters.hashes.len());
    Ok((images, formed))
}
