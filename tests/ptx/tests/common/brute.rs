//! Runs the kernels for brute force and compares with the oracle.

use super::sets::{Loaded, Room, Sets, allocate_places};
use super::*;
use lumina_gpu::params::{BRUTE_THREADS, Brute, ONES_COUNTS, ONES_THREADS, OnesSort, PADDING_ROWS};
use std::ops::Range;

/// How the pairs of left and right rows are cut.
#[derive(Clone, Copy)]
pub(crate) struct Cut {
    /// Right rows of a segment.
    pub(crate) segment: usize,
    /// Whether a launch does one block of left rows by a part of the segments, instead of all.
    pub(crate) is_sliced: bool,
}

/// Hashes of a set in the kernel's order.
#[derive(Clone, Copy)]
struct Places {
    hashes: u64,
    /// The row in each place; 0: the place itself.
    rows: u64,
    /// The popcount in each place; 0: not needed.
    ones: u64,
}

/// Left rows of a block, as `crates/gpu/kernels/README.md` says.
fn rows_of_block(name: &str) -> usize {
    match name {
        "brute_popc_any" => 128,
        "brute_b1_128" | "brute_s8_128" | "brute_s8_256" | "brute_popc_256" => 256,
        _ => 512,
    }
}

/// Searches the sets by one kernel, and reports errors of the result. `brute_ones_256` gets them sorted.
pub(crate) fn search(
    module: &Module,
    name: &str,
    sets: &Sets,
    (room, cut): (Room, Cut),
    options: &Options,
) -> Result<Stats, String> {
    let mut loaded = Loaded::new(sets, room);
    let is_sorted = name == "brute_ones_256";
    let mut places = |hashes: u64, n: usize| match is_sorted {
        true => sort_by_ones(module, &mut loaded.memory, (hashes, n), options),
        false => Ok(Places { hashes, rows: 0, ones: 0 }),
    };
    let left = places(loaded.left, sets.n_left)?;
    let right = if sets.one_set { left } else { places(loaded.right, sets.n_right)? };
    let mut stats = Stats::default();
    let blocks = sets.n_left.div_ceil(rows_of_block(name));
    for (blocks, segments) in slices(blocks, sets.n_right.div_ceil(cut.segment), cut.is_sliced) {
        let parameters = Brute {
            hits: loaded.hits,
            left: left.hashes,
            right: right.hashes,
            left_rows: left.rows,
            right_rows: right.rows,
            left_ones: left.ones,
            right_ones: right.ones,
            n_left: sets.n_left as u32,
            n_right: sets.n_right as u32,
            radius: sets.radius(),
            words: sets.words() as u32,
            first_block: blocks.start as u32,
            first_segment: segments.start as u32,
            segment: cut.segment as u32,
            unused: 0,
        };
        let shape = ((segments.len(), blocks.len()), BRUTE_THREADS);
        let done = run(module, name, shape, parameters, &mut loaded.memory, options)?;
        stats.instructions += done.instructions;
        stats.lane_instructions += done.lane_instructions;
    }
    match loaded.check() {
        Ok(()) => Ok(stats),
        Err(wrong) => Err(format!("{name}, {} by {} rows: {wrong}", sets.n_left, sets.n_right)),
    }
}

/// Blocks and segments of each launch.
fn slices(blocks: usize, segments: usize, is_sliced: bool) -> Vec<(Range<usize>, Range<usize>)> {
    if !is_sliced {
        return vec![(0..blocks, 0..segments)];
    }
    let middle = segments / 2;
    let parts = (0..blocks).flat_map(|block| [0..middle, middle..segments].map(|part| (block..block + 1, part)));
    parts.filter(|(_, part)| !part.is_empty()).collect()
}

/// Sorts a set by popcount.
fn sort_by_ones(
    module: &Module,
    memory: &mut Memory,
    (hashes, n): (u64, usize),
    options: &Options,
) -> Result<Places, String> {
    let (sorted, rows) = allocate_places(memory, hashes, n, 4);
    let padding = PADDING_ROWS as usize;
    let places = Places { hashes: sorted, rows, ones: memory.allocate((n + padding) * 2) };
    memory.fill(places.ones + n as u64 * 2, padding * 2, 0xff).unwrap();
    let parameters = OnesSort {
        hashes,
        counts: memory.allocate_with(&bytes(&[0u32; ONES_COUNTS as usize])),
        sorted: places.hashes,
        rows: places.rows,
        ones: places.ones,
        n: n as u32,
        unused: 0,
    };
    let blocks = n.div_ceil(ONES_THREADS as usize);
    let mut step = |name: &str, blocks: usize, threads: u32| {
        run(module, name, ((blocks, 1), threads), parameters, memory, options)
    };
    step("ones_count_256", blocks, ONES_THREADS)?;
    step("ones_starts_256", 1, 1)?;
    step("ones_scatter_256", blocks, ONES_THREADS)?;
    Ok(places)
}
