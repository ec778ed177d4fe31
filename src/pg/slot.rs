//! At most `lumina.concurrent_searches` searches at once on the server, without shared memory of our own.
//!
//! A slot is an advisory lock of no database, so that it counts for all of them, and of a kind that SQL's own advisory
//! locks, which are of kinds 1 and 2, never meet. Liveness is the lock: a backend that dies, or a transaction that
//! fails, gives its slot back in the same instant.

use crate::error::LuminaError;
use crate::guc;
use pgrx::pg_sys::{self, LOCKTAG, LockAcquireResult, LockTagType};

/// What tells our locks from SQL's advisory locks: "Lu".
const KIND: u16 = 0x4c75;

/// The right to run a search. Dropped at its normal end; where an error unwinds, the abort gives it back.
pub(crate) struct Slot(u32);

impl Slot {
    /// Takes a free slot. A search inside a search takes one of its own, since it has memory and threads of its own.
    /// Errors: 53400, where all are taken.
    pub(crate) fn take() -> Result<Self, LuminaError> {
        let limit = guc::concurrent_searches() as u32; // at most 1000
        for slot in 0..limit {
            match acquire(slot) {
                LockAcquireResult::LOCKACQUIRE_NOT_AVAIL => (),
                // By a search that this one is inside of: give back what was counted twice.
                LockAcquireResult::LOCKACQUIRE_ALREADY_HELD => drop(Slot(slot)),
                _ => return Ok(Slot(slot)),
            }
        }
        Err(LuminaError::Busy { limit })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // SAFETY: this transaction has the lock, and its owner is that of the running call, as when it was taken.
        unsafe { pg_sys::LockRelease(&tag(self.0), pg_sys::ExclusiveLock as i32, false) };
    }
}

fn acquire(slot: u32) -> LockAcquireResult::Type {
    // SAFETY: a plain call, which waits for nobody; the lock belongs to the transaction.
    unsafe { pg_sys::LockAcquire(&tag(slot), pg_sys::ExclusiveLock as i32, false, true) }
}

fn tag(slot: u32) -> LOCKTAG {
    LOCKTAG {
        locktag_field1: 0,
        locktag_field2: 0,
        locktag_field3: slot,
        locktag_field4: KIND,
        locktag_type: LockTagType::LOCKTAG_ADVISORY as u8,
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    }
}
