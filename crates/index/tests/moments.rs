//! A search begins at any one moment of a flush, a merge or a vacuum, reads block 0, and pauses until all that is over
//! and its pages would long have been reused: it still finds them unchanged.
#![allow(clippy::unwrap_used)]

mod memory;

use lumina_index::{HammingScan, Index, Layout, Query, Tails};
use memory::rows::{Random, hash};
use memory::{Memory, Operation};
use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::scope;

/// Rows that no search sees; those after them are never removed.
const DEAD: u64 = 130;
const ROWS: u64 = 600;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Writer,
    Searcher,
}

thread_local! {
    static ROLE: Cell<Option<Role>> = const { Cell::new(None) };
    /// Operations of this thread.
    static OPERATIONS: Cell<usize> = const { Cell::new(0) };
    /// How often this thread has read block 0.
    static LISTS_READ: Cell<usize> = const { Cell::new(0) };
}

/// Hands the turn from one thread to the other.
struct Gate {
    turn: Mutex<Role>,
    wake: Condvar,
}

impl Gate {
    fn pass(&self, to: Role) {
        *self.turn.lock().unwrap() = to;
        self.wake.notify_all();
    }

    fn wait(&self, role: Role) {
        drop(self.wake.wait_while(self.turn.lock().unwrap(), |turn| *turn != role).unwrap());
    }
}

/// Passes the turn on at the end, even after a panic.
struct PassAtLast<'g>(&'g Gate, Role);

impl Drop for PassAtLast<'_> {
    fn drop(&mut self) {
        self.0.pass(self.1);
    }
}

/// Some runs and a batch; the dead are all of one run.
fn sound(layout: Layout) -> Memory {
    let store = Memory::default();
    let index = Index::create(&store, layout);
    let (mut tails, mut random) = (Tails::default(), Random(1));
    for tid in 0..ROWS {
        let row = layout.pack(&hash(layout.bits() / 8, random.next())).unwrap();
        index.insert(&mut tails, Some(&row), tid).unwrap();
        if [DEAD - 1, 300, 400, 500].contains(&tid) {
            index.flush(true).unwrap();
        }
    }
    store
}

/// The search begins at the writer's `moment`th operation. Returns whether there was such an operation.
fn overtaken(sound: &Memory, layout: Layout, moment: usize, work: fn(&Index<'_, Memory>)) -> bool {
    let gate = Arc::new(Gate { turn: Mutex::new(Role::Writer), wake: Condvar::new() });
    let mut store = sound.fork();
    let passes = Arc::clone(&gate);
    store.set_hook(Some(Box::new(move |_, operation| {
        let Some(role) = ROLE.get() else { return };
        LISTS_READ.set(LISTS_READ.get() + usize::from(operation == Operation::Read(0)));
        let here = OPERATIONS.replace(OPERATIONS.get() + 1);
        match role {
            Role::Writer if here == moment => {
                passes.pass(Role::Searcher);
                passes.wait(Role::Writer);
            }
            Role::Searcher if here == 1 => {
                passes.pass(Role::Writer);
                passes.wait(Role::Searcher);
            }
            _ => {}
        }
    })));
    let index = Index::with_layout(&store, layout);
    scope(|scope| {
        let writer = scope.spawn(|| {
            ROLE.set(Some(Role::Writer));
            let _pass = PassAtLast(&gate, Role::Searcher);
            work(&index);
            let operations = OPERATIONS.get();
            // Pages of replaced generations are reused, if they can be.
            let mut tails = Tails::default();
            for round in 0..4 {
                (0..200).for_each(|tid| {
                    let row = layout.pack(&[round as u8; 128]).unwrap();
                    index.insert(&mut tails, Some(&row), 1000 + round * 1000 + tid).unwrap();
                });
                index.clean_up().unwrap();
                index.flush(true).unwrap();
            }
            operations > moment
        });
        let searcher = scope.spawn(|| {
            ROLE.set(Some(Role::Searcher));
            let _pass = PassAtLast(&gate, Role::Writer);
            gate.wait(Role::Searcher);
            let begun = store.begin_scan();
            let search = Query { ball: Some(([0; _], layout.bits() as u32)), order: None };
            let mut found = Vec::new();
            HammingScan::new(search, 0).each(&index, &mut |tids| found.extend_from_slice(tids)).unwrap();
            store.end_scan(begun);
            assert_eq!(LISTS_READ.get(), 1, "moment {moment}: started again");
            found.retain(|tid| (DEAD..ROWS).contains(tid));
            found.sort_unstable();
            assert!(found.into_iter().eq(DEAD..ROWS), "moment {moment}");
        });
        searcher.join().unwrap();
        writer.join().unwrap()
    })
}

fn at_every_moment(work: fn(&Index<'_, Memory>)) {
    let layout = Layout::new(1024, Some(1)).unwrap();
    let sound = sound(layout);
    let moments = (0..).take_while(|moment| overtaken(&sound, layout, *moment, work)).count();
    assert!(moments > 10, "{moments}");
}

#[test]
fn of_a_flush() {
    at_every_moment(|index| assert!(index.flush(true).unwrap()));
}

#[test]
fn of_a_merge() {
    at_every_moment(|index| index.compact().unwrap());
}

#[test]
fn of_a_vacuum() {
    at_every_moment(|index| assert_eq!(index.vacuum(&mut |tid| tid < DEAD).unwrap().removed, DEAD));
}

/// Another session merges, if possible, at the vacuum's `moment`th operation. Returns whether there was such an
/// operation, and whether there was a merge.
fn merged_amid_vacuum(sound: &Memory, layout: Layout, moment: usize) -> (bool, bool) {
    let gate = Arc::new(Gate { turn: Mutex::new(Role::Writer), wake: Condvar::new() });
    let mut store = sound.fork();
    let passes = Arc::clone(&gate);
    store.set_hook(Some(Box::new(move |_, _| {
        if ROLE.get() == Some(Role::Writer) && OPERATIONS.replace(OPERATIONS.get() + 1) == moment {
            passes.pass(Role::Searcher);
            passes.wait(Role::Writer);
        }
    })));
    let index = Index::with_layout(&store, layout);
    let outcome = scope(|scope| {
        let writer = scope.spawn(|| {
            ROLE.set(Some(Role::Writer));
            let _pass = PassAtLast(&gate, Role::Searcher);
            assert!(index.vacuum(&mut |tid| tid < DEAD).unwrap().removed >= DEAD, "moment {moment}");
            OPERATIONS.get() > moment
        });
        let other = scope.spawn(|| {
            let _pass = PassAtLast(&gate, Role::Writer);
            gate.wait(Role::Searcher);
            index.merge(u64::MAX, false).unwrap()
        });
        (writer.join().unwrap(), other.join().unwrap())
    });
    let mut found = Vec::new();
    let search = Query { ball: Some(([0; _], layout.bits() as u32)), order: None };
    HammingScan::new(search, 0).each(&index, &mut |tids| found.extend_from_slice(tids)).unwrap();
    found.sort_unstable();
    found.dedup();
    assert!(found.into_iter().eq(DEAD..ROWS), "moment {moment}");
    let mut copies = 0;
    index.check(&mut |entry| copies += u64::from(entry.tid < DEAD)).unwrap();
    assert_eq!(copies, 0, "moment {moment}: dead entries in some band");
    outcome
}

#[test]
fn of_a_vacuum_that_others_merge_amid() {
    // Runs of more leaves than one lock acquisition covers.
    let layout = Layout::new(1024, Some(32)).unwrap();
    let sound = sound(layout);
    let outcomes = (0..).map(|moment| merged_amid_vacuum(&sound, layout, moment));
    let merges: Vec<bool> = outcomes.take_while(|(was, _)| *was).map(|(_, merged)| merged).collect();
    let early = merges.iter().position(|merged| *merged);
    // Before, between and after parts of the runs.
    let changes = merges.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(early.is_some() && changes > 4, "{changes} of {}", merges.len());
}
