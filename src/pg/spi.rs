//! Queries and statements, run by SPI.
//!
//! - [`query`]: runs a user's query and hands over its rows.
//! - [`statement`]: fixed statements of our own.
//! - [`values`]: values of any type, copied out of rows.

pub(crate) mod query;
pub(crate) mod statement;
pub(crate) mod values;
