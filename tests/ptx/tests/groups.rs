//! Each group of instructions on PTX written by hand, against the same computation in Rust.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::written::{kernel, run_text};
use lumina_ptx::FaultKind;

/// Loads a, b, c (64 bits each, `a[i]`, `b[i]`, `c[i]` of lane i), runs `body`, which leaves its result in `%rd15`.
fn lanes(body: &str, triples: &[[u64; 3]; 32]) -> Vec<u64> {
    let loads = "ld.global.u64 %rd2, [%rd0];\nld.global.u64 %rd3, [%rd0+256];\nld.global.u64 %rd4, [%rd0+512];\n\
                 cvt.u32.u64 %r2, %rd2;\ncvt.u32.u64 %r3, %rd3;\ncvt.u32.u64 %r4, %rd4;\n\
                 cvt.u16.u64 %h2, %rd2;\ncvt.u16.u64 %h3, %rd3;\n";
    let input: Vec<u64> = (0..3).flat_map(|k| triples.iter().map(move |triple| triple[k])).collect();
    let text = kernel(&format!("{loads}{body}\nst.global.u64 [%rd0], %rd15;"));
    run_text(&text, 32, &input).unwrap_or_else(|fault| panic!("{fault}"))[..32].to_vec()
}

/// Values that cause overflows, carries, signs and shifts beyond the width.
fn triples() -> [[u64; 3]; 32] {
    let mut random = fastrand::Rng::with_seed(3);
    let edges = [0, 1, u64::MAX, 1 << 63, i64::MAX as u64, 1 << 31, u64::from(u32::MAX), 0xffff, 0x8000, 33];
    std::array::from_fn(|lane| {
        std::array::from_fn(|k| {
            if random.bool() { edges[(lane + 3 * k) % edges.len()] } else { random.u64(..) >> random.u32(..64) }
        })
    })
}

/// Checks 64-bit, 32-bit and 16-bit forms of one instruction.
fn check(body: &str, want: impl Fn(u64, u64, u64) -> u64) {
    let triples = triples();
    for (lane, got) in lanes(body, &triples).into_iter().enumerate() {
        let [a, b, c] = triples[lane];
        assert_eq!(got, want(a, b, c), "{body}: {a:#x} {b:#x} {c:#x}");
    }
}

fn narrow(body: &str, want: impl Fn(u32, u32, u32) -> u32) {
    check(&format!("{body}\ncvt.u64.u32 %rd15, %r15;"), |a, b, c| u64::from(want(a as u32, b as u32, c as u32)));
}

fn half(body: &str, want: impl Fn(u16, u16) -> u16) {
    check(&format!("{body}\ncvt.u64.u16 %rd15, %h7;"), |a, b, _| u64::from(want(a as u16, b as u16)));
}

#[test]
fn sums_products_and_logic() {
    check("add.s64 %rd15, %rd2, %rd3;", |a, b, _| a.wrapping_add(b));
    check("sub.u64 %rd15, %rd2, %rd3;", |a, b, _| a.wrapping_sub(b));
    check("mul.lo.s64 %rd15, %rd2, %rd3;", |a, b, _| a.wrapping_mul(b));
    check("mul.hi.u64 %rd15, %rd2, %rd3;", |a, b, _| ((u128::from(a) * u128::from(b)) >> 64) as u64);
    check("mul.hi.s64 %rd15, %rd2, %rd3;", |a, b, _| ((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64);
    check("mad.lo.s64 %rd15, %rd2, %rd3, %rd4;", |a, b, c| a.wrapping_mul(b).wrapping_add(c));
    check("and.b64 %rd15, %rd2, %rd3;", |a, b, _| a & b);
    check("or.b64 %rd15, %rd2, %rd3;", |a, b, _| a | b);
    check("xor.b64 %rd15, %rd2, %rd3;", |a, b, _| a ^ b);
    check("not.b64 %rd15, %rd2;", |a, _, _| !a);
    check("neg.s64 %rd15, %rd2;", |a, _, _| a.wrapping_neg());
    check("abs.s64 %rd15, %rd2;", |a, _, _| (a as i64).wrapping_abs() as u64);
    check("min.s64 %rd15, %rd2, %rd3;", |a, b, _| (a as i64).min(b as i64) as u64);
    check("max.u64 %rd15, %rd2, %rd3;", |a, b, _| a.max(b));
    check("mul.wide.u32 %rd15, %r2, %r3;", |a, b, _| u64::from(a as u32) * u64::from(b as u32));
    check("mul.wide.s32 %rd15, %r2, %r3;", |a, b, _| (i64::from(a as i32) * i64::from(b as i32)) as u64);
    check("mad.wide.u32 %rd15, %r2, %r3, %rd4;", |a, b, c| (u64::from(a as u32) * u64::from(b as u32)).wrapping_add(c));
    narrow("add.s32 %r15, %r2, 5;", |a, _, _| a.wrapping_add(5));
    narrow("mad.lo.s32 %r15, %r2, %r3, %r4;", |a, b, c| a.wrapping_mul(b).wrapping_add(c));
    narrow("mad.hi.u32 %r15, %r2, %r3, %r4;", |a, b, c| (((u64::from(a) * u64::from(b)) >> 32) as u32).wrapping_add(c));
    narrow("mul.hi.s32 %r15, %r2, %r3;", |a, b, _| ((i64::from(a as i32) * i64::from(b as i32)) >> 32) as u32);
    narrow("min.s32 %r15, %r2, %r3;", |a, b, _| (a as i32).min(b as i32) as u32);
    narrow("max.s32 %r15, %r2, -7;", |a, _, _| (a as i32).max(-7) as u32);
    narrow("min.u32 %r15, %r2, %r3;", |a, b, _| a.min(b));
    narrow("mul.wide.s16 %r15, %h2, %h3;", |a, b, _| (i32::from(a as i16) * i32::from(b as i16)) as u32);
    half("add.s16 %h7, %h2, %h3;", u16::wrapping_add);
    half("mul.lo.s16 %h7, %h2, %h3;", u16::wrapping_mul);
    half("min.s16 %h7, %h2, %h3;", |a, b| (a as i16).min(b as i16) as u16);
    half("not.b16 %h7, %h2;", |a, _| !a);
}

#[test]
fn divisions() {
    check("or.b64 %rd5, %rd3, 1;\ndiv.u64 %rd15, %rd2, %rd5;", |a, b, _| a / (b | 1));
    check("or.b64 %rd5, %rd3, 1;\nrem.s64 %rd15, %rd2, %rd5;", |a, b, _| (a as i64).wrapping_rem(b as i64 | 1) as u64);
    narrow("or.b32 %r5, %r3, 1;\ndiv.s32 %r15, %r2, %r5;", |a, b, _| (a as i32).wrapping_div(b as i32 | 1) as u32);
    narrow("or.b32 %r5, %r3, 1;\nrem.u32 %r15, %r2, %r5;", |a, b, _| a % (b | 1));
    let text = kernel("ld.global.u64 %rd2, [%rd0];\ndiv.u64 %rd3, 1, %rd2;\nst.global.u64 [%rd0], %rd3;");
    let fault = run_text(&text, 2, &[1, 0]).unwrap_err();
    assert_eq!((fault.kind, fault.thread), (FaultKind::Undefined, [1, 0, 0]));
}

#[test]
fn shifts_beyond_the_width() {
    let amount = |c: u64| (c as u32).min(64);
    check("shl.b64 %rd15, %rd2, %r4;", |a, _, c| a.checked_shl(amount(c)).unwrap_or(0));
    check("shr.u64 %rd15, %rd2, %r4;", |a, _, c| a.checked_shr(amount(c)).unwrap_or(0));
    check("shr.s64 %rd15, %rd2, %r4;", |a, _, c| (a as i64 >> amount(c).min(63)) as u64);
    narrow("shl.b32 %r15, %r2, %r4;", |a, _, c| a.checked_shl(c).unwrap_or(0));
    narrow("shr.u32 %r15, %r2, %r4;", |a, _, c| a.checked_shr(c).unwrap_or(0));
    narrow("shr.s32 %r15, %r2, %r4;", |a, _, c| (a as i32 >> c.min(31)) as u32);
    half("shl.b16 %h7, %h2, 3;", |a, _| a << 3);
    half("shr.s16 %h7, %h2, 3;", |a, _| (a as i16 >> 3) as u16);
    let both = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    narrow("shf.l.wrap.b32 %r15, %r2, %r3, %r4;", |a, b, c| (both(a, b) << (c & 31) >> 32) as u32);
    narrow("shf.r.wrap.b32 %r15, %r2, %r3, %r4;", |a, b, c| (both(a, b) >> (c & 31)) as u32);
    narrow("shf.r.clamp.b32 %r15, %r2, %r3, %r4;", |a, b, c| (both(a, b) >> c.min(32)) as u32);
    narrow("shf.l.clamp.b32 %r15, %r2, %r3, %r4;", |a, b, c| (both(a, b) << c.min(32) >> 32) as u32);
}

#[test]
fn bits_and_fields() {
    let wide = |body: &str| format!("{body}\ncvt.u64.u32 %rd15, %r15;");
    check(&wide("popc.b64 %r15, %rd2;"), |a, _, _| u64::from(a.count_ones()));
    check(&wide("clz.b64 %r15, %rd2;"), |a, _, _| u64::from(a.leading_zeros()));
    check("brev.b64 %rd15, %rd2;", |a, _, _| a.reverse_bits());
    narrow("popc.b32 %r15, %r2;", |a, _, _| a.count_ones());
    narrow("clz.b32 %r15, %r2;", |a, _, _| a.leading_zeros());
    narrow("brev.b32 %r15, %r2;", |a, _, _| a.reverse_bits());
    narrow("bfind.u32 %r15, %r2;", |a, _, _| a.checked_ilog2().unwrap_or(u32::MAX));
    narrow("bfind.s32 %r15, %r2;", |a, _, _| (if (a as i32) < 0 { !a } else { a }).checked_ilog2().unwrap_or(u32::MAX));
    // A field by its definition: bit by bit.
    let field = |a: u64, bits: u32, from: u32, length: u32, signed: bool| {
        let sign = if signed && length > 0 { a >> (from + length - 1).min(bits - 1) & 1 } else { 0 };
        (0..bits).fold(0u64, |value, i| {
            let bit = if i < length && from + i < bits { a >> (from + i) & 1 } else { sign };
            value | bit << i
        })
    };
    for (from, length) in [(0, 32), (5, 3), (30, 10), (31, 1), (40, 5), (3, 0), (0, 255)] {
        narrow(&format!("bfe.u32 %r15, %r2, {from}, {length};"), |a, _, _| {
            field(u64::from(a), 32, from, length, false) as u32
        });
        narrow(&format!("bfe.s32 %r15, %r2, {from}, {length};"), |a, _, _| {
            field(u64::from(a), 32, from, length, true) as u32
        });
        check(&format!("bfe.s64 %rd15, %rd2, {from}, {length};"), |a, _, _| field(a, 64, from, length, true));
        check(&format!("bfi.b64 %rd15, %rd2, %rd3, {from}, {length};"), |a, b, _| {
            (0..64).fold(b, |value, i| {
                let is_field = i >= from && i - from < length;
                if is_field { value & !(1 << i) | (a >> (i - from) & 1) << i } else { value }
            })
        });
    }
    narrow("prmt.b32 %r15, %r2, %r3, 0x7531;", |a, b, _| {
        let bytes = [a.to_le_bytes(), b.to_le_bytes()].concat();
        u32::from_le_bytes([bytes[1], bytes[3], bytes[5], bytes[7]])
    });
    narrow("prmt.b32 %r15, %r2, %r3, 0x4F80;", |a, b, _| {
        let bytes = [a.to_le_bytes(), b.to_le_bytes()].concat();
        let sign = |byte: u8| if byte >> 7 == 1 { 255 } else { 0 };
        u32::from_le_bytes([bytes[0], sign(bytes[0]), sign(bytes[7]), bytes[4]])
    });
    check("mov.b64 {%r5, %r6}, %rd2;\nmov.b64 %rd15, {%r6, %r5};", |a, _, _| a.rotate_left(32));
    narrow("mov.b32 {%h4, %h5}, %r2;\nmov.b32 %r15, {%h5, %h4};", |a, _, _| a.rotate_left(16));
}

#[test]
fn comparisons_and_selections() {
    type Want = fn(u64, u64) -> bool;
    let cases: [(&str, Want); 6] = [
        ("lt.u64", |a, b| a < b),
        ("ge.s64", |a, b| a as i64 >= b as i64),
        ("eq.b64", |a, b| a == b),
        ("ne.s64", |a, b| a != b),
        ("hi.u64", |a, b| a > b),
        ("le.s64", |a, b| a as i64 <= b as i64),
    ];
    for (compare, want) in cases {
        check(&format!("setp.{compare} %p1, %rd2, %rd3;\nselp.b64 %rd15, %rd2, %rd4, %p1;"), |a, b, c| {
            if want(a, b) { a } else { c }
        });
    }
    narrow("setp.gt.s32 %p1, %r2, %r3;\nselp.b32 %r15, 1, 0, %p1;", |a, b, _| u32::from(a as i32 > b as i32));
    half("setp.lt.s16 %p1, %h2, %h3;\nselp.b16 %h7, %h2, %h3, %p1;", |a, b| (a as i16).min(b as i16) as u16);
    narrow("setp.lt.u32 %p1, %r2, %r3;\nsetp.ne.or.s32 %p2, %r2, 1, %p1;\nselp.u32 %r15, 7, 9, %p2;", |a, b, _| {
        if a < b || a != 1 { 7 } else { 9 }
    });
    let logic = "setp.lt.u32 %p1, %r2, %r3;\nsetp.lt.u32 %p2, %r3, %r4;\nand.pred %p3, %p1, %p2;\n\
                 xor.pred %p4, %p3, %p1;\n\
                 not.pred %p5, %p4;\nor.pred %p6, %p5, %p2;\nmov.pred %p7, %p6;\nselp.u32 %r15, 1, 0, %p7;";
    narrow(logic, |a, b, c| u32::from(!((a < b && b < c) ^ (a < b)) || b < c));
}

#[test]
fn conversions() {
    check("cvt.s64.s32 %rd15, %r2;", |a, _, _| a as i32 as u64);
    check("cvt.u64.u16 %rd15, %h2;", |a, _, _| u64::from(a as u16));
    check("cvt.s64.s16 %rd15, %h2;", |a, _, _| a as i16 as u64);
    narrow("cvt.s32.s8 %r15, %r2;", |a, _, _| a as i8 as u32);
    narrow("cvt.u32.u8 %r15, %h2;", |a, _, _| u32::from(a as u8));
    half("cvt.u16.u32 %h7, %r2;", |a, _| a);
    half("cvt.s16.s8 %h7, %h2;", |a, _| a as i8 as u16);
    check("cvt.rn.f64.u64 %fd1, %rd2;\nmov.b64 %rd15, %fd1;", |a, _, _| (a as f64).to_bits());
    check("cvt.rn.f64.s32 %fd1, %r2;\nmov.b64 %rd15, %fd1;", |a, _, _| f64::from(a as i32).to_bits());
    narrow("cvt.rn.f32.u32 %f1, %r2;\nmov.b32 %r15, %f1;", |a, _, _| (a as f32).to_bits());
    for (number, whole) in [("0dC00C000000000000", -3i64), ("0d400C000000000000", 3), ("0d7FF8000000000000", 0)] {
        check(&format!("cvt.rzi.s64.f64 %rd15, {number};"), |_, _, _| whole as u64);
    }
    check("cvt.rni.s64.f64 %rd15, 0d4004000000000000;", |_, _, _| 2); // 2.5
    check("cvt.rpi.s64.f64 %rd15, 0d4004000000000000;", |_, _, _| 3);
    check("cvt.rmi.s64.f64 %rd15, 0dC004000000000000;", |_, _, _| -3i64 as u64);
    check("cvt.rzi.u64.f64 %rd15, 0dC004000000000000;", |_, _, _| 0);
    check("cvt.rzi.u32.f64 %r15, 0d43E0000000000000;\ncvt.u64.u32 %rd15, %r15;", |_, _, _| u64::from(u32::MAX));
}

#[test]
fn floating_point() {
    let load = "cvt.rn.f64.s64 %fd2, %rd2;\ncvt.rn.f64.s64 %fd3, %rd3;\ncvt.rn.f64.s64 %fd4, %rd4;\n";
    type Want = fn(f64, f64, f64) -> f64;
    let cases: [(&str, Want); 9] = [
        ("add.f64 %fd1, %fd2, %fd3;", |a, b, _| a + b),
        ("sub.rn.f64 %fd1, %fd2, %fd3;", |a, b, _| a - b),
        ("mul.f64 %fd1, %fd2, %fd3;", |a, b, _| a * b),
        ("div.rn.f64 %fd1, %fd2, 0d4008000000000000;", |a, _, _| a / 3.0),
        ("fma.rn.f64 %fd1, %fd2, %fd3, %fd4;", f64::mul_add),
        ("abs.f64 %fd1, %fd2;\nsqrt.rn.f64 %fd1, %fd1;", |a, _, _| a.abs().sqrt()),
        ("neg.f64 %fd1, %fd2;", |a, _, _| -a),
        ("min.f64 %fd1, %fd2, %fd3;", |a, b, _| a.min(b)),
        ("setp.gt.f64 %p1, %fd2, %fd3;\nselp.f64 %fd1, %fd2, %fd4, %p1;", |a, b, c| if a > b { a } else { c }),
    ];
    for (body, want) in cases {
        check(&format!("{load}{body}\nmov.b64 %rd15, %fd1;"), |a, b, c| {
            want(a as i64 as f64, b as i64 as f64, c as i64 as f64).to_bits()
        });
    }
    // Fused: rounded once, so that it differs from a product and a sum.
    check(
        "mov.f64 %fd2, 0d3FF0000000000001;\nfma.rn.f64 %fd1, %fd2, %fd2, 0dBFF0000000000002;\nmov.b64 %rd15, %fd1;",
        |_, _, _| 2f64.powi(-104).to_bits(),
    );
    narrow("cvt.rn.f32.s32 %f2, %r2;\nadd.f32 %f1, %f2, 0f3F800000;\nmov.b32 %r15, %f1;", |a, _, _| {
        (a as i32 as f32 + 1.0).to_bits()
    });
    narrow("setp.ne.f32 %p1, 0f7FC00000, 0f3F800000;\nselp.u32 %r15, 1, 0, %p1;", |_, _, _| 0);
}
