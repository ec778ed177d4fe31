//! Arithmetic on the 32 lanes of a warp at once. Called by [`crate::warp`].
//!
//! Every function computes all lanes, whether they are active or not; the caller catches what PTX leaves undefined. The
//! loops are written for vectorisation: a match is outside of its loop.

use crate::program::{Binary, Compare, Count, Real, Type, Unary, Width};

/// The lanes of a warp.
pub(crate) const LANES: usize = 32;
/// A 32-bit register of all lanes; also a 16-bit one.
pub(crate) type Narrow = [u32; LANES];
/// A 64-bit register of all lanes.
pub(crate) type Wide = [u64; LANES];

#[inline(always)]
pub(crate) fn map<A: Copy, R: Copy + Default>(a: &[A; LANES], f: impl Fn(A) -> R) -> [R; LANES] {
    let mut r = [R::default(); LANES];
    for lane in 0..LANES {
        r[lane] = f(a[lane]);
    }
    r
}

#[inline(always)]
pub(crate) fn zip<A: Copy, B: Copy, R: Copy + Default>(
    a: &[A; LANES],
    b: &[B; LANES],
    f: impl Fn(A, B) -> R,
) -> [R; LANES] {
    let mut r = [R::default(); LANES];
    for lane in 0..LANES {
        r[lane] = f(a[lane], b[lane]);
    }
    r
}

#[inline(always)]
fn mask_of<A: Copy>(a: &[A; LANES], b: &[A; LANES], f: impl Fn(A, A) -> bool) -> u32 {
    // Bytes first, so that the comparison is a vector operation.
    let flags = zip(a, b, |x, y| u8::from(f(x, y)));
    (0..LANES).fold(0, |mask, lane| mask | u32::from(flags[lane]) << lane)
}

macro_rules! integers {
    ($binary:ident, $unary:ident, $compare:ident, $u:ty, $i:ty, $double:ty, $signed_double:ty) => {
        fn $binary(op: Binary, a: &[$u; LANES], b: &[$u; LANES]) -> [$u; LANES] {
            const BITS: u32 = <$u>::BITS;
            match op {
                Binary::Add => zip(a, b, <$u>::wrapping_add),
                Binary::Sub => zip(a, b, <$u>::wrapping_sub),
                Binary::Mul => zip(a, b, <$u>::wrapping_mul),
                Binary::MulHighU => zip(a, b, |x, y| ((x as $double * y as $double) >> BITS) as $u),
                Binary::MulHighS => zip(a, b, |x, y| {
                    ((x as $i as $signed_double * y as $i as $signed_double) >> BITS) as $u
                }),
                Binary::DivU => zip(a, b, |x, y| x.checked_div(y).unwrap_or(0)),
                Binary::DivS => zip(a, b, |x, y| if y == 0 { 0 } else { (x as $i).wrapping_div(y as $i) as $u }),
                Binary::RemU => zip(a, b, |x, y| x.checked_rem(y).unwrap_or(0)),
                Binary::RemS => zip(a, b, |x, y| if y == 0 { 0 } else { (x as $i).wrapping_rem(y as $i) as $u }),
                Binary::And => zip(a, b, |x, y| x & y),
                Binary::Or => zip(a, b, |x, y| x | y),
                Binary::Xor => zip(a, b, |x, y| x ^ y),
                Binary::MinU => zip(a, b, |x, y| if x < y { x } else { y }),
                Binary::MaxU => zip(a, b, |x, y| if x > y { x } else { y }),
                Binary::MinS => zip(a, b, |x, y| if (x as $i) < y as $i { x } else { y }),
                Binary::MaxS => zip(a, b, |x, y| if (x as $i) > y as $i { x } else { y }),
                // Shift amounts have 32 bits: see `shift`.
                Binary::Shl | Binary::ShrU | Binary::ShrS => *a,
            }
        }

        fn $unary(op: Unary, a: &[$u; LANES]) -> [$u; LANES] {
            match op {
                Unary::Not => map(a, |x| !x),
                Unary::Neg => map(a, |x| x.wrapping_neg()),
                Unary::Abs => map(a, |x| (x as $i).wrapping_abs() as $u),
                Unary::Reverse => map(a, |x| x.reverse_bits()),
            }
        }

        fn $compare(op: Compare, signed: bool, a: &[$u; LANES], b: &[$u; LANES]) -> u32 {
            match (op, signed) {
                (Compare::Eq, _) => mask_of(a, b, |x, y| x == y),
                (Compare::Ne, _) => mask_of(a, b, |x, y| x != y),
                (Compare::Lt, false) => mask_of(a, b, |x, y| x < y),
                (Compare::Le, false) => mask_of(a, b, |x, y| x <= y),
                (Compare::Gt, false) => mask_of(a, b, |x, y| x > y),
                (Compare::Ge, false) => mask_of(a, b, |x, y| x >= y),
                (Compare::Lt, true) => mask_of(a, b, |x, y| (x as $i) < y as $i),
                (Compare::Le, true) => mask_of(a, b, |x, y| x as $i <= y as $i),
                (Compare::Gt, true) => mask_of(a, b, |x, y| x as $i > y as $i),
                (Compare::Ge, true) => mask_of(a, b, |x, y| x as $i >= y as $i),
            }
        }
    };
}

integers!(binary_u16, unary_u16, compare_u16, u16, i16, u32, i32);
integers!(binary_u32, unary_u32, compare_u32, u32, i32, u64, i64);
integers!(binary_u64, unary_u64, compare_u64, u64, i64, u128, i128);

fn halves(a: &Narrow) -> [u16; LANES] {
    map(a, |x| x as u16)
}

/// `op` on 16 or 32 bits.
pub(crate) fn binary(op: Binary, width: Width, a: &Narrow, b: &Narrow) -> Narrow {
    match (op, width) {
        (Binary::Shl | Binary::ShrU | Binary::ShrS, _) => shift(op, width, a, b),
        (_, Width::W16) => map(&binary_u16(op, &halves(a), &halves(b)), u32::from),
        _ => binary_u32(op, a, b),
    }
}

/// `op` on 64 bits; not a shift.
pub(crate) fn binary_wide(op: Binary, a: &Wide, b: &Wide) -> Wide {
    binary_u64(op, a, b)
}

/// Shifts on 16 or 32 bits: amounts from the width on give zeros, or signs.
fn shift(op: Binary, width: Width, a: &Narrow, b: &Narrow) -> Narrow {
    match (op, width) {
        (Binary::Shl, Width::W16) => zip(a, b, |x, n| if n < 16 { x << n & 0xffff } else { 0 }),
        (Binary::ShrS, Width::W16) => zip(a, b, |x, n| u32::from((i32::from(x as i16) >> n.min(15)) as u16)),
        (Binary::Shl, _) => zip(a, b, |x, n| if n < 32 { x << (n & 31) } else { 0 }),
        (Binary::ShrS, _) => zip(a, b, |x, n| (x as i32 >> n.min(31)) as u32),
        _ => zip(a, b, |x, n| if n < 32 { x >> (n & 31) } else { 0 }),
    }
}

/// Shifts on 64 bits.
pub(crate) fn shift_wide(op: Binary, a: &Wide, b: &Narrow) -> Wide {
    match op {
        Binary::Shl => zip(a, b, |x, n| if n < 64 { x << (n & 63) } else { 0 }),
        Binary::ShrS => zip(a, b, |x, n| (x as i64 >> n.min(63)) as u64),
        _ => zip(a, b, |x, n| if n < 64 { x >> (n & 63) } else { 0 }),
    }
}

/// `op` on 16 or 32 bits.
pub(crate) fn unary(op: Unary, width: Width, a: &Narrow) -> Narrow {
    match width {
        Width::W16 => map(&unary_u16(op, &halves(a)), u32::from),
        _ => unary_u32(op, a),
    }
}

/// `op` on 64 bits.
pub(crate) fn unary_wide(op: Unary, a: &Wide) -> Wide {
    unary_u64(op, a)
}

/// Counts on 32 bits.
pub(crate) fn count(op: Count, a: &Narrow) -> Narrow {
    match op {
        Count::Ones => map(a, u32::count_ones),
        Count::LeadingZeros => map(a, u32::leading_zeros),
        Count::Highest { signed, shift_amount } => map(a, |x| {
            let x = if signed && x as i32 <= -1 { !x } else { x };
            let zeros = x.leading_zeros();
            if x == 0 { u32::MAX } else { if shift_amount { zeros } else { 31 - zeros } }
        }),
    }
}

/// Counts on 64 bits.
pub(crate) fn count_wide(op: Count, a: &Wide) -> Narrow {
    match op {
        Count::Ones => map(a, u64::count_ones),
        Count::LeadingZeros => map(a, u64::leading_zeros),
        Count::Highest { signed, shift_amount } => map(a, |x| {
            let x = if signed && x as i64 <= -1 { !x } else { x };
            let zeros = x.leading_zeros();
            if x == 0 { u32::MAX } else { if shift_amount { zeros } else { 63 - zeros } }
        }),
    }
}

/// The product of 16-bit (32-bit) numbers in 32 (64) bits, as a 64-bit number.
pub(crate) fn product(signed: bool, from: Width, a: &Narrow, b: &Narrow) -> Wide {
    match (from, signed) {
        (Width::W16, true) => zip(a, b, |x, y| (i32::from(x as i16) * i32::from(y as i16)) as u32 as u64),
        (_, true) => zip(a, b, |x, y| (i64::from(x as i32) * i64::from(y as i32)) as u64),
        _ => zip(a, b, |x, y| u64::from(x) * u64::from(y)),
    }
}

/// `shf`: b is the low word, a the high one.
pub(crate) fn funnel(left: bool, clamp: bool, low: &Narrow, high: &Narrow, by: &Narrow) -> Narrow {
    let mut r = [0; LANES];
    for lane in 0..LANES {
        let word = u64::from(high[lane]) << 32 | u64::from(low[lane]);
        let n = if clamp { by[lane].min(32) } else { by[lane] & 31 };
        r[lane] = if left { (word << n >> 32) as u32 } else { (word >> n) as u32 };
    }
    r
}

/// `prmt` in its default mode: each nibble of c chooses a byte of b:a, or its sign eight times.
pub(crate) fn permute(a: u32, b: u32, selector: u32) -> u32 {
    let bytes = u64::from(b) << 32 | u64::from(a);
    (0..4).fold(0, |word, k| {
        let nibble = selector >> (4 * k) & 15;
        let byte = (bytes >> (8 * (nibble & 7))) as u8;
        let byte = if nibble & 8 == 0 { byte } else { ((byte as i8) >> 7) as u8 };
        word | u32::from(byte) << (8 * k)
    })
}

/// `bfe` on a number of `bits` bits.
pub(crate) fn extract(signed: bool, bits: u32, a: u64, position: u32, length: u32) -> u64 {
    let (position, length) = (position & 255, length & 255);
    let ones = |n: u32| if n >= 64 { u64::MAX } else { (1 << n) - 1 };
    let (a, field) = (a & ones(bits), ones(length));
    let value = if position < bits { a >> position & field } else { 0 };
    if !signed || length == 0 {
        return value;
    }
    // The sign is the last existing bit of the field.
    let sign = a >> (position + length - 1).min(bits - 1) & 1;
    let present = length.min(bits.saturating_sub(position));
    if sign == 1 { (value | !ones(present)) & ones(bits) } else { value }
}

/// `bfi` on a number of `bits` bits: the low `length` bits of a, put into b at `position`.
pub(crate) fn insert(bits: u32, a: u64, b: u64, position: u32, length: u32) -> u64 {
    let (position, length) = (position & 255, length & 255);
    if position >= bits {
        return b;
    }
    let ones = |n: u32| if n >= 64 { u64::MAX } else { (1 << n) - 1 };
    let field = (ones(length) << position) & ones(bits);
    (b & !field) | (a << position & field)
}

/// A comparison on 16 or 32 bits, floating-point numbers included.
pub(crate) fn compare(op: Compare, ty: Type, a: &Narrow, b: &Narrow) -> u32 {
    match ty {
        Type::Float(_) => compare_real(op, &map(a, f32::from_bits), &map(b, f32::from_bits)),
        _ if ty.bits() == 16 => compare_u16(op, ty.is_signed(), &halves(a), &halves(b)),
        _ => compare_u32(op, ty.is_signed(), a, b),
    }
}

/// A comparison on 64 bits.
pub(crate) fn compare_wide(op: Compare, ty: Type, a: &Wide, b: &Wide) -> u32 {
    match ty {
        Type::Float(_) => compare_real(op, &map(a, f64::from_bits), &map(b, f64::from_bits)),
        _ => compare_u64(op, ty.is_signed(), a, b),
    }
}

fn compare_real<T: Copy + PartialOrd>(op: Compare, a: &[T; LANES], b: &[T; LANES]) -> u32 {
    match op {
        Compare::Eq => mask_of(a, b, |x, y| x == y),
        // `setp.ne` is an ordered comparison: false for NaN.
        Compare::Ne => mask_of(a, b, |x, y| x.partial_cmp(&y).is_some_and(|order| order.is_ne())),
        Compare::Lt => mask_of(a, b, |x, y| x < y),
        Compare::Le => mask_of(a, b, |x, y| x <= y),
        Compare::Gt => mask_of(a, b, |x, y| x > y),
        Compare::Ge => mask_of(a, b, |x, y| x >= y),
    }
}

macro_rules! reals {
    ($name:ident, $t:ty) => {
        fn $name(op: Real, a: $t, b: $t) -> $t {
            match op {
                Real::Add => a + b,
                Real::Sub => a - b,
                Real::Mul => a * b,
                Real::Div => a / b,
                Real::Min => a.min(b),
                Real::Max => a.max(b),
                Real::Sqrt => a.sqrt(),
                Real::Neg => -a,
                Real::Abs => a.abs(),
            }
        }
    };
}

reals!(real_f32, f32);
reals!(real_f64, f64);

/// `op` on numbers of 32 bits; unary ones ignore b.
pub(crate) fn real(op: Real, a: &Narrow, b: &Narrow) -> Narrow {
    zip(a, b, |x, y| real_f32(op, f32::from_bits(x), f32::from_bits(y)).to_bits())
}

/// `op` on numbers of 64 bits; unary ones ignore b.
pub(crate) fn real_wide(op: Real, a: &Wide, b: &Wide) -> Wide {
    zip(a, b, |x, y| real_f64(op, f64::from_bits(x), f64::from_bits(y)).to_bits())
}
