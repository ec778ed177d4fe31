//! What the tables of the catalog compute of a row.
//!
//! - [`quality`]: the quality of an image, and its parts.

mod quality;
