//! Exact bulk search of near hashes, on the CPU, without Postgres: all pairs of a set, one set against another, groups.
//!
//! A pair is two rows whose hashes are within a maximum distance in *every* column. Searches are exact: the result is
//! that of a comparison of every row with every other. Groups are made by a rule, which may have several alternative
//! sets of distances.
//!
//! - [`context`]: the memory of a search, and its cancellation.
//! - [`values`]: input rows, and the distinct values they collapse to.
//! - [`lists`]: many lists in two vectors.
//! - [`band`]: how a band of a hash's words is read.
//! - [`plan`]: which bands, or none: the cost model.
//! - [`sort`]: values sorted by a band.
//! - [`search`]: the join of the bands.
//! - [`session`]: a search on a pool of threads; its results go to the calling thread.
//! - [`expand`]: pairs of values to pairs of rows, up to a limit.
//! - [`rule`]: when two values are near, with alternatives: the pairs of several searches.
//! - [`group`]: cliques, stars and components.
//! - [`transfer`]: sets and plans for another device.
//!
//! Called by `src/search` and `src/jobs/duplicates` of the extension. Threads never see Postgres: everything that talks
//! to it is given as a closure that runs on the calling thread.

mod band;
pub mod context;
pub mod error;
pub mod expand;
pub mod group;
mod lists;
pub mod plan;
pub mod rule;
pub mod search;
pub mod session;
mod sort;
#[cfg(test)]
mod tests;
pub mod transfer;
pub mod values;

pub use context::Context;
pub use error::{Blame, SearchError};
pub use expand::Expansion;
pub use plan::{Costs, Plan};
pub use rule::Rule;
pub use search::{Batch, Search, ValuePair};
pub use session::{Sink, run};
pub use values::{Rows, Values};

/// The most rows that a set can have.
pub const MAX_ROWS: usize = u32::MAX as usize - 1024;
