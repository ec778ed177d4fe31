//! What a user is told of an error: the bottom of `src`, which every room builds on.
//!
//! Each room has enums of its own errors, in its `error.rs` or beside the functions that return them, and says all of a
//! variant in one arm of [`UserError::report`]. Functions return them as [`LuminaError`], whatever room they come from;
//! `pg::fmgr::raise` raises them at the edge to Postgres. A panic, by contrast, is a bug.
//!
//! Invariant: nothing here imports another file of `src`.

use pgrx::PgSqlErrorCode::{self, ERRCODE_OUT_OF_MEMORY};
use std::any::Any;
use std::borrow::Cow;
use std::collections::TryReserveError;
use std::fmt::Debug;

/// All that a user is told of an error.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) sqlstate: PgSqlErrorCode,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<Cow<'static, str>>,
    /// The word by which programs know it as the reason for which a job ended. `None`: the word for its SQLSTATE.
    pub(crate) job_code: Option<&'static str>,
}

impl Report {
    pub(crate) fn new(sqlstate: PgSqlErrorCode, message: impl Into<String>) -> Self {
        Report { sqlstate, message: message.into(), detail: None, hint: None, job_code: None }
    }

    pub(crate) fn detail(self, detail: impl Into<String>) -> Self {
        Report { detail: Some(detail.into()), ..self }
    }

    pub(crate) fn hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Report { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn job_code(self, code: &'static str) -> Self {
        Report { job_code: Some(code), ..self }
    }
}

/// Something that a user can do wrong, or that can go wrong for a user.
pub(crate) trait UserError: Any + Debug {
    /// SQLSTATE, message, detail, hint, job code.
    fn report(&self) -> Report;
}

/// An error of any room.
#[derive(Debug)]
pub(crate) struct LuminaError(Box<dyn UserError>);

impl LuminaError {
    /// See [`UserError::report`].
    pub(crate) fn report(&self) -> Report {
        self.0.report()
    }

    /// The error itself, where it is of this type.
    pub(crate) fn cause<E: UserError>(&self) -> Option<&E> {
        (&*self.0 as &dyn Any).downcast_ref()
    }
}

impl<E: UserError> From<E> for LuminaError {
    fn from(error: E) -> Self {
        LuminaError(Box::new(error))
    }
}

/// Memory that the system has not got.
#[derive(Debug)]
pub(crate) struct OutOfMemory;

impl UserError for OutOfMemory {
    fn report(&self) -> Report {
        Report::new(ERRCODE_OUT_OF_MEMORY, "out of memory").hint("Search fewer rows at a time.")
    }
}

impl UserError for TryReserveError {
    fn report(&self) -> Report {
        OutOfMemory.report()
    }
}

/// The advice to raise a setting, as a clause. Those whose name ends in `_limit` are the superuser's.
pub(crate) fn raise_setting(setting: &str) -> String {
    let superuser = if setting.ends_with("_limit") { "ask the superuser to raise" } else { "raise" };
    format!("{superuser} {setting}")
}

/// A clause as a sentence.
pub(crate) fn sentence(clause: &impl ToString) -> String {
    let clause = clause.to_string();
    let mut characters = clause.chars();
    let first = characters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect()
}
