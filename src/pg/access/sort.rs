//! The callbacks of a sort: full comparison, and abbreviated keys.
//!
//! The abbreviated key of a hash is its first eight bytes as an unsigned number: for a `phash(64)` the whole hash, for
//! a wider one as good a key as any, since bits of perceptual hashes are close to evenly spread. Abbreviation is never
//! aborted.

use crate::pg::fmgr::datum::{Phash, Raw};
use lumina_hash::words::word_of;
use pgrx::pg_sys::{Datum, SortSupport};
use pgrx::prelude::*;
use std::cmp::Ordering;
use std::ffi::c_int;

unsafe extern "C-unwind" {
    /// Postgres's own comparison of abbreviated keys. Declared again because tuplesort recognises it by its address and
    /// then sorts without calling it; pgrx's binding has another address.
    fn ssup_datum_unsigned_cmp(x: Datum, y: Datum, ssup: SortSupport) -> c_int;
    /// Postgres's hash of a string of bytes, stable between releases on one platform. Never raises.
    fn hash_bytes(k: *const u8, keylen: c_int) -> u32;
    /// `hash_bytes` with a seed and 64 bits.
    fn hash_bytes_extended(k: *const u8, keylen: c_int, seed: u64) -> u64;
}

/// Fills in a SortSupport.
pub(crate) fn prepare(request: Raw) {
    let support: SortSupport = request.pointer();
    // SAFETY: the argument is declared `internal`; tuplesort passes its SortSupport there.
    unsafe {
        if (*support).abbreviate {
            (*support).comparator = Some(ssup_datum_unsigned_cmp);
            (*support).abbrev_converter = Some(abbreviate);
            (*support).abbrev_abort = Some(keep_abbreviating);
            (*support).abbrev_full_comparator = Some(compare);
        } else {
            (*support).comparator = Some(compare);
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn compare(x: Datum, y: Datum, _support: SortSupport) -> c_int {
    // SAFETY: tuplesort passes values of the column that is sorted, never NULL.
    let order = unsafe { Phash::read(x).cmp(&Phash::read(y)) };
    match order {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn abbreviate(original: Datum, _support: SortSupport) -> Datum {
    // SAFETY: tuplesort passes a value of the column that is sorted, never NULL.
    let hash = unsafe { Phash::read(original) }.0;
    Datum::from(word_of(&hash[..hash.len().min(8)]))
}

#[pg_guard]
unsafe extern "C-unwind" fn keep_abbreviating(_rows: c_int, _support: SortSupport) -> bool {
    false
}

/// The hash code of a hash, as Postgres computes it for `bytea`.
#[inline]
pub(crate) fn hash_code(bytes: &[u8]) -> u32 {
    // SAFETY: reads exactly the bytes given, and never raises.
    unsafe { hash_bytes(bytes.as_ptr(), bytes.len() as c_int) }
}

/// [`hash_code`] with a seed and 64 bits.
#[inline]
pub(crate) fn hash_code_extended(bytes: &[u8], seed: u64) -> u64 {
    // SAFETY: reads exactly the bytes given, and never raises.
    unsafe { hash_bytes_extended(bytes.as_ptr(), bytes.len() as c_int, seed) }
}
