//! Loads, stores and atomic operations. Part of [`super`].
//!
//! Every access is aligned, inside of one variable or allocation, and reads only what was written.

use super::Warp;
use super::execute::{LOCAL_WINDOW, SHARED_WINDOW, WINDOW};
use crate::alu::{LANES, Wide};
use crate::block::Block;
use crate::fault::{FaultKind, Problem};
use crate::program::{Access, Instruction, Op, Program, Space, Type, Update, Width};
use crate::region::Region;
use crate::registers::ALL;
use crate::shadow::{Kind, Shadow, Who};

/// The memory that an address refers to.
#[derive(Debug, Clone, Copy)]
enum Place {
    Device(usize),
    Shared,
    Local,
    Param,
}

/// The variable or allocation that an access hit; neighbours mostly hit it as well.
#[derive(Debug, Clone, Copy)]
struct Target {
    place: Place,
    /// The address of its first byte.
    base: u64,
    length: u64,
    /// The offset of that byte in its region.
    start: u64,
}

impl Target {
    fn holds(&self, address: u64, size: usize) -> bool {
        size as u64 <= self.length && address.wrapping_sub(self.base) <= self.length - size as u64
    }
}

fn lanes_of(lanes: u32) -> impl Iterator<Item = usize> {
    (0..LANES).filter(move |lane| lanes >> lane & 1 == 1)
}

/// Finds the variable or allocation of `size` bytes at `address`.
fn resolve(
    block: &Block<'_>,
    local: usize,
    space: Space,
    address: u64,
    size: usize,
    lane: u32,
) -> Result<Target, Box<Problem>> {
    let within = |window: u64| (window..window + WINDOW).contains(&address);
    let out = |what: &str| {
        Problem::new(FaultKind::Address, lane, format!("{size} bytes at {address:#x}: no variable in {what} memory"))
    };
    match space {
        Space::Generic if within(SHARED_WINDOW) => {
            let target = resolve(block, local, Space::Shared, address - SHARED_WINDOW, size, lane)?;
            Ok(Target { base: target.base + SHARED_WINDOW, ..target })
        }
        Space::Generic if within(LOCAL_WINDOW) => {
            let target = resolve(block, local, Space::Local, address - LOCAL_WINDOW, size, lane)?;
            Ok(Target { base: target.base + LOCAL_WINDOW, ..target })
        }
        Space::Generic | Space::Global => {
            let (index, base) = block.memory.resolve(address, size, lane)?;
            let length = block.memory.region_len(index) as u64;
            Ok(Target { place: Place::Device(index), base, length, start: 0 })
        }
        Space::Shared => {
            let targets = block.shared_variables.iter().map(|(offset, length)| {
                let (base, length) = (u64::from(*offset), u64::from(*length));
                Target { place: Place::Shared, base, length, start: base }
            });
            targets.into_iter().find(|target| target.holds(address, size)).ok_or_else(|| out("shared"))
        }
        Space::Local => Some(Target { place: Place::Local, base: 0, length: local as u64, start: 0 })
            .filter(|target| target.holds(address, size))
            .ok_or_else(|| out("local")),
        Space::Param => Some(Target { place: Place::Param, base: 0, length: block.params.len() as u64, start: 0 })
            .filter(|target| target.holds(address, size))
            .ok_or_else(|| out("parameter")),
    }
}

impl Warp {
    pub(super) fn access(
        &mut self,
        program: &Program,
        block: &mut Block<'_>,
        i: &Instruction,
        lanes: u32,
    ) -> Result<(), Box<Problem>> {
        let base = self.registers.wide(i.a, lanes)?;
        let addresses = base.map(|address| address.wrapping_add_signed(i.offset));
        match i.op {
            Op::Load(access) => self.load(program, block, i, access, &addresses, lanes),
            Op::Store(access) => self.store(program, block, i, access, &addresses, lanes),
            Op::Atomic { space, update, ty, has_result } => {
                self.atomic(block, i, (space, update, ty), has_result, &addresses, lanes)
            }
            _ => Ok(()),
        }
    }

    /// The target of a lane's access: the previous one, if it fits.
    #[inline(always)]
    fn target(
        &self,
        block: &Block<'_>,
        last: Option<Target>,
        space: Space,
        address: u64,
        size: usize,
        lane: usize,
    ) -> Result<(Target, usize), Box<Problem>> {
        if !address.is_multiple_of(size as u64) {
            let message = format!("{size} bytes at {address:#x}: not aligned");
            return Err(Problem::new(FaultKind::Misaligned, lane as u32, message));
        }
        let target = match last {
            Some(target) if target.holds(address, size) => target,
            _ => resolve(block, self.local[lane].len(), space, address, size, lane as u32)?,
        };
        Ok((target, (target.start + (address - target.base)) as usize))
    }

    fn region<'r>(&'r mut self, block: &'r mut Block<'_>, place: Place, lane: usize) -> &'r mut Region {
        match place {
            Place::Device(index) => block.memory.region(index),
            Place::Shared => &mut block.shared,
            Place::Local => &mut self.local[lane],
            Place::Param => &mut block.params,
        }
    }

    /// Checks for a race.
    #[inline(always)]
    fn note(
        &self,
        block: &mut Block<'_>,
        place: Place,
        kind: Kind,
        (at, size): (usize, usize),
        lane: usize,
        is_warp: bool,
    ) -> Result<(), Box<Problem>> {
        let Some(shadows) = &mut block.shadows else { return Ok(()) };
        let shadow = match place {
            Place::Shared => &mut shadows.shared,
            Place::Device(index) => {
                let length = block.memory.region_len(index);
                shadows.device.entry(index).or_insert_with(|| Shadow::new(length))
            }
            Place::Local | Place::Param => return Ok(()),
        };
        let thread = self.index * LANES as u32 + lane as u32;
        let who =
            Who { block: block.number, epoch: block.epoch, synchronised: self.synchronised[lane], thread, is_warp };
        match shadow.note(kind, at, size, who) {
            None => Ok(()),
            Some((other_block, other)) => {
                let message =
                    format!("races with thread {other} of block number {other_block}: nothing orders the two");
                Err(Problem::new(FaultKind::Race, lane as u32, message))
            }
        }
    }

    fn load(
        &mut self,
        program: &Program,
        block: &mut Block<'_>,
        i: &Instruction,
        access: Access,
        addresses: &Wide,
        lanes: u32,
    ) -> Result<(), Box<Problem>> {
        let Access { space, ty, count, register, is_strong } = access;
        let (size, count) = (ty.bits() as usize / 8, usize::from(count));
        let mut values = [[0u64; LANES]; 4];
        let first = lanes.trailing_zeros() as usize;
        let is_same = space != Space::Local && lanes == ALL && addresses.iter().all(|a| *a == addresses[0]);
        // A location that all lanes read is read once; local memory has a location per lane.
        let is_same = is_same && !(LOCAL_WINDOW..LOCAL_WINDOW + WINDOW).contains(&addresses[0]);
        let mut last = None;
        for lane in lanes_of(if is_same { 1 << first } else { lanes }) {
            let (target, at) = self.target(block, last, space, addresses[lane], size * count, lane)?;
            last = Some(target);
            let kind = if is_strong { Kind::StrongRead } else { Kind::Read };
            self.note(block, target.place, kind, (at, size * count), lane, is_same)?;
            let checks = block.checks_unwritten || !matches!(target.place, Place::Device(_));
            let region = self.region(block, target.place, lane);
            for (k, values) in values.iter_mut().enumerate().take(count) {
                let at = at + k * size;
                if checks && !region.is_written(at, size) {
                    let message = format!("{size} bytes at {:#x}: nothing was written there", addresses[lane]);
                    return Err(Problem::new(FaultKind::Unwritten, lane as u32, message));
                }
                values[lane] = region.load(at, size);
            }
        }
        for (k, values) in values.iter_mut().enumerate().take(count) {
            if is_same {
                *values = [values[first]; LANES];
            }
            if let Type::Signed(bits) = ty {
                *values = values.map(|value| ((value as i64) << (64 - bits) >> (64 - bits)) as u64);
            }
            let d = program.lists[i.e as usize + k];
            match register {
                Width::W64 => self.registers.set_wide(d, values, lanes),
                Width::W32 => self.registers.set_narrow(d, &values.map(|value| value as u32), lanes),
                Width::W16 => self.registers.set_narrow(d, &values.map(|value| value as u32 & 0xffff), lanes),
            }
        }
        Ok(())
    }

    fn store(
        &mut self,
        program: &Program,
        block: &mut Block<'_>,
        i: &Instruction,
        access: Access,
        addresses: &Wide,
        lanes: u32,
    ) -> Result<(), Box<Problem>> {
        let Access { space, ty, count, register, is_strong } = access;
        let (size, count) = (ty.bits() as usize / 8, usize::from(count));
        let mut values = [[0u64; LANES]; 4];
        for (k, values) in values.iter_mut().enumerate().take(count) {
            let from = program.lists[i.e as usize + k];
            *values = match register {
                Width::W64 => *self.registers.wide(from, lanes)?,
                _ => self.registers.narrow(from, lanes)?.map(u64::from),
            };
        }
        let mut last = None;
        for lane in lanes_of(lanes) {
            let (target, at) = self.target(block, last, space, addresses[lane], size * count, lane)?;
            last = Some(target);
            if let Place::Param = target.place {
                return Err(Problem::new(FaultKind::Address, lane as u32, "writes to a parameter of the kernel"));
            }
            for (k, values) in values.iter().enumerate().take(count) {
                let at = at + k * size;
                let mask = if size == 8 { u64::MAX } else { (1 << (8 * size)) - 1 };
                let region = self.region(block, target.place, lane);
                // Threads that write the same value to the same place do no harm.
                let changes = !region.is_written(at, size) || region.load(at, size) != values[lane] & mask;
                region.store(at, size, values[lane]);
                if changes {
                    let kind = if is_strong { Kind::StrongWrite } else { Kind::Write };
                    self.note(block, target.place, kind, (at, size), lane, false)?;
                }
            }
        }
        Ok(())
    }

    fn atomic(
        &mut self,
        block: &mut Block<'_>,
        i: &Instruction,
        (space, update, ty): (Space, Update, Type),
        has_result: bool,
        addresses: &Wide,
        lanes: u32,
    ) -> Result<(), Box<Problem>> {
        let size = ty.bits() as usize / 8;
        let operand = |warp: &Self, register: u32| -> Result<Wide, Box<Problem>> {
            Ok(match size {
                8 => *warp.registers.wide(register, lanes)?,
                _ => warp.registers.narrow(register, lanes)?.map(u64::from),
            })
        };
        let b = operand(self, i.b)?;
        let c = if update == Update::CompareAndSwap { operand(self, i.c)? } else { b };
        let mut old = [0u64; LANES];
        let mut last = None;
        for lane in lanes_of(lanes) {
            let (target, at) = self.target(block, last, space, addresses[lane], size, lane)?;
            last = Some(target);
            self.note(block, target.place, Kind::StrongWrite, (at, size), lane, false)?;
            let region = self.region(block, target.place, lane);
            if !region.is_written(at, size) {
                let message = format!("{size} bytes at {:#x}: nothing was written there", addresses[lane]);
                return Err(Problem::new(FaultKind::Unwritten, lane as u32, message));
            }
            old[lane] = region.load(at, size);
            region.store(at, size, updated(update, ty, old[lane], b[lane], c[lane]));
        }
        match size {
            _ if !has_result => {}
            8 => self.registers.set_wide(i.d, &old, lanes),
            _ => self.registers.set_narrow(i.d, &old.map(|value| value as u32), lanes),
        }
        Ok(())
    }
}

/// The new value of an atomic operation.
fn updated(update: Update, ty: Type, old: u64, b: u64, c: u64) -> u64 {
    let signed = |value: u64| (value as i64) << (64 - ty.bits()) >> (64 - ty.bits());
    let smaller = if ty.is_signed() { signed(b) < signed(old) } else { b < old };
    match update {
        Update::Add => old.wrapping_add(b),
        Update::Min => {
            if smaller {
                b
            } else {
                old
            }
        }
        Update::Max => {
            if smaller {
                old
            } else {
                b
            }
        }
        Update::And => old & b,
        Update::Or => old | b,
        Update::Xor => old ^ b,
        Update::Exchange => b,
        Update::CompareAndSwap => {
            if old == b {
                c
            } else {
                old
            }
        }
        Update::Increment => {
            if old >= b {
                0
            } else {
                old + 1
            }
        }
        Update::Decrement => {
            if old == 0 || old > b {
                b
            } else {
                old - 1
            }
        }
    }
}
