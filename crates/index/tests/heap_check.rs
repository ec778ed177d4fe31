//! The comparison of an index with its table, against a naive twin: rows that are missing, or missing from some bands,
//! rows with another hash, entries past the end of the table.
#![allow(clippy::unwrap_used)]

mod memory;

use lumina_index::heap_check::{FarthestTid, Heap, Mismatch, RowMismatch};
use lumina_index::{CheckedEntry, Index, IndexBuilder, Layout, MemorySpool, Tails};
use memory::rows::{Random, Table, row, value};
use memory::{Memory, Operation};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// A table, which notes what is read of it.
struct TestHeap<'t> {
    table: &'t Table,
    blocks: u32,
    read: RefCell<Vec<Range<u32>>>,
}

impl Heap for TestHeap<'_> {
    fn blocks(&self) -> u32 {
        self.blocks
    }

    /// The rows of a block come in falling order, as they may after HOT updates.
    fn rows(&self, blocks: Range<u32>, each: &mut dyn FnMut(Option<&[u8]>, u64)) {
        for block in blocks.clone().map(u64::from) {
            let rows = self.table.range(block << 16..(block + 1) << 16).rev();
            rows.for_each(|(tid, value)| each(value.as_deref(), *tid));
        }
        self.read.borrow_mut().push(blocks);
    }
}

/// What is wrong with each row, by a comparison of each row with every entry.
fn naive_mismatches(layout: &Layout, entries: &[CheckedEntry], table: &Table) -> BTreeMap<u64, Mismatch> {
    let mut wrong = BTreeMap::new();
    for (tid, value) in table {
        let own: Vec<&CheckedEntry> = entries.iter().filter(|entry| entry.tid == *tid).collect();
        let packed = value.as_ref().map(|hash| layout.pack(hash));
        let is_equal = |entry: &CheckedEntry| match (packed, entry.band) {
            (None, band) => band == Some(layout.null_band()),
            (Some(_), Some(band)) if band == layout.null_band() => false,
            (Some(packed), band) => {
                packed.is_some_and(|packed| layout.fingerprint(&packed, band.unwrap_or(0)) == entry.fingerprint)
            }
        };
        let is_in = |band: usize| own.iter().any(|entry| entry.band.is_none_or(|found| found == band));
        let mut bands = if value.is_some() { 0..layout.bands() } else { layout.null_band()..layout.null_band() + 1 };
        if packed == Some(None) || !own.iter().all(|entry| is_equal(entry)) {
            wrong.insert(*tid, Mismatch::Different);
        } else if !bands.all(is_in) {
            wrong.insert(*tid, Mismatch::Missing);
        }
    }
    wrong
}

/// A table of some blocks, with gaps and empty blocks.
fn random_table(layout: &Layout, blocks: u64, random: &mut Random) -> Table {
    let mut table = Table::new();
    for block in 0..blocks {
        let (count, share) = (random.below(60) * random.below(2), 1 + random.below(3));
        for offset in (1..=count).filter(|_| random.below(share) == 0).collect::<Vec<_>>() {
            table.insert(block << 16 | offset, value(layout.bits() / 8, random.next()));
        }
    }
    table
}

/// An index of the table: a run, perhaps a second one, staging pages; some dead entries in some bands only.
fn indexed(layout: Layout, table: &Table, random: &mut Random) -> Memory {
    let mut store = Memory::default();
    let mut builder = IndexBuilder::new(&store, layout, 1 << 20, MemorySpool::default()).unwrap();
    let is_built = |tid: u64| !tid.is_multiple_of(3);
    for (tid, value) in table.iter().filter(|(tid, _)| is_built(**tid)) {
        builder.add(row(&layout, value).as_ref(), *tid);
    }
    builder.finish().unwrap();
    let (index, mut tails) = (Index::with_layout(&store, layout), Tails::default());
    for (tid, value) in table.iter().filter(|(tid, _)| !is_built(**tid)) {
        index.insert(&mut tails, row(&layout, value).as_ref(), *tid).unwrap();
        if random.once_in(40) {
            index.flush(true).unwrap();
        }
    }
    if random.once_in(2) {
        // A vacuum that is cut off: rows that it takes for dead leave some bands.
        let (changes, most) = (AtomicU64::new(0), 1 + random.below(5));
        store.set_hook(Some(Box::new(move |_, operation| {
            if operation == Operation::Change && changes.fetch_add(1, Ordering::Relaxed) == most {
                resume_unwind(Box::new("cut off"));
            }
        })));
        let (index, dead) = (Index::with_layout(&store, layout), 1 + random.below(50));
        drop(catch_unwind(AssertUnwindSafe(|| index.vacuum(&mut |tid| tid & 0xffff == dead))));
        store.set_hook(None);
    }
    store
}

/// Changes some rows of the table behind the back of the index.
fn change_some(layout: &Layout, table: &mut Table, blocks: u64, random: &mut Random) {
    let bytes = layout.bits() / 8;
    for _ in 0..random.below(3) {
        let any = table.keys().nth(random.below(table.len().max(1) as u64) as usize).copied().unwrap_or(1);
        match random.below(6) {
            // The index has entries of rows that the table does not show: no mismatch.
            0 => drop(table.remove(&any)),
            1 => drop(table.insert(random.below(blocks.max(1)) << 16 | (100 + random.below(50)), value(bytes, 1))),
            2 => drop(table.insert(any, None)),
            3 => drop(table.insert(any, value(bytes, random.next()))),
            4 => drop(table.insert(any, Some(vec![7; bytes + 1]))),
            _ => {
                let bit = random.below(bytes as u64 * 8) as usize;
                if let Some(Some(hash)) = table.get_mut(&any) {
                    hash[bit / 8] ^= 1 << (bit % 8);
                }
            }
        }
    }
}

#[test]
fn mismatches_are_those_of_the_naive_twin() {
    let layouts = [(8, None), (64, None), (64, Some(1)), (192, Some(3)), (256, None), (1024, Some(64))];
    let mut seen = [0; 3];
    for seed in 0..240 {
        let mut random = Random(seed);
        let (bits, bands) = layouts[seed as usize % layouts.len()];
        let layout = Layout::new(bits, bands).unwrap();
        let blocks = random.below(9);
        let mut table = random_table(&layout, blocks, &mut random);
        let store = indexed(layout, &table, &mut random);
        change_some(&layout, &mut table, blocks, &mut random);
        let index = Index::with_layout(&store, layout);
        let mut entries = Vec::new();
        index.check(&mut |entry| entries.push(entry)).unwrap();
        let blocks = table.keys().map(|tid| (tid >> 16) as u32 + 1).max().unwrap_or(0).max(blocks as u32);
        let wrong = naive_mismatches(&layout, &entries, &table);
        for memory in [0, 1 << 13, 1 << 22] {
            let heap = TestHeap { table: &table, blocks, read: RefCell::default() };
            let mut farthest = FarthestTid::default();
            let found = index.check_heap(&heap, memory, &mut farthest).unwrap();
            let what = format!("seed {seed}, memory {memory}: {found:?} of {wrong:?}");
            match found {
                None => {
                    assert!(wrong.is_empty(), "{what}");
                    let read = heap.read.borrow();
                    let ends: Vec<u32> = std::iter::once(0).chain(read.iter().map(|read| read.end)).collect();
                    assert!(read.iter().zip(&ends).all(|(read, end)| read.start == *end), "{read:?}");
                    assert_eq!(ends.last(), Some(&blocks), "every block is read once");
                    seen[0] += 1;
                }
                Some(RowMismatch { tid, mismatch }) => {
                    assert_eq!(wrong.get(&tid), Some(&mismatch), "{what}");
                    let has_different = wrong.values().any(|mismatch| *mismatch == Mismatch::Different);
                    assert!(has_different || Some((&tid, &mismatch)) == wrong.first_key_value(), "{what}");
                    assert!(!has_different || memory < 1 << 22 || mismatch == Mismatch::Different, "{what}");
                    seen[if mismatch == Mismatch::Missing { 1 } else { 2 }] += 1;
                }
            }
            let mut expected = FarthestTid::default();
            entries.iter().for_each(|entry| expected.note(entry));
            assert_eq!(farthest, expected, "{what}");
        }
    }
    assert!(seen.iter().all(|seen| *seen > 60), "right, missing, different: {seen:?}");
}

#[test]
fn an_entry_past_the_end_of_the_table() {
    let far = |tids: &[u64], blocks| {
        let mut farthest = FarthestTid::default();
        tids.iter().for_each(|tid| farthest.note(&CheckedEntry { band: None, fingerprint: 0, tid: *tid }));
        farthest.past_end(blocks).map(|RowMismatch { tid, mismatch }| {
            assert_eq!(mismatch, Mismatch::PastEnd);
            tid
        })
    };
    assert_eq!(far(&[], 0), None);
    assert_eq!(far(&[3 << 16 | 7, 1 << 16 | 1], 4), None);
    assert_eq!(far(&[3 << 16 | 7, 1 << 16 | 1], 3), Some(3 << 16 | 7));
    assert_eq!(far(&[1], 0), Some(1));
}

/// The index of an empty table is checked, too.
#[test]
fn an_index_of_an_empty_table_is_checked() {
    let (store, layout, table) = (Memory::default(), Layout::new(64, None).unwrap(), Table::new());
    let index = Index::create(&store, layout);
    index.insert(&mut Tails::default(), None, 5 << 16 | 1).unwrap();
    let heap = TestHeap { table: &table, blocks: 0, read: RefCell::default() };
    let mut farthest = FarthestTid::default();
    assert_eq!(index.check_heap(&heap, 0, &mut farthest).unwrap(), None);
    assert_eq!(farthest.past_end(0).map(|found| found.tid), Some(5 << 16 | 1));
    store.damage(1, |page| page.bytes_mut()[100] ^= 1);
    assert_eq!(index.check_heap(&heap, 0, &mut farthest).unwrap_err().block, 1);
}
