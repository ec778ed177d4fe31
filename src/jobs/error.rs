//! What can be wrong with a job that is waited for.

use crate::error::{Report, UserError};
use pgrx::PgSqlErrorCode::{self, *};

/// Why a job is not, or cannot be, waited for.
#[derive(Debug)]
pub(super) enum JobError {
    Unknown(i64),
    OfThisTransaction(i64),
    Fenced(i64),
    Version(i64),
    /// It has ended without success.
    Ended {
        job: i64,
        kind: String,
        code: PgSqlErrorCode,
        message: String,
        hint: Option<String>,
    },
}

impl UserError for JobError {
    fn report(&self) -> Report {
        match self {
            Self::Unknown(job) => Report::new(ERRCODE_UNDEFINED_OBJECT, format!("job {job} does not exist"))
                .hint("TABLE lumina.job_progress lists the jobs that you may see."),
            Self::OfThisTransaction(job) => {
                let message = format!("job {job} was submitted by this transaction");
                Report::new(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
                    .hint("It starts at COMMIT: wait for it after that.")
            }
            Self::Fenced(job) => {
                let message = format!("job {job} belongs to another server or database");
                Report::new(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
                    .hint("SELECT lumina.adopt_catalog(...) lets the jobs of a catalog go on here.")
            }
            Self::Version(job) => {
                let message = format!("extension_version_mismatch: job {job} waits for ALTER EXTENSION lumina UPDATE");
                Report::new(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message).hint("ALTER EXTENSION lumina UPDATE.")
            }
            Self::Ended { job, kind, code, message, hint } => {
                let report = Report::new(*code, format!("job {job} ({kind}): {message}"));
                Report { hint: hint.clone().map(Into::into), ..report }
            }
        }
    }
}
