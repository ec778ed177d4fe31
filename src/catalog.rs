//! The functions behind the catalog's SQL, except for jobs.
//!
//! - [`quality`]: the quality of an image, and its parts.
//! - [`paths`]: paths of the server that may be imported.
//! - [`report`]: the report of duplicates, one HTML page.
//! - [`role`]: the type of roles in rows.
//! - [`error`]: what can be wrong with paths and with the report.

pub(crate) mod error;
pub(crate) mod paths;
mod quality;
mod report;
mod role;
