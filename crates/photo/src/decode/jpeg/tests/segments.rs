//! Segments that pixels do not need, or need otherwise than the decoder takes them.

use super::naive::Jpeg;
use super::*;
use crate::picture::Pixels;
use std::time::{Duration, Instant};

/// Counts how often it is asked.
#[derive(Default)]
pub(super) struct Asked(pub(super) Cell<usize>);

impl Caller for Asked {
    fn is_cancelled(&self) -> bool {
        self.0.set(self.0.get() + 1);
        false
    }
}

/// A segment that defines as many tables without codes as it holds.
fn many_tables() -> Vec<u8> {
    let count = 0xfff0 / 17;
    let table = [[0x03].as_slice(), &[0; 16]].concat();
    let [high, low] = (2 + 17 * count as u16).to_be_bytes();
    [[0xff, 0xc4, high, low].as_slice(), &table.repeat(count)].concat()
}

#[test]
fn tables_in_great_number() {
    let bytes = golden("jpeg-420.jpg");
    let whole = picture(&bytes);
    let (from, end) = (data_at(&bytes), bytes.len() - 2);
    let tables = many_tables().repeat(40);
    let empty = [0xff, 0xfe, 0, 2].repeat(1 << 19);
    for file in [
        [&bytes[..2], &tables, &bytes[2..]].concat(),
        [&bytes[..end], &tables, &bytes[end..]].concat(),
        [&bytes[..from], &empty, &bytes[from..]].concat(),
        [&bytes[..end], &empty, &bytes[end..]].concat(),
    ] {
        let caller = Asked::default();
        let limits = Limits { caller: &caller, ..LIMITS };
        let start = Instant::now();
        let headers = headers(&[], &file, Purpose::Picture, &limits).unwrap();
        let scans = &file[headers.scans..];
        check::check(headers, scans, &limits).unwrap();
        // Every 64 KB or so; and none of the tables is built, which would take a minute.
        assert!(caller.0.get() >= file.len() >> 17, "{} of {}", caller.0.get(), file.len());
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        assert!(picture(&file).pixels == whole.pixels);
    }
}

/// A segment with this marker and body.
pub(super) fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = (2 + body.len() as u16).to_be_bytes();
    [&[0xff, marker, high, low], body].concat()
}

/// Where the markers are that follow the data of each scan.
fn behind_scans(bytes: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = data_at(bytes);
    while bytes[at + 1] != 0xd9 {
        let is_scan = bytes[at + 1] == 0xda;
        at += 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        if is_scan {
            let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
            at += bytes[at..].windows(2).position(is_marker).unwrap();
            ends.push(at);
        }
    }
    ends
}

/// What libjpeg skips, or reads and needs no more, between scans and before the end: the decoder stops at some of it.
#[test]
fn segments_behind_scans() {
    let mut others: Vec<Vec<u8>> = [0xdc, 0xe3, 0xeb, 0xec, 0xef, 0xe0, 0xe1, 0xe2, 0xed, 0xee, 0xfe]
        .iter()
        .flat_map(|&marker| [segment(marker, &[0, 0]), segment(marker, b"\xff\xd9\xff\xda\xff\xeb")])
        .collect();
    others.push(vec![0xff, 0x01]);
    others.push(vec![0xff, 0x01, 0xff, 0xff, 0x01, 0xff, 0xd5]);
    // A table of one code, and one that cannot be, with numbers that no scan names.
    for counts in [[1, 0], [3, 0]] {
        let table = [&[0x03], &counts[..], &[0; 14], &[0; 3][..counts[0].into()]].concat();
        others.push(segment(0xc4, &table));
    }
    others.push(segment(0xdd, &[0, 0]));
    others.push(segment(0xe4, &[0xff; 300]).repeat(70));
    let narrow = narrow();
    for (name, bytes) in GOLDEN.iter().map(|(name, _)| (*name, golden(name))).chain([("narrow", narrow)]) {
        let whole = picture(&bytes);
        assert_eq!(whole.damage, None);
        for at in behind_scans(&bytes) {
            for other in &others {
                let found = picture(&[&bytes[..at], other, &bytes[at..]].concat());
                assert_eq!(found.damage, None, "{name} {at} {:x?}", &other[..4.min(other.len())]);
                assert!(found == whole, "{name} {at} {:x?}", &other[..4.min(other.len())]);
            }
        }
    }
}

/// A picture a block wide, each of one grey: a few bits in each row.
fn narrow() -> Vec<u8> {
    let mut jpeg = Jpeg::read(&golden("jpeg-grey.jpg")).unwrap();
    let frame = jpeg.headers.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg.headers[frame + 5..frame + 9].copy_from_slice(&[0, 64, 0, 8]);
    let component = &mut jpeg.components[0];
    (jpeg.units, component.own, component.across) = ((1, 8), (1, 8), 1);
    component.blocks.truncate(8);
    for (place, block) in component.blocks.iter_mut().enumerate() {
        *block = [0; 64];
        block[0] = place as i32 * 8 - 40;
    }
    jpeg.write(&[&[0]], 0)
}

#[test]
fn a_scan_comes_twice() {
    let bytes = narrow();
    let whole = picture(&bytes);
    let Pixels::Grey(pixels) = &whole.pixels else { panic!("no grey") };
    assert!(pixels[..8] != pixels[8 * 8..9 * 8] && pixels[..8] != pixels[63 * 8..]);
    let end = bytes.len() - 2;
    // A second scan of the same component.
    let again = [&bytes[..end], &bytes[data_at(&bytes)..]].concat();
    assert!(picture(&again) == whole);
}

/// The quantization steps of a table, in a segment.
fn steps(number: u8, step: impl Fn(u16) -> u16, is_wide: bool) -> Vec<u8> {
    let steps = (0..64).map(|place| step(place).to_be_bytes());
    let body = steps.flat_map(|[high, low]| if is_wide { vec![high, low] } else { vec![low] });
    segment(0xdb, &[u8::from(is_wide) << 4 | number].into_iter().chain(body).collect::<Vec<_>>())
}

/// A component has the steps that are in effect at its first scan.
#[test]
fn quantization_between_scans() {
    let luma = |place: u16| 3 + place / 4;
    let chroma = |place: u16| 9 + place;
    let apart = Jpeg::read(&golden("jpeg-420.jpg")).unwrap().write(SCANS[0], 0);
    for (name, bytes) in [("apart", apart), ("progressive", progressive_apart())] {
        let from = data_at(&bytes);
        let frame = bytes.windows(2).position(|marker| matches!(marker, [0xff, 0xc0 | 0xc2])).unwrap();
        let numbered = |numbers: [u8; 3]| {
            let mut file = bytes[..from].to_vec();
            (0..3).for_each(|index| file[frame + 12 + 3 * index] = numbers[index]);
            file
        };
        let behind = behind_scans(&bytes)[0];
        let (scan, others) = (&bytes[from..behind], &bytes[behind..]);
        let before = [steps(0, luma, false), steps(1, chroma, true), steps(2, chroma, false)].concat();
        let expected = picture(&[&numbered([0, 1, 2])[..], &before, scan, others].concat());
        assert_eq!(expected.damage, None, "{name}");
        // Another table between the scans, for the others and for what has one: of the number of the first, or none.
        for is_wide in [false, true] {
            let (table, other) = (steps(0, chroma, is_wide), steps(3, chroma, is_wide));
            let files = [
                [&numbered([0, 0, 0])[..], &steps(0, luma, is_wide), scan, &table, others],
                [&numbered([0, 0, 0])[..], &steps(0, luma, is_wide), scan, &table.repeat(70), others],
                [&numbered([0, 3, 3])[..], &steps(0, luma, is_wide), scan, &other, others],
            ];
            for (index, file) in files.iter().enumerate() {
                assert!(picture(&file.concat()) == expected, "{name} {index}");
            }
        }
        let none = [&numbered([0, 3, 3])[..], &steps(0, luma, false), scan, others].concat();
        assert!(matches!(decode(&none, &LIMITS), Err(PhotoError::Damaged { .. })), "{name}");
    }
}

/// A progressive picture of which each scan has one component.
fn progressive_apart() -> Vec<u8> {
    let bytes = Jpeg::read(&golden("jpeg-420.jpg")).unwrap().write(SCANS[0], 0);
    let headers = headers(&[], &bytes, Purpose::Picture, &LIMITS).unwrap();
    let scans = &bytes[headers.scans..];
    let (copy, damage) = check::check(headers, scans, &LIMITS).unwrap();
    assert!(damage.is_none() && copy.windows(2).any(|marker| marker == [0xff, 0xc2]));
    copy
}
