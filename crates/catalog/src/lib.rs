//! The duplicates of a catalog of images, without Postgres: which images are compared, which two are a pair, which
//! image of a group is the one to keep, and what a group would save; and its bursts.
//!
//! - [`rule`]: pair rules: which hashes are compared, and within which distances.
//! - [`preference`]: which of two images is the better one to keep, and which one of a group.
//! - [`folders`]: which folder of a list holds a file.
//! - [`apart`]: images that are kept apart.
//! - [`images`]: the images of a catalog as read, and in the order of preference.
//! - [`groups`]: groups of duplicates, with the sizes and distances that tables show.
//! - [`regroup`]: which groups of an earlier search are formed again where images have changed.
//! - [`bursts`]: photographs that a camera took one after the other; the jobs of kind `detect_bursts` call it.
//!
//! Called by the jobs of kinds `detect_duplicates` and `detect_bursts` (`src/jobs/duplicates`, `src/jobs/bursts`): they
//! read rows from tables and write groups and bursts into them. For folders and the report also by `src/catalog`, and
//! by `crates/report`, which says why one image is kept. Pairs and near groups are found by `lumina-search`; this crate
//! says what goes into that search and what its result means for images.
//!
//! Invariants: an image is known by its *rank*, its place in the order of preference, so that ties in a search go to
//! the better image. Results depend neither on the order of rows nor on the number of threads. What grows with the
//! catalog is allocated through a [`lumina_search::SearchContext`], which bounds it, but for [`regroup`], whose caller
//! bounds the images.

pub mod apart;
pub mod bursts;
pub mod folders;
pub mod groups;
pub mod images;
pub mod preference;
pub mod regroup;
pub mod rule;

pub use apart::LabelSet;
pub use groups::{DuplicateGroup, DuplicateGroups, GroupKind};
pub use images::{RankedImages, UnrankedImages};
pub use preference::CatalogImage;
pub use rule::PairRule;
