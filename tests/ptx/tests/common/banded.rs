//! Runs the kernels of the banded join, the sort by a band and the probe, and compares with the oracle.

use super::sets::{Loaded, Room, Sets, allocate_places};
use super::*;
use lumina_gpu::params::{BAND_THREADS, Band, BandProbe, BandSort, SCAN_COUNTS, SCAN_THREADS};

/// A set sorted by a band.
#[derive(Clone, Copy)]
struct Sorted {
    hashes: u64,
    /// The row in each place.
    rows: u64,
    /// The start of each bucket.
    starts: u64,
}

/// `count` bands of at most `widest` bits, which may reach into the next word: hashes within the radius are near in one
/// of them.
pub(crate) fn plan(sets: &Sets, (count, widest): (u32, u32)) -> Vec<Band> {
    let (bits, slots) = (64 * sets.words() as u32, sets.radius() + 1);
    let mut start = 0;
    let mut bands = Vec::new();
    for band in 0..count {
        let width = bits / count + u32::from(band < bits % count);
        let share = slots / count + u32::from(band < slots % count);
        if share > 0 {
            let width = width.min(widest);
            bands.push(Band { word: start / 64, start: start % 64, width, tolerance: share - 1 });
        }
        start += width;
    }
    bands
}

/// Searches the sets by the bands, and reports errors of the result. `is_sliced`: a launch does one block of left
/// places by a window of right ones, instead of all.
pub(crate) fn join(
    module: &Module,
    sets: &Sets,
    bands: &[Band],
    (room, is_sliced): (Room, bool),
    options: &Options,
) -> Result<(), String> {
    let width = match sets.words() {
        1 => "64",
        2 => "128",
        4 => "256",
        _ => "any",
    };
    let mut loaded = Loaded::new(sets, room);
    let earlier = loaded.memory.allocate_with(&bytes(bands));
    for (number, band) in bands.iter().enumerate() {
        let mut sort = |hashes: u64, n: usize| {
            sort_by_band(module, width, &mut loaded.memory, (hashes, n, sets.words()), *band, options)
        };
        let left = sort(loaded.left, sets.n_left)?;
        let right = if sets.one_set { left } else { sort(loaded.right, sets.n_right)? };
        let flips: Vec<u32> = (0..1 << band.width).filter(|mask: &u32| mask.count_ones() <= band.tolerance).collect();
        let flip_list = loaded.memory.allocate_with(&bytes(&flips));
        for ((first_block, blocks), (from, to)) in slices(sets, is_sliced) {
            let parameters = BandProbe {
                hits: loaded.hits,
                left: left.hashes,
                left_rows: left.rows,
                right: right.hashes,
                right_rows: right.rows,
                right_starts: right.starts,
                flips: flip_list,
                earlier,
                band: *band,
                n_left: sets.n_left as u32,
                n_flips: flips.len() as u32,
                n_earlier: number as u32,
                radius: sets.radius(),
                words: sets.words() as u32,
                first_block: first_block as u32,
                from: from as u32,
                to: to as u32,
            };
            let name = format!("band_probe_{width}");
            run(module, &name, ((blocks, 1), BAND_THREADS), parameters, &mut loaded.memory, options)?;
        }
    }
    let shape = format!("bands of {width} bits, {} by {} rows", sets.n_left, sets.n_right);
    loaded.check().map_err(|wrong| format!("{shape}: {wrong}"))
}

/// The first block and the number of blocks, and the window, of each launch.
fn slices(sets: &Sets, is_sliced: bool) -> Vec<((usize, usize), (usize, usize))> {
    let threads = BAND_THREADS as usize;
    let blocks = sets.n_left.div_ceil(threads);
    if !is_sliced {
        return vec![((0, blocks), (0, sets.n_right))];
    }
    let windows = || (0..sets.n_right).step_by(threads).map(|from| (from, sets.n_right.min(from + threads)));
    (0..blocks).flat_map(|block| windows().map(move |window| ((block, 1), window))).collect()
}

/// Sorts a set, hashes at an address, by a band.
fn sort_by_band(
    module: &Module,
    width: &str,
    memory: &mut Memory,
    (hashes, n, words): (u64, usize, usize),
    band: Band,
    options: &Options,
) -> Result<Sorted, String> {
    let (sorted, rows) = allocate_places(memory, hashes, n, words);
    let blocks = (1usize << band.width).div_ceil(SCAN_COUNTS as usize);
    let counts = blocks * SCAN_COUNTS as usize;
    let parameters = BandSort {
        hashes,
        counts: memory.allocate_with(&vec![0; counts * 4]),
        sums: memory.allocate(blocks * 4),
        starts: memory.allocate((counts + 1) * 4),
        ranks: memory.allocate(n * 4),
        sorted,
        rows,
        band,
        n: n as u32,
        words: words as u32,
    };
    let mut step = |name: &str, blocks: usize, threads: u32| {
        run(module, name, ((blocks, 1), threads), parameters, memory, options)
    };
    let all = n.div_ceil(BAND_THREADS as usize);
    step(&format!("band_count_{width}"), all, BAND_THREADS)?;
    step("scan_sums", blocks, SCAN_THREADS)?;
    step("scan_blocks", 1, SCAN_THREADS)?;
    step("scan_starts", blocks, SCAN_THREADS)?;
    step(&format!("band_scatter_{width}"), all, BAND_THREADS)?;
    Ok(Sorted { hashes: sorted, rows, starts: parameters.starts })
}

/// The scan of the sums of `2^width` counts, of which a block of threads does `SCAN_THREADS` at a time: only the widest
/// bands need more than one round.
pub(crate) fn scan(module: &Module, width: u32, options: &Options) -> Result<(), String> {
    let mut random = fastrand::Rng::with_seed(u64::from(width));
    let sums: Vec<u32> = (0..(1usize << width).div_ceil(SCAN_COUNTS as usize)).map(|_| random.u32(..1000)).collect();
    let mut memory = Memory::new();
    let band = Band { width, ..Band::default() };
    let parameters = BandSort { sums: memory.allocate_with(&bytes(&sums)), band, ..BandSort::default() };
    run(module, "scan_blocks", ((1, 1), SCAN_THREADS), parameters, &mut memory, options)?;
    let before = sums.iter().scan(0, |sum, count| {
        *sum += count;
        Some(*sum - count)
    });
    match read_u32(&memory, parameters.sums, sums.len()).into_iter().eq(before) {
        true => Ok(()),
        false => Err(format!("scan_blocks, {} sums: the sums before each are wrong", sums.len())),
    }
}
