//! The wrappers of Postgres's C interface, for all other modules of `src`. Most unsafe code of `src` is here; the rest
//! is in what Postgres calls (`src/am`, `src/jobs`, `src/gpu/worker.rs`, `_PG_init`), in what the macros of
//! [`fmgr::call`], [`fmgr::rows`] and [`fmgr::procedure`] expand to in other modules, and in a few calls in
//! `src/image/hash.rs` and `src/guc.rs`.
//!
//! - [`fmgr`]: functions that SQL calls: arguments, results, errors.
//! - [`access`]: what the access method uses of Postgres: relations, pages, scans, sorts, vacuum.
//! - [`planner`]: what the planner asks, and what it is told.
//! - [`spi`]: queries and statements, run by SPI.
//! - [`worker`]: background workers, their transactions, processes below them.
//! - [`backend`]: what any process of a server has: memory, interrupts, locks, threads, reports.
//! - [`version`]: all that differs between Postgres versions, apart from the access method's handler.
//!
//! Invariant: nothing here keeps a pointer into Postgres's memory past the call that handed it out, and no
//! destructor calls Postgres while an ERROR unwinds.
#![allow(unsafe_code)]

pub(crate) mod access;
pub(crate) mod backend;
pub(crate) mod fmgr;
pub(crate) mod planner;
pub(crate) mod spi;
pub(crate) mod version;
pub(crate) mod worker;
