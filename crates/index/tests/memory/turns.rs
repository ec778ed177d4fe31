//! Threads that run one at a time, and switch at operations on the store, in an order determined by a seed.

use super::rows::Random;
use super::{Hook, Operation};
use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

/// This many consecutive waits mean a deadlock.
const DEADLOCK: usize = 2000;
/// This many operations mean a livelock.
const LIVELOCK: u64 = 20_000_000;

struct State {
    random: Random,
    /// The threads that have not finished.
    alive: Vec<usize>,
    turn: usize,
    operations: u64,
    waits_in_a_row: usize,
    /// A thread has failed: all others end, too.
    has_failed: bool,
}

/// The scheduler of the threads.
pub struct Turns {
    state: Mutex<State>,
    wake: Vec<Condvar>,
    /// The average number of operations between switches.
    every: u64,
}

thread_local! {
    static ME: Cell<Option<usize>> = const { Cell::new(None) };
}

impl Turns {
    /// A scheduler for `threads` threads, which start once all have arrived.
    pub fn new(threads: usize, seed: u64, every: u64) -> Arc<Self> {
        let alive = (0..threads).collect();
        let random = Random(seed);
        let state = State { random, alive, turn: 0, operations: 0, waits_in_a_row: 0, has_failed: false };
        Arc::new(Turns { state: Mutex::new(state), wake: (0..threads).map(|_| Condvar::new()).collect(), every })
    }

    /// The hook for a store.
    pub fn hook(self: &Arc<Self>) -> Hook {
        let turns = Arc::clone(self);
        Box::new(move |_, operation| {
            if let Some(me) = ME.get() {
                turns.step(me, operation);
            }
        })
    }

    /// Operations so far, of all threads.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a scheduled thread.
    pub fn spawn<'scope, 'env>(
        self: &Arc<Self>,
        scope: &'scope Scope<'scope, 'env>,
        me: usize,
        work: impl FnOnce() + Send + 'scope,
    ) -> ScopedJoinHandle<'scope, ()> {
        let turns = Arc::clone(self);
        scope.spawn(move || {
            ME.set(Some(me));
            let _leave = Leave(&turns, me);
            turns.wait(me);
            work();
        })
    }

    fn wait(&self, me: usize) {
        let mut state = self.lock();
        while state.turn != me && !state.has_failed {
            state = self.wake[me].wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        assert!(!state.has_failed || std::thread::panicking(), "another thread failed");
    }

    fn step(&self, me: usize, operation: Operation) {
        {
            let mut state = self.lock();
            state.operations += 1;
            assert!(state.operations < LIVELOCK, "going round in circles");
            let must_wait = operation == Operation::Wait;
            state.waits_in_a_row = if must_wait { state.waits_in_a_row + 1 } else { 0 };
            assert!(state.waits_in_a_row < DEADLOCK, "nobody can go on");
            if !must_wait && !state.random.once_in(self.every) {
                return;
            }
            self.pass_on(&mut state);
        }
        self.wait(me);
    }

    fn pass_on(&self, state: &mut State) {
        if let Some(others) = std::num::NonZeroU64::new(state.alive.len() as u64) {
            state.turn = state.alive[state.random.below(others.get()) as usize];
            self.wake[state.turn].notify_one();
        }
    }
}

struct Leave<'t>(&'t Turns, usize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        ME.set(None);
        let mut state = self.0.lock();
        state.alive.retain(|alive| *alive != self.1);
        state.has_failed |= std::thread::panicking();
        if state.has_failed {
            self.0.wake.iter().for_each(Condvar::notify_all);
        } else {
            self.0.pass_on(&mut state);
        }
    }
}
