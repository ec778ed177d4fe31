//! `ambulkdelete`, `amvacuumcleanup`: VACUUM. CREATE INDEX CONCURRENTLY calls the former too, to collect all heap TIDs.

use super::{OrRaiseIn, layout};
use crate::pg::access::vacuum::{Dead, Outcome, Vacuum};
use lumina_index::Index;
use pgrx::pg_guard;
use pgrx::pg_sys::{IndexBulkDeleteCallback, IndexBulkDeleteResult, IndexVacuumInfo};
use std::ffi::c_void;

/// Removes the entries of dead tuples from every band. Called once for each part of the dead TIDs that fits in memory.
///
/// # Safety
/// Called by Postgres: a running vacuum, what its passes before returned or null, and its callback.
#[allow(unsafe_code, reason = "a callback")]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn ambulkdelete(
    info: *mut IndexVacuumInfo,
    stats: *mut IndexBulkDeleteResult,
    callback: IndexBulkDeleteCallback,
    state: *mut c_void,
) -> *mut IndexBulkDeleteResult {
    // SAFETY: as promised by the caller.
    let (vacuum, outcome, dead) = unsafe { (Vacuum::of(info), Outcome::of(stats), Dead::of(callback, state)) };
    let (pages, index) = (vacuum.pages(), vacuum.index());
    let done =
        Index::with_layout(&pages, layout(index, &pages)).vacuum(&mut |tid| dead.contains(tid)).or_raise_in(index);
    let outcome = outcome.update(|result| {
        result.estimated_count = false;
        result.num_index_tuples = done.kept as f64;
        result.tuples_removed += done.removed as f64;
    });
    outcome.into_pointer()
}

/// Ends a vacuum: merges, and records which pages are free.
///
/// # Safety
/// Called by Postgres: a running vacuum, and what its passes have returned, or null where there was none.
#[allow(unsafe_code, reason = "a callback")]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn amvacuumcleanup(
    info: *mut IndexVacuumInfo,
    stats: *mut IndexBulkDeleteResult,
) -> *mut IndexBulkDeleteResult {
    // SAFETY: as promised by the caller.
    let (vacuum, outcome) = unsafe { (Vacuum::of(info), Outcome::of(stats)) };
    if vacuum.is_only_analyze() {
        return outcome.into_pointer();
    }
    let (pages, index) = (vacuum.pages(), vacuum.index());
    let left = Index::with_layout(&pages, layout(index, &pages)).clean_up().or_raise_in(index);
    let outcome = outcome.update(|result| {
        result.num_pages = left.pages;
        result.pages_free = left.free;
        result.num_index_tuples = left.entries as f64;
        result.estimated_count = false;
    });
    outcome.into_pointer()
}
