//! `cvt`: one value of any type to one of any other. Called by [`crate::warp`] in the general case.

use crate::program::{Round, Type};

/// Converts `value` (in the low bits of its register) from type `from` to type `to`, in the low bits of a register of
/// `register` bits: signed results are sign-extended, as the ISA specifies for destinations wider than the type.
pub(crate) fn convert(value: u64, from: Type, to: Type, register: u32, round: Round) -> u64 {
    let keep = |value: u64, bits: u32| if bits >= 64 { value } else { value & ((1 << bits) - 1) };
    let signed = |value: u64, bits: u32| (value as i64) << (64 - bits) >> (64 - bits);
    match (from, to) {
        (Type::Float(bits), _) => {
            let real = if bits == 32 { f64::from(f32::from_bits(value as u32)) } else { f64::from_bits(value) };
            to_integer_or_real(real, to, register, round)
        }
        (_, Type::Float(32)) if from.is_signed() => u64::from((signed(value, from.bits()) as f32).to_bits()),
        (_, Type::Float(32)) => u64::from((keep(value, from.bits()) as f32).to_bits()),
        (_, Type::Float(_)) if from.is_signed() => (signed(value, from.bits()) as f64).to_bits(),
        (_, Type::Float(_)) => (keep(value, from.bits()) as f64).to_bits(),
        _ => {
            let value = if from.is_signed() { signed(value, from.bits()) as u64 } else { keep(value, from.bits()) };
            let value = if to.is_signed() { signed(value, to.bits()) as u64 } else { keep(value, to.bits()) };
            keep(value, register)
        }
    }
}

/// Conversions to integers clamp, and NaN becomes 0.
fn to_integer_or_real(real: f64, to: Type, register: u32, round: Round) -> u64 {
    let whole = match round {
        Round::Nearest => real.round_ties_even(),
        Round::Zero => real.trunc(),
        Round::Down => real.floor(),
        Round::Up => real.ceil(),
    };
    let keep = |value: u64| if register >= 64 { value } else { value & ((1 << register) - 1) };
    match to {
        Type::Float(32) => u64::from((real as f32).to_bits()),
        Type::Float(_) => real.to_bits(),
        Type::Signed(bits) => {
            let limit = i64::MAX >> (64 - bits);
            keep((whole as i64).clamp(-limit - 1, limit) as u64)
        }
        _ => keep((whole as u64).min(u64::MAX >> (64 - to.bits()))),
    }
}
