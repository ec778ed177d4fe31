//! Files with blocks that other programs skip; the pixels that were written are the oracle.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use super::decode;
use crate::error::PhotoError;
use crate::limits::{Limits, NeverCancels};
use crate::picture::Pixels;
use std::path::Path;

const LIMITS: Limits<'static> = Limits { pixels: 1 << 24, memory: 1 << 28, caller: &NeverCancels };
const WIDTH: usize = 11;
const HEIGHT: usize = 9;

fn indices() -> Vec<u8> {
    (0..WIDTH * HEIGHT).map(|at| (at % WIDTH * 3 + at / WIDTH * 5) as u8 % 64).collect()
}

fn colour(index: u8) -> [u8; 3] {
    [index * 4, 255 - index, index.wrapping_mul(37)]
}

/// 64 colours.
fn palette() -> Vec<u8> {
    (0..64).flat_map(colour).collect()
}

fn header(with_palette: bool) -> Vec<u8> {
    let flags = if with_palette { 0x85 } else { 0x05 };
    let mut header = [&b"GIF89a"[..], &[WIDTH as u8, 0, HEIGHT as u8, 0, flags, 0, 0]].concat();
    if with_palette {
        header.extend(palette());
    }
    header
}

/// A frame of the whole screen. Its codes have seven bits: the table is cleared before it needs eight.
fn frame(interlaced: bool, local: bool, end: bool) -> Vec<u8> {
    let flags = if interlaced { 0x40 } else { 0 } | if local { 0x85 } else { 0 };
    let mut frame = vec![b',', 0, 0, 0, 0, WIDTH as u8, 0, HEIGHT as u8, 0, flags];
    if local {
        frame.extend(palette());
    }
    let all = indices();
    let rows: Vec<&[u8]> = all.chunks(WIDTH).collect();
    let order: Vec<usize> = match interlaced {
        true => [(0, 8), (4, 8), (2, 4), (1, 2)].iter().flat_map(|&(y, step)| (y..HEIGHT).step_by(step)).collect(),
        false => (0..HEIGHT).collect(),
    };
    let stored: Vec<u8> = order.iter().flat_map(|&y| rows[y].to_vec()).collect();
    let mut codes: Vec<u8> = stored.chunks(50).flat_map(|part| [&[64], part].concat()).collect();
    codes.extend(end.then_some(65));
    let bits: Vec<u8> = codes.iter().flat_map(|code| (0..7).map(move |bit| code >> bit & 1)).collect();
    let bytes: Vec<u8> = bits.chunks(8).map(|bits| bits.iter().rev().fold(0, |sum, bit| sum << 1 | bit)).collect();
    frame.push(6);
    for block in bytes.chunks(40) {
        frame.push(block.len() as u8);
        frame.extend(block);
    }
    frame.push(0);
    frame
}

fn assert_coloured(name: &str, file: &[u8]) {
    let expected: Vec<u8> = indices().into_iter().flat_map(colour).collect();
    match decode(file, &LIMITS) {
        Ok(picture) => assert!(picture.pixels == Pixels::Rgb(expected), "{name}: other pixels"),
        Err(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn blocks_before_the_frame() {
    let extensions: [&[u8]; 14] = [
        b"",
        b"!\xe9\x03abc\0", // unknown ones
        b"!\x00\x01a\0",
        b"!\x7f\0",
        b"!\xaa\x05hello\x03abc\0",
        b"!\xff\x05short\0", // an application's, without its name
        b"!\xff\0",
        b"!\xfe\0",               // an empty comment
        b"!\xf9\x05\0\0\0\0\0\0", // control extensions of wrong lengths
        b"!\xf9\0",
        b"!\xf9\x02\0\0\0",
        b"\0\0\0", // no blocks
        b"\x11\x22",
        b"!\xf9\x04\0\0\0\0\0!\xe9\0",
    ];
    for (number, extension) in extensions.iter().enumerate() {
        for (interlaced, local, end) in [(false, false, true), (true, false, false), (false, true, true)] {
            let file = [&header(!local), *extension, &frame(interlaced, local, end), b";"].concat();
            assert_coloured(&format!("extension {number}, {interlaced}, {local}, {end}"), &file);
        }
    }
    for end in [&b""[..], b";and more", b"\0\0\0", b"!\xe9\x03abc\0;", b"!\xe9\x03a", b",\0\0"] {
        assert_coloured("behind the frame", &[&header(true), &frame(false, false, true), end].concat());
    }
}

/// Without a palette indices are grey, as in Pillow.
#[test]
fn no_palette() {
    for interlaced in [false, true] {
        let picture = decode(&[header(false), frame(interlaced, false, true), b";".to_vec()].concat(), &LIMITS);
        assert_eq!(picture.unwrap().pixels, Pixels::Grey(indices()));
    }
}

/// Around a frame that is smaller than the screen is the transparent index, of the last control extension.
#[test]
fn transparent_index() {
    for (extensions, index) in
        [(&b"!\xf9\x04\x01\0\0\x05\0"[..], 5), (b"!\xf9\x04\x01\0\0\x05\0!\xf9\x04\x01\0\0\x09\0", 9), (b"", 0)]
    {
        let mut file = [&header(true), extensions, &frame(false, false, true), b";"].concat();
        file[6] = WIDTH as u8 + 1;
        let picture = decode(&file, &LIMITS).unwrap();
        let last = picture.pixels.samples().chunks(3).nth(WIDTH).map(<[u8]>::to_vec);
        assert_eq!(last.as_deref(), Some(&colour(index)[..]));
    }
}

#[test]
fn no_frame() {
    for rest in [&b""[..], b";", b"!\xe9\x03abc\0;", b"!\xe9\x03", b"!", b"\0\0", b",\0"] {
        let result = decode(&[&header(true), rest].concat(), &LIMITS);
        assert!(matches!(result, Err(PhotoError::Damaged { .. })), "{rest:?}");
    }
    for length in 0..header(true).len() {
        assert!(matches!(decode(&header(true)[..length], &LIMITS), Err(PhotoError::Damaged { .. })));
    }
}

#[test]
fn reported_file() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/faults/f18_gif_unknown_extension.gif");
    let Ok(bytes) = std::fs::read(&file) else {
        println!("skipped: {} is no file", file.display());
        return;
    };
    // The extension is eight bytes long and comes after the palette.
    let at = bytes.windows(3).position(|bytes| bytes == b"!\xe9\x03").unwrap();
    let without = [&bytes[..at], &bytes[at + 7..]].concat();
    assert!(decode(&bytes, &LIMITS).unwrap() == decode(&without, &LIMITS).unwrap());
}
