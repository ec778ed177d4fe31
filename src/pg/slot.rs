//! At most `lumina.concurrent_searches` searches at once on the server, without shared memory of our own.
//!
//! Liveness is the lock: a backend that dies, or a transaction that fails, gives its slot back in the same instant.

use super::lock::{Attempt, Lock};
use crate::error::LuminaError;
use crate::guc;

/// The right to run a search. Dropped at its normal end; where an error unwinds, the abort gives it back.
pub(crate) struct Slot {
    lock: Lock,
    /// Held by the session, which outlives the search's transactions.
    session: bool,
}

impl Slot {
    /// Takes a free slot for this transaction. A search inside a search takes one of its own, since it has memory and
    /// threads of its own. Errors: 53400, where all are taken.
    pub(crate) fn take() -> Result<Self, LuminaError> {
        Self::find(false)
    }

    /// Takes a free slot for a search that no transaction is around. Where an error unwinds, whoever catches it gives it
    /// back, by [`super::lock::release_all`].
    pub(crate) fn take_for_session() -> Result<Self, LuminaError> {
        Self::find(true)
    }

    fn find(session: bool) -> Result<Self, LuminaError> {
        let limit = guc::concurrent_searches() as u32; // at most 1000
        for place in 0..limit {
            let slot = Slot { lock: Lock::search(place), session };
            let attempt = if session { slot.lock.try_for_session() } else { slot.lock.try_for_transaction() };
            match attempt {
                Attempt::Taken => return Ok(slot),
                // By a search that this one is inside of: give back what was counted twice.
                Attempt::Again => drop(slot),
                Attempt::Busy => std::mem::forget(slot),
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
        if self.session { self.lock.release_in_session() } else { self.lock.release_in_transaction() }
    }
}
