//! Runs a grid: blocks one after another, the warps of a block in turn until all of them wait at a barrier or have
//! left.

use crate::alu::LANES;
use crate::block::{Block, Shadows};
use crate::fault::{Fault, FaultKind, Problem};
use crate::memory::Memory;
use crate::module::Entry;
use crate::program::{Program, Special};
use crate::region::Region;
use crate::shadow::Shadow;
use crate::warp::Warp;

/// The most threads that a block can have.
const THREADS: u64 = 1024;
/// Shared memory of a block that no attribute has to ask for.
const SHARED: u32 = 48 << 10;

/// The order in which blocks, and the warps of a block, run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// From the first to the last.
    #[default]
    Forward,
    /// From the last to the first.
    Reversed,
    /// In an order that the seed chooses; warps are interrupted after a number of instructions that it chooses too.
    Shuffled(u64),
}

/// Options of a launch.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The order of blocks and warps.
    pub order: Order,
    /// Instructions of warps until the launch counts as endless.
    pub limit: u64,
    /// Whether reading device memory that was never written is a fault.
    pub checks_unwritten: bool,
    /// Whether unsynchronised accesses are a fault.
    pub checks_races: bool,
    /// Bytes of the kernel's `extern` shared array.
    pub dynamic_shared: u32,
}

impl Default for Options {
    /// All checks, and as many instructions as a minute has time for.
    fn default() -> Self {
        Self { order: Order::Forward, limit: 1 << 32, checks_unwritten: true, checks_races: true, dynamic_shared: 0 }
    }
}

/// Statistics of a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Instructions of warps.
    pub instructions: u64,
    /// Instructions times participating lanes.
    pub lane_instructions: u64,
}

/// A small generator of numbers for orders; the same seed gives the same order on every machine.
struct Random(u64);

impl Random {
    /// Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014): SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn shuffle(&mut self, list: &mut [u32]) {
        for last in (1..list.len()).rev() {
            list.swap(last, (self.next() % (last as u64 + 1)) as usize);
        }
    }
}

/// The numbers 0 to `count` in the requested order.
fn ordered(count: u32, order: Order, random: &mut Random) -> Vec<u32> {
    let mut list: Vec<u32> = (0..count).collect();
    match order {
        Order::Forward => {}
        Order::Reversed => list.reverse(),
        Order::Shuffled(_) => random.shuffle(&mut list),
    }
    list
}

/// Index along x, y, z of the `number`th of a shape.
fn index_of(number: u32, shape: [u32; 3]) -> [u32; 3] {
    [number % shape[0], number / shape[0] % shape[1], number / shape[0] / shape[1]]
}

/// Runs `entry` on `grid` blocks of `block` threads.
///
/// `params` are the parameters' bytes, each at its offset ([`Entry::params`]).
pub fn launch(
    entry: &Entry,
    grid: [u32; 3],
    block: [u32; 3],
    params: &[u8],
    memory: &mut Memory,
    options: &Options,
) -> Result<Stats, Fault> {
    let program = &entry.program;
    let fault = |kind, message: String| Fault {
        kind,
        message,
        kernel: program.name.clone(),
        block: [0; 3],
        thread: [0; 3],
        line: 0,
    };
    let (blocks, threads) =
        check_shape(entry, grid, block, params, options).map_err(|message| fault(FaultKind::Launch, message))?;
    let mut shared_variables = program.shared.clone();
    if let Some(offset) = program.dynamic_shared {
        let variable = shared_variables.iter_mut().find(|(at, size)| *at == offset && *size == 0);
        variable.into_iter().for_each(|(_, size)| *size = options.dynamic_shared);
    }
    let shared = shared_variables.iter().map(|(offset, size)| offset + size).max().unwrap_or(0) as usize;
    let mut param_region = Region::new(params.len());
    param_region.write(0, params);
    let mut state = Block {
        memory,
        shared: Region::new(shared),
        shared_variables,
        params: param_region,
        number: 0,
        epoch: 0,
        instructions: 0,
        lane_instructions: 0,
        checks_unwritten: options.checks_unwritten,
        shadows: options.checks_races.then(Shadows::default),
    };
    let mut random = Random(match options.order {
        Order::Shuffled(seed) => seed,
        _ => 0,
    });
    let mut warps: Vec<Warp> = (0..threads.div_ceil(LANES as u32)).map(|index| Warp::new(program, index)).collect();
    for number in ordered(blocks, options.order, &mut random) {
        state.number = number;
        state.epoch = 0;
        state.shared.clear();
        if let Some(shadows) = &mut state.shadows {
            shadows.shared = Shadow::new(shared);
        }
        for warp in &mut warps {
            warp.start(program, threads);
            fill_specials(warp, program, index_of(number, grid), grid, block);
        }
        let done = run_block(&mut warps, program, &mut state, options, &mut random);
        done.map_err(|(problem, warp, line)| {
            let thread = index_of(warp * LANES as u32 + problem.lane, block);
            let text = entry.lines.get((line as usize).wrapping_sub(1));
            let message = match text {
                Some(text) => format!("{}: {text}", problem.message),
                None => problem.message.clone(),
            };
            let block = index_of(number, grid);
            Fault { kind: problem.kind, message, kernel: program.name.clone(), block, thread, line }
        })?;
    }
    Ok(Stats { instructions: state.instructions, lane_instructions: state.lane_instructions })
}

/// The number of blocks and of threads in each, or an error.
fn check_shape(
    entry: &Entry,
    grid: [u32; 3],
    block: [u32; 3],
    params: &[u8],
    options: &Options,
) -> Result<(u32, u32), String> {
    let program = &entry.program;
    let volume = |shape: [u32; 3]| shape.iter().map(|size| u64::from(*size)).product::<u64>();
    let (blocks, threads) = (volume(grid), volume(block));
    if blocks == 0 || threads == 0 || blocks > u64::from(u32::MAX) || threads > THREADS {
        return Err(format!("{blocks} blocks of {threads} threads"));
    }
    if grid[1] > 65_535 || grid[2] > 65_535 || block[2] > 64 {
        return Err(format!("a grid of {grid:?} blocks of {block:?} threads"));
    }
    if let Some(most) = program.max_threads
        && threads > volume(most)
    {
        return Err(format!("{threads} threads a block, and .maxntid says {}", volume(most)));
    }
    if params.len() != entry.params_size() {
        return Err(format!("{} bytes of parameters, not {}", params.len(), entry.params_size()));
    }
    if entry.shared_size() + options.dynamic_shared > SHARED {
        return Err(format!("more than {SHARED} bytes of shared memory"));
    }
    Ok((blocks as u32, threads as u32))
}

fn fill_specials(warp: &mut Warp, program: &Program, index: [u32; 3], grid: [u32; 3], block: [u32; 3]) {
    for (special, register) in &program.specials {
        let first = warp.index * LANES as u32;
        let threads = block.iter().product::<u32>();
        let values = std::array::from_fn(|lane| {
            let lane = lane as u32;
            // Lanes after the last thread never run.
            let thread = index_of((first + lane).min(threads - 1), block);
            match *special {
                Special::Thread(axis) => thread[usize::from(axis)],
                Special::Block(axis) => index[usize::from(axis)],
                Special::Threads(axis) => block[usize::from(axis)],
                Special::Blocks(axis) => grid[usize::from(axis)],
                Special::Lane => lane,
                Special::Warp => warp.index,
                Special::ThisLane => 1 << lane,
                Special::LanesBelow => (1 << lane) - 1,
                Special::LanesUpTo => u32::MAX >> (31 - lane),
                Special::LanesFrom => u32::MAX << lane,
                Special::LanesAbove => u32::MAX << lane << 1,
            }
        });
        warp.fill(*register, &values);
    }
}

/// A problem, its warp and its line.
type Stopped = (Box<Problem>, u32, u32);

fn run_block(
    warps: &mut [Warp],
    program: &Program,
    block: &mut Block<'_>,
    options: &Options,
    random: &mut Random,
) -> Result<(), Stopped> {
    loop {
        while warps.iter().any(|warp| warp.ready() != 0) {
            for index in ordered(warps.len() as u32, options.order, random) {
                let warp = &mut warps[index as usize];
                let turn = match options.order {
                    Order::Shuffled(_) => 1 + random.next() % 500,
                    _ => 100_000,
                };
                warp.run(program, block, turn).map_err(|(problem, line)| (problem, index, line))?;
                if block.instructions > options.limit {
                    let lane = warp.alive.trailing_zeros() % LANES as u32;
                    let line = program.code.get(warp.at[lane as usize] as usize).map_or(0, |i| i.line);
                    let message = format!("more than {} instructions", options.limit);
                    return Err((Problem::new(FaultKind::Endless, lane, message), index, line));
                }
            }
        }
        if warps.iter().all(|warp| warp.alive == 0) {
            return Ok(());
        }
        release(warps, program)?;
        block.epoch += 1;
    }
}

/// All live threads wait: releases them if they wait at one barrier.
fn release(warps: &mut [Warp], program: &Program) -> Result<(), Stopped> {
    let mut barrier = None;
    for warp in &*warps {
        for lane in (0..LANES).filter(|lane| warp.alive >> lane & 1 == 1) {
            let at = warp.at[lane];
            let line = program.code[at as usize].line;
            let divergence =
                |message: String| Err((Problem::new(FaultKind::Divergence, lane as u32, message), warp.index, line));
            if warp.at_collective >> lane & 1 == 1 {
                return divergence("waits for lanes that never come here".to_owned());
            }
            if *barrier.get_or_insert(at) != at {
                let other = program.code[barrier.unwrap_or(0) as usize].line;
                return divergence(format!("waits at a barrier while others wait at that of line {other}"));
            }
        }
    }
    for warp in warps {
        for at in warp.at.iter_mut().enumerate().filter(|(lane, _)| warp.at_barrier >> lane & 1 == 1) {
            *at.1 += 1;
        }
        warp.at_barrier = 0;
    }
    Ok(())
}
