//! The estimate for files whose quality is known, and for odd ones.
#![allow(clippy::unwrap_used)]

use super::*;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, RgbImage};

fn jpeg(quality: u8) -> Vec<u8> {
    let picture = RgbImage::from_fn(40, 24, |x, y| image::Rgb([(x * 6) as u8, (y * 10) as u8, (x * y) as u8]));
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    encoder.encode(&picture, 40, 24, ExtendedColorType::Rgb8).unwrap();
    bytes
}

/// Whose encoder scales the tables of the standard.
#[test]
fn the_quality_that_was_asked_for() {
    for quality in 1..=100 {
        let found = estimate(&jpeg(quality)).unwrap();
        // Down there many values are cut off at 255.
        assert!(found == quality || quality < 10 && found.abs_diff(quality) <= 1, "{quality}: {found}");
    }
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[0xFF, marker, 0, body.len() as u8 + 2][..], body].concat()
}

/// A baseline frame whose first component has the table of this number.
fn frame(table: u8) -> Vec<u8> {
    segment(0xC0, &[8, 0, 16, 0, 16, 1, 1, 0x11, table])
}

fn file(segments: &[Vec<u8>]) -> Vec<u8> {
    [&[0xFF, 0xD8][..], &segments.concat(), &[0xFF, 0xDA, 0, 2]].concat()
}

#[test]
fn which_table() {
    let table = |quality| LUMINANCE.map(|base| scale(base, quality) as u8);
    let tables = [&[0][..], &table(30), &[1], &table(80)].concat();
    assert_eq!(estimate(&file(&[segment(0xDB, &tables), frame(0)])), Some(30));
    assert_eq!(estimate(&file(&[segment(0xDB, &tables), frame(1)])), Some(80));
    assert_eq!(estimate(&file(&[frame(1), segment(0xDB, &tables)])), Some(80), "between frame and scan");
    assert_eq!(estimate(&file(&[segment(0xDB, &tables), frame(2)])), None);
    // Values of two bytes.
    let wide: Vec<u8> = table(55).iter().flat_map(|value| [0, *value]).collect();
    let wide = [&[0x10][..], &wide].concat();
    assert_eq!(estimate(&file(&[segment(0xDB, &wide), frame(0)])), Some(55));
    // Redefined.
    let again = [segment(0xDB, &tables), segment(0xDB, &[&[0][..], &table(97)].concat()), frame(0)];
    assert_eq!(estimate(&file(&again)), Some(97));
}

#[test]
fn files_without_a_table() {
    let whole = jpeg(75);
    assert_eq!(estimate(&whole), Some(75));
    for end in 0..whole.len() {
        let found = estimate(&whole[..end]);
        assert!(found.is_none() || found == Some(75), "cut off at {end}: {found:?}");
    }
    assert_eq!(estimate(b""), None);
    assert_eq!(estimate(b"\x89PNG\r\n"), None);
    assert_eq!(estimate(&file(&[frame(0)])), None);
    assert_eq!(estimate(&file(&[segment(0xDB, &[0; 20]), frame(0)])), None, "a table that is too short");
}
