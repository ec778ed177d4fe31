//! Previews that only the maker's note of the EXIF directory points at: Olympus, OM System, Nikon, Pentax.
//!
//! Called by the module above, which checks each range. Makers do not document their notes; this follows the findings
//! of ExifTool's authors (its tables Olympus, Nikon, Pentax).

use std::ops::Range;

use super::pointed_at;
use crate::ifd::{ByteOrder, Ifd, IfdEntry, Tiff};

/// Candidate ranges of previews. `note` is an entry of `tiff`.
pub(super) fn previews(tiff: &Tiff<'_>, note: &IfdEntry<'_>) -> Vec<Range<usize>> {
    let found = match note.value {
        value if value.starts_with(b"OLYMPUS\0") => olympus(tiff, note, 8, note.at),
        value if value.starts_with(b"OM SYSTEM\0") => olympus(tiff, note, 12, note.at),
        value if value.starts_with(b"OLYMP\0") => old_olympus(tiff, note),
        value if value.starts_with(b"Nikon\0") => nikon(tiff, note),
        value if value.starts_with(b"AOC\0") => pentax(tiff, note),
        _ => None,
    };
    found.unwrap_or_default()
}

/// After the name, the byte order and a version; offsets count from the start of the note.
fn olympus(tiff: &Tiff<'_>, note: &IfdEntry<'_>, skip: usize, base: usize) -> Option<Vec<Range<usize>>> {
    let order = ByteOrder::of(note.value.get(skip..skip + 2)?)?;
    let own = tiff.rebased(base, order);
    Some(of_olympus(&own.directory(skip as u64 + 4)?))
}

/// After the name and a version; offsets count as in the rest of the file.
fn old_olympus(tiff: &Tiff<'_>, note: &IfdEntry<'_>) -> Option<Vec<Range<usize>>> {
    let own = tiff.rebased(0, tiff.order());
    Some(of_olympus(&own.directory(note.at as u64 + 8)?))
}

/// The camera settings contain the preview; before these existed, the note itself.
fn of_olympus(note: &Ifd<'_>) -> Vec<Range<usize>> {
    const CAMERA_SETTINGS: u16 = 0x2020;
    let settings = note.find(CAMERA_SETTINGS).and_then(|entry| match entry.kind {
        // The directory itself is stored in place of its offset.
        7 => note.tiff().directory(note.tiff().offset(entry.at)?),
        _ => note.child(CAMERA_SETTINGS),
    });
    let settings = settings.and_then(|settings| pointed_at(&settings, 0x0101, 0x0102));
    let thumbnail = note.find(0x0100).map(|entry| entry.at..entry.at.saturating_add(entry.value.len()));
    settings.into_iter().chain(pointed_at(note, 0x1036, 0x1037)).chain(thumbnail).collect()
}

/// A TIFF structure of its own begins ten bytes into the note.
fn nikon(tiff: &Tiff<'_>, note: &IfdEntry<'_>) -> Option<Vec<Range<usize>>> {
    const PREVIEW_DIRECTORY: u16 = 0x0011;
    let head = note.value.get(10..18)?;
    let order = ByteOrder::of(head.get(..2)?)?;
    let own = tiff.rebased(note.at.checked_add(10)?, order);
    let preview = own.directory(order.number(head.get(4..8)?))?.child(PREVIEW_DIRECTORY)?;
    Some(pointed_at(&preview, crate::ifd::JPEG_OFFSET, crate::ifd::JPEG_LENGTH).into_iter().collect())
}

/// After the name and the byte order; offsets count as in the rest of the file.
fn pentax(tiff: &Tiff<'_>, note: &IfdEntry<'_>) -> Option<Vec<Range<usize>>> {
    let order = note.value.get(4..6).and_then(ByteOrder::of).unwrap_or(tiff.order());
    let own = tiff.rebased(0, order).directory(note.at as u64 + 6)?;
    Some(pointed_at(&own, 0x0004, 0x0003).into_iter().collect())
}
