//! Fixed statements of our own, through SPI: schema-qualified, with arguments, never put together from data.
//!
//! Jobs and the page of duplicates run theirs here, in a transaction. Invariant: what is read is copied before SPI
//! ends; a statement that fails raises its error, and one that is wrong in itself is a bug, which panics.

use pgrx::datum::{DatumWithOid, TimestampWithTimeZone};
use pgrx::spi::{Spi, SpiError, SpiHeapTupleData};
use pgrx::{FromDatum, IntoDatum};

/// An argument of a statement.
pub(crate) type Argument<'a> = DatumWithOid<'a>;

/// A `timestamptz[]` of microseconds since the beginning of 2000, as [`Row::time`] reads them, and of NULL.
///
/// [`Row::time`]: super::query::Row::time
pub(crate) fn times(list: impl IntoIterator<Item = Option<i64>>) -> Argument<'static> {
    let times = list.into_iter().map(|time| time.and_then(|time| TimestampWithTimeZone::try_from(time).ok()));
    times.collect::<Vec<Option<TimestampWithTimeZone>>>().into()
}

/// A row of a statement's result.
pub(crate) struct ResultRow<'a>(SpiHeapTupleData<'a>);

impl ResultRow<'_> {
    /// A column, counted from 1; `None` for NULL.
    pub(crate) fn get<T: IntoDatum + FromDatum>(&self, column: usize) -> Option<T> {
        ours(self.0.get::<T>(column))
    }

    /// A text that the statement has made UTF-8 by `convert_to(..., 'UTF8')`: names and messages are in the encoding of
    /// the database, whichever that is. `None` for NULL.
    pub(crate) fn utf8(&self, column: usize) -> Option<String> {
        self.get::<Vec<u8>>(column).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A column that is never NULL.
    pub(crate) fn known<T: IntoDatum + FromDatum>(&self, column: usize) -> T {
        match self.get(column) {
            Some(value) => value,
            None => panic!("column {column} of a statement of ours is NULL"),
        }
    }
}

/// Panics for a mistake in our own statement.
fn ours<T>(result: Result<T, SpiError>) -> T {
    result.unwrap_or_else(|error| panic!("a statement of ours failed: {error}"))
}

/// Runs a statement, and reads its rows. Errors within it are raised.
pub(crate) fn rows<T>(sql: &str, arguments: &[Argument<'_>], mut read: impl FnMut(&ResultRow<'_>) -> T) -> Vec<T> {
    Spi::connect_mut(|client| {
        let table = ours(client.update(sql, None, arguments));
        table.map(|row| read(&ResultRow(row))).collect()
    })
}

/// Runs a SELECT on the current snapshot, without ever changing anything: on a standby, too.
pub(crate) fn read<T>(sql: &str, arguments: &[Argument<'_>], mut read: impl FnMut(&ResultRow<'_>) -> T) -> Vec<T> {
    Spi::connect(|client| {
        let table = ours(client.select(sql, None, arguments));
        table.map(|row| read(&ResultRow(row))).collect()
    })
}

/// Runs a statement that returns at most one row.
pub(crate) fn row<T>(sql: &str, arguments: &[Argument<'_>], read: impl FnMut(&ResultRow<'_>) -> T) -> Option<T> {
    rows(sql, arguments, read).pop()
}

/// Runs a statement, and returns whether it changed or found any row.
pub(crate) fn execute(sql: &str, arguments: &[Argument<'_>]) -> bool {
    Spi::connect_mut(|client| {
        ours(client.update(sql, None, arguments));
        // SAFETY: what SPI has just set.
        unsafe { (&raw const pgrx::pg_sys::SPI_processed).read() > 0 }
    })
}
