//! How long the kernels take: one to one by width, one to many by width and instruction set. `cargo bench -p
//! lumina-hash`.
#![allow(missing_docs)]

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use lumina_hash::kernel::{BlockJoin, InstructionSet, JoinColumn, Kernels, PADDING, Planes};

fn main() {
    divan::main();
}

fn random_words(count: usize) -> Vec<u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..count).map(step).collect()
}

fn kernels() -> impl Iterator<Item = &'static str> {
    InstructionSet::ALL.iter().filter(|set| set.kernels().is_some()).map(|set| match set {
        InstructionSet::Avx512 => "avx512",
        InstructionSet::Avx2 => "avx2",
        InstructionSet::Neon => "neon",
        InstructionSet::Portable => "portable",
    })
}

fn by_name(name: &str) -> Kernels {
    let set = match name {
        "avx512" => InstructionSet::Avx512,
        "avx2" => InstructionSet::Avx2,
        "neon" => InstructionSet::Neon,
        _ => InstructionSet::Portable,
    };
    set.kernels().unwrap_or(*Kernels::best())
}

/// A million rows, and a radius that finds next to nothing, like a scan of a table's hashes.
#[divan::bench(args = kernels(), consts = [64, 128, 192, 256, 1024])]
fn within<const BITS: usize>(bencher: Bencher, name: &str) {
    let words = BITS / 64;
    let rows = random_words(1_000_000 * words);
    let kernels = by_name(name);
    let query = random_words(words + 1)[1..].to_vec();
    let mut hits = Vec::new();
    bencher.counter(ItemsCount::new(1_000_000usize)).bench_local(|| {
        hits.clear();
        kernels.within(black_box(&query), black_box(&rows), BITS as u32 / 12, &mut hits);
        hits.len()
    });
}

#[divan::bench(args = [8, 16, 32, 64, 128, 512])]
fn distance(bencher: Bencher, bytes: usize) {
    let (a, b) = (vec![0x5a; bytes], vec![0xc3; bytes]);
    bencher.bench(|| lumina_hash::distance(black_box(&a), black_box(&b)));
}

/// A block of rows against another: the inner loop of bulk search. Small blocks are its buckets, large ones brute
/// force.
#[divan::bench(args = [8, 16, 32, 64, 256, 2048], consts = [64, 256, 1024])]
fn join<const BITS: usize>(bencher: Bencher, rows: usize) {
    let words = random_words(BITS / 64 * (2 * rows + PADDING));
    let planes = Planes { words: &words, stride: 2 * rows + PADDING };
    let columns = [JoinColumn { first: 0, planes: BITS / 64, radius: 5 * BITS as u32 / 64 }];
    let (left_rows, right_rows) = (0..rows, rows..2 * rows);
    let join = BlockJoin { left: planes, left_rows, right: planes, right_rows, columns: &columns, ascending: false };
    let mut pairs = Vec::with_capacity(1 << 20);
    bencher.counter(ItemsCount::new(rows * rows)).bench_local(|| {
        pairs.clear();
        Kernels::best().join(black_box(&join), &mut pairs)
    });
}
