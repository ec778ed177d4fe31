//! Why the GPU cannot be used.

use crate::error::{Report, UserError};
use pgrx::PgSqlErrorCode::*;
use std::borrow::Cow;
use std::io;

/// What is wrong with the GPU, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unavailable {
    /// A clause: "the driver has none".
    pub(crate) reason: String,
    /// A sentence.
    pub(crate) hint: Cow<'static, str>,
    /// Whether it is a failure, not just a missing or full device.
    pub(crate) is_failure: bool,
}

impl Unavailable {
    /// There is no usable device, or no room.
    pub(crate) fn new(reason: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        Unavailable { reason: reason.into(), hint: hint.into(), is_failure: false }
    }

    /// Something has failed.
    pub(super) fn failure(reason: impl Into<String>, hint: &'static str) -> Self {
        Unavailable { reason: reason.into(), hint: hint.into(), is_failure: true }
    }
}

impl UserError for Unavailable {
    fn report(&self) -> Report {
        let message = format!("the GPU cannot be used: {}", self.reason);
        Report::new(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            .hint(self.hint.clone())
            .job_code("gpu_unavailable")
    }
}

/// What is known of the GPU could not be written.
#[derive(Debug)]
pub(super) struct RecordNotWritten(pub(super) io::Error);

impl UserError for RecordNotWritten {
    fn report(&self) -> Report {
        let hint = match self.0.kind() {
            io::ErrorKind::WouldBlock => "Try again.",
            _ => "Make room on the disk of the data directory.",
        };
        Report::new(ERRCODE_IO_ERROR, format!("what is known of the GPU could not be written: {}", self.0)).hint(hint)
    }
}
