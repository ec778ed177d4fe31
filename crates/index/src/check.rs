//! Checks every page of an index, and computes its statistics.

use crate::entries::{Entries, tid_of};
use crate::error::{Corrupted, Damage};
use crate::index::Index;
use crate::layout::{MAX_WORDS, fingerprint};
use crate::merge::merge_debt;
use crate::meta::RunRef;
use crate::page::PageKind;
use crate::run::Root;
use crate::store::{MaintenanceLock, Store};
use crate::view::{IndexView, ReadError};

/// An entry that a check has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedEntry {
    /// The band of its leaf, or [`crate::layout::Layout::null_band`] for a NULL; `None` for a hash in staging, which
    /// belongs to every band.
    pub band: Option<usize>,
    /// The [`crate::layout::Layout::fingerprint`] of the hash in that band; for a hash in staging that of band 0, for a
    /// NULL 0.
    pub fingerprint: u64,
    /// The heap TID.
    pub tid: u64,
}

/// A run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunStats {
    /// Its generation.
    pub generation: u64,
    /// Hashes.
    pub entries: u64,
    /// NULLs.
    pub nulls: u64,
    /// Pages.
    pub pages: u32,
}

/// The statistics of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexStats {
    /// Bits of a hash.
    pub bits: usize,
    /// Bands.
    pub bands: usize,
    /// The runs, the largest first.
    pub runs: Vec<RunStats>,
    /// Staging pages, of hashes and of NULLs, including sealed ones.
    pub staging_pages: usize,
    /// Hashes in them.
    pub staging_entries: u64,
    /// NULLs in them.
    pub staging_nulls: u64,
    /// Blocks of the file.
    pub pages: u32,
    /// Free blocks, including those that become free when the current scans end.
    pub free_pages: u32,
    /// The entries that the merges due now would write.
    pub merge_debt: u64,
}

impl<S: Store> Index<'_, S> {
    /// Checks every page in use, and passes every entry of every band to `each`. The check stops at the first invalid
    /// page: its checksum, its block, its owner, the order of its keys, its fences.
    ///
    /// Inserts, flushes and merges continue during the check. On a standby pages that are replaced may be reused under
    /// the check: what has moved is checked again from block 0, and its entries are passed twice.
    pub fn check(&self, each: &mut dyn FnMut(CheckedEntry)) -> Result<(), Corrupted> {
        let mut done = Vec::new();
        loop {
            let view = IndexView::verifying(self.store())?;
            match self.check_view(&view, &mut done, each) {
                Ok(()) => return Ok(()),
                Err(error) => error.retry_if_moved(self.store())?,
            }
            self.store().check_for_interrupts();
        }
    }

    fn check_view(
        &self,
        view: &IndexView<'_, S>,
        done: &mut Vec<u64>,
        each: &mut dyn FnMut(CheckedEntry),
    ) -> Result<(), ReadError> {
        for batch in [&view.meta.staging, &view.meta.sealed] {
            for (block, kind) in batch.pages() {
                let copied = view.staging((block, kind), batch.generation, |entries| {
                    let row = |at| (entries.row(at).to_vec(), tid_of(entries.tids[entries.len() - 1 - at]));
                    (0..entries.len()).map(row).collect::<Vec<_>>()
                })?;
                for (words, tid) in copied {
                    let mut row = [0; MAX_WORDS];
                    row[..words.len()].copy_from_slice(&words);
                    each(match kind {
                        PageKind::StagingNulls => {
                            CheckedEntry { band: Some(self.layout().null_band()), fingerprint: 0, tid }
                        }
                        _ => CheckedEntry { band: None, fingerprint: self.layout().fingerprint(&row, 0), tid },
                    });
                }
                self.store().check_for_interrupts();
            }
        }
        for run in &view.meta.runs {
            if done.contains(&run.generation) {
                continue;
            }
            for (band, root) in view.roots(run)?.into_iter().enumerate() {
                self.check_tree(view, run, (band, root), each)?;
            }
            done.push(run.generation);
        }
        Ok(())
    }

    fn check_tree(
        &self,
        view: &IndexView<'_, S>,
        run: &RunRef,
        (band, root): (usize, Root),
        each: &mut dyn FnMut(CheckedEntry),
    ) -> Result<(), ReadError> {
        let mut waiting = Vec::new();
        if root.block != Root::NONE {
            waiting.push((root.block, root.level, (0, u64::MAX)));
        }
        let (mut leaves, mut entries) = (0, 0);
        while let Some((block, level, (low, high))) = waiting.pop() {
            let wrong = Corrupted::new(block, Damage::Order);
            if level > 0 {
                let children = view.fence(run, band, level, block, |children| {
                    children.keys.iter().copied().zip(children.blocks.iter().copied()).collect::<Vec<_>>()
                })?;
                let in_order = children.is_sorted_by_key(|(key, _)| *key);
                if !in_order || children[0].0 < low || children[children.len() - 1].0 > high {
                    return Err(wrong.into());
                }
                let highs = children[1..].iter().map(|(key, _)| *key).chain([high]);
                let below = children.iter().zip(highs).map(|((key, block), high)| (*block, level - 1, (*key, high)));
                let from = waiting.len();
                waiting.extend(below);
                waiting[from..].reverse();
                continue;
            }
            let found = view.leaf(run, band, block, |leaf| {
                let keys = || (0..leaf.len()).map(|at| leaf.key(at));
                let in_order = keys().is_sorted() && keys().all(|key| (low..=high).contains(&key));
                if in_order { Ok(checked_entries(&leaf, band, band == self.layout().null_band())) } else { Err(wrong) }
            })?;
            leaves += 1;
            entries += found.len() as u64;
            found.into_iter().for_each(&mut *each);
            self.store().check_for_interrupts();
        }
        if leaves != root.leaves {
            return Err(Corrupted::new(run.block, Damage::Count).into());
        }
        // Vacuum counts the remaining entries; a crash may come before it records the count.
        let listed = if band == self.layout().null_band() { run.nulls } else { run.entries };
        if entries > listed {
            return Err(Corrupted::new(root.block, Damage::Count).into());
        }
        Ok(())
    }

    /// Runs `work` under both maintenance locks: no run and no staging page is removed or vacuumed.
    pub fn with_maintenance_locked<R>(&self, work: impl FnOnce() -> R) -> Option<R> {
        let store = self.store();
        store.with_lock(MaintenanceLock::Flush, true, || store.with_lock(MaintenanceLock::Merge, true, work)).flatten()
    }

    /// The statistics of the index.
    pub fn stats(&self) -> Result<IndexStats, Corrupted> {
        let store = self.store();
        let view = IndexView::new(store)?;
        let (staging_entries, staging_nulls) = self.count_staging(&view)?;
        let meta = &view.meta;
        let pages = store.blocks();
        let mut free_pages = 0;
        for block in 1..pages {
            let generation = store.read(block, |page| (!page.is_new()).then(|| page.generation()));
            free_pages += u32::from(generation.is_none_or(|generation| !meta.is_live(generation)));
            store.check_for_interrupts();
        }
        let run = |run: &RunRef| RunStats {
            generation: run.generation,
            entries: run.entries,
            nulls: run.nulls,
            pages: run.pages,
        };
        let staging_pages = meta.staging.pages().count() + meta.sealed.pages().count();
        Ok(IndexStats {
            bits: meta.layout.bits(),
            bands: meta.layout.bands(),
            runs: meta.runs.iter().map(run).collect(),
            staging_pages,
            staging_entries,
            staging_nulls,
            pages,
            free_pages,
            merge_debt: merge_debt(meta),
        })
    }
}

/// The entries of a leaf as a check reports them.
fn checked_entries(leaf: &Entries<'_>, band: usize, are_nulls: bool) -> Vec<CheckedEntry> {
    let entry = |at: usize| CheckedEntry {
        band: Some(band),
        fingerprint: if are_nulls { 0 } else { fingerprint(leaf.row(at), leaf.half(at)) },
        tid: tid_of(leaf.tids[at]),
    };
    (0..leaf.len()).map(entry).collect()
}
