//! Places of searches: at most `lumina.concurrent_searches` run on the server, without shared memory of our own, and at
//! most one per session: a nested search shares the outer one's place.
//!
//! A place is a lock: a backend that dies, or a (sub)transaction that fails, releases it at once. A search has a place
//! only while it computes, or holds much: see `search/session.rs`. So no user's query runs with a place held, but for
//! one that has returned much already.

use super::latch::{WAIT_TIMEOUT, pause};
use super::lock::{Attempt, Lock};
use crate::guc;
use crate::pg::fmgr::error::Busy;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// The time between two attempts to take a place.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

thread_local! {
    /// The place that this session had last, which it may still have.
    static LAST: Cell<u32> = const { Cell::new(0) };
}

/// The right to run a search. Dropped at its normal end; where an error unwinds, the abort releases it.
pub(crate) struct SearchPlace {
    lock: Lock,
    /// Held by the session, which outlives the search's transactions.
    session: bool,
}

impl SearchPlace {
    /// Takes no place. Errors: 53400, where other sessions hold all places now.
    pub(crate) fn check() -> Result<(), Busy> {
        let limit = limit();
        if (0..limit).any(|place| !Lock::search(place).is_held()) { Ok(()) } else { Self::find(limit, false).map(drop) }
    }

    /// Takes a free place for this transaction, or shares the one that this session has. Waits for a while where all
    /// are taken. Errors: 53400, where they stay so.
    pub(crate) fn take() -> Result<Self, Busy> {
        let (limit, began) = (limit(), Instant::now());
        loop {
            match Self::find(limit, false) {
                Err(Busy { .. }) if limit > 0 && began.elapsed() < WAIT_TIMEOUT => pause(POLL_INTERVAL),
                found => return found,
            };
        }
    }

    /// Takes a free place for a search outside a transaction, without waiting for one. Where an error unwinds, the code
    /// that catches it releases the place, by [`super::lock::release_all`].
    pub(crate) fn take_for_session() -> Result<Self, Busy> {
        Self::find(limit(), true)
    }

    fn find(limit: u32, session: bool) -> Result<Self, Busy> {
        // The place that this session may have comes first: so it never has two.
        let last = Some(LAST.get()).filter(|last| *last < limit);
        for place in last.into_iter().chain(0..limit) {
            let lock = Lock::search(place);
            let attempt = if session { lock.try_for_session() } else { lock.try_for_transaction() };
            if attempt != Attempt::Busy {
                LAST.set(place);
                return Ok(SearchPlace { lock, session }); // one that it had is counted twice, and released twice
            }
        }
        Err(Busy { limit })
    }
}

fn limit() -> u32 {
    guc::concurrent_searches() as u32 // at most 1000
}

impl Drop for SearchPlace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if self.session { self.lock.release_in_session() } else { self.lock.release_in_transaction() }
    }
}
