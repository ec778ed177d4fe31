//! The quality score of an image file: 0.40 · format + 0.35 · resolution + 0.15 · size + 0.10 · metadata, each part and
//! the whole from 0 to 100.
//!
//! The weights and scales are those of the preceding catalog, which users know. They rate the file, not what it shows.
//! The functions only compute: nothing is read here, and unknown or nonsensical values score 0 (an unknown format 50).
//! [`composite`] is a second score, with the sharpness of the picture as a part; [`jpeg`] estimates how strongly a JPEG
//! file is compressed.
//!
//! Called by `src/catalog/quality.rs`, the functions of SQL, and for [`jpeg`] by `lumina-import`.

pub mod composite;
pub mod jpeg;
#[cfg(test)]
mod tests;

/// The weights of format, resolution, size and metadata.
const WEIGHTS: [f64; 4] = [0.40, 0.35, 0.15, 0.10];

/// Formats and their scores.
const FORMATS: &[(f64, &[&str])] = &[
    (100.0, &["cr2", "cr3", "nef", "arw", "dng", "raf", "orf", "rw2", "pef", "srw", "crw", "mrw", "x3f", "raw"]),
    (90.0, TIFF),
    (85.0, &["png"]),
    (80.0, &["heic", "heif"]),
    (70.0, &["jpeg", "jpg"]),
    (60.0, &["webp"]),
    (50.0, &["bmp"]),
    (40.0, &["gif"]),
];
const UNKNOWN_FORMAT: f64 = 50.0;

const TIFF: &[&str] = &["tiff", "tif"];
/// The raw formats whose sizes have a scale of their own.
const SIZED_AS_RAW: &[&str] = &["cr2", "cr3", "nef", "arw", "dng"];

/// A scale: points (value, score) from (0, 0) on, with linear interpolation; flat after the last one.
type Scale = [(f64, f64)];

/// Megapixels.
const RESOLUTION: &Scale = &[(0.0, 0.0), (1.0, 40.0), (2.0, 60.0), (8.0, 80.0), (20.0, 90.0), (33.0, 100.0)];
/// MiB, of raw files.
const RAW_SIZE: &Scale = &[(0.0, 0.0), (20.0, 80.0), (50.0, 100.0)];
/// MiB, of TIFF files.
const TIFF_SIZE: &Scale = &[(0.0, 0.0), (10.0, 80.0), (30.0, 100.0)];
/// MiB, of all others.
const SIZE: &Scale = &[(0.0, 0.0), (0.5, 40.0), (2.0, 70.0), (10.0, 100.0)];

fn on_scale(scale: &Scale, value: f64) -> f64 {
    let between = |pair: &[(f64, f64)]| {
        let ((from, low), (to, high)) = (pair[0], pair[1]);
        (value < to).then(|| low + (value - from) / (to - from) * (high - low))
    };
    scale.windows(2).find_map(between).unwrap_or(100.0)
}

/// The raw formats of cameras.
const RAW: &[&str] = FORMATS[0].1;

fn is_one_of(format: &str, names: &[&str]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(format))
}

/// The score of a format: its name or usual extension, in any case. 50 for an unknown or missing one.
pub fn format_score(format: &str) -> f64 {
    let known = FORMATS.iter().find(|(_, names)| is_one_of(format, names));
    known.map_or(UNKNOWN_FORMAT, |(score, _)| *score)
}

/// The score of a picture's size in pixels. 0 if a side is unknown or not positive.
pub fn resolution_score(width: Option<i64>, height: Option<i64>) -> f64 {
    match (width, height) {
        (Some(width @ 1..), Some(height @ 1..)) => on_scale(RESOLUTION, width as f64 * height as f64 / 1e6),
        _ => 0.0,
    }
}

/// The score of a file's size, relative to its format. 0 if the size is unknown or not positive.
pub fn size_score(format: &str, bytes: Option<i64>) -> f64 {
    let Some(bytes @ 1..) = bytes else { return 0.0 };
    let scale = if is_one_of(format, SIZED_AS_RAW) {
        RAW_SIZE
    } else if is_one_of(format, TIFF) {
        TIFF_SIZE
    } else {
        SIZE
    };
    on_scale(scale, bytes as f64 / f64::from(1 << 20))
}

/// Which facts about a shot are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Present {
    /// The camera's maker.
    pub make: bool,
    /// The camera's model.
    pub model: bool,
    /// The lens.
    pub lens: bool,
    /// The focal length.
    pub focal_length: bool,
    /// The aperture.
    pub aperture: bool,
    /// The exposure time.
    pub shutter: bool,
    /// The sensitivity.
    pub iso: bool,
    /// The latitude.
    pub latitude: bool,
    /// The longitude.
    pub longitude: bool,
}

/// The score of the known facts: 15 each for make and model, 10 for every other one.
pub fn metadata_score(present: Present) -> f64 {
    let Present { make, model, lens, focal_length, aperture, shutter, iso, latitude, longitude } = present;
    let of = |score: f64, present: &[bool]| score * present.iter().filter(|present| **present).count() as f64;
    of(15.0, &[make, model]) + of(10.0, &[lens, focal_length, aperture, shutter, iso, latitude, longitude])
}

/// The score of an image, from those of its parts; rounded to two decimals.
pub fn overall(format: f64, resolution: f64, size: f64, metadata: f64) -> f64 {
    let parts = [format, resolution, size, metadata];
    rounded(WEIGHTS.iter().zip(parts).fold(0.0, |sum, (weight, part)| sum + weight * part))
}

/// A score rounded to two decimals, as all scores are.
pub fn rounded(score: f64) -> f64 {
    // Through text, because that rounds the exact number, and not a hundred times it, which is rounded already.
    format!("{score:.2}").parse().unwrap_or(score)
}
