//! Bulk search: `phash_pairs`, `phash_matches`, `phash_groups`, `phash_plan`.
//!
//! - [`input`]: a user's query, read to its end into ids and hashes.
//! - [`ids`]: ids of any type, in their order.
//! - [`session`]: a search's place, threads and memory, and interrupt checks meanwhile.
//! - [`device`]: the choice between CPU and GPU, for each query of a session.
//! - [`gpu`]: a search by the GPU process.
//! - [`pairs`], [`groups`], [`plan`]: the functions themselves.
//! - [`error`]: what can be wrong with a search.
//!
//! Each function goes through the same phases: check that a place is free, read the input and close its query, take the
//! place, sort the rows by id, collapse equal rows, choose a plan, search. Results are written while the search goes
//! on. Only the backend's own thread calls Postgres.

mod device;
pub(crate) mod error;
mod gpu;
mod groups;
mod ids;
mod input;
mod pairs;
mod plan;
pub(crate) mod session;
