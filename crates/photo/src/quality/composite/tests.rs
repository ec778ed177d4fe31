//! The examples of the preceding catalog by its own formula, and what has to hold for all images.

use super::*;
use proptest::prelude::*;

/// The variance that has 0.8 of the points, as in all examples.
const SHARP: f64 = 1200.0;

fn points(format: &str, quality: Option<u8>, megapixels: i64, bytes: i64, sharpness: Option<f64>) -> [f64; 4] {
    let (width, height) = (Some(1000), Some(megapixels * 1000));
    [
        format_points(format, quality),
        resolution_points(width, height),
        size_points(Some(bytes), width, height),
        sharpness_points(sharpness),
    ]
}

fn total([format, resolution, size, sharpness]: [f64; 4]) -> f64 {
    score(format, resolution, size, sharpness)
}

/// Section 1.14 prints 85 and 61, 71 and 60, 76 and 61 for these; its formula gives other sums, which it lists too.
#[test]
fn worked_examples() {
    for (format, megapixels, bytes, expected) in [
        ("nef", 24, 25_000_000, 76.27),
        ("jpeg", 24, 4_000_000, 59.52),
        ("jpeg", 48, 12_000_000, 62.02),
        ("jpeg", 12, 3_000_000, 57.41),
        ("jpeg", 24, 12_000_000, 60.18),
        ("jpeg", 24, 2_000_000, 59.35),
    ] {
        let parts = points(format, None, megapixels, bytes, Some(SHARP));
        assert_eq!(total(parts), expected, "{format} of {megapixels} megapixels: {parts:?}");
    }
    let parts = points("nef", None, 24, 25_000_000, Some(SHARP));
    for (part, expected) in parts.iter().zip([40.0, 26.183_5, 2.083_3, 8.0]) {
        assert!((part - expected).abs() < 1e-4, "{parts:?}");
    }
}

#[test]
fn formats() {
    for (expected, names) in [
        (40.0, &["cr2", "cr3", "nef", "arw", "dng", "raf", "orf", "rw2", "pef", "srw", "CR2", "Nef"][..]),
        (35.0, &["tiff", "tif", "png", "TIFF", "Png"]),
        (30.0, &["bmp", "BMP"]),
        (25.0, &["jpeg", "jpg", "JPEG", "Jpg"]),
        (20.0, &["webp", "heic", "heif", "avif", "HEIC"]),
        (15.0, &["gif", "jxl", "psd", "", "jpegs"]),
    ] {
        for name in names {
            assert_eq!(format_points(name, None), expected, "{name}");
        }
    }
    // The limits of the classes of JPEG, and no class of anything else.
    for (quality, expected) in [(1, 20.0), (69, 20.0), (70, 25.0), (90, 25.0), (91, 30.0), (100, 30.0)] {
        assert_eq!(format_points("JPEG", Some(quality)), expected, "{quality}");
        assert_eq!(format_points("png", Some(quality)), 35.0, "{quality}");
    }
}

#[test]
fn unknown_values_have_no_points() {
    for unknown in [None, Some(0), Some(-1), Some(i64::MIN)] {
        assert_eq!(resolution_points(unknown, Some(1000)), 0.0);
        assert_eq!(resolution_points(Some(1000), unknown), 0.0);
        assert_eq!(size_points(unknown, Some(1000), Some(1000)), 0.0);
        assert_eq!(size_points(Some(1000), unknown, Some(1000)), 0.0);
    }
    for unknown in [None, Some(0.0), Some(-1.0), Some(f64::NAN), Some(f64::INFINITY)] {
        assert_eq!(sharpness_points(unknown), 0.0);
    }
    assert_eq!(score(15.0, 0.0, 0.0, 0.0), 15.0);
    assert_eq!(score(40.0, 30.0, 20.0, 10.0), 100.0);
}

#[test]
fn limits() {
    assert_eq!(resolution_points(Some(i64::MAX), Some(i64::MAX)), 30.0);
    assert_eq!(size_points(Some(i64::MAX), Some(1), Some(1)), 20.0);
    assert_eq!(size_points(Some(10_000_000), Some(1000), Some(1000)), 20.0);
    assert_eq!(size_points(Some(5_000_000), Some(1000), Some(1000)), 10.0);
    assert_eq!(sharpness_points(Some(300.0)), 5.0);
    assert_eq!(sharpness_points(Some(1200.0)), 8.0);
    assert_eq!(sharpness_points(Some(100.0)), 2.5);
}

proptest! {
    #[test]
    fn more_is_never_worse(
        sides in prop::array::uniform4(1i64..20_000),
        bytes in prop::array::uniform2(1i64..100 << 20),
        variances in prop::array::uniform2(0f64..10_000.0),
        qualities in prop::array::uniform2(1u8..=100),
    ) {
        let mut pictures = [(sides[0], sides[1]), (sides[2], sides[3])];
        pictures.sort_by_key(|(width, height)| width * height);
        let [fewer, more] = pictures.map(|(width, height)| resolution_points(Some(width), Some(height)));
        prop_assert!((0.0..=more).contains(&fewer) && more <= 30.0);
        let size = |bytes| size_points(Some(bytes), Some(sides[0]), Some(sides[1]));
        let (small, large) = (size(bytes[0].min(bytes[1])), size(bytes[0].max(bytes[1])));
        prop_assert!((0.0..=large).contains(&small) && large <= 20.0);
        let blurred = sharpness_points(Some(variances[0].min(variances[1])));
        let sharp = sharpness_points(Some(variances[0].max(variances[1])));
        prop_assert!((0.0..=sharp).contains(&blurred) && sharp < 10.0);
        let of = |quality| format_points("jpeg", Some(quality));
        prop_assert!(of(qualities[0].min(qualities[1])) <= of(qualities[0].max(qualities[1])));
        let whole = score(of(qualities[0]), more, large, sharp);
        prop_assert!((whole - of(qualities[0]) - more - large - sharp).abs() < 0.005 + 1e-4);
        prop_assert!((0.0..=100.0).contains(&whole));
    }
}
