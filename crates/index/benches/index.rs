//! Duration of searches, builds, inserts and merges without a database: by set, size and radius. `cargo bench -p
//! lumina-index [-- NAME]`. Half the queries are existing hashes with up to r bits flipped, half are random.
#![allow(missing_docs, clippy::expect_used)]

use lumina_index::meta::Meta;
use lumina_index::{
    HammingScan, Index, IndexBuilder, Layout, MaintenanceLock, MemorySpool, OrderBy, PackedHash, Page, Query, Store,
    Tails, cost,
};
use std::cell::RefCell;
use std::time::Instant;

/// A store of pages in memory.
#[derive(Default)]
struct Plain {
    pages: RefCell<Vec<Page>>,
    free: RefCell<Vec<u32>>,
}

impl Store for Plain {
    fn blocks(&self) -> u32 {
        self.pages.borrow().len() as u32
    }

    fn read<R>(&self, block: u32, look: impl FnOnce(&Page) -> R) -> R {
        look(&self.pages.borrow()[block as usize])
    }

    fn change<R>(&self, blocks: &[u32], change: impl FnOnce(&mut [&mut Page]) -> Option<R>) -> Option<R> {
        let mut copies: Vec<Page> = blocks.iter().map(|block| self.pages.borrow()[*block as usize].clone()).collect();
        let result = change(&mut copies.iter_mut().collect::<Vec<_>>())?;
        for (block, page) in blocks.iter().zip(copies) {
            self.pages.borrow_mut()[*block as usize] = page;
        }
        Some(result)
    }

    fn extend(&self) -> u32 {
        self.pages.borrow_mut().push(Page::default());
        self.blocks() - 1
    }

    fn take_free(&self) -> Option<u32> {
        self.free.borrow_mut().pop()
    }

    fn record_free(&self, blocks: &[u32]) {
        self.free.borrow_mut().extend_from_slice(blocks);
    }

    fn with_lock<R>(&self, _lock: MaintenanceLock, _wait: bool, work: impl FnOnce() -> R) -> Option<R> {
        Some(work())
    }

    fn horizon(&self) -> u64 {
        1
    }

    fn older_scans_have_ended(&self, _horizon: u64) -> bool {
        true
    }

    fn check_for_interrupts(&self) {}

    fn no_memory(&self) -> ! {
        panic!("out of memory")
    }
}

/// Name, words, rows, radii.
type Set = (&'static str, usize, usize, &'static [u32]);

const SETS: &[Set] = &[
    ("uniform64", 1, 10_000, &[0, 2, 5, 8, 10, 16]),
    ("uniform64", 1, 100_000, &[0, 2, 5, 8, 10, 16]),
    ("uniform64", 1, 1_000_000, &[0, 2, 5, 8, 10, 12, 16]),
    ("photo64", 1, 1_000_000, &[0, 2, 5, 8, 10, 12, 16]),
    ("uniform256", 4, 1_000_000, &[0, 10, 20, 31, 40]),
    ("uniform64", 1, 10_000_000, &[0, 2, 5, 8, 10, 16]),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = arguments.first().cloned().unwrap_or_default();
    for set in SETS.iter().filter(|(name, _, count, _)| format!("{name}-{count}").contains(&wanted)) {
        measure(set);
    }
}

fn measure(&(name, words, count, radii): &Set) {
    let planes = match name {
        "photo64" => lumina_sets::photo(count, 1),
        _ => lumina_sets::uniform(words, count, if words == 1 { 6 } else { 31 }, 1),
    };
    let hash = |row: usize| -> Vec<u8> { (0..words).flat_map(|p| planes[p * count + row].to_be_bytes()).collect() };
    let layout = Layout::new(words * 64, None).expect("a layout");
    let row = |hash: &[u8]| layout.pack(hash).expect("of this width");

    let store = Plain::default();
    let start = Instant::now();
    let mut builder = IndexBuilder::new(&store, layout, 1 << 30, MemorySpool::default()).expect("a builder");
    for at in 0..count {
        builder.add(Some(&row(&hash(at))), at as u64 + 1);
    }
    let built = builder.finish().expect("an index");
    let bytes = f64::from(built.pages) * 8192.0 / count as f64;
    println!("\n{name} {count}: build {:.2} s, {bytes:.1} bytes a row", start.elapsed().as_secs_f64());
    let index = Index::open(&store).expect("an index");
    searches(&index, &hash, radii, count, "one run");
    if count > 1_000_000 {
        return;
    }

    // A tenth more rows, in the runs that inserts leave.
    let mut tails = Tails::default();
    let mut slowest = std::time::Duration::ZERO;
    let start = Instant::now();
    for at in 0..count / 4 {
        let mut value = hash(at);
        value.rotate_left(1);
        let begun = Instant::now();
        index.insert(&mut tails, Some(&row(&value)), (count + at) as u64 + 1).expect("inserted");
        slowest = slowest.max(begun.elapsed());
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / (count / 4) as f64;
    let stats = index.stats().expect("stats");
    println!(
        "{name} {count}: insert {each:.2} µs, slowest {slowest:.1?}, {} runs, {} staging pages",
        stats.runs.len(),
        stats.staging_pages
    );
    searches(&index, &hash, radii, count, "with inserts");
    let start = Instant::now();
    index.compact().expect("compact");
    println!("{name} {count}: compact {:.2} s", start.elapsed().as_secs_f64());
}

fn searches(index: &Index<'_, Plain>, hash: &dyn Fn(usize) -> Vec<u8>, radii: &[u32], count: usize, what: &str) {
    let meta = Meta::load(index.store()).expect("block 0");
    let queries = |radius: u32| -> Vec<PackedHash> {
        let mut state = 7u64;
        let mut next = move || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            state ^ state >> 29
        };
        let query = |at: usize| {
            let mut value = hash(next() as usize % count);
            let bits = value.len() as u64 * 8;
            if at.is_multiple_of(2) {
                value.chunks_mut(8).for_each(|word| word.copy_from_slice(&next().to_be_bytes()));
            } else {
                for _ in 0..next() % u64::from(radius + 1) {
                    let bit = next() % bits;
                    value[bit as usize / 8] ^= 1 << (bit % 8);
                }
            }
            index.layout().pack(&value).expect("of this width")
        };
        (0..if count > 1_000_000 { 50 } else { 200 }).map(query).collect()
    };
    let time = |radius: u32, search: &dyn Fn(PackedHash) -> usize| {
        let queries = queries(radius);
        let mut hits = 0;
        let mut times: Vec<f64> = queries
            .into_iter()
            .map(|query| {
                let start = Instant::now();
                hits += search(query);
                start.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        times.sort_by(f64::total_cmp);
        (times[times.len() / 2], times[times.len() * 99 / 100], hits as f64 / times.len() as f64)
    };
    for &radius in radii {
        let (median, slow, hits) = time(radius, &|query| {
            let mut scan = HammingScan::new(Query { ball: Some((query, radius)), order: None }, 4 << 20);
            std::iter::from_fn(|| scan.next(index).expect("found")).count()
        });
        let work = cost::range(&meta, radius);
        println!(
            "  {what}: r = {radius}: {median:.1} µs, p99 {slow:.1} µs, {hits:.1} hits; expected {:.1} µs, {:.0} pages",
            work.time() / 1e3,
            work.pages
        );
    }
    let (median, slow, _) = time(5, &|query| {
        let mut scan = HammingScan::new(Query { ball: None, order: Some(OrderBy::DistanceFrom(query)) }, 4 << 20);
        std::iter::from_fn(|| scan.next(index).expect("found")).take(10).count()
    });
    println!(
        "  {what}: nearest 10: {median:.1} µs, p99 {slow:.1} µs; expected {:.1} µs",
        cost::nearest(&meta).time() / 1e3
    );
}
