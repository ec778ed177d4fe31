//! Messages that are no errors.
//!
//! Postgres looks for interrupts when it has sent one, and an interrupt is an error: it must not jump over Rust's frames,
//! as it would from pgrx's own macros, which guard errors alone.

use super::message::in_database_encoding;
use pgrx::PgLogLevel;
use pgrx::pg_sys;
use std::ffi::{CString, c_char, c_int};
use std::ptr;

unsafe extern "C-unwind" {
    // Without guards of their own: all stand behind one.
    fn errstart(level: c_int, domain: *const c_char) -> bool;
    fn errmsg_internal(format: *const c_char, ...) -> c_int;
    fn errhint(format: *const c_char, ...) -> c_int;
    fn errfinish(file: *const c_char, line: c_int, function: *const c_char);
}

/// Says `message` at a level below ERROR.
pub(crate) fn say(level: PgLogLevel, message: &str) {
    say_with(level, message, None);
}

/// The same with a hint what to do.
pub(crate) fn say_with_hint(level: PgLogLevel, message: &str, hint: &str) {
    say_with(level, message, Some(hint));
}

fn say_with(level: PgLogLevel, message: &str, hint: Option<&str>) {
    debug_assert!((level as c_int) < PgLogLevel::ERROR as c_int);
    // Without zero bytes: made of numbers and of names of ours, and of messages of Postgres.
    let text = |part: &str| CString::new(in_database_encoding(part.to_owned())).unwrap_or_default();
    let (message, hint) = (text(message), hint.map(text));
    let (message, hint) = (message.as_ptr(), hint.as_ref().map_or(ptr::null(), |hint| hint.as_ptr()));
    // SAFETY: the texts outlive the calls, which copy them. The closure owns nothing, should one of them raise, cannot panic,
    // and calls nothing that has a guard of its own.
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
