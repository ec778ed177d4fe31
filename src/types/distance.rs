//! Distance and nearness: `<~>`, `<@`, `@>`, `phash_within`.
//!
//! The boolean forms never raise: hashes of two widths are not near. That makes them LEAKPROOF, so that row-level
//! security does not push them behind its own filter and off the index.
//!
//! Inline hashes of 64 bits, the common case, are compared before any guard is set up.

use super::error::ValueError;
use crate::pg::fmgr::call::function;
use crate::pg::fmgr::raise::Raise;

function! {
    /// `a <~> b`: the number of bits in which two hashes of one width differ. Errors: 22026.
    phash_distance, pg_finfo_phash_distance,
    now: |arguments| Some(distance_64(arguments.exactly(0)?, arguments.exactly(1)?) as i32),
    guarded: |arguments| {
        let (a, b) = (arguments.hash(0), arguments.hash(1));
        if a.0.len() != b.0.len() {
            ValueError::Distance { left: a.bits(), right: b.bits() }.raise();
        }
        lumina_hash::distance(a.0, b.0) as i32
    },
}

function! {
    /// `hash <@ ball`: whether the hash is in the ball; false for another width.
    phash_in_ball, pg_finfo_phash_in_ball,
    now: |arguments| Some(in_ball_64(arguments.exactly(0)?, arguments.exactly(1)?)),
    guarded: |arguments| arguments.ball(1).0.contains(arguments.hash(0).0),
}

function! {
    /// `ball @> hash`: whether the ball contains the hash; false for another width.
    phash_ball_contains, pg_finfo_phash_ball_contains,
    now: |arguments| Some(in_ball_64(arguments.exactly(1)?, arguments.exactly(0)?)),
    guarded: |arguments| arguments.ball(0).0.contains(arguments.hash(1).0),
}

function! {
    /// Whether two hashes of one width differ in at most `radius` bits; false for two widths and for negative radii.
    phash_within, pg_finfo_phash_within,
    now: |arguments| {
        let distance = distance_64(arguments.exactly(0)?, arguments.exactly(1)?);
        Some(i64::from(distance) <= i64::from(arguments.int4(2)))
    },
    guarded: |arguments| {
        let (a, b) = (arguments.hash(0).0, arguments.hash(1).0);
        a.len() == b.len() && i64::from(lumina_hash::distance(a, b)) <= i64::from(arguments.int4(2))
    },
}

#[inline(always)]
fn distance_64(a: &[u8; 8], b: &[u8; 8]) -> u32 {
    (u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b)).count_ones()
}

/// `ball` is the binary form of a ball of 64 bits: the radius, then the centre.
#[inline(always)]
fn in_ball_64(hash: &[u8; 8], ball: &[u8; 12]) -> bool {
    let [r0, r1, r2, r3, center @ ..] = ball;
    distance_64(hash, center) <= u32::from_be_bytes([*r0, *r1, *r2, *r3])
}
