//! A script of all operations on an index, with the effect of each change on the rows.

use super::Memory;
use super::rows::{Random, Table, row, value};
use lumina_index::{Index, Layout, Tails};

/// A row, and the changes between which it lived.
pub struct Life {
    pub tid: u64,
    pub value: Option<Vec<u8>>,
    /// Before its insert began.
    pub started: usize,
    /// When its insert was acknowledged.
    pub inserted: usize,
    /// Before the vacuum that removes it began.
    pub condemned: usize,
    /// When that vacuum was acknowledged.
    pub removed: usize,
}

/// The operations before the crash, and their times.
pub struct Script<'s> {
    pub index: Index<'s, Memory>,
    pub tails: Tails,
    pub random: Random,
    pub lives: Vec<Life>,
    /// TIDs ready for reuse.
    pub free: Vec<u64>,
}

impl<'s> Script<'s> {
    pub fn new(store: &'s Memory, layout: Layout, seed: u64) -> Self {
        let index = Index::create(store, layout);
        Script { index, tails: Tails::default(), random: Random(seed), lives: Vec::new(), free: Vec::new() }
    }

    pub fn insert(&mut self) {
        let value = value(self.index.layout().bits() / 8, self.random.next());
        let tid = self.free.pop().unwrap_or((self.lives.len() as u64 + 1) << 16);
        let started = self.index.store().changes();
        self.index.insert(&mut self.tails, row(self.index.layout(), &value).as_ref(), tid).unwrap();
        let inserted = self.index.store().changes();
        self.lives.push(Life { tid, value, started, inserted, condemned: usize::MAX, removed: usize::MAX });
    }

    pub fn vacuum(&mut self) {
        let now = self.index.store().changes();
        let mut dead = Vec::new();
        let share = 2 + self.random.below(8);
        for life in self.lives.iter_mut().filter(|life| life.condemned == usize::MAX) {
            if self.random.once_in(share) {
                life.condemned = now;
                dead.push(life.tid);
            }
        }
        let done = self.index.vacuum(&mut |tid| dead.contains(&tid)).unwrap();
        assert_eq!(done.removed, dead.len() as u64);
        let now = self.index.store().changes();
        for life in self.lives.iter_mut().filter(|life| life.condemned != usize::MAX && life.removed == usize::MAX) {
            life.removed = now;
        }
        self.free.extend(dead);
    }

    pub fn step(&mut self, most: u64) {
        match self.random.below(12) {
            0..4 => (0..self.random.below(most)).for_each(|_| self.insert()),
            4..6 => self.vacuum(),
            6..8 => drop(self.index.flush(true).unwrap()),
            8 => while self.index.merge(u64::MAX, true).unwrap() {},
            9 => drop(self.index.clean_up().unwrap()),
            10 => self.index.compact().unwrap(),
            _ => {
                // Many small runs, for merges.
                for _ in 0..4 {
                    self.insert();
                    self.index.flush(true).unwrap();
                }
            }
        }
    }

    /// The rows that a search must and may find if it begins after `begin` changes and ends after `end`.
    pub fn expected(&self, begin: usize, end: usize) -> (Table, Table) {
        let (mut must, mut may) = (Table::new(), Table::new());
        for life in self.lives.iter().filter(|life| life.started < end && begin < life.removed) {
            let is_sure = life.inserted <= begin && end <= life.condemned;
            if is_sure { &mut must } else { &mut may }.insert(life.tid, life.value.clone());
        }
        (must, may)
    }
}
