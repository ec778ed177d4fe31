//! The ids of a set's rows: `bigint`s, or values of any one type.

use super::error::BulkError;
use super::session::SearchSession;
use crate::error::LuminaError;
use crate::pg::fmgr::encoding::shortened;
use crate::pg::spi::query::Row;
use crate::pg::spi::values::TypedValues;
use lumina_search::{SearchContext, SearchError};
use pgrx::pg_sys::{Datum, Oid};
use std::cmp::Ordering;

/// One id a row.
pub(super) enum Ids {
    Integers(Vec<i64>),
    Any {
        values: TypedValues,
        /// Bytes of `values` that the search's memory counts already.
        counted: usize,
        /// Which value is the id of each row; empty while they are in the same order.
        order: Vec<u32>,
    },
}

/// The order of the ids.
enum IdOrder {
    AsItIs,
    New(Vec<u32>),
    /// Another row has the same id as this one.
    Twice(usize),
}

impl Ids {
    /// No integers yet.
    pub(super) fn integers() -> Self {
        Self::Integers(Vec::new())
    }

    /// No ids yet, of a type that is no domain; users see them as of type `shown`, which may be a domain over it.
    pub(super) fn of(type_: Oid, shown: Oid) -> Self {
        Self::Any { values: TypedValues::new(type_, shown), counted: 0, order: Vec::new() }
    }

    /// Adds the id of a row: its first column, which is not NULL.
    pub(super) fn push(&mut self, row: Row<'_>, context: &SearchContext) -> Result<(), LuminaError> {
        match self {
            Self::Integers(integers) => context.push(integers, row.integer(0))?,
            Self::Any { values, counted, .. } => {
                values.push(row, 0)?;
                let size = values.size();
                if size > *counted {
                    context.take(size - *counted)?;
                    *counted = size;
                }
            }
        }
        Ok(())
    }

    fn len(&self) -> usize {
        match self {
            Self::Integers(integers) => integers.len(),
            Self::Any { values, .. } => values.len(),
        }
    }

    fn compare(&self, a: usize, b: usize) -> Ordering {
        match self {
            Self::Integers(integers) => integers[a].cmp(&integers[b]),
            Self::Any { values, .. } => values.compare(a, b),
        }
    }

    /// Sorts the ids and returns their order, or `None` where they were sorted already. Errors: 23505 for an id that
    /// two rows have.
    pub(super) fn sort(&mut self, session: &SearchSession<'_>) -> Result<Option<Vec<u32>>, LuminaError> {
        let found = session.on_threads(|context| self.order(context))?;
        if let IdOrder::Twice(row) = found {
            return Err(BulkError::IdTwice(shortened(&self.text(row))).into());
        }
        let IdOrder::New(order) = found else { return Ok(None) };
        session.on_threads(|context| {
            match self {
                Self::Integers(integers) => {
                    let mut sorted = context.vec(order.len())?;
                    context.each(0..order.len(), |row| sorted.push(integers[order[row] as usize]))?;
                    context.free(std::mem::replace(integers, sorted));
                }
                Self::Any { order: kept, .. } => {
                    let mut copy = context.vec(order.len())?;
                    copy.extend_from_slice(&order);
                    *kept = copy;
                }
            }
            Ok(Some(order))
        })
    }

    /// The order that sorts the rows by id.
    fn order(&self, context: &SearchContext) -> Result<IdOrder, SearchError> {
        let count = self.len();
        let mut ascending = true;
        context.each(1..count.max(1), |row| ascending = ascending && self.compare(row - 1, row) == Ordering::Less)?;
        if ascending {
            return Ok(IdOrder::AsItIs);
        }
        let mut order = context.vec(count)?;
        order.extend(0..count as u32);
        context.sort(&mut order, |a: &u32, b| self.compare(*a as usize, *b as usize).then(a.cmp(b)))?;
        let mut twice = None;
        context.each(1..count, |at| {
            if twice.is_none() && self.compare(order[at - 1] as usize, order[at] as usize).is_eq() {
                twice = Some(order[at] as usize);
            }
        })?;
        Ok(twice.map_or(IdOrder::New(order), IdOrder::Twice))
    }

    fn text(&self, index: usize) -> String {
        match self {
            Self::Integers(integers) => integers[index].to_string(),
            Self::Any { values, .. } => values.text(index),
        }
    }

    /// The id of a row, as a datum.
    #[inline]
    pub(super) fn datum(&self, row: u32) -> Datum {
        match self {
            Self::Integers(integers) => Datum::from(integers[row as usize]),
            Self::Any { values, order, .. } => values.get(place(order, row)),
        }
    }

    /// An array of the ids of some rows.
    pub(super) fn array(&self, rows: &[u32]) -> Datum {
        match self {
            Self::Integers(integers) => {
                crate::pg::fmgr::array::int8_array(rows.iter().map(|&row| integers[row as usize]))
            }
            Self::Any { values, order, .. } => values.array(rows.iter().map(|&row| place(order, row))),
        }
    }
}

fn place(order: &[u32], row: u32) -> usize {
    order.get(row as usize).copied().unwrap_or(row) as usize
}
