//! The parameters of a job, as `lumina_internal.detect_bursts` has checked them.

use crate::jobs::stop::{Failure, Stop};
use lumina_catalog::bursts::{BestFrame, BurstRule};
use pgrx::PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE;
use serde_json::Value;

/// The parameters of a job.
pub(super) struct BurstParameters {
    pub(super) rule: BurstRule,
    /// How the best image is found, as `bursts.best_by` says it.
    pub(super) best_by: String,
}

impl BurstParameters {
    /// Reads the parameters of a job.
    pub(super) fn read(parameters: &Value) -> Result<Self, Stop> {
        let read = || {
            let gap = parameters.get("gap")?.as_f64()?;
            let min_shots = u32::try_from(parameters.get("min_frames")?.as_u64()?).ok()?;
            let best_by = parameters.get("best")?.as_str()?.to_owned();
            let rule = BurstRule { max_gap: (gap * 1e6).round() as i64, min_shots, best: BestFrame::named(&best_by)? };
            Some(BurstParameters { rule, best_by })
        };
        read().ok_or_else(|| {
            let message = format!("the job has parameters that this library does not understand: {parameters}");
            let hint = "It was submitted by another version: submit it again.";
            Stop::Failed(Failure::new("invalid_parameters", ERRCODE_INVALID_PARAMETER_VALUE, message, hint))
        })
    }
}
