//! What the targets of `lumina-photo` share: small limits, the allocator that counts, and a hook that tells panics
//! apart.
//!
//! A panic in a decoder is the decoder's way of saying that a file is damaged: `decode` catches it. One in our own
//! code, or in a check, is what is looked for, as is an abort: no memory, no stack.
#![allow(dead_code, reason = "not every target needs all of it")]

#[path = "../../crates/photo/tests/hostile/counted.rs"]
mod counted;

pub(crate) use counted::{Remembers, check, outcome_within};
use lumina_photo::format::detect;
use lumina_photo::{Format, Limits};

pub(crate) const PIXELS: u64 = 4_000_000;
pub(crate) const MEMORY: u64 = 64 << 20;

/// To be called once, after libFuzzer has set a hook that aborts.
pub(crate) fn init() {
    std::panic::set_hook(Box::new(|info| {
        let ours = |file: &str| file.contains("photo/") || file.contains("fuzz_targets");
        if info.location().is_none_or(|location| ours(location.file())) {
            eprintln!("{info}");
            std::process::abort();
        }
    }));
}

/// Decodes files of this format.
pub(crate) fn decode(format: Format, bytes: &[u8]) {
    if detect(bytes) == Ok(format) {
        check(format.name(), &outcome_within(bytes, PIXELS, MEMORY));
    }
}

/// Limits whose caller records.
pub(crate) fn limits(caller: &Remembers) -> Limits<'_> {
    Limits { pixels: PIXELS, memory: MEMORY, caller }
}
