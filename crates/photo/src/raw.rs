//! Finds the JPEG previews in cameras' raw files.
//!
//! Called by the decoder, which decodes one of them in place of the sensor's data, and by `metadata` (a RAF file's EXIF
//! is that of its preview). Only the structure of a file is read: its directories, its boxes, its header; the bytes are
//! not searched. Whatever a file claims, a returned range lies inside of it, begins with a JPEG marker, and holds a
//! frame header of a picture that is not the sensor's lossless data.

mod notes;

use std::collections::BTreeSet;
use std::ops::Range;

use crate::boxes;
use crate::format::Format;
use crate::ifd::{self, ByteOrder, Ifd, Tiff};
use crate::segments;

/// More than any camera writes.
const MAX_PREVIEWS: usize = 16;
/// Positions that are examined.
const MAX_CANDIDATES: usize = 256;

/// The embedded JPEG previews, largest by pixels first; at most 16. Empty for formats that are not raw files.
pub fn previews(bytes: &[u8], format: Format) -> Vec<Range<usize>> {
    let candidates = match format {
        Format::Raf => of_raf(bytes).into_iter().collect(),
        Format::Cr3 => of_cr3(bytes),
        format if format.is_raw() => of_tiff(bytes),
        _ => Vec::new(),
    };
    let mut seen = BTreeSet::new();
    let mut found: Vec<_> = candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .filter(|range| seen.insert((range.start, range.end)))
        .filter_map(|range| Some((pixels(bytes.get(range.clone())?)?, range)))
        .collect();
    // The longer first of those that begin at the same place: a length that is too short cuts the picture.
    found.sort_by_key(|(pixels, range)| (std::cmp::Reverse(*pixels), range.start, std::cmp::Reverse(range.end)));
    found.dedup_by_key(|(_, range)| range.start);
    found.into_iter().map(|(_, range)| range).take(MAX_PREVIEWS).collect()
}

/// Whether it is a raw file of Phase One: a TIFF of the thumbnail, and behind its header a structure of their own (as
/// found by the authors of dcraw and ExifTool).
pub(crate) fn is_phase_one(bytes: &[u8]) -> bool {
    let mark = bytes.get(8..16).unwrap_or_default();
    matches!(mark, [b'I', b'I', b'I', b'I', _, b'w', b'a', b'R'] | [b'M', b'M', b'M', b'M', b'R', b'a', b'w', _])
}

/// The pixel count of a JPEG that is a picture.
fn pixels(preview: &[u8]) -> Option<u64> {
    if !preview.starts_with(b"\xFF\xD8\xFF") {
        return None;
    }
    let frame = segments::frame(preview).filter(segments::FrameHeader::is_picture)?;
    Some(u64::from(frame.width) * u64::from(frame.height))
}

/// The previews of files made of directories.
fn of_tiff(bytes: &[u8]) -> Vec<Range<usize>> {
    let Some(tiff) = Tiff::open(bytes) else { return Vec::new() };
    let mut found = Vec::new();
    for directory in tiff.directories() {
        found.extend(pointed_at(&directory, ifd::JPEG_OFFSET, ifd::JPEG_LENGTH));
        found.extend(strip(&directory));
        found.extend(panasonic(&directory));
        if let Some(note) = directory.find(ifd::MAKER_NOTE) {
            found.extend(notes::previews(&tiff, &note));
        }
    }
    found
}

/// By an entry with the offset and one with the length.
fn pointed_at(directory: &Ifd<'_>, offset: u16, length: u16) -> Option<Range<usize>> {
    directory.tiff().range(directory.number(offset)?, directory.number(length)?)
}

/// A picture that is one strip of JPEG: compression 6 or 7.
fn strip(directory: &Ifd<'_>) -> Option<Range<usize>> {
    let offsets = directory.find(ifd::STRIP_OFFSETS)?;
    let is_jpeg = matches!(directory.number(ifd::COMPRESSION), Some(6 | 7));
    (is_jpeg && offsets.count() == 1).then_some(())?;
    pointed_at(directory, ifd::STRIP_OFFSETS, ifd::STRIP_LENGTHS)
}

/// Panasonic's entry JpgFromRaw, whose value is the JPEG itself.
fn panasonic(directory: &Ifd<'_>) -> Option<Range<usize>> {
    let entry = directory.find(0x002E)?;
    Some(entry.at..entry.at.checked_add(entry.value.len())?)
}

/// Fujifilm's header says at byte 84 where the JPEG is, and at 88 how long.
fn of_raf(bytes: &[u8]) -> Option<Range<usize>> {
    let start = usize::try_from(ByteOrder::Big.number(bytes.get(84..88)?)).ok()?;
    let length = usize::try_from(ByteOrder::Big.number(bytes.get(88..92)?)).ok()?;
    let end = start.checked_add(length)?;
    (end <= bytes.len()).then_some(start..end)
}

/// Canon's boxes PRVW and THMB, and the tracks whose sample is a JPEG.
fn of_cr3(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for outer in boxes::boxes(bytes, 0..bytes.len()) {
        match &outer.kind {
            b"uuid" => found.extend(boxed(bytes, outer.body, b"PRVW")),
            b"moov" => {
                for inner in boxes::boxes(bytes, outer.body) {
                    match &inner.kind {
                        b"uuid" => found.extend(boxed(bytes, inner.body, b"THMB")),
                        b"trak" => found.extend(sample(bytes, inner.body)),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// The JPEG in one of Canon's boxes. In a `uuid` box, boxes follow its 16 bytes of name, or those and 8 bytes more; in
/// the box, the JPEG follows some bytes that give its size.
fn boxed(bytes: &[u8], uuid: Range<usize>, kind: &[u8; 4]) -> Option<Range<usize>> {
    const HEAD: usize = 32;
    let within = |skip: usize| boxes::find(bytes, uuid.start.checked_add(skip)?..uuid.end, kind);
    let body = within(16).or_else(|| within(24))?;
    let head = bytes.get(body.start..body.end.min(body.start.checked_add(HEAD)?))?;
    let skip = head.windows(3).position(|window| window == b"\xFF\xD8\xFF")?;
    Some(body.start.checked_add(skip)?..body.end)
}

/// The first sample of a track.
fn sample(bytes: &[u8], track: Range<usize>) -> Option<Range<usize>> {
    let table = boxes::descend(bytes, track, &[b"mdia", b"minf", b"stbl"])?;
    let sizes = boxes::find(bytes, table.clone(), b"stsz")?;
    let size = match boxes::number(bytes, &sizes, 4, 4)? {
        0 => boxes::number(bytes, &sizes, 12, 4)?,
        size => size,
    };
    let offset = match boxes::find(bytes, table.clone(), b"co64") {
        Some(offsets) => boxes::number(bytes, &offsets, 8, 8)?,
        None => boxes::number(bytes, &boxes::find(bytes, table, b"stco")?, 8, 4)?,
    };
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    (end <= bytes.len()).then_some(start..end)
}

#[cfg(test)]
mod tests;
