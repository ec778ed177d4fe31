//! The kind `detect_bursts`: finds the bursts of a catalog, and replaces those it had.
//!
//! It reads in one transaction, as the submitter; computes in none; writes in one, together with the end of the job.
//! That one also carries over the best images that somebody has chosen: `lumina.set_burst_best` waits for it, or it for
//! that. Where an image is gone that is to be written, the job starts over.
//!
//! - [`parameters`]: the job's parameters.
//! - [`input`]: reads images and files.
//! - [`output`]: writes bursts into tables.
//!
//! What a burst is is decided in `crates/catalog`.

mod input;
mod output;
mod parameters;

use super::job::{Job, Progress, Work};
use super::kind::Kind;
use super::session::in_session;
use super::stop::{Failure, Stop};
use lumina_catalog::bursts::Bursts;
use parameters::BurstParameters;
use pgrx::PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE;
use pgrx::pg_sys::Oid;
use serde_json::Value;

/// The most attempts of the job where images go meanwhile.
const TRIES: usize = 5;

/// `detect_bursts`.
pub(super) struct DetectBursts;

impl Kind for DetectBursts {
    fn name(&self) -> &'static str {
        "detect_bursts"
    }

    fn right(&self) -> &'static str {
        "curate"
    }

    fn permission(&self, _role: Oid, _parameters: &Value) -> Result<String, Stop> {
        Ok(String::new()) // it reads the catalog, and nothing else
    }
}

impl Work for DetectBursts {
    fn run(&self, job: &Job) -> Result<(), Stop> {
        let parameters = BurstParameters::read(&job.parameters)?;
        for _ in 0..TRIES {
            let mut bursts = compute(job, &parameters)?;
            report_phase(job, "writing", 0.5, bursts.frame_count())?;
            let mut changed = false;
            let written = job.finish(|| {
                changed = !output::lock_frames(job, &bursts)?;
                // An error rolls back; this one is not reported, and the loop goes on.
                if changed { Err(Stop::LostClaim) } else { output::write(job, &parameters, &mut bursts) }
            });
            if !changed {
                return written;
            }
        }
        Err(Stop::Failed(Failure::new(
            "images_changed",
            ERRCODE_T_R_SERIALIZATION_FAILURE,
            format!("images went {TRIES} times while bursts were detected"),
            "SELECT lumina.retry_job(...) submits it once more.",
        )))
    }
}

/// Reads the images and finds the bursts. A transaction is open only while it reads.
fn compute(job: &Job, parameters: &BurstParameters) -> Result<Bursts, Stop> {
    in_session(job, |run| {
        report_phase(job, "reading", 0.0, 0)?;
        let frames = input::read(job, run)?;
        report_phase(job, "detecting", 0.4, frames.len())?;
        Ok(run.on_threads(|context| frames.detect(&parameters.rule, context))?)
    })
}

/// Reports a phase of the job, and the share of the work that is done when it begins.
fn report_phase(job: &Job, phase: &'static str, share: f32, images: usize) -> Result<(), Stop> {
    let done = (images as f64 * f64::from(share)) as i64;
    job.phase(Progress { phase, share, done, total: Some(images as i64), ..Progress::default() })
}
