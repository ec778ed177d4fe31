//! Finds the EXIF data in a file, and parses it.
//!
//! Called by the module above. The parser copies its input and allocates by its claims, so the input is limited: for
//! containers, the block, at most [`MAX_BLOCK`] bytes of it; for TIFF and raw files, which may be of any size, an
//! excerpt: the entries of the three directories that matter, written as a small TIFF of their own. An excerpt also
//! covers what the parser does not read: BigTIFF, other magic numbers, Canon's three blocks.

use std::io::Cursor;

use exif::{Error, Exif, Reader};

use crate::boxes;
use crate::format::Format;
use crate::ifd::{self, ByteOrder, Ifd, Tiff};
use crate::{raw, segments};

/// In bytes, of one block. JPEG has room for 64 KiB.
const MAX_BLOCK: usize = 256 << 10;
/// The most chunks of one file that are examined.
const MAX_CHUNKS: usize = 100_000;
/// The most entries of one directory of an excerpt.
const MAX_ENTRIES: usize = 256;
/// In bytes, of one value of an excerpt.
const MAX_VALUE: usize = 1024;

/// EXIF data.
#[derive(Default)]
pub(super) struct ExifBlock {
    /// The readable part; `None` if there is none.
    pub(super) exif: Option<Exif>,
    /// What could not be read.
    pub(super) warning: Option<String>,
}

/// The EXIF data of a file.
pub(super) fn of_file(bytes: &[u8], format: Format) -> ExifBlock {
    match format {
        Format::Heic | Format::Avif => of_heif(bytes),
        Format::Cr3 => {
            let directory = |kind| canon(bytes, kind).and_then(Tiff::open).and_then(|tiff| tiff.first());
            excerpt(directory(b"CMT1"), directory(b"CMT2"), directory(b"CMT4"))
        }
        Format::Raf => {
            let preview = raw::previews(bytes, format).into_iter().find_map(|range| segments::exif(bytes.get(range)?));
            preview.map(parse).unwrap_or_default()
        }
        format if format == Format::Tiff || format.is_raw() => {
            let first = Tiff::open(bytes).and_then(|tiff| tiff.first());
            let child = |tag| first.and_then(|first| first.child(tag));
            excerpt(first, child(ifd::EXIF_DIRECTORY), child(ifd::GPS_DIRECTORY))
        }
        _ => slice(bytes, format).map(parse).unwrap_or_default(),
    }
}

/// The block in a JPEG, PNG, WebP or JPEG XL file; a TIFF file is one itself.
pub(super) fn slice(bytes: &[u8], format: Format) -> Option<&[u8]> {
    let found = match format {
        Format::Jpeg => segments::exif(bytes)?,
        Format::Png => chunk(bytes, 8, ByteOrder::Big, b"eXIf")?,
        Format::WebP => chunk(bytes, 12, ByteOrder::Little, b"EXIF")?,
        Format::Jxl => {
            let body = boxes::find(bytes, 0..bytes.len(), b"Exif")?;
            let skip = usize::try_from(boxes::number(bytes, &body, 0, 4)?).ok()?.checked_add(4)?;
            bytes.get(body.start.checked_add(skip)?..body.end)?
        }
        Format::Tiff => bytes,
        _ => return None,
    };
    // Some writers keep the prefix that the block has in JPEG.
    Some(found.strip_prefix(b"Exif\0\0").unwrap_or(found))
}

/// One of the small TIFF structures in Canon's box in `moov`.
pub(super) fn canon<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    let moov = boxes::find(bytes, 0..bytes.len(), b"moov")?;
    let range = boxes::boxes(bytes, moov)
        .filter(|inner| inner.kind == *b"uuid")
        .find_map(|uuid| boxes::find(bytes, uuid.body.start.checked_add(16)?..uuid.body.end, kind))?;
    bytes.get(range)
}

fn of_heif(bytes: &[u8]) -> ExifBlock {
    let read = Reader::new().continue_on_error(true).read_from_container(&mut Cursor::new(bytes));
    match read {
        Err(Error::NotFound(_)) => ExifBlock::default(),
        read => partial(read),
    }
}

fn parse(block: &[u8]) -> ExifBlock {
    let block = block.get(..MAX_BLOCK).unwrap_or(block);
    partial(Reader::new().continue_on_error(true).read_raw(block.to_vec()))
}

fn partial(read: Result<Exif, Error>) -> ExifBlock {
    let warn = |error: &Error| Some(format!("EXIF: {error}"));
    match read {
        Ok(exif) => ExifBlock { exif: Some(exif), warning: None },
        Err(Error::PartialResult(partial)) => {
            let (exif, errors) = partial.into_inner();
            // Many cameras leave a number behind their last entry, and nothing is lost by it.
            let harmless = |error: &&Error| matches!(error, Error::InvalidFormat("Unexpected next IFD"));
            ExifBlock { exif: Some(exif), warning: errors.iter().find(|error| !harmless(error)).and_then(warn) }
        }
        Err(error) => ExifBlock { exif: None, warning: warn(&error) },
    }
}

/// The first chunk of a name. PNG's (big-endian) are length, name, body, checksum; WebP's (little-endian) are name,
/// length, body, and a byte to make that even.
fn chunk<'a>(bytes: &'a [u8], start: usize, order: ByteOrder, name: &[u8; 4]) -> Option<&'a [u8]> {
    let mut at = start;
    for _ in 0..MAX_CHUNKS {
        let body = at.checked_add(8)?;
        let (first, second) = bytes.get(at..body)?.split_at(4);
        let (found, length) = if order == ByteOrder::Big { (second, first) } else { (first, second) };
        let length = usize::try_from(order.number(length)).ok()?;
        let end = body.checked_add(length)?;
        if found == name {
            return bytes.get(body..end.min(bytes.len()));
        }
        at = end.checked_add(if order == ByteOrder::Big { 4 } else { length % 2 })?;
    }
    None
}

/// An entry of an excerpt.
struct ExcerptEntry {
    tag: u16,
    kind: u16,
    count: usize,
    value: Vec<u8>,
}

/// The three directories as a TIFF of their own, parsed.
fn excerpt(main: Option<Ifd<'_>>, exif: Option<Ifd<'_>>, gps: Option<Ifd<'_>>) -> ExifBlock {
    let Some(main) = main else {
        return ExifBlock { exif: None, warning: Some("EXIF: the first directory cannot be read".to_owned()) };
    };
    let order = main.tiff().order();
    let below = |directory: Option<Ifd<'_>>| {
        directory.filter(|directory| directory.tiff().order() == order).map(|directory| entries(&directory))
    };
    let (mut main, exif, gps) = (entries(&main), below(exif), below(gps));
    let pointers = usize::from(exif.is_some()) + usize::from(gps.is_some());
    let mut next = 8 + table_length(main.len() + pointers);
    for (tag, entries) in [(ifd::EXIF_DIRECTORY, &exif), (ifd::GPS_DIRECTORY, &gps)] {
        if let Some(entries) = entries {
            main.push(ExcerptEntry { tag, kind: 4, count: 1, value: encoded(order, next, 4) });
            next += table_length(entries.len());
        }
    }
    let mut tables = if order == ByteOrder::Big { b"MM".to_vec() } else { b"II".to_vec() };
    tables.extend(encoded(order, 42, 2));
    tables.extend(encoded(order, 8, 4));
    let mut values = Vec::new();
    for entries in [Some(main), exif, gps].into_iter().flatten() {
        table(&entries, order, next, &mut tables, &mut values);
    }
    tables.append(&mut values);
    partial(Reader::new().continue_on_error(true).read_raw(tables))
}

/// The entries of types that the parser knows, and that are small; pointers are rewritten.
fn entries(directory: &Ifd<'_>) -> Vec<ExcerptEntry> {
    const INTEROPERABILITY: u16 = 0xA005;
    let pointers = [ifd::EXIF_DIRECTORY, ifd::GPS_DIRECTORY, ifd::SUB_DIRECTORIES, INTEROPERABILITY];
    directory
        .entries()
        .filter(|entry| (1..=12).contains(&entry.kind) && !pointers.contains(&entry.tag))
        .filter(|entry| entry.value.len() <= MAX_VALUE)
        .take(MAX_ENTRIES)
        .map(|entry| ExcerptEntry {
            tag: entry.tag,
            kind: entry.kind,
            count: entry.count(),
            value: entry.value.to_vec(),
        })
        .collect()
}

/// In bytes, of a directory without its values.
fn table_length(entries: usize) -> usize {
    2 + 12 * entries + 4
}

/// Writes a directory; its long values go to `values`, which will begin at `values_at`.
fn table(entries: &[ExcerptEntry], order: ByteOrder, values_at: usize, tables: &mut Vec<u8>, values: &mut Vec<u8>) {
    tables.extend(encoded(order, entries.len(), 2));
    for entry in entries {
        tables.extend(encoded(order, usize::from(entry.tag), 2));
        tables.extend(encoded(order, usize::from(entry.kind), 2));
        tables.extend(encoded(order, entry.count, 4));
        if entry.value.len() <= 4 {
            tables.extend(entry.value.iter().copied().chain(std::iter::repeat(0)).take(4));
        } else {
            tables.extend(encoded(order, values_at + values.len(), 4));
            values.extend_from_slice(&entry.value);
        }
    }
    tables.extend([0; 4]);
}

/// The last `length` bytes of a number.
fn encoded(order: ByteOrder, number: usize, length: usize) -> Vec<u8> {
    let little = number.to_le_bytes().into_iter().take(length);
    if order == ByteOrder::Big { little.rev().collect() } else { little.collect() }
}
