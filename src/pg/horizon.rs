//! How old a transaction id has to be for every scan that had begun by then to have ended: when a page that was replaced may
//! be taken for something else.

use pgrx::pg_sys::{self, Relation};
use std::cell::Cell;
use std::ffi::c_int;

/// Looks at all sessions that are left out after one in vain.
const LEFT_OUT: u32 = 64;

thread_local! {
    /// A stamp before which no other session had a snapshot: it stays so, and is so for all relations. What only the
    /// horizon says of one is not kept here: of a temporary table it knows this session's transaction alone.
    static PAST: Cell<u64> = const { Cell::new(0) };
    /// A stamp that was not past, and for how many calls later ones are not asked about.
    static REFUSED: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
}

/// The transaction id that is given out next: no scan of this moment outlives those that begin after it.
pub(super) fn next() -> u64 {
    // SAFETY: a plain look at shared memory.
    unsafe { pg_sys::ReadNextFullTransactionId() }.value
}

/// Whether every scan of a table that had begun when `stamp` was next has ended; of any table, where it is null.
///
/// What no snapshot is older than is past; and so is what no snapshot of another session is older than: this one looks
/// for pages between its searches, not in the middle of one. Without that, a COPY could take none of the pages that it
/// has freed itself, nor a VACUUM those that the last transaction has.
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
/// All sessions are looked at, which takes the longer the more there are: where one was in the way, not at each of the
/// next calls.
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
