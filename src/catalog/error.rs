//! What can be wrong with paths that are to be imported, and with the report of duplicates.

use crate::error::{Report, UserError};
use crate::pg::backend::server::who_reads;
use lumina_import::Refusal;
use lumina_import::names::LONGEST;
use pgrx::PgSqlErrorCode::{self, *};

/// What is wrong with a path, or with the setting that allows paths.
#[derive(Debug)]
pub(crate) enum PathError {
    /// `lumina.import_roots` holds this, which is no absolute path.
    Roots(String),
    /// In bytes.
    TooLong(usize),
    Refused(Refusal),
}

impl UserError for PathError {
    fn report(&self) -> Report {
        match self {
            Self::Roots(root) => {
                let message = format!("lumina.import_roots holds \"{root}\", which is not an absolute path");
                let hint =
                    "It is a list of directories, each from the root of the file system, with commas between them.";
                Report::new(ERRCODE_INVALID_PARAMETER_VALUE, message).hint(hint)
            }
            Self::TooLong(bytes) => {
                let message = format!("a path of {bytes} bytes is longer than any that is imported");
                let hint = format!("Give a path of at most {LONGEST} bytes. {}", who_reads());
                Report::new(ERRCODE_INVALID_PARAMETER_VALUE, message).hint(hint)
            }
            Self::Refused(refusal) => {
                let (sqlstate, code, hint) = refused(refusal);
                let report =
                    Report::new(sqlstate, format!("cannot import: {refusal}")).hint(format!("{hint} {}", who_reads()));
                Report { job_code: code, ..report }
            }
        }
    }
}

/// SQLSTATE, job code and hint for a path that is refused.
fn refused(refusal: &Refusal) -> (PgSqlErrorCode, Option<&'static str>, &'static str) {
    const NOT_ALLOWED: Option<&str> = Some("path_not_allowed");
    match refusal {
        Refusal::NotAbsolute(_) => {
            (ERRCODE_INVALID_PARAMETER_VALUE, None, "Give the path from the root of the file system.")
        }
        Refusal::Dots(_) => (ERRCODE_INVALID_PARAMETER_VALUE, None, "Give the path itself, without \"..\"."),
        Refusal::Outside(_) => (
            ERRCODE_INSUFFICIENT_PRIVILEGE,
            NOT_ALLOWED,
            "A superuser allows it: ALTER ROLE ... SET lumina.import_roots = '/srv/photos', ALTER DATABASE or ALTER \
             SYSTEM with pg_reload_conf(); SET in a session does not count.",
        ),
        Refusal::Protected(_) => {
            (ERRCODE_INSUFFICIENT_PRIVILEGE, NOT_ALLOWED, "What the server itself lives in is never imported.")
        }
        Refusal::Link(_) => {
            (ERRCODE_WRONG_OBJECT_TYPE, NOT_ALLOWED, "Links are not followed: give the path that it leads to.")
        }
        Refusal::NotFound(_) => (
            ERRCODE_UNDEFINED_FILE,
            Some("source_missing"),
            "Is it on this machine? SELECT * FROM lumina.check_path(...) looks at each step.",
        ),
        Refusal::NotDirectory(_) | Refusal::Special(_) => {
            (ERRCODE_WRONG_OBJECT_TYPE, None, "Give a directory, or a regular file.")
        }
        Refusal::Permission(_) => {
            (ERRCODE_INSUFFICIENT_PRIVILEGE, None, "Let that user read it: chmod o+rX, or a group of that user's.")
        }
        Refusal::Io { .. } => (ERRCODE_IO_ERROR, None, "The server's log and that of the system may say more."),
    }
}

/// The hint for a path that is refused.
pub(super) fn hint(refusal: &Refusal) -> String {
    format!("{} {}", refused(refusal).2, who_reads())
}

/// The report of duplicates would be longer than a text can be.
#[derive(Debug)]
pub(super) struct ReportTooLarge;

impl UserError for ReportTooLarge {
    fn report(&self) -> Report {
        let message = "the page of duplicates would be larger than a text can be";
        Report::new(ERRCODE_PROGRAM_LIMIT_EXCEEDED, message).hint("Ask for fewer groups: max_groups => 100.")
    }
}
