//! Locks of our own in Postgres's lock table: no shared memory, and a process that dies releases its locks at once.
//!
//! They are advisory locks of kinds that SQL, whose own are of kinds 1 and 2, can neither take nor wait for.

use crate::pg::version::holds;
use pgrx::pg_sys::{self, LOCKMODE, LOCKTAG, LockAcquireResult, LockTagType, Oid};

/// "Lu": a place of a bulk search on the server.
const SEARCH: u16 = 0x4c75;
/// A place among the workers of a database.
const WORKER: u16 = 0x4c76;
/// Held as long as the worker of a job lives.
const JOB: u16 = 0x4c77;
/// A part of the memory for images of the server.
const IMAGE: u16 = 0x4c78;

const EXCLUSIVE: LOCKMODE = pg_sys::ExclusiveLock as LOCKMODE;

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    Taken,
    /// Taken, and held already: it is counted twice.
    Again,
    /// Another process has it.
    Busy,
}

/// What is locked.
#[derive(Clone, Copy)]
pub(crate) struct Lock(LOCKTAG);

impl Lock {
    /// A place of a bulk search on the server, in any database.
    pub(crate) fn search(place: u32) -> Self {
        Self::advisory(Oid::INVALID, 0, place, SEARCH)
    }

    /// A place among the workers of this database.
    pub(crate) fn worker(place: u32) -> Self {
        Self::advisory(database(), 0, place, WORKER)
    }

    /// Held as long as the worker of a job lives; `table` distinguishes jobs from those of a re-created extension. Jobs
    /// whose numbers differ by a multiple of 2³² share one: the later waits until the earlier has ended.
    pub(crate) fn job(table: Oid, job: i64) -> Self {
        Self::advisory(database(), table.to_u32(), job as u32, JOB)
    }

    /// A part of the memory for images of the server, in any database.
    pub(crate) fn image_memory(part: u32) -> Self {
        Self::advisory(Oid::INVALID, 0, part, IMAGE)
    }

    fn advisory(database: Oid, group: u32, number: u32, kind: u16) -> Self {
        Lock(LOCKTAG {
            locktag_field1: database.to_u32(),
            locktag_field2: group,
            locktag_field3: number,
            locktag_field4: kind,
            locktag_type: LockTagType::LOCKTAG_ADVISORY as u8,
            locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
        })
    }

    /// Tries to take it for this transaction.
    pub(crate) fn try_for_transaction(self) -> Attempt {
        self.attempt(false)
    }

    /// Tries to take it until it is released, or this process ends.
    pub(crate) fn try_for_session(self) -> Attempt {
        self.attempt(true)
    }

    /// Releases what `try_for_transaction` took.
    pub(crate) fn release_in_transaction(self) {
        // SAFETY: a plain call, with the current resource owner, as when it was taken.
        unsafe { pg_sys::LockRelease(&raw const self.0, EXCLUSIVE, false) };
    }

    /// Releases what `try_for_session` took.
    pub(crate) fn release_in_session(self) {
        // SAFETY: a plain call.
        unsafe { pg_sys::LockRelease(&raw const self.0, EXCLUSIVE, true) };
    }

    /// Releases what `try_for_session` took, if SQL has not done so: `pg_advisory_unlock_all` and DISCARD ALL release
    /// every advisory lock that a session holds.
    pub(crate) fn release_if_held_in_session(self) {
        // SAFETY: a plain look.
        if unsafe { holds(&raw const self.0, EXCLUSIVE) } {
            self.release_in_session();
        }
    }

    /// Whether any process holds it. Takes no lock, so that it blocks none.
    pub(crate) fn is_held(self) -> bool {
        self.holders() > 0
    }

    /// How many processes hold it.
    fn holders(self) -> i32 {
        // SAFETY: a plain read of the lock table. No process waits for our locks, so that every requester is a holder.
        unsafe { pg_sys::LockWaiterCount(&raw const self.0) }
    }

    fn attempt(self, session: bool) -> Attempt {
        // SAFETY: a plain call, which waits for nobody.
        match unsafe { pg_sys::LockAcquire(&raw const self.0, EXCLUSIVE, session, true) } {
            LockAcquireResult::LOCKACQUIRE_NOT_AVAIL => Attempt::Busy,
            LockAcquireResult::LOCKACQUIRE_ALREADY_HELD | LockAcquireResult::LOCKACQUIRE_ALREADY_CLEAR => {
                Attempt::Again
            }
            // The processes of a parallel query are one lock group: Postgres grants each of them what another holds.
            _ if self.holders() > 1 => {
                if session {
                    self.release_in_session()
                } else {
                    self.release_in_transaction()
                }
                Attempt::Busy
            }
            _ => Attempt::Taken,
        }
    }
}

/// Releases every lock of ours that this session holds.
pub(crate) fn release_all() {
    // SAFETY: a plain call; what transactions hold of these kinds is gone with them.
    unsafe { pg_sys::LockReleaseAll(pg_sys::USER_LOCKMETHOD as u16, true) };
}

/// The database of this session.
pub(crate) fn database() -> Oid {
    // SAFETY: a plain read of what is set when a session starts.
    unsafe { pg_sys::MyDatabaseId }
}
