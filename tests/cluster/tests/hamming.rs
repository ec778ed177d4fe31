//! The access method `hamming` on real servers: it finds what a sequential scan finds, whatever happens meanwhile.
//!
//! - [`exact`], [`histories`]: every width, radius and skew; random changes in any order.
//! - [`queries`], [`cursors`]: every shape of query that can use the index, and reads during changes.
//! - [`ddl`], [`refused`], [`lifetimes`]: every kind of table and index; refusals; crashes and transactions.
//! - [`plans`]: when the planner uses it.
//! - [`load`], [`kills`], [`timeouts`], [`standby`]: concurrent sessions, on servers that are killed and replicated.
//! - [`cancel`], [`memory`], [`cold`], [`corrupt`]: cancellation; no memory; cold caches; damage.
//! - [`old_snapshots`]: snapshots that outlive what they see.
//! - [`world`]: servers, rows, and the comparison with a sequential scan.
//!
//! Every test run includes a short form; `LUMINA_LOAD_SECONDS`, `LUMINA_KILLS` and `LUMINA_ROUNDS` make it long, and
//! `LUMINA_SEED` changes it.

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
