//! Indexes that are large for a test: trees of three levels, probes that are really taken, skew.
#![allow(clippy::unwrap_used)]

mod memory;

use lumina_index::meta::Meta;
use lumina_index::{HammingScan, Index, IndexBuilder, Layout, MemorySpool, OrderBy, PackedHash, Query, Store, cost};
use memory::rows::{Random, uniform};
use memory::{Memory, Operation};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

fn distance(a: &PackedHash, b: &PackedHash) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// A hash with up to `bits` bits flipped.
fn near(hash: &[u8], bits: u64, random: &mut Random) -> Vec<u8> {
    let mut near = hash.to_vec();
    for _ in 0..random.below(bits + 1) {
        let bit = random.below(hash.len() as u64 * 8) as usize;
        near[bit / 8] ^= 1 << (bit % 8);
    }
    near
}

/// A table and its index; the TIDs are the places.
struct Built {
    store: Memory,
    layout: Layout,
    rows: Vec<PackedHash>,
    /// Pages read so far.
    read: Arc<AtomicU64>,
}

impl Built {
    fn new(layout: Layout, hashes: &[Vec<u8>], memory: usize) -> Self {
        Self::of_rows(layout, hashes.iter().map(|hash| layout.pack(hash).unwrap()).collect(), memory)
    }

    fn of_rows(layout: Layout, rows: Vec<PackedHash>, memory: usize) -> Self {
        let mut store = Memory::default();
        let mut builder = IndexBuilder::new(&store, layout, memory, MemorySpool::default()).unwrap();
        rows.iter().enumerate().for_each(|(tid, row)| builder.add(Some(row), tid as u64));
        let built = builder.finish().unwrap();
        assert_eq!((built.entries, built.nulls, built.pages), (rows.len() as u64, 0, store.blocks()));
        let read = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&read);
        store.set_hook(Some(Box::new(move |_, operation| {
            counter.fetch_add(u64::from(matches!(operation, Operation::Read(_))), Ordering::Relaxed);
        })));
        Built { store, layout, rows, read }
    }

    fn index(&self) -> Index<'_, Memory> {
        Index::with_layout(&self.store, self.layout)
    }

    /// Every band has every row, in order.
    fn check(&self) {
        let mut seen = vec![vec![0u8; self.rows.len()]; self.layout.bands()];
        self.index()
            .check(&mut |entry| {
                let (band, tid) = (entry.band.unwrap(), entry.tid as usize);
                assert_eq!(entry.fingerprint, self.layout.fingerprint(&self.rows[tid], band));
                seen[band][tid] += 1;
            })
            .unwrap();
        assert!(seen.iter().flatten().all(|seen| *seen == 1));
    }

    /// Compares the hits within each radius. Returns for which radii bands were probed, and how many pages were read.
    fn ranges(&self, query: &[u8], radii: impl Iterator<Item = u32>, memory: usize) -> Vec<(u32, u64)> {
        let center = self.layout.pack(query).unwrap();
        let distances: Vec<u32> = self.rows.iter().map(|row| distance(row, &center)).collect();
        let meta = Meta::load(&self.store).unwrap();
        let pass = cost::range(&meta, self.layout.bits() as u32);
        assert_eq!(pass.probes, 0.0, "everything is within the width of a hash");
        let mut probed = Vec::new();
        for radius in radii {
            let work = cost::range(&meta, radius);
            let mut scan = HammingScan::new(Query { ball: Some((center, radius)), order: None }, memory);
            let before = self.read.load(Ordering::Relaxed);
            let mut found: Vec<u64> = std::iter::from_fn(|| scan.next(&self.index()).unwrap()).collect();
            let read = self.read.load(Ordering::Relaxed) - before;
            if work.probes > 0.0 {
                assert!(work.time() < pass.time());
                probed.push((radius, read));
            }
            if scan.needs_recheck(&self.layout) {
                found.retain(|tid| distances[*tid as usize] <= radius);
            }
            let expected = (0..).zip(&distances).filter(|(_, distance)| **distance <= radius).map(|(tid, _)| tid);
            assert!(found.iter().copied().eq(expected), "radius {radius}: {} found", found.len());
        }
        probed
    }

    /// Compares the first `count` nearest rows.
    fn nearest(&self, query: &[u8], count: usize, memory: usize) {
        let center = self.layout.pack(query).unwrap();
        let mut scan = HammingScan::new(Query { ball: None, order: Some(OrderBy::DistanceFrom(center)) }, memory);
        let found = std::iter::from_fn(|| scan.next(&self.index()).unwrap()).take(count);
        let found: Vec<u64> = found.collect();
        let mut expected: Vec<u32> = self.rows.iter().map(|row| distance(row, &center)).collect();
        expected.sort_unstable();
        expected.truncate(count);
        assert!(found.iter().map(|tid| distance(&self.rows[*tid as usize], &center)).eq(expected), "nearest");
        let mut once = found.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), found.len(), "each once");
    }
}

/// Many rows, some of them near one another, and queries near some of them.
fn clustered(bytes: usize, count: usize, random: &mut Random) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut hashes: Vec<Vec<u8>> = Vec::with_capacity(count);
    for _ in 0..count {
        let hash = match random.below(4) {
            0 if !hashes.is_empty() => {
                let of = random.below(hashes.len() as u64) as usize;
                near(&hashes[of], bytes as u64, random)
            }
            _ => uniform(bytes, random),
        };
        hashes.push(hash);
    }
    // One of them unchanged, and others that are near one.
    let query = |most| near(&hashes[random.below(count as u64) as usize], most, random);
    let queries = [0, bytes as u64 / 2, bytes as u64 / 2].map(query).to_vec();
    (hashes, queries)
}

#[test]
fn every_radius_where_bands_are_probed() {
    let mut random = Random(1);
    for (bits, count, sure) in [(64, 20_000, 0..3), (64, 200_000, 0..8), (256, 100_000, 0..12)] {
        let (hashes, queries) = clustered(bits / 8, count, &mut random);
        let built = Built::new(Layout::new(bits, None).unwrap(), &hashes, 1 << 30);
        built.check();
        for query in queries {
            let probed = built.ranges(&query, 0..32, 1 << 20);
            let is_probed = |radius| probed.iter().any(|(probed, _)| *probed == radius);
            assert!(sure.clone().all(is_probed), "{bits} bits, {count} rows: {probed:?}");
            let pass = cost::range(&Meta::load(&built.store).unwrap(), bits as u32).pages;
            assert!(probed.iter().all(|(_, read)| (*read as f64) < pass), "{pass} pages: {probed:?}");
            built.nearest(&query, 300, 1 << 12);
        }
    }
}

#[test]
fn trees_of_three_levels() {
    let mut random = Random(2);
    let (mut hashes, mut queries) = clustered(128, 45_000, &mut random);
    // Equal rows fill leaf after leaf, and a fence: in the middle, and at both ends.
    for (at, equal) in [vec![0; 128], vec![0xff; 128], uniform(128, &mut random)].into_iter().enumerate() {
        (0..700).for_each(|copy| hashes[copy * 50 + at] = equal.clone());
        queries.push(near(&equal, 2, &mut random));
        queries.push(equal);
    }
    let built = Built::new(Layout::new(1024, Some(1)).unwrap(), &hashes, 1 << 30);
    built.check();
    for query in &queries {
        assert_eq!(built.ranges(query, 0..3, 1 << 12).len(), 3, "all are probed");
    }
    built.nearest(&queries[0], 1000, 0);
    let done = built.index().vacuum(&mut |tid| tid.is_multiple_of(2)).unwrap();
    assert_eq!(done.kept, 22_500);
    let mut left = Vec::new();
    let all = Query { ball: None, order: None };
    HammingScan::new(all, 0).each(&built.index(), &mut |tids| left.extend_from_slice(tids)).unwrap();
    left.sort_unstable();
    assert!(left.into_iter().eq((0..45_000u64).filter(|tid| !tid.is_multiple_of(2))));
}

/// A store with slow reads is told about exactly the next reads, as far ahead as it asks for.
#[test]
fn what_is_read_next_is_prefetched() {
    let mut random = Random(14);
    for (bits, count, radius) in [(64, 200_000, 7), (256, 100_000, 12)] {
        let (hashes, queries) = clustered(bits / 8, count, &mut random);
        let mut built = Built::new(Layout::new(bits, None).unwrap(), &hashes, 1 << 30);
        let search = Query { ball: Some((built.layout.pack(&queries[1]).unwrap(), radius)), order: None };
        let found = |built: &Built| {
            let mut scan = HammingScan::new(search, 1 << 20);
            std::iter::from_fn(|| scan.next(&built.index()).unwrap()).collect::<Vec<u64>>()
        };
        let expected = found(&built);
        for ahead in [1, 16, 1000] {
            // The reads under way, their maximum, and the numbers of unannounced and announced reads.
            let state = Arc::new(Mutex::new((BTreeSet::new(), 0, 0, 0)));
            let seen = Arc::clone(&state);
            built.store.read_ahead = ahead;
            built.store.set_hook(Some(Box::new(move |_, operation| {
                let (waiting, most, unawares, promised) = &mut *seen.lock().unwrap();
                match operation {
                    Operation::Prefetch(block) => {
                        assert!(waiting.insert(block), "{block} twice");
                        *most = waiting.len().max(*most);
                    }
                    Operation::Read(block) if waiting.remove(&block) => *promised += 1,
                    Operation::Read(_) => *unawares += 1,
                    _ => {}
                }
            })));
            assert_eq!(found(&built), expected);
            let (waiting, most, unawares, promised) = &*state.lock().unwrap();
            let bands = built.layout.bands();
            assert!(waiting.is_empty() && *most <= ahead + bands, "{waiting:?}, {most} at a time");
            // Block 0, the roots, and the first page of each level of a band.
            assert!(*unawares <= 3 + bands && promised > unawares, "{bits}: {unawares} unawares, {promised} not");
        }
    }
}

/// A row of these bits.
fn row_of(bits: &[u32]) -> PackedHash {
    let mut row = PackedHash::default();
    bits.iter().for_each(|bit| row[*bit as usize / 64] |= 1 << (63 - bit % 64));
    row
}

/// Hits that one band alone leads to, each in its own bucket, adjacent to one another.
#[test]
fn buckets_next_to_one_another() {
    let mut random = Random(6);
    let mut rows: Vec<PackedHash> = (0..16).map(|bit| row_of(&[bit, 18, 23, 36, 52])).collect();
    rows.extend((0..16).map(|bit| row_of(&[3, 9, 16 + bit, 36, 52])));
    rows.extend((0..20_000).map(|_| {
        let mut row = PackedHash::default();
        row[0] = random.next() | 1 << 63 | 1 << 47;
        row
    }));
    let built = Built::of_rows(Layout::new(64, None).unwrap(), rows, 1 << 30);
    assert_eq!(built.ranges(&[0; 8], 4..7, 1 << 20)[..2].iter().map(|probed| probed.0).collect::<Vec<_>>(), [4, 5]);
}

/// The kept part of a wide hash contains all differing bits: of a coded band, whose distance is computed on decoded
/// bits, and of an uncoded one.
#[test]
fn all_that_differs_is_kept() {
    for (bytes, bands, seed) in [(17, 2, 7), (17, 2, 8), (17, 2, 9), (18, 3, 10), (18, 3, 11), (17, 5, 12), (17, 7, 13)]
    {
        let mut random = Random(seed);
        let one = uniform(bytes, &mut random);
        let hash = |at| if at % 4 == 0 { near(&one, 5, &mut random) } else { uniform(bytes, &mut random) };
        let hashes: Vec<Vec<u8>> = (0..20_000).map(hash).collect();
        let built = Built::new(Layout::new(bytes * 8, Some(bands)).unwrap(), &hashes, 1 << 30);
        built.check();
        for query in [&one, &near(&one, 3, &mut random)] {
            assert!(built.ranges(query, 0..9, 1 << 20).len() > 3);
        }
    }
}

#[test]
fn few_bands_and_many() {
    let mut random = Random(3);
    for (bits, bands) in [(64, 1), (64, 64), (128, 64), (1024, 64), (8, 1), (8, 8), (24, 3), (512, 24)] {
        let (hashes, queries) = clustered(bits / 8, if bits == 1024 { 5_000 } else { 20_000 }, &mut random);
        let built = Built::new(Layout::new(bits, Some(bands)).unwrap(), &hashes, 1 << 30);
        built.check();
        for query in &queries[..2] {
            built.ranges(query, [0, 1, 2, 5, 9, bits as u32 / 4].into_iter(), 1 << 20);
            built.nearest(query, 300, 1 << 12);
        }
    }
}

#[test]
fn skew_in_memory_and_spooled() {
    let mut random = Random(4);
    let (one, other) = (uniform(8, &mut random), uniform(8, &mut random));
    let all_equal = vec![one.clone(); 100_000];
    let two_values: Vec<_> = (0..30_000).map(|_| if random.once_in(3) { other.clone() } else { one.clone() }).collect();
    let mut many_equal = clustered(8, 25_000, &mut random).0;
    (0..5_659).for_each(|at| many_equal[at * 3] = one.clone());
    // All are near one hash: the keys are close together.
    let around_one: Vec<_> = (0..20_000).map(|_| near(&one, 6, &mut random)).collect();
    // All but the last bits are the same.
    let long_prefix: Vec<_> = (0..20_000).map(|_| [&one[..6], &uniform(2, &mut random)].concat()).collect();
    for (hashes, memory) in [
        (&all_equal, 1 << 30),
        (&all_equal, 1 << 12),
        (&two_values, 1 << 12),
        (&many_equal, 1 << 30),
        (&many_equal, 1 << 14),
        (&around_one, 1 << 30),
        (&long_prefix, 1 << 13),
    ] {
        let built = Built::new(Layout::new(64, None).unwrap(), hashes, memory);
        built.check();
        for query in [&one, &other, &near(&one, 6, &mut random)] {
            built.ranges(query, [0, 1, 2, 3, 5, 6, 20].into_iter(), 1 << 18);
            built.nearest(query, 10_000, 1 << 16);
        }
        built.nearest(&one, hashes.len(), 1 << 20);
    }
}
