//! Types, numbers and texts that EXIF does not allow, and that cameras and programs write.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::*;

const PLACE: Gps = Gps { latitude: 48.5, longitude: -11.25, altitude: None };

fn check_place(found: &Metadata, what: &str) {
    let gps = found.gps.unwrap_or_else(|| panic!("{what}: {found:?}"));
    let is_near = |a: f64, b: f64| (a - b).abs() < 1e-6;
    assert!(is_near(gps.latitude, PLACE.latitude) && is_near(gps.longitude, PLACE.longitude), "{what}: {gps:?}");
    assert_eq!(found.warning, None, "{what}");
}

/// All containers of a block.
fn in_containers(tiff: &[u8]) -> Vec<(Format, Vec<u8>)> {
    let png = [&b"\x89PNG\r\n\x1A\n"[..], &chunk_of_png(b"IHDR", &[0; 13]), &chunk_of_png(b"eXIf", tiff)].concat();
    let webp = [&b"RIFF\0\0\0\0WEBP"[..], &chunk_of_webp(b"VP8X", &[0; 9]), &chunk_of_webp(b"EXIF", tiff)].concat();
    let jxl = [&b"\0\0\0\x0CJXL \r\n\x87\n"[..], &boxed(b"Exif", &[&[0; 4][..], tiff].concat())].concat();
    vec![
        (Format::Jpeg, jpeg_with_exif(tiff, 64, 48)),
        (Format::Png, png),
        (Format::WebP, webp),
        (Format::Tiff, tiff.to_vec()),
        (Format::Nef, tiff.to_vec()),
        (Format::Heic, heic(&[&b"Exif\0\0"[..], tiff].concat())),
        (Format::Jxl, jxl),
    ]
}

/// The pointers to the EXIF and the GPS directory, and the orientation, of every type of integers.
#[test]
fn integers_of_every_type() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        // LONG, SLONG, SHORT, SSHORT, IFD, and four bytes that are one number.
        for kind in [4, 9, 3, 8, 13, 7, 1] {
            let mut builder = Builder::new(order);
            let exif = builder.directory(&[(0x9003, ascii("2023:04:15 14:32:18"))], 0);
            let whole = |degrees, minutes| rational(&[(degrees, 1), (minutes, 1), (0, 1)]);
            let place = [(1, ascii("N")), (2, whole(48, 30)), (3, ascii("W")), (4, whole(11, 15))];
            let gps = builder.directory(&place, 0);
            let pointer = |offset: u32| match (kind, order) {
                (3 | 8, ByteOrder::Big) => Value::Bare(kind, 1, offset << 16),
                (7 | 1, _) => Value::Bare(kind, 4, offset),
                _ => Value::Bare(kind, 1, offset),
            };
            let six = match (kind, order) {
                (3 | 8, ByteOrder::Big) => Value::Bare(kind, 1, 6 << 16),
                (7 | 1, ByteOrder::Big) => Value::Bare(1, 1, 6 << 24),
                (7 | 1, _) => Value::Bare(1, 1, 6),
                _ => Value::Bare(kind, 1, 6),
            };
            let fields =
                [(ifd::ORIENTATION, six), (ifd::EXIF_DIRECTORY, pointer(exif)), (ifd::GPS_DIRECTORY, pointer(gps))];
            let first = builder.directory(&fields, 0);
            for (format, bytes) in in_containers(&builder.finish(42, first)) {
                let (found, what) = (read(&bytes, format), format!("{format}, type {kind}, {order:?}"));
                check_place(&found, &what);
                assert_eq!(found.date_time_original.as_deref(), Some("2023:04:15 14:32:18"), "{what}");
                assert_eq!(found.orientation, Some(6), "{what}");
                let is_own = matches!(format, Format::Heic | Format::Jxl);
                let shown = if is_own { Orientation::Upright } else { Orientation::Rotate90 };
                assert_eq!(orientation(&bytes, format), shown, "{what}");
            }
        }
    }
}

#[test]
fn pointers_that_lead_nowhere() {
    for (kind, offset) in [(4, 0xFFFF_FF00), (9, 0xFFFF_FFFF), (13, 0), (2, 8), (99, 8)] {
        for tag in [ifd::EXIF_DIRECTORY, ifd::GPS_DIRECTORY] {
            let mut builder = Builder::new(ByteOrder::Little);
            let first = builder.directory(&[(ifd::MAKE, ascii("Maker")), (tag, Value::Bare(kind, 1, offset))], 0);
            for (format, bytes) in in_containers(&builder.finish(42, first)) {
                let found = read(&bytes, format);
                assert_eq!(found.make.as_deref(), Some("Maker"), "{format}");
                assert_eq!(found.warning.is_some(), kind != 99, "{format}, type {kind}: an unknown type is no entry");
            }
        }
    }
}

fn with_place(latitude: Value, longitude: Value, [of_latitude, of_longitude]: [&str; 2]) -> Metadata {
    let mut gps = vec![(2, latitude), (4, longitude)];
    gps.extend([(1, ascii(of_latitude)), (3, ascii(of_longitude))].into_iter().filter(|(_, value)| match value {
        Value::Ascii(bytes) => bytes.len() > 1,
        _ => true,
    }));
    Parts { main: Vec::new(), exif: Vec::new(), gps }.read()
}

#[test]
fn degrees_of_every_type() {
    let signed = |values: &[(i32, i32)]| {
        let bytes = values.iter().flat_map(|(a, b)| [a.to_le_bytes(), b.to_le_bytes()]).flatten().collect();
        Value::Other(10, u32::try_from(values.len()).unwrap(), bytes)
    };
    let double = |values: &[f64]| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Value::Other(12, u32::try_from(values.len()).unwrap(), bytes)
    };
    let float = |values: &[f32]| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Value::Other(11, u32::try_from(values.len()).unwrap(), bytes)
    };
    let whole = Value::Short;
    let cases = [
        (double(&[48.0, 30.0, 0.0]), double(&[11.0, 15.0, 0.0])),
        (double(&[48.5]), double(&[11.25])),
        (double(&[48.5]), double(&[-11.25])),
        (float(&[48.0, 30.0, 0.0]), float(&[11.0, 15.0])),
        (float(&[48.5]), float(&[11.25])),
        (signed(&[(48, 1), (30, 1), (0, 1)]), signed(&[(-11, 1), (15, 1), (0, 0)])),
        (signed(&[(485, 10)]), signed(&[(-1125, 100)])),
        (whole(vec![48, 30, 0]), whole(vec![11, 15, 0])),
        (Value::Long(vec![48, 30]), Value::Long(vec![11, 15])),
        (rational(&[(485, 10)]), rational(&[(1125, 100)])),
        (rational(&[(48, 1), (30, 1)]), rational(&[(11, 1), (15, 1)])),
        (ascii("48,30,0"), ascii("11,15,0")),
        (ascii("48 30 0"), ascii("11 15 0")),
        (ascii("48;30"), ascii("11;15")),
        (ascii("48.5"), ascii("11.25")),
        (ascii("48.500000"), ascii("-11.250000")),
        (ascii("48,500"), ascii("11,250")),
        (ascii("48,30.0N"), ascii("11,15.0W")),
        (ascii("48 deg 30' 0.00\""), ascii("11 deg 15' 0.00\"")),
        (ascii("48° 30' 0\" N"), ascii("W 11° 15' 0\"")),
    ];
    for (number, (latitude, longitude)) in cases.into_iter().enumerate() {
        check_place(&with_place(latitude, longitude, ["N", "W"]), &format!("case {number}"));
    }
    // The hemisphere of the text itself.
    check_place(&with_place(ascii("48,30.0N"), ascii("11,15.0W"), ["", ""]), "letters");
    for (latitude, longitude) in [
        (ascii("48,30,0"), ascii("11,15,0")),
        (ascii("north"), ascii("west")),
        (ascii("91"), ascii("11")),
        (ascii("48,75"), ascii("11")),
        (ascii("1.2.3"), ascii("11")),
        (double(&[f64::NAN]), double(&[11.0])),
        (double(&[f64::INFINITY]), double(&[11.0])),
        (Value::Undefined(vec![48, 30, 0]), Value::Undefined(vec![11, 15, 0])),
    ] {
        let found = with_place(latitude, longitude, ["", ""]);
        assert_eq!((found.gps, found.warning.is_some()), (None, true), "{found:?}");
    }
}

#[test]
fn exposures_of_zero_are_none() {
    let read = |exif: Vec<(u16, Value)>| Parts { main: Vec::new(), exif, gps: Vec::new() }.read().exposure_time;
    let speed = |numerator: i32| (0x9201, Value::Other(10, 1, [numerator.to_le_bytes(), 1_i32.to_le_bytes()].concat()));
    let time = |ratio| (0x829A, rational(&[ratio]));
    assert_eq!(read(vec![time((0, 1)), speed(0)]), None);
    assert_eq!(read(vec![time((0, 0)), speed(0)]), None);
    assert_eq!(read(vec![time((1, 0)), speed(0)]), None);
    assert_eq!(read(vec![(0x829A, ascii("undef")), speed(0)]), None);
    assert_eq!(read(vec![time((0, 1)), speed(5)]), Some(0.03125));
    assert_eq!(read(vec![speed(0)]), Some(1.0), "nothing else speaks of the exposure");
    assert_eq!(read(vec![time((1, 4)), speed(0)]), Some(0.25));
}

#[test]
fn times_keep_their_fractions_and_offsets() {
    let read = |text: &str| {
        let exif = vec![(0x9003, ascii(text)), (0x9291, ascii("25")), (0x9011, ascii("+02:00"))];
        Parts { main: Vec::new(), exif, gps: Vec::new() }.read().date_time_original.unwrap()
    };
    assert_eq!(read("2023:04:15 14:32:18"), "2023:04:15 14:32:18.25+02:00");
    assert_eq!(read("2023:04:15 02:32:18 PM"), "2023:04:15 02:32:18.25 PM+02:00");
    assert_eq!(read("2023:04:15  2:32:18"), "2023:04:15  2:32:18.25+02:00");
    assert_eq!(read("2023:04:15 14:32"), "2023:04:15 14:32+02:00");
    assert_eq!(read("2023-04-15T14:32:18Z"), "2023-04-15T14:32:18Z");
    assert_eq!(read("2023:04:15 14:32:18-05:00"), "2023:04:15 14:32:18-05:00");
    assert_eq!(read("2023:04:15"), "2023:04:15");
}

/// What `image_info` tells of a date, with the offset that EXIF gives beside it: RFC 3339.
#[test]
fn offsets_beside_dates() {
    let offsets = [
        ("+02:00", "+02:00"),
        ("-08:00", "-08:00"),
        ("+05:45", "+05:45"),
        ("-00:30", "-00:30"),
        ("+00:00", "+00:00"),
        ("Z", "+00:00"),
        ("+09", "+09:00"),
        ("+1000", "+10:00"),
        ("   :  ", ""),
    ];
    for (offset, expected) in offsets {
        // Each date has an offset of its own.
        for (date, tag, is_first) in [(0x9003, 0x9011, false), (0x9004, 0x9012, false), (0x0132, 0x9010, true)] {
            let (date, offset) = ((date, ascii("2023:04:15 14:32:18")), (tag, ascii(offset)));
            let (main, exif) = if is_first { (vec![date], vec![offset]) } else { (Vec::new(), vec![date, offset]) };
            for (format, bytes) in in_containers(&Parts { main, exif, gps: Vec::new() }.tiff(ByteOrder::Big, 42)) {
                let found = crate::dates::from_metadata(&read(&bytes, format)).unwrap().rfc3339();
                assert_eq!(found, format!("2023-04-15T14:32:18{expected}"), "{format}, {tag:x}");
            }
        }
        let Some(bytes) = fault("f8_pointer_long4_ok.jpg") else { continue };
        let found = crate::dates::from_metadata(&read(&with_offset(&bytes, offset), Format::Jpeg)).unwrap();
        assert_eq!(found.rfc3339(), format!("2023-04-15T14:32:18{expected}"), "{offset}");
    }
}

/// A JPEG that begins with an EXIF segment, big-endian, whose EXIF directory has one entry: with an OffsetTimeOriginal
/// beside it.
fn with_offset(jpeg: &[u8], offset: &str) -> Vec<u8> {
    const START: usize = 12;
    let end = 4 + usize::from(u16::from_be_bytes([jpeg[4], jpeg[5]]));
    let mut tiff = jpeg[START..end].to_vec();
    let pointer = tiff.windows(4).position(|entry| entry == [0x87, 0x69, 0, 4]).unwrap() + 8;
    let old = u32::from_be_bytes(tiff[pointer..pointer + 4].try_into().unwrap()) as usize;
    assert_eq!(tiff[old..old + 4], [0, 1, 0x90, 0x03]);
    tiff.resize(tiff.len().next_multiple_of(2), 0);
    let at = tiff.len() as u32;
    tiff[pointer..pointer + 4].copy_from_slice(&at.to_be_bytes());
    // Two entries, no next directory, and the text.
    let entry = tiff[old + 2..old + 14].to_vec();
    let text = [offset.as_bytes(), &[0; 8]].concat();
    let of_offset = [&[0x90, 0x11, 0, 2, 0, 0, 0, 7][..], &(at + 30).to_be_bytes()].concat();
    tiff.extend([&[0, 2][..], &entry, &of_offset, &[0; 4], &text[..7]].concat());
    let length = (tiff.len() as u16 + 8).to_be_bytes();
    [&jpeg[..4], &length, b"Exif\0\0", &tiff, &jpeg[end..]].concat()
}

/// A profile as ImageMagick writes it: its name, its length, hex in lines of 72 digits.
pub(super) fn profile(name: &str, data: &[u8]) -> Vec<u8> {
    let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
    let lines: Vec<&str> = hex.as_bytes().chunks(72).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("\n{name}\n{:8}\n{}\n", data.len(), lines.join("\n")).into_bytes()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A PNG with chunks before its data and behind it.
pub(super) fn png_with(before: &[Vec<u8>], behind: &[Vec<u8>]) -> Vec<u8> {
    let start = [&b"\x89PNG\r\n\x1A\n"[..], &chunk_of_png(b"IHDR", &[0; 13])].concat();
    [&start[..], &before.concat(), &chunk_of_png(b"IDAT", &[1; 100]), &behind.concat()].concat()
}

/// Chunks of text of the three kinds, plain and compressed.
pub(super) fn texts(keyword: &str, text: &[u8]) -> Vec<Vec<u8>> {
    let keyword = keyword.as_bytes();
    vec![
        chunk_of_png(b"tEXt", &[keyword, b"\0", text].concat()),
        chunk_of_png(b"zTXt", &[keyword, b"\0\0", &deflated(text)].concat()),
        chunk_of_png(b"iTXt", &[keyword, b"\0\0\0\0\0", text].concat()),
        chunk_of_png(b"iTXt", &[keyword, b"\0\x01\0en\0key\0", &deflated(text)].concat()),
    ]
}

#[test]
fn profiles_of_png() {
    let tiff = ordinary().tiff(ByteOrder::Big, 42);
    let block = [&b"Exif\0\0"[..], &tiff].concat();
    for (keyword, name, data) in [
        ("Raw profile type exif", "exif", &block),
        ("Raw profile type APP1", "generic profile", &block),
        ("Raw profile type exif", "exif", &tiff),
        ("raw profile type EXIF", "exif", &block),
    ] {
        for chunk in texts(keyword, &profile(name, data)) {
            for png in [png_with(std::slice::from_ref(&chunk), &[]), png_with(&[], &[chunk])] {
                check_ordinary(&read(&png, Format::Png));
                assert_eq!(orientation(&png, Format::Png), Orientation::Rotate90);
            }
        }
    }
    // The chunk of EXIF goes before; what cannot be read is passed over.
    let other = Parts { main: vec![(ifd::MAKE, ascii("Other"))], exif: Vec::new(), gps: Vec::new() };
    let eight = chunk_of_png(b"eXIf", &other.tiff(ByteOrder::Little, 42));
    let chunk = texts("Raw profile type exif", &profile("exif", &block)).swap_remove(1);
    let broken = texts("Raw profile type exif", b"no profile").swap_remove(0);
    assert_eq!(read(&png_with(std::slice::from_ref(&chunk), &[eight]), Format::Png).make.as_deref(), Some("Other"));
    check_ordinary(&read(&png_with(&[broken, chunk], &[]), Format::Png));
}

/// Text that inflates to a thousand times its length, many times.
#[test]
fn hostile_profiles_cost_little() {
    let bomb = texts("Raw profile type exif", &vec![b'0'; 8 << 20]).swap_remove(1);
    let png = png_with(&vec![bomb; 200], &[]);
    let begin = Instant::now();
    let _ = (read(&png, Format::Png), orientation(&png, Format::Png));
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[test]
fn known_faults() {
    let place = |name: &str| {
        let Some(bytes) = fault(name) else { return };
        check_place(&read(&bytes, Format::Jpeg), name);
    };
    for name in ["f8_pointer_ifd13.jpg", "f8_pointer_slong9.jpg", "f8_pointer_long4_ok.jpg"] {
        place(name);
        let Some(bytes) = fault(name) else { continue };
        let found = read(&bytes, Format::Jpeg).date_time_original;
        assert_eq!(found.as_deref(), Some("2023:04:15 14:32:18"), "{name}");
    }
    for name in ["f16_gps_ascii.jpg", "f16_gps_double.jpg"] {
        place(name);
    }
    for (name, at) in [
        ("f11_pm.jpg", "2023-04-15T14:32:18"),
        ("f11_spacehour.jpg", "2023-04-15T02:32:18"),
        ("f11_colon.jpg", "2023-04-15T14:32:18"),
        ("f11_nosec.jpg", "2023-04-15T14:32:00"),
        ("f17_2002_12_08.jpg", "2002-12-08T12:00:00"),
    ] {
        let Some(bytes) = fault(name) else { continue };
        let found = crate::dates::from_metadata(&read(&bytes, Format::Jpeg)).unwrap();
        assert_eq!(found.rfc3339(), at, "{name}");
        assert_eq!(found.suspicious.is_some(), name.starts_with("f17"), "{name}");
    }
    if let Some(bytes) = fault("f13_exposure0.jpg") {
        assert_eq!(read(&bytes, Format::Jpeg).exposure_time, None);
    }
    for name in ["f7_rawprofile_exif.png", "f7_rawprofile_app1.png", "f7_exif_chunk_ok.png"] {
        let Some(bytes) = fault(name) else { continue };
        let found = read(&bytes, Format::Png);
        assert_eq!((found.orientation, found.make.as_deref()), (Some(6), Some("Maker")), "{name}");
        assert_eq!(found.date_time_original.as_deref(), Some("2023:04:15 14:32:18"), "{name}");
        assert_eq!(orientation(&bytes, Format::Png), Orientation::Rotate90, "{name}");
    }
    if let Some(bytes) = fault("f9_heic_tmap.heic") {
        assert_eq!(crate::dimensions(&bytes, Format::Heic), Some((4032, 3024)));
    }
}
