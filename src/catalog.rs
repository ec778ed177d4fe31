//! The functions behind the catalog's SQL, except for jobs.
//!
//! - [`quality`]: the scores of an image, and their parts.
//! - [`folders`]: which folder of a list holds a file.
//! - [`paths`]: paths of the server that may be imported.
//! - [`report`]: the report of duplicates, one HTML page.
//! - [`role`]: the type of roles in rows.
//! - [`error`]: what can be wrong with paths and with the report.

pub(crate) mod error;
mod folders;
pub(crate) mod paths;
mod quality;
mod report;
mod role;
