//! What an import finds in files that were once read wrongly, or refused: those of public reports, made small
//! (`../shared/faults`), each with the values that other programs give, and others of their kinds, made here.
//!
//! How each kind is decoded is tested beside its decoder in `lumina-photo`.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use jiff::Timestamp;
use lumina_import::analyze::{Analysis, Place, analyze, refuse_head};
use lumina_import::{Facts, FileStatus, Finding};
use lumina_photo::{Format, Limits, NeverCancels, Orientation, Picture, Pixels, thumbnail};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const LIMITS: Limits<'static> = Limits { pixels: 1 << 24, memory: 1 << 28, caller: &NeverCancels };

/// When the files were changed, in seconds since 1970: 2024-06-01T10:00:00Z.
const MODIFIED: i64 = 1_717_236_000;

/// The hash of the scene that most of them show, and of it turned by orientation 6: that of Pillow's pixels, by its
/// definition.
const SCENE: &str = "b63a323e3de9e093";
const TURNED: &str = "6d0b03276a73736b";

/// The files, the remark, the format with width, height and orientation, the hash, and what else is known; by djpeg,
/// Pillow and exiftool. A damaged picture has no hash that could be right.
const FILES: [(&str, &str, &str, &str, &str); 40] = [
    ("scene.jpg", "", "jpeg 320x240 1", SCENE, ""),
    ("f1_cut_half_eoi.jpg", "damaged_data", "jpeg 320x240 1", "", ""),
    ("f1_damaged_half.jpg", "damaged_data", "jpeg 320x240 1", "", ""),
    ("f1_damaged_last5.jpg", "damaged_data", "jpeg 320x240 1", "", ""),
    ("f1_zeros_mid.jpg", "damaged_data", "jpeg 320x240 1", "", ""),
    ("f1_keep/old_disk/IMG_0001.jpg", "damaged_data", "jpeg 320x240 1", "", ""),
    ("f1_keep/backup/IMG_0001.jpg", "", "jpeg 320x240 1", SCENE, ""),
    ("f2_plain.tif", "", "tiff 320x240 1", SCENE, ""),
    ("f2_rgb_extra0_nopred.tif", "", "tiff 320x240 1", SCENE, ""),
    ("f2_rgb_extra0_pred2.tif", "", "tiff 320x240 1", SCENE, ""),
    ("f2_cmyk_extra0_pred2.tif", "", "tiff 320x240 1", SCENE, ""),
    ("f2_rgb16_extra00_pred2.tif", "", "tiff 320x240 1", SCENE, ""),
    ("f3_noninterleaved_420.jpg", "", "jpeg 320x240 1", SCENE, ""),
    ("f3_noninterleaved_440.jpg", "", "jpeg 320x240 1", SCENE, ""),
    ("f5_mjpeg_no_dht.jpg", "", "jpeg 320x240 1", SCENE, ""),
    ("f6_fillorder2_none.tif", "", "tiff 320x240 1", SCENE, ""),
    ("f6_fillorder2_zip.tif", "", "tiff 320x240 1", SCENE, ""),
    ("f7_exif_chunk_ok.png", "", "png 96x72 6", TURNED, "2023-04-15T14:32:18Z Maker"),
    ("f7_rawprofile_exif.png", "", "png 96x72 6", TURNED, "2023-04-15T14:32:18Z Maker"),
    ("f7_rawprofile_app1.png", "", "png 96x72 6", TURNED, "2023-04-15T14:32:18Z Maker"),
    ("f8_pointer_long4_ok.jpg", "", "jpeg 96x72 1", SCENE, "2023-04-15T14:32:18Z Maker 48.5 -11.25"),
    ("f8_pointer_ifd13.jpg", "", "jpeg 96x72 1", SCENE, "2023-04-15T14:32:18Z Maker 48.5 -11.25"),
    ("f8_pointer_slong9.jpg", "", "jpeg 96x72 1", SCENE, "2023-04-15T14:32:18Z Maker 48.5 -11.25"),
    ("f10_no_eoi.jpg", "", "jpeg 320x240 1", SCENE, ""),
    ("f11_pm.jpg", "", "jpeg 96x72 1", SCENE, "2023-04-15T14:32:18Z Maker"),
    ("f11_spacehour.jpg", "", "jpeg 96x72 1", SCENE, "2023-04-15T02:32:18Z Maker"),
    ("f11_colon.jpg", "", "jpeg 96x72 1", SCENE, "2023-04-15T14:32:18Z Maker"),
    ("f11_nosec.jpg", "", "jpeg 96x72 1", SCENE, "2023-04-15T14:32:00Z Maker"),
    ("f12_raw_and_other_jpeg/shoot/IMG_0001.dng", "", "dng 320x240 1", SCENE, "2023-04-15T14:32:18Z Maker"),
    ("f12_raw_and_other_jpeg/shoot/IMG_0001.jpg", "", "jpeg 320x240 1", "1b3b7c92b17363e1", ""),
    ("f12_raw_and_other_jpeg/elsewhere/IMG_0001 (small).jpg", "", "jpeg 240x180 1", "1b3b7c92b17363e1", ""),
    // No exposure, which would be the last value.
    ("f13_exposure0.jpg", "", "jpeg 96x72 1", SCENE, "2023-04-15T14:32:18Z Maker"),
    ("f16_gps_ascii.jpg", "", "jpeg 96x72 1", SCENE, "Maker 48.5 -11.25"),
    ("f16_gps_double.jpg", "", "jpeg 96x72 1", SCENE, "Maker 48.5 -11.25"),
    // The time of the file, not the start of a clock.
    ("f17_2002_12_08.jpg", "", "jpeg 96x72 1", SCENE, "Maker"),
    ("f18_ifd_loop.tif", "", "tiff 320x240 1", SCENE, ""),
    ("f18_gif_unknown_extension.gif", "", "gif 96x72 1", "b632323e3de9e093", ""),
    ("f18_bmp_palette17.bmp", "", "bmp 96x72 1", "9626363e3d61e0f3", ""),
    ("m1_xmp_only.jpg", "", "jpeg 96x72 1", SCENE, "2013-07-05T03:18:27+00:00"),
    ("m1_xmp_and_modify.jpg", "", "jpeg 96x72 1", SCENE, "2013-07-05T03:18:27+00:00 Maker"),
];

/// A header without a picture, of which the size is known all the same.
const WITHOUT_PICTURE: &str = "f9_heic_tmap.heic";

fn analyzed(bytes: &[u8]) -> Analysis {
    let (size, modified) = (bytes.len() as u64, MODIFIED * 1_000_000);
    let status = FileStatus { size, device: 1, inode: 2, modified, changed: modified };
    let place = Place { path: Path::new("/photos/x"), status: &status, beside: None };
    assert_eq!(refuse_head(bytes), None);
    analyze(bytes, &place, "2025-06-01T12:00:00Z".parse::<Timestamp>().unwrap(), &LIMITS)
}

/// The facts of a picture, and the remark; nothing if there is none.
fn facts(bytes: &[u8]) -> (Box<Facts>, &'static str) {
    match analyzed(bytes) {
        Analysis::Facts(facts, remark) => (facts, remark.map_or("", |(remark, _)| remark)),
        other => panic!("{other:?}"),
    }
}

/// The format, width and height, the orientation.
fn stored(facts: &Facts) -> String {
    let side = |side: Option<u32>| side.map_or_else(|| "?".to_owned(), |side| side.to_string());
    let orientation = facts.orientation.unwrap();
    format!("{} {}x{} {orientation}", facts.format, side(facts.width), side(facts.height))
}

/// The date, if it is not that of the file; the camera's maker, the place, the exposure.
fn told(facts: &Facts) -> String {
    let date = facts.captured_at.clone().filter(|_| facts.date_source.as_deref() != Some("file_time"));
    let numbers = [facts.latitude, facts.longitude, facts.exposure_time].map(|n| n.map(|number| number.to_string()));
    let all = [date, facts.camera_make.clone()].into_iter().chain(numbers).flatten();
    all.collect::<Vec<String>>().join(" ")
}

/// The files below a folder, but for those that are no pictures.
fn below(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().unwrap_or_default();
        if path.is_dir() {
            below(&path, found);
        } else if !["md", "py", "sql"].iter().any(|other| extension == *other) {
            found.insert(path);
        }
    }
}

#[test]
fn every_known_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/faults");
    if !folder.is_dir() {
        println!("skipped: {} is no folder", folder.display());
        return;
    }
    for (name, remark, shape, hash, more) in FILES {
        let (found, remarked) = facts(&fs::read(folder.join(name)).unwrap());
        assert_eq!((remarked, stored(&found).as_str(), told(&found).as_str()), (remark, shape, more), "{name}");
        assert_eq!((found.truncated, found.damaged_data), (false, remark == "damaged_data"), "{name}");
        if remark.is_empty() {
            assert_eq!((found.dhash.as_deref(), found.hash_valid), (Some(hash), true), "{name}");
        }
    }
    let bytes = fs::read(folder.join(WITHOUT_PICTURE)).unwrap();
    assert_eq!(lumina_photo::dimensions(&bytes, Format::Heic), Some((4032, 3024)));
    assert!(matches!(analyzed(&bytes), Analysis::Not(Finding::Failed { reason, .. }) if reason == "damaged"));
    let mut all = BTreeSet::new();
    below(&folder, &mut all);
    let tested: BTreeSet<PathBuf> =
        FILES.iter().map(|(name, ..)| *name).chain([WITHOUT_PICTURE]).map(|name| folder.join(name)).collect();
    assert_eq!(all, tested);
}

/// A baseline JPEG of spots on waves: one scene a seed.
fn jpeg(seed: u32) -> Vec<u8> {
    const WIDTH: u32 = 200;
    const HEIGHT: u32 = 150;
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut random = |below: u32| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state % below
    };
    let spots: Vec<[u32; 6]> = (0..20).map(|_| [WIDTH, HEIGHT, 40, 256, 256, 256].map(&mut random)).collect();
    let pixel = |at: u32| {
        let (x, y) = (at % WIDTH, at / WIDTH);
        let is_in = |[a, b, radius, ..]: &&[u32; 6]| x.abs_diff(*a).pow(2) + y.abs_diff(*b).pow(2) < radius.pow(2);
        match spots.iter().find(is_in) {
            Some(&[.., red, green, blue]) => [red, green, blue].map(|value| value as u8),
            None => [x + seed, y * 2, (x + y) / 2 + at % 7].map(|value| value as u8),
        }
    };
    let pixels = Pixels::Rgb((0..WIDTH * HEIGHT).flat_map(pixel).collect());
    let picture = Picture { width: WIDTH, height: HEIGHT, pixels, damage: None };
    thumbnail(&picture, Orientation::Upright, WIDTH, Format::Bmp, &LIMITS).unwrap()
}

/// Damage inside the data is remarked; that the last two bytes are missing is none.
#[test]
fn damaged_and_whole_pictures() {
    for seed in 1..9 {
        let whole = jpeg(seed);
        let (expected, remark) = facts(&whole);
        assert_eq!((remark, stored(&expected).as_str()), ("", "jpeg 200x150 1"));
        let end = whole.len() - 2;
        for (what, bytes) in [("no end marker", &whole[..end]), ("half of one", &whole[..=end])] {
            let (found, remark) = facts(bytes);
            assert_eq!((remark, &found.dhash, &found.pdq), ("", &expected.dhash, &expected.pdq), "{seed}: {what}");
            assert!(!found.truncated && !found.damaged_data && found.hash_valid, "{seed}: {what}");
        }
        let start = whole.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap() + 14;
        for share in [5, 35, 65, 95] {
            let place = start + (end - start) * share / 100;
            let (before, behind) = whole.split_at(place);
            let rest = |skip: usize| &behind[skip.min(behind.len() - 2)..];
            let noise: Vec<u8> = (0..400).map(|at: u32| (at * 37 + seed) as u8 % 251).collect();
            for (what, bytes) in [
                ("an end marker early", [before, &[0xff, 0xd9]].concat()),
                ("zeros", [before, &[0; 300], rest(300)].concat()),
                ("other bytes", [before, &noise, rest(400)].concat()),
                ("bytes twice", [before, &whole[place - 120..]].concat()),
            ] {
                let (found, remark) = facts(&bytes);
                assert_eq!(remark, "damaged_data", "{seed}: {what} at {share} %");
                assert!(found.damaged_data && !found.truncated, "{seed}: {what} at {share} %");
            }
            let (found, remark) = facts(before);
            assert_eq!((remark, found.truncated, found.damaged_data), ("truncated", true, false), "{seed}: {share} %");
        }
    }
}

/// The start of a clock that was never set is no date: that of the file is nearer.
#[test]
fn clocks_that_were_never_set() {
    let with_date = |date: &str| {
        let text = [date.as_bytes(), b"\0"].concat();
        // One entry, DateTimeOriginal, with its text behind the directory.
        let head = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x03\x90\x02\0";
        let tiff = [&head[..], &20_u32.to_le_bytes(), &26_u32.to_le_bytes(), &[0; 4], &text].concat();
        let (length, whole) = (tiff.len() as u16 + 2, jpeg(1));
        [&whole[..2], &[0xff, 0xe1], &length.to_be_bytes(), &tiff, &whole[2..]].concat()
    };
    let read = |date: &str| {
        let (found, _) = facts(&with_date(date));
        (found.date_source.unwrap(), found.captured_at.unwrap(), found.date_confidence.unwrap())
    };
    for start in ["2002:12:08 12:00:00", "1970:01:01 00:00:00", "1980:01:01 07:13:45", "1904:01:01 00:00:00"] {
        assert_eq!(read(start), ("file_time".into(), "2024-06-01T10:00:00+00:00".into(), 30), "{start}");
    }
    for date in ["2002:12:08 12:00:01", "2002:12:08 11:59:59", "2003:12:08 12:00:00"] {
        assert_eq!(read(date).0, "exif:DateTimeOriginal", "{date}");
    }
}

/// Formats that are known, and not decoded, have a row with what their headers say, so that equal files are found.
#[test]
fn pictures_that_are_not_decoded() {
    let big = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
    let little = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    for (width, height) in [(48_u32, 30_u32), (200, 150), (3, 7)] {
        let jp2 = [&b"\xff\x4f\xff\x51\0\x29\0\0"[..], &big(&[width, height, 0, 0])].concat();
        let psd = [&b"8BPS\0\x01\0\0\0\0\0\0\0\x03"[..], &big(&[height, width]), b"\0\x08\0\x03"].concat();
        let ico = [&b"\0\0\x01\0\x01\0"[..], &[width as u8, height as u8, 0, 0, 1, 0, 32, 0], &little(&[9, 22])];
        let x3f = [&b"FOVb\0\0\x02\0"[..], &[0; 20], &little(&[width, height])].concat();
        let sides = [height as u16 + 8, width as u16 + 8, height as u16, width as u16].map(u16::to_be_bytes).concat();
        let mrw = [&b"\0MRM\0\0\0\0\0PRD\0\0\0\x1821860002"[..], &sides, &[0; 8]].concat();
        let low = [width as u16, height as u16].map(u16::to_le_bytes).concat();
        let files = [
            ("jp2", jp2),
            ("psd", psd),
            ("ico", ico.concat()),
            ("x3f", x3f),
            ("mrw", mrw),
            ("tga", [&[0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &low, &[24, 0]].concat()),
            ("tga", [&[4, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &low, &[8, 0x20]].concat()),
            ("tga", [&[0, 1, 9, 0, 0, 0, 1, 24, 0, 0, 0, 0][..], &low, &[8, 0]].concat()),
            ("pnm", format!("P6\n{width} {height}\n255\n").into_bytes()),
            ("pnm", format!("P5 {width} {height} 255 ").into_bytes()),
            ("pnm", format!("P4\n# drawn\n{width} {height}\n").into_bytes()),
        ];
        for (format, head) in files {
            let (found, remark) = facts(&[&head[..], &[0x5a; 999]].concat());
            assert_eq!((remark, stored(&found)), ("unsupported_format", format!("{format} {width}x{height} 1")));
            assert_eq!((&found.dhash, found.hash_valid), (&None, false), "{format}");
        }
        let (found, remark) = facts(&[&b"II\x1a\0\0\0HEAPCCDR"[..], &[0x5a; 999]].concat());
        assert_eq!((remark, stored(&found).as_str()), ("unsupported_format", "crw ?x? 1"));
    }
}

/// Phase One's raw files are TIFF files of a thumbnail, with a block of their own behind the header. The size is that
/// of the sensor; the thumbnail is no picture.
#[test]
fn raw_files_of_phase_one() {
    for (width, height) in [(7320_u32, 5484_u32), (4080, 5440), (11_608, 8708), (8984, 6732)] {
        for is_big in [false, true] {
            let four = |number: u32| if is_big { number.to_be_bytes() } else { number.to_le_bytes() };
            let two = |number: u16| if is_big { number.to_be_bytes() } else { number.to_le_bytes() };
            let short = |number: u16| [two(number), [0; 2]].concat();
            let numbers = |numbers: &[u32]| numbers.iter().flat_map(|number| four(*number)).collect::<Vec<u8>>();
            // The block begins at byte 8; its directory, of entries of four numbers, is 12 bytes on.
            let entries: [[u32; 4]; 3] = [[0x108, 1, 4, width + 80], [0x10c, 1, 4, width], [0x10d, 1, 4, height]];
            let mark: &[u8] = if is_big { b"MMMMRaw\x05" } else { b"IIII\x05waR" };
            let block = [mark, &numbers(&[12, 3, 0]), &numbers(&entries.concat())].concat();
            let first = 8 + block.len() as u32;
            // The thumbnail: one grey pixel.
            let tags: [(u16, u16); 7] = [(256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (279, 1)];
            let tag = |(tag, value): (u16, u16)| [&two(tag)[..], &two(3), &four(1), &short(value)].concat();
            let directory = [&two(7)[..], &tags.map(tag).concat(), &four(0)].concat();
            let head: &[u8] = if is_big { b"MM\0*" } else { b"II*\0" };
            let file = [head, &four(first), &block, &directory].concat();
            let (found, remark) = facts(&file);
            assert_eq!((remark, stored(&found)), ("unsupported_format", format!("raw {width}x{height} 1")));
            assert_eq!((&found.dhash, found.hash_valid), (&None, false));
        }
    }
}
