//! Why the GPU cannot be used, as a reason and a hint: for errors, notices and `gpu_info`.

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
    pub(super) fn failure(reason: impl Into<String>, hint: &'static str) -> Self {
        Unavailable { reason: reason.into(), hint: hint.into(), is_failure: true }
    }
}
