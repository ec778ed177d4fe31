//! Directories, well formed and hostile.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use super::build::{Builder, Value, ascii, long, short};
use super::*;

#[test]
fn entries_in_both_byte_orders() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let mut builder = Builder::new(order);
        let child = builder.directory(&[(ORIENTATION, short(6))], 0);
        let fields = [
            (WIDTH, short(4000)),
            (HEIGHT, long(70_000)),
            (MAKE, ascii("Maker of cameras")),
            (STRIP_OFFSETS, Value::Long(vec![1, 2, 3])),
            (EXIF_DIRECTORY, long(child)),
            (0xFFFF, Value::Byte(vec![9, 8])),
        ];
        let second = builder.directory(&[], 0);
        let first = builder.directory(&fields, second);
        let bytes = builder.finish(42, first);
        let tiff = Tiff::open(&bytes).unwrap();
        let directory = tiff.first().unwrap();
        assert_eq!(directory.entries().count(), 6);
        assert_eq!((directory.number(WIDTH), directory.number(HEIGHT)), (Some(4000), Some(70_000)));
        assert_eq!(directory.find(MAKE).unwrap().text(), b"Maker of cameras");
        assert_eq!(directory.find(STRIP_OFFSETS).unwrap().numbers().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(directory.find(STRIP_OFFSETS).unwrap().count(), 3);
        assert_eq!(directory.find(0xFFFF).unwrap().numbers().collect::<Vec<_>>(), [9, 8]);
        assert_eq!(directory.number(MAKE), None);
        assert_eq!(directory.child(EXIF_DIRECTORY).unwrap().number(ORIENTATION), Some(6));
        assert_eq!(tiff.directories().len(), 3);
    }
}

#[test]
fn big_tiff() {
    let mut bytes = b"II+\0\x08\0\0\0".to_vec();
    bytes.extend(16_u64.to_le_bytes());
    bytes.extend(2_u64.to_le_bytes());
    for (tag, kind, count, value) in [(ORIENTATION, 3_u16, 1_u64, 8_u64), (SUB_DIRECTORIES, 18, 1, 64)] {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(0_u64.to_le_bytes());
    assert_eq!(bytes.len(), 72);
    let tiff = Tiff::open(&bytes).unwrap();
    assert_eq!(tiff.first().unwrap().number(ORIENTATION), Some(8));
    assert_eq!(tiff.first().unwrap().number(SUB_DIRECTORIES), Some(64));
    assert_eq!(tiff.directories().len(), 2);
}

#[test]
fn values_outside_do_not_exist() {
    let mut builder = Builder::new(ByteOrder::Little);
    let fields = [
        (MAKE, Value::Bare(2, 100, 0xFFFF_FFF0)),
        (WIDTH, Value::Bare(4, u32::MAX, 8)),
        (HEIGHT, Value::Bare(99, 1, 8)),
        (0x9999, Value::Bare(12, 0x2000_0001, 8)),
        (ORIENTATION, short(3)),
    ];
    let first = builder.directory(&fields, 0xFFFF_FFFF);
    let bytes = builder.finish(42, first);
    let directory = Tiff::open(&bytes).unwrap().first().unwrap();
    assert_eq!(directory.entries().map(|entry| entry.tag).collect::<Vec<_>>(), [ORIENTATION]);
    assert_eq!(Tiff::open(&bytes).unwrap().directories().len(), 1);
}

#[test]
fn cut_anywhere() {
    let mut builder = Builder::new(ByteOrder::Big);
    let child = builder.directory(&[(ORIENTATION, short(6)), (MAKE, ascii("Long enough"))], 0);
    let first = builder.directory(&[(EXIF_DIRECTORY, long(child)), (MAKE, ascii("Long enough"))], 0);
    let bytes = builder.finish(42, first);
    for length in 0..bytes.len() {
        if let Some(tiff) = Tiff::open(&bytes[..length]) {
            let _ = tiff.directories().iter().flat_map(|directory| directory.entries()).count();
        }
    }
}

#[test]
fn a_circle_is_walked_once() {
    let mut builder = Builder::new(ByteOrder::Little);
    let (first, second) = (8, 38);
    let towards = |offset| [(SUB_DIRECTORIES, long(offset)), (EXIF_DIRECTORY, long(offset))];
    assert_eq!(builder.directory(&towards(second), second), first);
    assert_eq!(builder.directory(&towards(first), second), second);
    let bytes = builder.finish(42, first);
    assert_eq!(Tiff::open(&bytes).unwrap().directories().len(), 2);
}

#[test]
fn many_large_directories_cost_little() {
    // 65535 entries, each a list of directories that begin two bytes apart.
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend([0xFF, 0xFF]);
    for index in 0..65_535_u32 {
        bytes.extend(SUB_DIRECTORIES.to_le_bytes());
        bytes.extend([4, 0]);
        bytes.extend(16_u32.to_le_bytes());
        bytes.extend((8 + index * 2).to_le_bytes());
    }
    let begin = Instant::now();
    assert!(Tiff::open(&bytes).unwrap().directories().len() <= MAX_DIRECTORIES);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}

#[test]
fn a_long_chain_is_followed_so_far() {
    let mut builder = Builder::new(ByteOrder::Big);
    let first = (0..1000).fold(0, |next, _| builder.directory(&[(ORIENTATION, short(1))], next));
    assert_eq!(Tiff::open(&builder.finish(42, first)).unwrap().directories().len(), MAX_DIRECTORIES);
}
