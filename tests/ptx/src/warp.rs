//! A warp: the positions of its lanes, and their scheduling.
//!
//! Lanes at the same instruction run together, and those at the lowest instruction run first, so that diverged lanes
//! reconverge where their paths do. A GPU does not guarantee that: a collective therefore waits until all lanes that it
//! names have arrived, and a program that relies on more is a fault.
//!
//! [`execute`] runs instructions of single lanes, [`access`] memory accesses, [`collective`] the rest. Called by
//! [`crate::launch`].

mod access;
mod collective;
mod execute;

use crate::alu::LANES;
use crate::block::Block;
use crate::fault::{FaultKind, Problem};
use crate::program::{Op, Program};
use crate::region::Region;
use crate::registers::{ALL, Registers};

/// A warp of a block.
#[derive(Debug)]
pub(crate) struct Warp {
    /// Its number in the block.
    pub(crate) index: u32,
    registers: Registers,
    /// The instruction of each lane; of a waiting lane, the one it waits at.
    pub(crate) at: [u32; LANES],
    /// Lanes that have not left the kernel.
    pub(crate) alive: u32,
    /// Lanes that wait at a barrier of the block.
    pub(crate) at_barrier: u32,
    /// Lanes that wait at a collective of the warp.
    pub(crate) at_collective: u32,
    /// Local memory of each lane.
    local: Vec<Region>,
    /// A logical clock of each lane, which barriers of the warp set: orders accesses of memory.
    synchronised: [u32; LANES],
}

/// A problem and the line of its instruction.
pub(crate) type Stopped = (Box<Problem>, u32);

impl Warp {
    pub(crate) fn new(program: &Program, index: u32) -> Self {
        Self {
            index,
            registers: Registers::new(program),
            at: [0; LANES],
            alive: 0,
            at_barrier: 0,
            at_collective: 0,
            local: vec![Region::new(program.local as usize); LANES],
            synchronised: [0; LANES],
        }
    }

    /// Puts all threads of a block that has `threads` of them at the first instruction.
    pub(crate) fn start(&mut self, program: &Program, threads: u32) {
        let lanes = threads.saturating_sub(self.index * LANES as u32).min(LANES as u32);
        self.alive = if lanes == LANES as u32 { ALL } else { (1 << lanes) - 1 };
        (self.at_barrier, self.at_collective) = (0, 0);
        self.at = [0; LANES];
        self.synchronised = [0; LANES];
        self.registers.forget(program);
        self.local.iter_mut().for_each(Region::clear);
    }

    /// Fills a register that does not change while a block runs.
    pub(crate) fn fill(&mut self, register: u32, values: &[u32; LANES]) {
        self.registers.set_narrow(register, values, ALL);
    }

    /// Lanes that can continue.
    pub(crate) fn ready(&self) -> u32 {
        self.alive & !self.at_barrier & !self.at_collective
    }

    /// Runs until no lane can continue, or for about `most` instructions.
    pub(crate) fn run(&mut self, program: &Program, block: &mut Block<'_>, most: u64) -> Result<(), Stopped> {
        let stop = block.instructions.saturating_add(most);
        while self.ready() != 0 && block.instructions < stop {
            let ready = self.ready();
            let lanes = (0..LANES).filter(|lane| ready >> lane & 1 == 1);
            let first = lanes.clone().map(|lane| self.at[lane]).min().unwrap_or(0);
            let group = lanes.clone().filter(|lane| self.at[*lane] == first).fold(0, |mask, lane| mask | 1u32 << lane);
            let next = lanes.map(|lane| self.at[lane]).filter(|at| *at != first).min().unwrap_or(u32::MAX);
            self.run_group(program, block, group, next, stop)?;
        }
        Ok(())
    }

    fn put(&mut self, lanes: u32, at: u32) {
        for lane in (0..LANES).filter(|lane| lanes >> lane & 1 == 1) {
            self.at[lane] = at;
        }
    }

    /// Runs lanes at the same instruction until they diverge, wait, or reach the instruction `next`, where others are.
    fn run_group(
        &mut self,
        program: &Program,
        block: &mut Block<'_>,
        mut lanes: u32,
        next: u32,
        stop: u64,
    ) -> Result<(), Stopped> {
        let mut at = self.at[lanes.trailing_zeros() as usize];
        while lanes != 0 && at < next && block.instructions < stop {
            let instruction = &program.code[at as usize];
            let stopped = |problem| (problem, instruction.line);
            let active = match instruction.guard {
                0 => lanes,
                guard => {
                    let pred = self.registers.pred(guard / 2 - 1, lanes).map_err(stopped)?;
                    lanes & if guard & 1 == 1 { !pred } else { pred }
                }
            };
            block.instructions += 1;
            block.lane_instructions += u64::from(active.count_ones());
            at += 1;
            match instruction.op {
                _ if active == 0 => {}
                Op::Branch if active == lanes => at = instruction.a,
                Op::Branch => {
                    self.put(active, instruction.a);
                    self.put(lanes & !active, at);
                    return Ok(());
                }
                Op::Exit => {
                    self.alive &= !active;
                    lanes &= !active;
                }
                Op::Barrier { aligned } => {
                    if aligned && active != self.alive {
                        let missing = (self.alive & !active).trailing_zeros();
                        let message = "reaches a barrier that the whole warp has to reach together without this lane";
                        return Err(stopped(Problem::new(FaultKind::Divergence, missing, message)));
                    }
                    self.put(active, at - 1);
                    self.at_barrier |= active;
                    lanes &= !active;
                }
                Op::Shuffle(_) | Op::Vote(_) | Op::WarpBarrier | Op::Matrix(_) => {
                    let done = self.meet(program, instruction, at - 1, active).map_err(stopped)?;
                    // Lanes that waited here continue with those that arrived.
                    self.put(done & !lanes, at);
                    lanes = (lanes & !active) | done;
                }
                Op::Enter => {
                    let frame = &program.frames[instruction.a as usize];
                    self.registers.forget_frame(frame, active);
                    for lane in (0..LANES).filter(|lane| active >> lane & 1 == 1) {
                        self.local[lane].forget(frame.local.start as usize..frame.local.end as usize);
                    }
                }
                Op::Load(_) | Op::Store(_) | Op::Atomic { .. } => {
                    self.access(program, block, instruction, active).map_err(stopped)?;
                }
                _ => self.execute(program, block, instruction, active).map_err(stopped)?,
            }
        }
        self.put(lanes, at);
        Ok(())
    }
}
