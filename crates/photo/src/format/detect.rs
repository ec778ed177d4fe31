//! Detects the format of a file by its first bytes and, for those built on TIFF, by its directories.
//!
//! Called on all incoming bytes, before anything else. A detected format does not mean that the file can be read.

use std::ops::Range;

use super::Format;
use crate::boxes;
use crate::error::PhotoError;
use crate::heif;
use crate::ifd::{self, Ifd, Tiff};
use crate::raw;

/// The format of a file.
///
/// Errors: [`PhotoError::Empty`], [`PhotoError::Unknown`].
pub fn detect(bytes: &[u8]) -> Result<Format, PhotoError> {
    if bytes.is_empty() {
        return Err(PhotoError::Empty);
    }
    by_signature(bytes)
        .or_else(|| by_brand(bytes))
        .or_else(|| by_directories(bytes))
        .ok_or_else(|| PhotoError::Unknown { looks_like: looks_like(bytes) })
}

fn by_signature(bytes: &[u8]) -> Option<Format> {
    let signatures: [(&[u8], Format); 18] = [
        (b"\xFF\xD8\xFF", Format::Jpeg),
        (b"\x89PNG\r\n\x1A\n", Format::Png),
        (b"GIF87a", Format::Gif),
        (b"GIF89a", Format::Gif),
        (b"IIRO", Format::Orf),
        (b"IIRS", Format::Orf),
        (b"MMOR", Format::Orf),
        (b"IIU\0", Format::Rw2),
        (b"FUJIFILMCCD-RAW ", Format::Raf),
        (b"\xFF\x0A", Format::Jxl),
        (b"\0\0\0\x0CJXL \r\n\x87\n", Format::Jxl),
        (b"\0\0\0\x0CjP  \r\n\x87\n", Format::Jp2),
        (b"\xFF\x4F\xFF\x51", Format::Jp2),
        (b"8BPS\0\x01", Format::Psd),
        (b"8BPS\0\x02", Format::Psd),
        (b"\0MRM", Format::Mrw),
        (b"FOVb", Format::X3f),
        (b"II\x1A\0\0\0HEAPCCDR", Format::Crw),
    ];
    if let Some((_, format)) = signatures.iter().find(|(signature, _)| bytes.starts_with(signature)) {
        return Some(*format);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some(Format::WebP);
    }
    if is_bitmap(bytes) {
        Some(Format::Bmp)
    } else if is_icon(bytes) {
        Some(Format::Ico)
    } else if is_netpbm(bytes) {
        Some(Format::Pnm)
    } else {
        is_targa(bytes).then_some(Format::Tga)
    }
}

/// Two letters are too few: the size of the header that follows must be one of those that exist.
fn is_bitmap(bytes: &[u8]) -> bool {
    let size = bytes.get(14..18).map(|size| ifd::ByteOrder::Little.number(size));
    bytes.starts_with(b"BM") && matches!(size, Some(12 | 16 | 40 | 52 | 56 | 64 | 108 | 124))
}

/// Four bytes that mean little: the first picture must lie behind the table of all, and a byte that is always zero.
fn is_icon(bytes: &[u8]) -> bool {
    let number = |at: usize, length| Some(ifd::ByteOrder::Little.number(bytes.get(at..at + length)?));
    let (Some(count), Some(reserved), Some(offset)) = (number(4, 2), number(9, 1), number(18, 4)) else { return false };
    bytes.starts_with(b"\0\0\x01\0") && count > 0 && reserved == 0 && offset >= 6 + 16 * count
}

/// Two letters, a blank, and a number or a comment.
fn is_netpbm(bytes: &[u8]) -> bool {
    let Some([b'P', b'1'..=b'6', blank, rest @ ..]) = bytes.get(..64).or(Some(bytes)) else { return false };
    let next = rest.trim_ascii_start().first();
    blank.is_ascii_whitespace() && next.is_some_and(|next| next.is_ascii_digit() || *next == b'#')
}

/// No signature, but a header in which little is free (Truevision, "TGA File Format Specification" 2.0, fields 1 to 5):
/// a kind of picture with the bits that it may have, no palette or a whole one, an origin in one of the corners.
fn is_targa(bytes: &[u8]) -> bool {
    let Some(&[_, map, kind, m0, m1, m2, m3, m4, x0, x1, y0, y1, w0, w1, h0, h1, depth, flags]) = bytes.first_chunk()
    else {
        return false;
    };
    let number = |low, high| u16::from_le_bytes([low, high]);
    let (width, height, y) = (number(w0, w1), number(h0, h1), number(y0, y1));
    let is_kind = match (kind, map) {
        (1 | 9, 1) => number(m2, m3) > 0 && matches!(m4, 15 | 16 | 24 | 32) && depth == 8,
        (2 | 10, 0) => [m0, m1, m2, m3, m4] == [0; 5] && matches!(depth, 15 | 16 | 24 | 32),
        (3 | 11, 0) => [m0, m1, m2, m3, m4] == [0; 5] && matches!(depth, 8 | 16),
        _ => false,
    };
    // The lower four flags are the bits of alpha, the upper two are not used.
    is_kind && width > 0 && height > 0 && number(x0, x1) == 0 && (y == 0 || y == height) && flags & 0xcf <= 8
}

/// ISO base media files declare their brands in their first box. The major brand decides; `mif1`, which says no more
/// than "images", lets the compatible brands decide, and then its items.
fn by_brand(bytes: &[u8]) -> Option<Format> {
    let (major, compatible) = brands(bytes)?;
    let mut all = compatible.clone();
    match major {
        b"crx " => Some(Format::Cr3),
        b"avif" | b"avis" => Some(Format::Avif),
        b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"hevm" | b"hevs" => Some(Format::Heic),
        b"mif1" | b"msf1" if all.any(|brand| matches!(brand, b"avif" | b"avis")) => Some(Format::Avif),
        b"mif1" | b"msf1" if heif::is_av1(bytes) => Some(Format::Avif),
        b"mif1" | b"msf1" => Some(Format::Heic),
        _ => compatible.clone().find_map(|brand| match brand {
            b"avif" => Some(Format::Avif),
            b"heic" | b"heix" => Some(Format::Heic),
            _ => None,
        }),
    }
}

/// The major brand, and the compatible ones.
fn brands(bytes: &[u8]) -> Option<(&[u8], impl Iterator<Item = &[u8]> + Clone)> {
    let first = boxes::boxes(bytes, 0..bytes.len()).next()?;
    let Range { start, end } = first.body;
    let body = bytes.get(start..end.min(start.saturating_add(4096)))?;
    (first.kind == *b"ftyp").then_some((body.get(..4)?, body.get(8..).unwrap_or_default().chunks_exact(4)))
}

/// The format of a file built on TIFF.
fn by_directories(bytes: &[u8]) -> Option<Format> {
    const DNG_VERSION: u16 = 0xC612;
    // The other magic numbers that `open` knows have been dealt with, and mean nothing in the other byte order.
    if !matches!(bytes.get(..4)?, b"II*\0" | b"MM\0*" | b"II+\0" | b"MM\0+") {
        return None;
    }
    if bytes.get(8..10) == Some(b"CR") {
        return Some(Format::Cr2);
    }
    if raw::is_phase_one(bytes) {
        return Some(Format::Raw);
    }
    let first = Tiff::open(bytes).and_then(|tiff| tiff.first());
    let raw =
        first.and_then(|first| if first.find(DNG_VERSION).is_some() { Some(Format::Dng) } else { makers(&first) });
    Some(raw.unwrap_or(Format::Tiff))
}

/// The raw format of the camera's maker, if the file contains sensor data.
///
/// The maker's name proves nothing: film scanners and picture editors write it into plain TIFFs. Beside it, one of the
/// file's directories must describe the data of a sensor: a colour filter array (photometric 32803, or its pattern, all
/// that Samsung writes), or, of makers that are known, linear raw (34892) or a compression of that maker's own. Sony's
/// raw files are also known by the entry SR2Private, Leaf's by LeafData, which nothing else has.
fn makers(first: &Ifd<'_>) -> Option<Format> {
    const SR2_PRIVATE: u16 = 0xC634;
    const LEAF_DATA: u16 = 0x8606;
    const FILTER_PATTERN: u16 = 0x828E;
    let makers: [(&[u8], Format, &[u64]); 9] = [
        (b"NIKON", Format::Nef, &[34713]),
        (b"SONY", Format::Arw, &[32767]),
        (b"PENTAX", Format::Pef, &[65535]),
        (b"ASAHI", Format::Pef, &[65535]),
        (b"RICOH", Format::Pef, &[65535]),
        (b"SAMSUNG", Format::Srw, &[32769, 32770, 32772]),
        (b"KODAK", Format::Raw, &[65000]),
        (b"EASTMAN KODAK", Format::Raw, &[65000]),
        (b"SEIKO EPSON", Format::Raw, &[32769]),
    ];
    if first.find(LEAF_DATA).is_some() {
        return Some(Format::Raw);
    }
    let make = first.find(ifd::MAKE)?.text().trim_ascii().to_ascii_uppercase();
    let known = makers.into_iter().find(|(name, ..)| make.starts_with(name));
    let (format, own) = known.map_or((Format::Raw, None), |(_, format, compressions)| (format, Some(compressions)));
    let of_sensor = |directory: &Ifd<'_>| {
        let photometric = directory.number(ifd::PHOTOMETRIC);
        directory.find(FILTER_PATTERN).is_some()
            || photometric == Some(32803)
            || own.is_some_and(|own| {
                let compression = directory.number(ifd::COMPRESSION);
                photometric == Some(34892) || compression.is_some_and(|compression| own.contains(&compression))
            })
    };
    let found = (format == Format::Arw && first.find(SR2_PRIVATE).is_some())
        || first.tiff().directories().iter().any(of_sensor);
    (found && !make.is_empty()).then_some(format)
}

/// A description of bytes that are no image, for the message.
fn looks_like(bytes: &[u8]) -> Option<&'static str> {
    let signatures: [(&[u8], &str); 19] = [
        (b"PK\x03\x04", "a ZIP archive"),
        (b"PK\x05\x06", "a ZIP archive"),
        (b"%PDF", "a PDF document"),
        (b"%!PS", "a PostScript document"),
        (b"\x1F\x8B", "gzip data"),
        (b"BZh", "bzip2 data"),
        (b"\xFD7zXZ\0", "xz data"),
        (b"\x28\xB5\x2F\xFD", "Zstandard data"),
        (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive"),
        (b"Rar!\x1A\x07", "a RAR archive"),
        (b"\x7FELF", "an ELF program"),
        (b"MZ", "a Windows program"),
        (b"gimp xcf", "a GIMP document"),
        (b"v/1\x01", "an OpenEXR image"),
        (b"\x1A\x45\xDF\xA3", "a Matroska or WebM video"),
        (b"OggS", "an Ogg file"),
        (b"ID3", "an MP3 file"),
        (b"\0\0\x01\xBA", "an MPEG video"),
        (b"SQLite format 3\0", "a SQLite database"),
    ];
    let known = signatures.iter().find(|(signature, _)| bytes.starts_with(signature)).map(|(_, name)| *name);
    known.or_else(|| looks_like_media(bytes)).or_else(|| looks_like_text(bytes))
}

fn looks_like_media(bytes: &[u8]) -> Option<&'static str> {
    match (bytes.get(..4)?, bytes.get(4..8)?, bytes.get(8..12)) {
        (_, b"ftyp" | b"moov" | b"mdat" | b"wide" | b"skip" | b"pnot", _) => Some("an MP4 or QuickTime video"),
        (b"RIFF", _, Some(b"AVI ")) => Some("an AVI video"),
        (b"RIFF", _, Some(b"WAVE")) => Some("a WAVE file"),
        _ => None,
    }
}

fn looks_like_text(bytes: &[u8]) -> Option<&'static str> {
    let head = bytes.get(..512).unwrap_or(bytes);
    if head.iter().all(|&byte| byte == 0) {
        return Some("nothing but zeros");
    }
    let trimmed = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start().to_ascii_lowercase();
    let has = |needle: &[u8]| trimmed.windows(needle.len()).any(|window| window == needle);
    if trimmed.starts_with(b"<svg") || (trimmed.starts_with(b"<") && has(b"<svg")) {
        return Some("an SVG drawing");
    }
    if trimmed.starts_with(b"<!doctype html") || trimmed.starts_with(b"<html") {
        return Some("an HTML page");
    }
    if trimmed.starts_with(b"<?xml") {
        return Some("an XML document");
    }
    // The head may end within a character.
    let text = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && error.valid_up_to() > 0,
    };
    let controls = head.iter().any(|&byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0C));
    (text && !controls).then_some("text")
}

#[cfg(test)]
mod tests;
