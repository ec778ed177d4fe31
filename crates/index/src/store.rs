//! Where the pages of an index are: what the index needs of a database, and all it needs.
//!
//! Every change is one call of [`Store::change`], and that is the unit of everything: other sessions, a standby and the
//! time after a crash see all pages of a change or none, and the changes in the order in which they were made. Methods
//! do not fail; a store that cannot go on (a full disk, a cancelled statement) unwinds, and what this crate does is in
//! order wherever it is left.

use crate::page::Page;

/// The two locks that keep maintenance apart. Scans and inserts wait for neither.
///
/// Whoever needs both takes `Flush` first. While one is held nothing else is locked but pages, a few at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Staging pages become a run; vacuum looks at staging pages.
    Flush,
    /// Runs become one run; vacuum looks at runs.
    Merge,
}

/// The pages of one index.
pub trait Store {
    /// Blocks that exist.
    fn blocks(&self) -> u32;

    /// Shows a block that exists, under a lock that only changes conflict with.
    fn read<R>(&self, block: u32, look: impl FnOnce(&Page) -> R) -> R;

    /// How many blocks ahead of the one that is read to [`Store::prefetch`]; 0 where reads do not wait for anything.
    fn read_ahead(&self) -> usize {
        0
    }

    /// Begins to get a block that exists and will be read soon.
    fn prefetch(&self, _block: u32) {}

    /// Shows a block as [`Store::read`] does, and whether its checksum is known to be right: the store has looked at it
    /// since the bytes came from where they can go wrong. Searches need not look again then.
    fn read_verified<R>(&self, block: u32, look: impl FnOnce(&Page, bool) -> R) -> R {
        self.read(block, |page| look(page, false))
    }

    /// Changes up to four blocks as one, all locked in the order given, which must rise.
    ///
    /// Whatever `change` did to the pages is forgotten where it returns `None`, or unwinds. Pages come with their sums
    /// wrong afterwards: `change` ends with [`Page::finish`].
    fn change<R>(&self, blocks: &[u32], change: impl FnOnce(&mut [&mut Page]) -> Option<R>) -> Option<R>;

    /// Adds a block of zeros to the file.
    fn extend(&self) -> u32;

    /// A block that may be free: only a hint, lost in a crash. Not given out again until it is returned.
    fn take_free(&self) -> Option<u32>;

    /// Hints that these blocks may be free.
    fn give_free(&self, blocks: &[u32]);

    /// Runs `work` under a lock that only the process holds that runs it; `None` if it is held elsewhere and `wait` is not set.
    ///
    /// The lock of a process that unwinds or dies is given back by the store.
    fn with_lock<R>(&self, lock: Lock, wait: bool, work: impl FnOnce() -> R) -> Option<R>;

    /// A stamp that is past every scan that has begun by now.
    fn stamp(&self) -> u64;

    /// Whether every scan that had begun at `stamp` has ended. The caller's own need not have: it takes no page in the
    /// middle of a sweep.
    fn is_past(&self, stamp: u64) -> bool;

    /// Called at least every millisecond of work, with no page locked: unwinds where the work is to end. Not called in flushes
    /// and small merges, which take some ten milliseconds and are to be done once begun.
    fn interrupt(&self);

    /// Unwinds: the system has no memory for what was to be done.
    fn no_memory(&self) -> !;

    /// Called between the pages of vacuum: may sleep.
    fn pause(&self) {
        self.interrupt();
    }
}

/// Makes room for more values in a list that grows with the data.
pub(crate) fn reserve<T>(store: &impl Store, list: &mut Vec<T>, more: usize) {
    if list.try_reserve(more).is_err() {
        store.no_memory();
    }
}
