//! Texts and binary messages as clients send them.

use super::datum::Raw;
use pgrx::pg_sys;
use std::ffi::{CStr, c_int};

/// Whether texts of Rust can be sent to this database's clients as they are.
fn is_utf8() -> bool {
    // SAFETY: a plain look at a setting of the database.
    unsafe { pg_sys::GetDatabaseEncoding() == pg_sys::pg_enc::PG_UTF8 as i32 }
}

/// The beginning of a user's text, for an error message: at most 80 bytes of it, however long it is.
pub(crate) fn printable(text: &CStr) -> String {
    const LONGEST: usize = 80;
    let (shown, rest) = text.to_bytes().split_at(text.count_bytes().min(LONGEST));
    let mut printed = String::new();
    let mut chunks = shown.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        printed.push_str(chunk.valid());
        let cut_short = chunks.peek().is_none() && !rest.is_empty();
        if !cut_short {
            printed.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
        }
    }
    if rest.is_empty() { printed } else { printed + "..." }
}

/// The beginning of a text, for an error message: at most 80 characters of it.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A message that every database can hold: in ASCII, where its encoding is not UTF-8.
pub(crate) fn in_database_encoding(message: String) -> String {
    if message.is_ascii() || is_utf8() {
        return message;
    }
    message.chars().map(|c| if c.is_ascii() { c.to_string() } else { c.escape_unicode().to_string() }).collect()
}

/// A text that every database can hold: where its encoding is not UTF-8, a question mark for what is not ASCII.
pub(crate) fn in_plain_encoding(text: String) -> String {
    if text.is_ascii() || is_utf8() {
        return text;
    }
    text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

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
