//! The registers of a warp, and which lanes have written them. Called by [`crate::warp`].
//!
//! Invariant: a value is read only in lanes that wrote it; only `mov` propagates that a value was never written,
//! because compilers copy registers that they do not use later.

use crate::alu::{LANES, Narrow, Wide};
use crate::fault::{FaultKind, Problem};
use crate::program::{CallFrame, NONE, Plane, Program};

/// All lanes.
pub(crate) const ALL: u32 = u32::MAX;

/// The registers of one warp. Each has a mask of the lanes that wrote it.
#[derive(Debug)]
pub(crate) struct Registers {
    narrow: Vec<Narrow>,
    wide: Vec<Wide>,
    preds: Vec<u32>,
    narrow_written: Vec<u32>,
    wide_written: Vec<u32>,
    preds_written: Vec<u32>,
}

type Checked<T> = Result<T, Box<Problem>>;

#[cold]
fn unwritten(lanes: u32) -> Box<Problem> {
    Problem::new(FaultKind::Register, lanes.trailing_zeros(), "reads a register that nothing was written to")
}

impl Registers {
    /// As many as `program` has, its constants filled.
    pub(crate) fn new(program: &Program) -> Self {
        let (preds, narrow, wide) = (program.preds as usize, program.narrow as usize, program.wide as usize);
        let mut registers = Self {
            narrow: vec![[0; LANES]; narrow],
            wide: vec![[0; LANES]; wide],
            preds: vec![0; preds],
            narrow_written: vec![0; narrow],
            wide_written: vec![0; wide],
            preds_written: vec![0; preds],
        };
        for (plane, index, value) in &program.constants {
            match plane {
                Plane::Pred => registers.set_pred(*index, if *value == 0 { 0 } else { ALL }, ALL),
                Plane::Narrow => registers.set_narrow(*index, &[*value as u32; LANES], ALL),
                Plane::Wide => registers.set_wide(*index, &[*value; LANES], ALL),
            }
        }
        registers
    }

    /// Makes all registers unwritten, except for those that are filled before a block starts.
    pub(crate) fn forget(&mut self, program: &Program) {
        self.narrow_written.fill(0);
        self.wide_written.fill(0);
        self.preds_written.fill(0);
        for (plane, index, _) in &program.constants {
            match plane {
                Plane::Pred => self.preds_written[*index as usize] = ALL,
                Plane::Narrow => self.narrow_written[*index as usize] = ALL,
                Plane::Wide => self.wide_written[*index as usize] = ALL,
            }
        }
    }

    /// Makes the registers of a function unwritten in `lanes`.
    pub(crate) fn forget_frame(&mut self, frame: &CallFrame, lanes: u32) {
        let planes = [
            (&mut self.preds_written, &frame.preds),
            (&mut self.narrow_written, &frame.narrow),
            (&mut self.wide_written, &frame.wide),
        ];
        for (written, range) in planes {
            for mask in &mut written[range.start as usize..range.end as usize] {
                *mask &= !lanes;
            }
        }
    }

    #[inline(always)]
    pub(crate) fn narrow(&self, index: u32, lanes: u32) -> Checked<&Narrow> {
        match lanes & !self.narrow_written[index as usize] {
            0 => Ok(&self.narrow[index as usize]),
            missing => Err(unwritten(missing)),
        }
    }

    #[inline(always)]
    pub(crate) fn wide(&self, index: u32, lanes: u32) -> Checked<&Wide> {
        match lanes & !self.wide_written[index as usize] {
            0 => Ok(&self.wide[index as usize]),
            missing => Err(unwritten(missing)),
        }
    }

    #[inline(always)]
    pub(crate) fn pred(&self, index: u32, lanes: u32) -> Checked<u32> {
        match lanes & !self.preds_written[index as usize] {
            0 => Ok(self.preds[index as usize]),
            missing => Err(unwritten(missing)),
        }
    }

    #[inline(always)]
    pub(crate) fn set_narrow(&mut self, index: u32, values: &Narrow, lanes: u32) {
        if index == NONE {
            return;
        }
        let register = &mut self.narrow[index as usize];
        if lanes == ALL {
            *register = *values;
        } else {
            for (lane, (to, from)) in register.iter_mut().zip(values).enumerate() {
                let keep = (lanes >> lane & 1).wrapping_sub(1);
                *to = (*to & keep) | (*from & !keep);
            }
        }
        self.narrow_written[index as usize] |= lanes;
    }

    #[inline(always)]
    pub(crate) fn set_wide(&mut self, index: u32, values: &Wide, lanes: u32) {
        if index == NONE {
            return;
        }
        let register = &mut self.wide[index as usize];
        if lanes == ALL {
            *register = *values;
        } else {
            for (lane, (to, from)) in register.iter_mut().zip(values).enumerate() {
                let keep = u64::from(lanes >> lane & 1).wrapping_sub(1);
                *to = (*to & keep) | (*from & !keep);
            }
        }
        self.wide_written[index as usize] |= lanes;
    }

    #[inline(always)]
    pub(crate) fn set_pred(&mut self, index: u32, values: u32, lanes: u32) {
        if index == NONE {
            return;
        }
        let register = &mut self.preds[index as usize];
        *register = (*register & !lanes) | (values & lanes);
        self.preds_written[index as usize] |= lanes;
    }

    /// `mov`: the target is as unwritten as the source.
    pub(crate) fn move_narrow(&mut self, to: u32, from: u32, lanes: u32) {
        let (values, written) = (self.narrow[from as usize], self.narrow_written[from as usize]);
        self.set_narrow(to, &values, lanes);
        if to != NONE {
            self.narrow_written[to as usize] &= !lanes | written;
        }
    }

    /// Like [`move_narrow`](Self::move_narrow).
    pub(crate) fn move_wide(&mut self, to: u32, from: u32, lanes: u32) {
        let (values, written) = (self.wide[from as usize], self.wide_written[from as usize]);
        self.set_wide(to, &values, lanes);
        if to != NONE {
            self.wide_written[to as usize] &= !lanes | written;
        }
    }

    /// Like [`move_narrow`](Self::move_narrow).
    pub(crate) fn move_pred(&mut self, to: u32, from: u32, lanes: u32) {
        let (values, written) = (self.preds[from as usize], self.preds_written[from as usize]);
        self.set_pred(to, values, lanes);
        if to != NONE {
            self.preds_written[to as usize] &= !lanes | written;
        }
    }
}
