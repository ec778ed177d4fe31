//! What the planner asks, and what it is told.
//!
//! - [`node`]: what the planner's expression trees say about an argument; catalog look-ups.
//! - [`path`]: ways to read a table that the planner wants the costs of.

pub(crate) mod node;
pub(crate) mod path;
