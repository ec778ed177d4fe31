//! The composite score of an image: points for its format (up to 40), resolution (30), size (20) and sharpness (10).
//!
//! Unlike the quality score it tells files of one camera apart by what was done to them: the size counts in proportion
//! to the pixels, a JPEG by how strongly it is compressed, and the picture by its sharpness. The points are those that
//! the preceding catalog planned ("Designed 2026-01-01"); the classes of JPEG and the scale of sharpness are ours.
//! Unknown or nonsensical values have no points, an unknown format those of the least one.

#[cfg(test)]
mod tests;

use super::{RAW, TIFF, is_one_of, rounded};

/// The most points of format, resolution, size and sharpness.
pub const MOST: [f64; 4] = [40.0, 30.0, 20.0, 10.0];

/// Formats and their points. JPEG is in [`jpeg_points`].
const FORMATS: &[(f64, &[&str])] =
    &[(40.0, RAW), (35.0, TIFF), (35.0, &["png"]), (30.0, &["bmp"]), (20.0, &["webp", "heic", "heif", "avif"])];
const OTHER_FORMAT: f64 = 15.0;

/// The variance of the Laplacian that has half the points: of pictures whose longer side has 512 pixels, blurred ones
/// are below 100, sharp ones beyond 500.
const HALF_SHARP: f64 = 300.0;

/// The points of a JPEG file: those of BMP above an estimated quality of 90, those of WebP below 70. Between, or where
/// the quality is not known, 25.
fn jpeg_points(quality: Option<u8>) -> f64 {
    match quality {
        Some(91..) => 30.0,
        Some(..70) => 20.0,
        _ => 25.0,
    }
}

/// The points of a format, by its name or usual extension, in any case; of a JPEG file also by its quality, as
/// [`super::jpeg::estimate`] has it.
pub fn format_points(format: &str, jpeg_quality: Option<u8>) -> f64 {
    if is_one_of(format, &["jpeg", "jpg"]) {
        return jpeg_points(jpeg_quality);
    }
    let known = FORMATS.iter().find(|(_, names)| is_one_of(format, names));
    known.map_or(OTHER_FORMAT, |(points, _)| *points)
}

/// 0 if a side is unknown or not positive.
fn megapixels(width: Option<i64>, height: Option<i64>) -> f64 {
    match (width, height) {
        (Some(width @ 1..), Some(height @ 1..)) => width as f64 * height as f64 / 1e6,
        _ => 0.0,
    }
}

/// The points of a picture's size in pixels: 15 + 8 · log10(megapixels + 1), at most 30.
pub fn resolution_points(width: Option<i64>, height: Option<i64>) -> f64 {
    match megapixels(width, height) {
        0.0 => 0.0,
        pixels => (15.0 + 8.0 * (pixels + 1.0).log10()).min(MOST[1]),
    }
}

/// The points of a file's size: 20 for 10,000,000 bytes a megapixel and more, in proportion below. 0 if the size or the
/// resolution is unknown.
pub fn size_points(bytes: Option<i64>, width: Option<i64>, height: Option<i64>) -> f64 {
    match (bytes, megapixels(width, height)) {
        (None | Some(..=0), _) | (_, 0.0) => 0.0,
        (Some(bytes), pixels) => (bytes as f64 / pixels / 1e7 * 20.0).min(MOST[2]),
    }
}

/// The points of a picture's sharpness, the variance of its Laplacian at [`crate::sharpness::SIDE`] pixels: 10 · v /
/// (v + 300). It grows with the variance, and never reaches 10: beyond any edge there is a sharper one.
pub fn sharpness_points(variance: Option<f64>) -> f64 {
    match variance {
        Some(variance) if variance > 0.0 && variance.is_finite() => MOST[3] * (variance / (variance + HALF_SHARP)),
        _ => 0.0,
    }
}

/// The score, from the points of its parts as `lumina.images` stores them, in single precision; rounded to two
/// decimals.
pub fn score(format: f64, resolution: f64, size: f64, sharpness: f64) -> f64 {
    rounded([format, resolution, size, sharpness].iter().map(|points| f64::from(*points as f32)).sum())
}
