//! The types that users see: `phash`, a string of bits, and `phash_ball`, a hash and a radius.
//!
//! - [`phash`]: text and binary input and output, type modifier.
//! - [`ball`]: input, output and construction of balls.
//! - [`distance`]: the operators `<~>`, `<@`, `@>`, `phash_within`.
//! - [`compare`]: order, `= <> < <= > >=`, sorting, hashing.
//! - [`cast`]: to and from bigint, bit strings and bytea.
//! - [`bands`]: the function `phash_bands`.
//! - [`error`]: what can be wrong with values.
//!
//! The functions here are declared in `sql/`, all of them STRICT and IMMUTABLE.

mod ball;
mod bands;
mod cast;
mod compare;
mod distance;
pub(crate) mod error;
mod phash;
#[cfg(any(test, feature = "pg_test"))]
mod tests;
