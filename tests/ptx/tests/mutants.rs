//! Planted bugs: kernels whose PTX is changed in one place, and how each of them is noticed.
//!
//! This tests the tests. A mutant that is not noticed has to be harmless, and says why.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{banded, banded_ptx, matrix, popc, popc_ptx};
use lumina_ptx::{Module, Options, Order};

/// One change of one line of an entry.
struct Mutant {
    what: &'static str,
    entry: &'static str,
    /// The line begins with this; the `nth` one of the entry, counted from 0.
    line: &'static str,
    nth: usize,
    /// What is replaced in the line, and by what; nothing: the line disappears.
    change: Option<(&'static str, &'static str)>,
    /// A part of what the test says, or nothing for a harmless change.
    noticed: Option<&'static str>,
}

const fn mutant(
    what: &'static str,
    (entry, line, nth): (&'static str, &'static str, usize),
    change: Option<(&'static str, &'static str)>,
    noticed: &'static str,
) -> Mutant {
    Mutant { what, entry, line, nth, change, noticed: Some(noticed) }
}

const BRUTE: &str = "hd_brute_w1";

const POPC: [Mutant; 18] = [
    mutant("shuffle clamp", (BRUTE, "shfl.sync.up", 0), Some((", 0, -1", ", 31, -1")), "races"),
    mutant("shuffle from the wrong lane", (BRUTE, "shfl.sync.idx", 0), Some((", 31, 31", ", 30, 31")), "races"),
    mutant("shuffle distance", (BRUTE, "shfl.sync.up", 2), Some((", 4, 0", ", 2, 0")), "races"),
    mutant("parameter offset", (BRUTE, "ld.param.u64", 0), Some(("+80", "+72")), "hd_brute"),
    mutant("parameter beyond the last", (BRUTE, "ld.param.u32", 1), Some(("+88", "+104")), "parameter memory"),
    mutant("store too wide", (BRUTE, "st.global.u16", 0), Some(("u16", "u32")), "not aligned"),
    mutant("store too narrow", (BRUTE, "st.global.u16", 0), Some(("u16", "u8")), "not all of them written"),
    mutant("no barrier behind the loads", (BRUTE, "barrier.sync", 2), None, "races"),
    mutant("no barrier before the tile's count", (BRUTE, "barrier.sync", 0), None, "races"),
    mutant("room one too large", (BRUTE, "setp.ge.u64", 0), Some(("ge", "gt")), "behind the start of an allocation"),
    mutant("smaller and larger number swapped", (BRUTE, "max.u32", 0), Some(("max", "min")), "written twice"),
    mutant("all lanes instead of any", (BRUTE, "vote.sync.any", 0), Some(("any", "all")), "pairs"),
    mutant("half of the mask", (BRUTE, "vote.sync.any", 0), Some(("-1", "65535")), "mask does not name it"),
    mutant("a register that nothing writes", (BRUTE, "selp.u32", 0), None, "register"),
    mutant("counter not reset", (BRUTE, "st.shared.u32", 0), None, "nothing was written"),
    mutant("counter of the block not atomic", (BRUTE, "atom.shared.add.u32", 0), Some(("atom", "plain")), "races"),
    mutant("counter not atomic", (BRUTE, "atom.global.add.u64", 0), Some(("atom", "plain")), "races"),
    // The one behind it orders the same accesses: the tile before this one ends with a barrier too.
    Mutant {
        what: "no barrier before the loads",
        entry: BRUTE,
        line: "barrier.sync",
        nth: 1,
        change: None,
        noticed: None,
    },
];

const MATRIX: [Mutant; 4] = [
    mutant("registers of A swapped", ("b1_w2", "mma.sync", 0), Some(("A1", "A2")), "pairs"),
    mutant("registers of B swapped", ("b1_w2", "mma.sync", 0), Some(("B0", "B1")), "pairs"),
    mutant("other registers of A swapped", ("b1_w2", "mma.sync", 0), Some(("A0", "A1")), "pairs"),
    mutant("minimum and maximum", ("b1_w2", "min.s32", 3), Some(("min", "max")), "pairs"),
];

const BANDED: [Mutant; 5] = [
    mutant("no barrier of the warp", ("probe_w1", "bar.warp.sync", 2), None, "races"),
    mutant("half of the ballot", ("probe_w1", "vote.sync.ballot", 0), Some(("-1", "65535")), "mask does not name it"),
    mutant("no barrier in the scan", ("bj_scan_sums", "barrier.sync", 1), None, "bj_scan_sums"),
    mutant("rank not counted", ("count_w1", "atom.global.add.u32", 0), Some(("add", "max")), "races"),
    mutant("hits of a bucket's end", ("probe_w1", "setp.lt.u32", 3), Some(("lt", "le")), "written twice"),
];

/// The text with `mutant`'s line changed. `plain` makes a load, a sum and a store of an atomic addition; A0, B0, ...
/// are registers of fragments, which are swapped.
fn mutated(text: &str, mutant: &Mutant) -> String {
    let head = format!(".entry {}(", mutant.entry);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let start = lines.iter().position(|line| line.contains(&head)).unwrap();
    let end = start + lines[start..].iter().position(|line| line == "}").unwrap();
    let mut places = (start..end).filter(|at| lines[*at].trim_start().starts_with(mutant.line));
    let at = places.nth(mutant.nth).unwrap_or_else(|| panic!("{}: no such line", mutant.what));
    let line = lines[at].clone();
    lines[at] = match mutant.change {
        None => String::new(),
        Some(("atom", "plain")) => {
            let (opcode, operands) = line.trim().trim_end_matches(';').split_once(char::is_whitespace).unwrap();
            let parts: Vec<&str> = operands.split(',').map(str::trim).collect();
            let (space, ty) = (opcode.split('.').nth(1).unwrap(), opcode.rsplit('.').next().unwrap());
            let [d, a, b] = parts[..] else { panic!("{line}") };
            format!("{{ .reg .{ty} t;\nld.{space}.{ty} {d}, {a};\nadd.{ty} t, {d}, {b};\nst.{space}.{ty} {a}, t; }}")
        }
        Some((first, second)) if line.trim_start().starts_with("mma") => {
            let mut lists: Vec<Vec<String>> = Vec::new();
            for list in line.split('{').skip(1) {
                lists.push(list.split('}').next().unwrap().split(',').map(str::to_owned).collect());
            }
            let place = |name: &str| (usize::from(name.starts_with('B')) + 1, name[1..].parse::<usize>().unwrap());
            let ((list, first), (_, second)) = (place(first), place(second));
            lists[list].swap(first, second);
            let lists: Vec<String> = lists.iter().map(|list| format!("{{{}}}", list.join(","))).collect();
            format!("{} {};", line.split_whitespace().next().unwrap(), lists.join(", "))
        }
        Some((from, to)) => line.replacen(from, to, 1),
    };
    assert!(lines[at] != line, "{}: nothing changes in {line}", mutant.what);
    lines.join("\n")
}

/// Runs every mutant, prints how each is noticed, and fails if one is noticed otherwise than it says.
fn check(text: &str, mutants: &[Mutant], test: impl Fn(&Module, &Options) -> Result<(), String>) {
    let mut wrong = Vec::new();
    for mutant in mutants {
        let module = Module::parse(&mutated(text, mutant)).unwrap();
        let orders = [Order::Forward, Order::Reversed, Order::Shuffled(4)];
        let run = |order| test(&module, &Options { order, limit: 1 << 22, ..Options::default() });
        let said = orders.into_iter().find_map(|order| run(order).err());
        println!("{:40} {}", mutant.what, said.as_deref().unwrap_or("not noticed"));
        let is_right = match (&said, mutant.noticed) {
            (None, None) => true,
            (Some(said), Some(part)) => said.contains(part),
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{}: {}", mutant.what, said.unwrap_or_default()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn mutants_of_popc() {
    let Some(text) = popc_ptx() else { return };
    check(&text, &POPC, |module, options| popc::brute_force(module, 1, 530, 5, options));
}

#[test]
fn mutants_of_matrices() {
    let Some(text) = banded_ptx() else { return };
    check(&text, &MATRIX, |module, options| matrix::brute_force(module, "b1", 2, (200, 12), options).map(drop));
}

#[test]
fn mutants_of_bands() {
    let Some(text) = banded_ptx() else { return };
    check(&text, &BANDED, |module, options| banded::join(module, 1, (600, 5), (4, 13), options));
}
