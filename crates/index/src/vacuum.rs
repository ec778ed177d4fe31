//! Vacuum: removes the entries of dead rows, and finds free blocks.
//!
//! Every copy of every entry is checked, in every band and in staging: one band is never inferred from another, because
//! a crash may have come in between. Staging pages come first, under the lock that keeps them from becoming a run,
//! then the runs: entries that enter these in between are too young to be dead, or were checked already.
//!
//! Vacuum sleeps a lot, and a session that must merge may not wait for all of it: the lock of the runs is held for some
//! pages at a time. A run that is merged in between is not listed any more; the new run is checked in its place.

use crate::entries::{Entries, LeafBuffer, append, tid_of};
use crate::error::{Corrupted, Damage};
use crate::index::Index;
use crate::meta::{Meta, RunRef};
use crate::page::{Page, PageKind, Trailer};
use crate::store::{MaintenanceLock, Store};
use crate::view::{IndexView, LeafWalk, ReadError};

/// Staging pages from which vacuum makes a run: fewer cost a search less than a run does.
const MIN_FLUSH_PAGES: usize = 8;
/// Leaves that are checked per acquisition of the lock of the runs.
const LEAVES_PER_LOCK: usize = 16;
/// Blocks per batch of hints.
const HINTS_PER_BATCH: usize = 4096;

/// The effect of vacuum on the entries, equal in each band except after a crash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Remaining rows and NULLs.
    pub kept: u64,
    /// Removed rows and NULLs.
    pub removed: u64,
}

/// The state after vacuum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CleanedUp {
    /// Blocks.
    pub pages: u32,
    /// Blocks that are free.
    pub free: u32,
    /// Rows and NULLs.
    pub entries: u64,
}

/// The progress of vacuum over the runs.
#[derive(Default)]
struct VacuumProgress {
    /// The runs of the last list that was read; none before the first.
    known: Option<Vec<u64>>,
    /// The runs that may still have dead entries.
    left: Vec<u64>,
    current: Option<RunVacuum>,
}

impl VacuumProgress {
    /// If a remaining run is not listed any more, new runs may hold its entries; otherwise new runs came from staging
    /// pages that were vacuumed, and from runs that are done.
    fn update(&mut self, meta: &Meta) {
        let listed: Vec<u64> = meta.runs.iter().map(|run| run.generation).collect();
        let is_first = self.known.is_none();
        let known = self.known.take().unwrap_or_default();
        if is_first || self.left.iter().any(|generation| !listed.contains(generation)) {
            let is_left = |generation: &u64| self.left.contains(generation) || !known.contains(generation);
            self.left = listed.iter().copied().filter(is_left).collect();
        }
        self.known = Some(listed);
    }
}

/// A run that is being vacuumed.
#[derive(Default)]
struct RunVacuum {
    generation: u64,
    band: usize,
    /// The leaves of the band; none before the first band.
    leaves: Option<LeafWalk>,
    /// Entries of the band so far.
    kept: u64,
    /// Entries of the bands before.
    entries: u64,
    nulls: u64,
}

impl<S: Store> Index<'_, S> {
    /// Removes every entry whose TID `is_dead`. A callback that always returns false sees every TID at least once.
    pub fn vacuum(&self, is_dead: &mut dyn FnMut(u64) -> bool) -> Result<Vacuumed, Corrupted> {
        let mut done = Vacuumed::default();
        let store = self.store();
        store.with_lock(MaintenanceLock::Flush, true, || self.vacuum_staging(is_dead, &mut done)).unwrap_or(Ok(()))?;
        let mut progress = VacuumProgress::default();
        while store
            .with_lock(MaintenanceLock::Merge, true, || self.vacuum_part(&mut progress, is_dead, &mut done))
            .unwrap_or(Ok(false))?
        {}
        done.kept += Meta::load(store)?.runs.iter().map(|run| run.entries + run.nulls).sum::<u64>();
        Ok(done)
    }

    fn vacuum_staging(&self, is_dead: &mut dyn FnMut(u64) -> bool, done: &mut Vacuumed) -> Result<(), Corrupted> {
        let view = IndexView::new(self.store())?;
        let words = self.layout().words();
        for batch in [&view.meta.staging, &view.meta.sealed] {
            for (block, kind) in batch.pages() {
                let tids = view.staging((block, kind), batch.generation, |entries| {
                    entries.tids.iter().rev().map(|tid| tid_of(*tid)).collect::<Vec<_>>()
                });
                let dead = dead_among(&tids.map_err(ReadError::into_corrupted)?, is_dead, done);
                if dead.contains(&true) {
                    // Entries added since follow those that were checked. Block 0 is rewritten unchanged: running
                    // searches detect by it that rows which they have found may be gone; of runs it has what is left.
                    self.rewrite(&[0, block], batch.generation, |page, old, trailer| {
                        let entries = Entries::staging(old, block, trailer, words)?;
                        let kept = (0..entries.len()).filter(|at| !dead.get(*at).copied().unwrap_or(false));
                        for (count, at) in kept.enumerate() {
                            append(page, count, entries.row(at), entries.tids[entries.len() - 1 - at]);
                        }
                        if trailer.is_sealed {
                            page.seal();
                        }
                        Ok(())
                    })?;
                }
                self.store().vacuum_delay();
            }
        }
        Ok(())
    }

    /// Continues with the runs; false when all are done.
    fn vacuum_part(
        &self,
        progress: &mut VacuumProgress,
        is_dead: &mut dyn FnMut(u64) -> bool,
        done: &mut Vacuumed,
    ) -> Result<bool, Corrupted> {
        let view = IndexView::new(self.store())?;
        progress.update(&view.meta);
        let listed = |wanted: u64| view.meta.runs.iter().find(|run| run.generation == wanted);
        let current = progress.current.take().and_then(|current| Some((listed(current.generation)?, current)));
        let first = || Some((listed(*progress.left.first()?)?, RunVacuum::default()));
        let Some((run, mut current)) = current.or_else(first) else { return Ok(false) };
        current.generation = run.generation;
        let bands = self.layout().bands() + 1;
        for _ in 0..LEAVES_PER_LOCK {
            if current.band == bands {
                break;
            }
            done.removed += self.vacuum_leaf(&view, run, &mut current, is_dead).map_err(ReadError::into_corrupted)?;
        }
        if current.band < bands {
            progress.current = Some(current);
            return Ok(true);
        }
        progress.left.retain(|generation| *generation != run.generation);
        self.update_counts(run, &current)?;
        Ok(true)
    }

    /// Records how many entries a run has left.
    fn update_counts(&self, run: &RunRef, vacuumed: &RunVacuum) -> Result<(), Corrupted> {
        let store = self.store();
        if (vacuumed.entries, vacuumed.nulls) == (run.entries, run.nulls) {
            return Ok(());
        }
        Meta::update(store, |meta| {
            let listed = meta.runs.iter_mut().find(|listed| listed.generation == run.generation)?;
            (listed.entries, listed.nulls) = (vacuumed.entries, vacuumed.nulls);
            if vacuumed.entries + vacuumed.nulls == 0 {
                meta.runs.retain(|listed| listed.generation != run.generation);
                meta.add_replaced(run.generation, store.horizon(), store);
            }
            meta.list(None);
            meta.changes += 1;
            Some(())
        })?;
        Ok(())
    }

    /// Vacuums the next leaf of a run, or ends its band. Returns how many rows were removed, counted in one band.
    fn vacuum_leaf(
        &self,
        view: &IndexView<'_, S>,
        run: &RunRef,
        current: &mut RunVacuum,
        is_dead: &mut dyn FnMut(u64) -> bool,
    ) -> Result<u64, ReadError> {
        let band = current.band;
        let is_null = band == self.layout().null_band();
        let leaves = match &mut current.leaves {
            Some(leaves) => leaves,
            none => none.insert(LeafWalk::of(view.roots(run)?[band])),
        };
        let Some(block) = leaves.next(view, run, band)? else {
            // After a crash during vacuum some bands may have more entries than others.
            let kept = std::mem::take(&mut current.kept);
            if is_null {
                current.nulls = kept
            } else {
                current.entries = current.entries.max(kept)
            }
            (current.band, current.leaves) = (band + 1, None);
            return Ok(0);
        };
        let shape = self.layout().shape(band);
        let tids =
            view.leaf(run, band, block, |entries| Ok(entries.tids.iter().map(|tid| tid_of(*tid)).collect::<Vec<_>>()))?;
        let mut counted = Vacuumed::default();
        let dead = dead_among(&tids, is_dead, &mut counted);
        if dead.contains(&true) {
            self.rewrite(&[block], run.generation, |page, old, trailer| {
                let entries = Entries::leaf(old, block, trailer, shape)?;
                let mut leaf = LeafBuffer::default();
                for at in (0..entries.len()).filter(|at| !dead[*at]) {
                    leaf.push(shape, entries.row(at), entries.half(at), entries.tids[at]);
                }
                leaf.drain_into(page);
                Ok(())
            })?;
        }
        self.store().vacuum_delay();
        current.kept += counted.kept;
        Ok(if band == 0 || is_null { counted.removed } else { 0 })
    }

    /// Rewrites the last of some pages with its owner, kind, band and level; the other pages are written unchanged.
    fn rewrite(
        &self,
        blocks: &[u32],
        generation: u64,
        fill: impl FnOnce(&mut Page, &Page, Trailer) -> Result<(), Corrupted>,
    ) -> Result<(), Corrupted> {
        let mut outcome = Ok(());
        self.store().change(blocks, |pages| {
            let (block, page) = (*blocks.last()?, pages.last_mut()?);
            let old = page.clone();
            outcome = old.check(block).and_then(|trailer| {
                if trailer.generation != generation {
                    return Err(Corrupted::new(block, Damage::Owner));
                }
                page.begin(block, trailer.kind, generation, trailer.band, trailer.level);
                fill(page, &old, trailer)
            });
            outcome.ok()?;
            page.finish();
            Some(())
        });
        outcome
    }

    /// The end of vacuum: staging pages become a run, runs that are due are merged, whatever their size, and free
    /// blocks are recorded as hints.
    pub fn clean_up(&self) -> Result<CleanedUp, Corrupted> {
        let store = self.store();
        self.forget_unfinished()?;
        // First of all: after a crash the hints are lost, and the writes below would extend the file.
        let mut free = self.record_free_blocks()?;
        let mut is_written = Meta::load(store)?.staging_pages() >= MIN_FLUSH_PAGES && self.flush(true)?;
        while self.merge(u64::MAX, true)? {
            is_written = true;
        }
        if is_written {
            free = self.record_free_blocks()?;
        }
        let view = IndexView::new(store)?;
        let staging = self.count_staging(&view)?;
        let nulls: u64 = view.meta.runs.iter().map(|run| run.nulls).sum();
        Ok(CleanedUp { pages: store.blocks(), free, entries: view.meta.entries() + nulls + staging.0 + staging.1 })
    }

    /// Records a hint for every free block. Returns how many there are.
    fn record_free_blocks(&self) -> Result<u32, Corrupted> {
        let store = self.store();
        let meta = Meta::load(store)?;
        let (mut free, mut hints) = (0, Vec::new());
        for block in 1..store.blocks() {
            if store.read(block, |page| meta.is_free(page, block, store)) {
                free += 1;
                hints.push(block);
            }
            if hints.len() == HINTS_PER_BATCH {
                store.record_free(&hints);
                hints.clear();
            }
            store.vacuum_delay();
        }
        store.record_free(&hints);
        Ok(free)
    }

    /// Drops runs that a crash or a cancelled statement left half written: while the lock is free, nobody writes one.
    fn forget_unfinished(&self) -> Result<(), Corrupted> {
        let store = self.store();
        let mut meta = Meta::load(store)?;
        let mut forget = |lock, writing: fn(&mut Meta) -> &mut u64| {
            if *writing(&mut meta) == 0 {
                return Ok(None);
            }
            let forgotten = store.with_lock(lock, false, || {
                Meta::update(store, |meta| (std::mem::take(writing(meta)) != 0).then_some(()))
            });
            forgotten.unwrap_or(Ok(None))
        };
        forget(MaintenanceLock::Flush, |meta| &mut meta.flushing)?;
        forget(MaintenanceLock::Merge, |meta| &mut meta.merging)?;
        forget(MaintenanceLock::Merge, |meta| &mut meta.merging_nested)?;
        Ok(())
    }

    /// Hashes and NULLs in staging. Pages that have become a run since `view` are left out.
    pub(crate) fn count_staging(&self, view: &IndexView<'_, S>) -> Result<(u64, u64), Corrupted> {
        let (mut hashes, mut nulls) = (0, 0);
        for batch in [&view.meta.staging, &view.meta.sealed] {
            for (block, kind) in batch.pages() {
                let count = match view.staging((block, kind), batch.generation, |entries| entries.len() as u64) {
                    Ok(count) => count,
                    Err(ReadError::Moved { .. }) => 0,
                    Err(ReadError::Corrupted(corrupted)) => return Err(corrupted),
                };
                if kind == PageKind::StagingNulls { nulls += count } else { hashes += count }
            }
        }
        Ok((hashes, nulls))
    }
}

/// Calls `is_dead` for each TID.
fn dead_among(tids: &[u64], is_dead: &mut dyn FnMut(u64) -> bool, done: &mut Vacuumed) -> Vec<bool> {
    let dead: Vec<bool> = tids.iter().map(|tid| is_dead(*tid)).collect();
    let gone = dead.iter().filter(|dead| **dead).count();
    done.removed += gone as u64;
    done.kept += (dead.len() - gone) as u64;
    dead
}
