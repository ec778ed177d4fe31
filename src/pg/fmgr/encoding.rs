//! Texts in the encoding of the database, and users' texts in messages.

use pgrx::pg_sys;
use std::ffi::CStr;

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
