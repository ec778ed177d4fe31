//! The functions behind the catalog's SQL, except for jobs.
//!
//! - [`quality`]: the quality of an image, and its parts.
//! - [`paths`]: paths of the server that may be imported.
//! - [`page`]: the page of duplicates.
//! - [`role`]: the type of roles in rows.

mod page;
pub(crate) mod paths;
mod quality;
mod role;
