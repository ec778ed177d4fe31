//! How many lane instructions the interpreter runs per CPU second, kernel by kernel, with and without race detection.
//! The time is the thread's CPU time, so that other programs do not count.

#![allow(clippy::unwrap_used, reason = "a bench may fail")]

#[path = "../tests/common/mod.rs"]
mod common;

use common::brute::{self, Cut};
use common::sets::{Room, Sets};
use lumina_ptx::{Module, Options};

/// Rows that are compared with each other.
const ROWS: usize = 2048;

fn main() {
    let texts = [lumina_gpu::BRUTE_B1, lumina_gpu::BRUTE_S8, lumina_gpu::BRUTE_POPC];
    let start = seconds();
    let [b1, s8, popc] = texts.map(|text| Module::parse(text).unwrap());
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    println!("parsing {bytes} bytes: {:.3} s", seconds() - start);
    let kernels = [
        (&popc, "brute_popc_64", 1),
        (&popc, "brute_popc_256", 4),
        (&b1, "brute_b1_64", 1),
        (&b1, "brute_b1_128", 2),
        (&b1, "brute_ones_256", 4),
        (&s8, "brute_s8_64", 1),
    ];
    for checks_races in [false, true] {
        println!("{}", if checks_races { "with races looked for" } else { "without" });
        let options = Options { checks_races, ..Options::default() };
        for (module, kernel, words) in kernels {
            let sets = Sets::new(&[(words, 5)], 0, (ROWS, None), 1);
            let cut = (Room::All, Cut { segment: 512, is_sliced: false });
            let start = seconds();
            let stats = brute::search(module, kernel, &sets, cut, &options).unwrap();
            report(kernel, start, stats.lane_instructions);
        }
    }
}

/// Seconds that this thread has had a processor.
fn seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn report(kernel: &str, start: f64, instructions: u64) {
    let seconds = seconds() - start;
    let (rate, pairs) = (instructions as f64 / seconds / 1e6, (ROWS * ROWS / 2) as f64 / seconds / 1e6);
    println!("{kernel:15} n = {ROWS}: {seconds:.3} s, {rate:.0} M lane instructions/s, {pairs:.1} M pairs/s");
}
