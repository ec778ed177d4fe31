//! Runs become one run.
//!
//! Runs are in *tiers* by their size: those that come of a batch of staging pages are in the first, those of four times the
//! size in the second, and so on. When a tier has [`FAN_IN`] runs they become one, which is in the next tier or above: each
//! entry is written once a tier, and a search looks at three runs a tier at most. A run that vacuum has left half empty is
//! written anew.
//!
//! Bands are merged one after the other, each by a merge of the leaves in order: memory is a leaf a run. The inputs stay
//! listed until the output is, in one change of block 0.

use crate::entries::{Entries, StoredTid, staging_capacity};
use crate::error::Corrupted;
use crate::index::{FOREGROUND, Index};
use crate::layout::Layout;
use crate::meta::{Meta, RunRef, STAGING_PAGES};
use crate::run::{Allocator, Root, SHORT, TreeWriter, write_roots};
use crate::store::{Lock, Store};
use crate::view::{Leaves, Stop, View};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// So many runs of a tier become one.
pub(crate) const FAN_IN: usize = 4;

/// The tier of a run.
fn tier(layout: &Layout, run: &RunRef) -> u32 {
    let batch = (STAGING_PAGES * staging_capacity(layout.words())) as u64;
    ((run.entries + run.nulls) / batch).max(1).ilog(FAN_IN as u64)
}

/// Whether at least half of the room of a run is empty.
fn is_sparse(layout: &Layout, run: &RunRef) -> bool {
    let leaves = |band: usize, entries: u64| entries / layout.shape(band).capacity() as u64 + 2;
    let full: u64 = (0..layout.bands()).map(|band| leaves(band, run.entries)).sum();
    u64::from(run.pages) > 2 * (full + leaves(layout.null_band(), run.nulls) + 2)
}

/// The runs to merge next: of the first tier that has too many, or one that is sparse; of at most `most` pages together.
pub(crate) fn due(meta: &Meta, most: u64) -> Option<Vec<u64>> {
    let fits = |runs: &[&RunRef]| runs.iter().map(|run| u64::from(run.pages)).sum::<u64>() <= most;
    let tier = |run: &RunRef| tier(&meta.layout, run);
    let highest = meta.runs.iter().map(tier).max()?;
    for wanted in 0..=highest {
        let runs: Vec<&RunRef> = meta.runs.iter().filter(|run| tier(run) == wanted).collect();
        if runs.len() >= FAN_IN && fits(&runs) {
            return Some(runs.iter().map(|run| run.generation).collect());
        }
    }
    let sparse = meta.runs.iter().find(|run| is_sparse(&meta.layout, run) && fits(&[run]));
    sparse.map(|run| vec![run.generation])
}

/// How many entries merges would write by now.
pub(crate) fn debt(meta: &Meta) -> u64 {
    let Some(due) = due(meta, u64::MAX) else { return 0 };
    let runs = meta.runs.iter().filter(|run| due.contains(&run.generation));
    runs.map(|run| run.entries + run.nulls).sum()
}

impl<S: Store> Index<'_, S> {
    /// Merges runs that are due, of at most `most` pages together; false where none is, or somebody else merges and
    /// `wait` is not set.
    pub fn merge(&self, most: u64, wait: bool) -> Result<bool, Corrupted> {
        if due(&Meta::load(self.store())?, most).is_none() {
            return Ok(false);
        }
        self.merge_some(wait, |meta| due(meta, most))
    }

    /// Everything becomes one run, in steps: the small runs first, then all.
    pub fn compact(&self) -> Result<(), Corrupted> {
        self.flush(true)?;
        self.merge_some(true, |meta| {
            let largest = meta.runs.iter().map(|run| run.entries).max()?;
            let small = meta.runs.iter().filter(|run| run.entries < largest / FAN_IN as u64);
            let small: Vec<u64> = small.map(|run| run.generation).collect();
            (small.len() > 1).then_some(small)
        })?;
        self.merge_some(true, |meta| {
            let all: Vec<u64> = meta.runs.iter().map(|run| run.generation).collect();
            (all.len() > 1 || meta.runs.iter().any(|run| is_sparse(&meta.layout, run))).then_some(all)
        })?;
        Ok(())
    }

    /// Where the list of runs is full: the smallest become one, uninterrupted unless that is long.
    pub(crate) fn merge_smallest(&self) -> Result<(), Corrupted> {
        let smallest = |meta: &Meta| {
            // Not where another merge, for which this one waited, has made room. The largest are first.
            let smallest = || meta.runs[meta.runs.len() - FAN_IN..].iter().map(|run| run.generation).collect();
            meta.is_full().then(smallest)
        };
        self.store().with_lock(Lock::Merge, true, || self.merge_locked(smallest, FOREGROUND)).unwrap_or(Ok(false))?;
        Ok(())
    }

    /// Merges the runs that `choose` names, if any.
    fn merge_some(&self, wait: bool, choose: impl FnOnce(&Meta) -> Option<Vec<u64>>) -> Result<bool, Corrupted> {
        self.store().with_lock(Lock::Merge, wait, || self.merge_locked(choose, SHORT)).unwrap_or(Ok(false))
    }

    /// Not interrupted where it is of at most `short` pages.
    fn merge_locked(&self, choose: impl FnOnce(&Meta) -> Option<Vec<u64>>, short: u64) -> Result<bool, Corrupted> {
        let store = self.store();
        let begun = Meta::update(store, |meta| {
            let chosen = choose(meta)?;
            meta.merging = meta.take_generation();
            Some((meta.clone(), chosen))
        })?;
        let Some((meta, chosen)) = begun else { return Ok(false) };
        let generation = meta.merging;
        let runs: Vec<RunRef> = meta.runs.iter().filter(|run| chosen.contains(&run.generation)).copied().collect();
        let pages: u64 = runs.iter().map(|run| u64::from(run.pages)).sum();
        let mut allocator = Allocator::new(store, meta, pages > short);
        let view = View::new(store)?;
        let merged = merge_runs(&view, &runs, generation, &mut allocator).map_err(Stop::settled)?;
        allocator.finish();
        Meta::update(store, |meta| {
            let stamp = store.stamp();
            for run in &runs {
                meta.retire(run.generation, stamp, store);
            }
            meta.runs.retain(|run| !chosen.contains(&run.generation));
            meta.merging = 0;
            meta.changes += 1;
            meta.list(merged);
            Some(())
        })?;
        Ok(true)
    }
}

/// Writes the runs as one.
fn merge_runs<S: Store>(
    view: &View<'_, S>,
    runs: &[RunRef],
    generation: u64,
    allocator: &mut Allocator<'_, S>,
) -> Result<Option<RunRef>, Stop> {
    let layout = view.layout();
    let roots = runs.iter().map(|run| view.roots(run)).collect::<Result<Vec<_>, _>>()?;
    let (mut trees, mut pages, mut entries, mut nulls) = (Vec::new(), 0, 0, 0);
    for band in 0..=layout.null_band() {
        let mut tree = TreeWriter::new(layout, generation, band);
        let cursors = runs.iter().zip(&roots).map(|(run, roots)| Cursor::new(*run, band, roots[band]));
        merge_band(view, cursors.collect(), &mut tree, allocator)?;
        trees.push(tree.finish(allocator));
        pages += tree.pages;
        // After a crash during vacuum some bands may have more entries than others.
        if band == layout.null_band() { nulls = tree.entries } else { entries = tree.entries.max(entries) }
    }
    let run = (entries + nulls > 0).then(|| write_roots(allocator, generation, &trees, (pages, entries, nulls)));
    Ok(run)
}

fn merge_band<S: Store>(
    view: &View<'_, S>,
    mut cursors: Vec<Cursor>,
    tree: &mut TreeWriter,
    allocator: &mut Allocator<'_, S>,
) -> Result<(), Stop> {
    let mut heads = BinaryHeap::new();
    for (at, cursor) in cursors.iter_mut().enumerate() {
        heads.extend(cursor.head(view, allocator)?.map(|key| Reverse((key, at))));
    }
    while let Some(Reverse((_, at))) = heads.pop() {
        // As long as this one's entries come before those of all others.
        let until = heads.peek().map_or(u64::MAX, |Reverse((key, _))| *key);
        let cursor = &mut cursors[at];
        while let Some(key) = cursor.head(view, allocator)? {
            if key > until {
                heads.push(Reverse((key, at)));
                break;
            }
            cursor.leaf.with(cursor.at, |words, half, tid| tree.push(allocator, words, half, tid));
            cursor.at += 1;
        }
    }
    Ok(())
}

/// The entries of a band of a run, in order.
struct Cursor {
    run: RunRef,
    band: usize,
    leaves: Leaves,
    leaf: Leaf,
    at: usize,
}

/// A copy of a leaf.
#[derive(Default)]
struct Leaf {
    stride: usize,
    words: Vec<u64>,
    halves: Vec<u32>,
    tids: Vec<StoredTid>,
}

impl Leaf {
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
        Cursor { run, band, leaves: Leaves::of(root), leaf: Leaf::default(), at: 0 }
    }

    /// The key of the next entry; `None` at the end.
    fn head<S: Store>(&mut self, view: &View<'_, S>, allocator: &Allocator<'_, S>) -> Result<Option<u64>, Stop> {
        while self.at == self.leaf.tids.len() {
            let Some(block) = self.leaves.next(view, &self.run, self.band)? else { return Ok(None) };
            let leaf = &mut self.leaf;
            view.leaf(&self.run, self.band, block, |entries| {
                leaf.copy(entries);
                Ok(())
            })?;
            self.at = 0;
            allocator.interrupt();
        }
        Ok(Some(self.leaf.words.get(self.at * self.leaf.stride).copied().unwrap_or(0)))
    }
}
