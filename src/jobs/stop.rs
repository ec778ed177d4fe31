//! Why a job ends before it is done, and how errors of Postgres and of lumina become such a reason.
//!
//! Kinds return a [`Stop`]; the worker logs it and writes it to the job's row. Invariant: a failure's `code` is one of
//! the words that `docs/reference/errors.md` lists.

use crate::error::{LuminaError, Report, UserError};
use crate::pg::worker::transaction::Caught;
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
    /// The claim is lost: the job is another worker's, or was dropped with its catalog or the whole extension. There is
    /// nothing to write or report.
    LostClaim,
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

    /// The failure that stands for a cancellation.
    pub(super) fn cancelled(by: &str) -> Self {
        let hint = "SELECT lumina.retry_job(...) submits it once more.";
        Failure::new("cancelled", ERRCODE_QUERY_CANCELED, format!("cancelled {by}"), hint)
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

/// An SQLSTATE as its five characters, each of which is six bits.
pub(super) fn sqlstate_text(code: i32) -> String {
    (0..5).map(|place| char::from(b'0' + (code >> (6 * place) & 0x3f) as u8)).collect()
}

/// An SQLSTATE from its five characters.
pub(super) fn sqlstate_code(text: &str) -> i32 {
    text.bytes().take(5).enumerate().map(|(place, byte)| i32::from(byte.wrapping_sub(b'0') & 0x3f) << (6 * place)).sum()
}
