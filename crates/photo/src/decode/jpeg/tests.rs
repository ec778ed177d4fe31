//! Damage, against an oracle and against what djpeg said; scans apart, missing tables and missing end markers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod codes;
mod naive;
mod sampling;
mod segments;

use super::headers::headers;
use super::{Purpose, check, decode};
use crate::Format;
use crate::error::PhotoError;
use crate::hash::{Method, Recipe, Wanted, make};
use crate::limits::{Caller, Limits, NeverCancels};
use crate::orientation::Orientation;
use crate::picture::{Damage, Picture};
use naive::Jpeg;
use std::cell::Cell;
use std::path::Path;

const LIMITS: Limits<'static> = Limits { pixels: 1 << 24, memory: 1 << 28, caller: &NeverCancels };

/// The golden JPEG files, with what djpeg of libjpeg-turbo 2.1.5 says of copies with one byte changed: a bit for each
/// of [`changes`], in hex, which is set where it warns of corrupt data or fails.
const GOLDEN: [(&str, &str); 14] = [
    ("jpeg-420.jpg", "00801"),
    ("jpeg-422.jpg", "20021"),
    ("jpeg-444.jpg", "1000a"),
    ("jpeg-5x7.jpg", "9d460"),
    ("jpeg-96x96.jpg", "08072"),
    ("jpeg-cmyk.jpg", "3067f"),
    ("jpeg-grey-progressive.jpg", "a7a57"),
    ("jpeg-grey.jpg", "400c0"),
    ("jpeg-progressive.jpg", "7b9fc"),
    ("jpeg-q30.jpg", "0aa0c"),
    ("jpeg-restart-blocks.jpg", "05a36"),
    ("jpeg-restart-rows.jpg", "00000"),
    ("jpeg-rgb.jpg", "42b38"),
    ("jpeg-ycck.jpg", "88147"),
];

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/images").join(name)).unwrap()
}

fn fault(name: &str) -> Option<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/faults");
    let bytes = std::fs::read(folder.join(name)).ok();
    if bytes.is_none() {
        println!("skipped: there is no {name} in {}", folder.display());
    }
    bytes
}

fn picture(bytes: &[u8]) -> Picture {
    decode(bytes, &LIMITS).unwrap()
}

fn dhash(picture: &Picture) -> String {
    let wanted = Wanted { recipes: vec![Recipe::standard(Method::Difference)], sharpness: false };
    let made = make(picture, Orientation::Upright, &wanted, Format::Jpeg, &LIMITS).unwrap();
    made.hashes[0].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Numbers by xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }
}

/// Where the data of the first scan begin.
fn data_at(bytes: &[u8]) -> usize {
    headers(&[], bytes, Purpose::Picture, &LIMITS).unwrap().scans
}

/// 20 copies with one byte of the scans changed, their headers and the end marker included.
fn changes(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let (mut random, from) = (Random(2026), data_at(bytes));
    (0..20).map(move |_| {
        let mut copy = bytes.to_vec();
        let at = from + random.below(copy.len() - from);
        copy[at] ^= 1 + random.below(255) as u8;
        copy
    })
}

/// What the checker says, and what the oracle says.
fn verdicts(bytes: &[u8]) -> (Option<Damage>, Option<Damage>) {
    let headers = headers(&[], bytes, Purpose::Picture, &LIMITS).unwrap();
    let scans = &bytes[headers.scans..];
    (check::check(headers, scans, &LIMITS).unwrap().1, Jpeg::read(bytes).err())
}

#[test]
fn what_djpeg_warns_of_is_seen() {
    let (mut warned, mut seen) = (0, 0);
    for (name, verdicts) in GOLDEN {
        let bytes = golden(name);
        assert_eq!(picture(&bytes).damage, None, "{name}");
        let verdicts = u32::from_str_radix(verdicts, 16).unwrap();
        for (index, copy) in changes(&bytes).enumerate() {
            let is_seen = !matches!(decode(&copy, &LIMITS), Ok(Picture { damage: None, .. }));
            let is_warned = verdicts >> index & 1 == 1;
            assert!(is_seen || !is_warned, "{name}, change {index}");
            warned += u32::from(is_warned);
            seen += u32::from(is_seen);
        }
    }
    println!("of {} copies djpeg warns of {warned}, of {seen} here", 20 * GOLDEN.len());
    assert!(warned == 90 && seen < warned + 30, "{warned} {seen}");
}

/// Writes the copies of [`changes`] to the folder in `LUMINA_CHANGES`, for djpeg.
#[test]
#[ignore = "writes files"]
fn write_changes() {
    let folder = std::env::var("LUMINA_CHANGES").unwrap();
    for (name, _) in GOLDEN {
        for (index, copy) in changes(&golden(name)).enumerate() {
            std::fs::write(Path::new(&folder).join(format!("{name}.{index:02}.jpg")), copy).unwrap();
        }
    }
}

#[test]
fn the_oracle_agrees() {
    let mut random = Random(7);
    let mut count = [0; 3];
    for (name, _) in GOLDEN {
        let bytes = golden(name);
        let from = data_at(&bytes);
        for round in 0..300 {
            let mut copy = bytes.clone();
            match round % 3 {
                0 => copy.truncate(from + random.below(copy.len() - from)),
                1 => {
                    let at = from + random.below(copy.len() - from);
                    copy[at] = [0, 0xff, 0xd9, 0xd0, random.below(256) as u8][random.below(5)];
                }
                _ => {
                    let at = from + random.below(copy.len() - from);
                    let to = (at + random.below(64)).min(copy.len());
                    copy.drain(at..to);
                }
            }
            if Jpeg::read(&copy).is_ok_and(|jpeg| jpeg.components.is_empty()) || headers_fail(&copy) {
                continue;
            }
            let (found, expected) = verdicts(&copy);
            assert_eq!(found, expected, "{name}, round {round}");
            count[match found {
                None => 0,
                Some(Damage::Truncated) => 1,
                Some(Damage::Data) => 2,
            }] += 1;
        }
    }
    println!("whole, truncated, damaged: {count:?}");
    assert!(count.iter().all(|&count| count > 300), "{count:?}");
}

fn headers_fail(bytes: &[u8]) -> bool {
    headers(&[], bytes, Purpose::Picture, &LIMITS).is_err()
}

#[test]
fn damaged_files() {
    for name in ["f1_damaged_last5.jpg", "f1_damaged_half.jpg", "f1_zeros_mid.jpg", "f1_cut_half_eoi.jpg"] {
        let Some(bytes) = fault(name) else { continue };
        assert_eq!(picture(&bytes).damage, Some(Damage::Data), "{name}");
    }
    for (name, _) in GOLDEN {
        let bytes = golden(name);
        let from = data_at(&bytes);
        let middle = from + (bytes.len() - from) / 2;
        let cut = [&bytes[..middle], &[0xff, 0xd9]].concat();
        assert_eq!(picture(&cut).damage, Some(Damage::Data), "{name} that ends early with a marker");
        assert_eq!(picture(&bytes[..middle]).damage, Some(Damage::Truncated), "{name} that ends early");
        let end = bytes.len() - 2;
        let more = [&bytes[..end], &[0x12, 0x34, 0x56, 0x78, 0x9a], &bytes[end..]].concat();
        assert_eq!(picture(&more).damage, Some(Damage::Data), "{name} with more data");
        let zeros = [&bytes[..middle], &[0; 200], &bytes[end..]].concat();
        assert_eq!(picture(&zeros).damage, Some(Damage::Data), "{name} with zeros");
    }
}

#[test]
fn restart_markers_in_order() {
    for name in ["jpeg-restart-blocks.jpg", "jpeg-restart-rows.jpg"] {
        let bytes = golden(name);
        let from = data_at(&bytes);
        let markers = (from..bytes.len() - 1).filter(|&at| bytes[at] == 0xff && (0xd0..0xd8).contains(&bytes[at + 1]));
        for at in markers.take(20) {
            let mut other = bytes.clone();
            other[at + 1] ^= 1;
            assert_eq!(picture(&other).damage, Some(Damage::Data), "{name}: another marker");
            let mut lost = bytes.clone();
            lost.drain(at..at + 2);
            assert_eq!(picture(&lost).damage, Some(Damage::Data), "{name}: a marker is missing");
        }
    }
}

#[test]
fn what_is_no_damage() {
    let shared = fault("scene.jpg");
    for bytes in GOLDEN.iter().map(|(name, _)| golden(name)).chain(shared) {
        let whole = picture(&bytes);
        let (from, end) = (data_at(&bytes), bytes.len() - 2);
        assert_eq!(bytes[end..], [0xff, 0xd9]);
        let mut fill = bytes[..2].to_vec();
        let mut at = 2;
        while at < from {
            let length = 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
            fill.extend([0xff; 3]);
            fill.extend_from_slice(&bytes[at..at + length]);
            at += length;
        }
        fill.extend_from_slice(&bytes[at..]);
        let variants = [
            ("no end marker", bytes[..end].to_vec()),
            ("half an end marker", bytes[..end + 1].to_vec()),
            ("fill bytes before the end", [&bytes[..end], &[0xff; 9], &bytes[end..]].concat()),
            ("fill bytes between segments", fill),
            ("padding before the end", [&bytes[..end], &[0; 3], &bytes[end..]].concat()),
            ("another picture behind", [&bytes[..], &bytes[..]].concat()),
            ("noise behind", [&bytes[..], &(0..999).map(|byte| byte as u8).collect::<Vec<_>>()].concat()),
            ("a restart marker at the end", [&bytes[..end], &[0xff, 0xd3], &bytes[end..]].concat()),
        ];
        for (what, variant) in variants {
            let found = picture(&variant);
            assert_eq!(found.damage, None, "{what}");
            assert!(found == whole, "{what}");
        }
    }
}

#[test]
fn bytes_between_segments_are_damage() {
    let bytes = golden("jpeg-420.jpg");
    let from = data_at(&bytes);
    let gap = [&bytes[..from], &[0x12, 0x34], &bytes[from..]].concat();
    let found = picture(&gap);
    assert_eq!(found.damage, Some(Damage::Data));
    assert!(found.pixels == picture(&bytes).pixels);
}

#[test]
fn no_end_marker() {
    let (Some(bytes), Some(scene)) = (fault("f10_no_eoi.jpg"), fault("scene.jpg")) else { return };
    assert!(picture(&bytes) == picture(&scene));
    assert_eq!(dhash(&picture(&bytes)), "b63a323e3de9e093");
}

/// All of these have four components or three of which the first is sampled most often.
const SCANS: [&[&[usize]]; 5] =
    [&[&[0], &[1], &[2]], &[&[0], &[1, 2]], &[&[0, 1], &[2]], &[&[2], &[0, 1]], &[&[2], &[1], &[0]]];

#[test]
fn scans_apart() {
    for (name, dhash) in
        [("f3_noninterleaved_420.jpg", "b63a323e3de9e093"), ("f3_noninterleaved_440.jpg", "b63a323e3de9e093")]
    {
        let Some(bytes) = fault(name) else { continue };
        assert_eq!(self::dhash(&picture(&bytes)), dhash, "{name}");
        assert_eq!(picture(&bytes).damage, None);
    }
    if let (Some(apart), Some(scene)) = (fault("f3_noninterleaved_420.jpg"), fault("scene.jpg")) {
        assert!(picture(&apart) == picture(&scene));
    }
    for name in ["jpeg-420.jpg", "jpeg-422.jpg", "jpeg-444.jpg", "jpeg-q30.jpg", "jpeg-96x96.jpg"] {
        let bytes = golden(name);
        let jpeg = Jpeg::read(&bytes).unwrap();
        let whole = picture(&bytes);
        for scans in SCANS {
            for restart in [0, 1, 5] {
                let apart = jpeg.write(scans, restart);
                assert_eq!(verdicts(&apart), (None, None), "{name} {scans:?} {restart}");
                assert!(picture(&apart) == whole, "{name} {scans:?} {restart}");
                // And it is damaged as others are.
                let end = apart.len() - 40;
                assert_eq!(picture(&apart[..end]).damage, Some(Damage::Truncated));
                assert_eq!(picture(&[&apart[..end], &[0xff, 0xd9]].concat()).damage, Some(Damage::Data));
            }
        }
        assert!(picture(&jpeg.write(&[&[0, 1, 2]], 3)) == whole, "{name} with restart markers");
    }
    let bytes = golden("jpeg-cmyk.jpg");
    let jpeg = Jpeg::read(&bytes).unwrap();
    for scans in [&[&[0][..], &[1], &[2], &[3]][..], &[&[0, 3], &[1, 2]], &[&[3, 1, 0], &[2]]] {
        assert!(picture(&jpeg.write(scans, 0)) == picture(&bytes), "{scans:?}");
    }
}

/// Vertical sampling of every kind: the components of one picture with other factors.
#[test]
fn scans_apart_of_any_sampling() {
    let jpeg = Jpeg::read(&golden("jpeg-444.jpg")).unwrap();
    let frame = jpeg.headers.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    for (h, v) in [(1, 2), (2, 2), (2, 1), (4, 1), (4, 2), (1, 4)] {
        let mut laid = jpeg.clone();
        laid.headers[frame + 11] = h << 4 | v;
        let side = |at: usize| usize::from(jpeg.headers[at]) << 8 | usize::from(jpeg.headers[at + 1]);
        let (height, width) = (side(frame + 5), side(frame + 7));
        let (h, v) = (usize::from(h), usize::from(v));
        laid.units = (width.div_ceil(8 * h), height.div_ceil(8 * v));
        for (index, component) in laid.components.iter_mut().enumerate() {
            (component.h, component.v) = if index == 0 { (h, v) } else { (1, 1) };
            component.across = laid.units.0 * component.h;
            component.own = ((width * component.h).div_ceil(8 * h), (height * component.v).div_ceil(8 * v));
            let count = component.across * laid.units.1 * component.v;
            component.blocks = component.blocks.iter().cycle().take(count).copied().collect();
        }
        let whole = picture(&laid.write(&[&[0, 1, 2]], 0));
        assert_eq!(whole.damage, None);
        for scans in SCANS {
            assert!(picture(&laid.write(scans, 2)) == whole, "{h} x {v}, {scans:?}");
        }
    }
}

/// The file without its Huffman tables.
fn without_tables(bytes: &[u8]) -> Vec<u8> {
    let (mut file, mut at, from) = (bytes[..2].to_vec(), 2, data_at(bytes));
    while at < from {
        let length = 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        if bytes[at + 1] != 0xc4 {
            file.extend_from_slice(&bytes[at..at + length]);
        }
        at += length;
    }
    file.extend_from_slice(&bytes[from..]);
    file
}

#[test]
fn no_tables() {
    if let (Some(bytes), Some(scene)) = (fault("f5_mjpeg_no_dht.jpg"), fault("scene.jpg")) {
        assert!(picture(&bytes) == picture(&scene));
    }
    let names =
        ["jpeg-420.jpg", "jpeg-422.jpg", "jpeg-444.jpg", "jpeg-grey.jpg", "jpeg-restart-rows.jpg", "jpeg-5x7.jpg"];
    for name in names {
        // Written with the tables of K.3, whatever the file had.
        let bytes = Jpeg::read(&golden(name)).unwrap();
        let scan: &[usize] = if bytes.components.len() == 1 { &[0] } else { &[0, 1, 2] };
        let file = bytes.write(&[scan], 4);
        let bare = without_tables(&file);
        assert!(bare.len() + 400 < file.len());
        assert!(picture(&bare) == picture(&golden(name)), "{name}");
    }
    let apart = Jpeg::read(&golden("jpeg-420.jpg")).unwrap().write(SCANS[0], 0);
    assert!(picture(&without_tables(&apart)) == picture(&golden("jpeg-420.jpg")));
    // None are meant in progressive pictures.
    let damaged = decode(&without_tables(&golden("jpeg-progressive.jpg")), &LIMITS);
    assert!(!matches!(damaged, Ok(Picture { damage: None, .. })));
}

/// Cancels at the call of this number.
struct CancelsAt(Cell<u32>);

impl Caller for CancelsAt {
    fn is_cancelled(&self) -> bool {
        self.0.set(self.0.get().saturating_sub(1));
        self.0.get() == 0
    }
}

#[test]
fn checks_are_cancelled() {
    let bytes = golden("jpeg-420.jpg");
    let jpeg = Jpeg::read(&bytes).unwrap();
    for file in [&bytes, &jpeg.write(SCANS[0], 0), &golden("jpeg-progressive.jpg")] {
        let headers = headers(&[], file, Purpose::Picture, &LIMITS).unwrap();
        let caller = CancelsAt(Cell::new(1));
        let limits = Limits { caller: &caller, ..LIMITS };
        let scans = &file[headers.scans..];
        assert_eq!(check::check(headers, scans, &limits), Err(PhotoError::Cancelled));
    }
}
