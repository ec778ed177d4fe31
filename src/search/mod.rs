//! Bulk search: `phash_pairs`, `phash_matches`, `phash_groups`, `phash_plan`.
//!
//! - [`input`]: a user's query, read to its end into ids and hashes.
//! - [`ids`]: ids of any type, in their order.
//! - [`run`]: a search's threads, and interrupt checks meanwhile.
//! - [`device`]: the choice between CPU and GPU.
//! - [`gpu`]: a search by the GPU process.
//! - [`pairs`], [`groups`], [`plan`]: the functions themselves.
//! - [`error`]: what can be wrong with a search.
//!
//! Each function goes through the same phases: check that a slot is free, read the input and close its query, take the
//! slot, sort the rows by id, collapse equal rows, choose a plan, search. Results are written while the search goes on.
//! Only the backend's own thread calls Postgres.

pub(crate) mod device;
pub(crate) mod error;
mod gpu;
mod groups;
mod ids;
mod input;
mod pairs;
mod plan;
pub(crate) mod run;
