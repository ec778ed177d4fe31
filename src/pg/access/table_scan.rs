//! Reads a table for an index of it: every row with its hash, as the index has them or should.
//!
//! Expressions and predicates of the index are evaluated by Postgres on the way.

use super::index_scan::tid_of;
use super::relation::{IndexRelation, TableRelation};
use crate::pg::fmgr::datum::Phash;
use crate::pg::version;
use pgrx::pg_guard;
use pgrx::pg_sys::{self, Datum, IndexBuildResult, IndexInfo, ItemPointer, Oid, Relation, Snapshot};
use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::ptr;

/// Receives each row: its hash, `None` for NULL, and its heap TID.
type Each<'a> = dyn FnMut(Option<Phash<'_>>, u64) + 'a;

/// Reads every row that an index being built is to hold. Returns how many rows the table has.
///
/// # Safety
/// `info` is what `ambuild` was given.
pub(crate) unsafe fn rows_to_index(
    table: TableRelation,
    index: IndexRelation,
    info: *mut IndexInfo,
    mut each: &mut Each<'_>,
) -> f64 {
    let state = (&raw mut each).cast();
    // SAFETY: as promised by the caller. `give` gets `each` back, which outlives the call.
    unsafe { pg_sys::table_index_build_scan(table.0, index.0, info, true, true, Some(give), state, ptr::null_mut()) }
}

/// Passes a row on.
#[pg_guard]
unsafe extern "C-unwind" fn give(
    _index: Relation,
    tid: ItemPointer,
    values: *mut Datum,
    nulls: *mut bool,
    _is_alive: bool,
    each: *mut c_void,
) {
    // SAFETY: called with the row's TID, the one value of our index, and what `rows_to_index` or `Visible` gave.
    unsafe {
        let each: &mut &mut Each<'_> = &mut *each.cast();
        each(value_of(values, nulls), tid_of(tid));
    }
}

/// The value of the one column of an index.
///
/// # Safety
/// Both have an element, and the value, if it is not NULL, is a `phash` that lives for `'a`.
pub(crate) unsafe fn value_of<'a>(values: *const Datum, nulls: *const bool) -> Option<Phash<'a>> {
    // SAFETY: as promised by the caller.
    unsafe { if *nulls { None } else { Some(Phash::read(*values)) } }
}

/// The rows of a table that are visible at one moment, read part by part.
pub(crate) struct Visible {
    table: TableRelation,
    index: IndexRelation,
    info: *mut IndexInfo,
    snapshot: Snapshot,
    user: Oid,
    context: c_int,
    settings: c_int,
}

impl Visible {
    /// Begins with the current snapshot, and with the rights of the table's owner: expressions of the index may call
    /// any user's functions. `None` where the index cannot serve that snapshot: it was made from rows of a later one.
    pub(crate) fn begin(table: TableRelation, index: IndexRelation) -> Option<Self> {
        let (mut user, mut context) = (Oid::INVALID, 0);
        // SAFETY: open relations. What is not undone by `end` is undone by the end of the transaction.
        unsafe {
            let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetTransactionSnapshot());
            if (*(*index.0).rd_index).indcheckxmin && !is_made_before(index, snapshot) {
                pg_sys::UnregisterSnapshot(snapshot);
                return None;
            }
            let info = pg_sys::BuildIndexInfo(index.0);
            (*info).ii_Concurrent = true; // rows of a snapshot, not all of them
            (*info).ii_Unique = false;
            pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
            let owner = (*(*table.0).rd_rel).relowner;
            pg_sys::SetUserIdAndSecContext(owner, context | pg_sys::SECURITY_RESTRICTED_OPERATION as c_int);
            let settings = pg_sys::NewGUCNestLevel();
            version::restrict_search_path();
            Some(Visible { table, index, info, snapshot, user, context, settings })
        }
    }

    /// Reads the rows of some blocks: the heap TID that an index has of each, and its hash. Each call has its own
    /// snapshot, not older than that of `begin`: what is visible then stays in the index as long as the snapshot of
    /// `begin` does.
    pub(crate) fn rows(&self, blocks: Range<u32>, mut each: &mut Each<'_>) {
        let state = (&raw mut each).cast();
        let (start, count) = (blocks.start, blocks.end - blocks.start);
        // SAFETY: open relations, a registered snapshot and the index's own description. A part of a table is read by a
        // scan of its own: one that is handed over has to be of the whole.
        unsafe {
            let (table, index) = (self.table.0, self.index.0);
            let (info, give) = (self.info, Some(give as unsafe extern "C-unwind" fn(_, _, _, _, _, _)));
            pg_sys::table_index_build_range_scan(
                table,
                index,
                info,
                false,
                false,
                false,
                start,
                count,
                give,
                state,
                ptr::null_mut(),
            );
        }
    }

    /// Undoes what `begin` has set up.
    pub(crate) fn end(self) {
        // SAFETY: what `begin` has set up.
        unsafe {
            pg_sys::AtEOXact_GUC(false, self.settings);
            pg_sys::SetUserIdAndSecContext(self.user, self.context);
            pg_sys::UnregisterSnapshot(self.snapshot);
        }
    }
}

/// Whether the pg_index row of an index is older than the xmin of `snapshot`.
///
/// # Safety
/// Both are in use.
unsafe fn is_made_before(index: IndexRelation, snapshot: Snapshot) -> bool {
    // SAFETY: as promised by the caller; an open index has its row of pg_index, whose header has an xmin.
    unsafe {
        let header = &*(*(*index.0).rd_indextuple).t_data;
        let is_frozen = u32::from(header.t_infomask) & pg_sys::HEAP_XMIN_FROZEN == pg_sys::HEAP_XMIN_FROZEN;
        is_frozen || pg_sys::TransactionIdPrecedes(header.t_choice.t_heap.t_xmin, (*snapshot).xmin)
    }
}

/// What `ambuild` returns: the numbers of rows in the table and in the index.
pub(crate) fn build_result(in_table: f64, in_index: f64) -> *mut IndexBuildResult {
    // SAFETY: palloc0 returns room that is valid as zeros, or raises.
    unsafe {
        let result: *mut IndexBuildResult = pg_sys::palloc0(size_of::<IndexBuildResult>()).cast();
        (*result).heap_tuples = in_table;
        (*result).index_tuples = in_index;
        result
    }
}
