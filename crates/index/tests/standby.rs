//! A standby, which applies the primary's changes at any time, and keeps no page for a scan: a search finds pages that
//! have been reused, and still finds every row that it must.
#![allow(clippy::unwrap_used)]

mod memory;

use lumina_index::{HammingScan, Index, Layout, OrderBy, Query, Store, Tails};
use memory::rows::{Expected, Random, Table, distance, hash, row, value};
use memory::script::Script;
use memory::{Change, Memory, Operation};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// The state of replay.
struct Follow {
    log: Arc<Vec<Change>>,
    /// Changes applied.
    done: usize,
    pace: Pace,
    random: Random,
    /// Pages read since the last reset.
    read: usize,
    /// How often block 0 was among them.
    lists_read: usize,
    /// Changes of block 0 during the search.
    changes: usize,
}

/// How many changes are applied between two operations of a search.
#[derive(Debug, Clone, Copy)]
enum Pace {
    Still,
    /// One change, once in this many operations.
    Slow(u64),
    /// Up to this many changes.
    Fast(u64),
    /// Very many, now and then.
    Bursts,
    /// All up to the next change of the lists, now and then.
    Lists,
}

impl Follow {
    fn go_on(&mut self, store: &Memory) {
        let mut left = match self.pace {
            Pace::Still => 0,
            Pace::Slow(every) => usize::from(self.random.once_in(every)),
            Pace::Fast(most) => self.random.below(most + 1) as usize,
            Pace::Bursts => {
                if self.random.once_in(20) {
                    self.random.below(400) as usize
                } else {
                    0
                }
            }
            Pace::Lists => {
                if self.random.once_in(4) {
                    usize::MAX
                } else {
                    0
                }
            }
        };
        while left > 0 && self.done < self.log.len() {
            let change = &self.log[self.done];
            store.replay(change);
            self.done += 1;
            left -= 1;
            if change.pages[0].0 == 0 {
                self.changes += 1;
                if matches!(self.pace, Pace::Lists) {
                    return;
                }
            }
        }
    }
}

struct Standby<'s> {
    store: Memory,
    follow: Arc<Mutex<Follow>>,
    script: &'s Script<'s>,
    layout: Layout,
}

impl<'s> Standby<'s> {
    /// A standby that has applied `done` changes.
    fn new(script: &'s Script<'s>, log: &Arc<Vec<Change>>, done: usize, pace: Pace, seed: u64) -> Self {
        let layout = *script.index.layout();
        let follow =
            Follow { log: Arc::clone(log), done, pace, random: Random(seed), read: 0, lists_read: 0, changes: 0 };
        let follow = Arc::new(Mutex::new(follow));
        let mut store = Memory::default();
        let follows = Arc::clone(&follow);
        store.set_hook(Some(Box::new(move |store, operation| {
            let mut follow = follows.lock().unwrap();
            follow.read += usize::from(matches!(operation, Operation::Read(_)));
            follow.lists_read += usize::from(operation == Operation::Read(0));
            assert!(matches!(operation, Operation::Read(_) | Operation::Interrupt), "{operation:?} on a standby");
            follow.go_on(store);
        })));
        log[..done].iter().for_each(|change| store.replay(change));
        Standby { store, follow, script, layout }
    }

    fn done(&self) -> usize {
        self.follow.lock().unwrap().done
    }

    /// The required rows that were found, and the required rows; checks that every other hit existed at some moment.
    fn compare(&self, begin: usize, mut found: Vec<u64>) -> (Vec<u64>, Table) {
        let (must, may) = self.script.expected(begin, self.done());
        let unknown = found.iter().find(|tid| !must.contains_key(tid) && !may.contains_key(tid));
        assert_eq!(unknown, None, "found what was not there");
        found.retain(|tid| must.contains_key(tid));
        (found, must)
    }

    /// Returns whether the search certainly restarted.
    fn search(&self, random: &mut Random) -> bool {
        let index = Index::with_layout(&self.store, self.layout);
        let bytes = self.layout.bits() / 8;
        let query = hash(bytes, random.next());
        let center = self.layout.pack(&query).unwrap();
        let radius = random.below(bytes as u64 * 3) as u32;
        let (memory, kind) = (if random.once_in(2) { 0 } else { 1 << 20 }, random.below(6));
        let ball = (kind < 3).then_some((center, radius));
        let order = if kind == 5 { Some(OrderBy::Null) } else { (kind >= 2).then_some(OrderBy::DistanceFrom(center)) };
        let mut scan = HammingScan::new(Query { ball, order }, memory);
        let begin = self.done();
        {
            let mut follow = self.follow.lock().unwrap();
            (follow.read, follow.lists_read, follow.changes) = (0, 0, 0);
        }
        let mut found = Vec::new();
        if kind == 0 {
            scan.each(&index, &mut |tids| found.extend_from_slice(tids)).unwrap();
            found.sort_unstable();
            found.dedup();
        } else {
            found.extend(std::iter::from_fn(|| scan.next(&index).unwrap()));
        }
        let sweeps = if memory == 0 { found.len() / 256 + 4 } else { 4 };
        let (found, must) = self.compare(begin, found);
        let expected = Expected::only(&must);
        match kind {
            0..3 => {
                expected.found_in_range(&self.layout, &query, radius, &found);
                let near = |tid: &u64| distance(must[tid].as_ref().unwrap(), &query);
                assert!(kind != 2 || found.is_sorted_by_key(near), "nearest in a ball");
            }
            5 => {
                let found: BTreeSet<u64> = found.into_iter().collect();
                assert!(must.keys().eq(&found), "every row");
            }
            _ => expected.found_nearest(&query, &found, u32::MAX),
        }
        // It reads block 0 no more often than that has changed.
        let follow = self.follow.lock().unwrap();
        let most = (follow.changes + sweeps) * (self.store.blocks() as usize * 2 + 4);
        assert!(follow.read <= most, "{} pages read, {} changes", follow.read, follow.changes);
        (kind == 0 || kind < 3 && memory > 0) && follow.lists_read > 1
    }

    fn check(&self) {
        let index = Index::with_layout(&self.store, self.layout);
        let begin = self.done();
        let mut seen = vec![BTreeSet::new(); self.layout.bands() + 1];
        let shown = index.check(&mut |entry| {
            let bands = entry.band.map_or(0..self.layout.bands(), |band| band..band + 1);
            bands.for_each(|band| {
                seen[band].insert(entry.tid);
            });
        });
        shown.unwrap();
        index.stats().unwrap();
        for (band, seen) in seen.into_iter().enumerate() {
            let (seen, must) = self.compare(begin, seen.into_iter().collect());
            let is_null = band == self.layout.null_band();
            let wanted = must.iter().filter(|(_, value)| value.is_none() == is_null).map(|(tid, _)| *tid);
            assert_eq!(seen, wanted.collect::<Vec<_>>(), "band {band}");
        }
    }

    /// Promotes the standby.
    fn promote(mut self, random: &mut Random) {
        self.store.set_hook(None);
        let (mut left, _) = self.script.expected(self.done(), self.done());
        let index = Index::open(&self.store).unwrap();
        let mut tails = Tails::default();
        for tid in 0..50 {
            let value = value(self.layout.bits() / 8, random.next());
            index.insert(&mut tails, row(&self.layout, &value).as_ref(), tid).unwrap();
            left.insert(tid, value);
        }
        index.vacuum(&mut |tid| !left.contains_key(&tid)).unwrap();
        index.compact().unwrap();
        assert_eq!(index.clean_up().unwrap().entries, left.len() as u64);
        let expected = Expected::only(&left);
        expected.check(&index);
        expected.space(&index);
        expected.searches(&index, &hash(self.layout.bits() / 8, random.next()), &[9], 0);
    }
}

/// Returns how many searches restarted.
fn follow(layout: Layout, seed: u64, steps: usize, most: u64) -> usize {
    let store = Memory::logged();
    let mut script = Script::new(&store, layout, seed);
    (0..steps).for_each(|_| script.step(most));
    let log = Arc::new(store.log());
    let paces = [
        Pace::Slow(1),
        Pace::Slow(5),
        Pace::Fast(4),
        Pace::Fast(40),
        Pace::Bursts,
        Pace::Bursts,
        Pace::Lists,
        Pace::Still,
    ];
    let mut random = Random(seed);
    let mut again = 0;
    for pace in paces.into_iter().cycle().take(paces.len() * 6) {
        let begin = 1 + random.below(log.len() as u64 - 1) as usize;
        let end = (begin + 500).min(log.len());
        let standby = Standby::new(&script, &log, begin, pace, random.next());
        while standby.done() < end {
            if matches!(pace, Pace::Still) {
                // Changes are applied only between searches.
                let mut follow = standby.follow.lock().unwrap();
                follow.pace = Pace::Fast(100);
                follow.go_on(&standby.store);
                follow.pace = Pace::Still;
            }
            if random.once_in(8) { standby.check() } else { again += usize::from(standby.search(&mut random)) }
        }
        if random.once_in(3) {
            standby.promote(&mut random);
        }
    }
    again
}

#[test]
fn searches_on_a_standby() {
    let mut again = [0; 3];
    for seed in 0..5 {
        again[0] += follow(Layout::new(1024, Some(2)).unwrap(), seed, 20, 200);
        again[1] += follow(Layout::new(64, None).unwrap(), seed, 20, 300);
        again[2] += follow(Layout::new(192, Some(3)).unwrap(), seed, 20, 300);
    }
    assert!(again.iter().all(|again| *again > 3), "searches start again: {again:?}");
}
