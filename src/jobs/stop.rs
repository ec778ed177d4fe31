//! Why a job ends before it is done.

use crate::error::{LuminaError, Report, UserError};
use crate::pg::transaction::Caught;
use pgrx::PgSqlErrorCode::{self, *};

/// Why a job ends before it is done.
#[derive(Debug)]
pub(super) enum Stop {
    /// It cannot be done.
    Failed(Failure),
    /// It was cancelled: by whom, or what.
    Cancelled(String),
    /// The workers of this database are to stop: the job waits until they resume.
    Stopped,
    /// Its permission has changed but still allows it: it starts over, in the same worker.
    PermissionChanged,
    /// The job is another worker's, or gone with its catalog or the whole extension: there is nothing to write or
    /// report.
    Gone,
}

/// Why a job cannot be done.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// A stable word, for programs.
    pub(super) code: &'static str,
    pub(super) sqlstate: PgSqlErrorCode,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Failure {
    /// A failure of lumina's own.
    pub(super) fn new(code: &'static str, sqlstate: PgSqlErrorCode, message: String, hint: &str) -> Self {
        Failure { code, sqlstate, message, hint: Some(hint.into()) }
    }

    /// Whether the same transaction, run again, may well succeed.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self.sqlstate, ERRCODE_T_R_DEADLOCK_DETECTED | ERRCODE_T_R_SERIALIZATION_FAILURE)
    }
}

/// The stable word for an SQLSTATE.
fn code_of(sqlstate: PgSqlErrorCode) -> &'static str {
    match sqlstate {
        ERRCODE_DISK_FULL => "disk_full",
        ERRCODE_OUT_OF_MEMORY => "out_of_memory",
        ERRCODE_INSUFFICIENT_PRIVILEGE => "permission_denied",
        ERRCODE_CONFIGURATION_LIMIT_EXCEEDED => "over_limit",
        ERRCODE_INSUFFICIENT_RESOURCES | ERRCODE_TOO_MANY_CONNECTIONS => "out_of_resources",
        ERRCODE_IO_ERROR => "io_error",
        ERRCODE_T_R_DEADLOCK_DETECTED | ERRCODE_T_R_SERIALIZATION_FAILURE => "conflict",
        ERRCODE_DATA_CORRUPTED | ERRCODE_INDEX_CORRUPTED => "data_corrupted",
        ERRCODE_INTERNAL_ERROR => "internal_error",
        _ => "error",
    }
}

impl From<Caught> for Stop {
    fn from(Caught { code, message, hint }: Caught) -> Self {
        match code {
            ERRCODE_QUERY_CANCELED => Stop::Cancelled("by pg_cancel_backend".into()),
            _ => Stop::Failed(Failure { code: code_of(code), sqlstate: code, message, hint }),
        }
    }
}

impl From<LuminaError> for Stop {
    fn from(error: LuminaError) -> Self {
        let Report { sqlstate, message, detail, hint, job_code } = error.report();
        let hint = match (detail, hint) {
            (Some(detail), Some(hint)) => Some(format!("{detail} {hint}")),
            (detail, hint) => detail.or(hint.map(Into::into)),
        };
        match sqlstate {
            ERRCODE_QUERY_CANCELED => Stop::Cancelled("by pg_cancel_backend".into()),
            _ => Stop::Failed(Failure { code: job_code.unwrap_or_else(|| code_of(sqlstate)), sqlstate, message, hint }),
        }
    }
}

impl<E: UserError> From<E> for Stop {
    fn from(error: E) -> Self {
        LuminaError::from(error).into()
    }
}
