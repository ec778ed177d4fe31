//! Texts and binary messages as clients send them.

use super::datum::Raw;
use pgrx::pg_sys;
use std::ffi::{CStr, c_int};

/// Reads all that is left of the message that a receive function was given.
pub(crate) fn rest<'a>(message: Raw) -> &'a [u8] {
    let buffer: pg_sys::StringInfo = message.pointer();
    // SAFETY: a receive function's first argument is a StringInfo; pq_getmsgbytes raises if it holds less.
    unsafe {
        let left = (*buffer).len - (*buffer).cursor;
        let bytes = pg_sys::pq_getmsgbytes(buffer, left);
        std::slice::from_raw_parts(bytes.cast(), left as usize)
    }
}

/// Reads the rest as a text in the encoding of the database, as a C string. Raises for an invalid text.
pub(crate) fn text<'a>(message: Raw) -> &'a CStr {
    let buffer: pg_sys::StringInfo = message.pointer();
    let mut length = 0;
    // SAFETY: a receive function's first argument is a StringInfo; what is made of its rest is allocated for the call,
    // and ends with a zero byte.
    unsafe { CStr::from_ptr(pg_sys::pq_getmsgtext(buffer, (*buffer).len - (*buffer).cursor, &raw mut length)) }
}

/// A binary message with a text, converted from the database's encoding to the client's.
pub(crate) fn of_text(text: &[u8]) -> pg_sys::Datum {
    let mut buffer = pg_sys::StringInfoData::default();
    // SAFETY: the calls that a send function is made of; the buffer's memory is Postgres's.
    unsafe {
        pg_sys::pq_begintypsend(&raw mut buffer);
        pg_sys::pq_sendtext(&raw mut buffer, text.as_ptr().cast(), text.len() as c_int);
        pg_sys::Datum::from(pg_sys::pq_endtypsend(&raw mut buffer))
    }
}

/// The integers of the `cstring[]` that a type modifier's input function is given.
pub(crate) fn modifiers<'a>(array: Raw) -> &'a [i32] {
    let mut count = 0;
    // SAFETY: the argument is a cstring[]; Postgres itself reads it and raises where it holds no integers. Arrays of
    // C strings are never toasted: they are made by the parser.
    unsafe {
        let integers = pg_sys::ArrayGetIntegerTypmods(array.pointer(), &raw mut count);
        std::slice::from_raw_parts(integers, count as usize)
    }
}
