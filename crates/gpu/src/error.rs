//! What can go wrong between this process and a GPU.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// Why a search cannot run, or continue, on the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GpuError {
    /// There is no CUDA driver that this crate can use: none is installed, or it lacks a function.
    NoDriver(String),
    /// The driver has no device, or denies it to this process.
    NoDevice(String),
    /// The device is older than the kernels support: its compute capability.
    TooOld(u32, u32),
    /// The device, the limit, or the host's memory for transfers is full: the bytes that were requested.
    OutOfMemory(usize),
    /// The device is lost for this process, which never gets another context: the driver's code.
    Lost(u32),
    /// The driver refused a call: the call's name, the driver's code.
    Refused(Cow<'static, str>, u32),
    /// The device returned a result that cannot be right.
    WrongAnswer(Cow<'static, str>),
    /// The GPU process is of another version of the library.
    OtherVersion,
}

impl GpuError {
    /// The driver, or this crate, refused something, with the driver's code or 0.
    pub(crate) fn refused(what: &'static str, code: u32) -> Self {
        Self::Refused(Cow::Borrowed(what), code)
    }

    /// The device returned a result that cannot be right.
    pub(crate) fn wrong(what: &'static str) -> Self {
        Self::WrongAnswer(Cow::Borrowed(what))
    }

    /// Whether this process can never use the device again.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::WrongAnswer(_))
    }

    /// Whether the device is fine and only the version of the process differs.
    pub fn is_of_another_version(&self) -> bool {
        matches!(self, Self::OtherVersion)
    }

    /// Whether a retry with less memory may succeed.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::OutOfMemory(_))
    }
}

impl fmt::Display for GpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDriver(why) => write!(f, "no usable CUDA driver: {why}"),
            Self::NoDevice(why) => write!(f, "no usable CUDA device: {why}"),
            Self::TooOld(major, minor) => {
                write!(f, "the device has compute capability {major}.{minor}, and 7.5 is needed")
            }
            Self::OutOfMemory(0) => write!(f, "no memory for the driver's context"),
            Self::OutOfMemory(bytes) => write!(f, "no memory for {bytes} bytes"),
            Self::Lost(code) => write!(f, "the device is lost: the driver's error {code}"),
            Self::Refused(call, code) => write!(f, "{call} failed with the driver's error {code}"),
            Self::OtherVersion => write!(f, "its process is of another version of lumina, and will end"),
            Self::WrongAnswer(what) => write!(f, "the device computes wrong results: {what}"),
        }
    }
}

impl std::error::Error for GpuError {}
