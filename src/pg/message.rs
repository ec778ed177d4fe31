//! Texts and binary messages as clients send them.

use super::datum::Raw;
use pgrx::pg_sys;
use std::ffi::CStr;

/// A text for an error message: cut to 80 characters, and in ASCII unless the database's encoding is UTF-8.
pub(crate) fn printable(text: &CStr) -> String {
    const LONGEST: usize = 80;
    let text = text.to_string_lossy();
    // SAFETY: a plain look at a setting of the database.
    let utf8 = unsafe { pg_sys::GetDatabaseEncoding() } == pg_sys::pg_enc::PG_UTF8 as i32;
    let text = if utf8 || text.is_ascii() { text.into_owned() } else { text.escape_default().to_string() };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// All that is left of the message that a receive function was given, and marks it as read.
pub(crate) fn rest<'a>(message: Raw) -> &'a [u8] {
    let buffer: pg_sys::StringInfo = message.pointer();
    // SAFETY: a receive function's first argument is a StringInfo; pq_getmsgbytes raises if it holds less.
    unsafe {
        let left = (*buffer).len - (*buffer).cursor;
        let bytes = pg_sys::pq_getmsgbytes(buffer, left);
        std::slice::from_raw_parts(bytes.cast(), left as usize)
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
