//! The unsafe floor: the only place, with the kernels, where the extension holds raw pointers.
//!
//! - [`call`]: functions that run once a row.
//! - [`datum`]: hashes and balls as function arguments and results.
//! - [`message`]: texts and binary messages from a client.
//! - [`node`]: what the planner's expression trees say about an argument; catalog look-ups.
//! - [`statistics`]: what ANALYZE stored of a column.
//! - [`sort`]: the callbacks of a sort.
//! - [`version`]: all that differs between Postgres versions.
//!
//! Invariant: nothing here keeps a pointer into Postgres's memory past the call that handed it out, and no
//! destructor calls Postgres while an ERROR unwinds.
#![allow(unsafe_code)]

pub(crate) mod call;
pub(crate) mod datum;
pub(crate) mod message;
pub(crate) mod node;
pub(crate) mod sort;
pub(crate) mod statistics;
pub(crate) mod version;
