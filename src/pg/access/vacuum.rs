//! A running vacuum of an index (`IndexVacuumInfo`): its dead tuples, and its results.

use super::index_scan::item_pointer;
use super::pages::Pages;
use super::relation::{IndexRelation, TableRelation};
use crate::pg::version;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary as guard;
use pgrx::pg_sys::{self, IndexBulkDeleteResult, IndexVacuumInfo, ItemPointer};
use std::ffi::c_void;

/// A running vacuum.
#[derive(Clone, Copy)]
pub(crate) struct Vacuum(*const IndexVacuumInfo);

impl Vacuum {
    /// # Safety
    /// `info` is that of a running vacuum.
    pub(crate) unsafe fn of(info: *const IndexVacuumInfo) -> Self {
        Vacuum(info)
    }

    /// The index.
    pub(crate) fn index(self) -> IndexRelation {
        // SAFETY: a running vacuum has an open index.
        unsafe { IndexRelation::of((*self.0).index) }
    }

    /// Its pages, through the vacuum's buffer ring.
    pub(crate) fn pages(self) -> Pages {
        // SAFETY: a running vacuum has an open table, if it has one.
        unsafe {
            let table = version::vacuumed_table(self.0);
            let table = (!table.is_null()).then(|| TableRelation::of(table));
            Pages::of(self.index(), table).with_strategy((*self.0).strategy)
        }
    }

    /// Whether only statistics are wanted, by ANALYZE.
    pub(crate) fn is_only_analyze(self) -> bool {
        // SAFETY: a running vacuum.
        unsafe { (*self.0).analyze_only }
    }
}

/// The dead tuples.
#[derive(Clone, Copy)]
pub(crate) struct Dead {
    callback: unsafe extern "C-unwind" fn(ItemPointer, *mut c_void) -> bool,
    state: *mut c_void,
}

impl Dead {
    /// # Safety
    /// Both are what `ambulkdelete` was given, and it is running.
    pub(crate) unsafe fn of(callback: pg_sys::IndexBulkDeleteCallback, state: *mut c_void) -> Self {
        let Some(callback) = callback else { panic!("a vacuum without a callback") };
        Dead { callback, state }
    }

    /// Whether the tuple at `tid` is dead.
    #[inline]
    pub(crate) fn contains(self, tid: u64) -> bool {
        let mut tid = item_pointer(tid);
        // SAFETY: as promised when this was made. The closure owns nothing.
        unsafe { guard(|| (self.callback)(&raw mut tid, self.state)) }
    }
}

/// What a vacuum has done so far.
#[derive(Clone, Copy)]
pub(crate) struct Outcome(*mut IndexBulkDeleteResult);

impl Outcome {
    /// # Safety
    /// `result` is what an earlier pass of the same vacuum returned, or null.
    pub(crate) unsafe fn of(result: *mut IndexBulkDeleteResult) -> Self {
        Outcome(result)
    }

    /// Changes it; if there is none yet, allocates it in the current memory context.
    pub(crate) fn update(self, change: impl FnOnce(&mut IndexBulkDeleteResult)) -> Self {
        // SAFETY: as promised when this was made; palloc0 returns room that is valid as zeros, or raises.
        unsafe {
            let result =
                if self.0.is_null() { pg_sys::palloc0(size_of::<IndexBulkDeleteResult>()).cast() } else { self.0 };
            change(&mut *result);
            Outcome(result)
        }
    }

    /// As Postgres passes it.
    pub(crate) fn into_pointer(self) -> *mut IndexBulkDeleteResult {
        self.0
    }
}
