//! The xid horizon: when every scan that had begun before a page was replaced has ended, so that the page may be
//! reused.

use pgrx::pg_sys::{self, Relation};
use std::cell::Cell;
use std::ffi::c_int;

/// Checks of all sessions that are skipped after one that found an older snapshot.
const SKIPPED_CHECKS: u32 = 64;

thread_local! {
    /// An xid than which no other session had an older snapshot: it stays so, and is so for all relations. What only a
    /// relation's horizon allows is not kept here: that of a temporary table depends on this session's transaction
    /// alone.
    static ENDED_BEFORE: Cell<u64> = const { Cell::new(0) };
    /// An xid than which another session had an older snapshot, and for how many calls later ones are not checked.
    static NEEDED_BEFORE: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
}

/// The next transaction id: no scan that runs now has a later xmin.
pub(in crate::pg) fn next_xid() -> u64 {
    // SAFETY: a plain look at shared memory.
    unsafe { pg_sys::ReadNextFullTransactionId() }.value
}

/// Whether every scan of a table that had begun when `horizon` was the next xid has ended; of any table, where it is
/// null. nbtree asks this of the `safexid` of a deleted page.
///
/// They have ended where Postgres's own horizon is past that xid, or where no other session has an older snapshot: this
/// session takes pages between its searches, not during one. Without the latter a COPY could reuse none of the pages
/// that it has freed itself, nor a VACUUM those that the last transaction has.
///
/// # Safety
/// `table` is open, or null.
pub(in crate::pg) unsafe fn older_scans_have_ended(table: Relation, horizon: u64) -> bool {
    if horizon <= ENDED_BEFORE.get() {
        return true;
    }
    let limit = pg_sys::FullTransactionId { value: horizon };
    // SAFETY: as promised by the caller; a look at what all sessions can see.
    let is_removable = unsafe { pg_sys::GlobalVisCheckRemovableFullXid(table, limit) };
    is_removable || no_other_snapshot_before(horizon)
}

/// Whether no other session of this database has a snapshot that may be older than `horizon`.
///
/// It checks all sessions, which takes the longer the more there are: after one was in the way, the next calls skip it.
fn no_other_snapshot_before(horizon: u64) -> bool {
    let (needed, skipped) = NEEDED_BEFORE.get();
    if horizon >= needed && skipped > 0 {
        NEEDED_BEFORE.set((needed, skipped - 1));
        return false;
    }
    let mut others = 0;
    let vacuums = pg_sys::PROC_IN_VACUUM as c_int;
    let limit = pg_sys::TransactionId::from(horizon as u32);
    // SAFETY: a look at shared memory, and the list of what was found there, which is this function's own.
    unsafe {
        pg_sys::pfree(pg_sys::GetCurrentVirtualXIDs(limit, true, false, vacuums, &raw mut others).cast());
    }
    if others > 0 {
        NEEDED_BEFORE.set((horizon, SKIPPED_CHECKS));
        return false;
    }
    ENDED_BEFORE.set(horizon);
    true
}
