//! Exact bulk search of near hashes, on the CPU, without Postgres: all pairs of a set, one set against another, groups.
//!
//! A pair is two rows whose hashes are within a maximum distance in *every* column. Searches are exact: the result is
//! that of a comparison of every row with every other. Groups are made by a rule, which may have several alternative
//! sets of distances.
//!
//! From the bottom up, each file uses those above it:
//!
//! - [`error`], [`context`]: why a search fails; its memory, and its cancellation.
//! - [`lists`]: many lists in two vectors.
//! - [`rows`], [`collapse`], [`values`]: input rows, which of them are equal, and the distinct values they collapse to.
//! - [`query`], [`batch`]: which pairs are looked for; those that are found.
//! - [`band`], [`buffers`]: how a band of a hash's words is read; a thread's buffers.
//! - [`plan`]: which bands, or none: the cost model.
//! - [`buckets`], [`join`]: values sorted by a band; the join of the bands of a plan.
//! - [`pool`]: work on a pool of threads, whose results go to the calling thread.
//! - [`executor`]: who executes a query: the CPU, or what the caller provides.
//! - [`counter`], [`expand`]: a limit on pairs; pairs of values to pairs of rows.
//! - [`rule`]: when two values are near, with alternatives: the pairs of several queries.
//! - [`group`]: cliques, stars and components.
//! - [`near`]: the rows of a set that are near given hashes.
//! - [`transfer`]: sets and plans for another device.
//!
//! Called by `src/search`, `src/jobs/duplicates` and `src/jobs/bursts` of the extension, and by `crates/catalog`;
//! bursts use the search's memory and threads alone. Threads never see Postgres: everything that talks to it is given
//! as a closure that runs on the calling thread.

mod band;
pub mod batch;
mod buckets;
mod buffers;
mod collapse;
pub mod context;
mod counter;
pub mod error;
pub mod executor;
pub mod expand;
pub mod group;
pub mod join;
mod lists;
mod near;
pub mod plan;
pub mod pool;
pub mod query;
pub mod rows;
pub mod rule;
#[cfg(test)]
mod tests;
pub mod transfer;
pub mod values;

pub use batch::{PairBatch, PairResults, PairSink, ValuePair};
pub use context::SearchContext;
pub use error::{SearchError, ValueShare};
pub use executor::{CpuExecutor, Executor};
pub use expand::Expansion;
pub use join::find_pairs;
pub use near::find_near_rows;
pub use plan::{Costs, Plan};
pub use pool::run_on_pool;
pub use query::PairQuery;
pub use rows::{HashRows, MAX_ROWS};
pub use rule::Rule;
pub use values::{ValueRows, Values};
