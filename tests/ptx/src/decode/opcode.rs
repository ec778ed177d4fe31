//! Opcodes: the operation of a word like `mad.lo.s32`, and the roles of its operands. Part of [`super`].
//!
//! Source: "PTX ISA", chapter "Instruction Set". Only what changes no result is ignored: cache operators, scopes.

use super::operand::{Wrong, width_of};
use super::{Decoder, NONE};
use crate::parse::{Arg, Statement};
use crate::program::{
    Access, Binary, Compare, Count, Instruction, Logic, Matrix, Op, Plane, Real, Round, Shuffle, Space, Type, Unary,
    Update, Vote, Width,
};

const B32: Type = Type::Bits(32);
const B64: Type = Type::Bits(64);

/// The type that a modifier names.
pub(super) fn type_named(name: &str) -> Option<Type> {
    let (kind, bits) = name.split_at_checked(1)?;
    let bits = bits.parse::<u32>().ok();
    match (kind, bits) {
        _ if name == "pred" => Some(Type::Pred),
        ("b", Some(bits @ (8 | 16 | 32 | 64))) => Some(Type::Bits(bits)),
        ("u", Some(bits @ (8 | 16 | 32 | 64))) => Some(Type::Unsigned(bits)),
        ("s", Some(bits @ (8 | 16 | 32 | 64))) => Some(Type::Signed(bits)),
        ("f", Some(bits @ (32 | 64))) => Some(Type::Float(bits)),
        _ => None,
    }
}

fn compare_named(name: &str) -> Option<Compare> {
    Some(match name {
        "eq" => Compare::Eq,
        "ne" => Compare::Ne,
        "lt" | "lo" => Compare::Lt,
        "le" | "ls" => Compare::Le,
        "gt" | "hi" => Compare::Gt,
        "ge" | "hs" => Compare::Ge,
        _ => return None,
    })
}

fn logic_named(name: &str) -> Option<Logic> {
    Some(match name {
        "and" => Logic::And,
        "or" => Logic::Or,
        "xor" => Logic::Xor,
        _ => return None,
    })
}

fn space_named(name: &str) -> Option<Space> {
    Some(match name {
        "global" => Space::Global,
        "shared" => Space::Shared,
        "local" => Space::Local,
        "param" => Space::Param,
        _ => return None,
    })
}

/// Modifiers of memory accesses that change no result here.
fn is_hint(name: &str) -> bool {
    ["ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc", "weak", "cta", "gpu", "sys"].contains(&name) || is_strong(name)
}

/// Modifiers of accesses that do not race with one another, nor with atomic operations.
fn is_strong(name: &str) -> bool {
    ["volatile", "relaxed", "acquire", "release", "acq_rel"].contains(&name)
}

/// A statement being decoded.
struct Opcode<'s, 'a> {
    statement: &'s Statement<'a>,
    base: &'a str,
    /// All modifiers; the last one is mostly a type.
    modifiers: Vec<&'a str>,
    op: Option<Op>,
    fields: [u32; 5],
    offset: i64,
}

/// Decodes a statement that is neither a branch nor a call.
pub(super) fn decode<'a>(decoder: &mut Decoder<'a, '_>, statement: &Statement<'a>) -> Result<Instruction, Wrong> {
    let mut modifiers = statement.opcode.split('.');
    let base = modifiers.next().unwrap_or_default();
    let modifiers: Vec<&str> = modifiers.collect();
    let mut opcode = Opcode { statement, base, modifiers, op: None, fields: [NONE; 5], offset: 0 };
    let ty = opcode.modifiers.last().and_then(|name| type_named(name));
    match (base, ty) {
        ("ld" | "st" | "atom" | "red" | "cvta", Some(_)) => opcode.memory(decoder)?,
        ("mov" | "selp" | "cvt" | "setp", Some(ty)) => opcode.values(decoder, ty)?,
        ("shfl" | "vote" | "bar" | "barrier" | "mma" | "activemask" | "membar" | "fence" | "trap", _) => {
            opcode.collective(decoder)?;
        }
        (_, Some(ty)) => opcode.arithmetic(decoder, ty)?,
        _ => {}
    }
    let [d, a, b, c, e] = opcode.fields;
    match opcode.op {
        Some(op) => Ok(Instruction { op, guard: 0, d, a, b, c, e, offset: opcode.offset, line: statement.line }),
        None => Err(format!("instruction {} is not known", statement.opcode)),
    }
}

impl<'a> Opcode<'_, 'a> {
    fn has(&self, modifier: &str) -> bool {
        self.modifiers.contains(&modifier)
    }

    /// The modifiers between opcode and type.
    fn middle(&self) -> &[&'a str] {
        &self.modifiers[..self.modifiers.len().saturating_sub(1)]
    }

    /// Operands d = f(sources), each with its type.
    fn operands(&mut self, decoder: &mut Decoder<'a, '_>, op: Op, target: Type, sources: &[Type]) -> Result<(), Wrong> {
        let args = &self.statement.args;
        if args.len() != sources.len() + 1 {
            return Err(format!("{} takes {} operands", self.statement.opcode, sources.len() + 1));
        }
        self.fields[0] = decoder.target(&args[0], target, false)?;
        for (k, ty) in sources.iter().enumerate().take(3) {
            self.fields[k + 1] = decoder.source(&args[k + 1], *ty, false)?;
        }
        if let [_, _, _, last] = sources {
            let last = decoder.source(&args[4], *last, false)?;
            self.fields[4] = decoder.list(&[last]);
        }
        self.op = Some(op);
        Ok(())
    }

    fn arithmetic(&mut self, decoder: &mut Decoder<'a, '_>, ty: Type) -> Result<(), Wrong> {
        if ty.is_float() {
            return self.real(decoder, ty);
        }
        if ty == Type::Pred {
            return match (logic_named(self.base), self.base) {
                (Some(logic), _) => self.operands(decoder, Op::Logic(logic), ty, &[ty, ty]),
                (None, "not") => self.operands(decoder, Op::PredNot, ty, &[ty]),
                _ => Ok(()),
            };
        }
        let width = width_of(ty)?;
        let signed = ty.is_signed();
        let middle = self.middle();
        let (low, high, wide) = (middle == ["lo"], middle == ["hi"], middle == ["wide"]);
        let double = if width == Width::W16 { B32 } else { B64 };
        let either = |s: Binary, u: Binary| if signed { s } else { u };
        let plain = match self.base {
            "add" => Some(Binary::Add),
            "sub" => Some(Binary::Sub),
            "and" => Some(Binary::And),
            "or" => Some(Binary::Or),
            "xor" => Some(Binary::Xor),
            "min" => Some(either(Binary::MinS, Binary::MinU)),
            "max" => Some(either(Binary::MaxS, Binary::MaxU)),
            "div" => Some(either(Binary::DivS, Binary::DivU)),
            "rem" => Some(either(Binary::RemS, Binary::RemU)),
            _ => None,
        };
        if let Some(binary) = plain.filter(|_| middle.is_empty()) {
            return self.operands(decoder, Op::Binary(binary, width), ty, &[ty, ty]);
        }
        let shift = match self.base {
            "shl" => Some(Binary::Shl),
            "shr" => Some(either(Binary::ShrS, Binary::ShrU)),
            _ => None,
        };
        if let Some(binary) = shift.filter(|_| middle.is_empty()) {
            return self.operands(decoder, Op::Binary(binary, width), ty, &[ty, B32]);
        }
        match self.base {
            "mul" if low => self.operands(decoder, Op::Binary(Binary::Mul, width), ty, &[ty, ty]),
            "mul" if high => {
                let binary = either(Binary::MulHighS, Binary::MulHighU);
                self.operands(decoder, Op::Binary(binary, width), ty, &[ty, ty])
            }
            "mul" if wide && width != Width::W64 => {
                self.operands(decoder, Op::MulWide { signed, from: width }, double, &[ty, ty])
            }
            "mad" if low => self.operands(decoder, Op::MulAdd(width), ty, &[ty, ty, ty]),
            "mad" if high => self.operands(decoder, Op::MulAddHigh { signed, width }, ty, &[ty, ty, ty]),
            "mad" if wide && width != Width::W64 => {
                self.operands(decoder, Op::MulAddWide { signed, from: width }, double, &[ty, ty, double])
            }
            "not" => self.operands(decoder, Op::Unary(Unary::Not, width), ty, &[ty]),
            "neg" => self.operands(decoder, Op::Unary(Unary::Neg, width), ty, &[ty]),
            "abs" => self.operands(decoder, Op::Unary(Unary::Abs, width), ty, &[ty]),
            "brev" => self.operands(decoder, Op::Unary(Unary::Reverse, width), ty, &[ty]),
            "popc" => self.operands(decoder, Op::Count(Count::Ones, width), B32, &[ty]),
            "clz" => self.operands(decoder, Op::Count(Count::LeadingZeros, width), B32, &[ty]),
            "bfind" => {
                let count = Count::Highest { signed, shift_amount: self.has("shiftamt") };
                self.operands(decoder, Op::Count(count, width), B32, &[ty])
            }
            "bfe" => self.operands(decoder, Op::Extract { signed, width }, ty, &[ty, B32, B32]),
            "bfi" => self.operands(decoder, Op::Insert(width), ty, &[ty, ty, B32, B32]),
            "prmt" if middle.is_empty() => self.operands(decoder, Op::Permute, ty, &[ty, ty, B32]),
            "shf" => {
                let op = Op::Funnel { left: self.has("l"), clamp: self.has("clamp") };
                self.operands(decoder, op, ty, &[ty, ty, B32])
            }
            _ => Ok(()),
        }
    }

    /// Floating-point instructions. Results round to the nearest: other roundings, and flushing of denormal numbers
    /// (`ftz`), are not supported.
    fn real(&mut self, decoder: &mut Decoder<'a, '_>, ty: Type) -> Result<(), Wrong> {
        if self.middle().iter().any(|modifier| *modifier != "rn") {
            return Ok(());
        }
        let binary = match self.base {
            "add" => Some(Real::Add),
            "sub" => Some(Real::Sub),
            "mul" => Some(Real::Mul),
            "div" => Some(Real::Div),
            "min" => Some(Real::Min),
            "max" => Some(Real::Max),
            _ => None,
        };
        let unary = match self.base {
            "sqrt" => Some(Real::Sqrt),
            "neg" => Some(Real::Neg),
            "abs" => Some(Real::Abs),
            _ => None,
        };
        match (binary, unary, self.base) {
            (Some(real), ..) => self.operands(decoder, Op::Real(real, ty.bits()), ty, &[ty, ty]),
            (_, Some(real), _) => {
                self.operands(decoder, Op::Real(real, ty.bits()), ty, &[ty])?;
                self.fields[2] = self.fields[1];
                Ok(())
            }
            (_, _, "fma") => self.operands(decoder, Op::Fma(ty.bits()), ty, &[ty, ty, ty]),
            _ => Ok(()),
        }
    }

    /// `mov`, `selp`, `cvt`, `setp`.
    fn values(&mut self, decoder: &mut Decoder<'a, '_>, ty: Type) -> Result<(), Wrong> {
        let args = &self.statement.args;
        match (self.base, args.as_slice()) {
            ("mov", [Arg::Vector(parts), whole]) if parts.len() == 2 => {
                let half = Type::Bits(ty.bits() / 2);
                self.fields[0] = decoder.destination(parts[0], half, false)?;
                self.fields[1] = decoder.source(whole, ty, false)?;
                let second = decoder.destination(parts[1], half, false)?;
                self.fields[4] = decoder.list(&[second]);
                self.op = Some(Op::Split(width_of(ty)?));
            }
            ("mov", [whole, Arg::Vector(parts)]) if parts.len() == 2 => {
                let half = Type::Bits(ty.bits() / 2);
                self.fields[0] = decoder.target(whole, ty, false)?;
                self.fields[1] = decoder.value(parts[0], half, false)?;
                self.fields[2] = decoder.value(parts[1], half, false)?;
                self.op = Some(Op::Join(width_of(ty)?));
            }
            ("mov", [_, Arg::Name(clock @ ("%clock" | "%clock64"))]) => {
                let width = if *clock == "%clock" { Width::W32 } else { Width::W64 };
                self.fields[0] = decoder.target(&args[0], ty, false)?;
                self.op = Some(Op::Clock(width)).filter(|_| width_of(ty) == Ok(width));
            }
            ("mov", _) if ty == Type::Pred => self.operands(decoder, Op::MovePred, ty, &[ty])?,
            ("mov", _) => self.operands(decoder, Op::Move(width_of(ty)?), ty, &[ty])?,
            ("selp", _) => self.operands(decoder, Op::Select(width_of(ty)?), ty, &[ty, ty, Type::Pred])?,
            ("setp", _) => {
                let middle = self.middle();
                let compare = middle.first().and_then(|name| compare_named(name));
                match (compare, middle) {
                    (Some(compare), [_]) => self.operands(decoder, Op::Set(compare, ty), Type::Pred, &[ty, ty])?,
                    (Some(compare), [_, logic]) => {
                        let Some(logic) = logic_named(logic) else { return Ok(()) };
                        let op = Op::SetLogic(compare, ty, logic);
                        self.operands(decoder, op, Type::Pred, &[ty, ty, Type::Pred])?;
                    }
                    _ => {}
                }
            }
            ("cvt", [Arg::Name(target), source]) => {
                let middle = self.middle();
                let Some(to) = middle.last().and_then(|name| type_named(name)) else { return Ok(()) };
                let round = match middle[..middle.len() - 1] {
                    [] if !ty.is_float() && !to.is_float() => Round::Nearest,
                    [] if ty == Type::Float(32) && to == Type::Float(64) => Round::Nearest,
                    ["rn" | "rni"] => Round::Nearest,
                    ["rz" | "rzi"] if ty.is_float() && !to.is_float() => Round::Zero,
                    ["rmi"] => Round::Down,
                    ["rpi"] => Round::Up,
                    _ => return Ok(()),
                };
                let (plane, bits) = decoder.shape(target, to);
                let to_register = match (plane, bits) {
                    (Plane::Wide, _) => Width::W64,
                    (_, 32) => Width::W32,
                    _ => Width::W16,
                };
                self.fields[0] = decoder.destination(target, to, true)?;
                self.fields[1] = decoder.source(source, ty, true)?;
                // A source wider than its type is read from its register's plane.
                if let Arg::Name(name) = source
                    && decoder.shape(name, ty).0 == Plane::Wide
                    && ty.bits() != 64
                {
                    return Err(format!("a {}-bit type of a 64-bit register", ty.bits()));
                }
                self.op = Some(Op::Convert { to, from: ty, to_register, round });
            }
            _ => {}
        }
        Ok(())
    }

    fn memory(&mut self, decoder: &mut Decoder<'a, '_>) -> Result<(), Wrong> {
        let args = &self.statement.args;
        let Some(ty) = self.modifiers.last().and_then(|name| type_named(name)) else { return Ok(()) };
        let mut space = None;
        let mut rest = Vec::new();
        for modifier in self.middle() {
            match space_named(modifier) {
                Some(named) => space = Some(named),
                None if is_hint(modifier) => {}
                None => rest.push(*modifier),
            }
        }
        match (self.base, args.as_slice()) {
            ("cvta", [target, source]) if ty.bits() == 64 => {
                let space = space.unwrap_or(Space::Global);
                self.op = match rest[..] {
                    [] => Some(Op::ToGeneric(space)),
                    ["to"] => Some(Op::FromGeneric(space)),
                    _ => None,
                };
                self.fields[0] = decoder.target(target, B64, false)?;
                self.fields[1] = decoder.source(source, B64, false)?;
            }
            ("ld" | "st", [first, second]) => {
                let (address, values) = if self.base == "ld" { (second, first) } else { (first, second) };
                let (base, offset, name) = decoder.address(address)?;
                let names = match values {
                    Arg::Name(name) => vec![*name],
                    Arg::Vector(names) => names.clone(),
                    _ => return Ok(()),
                };
                let count = match rest[..] {
                    [] => 1,
                    ["v2"] => 2,
                    ["v4"] => 4,
                    _ => return Ok(()),
                };
                if names.len() != count {
                    return Err(format!("{} values, not {count}", names.len()));
                }
                let (plane, bits) = decoder.shape(names[0], ty);
                let register = match (plane, bits) {
                    (Plane::Wide, _) => Width::W64,
                    (_, 32) => Width::W32,
                    _ => Width::W16,
                };
                let mut registers = Vec::new();
                for name in names {
                    registers.push(match self.base {
                        "ld" => decoder.destination(name, ty, true)?,
                        _ => decoder.value(name, ty, true)?,
                    });
                    if decoder.shape(name, ty) != (plane, bits) {
                        return Err("registers of different widths".into());
                    }
                }
                self.fields[1] = base;
                self.fields[4] = decoder.list(&registers);
                self.offset = offset;
                let is_strong = self.modifiers.iter().any(|modifier| is_strong(modifier));
                let space = decoder.space(space, name);
                let access = Access { space, ty, count: count as u8, register, is_strong };
                self.op = Some(if self.base == "ld" { Op::Load(access) } else { Op::Store(access) });
            }
            ("atom" | "red", _) => {
                let [name] = rest[..] else { return Ok(()) };
                let (update, operands) = match name {
                    "add" => (Update::Add, 1),
                    "min" => (Update::Min, 1),
                    "max" => (Update::Max, 1),
                    "and" => (Update::And, 1),
                    "or" => (Update::Or, 1),
                    "xor" => (Update::Xor, 1),
                    "inc" if ty == Type::Unsigned(32) => (Update::Increment, 1),
                    "dec" if ty == Type::Unsigned(32) => (Update::Decrement, 1),
                    "exch" if self.base == "atom" => (Update::Exchange, 1),
                    "cas" if self.base == "atom" => (Update::CompareAndSwap, 2),
                    _ => return Ok(()),
                };
                let has_result = self.base == "atom";
                let first = usize::from(has_result);
                if args.len() != first + 1 + operands || ty.is_float() || ty.bits() < 32 {
                    return Ok(());
                }
                if has_result {
                    self.fields[0] = decoder.target(&args[0], ty, false)?;
                }
                let (base, offset, name) = decoder.address(&args[first])?;
                self.fields[1] = base;
                self.offset = offset;
                self.fields[2] = decoder.source(&args[first + 1], ty, false)?;
                if operands == 2 {
                    self.fields[3] = decoder.source(&args[first + 2], ty, false)?;
                }
                self.op = Some(Op::Atomic { space: decoder.space(space, name), update, ty, has_result });
            }
            _ => {}
        }
        Ok(())
    }
}

mod collective;
