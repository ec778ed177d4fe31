//! The unsafe floor: the only place, with the kernels, where the extension holds raw pointers.
//!
//! - [`allocator`]: memory for what is too small to be asked for with care.
//! - [`array`]: one-dimensional arrays.
//! - [`call`]: functions that run once a row.
//! - [`context`]: where an error happened, kept while it passes through Rust.
//! - [`datum`]: hashes and balls as function arguments and results.
//! - [`interrupts`]: interrupts in the middle of somebody else's code.
//! - [`jsonb`]: values of that type.
//! - [`message`]: texts and binary messages from a client.
//! - [`node`]: what the planner's expression trees say about an argument; catalog look-ups.
//! - [`query`]: runs a user's query and hands over its rows.
//! - [`record`]: functions that return one row of several columns.
//! - [`report`]: messages that are no errors.
//! - [`rows`]: functions that return a set of rows.
//! - [`slot`]: how many searches run at once on the server.
//! - [`statistics`]: what ANALYZE stored of a column.
//! - [`sort`]: the callbacks of a sort.
//! - [`threads`]: what must hold around the start of threads.
//! - [`values`]: values of any type, copied out of rows.
//! - [`version`]: all that differs between Postgres versions.
//!
//! Invariant: nothing here keeps a pointer into Postgres's memory past the call that handed it out, and no
//! destructor calls Postgres while an ERROR unwinds.
#![allow(unsafe_code)]

pub(crate) mod allocator;
pub(crate) mod array;
pub(crate) mod call;
mod context;
pub(crate) mod datum;
pub(crate) mod interrupts;
pub(crate) mod jsonb;
pub(crate) mod message;
pub(crate) mod node;
pub(crate) mod query;
pub(crate) mod record;
pub(crate) mod report;
pub(crate) mod rows;
pub(crate) mod slot;
pub(crate) mod sort;
pub(crate) mod statistics;
pub(crate) mod threads;
pub(crate) mod values;
pub(crate) mod version;
