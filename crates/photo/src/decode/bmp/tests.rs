//! Files of every header, depth and encoding; the pixels that were written are the oracle.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use super::decode;
use crate::error::PhotoError;
use crate::limits::{Limits, NeverCancels};
use std::path::Path;

const LIMITS: Limits<'static> = Limits { pixels: 1 << 24, memory: 1 << 28, caller: &NeverCancels };
const WIDTH: usize = 13;
const HEIGHT: usize = 7;

fn index(at: usize, bits: u32) -> u8 {
    ((at % WIDTH / 3 + at / WIDTH * 2) % (1 << bits)) as u8
}

/// Never black, so that what is left out shows.
fn colour(index: u8) -> [u8; 3] {
    [index.wrapping_mul(91) | 1, 255 - index, index]
}

/// A header of that size, the palette, and pixels; the palette says that it has `claimed` colours.
fn file(size: usize, bits: u32, compression: u32, colours: usize, claimed: u32, up: bool, data: &[u8]) -> Vec<u8> {
    let mut header = (size as u32).to_le_bytes().to_vec();
    let height = if up { HEIGHT as i32 } else { -(HEIGHT as i32) };
    if size == 12 {
        header.extend([WIDTH as u8, 0, HEIGHT as u8, 0, 1, 0, bits as u8, 0]);
    } else {
        header.extend([(WIDTH as u32).to_le_bytes(), height.to_le_bytes()].concat());
        header.extend([1, 0, bits as u8, 0]);
        for number in [compression, 0, 2835, 2835, claimed, 0] {
            header.extend(number.to_le_bytes());
        }
        header.resize(size, 0);
    }
    for index in 0..colours {
        let [red, green, blue] = colour(index as u8);
        header.extend(&[blue, green, red, 0][..if size == 12 { 3 } else { 4 }]);
    }
    let start = 14 + header.len() as u32;
    [b"BM", &[0; 8][..], &start.to_le_bytes(), &header, data].concat()
}

/// Rows of indices as they are stored, each a multiple of four bytes long.
fn rows(bits: u32, up: bool) -> Vec<u8> {
    let order: Vec<usize> = if up { (0..HEIGHT).rev().collect() } else { (0..HEIGHT).collect() };
    let row = |y: usize| {
        let pixels = (0..WIDTH).map(|x| index(y * WIDTH + x, bits));
        let stored: Vec<u8> = pixels.flat_map(|index| (0..bits).rev().map(move |bit| (index >> bit) & 1)).collect();
        let mut bytes: Vec<u8> = stored
            .chunks(8)
            .map(|byte| byte.iter().enumerate().fold(0, |sum, (at, bit)| sum | (bit << (7 - at))))
            .collect();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    order.into_iter().flat_map(row).collect()
}

fn assert_decodes(name: &str, file: &[u8], expected: impl Fn(usize) -> [u8; 3]) {
    let expected: Vec<u8> = (0..WIDTH * HEIGHT).flat_map(expected).collect();
    match decode(file, &LIMITS) {
        Ok(picture) => assert!(picture.pixels.samples() == expected, "{name}: other pixels"),
        Err(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn palettes() {
    for bits in [1, 2, 4, 8] {
        let all = 1_usize << bits;
        for size in [12, 16, 40, 52, 56, 64, 108, 124] {
            for up in [true, false] {
                // As many colours as there are, more than bits tell apart, none said.
                for (colours, claimed) in [(all, all), (all + 1, all + 1), (all + 200, all + 200), (all, 0)] {
                    if colours != all && size < 40 || !up && size == 12 {
                        continue;
                    }
                    let mut bytes = file(size, bits, 0, colours, claimed as u32, up, &rows(bits, up));
                    let name = format!("{bits} bits, header of {size}, {colours} colours, {up}");
                    assert_decodes(&name, &bytes, |at| colour(index(at, bits)));
                    bytes[10..14].fill(0);
                    assert_decodes(&format!("{name}, without a position"), &bytes, |at| colour(index(at, bits)));
                    bytes.truncate(bytes.len() - 4);
                    assert!(matches!(decode(&bytes, &LIMITS), Err(PhotoError::Damaged { .. })), "{name}");
                }
            }
        }
    }
    // Indices behind the palette are black.
    let bytes = file(40, 8, 0, 2, 2, true, &rows(8, true));
    assert_decodes("two colours", &bytes, |at| if index(at, 8) < 2 { colour(index(at, 8)) } else { [0; 3] });
}

/// Runs of rows that are padded beyond the width, and without the codes for their end.
#[test]
fn runs() {
    for (bits, compression) in [(8, 1), (4, 2)] {
        for (beyond, row_end, end, absolute) in
            [(0, true, true, false), (3, true, true, false), (250, true, false, false), (0, true, false, true)]
        {
            for up in [true, false] {
                let mut data = Vec::new();
                let order: Vec<usize> = if up { (0..HEIGHT).rev().collect() } else { (0..HEIGHT).collect() };
                for y in order {
                    let row: Vec<u8> = (0..WIDTH).map(|x| index(y * WIDTH + x, bits)).collect();
                    let both = |index: u8| if bits == 4 { index << 4 | index } else { index };
                    if absolute {
                        data.extend([0, WIDTH as u8]);
                        let stored: Vec<u8> = match bits {
                            4 => row.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).unwrap_or(&0)).collect(),
                            _ => row,
                        };
                        data.extend(&stored);
                        data.resize(data.len() + stored.len() % 2, 0);
                    } else {
                        for run in row.chunk_by(|a, b| a == b) {
                            data.extend([run.len() as u8, both(run[0])]);
                        }
                        if beyond > 0 {
                            data.extend([beyond, 0x55]);
                        }
                    }
                    if row_end {
                        data.extend([0, 0]);
                    }
                }
                if end {
                    data.extend([0, 1]);
                }
                let bytes = file(40, bits, compression, 1 << bits, 0, up, &data);
                let name = format!("{bits} bits, {beyond} beyond, {end}, {absolute}, {up}");
                assert_decodes(&name, &bytes, |at| colour(index(at, bits)));
            }
        }
        // Colours in turn, a step, an early end: what is skipped has the first colour.
        let data = [5, 0x12, 0, 2, 2, 1, 1, 0x22, 0, 1];
        let bytes = file(40, bits, compression, 1 << bits, 0, false, &data);
        assert_decodes("a step", &bytes, |at| match (at / WIDTH, at % WIDTH) {
            (0, 0..5) if bits == 8 => colour(0x12),
            (0, x @ 0..5) => colour(1 + (x % 2) as u8),
            (1, 7) if bits == 8 => colour(0x22),
            (1, 7) => colour(2),
            _ => colour(0),
        });
        let short = file(40, bits, compression, 1 << bits, 0, false, &[5, 0x12, 0, 0]);
        assert!(matches!(decode(&short, &LIMITS), Err(PhotoError::Damaged { .. })));
    }
}

/// Bits of masks, stretched to 8 and rounded, or cut to the highest 8.
#[test]
fn masks() {
    let five = |value: u32| (f64::from(value) * 255.0 / 31.0).round() as u8;
    let number = |at: usize| (at as u32).wrapping_mul(0x9e37_79b9);
    let data = |bytes: usize| -> Vec<u8> {
        let row = |y: usize| {
            let mut row: Vec<u8> =
                (0..WIDTH).flat_map(|x| number(y * WIDTH + x).to_le_bytes()[..bytes].to_vec()).collect();
            row.resize(row.len().next_multiple_of(4), 0);
            row
        };
        (0..HEIGHT).flat_map(row).collect()
    };
    let three = |at: usize| [number(at) >> 16, number(at) >> 8, number(at)].map(|value| value as u8);
    assert_decodes("24 bits", &file(40, 24, 0, 0, 0, false, &data(3)), three);
    assert_decodes("32 bits", &file(124, 32, 0, 0, 0, false, &data(4)), three);
    let fives = |at: usize| [10, 5, 0].map(|shift| five(number(at) >> shift & 31));
    assert_decodes("16 bits", &file(40, 16, 0, 0, 0, false, &data(2)), fives);
    let with_masks = |size: usize, bits: u32, masks: [u32; 3]| {
        let mut bytes = file(size.max(52), bits, 3, 0, 0, false, &data(bits as usize / 8));
        bytes[14..18].copy_from_slice(&(size as u32).to_le_bytes());
        bytes[54..66].copy_from_slice(&masks.map(u32::to_le_bytes).concat());
        bytes
    };
    for size in [40, 52, 56, 108, 124] {
        let swapped = |at: usize| [0, 5, 10].map(|shift| five(number(at) >> shift & 31));
        assert_decodes("masks of 5", &with_masks(size, 16, [0x1f, 0x3e0, 0x7c00]), swapped);
        let ten = |at: usize| [22, 12, 2].map(|shift| (number(at) >> shift) as u8);
        assert_decodes("masks of 10", &with_masks(size, 32, [0x3ff0_0000, 0xf_fc00, 0x3ff]), ten);
        let some = |at: usize| [(number(at) >> 24) as u8, 0, (number(at) >> 1 & 1) as u8 * 255];
        assert_decodes("masks of 8, 0 and 1", &with_masks(size, 32, [0xff00_0000, 0, 2]), some);
    }
}

#[test]
fn reported_file() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/faults/f18_bmp_palette17.bmp");
    let Ok(mut bytes) = std::fs::read(&file) else {
        println!("skipped: {} is no file", file.display());
        return;
    };
    let picture = decode(&bytes, &LIMITS).unwrap();
    bytes[46] = 16;
    assert!(decode(&bytes, &LIMITS).unwrap() == picture);
}
