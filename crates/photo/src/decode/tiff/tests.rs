//! Files of every kind, written by [`write`]; the pixels that were written are the oracle.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod faults;
mod fax;
mod write;

use super::decode;
use crate::error::PhotoError;
use crate::ifd::ByteOrder;
use crate::limits::{Limits, NeverCancels};
use crate::picture::{Picture, Pixels, cmyk_to_rgb};
use write::{Layout, Sheet, Squeeze};

const LIMITS: Limits<'static> = Limits { pixels: 1 << 24, memory: 1 << 28, caller: &NeverCancels };
const WIDTH: usize = 13;
const HEIGHT: usize = 11;

/// Samples of 8 bits that rise, fall and jump, `each` a pixel.
fn scene(each: usize) -> Vec<u8> {
    let sample = |index: usize| {
        let (x, y, sample) = (index / each % WIDTH, index / each / WIDTH, index % each);
        (x * 17 + y * 9 + sample * 80 + (x * y % 5) * 40) as u8
    };
    (0..WIDTH * HEIGHT * each).map(sample).collect()
}

fn samples_of(picture: &Picture) -> &[u8] {
    assert_eq!((picture.width as usize, picture.height as usize), (WIDTH, HEIGHT));
    assert_eq!(picture.damage, None);
    picture.pixels.samples()
}

/// Decodes a file of the scene, whose picture has these samples.
fn assert_decodes(name: &str, file: &[u8], expected: &[u8]) {
    match decode(file, &LIMITS) {
        Ok(picture) => assert!(samples_of(&picture) == expected, "{name}: other pixels"),
        Err(error) => panic!("{name}: {error}"),
    }
}

/// All layouts of strips and tiles, orders of bytes and bits, compressions.
fn layouts() -> impl Iterator<Item = Layout> {
    let grids = [None, Some((16, 16)), Some((8, 32))];
    let orders = [ByteOrder::Little, ByteOrder::Big];
    let squeezes = [Squeeze::None, Squeeze::PackBits, Squeeze::Lzw, Squeeze::Deflate];
    let all = grids.into_iter().flat_map(move |tile| orders.map(|order| (tile, order)));
    let all = all.flat_map(|(tile, order)| [false, true].map(|planar| (tile, order, planar)));
    let all = all.flat_map(|(tile, order, planar)| [false, true].map(|reversed| (tile, order, planar, reversed)));
    all.flat_map(move |(tile, order, planar, reversed)| {
        squeezes.map(|squeeze| Layout { tile, order, planar, reversed, squeeze, rows: 4, predictor: 1 })
    })
}

/// The layouts with all predictors that they allow for samples.
fn predicted(predictors: &'static [u16]) -> impl Iterator<Item = Layout> {
    layouts().flat_map(move |layout| {
        let allowed = move |&&predictor: &&u16| predictor == 1 || layout.squeeze.predicts();
        predictors.iter().filter(allowed).map(move |&predictor| Layout { predictor, ..layout })
    })
}

/// Samples of more bits with these as their highest; the lower ones are noise.
fn deepened(samples: &[u8], depth: u32) -> Vec<u64> {
    let noise = |index: usize| (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8;
    let deep = |(index, &sample): (usize, &u8)| {
        let low = depth - 8;
        u64::from(sample) << low | noise(index) & ((1_u64 << low) - 1)
    };
    samples.iter().enumerate().map(deep).collect()
}

/// The first `kept` of every `each` samples.
fn first_of(samples: &[u8], each: usize, kept: usize) -> Vec<u8> {
    samples.chunks(each).flat_map(|pixel| pixel[..kept].to_vec()).collect()
}

#[test]
fn colours_with_further_samples() {
    for (photometric, colours) in [(1, 1), (2, 3), (5, 4)] {
        for extra in 0..=3 {
            let each = colours + extra;
            let stored = scene(each);
            let kept = first_of(&stored, each, colours);
            let expected = match photometric {
                5 => kept.as_chunks().0.iter().flat_map(|&inks| cmyk_to_rgb(inks)).collect(),
                _ => kept,
            };
            for depth in [8, 16, 32, 64] {
                let sheet = Sheet { extra, ..Sheet::new(photometric, depth, each, deepened(&stored, depth)) };
                for layout in predicted(&[1, 2]) {
                    let name = format!("photometric {photometric}, {extra} more, {depth} bits, {layout:?}");
                    assert_decodes(&name, &sheet.file(layout), &expected);
                }
            }
        }
    }
}

#[test]
fn white_is_zero_and_signed() {
    let grey = scene(1);
    let white: Vec<u8> = grey.iter().map(|grey| !grey).collect();
    for depth in [8, 12, 16, 24, 32, 64] {
        let deep = deepened(&grey, depth);
        let signed: Vec<u64> = deep.iter().map(|sample| sample ^ 1 << (depth - 1)).collect();
        let sheets = [
            (Sheet::new(0, depth, 1, deep.clone()), &white),
            (Sheet { format: 2, ..Sheet::new(1, depth, 1, signed.clone()) }, &grey),
            (Sheet { format: 2, ..Sheet::new(0, depth, 1, signed) }, &white),
            (Sheet { format: 4, ..Sheet::new(1, depth, 1, deep) }, &grey),
        ];
        for (sheet, expected) in sheets {
            for layout in predicted(if matches!(depth, 12 | 24) { &[1] } else { &[1, 2] }) {
                let name = format!("photometric {}, format {}, {depth} bits", sheet.photometric, sheet.format);
                assert_decodes(&format!("{name}, {layout:?}"), &sheet.file(layout), expected);
            }
        }
    }
}

/// Samples of few bits are stretched to the whole range.
#[test]
fn few_bits() {
    for depth in 1..8_u32 {
        for each in [1, 2, 3] {
            let most = (1_u64 << depth) - 1;
            let stored: Vec<u64> = scene(each).iter().map(|&sample| u64::from(sample) & most).collect();
            let stretched: Vec<u8> =
                stored.iter().map(|&sample| (sample as f64 * 255.0 / most as f64).round() as u8).collect();
            let (photometric, kept) = if each == 3 { (2, 3) } else { (1, 1) };
            let sheet = Sheet { extra: each - kept, ..Sheet::new(photometric, depth, each, stored) };
            for layout in layouts() {
                let name = format!("{each} samples of {depth} bits, {layout:?}");
                assert_decodes(&name, &sheet.file(layout), &first_of(&stretched, each, kept));
            }
        }
    }
}

#[test]
fn palettes() {
    let colour = |index: u64| [index * 7 % 256, 255 - index % 256, index * 31 % 256];
    for depth in [1, 2, 3, 4, 8, 16] {
        for each in [1, 2] {
            let most = (1_u64 << depth) - 1;
            let stored: Vec<u64> = scene(each).iter().map(|&sample| (u64::from(sample) * 3) & most).collect();
            let expected: Vec<u8> =
                stored.chunks(each).flat_map(|pixel| colour(pixel[0]).map(|sample| sample as u8)).collect();
            // Values of 16 bits, and those of 8 that some programs write.
            for scale in [256, 1] {
                let map = (0..3).flat_map(|part| (0..=most).map(move |index| (colour(index)[part] * scale) as u16));
                let sheet = Sheet { map: map.collect(), extra: each - 1, ..Sheet::new(3, depth, each, stored.clone()) };
                for layout in predicted(if depth % 8 == 0 { &[1, 2] } else { &[1] }) {
                    let name = format!("a palette of {depth} bits, {each} samples, scale {scale}, {layout:?}");
                    assert_decodes(&name, &sheet.file(layout), &expected);
                }
            }
        }
    }
}

/// 0.0 is black, 1.0 is white, and what lies beyond is cut off.
#[test]
fn floats() {
    let half = |value: f64| match value.to_bits() {
        0 => 0,
        bits => (bits >> 63 << 15) | ((bits >> 52 & 2047) - 1008) << 10 | bits >> 42 & 1023,
    };
    for (photometric, each) in [(1, 1), (0, 2), (2, 3), (2, 4)] {
        let stored: Vec<f64> = scene(each).iter().map(|&sample| f64::from(sample) / 128.0 - 0.5).collect();
        let byte = |value: &f64| {
            let byte = (value.clamp(0.0, 1.0) * 255.0).round() as u8;
            if photometric == 0 { !byte } else { byte }
        };
        let kept = if photometric == 2 { 3 } else { 1 };
        let expected = first_of(&stored.iter().map(byte).collect::<Vec<u8>>(), each, kept);
        for depth in [16, 32, 64] {
            let bits = |&value: &f64| match depth {
                16 => half(value),
                32 => u64::from((value as f32).to_bits()),
                _ => value.to_bits(),
            };
            let samples = stored.iter().map(bits).collect();
            let sheet = Sheet { format: 3, extra: each - kept, ..Sheet::new(photometric, depth, each, samples) };
            for layout in predicted(&[1, 2, 3]) {
                let name = format!("{each} floats of {depth} bits, {layout:?}");
                assert_decodes(&name, &sheet.file(layout), &expected);
            }
        }
    }
}

/// Values that libtiff gives (through Pillow).
#[test]
fn luma_and_chroma() {
    let known = [([76, 85, 255], [254, 0, 0]), ([150, 44, 21], [0, 255, 1]), ([200, 128, 128], [200; 3])];
    for (stored, expected) in known {
        let pixels = stored.repeat(WIDTH * HEIGHT);
        for (across, down) in [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2), (4, 4)] {
            let sheet = Sheet { subsampling: Some((across, down)), ..Sheet::new(6, 8, 3, pixels_of(&pixels)) };
            for layout in layouts().filter(|layout| !layout.planar || (across, down) == (1, 1)) {
                let name = format!("{across} x {down} pixels a colour, {layout:?}");
                assert_decodes(&name, &sheet.file(layout), &expected.repeat(WIDTH * HEIGHT));
            }
        }
    }
}

fn pixels_of(samples: &[u8]) -> Vec<u64> {
    samples.iter().map(|&sample| sample.into()).collect()
}

/// A Y for each pixel, a Cb and a Cr for some: each at its place.
#[test]
fn subsampled_places() {
    // Without colour, Y is grey; the colours of units differ, so that a wrong place shows.
    for (across, down) in [(2, 1), (1, 2), (2, 2), (4, 2)] {
        let unit = |index: usize| (index % WIDTH / across + index / WIDTH / down * 3) % 3;
        let chroma = [(128, 128), (90, 160), (160, 90)];
        let pixel = |index: usize| {
            let (cb, cr) = chroma[unit(index)];
            [scene(1)[index], cb, cr]
        };
        let stored: Vec<u8> = (0..WIDTH * HEIGHT).flat_map(pixel).collect();
        let whole = Sheet { subsampling: Some((1, 1)), ..Sheet::new(6, 8, 3, pixels_of(&stored)) };
        let shared = Sheet { subsampling: Some((across, down)), ..Sheet::new(6, 8, 3, pixels_of(&stored)) };
        for layout in layouts().filter(|layout| !layout.planar) {
            let expected = decode(&whole.file(layout), &LIMITS).unwrap();
            let name = format!("{across} x {down} pixels a colour, {layout:?}");
            assert_decodes(&name, &shared.file(layout), expected.pixels.samples());
        }
    }
}

/// Every compression tells a strip that ends early; no compression, and those that end by themselves, need no length.
#[test]
fn lengths_of_strips() {
    let stored = scene(3);
    let sheet = Sheet::new(2, 8, 3, deepened(&stored, 8));
    for layout in layouts() {
        assert_decodes("without lengths", &Sheet { lengths: false, ..sheet.clone() }.file(layout), &stored);
        if layout.squeeze == Squeeze::None {
            continue;
        }
        match decode(&Sheet { shortened: 3, ..sheet.clone() }.file(layout), &LIMITS) {
            Err(PhotoError::Damaged { .. }) => {}
            // What was cut off is not needed: the end of a stream, or of a tile.
            Ok(picture) => assert!(samples_of(&picture) == stored, "{layout:?}"),
            Err(error) => panic!("{layout:?}: {error}"),
        }
    }
    let short = Sheet { shortened: 3, ..sheet.clone() }.file(Layout { squeeze: Squeeze::PackBits, ..Layout::PLAIN });
    assert!(matches!(decode(&short, &LIMITS), Err(PhotoError::Damaged { .. })));
}

#[test]
fn pixels_are_grey_or_coloured() {
    let grey = Sheet::new(1, 8, 1, deepened(&scene(1), 8)).file(Layout::PLAIN);
    assert!(matches!(decode(&grey, &LIMITS).unwrap().pixels, Pixels::Grey(_)));
    let rgb = Sheet::new(2, 8, 3, deepened(&scene(3), 8)).file(Layout::PLAIN);
    assert!(matches!(decode(&rgb, &LIMITS).unwrap().pixels, Pixels::Rgb(_)));
    for sheet in [
        Sheet { format: 5, ..Sheet::new(1, 16, 1, deepened(&scene(1), 16)) },
        Sheet::new(8, 8, 3, deepened(&scene(3), 8)),
        Sheet::new(1, 40, 1, deepened(&scene(1), 40)),
    ] {
        let result = decode(&sheet.file(Layout::PLAIN), &LIMITS);
        assert!(matches!(result, Err(PhotoError::Unsupported { .. })), "{:?}", result.err());
    }
    for file in [
        Sheet::new(2, 8, 2, deepened(&scene(2), 8)).file(Layout::PLAIN),
        Sheet::new(3, 8, 1, deepened(&scene(1), 8)).file(Layout::PLAIN), // no palette
    ] {
        assert!(matches!(decode(&file, &LIMITS), Err(PhotoError::Damaged { .. })));
    }
}
