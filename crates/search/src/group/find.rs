//! Finds groups: the pairs of a rule's alternatives, found by an executor, and the groups that they make.
//!
//! The one entry for those who group: `phash_groups` and the job `detect_duplicates` call it.

use super::apart::Apart;
use super::edges::{Edges, EdgesMark};
use super::groups::Groups;
use super::strategy::{Primary, Strategy};
use crate::batch::{PairBatch, PairResults};
use crate::context::SearchContext;
use crate::error::SearchError;
use crate::executor::Executor;
use crate::query::PairQuery;
use crate::rule::Rule;
use crate::values::Values;

/// How to group.
#[derive(Debug, Clone, Copy)]
pub struct Grouping<'a> {
    /// Which values are near.
    pub rule: &'a Rule,
    /// Values that are never in one group.
    pub apart: Option<&'a Apart>,
    /// Which near values are a group.
    pub strategy: Strategy,
    /// Which row of a group is its primary.
    pub primary: Primary,
    /// The most pairs of near values, and the most rows that are also near.
    pub max_pairs: u64,
}

/// A step of [`find_groups`] that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupStep {
    /// The search for the pairs of an alternative of the rule, counted from 0.
    Comparing {
        /// Its number.
        alternative: usize,
    },
    /// The grouping of all pairs.
    Grouping {
        /// How many pairs of near values were found.
        pairs: u64,
    },
}

/// Groups values. `report` is called at the beginning of each step, and ends the search by an error.
pub fn find_groups<X: Executor, E: From<X::Error>>(
    executor: &X,
    values: &Values,
    grouping: &Grouping<'_>,
    mut report: impl FnMut(GroupStep) -> Result<(), E>,
) -> Result<Groups, E> {
    let mut edges = Edges::new(values, grouping.rule, grouping.apart, grouping.max_pairs);
    for (alternative, radii) in grouping.rule.alternatives().iter().enumerate() {
        report(GroupStep::Comparing { alternative })?;
        let query = PairQuery { left: values, right: None, radii };
        let before = edges.mark();
        let mut results = NewEdges { edges: &mut edges, before, alternative, context: executor.context() };
        executor.find_pairs(&query, &mut results)?;
    }
    report(GroupStep::Grouping { pairs: edges.count() })?;
    let Grouping { strategy, primary, .. } = *grouping;
    Ok(executor.on_threads(|context| Groups::form(values, edges, strategy, primary, context))?)
}

/// Adds the edges of an alternative to those found before.
struct NewEdges<'e, 'v> {
    edges: &'e mut Edges<'v>,
    before: EdgesMark<'v>,
    alternative: usize,
    context: &'e SearchContext,
}

impl PairResults for NewEdges<'_, '_> {
    fn begin(&mut self) -> Result<(), SearchError> {
        self.edges.back_to(&self.before);
        Ok(())
    }

    fn take(&mut self, batch: &PairBatch) -> Result<(), SearchError> {
        self.edges.add(batch, self.alternative, self.context)
    }
}

/// The rows of a group, in vectors that are used for one group after another.
#[derive(Debug, Default)]
pub struct GroupRows {
    /// The primary first, then the nearest; equally near ones in the order of rows.
    pub members: Vec<u32>,
    /// The distances of each member to the primary, one a column.
    pub distances: Vec<u16>,
    /// The rows outside of the group that are near one of its members, ascending.
    pub also_near: Vec<u32>,
}

/// A group of more rows is sorted by the threads; a smaller one takes less time than handing it to them.
const LARGE: u64 = 10_000;

impl Groups {
    /// Lists the rows of a group.
    pub fn list<X: Executor>(
        &self,
        executor: &X,
        values: &Values,
        group: usize,
        into: &mut GroupRows,
    ) -> Result<(), X::Error> {
        let GroupRows { members, distances, also_near } = into;
        let mut list = |context: &SearchContext| {
            self.rows(values, group, None, members, distances, context)?;
            self.also_near(values, group, also_near, context)
        };
        if self.size(values, group) > LARGE { executor.on_threads(list) } else { Ok(list(executor.context())?) }
    }
}
