//! Headers of every format that is not decoded.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;
use crate::ifd::build::boxed;
use crate::orientation::Orientation;

/// The header of a codestream of JPEG XL: bits from the least significant one on, as `(value, length)`.
fn jxl(fields: &[(u32, usize)]) -> Vec<u8> {
    let bits: Vec<u32> =
        fields.iter().flat_map(|&(value, length)| (0..length).map(move |place| value >> place & 1)).collect();
    let bytes = bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |sum, bit| sum << 1 | *bit) as u8);
    [0xFF, 0x0A].into_iter().chain(bytes).chain([0; 8]).collect()
}

fn long(value: u32) -> [(u32, usize); 2] {
    let (selector, length) = [(0, 9), (1, 13), (2, 18), (3, 30)].into_iter().find(|(_, n)| value - 1 < 1 << n).unwrap();
    [(selector, 2), (value - 1, length)]
}

fn in_boxes(boxes: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let boxes: Vec<u8> = boxes.iter().flat_map(|(kind, body)| boxed(kind, body)).collect();
    [&b"\0\0\0\x0CJXL \r\n\x87\n"[..], &boxed(b"ftyp", b"jxl \0\0\0\0jxl "), &boxes].concat()
}

#[test]
fn jpeg_xl() {
    // As cjxl writes 1000 x 707: height, no ratio, width.
    let plain = jxl(&[&[(0, 1)], &long(707)[..], &[(0, 3)], &long(1000)].concat());
    let part = [&[0, 0, 0, 0][..], &plain].concat();
    let last = [&[0x80, 0, 0, 1][..], &[1; 9]].concat();
    let files = [
        plain.clone(),
        in_boxes(&[(b"jxlc", &plain)]),
        in_boxes(&[(b"Exif", &[0; 20]), (b"jxlp", &part), (b"jxlp", &last)]),
        in_boxes(&[(b"jxlp", &part[..5]), (b"jxlp", &[]), (b"jxlp", &part[1..9]), (b"jxlp", &part[5..])]),
    ];
    for bytes in files {
        assert_eq!(dimensions(&bytes, Format::Jxl), Some((1000, 707)));
    }
    let of = |fields: &[(u32, usize)]| dimensions(&jxl(fields), Format::Jxl);
    assert_eq!(of(&[(1, 1), (7, 5), (1, 3)]), Some((64, 64)));
    assert_eq!(of(&[(1, 1), (7, 5), (0, 3), (3, 5)]), Some((32, 64)));
    for (ratio, width) in [(1, 3600), (2, 4320), (3, 4800), (4, 5400), (5, 6400), (6, 4500), (7, 7200)] {
        assert_eq!(of(&[&[(0, 1)], &long(3600)[..], &[(ratio, 3)]].concat()), Some((width, 3600)));
    }
    for side in [1, 512, 513, 8192, 8193, 262_144, 262_145, 1 << 30] {
        let fields = [&[(0, 1)], &long(side)[..], &[(0, 3)], &long(1)].concat();
        assert_eq!(of(&fields), Some((1, side)));
    }
    assert_eq!(dimensions(b"\xFF\x0A", Format::Jxl), None);
    assert_eq!(dimensions(&in_boxes(&[(b"brob", &plain)]), Format::Jxl), None);
}

/// The orientation of the codestream, behind its size; that of EXIF does not count.
#[test]
fn turned_jpeg_xl() {
    let size: &[_] = &[&[(0, 1)], &long(707)[..], &[(0, 3)], &long(1000)].concat();
    let of = |fields: &[(u32, usize)]| Header::read(&jxl(&[size, fields].concat())).unwrap().orientation;
    // All fields have their default; all but the rarer ones.
    assert_eq!(of(&[(1, 1), (0xff, 8)]), Orientation::Upright);
    assert_eq!(of(&[(0, 2), (0xff, 8)]), Orientation::Upright);
    for (number, orientation) in (0..).zip(Orientation::ALL) {
        assert_eq!(of(&[(0, 1), (1, 1), (number, 3)]), orientation);
        let stream = jxl(&[size, &[(0, 1), (1, 1), (number, 3)]].concat());
        let file = in_boxes(&[
            (b"Exif", b"\0\0\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x08\0\0\0"),
            (b"jxlc", &stream),
        ]);
        assert_eq!(dimensions(&file, Format::Jxl), Some((1000, 707)));
        assert_eq!(metadata::read(&file, Format::Jxl).orientation, Some(8));
        assert_eq!(metadata::orientation(&file, Format::Jxl), orientation);
    }
    // It ends behind the size.
    let stream = jxl(size);
    assert_eq!(metadata::orientation(&stream[..stream.len() - 9], Format::Jxl), Orientation::Upright);
}

/// A HEIF file of these items, the first of them the primary one: each has one size and turns of its own. The sizes
/// are those of a tile, then of the items in the order of their numbers.
fn heif(items: &[(u32, &[u8; 4], (u32, u32))], wide: bool, long: bool, apart: bool) -> Vec<u8> {
    let full =
        |kind: &[u8; 4], version: u8, flags: u8, body: &[u8]| boxed(kind, &[&[version, 0, 0, flags], body].concat());
    let id = |number: u32| if wide { number.to_be_bytes().to_vec() } else { (number as u16).to_be_bytes().to_vec() };
    let size = |(width, height): (u32, u32)| full(b"ispe", 0, 0, &[width.to_be_bytes(), height.to_be_bytes()].concat());
    let mut sorted = items.to_vec();
    sorted.sort_by_key(|(number, ..)| *number);
    let mut list = size((512, 512));
    let (mut entries, mut lists) = (Vec::new(), Vec::new());
    for (place, (number, kind, extent)) in (0_u8..).zip(&sorted) {
        list.extend([boxed(b"irot", &[place & 3]), size(*extent)].concat());
        let rest = [&[0, 0], &kind[..], &[0]].concat();
        entries.extend(full(b"infe", if wide { 3 } else { 2 }, 0, &[id(*number), rest].concat()));
        // The turn, then the size; both are essential.
        let indexes = [2 * place + 2, 2 * place + 3];
        let indexes: Vec<u8> =
            indexes.iter().flat_map(|&index| if long { vec![0x80, index] } else { vec![0x80 | index] }).collect();
        lists.push([id(*number), vec![2], indexes].concat());
    }
    let table = |lists: &[Vec<u8>]| {
        let count = (lists.len() as u32).to_be_bytes();
        full(b"ipma", wide.into(), long.into(), &[&count[..], &lists.concat()].concat())
    };
    let tables: Vec<u8> = if apart { lists.chunks(1).flat_map(table).collect() } else { table(&lists) };
    let primary = full(b"pitm", wide.into(), 0, &id(items[0].0));
    let infos = full(b"iinf", wide.into(), 0, &[id(items.len() as u32), entries].concat());
    let properties = boxed(b"iprp", &[boxed(b"ipco", &list), tables].concat());
    let meta = full(b"meta", 0, 0, &[primary, infos, properties].concat());
    [boxed(b"ftyp", b"heic\0\0\0\0mif1heic"), meta].concat()
}

/// The size is that of the primary item, as it is stored. Beside it lie a tone map, which is turned already, and
/// others of as many pixels, or of more.
#[test]
fn heif_of_several_sizes() {
    for (width, height) in [(4032, 3024), (3024, 4032), (5712, 4284), (8064, 6048), (640, 480), (4000, 4000)] {
        let size = (width, height);
        let beside = [(height, width), (width, height), (2 * width, height), (1, 1)];
        for (primary, kind, other) in [(49, b"grid", 67), (67, b"grid", 49), (1, b"hvc1", 2), (2, b"tmap", 1)] {
            for of_other in beside {
                for flags in 0..8 {
                    let [wide, long, apart] = [1, 2, 4].map(|flag| flags & flag != 0);
                    for kind_of_other in [b"tmap", b"hvc1", b"grid"] {
                        let items = [(primary, kind, size), (other, kind_of_other, of_other), (99, b"Exif", (9, 9))];
                        let found = dimensions(&heif(&items, wide, long, apart), Format::Heic);
                        assert_eq!(found, Some(size), "{items:?}, {flags}");
                    }
                }
            }
        }
    }
}

#[test]
fn jpeg_2000() {
    let ihdr = boxed(b"ihdr", &[&480_u32.to_be_bytes()[..], &640_u32.to_be_bytes(), &[0, 3, 7, 7, 0, 0]].concat());
    let file = [&boxed(b"jP  ", b"\r\n\x87\n")[..], &boxed(b"ftyp", b"jp2 "), &boxed(b"jp2h", &ihdr)].concat();
    assert_eq!(dimensions(&file, Format::Jp2), Some((640, 480)));
    let numbers = [700_u32, 500, 60, 20].map(u32::to_be_bytes).concat();
    let stream = [&b"\xFF\x4F\xFF\x51\0\x29\0\0"[..], &numbers].concat();
    assert_eq!(dimensions(&stream, Format::Jp2), Some((640, 480)));
    assert_eq!(dimensions(&stream[..23], Format::Jp2), None);
}

#[test]
fn photoshop_icons_and_netpbm() {
    let psd = [&b"8BPS\0\x01\0\0\0\0\0\0\0\x03"[..], &480_u32.to_be_bytes(), &640_u32.to_be_bytes()].concat();
    assert_eq!(dimensions(&psd, Format::Psd), Some((640, 480)));
    let entry = |width, height| [&[width, height][..], &[0; 14]].concat();
    let icon = [&b"\0\0\x01\0\x03\0"[..], &entry(16, 16), &entry(0, 0), &entry(48, 32)].concat();
    assert_eq!(dimensions(&icon, Format::Ico), Some((256, 256)));
    let targa = [&[0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[0x80, 2, 0xE0, 1], &[24, 0x20]].concat();
    assert_eq!(dimensions(&targa, Format::Tga), Some((640, 480)));
    for text in ["P6\n640 480\n255\n", "P5 640\t480 255 ", "P4\n# 1 2\n640 # 3\n480\n", "P1\n640\r\n480\n1"] {
        assert_eq!(dimensions(text.as_bytes(), Format::Pnm), Some((640, 480)), "{text}");
    }
    for text in ["P6", "P6\n", "P6\n640", "P6\n640 x", "P6\n0 480\n", "P6 99999999999 1", "P6 -4 5"] {
        assert_eq!(dimensions(text.as_bytes(), Format::Pnm), None, "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Jxl, Format::Jp2, Format::Psd, Format::Ico, Format::Pnm, Format::Tga] {
            let _ = dimensions(&bytes, format);
            let _ = dimensions(&[b"\xFF\x0A", &bytes[..]].concat(), format);
        }
    }
}
