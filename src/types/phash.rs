//! `phash`: text and binary input and output, and the width as a type modifier.

use super::error::ValueError;
use crate::pg::fmgr::datum::{CString, Phash, Raw, Varlena};
use crate::pg::fmgr::encoding;
use crate::pg::fmgr::message;
use crate::pg::fmgr::raise::{OrRaise, Raise};
use crate::pg::version;
use lumina_hash::{MAX_BYTES, hex, width};
use pgrx::pg_sys::{FunctionCallInfo, Oid};
use pgrx::prelude::*;
use std::ffi::CStr;

/// Reads a hash: hex digits, and the width that the modifier asks for. Errors: 22P02, 22026.
#[pg_extern(sql = false)]
fn phash_in(text: &CStr, _element: Oid, modifier: i32, fcinfo: FunctionCallInfo) -> Raw {
    let mut buffer = [0; MAX_BYTES];
    let parsed = hex::decode_bytes(text.to_bytes(), &mut buffer)
        .map_err(|why| ValueError::HashText { text: encoding::printable(text), why })
        .and_then(|hash| fitting(Phash(hash), modifier));
    match parsed {
        Ok(hash) => Raw(Varlena::new(&[hash.0]).into_datum()),
        Err(error) => Raw(version::raise_softly(error.into(), fcinfo)),
    }
}

/// Writes a hash as lower-case hex.
#[pg_extern(sql = false)]
fn phash_out(hash: Phash<'_>) -> CString {
    CString::new(hex::encode(hash.0, &mut [0; 2 * MAX_BYTES]))
}

/// Reads the bare bytes of a hash. Errors: 22P03, 22026.
#[pg_extern(sql = false)]
fn phash_recv(message: Raw, _element: Oid, modifier: i32) -> Varlena {
    let bytes = message::rest(message);
    width::check_bytes(bytes).map_err(ValueError::HashBinary).or_raise();
    Varlena::new(&[fitting(Phash(bytes), modifier).or_raise().0])
}

/// Writes the bare bytes of a hash.
#[pg_extern(sql = false)]
fn phash_send(hash: Phash<'_>) -> Varlena {
    Varlena::new(&[hash.0])
}

/// Reads the `(64)` of `phash(64)`. Errors: 22023.
#[pg_extern(sql = false)]
fn phash_typmod_in(modifiers: Raw) -> i32 {
    match message::modifiers(modifiers) {
        [bits] => width::check_bits(i64::from(*bits)).map_err(ValueError::Modifier).or_raise() as i32,
        _ => ValueError::ModifierCount.raise(),
    }
}

/// Writes the `(64)` of `phash(64)`.
#[pg_extern(sql = false)]
fn phash_typmod_out(modifier: i32) -> CString {
    CString::new(&if modifier < 0 { String::new() } else { format!("({modifier})") })
}

/// The cast of a `phash` to `phash(n)`: the hash itself, if it has that width. Errors: 22026.
///
/// Explicit casts too: a truncated hash is another hash.
#[pg_extern(sql = false)]
fn phash_enforce_width(hash: Phash<'_>, modifier: i32, _explicit: bool) -> Varlena {
    Varlena::new(&[fitting(hash, modifier).or_raise().0])
}

/// The width of a hash in bits.
#[pg_extern(sql = false)]
fn phash_bits(hash: Phash<'_>) -> i32 {
    hash.bits() as i32
}

fn fitting(hash: Phash<'_>, modifier: i32) -> Result<Phash<'_>, ValueError> {
    match usize::try_from(modifier) {
        Ok(expected) if expected != hash.bits() => Err(ValueError::Width { found: hash.bits(), expected }),
        _ => Ok(hash),
    }
}
