//! The kernels without a GPU: compiled as C++ and run on the CPU against brute force, plain, with the address and
//! undefined-behaviour sanitizers, and with the thread sanitizer; the layouts of their arguments; the shipped PTX.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod proofs;

use lumina_gpu::params::*;
use lumina_gpu::{BANDED, BRUTE_B1, BRUTE_POPC, BRUTE_S8, COLLAPSE};
use proofs::{KINDS, Mode, Outcome, Proofs};
use std::fmt::Write;
use std::mem::offset_of;
use std::process::Command;

fn prove(mode: Mode) {
    if !proofs::has_compiler() {
        return;
    }
    let proofs = Proofs::new(mode);
    for kind in KINDS {
        match proofs.run(kind) {
            Outcome::Right(report) => println!("{mode:?}: {report}"),
            Outcome::Found(report) => panic!("{mode:?} {kind}: {report}"),
            Outcome::DoesNotCompile(report) => panic!("{mode:?} {kind} does not compile:\n{report}"),
        }
    }
}

#[test]
fn kernels_equal_brute_force() {
    prove(Mode::Plain);
}

#[test]
fn kernels_stay_within_their_memory() {
    prove(Mode::Address);
}

#[test]
fn threads_and_blocks_do_not_race() {
    prove(Mode::Thread);
}

macro_rules! constants {
    ($text:ident, $($name:ident),*) => { $(writeln!($text, "{} {}", stringify!($name), $name).unwrap();)* };
}

macro_rules! structure {
    ($text:ident, $type:ident, $($field:ident),*) => {
        writeln!($text, "{} {}", stringify!($type), size_of::<$type>()).unwrap();
        $(writeln!($text, "{}.{} {}", stringify!($type), stringify!($field), offset_of!($type, $field)).unwrap();)*
    };
}

#[test]
fn layouts_are_those_of_the_header() {
    if !proofs::has_compiler() {
        return;
    }
    let mut text = String::new();
    constants!(text, PADDING_ROWS, MAX_COLUMNS, MAX_WORDS, EMPTY, BRUTE_THREADS, SEGMENT_STEP, ONES_THREADS);
    constants!(text, ONES_COUNTS, BAND_THREADS, SCAN_THREADS, SCAN_COUNTS, MAX_BAND_WIDTH, COLLAPSE_THREADS);
    structure!(text, Column, left, right, words, radius);
    structure!(text, Hits, columns, pairs, distances, counter, capacity, n_columns, one_set);
    structure!(
        text,
        Brute,
        hits,
        left,
        right,
        left_rows,
        right_rows,
        left_ones,
        right_ones,
        n_left,
        n_right,
        radius,
        words,
        first_block,
        first_segment,
        segment,
        unused
    );
    structure!(text, OnesSort, hashes, counts, sorted, rows, ones, n, unused);
    structure!(text, Band, word, start, width, tolerance);
    structure!(text, BandSort, hashes, counts, sums, starts, ranks, sorted, rows, band, n, words);
    structure!(
        text,
        BandProbe,
        hits,
        left,
        left_rows,
        right,
        right_rows,
        right_starts,
        flips,
        earlier,
        band,
        n_left,
        n_flips,
        n_earlier,
        radius,
        words,
        first_block,
        from,
        to
    );
    structure!(text, Collapse, columns, table, first, places, first_of, seed, mask, n_columns, first_row, count);
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("layout");
    let source = proofs::folder().join("host/layout.cpp");
    let compiled = Command::new(proofs::compiler()).arg("-std=c++17").arg(source).arg("-o").arg(&program).output();
    let compiled = compiled.unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let printed = Command::new(program).output().unwrap();
    assert_eq!(text, String::from_utf8(printed.stdout).unwrap());
}

/// A kernel of a module: its name, the bytes of its only parameter, the threads of a block.
type Entry = (String, usize, u32);

fn entries(ptx: &str) -> Vec<Entry> {
    let number =
        |text: &str| text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    let mut found = Vec::new();
    for part in ptx.split(".visible .entry ").skip(1) {
        let head = part.split('{').next().unwrap();
        let (name, rest) = head.split_once('(').unwrap();
        let (parameters, directives) = rest.split_once(')').unwrap();
        assert!(!parameters.contains(','), "{name} has one parameter");
        let size: String = number(parameters.rsplit_once('[').unwrap().1);
        let threads: String = number(directives.split(".maxntid").nth(1).unwrap());
        found.push((name.to_owned(), size.parse().unwrap(), threads.parse().unwrap()));
    }
    found.sort();
    found
}

fn expect(names: &[&str], size: usize, threads: u32) -> Vec<Entry> {
    names.iter().map(|&name| (name.to_owned(), size, threads)).collect()
}

#[test]
fn the_ptx_has_the_kernels_that_the_host_calls() {
    let brute = |names: &[&str]| expect(names, size_of::<Brute>(), BRUTE_THREADS);
    let sorted = |mut entries: Vec<Entry>| {
        entries.sort();
        entries
    };
    let mut b1 = brute(&["brute_b1_64", "brute_b1_128", "brute_b1_256", "brute_ones_256"]);
    b1.extend(expect(&["ones_count_256", "ones_scatter_256"], size_of::<OnesSort>(), ONES_THREADS));
    b1.extend(expect(&["ones_starts_256"], size_of::<OnesSort>(), 1));
    assert_eq!(entries(BRUTE_B1), sorted(b1));
    assert_eq!(entries(BRUTE_S8), sorted(brute(&["brute_s8_64", "brute_s8_128", "brute_s8_256"])));
    let popc = ["brute_popc_64", "brute_popc_128", "brute_popc_256", "brute_popc_any"];
    let fold = ["brute_fold_64", "brute_fold_128", "brute_fold_256"];
    assert_eq!(entries(BRUTE_POPC), sorted([brute(&popc), brute(&fold)].concat()));
    let mut banded = expect(&["scan_sums", "scan_blocks", "scan_starts"], size_of::<BandSort>(), SCAN_THREADS);
    for width in ["64", "128", "256", "any"] {
        let (count, scatter) = (format!("band_count_{width}"), format!("band_scatter_{width}"));
        banded.extend(expect(&[&count, &scatter], size_of::<BandSort>(), BAND_THREADS));
        banded.extend(expect(&[&format!("band_probe_{width}")], size_of::<BandProbe>(), BAND_THREADS));
    }
    assert_eq!(entries(BANDED), sorted(banded));
    let collapse = expect(&["collapse_first", "collapse_insert"], size_of::<Collapse>(), COLLAPSE_THREADS);
    assert_eq!(entries(COLLAPSE), collapse);
}

#[test]
fn the_ptx_is_of_the_versions_that_old_drivers_take() {
    for (ptx, version, target) in [
        (BRUTE_B1, "7.1", "sm_80"),
        (BRUTE_S8, "7.1", "sm_80"),
        (BRUTE_POPC, "6.3", "sm_75"),
        (BANDED, "6.3", "sm_75"),
        (COLLAPSE, "6.3", "sm_75"),
    ] {
        assert!(ptx.contains(&format!(".version {version}\n.target {target}\n")));
        assert!(!ptx.contains(".file") && !ptx.contains(".local"), "no path, and nothing that lives in local memory");
        assert!(!ptx.contains('\0'), "the driver takes a C string");
    }
}

/// The PTX is what clang 14 compiles from the kernels; without clang 14, the script says that it is skipped.
#[test]
fn the_ptx_is_that_of_the_kernels() {
    let script = proofs::folder().join("../../scripts/ptx");
    let output = Command::new(script).arg("--check").output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
