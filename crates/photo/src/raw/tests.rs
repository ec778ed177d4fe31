//! Raw files with the layouts of cameras, without their pictures, and hostile ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::ifd::build::{Builder, Value, ascii, boxed, jpeg, long, short};

/// The previews as (start, length).
fn found(bytes: &[u8], format: Format) -> Vec<(usize, usize)> {
    let previews = previews(bytes, format);
    assert!(previews.iter().all(|range| bytes.get(range.clone()).is_some()));
    previews.into_iter().map(|range| (range.start, range.len())).collect()
}

fn place(at: u32, bytes: &[u8]) -> (usize, usize) {
    (usize::try_from(at).unwrap(), bytes.len())
}

fn pointer(at: u32, bytes: &[u8]) -> [(u16, Value); 2] {
    [(ifd::JPEG_OFFSET, long(at)), (ifd::JPEG_LENGTH, long(u32::try_from(bytes.len()).unwrap()))]
}

fn strip_of(at: u32, bytes: &[u8], compression: u16) -> Vec<(u16, Value)> {
    vec![
        (ifd::COMPRESSION, short(compression)),
        (ifd::STRIP_OFFSETS, long(at)),
        (ifd::STRIP_LENGTHS, long(u32::try_from(bytes.len()).unwrap())),
    ]
}

#[test]
fn in_the_chain_and_below_it() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let (small, middle, large) = (jpeg(0xC0, 160, 120, 9), jpeg(0xC2, 1620, 1080, 99), jpeg(0xC0, 6000, 4000, 50));
        let sensor = jpeg(0xC3, 6080, 4044, 500);
        let mut builder = Builder::new(order);
        let at = [&small, &middle, &large, &sensor].map(|bytes| builder.blob(bytes));
        let second = builder.directory(&pointer(at[0], &small), 0);
        let of_large = builder.directory(&pointer(at[2], &large), 0);
        let of_sensor = builder.directory(&strip_of(at[3], &sensor, 7), 0);
        let mut fields = strip_of(at[1], &middle, 6);
        fields.push((ifd::SUB_DIRECTORIES, Value::Long(vec![of_large, of_sensor])));
        let first = builder.directory(&fields, second);
        let bytes = builder.finish(42, first);
        let expected = [place(at[2], &large), place(at[1], &middle), place(at[0], &small)];
        for format in [Format::Nef, Format::Dng, Format::Cr2, Format::Arw, Format::Pef, Format::Srw] {
            assert_eq!(found(&bytes, format), expected);
        }
        assert_eq!(found(&bytes, Format::Tiff), []);
        assert_eq!(found(&bytes, Format::Jpeg), []);
    }
}

#[test]
fn strips_that_are_no_previews() {
    let picture = jpeg(0xC0, 100, 100, 9);
    let mut builder = Builder::new(ByteOrder::Little);
    let at = builder.blob(&picture);
    let length = u32::try_from(picture.len()).unwrap();
    let uncompressed = builder.directory(&strip_of(at, &picture, 1), 0);
    let two = [
        (ifd::COMPRESSION, short(7)),
        (ifd::STRIP_OFFSETS, Value::Long(vec![at, at])),
        (ifd::STRIP_LENGTHS, Value::Long(vec![length, length])),
    ];
    let first = builder.directory(&two, uncompressed);
    assert_eq!(found(&builder.finish(42, first), Format::Dng), []);
}

#[test]
fn panasonic() {
    let picture = jpeg(0xC0, 1920, 1440, 40);
    let mut builder = Builder::new(ByteOrder::Little);
    let first = builder.directory(&[(ifd::MAKE, ascii("Panasonic")), (0x002E, Value::Undefined(picture.clone()))], 0);
    let bytes = builder.finish(0x55, first);
    assert_eq!(&bytes[..4], b"IIU\0");
    let at = bytes.windows(3).position(|window| window == b"\xFF\xD8\xFF").unwrap();
    assert_eq!(found(&bytes, Format::Rw2), [(at, picture.len())]);
}

/// A file whose EXIF directory has a maker's note, which `note` makes for the position where it will be.
fn with_note(magic: u16, note: impl Fn(&Builder, u32) -> Vec<u8>) -> Vec<u8> {
    let mut builder = Builder::new(ByteOrder::Little);
    let note = note(&builder, builder.here());
    let exif = builder.directory(&[(ifd::MAKER_NOTE, Value::Undefined(note))], 0);
    let first = builder.directory(&[(ifd::EXIF_DIRECTORY, long(exif))], 0);
    builder.finish(magic, first)
}

/// A directory of numbers, little-endian, without a next one.
fn table(entries: &[(u16, u32)]) -> Vec<u8> {
    let mut out = u16::try_from(entries.len()).unwrap().to_le_bytes().to_vec();
    for (tag, value) in entries {
        out.extend(tag.to_le_bytes());
        out.extend([4, 0, 1, 0, 0, 0]);
        out.extend(value.to_le_bytes());
    }
    out.extend([0; 4]);
    out
}

/// A note: this head, a table that points at a second one, that one, and a JPEG that it points at. Offsets are relative
/// to `base`, and the note's head is `skip` after it.
fn olympus_note(head: &[u8], base: u32, picture: &[u8]) -> Vec<u8> {
    let head_length = u32::try_from(head.len()).unwrap();
    let settings = base + head_length + 18;
    let picture_at = settings + 30;
    let mut out = head.to_vec();
    out.extend(table(&[(0x2020, settings)]));
    out.extend(table(&[(0x0101, picture_at), (0x0102, u32::try_from(picture.len()).unwrap())]));
    out.extend(picture);
    out
}

#[test]
fn olympus() {
    let picture = jpeg(0xC0, 3200, 2400, 40);
    let heads: [&[u8]; 2] = [b"OLYMPUS\0II\x03\0", b"OM SYSTEM\0\0\0II\x04\0"];
    for head in heads {
        let bytes = with_note(0x4F52, |_, _| olympus_note(head, 0, &picture));
        assert_eq!(&bytes[..4], b"IIRO");
        assert_eq!(found(&bytes, Format::Orf), [(8 + head.len() + 48, picture.len())]);
    }
    let bytes = with_note(0x5352, |_, at| olympus_note(b"OLYMP\0\x01\0", at, &picture));
    assert_eq!(found(&bytes, Format::Orf), [(8 + 8 + 48, picture.len())]);
}

#[test]
fn nikon_and_pentax_notes() {
    let picture = jpeg(0xC0, 570, 375, 40);
    let length = u32::try_from(picture.len()).unwrap();
    let nikon = with_note(42, |_, _| {
        let mut out = b"Nikon\0\x02\x10\0\0II*\0\x08\0\0\0".to_vec();
        out.extend(table(&[(0x0011, 26)]));
        out.extend(table(&[(ifd::JPEG_OFFSET, 56), (ifd::JPEG_LENGTH, length)]));
        out.extend(&picture);
        out
    });
    assert_eq!(found(&nikon, Format::Nef), [(8 + 10 + 56, picture.len())]);
    let pentax = with_note(42, |_, at| {
        let mut out = b"AOC\0II".to_vec();
        out.extend(table(&[(0x0003, length), (0x0004, at + 36)]));
        out.extend(&picture);
        out
    });
    assert_eq!(found(&pentax, Format::Pef), [(8 + 36, picture.len())]);
}

#[test]
fn fujifilm() {
    let picture = jpeg(0xC0, 1920, 1280, 40);
    let mut bytes = b"FUJIFILMCCD-RAW 0201".to_vec();
    bytes.resize(84, 0);
    bytes.extend(148_u32.to_be_bytes());
    bytes.extend(u32::try_from(picture.len()).unwrap().to_be_bytes());
    bytes.resize(148, 0);
    bytes.extend(&picture);
    assert_eq!(found(&bytes, Format::Raf), [(148, picture.len())]);
    bytes.truncate(bytes.len() - 1);
    assert_eq!(found(&bytes, Format::Raf), []);
    assert_eq!(found(&bytes[..80], Format::Raf), []);
}

/// A CR3 file with a thumbnail, a preview and a full-size track, whose sample is at the end.
fn cr3(offset_kind: &[u8; 4]) -> (Vec<u8>, [usize; 3]) {
    let (thumb, preview, full) = (jpeg(0xC0, 160, 120, 9), jpeg(0xC0, 1620, 1080, 30), jpeg(0xC0, 6000, 4000, 77));
    let of_size = |picture: &[u8]| u32::try_from(picture.len()).unwrap().to_be_bytes();
    let thmb = [&[0, 0, 0, 0, 0, 160, 0, 120][..], &of_size(&thumb), &[0, 1, 0, 0], &thumb].concat();
    let prvw = [&[0, 0, 0, 0, 0, 1, 6, 84, 4, 56, 0, 1][..], &of_size(&preview), &preview].concat();
    let layout = |offset: u32| {
        let stsz = boxed(b"stsz", &[&[0; 4][..], &of_size(&full), &1_u32.to_be_bytes()].concat());
        let number = if offset_kind == b"co64" {
            u64::from(offset).to_be_bytes().to_vec()
        } else {
            offset.to_be_bytes().to_vec()
        };
        let offsets = boxed(offset_kind, &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &number].concat());
        let stbl = boxed(b"stbl", &[stsz, offsets].concat());
        let trak = boxed(b"trak", &boxed(b"mdia", &boxed(b"minf", &stbl)));
        let canon = boxed(b"uuid", &[&[0x85; 16][..], &boxed(b"CNCV", b"x"), &boxed(b"THMB", &thmb)].concat());
        let named = boxed(b"uuid", &[&[0xEA; 16][..], &[0, 0, 0, 0, 0, 0, 0, 1], &boxed(b"PRVW", &prvw)].concat());
        let ftyp = boxed(b"ftyp", b"crx \0\0\0\x01crx isom");
        [ftyp, boxed(b"moov", &[canon, trak].concat()), named, boxed(b"mdat", &full)].concat()
    };
    let length = layout(0).len();
    let bytes = layout(u32::try_from(length - full.len()).unwrap());
    let at = |picture: &[u8]| bytes.windows(picture.len()).position(|window| window == picture).unwrap();
    let places = [at(&full), at(&preview), at(&thumb)];
    (bytes, places)
}

#[test]
fn canon_boxes() {
    for kind in [b"co64", b"stco"] {
        let (bytes, places) = cr3(kind);
        assert_eq!(previews(&bytes, Format::Cr3).iter().map(|range| range.start).collect::<Vec<_>>(), places);
    }
}

#[test]
fn places_outside_and_nonsense() {
    let picture = jpeg(0xC0, 640, 480, 40);
    let mut builder = Builder::new(ByteOrder::Little);
    let at = builder.blob(&picture);
    let nonsense = builder.blob(b"\xFF\xD8\xFF\xFF\xFF\xFF no JPEG at all");
    let pairs =
        [(u32::MAX, u32::MAX), (at, u32::MAX), (at, 0), (at, 2), (at, 40), (at + 1, 30), (0, 8), (nonsense, 20)];
    let mut next = 0;
    for (offset, length) in pairs {
        next = builder.directory(&[(ifd::JPEG_OFFSET, long(offset)), (ifd::JPEG_LENGTH, long(length))], next);
    }
    // A duplicate, and one that overlaps: the longest of those with the same start stays.
    let twice = builder.directory(&pointer(at, &picture), next);
    let first = builder.directory(&pointer(at, &picture), twice);
    assert_eq!(found(&builder.finish(42, first), Format::Arw), [place(at, &picture)]);
}

#[test]
fn circles() {
    let picture = jpeg(0xC0, 640, 480, 40);
    let mut builder = Builder::new(ByteOrder::Little);
    let at = builder.blob(&picture);
    let mut fields = pointer(at, &picture).to_vec();
    let first = builder.here();
    fields.push((ifd::SUB_DIRECTORIES, long(first)));
    fields.push((ifd::EXIF_DIRECTORY, long(first)));
    assert_eq!(builder.directory(&fields, first), first);
    assert_eq!(found(&builder.finish(42, first), Format::Dng), [place(at, &picture)]);
}

#[test]
fn no_more_than_sixteen() {
    let mut builder = Builder::new(ByteOrder::Big);
    let mut next = 0;
    for side in 1..40 {
        let picture = jpeg(0xC0, side, side, 4);
        let at = builder.blob(&picture);
        next = builder.directory(&pointer(at, &picture), next);
    }
    assert_eq!(found(&builder.finish(42, next), Format::Dng).len(), 16);
}

#[test]
fn hostile_sizes_cost_little() {
    let begin = Instant::now();
    // A directory of 65535 entries, each a maker's note or a list of directories.
    for tag in [ifd::MAKER_NOTE, ifd::SUB_DIRECTORIES, ifd::JPEG_OFFSET, 0x002E] {
        let mut bytes = b"II*\0\x08\0\0\0\xFF\xFF".to_vec();
        for index in 0..65_535_u32 {
            bytes.extend(tag.to_le_bytes());
            bytes.extend([4, 0, 16, 0, 0, 0]);
            bytes.extend((index * 7).to_le_bytes());
        }
        let _ = found(&bytes, Format::Nef);
    }
    // A "JPEG" of fill bytes, at 256 positions.
    let mut builder = Builder::new(ByteOrder::Little);
    let at = builder.blob(&[&b"\xFF\xD8"[..], &vec![0xFF; 4_000_000]].concat());
    let mut next = 0;
    for skip in 0..60 {
        next = builder.directory(&[(ifd::JPEG_OFFSET, long(at)), (ifd::JPEG_LENGTH, long(3_999_000 + skip))], next);
    }
    assert_eq!(found(&builder.finish(42, next), Format::Nef), []);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for (head, format) in [
            (&b"II*\0\x08\0\0\0"[..], Format::Nef),
            (b"IIRO\x08\0\0\0", Format::Orf),
            (b"FUJIFILMCCD-RAW ", Format::Raf),
            (b"\0\0\0\x08ftyp", Format::Cr3),
        ] {
            let _ = found(&[head, &bytes].concat(), format);
        }
    }

    #[test]
    fn broken_anywhere(at in 0_usize..2000, byte: u8, length in 0_usize..2000) {
        let picture = jpeg(0xC0, 3200, 2400, 40);
        let note = with_note(0x4F52, |_, _| olympus_note(b"OLYMPUS\0II\x03\0", 0, &picture));
        for (bytes, format) in [(cr3(b"co64").0, Format::Cr3), (note, Format::Orf)] {
            let mut bytes = bytes;
            let (at, length) = (at % bytes.len(), length % bytes.len());
            bytes[at] = byte;
            let _ = found(&bytes, format);
            let _ = found(&bytes[..length], format);
        }
    }
}
