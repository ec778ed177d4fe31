//! The unsafe floor: the only place, with the kernels, where the extension holds raw pointers.
//!
//! - [`allocator`]: memory for what is too small to be asked for with care.
//! - [`array`]: one-dimensional arrays.
//! - [`background`]: background workers: started, set up, woken.
//! - [`call`]: functions that run once a row.
//! - [`context`]: where an error happened, kept while it passes through Rust.
//! - [`databases`]: the databases of the server.
//! - [`datum`]: hashes and balls as function arguments and results.
//! - [`home`]: what tells this database from every copy of it.
//! - [`interrupts`]: interrupts in the middle of somebody else's code.
//! - [`jsonb`]: values of that type.
//! - [`lock`]: locks of our own in Postgres's lock table.
//! - [`message`]: texts and binary messages from a client.
//! - [`node`]: what the planner's expression trees say about an argument; catalog look-ups.
//! - [`owner`]: functions that every role calls and the owner carries out.
//! - [`procedure`]: procedures that wait.
//! - [`query`]: runs a user's query and hands over its rows.
//! - [`record`]: functions that return one row of several columns.
//! - [`report`]: messages that are no errors.
//! - [`rows`]: functions that return a set of rows.
//! - [`slot`]: how many searches run at once on the server.
//! - [`sort`]: the callbacks of a sort.
//! - [`statement`]: fixed statements of our own.
//! - [`statistics`]: what ANALYZE stored of a column.
//! - [`threads`]: what must hold around the start of threads.
//! - [`transaction`]: transactions of background workers, and the end of a session's.
//! - [`values`]: values of any type, copied out of rows.
//! - [`version`]: all that differs between Postgres versions.
//!
//! Invariant: nothing here keeps a pointer into Postgres's memory past the call that handed it out, and no
//! destructor calls Postgres while an ERROR unwinds.
#![allow(unsafe_code)]

pub(crate) mod allocator;
pub(crate) mod array;
pub(crate) mod background;
pub(crate) mod call;
mod context;
pub(crate) mod databases;
pub(crate) mod datum;
pub(crate) mod home;
pub(crate) mod interrupts;
pub(crate) mod jsonb;
pub(crate) mod lock;
pub(crate) mod message;
pub(crate) mod node;
mod owner;
pub(crate) mod procedure;
pub(crate) mod query;
pub(crate) mod record;
pub(crate) mod report;
pub(crate) mod rows;
pub(crate) mod server;
pub(crate) mod slot;
pub(crate) mod sort;
pub(crate) mod statement;
pub(crate) mod statistics;
pub(crate) mod threads;
pub(crate) mod transaction;
pub(crate) mod values;
pub(crate) mod version;
