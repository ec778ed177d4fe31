//! Control flow, memory, collectives, and every kind of fault, on PTX written by hand.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::written::{HEAD, kernel, run_text};
use common::{ORDERS, read_u32, read_u64};
use lumina_ptx::{Device, FaultKind, Header, Memory, Module, Options, Order, Unsupported, launch};

/// A product of matrices, all operands the thread's number.
const MATRIX: &str = "mma.sync.aligned.m16n8k128.row.col.s32.b1.b1.s32.and.popc {%r1,%r2,%r3,%r4}, {%r0,%r0}, \
                      {%r0}, {%r0,%r0,%r0,%r0};";

/// The lanes' results, stored from `%rd15`.
fn results(body: &str, threads: u32) -> Vec<u64> {
    let text = kernel(&format!("{body}\nst.global.u64 [%rd0], %rd15;"));
    run_text(&text, threads, &vec![0; threads as usize]).unwrap_or_else(|fault| panic!("{fault}"))
}

/// The kind of the fault of a kernel whose array has two numbers a thread.
fn fault(body: &str, threads: u32) -> (FaultKind, u32) {
    let text = kernel(body);
    let fault = run_text(&text, threads, &vec![7; 2 * threads as usize]).unwrap_err();
    assert!(fault.line > 0 && text.lines().nth(fault.line as usize - 1).is_some());
    (fault.kind, fault.thread[0])
}

#[test]
fn lanes_part_and_meet_again() {
    // A loop whose count differs from lane to lane, then a collective that needs all of them.
    let body = "mov.u64 %rd15, 0;\nmov.u32 %r1, %r0;\nL1:\nsetp.eq.s32 %p1, %r1, 0;\n@%p1 bra L2;\n\
                add.s64 %rd15, %rd15, 3;\n\
                add.s32 %r1, %r1, -1;\nbra.uni L1;\nL2:\nvote.sync.ballot.b32 %r2, %p1, -1;\ncvt.u64.u32 %rd2, %r2;\n\
                add.s64 %rd15, %rd15, %rd2;";
    let want: Vec<u64> = (0..32).map(|lane| 3 * lane + u64::from(u32::MAX)).collect();
    assert_eq!(results(body, 32), want);
    // Predicates without branches, and lanes that leave early.
    let body = "and.b32 %r1, %r0, 1;\nsetp.eq.u32 %p1, %r1, 0;\nmov.u64 %rd15, 1;\n@%p1 mov.u64 %rd15, 2;\n\
                @!%p1 st.global.u64 [%rd0], %rd1;\n@!%p1 ret;\nadd.s64 %rd15, %rd15, 5;";
    let want: Vec<u64> = (0..40).map(|lane| if lane % 2 == 0 { 7 } else { 8 * lane }).collect();
    assert_eq!(results(body, 40), want);
}

#[test]
fn functions_are_called() {
    let text = format!(
        "{HEAD}.func (.param .b64 out) f(.param .b64 a, .param .b32 b) {{\n.local .align 8 .b8 room[16];\n\
         .reg .b64 %rd<5>;\n.reg .b32 %r<3>;\n.reg .pred %p<2>;\nld.param.u64 %rd1, [a];\nld.param.u32 %r1, [b];\n\
         mov.u64 %rd2, room;\ncvta.local.u64 %rd3, %rd2;\nst.u32 [%rd3+4], %r1;\nld.local.u32 %r2, [%rd2+4];\n\
         setp.lt.u32 %p1, %r2, 16;\nvote.sync.any.pred %p1, %p1, -1;\nselp.b32 %r2, %r2, 0, %p1;\n\
         cvt.u64.u32 %rd4, %r2;\nadd.s64 %rd4, %rd4, %rd1;\nst.param.b64 [out], %rd4;\nret;\n}}\n{}",
        kernel(
            "{ .reg .b32 temp;\n.param .b64 p0;\nst.param.b64 [p0+0], 100;\n.param .b32 p1;\n\
             st.param.b32 [p1+0], %r0;\n\
             .param .b64 r0;\ncall.uni (r0), f, (p0, p1);\nld.param.b64 %rd5, [r0+0];\n}\nst.global.u64 [%rd0], %rd5;"
        )
        .replace(HEAD, "")
    );
    assert_eq!(run_text(&text, 32, &[0; 32]).unwrap(), (100..132).collect::<Vec<u64>>());
    let recursive = text.replace("ld.param.u64 %rd1, [a];", "ld.param.u64 %rd1, [a];\ncall.uni (out), f, (a, b);");
    assert!(Module::parse(&recursive).unwrap_err().message.contains("calls itself"));
}

#[test]
fn every_width_of_memory() {
    let body = "mov.u64 %rd2, 0xfedcba9876543210;\nst.global.u64 [%rd0], %rd2;\nld.global.s8 %r1, [%rd0+7];\n\
                ld.global.u16 %h1, [%rd0+2];\nst.global.u8 [%rd0+1], %r1;\nst.global.u16 [%rd0+4], %h1;\n\
                ld.global.v2.u32 {%r2, %r3}, [%rd0];\nld.global.u8 %rd3, [%rd0+1];\nmov.b64 %rd15, {%r2, %r3};\n\
                add.s64 %rd15, %rd15, %rd3;\ncvt.s64.s32 %rd4, %r1;\nadd.s64 %rd15, %rd15, %rd4;";
    let mut bytes = 0xfedc_ba98_7654_3210u64.to_le_bytes();
    bytes[1] = 0xfe;
    bytes.copy_within(2..4, 4);
    let want = u64::from_le_bytes(bytes).wrapping_add(0xfe).wrapping_add(-2i64 as u64);
    assert_eq!(results(body, 3), [want; 3]);
}

#[test]
fn atomic_operations() {
    type Next = fn(u64, u64) -> u64;
    let cases: [(&str, u64, Next); 9] = [
        ("add.u64", 5, |old, lane| old.wrapping_add(lane)),
        ("min.s64", 7, |old, lane| (old as i64).min(3 - lane as i64) as u64),
        ("max.u64", 3, |old, lane| old.max(lane)),
        ("and.b64", 255, |old, lane| old & !(1 << lane)),
        ("or.b64", 0, |old, lane| old | 1 << lane),
        ("xor.b64", 9, |old, lane| old ^ lane),
        ("exch.b64", 1, |_, lane| lane),
        ("add.s64", 1, |old, lane| old.wrapping_sub(lane)),
        ("add.u64", u64::MAX, |old, lane| old.wrapping_add(lane)),
    ];
    for (op, start, next) in cases {
        // Each lane's operand is `next` applied to its number.
        let operand = match op {
            "min.s64" => "sub.s64 %rd5, 3, %rd4;",
            "and.b64" => "shl.b64 %rd5, 1, %r0;\nnot.b64 %rd5, %rd5;",
            "or.b64" => "shl.b64 %rd5, 1, %r0;",
            "add.s64" => "neg.s64 %rd5, %rd4;",
            _ => "mov.u64 %rd5, %rd4;",
        };
        let body = format!(
            "ld.param.u64 %rd3, [at];\ncvt.u64.u32 %rd4, %r0;\n{operand}\natom.global.{op} %rd15, [%rd3+64], %rd5;\n\
             st.global.u64 [%rd0], %rd15;"
        );
        let mut input = [0; 9];
        input[8] = start;
        let got = run_text(&kernel(&body), 8, &input).unwrap();
        let mut value = start;
        for lane in 0..8 {
            assert_eq!(got[lane as usize], value, "{op}");
            value = next(value, lane);
        }
        assert_eq!(got[8], value, "{op}");
    }
    // Compare and swap, as a lock that lanes take one after another; and reductions without a result.
    let body = "ld.param.u64 %rd3, [at];\nmov.u64 %rd4, 0;\nL1:\nadd.s64 %rd5, %rd4, 2;\n\
                atom.cas.b64 %rd6, [%rd3+256], %rd4, %rd5;\nsetp.eq.s64 %p1, %rd6, %rd4;\nmov.u64 %rd4, %rd6;\n\
                @!%p1 bra L1;\nred.global.add.u32 [%rd3+264], 1;\nst.global.u64 [%rd0], 0;";
    let mut input = [9; 34];
    input[32] = 0;
    input[33] = 0;
    assert_eq!(run_text(&kernel(body), 32, &input).unwrap()[32..], [64, 32]);
}

#[test]
fn shuffles_by_the_definition() {
    for (mode, by, clamp) in
        [("up", 1, 0), ("up", 5, 0x1800), ("down", 3, 31), ("bfly", 5, 31), ("idx", 7, 0x181f), ("down", 9, 0x0f)]
    {
        let body = format!(
            "mul.lo.s32 %r1, %r0, 3;\nshfl.sync.{mode}.b32 %r2|%p1, %r1, {by}, {clamp}, -1;\n\
             selp.b32 %r3, 1000, 0, %p1;\n\
             add.s32 %r2, %r2, %r3;\ncvt.u64.u32 %rd15, %r2;"
        );
        let want: Vec<u64> = (0..32i32)
            .map(|lane| {
                let (segment, limit) = (clamp >> 8 & 31, clamp & 31);
                let (most, least) = ((lane & segment) | (limit & !segment), lane & segment);
                let (from, is_in) = match mode {
                    "up" => (lane - by, lane - by >= most),
                    "down" => (lane + by, lane + by <= most),
                    "bfly" => (lane ^ by, lane ^ by <= most),
                    _ => (least | (by & !segment), (least | (by & !segment)) <= most),
                };
                3 * (if is_in { from } else { lane }) as u64 + if is_in { 1000 } else { 0 }
            })
            .collect();
        assert_eq!(results(&body, 32), want, "{mode} {by} {clamp:#x}");
    }
}

#[test]
fn collectives_of_a_part_of_a_warp() {
    let body = "setp.lt.u32 %p1, %r0, 8;\n@%p1 bra L1;\nmov.u64 %rd15, 1;\nbra.uni L2;\nL1:\nsetp.eq.u32 %p2, %r0, 3;\n\
                vote.sync.any.pred %p3, %p2, 0xff;\nvote.sync.all.pred %p4, %p2, 0xff;\n\
                vote.sync.uni.pred %p5, %p4, 0xff;\n\
                activemask.b32 %r5;\nbar.warp.sync 0xff;\nselp.b32 %r2, 2, 0, %p3;\nselp.b32 %r3, 4, 0, %p4;\n\
                selp.b32 %r4, 8, 0, %p5;\nadd.s32 %r2, %r2, %r3;\nadd.s32 %r2, %r2, %r4;\nadd.s32 %r2, %r2, %r5;\n\
                cvt.u64.u32 %rd15, %r2;\nL2:";
    let want: Vec<u64> = (0..32).map(|lane| if lane < 8 { 2 + 8 + 255 } else { 1 }).collect();
    assert_eq!(results(body, 32), want);
}

const EXCHANGE: &str = ".shared .align 8 .b8 room[512];\nmov.u64 %rd2, room;\nadd.s64 %rd3, %rd2, %rd1;\n\
    cvt.u64.u32 %rd4, %r0;\nst.shared.u64 [%rd3], %rd4;\nbar.sync 0;\nmov.u32 %r1, %ntid.x;\nsub.s32 %r1, %r1, %r0;\n\
    add.s32 %r1, %r1, -1;\nmul.wide.u32 %rd5, %r1, 8;\nadd.s64 %rd5, %rd5, %rd2;\nld.shared.u64 %rd15, [%rd5];";

#[test]
fn threads_exchange_through_shared_memory() {
    let want: Vec<u64> = (0..64).rev().collect();
    assert_eq!(results(EXCHANGE, 64), want);
    assert_eq!(fault(&EXCHANGE.replace("bar.sync 0;", ""), 64).0, FaultKind::Unwritten);
    // The reader finds its own value first, so that only race detection notices.
    let twice =
        EXCHANGE.replace("bar.sync 0;", "").replacen("mov.u32 %r1", "st.shared.u64 [room+0], 5;\nmov.u32 %r1", 1);
    assert!(matches!(fault(&twice, 32).0, FaultKind::Race));
    assert_eq!(
        fault(
            &EXCHANGE
                .replace("bar.sync 0;", "@%p1 bar.sync 0;")
                .replace(".shared .align", "setp.lt.u32 %p1, %r0, 16;\n.shared .align"),
            64
        )
        .0,
        FaultKind::Divergence
    );
}

#[test]
fn special_registers_and_shapes() {
    let text = format!(
        "{HEAD}.visible .entry k(.param .u32 pad, .param .u64 at) .maxntid 48, 1, 1 {{\n.reg .b32 %r<20>;\n\
         .reg .b64 %rd<4>;\n\
         mov.u32 %r1, %tid.x;\nmov.u32 %r2, %tid.y;\nmov.u32 %r3, %ntid.x;\nmov.u32 %r4, %ntid.y;\n\
         mov.u32 %r5, %ctaid.x;\n\
         mov.u32 %r6, %ctaid.z;\nmov.u32 %r7, %nctaid.x;\nmov.u32 %r8, %laneid;\nmov.u32 %r9, %lanemask_lt;\n\
         mad.lo.s32 %r10, %r2, %r3, %r1;\nmul.lo.s32 %r11, %r3, %r4;\nmad.lo.s32 %r12, %r6, %r7, %r5;\n\
         mad.lo.s32 %r13, %r12, %r11, %r10;\npopc.b32 %r14, %r9;\nsub.s32 %r14, %r14, %r8;\nadd.s32 %r14, %r14, %r13;\n\
         ld.param.u64 %rd1, [at];\nmul.wide.u32 %rd2, %r13, 4;\nadd.s64 %rd1, %rd1, %rd2;\n\
         st.global.u32 [%rd1], %r14;\nret;\n}}"
    );
    let module = Module::parse(&text).unwrap();
    let entry = module.entry("k").unwrap();
    assert_eq!((entry.params_size(), entry.params()[1].offset, entry.max_threads()), (16, 8, Some(48)));
    for order in ORDERS {
        let mut memory = Memory::new();
        let at = memory.allocate(48 * 6 * 4);
        let params = [[0; 8], at.to_le_bytes()].concat();
        let options = Options { order, ..Options::default() };
        let stats = launch(entry, [3, 1, 2], [8, 6, 1], &params, &mut memory, &options).unwrap();
        assert_eq!(read_u32(&memory, at, 48 * 6), (0..48 * 6).collect::<Vec<u32>>());
        assert_eq!(stats.lane_instructions, 21 * 48 * 6);
        for (grid, block, params) in [([0, 1, 1], [8, 1, 1], 16), ([1; 3], [49, 1, 1], 16), ([1; 3], [8, 1, 1], 15)] {
            let fault = launch(entry, grid, block, &vec![0; params], &mut memory, &options).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Launch);
        }
    }
}

#[test]
fn addresses_that_are_not_there() {
    assert_eq!(fault("ld.global.u64 %rd2, [%rd0+8];\nst.global.u64 [%rd0+264], %rd2;", 32), (FaultKind::Address, 31));
    assert_eq!(fault("ld.global.u64 %rd2, [%rd0+-8];", 32), (FaultKind::Address, 0));
    assert_eq!(fault("mov.u64 %rd2, 0;\nld.u32 %r1, [%rd2];", 1), (FaultKind::Address, 0));
    assert_eq!(fault("ld.global.u32 %r1, [%rd0+2];", 4), (FaultKind::Misaligned, 0));
    assert_eq!(fault("ld.global.v2.u64 {%rd2, %rd3}, [%rd0];", 4), (FaultKind::Misaligned, 1));
    assert_eq!(fault("ld.param.u64 %rd2, [at+8];", 4), (FaultKind::Address, 0));
    assert_eq!(
        fault(".shared .align 4 .b8 a[4];\n.shared .align 4 .b8 b[4];\nst.shared.u32 [a+4], %r0;", 1).0,
        FaultKind::Address
    );
    assert_eq!(fault(".local .align 4 .b8 a[8];\nst.local.u32 [a+8], %r0;", 1).0, FaultKind::Address);
}

#[test]
fn values_that_are_not_there() {
    assert_eq!(fault("add.s32 %r1, %r2, 1;", 4), (FaultKind::Register, 0));
    assert_eq!(
        fault("setp.lt.u32 %p1, %r0, 3;\n@%p1 mov.u32 %r2, 1;\nmov.u32 %r3, %r2;\nadd.s32 %r1, %r3, 1;", 8),
        (FaultKind::Register, 3)
    );
    assert_eq!(fault("@%p1 ret;", 4), (FaultKind::Register, 0));
    assert_eq!(fault(".local .align 4 .b8 a[8];\nld.local.u32 %r1, [a+4];", 1).0, FaultKind::Unwritten);
    let text = kernel("ld.global.u64 %rd2, [%rd0];\nst.global.u64 [%rd0], 1;");
    let module = Module::parse(&text).unwrap();
    let mut memory = Memory::new();
    let at = memory.allocate(8);
    let run = |memory: &mut Memory, checks_unwritten| {
        let options = Options { checks_unwritten, ..Options::default() };
        launch(module.entry("k").unwrap(), [1; 3], [1; 3], &at.to_le_bytes(), memory, &options)
    };
    assert_eq!(run(&mut memory, true).unwrap_err().kind, FaultKind::Unwritten);
    run(&mut memory, false).unwrap();
    run(&mut memory, true).unwrap();
    assert_eq!(read_u64(&memory, at, 1), [1]);
    memory.free(at).unwrap();
    assert_eq!(run(&mut memory, false).unwrap_err().kind, FaultKind::Address);
    assert_eq!(memory.free(at), None);
}

#[test]
fn collectives_that_lanes_miss() {
    let half = "setp.lt.u32 %p1, %r0, 16;\n";
    assert_eq!(fault(&format!("{half}@%p1 vote.sync.any.pred %p2, %p1, -1;"), 32).0, FaultKind::Divergence);
    assert_eq!(fault(&format!("{half}@%p1 ret;\nbar.warp.sync -1;"), 32), (FaultKind::Divergence, 16));
    assert_eq!(fault("bar.warp.sync -1;", 20), (FaultKind::Divergence, 0));
    assert_eq!(fault("bar.warp.sync 1;", 2), (FaultKind::Divergence, 1));
    assert_eq!(fault(&format!("{half}shfl.sync.idx.b32 %r1, %r0, 20, 31, 0xffff;"), 16), (FaultKind::Divergence, 0));
    assert_eq!(
        fault(&format!("{half}@%p1 bra L1;\nbarrier.sync 0;\nbra L2;\nL1:\nbarrier.sync 0;\nL2:"), 32).0,
        FaultKind::Divergence
    );
    assert_eq!(fault(&format!("{half}selp.b32 %r1, -1, 3, %p1;\nbar.warp.sync %r1;"), 32).0, FaultKind::Divergence);
    assert_eq!(fault(&format!("{half}@%p1 {MATRIX}"), 32).0, FaultKind::Divergence);
}

#[test]
fn races_between_threads_warps_and_blocks() {
    let to_first = "ld.param.u64 %rd2, [at];\n";
    assert_eq!(
        fault(&format!("{to_first}cvt.u64.u32 %rd3, %r0;\nst.global.u64 [%rd2], %rd3;"), 32),
        (FaultKind::Race, 1)
    );
    let counter = format!("{to_first}ld.global.u64 %rd3, [%rd2];\nadd.s64 %rd3, %rd3, 1;\nst.global.u64 [%rd2], %rd3;");
    let text = kernel(&format!("setp.ne.u32 %p1, %r0, 0;\n@%p1 ret;\n{counter}"));
    let module = Module::parse(&text).unwrap();
    let mut memory = Memory::new();
    let at = memory.allocate_with(&[0; 8]);
    let mut run = |checks_races| {
        let options = Options { checks_races, ..Options::default() };
        launch(module.entry("k").unwrap(), [4, 1, 1], [32, 1, 1], &at.to_le_bytes(), &mut memory, &options)
    };
    let fault = run(true).unwrap_err();
    assert_eq!((fault.kind, fault.block), (FaultKind::Race, [1, 0, 0]));
    run(false).unwrap();
    // Strong accesses race only with plain ones.
    let strong = "ld.volatile.global.u64 %rd3, [%rd2];\natom.global.add.u64 %rd15, [%rd2], 1;";
    results(&format!("{to_first}{strong}\nbar.sync 0;\nmov.u64 %rd15, 0;"), 64);
    for plain in ["ld.global.u64 %rd3, [%rd2];", "st.global.u64 [%rd2], %rd1;"] {
        assert_eq!(self::fault(&format!("{to_first}{strong}\n{plain}"), 64).0, FaultKind::Race, "{plain}");
    }
    // Barriers of parts of a warp order their lanes, and a barrier of all of them orders all.
    let parts = "setp.lt.u32 %p1, %r0, 8;\n@%p1 bar.warp.sync 0xff;\n@%p1 bar.warp.sync 0xff;";
    let chain =
        EXCHANGE.replace("st.shared", &format!("{parts}\nst.shared")).replace("bar.sync 0;", "bar.warp.sync -1;");
    assert_eq!(results(&chain, 32), (0..32).rev().collect::<Vec<u64>>());
    // Valid orders: atomic operations, a barrier of the block, a barrier of the warp.
    results(&format!("{to_first}atom.global.add.u64 %rd15, [%rd2+0], 0;\nbar.sync 0;"), 1);
    let warp = EXCHANGE.replace("bar.sync 0;", "bar.warp.sync -1;");
    assert_eq!(results(&warp, 32), (0..32).rev().collect::<Vec<u64>>());
    assert!(matches!(self::fault(&warp, 64).0, FaultKind::Race | FaultKind::Unwritten));
}

#[test]
fn traps_and_endless_loops() {
    assert_eq!(fault("setp.eq.u32 %p1, %r0, 5;\n@%p1 trap;", 32), (FaultKind::Trap, 5));
    assert_eq!(fault("L1:\nbra L1;", 32).0, FaultKind::Endless);
    // Two warps, one of which waits for the other: turns are limited, so that it ends.
    let wait = ".shared .align 4 .b8 flag[4];\nsetp.lt.u32 %p1, %r0, 32;\nst.shared.u32 [flag], 0;\nbar.sync 0;\n\
                @%p1 bra L1;\n\
                atom.shared.exch.b32 %r1, [flag], 1;\nbra L2;\nL1:\natom.shared.add.u32 %r1, [flag], 0;\n\
                setp.eq.u32 %p2, %r1, 0;\n@%p2 bra L1;\nL2:\ncvt.u64.u32 %rd15, %r0;\nst.global.u64 [%rd0], %rd15;";
    let text = kernel(wait);
    let module = Module::parse(&text).unwrap();
    for order in [Order::Forward, Order::Shuffled(9)] {
        let mut memory = Memory::new();
        let at = memory.allocate_with(&[0; 512]);
        let options = Options { order, limit: 1_000_000, ..Options::default() };
        launch(module.entry("k").unwrap(), [1; 3], [64, 1, 1], &at.to_le_bytes(), &mut memory, &options).unwrap();
        assert_eq!(read_u64(&memory, at, 64), (0..64).collect::<Vec<u64>>());
    }
}

#[test]
fn errors_name_their_line() {
    let bad = |body: &str| {
        let text = kernel(body);
        let error = Module::parse(&text).unwrap_err();
        let first = text.lines().position(|line| body.starts_with(line) && !line.is_empty()).unwrap() as u32 + 1;
        (error.line - first, error.message)
    };
    for (body, line, words) in [
        ("mov.u32 %r1, 1;\ntex.2d.v4.s32 %r1, %r2;", 1, "tex"),
        ("add.s32 %r1, %r0, %rd0;", 0, "%rd0 has 64 bits"),
        ("add.s32 %r1, %r0, %r99;", 0, "%r99"),
        ("add.rz.f64 %fd1, %fd2, %fd3;", 0, "add.rz.f64"),
        ("add.s32 %r1, %r0;", 0, "operands"),
        ("ret;\nbra L9;", 1, "L9"),
        ("bar.sync 1;", 0, "barriers"),
        (".reg .b32 %r<4>;\n.reg .b32 %r<4>;", 0, "twice"),
        ("mov.u32 %r1, 1\nret;", 1, "has to be"),
    ] {
        let (at, message) = bad(body);
        assert!(at == line && message.contains(words), "{body}: +{at} {message}");
    }
    assert_eq!(Module::parse("not PTX").unwrap_err().line, 1);
}

#[test]
fn texts_are_checked_against_a_device() {
    let device = Device { capability: 75, version: (7, 0) };
    let header = |version: &str, target: &str| {
        Header::parse(&format!(".version {version}\n.target {target}\nrubbish #")).map(|h| h.check(&device))
    };
    assert!(header("7.0", "sm_75").is_err(), "a character that is not known");
    let header = |version: &str, target: &str| {
        Header::parse(&format!(".version {version}\n.target {target}\nrubbish")).unwrap().check(&device)
    };
    assert_eq!(header("7.0", "sm_75"), Ok(()));
    assert_eq!(header("6.3", "sm_70"), Ok(()));
    assert_eq!(header("7.1", "sm_75"), Err(Unsupported::Version((7, 1))));
    assert_eq!(header("7.0", "sm_80"), Err(Unsupported::Target(80)));
    let mma = kernel(MATRIX);
    assert!(Module::parse(&mma.replace("sm_80", "sm_75")).unwrap_err().message.contains("sm_80"));
}
