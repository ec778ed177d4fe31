//! The access method `hamming` on whole servers: it finds what a sequential scan finds, whatever happens meanwhile.
//!
//! - [`exact`], [`histories`]: every width, radius and skew; random changes in any order.
//! - [`queries`], [`cursors`]: every shape of query that can reach the index, and what is read while it changes.
//! - [`ddl`], [`refused`], [`lifetimes`]: every kind of table and index; what is refused, and how; crashes and transactions.
//! - [`plans`]: when the planner takes it.
//! - [`load`], [`kills`], [`timeouts`], [`standby`]: many sessions at once, on servers that are killed and followed.
//! - [`cancel`], [`memory`], [`cold`], [`corrupt`]: ended in the middle; no memory; nothing in the cache; damaged files.
//! - [`old_snapshots`]: snapshots that outlive what they see.
//! - [`world`]: servers, rows, and the comparison with a sequential scan.
//!
//! A short run is part of every test; `LUMINA_LOAD_SECONDS`, `LUMINA_KILLS` and `LUMINA_ROUNDS` make it a long one, and
//! `LUMINA_SEED` another one.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "hamming/cancel.rs"]
mod cancel;
#[path = "hamming/cold.rs"]
mod cold;
#[path = "hamming/corrupt.rs"]
mod corrupt;
#[path = "hamming/cursors.rs"]
mod cursors;
#[path = "hamming/ddl.rs"]
mod ddl;
#[path = "hamming/exact.rs"]
mod exact;
#[path = "hamming/histories.rs"]
mod histories;
#[path = "hamming/kills.rs"]
mod kills;
#[path = "hamming/lifetimes.rs"]
mod lifetimes;
#[path = "hamming/load.rs"]
mod load;
#[path = "hamming/memory.rs"]
mod memory;
#[path = "hamming/old_snapshots.rs"]
mod old_snapshots;
#[path = "hamming/plans.rs"]
mod plans;
#[path = "hamming/queries.rs"]
mod queries;
#[path = "hamming/refused.rs"]
mod refused;
#[path = "hamming/standby.rs"]
mod standby;
#[path = "hamming/timeouts.rs"]
mod timeouts;
#[path = "hamming/world.rs"]
mod world;
