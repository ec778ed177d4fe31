//! Instructions that lanes of a warp execute together. Part of [`super`].
//!
//! Every lane that arrives waits until all lanes that its mask names wait at the same instruction with the same mask.

use super::Warp;
use crate::alu::{LANES, Narrow};
use crate::fault::{FaultKind, Problem};
use crate::matrix::multiply;
use crate::program::{Instruction, Matrix, NONE, Op, Program, Shuffle, Vote};
use crate::registers::ALL;

impl Warp {
    /// Lanes `arriving` reach the collective at instruction `at`. Returns the lanes for which it is complete; all other
    /// arriving lanes wait.
    pub(super) fn meet(
        &mut self,
        program: &Program,
        i: &Instruction,
        at: u32,
        arriving: u32,
    ) -> Result<u32, Box<Problem>> {
        let mask_register = match i.op {
            Op::Shuffle(_) | Op::Vote(_) => Some(program.lists[i.e as usize]),
            Op::WarpBarrier => Some(i.a),
            _ => None, // aligned: all lanes of the warp
        };
        self.put(arriving, at);
        self.at_collective |= arriving;
        let here = (0..LANES)
            .filter(|lane| self.at_collective >> lane & 1 == 1 && self.at[*lane] == at)
            .fold(0, |mask, lane| mask | 1u32 << lane);
        let masks = match mask_register {
            Some(register) => *self.registers.narrow(register, here)?,
            None => [ALL; LANES],
        };
        let mut done = 0;
        for lane in (0..LANES).filter(|lane| here >> lane & 1 == 1) {
            let named = masks[lane];
            if done >> lane & 1 == 1 {
                continue;
            }
            let divergence = |lane: u32, message: &str| Err(Problem::new(FaultKind::Divergence, lane, message));
            if named >> lane & 1 == 0 {
                return divergence(lane as u32, "executes a collective whose mask does not name it");
            }
            let left = named & !self.alive;
            if left != 0 {
                let message = format!("names lane {}, which has left the kernel or never was", left.trailing_zeros());
                return divergence(lane as u32, &message);
            }
            if named & !here != 0 {
                continue; // not all named lanes are here yet
            }
            if let Some(other) = (0..LANES).find(|other| named >> other & 1 == 1 && masks[*other] != named) {
                return divergence(other as u32, "names other lanes than a lane does that names it");
            }
            self.together(program, i, named)?;
            done |= named;
        }
        self.at_collective &= !done;
        Ok(done)
    }

    /// Executes a collective for the lanes that it names.
    fn together(&mut self, program: &Program, i: &Instruction, lanes: u32) -> Result<(), Box<Problem>> {
        match i.op {
            Op::Shuffle(shuffle) => self.shuffle(program, i, shuffle, lanes),
            Op::Vote(vote) => {
                let votes = self.registers.pred(i.a, lanes)? & lanes;
                let all = |condition: bool| if condition { ALL } else { 0 };
                match vote {
                    Vote::Any => self.registers.set_pred(i.d, all(votes != 0), lanes),
                    Vote::All => self.registers.set_pred(i.d, all(votes == lanes), lanes),
                    Vote::Uniform => self.registers.set_pred(i.d, all(votes == lanes || votes == 0), lanes),
                    Vote::Ballot => self.registers.set_narrow(i.d, &[votes; LANES], lanes),
                }
                Ok(())
            }
            Op::Matrix(matrix) => self.matrix(program, i, matrix),
            _ => {
                // A logical clock: accesses before the collective are ordered before those after it.
                let named = (0..LANES).filter(|lane| lanes >> lane & 1 == 1);
                let latest = named.clone().map(|lane| self.synchronised[lane]).max().unwrap_or(0);
                named.for_each(|lane| self.synchronised[lane] = latest + 1);
                Ok(())
            }
        }
    }

    /// "PTX ISA", `shfl.sync`.
    fn shuffle(
        &mut self,
        program: &Program,
        i: &Instruction,
        shuffle: Shuffle,
        lanes: u32,
    ) -> Result<(), Box<Problem>> {
        let (values, by, clamp) = (
            self.registers.narrow(i.a, lanes)?,
            self.registers.narrow(i.b, lanes)?,
            self.registers.narrow(i.c, lanes)?,
        );
        let (mut result, mut in_range): (Narrow, u32) = ([0; LANES], 0);
        for lane in (0..LANES as u32).filter(|lane| lanes >> lane & 1 == 1) {
            let at = lane as usize;
            let (by, limit, segment) = (by[at] & 31, clamp[at] & 31, clamp[at] >> 8 & 31);
            let (least, most) = (lane & segment, (lane & segment) | (limit & !segment));
            let (from, is_in_range) = match shuffle {
                // The limit of `up` is the first lane that may be read.
                Shuffle::Up => (lane.wrapping_sub(by), lane as i32 - by as i32 >= most as i32),
                Shuffle::Down => (lane + by, lane + by <= most),
                Shuffle::Butterfly => (lane ^ by, lane ^ by <= most),
                Shuffle::Index => (least | (by & !segment), (least | (by & !segment)) <= most),
            };
            let from = if is_in_range { from } else { lane };
            if lanes >> from & 1 == 0 {
                let message = format!("shuffles from lane {from}, which does not take part");
                return Err(Problem::new(FaultKind::Divergence, lane, message));
            }
            result[at] = values[from as usize];
            in_range |= u32::from(is_in_range) << lane;
        }
        self.registers.set_narrow(i.d, &result, lanes);
        let pred = program.lists[i.e as usize + 1];
        if pred != NONE {
            self.registers.set_pred(pred, in_range, lanes);
        }
        Ok(())
    }

    fn matrix(&mut self, program: &Program, i: &Instruction, matrix: Matrix) -> Result<(), Box<Problem>> {
        let (a, b) = if matrix == Matrix::Bits128 { (2, 1) } else { (4, 2) };
        let list = &program.lists[i.e as usize..][..8 + a + b];
        let registers = &self.registers;
        let read = |range: std::ops::Range<usize>| -> Result<Vec<&Narrow>, Box<Problem>> {
            list[range].iter().map(|register| registers.narrow(*register, ALL)).collect()
        };
        let (a, b, c) = (read(4..4 + a)?, read(4 + a..4 + a + b)?, read(4 + a + b..8 + a + b)?);
        let d = multiply(matrix, &a, &b, [c[0], c[1], c[2], c[3]]);
        for (register, values) in list[..4].iter().zip(&d) {
            self.registers.set_narrow(*register, values, ALL);
        }
        Ok(())
    }
}
