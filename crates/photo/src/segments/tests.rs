//! Heads of JPEG files.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::ifd::build::{jpeg, jpeg_with_exif};

#[test]
fn frames() {
    for process in 0xC0..=0xCF_u8 {
        let found = frame(&jpeg(process, 640, 480, 4));
        let expected = FrameHeader { process, width: 640, height: 480 };
        let none = matches!(process, 0xC4 | 0xC8 | 0xCC);
        assert_eq!(found, (!none).then_some(expected));
        assert_eq!(found.is_some_and(|frame| frame.is_picture()), process <= 0xC2);
    }
    assert!(!frame(&jpeg(0xC0, 0, 480, 4)).unwrap().is_picture());
    assert_eq!(frame(b"\xFF\xD8\xFF\xDA\0\x02"), None);
    assert_eq!(frame(b"not a JPEG"), None);
    assert_eq!(frame(b""), None);
}

#[test]
fn fill_bytes() {
    let filled = |count| [&b"\xFF\xD8"[..], &vec![0xFF; count], &jpeg(0xC0, 640, 480, 4)[2..]].concat();
    assert!(frame(&filled(10)).is_some());
    assert_eq!(frame(&filled(MAX_FILL)), None);
}

#[test]
fn no_more_than_so_many() {
    let comments = b"\xFF\xFE\0\x02".repeat(MAX_SEGMENTS);
    let bytes = [b"\xFF\xD8", &comments[..], &jpeg(0xC0, 640, 480, 4)[2..]].concat();
    assert_eq!(frame(&bytes), None);
    assert!(frame(&[b"\xFF\xD8", &bytes[6..]].concat()).is_some());
}

#[test]
fn exif_behind_other_applications() {
    let with = jpeg_with_exif(b"TIFF structure", 64, 48);
    assert_eq!(exif(&with), Some(&b"TIFF structure"[..]));
    let other = b"\xFF\xE0\0\x04JF\xFF\xE1\0\x06http";
    assert_eq!(exif(&[b"\xFF\xD8", &other[..], &with[2..]].concat()), Some(&b"TIFF structure"[..]));
    // If truncated, the remaining part is returned.
    assert_eq!(exif(&with[..17]), Some(&b"TIFF "[..]));
    assert_eq!(exif(&jpeg(0xC0, 64, 48, 4)), None);
}
