//! A user's query, read to its end: the id of each row, then one or more hashes.

use super::error::BulkError;
use super::ids::Ids;
use super::session::SearchSession;
use crate::error::LuminaError;
use crate::pg::fmgr::arguments::Call;
use crate::pg::fmgr::array::int4_array;
use crate::pg::fmgr::error::{ArgumentError, IncompleteExtension};
use crate::pg::planner::node::Objects;
use crate::pg::spi::query::{ResultColumn, Row, run_select, type_name};
use lumina_hash::ball::check_radius;
use lumina_search::{HashRows, Values};
use pgrx::pg_sys::{Datum, INT2OID, INT4OID, INT8OID, Oid};
use std::ffi::CStr;

/// What the first column of a query must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdType {
    /// An integer of any size.
    Integer,
    /// A value of this type.
    Of(Oid),
    /// Anything: it is not read.
    Ignored,
}

impl IdType {
    /// The type that ids must have where the result's ids are of `type_`.
    pub(super) fn of_result(type_: Oid) -> Self {
        if type_ == INT8OID { Self::Integer } else { Self::Of(type_) }
    }
}

/// What a query has returned, in the order in which it came.
pub(super) struct InputRows {
    /// `None` where they are not read.
    ids: Option<Ids>,
    rows: HashRows,
}

/// A set of the user's: ids and values.
pub(super) struct InputSet {
    pub(super) ids: Ids,
    pub(super) values: Values,
}

/// The maximum distances as the user gave them, one a hash column.
pub(super) struct Distances {
    given: Vec<i32>,
    /// Whether they are an array.
    array: bool,
}

impl Distances {
    /// The argument `max_distance`, at place `index`. Errors: 22004 for NULL, 2202E, 22023 for an empty array, 22003
    /// for negative ones.
    pub(super) fn read(call: Call, index: usize) -> Result<Self, LuminaError> {
        const NAME: &str = "max_distance";
        let array = call.is_int4s(index);
        let given = if array { call.int4s(index, NAME)? } else { call.int4(index).map(|distance| vec![distance]) };
        let given = given.ok_or(ArgumentError::Null(NAME))?;
        if given.is_empty() {
            return Err(BulkError::NoDistance.into());
        }
        match given.iter().find(|distance| **distance < 0) {
            Some(&negative) => Err(BulkError::DistanceNegative(negative).into()),
            None => Ok(Distances { given, array }),
        }
    }

    /// Found distances in the form of the argument: an `int4[]`, or the only one as an `int4`.
    pub(super) fn datum(&self, found: &[u16]) -> Datum {
        if self.array {
            int4_array(found.iter().map(|bits| i32::from(*bits)))
        } else {
            Datum::from(i32::from(found[0]))
        }
    }

    /// Checks them against the widths of the columns. Errors: 22003.
    pub(super) fn radii(&self, widths: &[usize]) -> Result<Vec<u32>, LuminaError> {
        self.given.iter().zip(widths).map(|(&distance, &bits)| Ok(radius(distance, bits)?)).collect()
    }
}

/// A distance that is not negative, checked against the width of a hash.
fn radius(distance: i32, bits: usize) -> Result<u32, BulkError> {
    check_radius(i64::from(distance), bits).map_err(|_| BulkError::DistanceLarge { distance, bits })
}

/// The rows of a query as they come in.
struct InputReader<'a> {
    session: &'a SearchSession<'a>,
    ids: Option<Ids>,
    /// The width of each hash column; 0 while it is not known.
    widths: Vec<usize>,
    names: Vec<String>,
    /// Made once all widths are known.
    rows: Option<HashRows>,
    skipped: u64,
}

impl InputSet {
    /// Reads the query in argument `index`, which users know as `name`, and collapses it. `None` where no row has
    /// hashes.
    pub(super) fn read(
        call: Call,
        index: usize,
        name: &'static str,
        id: IdType,
        distances: &Distances,
        session: &SearchSession<'_>,
    ) -> Result<Option<Self>, LuminaError> {
        InputRows::read(call, index, name, id, distances, session)?.map(|found| found.collapse(session)).transpose()
    }
}

impl InputRows {
    /// Reads the query in argument `index`, which users know as `name`. `None` where no row has hashes. The search
    /// takes no place for this, unless it reads much.
    pub(super) fn read(
        call: Call,
        index: usize,
        name: &'static str,
        id: IdType,
        distances: &Distances,
        session: &SearchSession<'_>,
    ) -> Result<Option<Self>, LuminaError> {
        let query = call.text(index).ok_or(ArgumentError::Null(name))?;
        let objects = Objects::beside(call.function()).ok_or(IncompleteExtension)?;
        let reader = read(&query, id, objects.hash_type(), distances, session)?;
        let InputReader { ids, rows: Some(rows), skipped, .. } = reader else { return Ok(None) };
        session.phase(&format!("read {} rows and skipped {skipped} without a hash", rows.len()));
        Ok(Some(InputRows { ids, rows }))
    }

    /// Sorts the rows by id and collapses them, on the search's threads.
    pub(super) fn collapse(self, session: &SearchSession<'_>) -> Result<InputSet, LuminaError> {
        let InputRows { ids, mut rows } = self;
        let ids = match ids {
            None => Ids::integers(),
            Some(mut ids) => {
                if let Some(order) = ids.sort(session)? {
                    rows = session.on_threads(|context| {
                        rows.reorder(&order, context)?;
                        context.free(order);
                        Ok(rows)
                    })?;
                    session.phase("sorted by id");
                }
                ids
            }
        };
        let values = session.collapse(rows)?;
        session.phase(&format!("collapsed to {} distinct hashes", values.count()));
        Ok(InputSet { ids, values })
    }
}

fn read<'a>(
    query: &CStr,
    id: IdType,
    hash_type: Oid,
    distances: &Distances,
    session: &'a SearchSession<'a>,
) -> Result<InputReader<'a>, LuminaError> {
    let begin = |columns: &[ResultColumn]| {
        let Some((first, hashes)) = columns.split_first().filter(|(_, hashes)| !hashes.is_empty()) else {
            return Err(BulkError::NoHashColumn(columns.len()).into());
        };
        if let Some(other) = hashes.iter().find(|column| column.type_ != hash_type) {
            return Err(BulkError::HashColumn { name: other.name.clone(), type_: other.type_name() }.into());
        }
        let fits = match id {
            IdType::Integer => [INT2OID, INT4OID, INT8OID].contains(&first.type_),
            IdType::Of(type_) => first.type_ == type_ || first.declared == type_,
            IdType::Ignored => true,
        };
        if !fits {
            let (name, found) = (first.name.clone(), first.type_name());
            let error = match id {
                IdType::Of(type_) => BulkError::IdColumn { name, found, wanted: type_name(type_) },
                _ => BulkError::IdNoInteger { name, found },
            };
            return Err(error.into());
        }
        if hashes.len() != distances.given.len() {
            return Err(BulkError::DistanceCount {
                columns: hashes.len(),
                distances: distances.given.len(),
                array: distances.array,
            }
            .into());
        }
        let ids = match id {
            IdType::Integer => Some(Ids::integers()),
            IdType::Of(shown) => Some(Ids::of(first.type_, shown)),
            IdType::Ignored => None,
        };
        let widths: Vec<usize> = hashes.iter().map(|column| usize::try_from(column.modifier).unwrap_or(0)).collect();
        for (distance, bits) in distances.given.iter().zip(&widths).filter(|(_, bits)| **bits > 0) {
            radius(*distance, *bits)?;
        }
        let names = hashes.iter().map(|column| column.name.clone()).collect();
        Ok(InputReader { session, ids, widths, names, rows: None, skipped: 0 })
    };
    run_select(query, begin, |reader, row| reader.take(row))
}

impl InputReader<'_> {
    #[inline]
    fn take(&mut self, row: Row<'_>) -> Result<(), LuminaError> {
        self.session.row_is_read()?;
        let columns = 1..self.widths.len() + 1;
        if columns.clone().any(|column| row.is_null(column)) {
            self.skipped += 1;
            return Ok(());
        }
        for column in columns.clone() {
            let (found, width) = (row.bytes(column).len() * 8, &mut self.widths[column - 1]);
            if *width == 0 {
                *width = found;
            }
            if found != *width {
                let name = self.names[column - 1].clone();
                return Err(BulkError::MixedWidths { name, one: *width, other: found }.into());
            }
        }
        if let Some(ids) = &mut self.ids {
            if row.is_null(0) {
                return Err(BulkError::IdNull.into());
            }
            ids.push(row, self.session.context())?;
        }
        let widths = &self.widths;
        let rows = self.rows.get_or_insert_with(|| HashRows::new(widths));
        rows.push(columns.map(|column| row.bytes(column)), self.session.context())?;
        Ok(())
    }
}
