//! What tells an original from a copy that was made of it: a copy in a lossless format, one that is compressed less
//! than what it was made of, or one that was edited has more bytes, and nothing more to see.
//!
//! - The headers: whether a camera's data are there, and whether a camera has written the file as it is.
//! - [`compression`]: whether the picture was compressed before, and more strongly than by the file itself.
//! - [`detail`]: how much of its detail is as fine as its pixels; an enlarged picture has next to none.
//!
//! Called by `lumina-import` for each file that was decoded; `lumina-catalog` compares images of a group by it. Nothing
//! here fails, but for cancellation; only headers and the decoded picture are read.

pub mod compression;
pub mod detail;
mod luma;
#[cfg(test)]
mod tests;

use crate::format::Format;
use crate::metadata::Metadata;
use crate::segments;

/// Programs that write pictures, by a part of their names in lower case, as `Software` has them. Firmware of cameras
/// and phones, and programs that only copy from them, name a version or themselves.
const EDITORS: &[&str] = &[
    "acdsee",
    "adobe",
    "affinity",
    "aperture",
    "camedia",
    "canva",
    "capture one",
    "corel",
    "darktable",
    "digikam",
    "dxo",
    "facetune",
    "faststone",
    "fotor",
    "gimp",
    "imagemagick",
    "instagram",
    "iphoto",
    "irfanview",
    "krita",
    "lightroom",
    "luminar",
    "meitu",
    "microsoft",
    "paint",
    "photodirector",
    "photoscape",
    "photoshop",
    "picasa",
    "pixelmator",
    "pixlr",
    "polarr",
    "rawtherapee",
    "shotwell",
    "snapseed",
    "topaz",
    "vsco",
    "xnview",
];

/// Coefficients in which an earlier compression has to show, so that the picture counts as compressed before.
const SHOWN_IN: u8 = 3;

/// What a file tells of its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// Whether it names a camera, and says when it was taken.
    pub has_camera: bool,
    /// Whether it is built as cameras build files, and not as libjpeg and most programs do.
    pub is_of_camera: bool,
    /// Whether nothing in its metadata says that a program has changed the picture.
    pub is_untouched: bool,
    /// In how many coefficients an earlier compression shows, if the picture was decoded.
    pub earlier_compression: Option<u8>,
}

impl Origin {
    /// What headers tell; `size` is that of the picture as it is stored. A raw file is as its camera has written it.
    pub fn of_headers(bytes: &[u8], format: Format, metadata: &Metadata, size: Option<(u32, u32)>) -> Self {
        if format.is_raw() {
            return Origin { has_camera: true, is_of_camera: true, is_untouched: true, earlier_compression: None };
        }
        let has_camera = (metadata.make.is_some() || metadata.model.is_some()) && metadata.date_time_original.is_some();
        Origin {
            has_camera,
            is_of_camera: has_camera
                && match format {
                    Format::Jpeg => is_of_camera(bytes),
                    format => format == Format::Heic,
                },
            is_untouched: has_camera && !is_edited(metadata) && is_of_size(metadata, size),
            earlier_compression: None,
        }
    }

    /// From 0 to 15: 8 where a camera's data are there, 4 where the file is built as cameras do it and no earlier
    /// compression shows, 2 where nothing says that it was changed, and 1 where no earlier compression shows.
    pub fn originality(&self) -> u8 {
        let was_compressed = self.earlier_compression.is_some_and(|coefficients| coefficients >= SHOWN_IN);
        let is_written = self.is_of_camera && !was_compressed; // a camera compresses once
        let facts = [self.has_camera, is_written, self.is_untouched, !was_compressed];
        facts.iter().fold(0, |sum, &fact| 2 * sum + u8::from(fact))
    }
}

/// Whether a program is named that edits pictures, or the day of the last change is not that of the shot.
fn is_edited(metadata: &Metadata) -> bool {
    let software = metadata.software.as_ref().map(|name| name.to_lowercase()).unwrap_or_default();
    let day = |date: &Option<String>| date.as_ref().and_then(|date| date.get(..10).map(str::to_owned));
    let is_later = day(&metadata.date_time).is_some_and(|changed| Some(changed) != day(&metadata.date_time_original));
    is_later || EDITORS.iter().any(|editor| software.contains(editor))
}

/// Whether the picture has the size that the camera has noted, whichever way it was held.
fn is_of_size(metadata: &Metadata, size: Option<(u32, u32)>) -> bool {
    match (metadata.width.zip(metadata.height), size) {
        (Some((width, height)), Some(size)) => size == (width, height) || size == (height, width),
        _ => true,
    }
}

/// Whether a JPEG file is as cameras write it: not progressive, and EXIF (JEITA CP-3451, 4.5.5) in place of the header
/// of JFIF, with which libjpeg and what is built on it begin, and without the one of Adobe's programs.
fn is_of_camera(bytes: &[u8]) -> bool {
    let is_baseline = segments::frame(bytes).is_some_and(|frame| frame.process == 0xC0);
    is_baseline && !segments::has_jfif_or_adobe(bytes)
}
