//! How many instructions of lanes the interpreter runs in a second of a processor, kernel by kernel, with and without
//! looking for races. The time is that of the thread, so that other programs do not count.

#![allow(clippy::unwrap_used, reason = "a bench may fail")]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Bytes, Output, banded_ptx, hashes, popc, popc_ptx};
use lumina_ptx::{Memory, Module, Options, launch};

fn main() {
    let (Some(popc_text), Some(banded_text)) = (popc_ptx(), banded_ptx()) else { return };
    let start = seconds();
    let (plain, matrix) = (Module::parse(&popc_text).unwrap(), Module::parse(&banded_text).unwrap());
    println!("parsing {} bytes: {:.3} s", popc_text.len() + banded_text.len(), seconds() - start);
    for checks_races in [false, true] {
        println!("{}", if checks_races { "with races looked for" } else { "without" });
        let options = Options { checks_races, ..Options::default() };
        for words in [1, 4] {
            let (n, mut memory) = (2048, Memory::new());
            let hash = memory.allocate_with(&hashes(n, words, 5, 1)[..].bytes());
            let p = popc::Params { hash, n: n as u32, tile_count: 36, radius: 5, ..popc::Params::default() };
            let start = seconds();
            let kernel = format!("hd_brute_w{words}");
            let stats = popc::launch_popc(&plain, &kernel, 8, p, &mut memory, (100_000, &options)).unwrap().2;
            report(&kernel, n, start, stats.lane_instructions);
        }
        for kernel in ["b1_w1", "b1_w2", "b1_w4", "s8_w1"] {
            let words = kernel[4..].parse::<usize>().unwrap();
            let (n, mut memory) = (2048, Memory::new());
            let mut list = hashes(n, words, 5, 1);
            list.resize((n + 1024) * words, 0);
            let hash = memory.allocate_with(&list[..].bytes());
            let out = Output::new(&mut memory, 100_000);
            let mut params = [hash, 0, 0, out.pair, out.distance, out.counter, out.capacity as u64][..].bytes();
            params.extend([n as u32, 5, 0, 512][..].bytes());
            let start = seconds();
            let grid = [n.div_ceil(512) as u32, n.div_ceil(256) as u32, 1];
            let entry = matrix.entry(kernel).unwrap();
            let stats = launch(entry, grid, [128, 1, 1], &params, &mut memory, &options).unwrap();
            report(kernel, n, start, stats.lane_instructions);
        }
    }
}

/// Seconds that this thread has had a processor.
fn seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn report(kernel: &str, n: usize, start: f64, instructions: u64) {
    let seconds = seconds() - start;
    let (rate, pairs) = (instructions as f64 / seconds / 1e6, (n * n / 2) as f64 / seconds / 1e6);
    println!("{kernel:12} n = {n}: {seconds:.3} s, {rate:.0} M lane instructions/s, {pairs:.1} M pairs/s");
}
