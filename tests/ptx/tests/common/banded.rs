//! Runs the kernels of `samples/banded.cu` (sort by a band, probe) and compares with the oracle.

use super::*;

/// `width` bits of a word, from bit `start` of word `word` on, counted from the most significant.
#[derive(Clone, Copy)]
struct Band {
    word: u32,
    start: u32,
    width: u32,
    tolerance: u32,
}

/// Bands of at most `widest` bits that cover `radius` exactly.
fn plan(words: usize, radius: u32, count: u32, widest: u32) -> Vec<Band> {
    let (bits, slots) = (64 * words as u32, radius + 1);
    let mut start = 0;
    let mut bands = Vec::new();
    for band in 0..count {
        let width = bits / count + u32::from(band < bits % count);
        let share = slots / count + u32::from(band < slots % count);
        if share > 0 {
            bands.push(Band { word: start / 64, start: start % 64, width: width.min(widest), tolerance: share - 1 });
        }
        start += width;
    }
    bands
}

/// Joins `n` hashes by `count` bands.
pub(crate) fn join(
    module: &Module,
    words: usize,
    (n, radius): (usize, u32),
    (count, widest): (u32, u32),
    options: &Options,
) -> Result<(), String> {
    let list = hashes(n, words, radius, 5);
    let want = pairs(&list, words, radius, |_, _| true);
    let bands = plan(words, radius, count, widest);
    let mut memory = Memory::new();
    let hash = memory.allocate_with(&list[..].bytes());
    let fields: Vec<u32> = bands.iter().flat_map(|b| [b.word, b.start, b.width, b.tolerance]).collect();
    let earlier = memory.allocate_with(&fields[..].bytes());
    let out = Output::new(&mut memory, want.len() + 8);
    for (number, band) in bands.iter().enumerate() {
        let buckets = 1usize << band.width;
        let blocks = buckets.div_ceil(4096);
        let counts = memory.allocate_with(&vec![0; blocks * 4096 * 4]);
        let (sums, starts) = (memory.allocate(blocks * 4), memory.allocate((blocks * 4096 + 1) * 4));
        let (rank, id) = (memory.allocate(n * 4), memory.allocate(n * 4));
        let sorted = memory.allocate_with(&vec![0; (n + 8) * words * 8]);
        let flips: Vec<u32> = (0..buckets as u32).filter(|mask| mask.count_ones() <= band.tolerance).collect();
        let flip_list = memory.allocate_with(&flips[..].bytes());
        let pointers = [hash, counts, sums, starts, rank, sorted, id, flip_list, earlier];
        let mut params =
            [&pointers[..], &[out.pair, out.distance, out.counter, out.capacity as u64]].concat()[..].bytes();
        params.extend([n as u32, flips.len() as u32, number as u32, radius][..].bytes());
        params.extend([band.word, band.start, band.width, band.tolerance][..].bytes());
        let mut step = |name: &str, shape, params: &[u8]| {
            run(module, name, shape, params, &mut memory, options).map(drop).map_err(|fault| fault.to_string())
        };
        let all = n.div_ceil(256);
        step(&format!("count_w{words}"), (all, 256), &params)?;
        step("bj_scan_sums", (blocks, 1024), &[counts, sums][..].bytes())?;
        step("bj_scan_blocks", (1, 1024), &[&[sums][..].bytes()[..], &[blocks as u32][..].bytes()].concat())?;
        let tail = [buckets as u32, n as u32][..].bytes();
        step("bj_scan_starts", (blocks, 1024), &[&[counts, sums, starts][..].bytes()[..], &tail].concat())?;
        step(&format!("scatter_w{words}"), (all, 256), &params)?;
        step(&format!("probe_w{words}"), (all, 256), &params)?;
    }
    let (found_count, found) = out.read(&memory)?;
    if found_count == want.len() && found == want {
        Ok(())
    } else {
        Err(format!("banded, {words} words, n = {n}: {found_count} pairs, not {}", want.len()))
    }
}
