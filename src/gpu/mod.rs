//! The server's GPU process: started when a search needs it, shared by all searches, watched by a background worker,
//! and left alone where it fails.
//!
//! - [`worker`]: the background worker that starts the process, watches it, and records how it ended.
//! - [`record`]: what is known of the device, in a file that all sessions read.
//! - [`connect`]: connects a session to the process.
//! - [`functions`]: `gpu_info` and `gpu_reset`.
//!
//! `search` decides what is searched and when a GPU is worth it; `crates/gpu` holds what runs on the device.
//!
//! Invariant: no process of Postgres ever calls the driver.

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
    /// Whether it is a failure, not just a missing or full device.
    pub(crate) is_failure: bool,
}

impl Unavailable {
    /// There is no usable device, or no room.
    pub(crate) fn new(reason: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        Unavailable { reason: reason.into(), hint: hint.into(), is_failure: false }
    }

    /// Something has failed.
    fn failure(reason: impl Into<String>, hint: &'static str) -> Self {
        Unavailable { reason: reason.into(), hint: hint.into(), is_failure: true }
    }
}
