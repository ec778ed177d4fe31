//! Operands: registers, numbers, special registers and addresses. Part of [`super`].

use super::{Decoder, Meaning, Register};
use crate::parse::Arg;
use crate::program::{NONE, Plane, Special, Type, Width};

/// The message of an error; the caller knows the line.
pub(super) type Wrong = String;

/// The plane that values of `bits` bits are in.
fn plane_of(bits: u32) -> Plane {
    match bits {
        1 => Plane::Pred,
        64 => Plane::Wide,
        _ => Plane::Narrow,
    }
}

/// The width of integer operations on `ty`.
pub(super) fn width_of(ty: Type) -> Result<Width, Wrong> {
    match ty.bits() {
        16 => Ok(Width::W16),
        32 => Ok(Width::W32),
        64 => Ok(Width::W64),
        bits => Err(format!("no operation on {bits} bits is known")),
    }
}

fn special(name: &str) -> Option<Special> {
    let (base, axis) = match name.rsplit_once('.') {
        Some((base, axis)) => (base, ["x", "y", "z"].iter().position(|a| *a == axis)? as u8),
        None => (name, 0),
    };
    Some(match (base, name.contains('.')) {
        ("%tid", true) => Special::Thread(axis),
        ("%ctaid", true) => Special::Block(axis),
        ("%ntid", true) => Special::Threads(axis),
        ("%nctaid", true) => Special::Blocks(axis),
        ("%laneid", false) => Special::Lane,
        ("%warpid", false) => Special::Warp,
        ("%lanemask_eq", false) => Special::ThisLane,
        ("%lanemask_lt", false) => Special::LanesBelow,
        ("%lanemask_le", false) => Special::LanesUpTo,
        ("%lanemask_gt", false) => Special::LanesAbove,
        ("%lanemask_ge", false) => Special::LanesFrom,
        _ => return None,
    })
}

/// A number as PTX writes it, as its bits.
fn literal(text: &str, ty: Type) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0d").or_else(|| text.strip_prefix("0D")) {
        return u64::from_str_radix(digits, 16).ok().filter(|_| ty.bits() == 64);
    }
    if let Some(digits) = text.strip_prefix("0f").or_else(|| text.strip_prefix("0F")) {
        return u64::from_str_radix(digits, 16).ok().filter(|_| ty.bits() == 32);
    }
    let text = text.strip_suffix('U').unwrap_or(text);
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse::<u64>().ok()?,
    };
    (!ty.is_float()).then_some(if negative { value.wrapping_neg() } else { value })
}

impl<'a> Decoder<'a, '_> {
    /// The meaning of `name` in this scope.
    pub(super) fn meaning(&self, name: &str) -> Option<Meaning> {
        if let Some(meaning) = self.scopes.iter().rev().find_map(|scope| scope.get(name)) {
            return Some(*meaning).filter(|meaning| !matches!(meaning, Meaning::Numbered(..)));
        }
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = name[stem.len()..].parse::<u32>().ok()?;
        let Meaning::Numbered(first, count) = self.scopes.iter().rev().find_map(|scope| scope.get(stem))? else {
            return None;
        };
        let register = Register { index: first.index + number, ..*first };
        (number < *count).then_some(Meaning::Register(register))
    }

    fn register(&self, name: &str) -> Result<Register, Wrong> {
        match self.meaning(name) {
            Some(Meaning::Register(register)) => Ok(register),
            _ => Err(format!("{name} is no register")),
        }
    }

    /// A register that holds `value` from the start.
    fn constant(&mut self, plane: Plane, value: u64) -> u32 {
        if let Some(index) = self.constants.get(&(plane, value)) {
            return *index;
        }
        let index = self.prefilled(plane);
        self.constants.insert((plane, value), index);
        self.program.constants.push((plane, index, value));
        index
    }

    /// A predicate.
    pub(super) fn pred(&mut self, name: &str) -> Result<u32, Wrong> {
        if let Some(value) = literal(name, Type::Bits(8)) {
            return Ok(self.constant(Plane::Pred, u64::from(value != 0)));
        }
        let register = self.register(name)?;
        if register.plane == Plane::Pred { Ok(register.index) } else { Err(format!("{name} is no predicate")) }
    }

    /// A source operand of type `ty`. `or_wider`: the register may have more bits than the type, as in `st` and `cvt`.
    pub(super) fn source(&mut self, arg: &Arg<'a>, ty: Type, or_wider: bool) -> Result<u32, Wrong> {
        let Arg::Name(name) = arg else { return Err(format!("{arg:?} where a value has to be")) };
        self.value(name, ty, or_wider)
    }

    pub(super) fn value(&mut self, name: &str, ty: Type, or_wider: bool) -> Result<u32, Wrong> {
        if ty == Type::Pred {
            return self.pred(name);
        }
        if let Some(special) = special(name) {
            if ty.bits() != 32 {
                return Err(format!("{name} has 32 bits"));
            }
            if let Some(index) = self.specials.get(&special) {
                return Ok(*index);
            }
            let index = self.prefilled(Plane::Narrow);
            self.specials.insert(special, index);
            self.program.specials.push((special, index));
            return Ok(index);
        }
        let plane = plane_of(ty.bits());
        if let Some(value) = literal(name, ty) {
            let mask = if ty.bits() == 64 { u64::MAX } else { (1 << ty.bits()) - 1 };
            return Ok(self.constant(plane, value & mask));
        }
        match self.meaning(name) {
            Some(Meaning::Memory(_, offset)) if ty.bits() == 64 => Ok(self.constant(Plane::Wide, u64::from(offset))),
            Some(Meaning::Register(register)) => {
                if register.bits == ty.bits() || (or_wider && register.bits > ty.bits()) {
                    Ok(register.index)
                } else {
                    Err(format!("{name} has {} bits, the instruction {}", register.bits, ty.bits()))
                }
            }
            _ => Err(format!("{name} is not declared, or no value of {} bits", ty.bits())),
        }
    }

    /// The plane and the bits of a register that an instruction reads or writes with a type narrower than it.
    pub(super) fn shape(&self, name: &str, ty: Type) -> (Plane, u32) {
        match self.register(name) {
            Ok(register) => (register.plane, register.bits),
            Err(_) => (plane_of(ty.bits()), ty.bits().max(16)),
        }
    }

    /// A destination of type `ty`, or [`NONE`] for `_`.
    pub(super) fn target(&self, arg: &Arg<'a>, ty: Type, or_wider: bool) -> Result<u32, Wrong> {
        let Arg::Name(name) = arg else { return Err(format!("{arg:?} where a register has to be")) };
        self.destination(name, ty, or_wider)
    }

    pub(super) fn destination(&self, name: &str, ty: Type, or_wider: bool) -> Result<u32, Wrong> {
        if name == "_" {
            return Ok(NONE);
        }
        let register = self.register(name)?;
        let fits = register.bits == ty.bits() || (or_wider && register.bits > ty.bits());
        if fits && (register.plane == Plane::Pred) == (ty == Type::Pred) {
            Ok(register.index)
        } else {
            Err(format!("{name} has {} bits, the instruction {}", register.bits, ty.bits()))
        }
    }

    /// The wide register and the offset of an address.
    pub(super) fn address(&mut self, arg: &Arg<'a>) -> Result<(u32, i64, &'a str), Wrong> {
        let Arg::Address(base, offset) = arg else { return Err(format!("{arg:?} where an address has to be")) };
        Ok((self.value(base, Type::Bits(64), false)?, *offset, base))
    }

    /// Stores a list of registers for an instruction and returns its index.
    pub(super) fn list(&mut self, registers: &[u32]) -> u32 {
        self.program.lists.extend_from_slice(registers);
        (self.program.lists.len() - registers.len()) as u32
    }
}
