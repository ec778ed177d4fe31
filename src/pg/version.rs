//! All that differs between Postgres 15, 16, 17 and 18, apart from the access method's handler.

use crate::error::LuminaError;
use pgrx::pg_sys;

/// Gives an input function's error to whoever asked for errors as values (Postgres 16: `pg_input_is_valid`, 17: COPY
/// with ON_ERROR), else raises it. Returns the datum to return in the first case.
#[cfg(feature = "pg15")]
pub(crate) fn raise_softly(error: &LuminaError, _fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    error.raise()
}

/// Gives an input function's error to whoever asked for errors as values (Postgres 16: `pg_input_is_valid`, 17: COPY
/// with ON_ERROR), else raises it. Returns the datum to return in the first case.
#[cfg(not(feature = "pg15"))]
pub(crate) fn raise_softly(error: &LuminaError, fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: fcinfo is that of the running call; its context is null or a node, whose tag says what it is.
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_ErrorSaveContext {
            error.raise()
        }
        save(error, context);
    }
    pg_sys::Datum::null()
}

/// Postgres's `errsave`: notes in `context` that there was an error and, if the caller wants to know, which one.
///
/// # Safety
/// `context` is an ErrorSaveContext.
#[cfg(not(feature = "pg15"))]
unsafe fn save(error: &LuminaError, context: *mut pg_sys::Node) {
    use super::message::in_database_encoding;
    use std::ffi::{CStr, CString, c_char, c_int};
    use std::ptr;

    unsafe extern "C-unwind" {
        // pgrx binds the first two nowhere and the others without a guard.
        fn errcode(code: c_int) -> c_int;
        fn errhint(format: *const c_char, ...) -> c_int;
        fn errmsg_internal(format: *const c_char, ...) -> c_int;
        fn errdetail_internal(format: *const c_char, ...) -> c_int;
    }
    const AS_IT_IS: &CStr = c"%s";

    // SAFETY: as promised by the caller. Postgres opens an error that only the context hears of, or answers that the
    // flag is all that is wanted. The parts are copied; the closure owns nothing, should one of them raise. The place
    // in the source, which nobody is shown, is left out.
    unsafe {
        if !pg_sys::errsave_start(context, ptr::null()) {
            return;
        }
        let code = error.code() as c_int;
        // A part that held a zero byte would be left empty: none does, they are made of C strings and numbers.
        let text = |part: String| CString::new(in_database_encoding(part)).unwrap_or_default();
        let (message, detail, hint) = (text(error.to_string()), error.detail().map(text), error.hint().map(text));
        let format = AS_IT_IS.as_ptr();
        pg_sys::ffi::pg_guard_ffi_boundary(|| {
            errcode(code);
            errmsg_internal(format, message.as_ptr());
            if let Some(detail) = &detail {
                errdetail_internal(format, detail.as_ptr());
            }
            if let Some(hint) = &hint {
                errhint(format, hint.as_ptr());
            }
        });
        pg_sys::errsave_finish(context, ptr::null(), 0, ptr::null());
    }
}

/// Keeps the prefix of lumina's settings to those that are defined by now: others become errors.
pub(crate) fn reserve_settings() {
    // SAFETY: a plain call with a static string. The same in all versions so far.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"lumina".as_ptr()) };
}

/// The description of a column, counted from 0.
///
/// # Safety
/// `description` has more than `index` columns.
#[cfg(not(feature = "pg18"))]
pub(super) unsafe fn attribute(description: pg_sys::TupleDesc, index: usize) -> *const pg_sys::FormData_pg_attribute {
    // SAFETY: as promised by the caller.
    unsafe { (*description).attrs.as_ptr().add(index) }
}

/// The description of a column, counted from 0.
///
/// # Safety
/// `description` has more than `index` columns.
#[cfg(feature = "pg18")]
pub(super) unsafe fn attribute(description: pg_sys::TupleDesc, index: usize) -> *const pg_sys::FormData_pg_attribute {
    // SAFETY: as promised by the caller.
    unsafe { pg_sys::TupleDescAttr(description, index as i32) }
}

/// Sets the handler of a signal in this process.
///
/// # Safety
/// `handler` is safe to run whenever the signal comes.
#[cfg(not(feature = "pg18"))]
pub(super) unsafe fn set_signal_handler(signal: i32, handler: pg_sys::pqsigfunc) {
    // SAFETY: as promised by the caller.
    unsafe { pg_sys::pqsignal(signal, handler) };
}

/// Sets the handler of a signal in this process.
///
/// # Safety
/// `handler` is safe to run whenever the signal comes.
#[cfg(feature = "pg18")]
pub(super) unsafe fn set_signal_handler(signal: i32, handler: pg_sys::pqsigfunc) {
    // SAFETY: as promised by the caller.
    unsafe { pg_sys::pqsignal_be(signal, handler) };
}

/// What is known of a process of the server, by its place in this session's copy of the list, counted from 1.
///
/// # Safety
/// `place` is at most `pgstat_fetch_stat_numbackends()`.
#[cfg(feature = "pg15")]
pub(super) unsafe fn backend_entry(place: i32) -> *const pg_sys::PgBackendStatus {
    // SAFETY: as promised by the caller.
    unsafe { pg_sys::pgstat_fetch_stat_beentry(place) }
}

/// What is known of a process of the server, by its place in this session's copy of the list, counted from 1.
///
/// # Safety
/// `place` is at most `pgstat_fetch_stat_numbackends()`.
#[cfg(not(feature = "pg15"))]
pub(super) unsafe fn backend_entry(place: i32) -> *const pg_sys::PgBackendStatus {
    // SAFETY: as promised by the caller; a local entry begins with what is known of the process.
    unsafe { pg_sys::pgstat_get_local_beentry_by_index(place).cast() }
}

/// Takes the time-outs that Postgres 17 and later have away from a background worker.
pub(crate) fn set_newer_timeouts(_set: impl Fn(&std::ffi::CStr, &str)) {
    #[cfg(not(any(feature = "pg15", feature = "pg16")))]
    _set(c"transaction_timeout", "0");
}
