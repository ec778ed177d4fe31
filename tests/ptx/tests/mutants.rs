//! Planted bugs: the shipped kernels, their PTX changed in one place, and how each change is detected.
//!
//! This tests the tests. A mutant that is not detected must be harmless, with a reason.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::brute::{self, Cut};
use common::sets::{Room, Sets};
use common::{banded, collapse};
use lumina_ptx::{Module, Options, Order};

/// One change of one line of an entry.
struct Mutant {
    /// The bug.
    what: &'static str,
    /// The kernel that is changed.
    entry: &'static str,
    /// The line begins with this; the `nth` one of the entry, counted from 0.
    line: &'static str,
    nth: usize,
    /// What is replaced in the line, and by what; `None`: the line is deleted.
    change: Option<(&'static str, &'static str)>,
    /// A part of the test's message, or `None` for a harmless change.
    noticed: Option<&'static str>,
}

/// A bug, the line that it is planted in, and a part of its message.
const fn mutant(
    what: &'static str,
    (entry, line, nth): (&'static str, &'static str, usize),
    change: Option<(&'static str, &'static str)>,
    noticed: &'static str,
) -> Mutant {
    Mutant { what, entry, line, nth, change, noticed: Some(noticed) }
}

/// A change that the result does not depend on.
const fn harmless(
    what: &'static str,
    (entry, line, nth): (&'static str, &'static str, usize),
    change: Option<(&'static str, &'static str)>,
) -> Mutant {
    Mutant { what, entry, line, nth, change, noticed: None }
}

const POPC: &str = "brute_popc_64";
const ANY: &str = "brute_popc_any";
const FOLD: &str = "brute_fold_256";

const BRUTE_POPC: [Mutant; 33] = [
    mutant("no barrier before the loads", (POPC, "barrier.sync", 0), None, "races"),
    mutant("no barrier behind the loads", (POPC, "barrier.sync", 1), None, "races"),
    mutant("no barrier before the loads, any", (ANY, "barrier.sync", 0), None, "races"),
    mutant("no barrier behind the loads, any", (ANY, "barrier.sync", 1), None, "races"),
    mutant("columns behind the segment", (POPC, "min.u32", 0), Some(("min", "max")), "no variable in shared memory"),
    mutant("columns behind the tile", (ANY, "min.u32", 0), Some(("64", "128")), "nothing was written"),
    mutant("maximum of the distances", (POPC, "min.u32", 60), Some(("min", "max")), "pairs are counted, not"),
    mutant("all lanes instead of any", (POPC, "vote.sync.any", 0), Some(("any", "all")), "pairs are counted, not"),
    mutant("half of the vote", (POPC, "vote.sync.any", 0), Some(("-1", "65535")), "mask does not name it"),
    mutant("half of the ballot", (POPC, "vote.sync.ballot", 0), Some(("-1", "65535")), "mask does not name it"),
    mutant("half of the shuffle", (POPC, "shfl.sync.idx", 0), Some(("-1", "65535")), "mask does not name it"),
    mutant("shuffle from the wrong lane", (POPC, "shfl.sync.idx", 0), Some((", 0, 31", ", 1, 31")), "races"),
    mutant("shuffle clamp", (POPC, "shfl.sync.idx", 0), Some(("0, 31, -1", "1, 0, -1")), "races"),
    mutant("offset of the counter", (POPC, "ld.param.u64", 3), Some(("+24", "+16")), "nothing was written"),
    mutant("offset of the slice", (POPC, "ld.param.v2.u32", 0), Some(("+112", "+120")), "pairs are counted, not"),
    mutant("parameter beyond the last", (POPC, "ld.param.u32", 1), Some(("+120", "+128")), "parameter memory"),
    mutant(
        "words of another field",
        (ANY, "ld.param.u32", 4),
        Some(("+108", "+104")),
        "behind the start of an allocation",
    ),
    mutant("distance stored too wide", (POPC, "st.global.u16", 1), Some(("u16", "u32")), "not aligned"),
    mutant("distance stored too narrow", (POPC, "st.global.u16", 4), Some(("u16", "u8")), "not all of them written"),
    mutant("pair not stored", (POPC, "st.global.u64", 0), None, "not all of them written"),
    mutant("room one too large", (POPC, "setp.lt.u64", 0), Some(("lt", "le")), "behind the start of an allocation"),
    mutant("larger row on the left", (POPC, "setp.gt.u32", 6), Some(("gt", "lt")), "is wrong"),
    mutant("distance at the radius", (POPC, "setp.gt.u32", 4), Some(("gt", "ge")), "is wrong"),
    mutant("place of the fifth distance", (POPC, "setp.gt.u32", 5), Some((" 3", " 4")), "is wrong"),
    mutant("row paired with itself", (POPC, "setp.lt.u32", 5), Some(("lt", "le")), "is wrong"),
    mutant("padding taken for a left row", (POPC, "setp.gt.u32", 2), Some(("gt", "ge")), "is wrong"),
    mutant("padding taken for a right row", (POPC, "setp.gt.u32", 3), Some(("gt", "ge")), "is wrong"),
    mutant("columns of an earlier segment", (POPC, "setp.lt.u32", 1), Some(("lt", "gt")), "written twice"),
    mutant("rows of another stride", (POPC, "shl.b32", 0), Some((", 9", ", 8")), "written twice"),
    mutant("counter not atomic", (POPC, "atom.global.add.u64", 0), Some(("atom", "plain")), "races"),
    mutant("a register that nothing writes", (POPC, "selp.u64", 0), None, "register"),
    mutant("radius of the fold", (FOLD, "setp.le.u32", 3), Some(("le", "lt")), "pairs are counted, not"),
    // AND has no more ones than OR: the bound still holds, only lower, and a few more pairs are compared.
    harmless("AND instead of OR", (FOLD, "or.b64", 0), Some(("or", "and"))),
];

const B1: &str = "brute_b1_128";
const ONES: &str = "brute_ones_256";
const COUNT: &str = "ones_count_256";
const SCATTER: &str = "ones_scatter_256";

const BRUTE_B1: [Mutant; 31] = [
    mutant("registers of A swapped", (B1, "mma.sync", 0), Some(("A0", "A1")), "pairs are counted, not"),
    mutant("other registers of A swapped", (B1, "mma.sync", 0), Some(("A1", "A2")), "pairs are counted, not"),
    mutant("registers of B swapped", (B1, "mma.sync", 0), Some(("B0", "B1")), "pairs are counted, not"),
    mutant(
        "rows of a short product swapped",
        ("brute_b1_64", "mma.sync", 0),
        Some(("A0", "A1")),
        "pairs are counted, not",
    ),
    mutant("half of a long sum", ("brute_b1_256", "mma.sync", 8), None, "nothing was written"),
    mutant("minimum and maximum", (B1, "min.s32", 58), Some(("min", "max")), "pairs are counted, not"),
    mutant("no complement of a row", (B1, "not.b32", 0), Some(("not", "mov")), "pairs are counted, not"),
    mutant("no complement of a column", (B1, "not.b32", 9), Some(("not", "mov")), "pairs are counted, not"),
    mutant("columns advance too far", (B1, "add.s64", 4), Some(("512", "1024")), "pairs are counted, not"),
    mutant("result of the other row", (B1, "and.b32", 4), Some((", 8", ", 4")), "written twice"),
    mutant("result of the other column", (B1, "and.b32", 6), Some((", 1", ", 0")), "written twice"),
    mutant("half of the vote", (B1, "vote.sync.any", 0), Some(("-1", "65535")), "mask does not name it"),
    mutant("maximum and minimum", (ONES, "max.s32", 60), Some(("max", "min")), "pairs are counted, not"),
    mutant("threshold of ones too high", (ONES, "add.s32", 5), Some((", 1", ", 3")), "pairs are counted, not"),
    mutant("ones of a later step", (ONES, "add.s32", 7), Some((", 16", ", 32")), "pairs are counted, not"),
    mutant("left rows not mapped after the sort", (ONES, "ld.global.u32", 0), None, "is wrong"),
    mutant("right rows not mapped after the sort", (ONES, "ld.global.u32", 1), None, "is wrong"),
    mutant("larger row on the left", (ONES, "setp.gt.u32", 4), Some(("gt", "lt")), "is wrong"),
    mutant("count not reset", (COUNT, "st.shared.u32", 0), None, "nothing was written"),
    mutant("no barrier before the counts", (COUNT, "barrier.sync", 0), None, "races"),
    mutant("no barrier behind the counts", (COUNT, "barrier.sync", 1), None, "races"),
    mutant("count of the block not atomic", (COUNT, "atom.shared.add.u32", 0), Some(("atom", "plain")), "races"),
    mutant("count not atomic", (COUNT, "atom.global.add.u32", 0), Some(("atom", "plain")), "races"),
    mutant("a start not stored", ("ones_starts_256", "st.global.u32", 3), None, "races"),
    mutant("no barrier before the ranks", (SCATTER, "barrier.sync", 0), None, "races"),
    mutant("no barrier behind the ranks", (SCATTER, "barrier.sync", 1), None, "races"),
    mutant("rank of the block not atomic", (SCATTER, "atom.shared.add.u32", 0), Some(("atom", "plain")), "races"),
    mutant("place not atomic", (SCATTER, "atom.global.add.u32", 0), Some(("atom", "plain")), "races"),
    mutant("no barrier behind the places", (SCATTER, "barrier.sync", 2), None, "races"),
    mutant("number of ones not stored", (SCATTER, "st.global.u16", 0), None, "nothing was written"),
    // 256 ones come last: nothing starts after them, so their count does not matter.
    harmless("rows of 256 ones not counted", (COUNT, "atom.global.add.u32", 1), None),
];

const S8: &str = "brute_s8_128";

const BRUTE_S8: [Mutant; 14] = [
    mutant("registers of A swapped", (S8, "mma.sync", 0), Some(("A0", "A1")), "pairs are counted, not"),
    mutant("other registers of A swapped", (S8, "mma.sync", 0), Some(("A1", "A2")), "pairs are counted, not"),
    mutant("registers of B swapped", (S8, "mma.sync", 0), Some(("B0", "B1")), "pairs are counted, not"),
    mutant("a step of the sum left out", (S8, "mma.sync", 31), None, "nothing was written"),
    mutant("bit 7 of a row not moved down", (S8, "shr.u32", 36), Some((", 1", ", 0")), "pairs are counted, not"),
    mutant("start value", (S8, "shl.b32", 3), Some((", 6", ", 7")), "pairs are counted, not"),
    mutant("ones of the other rows", (S8, "shl.b32", 2), Some((", 16", ", 15")), "pairs are counted, not"),
    mutant("result 0 is no hit", (S8, "setp.gt.s32", 0), Some((", -1", ", 0")), "pairs are counted, not"),
    mutant("one result of a step left out", (S8, "and.b32", 277), Some(("and", "or")), "pairs are counted, not"),
    mutant("all lanes instead of any", (S8, "vote.sync.any", 0), Some(("any", "all")), "pairs are counted, not"),
    mutant("half of the shuffle", (S8, "shfl.sync.idx", 1), Some(("-1", "65535")), "mask does not name it"),
    mutant("counter not atomic", (S8, "atom.global.add.u64", 0), Some(("atom", "plain")), "races"),
    mutant("columns behind the set", (S8, "setp.gt.u32", 1), Some(("gt", "ge")), "is wrong"),
    // Too few ones are subtracted, so that more pairs become candidates; all of them are checked.
    harmless("ones of two lanes of four", (S8, "add.s32", 21), Some(("add.s32", "min.u32"))),
];

const PROBE: &str = "band_probe_64";
const STARTS: &str = "scan_starts";

const BANDED: [Mutant; 37] = [
    mutant("rank not counted", ("band_count_64", "atom.global.add", 0), Some(("add", "max")), "races"),
    mutant("rank not atomic", ("band_count_64", "atom.global.add", 0), Some(("atom", "plain")), "races"),
    mutant("rank not stored", ("band_count_64", "st.global.u32", 0), None, "nothing was written"),
    mutant("band ends at its word", ("band_count_128", "setp.lt.u32", 0), Some(("65", "66")), "races"),
    mutant("no barrier behind the sums", ("scan_sums", "barrier.sync", 1), None, "nothing was written"),
    mutant("shuffle distance", ("scan_sums", "shfl.sync.up", 2), Some((", 4, 0", ", 2, 0")), "races"),
    mutant("shuffle clamp", (STARTS, "shfl.sync.up", 0), Some((", 0, -1", ", 31, -1")), "races"),
    mutant("no barrier before the next sums", ("scan_blocks", "barrier.sync", 0), None, "races"),
    mutant("no barrier behind the next sums", ("scan_blocks", "barrier.sync", 1), None, "races"),
    mutant(
        "a sum too many",
        ("scan_blocks", "setp.ge.u32", 0),
        Some(("ge", "gt")),
        "behind the start of an allocation",
    ),
    mutant("no barrier behind the counts", (STARTS, "barrier.sync", 1), None, "races"),
    mutant("no end of the last bucket", (STARTS, "st.global.u32", 0), None, "nothing was written"),
    mutant("hash not stored", ("band_scatter_64", "st.global.u64", 0), None, "nothing was written"),
    mutant("row not stored", ("band_scatter_64", "st.global.u32", 0), None, "nothing was written"),
    mutant("start without the rank", ("band_scatter_64", "add.s32", 3), Some(("add", "max")), "races"),
    mutant("no barrier before the candidates are read", (PROBE, "bar.warp.sync", 1), None, "races"),
    mutant("no barrier behind the candidates", (PROBE, "bar.warp.sync", 0), None, "races"),
    mutant("no barrier before the last candidates", (PROBE, "bar.warp.sync", 2), None, "races"),
    mutant("half of the ballot", (PROBE, "vote.sync.ballot", 0), Some(("-1", "65535")), "mask does not name it"),
    mutant("too many candidates wait", (PROBE, "setp.lt.u32", 8), Some((", 32", ", 64")), "races"),
    mutant("padding taken for a left place", (PROBE, "setp.ge.u32", 0), Some(("ge", "gt")), "is wrong"),
    mutant("own bucket left out", (PROBE, "setp.lt.u32", 3), Some(("lt", "le")), "pairs are counted, not"),
    mutant("row behind the bucket's end", (PROBE, "setp.lt.u32", 6), Some(("lt", "le")), "written twice"),
    mutant("begin of the window", (PROBE, "max.u32", 0), Some(("max", "min")), "is wrong"),
    mutant("end of the window", (PROBE, "min.u32", 0), Some(("min", "max")), "written twice"),
    mutant("a flip too many", (PROBE, "setp.lt.u32", 2), Some(("lt", "le")), "behind the start of an allocation"),
    mutant("hit at the radius lost", (PROBE, "setp.ge.u32", 2), Some(("ge", "gt")), "pairs are counted, not"),
    mutant("tolerance of earlier bands", (PROBE, "setp.gt.u32", 0), Some(("gt", "ge")), "written twice"),
    mutant(
        "tolerance of earlier bands, the last candidates",
        (PROBE, "setp.gt.u32", 4),
        Some(("gt", "ge")),
        "written twice",
    ),
    mutant("earlier bands of another size", (PROBE, "add.s64", 54), Some((", 16", ", 8")), "pairs are counted, not"),
    mutant("rows of places swapped", (PROBE, "ld.param.u64", 7), Some(("+56", "+72")), "pairs are counted, not"),
    mutant("larger row on the left", (PROBE, "setp.gt.u32", 7), Some(("gt", "lt")), "is wrong"),
    mutant("counter not atomic", (PROBE, "atom.global.add.u64", 0), Some(("atom", "plain")), "races"),
    mutant("distance stored too narrow", (PROBE, "st.global.u16", 9), Some(("u16", "u8")), "not all of them written"),
    // The barrier before the sums is for a second round, and only `scan_blocks` has one.
    harmless("no barrier before the only sums", ("scan_sums", "barrier.sync", 0), None),
    harmless("no barrier before the only counts", (STARTS, "barrier.sync", 0), None),
    // Up to 32 wait then when up to 32 arrive, for which there is exactly room.
    harmless("one candidate more waits", (PROBE, "setp.lt.u32", 8), Some((", 32", ", 33"))),
];

const INSERT: &str = "collapse_insert";
const FIRST: &str = "collapse_first";

const COLLAPSE: [Mutant; 19] = [
    mutant("entry taken without compare-and-swap", (INSERT, "atom.global.cas", 0), Some(("atom", "plain")), "races"),
    mutant("entry read while others write", (INSERT, "ld.volatile", 0), Some((".volatile", "")), "races"),
    mutant("smallest row read while others write", (INSERT, "ld.volatile", 1), Some((".volatile", "")), "races"),
    mutant("smallest row not atomic", (INSERT, "atom.global.min", 0), Some(("atom", "plain")), "races"),
    mutant("largest row", (INSERT, "atom.global.min", 0), Some(("min", "max")), "is wrong"),
    mutant("smallest row not noted", (INSERT, "setp.le.u32", 0), Some(("le", "ge")), "is wrong"),
    mutant("place not stored", (INSERT, "st.global.u32", 0), None, "nothing was written"),
    mutant(
        "search behind the table's end",
        (INSERT, "and.b32", 3),
        Some(("and", "max")),
        "behind the start of an allocation",
    ),
    mutant(
        "search stops at the table's end",
        (INSERT, "and.b32", 3),
        Some(("and.b32", "min.u32")),
        "more than 4194304 instructions",
    ),
    mutant("unequal rows collapsed", (INSERT, "setp.ne.s64", 0), Some(("ne", "eq")), "is wrong"),
    mutant("first word of a column alone compared", (INSERT, "setp.eq.s64", 0), Some(("eq", "ne")), "is wrong"),
    mutant("last word of a column not compared", (INSERT, "setp.lt.u32", 1), Some(("lt", "gt")), "is wrong"),
    mutant(
        "every other column compared",
        (INSERT, "add.s32", 7),
        Some((", 1", ", 2")),
        "behind the start of an allocation",
    ),
    mutant(
        "slice of rows ignored",
        (INSERT, "ld.param.u32", 1),
        Some(("+56", "+48")),
        "behind the start of an allocation",
    ),
    mutant("a row too many", (INSERT, "setp.ge.u32", 0), Some(("ge", "gt")), "behind the start of an allocation"),
    mutant("a row too many read", (FIRST, "setp.ge.u32", 0), Some(("ge", "gt")), "behind the start of an allocation"),
    mutant("result not stored", (FIRST, "st.global.u32", 0), None, "not all of the first ones"),
    mutant("table instead of the smallest rows", (FIRST, "ld.param.u64", 0), Some(("+16", "+8")), "is wrong"),
    // The minimum of a row and itself.
    harmless("smallest row noted again", (INSERT, "setp.le.u32", 0), Some(("le", "lt"))),
];

/// An atomic operation in steps: a load, what it computes, a store.
fn plain(line: &str) -> String {
    let (opcode, operands) = line.trim().trim_end_matches(';').split_once(char::is_whitespace).unwrap();
    let [_, space, operation, ty] = opcode.split('.').collect::<Vec<_>>()[..] else { panic!("{line}") };
    match operands.split(',').map(str::trim).collect::<Vec<_>>()[..] {
        [d, a, b] => format!(
            "{{ .reg .{ty} t;\nld.{space}.{ty} {d}, {a};\n{operation}.{ty} t, {d}, {b};\nst.{space}.{ty} {a}, t; }}"
        ),
        [d, a, b, c] => format!(
            "{{ .reg .pred t;\nld.{space}.{ty} {d}, {a};\nsetp.eq.{ty} t, {d}, {b};\n@t st.{space}.{ty} {a}, {c}; }}"
        ),
        _ => panic!("{line}"),
    }
}

/// A matrix instruction with two registers of a fragment swapped, as A0 and A1.
fn swapped(line: &str, (first, second): (&str, &str)) -> String {
    let mut lists: Vec<Vec<&str>> = Vec::new();
    for list in line.split('{').skip(1) {
        lists.push(list.split('}').next().unwrap().split(',').collect());
    }
    let place = |name: &str| (usize::from(name.starts_with('B')) + 1, name[1..].parse::<usize>().unwrap());
    let ((list, first), (_, second)) = (place(first), place(second));
    lists[list].swap(first, second);
    let lists: Vec<String> = lists.iter().map(|list| format!("{{{}}}", list.join(","))).collect();
    format!("{} {};", line.split_whitespace().next().unwrap(), lists.join(", "))
}

/// The text with `mutant`'s line changed. `plain` makes steps of an atomic operation; A0, B0, ... are registers of
/// fragments, which are swapped.
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
        Some(("atom", "plain")) => plain(&line),
        Some(registers) if line.trim_start().starts_with("mma") => swapped(&line, registers),
        Some((from, to)) => line.replacen(from, to, 1),
    };
    assert!(lines[at] != line, "{}: nothing changes in {line}", mutant.what);
    lines.join("\n")
}

/// Runs every mutant, prints how each is detected, and fails if one is detected otherwise than it says. `test` gets the
/// name of the changed kernel.
fn check(text: &str, mutants: &[Mutant], test: impl Fn(&Module, &str, &Options) -> Result<(), String>) {
    let mut wrong = Vec::new();
    for mutant in mutants {
        let module = Module::parse(&mutated(text, mutant)).unwrap();
        let orders = [Order::Forward, Order::Reversed, Order::Shuffled(4)];
        let run = |order| test(&module, mutant.entry, &Options { order, limit: 1 << 22, ..Options::default() });
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

/// Columns whose last but one is the driving one, and its index.
fn columns(words: usize, radius: u32) -> ([(usize, u32); 6], usize) {
    ([(3, 20), (1, 9), (2, 200), (5, 40), (words, radius), (4, 30)], 4)
}

/// Searches one set in one launch, and two sets in slices, with room for all pairs and for a third of them.
fn brute_force(sets: &[Sets; 2], module: &Module, name: &str, options: &Options) -> Result<(), String> {
    let cuts = [Cut { segment: 512, is_sliced: false }, Cut { segment: 128, is_sliced: true }];
    for (room, (sets, cut)) in
        [Room::All, Room::Third].iter().flat_map(|room| sets.iter().zip(cuts).map(move |c| (room, c)))
    {
        brute::search(module, name, sets, (*room, cut), options)?;
    }
    Ok(())
}

/// One set and two, whose driving column is of `words` words.
fn both_sets(words: usize, radius: u32) -> [Sets; 2] {
    let (columns, driving) = columns(words, radius);
    [(530, None), (150, Some(270))].map(|n| Sets::new(&columns, driving, n, 3))
}

#[test]
fn mutants_of_popc() {
    let (narrow, wide) = (both_sets(1, 14), both_sets(4, 4));
    check(lumina_gpu::BRUTE_POPC, &BRUTE_POPC, |module, entry, options| {
        brute_force(if entry == FOLD { &wide } else { &narrow }, module, entry, options)
    });
}

#[test]
fn mutants_of_bits() {
    let (narrow, middle, wide) = (both_sets(1, 5), both_sets(2, 12), both_sets(4, 31));
    let equal = [(300, None), (150, Some(200))].map(|n| Sets::with_equal_ones(30, n, 3));
    check(lumina_gpu::BRUTE_B1, &BRUTE_B1, |module, entry, options| match entry {
        "brute_b1_64" => brute_force(&narrow, module, entry, options),
        B1 => brute_force(&middle, module, entry, options),
        "brute_b1_256" => brute_force(&wide, module, entry, options),
        _ => {
            brute_force(&wide, module, ONES, options)?;
            brute_force(&equal, module, ONES, options)
        }
    });
}

#[test]
fn mutants_of_bytes() {
    let sets = both_sets(2, 12);
    check(lumina_gpu::BRUTE_S8, &BRUTE_S8, |module, entry, options| brute_force(&sets, module, entry, options));
}

#[test]
fn mutants_of_bands() {
    let (narrow, wide) = (both_sets(1, 7), both_sets(2, 7));
    check(lumina_gpu::BANDED, &BANDED, |module, entry, options| {
        banded::scan(module, 23, options)?;
        let sets = if entry.ends_with("128") { &wide } else { &narrow };
        for (sets, is_sliced) in sets.iter().zip([false, true]) {
            for room in [Room::All, Room::Third] {
                banded::join(module, sets, &banded::plan(sets, (5, 13)), (room, is_sliced), options)?;
            }
        }
        Ok(())
    });
}

#[test]
fn mutants_of_collapse() {
    check(lumina_gpu::COLLAPSE, &COLLAPSE, |module, _, options| {
        for (different, seed) in [(1, 1), (60, 2), (u64::MAX, 3)] {
            collapse::collapse(module, &[1], (512, different, 512), seed, options)?;
            collapse::collapse(module, &[4, 1, 3], (600, different, 256), seed, options)?;
        }
        (0..40).try_for_each(|seed| collapse::collapse(module, &[2, 3], (16, 20, 16), seed, options))
    });
}
