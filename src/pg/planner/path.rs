//! An index path, whose cost the planner asks for.

use super::node::{Expression, Objects};
use crate::pg::access::relation::IndexRelation;
use crate::pg::version;
use lumina_hash::ball::Ball;
use pgrx::PgList;
use pgrx::pg_sys::{self, IndexClause, IndexOptInfo, JoinType, NodeTag, PlannerInfo, RestrictInfo};
use std::ptr;

/// The radius of an index search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Radius {
    Known(u32),
    /// It is known only when the index is read.
    Later,
}

/// An index path.
#[derive(Clone, Copy)]
pub(crate) struct IndexPath {
    planner: *mut PlannerInfo,
    path: *mut pg_sys::IndexPath,
}

impl IndexPath {
    /// # Safety
    /// Both are what `amcostestimate` was given, and it is running.
    pub(crate) unsafe fn of(planner: *mut PlannerInfo, path: *mut pg_sys::IndexPath) -> Self {
        IndexPath { planner, path }
    }

    fn index(self) -> *mut IndexOptInfo {
        // SAFETY: the path is one of an index.
        unsafe { (*self.path).indexinfo }
    }

    /// The conditions of the index scan.
    fn conditions(self) -> Vec<Expression> {
        // SAFETY: the path has a list of conditions, each with a list of forms for the index, each of them around an
        // expression.
        unsafe {
            let clauses = PgList::<IndexClause>::from_pg((*self.path).indexclauses);
            let quals = clauses.iter_ptr().flat_map(|clause| {
                PgList::<RestrictInfo>::from_pg((*clause).indexquals).iter_ptr().collect::<Vec<_>>()
            });
            quals.map(|qual| Expression::of((*qual).clause.cast())).collect()
        }
    }

    /// The radius of the smallest ball that is searched, if any.
    pub(crate) fn radius(self) -> Option<Radius> {
        let radii = self.conditions().into_iter().map(|condition| {
            let known = condition.operation().and_then(|(function, operands)| {
                let objects = Objects::beside(function)?;
                let &[_, ball] = operands.as_slice() else { return None };
                let radius = match objects.constant_ball(&ball) {
                    Some(ball) => Some(Ball::radius(&ball.0)),
                    None => ball.arguments().get(1)?.constant_int().and_then(|radius| u32::try_from(radius).ok()),
                };
                radius.map(Radius::Known)
            });
            known.unwrap_or(Radius::Later)
        });
        radii.min_by_key(|radius| match radius {
            Radius::Known(radius) => *radius,
            Radius::Later => u32::MAX,
        })
    }

    /// The number of orders of the index scan.
    pub(crate) fn orders(self) -> usize {
        // SAFETY: the path has a list of orders.
        unsafe { PgList::<pg_sys::Node>::from_pg((*self.path).indexorderbys) }.len()
    }

    /// Whether it is an index-only scan, which the planner tries where a query needs no column at all.
    pub(crate) fn is_index_only(self) -> bool {
        // SAFETY: a path says of which kind it is.
        unsafe { (*self.path).path.pathtype == NodeTag::T_IndexOnlyScan }
    }

    /// Lets the planner prefer any other path, even a disabled one.
    pub(crate) fn refuse(self) {
        // SAFETY: the path is being made.
        unsafe { version::disable(self.path) };
    }

    /// The share of the table's rows that the conditions keep, with the predicate of a partial index.
    pub(crate) fn selectivity(self) -> f64 {
        // SAFETY: the path has conditions on the relation of its index.
        unsafe {
            let quals = pg_sys::get_quals_from_indexclauses((*self.path).indexclauses);
            let quals = pg_sys::add_predicate_to_index_quals(self.index(), quals);
            let relation = (*(*self.index()).rel).relid as i32;
            pg_sys::clauselist_selectivity(self.planner, quals, relation, JoinType::JOIN_INNER, ptr::null_mut())
        }
    }

    /// Rows of the table.
    pub(crate) fn table_rows(self) -> f64 {
        // SAFETY: an index has a relation.
        unsafe { (*(*self.index()).rel).tuples }
    }

    /// Rows in the index, as far as the planner knows.
    pub(crate) fn rows(self) -> f64 {
        // SAFETY: the path is one of an index.
        unsafe { (*self.index()).tuples }
    }

    /// Pages of the index, as far as the planner knows.
    pub(crate) fn pages(self) -> u32 {
        // SAFETY: the path is one of an index.
        unsafe { (*self.index()).pages }
    }

    /// The width of the hashes, if the indexed expression declares it.
    pub(crate) fn declared_bits(self) -> Option<usize> {
        // SAFETY: an index has a list of what it is on, each of them around an expression.
        let columns = unsafe { PgList::<pg_sys::TargetEntry>::from_pg((*self.index()).indextlist) };
        // SAFETY: an element of that list.
        columns.get_ptr(0).and_then(|column| unsafe { Expression::of((*column).expr.cast()) }.declared_bits())
    }

    /// Reads the index itself; `None` for a hypothetical index.
    pub(crate) fn with_relation<R>(self, read: impl FnOnce(IndexRelation) -> R) -> Option<R> {
        // SAFETY: the planner holds a lock on every index that it looks at.
        unsafe {
            let index = &*self.index();
            if index.hypothetical {
                return None;
            }
            let relation = pg_sys::index_open(index.indexoid, pg_sys::NoLock as pg_sys::LOCKMODE);
            let result = read(IndexRelation::of(relation));
            pg_sys::index_close(relation, pg_sys::NoLock as pg_sys::LOCKMODE);
            Some(result)
        }
    }

    /// The costs of a random and of a sequential page read.
    pub(crate) fn page_costs(self) -> (f64, f64) {
        let (mut random, mut sequential) = (0.0, 0.0);
        // SAFETY: a look-up of the tablespace of the index.
        unsafe {
            let space = (*self.index()).reltablespace;
            pg_sys::get_tablespace_page_costs(space, &raw mut random, &raw mut sequential);
        }
        (random, sequential)
    }

    /// How many of `pages` pages a search really reads when it runs `loops` times on an index of `all` pages: the more
    /// of them earlier runs have cached, the fewer.
    pub(crate) fn fetched(self, pages: f64, loops: f64, all: f64) -> f64 {
        if loops <= 1.0 {
            return pages;
        }
        // SAFETY: the planner's own estimate (Mackert and Lohman), for an index of this many pages.
        unsafe { pg_sys::index_pages_fetched(pages * loops, all.max(1.0) as u32, all, self.planner) / loops }
    }
}

/// The planner's costs of an operator and of an index tuple.
pub(crate) fn processor_costs() -> (f64, f64) {
    // SAFETY: plain reads of settings.
    unsafe { ((&raw const pg_sys::cpu_operator_cost).read(), (&raw const pg_sys::cpu_index_tuple_cost).read()) }
}

/// `work_mem` in bytes.
pub(crate) fn work_memory() -> usize {
    // SAFETY: a plain read of a setting in kilobytes.
    unsafe { (&raw const pg_sys::work_mem).read() as usize * 1024 }
}

/// `maintenance_work_mem` in bytes.
pub(crate) fn maintenance_memory() -> usize {
    // SAFETY: a plain read of a setting in kilobytes.
    unsafe { (&raw const pg_sys::maintenance_work_mem).read() as usize * 1024 }
}
