//! The kind `detect_duplicates`: groups the images of a catalog, and replaces its groups.
//!
//! It reads in one transaction, as the submitter; compares and groups in none; writes in one, together with the end of
//! the job. That one checks the images of all groups again, and what keeps images apart:
//! where something has changed since it was read, the job starts over.
//!
//! - [`parameters`]: the job's parameters.
//! - [`extent`]: all images, or those that what has changed can touch.
//! - [`input`], [`queries`], [`reader`]: read the images of a catalog.
//! - [`compare`]: finds groups of them. [`compared`]: what was found.
//! - [`output`]: writes groups into tables.
//!
//! Which image is the one to keep, what a pair is and how groups are made is decided in `crates/catalog`.

mod compare;
mod compared;
mod extent;
mod input;
mod output;
mod parameters;
mod queries;
mod reader;

use super::job::{Job, Work};
use super::kind::Kind;
use super::session::in_session;
use super::stop::{Failure, Stop};
use crate::search::session::SearchSession;
use compare::report_phase;
use compared::Compared;
use extent::Extent;
use parameters::DuplicateParameters;
use pgrx::PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE;
use pgrx::pg_sys::Oid;
use serde_json::Value;

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
        let parameters = DuplicateParameters::read(&job.parameters)?;
        for _ in 0..TRIES {
            let compared = match in_session(job, |run| compute_changes(job, &parameters, run))? {
                Ok(compared) => compared,
                // With all of the search's memory.
                Err(whole) => in_session(job, |run| compute(job, &parameters, run, whole))?,
            };
            report_phase(job, "writing", 0.8, compared.images.len())?;
            let mut changed = false;
            let written = job.finish(|| {
                changed = *compared.constraints() != input::constraints(job, &parameters)
                    || !output::is_still_valid(job, &compared)
                    || !output::lock_unchanged(job, &compared)?;
                // An error rolls back; this one is not reported, and the loop goes on.
                if changed { Err(Stop::LostClaim) } else { output::write(job, &parameters, &compared) }
            });
            if !changed {
                return written;
            }
        }
        Err(Stop::Failed(Failure::new(
            "images_changed",
            ERRCODE_T_R_SERIALIZATION_FAILURE,
            format!("images, or which of them are preferred, changed {TRIES} times while they were compared"),
            "SELECT lumina.retry_job(...) submits it once more.",
        )))
    }
}

/// Reads and groups what has changed, with what it can touch; `Err` where all images are to be read.
fn compute_changes(
    job: &Job,
    parameters: &DuplicateParameters,
    run: &SearchSession<'_>,
) -> Result<Result<Compared, Extent>, Stop> {
    let (mut extent, nearness) = extent::find(job, parameters, run)?;
    let Some(nearness) = nearness else { return Ok(Err(extent)) };
    loop {
        let mut compared = compute(job, parameters, run, extent)?;
        let Compared { extent: Extent::Changes(changes), images, groups, .. } = &mut compared else {
            return Ok(Ok(compared));
        };
        match changes.settle(job, parameters, run, &nearness, images, groups)? {
            Some(true) => return Ok(Ok(compared)),
            Some(false) => extent = compared.extent,
            None => return Ok(Err(Extent::whole(parameters, extent::TOO_MANY.to_owned())?)),
        }
    }
}

/// Reads and groups images. A transaction is open only while it reads.
fn compute(
    job: &Job,
    parameters: &DuplicateParameters,
    run: &SearchSession<'_>,
    extent: Extent,
) -> Result<Compared, Stop> {
    let input::DuplicateInput { images, rows, base } =
        input::read(job, parameters, run, extent.images(), extent.had_raw())?;
    report_phase(job, "comparing", 0.2, images.len())?;
    let groups = compare::find_groups(job, rows, &images, parameters, run)?;
    Ok(Compared { extent, images, groups, base })
}
