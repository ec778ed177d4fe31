//! JPEG XL files, whose decoder is a process: its memory, damage, bombs, cancellation. What is wrong with the process
//! itself is tested with AVIF and in `lumina-isolated`.

use crate::build::jxls;
use crate::counted::{MEMORY, Random, alone};
use crate::decoder::PROGRAM;
use crate::process::{children, decode_within, flipped, outcome, stopped, within};
use crate::webps::Bits;
use lumina_photo::{Format, PhotoError};
use std::path::Path;
use std::time::Duration;

/// More than any small picture asks for, in bytes.
const SMALL: u64 = 12 << 20;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/jxl").join(name)).unwrap()
}

fn is_damaged<T: std::fmt::Debug>(name: &str, result: Result<T, PhotoError>) {
    assert!(matches!(result, Err(PhotoError::Damaged { format: Format::Jxl, .. })), "{name}: {result:?}");
}

/// A codestream with the header of a picture of this size, up to its metadata.
fn size(width: u32, height: u32) -> Bits {
    let mut bits = Bits::default();
    bits.put(0x0aff, 16);
    bits.put(0, 1); // no multiples of 8
    bits.put(3, 2);
    bits.put(height - 1, 30);
    bits.put(0, 3); // no ratio
    bits.put(3, 2);
    bits.put(width - 1, 30);
    bits
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

fn container(boxes: &[Vec<u8>]) -> Vec<u8> {
    [&b"\0\0\0\x0CJXL \r\n\x87\n"[..], &boxed(b"ftyp", b"jxl \0\0\0\0jxl "), &boxes.concat()].concat()
}

/// The part with this number, and whether it is the last.
fn part(number: u32, is_last: bool, body: &[u8]) -> Vec<u8> {
    boxed(b"jxlp", &[&(number | u32::from(is_last) << 31).to_be_bytes(), body].concat())
}

#[test]
fn golden_images() {
    let _alone = alone();
    decode_within(jxls(), SMALL);
}

/// A part of a picture is none.
#[test]
fn cut_short() {
    let _alone = alone();
    let mut errors = 0;
    for (name, bytes) in jxls().iter().step_by(5) {
        let whole = outcome(name, bytes).unwrap();
        for end in (1..30).map(|part| bytes.len() * part / 30).chain(bytes.len().saturating_sub(8)..bytes.len()) {
            match outcome(&format!("{name} of {end} bytes"), &bytes[..end]) {
                Err(_) => errors += 1,
                // Of an animation the later frames are missing.
                Ok(picture) => assert!(picture == whole && name.contains("animation"), "{name} of {end} bytes"),
            }
        }
    }
    println!("{errors} errors");
    assert!(errors > 300);
}

/// Some through the program, more through the container alone.
#[test]
fn flipped_bytes() {
    let _alone = alone();
    let mut random = Random(2028);
    let rounds: usize = std::env::var("LUMINA_FLIPS").ok().and_then(|flips| flips.parse().ok()).unwrap_or(40);
    let (mut pictures, mut count, mut sizes) = (0, 0, 0);
    for (name, bytes) in jxls() {
        for round in 0..rounds * 2 {
            let flipped = flipped(&bytes, &mut random, 200);
            let outcome = within(&flipped, MEMORY, None);
            crate::counted::check(&format!("{name}, round {round}"), &outcome);
            let result = outcome.result.map(|(format, _)| format);
            assert!(!matches!(result, Ok(Format::Jxl) | Err(PhotoError::Cancelled)), "{name}, round {round}");
            sizes += u32::from(matches!(result, Err(PhotoError::Unsupported { .. })));
        }
        for round in 0..rounds / 4 {
            let end = if round % 3 == 0 { 60 } else { bytes.len() };
            let flipped = flipped(&bytes, &mut random, end);
            let result = outcome(&format!("{name}, round {round}"), &flipped);
            let is_crash = |why: &str| why.contains("broke off") || why.contains("language");
            assert!(!matches!(&result, Err(PhotoError::Damaged { why, .. }) if is_crash(why)), "{name}: {result:?}");
            assert!(!matches!(result, Err(PhotoError::Cancelled)));
            pictures += u32::from(result.is_ok());
            count += 1;
        }
    }
    println!("{count} files, of which {pictures} gave a picture; {sizes} of the container alone had a size");
    assert!(pictures > 20 && pictures < count);
}

#[test]
fn sizes_that_lie() {
    let _alone = alone();
    for (width, height) in [(1 << 30, 1 << 30), (1 << 30, 1), (50_000, 50_000), (1, 1 << 30), (14_200, 14_200)] {
        let mut bits = size(width, height);
        bits.put(0b11, 2); // all else is the default
        bits.bytes.extend([0; 9]);
        let (first, second) = bits.bytes.split_at(10);
        let parts = container(&[part(0, false, first), part(1, true, second)]);
        for bytes in [&bits.bytes, &container(&[boxed(b"jxlc", &bits.bytes)]), &parts] {
            let result = outcome("a size", bytes);
            assert!(matches!(result, Err(PhotoError::Pixels { .. })), "{width} x {height}: {result:?}");
        }
    }
    // Within the limits, but nothing is there.
    for (width, height) in [(14_000, 14_000), (1, 200_000_000), (200_000_000, 1), (3, 3)] {
        let mut bits = size(width, height);
        bits.put(0b11, 2);
        let result = outcome("nothing", &bits.bytes);
        let is_large = matches!(result, Err(PhotoError::Memory { .. }));
        assert!(is_large && width * height > 9 || matches!(result, Err(PhotoError::Damaged { .. })), "{result:?}");
    }
}

/// A profile's length is a claim.
#[test]
fn profiles() {
    let _alone = alone();
    for claimed in [1u64 << 23, 1 << 27, 1 << 40, 1 << 59] {
        let mut bits = size(9, 9);
        bits.put(0, 2); // not the default, no further fields
        bits.put(0, 3); // 8 bits
        bits.put(1, 1);
        bits.put(0, 2); // no other channels
        bits.put(1, 1); // XYB
        bits.put(0b10, 2); // a profile
        bits.put(0, 2); // of red, green and blue
        bits.put(0, 2); // no extensions
        bits.put(1, 1);
        bits.put(3, 2);
        bits.put((claimed & 0xfff) as u32, 12);
        for shift in (12..60).step_by(8) {
            bits.put(1, 1);
            bits.put((claimed >> shift & 0xff) as u32, 8);
        }
        bits.put(0, 1);
        bits.bytes.extend([0; 30]);
        is_damaged("a profile", outcome("a profile", &bits.bytes));
    }
}

/// Boxes without a codestream, out of order, of no length, many.
#[test]
fn boxes() {
    let _alone = alone();
    for boxes in [vec![], vec![boxed(b"brob", &[0; 99])], vec![boxed(b"jxlc", b"")], vec![boxed(b"jxlp", b"\0")]] {
        is_damaged("no codestream", outcome("no codestream", &container(&boxes)));
    }
    let (_, bare) = jxls().into_iter().find(|(name, _)| name == "lossless.jxl").unwrap();
    let whole = outcome("bare", &bare).unwrap();
    let mut endless = boxed(b"jxlc", &bare);
    endless[..4].fill(0);
    let last = bare.len() / 50;
    let mut parts: Vec<_> = (0..).zip(bare.chunks(50)).map(|(n, body)| part(n, n as usize == last, body)).collect();
    for file in [container(&[boxed(b"jxlc", &bare)]), container(&[endless]), container(&parts)] {
        assert!(outcome("boxed", &file).unwrap() == whole);
    }
    parts.remove(3);
    is_damaged("a missing part", outcome("a missing part", &container(&parts)));
    let many = vec![boxed(b"jxlp", &[0; 4]); 200_000];
    is_damaged("many parts", outcome("many parts", &container(&many)));
    let holes = vec![part(7, false, &[0; 60_000]); 900];
    is_damaged("parts that wait", outcome("parts that wait", &container(&holes)));
}

/// A file of frames that are drawn over each other before any is shown: its two in the middle are repeated.
fn frames(count: usize) -> Vec<u8> {
    const PERIOD: usize = 332;
    let bytes = file("frames.jxl");
    let (head, rest) = bytes.split_at(bytes.len() - 2 * PERIOD - 163);
    assert_eq!(rest[..PERIOD], rest[PERIOD..2 * PERIOD]);
    [head, &rest[..PERIOD].repeat(count), rest].concat()
}

/// Hidden frames take time in proportion to the picture, and no more.
#[test]
fn many_frames() {
    let _alone = alone();
    let shown = outcome("frames", &file("frames.jxl")).unwrap();
    assert!(outcome("some frames", &frames(4)).unwrap() == shown);
    let result = within(&frames(6000), MEMORY, Some(PROGRAM.clone())).result;
    let why = "its decoder failed: it takes too long";
    assert!(matches!(&result, Err(PhotoError::Damaged { why: found, .. }) if found == why), "{result:?}");
    assert_eq!(children(), 0);
}

/// With less memory than it needs that is the error, and with as much as it says it ends in a picture. The process gets
/// what was asked for, and no more.
#[test]
fn memory_is_bounded() {
    let _alone = alone();
    for (name, at_once) in [("large.jxl", true), ("deep.jxl", false)] {
        let bytes = file(name);
        let usual = (12 * 12_000_000 + bytes.len() as u64) + (6 << 20);
        let (mut memory, mut steps) = (1 << 20, 0);
        let asked = loop {
            let outcome = within(&bytes, memory, Some(PROGRAM.clone()));
            assert!(outcome.asked <= memory && outcome.peak <= outcome.asked.max(1 << 16), "{name}: {memory}");
            match outcome.result {
                Err(PhotoError::Memory { needed, limit, .. }) => {
                    assert!(needed > memory && limit == memory);
                    memory = needed;
                }
                result => break result.map(|_| outcome.asked).unwrap(),
            }
            steps += 1;
            assert!(steps < 8, "{name}: no memory suffices");
        };
        println!("{name}: {} MB after {steps} steps", memory >> 20);
        assert_eq!(asked == usual, at_once, "{name}: {asked}");
        let whole = within(&bytes, MEMORY, Some(PROGRAM.clone()));
        assert_eq!((whole.result.unwrap().1.width, whole.asked <= 2 * usual), (4000, true), "{name}");
    }
    assert_eq!(children(), 0);
}

/// At any moment within a second.
#[test]
fn cancelled() {
    let _alone = alone();
    let _ = &*PROGRAM;
    let mut ended = 0;
    for bytes in [file("large.jxl"), file("deep.jxl"), frames(6000)] {
        for after in [0, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640] {
            let (result, time) = stopped(&bytes, after, None);
            assert!(time < Duration::from_millis(after + 1000), "after {after} ms: {time:?}");
            ended += u32::from(matches!(result, Err(PhotoError::Cancelled)));
        }
    }
    assert!(ended > 12, "{ended}");
}
