//! Import without Postgres: finds files below directories, and extracts their facts.
//!
//! - [`roots`]: directories that may be read, and files opened beneath them without following a link.
//! - [`walk`]: the files of a directory tree, in an order that allows to resume.
//! - [`names`]: which files are skipped by name.
//! - [`read`]: the bytes of a file as of one moment, with their checksum.
//! - [`facts`]: the facts of a file, or why there are none.
//! - [`sidecar`]: the files beside a photograph that belong to it, and the date that they give.
//! - [`analyze`]: from bytes to facts.
//! - [`pool`]: threads; [`visit`]: what a thread does with one file; [`queue`]: when each file is given to them, within
//!   a memory limit.
//! - [`contents`]: which contents need no decoding.
//! - [`thumbnail`]: thumbnails of files that were imported.
//!
//! Called by the extension's jobs of kind `import`, and by `src/catalog` for paths and thumbnails. Names and bytes are
//! hostile, and files change while they are read: all facts of a file come from one descriptor, and a file that changes
//! meanwhile is rejected.

pub mod analyze;
pub mod contents;
pub mod facts;
pub mod names;
pub mod pool;
pub mod queue;
pub mod read;
pub mod roots;
pub mod sidecar;
pub mod thumbnail;
pub mod visit;
pub mod walk;

pub use facts::{Facts, FileOutcome, FileStatus, Finding};
pub use roots::{Refusal, Roots};
