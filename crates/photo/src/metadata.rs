//! Metadata of a photograph: camera, lens, exposure, place, dates and orientation by EXIF; dates by XMP, IPTC, PNG.
//!
//! Called for every imported file, before it is decoded. Nothing here fails: a broken block yields its readable part,
//! and a warning. Every text is short and without control characters, every number finite, so that jsonb accepts them.
//! The cost of a hostile file is bounded by the size of the blocks that are read, not by that of the file.

mod block;
mod fields;
mod gps;
mod iptc;
mod items;
mod jxl;
mod packets;
mod png;
mod sensor;
mod text;
mod xmp;

use serde::Serialize;

use crate::boxes;
use crate::format::Format;
use crate::heif::Heif;
use crate::ifd::{self, Tiff};
use crate::jxl::Header;
use crate::orientation::Orientation;
use crate::{raw, segments};
use fields::Fields;

/// The metadata. The names of the fields are the keys of the jsonb; missing values are omitted.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Metadata {
    /// The camera's maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub make: Option<String>,
    /// The camera.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The lens's maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lens_make: Option<String>,
    /// The lens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lens_model: Option<String>,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposure_time: Option<f64>,
    /// Focal length by aperture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub f_number: Option<f64>,
    /// The sensitivity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iso: Option<u32>,
    /// In millimetres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focal_length: Option<f64>,
    /// In millimetres, of the equivalent lens on 35 mm film.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focal_length_35mm: Option<u32>,
    /// Whether the flash fired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flash: Option<bool>,
    /// 1 to 8: see [`Orientation`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orientation: Option<u8>,
    /// In pixels, as EXIF says; of a raw file, of its largest picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// In pixels, as the width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// The program that wrote the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software: Option<String>,
    /// The photographer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    /// The copyright holder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copyright: Option<String>,
    /// When it was taken: DateTimeOriginal with its sub-seconds and offset, `2023:04:15 14:32:18.25+02:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_time_original: Option<String>,
    /// When it was digitized, in the same form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_time_digitized: Option<String>,
    /// When the file was changed, in the same form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_time: Option<String>,
    /// When the position was determined, in UTC: `2023:04:15 12:32:18Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gps_date_time: Option<String>,
    /// XMP's `exif:DateTimeOriginal`, as it stands there: ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xmp_date_time_original: Option<String>,
    /// XMP's `photoshop:DateCreated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xmp_date_created: Option<String>,
    /// XMP's `exif:DateTimeDigitized`, or `xmp:CreateDate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xmp_date_time_digitized: Option<String>,
    /// IPTC's date and time created, in EXIF's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iptc_date_created: Option<String>,
    /// PNG's `Creation Time`, in EXIF's form where it is that of an e-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub png_creation_time: Option<String>,
    /// Where it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gps: Option<Gps>,
    /// What was wrong with the EXIF data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// A place on Earth (WGS 84).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Gps {
    /// In degrees, north positive: -90 to 90.
    pub latitude: f64,
    /// In degrees, east positive: -180 to 180.
    pub longitude: f64,
    /// In metres above the sea.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub altitude: Option<f64>,
}

/// The metadata in the file's EXIF data; all `None` if there is none.
pub fn read(bytes: &[u8], format: Format) -> Metadata {
    let block = block::of_file(bytes, format);
    let mut metadata = block.exif.as_ref().map(|exif| describe(&Fields { exif })).unwrap_or_default();
    metadata.warning = block.warning.or(metadata.warning);
    packets::of_file(bytes, format).describe(&mut metadata);
    if format.is_raw() {
        let own = metadata.width.zip(metadata.height);
        let largest = sensor::dimensions(bytes, format).into_iter().chain(own).max_by_key(|&size| area(size));
        (metadata.width, metadata.height) = largest.unzip();
    }
    metadata
}

/// The metadata of an XMP packet without a picture, as in a file beside one.
pub fn of_xmp(packet: &[u8]) -> Metadata {
    let mut metadata = Metadata::default();
    packets::Packets::of_xmp(packet).describe(&mut metadata);
    metadata
}

fn describe(fields: &Fields<'_>) -> Metadata {
    let named = |tag| fields.text(tag).and_then(text::named);
    let (gps, warning) = match gps::of(fields) {
        Ok(gps) => (gps, None),
        Err(why) => (None, Some(format!("EXIF: {why}"))),
    };
    Metadata {
        make: named(ifd::MAKE),
        model: named(0x0110),
        lens_make: named(0xA433),
        lens_model: named(0xA434),
        exposure_time: fields.exposure_time(),
        f_number: fields.f_number(),
        iso: fields.iso(),
        focal_length: fields.positive(0x920A, 100_000.0),
        focal_length_35mm: fields.number(0xA405).filter(|length| (1..65535).contains(length)),
        flash: fields.number(0x9209).map(|flash| flash & 1 == 1),
        orientation: fields.number(ifd::ORIENTATION).and_then(Orientation::from_exif).map(Orientation::exif),
        width: fields.number(0xA002).or_else(|| fields.number(ifd::WIDTH)).filter(|&width| width > 0),
        height: fields.number(0xA003).or_else(|| fields.number(ifd::HEIGHT)).filter(|&height| height > 0),
        software: fields.text(0x0131),
        artist: fields.text(0x013B),
        copyright: fields.texts(0x8298),
        date_time_original: fields.date([0x9003, 0x9291, 0x9011]),
        date_time_digitized: fields.date([0x9004, 0x9292, 0x9012]),
        date_time: fields.date([0x0132, 0x9290, 0x9010]),
        gps_date_time: gps::time(fields),
        gps,
        warning,
        ..Metadata::default()
    }
}

/// In pixels.
fn area((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

/// How to rotate the stored picture: what the file says, otherwise upright.
///
/// A raw file without an orientation of its own has that of its largest preview, which is shown for it. In HEIC and
/// AVIF the turns are properties of the picture, in JPEG XL a field of its header, and EXIF's orientation must be
/// ignored (ISO/IEC 23008-12, annex A; ISO/IEC 18181-2).
pub fn orientation(bytes: &[u8], format: Format) -> Orientation {
    let own = match format {
        Format::Heic | Format::Avif => {
            return Heif::parse(bytes).and_then(|heif| heif.orientation()).unwrap_or_default();
        }
        Format::Jxl => return Header::read(bytes).map(|header| header.orientation).unwrap_or_default(),
        Format::Raf => None,
        Format::Cr3 => block::canon(bytes, b"CMT1").and_then(of_tiff),
        format if format.is_raw() => of_tiff(bytes),
        _ => block::slice(bytes, format).and_then(|block| of_tiff(&block)),
    };
    let of_preview = || {
        let preview = raw::previews(bytes, format).into_iter().next()?;
        of_tiff(segments::exif(bytes.get(preview)?)?)
    };
    own.or_else(of_preview).unwrap_or_default()
}

fn of_tiff(bytes: &[u8]) -> Option<Orientation> {
    let number = Tiff::open(bytes)?.first()?.number(ifd::ORIENTATION)?;
    Orientation::from_exif(u32::try_from(number).ok()?)
}

/// Width and height of the primary picture in a HEIC or AVIF file, in pixels, before any turn.
///
/// They are the image spatial extents (`ispe`) among the properties of the primary item. Where its properties cannot be
/// read, they are the largest of the file: other extents are those of tiles, thumbnails and auxiliary pictures.
pub fn dimensions_of_heif(bytes: &[u8]) -> Option<(u32, u32)> {
    let within = items::meta(bytes)?;
    let properties: Vec<boxes::FileBox> =
        boxes::boxes(bytes, boxes::descend(bytes, within.clone(), &[b"iprp", b"ipco"])?).collect();
    let extents = |property: &boxes::FileBox| {
        let side = |skip| u32::try_from(boxes::number(bytes, &property.body, skip, 4)?).ok().filter(|&side| side > 0);
        (property.kind == *b"ispe").then(|| side(4).zip(side(8)))?
    };
    let of_primary = || {
        let indexes = items::properties_of_primary(bytes, &within)?;
        indexes.into_iter().find_map(|index| extents(properties.get(index.checked_sub(1)?)?))
    };
    of_primary().or_else(|| properties.iter().filter_map(extents).max_by_key(|&size| area(size)))
}

#[cfg(test)]
mod tests;
