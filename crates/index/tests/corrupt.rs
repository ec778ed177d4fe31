//! Corrupted pages: every reader reports the block, and never panics, loops, or skips rows.
#![allow(clippy::unwrap_used)]

mod memory;

use lumina_index::meta::Meta;
use lumina_index::page::{BODY, BODY_END, HEADER, PageKind};
use lumina_index::{
    Corrupted, Damage, HammingScan, Index, IndexBuilder, Layout, MemorySpool, OrderBy, Page, Query, Store, Tails,
};
use memory::rows::{Random, Table, distance, hash, row, value};
use memory::{Memory, Operation};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// An index with every kind of page, and its rows.
struct Sound {
    store: Memory,
    layout: Layout,
    table: Table,
}

impl Sound {
    /// Two runs, a sealed batch, a batch, and free pages.
    fn new(layout: Layout, seed: u64) -> Self {
        let mut store = Memory::default();
        let mut random = Random(seed);
        let mut table = Table::new();
        let mut fresh = |table: &mut Table| {
            let (tid, value) = (table.len() as u64 + 1, value(layout.bits() / 8, random.next()));
            table.insert(tid, value.clone());
            (row(&layout, &value), tid)
        };
        let mut builder = IndexBuilder::new(&store, layout, 1 << 20, MemorySpool::default()).unwrap();
        for _ in 0..1500 {
            let (row, tid) = fresh(&mut table);
            builder.add(row.as_ref(), tid);
        }
        builder.finish().unwrap();
        for flushes in [true, true, false] {
            let index = Index::open(&store).unwrap();
            let mut tails = Tails::default();
            for _ in 0..300 {
                let (row, tid) = fresh(&mut table);
                index.insert(&mut tails, row.as_ref(), tid).unwrap();
            }
            if flushes {
                index.flush(true).unwrap();
            }
        }
        // A flush that is interrupted while it writes leaves a sealed batch.
        let changes = AtomicU64::new(0);
        store.set_hook(Some(Box::new(move |_, operation| {
            if operation == Operation::Change && changes.fetch_add(1, Ordering::Relaxed) == 5 {
                resume_unwind(Box::new("cut off"));
            }
        })));
        let index = Index::open(&store).unwrap();
        catch_unwind(AssertUnwindSafe(|| index.flush(true))).unwrap_err();
        store.set_hook(None);
        let index = Index::open(&store).unwrap();
        let mut tails = Tails::default();
        for _ in 0..50 {
            let (row, tid) = fresh(&mut table);
            index.insert(&mut tails, row.as_ref(), tid).unwrap();
        }
        let meta = Meta::load(&store).unwrap();
        assert!(meta.runs.len() == 3 && !meta.sealed.is_empty() && !meta.staging.is_empty());
        Sound { store, layout, table }
    }

    /// A damaged copy of the index, in which endless loops fail.
    fn damaged(&self, damage: impl FnOnce(&Memory)) -> Memory {
        let mut store = self.store.fork();
        damage(&store);
        let operations = AtomicU64::new(0);
        store.set_hook(Some(Box::new(move |_, _| {
            assert!(operations.fetch_add(1, Ordering::Relaxed) < 1_000_000, "goes round in circles");
        })));
        store
    }

    fn is_live(&self, block: u32) -> bool {
        let (meta, page) = (Meta::load(&self.store).unwrap(), self.store.page(block));
        let written = [meta.flushing, meta.merging];
        block == 0 || !page.is_new() && meta.is_live(page.generation()) && !written.contains(&page.generation())
    }

    /// Searches. The result is right, or an error names a block.
    fn search(&self, store: &Memory, query: &[u8], kind: u64, radius: u32, table: &Table) -> Result<(), Corrupted> {
        let index = Index::with_layout(store, self.layout);
        let center = self.layout.pack(query).unwrap();
        let search = match kind {
            0 => Query { ball: Some((center, radius)), order: None },
            1 => Query { ball: Some((center, radius)), order: Some(OrderBy::DistanceFrom(center)) },
            2 => Query { ball: None, order: Some(OrderBy::Null) },
            _ => Query { ball: None, order: Some(OrderBy::DistanceFrom(center)) },
        };
        let mut scan = HammingScan::new(search, 0);
        let mut found = Vec::new();
        while let Some(tid) = scan.next(&index)? {
            found.push(tid);
        }
        let within = |hash: &Vec<u8>| distance(hash, query) <= radius;
        let is_wanted = |value: &Option<Vec<u8>>| kind > 1 || value.as_ref().is_some_and(within);
        found.retain(|tid| is_wanted(&table[tid]));
        found.sort_unstable();
        let expected: Vec<u64> = table.iter().filter(|(_, value)| is_wanted(value)).map(|(tid, _)| *tid).collect();
        assert_eq!(found, expected, "rows passed over");
        Ok(())
    }

    /// Runs every operation, each on a store of its own. An operation that fails must name one of `blocks`.
    ///
    /// Returns how many failed.
    fn suffer(&self, damage: &dyn Fn(&Memory), blocks: &dyn Fn(u32) -> bool, random: &mut Random) -> usize {
        let names = |result: Result<(), Corrupted>| match result {
            Ok(()) => 0,
            Err(corrupted) if blocks(corrupted.block) => 1,
            Err(corrupted) => panic!("names another block: {corrupted}"),
        };
        let bytes = self.layout.bits() / 8;
        let query = hash(bytes, random.next());
        let store = self.damaged(damage);
        let index = Index::with_layout(&store, self.layout);
        let mut failed = names(index.check(&mut |_| ()));
        failed += names(index.stats().map(drop));
        for (kind, radius) in [(0, 2), (0, bytes as u32 * 2), (1, 3), (2, 0), (3, 0)] {
            failed += names(self.search(&store, &query, kind, radius, &self.table));
        }
        let mut table = self.table.clone();
        let done = match random.below(6) {
            0 => {
                // Enough to fill a page.
                let mut tails = Tails::default();
                (0..700).try_for_each(|tid| {
                    let value = value(bytes, random.next());
                    table.insert(1_000_000 + tid, value.clone());
                    index.insert(&mut tails, row(&self.layout, &value).as_ref(), 1_000_000 + tid)?;
                    Ok(())
                })
            }
            1 => index.flush(true).map(drop),
            2 => index.compact(),
            3 => index.clean_up().map(drop),
            4 => index.vacuum(&mut |_| false).map(drop),
            _ => {
                let is_dead = |tid: u64| tid.is_multiple_of(3);
                let done = index.vacuum(&mut |tid| is_dead(tid)).map(drop);
                if done.is_ok() {
                    table.retain(|tid, _| !is_dead(*tid));
                }
                // After a failure the dead rows may or may not be there.
                if done.is_err() {
                    return failed + names(done);
                }
                done
            }
        };
        let is_cut_off = done.is_err();
        failed += names(done);
        // No operation has hidden the damage: later ones find it, or all rows.
        if !is_cut_off || table.len() == self.table.len() {
            failed += names(self.search(&store, &query, 3, 0, &table));
            failed += names(index.flush(true).map(drop));
            failed += names(index.compact());
            failed += names(index.clean_up().map(drop));
            failed += names(self.search(&store, &query, 3, 0, &table));
        }
        failed
    }
}

fn layouts() -> [Sound; 2] {
    [Sound::new(Layout::new(64, None).unwrap(), 1), Sound::new(Layout::new(192, Some(3)).unwrap(), 2)]
}

#[test]
fn a_changed_byte() {
    let mut random = Random(3);
    for sound in layouts() {
        for block in 0..sound.store.blocks() {
            let trailer = BODY_END..8192;
            let places = trailer.step_by(5).chain([HEADER, HEADER + 1, BODY_END - 1]);
            let more: Vec<usize> = (0..3).map(|_| HEADER + random.below(8192 - HEADER as u64) as usize).collect();
            for place in places.chain(more) {
                let flip = 1 + random.below(255) as u8;
                let damage = |store: &Memory| store.damage(block, |page| page.bytes_mut()[place] ^= flip);
                let failed = sound.suffer(&damage, &|named| named == block, &mut random);
                if sound.is_live(block) {
                    assert!(failed > 0, "block {block}, byte {place}: nobody has seen it");
                }
            }
        }
    }
}

#[test]
fn pages_of_zeros_swapped_and_copied() {
    let mut random = Random(4);
    for sound in layouts() {
        let blocks = sound.store.blocks();
        let owner = |block: u32| {
            let trailer = sound.store.page(block).check(block).ok()?;
            Some((trailer.generation, trailer.kind, trailer.band, trailer.level))
        };
        for block in 0..blocks {
            // A random page, and one that differs by its block alone.
            let sibling = (0..blocks).filter(|other| *other != block).find(|other| owner(*other) == owner(block));
            let any = (block + 1 + random.below(u64::from(blocks) - 1) as u32) % blocks;
            for other in [Some(any), sibling].into_iter().flatten() {
                damage_two(&sound, block, other, &mut random);
            }
        }
    }
}

fn damage_two(sound: &Sound, block: u32, other: u32, random: &mut Random) {
    let (page, second) = (sound.store.page(block), sound.store.page(other));
    let put = |store: &Memory, block: u32, page: &Page| {
        store.damage(block, |to| to.bytes_mut().copy_from_slice(page.bytes()));
    };
    let zero = |store: &Memory| put(store, block, &Page::default());
    let copy = |store: &Memory| put(store, block, &second);
    let swap = |store: &Memory| {
        put(store, block, &second);
        put(store, other, &page);
    };
    // Half of the page has its previous contents.
    let torn = |store: &Memory| {
        store.damage(block, |to| to.bytes_mut()[..4096].copy_from_slice(&second.bytes()[..4096]));
    };
    // Two words are swapped.
    let at = HEADER + random.below(1000) as usize * 8;
    let words = |store: &Memory| store.damage(block, |to| to.bytes_mut()[at..at + 16].rotate_left(8));
    let is_the_same = [
        false,
        false,
        false,
        page.bytes()[HEADER..4096] == second.bytes()[HEADER..4096],
        page.bytes()[at..at + 8] == page.bytes()[at + 8..at + 16],
    ];
    let damages = [&zero as &dyn Fn(&Memory), &swap, &copy, &torn, &words];
    for ((at, damage), is_the_same) in damages.into_iter().enumerate().zip(is_the_same) {
        let failed = sound.suffer(damage, &|named| [block, other].contains(&named), random);
        assert!(failed > 0 || is_the_same || !sound.is_live(block), "damage {at} of block {block}, with {other}");
    }
}

#[test]
fn a_file_that_ends_too_soon() {
    let mut random = Random(5);
    for sound in layouts() {
        for blocks in 0..sound.store.blocks() {
            let failed = sound.suffer(&|store| store.truncate(blocks), &|named| named >= blocks, &mut random);
            let is_missed = (blocks..sound.store.blocks()).any(|block| sound.is_live(block));
            assert!(failed > 0 || !is_missed, "{blocks} blocks left");
        }
    }
}

#[test]
fn another_version_and_no_index_at_all() {
    let mut random = Random(6);
    for sound in layouts() {
        for (damage, expected) in [(1u8, Damage::Version(1)), (0, Damage::Version(0))] {
            let store = sound.damaged(|store| store.damage(0, |page| page.bytes_mut()[8190] = damage));
            assert_eq!(Index::open(&store).err().unwrap(), Corrupted { block: 0, damage: expected });
        }
        for round in 0..50u64 {
            let seed = random.next();
            let garbage = |store: &Memory| {
                store.damage(0, |page| {
                    let mut random = Random(seed);
                    let bytes = page.bytes_mut();
                    match round % 3 {
                        0 => bytes.fill_with(|| random.next() as u8),
                        1 => bytes.fill(0xff),
                        // The trailer looks right.
                        _ => bytes[..BODY_END].fill_with(|| random.next() as u8),
                    }
                });
            };
            assert_eq!(Index::open(&sound.damaged(garbage)).err().unwrap().block, 0);
            assert!(sound.suffer(&garbage, &|block| block == 0, &mut random) > 0);
        }
    }
}

/// If the store verifies pages itself, searches do not; the check does, and so do changes of a page.
#[test]
fn a_store_that_looks_itself() {
    for sound in layouts() {
        let mut store = sound.damaged(|store| store.damage(0, |page| page.bytes_mut()[BODY_END + 8] ^= 1));
        store.is_verified = true;
        let index = Index::with_layout(&store, sound.layout);
        assert_eq!(index.check(&mut |_| ()), Err(Corrupted { block: 0, damage: Damage::Checksum }));
        for block in (1..sound.store.blocks()).filter(|block| sound.is_live(*block)) {
            let mut store = sound.damaged(|store| store.damage(block, |page| page.bytes_mut()[BODY_END + 8] ^= 1));
            store.is_verified = true;
            let wrong = Corrupted { block, damage: Damage::Checksum };
            let index = Index::with_layout(&store, sound.layout);
            assert_eq!(index.check(&mut |_| ()), Err(wrong));
            let query = hash(sound.layout.bits() / 8, u64::from(block));
            for kind in 0..4 {
                assert_eq!(sound.search(&store, &query, kind, 3, &sound.table), Ok(()), "block {block}");
            }
            assert_eq!(index.compact(), Err(wrong), "what is written once more would hide it");
            let kind = sound.store.page(block).check(block).unwrap().kind;
            let is_changed = matches!(kind, PageKind::Leaf | PageKind::Staging | PageKind::StagingNulls);
            assert!(!is_changed || index.vacuum(&mut |_| true) == Err(wrong), "block {block}");
        }
    }
}

/// A page has the contents of its previous use, while the lists change all the time.
#[test]
fn a_lost_write_under_load() {
    let mut random = Random(7);
    for sound in layouts() {
        assert_eq!(sound.suffer(&|_| (), &|_| false, &mut random), 0, "nothing is wrong but what is damaged");
        for block in (1..sound.store.blocks()).filter(|block| sound.is_live(*block)) {
            let mut store = sound.damaged(|store| {
                store.damage(block, |page| {
                    // The previous generation, otherwise intact.
                    let generation = page.generation().wrapping_sub(1);
                    page.bytes_mut()[BODY_END..BODY_END + 8].copy_from_slice(&generation.to_ne_bytes());
                    page.finish();
                });
            });
            let (is_busy, operations, layout) = (AtomicBool::new(false), AtomicU64::new(0), sound.layout);
            store.set_hook(Some(Box::new(move |store, operation| {
                let operations = operations.fetch_add(1, Ordering::Relaxed);
                assert!(operations < 30_000, "goes round in circles");
                if operation == Operation::Read(0) && !is_busy.swap(true, Ordering::Relaxed) {
                    // NULLs enough for a page.
                    let mut tails = Tails::default();
                    let index = Index::with_layout(store, layout);
                    let _: Result<(), Corrupted> =
                        (0..1400).try_for_each(|at| index.insert(&mut tails, None, operations << 16 | at));
                    is_busy.store(false, Ordering::Relaxed);
                }
            })));
            let index = Index::with_layout(&store, sound.layout);
            let found = index.check(&mut |_| ()).unwrap_err();
            assert_eq!(found, Corrupted { block, damage: Damage::Owner });
            let query = hash(sound.layout.bits() / 8, random.next());
            let order = Some(OrderBy::DistanceFrom(sound.layout.pack(&query).unwrap()));
            let mut scan = HammingScan::new(Query { ball: None, order }, 1 << 20);
            let found = std::iter::from_fn(|| scan.next(&index).transpose()).find_map(Result::err);
            assert!(found.is_none_or(|found| found == Corrupted { block, damage: Damage::Owner }));
        }
    }
}

/// Writes to a page, and recomputes its checksum.
fn forge(store: &Memory, block: u32, at: usize, bytes: &[u8]) {
    store.damage(block, |page| {
        page.bytes_mut()[at..at + bytes.len()].copy_from_slice(bytes);
        page.finish();
    });
}

#[test]
fn forged_pages() {
    let mut random = Random(8);
    for sound in layouts() {
        let blocks = sound.store.blocks();
        for block in (1..blocks).filter(|block| sound.is_live(*block)) {
            let trailer = sound.store.page(block).check(block).unwrap();
            let kinds: &[u8] = &[0, 1, 2, 4, 5, 6, 255];
            let others = kinds.iter().filter(|kind| **kind != trailer.kind as u8);
            // Impossible counts, bounds, kinds, bands and levels.
            let mut forged: Vec<(usize, Vec<u8>)> = others.map(|kind| (BODY_END + 26, vec![*kind])).collect();
            forged.push((BODY_END + 20, vec![0xff, 0xff]));
            forged.push((BODY_END + 22, vec![0, 0]));
            forged.push((BODY_END + 24, vec![0xff, 0xff]));
            forged.push((BODY_END + 27, vec![trailer.band + 1]));
            forged.push((BODY_END + 28, vec![trailer.level + 1]));
            for (at, bytes) in &forged {
                let failed =
                    sound.suffer(&|store| forge(store, block, *at, bytes), &|named| named == block, &mut random);
                assert!(failed > 0, "block {block}: {bytes:?} at {at}");
            }
            // References to other pages: past the end, in a loop, to pages of another kind.
            let places: Vec<usize> = match trailer.kind {
                PageKind::Fence => vec![HEADER + trailer.count * 8, HEADER + trailer.count * 12 - 4],
                PageKind::Run => (0..trailer.count).map(|band| HEADER + band * 12).collect(),
                _ => Vec::new(),
            };
            for at in places {
                for to in [blocks, u32::MAX - 1, block, 0] {
                    let damage = |store: &Memory| forge(store, block, at, &to.to_ne_bytes());
                    let failed = sound.suffer(&damage, &|named| [block, to].contains(&named), &mut random);
                    assert!(failed > 0, "block {block} leads to {to}");
                }
            }
            // Fences that are consistent, but not with the pages below them: children swapped, a first key too low.
            if trailer.kind == PageKind::Fence && usize::from(trailer.band) < sound.layout.bands() {
                let blocks_at = HEADER + trailer.count * 8;
                let swap = |page: &mut Page| page.bytes_mut()[blocks_at..blocks_at + 8].rotate_left(4);
                let lower = |page: &mut Page| page.bytes_mut().copy_within(HEADER..HEADER + 8, HEADER + 8);
                for forge in [&swap as &dyn Fn(&mut Page), &lower] {
                    let store = sound.damaged(|store| {
                        store.damage(block, |page| {
                            forge(page);
                            page.finish();
                        });
                    });
                    let index = Index::with_layout(&store, sound.layout);
                    assert_eq!(index.check(&mut |_| ()).unwrap_err().damage, Damage::Order, "block {block}");
                }
            }
            // Damage that only the check can detect: another key, or another number of leaves.
            let place = match trailer.kind {
                PageKind::Fence | PageKind::Leaf
                    if trailer.count > 1 && sound.store.page(block).bytes()[HEADER + 8] < 0xff =>
                {
                    HEADER
                }
                PageKind::Run => HEADER + 8,
                _ => continue,
            };
            if usize::from(trailer.band) < sound.layout.bands() {
                let store = sound
                    .damaged(|store| forge(store, block, place, &[0xff; 8][..if place == HEADER { 8 } else { 4 }]));
                let index = Index::with_layout(&store, sound.layout);
                assert!(index.check(&mut |_| ()).is_err(), "block {block}");
            }
        }
    }
}

/// A fence that leads to one leaf repeatedly: no more pages are read than there are.
#[test]
fn a_forged_fence_of_one_leaf() {
    let (store, layout) = (Memory::default(), Layout::new(64, Some(1)).unwrap());
    let one = layout.pack(&[7; 8]).unwrap();
    let mut builder = IndexBuilder::new(&store, layout, 1 << 20, MemorySpool::default()).unwrap();
    (0..1500).for_each(|tid| builder.add(Some(&one), tid));
    builder.finish().unwrap();
    let is_fence = |block: &u32| store.page(*block).check(*block).unwrap().kind == PageKind::Fence;
    let fence = (1..store.blocks()).find(is_fence).unwrap();
    store.damage(fence, |page| {
        let children = BODY / 12;
        let leaf = fence - 1;
        let keys = HEADER..HEADER + children * 8;
        page.bytes_mut()[keys.clone()].chunks_exact_mut(8).for_each(|key| key.copy_from_slice(&one[0].to_ne_bytes()));
        let blocks = &mut page.bytes_mut()[keys.end..keys.end + children * 4];
        blocks.chunks_exact_mut(4).for_each(|block| block.copy_from_slice(&leaf.to_ne_bytes()));
        page.set_used(children, keys.end + children * 4, BODY_END);
        page.finish();
    });
    let found = HammingScan::new(Query { ball: Some((one, 0)), order: None }, 1 << 20)
        .next(&Index::with_layout(&store, layout));
    assert_eq!(found, Err(Corrupted { block: fence, damage: Damage::Order }));
}

#[test]
fn forged_lists() {
    let mut random = Random(9);
    for sound in layouts() {
        let (meta, blocks) = (Meta::load(&sound.store).unwrap(), sound.store.blocks());
        let others = [blocks, u32::MAX, 0, meta.runs[0].block + 1, meta.staging.hashes[0], meta.sealed.hashes[0]];
        for to in others {
            let changes: [&dyn Fn(&mut Meta); 6] = [
                &|meta| meta.runs[0].block = to,
                &|meta| meta.runs[2].block = to,
                &|meta| meta.staging.hashes[0] = to,
                &|meta| meta.staging.nulls[0] = to,
                &|meta| meta.sealed.hashes[0] = to,
                &|meta| meta.sealed.nulls[0] = to,
            ];
            for change in changes {
                let mut forged = meta.clone();
                change(&mut forged);
                if forged != meta {
                    let damage = |store: &Memory| store.damage(0, |page| forged.write(page));
                    assert!(sound.suffer(&damage, &|named| named == to, &mut random) > 0, "{to}: {forged:?}");
                }
            }
        }
        // Impossible numbers, and another layout: the only requirement is that every operation ends.
        for _ in 0..40 {
            let store = sound.damaged(|store| {
                let at = HEADER + random.below(60) as usize;
                forge(store, 0, at, &random.next().to_ne_bytes());
            });
            if let Ok(index) = Index::open(&store) {
                let query = hash(index.layout().bits() / 8, 1);
                let order = Some(OrderBy::DistanceFrom(index.layout().pack(&query).unwrap()));
                let mut scan = HammingScan::new(Query { ball: None, order }, 0);
                while let Ok(Some(_)) = scan.next(&index) {}
                let _: Result<(), Corrupted> = index.check(&mut |_| ());
                let _: Result<(), Corrupted> = index.stats().map(drop);
            }
        }
    }
}
