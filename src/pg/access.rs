//! What the access method uses of Postgres: relations, pages, scans, sorts, vacuum.
//!
//! - [`horizon`]: when a page that was replaced may be taken.
//! - [`index_scan`]: running scans of an index.
//! - [`insertion`]: what an index keeps over the rows of a statement.
//! - [`opclass`]: operator classes.
//! - [`options`]: storage parameters.
//! - [`pages`]: the page store of the index: its pages in shared buffers.
//! - [`progress`]: how far a build is.
//! - [`relation`]: tables and indexes.
//! - [`sort`]: the callbacks of a sort.
//! - [`spool`]: words that wait on disk.
//! - [`statistics`]: what ANALYZE stored of a column.
//! - [`table_scan`]: reading a table for an index of it.
//! - [`vacuum`]: vacuum of an index.
//! - [`verified`]: which pages of indexes this session has found intact.

pub(in crate::pg) mod horizon;
pub(crate) mod index_scan;
pub(crate) mod insertion;
pub(crate) mod opclass;
pub(crate) mod options;
pub(crate) mod pages;
pub(crate) mod progress;
pub(crate) mod relation;
pub(crate) mod sort;
pub(crate) mod spool;
pub(crate) mod statistics;
pub(crate) mod table_scan;
pub(crate) mod vacuum;
pub(in crate::pg) mod verified;
