//! The page store: everything that the index needs of a database.
//!
//! Every change is one call of [`Store::change`], the unit of atomicity: other sessions, a standby and recovery see all
//! pages of a change or none, and the changes in the order in which they were made. Methods do not fail; a store that
//! cannot continue (a full disk, a cancelled statement) unwinds, and this crate leaves the index consistent at any such
//! point.

use crate::page::Page;

/// The two heavyweight locks that keep maintenance apart. Scans wait for neither; an insert waits for `Flush` only
/// where the staging pages are full, and for `Merge` only where the list of runs is.
///
/// A session that needs both takes `Flush` first. While one is held only pages are locked, a few at a time, and the
/// relation's extension lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaintenanceLock {
    /// Held while staging pages become a run or are vacuumed.
    Flush,
    /// Held while runs are merged or vacuumed.
    Merge,
}

/// The pages of one index.
pub trait Store {
    /// Blocks that exist.
    fn blocks(&self) -> u32;

    /// Passes an existing block to `look`, under a lock that conflicts only with changes.
    fn read<R>(&self, block: u32, look: impl FnOnce(&Page) -> R) -> R;

    /// How many blocks ahead of the current read to call [`Store::prefetch`]; 0 if reads never wait.
    fn read_ahead(&self) -> usize {
        0
    }

    /// Starts reading an existing block that will be needed soon.
    fn prefetch(&self, _block: u32) {}

    /// Like [`Store::read`]; also passes whether the checksum is known to be right: the store has verified it since the
    /// bytes came from storage. Searches then skip the verification.
    fn read_verified<R>(&self, block: u32, look: impl FnOnce(&Page, bool) -> R) -> R {
        self.read(block, |page| look(page, false))
    }

    /// Changes up to four blocks atomically, all locked in the order given, which must ascend.
    ///
    /// The changes are dropped if `change` returns `None`, or unwinds. Checksums are stale afterwards: `change` ends
    /// with [`Page::finish`].
    fn change<R>(&self, blocks: &[u32], change: impl FnOnce(&mut [&mut Page]) -> Option<R>) -> Option<R>;

    /// Adds a block of zeros to the file.
    fn extend(&self) -> u32;

    /// A block that may be free: only a hint, lost in a crash. Not returned again until it is given back.
    fn take_free(&self) -> Option<u32>;

    /// Records hints that these blocks may be free.
    fn record_free(&self, blocks: &[u32]);

    /// Runs `work` under a lock that excludes other processes; `None` if it is held elsewhere and `wait` is not set.
    ///
    /// The store releases the lock of a process that unwinds or dies.
    fn with_lock<R>(&self, lock: MaintenanceLock, wait: bool, work: impl FnOnce() -> R) -> Option<R>;

    /// The xid horizon of what is replaced now: no scan that has begun by now has a later xmin.
    fn horizon(&self) -> u64;

    /// Whether every scan that had begun when `horizon` was the xid horizon has ended. The caller's own scan is
    /// excepted: it allocates no page during a sweep.
    fn older_scans_have_ended(&self, horizon: u64) -> bool;

    /// A cancel check, called at least every millisecond of work, with no page locked: unwinds if the work is
    /// cancelled. Not called in flushes and small merges, which take some ten milliseconds and must finish once begun.
    fn check_for_interrupts(&self);

    /// Unwinds: out of memory.
    fn no_memory(&self) -> !;

    /// Called between the pages of vacuum: may sleep.
    fn vacuum_delay(&self) {
        self.check_for_interrupts();
    }
}

/// Reserves room in a list that grows with the data.
pub(crate) fn reserve<T>(store: &impl Store, list: &mut Vec<T>, more: usize) {
    if list.try_reserve(more).is_err() {
        store.no_memory();
    }
}
