//! Rows of the table for the documentation.

/// A figure that is worse than expected by more than this is marked.
const TOLERATED: f64 = 1.3;

/// Prints a row: what was checked, what was expected, what was found, and a verdict.
pub(crate) fn row(what: &str, expected: &str, found: &str, verdict: &str) {
    println!("| {what} | {expected} | {found} | {verdict} |");
}

/// The verdict on a ratio of worse to expected: 1 is as expected, more is worse.
pub(crate) fn verdict(worse: f64) -> String {
    if worse <= TOLERATED { format!("ok, {worse:.2} times") } else { format!("**slow**, {worse:.2} times") }
}

/// A duration in milliseconds, with three significant digits.
pub(crate) fn milliseconds(milliseconds: f64) -> String {
    match milliseconds {
        ..10.0 => format!("{milliseconds:.2} ms"),
        ..100.0 => format!("{milliseconds:.1} ms"),
        _ => format!("{milliseconds:.0} ms"),
    }
}
