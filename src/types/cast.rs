//! Casts: `bigint` is a hash of 64 bits, `bit(n)` and `bytea` are hashes of their width. All of them explicit.
//!
//! The most significant bit comes first everywhere: the sign of a bigint, bit 0 of a bit string, the top of byte 0.

use super::error::ValueError;
use crate::pg::fmgr::datum::{Phash, Varlena};
use crate::pg::fmgr::raise::{OrRaise, Raise};
use lumina_hash::{MAX_BITS, width};
use pgrx::prelude::*;

/// `bigint` → `phash`, 64 bits, in two's complement.
#[pg_extern(sql = false)]
fn phash_from_bigint(number: i64) -> Varlena {
    Varlena::new(&[&number.to_be_bytes()])
}

/// `phash` → `bigint`. Errors: 42846 unless it has 64 bits.
#[pg_extern(sql = false)]
fn phash_to_bigint(hash: Phash<'_>) -> i64 {
    match hash.0.try_into() {
        Ok(bytes) => i64::from_be_bytes(bytes),
        Err(_) => ValueError::ToBigint(hash.bits()).raise(),
    }
}

/// `bytea` → `phash`. Errors: 42846 unless it has 1 to 512 bytes.
#[pg_extern(sql = false)]
fn phash_from_bytea(bytes: Phash<'_>) -> Varlena {
    width::check_bytes(bytes.0).map_err(ValueError::FromBytes).or_raise();
    Varlena::new(&[bytes.0])
}

/// `phash` → `bytea`.
#[pg_extern(sql = false)]
fn phash_to_bytea(hash: Phash<'_>) -> Varlena {
    Varlena::new(&[hash.0])
}

/// `bit(n)` or `bit varying` → `phash`. Errors: 42846 unless n is a width of hashes.
#[pg_extern(sql = false)]
fn phash_from_bit(bits: Phash<'_>) -> Varlena {
    // A bit string's payload: its length in bits as an int4, then its bits from the left.
    match bits.0.split_first_chunk::<4>() {
        Some((length, bytes)) => {
            let length = i32::from_ne_bytes(*length);
            if width::check_bits(i64::from(length)).is_err() {
                ValueError::FromBit(length as usize).raise();
            }
            Varlena::new(&[bytes])
        }
        None => ValueError::FromBit(0).raise(),
    }
}

/// `phash` → `bit(n)`. Errors: 42846 unless n is its width: bits are never cut off, nor filled up.
#[pg_extern(sql = false)]
fn phash_to_bit(hash: Phash<'_>, modifier: i32, _explicit: bool) -> Varlena {
    match usize::try_from(modifier) {
        Ok(length) if length != hash.bits() => ValueError::ToBit { type_: "bit", bits: hash.bits(), length }.raise(),
        _ => bit_string(hash),
    }
}

/// `phash` → `bit varying`. Errors: 42846 if it has more bits than the cast allows.
#[pg_extern(sql = false)]
fn phash_to_varbit(hash: Phash<'_>, modifier: i32, _explicit: bool) -> Varlena {
    match usize::try_from(modifier) {
        Ok(length) if length < hash.bits() => {
            ValueError::ToBit { type_: "bit varying", bits: hash.bits(), length }.raise()
        }
        _ => bit_string(hash),
    }
}

fn bit_string(hash: Phash<'_>) -> Varlena {
    const { assert!(MAX_BITS <= i32::MAX as usize) };
    Varlena::new(&[&(hash.bits() as i32).to_ne_bytes(), hash.0])
}
