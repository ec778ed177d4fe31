//! Files that were read wrongly once, or refused though they are whole.

use super::write::{Layout, Sheet, Squeeze, plain_lzw};
use super::{HEIGHT, LIMITS, WIDTH, assert_decodes, deepened, layouts, scene};
use crate::Method;
use crate::decode::decode;
use crate::format::Format;
use crate::hash::{Wanted, make};
use crate::ifd::ByteOrder;
use crate::ifd::build::{Builder, Value, long, short};
use crate::orientation::Orientation;
use std::path::Path;

/// Files of public bug reports made small. Their picture is the same; where its colours are CMYK, so is its hash.
#[test]
fn reported_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/faults");
    if !root.is_dir() {
        println!("skipped: {} is no folder", root.display());
        return;
    }
    let picture = |name: &str| decode(&std::fs::read(root.join(name)).unwrap(), &LIMITS).expect(name).1;
    let plain = picture("f2_plain.tif");
    for name in [
        "f2_rgb_extra0_nopred.tif",
        "f2_rgb_extra0_pred2.tif",
        "f2_rgb16_extra00_pred2.tif",
        "f6_fillorder2_none.tif",
        "f6_fillorder2_zip.tif",
        "f18_ifd_loop.tif",
    ] {
        assert!(picture(name) == plain, "{name}");
    }
    let wanted = Wanted { recipes: vec![crate::Recipe::new(Method::Difference, 8).unwrap()], sharpness: false };
    for name in ["f2_plain.tif", "f2_cmyk_extra0_pred2.tif"] {
        let hashes = make(&picture(name), Orientation::Upright, &wanted, Format::Tiff, &LIMITS).unwrap().hashes;
        assert_eq!(lumina_hash::hex::to_string(&hashes[0]), "b63a323e3de9e093", "{name}");
    }
}

/// A grey page of these tags, with the scene in one strip of these bytes.
fn page(strip: &[u8], compression: u16, more: &[(u16, Value)], next: impl Fn(u32) -> u32) -> Vec<u8> {
    let mut build = Builder::new(ByteOrder::Little);
    let at = build.blob(strip);
    let mut tags = vec![
        (256, long(WIDTH as u32)),
        (257, long(HEIGHT as u32)),
        (258, short(8)),
        (259, short(compression)),
        (262, short(1)),
        (273, long(at)),
        (279, long(strip.len() as u32)),
    ];
    tags.extend_from_slice(more);
    tags.sort_by_key(|&(tag, _)| tag);
    let here = build.here();
    let directory = build.directory(&tags, next(here));
    build.finish(42, directory)
}

/// A page of these strips, grey unless other tags say otherwise.
fn strips_of(strips: Vec<Vec<u8>>, compression: u16, rows: usize, more: &[(u16, Value)]) -> Vec<u8> {
    let mut build = Builder::new(ByteOrder::Little);
    let offsets = strips.iter().map(|strip| build.blob(strip)).collect();
    let lengths = strips.iter().map(|strip| strip.len() as u32).collect();
    let mut tags = vec![
        (256, long(WIDTH as u32)),
        (257, long(HEIGHT as u32)),
        (258, short(8)),
        (259, short(compression)),
        (262, short(1)),
        (273, Value::Long(offsets)),
        (278, long(rows as u32)),
        (279, Value::Long(lengths)),
    ];
    tags.retain(|&(tag, _)| more.iter().all(|&(other, _)| other != tag));
    tags.extend_from_slice(more);
    tags.sort_by_key(|&(tag, _)| tag);
    let directory = build.directory(&tags, 0);
    build.finish(42, directory)
}

#[test]
fn directories_behind_the_first_page() {
    // Itself, the header, nothing that is a directory, beyond the end.
    for next in [|here| here, |_| 0, |_| 1, |here| here - 4, |_| 4, |_| u32::MAX] as [fn(u32) -> u32; 6] {
        assert_decodes("a loop", &page(&scene(1), 1, &[], next), &scene(1));
    }
}

#[test]
fn strips_and_tiles_in_one_page() {
    let tile: Vec<u8> =
        (0..16 * 16).map(|at| scene(1)[(at / 16).min(HEIGHT - 1) * WIDTH + (at % 16).min(WIDTH - 1)]).collect();
    let tiled = [(322, short(16)), (323, short(16))];
    for rows in [1, 3, u32::MAX] {
        let tags = [&tiled[..], &[(278, long(rows))]].concat();
        assert_decodes("rows of a strip beside tiles", &page(&tile, 1, &tags, |_| 0), &scene(1));
    }
    // libtiff takes the offsets of strips for those of tiles, but prefers the latter.
    let both = [&tiled[..], &[(324, long(8)), (325, long(256))]].concat();
    assert_decodes("offsets of strips beside tiles", &page(&tile, 1, &both, |_| 0), &scene(1));
}

#[test]
fn lzw_without_its_end() {
    for end in [true, false] {
        assert_decodes("LZW", &page(&plain_lzw(&scene(1), end), 5, &[], |_| 0), &scene(1));
        // A few bytes, which the decoder takes in at once.
        for rows in 1..=HEIGHT {
            let strips: Vec<Vec<u8>> = scene(1).chunks(rows * WIDTH).map(|rows| plain_lzw(rows, end)).collect();
            assert_decodes(&format!("LZW, {rows} rows, {end}"), &strips_of(strips, 5, rows, &[]), &scene(1));
        }
    }
    // Codes with their lowest bit first, which begin with 0x00 and an odd byte: before TIFF 5.0.
    let old = weezl::encode::Encoder::new(weezl::BitOrder::Lsb, 8).encode(&scene(1)).unwrap();
    assert_eq!((old[0], old[1] % 2), (0, 1));
    assert_decodes("LZW of old", &page(&old, 5, &[], |_| 0), &scene(1));
}

/// Each strip says by its first bytes which order its codes have, as libtiff reads it.
#[test]
fn lzw_of_both_orders() {
    let old = |rows: &[u8]| weezl::encode::Encoder::new(weezl::BitOrder::Lsb, 8).encode(rows).unwrap();
    let usual =
        |rows: &[u8]| weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(rows).unwrap();
    for rows in [1, 2, 3, 4] {
        for pattern in [0b01, 0b10, 0b0110, 0b1101, 0b1001_0011] {
            let parts = scene(1);
            let strips = parts.chunks(rows * WIDTH).enumerate();
            let is_old = |number: usize| pattern >> (number % 8) & 1 == 1;
            let mut strips: Vec<Vec<u8>> =
                strips.map(|(number, rows)| if is_old(number) { old(rows) } else { usual(rows) }).collect();
            let name = format!("{pattern:b}, {rows} rows");
            assert_decodes(&name, &strips_of(strips.clone(), 5, rows, &[]), &scene(1));
            strips.iter_mut().flatten().for_each(|byte| *byte = byte.reverse_bits());
            assert_decodes(&name, &strips_of(strips, 5, rows, &[(266, short(2))]), &scene(1));
        }
    }
}

/// Coefficients and references whose products exceed 32 bits unless they are cut off. Colours that libtiff gives
/// (through Pillow).
#[test]
fn colours_beyond_all_numbers() {
    let pixels = [[0, 255, 255], [255, 0, 0], [128, 255, 0], [90, 140, 120]];
    let (no_range, no_numbers) = ([0, 255, 128, 128, 128, 128], [0; 6]);
    let (falling, half) = ([0, 255, 9, 10, 255, 254], [0, 255, 128, 255, 128, 255]);
    for (luma, reference, expected) in [
        ([0.9, 0.0001, 0.0999], no_range, [[255, 0, 255], [0, 255, 0], [0, 128, 255], [0, 0, 255]]),
        ([0.9, 0.0001, 0.0999], no_numbers, [[255, 0, 255], [255, 255, 255], [255, 0, 255], [255, 0, 255]]),
        ([0.9, 0.0001, 0.0999], falling, [[0, 0, 255], [255, 0, 0], [255, 0, 255], [255, 0, 255]]),
        ([0.9, 0.0001, 0.0999], half, [[25, 0, 229], [229, 255, 25], [102, 130, 255], [88, 82, 112]]),
        ([0.0999, 0.0001, 0.9], no_range, [[255, 0, 255], [0, 255, 0], [0, 128, 255], [0, 0, 255]]),
        ([0.0999, 0.0001, 0.9], falling, [[0, 0, 255], [255, 0, 26], [255, 0, 255], [255, 0, 255]]),
        ([9.0, 0.001, 9.0], no_range, [[0; 3], [255; 3], [128; 3], [90; 3]]),
        ([9.0, 0.001, 9.0], half, [[0; 3], [255; 3], [128; 3], [90; 3]]),
        ([0.1, 1.0, 0.1], no_numbers, [[255, 0, 255], [255; 3], [255; 3], [255; 3]]),
        ([0.5, 0.01, 0.5], half, [[127, 0, 127], [127, 255, 127], [0, 130, 255], [82, 82, 102]]),
    ] {
        let rational = |value: f64| (f64::round(value * 10_000.0) as u32, 10_000);
        let more = [
            (258, Value::Short(vec![8; 3])),
            (262, short(6)),
            (277, short(3)),
            (529, Value::Rational(luma.map(rational).to_vec())),
            (530, Value::Short(vec![1, 1])),
            (532, Value::Rational(reference.map(|value| (value, 1)).to_vec())),
        ];
        for (pixel, expected) in pixels.into_iter().zip(expected) {
            let file = strips_of(vec![pixel.repeat(WIDTH * HEIGHT)], 1, HEIGHT, &more);
            assert_decodes(&format!("{luma:?} {reference:?} {pixel:?}"), &file, &expected.repeat(WIDTH * HEIGHT));
        }
    }
}

/// Codes that stand for more bytes than a row has, at the end of a strip.
#[test]
fn words_longer_than_a_row() {
    for (depth, most) in [(1, 1), (8, 255), (2, 3)] {
        for value in [0, most] {
            let sheet = Sheet::new(1, depth, 1, vec![value; WIDTH * HEIGHT]);
            let expected = vec![if value == 0 { 0 } else { 255 }; WIDTH * HEIGHT];
            for layout in layouts().filter(|layout| layout.squeeze == Squeeze::Lzw) {
                for rows in 1..=HEIGHT as u32 {
                    let name = format!("{value} of {depth} bits, {rows} rows, {layout:?}");
                    assert_decodes(&name, &sheet.file(Layout { rows, ..layout }), &expected);
                }
            }
        }
    }
}

/// Tags that compressions without a predictor do not have, and a meaning that is not given.
#[test]
fn tags_that_do_not_apply() {
    assert_decodes("a predictor", &page(&scene(1), 1, &[(317, short(2))], |_| 0), &scene(1));
    let rgb = Sheet::new(2, 8, 3, deepened(&scene(3), 8));
    let packed = Layout { squeeze: Squeeze::PackBits, predictor: 2, ..Layout::PLAIN };
    let file = rgb.file(Layout { predictor: 1, ..packed });
    assert_decodes("PackBits", &file, &scene(3));
}
