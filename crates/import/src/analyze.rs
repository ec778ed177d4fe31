//! Turns the bytes of a file into facts.

use crate::facts::{Facts, FileDate, FileStatus, Finding};
use jiff::Timestamp;
use lumina_photo::dates::{self, PhotoDate};
use lumina_photo::hash::{self, Hash};
use lumina_photo::metadata::{self, Metadata};
use lumina_photo::origin::{compression, detail};
use lumina_photo::quality::jpeg;
use lumina_photo::{Damage, Format, Limits, Made, Method, Origin, PhotoError, Picture, Recipe, Wanted, dimensions};
use serde_json::{Map, Value};
use std::fmt::Write;
use std::path::Path;

/// The hashes of every picture, in this order.
const METHODS: [Method; 4] = [Method::Average, Method::Difference, Method::Dct, Method::Pdq];

/// PDQ's own quality measure: below this, featureless pictures agree (Meta, "The TMK+PDQF Video-Hashing Algorithm and
/// the PDQ Image-Hashing Algorithm", 2019).
const PDQ_TRUSTED: u8 = 50;

/// The result of an analysis.
#[derive(Debug, Clone, PartialEq)]
pub enum Analysis {
    /// Facts; if something is wrong with the picture, a stable word for it and an explanation.
    Facts(Box<Facts>, Option<(&'static str, String)>),
    /// No facts.
    Not(Finding),
    /// The bytes of memory that it needs, more than it was given.
    NeedsMore(u64),
    /// The caller has cancelled.
    Cancelled,
}

/// Where a file is, which decides its date where its content has none.
pub struct Place<'a> {
    /// Its path.
    pub path: &'a Path,
    /// Its identity and times.
    pub status: &'a FileStatus,
    /// The date that files beside it give.
    pub beside: Option<PhotoDate>,
}

/// Analyzes a file. Dates are checked against `now`.
pub fn analyze(bytes: &[u8], place: &Place<'_>, now: Timestamp, limits: &Limits<'_>) -> Analysis {
    let format = match lumina_photo::format::detect(bytes) {
        Ok(format) => format,
        Err(error) => return Analysis::Not(no_image(&error)),
    };
    let (facts, origin) = of_headers(bytes, format, place, now);
    let mut facts = Box::new(facts);
    let (remark, words) = match decode(bytes, limits) {
        Ok((picture, made)) => {
            fill(&mut facts, &picture, &made);
            match fill_origin(&mut facts, origin, (bytes, format), &picture, limits) {
                Err(PhotoError::Cancelled) => return Analysis::Cancelled,
                Err(error) => return Analysis::Not(failure(&error)),
                Ok(()) => (),
            }
            if let Some(damage) = picture.damage {
                (damage.name(), format!("the {format} image {}", damage.text()))
            } else if !facts.hash_valid {
                ("flat", "too little is to be seen in the image for its hashes to be trusted".into())
            } else {
                return Analysis::Facts(facts, None);
            }
        }
        Err(error @ (PhotoError::Unsupported { .. } | PhotoError::NoPreview { .. })) => {
            ("unsupported_format", error.to_string())
        }
        Err(PhotoError::Cancelled) => return Analysis::Cancelled,
        Err(PhotoError::Memory { needed, .. }) => return Analysis::NeedsMore(needed),
        Err(error) => return Analysis::Not(failure(&error)),
    };
    Analysis::Facts(facts, Some((remark, words)))
}

/// The finding if the beginning of a file already rules it out.
pub fn refuse_head(head: &[u8]) -> Option<Finding> {
    lumina_photo::format::detect(head).err().map(|error| no_image(&error))
}

fn no_image(error: &PhotoError) -> Finding {
    match error {
        PhotoError::Empty => failure(error),
        _ => Finding::skipped("no_image"),
    }
}

fn failure(error: &PhotoError) -> Finding {
    let reason = match error {
        PhotoError::Empty => "empty",
        PhotoError::Pixels { .. } => "too_many_pixels",
        PhotoError::OutOfMemory => "out_of_memory",
        PhotoError::Unavailable { .. } => "decoder_unavailable",
        _ => "damaged",
    };
    Finding::failed(reason, error.to_string())
}

fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<(Picture, Made), PhotoError> {
    let (format, picture) = lumina_photo::decode(bytes, limits)?;
    let wanted = Wanted { recipes: METHODS.map(Recipe::standard).to_vec(), sharpness: true };
    let made = hash::make(&picture, metadata::orientation(bytes, format), &wanted, format, limits)?;
    Ok((picture, made))
}

/// The facts that are known without decoding.
fn of_headers(bytes: &[u8], format: Format, place: &Place<'_>, now: Timestamp) -> (Facts, Origin) {
    let metadata = metadata::read(bytes, format);
    let (width, height) = dimensions(bytes, format).or(metadata.width.zip(metadata.height)).unzip();
    let side = |length: Option<u32>| length.filter(|&length| i32::try_from(length).is_ok_and(|length| length > 0));
    let date = date(&metadata, place, now);
    let positive =
        |number: Option<f64>| number.map(|number| number as f32).filter(|number| number.is_normal() && *number > 0.0);
    let origin = Origin::of_headers(bytes, format, &metadata, width.zip(height));
    let facts = Facts {
        format: format.name().into(),
        width: side(width).filter(|_| side(height).is_some()),
        height: side(height).filter(|_| side(width).is_some()),
        orientation: Some(metadata::orientation(bytes, format).exif()),
        captured_at: date.as_ref().map(timestamp),
        date_source: date.as_ref().map(|date| date.source.name().into()),
        date_confidence: date.as_ref().map(|date| date.confidence),
        camera_make: metadata.make.clone(),
        camera_model: metadata.model.clone(),
        lens_model: metadata.lens_model.clone(),
        focal_length: positive(metadata.focal_length),
        aperture: positive(metadata.f_number),
        exposure_time: metadata.exposure_time.filter(|time| time.is_normal() && *time > 0.0),
        iso: metadata.iso.and_then(|iso| i32::try_from(iso).ok()).filter(|&iso| iso > 0),
        latitude: metadata.gps.map(|place| place.latitude),
        longitude: metadata.gps.map(|place| place.longitude),
        metadata: rest(&metadata, date.as_ref()),
        jpeg_quality: if format == Format::Jpeg { jpeg::estimate(bytes) } else { None },
        originality: origin.originality(),
        ..Facts::default()
    };
    (facts, origin)
}

/// Adds what tells an original from a copy. Of a raw file the preview tells nothing of the kind.
fn fill_origin(
    facts: &mut Facts,
    origin: Origin,
    (bytes, format): (&[u8], Format),
    picture: &Picture,
    limits: &Limits<'_>,
) -> Result<(), PhotoError> {
    if format.is_raw() {
        return Ok(());
    }
    let table = if format == Format::Jpeg { jpeg::table(bytes) } else { None };
    let earlier = compression::earlier(picture, table.as_ref(), limits)?;
    facts.originality = Origin { earlier_compression: earlier, ..origin }.originality();
    if let Some(coefficients) = earlier {
        facts.metadata.insert("earlier_compression".into(), coefficients.into());
    }
    if let Some(detail) = detail::of(picture, limits)? {
        facts.detail = Some(detail.amount as f32).filter(|amount| amount.is_finite());
        facts.fineness = Some(detail.fineness as f32).filter(|fineness| fineness.is_finite());
    }
    Ok(())
}

/// The date of a file by its metadata, the files beside it, its path and its file times.
fn date(metadata: &Metadata, place: &Place<'_>, now: Timestamp) -> Option<PhotoDate> {
    let Place { path, status, beside } = place;
    let modified = (status.modified.div_euclid(1_000_000), status.modified.rem_euclid(1_000_000) as i32 * 1000);
    // File systems report years outside of these for files without a time; Postgres would not read the text.
    dates::best(metadata, *beside, Some(path), Some(modified), now).filter(|date| (1..9999).contains(&date.at.year()))
}

/// The date of a file whose content is known already, by the files beside it, its path and its file times: the date of
/// the content is known with it.
pub fn date_beside(place: &Place<'_>, now: Timestamp) -> Option<Box<FileDate>> {
    let date = date(&Metadata::default(), place, now)?;
    Some(Box::new(FileDate {
        captured_at: timestamp(&date),
        date_source: date.source.name().into(),
        date_confidence: date.confidence,
        marks: marks(&date),
    }))
}

/// In Postgres's input format. A clock without a known offset counts as UTC.
fn timestamp(date: &PhotoDate) -> String {
    let zone = if date.offset.is_none() { "Z" } else { "" };
    format!("{}{zone}", date.rfc3339())
}

/// The metadata without a column of its own.
fn rest(metadata: &Metadata, date: Option<&PhotoDate>) -> Map<String, Value> {
    let mut rest = match serde_json::to_value(metadata) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    for column in ["make", "model", "lens_model", "focal_length", "f_number", "exposure_time", "iso", "orientation"] {
        rest.remove(column);
    }
    rest.extend(date.map(marks).unwrap_or_default());
    rest
}

/// The details of a date.
fn marks(date: &PhotoDate) -> Map<String, Value> {
    let suspicion = date.suspicious.map(|suspicion| ("suspicious_date".into(), suspicion.name().into()));
    std::iter::once(("has_time".into(), date.has_time.into())).chain(suspicion).collect()
}

/// Adds the facts that decoding yields.
fn fill(facts: &mut Facts, picture: &Picture, made: &Made) {
    // A raw file's picture is a preview; the size is the sensor's, if known.
    if facts.width.is_none() {
        facts.width = Some(picture.width).filter(|&width| width > 0);
        facts.height = Some(picture.height).filter(|&height| height > 0);
    }
    facts.truncated = picture.damage == Some(Damage::Truncated);
    facts.damaged_data = picture.damage == Some(Damage::Data);
    let degenerate = |hash: &Hash| hash.iter().all(|&byte| byte == 0) || hash.iter().all(|&byte| byte == 0xFF);
    facts.hash_valid = made.pdq_quality.is_some_and(|quality| quality >= PDQ_TRUSTED)
        && made.hashes.len() == METHODS.len()
        && !made.hashes.iter().take(2).any(degenerate);
    facts.pdq_quality = made.pdq_quality;
    facts.sharpness = made.sharpness.map(|variance| variance as f32).filter(|variance| variance.is_finite());
    let mut hashes = made.hashes.iter().map(|hash| hex(hash));
    (facts.ahash, facts.dhash) = (hashes.next(), hashes.next());
    (facts.dct, facts.pdq) = (hashes.next(), hashes.next());
}

/// Two digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // to a String it cannot fail
        text
    })
}
