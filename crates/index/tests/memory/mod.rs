//! A store in memory with a log of its changes, so that a test can go back to any of them, and a hook before every
//! operation, at which a test can let others run, or stop. It rejects whatever would deadlock a database: an operation
//! while a page is locked, the two locks in the wrong order, a wait for oneself.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod rows;
pub mod script;
pub mod turns;

use lumina_index::{MaintenanceLock, Page, Store};
use std::cell::{Cell, RefCell};
use std::sync::Mutex;

/// One change in the log.
#[derive(Clone)]
pub struct Change {
    /// The pages that it wrote.
    pub pages: Vec<(u32, Page)>,
    /// The length of the file after it, in blocks.
    pub blocks: u32,
    /// The clock after it.
    pub clock: u64,
}

#[derive(Default)]
struct State {
    pages: Vec<Page>,
    log: Vec<Change>,
    free: Vec<u32>,
    clock: u64,
    /// When each running scan began.
    scans: Vec<u64>,
    locked: [bool; 2],
}

/// Called before every operation.
pub type Hook = Box<dyn Fn(&Memory, Operation) + Send + Sync>;

/// The next operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Read(u32),
    Prefetch(u32),
    Change,
    /// An extension of the file, a hint, a lock.
    Other,
    /// A cancel check.
    Interrupt,
    /// A lock is held elsewhere; called repeatedly until it is free.
    Wait,
}

#[derive(Default)]
pub struct Memory {
    state: Mutex<State>,
    hook: Option<Hook>,
    is_logged: bool,
    /// Whether the store claims to have verified every page itself.
    pub is_verified: bool,
    /// How far ahead reads must be announced.
    pub read_ahead: usize,
}

thread_local! {
    /// Whether this thread has locked a page.
    static LOOKING: Cell<bool> = const { Cell::new(false) };
    /// The locks that this thread holds.
    static HELD: RefCell<Vec<MaintenanceLock>> = const { RefCell::new(Vec::new()) };
}

/// Runs `look` and rejects other operations while it runs.
fn with_page_locked<R>(look: impl FnOnce() -> R) -> R {
    struct Unlock;
    impl Drop for Unlock {
        fn drop(&mut self) {
            LOOKING.set(false);
        }
    }
    assert!(!LOOKING.replace(true), "one page lock at a time");
    let _unlock = Unlock;
    look()
}

impl Memory {
    /// A store with a log that reuses the last freed block first: a standby's searches meet it the sooner.
    pub fn logged() -> Self {
        Memory { is_logged: true, ..Memory::default() }
    }

    /// The state after a crash: these pages, and no hints, no locks, no scans; the clock continues.
    pub fn recovered(pages: Vec<Page>, clock: u64) -> Self {
        let state = State { pages, clock, ..State::default() };
        Memory { state: Mutex::new(state), ..Memory::default() }
    }

    /// Another store in the same state, without hook, log and scans.
    pub fn fork(&self) -> Self {
        let state = self.state.lock().unwrap();
        let fork =
            State { pages: state.pages.clone(), free: state.free.clone(), clock: state.clock, ..State::default() };
        Memory { state: Mutex::new(fork), ..Memory::default() }
    }

    pub fn set_hook(&mut self, hook: Option<Hook>) {
        self.hook = hook;
    }

    /// The changes so far.
    pub fn log(&self) -> Vec<Change> {
        self.state.lock().unwrap().log.clone()
    }

    pub fn changes(&self) -> usize {
        self.state.lock().unwrap().log.len()
    }

    /// Applies a change of the primary.
    pub fn replay(&self, change: &Change) {
        let mut state = self.state.lock().unwrap();
        state.write(&change.pages);
        state.clock = state.clock.max(change.clock);
    }

    /// Begins a scan: what is replaced from now on is kept until it ends.
    pub fn begin_scan(&self) -> u64 {
        let mut state = self.state.lock().unwrap();
        let begun = state.clock;
        state.scans.push(begun);
        begun
    }

    pub fn end_scan(&self, begun: u64) {
        let mut state = self.state.lock().unwrap();
        let at = state.scans.iter().position(|scan| *scan == begun).unwrap();
        state.scans.swap_remove(at);
    }

    /// Simulates that another session takes or releases a lock.
    pub fn set_locked(&self, lock: MaintenanceLock, is_held: bool) {
        self.state.lock().unwrap().locked[lock as usize] = is_held;
    }

    /// Overwrites bytes of a block without the index's knowledge.
    pub fn damage<R>(&self, block: u32, damage: impl FnOnce(&mut Page) -> R) -> R {
        damage(&mut self.state.lock().unwrap().pages[block as usize])
    }

    /// Truncates the file.
    pub fn truncate(&self, blocks: u32) {
        let mut state = self.state.lock().unwrap();
        state.pages.truncate(blocks as usize);
        state.free.retain(|block| *block < blocks);
    }

    pub fn pages(&self) -> Vec<Page> {
        self.state.lock().unwrap().pages.clone()
    }

    pub fn clock(&self) -> u64 {
        self.state.lock().unwrap().clock
    }

    pub fn page(&self, block: u32) -> Page {
        self.state.lock().unwrap().pages[block as usize].clone()
    }

    fn before(&self, operation: Operation) {
        assert!(!LOOKING.get(), "{operation:?} while a page is locked");
        if let Some(hook) = &self.hook {
            hook(self, operation);
        } else {
            assert_ne!(operation, Operation::Wait, "nobody else is there to give the lock back");
        }
    }
}

/// Applies logged pages.
pub fn write(pages: &mut Vec<Page>, written: &[(u32, Page)]) {
    for (block, page) in written {
        if pages.len() <= *block as usize {
            pages.resize(*block as usize + 1, Page::default());
        }
        pages[*block as usize] = page.clone();
    }
}

impl State {
    fn write(&mut self, written: &[(u32, Page)]) {
        write(&mut self.pages, written);
    }
}

impl Store for Memory {
    fn blocks(&self) -> u32 {
        self.state.lock().unwrap().pages.len() as u32
    }

    fn read<R>(&self, block: u32, look: impl FnOnce(&Page) -> R) -> R {
        self.before(Operation::Read(block));
        let page = self.state.lock().unwrap().pages[block as usize].clone();
        with_page_locked(|| look(&page))
    }

    fn read_ahead(&self) -> usize {
        self.read_ahead
    }

    fn prefetch(&self, block: u32) {
        assert!(block < self.blocks());
        self.before(Operation::Prefetch(block));
    }

    fn read_verified<R>(&self, block: u32, look: impl FnOnce(&Page, bool) -> R) -> R {
        self.read(block, |page| look(page, self.is_verified))
    }

    fn change<R>(&self, blocks: &[u32], change: impl FnOnce(&mut [&mut Page]) -> Option<R>) -> Option<R> {
        self.before(Operation::Change);
        assert!(blocks.len() <= 4 && blocks.is_sorted_by(|a, b| a < b), "blocks {blocks:?}");
        let mut copies: Vec<Page> = {
            let state = self.state.lock().unwrap();
            blocks.iter().map(|block| state.pages[*block as usize].clone()).collect()
        };
        let mut pages: Vec<&mut Page> = copies.iter_mut().collect();
        let result = with_page_locked(|| change(&mut pages))?;
        for (page, block) in copies.iter_mut().zip(blocks) {
            // The part that a log omits.
            let (lower, upper) = page.room();
            page.bytes_mut()[usize::from(lower)..usize::from(upper)].fill(0);
            page.check(*block).unwrap();
        }
        let mut state = self.state.lock().unwrap();
        let written: Vec<(u32, Page)> = blocks.iter().copied().zip(copies).collect();
        state.write(&written);
        if self.is_logged {
            let change = Change { pages: written, blocks: state.pages.len() as u32, clock: state.clock };
            state.log.push(change);
        }
        Some(result)
    }

    fn extend(&self) -> u32 {
        self.before(Operation::Other);
        let mut state = self.state.lock().unwrap();
        state.pages.push(Page::default());
        state.pages.len() as u32 - 1
    }

    fn take_free(&self) -> Option<u32> {
        self.before(Operation::Other);
        self.state.lock().unwrap().free.pop()
    }

    fn record_free(&self, blocks: &[u32]) {
        assert!(!LOOKING.get(), "hints while a page is locked");
        let mut state = self.state.lock().unwrap();
        for block in blocks {
            if !state.free.contains(block) {
                let at = if self.is_logged { state.free.len() } else { 0 };
                state.free.insert(at, *block);
            }
        }
    }

    fn with_lock<R>(&self, lock: MaintenanceLock, wait: bool, work: impl FnOnce() -> R) -> Option<R> {
        HELD.with_borrow(|held| match lock {
            MaintenanceLock::Flush => assert!(held.is_empty(), "flush after {held:?}"),
            MaintenanceLock::Merge => assert!(!held.contains(&lock), "merge twice"),
        });
        let at = lock as usize;
        self.before(Operation::Other);
        loop {
            let mut state = self.state.lock().unwrap();
            if !state.locked[at] {
                state.locked[at] = true;
                break;
            }
            drop(state);
            if !wait {
                return None;
            }
            self.before(Operation::Wait);
        }
        // A session that unwinds releases its locks.
        struct Held<'m>(&'m Mutex<State>, usize);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                HELD.with_borrow_mut(|held| held.pop());
                if let Ok(mut state) = self.0.lock() {
                    state.locked[self.1] = false;
                }
            }
        }
        HELD.with_borrow_mut(|held| held.push(lock));
        let _held = Held(&self.state, at);
        Some(work())
    }

    fn horizon(&self) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.clock += 1;
        state.clock
    }

    fn older_scans_have_ended(&self, horizon: u64) -> bool {
        let state = self.state.lock().unwrap();
        horizon == 0 || state.scans.iter().all(|begun| *begun >= horizon)
    }

    fn check_for_interrupts(&self) {
        self.before(Operation::Interrupt);
    }

    fn no_memory(&self) -> ! {
        panic!("out of memory")
    }
}
