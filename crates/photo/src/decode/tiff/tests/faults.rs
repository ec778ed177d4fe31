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
            let mut build = Builder::new(ByteOrder::Little);
            let offsets: Vec<u32> = strips.iter().map(|strip| build.blob(strip)).collect();
            let lengths = strips.iter().map(|strip| strip.len() as u32).collect();
            let tags = [
                (256, long(WIDTH as u32)),
                (257, long(HEIGHT as u32)),
                (258, short(8)),
                (259, short(5)),
                (262, short(1)),
                (273, Value::Long(offsets)),
                (278, long(rows as u32)),
                (279, Value::Long(lengths)),
            ];
            let directory = build.directory(&tags, 0);
            assert_decodes(&format!("LZW, {rows} rows, {end}"), &build.finish(42, directory), &scene(1));
        }
    }
    // Codes with their lowest bit first, which begin with 0x00 and an odd byte: before TIFF 5.0.
    let old = weezl::encode::Encoder::new(weezl::BitOrder::Lsb, 8).encode(&scene(1)).unwrap();
    assert_eq!((old[0], old[1] % 2), (0, 1));
    assert_decodes("LZW of old", &page(&old, 5, &[], |_| 0), &scene(1));
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
