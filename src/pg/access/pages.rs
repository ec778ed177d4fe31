//! The pages of an index in Postgres's shared buffers: the store that `crates/index` works on.
//!
//! Three ways to write:
//! - *logged*: through GenericXLog, which logs all pages of a change as one record where the relation is logged, and
//!   writes nothing to the log where it is temporary or unlogged;
//! - *deferred*: a new index that nobody else can see is written without a log, and logged as a whole when it is done
//!   ([`Pages::log`]);
//! - deferred in the *init fork* of an unlogged index.
//!
//! A page is changed on a copy, which is written back as a whole, or discarded: an error that unwinds in between leaves
//! the page as it was, and its lock to the end of the transaction, as every ERROR does. Nothing here has a destructor.
//!
//! One guard covers several calls of Postgres: a guard costs a fifth of what reading a page does.

use super::horizon;
use super::index_scan::IndexScan;
use super::relation::{IndexRelation, TableRelation};
use super::verified::BufferedPage;
use crate::pg::backend::allocator::{hold_reserve, reserve_spent};
use crate::pg::fmgr::error::IndexMemory;
use crate::pg::fmgr::raise::Raise;
use crate::pg::version;
use lumina_index::page::BODY_END;
use lumina_index::{MaintenanceLock, PAGE_SIZE, Page, Store};
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary as guard;
use pgrx::pg_sys::{self, Buffer, BufferAccessStrategy, ForkNumber, LOCKTAG, LockTagType, Relation, Snapshot};
use std::cell::Cell;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

unsafe extern "C-unwind" {
    // Without guards of their own: several calls share one.
    fn ReadBufferExtended(
        relation: Relation,
        fork: ForkNumber::Type,
        block: u32,
        mode: pg_sys::ReadBufferMode::Type,
        strategy: BufferAccessStrategy,
    ) -> Buffer;
    fn LockBuffer(buffer: Buffer, mode: c_int);
    fn MarkBufferDirty(buffer: Buffer);
    fn GenericXLogStart(relation: Relation) -> *mut pg_sys::GenericXLogState;
    fn GenericXLogRegisterBuffer(state: *mut pg_sys::GenericXLogState, buffer: Buffer, flags: c_int) -> pg_sys::Page;
    fn GenericXLogFinish(state: *mut pg_sys::GenericXLogState) -> u64;
    fn RecordFreeIndexPage(relation: Relation, block: u32);
    /// Releases lock and pin of a buffer that has both: cannot raise, and needs no guard.
    fn UnlockReleaseBuffer(buffer: Buffer);
    /// Whether Postgres keeps a checksum of every page, and verifies it when it reads one from disk. Never raises.
    fn DataChecksumsEnabled() -> bool;
}

/// The most pages of a change.
const MAX_PAGES: usize = 4;
/// Free blocks that are recorded between two interrupt checks.
const HINTS_PER_CHECK: usize = 4096;
const MAIN: ForkNumber::Type = ForkNumber::MAIN_FORKNUM;
/// `pd_pagesize_version` of every page: 8192 bytes, version 4 of the page layout.
const SIZE_AND_VERSION: u16 = PAGE_SIZE as u16 | pg_sys::PG_PAGE_LAYOUT_VERSION as u16;
const EXCLUSIVE: pg_sys::LOCKMODE = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;
/// A read that takes this long has waited for a disk: one from the system's cache takes some 3 µs.
const SLOW_READ: Duration = Duration::from_micros(20);
/// For how many reads blocks are prefetched after a slow one: where none has to wait, that is a sixth of their time.
const PREFETCHED_READS: u32 = 256;
/// Block numbers end below this one.
const NO_BLOCK: u32 = u32::MAX;

/// The pages of an index.
pub(crate) struct Pages {
    index: Relation,
    /// The table, where it is known: it narrows down whose snapshots keep a replaced page from being reused.
    table: Relation,
    /// The snapshot of a search, where snapshots can be too old; else null.
    snapshot: Snapshot,
    strategy: BufferAccessStrategy,
    fork: ForkNumber::Type,
    is_deferred: bool,
    /// Whether Postgres verifies every page that comes in from disk.
    has_checksums: bool,
    /// Whether a page was in no buffer: then reads that may prefetch are timed.
    is_timed: Cell<bool>,
    /// Whether `read_ahead` was called before the next read.
    may_prefetch: Cell<bool>,
    /// For how many more reads blocks are prefetched, and how many at a time; asked for when the first read was slow.
    prefetched: Cell<u32>,
    concurrency: Cell<Option<usize>>,
}

impl Pages {
    /// The pages of an index in use.
    pub(crate) fn of(index: IndexRelation, table: Option<TableRelation>) -> Self {
        if !hold_reserve() {
            IndexMemory.raise();
        }
        let table = table.map_or(std::ptr::null_mut(), |table| table.0);
        Pages {
            index: index.0,
            table,
            snapshot: std::ptr::null_mut(),
            strategy: std::ptr::null_mut(),
            fork: MAIN,
            is_deferred: false,
            // SAFETY: a look at what the control file said at the start.
            has_checksums: unsafe { DataChecksumsEnabled() },
            is_timed: Cell::new(false),
            may_prefetch: Cell::new(false),
            prefetched: Cell::new(0),
            concurrency: Cell::new(None),
        }
    }

    /// The pages that a search reads.
    pub(crate) fn of_scan(scan: IndexScan) -> Self {
        Pages { snapshot: version::expiring(scan.snapshot()), ..Self::of(scan.index(), None) }
    }

    /// Raises 72000 where the snapshot of a search is too old by now, and the index has lost entries since it was
    /// taken: rows that the search has found before may be gone as well. Whatever removes entries from the index
    /// changes block 0 before the rows go.
    #[inline]
    pub(crate) fn test_snapshot(&self) {
        if !self.snapshot.is_null() {
            self.read(0, |_| ());
        }
    }

    /// The pages of an index that is being built.
    pub(crate) fn new_index(index: IndexRelation) -> Self {
        Pages { is_deferred: true, ..Self::of(index, None) }
    }

    /// The pages of an unlogged index after a crash.
    pub(crate) fn init_fork(index: IndexRelation) -> Self {
        Pages { fork: ForkNumber::INIT_FORKNUM, ..Self::new_index(index) }
    }

    /// These pages through a buffer ring.
    pub(in crate::pg) fn with_strategy(self, strategy: BufferAccessStrategy) -> Self {
        Pages { strategy, ..self }
    }

    /// Logs every page, where the relation is logged: what was written without a log is safe from now on. An init fork
    /// is always logged, though the rest of its index is not.
    pub(crate) fn log(&self) {
        // SAFETY: an open relation that this transaction has made; all of its pages begin as Postgres's do.
        unsafe {
            if self.fork != MAIN || needs_log(self.index) {
                pg_sys::log_newpage_range(self.index, self.fork, 0, self.blocks(), true);
            }
        }
    }

    /// A pinned buffer, locked in `mode`, and whether this call has brought the page in.
    #[inline]
    fn locked(&self, block: u32, mode: u32) -> (Buffer, bool) {
        let before = blocks_read();
        // SAFETY: an open relation. The closure owns nothing.
        let buffer = unsafe {
            guard(|| {
                let normal = pg_sys::ReadBufferMode::RBM_NORMAL;
                let buffer = ReadBufferExtended(self.index, self.fork, block, normal, self.strategy);
                LockBuffer(buffer, mode as c_int);
                buffer
            })
        };
        (buffer, blocks_read() != before)
    }

    /// A buffer locked to read. Detects whether pages come from a disk.
    #[inline]
    fn locked_to_read(&self, block: u32) -> (Buffer, bool) {
        let begun = (self.may_prefetch.replace(false) && self.is_timed.get()).then(Instant::now);
        let (buffer, came_in) = self.locked(block, pg_sys::BUFFER_LOCK_SHARE);
        match begun {
            Some(begun) if begun.elapsed() >= SLOW_READ => self.prefetched.set(PREFETCHED_READS),
            Some(_) => self.prefetched.set(self.prefetched.get().saturating_sub(1)),
            None if came_in => self.is_timed.set(true),
            None => {}
        }
        if !self.snapshot.is_null() {
            // SAFETY: the snapshot of a running scan; an open relation, and a pinned and locked buffer of it.
            unsafe { version::test_for_old_snapshot(self.snapshot, self.index, page_of(buffer).cast()) };
        }
        (buffer, came_in)
    }

    fn place(&self, block: u32, buffer: Buffer) -> BufferedPage {
        // SAFETY: an open relation.
        let file = unsafe { version::file_number(self.index) };
        // Buffers of temporary relations have negative numbers, and their files numbers of their own.
        BufferedPage { file: file | u64::from(buffer < 0) << 63, block, buffer }
    }

    /// Records that a page may have come in from disk and that its checksum was not verified.
    #[inline]
    fn set_unknown(&self, block: u32, (buffer, came_in): (Buffer, bool)) {
        if came_in && !self.has_checksums {
            self.place(block, buffer).set_unknown();
        }
    }

    /// Whether the checksum of a page was verified since the page came in: by Postgres, or by this session, now or
    /// earlier.
    #[inline]
    fn is_verified(&self, block: u32, (buffer, came_in): (Buffer, bool), page: &Page) -> bool {
        if self.has_checksums {
            return true;
        }
        let place = self.place(block, buffer);
        if !came_in && place.is_verified() {
            return true;
        }
        let is_intact = page.is_intact();
        if is_intact {
            place.set_verified();
        } else {
            place.set_unknown();
        }
        is_intact
    }

    fn lock_tag(&self, lock: MaintenanceLock) -> LOCKTAG {
        // The lock of a tuple of block 0, which has none: pg_locks shows it with the index, and the deadlock detector
        // handles it, unlike a page lock.
        // SAFETY: an open relation.
        let relation = unsafe { (*self.index).rd_lockInfo.lockRelId };
        LOCKTAG {
            locktag_field1: relation.dbId.to_u32(),
            locktag_field2: relation.relId.to_u32(),
            locktag_field3: 0,
            locktag_field4: match lock {
                MaintenanceLock::Flush => 1,
                MaintenanceLock::Merge => 2,
            },
            locktag_type: LockTagType::LOCKTAG_TUPLE as u8,
            locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
        }
    }

    /// Writes the copies back, all or none: logged as one record, if at all.
    fn write(&self, buffers: &[Buffer], copies: &[MaybeUninit<Page>; MAX_PAGES]) {
        // SAFETY: the buffers are pinned and locked for writing, and there is a copy of each. The closure owns nothing
        // and cannot panic. What GenericXLog hands out is as long as a page.
        unsafe {
            guard(|| {
                if self.is_deferred {
                    for (buffer, copy) in buffers.iter().zip(copies) {
                        page_of(*buffer).copy_from_nonoverlapping(copy.as_ptr(), 1);
                        MarkBufferDirty(*buffer);
                    }
                    return;
                }
                let state = GenericXLogStart(self.index);
                for (buffer, copy) in buffers.iter().zip(copies) {
                    // A page of another generation is logged as a full image: a delta to the old one would be in vain.
                    let is_new = (*page_of(*buffer)).generation() != (*copy.as_ptr()).generation();
                    let flags = if is_new { pg_sys::GENERIC_XLOG_FULL_IMAGE as c_int } else { 0 };
                    let image: *mut Page = GenericXLogRegisterBuffer(state, *buffer, flags).cast();
                    image.copy_from_nonoverlapping(copy.as_ptr(), 1);
                }
                GenericXLogFinish(state);
            });
        }
    }
}

impl Store for Pages {
    fn blocks(&self) -> u32 {
        // SAFETY: an open relation.
        unsafe { pg_sys::RelationGetNumberOfBlocksInFork(self.index, self.fork) }
    }

    #[inline]
    fn read<R>(&self, block: u32, look: impl FnOnce(&Page) -> R) -> R {
        let read = self.locked_to_read(block);
        self.set_unknown(block, read);
        // SAFETY: the buffer is pinned, and locked against writers, until it is released. Should `look` unwind, the end
        // of the transaction releases it.
        unsafe {
            let result = look(&*page_of(read.0));
            UnlockReleaseBuffer(read.0);
            result
        }
    }

    #[inline]
    fn read_verified<R>(&self, block: u32, look: impl FnOnce(&Page, bool) -> R) -> R {
        let read = self.locked_to_read(block);
        // SAFETY: as in `read`.
        unsafe {
            let page = &*page_of(read.0);
            let result = look(page, self.is_verified(block, read, page));
            UnlockReleaseBuffer(read.0);
            result
        }
    }

    /// As many as `effective_io_concurrency` of the tablespace, where pages come from a disk.
    #[inline]
    fn read_ahead(&self) -> usize {
        self.may_prefetch.set(true);
        if self.prefetched.get() == 0 {
            return 0;
        }
        self.concurrency.get().unwrap_or_else(|| {
            // SAFETY: an open relation.
            let setting = unsafe { pg_sys::get_tablespace_io_concurrency((*(*self.index).rd_rel).reltablespace) };
            let concurrency = usize::try_from(setting).unwrap_or(0);
            self.concurrency.set(Some(concurrency));
            concurrency
        })
    }

    fn prefetch(&self, block: u32) {
        // SAFETY: an open relation, which has that block.
        unsafe { pg_sys::PrefetchBuffer(self.index, self.fork, block) };
    }

    fn change<R>(&self, blocks: &[u32], change: impl FnOnce(&mut [&mut Page]) -> Option<R>) -> Option<R> {
        assert!(blocks.len() <= MAX_PAGES && blocks.is_sorted_by(|a, b| a < b), "blocks out of order");
        let mut buffers = [0; MAX_PAGES];
        for (buffer, block) in buffers.iter_mut().zip(blocks) {
            let read = self.locked(*block, pg_sys::BUFFER_LOCK_EXCLUSIVE);
            self.set_unknown(*block, read);
            *buffer = read.0;
        }
        let buffers = &buffers[..blocks.len()];
        let mut copies = [const { MaybeUninit::<Page>::uninit() }; MAX_PAGES];
        let mut pages: Vec<&mut Page> = Vec::with_capacity(MAX_PAGES);
        for (buffer, copy) in buffers.iter().zip(&mut copies) {
            // SAFETY: the buffer is pinned and locked; a page is valid whatever its bytes are.
            pages.push(unsafe {
                copy.as_mut_ptr().copy_from_nonoverlapping(page_of(*buffer), 1);
                copy.assume_init_mut()
            });
        }
        let result = change(&mut pages);
        if result.is_some() {
            pages.iter_mut().for_each(|page| fill_in_header(page));
            self.write(buffers, &copies);
        }
        for buffer in buffers {
            // SAFETY: pinned and locked above.
            unsafe { UnlockReleaseBuffer(*buffer) };
        }
        result
    }

    fn extend(&self) -> u32 {
        // SAFETY: an open relation.
        unsafe { version::extend(self.index, self.fork, self.strategy) }
    }

    fn take_free(&self) -> Option<u32> {
        if self.is_deferred {
            return None;
        }
        loop {
            // SAFETY: an open relation.
            let block = unsafe { pg_sys::GetFreeIndexPage(self.index) };
            if block == NO_BLOCK {
                return None;
            }
            // The free space map is not logged: after a crash it may list more blocks than there are.
            if block < self.blocks() {
                return Some(block);
            }
        }
    }

    fn record_free(&self, blocks: &[u32]) {
        let (Some(first), Some(last)) = (blocks.iter().min(), blocks.iter().max()) else { return };
        for (at, blocks) in blocks.chunks(HINTS_PER_CHECK).enumerate() {
            if at > 0 {
                self.check_for_interrupts();
            }
            // SAFETY: an open relation. The closure owns nothing.
            unsafe { guard(|| blocks.iter().for_each(|block| RecordFreeIndexPage(self.index, *block))) };
        }
        // A short operation is not interrupted: not here either, where Postgres checks for interrupts at every page of
        // the map.
        let held = &raw mut pg_sys::InterruptHoldoffCount;
        // SAFETY: an open relation. Interrupts are held off as HOLD_INTERRUPTS does; an ERROR lets them go by itself.
        unsafe {
            held.write(held.read() + 1);
            pg_sys::FreeSpaceMapVacuumRange(self.index, *first, last.saturating_add(1));
            held.write(held.read() - 1);
        }
    }

    fn with_lock<R>(&self, lock: MaintenanceLock, wait: bool, work: impl FnOnce() -> R) -> Option<R> {
        if self.is_deferred {
            return Some(work());
        }
        let tag = self.lock_tag(lock);
        // SAFETY: plain calls with the transaction's resource owner, which releases the lock should `work` unwind.
        unsafe {
            let taken = pg_sys::LockAcquire(&raw const tag, EXCLUSIVE, false, !wait);
            if taken == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL {
                return None;
            }
            let result = work();
            pg_sys::LockRelease(&raw const tag, EXCLUSIVE, false);
            Some(result)
        }
    }

    fn horizon(&self) -> u64 {
        horizon::next_xid()
    }

    fn older_scans_have_ended(&self, horizon: u64) -> bool {
        // SAFETY: an open table, or null.
        unsafe { horizon::older_scans_have_ended(self.table, horizon) }
    }

    #[inline]
    fn check_for_interrupts(&self) {
        pgrx::check_for_interrupts!();
        if reserve_spent() {
            self.no_memory();
        }
    }

    fn no_memory(&self) -> ! {
        IndexMemory.raise()
    }

    fn vacuum_delay(&self) {
        version::vacuum_delay();
        if reserve_spent() {
            self.no_memory();
        }
    }
}

/// Pages that this session has read into buffers so far.
#[inline]
fn blocks_read() -> i64 {
    let usage = &raw const pg_sys::pgBufferUsage;
    // SAFETY: a counter of this process, which has one thread that runs Postgres.
    unsafe { (*usage).shared_blks_read + (*usage).local_blks_read }
}

/// The page in a buffer.
///
/// # Safety
/// `buffer` is pinned.
#[inline]
unsafe fn page_of(buffer: Buffer) -> *mut Page {
    // SAFETY: as promised by the caller. Buffers are aligned as pages are.
    unsafe { pg_sys::BufferGetPage(buffer).cast() }
}

/// Fills in the page header for Postgres; LSN and checksum stay as they are.
fn fill_in_header(page: &mut Page) {
    const SPECIAL: u16 = BODY_END as u16;
    let (lower, upper) = page.room();
    for (at, value) in [(12, lower), (14, upper), (16, SPECIAL), (18, SIZE_AND_VERSION)] {
        page.bytes_mut()[at..at + 2].copy_from_slice(&value.to_ne_bytes());
    }
}

/// Postgres's `RelationNeedsWAL`.
///
/// # Safety
/// `relation` is open.
unsafe fn needs_log(relation: Relation) -> bool {
    // SAFETY: as promised by the caller.
    unsafe {
        let is_permanent = (*(*relation).rd_rel).relpersistence as u8 == pg_sys::RELPERSISTENCE_PERMANENT;
        let logs_new = (&raw const pg_sys::wal_level).read() >= pg_sys::WalLevel::WAL_LEVEL_REPLICA as i32;
        is_permanent && (logs_new || !version::is_made_here(relation))
    }
}
