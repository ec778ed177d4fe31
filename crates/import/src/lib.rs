//! From directories to facts, without Postgres: which files there are, and what is in them.
//!
//! - [`roots`]: directories that may be read, and files opened beneath them without following a link.
//! - [`walk`]: the files of a directory, one after the other, in an order in which it can be gone on with.
//! - [`names`]: what the name of a file says of it.
//! - [`read`]: the bytes of a file, of one moment, with their checksum.
//! - [`facts`]: what is known of a file in the end, or why nothing is.
//! - [`analyze`]: from bytes to facts.
//! - [`pool`]: threads; [`visit`]: the look that one takes at a file; [`queue`]: which file they are given when, within a bound of
//!   memory.
//! - [`contents`]: which contents need not be decoded.
//! - [`thumbnail`]: small pictures of files that were imported.
//!
//! Called by the kind `import` of the extension's jobs. Names and bytes are hostile, and files change while they are read:
//! everything that is said of a file is read from one descriptor of it, and what changes meanwhile is not believed.

pub mod analyze;
pub mod contents;
pub mod facts;
pub mod names;
pub mod pool;
pub mod queue;
pub mod read;
pub mod roots;
pub mod thumbnail;
pub mod visit;
pub mod walk;

pub use facts::{Facts, Finding, Outcome, Stamp};
pub use roots::{Refusal, Roots};
