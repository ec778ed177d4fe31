//! Sessions that insert, delete, search, vacuum, flush and merge at once, on threads that take turns at every
//! operation.
//!
//! Every search is compared with the rows that were committed when it began: each of them is found once. Rows die, and
//! their TIDs are reused as in a heap, once vacuum has removed what no search can see. On the primary, no search ever
//! restarts.
#![allow(clippy::unwrap_used)]

mod memory;

use lumina_index::meta::Meta;
use lumina_index::{HammingScan, Index, Layout, OrderBy, Query, Store, Tails};
use memory::rows::{Expected, Random, Table, distance, hash, row, value};
use memory::turns::Turns;
use memory::{Memory, Operation};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::scope;

thread_local! {
    /// How often this thread has read block 0.
    static LISTS_READ: Cell<usize> = const { Cell::new(0) };
}

/// The table and its running searches.
#[derive(Default)]
struct Heap {
    /// Committed rows.
    rows: Table,
    /// TIDs that the index may have an entry of.
    present: BTreeSet<u64>,
    /// When each TID was last assigned.
    taken: BTreeMap<u64, u64>,
    /// Deleted, or never committed; not vacuumed.
    dead: BTreeSet<u64>,
    /// Vacuumed, ready for reuse.
    free: Vec<u64>,
    snapshots: BTreeMap<u64, Arc<Table>>,
    clock: u64,
    next: u64,
}

struct Database {
    store: Memory,
    layout: Layout,
    heap: Mutex<Heap>,
}

/// A running search, and what was committed when it began.
struct Snapshot {
    id: u64,
    begun: u64,
    rows: Arc<Table>,
    present: BTreeSet<u64>,
}

impl Database {
    fn index(&self) -> Index<'_, Memory> {
        Index::with_layout(&self.store, self.layout)
    }

    fn heap<R>(&self, look: impl FnOnce(&mut Heap) -> R) -> R {
        look(&mut self.heap.lock().unwrap())
    }

    fn begin(&self) -> Snapshot {
        self.heap(|heap| {
            heap.clock += 1;
            let (id, rows) = (heap.clock, Arc::new(heap.rows.clone()));
            heap.snapshots.insert(id, Arc::clone(&rows));
            Snapshot { id, begun: self.store.begin_scan(), rows, present: heap.present.clone() }
        })
    }

    /// Checks the rows of the snapshot that were found. Others may be found too, if they existed.
    fn end(&self, snapshot: &Snapshot, found: &mut Vec<u64>) {
        self.store.end_scan(snapshot.begun);
        self.heap(|heap| {
            heap.snapshots.remove(&snapshot.id);
            let was_added = |tid: u64| heap.taken.get(&tid).is_some_and(|since| *since > snapshot.id);
            let unknown = found.iter().find(|tid| !snapshot.present.contains(tid) && !was_added(**tid));
            assert!(unknown.is_none(), "{unknown:?} was removed before");
        });
        found.retain(|tid| snapshot.rows.contains_key(tid));
    }

    fn insert(&self, tails: &mut Tails, random: &mut Random) {
        let value = value(self.layout.bits() / 8, random.next());
        let tid = self.heap(|heap| {
            heap.clock += 1;
            heap.next += 1;
            let tid = heap.free.pop().unwrap_or(heap.next << 8);
            heap.present.insert(tid);
            heap.taken.insert(tid, heap.clock);
            tid
        });
        self.index().insert(tails, row(&self.layout, &value).as_ref(), tid).unwrap();
        let is_committed = !random.once_in(20);
        self.heap(|heap| {
            if is_committed {
                heap.rows.insert(tid, value);
            } else {
                heap.dead.insert(tid);
            }
        });
    }

    fn delete(&self, share: u64, random: &mut Random) {
        self.heap(|heap| {
            let gone: Vec<u64> = heap.rows.keys().copied().filter(|_| random.once_in(share)).collect();
            heap.rows.retain(|tid, _| !gone.contains(tid));
            heap.dead.extend(gone);
        });
    }

    fn vacuum(&self) {
        let gone = self.heap(|heap| {
            let is_seen = |tid: &u64| heap.snapshots.values().any(|rows| rows.contains_key(tid));
            heap.dead.iter().copied().filter(|tid| !is_seen(tid)).collect::<BTreeSet<u64>>()
        });
        self.index().vacuum(&mut |tid| gone.contains(&tid)).unwrap();
        self.heap(|heap| {
            heap.dead.retain(|tid| !gone.contains(tid));
            heap.present.retain(|tid| !gone.contains(tid));
            heap.free.extend(gone);
        });
    }

    /// Like CREATE INDEX CONCURRENTLY: a vacuum that removes nothing sees every row.
    fn enumerate(&self) {
        let snapshot = self.begin();
        let mut seen = BTreeSet::new();
        let mut see = |tid| {
            seen.insert(tid);
            false
        };
        self.index().vacuum(&mut see).unwrap();
        self.end(&snapshot, &mut seen.iter().copied().collect());
        let missing = snapshot.rows.keys().find(|tid| !seen.contains(tid));
        assert_eq!(missing, None, "not shown to vacuum");
    }

    fn search(&self, random: &mut Random) {
        let index = self.index();
        let bytes = self.layout.bits() / 8;
        let query = hash(bytes, random.next());
        let center = self.layout.pack(&query).unwrap();
        let radius = random.below(bytes as u64 * 3) as u32;
        let (memory, kind) = (if random.once_in(2) { 0 } else { 1 << 20 }, random.below(6));
        let ball = (kind < 4).then_some((center, radius));
        let order = (kind >= 3).then_some(OrderBy::DistanceFrom(center));
        let mut scan = HammingScan::new(Query { ball, order }, memory);
        let snapshot = self.begin();
        let read = LISTS_READ.get();
        let mut found = Vec::new();
        let limit = if kind == 5 { random.below(400) as usize } else { usize::MAX };
        if kind == 0 {
            scan.each(&index, &mut |tids| found.extend_from_slice(tids)).unwrap();
            found.sort_unstable();
            found.dedup();
        } else {
            while found.len() < limit
                && let Some(tid) = scan.next(&index).unwrap()
            {
                found.push(tid);
            }
        }
        let read = LISTS_READ.get() - read;
        self.end(&snapshot, &mut found);
        let expected = Expected::only(&snapshot.rows);
        match kind {
            0..3 => {
                expected.found_in_range(&self.layout, &query, radius, &found);
                assert!(read == 1 || memory == 0 && kind != 0, "started again: read the lists {read} times");
            }
            3 => {
                let near = |tid: &u64| distance(snapshot.rows[tid].as_ref().unwrap(), &query);
                assert!(found.is_sorted_by_key(near), "nearest in a ball");
                expected.found_in_range(&self.layout, &query, radius, &found);
            }
            4 => expected.found_nearest(&query, &found, u32::MAX),
            _ => {
                // Every row nearer than the last one was found.
                let last = found.last().and_then(|tid| snapshot.rows[tid].as_ref());
                let up_to = last.map_or(0, |last| distance(last, &query));
                if let Some(up_to) = up_to.checked_sub(1) {
                    expected.found_nearest(&query, &found, up_to);
                }
            }
        }
    }

    /// The check sees all rows while the lists do not change, and no error while they do.
    fn check(&self, is_settled: bool) {
        let index = self.index();
        let snapshot = self.begin();
        let mut seen = vec![BTreeSet::new(); self.layout.bands() + 1];
        let mut check = || {
            index.check(&mut |entry| {
                let bands = entry.band.map_or(0..self.layout.bands(), |band| band..band + 1);
                bands.for_each(|band| {
                    seen[band].insert(entry.tid);
                });
            })
        };
        if is_settled {
            index.with_maintenance_locked(&mut check).unwrap().unwrap()
        } else {
            check().unwrap()
        }
        self.end(&snapshot, &mut Vec::new());
        for (band, seen) in seen.iter().enumerate() {
            let is_null = band == self.layout.null_band();
            let missing = snapshot.rows.iter().find(|(tid, value)| value.is_none() == is_null && !seen.contains(tid));
            assert!(missing.is_none(), "band {band}: {missing:?}");
        }
        index.stats().unwrap();
    }

    fn maintain(&self, random: &mut Random) {
        let index = self.index();
        match random.below(8) {
            0..4 => drop(index.flush(random.once_in(2)).unwrap()),
            4 | 5 => drop(index.merge(u64::MAX, random.once_in(2)).unwrap()),
            6 => drop(index.clean_up().unwrap()),
            _ => index.compact().unwrap(),
        }
    }
}

/// The work of a session.
#[derive(Clone, Copy)]
enum Session {
    /// This many inserts, with deletes among them.
    Insert(usize),
    Search(usize),
    Vacuum(usize),
    Maintain(usize),
    Check(usize),
    /// Records hints that all blocks are free.
    Mislead(usize),
}

impl Database {
    fn session(&self, session: Session, random: &mut Random) {
        match session {
            Session::Insert(times) => {
                let mut tails = Tails::default();
                for _ in 0..times {
                    self.insert(&mut tails, random);
                    if random.once_in(100) {
                        self.delete(2 + random.below(9), random);
                    }
                }
            }
            Session::Search(times) => (0..times).for_each(|_| self.search(random)),
            Session::Vacuum(times) => {
                (0..times).for_each(|_| if random.once_in(4) { self.enumerate() } else { self.vacuum() });
            }
            Session::Maintain(times) => (0..times).for_each(|_| self.maintain(random)),
            Session::Check(times) => (0..times).for_each(|_| self.check(random.once_in(2))),
            Session::Mislead(times) => (0..times).for_each(|_| {
                // An operation at which others can take over.
                self.store.read(0, |_| ());
                self.store.record_free(&(1..self.store.blocks()).collect::<Vec<_>>());
            }),
        }
    }
}

/// Switches to another session once in `every` operations.
fn run(layout: Layout, sessions: &[Session], every: u64, seed: u64) {
    let turns = Turns::new(sessions.len(), seed, every);
    let (turn, mut store) = (turns.hook(), Memory::default());
    Index::create(&store, layout);
    store.set_hook(Some(Box::new(move |store, operation| {
        LISTS_READ.set(LISTS_READ.get() + usize::from(operation == Operation::Read(0)));
        turn(store, operation);
    })));
    let database = &Database { store, layout, heap: Mutex::default() };
    scope(|scope| {
        for (at, session) in sessions.iter().enumerate() {
            turns.spawn(scope, at, move || database.session(*session, &mut Random(seed << 8 | at as u64)));
        }
    });
    // At the end, the index holds what was committed.
    let index = database.index();
    database.vacuum();
    let heap = database.heap.lock().unwrap();
    assert_eq!(index.clean_up().unwrap().entries, heap.rows.len() as u64);
    let expected = Expected::only(&heap.rows);
    expected.check(&index);
    expected.space(&index);
    expected.searches(&index, &hash(layout.bits() / 8, seed), &[0, 5, 30], 0);
}

#[test]
fn few_wide_rows_and_much_maintenance() {
    use Session::{Check, Insert, Maintain, Search, Vacuum};
    let inserts = [Insert(300), Insert(300), Insert(300)];
    let others = [Search(60), Search(60), Vacuum(30), Maintain(30), Maintain(30), Check(10)];
    for seed in 0..40 {
        let layout = if seed % 2 == 0 { Layout::new(1024, Some(2)) } else { Layout::new(64, None) };
        run(layout.unwrap(), &[&inserts[..], &others].concat(), 1 + seed % 4, seed);
    }
}

/// Wrong hints at free blocks do no harm.
#[test]
fn hints_that_are_wrong() {
    use Session::{Check, Insert, Maintain, Mislead, Search, Vacuum};
    let inserts = [Insert(300), Insert(300), Insert(300)];
    let others = [Search(60), Search(60), Vacuum(30), Maintain(30), Maintain(30), Check(10), Mislead(1000)];
    for seed in 0..20 {
        run(Layout::new(1024, Some(2)).unwrap(), &[&inserts[..], &others].concat(), 1 + seed % 2, seed);
    }
}

/// Batches fill, and inserts flush and merge them.
#[test]
fn inserts_that_do_the_maintenance() {
    use Session::{Check, Insert, Search, Vacuum};
    let inserts = [Insert(1600); 6];
    let others = [Search(150), Search(150), Vacuum(20), Check(10)];
    for seed in 0..3 {
        run(Layout::new(1024, Some(1)).unwrap(), &[&inserts[..], &others].concat(), 2, seed);
    }
}

/// While a search reads page after page, more generations are replaced than block 0 remembers one by one.
#[test]
fn a_search_that_lasts() {
    let layout = Layout::new(1024, Some(2)).unwrap();
    let (mut store, mut random) = (Memory::default(), Random(1));
    let index = Index::create(&store, layout);
    let mut tails = Tails::default();
    let mut rows = Table::new();
    for tid in 0..1200 {
        let value = value(128, random.next());
        index.insert(&mut tails, row(&layout, &value).as_ref(), tid).unwrap();
        rows.insert(tid, value);
        if tid % 400 == 300 {
            index.flush(true).unwrap();
        }
    }
    let is_busy = AtomicBool::new(false);
    store.set_hook(Some(Box::new(move |store, operation| {
        let Operation::Read(block) = operation else { return };
        if is_busy.swap(true, Ordering::Relaxed) {
            return;
        }
        LISTS_READ.set(LISTS_READ.get() + usize::from(block == 0));
        let (index, mut tails) = (Index::open(store).unwrap(), Tails::default());
        for at in 0..12 {
            index.insert(&mut tails, None, u64::from(block) << 16 | at).unwrap();
            index.flush(true).unwrap();
        }
        while index.merge(u64::MAX, true).unwrap() {}
        index.clean_up().unwrap();
        is_busy.store(false, Ordering::Relaxed);
    })));
    let index = Index::open(&store).unwrap();
    let begun = store.begin_scan();
    let generation = Meta::load(&store).unwrap().next_generation;
    let read = LISTS_READ.get();
    let mut found = Vec::new();
    let search = Query { ball: Some((layout.pack(&[0; 128]).unwrap(), 1024)), order: None };
    HammingScan::new(search, 0).each(&index, &mut |tids| found.extend_from_slice(tids)).unwrap();
    assert_eq!(LISTS_READ.get() - read, 1, "started again");
    let passed = Meta::load(&store).unwrap().next_generation - generation;
    assert!(passed > 400, "{passed} generations are too few");
    found.sort_unstable();
    assert!(found.iter().eq(rows.iter().filter(|(_, value)| value.is_some()).map(|(tid, _)| tid)));
    store.end_scan(begun);
    store.set_hook(None);
    let index = Index::open(&store).unwrap();
    assert!(index.clean_up().unwrap().free * 2 > store.blocks(), "what was kept for the search is free");
}

/// Searches in many sweeps while everything moves.
#[test]
fn long_searches_beside_flushes_and_merges() {
    use Session::{Insert, Maintain, Search, Vacuum};
    let sessions = [Insert(1500), Search(80), Search(80), Search(80), Vacuum(60), Maintain(100), Maintain(100)];
    for seed in 0..6 {
        run(Layout::new(256, Some(3)).unwrap(), &sessions, 2, seed);
    }
}
