//! The kind `detect_duplicates`: groups the images of a catalog, and replaces its groups.
//!
//! It reads in one transaction, as the submitter; compares and groups in none; writes in one, together with the end of
//! the job. That one checks the images of all groups again, and what keeps images apart:
//! where something has changed since it was read, the job starts over.
//!
//! - [`parameters`]: the job's parameters.
//! - [`input`], [`reader`]: read the images of a catalog.
//! - [`compare`]: finds groups of them.
//! - [`output`]: writes groups into tables.
//!
//! Which image is the one to keep, what a pair is and how groups are made is decided in `crates/catalog`.

mod compare;
mod input;
mod output;
mod parameters;
mod reader;

use super::job::{Job, Work};
use super::kind::Kind;
use super::session::in_session;
use super::stop::{Failure, Stop};
use crate::search::session::SearchSession;
use compare::report_phase;
use lumina_catalog::{DuplicateGroups, RankedImages};
use parameters::Parameters;
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
        let parameters = Parameters::read(&job.parameters)?;
        for _ in 0..TRIES {
            let Compared { images, groups, constraints } = compute(job, &parameters)?;
            report_phase(job, "writing", 0.8, images.len())?;
            let mut changed = false;
            let written = job.finish(|| {
                changed = constraints != input::constraints(job, &parameters)
                    || !output::lock_unchanged(job, &images, &groups)?;
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

/// The images of a catalog, compared.
struct Compared {
    images: RankedImages,
    groups: DuplicateGroups,
    /// [`input::constraints`], when they were read.
    constraints: String,
}

/// Reads and groups the images. A transaction is open only while it reads.
fn compute(job: &Job, parameters: &Parameters) -> Result<Compared, Stop> {
    in_session(job, |run| search(job, parameters, run))
}

fn search(job: &Job, parameters: &Parameters, run: &SearchSession<'_>) -> Result<Compared, Stop> {
    let input::Input { images, rows, constraints } = input::read(job, parameters, run)?;
    report_phase(job, "comparing", 0.2, images.len())?;
    let groups = compare::find_groups(job, rows, &images, parameters, run)?;
    Ok(Compared { images, groups, constraints })
}
