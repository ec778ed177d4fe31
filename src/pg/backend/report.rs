//! Messages below ERROR, and errors without backtraces.
//!
//! Postgres checks for interrupts when it has sent a message, and an interrupt is an error: it must not jump over
//! Rust's frames, as it would from pgrx's own macros, which guard errors alone. So every message of the library that is
//! no error goes through [`ereport`]; errors are raised by `src/pg/fmgr/raise.rs`.

use crate::pg::fmgr::encoding::in_database_encoding;
use pgrx::PgLogLevel;
use pgrx::pg_sys;
use std::ffi::{CString, c_char, c_int};
use std::io::Write as _;
use std::ptr;

unsafe extern "C-unwind" {
    // Without guards of their own: all run behind one.
    fn errstart(level: c_int, domain: *const c_char) -> bool;
    fn errmsg_internal(format: *const c_char, ...) -> c_int;
    fn errhint(format: *const c_char, ...) -> c_int;
    fn errfinish(file: *const c_char, line: c_int, function: *const c_char);
}

/// Keeps Rust's backtraces out of errors, whatever the environment of the server says.
///
/// pgrx appends one to the DETAIL of every error, where RUST_BACKTRACE or RUST_LIB_BACKTRACE is set: forty lines of
/// Rust's own frames and of paths of the machine that built the library, sent to every client for every typing error.
/// Panics of threads that have no client, such as decoders of damaged files, go to the server's log, in one line.
///
/// Called once, when the library is loaded, and pgrx has set its hook.
pub(crate) fn leave_out_backtraces() {
    const VARIABLE: &str = "RUST_LIB_BACKTRACE";
    let given = std::env::var_os(VARIABLE);
    let is_asked_for = given.is_some() || std::env::var_os("RUST_BACKTRACE").is_some();
    if is_asked_for {
        // SAFETY: the process runs no thread of ours while it loads the library. Others that it has loaded, and
        // programs that it starts, find the variable as it was.
        unsafe { std::env::set_var(VARIABLE, "0") };
    }
    // Whether to take backtraces is decided at the first one, for as long as the process lives; each library has a
    // standard library of its own, and decides for itself.
    let decided = std::backtrace::Backtrace::capture();
    debug_assert_eq!(decided.status(), std::backtrace::BacktraceStatus::Disabled);
    match given {
        // SAFETY: as above.
        Some(given) => unsafe { std::env::set_var(VARIABLE, given) },
        // SAFETY: as above.
        None if is_asked_for => unsafe { std::env::remove_var(VARIABLE) },
        None => {}
    }
    let of_pgrx = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // SAFETY: plain calls. A process's first thread, which alone runs Postgres, has its number.
        if unsafe { libc::gettid() == libc::getpid() } {
            of_pgrx(panic);
        } else {
            // One write: lines of several processes are not mixed.
            let line = format!("lumina: {}\n", panic.to_string().replace('\n', " "));
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }));
}

/// Reports `message` at a level below ERROR.
pub(crate) fn ereport(level: PgLogLevel, message: &str) {
    report(level, message, None);
}

/// Reports `message` with a hint, at a level below ERROR.
pub(crate) fn ereport_with_hint(level: PgLogLevel, message: &str, hint: &str) {
    report(level, message, Some(hint));
}

fn report(level: PgLogLevel, message: &str, hint: Option<&str>) {
    debug_assert!((level as c_int) < PgLogLevel::ERROR as c_int);
    // Without zero bytes: made of numbers and of names of ours, and of messages of Postgres.
    let text = |part: &str| CString::new(in_database_encoding(part.to_owned())).unwrap_or_default();
    let (message, hint) = (text(message), hint.map(text));
    let (message, hint) = (message.as_ptr(), hint.as_ref().map_or(ptr::null(), |hint| hint.as_ptr()));
    // SAFETY: the texts outlive the calls, which copy them. The closure owns nothing, should one of them raise, cannot
    // panic, and calls nothing that has a guard of its own.
    unsafe {
        pg_sys::ffi::pg_guard_ffi_boundary(|| {
            if errstart(level as c_int, ptr::null()) {
                errmsg_internal(c"%s".as_ptr(), message);
                if !hint.is_null() {
                    errhint(c"%s".as_ptr(), hint);
                }
                errfinish(ptr::null(), 0, ptr::null());
            }
        });
    }
}
