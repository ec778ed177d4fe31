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

mod cancel;
mod cold;
mod corrupt;
mod cursors;
mod ddl;
mod exact;
mod histories;
mod kills;
mod lifetimes;
mod load;
mod memory;
mod old_snapshots;
mod plans;
mod queries;
mod refused;
mod standby;
mod timeouts;
mod world;
