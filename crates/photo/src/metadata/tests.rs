//! EXIF data of every container, well formed, odd and hostile; and that of real photographs.
//!
//! - [`odd`]: types, numbers and texts as they should not be, and are.
//! - [`packets`]: dates beside EXIF: XMP, IPTC, PNG's texts.
//! - [`photographs`]: of real cameras.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod odd;
mod packets;
mod photographs;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::format::detect;
use crate::ifd::ByteOrder;
use crate::ifd::build::{Builder, Value, ascii, boxed, jpeg, jpeg_with_exif, long, short};

/// The fields of the first, the EXIF and the GPS directory.
struct Parts {
    main: Vec<(u16, Value)>,
    exif: Vec<(u16, Value)>,
    gps: Vec<(u16, Value)>,
}

impl Parts {
    fn tiff(&self, order: ByteOrder, magic: u16) -> Vec<u8> {
        let mut builder = Builder::new(order);
        let exif = builder.directory(&self.exif, 0);
        let gps = builder.directory(&self.gps, 0);
        let mut main = self.main.clone();
        main.extend([(ifd::EXIF_DIRECTORY, long(exif)), (ifd::GPS_DIRECTORY, long(gps))]);
        let first = builder.directory(&main, 0);
        builder.finish(magic, first)
    }

    fn read(&self) -> Metadata {
        read(&jpeg_with_exif(&self.tiff(ByteOrder::Little, 42), 64, 48), Format::Jpeg)
    }
}

fn rational(values: &[(u32, u32)]) -> Value {
    Value::Rational(values.to_vec())
}

fn place(latitude: [(u32, u32); 3], longitude: [(u32, u32); 3]) -> Vec<(u16, Value)> {
    vec![(1, ascii("S")), (2, rational(&latitude)), (3, ascii("W")), (4, rational(&longitude))]
}

fn ordinary() -> Parts {
    let mut gps = place([(33, 1), (51, 1), (3600, 100)], [(151, 1), (12, 1), (0, 0)]);
    gps.extend([(5, Value::Byte(vec![1])), (6, rational(&[(125, 10)]))]);
    Parts {
        main: vec![
            (ifd::MAKE, ascii("Maker")),
            (0x0110, ascii(" Model 5 \0\0")),
            (ifd::ORIENTATION, short(6)),
            (0x0131, ascii("v1.0")),
            (0x0132, ascii("2023:05:01 10:00:00")),
            (0x013B, Value::Ascii(b"Zo\xEB\0".to_vec())),
            (0x8298, Value::Ascii(b"A. Nyone\0The \xC3\xA9diteur\0".to_vec())),
        ],
        exif: vec![
            (0x829A, rational(&[(1, 320)])),
            (0x829D, rational(&[(28, 10)])),
            (0x8827, short(800)),
            (0x9003, ascii("2023:04:15 14:32:18")),
            (0x9011, ascii("+02:00")),
            (0x9291, ascii("250")),
            (0x9209, short(0x19)),
            (0x920A, rational(&[(50, 1)])),
            (0xA002, long(4000)),
            (0xA003, short(3000)),
            (0xA405, short(75)),
            (0xA433, ascii("Lensmaker")),
            (0xA434, ascii("Lens 50mm")),
        ],
        gps,
    }
}

fn check_ordinary(metadata: &Metadata) {
    let text = |text: &str| Some(text.to_owned());
    assert_eq!((&metadata.make, &metadata.model), (&text("Maker"), &text("Model 5")));
    assert_eq!((&metadata.lens_make, &metadata.lens_model), (&text("Lensmaker"), &text("Lens 50mm")));
    assert_eq!((&metadata.software, &metadata.artist), (&text("v1.0"), &text("Zoë")));
    assert_eq!(metadata.copyright, text("A. Nyone; The éditeur"));
    assert_eq!((metadata.exposure_time, metadata.f_number), (Some(1.0 / 320.0), Some(2.8)));
    assert_eq!((metadata.iso, metadata.flash, metadata.orientation), (Some(800), Some(true), Some(6)));
    assert_eq!((metadata.focal_length, metadata.focal_length_35mm), (Some(50.0), Some(75)));
    assert_eq!((metadata.width, metadata.height), (Some(4000), Some(3000)));
    assert_eq!(metadata.date_time_original, text("2023:04:15 14:32:18.250+02:00"));
    assert_eq!((&metadata.date_time_digitized, &metadata.date_time), (&None, &text("2023:05:01 10:00:00")));
    let gps = metadata.gps.unwrap();
    assert!((gps.latitude + 33.86).abs() < 1e-9 && (gps.longitude + 151.2).abs() < 1e-9, "{gps:?}");
    assert_eq!((gps.altitude, &metadata.warning), (Some(-12.5), &None));
}

fn chunk_of_png(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], name, body, &[0; 4]].concat()
}

fn chunk_of_webp(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let padding = &[0][..body.len() % 2];
    [&name[..], &u32::try_from(body.len()).unwrap().to_le_bytes(), body, padding].concat()
}

/// One EXIF block in each container.
fn containers(order: ByteOrder) -> Vec<(Format, Vec<u8>)> {
    let parts = ordinary();
    let tiff = parts.tiff(order, 42);
    let preview = jpeg_with_exif(&tiff, 64, 48);
    let png = [&b"\x89PNG\r\n\x1A\n"[..], &chunk_of_png(b"IHDR", &[0; 13]), &chunk_of_png(b"eXIf", &tiff)].concat();
    let with_head = [&b"Exif\0\0"[..], &tiff].concat();
    let webp = [&b"RIFF\0\0\0\0WEBP"[..], &chunk_of_webp(b"VP8X", &[0; 9]), &chunk_of_webp(b"EXIF", &with_head)];
    let mut raf = b"FUJIFILMCCD-RAW ".to_vec();
    raf.resize(84, 0);
    raf.extend(92_u32.to_be_bytes());
    raf.extend(u32::try_from(preview.len()).unwrap().to_be_bytes());
    raf.extend(&preview);
    let jxl = |exif: Vec<u8>| [&b"\0\0\0\x0CJXL \r\n\x87\n"[..], &exif].concat();
    let behind_offset = [&[0; 4][..], &tiff].concat();
    vec![
        (Format::Jpeg, preview),
        (Format::Png, png),
        (Format::WebP, webp.concat()),
        (Format::Raf, raf),
        (Format::Jxl, jxl(boxed(b"Exif", &behind_offset))),
        (Format::Jxl, jxl(brob(b"Exif", &behind_offset))),
        (Format::Tiff, tiff.clone()),
        (Format::Nef, tiff),
        (Format::Orf, parts.tiff(order, 0x4F52)),
        (Format::Rw2, parts.tiff(order, 0x55)),
        (Format::Cr3, cr3(&parts, order)),
        (Format::Heic, heic(&with_head)),
    ]
}

/// A compressed box of JPEG XL, in blocks that are stored (RFC 7932, 9.2).
pub(super) fn brob(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut stream = kind.to_vec();
    for (number, block) in body.chunks(1 << 16).enumerate() {
        // The stream begins with the four bits of its window.
        let (window, bits) = if number == 0 { (0xb, 4) } else { (0, 0) };
        let head = window | (block.len() - 1) << (bits + 3) | 1 << (bits + 19);
        stream.extend(&head.to_le_bytes()[..3]);
        stream.extend(block);
    }
    stream.push(3);
    boxed(b"brob", &stream)
}

/// Canon's three blocks in their box.
fn cr3(parts: &Parts, order: ByteOrder) -> Vec<u8> {
    let block = |fields: &[(u16, Value)]| {
        let mut builder = Builder::new(order);
        let first = builder.directory(fields, 0);
        builder.finish(42, first)
    };
    let blocks = [(b"CMT1", &parts.main), (b"CMT2", &parts.exif), (b"CMT4", &parts.gps)];
    let blocks = blocks.map(|(kind, fields)| boxed(kind, &block(fields))).concat();
    let moov = boxed(b"moov", &boxed(b"uuid", &[&[0x85; 16][..], &blocks].concat()));
    [boxed(b"ftyp", b"crx \0\0\0\x01crx "), moov].concat()
}

/// An Exif item that lies in `idat`, and the sizes of a tile, of the whole and of a larger picture beside it; without a
/// primary item.
fn heic(exif: &[u8]) -> Vec<u8> {
    heic_of(&[(b"Exif\0", &[&6_u32.to_be_bytes()[..], exif].concat())], &[])
}

/// Items by their type and what follows that, in `idat`; and more boxes of `iprp` and `meta`.
fn heic_of(items: &[(&[u8], &[u8])], more: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let (mut infos, mut places, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (kind, body)) in (1_u16..).zip(items) {
        infos.extend(boxed(b"infe", &[&b"\x02\0\0\0"[..], &number.to_be_bytes(), &[0, 0], kind].concat()));
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_be_bytes();
        places.extend([&number.to_be_bytes()[..], &[0, 1, 0, 0, 0, 1], &length(&data), &length(body)].concat());
        data.extend(*body);
    }
    let count = u16::try_from(items.len()).unwrap().to_be_bytes();
    let iinf = boxed(b"iinf", &[&[0; 4][..], &count, &infos].concat());
    let iloc = boxed(b"iloc", &[&b"\x01\0\0\0\x44\0"[..], &count, &places].concat());
    let ispe = |width: u32, height: u32| boxed(b"ispe", &[[0; 4], width.to_be_bytes(), height.to_be_bytes()].concat());
    let ipco = [ispe(512, 512), ispe(4032, 3024), ispe(320, 240), boxed(b"irot", &[1])].concat();
    let of = |wanted: &[u8; 4]| -> Vec<u8> {
        more.iter().filter(|(kind, _)| *kind == wanted).flat_map(|(kind, body)| boxed(kind, body)).collect()
    };
    let iprp = boxed(b"iprp", &[boxed(b"ipco", &ipco), of(b"ipma")].concat());
    let pitm = of(b"pitm");
    let meta = [&[0; 4][..], &pitm, &iinf, &iloc, &iprp, &boxed(b"idat", &data)].concat();
    [boxed(b"ftyp", b"heic\0\0\0\0mif1heic"), boxed(b"meta", &meta)].concat()
}

#[test]
fn the_same_from_every_container() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for (format, bytes) in containers(order) {
            println!("{format}");
            check_ordinary(&read(&bytes, format));
            let is_own = matches!(format, Format::Heic | Format::Jxl);
            let turned = if is_own { Orientation::Upright } else { Orientation::Rotate90 };
            assert_eq!(orientation(&bytes, format), turned, "{format}");
        }
    }
}

#[test]
fn files_without_exif() {
    for format in [Format::Jpeg, Format::Png, Format::Gif, Format::WebP, Format::Bmp, Format::Jxl, Format::Raf] {
        for bytes in [jpeg(0xC0, 8, 8, 8), Vec::new()] {
            assert_eq!(read(&bytes, format), Metadata::default(), "{format}");
            assert_eq!(orientation(&bytes, format), Orientation::Upright);
        }
    }
}

#[test]
fn placeholders_are_no_names() {
    for name in ["0", "65535", "255", "40", "Unknown", "unknown", "UNKNOWN", "", "  ", "----", "\0\0"] {
        let mut parts = ordinary();
        parts.main = vec![(ifd::MAKE, ascii(name)), (0x0110, ascii(&format!(" {name} "))), (0x0131, ascii("255"))];
        parts.exif = vec![(0xA434, ascii(name))];
        let found = parts.read();
        assert_eq!((found.make, found.model, found.lens_model), (None, None, None), "{name}");
        assert_eq!(found.software.as_deref(), Some("255"));
    }
}

#[test]
fn texts_are_fit_for_jsonb() {
    let with = |bytes: &[u8]| {
        let parts = Parts { main: vec![(ifd::MAKE, Value::Ascii(bytes.to_vec()))], exif: Vec::new(), gps: Vec::new() };
        parts.read().make
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(with(b"A\x01\x1F\x7FB\n\0rest"), text("A   B"));
    assert_eq!(with(b"\0\0Second\0"), text("Second"));
    assert_eq!(with("Grüße 写真\0".as_bytes()), text("Grüße 写真"));
    assert_eq!(with(b"caf\xE9 \x85\x9F\0"), text("café"));
    assert_eq!(with(&[b'x'; 5000]), text(&"x".repeat(255)));
    assert_eq!(with("é".repeat(3000).as_bytes()), text(&"é".repeat(255)));
    assert_eq!(with("x写真".repeat(900).as_bytes()).map(|text| text.chars().count()), Some(255));
}

#[test]
fn numbers_that_are_none() {
    let mut parts = ordinary();
    parts.main = vec![(ifd::ORIENTATION, short(9))];
    parts.exif = vec![
        (0x829A, rational(&[(1, 0)])),
        (0x829D, rational(&[(0, 0)])),
        (0x8827, ascii("undef")),
        (0x920A, rational(&[(0, 5)])),
        (0xA002, long(0)),
        (0xA405, short(0)),
        (0x9003, ascii("0000:00:00 00:00:00")),
        (0x9004, ascii("    :  :     :  :  ")),
    ];
    parts.gps = Vec::new();
    assert_eq!(parts.read(), Metadata::default());
}

#[test]
fn numbers_by_other_entries() {
    let mut parts = ordinary();
    parts.exif = vec![
        (0x9201, rational(&[(5, 1)])),
        (0x9202, rational(&[(4, 1)])),
        (0x8827, short(65535)),
        (0x8833, long(102_400)),
        (0x9003, ascii("2023:04:15 14:32:18")),
        (0x9011, ascii("   :  ")),
        (0x9291, ascii("0x12")),
    ];
    let found = parts.read();
    assert_eq!((found.exposure_time, found.f_number, found.iso), (Some(0.03125), Some(4.0), Some(102_400)));
    assert_eq!(found.date_time_original.as_deref(), Some("2023:04:15 14:32:18"));
    parts.exif = Vec::new();
    parts.main = vec![(0x829A, rational(&[(2, 1)])), (0x9003, ascii("2023:04:15 14:32:18"))];
    let found = parts.read();
    assert_eq!((found.exposure_time, found.date_time_original.is_some()), (Some(2.0), true));
}

#[test]
fn places_that_are_none() {
    let zero = [(0, 1); 3];
    let whole = |degrees| [(degrees, 1), (0, 1), (0, 1)];
    let of = |gps| {
        let found = Parts { gps, ..ordinary() }.read();
        (found.gps, found.warning.is_some())
    };
    assert_eq!(of(place(zero, zero)), (None, false));
    assert_eq!(of(Vec::new()), (None, false));
    assert_eq!(of(place(whole(91), whole(10))), (None, true));
    assert_eq!(of(place(whole(10), whole(181))), (None, true));
    assert_eq!(of(place([(10, 0), (0, 1), (0, 1)], whole(10))), (None, true));
    assert_eq!(of(place([(0, 0); 3], whole(10))), (None, true));
    assert_eq!(of(place([(10, 1), (61, 1), (0, 1)], whole(10))), (None, true));
    assert_eq!(of(place([(10, 1), (5, 0), (0, 1)], whole(10))), (None, true));
    assert_eq!(of(place([(u32::MAX, 1), (0, 1), (0, 1)], whole(10))), (None, true));
    let mut unsigned = place(whole(10), whole(10));
    unsigned.remove(0);
    assert_eq!(of(unsigned), (None, true));
    let edge = Gps { latitude: -90.0, longitude: -180.0, altitude: None };
    assert_eq!(of(place(whole(90), whole(180))), (Some(edge), false));
}

#[test]
fn broken_data_gives_what_can_be_read() {
    let tiff = ordinary().tiff(ByteOrder::Big, 42);
    let mut warned = 0;
    for length in 0..tiff.len() {
        let found = read(&jpeg_with_exif(&tiff[..length], 64, 48), Format::Jpeg);
        warned += usize::from(found.warning.is_some());
        let _ = read(&tiff[..length], Format::Tiff);
    }
    // The four bytes behind the last entry are the offset of a directory that is none.
    assert_eq!(warned, tiff.len() - 4);
    let found = read(&jpeg_with_exif(&tiff[..tiff.len() - 5], 64, 48), Format::Jpeg);
    assert_eq!(found.make.as_deref(), Some("Maker"));
    assert!(read(b"II*\0\xFF\xFF\xFF\xFF", Format::Nef).warning.is_some());
}

#[test]
fn hostile_data_costs_little() {
    // A cycle of directories, directories of 65535 entries, and texts of NULs that claim 60 kB each.
    let mut block = b"II*\0\x08\0\0\0\xFF\xFF".to_vec();
    for tag in 0..5400_u16 {
        block.extend(if tag % 2 == 0 { ifd::MAKE.to_le_bytes() } else { ifd::EXIF_DIRECTORY.to_le_bytes() });
        block.extend([2 + (tag % 2) as u8 * 2, 0]);
        block.extend(if tag % 2 == 0 { 60_000_u32.to_le_bytes() } else { 1_u32.to_le_bytes() });
        block.extend(8_u32.to_le_bytes());
    }
    let mut large = block.clone();
    large.resize(60_000_000, 0);
    let small = [&b"\x89PNG\r\n\x1A\n"[..], &chunk_of_png(b"tEXt", b"").repeat(1_000_000)].concat();
    let mut texts = b"MM\0*\0\0\0\x08\0\xC8".to_vec();
    for tag in 0..200_u16 {
        texts.extend([&(ifd::MAKE + tag).to_be_bytes()[..], &[0, 2], &50_000_000_u32.to_be_bytes(), &[0; 4]].concat());
    }
    texts.resize(60_000_000, 0);
    let png = [&b"\x89PNG\r\n\x1A\n"[..], &chunk_of_png(b"eXIf", &texts)].concat();
    let files = [
        (Format::Jpeg, jpeg_with_exif(&block, 8, 8)),
        (Format::Tiff, large),
        (Format::Nef, texts),
        (Format::Png, png),
        (Format::Png, small),
    ];
    for (format, bytes) in files {
        let begin = Instant::now();
        let _ = (read(&bytes, format), orientation(&bytes, format));
        println!("{format}: {:?}", begin.elapsed());
        assert!(begin.elapsed() < Duration::from_millis(500), "{format} {:?}", begin.elapsed());
    }
}

#[test]
fn dimensions_of_the_whole_picture() {
    assert_eq!(dimensions_of_heif(&heic(b"")), Some((4032, 3024)));
    // The primary item has the third property, or its tile, or a turned picture of the same area.
    let primary = |id: u8, width: usize| {
        let version = u8::from(width == 4);
        (b"pitm", [&[version, 0, 0, 0][..], &vec![0; width - 1], &[id]].concat())
    };
    let short = (b"ipma", b"\0\0\0\0\0\0\0\x02\0\x01\x02\x84\x01\0\x09\x02\x84\x83".to_vec());
    let long = (b"ipma", b"\x01\0\0\x01\0\0\0\x01\0\0\0\x09\x02\x80\x04\x80\x03".to_vec());
    assert_eq!(dimensions_of_heif(&heic_of(&[], &[primary(9, 2), short.clone()])), Some((320, 240)));
    assert_eq!(dimensions_of_heif(&heic_of(&[], &[primary(9, 4), long])), Some((320, 240)));
    assert_eq!(dimensions_of_heif(&heic_of(&[], &[primary(1, 2), short.clone()])), Some((512, 512)));
    // Without properties of the primary item it is the largest.
    assert_eq!(dimensions_of_heif(&heic_of(&[], &[primary(7, 2), short])), Some((4032, 3024)));
    assert_eq!(dimensions_of_heif(&boxed(b"meta", &[0; 4])), None);
    assert_eq!(dimensions_of_heif(b""), None);
}

#[test]
fn the_camera_of_a_raw_file_wins_over_its_preview() {
    let with = |value| Parts { main: vec![(ifd::ORIENTATION, short(value))], exif: Vec::new(), gps: Vec::new() };
    let preview = jpeg_with_exif(&with(3).tiff(ByteOrder::Big, 42), 64, 48);
    let file = |fields: &[(u16, Value)]| {
        let mut builder = Builder::new(ByteOrder::Little);
        let at = builder.blob(&preview);
        let mut fields = fields.to_vec();
        let length = u32::try_from(preview.len()).unwrap();
        fields.extend([(ifd::JPEG_OFFSET, long(at)), (ifd::JPEG_LENGTH, long(length))]);
        let first = builder.directory(&fields, 0);
        builder.finish(42, first)
    };
    assert_eq!(orientation(&file(&[(ifd::ORIENTATION, short(8))]), Format::Arw), Orientation::Rotate270);
    assert_eq!(orientation(&file(&[(ifd::ORIENTATION, short(1))]), Format::Arw), Orientation::Upright);
    assert_eq!(orientation(&file(&[]), Format::Arw), Orientation::Rotate180);
    assert_eq!(orientation(&file(&[(ifd::ORIENTATION, short(0))]), Format::Arw), Orientation::Rotate180);
}

#[test]
fn sides_of_raw_files() {
    let size = |bytes: &[u8], format| {
        let found = read(bytes, format);
        (found.width, found.height)
    };
    // EXIF's size against those of the directories: the larger wins.
    let sized = |width, height| vec![(ifd::WIDTH, short(width)), (ifd::HEIGHT, short(height))];
    let parts = |main| Parts { main, ..ordinary() }.tiff(ByteOrder::Big, 42);
    assert_eq!(size(&parts(sized(1536, 1024)), Format::Cr2), (Some(4000), Some(3000)));
    assert_eq!(size(&parts(sized(6000, 4000)), Format::Nef), (Some(6000), Some(4000)));
    assert_eq!(size(&parts(sized(6000, 4000)), Format::Tiff), (Some(4000), Some(3000)));
    let borders = [(4, 10), (5, 20), (6, 2746), (7, 3668)].map(|(tag, value)| (tag, short(value)));
    let panasonic = Parts { main: [&borders[..], &[(0x17, short(80))]].concat(), exif: Vec::new(), gps: Vec::new() };
    let panasonic = panasonic.tiff(ByteOrder::Little, 0x55);
    assert_eq!(size(&panasonic, Format::Rw2), (Some(3648), Some(2736)));
    assert_eq!(size(&panasonic, Format::Dng), (None, None));
    assert_eq!(read(&panasonic, Format::Rw2).iso, Some(80));
    let mut raf = vec![0; 92];
    raf.extend(96_u32.to_be_bytes());
    raf.extend([0, 0, 0, 2, 1, 0, 0, 2, 9, 9, 0x01, 0x11, 0, 4, 0x0F, 0xA0, 0x17, 0x70]);
    assert_eq!(size(&raf, Format::Raf), (Some(6000), Some(4000)));
    assert_eq!(size(&raf[..raf.len() - 1], Format::Raf), (None, None));
    let fields = |fields: &[u16]| fields.iter().flat_map(|field| field.to_be_bytes()).collect::<Vec<u8>>();
    let prd = [&b"\0PRD\0\0\0\x1821860002"[..], &fields(&[1544, 2056, 1536, 2048]), &[0; 8]].concat();
    let tiff = ordinary().tiff(ByteOrder::Big, 42);
    let ttw = [&b"\0TTW"[..], &u32::try_from(tiff.len()).unwrap().to_be_bytes(), &tiff].concat();
    let mrw = [&b"\0MRM\0\0\0\0"[..], &prd, &ttw].concat();
    assert_eq!(size(&mrw, Format::Mrw), (Some(4000), Some(3000)), "of EXIF");
    assert_eq!(size(&mrw[..40], Format::Mrw), (Some(2048), Some(1536)));
    assert_eq!(read(&mrw, Format::Mrw).make.as_deref(), Some("Maker"));
    let x3f = [&b"FOVb\0\0\x02\0"[..], &[0; 20], &2640_u32.to_le_bytes(), &1760_u32.to_le_bytes()].concat();
    assert_eq!(size(&x3f, Format::X3f), (Some(2640), Some(1760)));
    assert_eq!(read(&x3f, Format::X3f).warning, None);
    // Phase One, beside the thumbnail that the TIFF is.
    let numbers = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let entries = [&[2, 0][..], &[0x108, 1, 4, 7400], &[0x10C, 1, 4, 7320], &[0x10D, 1, 4, 5484]].concat();
    let mut iiq = [&b"II*\0\x08\0\0\0IIII\x05waR"[..], &numbers(&[12]), &numbers(&entries)].concat();
    iiq[20..24].copy_from_slice(&3_u32.to_le_bytes());
    assert_eq!((detect(&iiq), size(&iiq, Format::Raw)), (Ok(Format::Raw), (Some(7320), Some(5484))));
    assert_eq!(size(&iiq[..iiq.len() - 1], Format::Raw).1, None);
}

proptest! {
    #[test]
    fn broken_anywhere(at in 0_usize..4000, bytes: [u8; 4], length in 0_usize..4000) {
        for (format, original) in containers(ByteOrder::Little) {
            let mut file = original.clone();
            let at = at % (file.len() - 4);
            file[at..at + 4].copy_from_slice(&bytes);
            for file in [&file[..], &file[..length % file.len()]] {
                let found = read(file, format);
                let _ = (orientation(file, format), dimensions_of_heif(file));
                let texts = [&found.make, &found.model, &found.artist, &found.copyright, &found.date_time_original];
                prop_assert!(texts.into_iter().flatten().all(|text| !text.contains(char::is_control)));
                let numbers = [found.exposure_time, found.f_number, found.gps.map(|gps| gps.latitude)];
                prop_assert!(numbers.into_iter().flatten().all(f64::is_finite));
            }
        }
    }
}

/// A file of known faults, if these are beside the repository.
fn fault(name: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/faults").join(name);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        println!("skipped: {} is not there", path.display());
    }
    bytes
}
