//! A crash after every change: acknowledged rows are there, vacuumed rows are not, and work continues.
#![allow(clippy::unwrap_used)]

mod memory;

use lumina_index::meta::Meta;
use lumina_index::{Index, Layout, Page, Tails};
use memory::rows::{Expected, Random, Table, hash, row, value};
use memory::script::Script;
use memory::{Memory, write};
use std::collections::HashSet;

/// Recovers the store: everything is as it was acknowledged, and work continues.
fn recover(store: &Memory, (must, may): (Table, Table), seed: u64, goes_on: bool) {
    let mut random = Random(seed);
    let index = Index::open(store).unwrap();
    let bytes = index.layout().bits() / 8;
    let memory = if random.once_in(2) { 0 } else { 1 << 16 };
    let radius = random.below(bytes as u64 * 3) as u32;
    let expected = Expected { must: &must, may: &may };
    expected.check(&index);
    expected.range(&index, &hash(bytes, random.next()), radius, memory);
    expected.nearest(&index, &hash(bytes, random.next()), memory);
    if !goes_on {
        return;
    }
    // An interrupted vacuum leaves some rows in some bands; that must not harm what happens before the next one.
    match random.below(4) {
        0 => drop(index.flush(true).unwrap()),
        1 => drop(index.vacuum(&mut |_| false).unwrap()),
        2 => index.compact().unwrap(),
        _ => {}
    }
    expected.check(&index);
    // Rows that were not acknowledged are dead in the table.
    let mut left = must;
    if random.once_in(2) {
        left.retain(|_, _| !random.once_in(9));
    }
    let done = index.vacuum(&mut |tid| !left.contains_key(&tid)).unwrap();
    assert_eq!(done.kept, left.len() as u64);
    let mut tails = Tails::default();
    for tid in 0..random.below(25) {
        let value = value(bytes, random.next());
        index.insert(&mut tails, row(index.layout(), &value).as_ref(), tid).unwrap();
        left.insert(tid, value);
    }
    match random.below(3) {
        0 => drop(index.flush(true).unwrap()),
        1 => index.compact().unwrap(),
        _ => {}
    }
    assert_eq!(index.clean_up().unwrap().entries, left.len() as u64, "counts are right again");
    let expected = Expected::only(&left);
    expected.check(&index);
    expected.space(&index);
    expected.range(&index, &hash(bytes, random.next()), radius, memory);
    expected.nearest(&index, &hash(bytes, random.next()), memory);
}

/// Crashes after every change, or every n-th of the plain inserts, and continues after every fifth of those.
fn crash_everywhere(script: &Script<'_>, seed: u64, every: usize) {
    let store = script.index.store();
    let log = store.log();
    // Changes that consist of one insert.
    let inserts = script.lives.iter().filter(|life| life.started + 1 == life.inserted).map(|life| life.started);
    let inserts: HashSet<usize> = inserts.collect();
    let mut pages = Vec::new();
    for (at, change) in log.iter().enumerate() {
        write(&mut pages, &change.pages);
        let is_insert = inserts.contains(&at);
        if is_insert && at % every != 0 {
            continue;
        }
        let mut left: Vec<Page> = pages.clone();
        if at % 2 == 0 {
            // The file was extended, and nothing is written there yet.
            left.resize(change.blocks as usize, Page::default());
        }
        let store = Memory::recovered(left, change.clock);
        recover(&store, script.expected(at + 1, at + 1), seed ^ at as u64, !is_insert || at % (every * 5) == 0);
    }
}

fn random_steps(layout: Layout, seed: u64, most: u64) {
    let store = Memory::logged();
    let mut script = Script::new(&store, layout, seed);
    (0..14).for_each(|_| script.step(most));
    crash_everywhere(&script, seed, 3);
}

#[test]
fn after_every_change_of_wide_hashes() {
    for seed in 0..8 {
        random_steps(Layout::new(1024, Some(2)).unwrap(), seed, 200);
    }
}

#[test]
fn after_every_change_of_the_usual_hashes() {
    for seed in 10..14 {
        random_steps(Layout::new(64, None).unwrap(), seed, 300);
        random_steps(Layout::new(192, Some(3)).unwrap(), seed, 300);
    }
}

#[test]
fn after_every_change_of_narrow_hashes() {
    for seed in 20..24 {
        random_steps(Layout::new(8, Some(8)).unwrap(), seed, 300);
    }
}

/// Inserts that fill a batch, and turn it into a run.
#[test]
fn after_every_change_of_a_flush_by_an_insert() {
    let store = Memory::logged();
    let mut script = Script::new(&store, Layout::new(1024, Some(1)).unwrap(), 30);
    (0..4200).for_each(|_| script.insert());
    assert!(!Meta::load(&store).unwrap().runs.is_empty());
    crash_everywhere(&script, 30, 199);
}
