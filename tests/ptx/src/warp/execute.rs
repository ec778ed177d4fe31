//! Instructions of single lanes, without memory. Part of [`super`].

use super::Warp;
use crate::alu::{self, LANES, Narrow, Wide};
use crate::block::Block;
use crate::convert::convert;
use crate::fault::{FaultKind, Problem};
use crate::program::{Binary, Instruction, Logic, Op, Program, Space, Type, Width};

/// The starts of shared and local memory in the generic address space.
pub(super) const SHARED_WINDOW: u64 = 1 << 24;
pub(super) const LOCAL_WINDOW: u64 = 2 << 24;
/// The size of each of the two.
pub(super) const WINDOW: u64 = 1 << 24;

fn is_shift(op: Binary) -> bool {
    matches!(op, Binary::Shl | Binary::ShrU | Binary::ShrS)
}

fn is_division(op: Binary) -> bool {
    matches!(op, Binary::DivU | Binary::DivS | Binary::RemU | Binary::RemS)
}

fn logic(op: Logic, a: u32, b: u32) -> u32 {
    match op {
        Logic::And => a & b,
        Logic::Or => a | b,
        Logic::Xor => a ^ b,
    }
}

impl Warp {
    pub(super) fn execute(
        &mut self,
        program: &Program,
        block: &Block<'_>,
        i: &Instruction,
        lanes: u32,
    ) -> Result<(), Box<Problem>> {
        let r = &mut self.registers;
        match i.op {
            Op::Binary(op, Width::W64) => {
                let a = r.wide(i.a, lanes)?;
                let d = if is_shift(op) {
                    alu::shift_wide(op, a, r.narrow(i.b, lanes)?)
                } else {
                    let b = r.wide(i.b, lanes)?;
                    check_divisor(op, lanes, |lane| b[lane] == 0)?;
                    alu::binary_wide(op, a, b)
                };
                r.set_wide(i.d, &d, lanes);
            }
            Op::Binary(op, width) => {
                let b = r.narrow(i.b, lanes)?;
                check_divisor(op, lanes, |lane| b[lane] == 0)?;
                let d = alu::binary(op, width, r.narrow(i.a, lanes)?, b);
                r.set_narrow(i.d, &d, lanes);
            }
            Op::Unary(op, Width::W64) => {
                let d = alu::unary_wide(op, r.wide(i.a, lanes)?);
                r.set_wide(i.d, &d, lanes);
            }
            Op::Unary(op, width) => {
                let d = alu::unary(op, width, r.narrow(i.a, lanes)?);
                r.set_narrow(i.d, &d, lanes);
            }
            Op::Count(op, width) => {
                let d = match width {
                    Width::W64 => alu::count_wide(op, r.wide(i.a, lanes)?),
                    _ => alu::count(op, r.narrow(i.a, lanes)?),
                };
                r.set_narrow(i.d, &d, lanes);
            }
            Op::MulAdd(Width::W64) => {
                let product = alu::binary_wide(Binary::Mul, r.wide(i.a, lanes)?, r.wide(i.b, lanes)?);
                let d = alu::binary_wide(Binary::Add, &product, r.wide(i.c, lanes)?);
                r.set_wide(i.d, &d, lanes);
            }
            Op::MulAdd(width) => {
                let product = alu::binary(Binary::Mul, width, r.narrow(i.a, lanes)?, r.narrow(i.b, lanes)?);
                let d = alu::binary(Binary::Add, width, &product, r.narrow(i.c, lanes)?);
                r.set_narrow(i.d, &d, lanes);
            }
            Op::MulAddHigh { signed, width } => {
                let op = if signed { Binary::MulHighS } else { Binary::MulHighU };
                if width == Width::W64 {
                    let product = alu::binary_wide(op, r.wide(i.a, lanes)?, r.wide(i.b, lanes)?);
                    let d = alu::binary_wide(Binary::Add, &product, r.wide(i.c, lanes)?);
                    r.set_wide(i.d, &d, lanes);
                } else {
                    let product = alu::binary(op, width, r.narrow(i.a, lanes)?, r.narrow(i.b, lanes)?);
                    let d = alu::binary(Binary::Add, width, &product, r.narrow(i.c, lanes)?);
                    r.set_narrow(i.d, &d, lanes);
                }
            }
            Op::MulWide { signed, from } => {
                let d = alu::product(signed, from, r.narrow(i.a, lanes)?, r.narrow(i.b, lanes)?);
                self.set_double(i.d, from, &d, lanes);
            }
            Op::MulAddWide { signed, from } => {
                let product = alu::product(signed, from, r.narrow(i.a, lanes)?, r.narrow(i.b, lanes)?);
                let d = match from {
                    Width::W16 => alu::zip(&product, r.narrow(i.c, lanes)?, |x, y| x.wrapping_add(u64::from(y))),
                    _ => alu::binary_wide(Binary::Add, &product, r.wide(i.c, lanes)?),
                };
                self.set_double(i.d, from, &d, lanes);
            }
            Op::Funnel { left, clamp } => {
                let (low, high) = (r.narrow(i.a, lanes)?, r.narrow(i.b, lanes)?);
                let d = alu::funnel(left, clamp, low, high, r.narrow(i.c, lanes)?);
                r.set_narrow(i.d, &d, lanes);
            }
            Op::Permute => {
                let (a, b, c) = (r.narrow(i.a, lanes)?, r.narrow(i.b, lanes)?, r.narrow(i.c, lanes)?);
                let d = std::array::from_fn(|lane| alu::permute(a[lane], b[lane], c[lane]));
                r.set_narrow(i.d, &d, lanes);
            }
            Op::Extract { signed, width } => {
                let (b, c) = (*r.narrow(i.b, lanes)?, *r.narrow(i.c, lanes)?);
                if width == Width::W64 {
                    let a = r.wide(i.a, lanes)?;
                    let d = std::array::from_fn(|lane| alu::extract(signed, 64, a[lane], b[lane], c[lane]));
                    r.set_wide(i.d, &d, lanes);
                } else {
                    let a = r.narrow(i.a, lanes)?;
                    let one = |lane| alu::extract(signed, 32, u64::from(a[lane]), b[lane], c[lane]) as u32;
                    let d = std::array::from_fn(one);
                    r.set_narrow(i.d, &d, lanes);
                }
            }
            Op::Insert(width) => {
                let (at, length) = (*r.narrow(i.c, lanes)?, *r.narrow(program.lists[i.e as usize], lanes)?);
                if width == Width::W64 {
                    let (a, b) = (r.wide(i.a, lanes)?, r.wide(i.b, lanes)?);
                    let d = std::array::from_fn(|lane| alu::insert(64, a[lane], b[lane], at[lane], length[lane]));
                    r.set_wide(i.d, &d, lanes);
                } else {
                    let (a, b) =
                        (alu::map(r.narrow(i.a, lanes)?, u64::from), alu::map(r.narrow(i.b, lanes)?, u64::from));
                    let one = |lane| alu::insert(32, a[lane], b[lane], at[lane], length[lane]) as u32;
                    let d = std::array::from_fn(one);
                    r.set_narrow(i.d, &d, lanes);
                }
            }
            Op::Real(op, 64) => {
                let d = alu::real_wide(op, r.wide(i.a, lanes)?, r.wide(i.b, lanes)?);
                r.set_wide(i.d, &d, lanes);
            }
            Op::Real(op, _) => {
                let d = alu::real(op, r.narrow(i.a, lanes)?, r.narrow(i.b, lanes)?);
                r.set_narrow(i.d, &d, lanes);
            }
            Op::Fma(64) => {
                let real = |x: u64| f64::from_bits(x);
                let (a, b, c) = (r.wide(i.a, lanes)?, r.wide(i.b, lanes)?, r.wide(i.c, lanes)?);
                let one = |lane: usize| real(a[lane]).mul_add(real(b[lane]), real(c[lane])).to_bits();
                let d = std::array::from_fn(one);
                r.set_wide(i.d, &d, lanes);
            }
            Op::Fma(_) => {
                let real = |x: u32| f32::from_bits(x);
                let (a, b, c) = (r.narrow(i.a, lanes)?, r.narrow(i.b, lanes)?, r.narrow(i.c, lanes)?);
                let one = |lane: usize| real(a[lane]).mul_add(real(b[lane]), real(c[lane])).to_bits();
                let d = std::array::from_fn(one);
                r.set_narrow(i.d, &d, lanes);
            }
            Op::Select(width) => {
                let c = r.pred(i.c, lanes)?;
                if width == Width::W64 {
                    let (a, b) = (r.wide(i.a, lanes)?, r.wide(i.b, lanes)?);
                    let d: Wide = std::array::from_fn(|lane| if c >> lane & 1 == 1 { a[lane] } else { b[lane] });
                    r.set_wide(i.d, &d, lanes);
                } else {
                    let (a, b) = (r.narrow(i.a, lanes)?, r.narrow(i.b, lanes)?);
                    let d: Narrow = std::array::from_fn(|lane| if c >> lane & 1 == 1 { a[lane] } else { b[lane] });
                    r.set_narrow(i.d, &d, lanes);
                }
            }
            Op::Set(compare, ty) => {
                let d = self.compare(i, compare, ty, lanes)?;
                self.registers.set_pred(i.d, d, lanes);
            }
            Op::SetLogic(compare, ty, op) => {
                let d = self.compare(i, compare, ty, lanes)?;
                let d = logic(op, d, self.registers.pred(i.c, lanes)?);
                self.registers.set_pred(i.d, d, lanes);
            }
            Op::Logic(op) => {
                let d = logic(op, r.pred(i.a, lanes)?, r.pred(i.b, lanes)?);
                r.set_pred(i.d, d, lanes);
            }
            Op::PredNot => {
                let d = !r.pred(i.a, lanes)?;
                r.set_pred(i.d, d, lanes);
            }
            Op::Move(Width::W64) => r.move_wide(i.d, i.a, lanes),
            Op::Move(_) => r.move_narrow(i.d, i.a, lanes),
            Op::MovePred => r.move_pred(i.d, i.a, lanes),
            Op::Convert { to, from, to_register, round } => {
                let d: Wide = match (from, to) {
                    (Type::Unsigned(32) | Type::Bits(32), Type::Unsigned(64) | Type::Signed(64)) => {
                        alu::map(r.narrow(i.a, lanes)?, u64::from)
                    }
                    _ => {
                        let register = match to_register {
                            Width::W64 => 64,
                            Width::W32 => 32,
                            Width::W16 => 16,
                        };
                        let one = |value| convert(value, from, to, register, round);
                        match from.bits() {
                            64 => alu::map(r.wide(i.a, lanes)?, one),
                            _ => alu::map(r.narrow(i.a, lanes)?, |value| one(u64::from(value))),
                        }
                    }
                };
                if to_register == Width::W64 {
                    r.set_wide(i.d, &d, lanes);
                } else {
                    r.set_narrow(i.d, &alu::map(&d, |value| value as u32), lanes);
                }
            }
            Op::Join(width) => {
                let half = if width == Width::W64 { 32 } else { 16 };
                let (low, high) = (r.narrow(i.a, lanes)?, r.narrow(i.b, lanes)?);
                let d = alu::zip(low, high, |low, high| u64::from(low) | u64::from(high) << half);
                match width {
                    Width::W64 => r.set_wide(i.d, &d, lanes),
                    _ => r.set_narrow(i.d, &alu::map(&d, |value| value as u32), lanes),
                }
            }
            Op::Split(width) => {
                let (low, high) = match width {
                    Width::W64 => {
                        let a = r.wide(i.a, lanes)?;
                        (alu::map(a, |x| x as u32), alu::map(a, |x| (x >> 32) as u32))
                    }
                    _ => {
                        let a = r.narrow(i.a, lanes)?;
                        (alu::map(a, |x| x & 0xffff), alu::map(a, |x| x >> 16))
                    }
                };
                r.set_narrow(i.d, &low, lanes);
                r.set_narrow(program.lists[i.e as usize], &high, lanes);
            }
            Op::ToGeneric(space) => {
                let d = alu::map(r.wide(i.a, lanes)?, |address| address.wrapping_add(window(space)));
                r.set_wide(i.d, &d, lanes);
            }
            Op::FromGeneric(space) => {
                let d = alu::map(r.wide(i.a, lanes)?, |address| address.wrapping_sub(window(space)));
                r.set_wide(i.d, &d, lanes);
            }
            Op::Active => r.set_narrow(i.d, &[lanes; LANES], lanes),
            Op::Clock(Width::W64) => r.set_wide(i.d, &[block.instructions; LANES], lanes),
            Op::Clock(_) => r.set_narrow(i.d, &[block.instructions as u32; LANES], lanes),
            // All lanes see all memory at once.
            Op::Fence => {}
            Op::Trap => return Err(Problem::new(FaultKind::Trap, lanes.trailing_zeros(), "trap")),
            // `run_group` handles these.
            Op::Load(_) | Op::Store(_) | Op::Atomic { .. } | Op::Shuffle(_) | Op::Vote(_) | Op::WarpBarrier => {}
            Op::Barrier { .. } | Op::Matrix(_) | Op::Branch | Op::Enter | Op::Exit => {}
        }
        Ok(())
    }

    /// A product, in the register of twice `from` bits.
    fn set_double(&mut self, d: u32, from: Width, values: &Wide, lanes: u32) {
        match from {
            Width::W16 => self.registers.set_narrow(d, &alu::map(values, |value| value as u32), lanes),
            _ => self.registers.set_wide(d, values, lanes),
        }
    }

    fn compare(
        &self,
        i: &Instruction,
        compare: crate::program::Compare,
        ty: Type,
        lanes: u32,
    ) -> Result<u32, Box<Problem>> {
        let r = &self.registers;
        Ok(match ty.bits() {
            64 => alu::compare_wide(compare, ty, r.wide(i.a, lanes)?, r.wide(i.b, lanes)?),
            _ => alu::compare(compare, ty, r.narrow(i.a, lanes)?, r.narrow(i.b, lanes)?),
        })
    }
}

fn window(space: Space) -> u64 {
    match space {
        Space::Shared => SHARED_WINDOW,
        Space::Local => LOCAL_WINDOW,
        Space::Generic | Space::Global | Space::Param => 0,
    }
}

#[inline(always)]
fn check_divisor(op: Binary, lanes: u32, is_zero: impl Fn(usize) -> bool) -> Result<(), Box<Problem>> {
    if !is_division(op) {
        return Ok(());
    }
    match (0..LANES).find(|lane| lanes >> lane & 1 == 1 && is_zero(*lane)) {
        None => Ok(()),
        Some(lane) => Err(Problem::new(FaultKind::Undefined, lane as u32, "divides by zero")),
    }
}
