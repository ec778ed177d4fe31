//! The process that searches on a GPU, as the server has it: started when a search asks for it, found by all others,
//! watched, and left alone where it fails.
//!
//! - [`worker`]: the background worker that has the process: it starts it, watches it, and notes how it ended.
//! - [`record`]: what is known of the device, in a file that all sessions read.
//! - [`connect`]: a session on its way to the process.
//! - [`functions`]: what users ask of it.
//!
//! What is searched, and when a GPU is worth it, is in `search`; what happens on the device, in `crates/gpu`.
//!
//! Invariant: no process of Postgres's ever calls the driver.

pub(crate) mod connect;
mod functions;
pub(crate) mod record;
mod worker;

use std::borrow::Cow;

/// What is wrong with the GPU, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unavailable {
    /// A clause: "the driver has none".
    pub(crate) reason: String,
    /// A sentence.
    pub(crate) hint: Cow<'static, str>,
    /// Whether something has failed that had worked, or should have.
    pub(crate) is_failure: bool,
}

impl Unavailable {
    /// There is nothing to be used, or no room.
    pub(crate) fn new(reason: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        Unavailable { reason: reason.into(), hint: hint.into(), is_failure: false }
    }

    /// Something has failed.
    fn failure(reason: impl Into<String>, hint: &'static str) -> Self {
        Unavailable { reason: reason.into(), hint: hint.into(), is_failure: true }
    }
}
