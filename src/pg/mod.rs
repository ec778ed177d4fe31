//! The wrappers of Postgres's C interface, for all other modules of `src`. Most unsafe code of `src` is here; the rest
//! is in what Postgres calls (`src/am`, `src/jobs`, `src/gpu/worker.rs`, `_PG_init`), in what the macros of [`call`],
//! [`rows`] and [`procedure`] expand to in other modules, and in a few calls in `src/image/hash.rs` and `src/guc.rs`.
//!
//! - [`allocator`]: memory for what is too small to be asked for with care.
//! - [`arguments`]: the arguments of a running call.
//! - [`array`]: one-dimensional arrays.
//! - [`background`]: background workers: started, set up, woken.
//! - [`call`]: functions that run once a row.
//! - [`child`]: a process of our own below a background worker.
//! - [`context`]: where an error happened, kept while it passes through Rust.
//! - [`databases`]: the databases of the server.
//! - [`datum`]: hashes and balls as function arguments and results.
//! - [`encoding`]: the encoding of the database, and users' texts in messages.
//! - [`error`]: what can be wrong with arguments, queries and names, and what the server can lack.
//! - [`home`]: what tells this database from every copy of it.
//! - [`horizon`]: when a page that was replaced may be taken.
//! - [`image_memory`]: what all images of the server take together.
//! - [`index_scan`]: running scans of an index.
//! - [`insertion`]: what an index keeps over the rows of a statement.
//! - [`interrupts`]: interrupts in the middle of somebody else's code.
//! - [`jsonb`]: values of that type.
//! - [`latch`]: a backend that waits.
//! - [`lock`]: locks of our own in Postgres's lock table.
//! - [`message`]: texts and binary messages from a client.
//! - [`node`]: what the planner's expression trees say about an argument; catalog look-ups.
//! - [`opclass`]: operator classes.
//! - [`options`]: storage parameters.
//! - [`owner`]: functions that every role calls and the owner carries out.
//! - [`pages`]: the page store of the index: its pages in shared buffers.
//! - [`path`]: ways to read a table that the planner wants the costs of.
//! - [`place`]: how many searches run at once on the server.
//! - [`procedure`]: procedures that wait.
//! - [`progress`]: how far a build is.
//! - [`query`]: runs a user's query and hands over its rows.
//! - [`raise`]: errors of ours, raised to Postgres.
//! - [`record`]: functions that return one row of several columns.
//! - [`relation`]: tables and indexes.
//! - [`report`]: messages that are no errors.
//! - [`role`]: roles of the cluster.
//! - [`rows`]: functions that return a set of rows.
//! - [`server`]: where this server lives, and as which user.
//! - [`settings`]: those of a background worker, whatever its database has preset.
//! - [`shared_memory`]: what all processes share, where the library is preloaded.
//! - [`sort`]: the callbacks of a sort.
//! - [`spool`]: words that wait on disk.
//! - [`statement`]: fixed statements of our own.
//! - [`statistics`]: what ANALYZE stored of a column.
//! - [`table_scan`]: reading a table for an index of it.
//! - [`threads`]: what must hold around the start of threads.
//! - [`transaction`]: transactions of background workers, and the end of a session's.
//! - [`vacuum`]: vacuum of an index.
//! - [`values`]: values of any type, copied out of rows.
//! - [`verified`]: which pages of indexes this session has found intact.
//! - [`version`]: all that differs between Postgres versions, apart from the access method's handler.
//!
//! Invariant: nothing here keeps a pointer into Postgres's memory past the call that handed it out, and no
//! destructor calls Postgres while an ERROR unwinds.
#![allow(unsafe_code)]

pub(crate) mod allocator;
pub(crate) mod arguments;
pub(crate) mod array;
pub(crate) mod background;
pub(crate) mod call;
pub(crate) mod child;
mod context;
pub(crate) mod databases;
pub(crate) mod datum;
pub(crate) mod encoding;
pub(crate) mod error;
pub(crate) mod home;
mod horizon;
pub(crate) mod image_memory;
pub(crate) mod index_scan;
pub(crate) mod insertion;
pub(crate) mod interrupts;
pub(crate) mod jsonb;
pub(crate) mod latch;
pub(crate) mod lock;
pub(crate) mod message;
pub(crate) mod node;
pub(crate) mod opclass;
pub(crate) mod options;
mod owner;
pub(crate) mod pages;
pub(crate) mod path;
pub(crate) mod place;
pub(crate) mod procedure;
pub(crate) mod progress;
pub(crate) mod query;
pub(crate) mod raise;
pub(crate) mod record;
pub(crate) mod relation;
pub(crate) mod report;
pub(crate) mod role;
pub(crate) mod rows;
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod shared_memory;
pub(crate) mod sort;
pub(crate) mod spool;
pub(crate) mod statement;
pub(crate) mod statistics;
pub(crate) mod table_scan;
pub(crate) mod threads;
pub(crate) mod transaction;
pub(crate) mod vacuum;
pub(crate) mod values;
mod verified;
pub(crate) mod version;
