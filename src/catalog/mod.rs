//! The functions behind the catalog's SQL, except for jobs.
//!
//! - [`quality`]: the quality of an image, and its parts.
//! - [`paths`]: paths of the server that may be imported.
//! - [`page`]: the page of duplicates.
//! - [`role`]: the type of roles in rows.
//! - [`error`]: what can be wrong with paths and with the page.

pub(crate) mod error;
mod page;
pub(crate) mod paths;
mod quality;
mod role;
