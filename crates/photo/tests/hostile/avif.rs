//! AVIF files, whose decoder is a process: its memory, damage, bombs, cancellation, and what is wrong with the process.

use crate::build::{avifs, image};
use crate::counted::{MEMORY, PIXELS, Random, Remembers, alone};
use crate::decoder::PROGRAM;
use crate::heics::{Coded, Heic};
use crate::process::{children, decode_within, flipped, outcome, stopped, within};
use lumina_photo::{Caller, Format, Limits, PhotoError, Picture, decode};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What the process takes whatever it decodes, and its part of the container's.
const SMALL: u64 = 24 << 20;

fn is_damaged<T>(name: &str, result: Result<T, PhotoError>) {
    let error = result.err();
    assert!(matches!(error, Some(PhotoError::Damaged { format: Format::Avif, .. })), "{name}: {error:?}");
}

fn flat(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/avif").join(name)).unwrap()
}

/// A coded picture of 512 x 512.
fn tile() -> Coded {
    Coded::of_avif(&flat("tile.avif"))
}

fn size(width: u32, height: u32) -> Vec<u8> {
    [[0; 4], width.to_be_bytes(), height.to_be_bytes()].concat()
}

/// A file of one picture that is said to have this size.
fn single(coded: &Coded, (width, height): (u32, u32)) -> Vec<u8> {
    let mut file = Heic::default();
    add(&mut file, coded, (width, height));
    file.finish_as(b"avif")
}

fn add(file: &mut Heic, coded: &Coded, (width, height): (u32, u32)) -> u32 {
    let properties = [file.property(b"av1C", &coded.record), file.property(b"ispe", &size(width, height))];
    let extent = file.bytes(&coded.data);
    file.item(b"av01", &[extent], &properties)
}

/// A grid of one tile, many times.
fn repeated(rows: usize, columns: usize, (width, height): (u32, u32), tile: &Coded) -> Vec<u8> {
    let mut file = Heic::default();
    let grid = file.grid(rows, columns, width, height);
    let tile = add(&mut file, tile, (512, 512));
    file.derive(grid, &vec![tile; rows * columns]);
    file.finish_as(b"avif")
}

#[test]
fn golden_images() {
    let _alone = alone();
    decode_within(avifs(), SMALL);
}

#[test]
fn cut_short() {
    let _alone = alone();
    let (mut damaged, mut errors) = (0, 0);
    for (name, bytes) in avifs().iter().step_by(6) {
        let whole = outcome(name, bytes).unwrap();
        for end in (0..30).map(|part| bytes.len() * part / 30).chain(bytes.len().saturating_sub(8)..bytes.len()) {
            match outcome(&format!("{name} of {end} bytes"), &bytes[..end]) {
                Err(_) => errors += 1,
                Ok(picture) => {
                    assert_eq!((picture.width, picture.height), (whole.width, whole.height), "{name}");
                    // What is missing may be alpha, or text.
                    assert!(picture.damage.is_some() || picture == whole, "{name} of {end} bytes");
                    damaged += u32::from(picture.damage.is_some());
                }
            }
        }
    }
    println!("{damaged} damaged pictures, {errors} errors");
    assert!(errors > 200);
}

/// Some through the program, more through the container alone: there the container ends in one error.
#[test]
fn flipped_bytes() {
    let _alone = alone();
    let mut random = Random(2027);
    let rounds: usize = std::env::var("LUMINA_FLIPS").ok().and_then(|flips| flips.parse().ok()).unwrap_or(40);
    let (mut pictures, mut count) = (0, 0);
    for (name, bytes) in avifs() {
        for round in 0..rounds * 2 {
            let flipped = flipped(&bytes, &mut random, 500);
            let outcome = within(&flipped, MEMORY, None);
            crate::counted::check(&format!("{name}, round {round}"), &outcome);
            let result = outcome.result.map(|(format, _)| format);
            assert!(!matches!(result, Ok(Format::Avif) | Err(PhotoError::Cancelled)), "{name}, round {round}");
        }
        for round in 0..rounds / 4 {
            let end = if round % 3 == 0 { 500 } else { bytes.len() };
            let result = outcome(&format!("{name}, round {round}"), &flipped(&bytes, &mut random, end));
            assert!(!matches!(result, Err(PhotoError::Cancelled)));
            pictures += u32::from(result.is_ok());
            count += 1;
        }
    }
    println!("{count} files, of which {pictures} gave a picture");
    assert!(pictures > 20 && pictures < count);
}

/// Sizes that lie, in the container or in the bitstream.
#[test]
fn sizes_that_lie() {
    let _alone = alone();
    let tile = tile();
    assert_eq!(outcome("a tile", &single(&tile, (512, 512))).unwrap().width, 512);
    for lie in [(513, 512), (512, 511), (1, 1), (4096, 4096)] {
        is_damaged("another size", outcome("another size", &single(&tile, lie)));
    }
    for lie in [(65_535, 65_535), (1 << 31, 1), (u32::MAX, u32::MAX)] {
        let result = outcome("too many pixels", &single(&tile, lie));
        assert!(matches!(result, Err(PhotoError::Pixels { .. } | PhotoError::Memory { .. })), "{lie:?}");
    }
    is_damaged("no size", outcome("no size", &single(&tile, (0, 512))));
    // A frame of 12 million pixels in a picture of one.
    let large = Coded::of_avif(&flat("flat-444.avif"));
    is_damaged("a large frame", outcome("a large frame", &single(&large, (1, 1))));
    // The configuration says grey.
    let mut grey = tile.clone();
    grey.record[2] |= 0x10;
    is_damaged("not grey", outcome("not grey", &single(&grey, (512, 512))));
}

/// Much work out of few bytes: hidden frames, tiles that share their bytes, grids of many pixels.
#[test]
fn bombs() {
    let _alone = alone();
    let mut frames = tile();
    let unit = frames.data.clone();
    for count in [9, 1000, 20_000] {
        frames.data = unit.repeat(count);
        is_damaged("frames", outcome("frames", &single(&frames, (512, 512))));
    }
    let tile = tile();
    let found = outcome("a grid", &repeated(2, 3, (1300, 1000), &tile)).unwrap();
    assert_eq!((found.width, found.height, found.damage), (1300, 1000, None));
    let mut long = tile.clone();
    long.data.resize(4 << 20, 0);
    let shared = outcome("shared", &repeated(10, 10, (5000, 5000), &long));
    assert!(!matches!(shared, Ok(ref picture) if picture.damage.is_none()), "its tiles share their bytes");
    let pixels = outcome("pixels", &repeated(64, 64, (30_000, 30_000), &tile));
    assert!(matches!(pixels, Err(PhotoError::Pixels { .. })));
    is_damaged("small tiles", outcome("small tiles", &repeated(1, 1, (513, 512), &tile)));
}

/// A tile that does not decode leaves grey; the first one must decode.
#[test]
fn grids_with_holes() {
    let _alone = alone();
    let tile = tile();
    let mut broken = tile.clone();
    broken.data.truncate(20);
    for hole in 0..4u32 {
        let mut file = Heic::default();
        let grid = file.grid(2, 2, 1024, 1024);
        let whole = add(&mut file, &tile, (512, 512));
        let other = add(&mut file, &broken, (512, 512));
        file.derive(grid, &(0..4).map(|place| if place == hole { other } else { whole }).collect::<Vec<_>>());
        let result = outcome("a hole", &file.finish_as(b"avif"));
        if hole == 0 {
            is_damaged("the first", result);
            continue;
        }
        let picture = result.unwrap();
        let (row, column) = (hole as usize / 2 * 512, hole as usize % 2 * 512);
        let at = |row: usize, column: usize| picture.pixels.samples()[(row * 1024 + column) * 3..][..3].to_vec();
        assert_eq!(at(row, column), [128; 3]);
        assert_ne!(at(0, 0), [128; 3]);
        assert!(picture.damage.is_some());
    }
}

/// The tiles of a picture that are grey, row by row.
fn grey_tiles(picture: &Picture, columns: usize) -> Vec<usize> {
    let width = picture.width as usize;
    let at = |tile: usize| (tile / columns * 512 * width + tile % columns * 512) * 3;
    let tiles = columns * (picture.height as usize / 512);
    (0..tiles).filter(|&tile| picture.pixels.samples()[at(tile)..][..3] == [128; 3]).collect()
}

/// A frame of another size leaves one tile grey, and the next ones are decoded: by another process, as the rest of its
/// samples is not taken. After some of them it is enough.
#[test]
fn frames_of_another_size() {
    let _alone = alone();
    let (tile, other) = (tile(), Coded::of_avif(&image("avif-420.avif")));
    let with = |others: &[usize]| {
        let mut file = Heic::default();
        let grid = file.grid(4, 5, 2560, 2048);
        let (whole, other) = (add(&mut file, &tile, (512, 512)), add(&mut file, &other, (512, 512)));
        file.derive(grid, &(0..20).map(|at| if others.contains(&at) { other } else { whole }).collect::<Vec<_>>());
        let picture = outcome("another size", &file.finish_as(b"avif")).unwrap();
        assert!(picture.damage.is_some());
        grey_tiles(&picture, 5)
    };
    for others in [&[1][..], &[19], &[7, 8], &[3, 9, 18]] {
        assert_eq!(with(others), others);
    }
    let found = with(&(4..19).collect::<Vec<_>>());
    assert_eq!(found, (4..20).collect::<Vec<_>>());
}

/// Crashes the process once, in the middle.
struct Crashes {
    at: u64,
    checks: Cell<u64>,
}

impl Caller for Crashes {
    fn decoder(&self) -> Option<&Path> {
        Some(&PROGRAM)
    }

    fn is_cancelled(&self) -> bool {
        self.checks.set(self.checks.get() + 1);
        if self.checks.get() == self.at {
            let list = std::fs::read_to_string("/proc/thread-self/children").unwrap();
            let process = list.split_whitespace().next().unwrap();
            assert!(Command::new("kill").args(["-ABRT", process]).status().unwrap().success());
        }
        false
    }
}

/// A process that crashes takes one tile with it.
#[test]
fn crashes() {
    let _alone = alone();
    let bytes = repeated(8, 8, (4096, 4096), &tile());
    fn decoded(bytes: &[u8], caller: &Crashes) -> Picture {
        decode(bytes, &Limits { pixels: PIXELS, memory: MEMORY, caller }).unwrap().1
    }
    let usual = Crashes { at: u64::MAX, checks: Cell::new(0) };
    assert!(decoded(&bytes, &usual).damage.is_none());
    let checks = usual.checks.get();
    let mut grey = 0;
    for part in 2..6 {
        let caller = Crashes { at: checks * part / 6, checks: Cell::new(0) };
        let found = grey_tiles(&decoded(&bytes, &caller), 8);
        assert!(found.len() < 2, "{found:?}");
        grey += found.len();
        assert_eq!(children(), 0);
    }
    assert!(grey > 1, "{grey}");
}

/// The process gets what is left of the limit: with less than it needs, that is the error, and more is asked for.
#[test]
fn memory_is_bounded() {
    let _alone = alone();
    for name in ["flat-420.avif", "flat-444.avif"] {
        let bytes = flat(name);
        let (mut memory, mut steps) = (1 << 20, 0);
        let found = loop {
            let outcome = within(&bytes, memory, Some(PROGRAM.clone()));
            assert!(outcome.peak <= memory, "{name}: {} bytes of {memory}", outcome.peak);
            match outcome.result {
                Err(PhotoError::Memory { needed, limit, .. }) => {
                    assert!(needed > memory && limit == memory);
                    memory = needed;
                }
                result => break result,
            }
            steps += 1;
            assert!(steps < 20, "{name}: no memory suffices");
        };
        println!("{name}: {} MB after {steps} steps", memory >> 20);
        assert_eq!(found.unwrap().1.width, 4000);
        assert!(memory < 200 << 20, "{name}: {memory}");
    }
    assert_eq!(children(), 0);
}

/// Notes the address space that the process may have.
#[derive(Default)]
struct Watches {
    remembers: Remembers,
    address_space: Cell<u64>,
}

impl Caller for Watches {
    fn decoder(&self) -> Option<&Path> {
        self.remembers.decoder()
    }

    fn is_cancelled(&self) -> bool {
        let children = std::fs::read_to_string("/proc/thread-self/children").unwrap();
        let limits =
            children.split_whitespace().next().map(|child| std::fs::read_to_string(format!("/proc/{child}/limits")));
        let limits = limits.and_then(Result::ok).unwrap_or_default();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max address space")).unwrap_or_default();
        if let Some(Ok(bytes)) = line.split_whitespace().next().map(str::parse) {
            self.address_space.set(bytes);
        }
        false
    }

    fn room_for(&self, bytes: usize) -> bool {
        self.remembers.room_for(bytes)
    }
}

/// The process may not take all that is left of a large limit, which many sessions share: only what was asked for.
#[test]
fn the_process_gets_what_was_asked_for() {
    let _alone = alone();
    for bytes in [flat("flat-444.avif"), repeated(4, 4, (256, 256), &tile())] {
        let program = Some(PROGRAM.clone());
        let caller = Watches { remembers: Remembers { program, ..Remembers::default() }, ..Watches::default() };
        decode(&bytes, &Limits { pixels: PIXELS, memory: 64 << 30, caller: &caller }).unwrap();
        let (asked, given) = (caller.remembers.asked.get(), caller.address_space.get());
        println!("{} MB asked for, {} MB given", asked >> 20, given >> 20);
        // In addition to its code.
        assert!(given > 0 && given < asked + (64 << 20), "{given} of {asked}");
    }
}

/// At any moment, and where the process is stopped: within a second.
#[test]
fn cancelled() {
    let _alone = alone();
    let _ = &*PROGRAM;
    let (large, many) = (flat("flat-444.avif"), repeated(20, 20, (10_000, 10_000), &tile()));
    let mut ended = 0;
    for bytes in [&large, &many] {
        for after in [0, 1, 2, 5, 10, 20, 40, 80, 160, 320] {
            let (result, time) = stopped(bytes, after, None);
            assert!(time < Duration::from_millis(after + 1000), "after {after} ms: {time:?}");
            ended += u32::from(matches!(result, Err(PhotoError::Cancelled)));
        }
    }
    assert!(ended > 8, "{ended}");
    let (result, time) = stopped(&large, 500, Some("-STOP"));
    assert!(matches!(result, Err(PhotoError::Cancelled)) && time < Duration::from_millis(1500), "{time:?}");
}

/// A process that is killed says nothing of the file.
#[test]
fn killed() {
    let _alone = alone();
    let (result, _) = stopped(&flat("flat-444.avif"), 60_000, Some("-KILL"));
    assert_eq!(result.err(), Some(PhotoError::OutOfMemory));
    let (result, _) = stopped(&flat("flat-444.avif"), 60_000, Some("-ABRT"));
    is_damaged("a crash", result);
}

/// Without the program, or with another one: what is missing, and nothing of the file.
#[test]
fn other_programs() {
    let _alone = alone();
    let bytes = image("avif-420.avif");
    let why = |program: Option<&str>| match within(&bytes, MEMORY, program.map(PathBuf::from)).result {
        Err(PhotoError::Unavailable { format: Format::Avif, why }) => why,
        result => panic!("{program:?}: {result:?}"),
    };
    assert_eq!(why(None), "the program lumina-decoder is not known");
    assert!(why(Some("/nowhere/lumina-decoder")).starts_with("the program lumina-decoder cannot be started: "));
    assert!(why(Some("/etc/passwd")).starts_with("the program lumina-decoder cannot be started: "));
    assert_eq!(why(Some("/bin/true")), "the program lumina-decoder does not work: it broke off");
    assert_eq!(why(Some("/bin/cat")), "the program lumina-decoder is of another version");
    assert_eq!(children(), 0);
}
