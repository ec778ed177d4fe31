//! Raises errors to Postgres.

use super::encoding::in_database_encoding;
use crate::error::{LuminaError, Report};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, function_name};

/// An error that can be raised as one of Postgres's.
pub(crate) trait Raise {
    /// Raises it at level ERROR. Destructors on the way to the guard run.
    fn raise(self) -> !;
}

impl<E: Into<LuminaError>> Raise for E {
    #[cold]
    fn raise(self) -> ! {
        raise(self.into().report())
    }
}

impl LuminaError {
    /// Raises an error that is kept.
    #[cold]
    pub(crate) fn raise_again(&self) -> ! {
        raise(self.report())
    }
}

#[cold]
fn raise(told: Report) -> ! {
    let mut report = ErrorReport::new(told.sqlstate, in_database_encoding(told.message), function_name!());
    if let Some(detail) = told.detail {
        report = report.set_detail(in_database_encoding(detail));
    }
    if let Some(hint) = told.hint {
        report = report.set_hint(in_database_encoding(hint.into_owned()));
    }
    report.report(PgLogLevel::ERROR);
    unreachable!("a report at level ERROR does not return")
}

/// Raises the error of a result, if it is one.
pub(crate) trait OrRaise<T> {
    fn or_raise(self) -> T;
}

impl<T, E: Into<LuminaError>> OrRaise<T> for Result<T, E> {
    #[inline]
    fn or_raise(self) -> T {
        match self {
            Ok(value) => value,
            Err(error) => error.raise(),
        }
    }
}
