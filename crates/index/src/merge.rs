//! Merges runs into one run.
//!
//! Runs are in *tiers* by their size: those of one batch of staging pages are in the first, those of four times the
//! size in the second, and so on. When a tier has [`FAN_IN`] runs they become one, in the next tier or above: each
//! entry is written once per tier, and a search reads at most three runs per tier. A run that vacuum has left half
//! empty is rewritten.
//!
//! Bands are merged one after the other, each by a merge of the leaves in order: memory is a leaf per run. The inputs
//! stay listed until the output is, in one change of block 0.
//!
//! A merge of large runs takes minutes, and inserts go on: the runs that they add, which no other session may merge,
//! are merged by *nested* merges inside the long one. Otherwise the list would fill up, and inserts would wait.

use crate::entries::{Entries, StoredTid, staging_capacity};
use crate::error::Corrupted;
use crate::index::{Index, MAX_FOREGROUND_PAGES};
use crate::layout::Layout;
use crate::meta::{MAX_RUNS, Meta, RunRef, STAGING_PAGES};
use crate::run::{Allocator, MAX_UNINTERRUPTED_PAGES, Root, TreeWriter, write_roots};
use crate::store::{MaintenanceLock, Store};
use crate::view::{IndexView, LeafWalk, ReadError};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Runs of a tier that become one.
pub(crate) const FAN_IN: usize = 4;
/// The most runs per merge: the rest of the list is room for runs that arrive during the merge.
const MAX_MERGED_RUNS: usize = 16;
/// Leaves that a long merge reads between two checks for nested merges that are due.
const LEAVES_PER_CHECK: usize = 256;

/// The tier of a run.
fn tier(layout: &Layout, run: &RunRef) -> u32 {
    // The last page of a batch has one entry as a rule. Four such batches must reach the next tier, not just miss it.
    let batch = ((STAGING_PAGES - 1) * staging_capacity(layout.words())) as u64;
    ((run.entries + run.nulls) / batch).max(1).ilog(FAN_IN as u64)
}

/// Whether at least half of a run's capacity is empty.
fn is_sparse(layout: &Layout, run: &RunRef) -> bool {
    let leaves = |band: usize, entries: u64| entries / layout.shape(band).capacity() as u64 + 2;
    let full: u64 = (0..layout.bands()).map(|band| leaves(band, run.entries)).sum();
    u64::from(run.pages) > 2 * (full + leaves(layout.null_band(), run.nulls) + 2)
}

/// The runs to merge next: of the first tier that has too many, or a sparse one; of at most `most` pages together.
pub(crate) fn due(meta: &Meta, most: u64) -> Option<Vec<u64>> {
    due_beside(meta, &[], most)
}

/// [`due`] without the runs of the generations `taken`.
fn due_beside(meta: &Meta, taken: &[u64], most: u64) -> Option<Vec<u64>> {
    let tier = |run: &RunRef| tier(&meta.layout, run);
    let runs: Vec<&RunRef> = beside(meta, taken).collect();
    let highest = runs.iter().map(|run| tier(run)).max()?;
    for wanted in 0..=highest {
        // The smallest first, as many as fit.
        let mut pages = 0;
        let fits = |run: &&&RunRef| {
            pages += u64::from(run.pages);
            pages <= most
        };
        let runs = runs.iter().rev().filter(|run| tier(run) == wanted).take(MAX_MERGED_RUNS).take_while(fits);
        let chosen: Vec<u64> = runs.map(|run| run.generation).collect();
        if chosen.len() >= FAN_IN {
            return Some(chosen);
        }
    }
    let sparse = runs.iter().find(|run| is_sparse(&meta.layout, run) && u64::from(run.pages) <= most);
    sparse.map(|run| vec![run.generation])
}

/// The runs but those of the generations `taken`, the largest first.
fn beside<'m>(meta: &'m Meta, taken: &[u64]) -> impl DoubleEndedIterator<Item = &'m RunRef> {
    meta.runs.iter().filter(|run| !taken.contains(&run.generation))
}

/// The `count` smallest runs, or all if there are fewer.
fn smallest(meta: &Meta, taken: &[u64], count: usize) -> Vec<u64> {
    beside(meta, taken).rev().take(count).map(|run| run.generation).collect()
}

/// How many entries the merges due now would write.
pub(crate) fn merge_debt(meta: &Meta) -> u64 {
    let Some(due) = due(meta, u64::MAX) else { return 0 };
    let runs = meta.runs.iter().filter(|run| due.contains(&run.generation));
    runs.map(|run| run.entries + run.nulls).sum()
}

impl<S: Store> Index<'_, S> {
    /// Merges runs that are due, of at most `most` pages together; false if none is, or another session merges and
    /// `wait` is not set.
    pub fn merge(&self, most: u64, wait: bool) -> Result<bool, Corrupted> {
        if due(&Meta::load(self.store())?, most).is_none() {
            return Ok(false);
        }
        self.merge_some(wait, |meta| due(meta, most))
    }

    /// Merges everything into one run, in steps: the small runs first, then all.
    pub fn compact(&self) -> Result<(), Corrupted> {
        if !Meta::load(self.store())?.sealed.is_empty() {
            // A crash may have left a sealed batch.
            self.flush(true)?;
        }
        self.flush(true)?;
        self.merge_some(true, |meta| {
            let largest = meta.runs.iter().map(|run| run.entries).max()?;
            let small = meta.runs.iter().filter(|run| run.entries < largest / FAN_IN as u64);
            let small: Vec<u64> = small.map(|run| run.generation).collect();
            (2..=MAX_MERGED_RUNS).contains(&small.len()).then_some(small)
        })?;
        while self.merge_some(true, |meta| {
            (meta.runs.len() > MAX_MERGED_RUNS).then(|| smallest(meta, &[], MAX_MERGED_RUNS))
        })? {}
        self.merge_some(true, |meta| {
            let all: Vec<u64> = meta.runs.iter().map(|run| run.generation).collect();
            (all.len() > 1 || meta.runs.iter().any(|run| is_sparse(&meta.layout, run))).then_some(all)
        })?;
        Ok(())
    }

    /// Merges the smallest runs of a full list, without a cancel check unless that is long.
    pub(crate) fn merge_smallest(&self) -> Result<(), Corrupted> {
        // Not if another merge, for which this one waited, has made room.
        let choose = |meta: &Meta| meta.is_full().then(|| smallest(meta, &[], FAN_IN));
        self.store()
            .with_lock(MaintenanceLock::Merge, true, || self.merge_locked(choose, MAX_FOREGROUND_PAGES))
            .unwrap_or(Ok(false))?;
        Ok(())
    }

    /// Merges the runs that `choose` names, if any.
    fn merge_some(&self, wait: bool, choose: impl FnOnce(&Meta) -> Option<Vec<u64>>) -> Result<bool, Corrupted> {
        self.store()
            .with_lock(MaintenanceLock::Merge, wait, || self.merge_locked(choose, MAX_UNINTERRUPTED_PAGES))
            .unwrap_or(Ok(false))
    }

    /// Without a cancel check if it has at most `max_uninterrupted` pages.
    fn merge_locked(
        &self,
        choose: impl FnOnce(&Meta) -> Option<Vec<u64>>,
        max_uninterrupted: u64,
    ) -> Result<bool, Corrupted> {
        let Some(merge) = self.begin(|meta| &mut meta.merging, choose)? else { return Ok(false) };
        let is_long = merge.pages() > max_uninterrupted;
        self.finish_merge(&merge, is_long, &|| if is_long { self.merge_nested(&merge) } else { Ok(()) })?;
        Ok(true)
    }

    /// The nested merges of a long merge: what is due beside it, of no more pages than an insert would merge; if the
    /// list is half full, the smallest runs.
    fn merge_nested(&self, outer: &StartedMerge) -> Result<(), Corrupted> {
        let choose = |meta: &Meta| {
            due_beside(meta, &outer.chosen, MAX_FOREGROUND_PAGES).or_else(|| {
                let smallest = smallest(meta, &outer.chosen, FAN_IN);
                (meta.runs.len() > MAX_RUNS / 2 && smallest.len() == FAN_IN).then_some(smallest)
            })
        };
        while choose(&Meta::load(self.store())?).is_some() {
            let Some(merge) = self.begin(|meta| &mut meta.merging_nested, choose)? else { break };
            self.finish_merge(&merge, merge.pages() > MAX_UNINTERRUPTED_PAGES, &|| Ok(()))?;
        }
        Ok(())
    }

    /// Chooses runs, and records in block 0 that their output is being written.
    fn begin(
        &self,
        writing: GenerationField,
        choose: impl FnOnce(&Meta) -> Option<Vec<u64>>,
    ) -> Result<Option<StartedMerge>, Corrupted> {
        Meta::update(self.store(), |meta| {
            let chosen = choose(meta)?;
            *writing(meta) = meta.take_generation();
            Some(StartedMerge { meta: meta.clone(), chosen, writing })
        })
    }

    /// Writes the run, and lists it; calls `merge_nested` now and then.
    fn finish_merge(
        &self,
        started: &StartedMerge,
        is_long: bool,
        merge_nested: &dyn Fn() -> Result<(), Corrupted>,
    ) -> Result<(), Corrupted> {
        let store = self.store();
        let mut meta = started.meta.clone();
        let (generation, runs) = (*(started.writing)(&mut meta), started.runs());
        // The pages written from these get checksums of their own.
        let mut merge = Merge {
            view: IndexView::verifying(store)?,
            allocator: Allocator::new(store, meta, is_long),
            merge_nested,
            leaves: 0,
        };
        let merged = merge.runs(&runs, generation).map_err(ReadError::into_corrupted)?;
        merge.allocator.finish();
        Meta::update(store, |meta| {
            let horizon = store.horizon();
            for run in &runs {
                meta.add_replaced(run.generation, horizon, store);
            }
            meta.runs.retain(|run| !started.chosen.contains(&run.generation));
            *(started.writing)(meta) = 0;
            meta.changes += 1;
            meta.list(merged);
            Some(())
        })?;
        Ok(())
    }
}

/// The field of block 0 with the generation that is being written.
type GenerationField = fn(&mut Meta) -> &mut u64;

/// A merge that is recorded in block 0.
struct StartedMerge {
    /// Block 0 at that time.
    meta: Meta,
    /// The runs that are merged.
    chosen: Vec<u64>,
    writing: GenerationField,
}

impl StartedMerge {
    fn runs(&self) -> Vec<RunRef> {
        self.meta.runs.iter().filter(|run| self.chosen.contains(&run.generation)).copied().collect()
    }

    fn pages(&self) -> u64 {
        self.runs().iter().map(|run| u64::from(run.pages)).sum()
    }
}

/// A running merge.
struct Merge<'s, 'm, S: Store> {
    view: IndexView<'s, S>,
    allocator: Allocator<'s, S>,
    merge_nested: &'m dyn Fn() -> Result<(), Corrupted>,
    /// Leaves read since the last call of `merge_nested`.
    leaves: usize,
}

impl<S: Store> Merge<'_, '_, S> {
    /// Writes the runs as one.
    fn runs(&mut self, runs: &[RunRef], generation: u64) -> Result<Option<RunRef>, ReadError> {
        let layout = *self.view.layout();
        let roots = runs.iter().map(|run| self.view.roots(run)).collect::<Result<Vec<_>, _>>()?;
        let (mut trees, mut pages, mut entries, mut nulls) = (Vec::new(), 0, 0, 0);
        for band in 0..=layout.null_band() {
            let mut tree = TreeWriter::new(&layout, generation, band);
            let cursors = runs.iter().zip(&roots).map(|(run, roots)| Cursor::new(*run, band, roots[band]));
            self.band(cursors.collect(), &mut tree)?;
            trees.push(tree.finish(&mut self.allocator));
            pages += tree.pages;
            // After a crash during vacuum some bands may have more entries than others.
            if band == layout.null_band() { nulls = tree.entries } else { entries = tree.entries.max(entries) }
        }
        let allocator = &mut self.allocator;
        Ok((entries + nulls > 0).then(|| write_roots(allocator, generation, &trees, (pages, entries, nulls))))
    }

    fn band(&mut self, mut cursors: Vec<Cursor>, tree: &mut TreeWriter) -> Result<(), ReadError> {
        let mut heads = BinaryHeap::new();
        for (at, cursor) in cursors.iter_mut().enumerate() {
            heads.extend(self.head(cursor)?.map(|key| Reverse((key, at))));
        }
        while let Some(Reverse((_, at))) = heads.pop() {
            // While the entries of this run come before those of all others.
            let until = heads.peek().map_or(u64::MAX, |Reverse((key, _))| *key);
            let cursor = &mut cursors[at];
            while let Some(key) = self.head(cursor)? {
                if key > until {
                    heads.push(Reverse((key, at)));
                    break;
                }
                let allocator = &mut self.allocator;
                cursor.leaf.with(cursor.at, |words, half, tid| tree.push(allocator, words, half, tid));
                cursor.at += 1;
            }
        }
        Ok(())
    }

    /// The key of the next entry; `None` at the end.
    fn head(&mut self, cursor: &mut Cursor) -> Result<Option<u64>, ReadError> {
        while cursor.at == cursor.leaf.tids.len() {
            let Some(block) = cursor.leaves.next(&self.view, &cursor.run, cursor.band)? else { return Ok(None) };
            let leaf = &mut cursor.leaf;
            self.view.leaf(&cursor.run, cursor.band, block, |entries| {
                leaf.copy(entries);
                Ok(())
            })?;
            cursor.at = 0;
            self.allocator.check_for_interrupts();
            self.leaves += 1;
            if self.leaves == LEAVES_PER_CHECK {
                self.leaves = 0;
                (self.merge_nested)()?;
            }
        }
        Ok(Some(cursor.leaf.words.get(cursor.at * cursor.leaf.stride).copied().unwrap_or(0)))
    }
}

/// The entries of a band of a run, in order.
struct Cursor {
    run: RunRef,
    band: usize,
    leaves: LeafWalk,
    leaf: LeafCopy,
    at: usize,
}

/// A copy of a leaf.
#[derive(Default)]
struct LeafCopy {
    stride: usize,
    words: Vec<u64>,
    halves: Vec<u32>,
    tids: Vec<StoredTid>,
}

impl LeafCopy {
    fn copy(&mut self, entries: Entries<'_>) {
        self.stride = entries.shape.words;
        self.words.clear();
        self.words.extend_from_slice(entries.words);
        self.halves.clear();
        self.halves.extend_from_slice(entries.halves);
        self.tids.clear();
        self.tids.extend_from_slice(entries.tids);
    }

    fn with(&self, at: usize, look: impl FnOnce(&[u64], u32, StoredTid)) {
        let words = &self.words[at * self.stride..(at + 1) * self.stride];
        look(words, self.halves.get(at).copied().unwrap_or(0), self.tids[at]);
    }
}

impl Cursor {
    fn new(run: RunRef, band: usize, root: Root) -> Self {
        Cursor { run, band, leaves: LeafWalk::of(root), leaf: LeafCopy::default(), at: 0 }
    }
}
