//! Groups of near rows: cliques, stars, components.
//!
//! All three work on values (equal rows are always together) and on the pairs of values that a rule makes near, the
//! *edges*. Values are numbered by their first row: if rows come in the order of their ids, ties go to the smallest id;
//! if they come best first, to the best. The result depends neither on the order of edges nor on the number of threads.
//!
//! - [`find`]: finds the edges, and groups: the entry.
//! - [`apart`]: values that are never in one group.
//! - [`strategy`]: the strategies, and the choice of primaries.
//! - [`edges`]: the edges of a rule, by their distance.
//! - [`groups`]: groups, formed of edges by a strategy.
//! - [`assignment`]: what a strategy decides.
//! - [`clique`]: every two members are near.
//! - [`star`]: every member is near the primary.
//! - [`component`]: every member is near another one.
//! - [`farthest`]: the largest distance in a group.
//!
//! A row is in at most one group. A row that is near a member of a group without being in it is listed as *also near*.

pub mod apart;
mod assignment;
mod clique;
mod component;
mod edges;
mod farthest;
mod find;
mod groups;
mod star;
mod strategy;
#[cfg(test)]
mod tests;

pub use apart::{Apart, Label};
pub use edges::{Edges, EdgesMark};
pub use find::{GroupRows, GroupStep, Grouping, find_groups};
pub use groups::Groups;
pub use strategy::{Primary, Strategy};
