//! The worked examples of the predecessor, and what has to hold for all images.

use super::*;
use proptest::prelude::*;

const NOTHING: Present = Present {
    make: false,
    model: false,
    lens: false,
    focal_length: false,
    aperture: false,
    shutter: false,
    iso: false,
    latitude: false,
    longitude: false,
};
const CAMERA: Present = Present { make: true, model: true, ..NOTHING };
const ALL_BUT_PLACE: Present =
    Present { lens: true, focal_length: true, aperture: true, shutter: true, iso: true, ..CAMERA };
const ALL: Present = Present { latitude: true, longitude: true, ..ALL_BUT_PLACE };

const KIB: i64 = 1 << 10;
const MIB: i64 = 1 << 20;

/// Format, width, height and bytes; overall, and the four parts.
type Example = (&'static str, i64, i64, i64, Present, f64, [f64; 4]);

/// The table of section 1.14, row by row.
const EXAMPLES: &[Example] = &[
    ("cr2", 6720, 4480, 30 * MIB, ALL_BUT_PLACE, 95.22, [100.0, 97.774, 86.667, 80.0]),
    ("cr2", 6000, 4000, 25 * MIB, NOTHING, 85.08, [100.0, 93.077, 83.333, 0.0]),
    ("jpeg", 6000, 4000, 5 * MIB, NOTHING, 72.76, [70.0, 93.077, 81.25, 0.0]),
    ("jpeg", 4000, 3000, 8 * MIB, NOTHING, 71.04, [70.0, 83.333, 92.5, 0.0]),
    ("jpeg", 1920, 1080, 3 * MIB, CAMERA, 63.15, [70.0, 60.245, 73.75, 30.0]),
    ("jpeg", 1920, 1080, 3 * MIB, ALL_BUT_PLACE, 68.15, [70.0, 60.245, 73.75, 80.0]),
    ("jpeg", 1920, 1080, 3 * MIB, NOTHING, 60.15, [70.0, 60.245, 73.75, 0.0]),
    ("jpeg", 1920, 1080, 2 * MIB, NOTHING, 59.59, [70.0, 60.245, 70.0, 0.0]),
    ("png", 2048, 1536, 5 * MIB, NOTHING, 68.52, [85.0, 63.819, 81.25, 0.0]),
    ("png", 2048, 1536, 8 * MIB, NOTHING, 70.21, [85.0, 63.819, 92.5, 0.0]),
    ("tiff", 8000, 6000, 35 * MIB, NOTHING, 86.0, [90.0, 100.0, 100.0, 0.0]),
    ("tiff", 4000, 3000, 15 * MIB, NOTHING, 77.92, [90.0, 83.333, 85.0, 0.0]),
    ("tiff", 2000, 1500, 5 * MIB, NOTHING, 64.17, [90.0, 63.333, 40.0, 0.0]),
    ("jpeg", 640, 480, 100 * KIB, NOTHING, 33.47, [70.0, 12.288, 7.812, 0.0]),
    ("gif", 320, 240, 100 * KIB, NOTHING, 18.25, [40.0, 3.072, 7.812, 0.0]),
];

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance
}

#[test]
fn worked_examples() {
    for (format, width, height, bytes, present, score, parts) in EXAMPLES {
        let found = [
            format_score(format),
            resolution_score(Some(*width), Some(*height)),
            size_score(format, Some(*bytes)),
            metadata_score(*present),
        ];
        // The table has three decimals.
        assert!(found.iter().zip(parts).all(|(a, b)| close(*a, *b, 0.000_501)), "{found:?} {parts:?}");
        let [format, resolution, size, metadata] = found;
        assert_eq!(overall(format, resolution, size, metadata), *score);
    }
}

#[test]
fn formats() {
    for (score, names) in [
        (100.0, &["cr2", "cr3", "nef", "arw", "dng", "raf", "orf", "rw2", "pef", "srw", "CR2", "Nef"][..]),
        (90.0, &["tiff", "tif", "TIFF", "Tif"]),
        (85.0, &["png", "PNG"]),
        (80.0, &["heic", "heif", "HEIC"]),
        (70.0, &["jpeg", "jpg", "JPEG", "JPG", "Jpg"]),
        (60.0, &["webp", "WebP"]),
        (50.0, &["bmp", "BMP", "", "avif", "jxl", "psd", "jpegs", "jp"]),
        (40.0, &["gif", "GIF"]),
    ] {
        for name in names {
            assert_eq!(format_score(name), score, "{name}");
        }
    }
    // Every detectable format is scored by its name.
    use crate::Format;
    for format in [Format::Dng, Format::Cr2, Format::Cr3, Format::Nef, Format::Arw, Format::Orf, Format::Rw2] {
        assert_eq!(format_score(format.name()), 100.0);
    }
    for format in [Format::Raf, Format::Pef, Format::Srw] {
        assert_eq!(format_score(format.name()), 100.0);
    }
    assert_eq!(format_score(Format::Jpeg.name()), 70.0);
    assert_eq!(format_score(Format::Tiff.name()), 90.0);
    assert_eq!(format_score(Format::WebP.name()), 60.0);
}

#[test]
fn resolutions() {
    let score = |width, height| resolution_score(Some(width), Some(height));
    assert_eq!(score(7680, 4320), 100.0);
    assert!(close(score(3840, 2160), 80.2453, 0.000_05));
    assert!(close(score(1920, 1080), 60.2453, 0.000_05));
    assert!(close(score(1280, 720), 36.864, 1e-9));
    // The corners of the scale, in thousands of pixels.
    for (thousands, expected) in [(500, 20.0), (1000, 40.0), (1500, 50.0), (2000, 60.0), (5000, 70.0), (8000, 80.0)] {
        assert_eq!(score(1000, thousands), expected);
    }
    for (thousands, expected) in [(14_000, 85.0), (20_000, 90.0), (26_500, 95.0), (33_000, 100.0), (90_000, 100.0)] {
        assert_eq!(score(1000, thousands), expected);
    }
    assert_eq!(score(i64::MAX, i64::MAX), 100.0);
    for unknown in [None, Some(0), Some(-1), Some(i64::MIN)] {
        assert_eq!(resolution_score(unknown, Some(1000)), 0.0);
        assert_eq!(resolution_score(Some(1000), unknown), 0.0);
        assert_eq!(resolution_score(unknown, unknown), 0.0);
    }
}

#[test]
fn sizes() {
    let kib = |format, kib| size_score(format, Some(kib * KIB));
    for raw in ["cr2", "cr3", "nef", "arw", "dng", "NEF"] {
        assert_eq!([10, 20, 35, 50, 900].map(|mib| kib(raw, mib * 1024)), [40.0, 80.0, 90.0, 100.0, 100.0]);
    }
    for tiff in ["tiff", "tif", "TIF"] {
        assert_eq!([5, 10, 20, 30, 900].map(|mib| kib(tiff, mib * 1024)), [40.0, 80.0, 90.0, 100.0, 100.0]);
    }
    // Other raw formats have the common size scale.
    for other in ["jpeg", "JPG", "png", "gif", "", "raf", "orf", "rw2", "pef", "srw"] {
        let scores = [256, 512, 1280, 2048, 6 * 1024, 10 * 1024, 900 * 1024].map(|size| kib(other, size));
        assert_eq!(scores, [20.0, 40.0, 55.0, 70.0, 85.0, 100.0, 100.0]);
    }
    for unknown in [None, Some(0), Some(-1), Some(i64::MIN)] {
        assert!(["cr2", "tiff", "jpeg", ""].iter().all(|format| size_score(format, unknown) == 0.0));
    }
    assert_eq!(size_score("cr2", Some(i64::MAX)), 100.0);
}

#[test]
fn facts() {
    assert_eq!(metadata_score(NOTHING), 0.0);
    assert_eq!(metadata_score(Present::default()), 0.0);
    assert_eq!(metadata_score(CAMERA), 30.0);
    assert_eq!(metadata_score(Present { iso: true, ..CAMERA }), 40.0);
    assert_eq!(metadata_score(ALL_BUT_PLACE), 80.0);
    assert_eq!(metadata_score(ALL), 100.0);
    let each: [(Present, f64); 9] = [
        (Present { make: true, ..NOTHING }, 15.0),
        (Present { model: true, ..NOTHING }, 15.0),
        (Present { lens: true, ..NOTHING }, 10.0),
        (Present { focal_length: true, ..NOTHING }, 10.0),
        (Present { aperture: true, ..NOTHING }, 10.0),
        (Present { shutter: true, ..NOTHING }, 10.0),
        (Present { iso: true, ..NOTHING }, 10.0),
        (Present { latitude: true, ..NOTHING }, 10.0),
        (Present { longitude: true, ..NOTHING }, 10.0),
    ];
    for (present, score) in each {
        assert_eq!(metadata_score(present), score, "{present:?}");
    }
}

#[test]
fn weights_and_rounding() {
    assert_eq!(overall(0.0, 0.0, 0.0, 0.0), 0.0);
    assert_eq!(overall(100.0, 100.0, 100.0, 100.0), 100.0);
    assert_eq!(overall(100.0, 0.0, 0.0, 0.0), 40.0);
    assert_eq!(overall(0.0, 100.0, 0.0, 0.0), 35.0);
    assert_eq!(overall(0.0, 0.0, 100.0, 0.0), 15.0);
    assert_eq!(overall(0.0, 0.0, 0.0, 100.0), 10.0);
    assert_eq!(overall(85.0, 12.3456, 0.0, 0.0), 38.32);
    // Halfway between two: the even one, like the predecessor.
    assert_eq!(overall(0.0, 0.0, 0.0, 1.25), 0.12);
    assert_eq!(overall(0.0, 0.0, 0.0, 3.75), 0.38);
}

/// Better in one thing and equal in the others: more.
#[test]
fn what_decides() {
    let same = |format| overall(format_score(format), 83.0, size_score(format, Some(30 * MIB)), 0.0);
    assert!(same("nef") > same("jpeg"), "raw beats JPEG of the same size");
    assert!(overall(70.0, 83.0, 92.5, 80.0) > overall(70.0, 83.0, 92.5, 30.0));
}

proptest! {
    #[test]
    fn more_pixels_and_bytes_score_no_less(
        sides in prop::array::uniform4(1i64..20_000),
        bytes in prop::array::uniform2(1i64..100 << 20),
        format in prop::sample::select(vec!["cr2", "tiff", "jpeg"]),
    ) {
        let mut pictures = [(sides[0], sides[1]), (sides[2], sides[3])];
        pictures.sort_by_key(|(width, height)| width * height);
        let [x, y] = pictures.map(|(width, height)| resolution_score(Some(width), Some(height)));
        prop_assert!(x <= y, "{:?}", pictures);
        let [small, large] = [bytes[0].min(bytes[1]), bytes[0].max(bytes[1])].map(|b| size_score(format, Some(b)));
        prop_assert!(small <= large);
        prop_assert!([x, y, small, large].iter().all(|score| (0.0..=100.0).contains(score)));
        let rounded = overall(70.0, x, large, 30.0);
        prop_assert!(close(rounded, 28.0 + 0.35 * x + 0.15 * large + 3.0, 0.005 + 1e-9));
        prop_assert!(close(rounded * 100.0, (rounded * 100.0).round(), 1e-9));
        prop_assert!((0.0..=100.0).contains(&rounded));
    }
}
