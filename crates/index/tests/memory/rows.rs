//! Expected rows: the results of every search, by brute force.

use super::Memory;
use lumina_index::{HammingScan, Index, Layout, OrderBy, PackedHash, Query};
use std::collections::{BTreeMap, BTreeSet};

/// A table: TIDs with their hashes.
pub type Table = BTreeMap<u64, Option<Vec<u8>>>;

/// Deterministic random numbers: SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// Uniformly random bytes.
pub fn uniform(bytes: usize, random: &mut Random) -> Vec<u8> {
    (0..bytes).map(|_| random.next() as u8).collect()
}

pub fn distance(a: &[u8], b: &[u8]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// Hashes as skewed as those of photographs: copies of few values with flipped bits, and unique values.
pub fn hash(bytes: usize, random: u64) -> Vec<u8> {
    let mut of_few = Random(random % 7);
    let mut hash: Vec<u8> = (0..bytes).map(|_| of_few.next() as u8).collect();
    if random.is_multiple_of(3) {
        let mut own = Random(random);
        hash.iter_mut().for_each(|byte| *byte ^= own.next() as u8);
    } else {
        for flip in 0..random % 6 {
            let bit = (random >> (flip * 9)) as usize % (bytes * 8);
            hash[bit / 8] ^= 1 << (bit % 8);
        }
    }
    hash
}

/// A random hash, or NULL.
pub fn value(bytes: usize, random: u64) -> Option<Vec<u8>> {
    (!random.is_multiple_of(11)).then(|| hash(bytes, random))
}

pub fn row(layout: &Layout, value: &Option<Vec<u8>>) -> Option<PackedHash> {
    value.as_ref().map(|hash| layout.pack(hash).unwrap())
}

pub fn all(mut scan: HammingScan, index: &Index<'_, Memory>) -> Vec<u64> {
    std::iter::from_fn(|| scan.next(index).unwrap()).collect()
}

/// The expected result: rows that must be found, once each, and others that may be.
#[derive(Clone, Copy)]
pub struct Expected<'t> {
    pub must: &'t Table,
    pub may: &'t Table,
}

/// No rows.
pub static NONE: Table = Table::new();

impl<'t> Expected<'t> {
    /// Exactly these rows.
    pub fn only(must: &'t Table) -> Self {
        Expected { must, may: &NONE }
    }

    fn hash(&self, tid: u64) -> Option<&'t [u8]> {
        let value = self.must.get(&tid).or_else(|| self.may.get(&tid));
        value.unwrap_or_else(|| panic!("{tid} must not be found")).as_deref()
    }

    /// Compares the found rows with the required ones: each once, and all that `want`.
    fn compare(&self, found: &[u64], what: &str, want: impl Fn(&Option<Vec<u8>>) -> bool) {
        let mut sorted = found.to_vec();
        sorted.sort_unstable();
        assert!(sorted.is_sorted_by(|a, b| a < b), "{what}: something twice");
        sorted.retain(|tid| self.must.contains_key(tid));
        let expected: Vec<u64> = self.must.iter().filter(|(_, value)| want(value)).map(|(tid, _)| *tid).collect();
        if sorted != expected {
            let [of_found, of_expected] = [&sorted, &expected].map(|tids| tids.iter().collect::<BTreeSet<_>>());
            let missing: Vec<_> = of_expected.difference(&of_found).take(9).collect();
            let wrong: Vec<_> = of_found.difference(&of_expected).take(9).collect();
            panic!("{what}: {} of {}, missing: {missing:?}, wrong: {wrong:?}", sorted.len(), expected.len());
        }
    }

    /// Everything within `radius`, ordered by TID and unordered.
    pub fn range(&self, index: &Index<'_, Memory>, query: &[u8], radius: u32, memory: usize) {
        let search = Query { ball: Some((index.layout().pack(query).unwrap(), radius)), order: None };
        let found = all(HammingScan::new(search, memory), index);
        self.found_in_range(index.layout(), query, radius, &found);
        assert!(found.is_sorted(), "range {radius}: TIDs rise");
        let mut streamed = Vec::new();
        HammingScan::new(search, memory).each(index, &mut |tids| streamed.extend_from_slice(tids)).unwrap();
        streamed.sort_unstable();
        streamed.dedup();
        self.found_in_range(index.layout(), query, radius, &streamed);
    }

    pub fn found_in_range(&self, layout: &Layout, query: &[u8], radius: u32, found: &[u64]) {
        let needs_recheck =
            HammingScan::new(Query { ball: Some(([0; _], radius)), order: None }, 0).needs_recheck(layout);
        let within = |value: &[u8]| distance(value, query) <= radius;
        let mut found = found.to_vec();
        found.retain(|tid| {
            let is_within = self.hash(*tid).is_some_and(within);
            assert!(is_within || needs_recheck, "range {radius}: {tid} is farther");
            is_within
        });
        self.compare(&found, &format!("range {radius}"), |value| value.as_deref().is_some_and(within));
    }

    /// Everything, the nearest first.
    pub fn nearest(&self, index: &Index<'_, Memory>, query: &[u8], memory: usize) {
        let search = Query { ball: None, order: Some(OrderBy::DistanceFrom(index.layout().pack(query).unwrap())) };
        let found = all(HammingScan::new(search, memory), index);
        self.found_nearest(query, &found, u32::MAX);
    }

    /// A part of it, up to a distance that no earlier hit exceeds.
    pub fn found_nearest(&self, query: &[u8], found: &[u64], up_to: u32) {
        let key = |tid: u64| self.hash(tid).map_or(u32::MAX, |hash| distance(hash, query));
        assert!(found.is_sorted_by_key(|tid| key(*tid)), "never nearer than before");
        let is_near = |value: &Option<Vec<u8>>| value.as_ref().map_or(u32::MAX, |hash| distance(hash, query)) <= up_to;
        let near: Vec<u64> = found.iter().copied().filter(|tid| key(*tid) <= up_to).collect();
        self.compare(&near, "nearest", is_near);
    }

    /// Every kind of search around a hash: within radii, the nearest, in a ball by another centre, everything.
    pub fn searches(&self, index: &Index<'_, Memory>, query: &[u8], radii: &[u32], memory: usize) {
        let layout = index.layout();
        let center = layout.pack(query).unwrap();
        for radius in radii.iter().map(|radius| (*radius).min(layout.bits() as u32)) {
            self.range(index, query, radius, memory);
            let within = |value: &Option<Vec<u8>>| value.as_ref().is_some_and(|hash| distance(hash, query) <= radius);
            for flip in [0, 0x11] {
                let other: Vec<u8> = query.iter().map(|byte| byte ^ flip).collect();
                let order = Some(OrderBy::DistanceFrom(layout.pack(&other).unwrap()));
                let found = all(HammingScan::new(Query { ball: Some((center, radius)), order }, memory), index);
                assert!(found.is_sorted_by_key(|tid| distance(self.hash(*tid).unwrap(), &other)), "by another");
                self.compare(&found, &format!("ball {radius}"), within);
                let farther = found.iter().find(|tid| distance(self.hash(**tid).unwrap(), query) > radius);
                assert_eq!(farther, None, "ball {radius}");
            }
        }
        self.nearest(index, query, memory);
        self.everything(index, memory);
    }

    /// Without a query, and with a query of NULL.
    pub fn everything(&self, index: &Index<'_, Memory>, memory: usize) {
        let found = all(HammingScan::new(Query { ball: None, order: None }, memory), index);
        self.compare(&found, "every hash", Option::is_some);
        let found = all(HammingScan::new(Query { ball: None, order: Some(OrderBy::Null) }, memory), index);
        self.compare(&found, "every row", |_| true);
    }

    /// The check finds no error, and reports every band of every required row, right and once.
    pub fn check(&self, index: &Index<'_, Memory>) {
        let layout = index.layout();
        let mut seen = vec![Vec::new(); layout.bands() + 1];
        let shown = index.check(&mut |entry| {
            let row = self.hash(entry.tid).map(|hash| layout.pack(hash).unwrap());
            let in_band = |band| row.map_or(0, |row| layout.fingerprint(&row, band));
            assert_eq!(row.is_none(), entry.band == Some(layout.null_band()), "NULLs have a list of their own");
            assert_eq!(entry.fingerprint, in_band(entry.band.unwrap_or(0)), "{entry:?}");
            match entry.band {
                Some(band) => seen[band].push(entry.tid),
                None => seen[..layout.bands()].iter_mut().for_each(|seen| seen.push(entry.tid)),
            }
        });
        shown.unwrap();
        for (band, seen) in seen.iter().enumerate() {
            let is_null = band == layout.null_band();
            self.compare(seen, &format!("band {band}"), |value| value.is_none() == is_null);
        }
    }

    /// No page is lost: each block is either in use by block 0's lists, or free.
    pub fn space(&self, index: &Index<'_, Memory>) {
        let stats = index.stats().unwrap();
        let used = 1 + stats.staging_pages + stats.runs.iter().map(|run| run.pages as usize).sum::<usize>();
        assert_eq!(used + stats.free_pages as usize, stats.pages as usize, "{stats:?}");
    }
}
