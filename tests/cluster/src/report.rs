//! Messages of tests that are shown even on success, and settings from the environment.

use std::io::Write;

/// Prints even if the test passes, which println does not.
#[allow(clippy::explicit_write, reason = "eprintln is captured")]
pub fn say(what: &str) {
    writeln!(std::io::stderr(), "{what}").expect("standard error is there");
}

/// A number from the environment.
pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}
