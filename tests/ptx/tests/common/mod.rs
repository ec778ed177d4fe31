//! What the tests of kernels share: compiling samples, making hashes, the oracle, parameters as bytes.
//!
//! Samples are compiled by clang 14, without any header but their own; without it a test says that it is skipped.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(dead_code, reason = "each test program uses a part")]

use lumina_ptx::{Entry, Fault, Memory, Module, Options, Order, Stats, launch};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The PTX of `tests/samples/<name>`, or nothing where there is no clang 14.
pub(crate) fn compile(name: &str, target: &str, version: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("sample.ptx");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name);
    let mut clang = Command::new("clang-14");
    clang.args(["-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "-std=c++17", "-O3", "-S"]);
    clang.arg(format!("--cuda-gpu-arch={target}"));
    clang.args(["-Xclang", "-target-feature", "-Xclang"]).arg(format!("+{version}"));
    let status = match clang.arg(source).arg("-o").arg(&output).status() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("skipped: clang-14 cannot be run ({error})");
            return None;
        }
    };
    assert!(status.success(), "{name} does not compile");
    Some(std::fs::read_to_string(output).unwrap())
}

/// The sample with POPC, shared memory and barriers.
pub(crate) fn popc_ptx() -> Option<String> {
    compile("popc.cu", "sm_75", "ptx63")
}

/// The samples with matrix instructions and with bands.
pub(crate) fn banded_ptx() -> Option<String> {
    compile("banded.cu", "sm_80", "ptx71")
}

/// `count` hashes of `words` words; many are near copies of others.
pub(crate) fn hashes(count: usize, words: usize, radius: u32, seed: u64) -> Vec<u64> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut list: Vec<u64> = (0..count * words).map(|_| random.u64(..)).collect();
    for i in 1..count {
        if random.u32(..3) == 0 {
            let from = random.usize(..i);
            list.copy_within(from * words..(from + 1) * words, i * words);
            for _ in 0..random.u32(..radius + 3) {
                let bit = random.usize(..64 * words);
                list[i * words + bit / 64] ^= 1 << (bit % 64);
            }
        }
    }
    list
}

/// A pair, the smaller number in the high half, with its distance.
pub(crate) type Pairs = BTreeMap<u64, u16>;

/// Pairs by definition: those within `radius` that `also` takes.
pub(crate) fn pairs(hashes: &[u64], words: usize, radius: u32, also: impl Fn(&[u64], &[u64]) -> bool) -> Pairs {
    let rows: Vec<&[u64]> = hashes.chunks(words).collect();
    let mut found = Pairs::new();
    for (i, a) in rows.iter().enumerate() {
        for (j, b) in rows.iter().enumerate().skip(i + 1) {
            let distance: u32 = a.iter().zip(*b).map(|(x, y)| (x ^ y).count_ones()).sum();
            if distance <= radius && also(a, b) {
                found.insert((i as u64) << 32 | j as u64, distance as u16);
            }
        }
    }
    found
}

/// Numbers as bytes, little-endian.
pub(crate) trait Bytes {
    fn bytes(&self) -> Vec<u8>;
}

impl Bytes for [u64] {
    fn bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|value| value.to_le_bytes()).collect()
    }
}

impl Bytes for [u32] {
    fn bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|value| value.to_le_bytes()).collect()
    }
}

impl Bytes for [u16] {
    fn bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|value| value.to_le_bytes()).collect()
    }
}

/// Reads `count` numbers of 64 bits.
pub(crate) fn read_u64(memory: &Memory, address: u64, count: usize) -> Vec<u64> {
    let bytes = memory.read(address, count * 8).unwrap();
    bytes.chunks(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap())).collect()
}

/// Reads `count` numbers of 32 bits.
pub(crate) fn read_u32(memory: &Memory, address: u64, count: usize) -> Vec<u32> {
    let bytes = memory.read(address, count * 4).unwrap();
    bytes.chunks(4).map(|chunk| u32::from_le_bytes(chunk.try_into().unwrap())).collect()
}

/// Reads `count` numbers of 16 bits.
pub(crate) fn read_u16(memory: &Memory, address: u64, count: usize) -> Vec<u16> {
    let bytes = memory.read(address, count * 2).unwrap();
    bytes.chunks(2).map(|chunk| u16::from_le_bytes(chunk.try_into().unwrap())).collect()
}

/// Where a kernel writes pairs.
pub(crate) struct Output {
    pub(crate) pair: u64,
    pub(crate) distance: u64,
    pub(crate) counter: u64,
    pub(crate) capacity: usize,
}

impl Output {
    pub(crate) fn new(memory: &mut Memory, capacity: usize) -> Self {
        let (pair, distance) = (memory.allocate(capacity * 8), memory.allocate(capacity * 2));
        let counter = memory.allocate_with(&[0u64][..].bytes());
        Self { pair, distance, counter, capacity }
    }

    /// All pairs found, and those that were written; a pair written twice is an error.
    pub(crate) fn read(&self, memory: &Memory) -> Result<(usize, Pairs), String> {
        let count = read_u64(memory, self.counter, 1)[0] as usize;
        let written = count.min(self.capacity);
        if !memory.is_written(self.pair, written * 8) || !memory.is_written(self.distance, written * 2) {
            return Err(format!("{count} pairs are counted, and not all of them written"));
        }
        let mut found = Pairs::new();
        let distances = read_u16(memory, self.distance, written);
        for (pair, distance) in read_u64(memory, self.pair, written).into_iter().zip(distances) {
            if found.insert(pair, distance).is_some() {
                return Err(format!("pair {pair:#x} is written twice"));
            }
        }
        Ok((count, found))
    }
}

/// The orders that kernels are run in.
pub(crate) const ORDERS: [Order; 4] = [Order::Forward, Order::Reversed, Order::Shuffled(1), Order::Shuffled(2)];

/// Launches with a block and a grid along x.
pub(crate) fn run(
    module: &Module,
    name: &str,
    (blocks, threads): (usize, usize),
    params: &[u8],
    memory: &mut Memory,
    options: &Options,
) -> Result<Stats, Fault> {
    let entry: &Entry = module.entry(name).unwrap();
    launch(entry, [blocks as u32, 1, 1], [threads as u32, 1, 1], params, memory, options)
}

pub(crate) mod banded;
pub(crate) mod matrix;
pub(crate) mod popc;
pub(crate) mod written;
