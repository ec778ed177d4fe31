//! Work that is interrupted anywhere: by cancelled statements, after which all sessions continue, and by crash after
//! crash. No rows and no space are lost.
#![allow(clippy::unwrap_used)]

mod memory;

use lumina_index::meta::{Meta, STAGING_PAGES};
use lumina_index::{Index, Layout, Store, Tails};
use memory::rows::{Expected, Random, Table, hash, row, value};
use memory::{Hook, Memory, Operation};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A statement.
#[derive(Debug, Clone, Copy)]
enum Act {
    Insert(u64),
    Vacuum,
    Flush,
    Merge,
    CleanUp,
    Compact,
}

/// The expected contents of the table.
#[derive(Clone, Default)]
struct Known {
    must: Table,
    /// Rows whose insert or removal was interrupted: they are dead, and the next vacuum removes the rest of them.
    may: Table,
    next: u64,
}

impl Known {
    /// Runs a statement. The expected contents stay right if it unwinds.
    fn act(&mut self, index: &Index<'_, Memory>, tails: &mut Tails, act: Act, random: &mut Random) {
        match act {
            Act::Insert(count) => {
                for _ in 0..count {
                    let value = value(index.layout().bits() / 8, random.next());
                    self.next += 1;
                    self.may.insert(self.next, value.clone());
                    index.insert(tails, row(index.layout(), &value).as_ref(), self.next).unwrap();
                    self.may.remove(&self.next);
                    self.must.insert(self.next, value);
                }
            }
            Act::Vacuum => {
                let dead: Vec<u64> = self.must.keys().copied().filter(|_| random.once_in(4)).collect();
                self.may.extend(dead.iter().map(|tid| (*tid, self.must[tid].clone())));
                self.must.retain(|tid, _| !dead.contains(tid));
                let done = index.vacuum(&mut |tid| self.may.contains_key(&tid)).unwrap();
                assert_eq!(done.kept, self.must.len() as u64);
                self.may.clear();
            }
            Act::Flush => drop(index.flush(true).unwrap()),
            Act::Merge => while index.merge(u64::MAX, true).unwrap() {},
            Act::CleanUp => drop(index.clean_up().unwrap()),
            Act::Compact => index.compact().unwrap(),
        }
    }

    fn verify(&self, index: &Index<'_, Memory>, random: &mut Random) {
        let bytes = index.layout().bits() / 8;
        let expected = Expected { must: &self.must, may: &self.may };
        expected.check(index);
        expected.range(index, &hash(bytes, random.next()), random.below(bytes as u64 * 3) as u32, 0);
        expected.nearest(index, &hash(bytes, random.next()), 0);
    }

    /// Vacuums all remains, and checks that their space is free.
    fn settle(&mut self, index: &Index<'_, Memory>, random: &mut Random) {
        index.vacuum(&mut |tid| self.may.contains_key(&tid)).unwrap();
        self.may.clear();
        assert_eq!(index.clean_up().unwrap().entries, self.must.len() as u64);
        Expected::only(&self.must).space(index);
        self.verify(index, random);
    }
}

/// Unwinds at the given operation, counting only those that `counts`.
fn after(operations: u64, counts: fn(Operation) -> bool) -> Hook {
    let done = AtomicUsize::new(0);
    Box::new(move |_, operation| {
        if counts(operation) && done.fetch_add(1, Ordering::Relaxed) as u64 == operations {
            resume_unwind(Box::new("cut off"));
        }
    })
}

fn cut_off(work: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_err()
}

/// Every statement is cancelled at every operation, or every n-th of them, and once not at all.
fn cancel_everywhere(layout: Layout, seed: u64, acts: &[(Act, usize)]) {
    let mut random = Random(seed);
    let store = Memory::default();
    let index = Index::create(&store, layout);
    let (mut known, mut tails) = (Known::default(), Tails::default());
    for (act, stride) in acts {
        let choice = random.next();
        for operations in (0..).step_by(*stride) {
            let mut fork = store.fork();
            fork.set_hook(Some(after(operations, |operation| operation != Operation::Wait)));
            let (mut known, mut tails, mut random) = (known.clone(), tails, Random(choice));
            let is_cut_off = cut_off(|| known.act(&Index::open(&fork).unwrap(), &mut tails, *act, &mut random));
            if !is_cut_off {
                break;
            }
            fork.set_hook(None);
            let index = Index::open(&fork).unwrap();
            known.verify(&index, &mut random);
            // The session of the statement continues, and so do others.
            let mut other = Tails::default();
            for _ in 0..3 {
                known.act(&index, &mut tails, Act::Insert(2), &mut random);
                known.act(&index, &mut other, Act::Insert(2), &mut random);
            }
            if operations % 2 == 0 {
                known.act(&index, &mut tails, Act::Flush, &mut random);
                known.act(&index, &mut tails, Act::Insert(2), &mut random);
            }
            known.settle(&index, &mut random);
        }
        known.act(&index, &mut tails, *act, &mut Random(choice));
        known.verify(&index, &mut random);
    }
    known.settle(&index, &mut random);
}

#[test]
fn cancelled_at_every_operation() {
    use Act::{CleanUp, Compact, Flush, Insert, Merge, Vacuum};
    let acts = [
        Insert(130),
        Flush,
        Insert(40),
        Flush,
        Insert(70),
        Vacuum,
        Flush,
        Insert(30),
        Flush,
        Merge,
        Insert(20),
        Flush,
        Vacuum,
        Insert(70),
        Compact,
        Vacuum,
        Vacuum,
        Vacuum,
        Vacuum,
        CleanUp,
    ];
    cancel_everywhere(Layout::new(1024, Some(2)).unwrap(), 1, &acts.map(|act| (act, 1)));
    let acts = [Insert(100), Flush, Insert(50), Vacuum, Compact, Insert(5), Flush, Insert(5), CleanUp];
    cancel_everywhere(Layout::new(64, None).unwrap(), 2, &acts.map(|act| (act, 1)));
}

/// The batch is full when an insert is cancelled: others flush it, and continue.
#[test]
fn cancelled_with_a_full_batch() {
    let layout = Layout::new(1024, Some(1)).unwrap();
    cancel_everywhere(layout, 3, &[(Act::Insert(4120), 10_000), (Act::Insert(80), 7)]);
}

/// Every insert is cancelled as soon as possible: batches become runs all the same.
#[test]
fn cancelled_at_the_first_moment() {
    let mut store = Memory::default();
    Index::create(&store, Layout::new(1024, Some(1)).unwrap());
    store.set_hook(Some(Box::new(|_, operation| {
        if operation == Operation::Interrupt {
            resume_unwind(Box::new("cut off"));
        }
    })));
    let (mut known, mut tails, mut random) = (Known::default(), Tails::default(), Random(4));
    let index = Index::open(&store).unwrap();
    for _ in 0..20_000 {
        cut_off(|| known.act(&index, &mut tails, Act::Insert(1), &mut random));
        let meta = Meta::load(&store).unwrap();
        assert!(meta.staging.hashes.len() <= STAGING_PAGES && meta.sealed.is_empty() && meta.runs.len() <= 8);
    }
    store.set_hook(None);
    known.settle(&Index::open(&store).unwrap(), &mut random);
}

/// Crash after crash, with as many deletes as inserts. Vacuum runs after each crash, or never.
fn crash_again_and_again(cycles: usize, cleans_up: bool, most: u32) {
    let mut random = Random(7);
    let mut store = Memory::default();
    Index::create(&store, Layout::new(1024, Some(2)).unwrap());
    let mut known = Known::default();
    let (mut cut, mut largest) = (0, 0);
    for cycle in 0..cycles {
        let changes = random.below(160);
        store.set_hook(Some(after(changes, |operation| operation == Operation::Change)));
        let index = Index::open(&store).unwrap();
        let mut tails = Tails::default();
        cut += usize::from(cut_off(|| {
            let wanted = 400u64.saturating_sub(known.must.len() as u64).min(100);
            known.act(&index, &mut tails, Act::Insert(wanted), &mut random);
            for act in [Act::Flush, Act::Vacuum, Act::Merge, Act::Insert(10), Act::Compact] {
                if random.once_in(2) {
                    known.act(&index, &mut tails, act, &mut random);
                }
            }
        }));
        store = Memory::recovered(store.pages(), store.clock());
        let index = Index::open(&store).unwrap();
        if cleans_up {
            known.settle(&index, &mut random);
        } else {
            known.act(&index, &mut Tails::default(), Act::Vacuum, &mut random);
            known.verify(&index, &mut random);
        }
        largest = largest.max(store.blocks());
        assert!(largest < most, "{largest} blocks in cycle {cycle}");
    }
    assert!(cut * 3 > cycles, "{cut} crashes");
}

#[test]
fn crashes_leak_no_space() {
    crash_again_and_again(1500, true, 60);
}

/// New pages reuse free blocks even if all hints are lost.
#[test]
fn crashes_leak_no_space_without_vacuum() {
    crash_again_and_again(1000, false, 100);
}
