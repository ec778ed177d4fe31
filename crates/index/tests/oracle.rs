//! Every search equals a scan of all rows: over widths, radii, skews, inserts, deletes and merges.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod memory;

use lumina_index::{Index, IndexBuilder, Layout, MemorySpool, Tails};
use memory::Memory;
use memory::rows::{Expected, Random, Table, hash, row, value};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Insert(usize),
    Delete(u64),
    Flush,
    Merge,
    CleanUp,
    Compact,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1usize..1200).prop_map(Step::Insert),
        2 => (2u64..9).prop_map(Step::Delete),
        2 => Just(Step::Flush),
        1 => Just(Step::Merge),
        1 => Just(Step::CleanUp),
        1 => Just(Step::Compact),
    ];
    prop::collection::vec(step, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn searches_equal_a_look_at_every_row(
        bytes in prop_oneof![
            Just(8usize), Just(1), Just(2), Just(5), Just(9), Just(12), Just(16), Just(17), Just(32), Just(128)
        ],
        bands in prop_oneof![3 => Just(None), 1 => (1usize..=8).prop_map(Some)],
        built in 0usize..3000,
        steps in steps(),
        seed: u64,
        memory in prop_oneof![Just(0usize), Just(1 << 20)],
    ) {
        let layout = Layout::new(bytes * 8, bands).unwrap();
        let store = Memory::default();
        let mut table = Table::new();
        let mut random = Random(seed);
        let mut next = 1u64;
        let mut add = |table: &mut Table| {
            let fresh = value(bytes, random.next());
            table.insert(next, fresh.clone());
            next += 1;
            (row(&layout, &fresh), next - 1)
        };
        let build_memory = if seed % 2 == 0 { 1 << 12 } else { 1 << 24 };
        let mut builder = IndexBuilder::new(&store, layout, build_memory, MemorySpool::default()).unwrap();
        for _ in 0..built {
            let (row, tid) = add(&mut table);
            builder.add(row.as_ref(), tid);
        }
        builder.finish().unwrap();
        let index = Index::open(&store).unwrap();
        let mut tails = Tails::default();
        for step in steps {
            match step {
                Step::Insert(count) => for _ in 0..count {
                    let (row, tid) = add(&mut table);
                    index.insert(&mut tails, row.as_ref(), tid).unwrap();
                },
                Step::Delete(every) => {
                    let before = table.len() as u64;
                    table.retain(|tid, _| !(tid * 7 + 3).is_multiple_of(every));
                    let done = index.vacuum(&mut |tid| !table.contains_key(&tid)).unwrap();
                    prop_assert_eq!(done.kept, table.len() as u64);
                    prop_assert_eq!(done.removed, before - table.len() as u64);
                }
                Step::Flush => { index.flush(true).unwrap(); }
                Step::Merge => { while index.merge(u64::MAX, true).unwrap() {} }
                Step::CleanUp => prop_assert_eq!(index.clean_up().unwrap().entries, table.len() as u64),
                Step::Compact => {
                    index.compact().unwrap();
                    prop_assert!(index.stats().unwrap().runs.len() <= 1);
                }
            }
        }
        let expected = Expected::only(&table);
        expected.check(&index);
        expected.space(&index);
        let bits = bytes as u32 * 8;
        for (at, radius) in [0, 1, 3, 5, bits / 8, bits / 3, bits].into_iter().enumerate() {
            expected.searches(&index, &hash(bytes, seed.wrapping_add(at as u64)), &[radius], memory);
        }
    }
}
