//! Full lists: of runs during a merge elsewhere, of staging pages during a flush elsewhere.
#![allow(clippy::unwrap_used)]

mod memory;

use lumina_index::meta::{MAX_RUNS, MAX_STAGING_PAGES, Meta, STAGING_PAGES};
use lumina_index::{
    CheckedEntry, Index, IndexBuilder, Layout, MaintenanceLock, MemorySpool, PackedHash, Page, Store, Tails,
};
use memory::rows::{Expected, Random, Table, hash, row, uniform, value};
use memory::{Memory, Operation};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// An index, and the rows that were inserted into it.
struct Inserter<'s> {
    index: Index<'s, Memory>,
    tails: Tails,
    table: Table,
    random: Random,
}

impl<'s> Inserter<'s> {
    fn new(store: &'s Memory, layout: Layout) -> Self {
        let index = Index::create(store, layout);
        Inserter { index, tails: Tails::default(), table: Table::new(), random: Random(5) }
    }

    fn insert(&mut self) {
        let (tid, value) = (self.table.len() as u64, value(self.index.layout().bits() / 8, self.random.next()));
        self.table.insert(tid, value.clone());
        self.index.insert(&mut self.tails, row(self.index.layout(), &value).as_ref(), tid).unwrap();
    }

    fn verify(&mut self) {
        let expected = Expected::only(&self.table);
        expected.check(&self.index);
        expected.space(&self.index);
        let query = hash(self.index.layout().bits() / 8, self.random.next());
        expected.searches(&self.index, &query, &[0, 4, 40], 1 << 20);
    }
}

fn stuck() -> Memory {
    let mut store = Memory::default();
    store.set_hook(Some(Box::new(|_, operation| {
        if operation == Operation::Wait {
            resume_unwind(Box::new("waits"));
        }
    })));
    store
}

/// Runs another session on its own thread, because locks belong to threads; does nothing if one is running.
fn beside(is_busy: &AtomicBool, session: impl FnOnce() + Send) {
    if !is_busy.swap(true, Ordering::Relaxed) {
        std::thread::scope(|scope| scope.spawn(session).join()).unwrap();
        is_busy.store(false, Ordering::Relaxed);
    }
}

fn waits(work: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_err()
}

#[test]
fn the_list_of_runs_is_full() {
    let store = stuck();
    let mut inserter = Inserter::new(&store, Layout::new(64, None).unwrap());
    let meta = || Meta::load(&store).unwrap();
    // Another session merges: flushes continue until there is no room for another run, then wait.
    store.set_locked(MaintenanceLock::Merge, true);
    let mut flushes = 0;
    while !waits(|| {
        // One of the last runs is larger than the others.
        (0..if flushes == MAX_RUNS - 8 { 900 } else { 1 }).for_each(|_| inserter.insert());
        inserter.index.flush(true).unwrap();
    }) {
        flushes += 1;
    }
    let largest = meta().runs[0];
    assert!(largest.entries > 800);
    assert!(meta().runs.len() == flushes && flushes >= MAX_RUNS - 2, "{flushes}");
    inserter.verify();
    store.set_locked(MaintenanceLock::Merge, false);
    for round in 0..3 * MAX_RUNS {
        inserter.insert();
        inserter.index.flush(true).unwrap();
        assert!(meta().runs.len() < MAX_RUNS, "round {round}");
    }
    inserter.verify();
    assert_eq!(meta().runs[0], largest, "the smallest are merged");
    assert!(meta().runs.len() > 8);
    assert!(inserter.index.stats().unwrap().merge_debt > 0);
    let mut before = meta().runs.len();
    while inserter.index.merge(u64::MAX, true).unwrap() {
        assert!(meta().runs.len() + 15 >= before, "a merge of too many leaves no room for those that come during it");
        before = meta().runs.len();
    }
    assert!(meta().runs.len() < 8 && inserter.index.stats().unwrap().merge_debt == 0);
    inserter.verify();
}

/// A session that waited for another's merge finds room, and merges nothing itself.
#[test]
fn room_is_made_while_a_flush_waits_for_it() {
    let (mut store, made) = (Memory::default(), Arc::new(Mutex::new(Vec::new())));
    let make = Arc::clone(&made);
    store.set_hook(Some(Box::new(move |store, operation| {
        if operation == Operation::Wait {
            store.set_locked(MaintenanceLock::Merge, false);
            while Index::open(store).unwrap().merge(u64::MAX, true).unwrap() {}
            *make.lock().unwrap() = Meta::load(store).unwrap().runs;
        }
    })));
    let mut inserter = Inserter::new(&store, Layout::new(64, None).unwrap());
    let runs = || Meta::load(&store).unwrap().runs;
    while runs().len() + 1 < MAX_RUNS {
        inserter.insert();
        inserter.index.flush(true).unwrap();
    }
    store.set_locked(MaintenanceLock::Merge, true);
    inserter.insert();
    inserter.index.flush(true).unwrap();
    let (made, runs) = (made.lock().unwrap().clone(), runs());
    let (flushed, merged) = runs.split_last().unwrap();
    assert_eq!((merged, flushed.entries + flushed.nulls), (&made[..], 1));
    assert_eq!(merged.iter().map(|run| run.entries + run.nulls).sum::<u64>(), MAX_RUNS as u64 - 1);
    inserter.verify();
}

#[test]
fn a_full_batch_while_another_flushes() {
    let store = stuck();
    let mut inserter = Inserter::new(&store, Layout::new(1024, Some(2)).unwrap());
    let staging = || Meta::load(&store).unwrap().staging.hashes.len();
    store.set_locked(MaintenanceLock::Flush, true);
    // Beyond a full batch, inserts do not wait until the batch has no more room.
    while staging() < MAX_STAGING_PAGES {
        inserter.insert();
    }
    assert!(waits(|| (0..1000).for_each(|_| inserter.insert())));
    store.set_locked(MaintenanceLock::Flush, false);
    assert_eq!(staging(), MAX_STAGING_PAGES);
    inserter.table.pop_last();
    inserter.verify();
    // Another row, by the session that waited.
    while staging() == MAX_STAGING_PAGES {
        inserter.insert();
    }
    assert!(staging() < STAGING_PAGES, "it has become a run");
    inserter.verify();
}

/// Others insert all the time while runs of thousands of pages are merged: the list does not fill up, and nobody waits.
#[test]
fn a_long_merge_merges_others_on_its_way() {
    merge_amid_inserts(false);
}

/// Both merges are interrupted half-way: nothing of either is left.
#[test]
fn a_long_merge_is_cut_off_on_its_way() {
    merge_amid_inserts(true);
}

fn merge_amid_inserts(is_cut_off: bool) {
    const AT_FIRST: usize = 100_000;
    const BATCH: usize = 3800;
    let layout = Layout::new(1024, Some(4)).unwrap();
    let mut store = Memory::default();
    let mut builder = IndexBuilder::new(&store, layout, 1 << 26, MemorySpool::default()).unwrap();
    let mut random = Random(12);
    let mut fresh = move || layout.pack(&uniform(128, &mut random)).unwrap();
    let first: Vec<PackedHash> = (0..AT_FIRST).map(|_| fresh()).collect();
    first.iter().enumerate().for_each(|(tid, row)| builder.add(Some(row), tid as u64));
    builder.finish().unwrap();
    let index = Index::with_layout(&store, layout);
    index.insert(&mut Tails::default(), None, u64::from(u32::MAX)).unwrap();
    // The rows, and the largest number of listed runs.
    let state = Arc::new(Mutex::new((first, 0)));
    let (theirs, is_busy) = (Arc::clone(&state), AtomicBool::new(false));
    let (insert, written) = (Mutex::new(fresh), AtomicU64::new(0));
    store.set_hook(Some(Box::new(move |store, operation| {
        assert_ne!(operation, Operation::Wait, "somebody waits");
        let is_nested = || operation == Operation::Change && Meta::read(&store.page(0)).unwrap().merging_nested > 0;
        if is_cut_off && is_nested() && written.fetch_add(1, Ordering::Relaxed) == 100 {
            resume_unwind(Box::new("cut off"));
        }
        if operation != Operation::Interrupt {
            return;
        }
        let session = || {
            let (rows, most) = &mut *theirs.lock().unwrap();
            let mut tails = Tails::default();
            // More than a list has room for.
            let left = (AT_FIRST + (MAX_RUNS + 4) * BATCH).saturating_sub(rows.len());
            for _ in 0..left.min(100) {
                rows.push(insert.lock().unwrap()());
                let index = Index::with_layout(store, layout);
                index.insert(&mut tails, rows.last(), rows.len() as u64 - 1).unwrap();
            }
            *most = Meta::load(store).unwrap().runs.len().max(*most);
        };
        beside(&is_busy, session);
    })));
    let index = Index::with_layout(&store, layout);
    let ended = catch_unwind(AssertUnwindSafe(|| index.compact().unwrap()));
    store.set_hook(None);
    let (rows, most) = &*state.lock().unwrap();
    let writing = |store: &Memory| {
        let meta = Meta::load(store).unwrap();
        [meta.merging, meta.merging_nested].map(|generation| generation > 0)
    };
    assert_eq!((ended.is_err(), writing(&store)), (is_cut_off, [is_cut_off; 2]));
    if is_cut_off {
        let cleaned = Index::with_layout(&store, layout).clean_up().unwrap();
        let meta = Meta::load(&store).unwrap();
        let used = meta.runs.iter().map(|run| run.pages).sum::<u32>() + meta.staging.pages().count() as u32;
        assert_eq!((writing(&store), cleaned.free), ([false; 2], store.blocks() - 1 - used));
    } else {
        let batches = (rows.len() - AT_FIRST) / BATCH;
        assert!(batches > MAX_RUNS && *most < MAX_RUNS / 3, "{batches} batches, {most} runs");
    }
    let (mut seen, mut nulls) = (vec![0; rows.len()], 0);
    let mut look = |entry: CheckedEntry| {
        if entry.band == Some(layout.null_band()) {
            nulls += 1;
            return;
        }
        let tid = entry.tid as usize;
        assert_eq!(entry.fingerprint, layout.fingerprint(&rows[tid], entry.band.unwrap_or(0)));
        seen[tid] += if entry.band.is_none() { layout.bands() } else { 1 };
    };
    Index::with_layout(&store, layout).check(&mut look).unwrap();
    assert!(nulls == 1 && seen.iter().all(|seen| *seen == layout.bands()));
}

/// The list is nearly full of runs that are too large for an insert to merge, and more arrive during a merge: the list
/// keeps room.
#[test]
fn a_long_merge_keeps_room_in_a_list_of_large_runs() {
    let layout = Layout::new(1024, Some(64)).unwrap();
    let mut store = Memory::default();
    let (random, table) = (Mutex::new(Random(13)), Arc::new(Mutex::new(Table::new())));
    let rows = Arc::clone(&table);
    // A run that block 0 declares large.
    let add_run = move |store: &Memory, count: usize| {
        let (index, mut tails, mut rows) = (Index::with_layout(store, layout), Tails::default(), rows.lock().unwrap());
        for _ in 0..count {
            let (tid, value) = (rows.len() as u64, value(128, random.lock().unwrap().next()));
            index.insert(&mut tails, row(&layout, &value).as_ref(), tid).unwrap();
            rows.insert(tid, value);
        }
        index.flush(true).unwrap();
        let enlarge = |pages: &mut [&mut Page]| {
            let mut meta = Meta::read(pages[0]).unwrap();
            let youngest = meta.runs.iter_mut().max_by_key(|run| run.generation)?;
            youngest.pages = 9000;
            meta.write(pages[0]);
            Some(())
        };
        store.change(&[0], enlarge).unwrap();
        Meta::load(store).unwrap().runs.len()
    };
    Index::create(&store, layout);
    const AT_FIRST: usize = 58;
    (0..AT_FIRST).for_each(|_| _ = add_run(&store, 100));
    let (interrupts, most) = (AtomicU64::new(0), Arc::new(Mutex::new((0, 0))));
    let listed = Arc::clone(&most);
    let is_busy = AtomicBool::new(false);
    store.set_hook(Some(Box::new(move |store, operation| {
        assert_ne!(operation, Operation::Wait, "somebody waits");
        let is_due = operation == Operation::Interrupt && !is_busy.load(Ordering::Relaxed);
        if !is_due || !interrupts.fetch_add(1, Ordering::Relaxed).is_multiple_of(200) {
            return;
        }
        beside(&is_busy, || {
            let runs = add_run(store, 1);
            let (most, added) = &mut *listed.lock().unwrap();
            (*most, *added) = (runs.max(*most), *added + 1);
        });
    })));
    let index = Index::with_layout(&store, layout);
    assert!(index.merge(u64::MAX, true).unwrap());
    let (most, added) = *most.lock().unwrap();
    let left = Meta::load(&store).unwrap().runs.len();
    assert!(AT_FIRST + added > MAX_RUNS && left <= MAX_RUNS / 2, "{added} came, {most} were listed, {left} are left");
    store.set_hook(None);
    let table = table.lock().unwrap();
    let (expected, index) = (Expected::only(&table), Index::with_layout(&store, layout));
    expected.check(&index);
    expected.searches(&index, &hash(128, 1), &[0, 4, 40], 1 << 20);
}

#[test]
fn inserts_leave_little_to_be_merged() {
    let store = Memory::default();
    let mut inserter = Inserter::new(&store, Layout::new(1024, Some(1)).unwrap());
    for _ in 0..40_000 {
        inserter.insert();
    }
    let stats = inserter.index.stats().unwrap();
    assert!(stats.runs.len() < 8 && stats.staging_pages < 2 * STAGING_PAGES && stats.merge_debt == 0, "{stats:?}");
    inserter.verify();
}

/// Four runs of a tier become one of the next: after n batches the number of runs is the digit sum of n in base four.
#[test]
fn each_batch_is_merged_once_a_tier() {
    let (store, mut tails, mut random) = (Memory::default(), Tails::default(), Random(15));
    let index = Index::create(&store, Layout::new(1024, Some(1)).unwrap());
    let (mut batches, mut entries) = (0usize, 0);
    while batches < 20 {
        let row = index.layout().pack(&uniform(128, &mut random)).unwrap();
        index.insert(&mut tails, Some(&row), random.below(1 << 40)).unwrap();
        let meta = Meta::load(&store).unwrap();
        if meta.entries() > entries {
            (batches, entries) = (batches + 1, meta.entries());
            assert_eq!(meta.runs.len(), batches % 4 + batches / 4 % 4 + batches / 16, "after {batches} batches");
        }
    }
}
