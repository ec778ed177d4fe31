//! The hamming index without a database around it: exact radius and nearest-neighbour search over pages.
//!
//! Multi-index hashing (Norouzi, Punjani, Fleet, CVPR 2012) in a log-structured set of sorted runs. A hash is cut into
//! bands; a run holds its entries once per band, sorted by the hash rotated so that the band comes first; a search
//! looks up the neighbours of each band's value, as few as the pigeonhole rule allows, or reads one band from end to
//! end if that is cheaper. Inserts go to staging pages, which every search reads; full batches of them become runs, and
//! runs become larger runs.
//!
//! - [`store`]: what an index needs of a database: pages that change atomically, two locks, an xid horizon.
//! - [`page`], [`meta`]: the page format, and block 0, which says which pages are in use.
//! - [`layout`]: how a hash of some width is stored in the bands.
//! - `entries`, `run`, `free`, `view`: arrays of a page; writing the trees of a run, to which blocks; reading them.
//! - [`index`]: creating, opening, inserting. `flush`, `merge`: staging pages become a run, runs become one.
//! - [`scan`], [`cost`]: searches and their cost.
//! - [`vacuum`], [`check`], [`heap_check`], [`build`].
//!
//! An interrupted change loses nothing and duplicates nothing: every change of the pages is one call of
//! [`store::Store::change`], and the index is whole after any of them. `tests/` proves it on a store in memory that
//! crashes after every change, forgets what was not logged, and lets sessions and a standby interleave in any order.
//!
//! Called by `src/am` of the extension.

pub mod build;
pub mod check;
pub mod cost;
mod entries;
pub mod error;
mod flush;
mod free;
mod golay;
pub mod heap_check;
pub mod index;
pub mod layout;
mod merge;
pub mod meta;
pub mod page;
mod run;
pub mod scan;
pub mod store;
pub mod vacuum;
mod view;

pub use build::{BuildStats, IndexBuilder, MemorySpool, Spool};
pub use check::{CheckedEntry, IndexStats, RunStats};
pub use error::{Corrupted, Damage};
pub use index::{Index, MAX_FOREGROUND_PAGES, Tails};
pub use layout::{Layout, LayoutError, MAX_BITS, PackedHash};
pub use page::{PAGE_SIZE, Page};
pub use scan::{HammingScan, OrderBy, Query};
pub use store::{MaintenanceLock, Store};
pub use vacuum::{CleanedUp, Vacuumed};
