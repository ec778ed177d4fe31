//! What the catalog's SQL asks of this library, beside jobs.
//!
//! - [`quality`]: the quality of an image, and its parts.
//! - [`paths`]: paths of the server that may be imported.
//! - [`page`]: the page of duplicates.
//! - [`role`]: the type of roles in rows.

mod page;
pub(crate) mod paths;
mod quality;
mod role;
