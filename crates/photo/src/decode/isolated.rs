//! Decoders that run in a process of their own: `lumina-decoder`, of `lumina-isolated`.
//!
//! Called by the formats whose decoders are not trusted inside a server. The program's memory and what is held here
//! count together against [`Limits::memory`]: it is given what is left.

use super::{damaged, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::limits::Limits;
use lumina_isolated::client::{Failure, Program};
use lumina_isolated::{Codec, PROGRAM, Refusal, Start};

/// Starts the program for one file, whose frames have `pixels` together. `held`: bytes that are in use here.
/// `is_cancelled` is the caller's. Errors: [`PhotoError::Unavailable`], where it cannot be had.
pub(super) fn start<'a>(
    format: Format,
    codec: Codec,
    pixels: u64,
    held: u64,
    limits: &Limits<'_>,
    is_cancelled: &'a dyn Fn() -> bool,
) -> Result<Program<'a>, PhotoError> {
    let Some(path) = limits.caller.decoder() else {
        return Err(unavailable(format, "is not known"));
    };
    let memory = limits.memory.saturating_sub(held);
    let pixels = u32::try_from(pixels).unwrap_or(u32::MAX);
    Program::start(path, Start { codec, pixels, memory }, is_cancelled)
        .map_err(|failure| error(failure, format, limits))
}

/// The error where the program has used all memory that it was given. How much it would have taken is not known; a
/// caller that comes again with more comes to an end.
pub(super) fn too_little_memory(format: Format, limits: &Limits<'_>) -> PhotoError {
    let limit = limits.memory;
    PhotoError::Memory { format, needed: limit.saturating_add(limit / 2).saturating_add(1), limit }
}

/// `why` says what the program is, or does.
fn unavailable(format: Format, why: &str) -> PhotoError {
    PhotoError::Unavailable { format, why: format!("the program {PROGRAM} {why}") }
}

/// What a failure of the program means for a file.
pub(super) fn error(failure: Failure, format: Format, limits: &Limits<'_>) -> PhotoError {
    match failure {
        Failure::Cancelled => PhotoError::Cancelled,
        Failure::System => PhotoError::OutOfMemory,
        Failure::Program(why) => unavailable(format, &why),
        Failure::Refused(Refusal::NoSandbox) => {
            unavailable(format, "may not run, since the kernel does not offer seccomp, which would confine it")
        }
        Failure::Refused(Refusal::NotBuilt) => unavailable(format, "is built without a decoder for them"),
        Failure::Refused(Refusal::Unsupported) => unsupported(format, "its colours are of a kind that is not known"),
        Failure::Refused(Refusal::Damaged) => damaged(format, "its data do not decode"),
        Failure::Refused(Refusal::TooLarge) => damaged(format, "a frame is larger than the picture"),
        Failure::Refused(Refusal::Memory) => too_little_memory(format, limits),
        Failure::Failed(how) => damaged(format, format!("its decoder failed: {how}")),
    }
}
