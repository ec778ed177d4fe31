//! The xid horizon: when every scan that had begun before a page was replaced has ended, so that the page may be
//! reused.

use pgrx::pg_sys::{self, Relation};
use std::cell::Cell;
use std::ffi::c_int;

/// Checks of all sessions that are skipped after a failed one.
const LEFT_OUT: u32 = 64;

thread_local! {
    /// An xid than which no other session had an older snapshot: it stays so, and is so for all relations. What only a
    /// relation's horizon allows is not kept here: that of a temporary table depends on this session's transaction
    /// alone.
    static PAST: Cell<u64> = const { Cell::new(0) };
    /// An xid that was not past, and for how many calls later ones are not checked.
    static REFUSED: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
}

/// The next transaction id: no scan that runs now has a later xmin.
pub(super) fn next() -> u64 {
    // SAFETY: a plain look at shared memory.
    unsafe { pg_sys::ReadNextFullTransactionId() }.value
}

/// Whether every scan of a table that had begun when `stamp` was the next xid has ended; of any table, where it is
/// null.
///
/// An xid is past where the horizon has passed it, or where no other session has an older snapshot: this session takes
/// pages between its searches, not during one. Without the latter a COPY could reuse none of the pages that it has
/// freed itself, nor a VACUUM those that the last transaction has.
///
/// # Safety
/// `table` is open, or null.
pub(super) unsafe fn is_past(table: Relation, stamp: u64) -> bool {
    if stamp <= PAST.get() {
        return true;
    }
    let limit = pg_sys::FullTransactionId { value: stamp };
    // SAFETY: as promised by the caller; a look at what all sessions can see.
    let is_past = unsafe { pg_sys::GlobalVisCheckRemovableFullXid(table, limit) };
    is_past || no_other_before(stamp)
}

/// Whether no other session of this database has a snapshot that may be older than `stamp`.
///
/// It checks all sessions, which takes the longer the more there are: after one was in the way, the next calls skip it.
fn no_other_before(stamp: u64) -> bool {
    let (refused, rest) = REFUSED.get();
    if stamp >= refused && rest > 0 {
        REFUSED.set((refused, rest - 1));
        return false;
    }
    let mut others = 0;
    let vacuums = pg_sys::PROC_IN_VACUUM as c_int;
    let limit = pg_sys::TransactionId::from(stamp as u32);
    // SAFETY: a look at shared memory, and the list of what was found there, which is this function's own.
    unsafe {
        pg_sys::pfree(pg_sys::GetCurrentVirtualXIDs(limit, true, false, vacuums, &raw mut others).cast());
    }
    if others > 0 {
        REFUSED.set((stamp, LEFT_OUT));
        return false;
    }
    PAST.set(stamp);
    true
}
