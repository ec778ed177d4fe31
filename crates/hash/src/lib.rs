//! Fixed-width bit strings ("hashes") under Hamming distance, without Postgres.
//!
//! A hash is a byte string of 1 to 512 bytes, that is 8 to 4096 bits in steps of 8. Byte 0 holds the most significant
//! bits, like the hex form and the network order of the binary form, so that the order of hashes is the order of their
//! bytes.
//!
//! - [`width`]: which widths exist.
//! - [`hex`]: the text form of a hash.
//! - [`ball`]: a centre and a radius; its text and binary forms; how much of the space it fills.
//! - [`bands`]: the pigeonhole rule: how a hash is cut, which flips of a band are searched.
//! - [`estimate`]: how many rows of a column lie in a ball.
//! - [`kernel`]: distances, one to one and one to many, by the best instruction set of the machine.
//! - [`spread`]: how bits are permuted before a hash is cut into bands.
//! - [`words`]: hashes as rows of `u64`, the form in which the kernels read many of them.
//!
//! Called by the extension (types, planner, searches, errors) and by the crates `index`, `search` and `gpu`; in tests
//! also by `photo`.

pub mod ball;
pub mod bands;
pub mod estimate;
pub mod hex;
pub mod kernel;
mod spacing;
pub mod spread;
pub mod width;
pub mod words;

pub use kernel::{Hit, distance};
pub use width::{MAX_BITS, MAX_BYTES, MIN_BITS};
