//! Equality, order and hash codes: byte by byte, a hash before every longer one that begins with it, like `bytea`.
//!
//! Total over all widths: ANALYZE, sorts and indexes of a column without a width must not fail.

use crate::pg::access::sort;
use crate::pg::fmgr::call::function;
use crate::pg::fmgr::datum::Raw;
use pgrx::prelude::*;

macro_rules! comparison {
    ($($name:ident, $record:ident, $operator:tt, $doc:literal;)*) => {$(
        function! {
            #[doc = $doc]
            $name, $record,
            now: |arguments| Some(arguments.inline(0)? $operator arguments.inline(1)?),
            guarded: |arguments| arguments.hash(0) $operator arguments.hash(1),
        }
    )*};
}

comparison! {
    phash_eq, pg_finfo_phash_eq, ==, "`a = b`.";
    phash_ne, pg_finfo_phash_ne, !=, "`a <> b`.";
    phash_lt, pg_finfo_phash_lt, <, "`a < b`.";
    phash_le, pg_finfo_phash_le, <=, "`a <= b`.";
    phash_gt, pg_finfo_phash_gt, >, "`a > b`.";
    phash_ge, pg_finfo_phash_ge, >=, "`a >= b`.";
}

function! {
    /// B-tree support function 1: -1, 0 or 1.
    phash_cmp, pg_finfo_phash_cmp,
    now: |arguments| Some(arguments.inline(0)?.cmp(arguments.inline(1)?) as i32),
    guarded: |arguments| arguments.hash(0).cmp(&arguments.hash(1)) as i32,
}

/// B-tree support function 2: sort support.
#[pg_extern(sql = false)]
fn phash_sortsupport(request: Raw) {
    sort::prepare(request);
}

function! {
    /// Hash support function 1.
    phash_hash, pg_finfo_phash_hash,
    now: |arguments| Some(sort::hash_code(arguments.inline(0)?) as i32),
    guarded: |arguments| sort::hash_code(arguments.hash(0).0) as i32,
}

function! {
    /// Hash support function 2.
    phash_hash_extended, pg_finfo_phash_hash_extended,
    now: |arguments| Some(sort::hash_code_extended(arguments.inline(0)?, arguments.int8(1) as u64) as i64),
    guarded: |arguments| sort::hash_code_extended(arguments.hash(0).0, arguments.int8(1) as u64) as i64,
}
