//! Planner support of the hash functions.
//!
//! - [`support`]: simpler forms of calls, and constants that can never match, refused before the query runs.
//! - [`selectivity`]: how many rows a ball keeps.

mod selectivity;
mod support;
