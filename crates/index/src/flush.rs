//! Turns staging pages into a run.
//!
//! 1. Block 0: the staging pages become the sealed batch, and a new batch begins. Scans still read the sealed one.
//! 2. Each page of it is sealed: an insert that was about to append to it restarts at block 0.
//! 3. Its entries are sorted and written as a run, band by band.
//! 4. Block 0: lists the run and drops the sealed batch, as one change.
//!
//! A crash after 1 leaves a sealed batch; the next flush continues with it. Pages of a run that was never listed are
//! free, because their generation is not live. A flush takes some ten milliseconds and has no cancel check, so that
//! inserts make progress even if each of them is cancelled sooner than that.

use crate::entries::{StoredTid, stored_tid, tid_of};
use crate::error::{Corrupted, Damage};
use crate::index::Index;
use crate::layout::{Layout, MAX_WORDS};
use crate::meta::{Meta, RunRef, StagingBatch};
use crate::page::{BODY, PageKind};
use crate::run::{Allocator, TreeWriter, write_roots};
use crate::store::{MaintenanceLock, Store, reserve};
use crate::view::{IndexView, ReadError};

/// Entries in memory, in no order.
#[derive(Default)]
pub(crate) struct Unsorted {
    rows: Vec<u64>,
    tids: Vec<StoredTid>,
    nulls: Vec<StoredTid>,
}

impl<S: Store> Index<'_, S> {
    /// Turns staging pages into a run. False if there were none, or the lock is held elsewhere and `wait` is not set.
    pub fn flush(&self, wait: bool) -> Result<bool, Corrupted> {
        self.store().with_lock(MaintenanceLock::Flush, wait, || self.flush_locked()).unwrap_or(Ok(false))
    }

    fn flush_locked(&self) -> Result<bool, Corrupted> {
        let store = self.store();
        if Meta::load(store)?.is_full() {
            self.merge_smallest()?;
        }
        let begun = Meta::update(store, |meta| {
            if meta.sealed.is_empty() {
                if meta.staging.is_empty() {
                    return None;
                }
                let next = StagingBatch { generation: meta.take_generation(), ..StagingBatch::default() };
                meta.sealed = std::mem::replace(&mut meta.staging, next);
            }
            meta.flushing = meta.take_generation();
            meta.changes += 1;
            Some(meta.clone())
        })?;
        let Some(meta) = begun else { return Ok(false) };
        let sealed = meta.sealed.clone();
        let unsorted = self.seal(&sealed)?;
        let mut allocator = Allocator::new(store, meta.clone(), false);
        let run = unsorted.write(&meta.layout, meta.flushing, &mut allocator);
        allocator.finish();
        Meta::update(store, |meta| {
            meta.add_replaced(sealed.generation, store.horizon(), store);
            meta.sealed = StagingBatch::default();
            meta.flushing = 0;
            meta.changes += 1;
            meta.list(run);
            Some(())
        })?;
        Ok(true)
    }

    /// Seals the pages of a batch, and reads them.
    fn seal(&self, batch: &StagingBatch) -> Result<Unsorted, Corrupted> {
        let store = self.store();
        let view = IndexView::new(store)?;
        let mut unsorted = Unsorted::default();
        for (block, kind) in batch.pages() {
            view.exists(block)?;
            // The most that a page holds.
            reserve(store, &mut unsorted.rows, BODY / size_of::<u64>());
            let tids = if kind == PageKind::StagingNulls { &mut unsorted.nulls } else { &mut unsorted.tids };
            reserve(store, tids, BODY / size_of::<StoredTid>());
            let mut outcome = Ok(());
            store.change(&[block], |pages| {
                outcome = pages[0].check(block).and_then(|trailer| {
                    if trailer.generation != batch.generation || trailer.kind != kind {
                        return Err(Corrupted::new(block, Damage::Owner));
                    }
                    Ok(())
                });
                outcome.ok()?;
                pages[0].seal();
                pages[0].finish();
                Some(())
            });
            outcome?;
            let read = view.staging((block, kind), batch.generation, |entries| {
                unsorted.rows.extend_from_slice(entries.words);
                let tids = if kind == PageKind::StagingNulls { &mut unsorted.nulls } else { &mut unsorted.tids };
                tids.extend(entries.tids.iter().rev());
            });
            read.map_err(ReadError::into_corrupted)?;
        }
        Ok(unsorted)
    }
}

impl Unsorted {
    /// Sorts the entries band by band, and writes them.
    fn write<S: Store>(mut self, layout: &Layout, generation: u64, allocator: &mut Allocator<'_, S>) -> Option<RunRef> {
        if self.tids.is_empty() && self.nulls.is_empty() {
            return None;
        }
        let words = layout.words();
        let mut roots = Vec::new();
        let mut pages = 0;
        let mut order: Vec<(u64, StoredTid, u32)> = Vec::new();
        reserve(allocator.store, &mut order, self.tids.len());
        for band in 0..layout.bands() {
            order.clear();
            order.extend(
                self.tids
                    .iter()
                    .zip(self.rows.chunks(words))
                    .enumerate()
                    .map(|(at, (tid, row))| (layout.first_word(row, band), *tid, at as u32)),
            );
            order.sort_unstable();
            let mut tree = TreeWriter::new(layout, generation, band);
            for (_, tid, at) in &order {
                let mut row = [0; MAX_WORDS];
                row[..words].copy_from_slice(&self.rows[*at as usize * words..(*at as usize + 1) * words]);
                let (kept, half) = layout.kept(&row, band);
                tree.push(allocator, &kept, half, *tid);
            }
            roots.push(tree.finish(allocator));
            pages += tree.pages;
        }
        self.nulls.sort_unstable_by_key(|tid| tid_of(*tid));
        let mut tree = TreeWriter::new(layout, generation, layout.null_band());
        for tid in &self.nulls {
            tree.push(allocator, &[], 0, stored_tid(tid_of(*tid)));
        }
        roots.push(tree.finish(allocator));
        let size = (pages + tree.pages, self.tids.len() as u64, self.nulls.len() as u64);
        Some(write_roots(allocator, generation, &roots, size))
    }
}
