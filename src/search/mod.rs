//! Bulk search: `phash_pairs`, `phash_matches`, `phash_groups`, `phash_plan`.
//!
//! - [`input`]: a user's query, read to its end into ids and hashes.
//! - [`ids`]: ids of any type, in their order.
//! - [`run`]: the threads of a search, while this backend stays awake.
//! - [`device`]: which device does what.
//! - [`gpu`]: a search by the GPU process.
//! - [`pairs`], [`groups`], [`plan`]: the functions themselves.
//!
//! Each function goes through the same phases: take a slot, read the input and close its query, put the rows in the
//! order of their ids, collapse equal rows, choose a plan, search. What was found is written to the result while the
//! search goes on. Nothing of Postgres is touched but by the backend's own thread.

pub(crate) mod device;
mod gpu;
mod groups;
mod ids;
mod input;
mod pairs;
mod plan;
pub(crate) mod run;
