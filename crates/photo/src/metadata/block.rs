//! Finds the EXIF data in a file, and parses it.
//!
//! Called by the module above. The parser copies its input and allocates by its claims, and it reads pointers of one
//! type alone. So it is given an excerpt: the entries of the three directories that matter, read in place and written
//! as a small TIFF of their own. An excerpt also covers what the parser does not read: BigTIFF, other magic numbers,
//! types of integers that TIFF allows, Canon's three blocks.

use std::borrow::Cow;

use exif::{Error, Exif, Reader};

use super::{iptc, items, jxl, png};
use crate::boxes;
use crate::format::Format;
use crate::ifd::{self, ByteOrder, Ifd, IfdEntry, Tiff};
use crate::{raw, segments};

/// The most chunks of one file that are examined.
pub(super) const MAX_CHUNKS: usize = 100_000;
/// The most entries of one directory of an excerpt.
const MAX_ENTRIES: usize = 256;
/// In bytes, of one value of an excerpt; of a longer text this much is read, more than is shown of it.
const MAX_VALUE: usize = 1028;

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
        Format::Cr3 => {
            let directory = |kind| canon(bytes, kind).and_then(Tiff::open).and_then(|tiff| tiff.first());
            excerpt(directory(b"CMT1"), directory(b"CMT2"), directory(b"CMT4"))
        }
        Format::Raf => {
            let preview = raw::previews(bytes, format).into_iter().find_map(|range| segments::exif(bytes.get(range)?));
            preview.map(parse).unwrap_or_default()
        }
        Format::Crw | Format::X3f => ExifBlock::default(),
        Format::Mrw => slice(bytes, format).map(|block| parse(&block)).unwrap_or_default(),
        format if format.is_raw() => parse(bytes),
        format => slice(bytes, format).map(|block| parse(&block)).unwrap_or_default(),
    }
}

/// The block in a JPEG, PNG, WebP, JPEG XL, HEIC, AVIF, MRW or Photoshop file; a TIFF file is one itself.
pub(super) fn slice(bytes: &[u8], format: Format) -> Option<Cow<'_, [u8]>> {
    let found: Cow<'_, [u8]> = match format {
        Format::Jpeg => segments::exif(bytes)?.into(),
        Format::Png => match chunk(bytes, 8, ByteOrder::Big, b"eXIf") {
            Some(block) => block.into(),
            None => png::texts(bytes).exif?.into(),
        },
        Format::WebP => chunk(bytes, 12, ByteOrder::Little, b"EXIF")?.into(),
        Format::Heic | Format::Avif => after_offset(items::exif(bytes)?)?,
        Format::Jxl => after_offset(jxl::find(bytes, b"Exif")?)?,
        Format::Mrw => minolta(bytes)?.into(),
        Format::Psd => iptc::resource(iptc::of_photoshop(bytes)?, iptc::EXIF)?.into(),
        Format::Tiff => bytes.into(),
        _ => return None,
    };
    // Some writers keep the prefix that the block has in JPEG.
    Some(without_start(found, b"Exif\0\0"))
}

/// The block in Minolta's raw files, which have blocks of a name of four bytes, a length and a body.
fn minolta(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(8..)?;
    for _ in 0..16 {
        let (head, body) = rest.split_at_checked(8)?;
        let length = usize::try_from(ByteOrder::Big.number(head.get(4..)?)).ok()?;
        if head.starts_with(b"\0TTW") {
            return Some(body.get(..length).unwrap_or(body));
        }
        rest = body.get(length..)?;
    }
    None
}

/// The block behind four bytes that say how far behind them it begins (ISO/IEC 23008-12, A.2.1).
fn after_offset(body: Cow<'_, [u8]>) -> Option<Cow<'_, [u8]>> {
    let skip = usize::try_from(ByteOrder::Big.number(body.get(..4)?)).ok()?.checked_add(4)?;
    Some(match body {
        Cow::Borrowed(body) => body.get(skip..)?.into(),
        Cow::Owned(body) => body.get(skip..)?.to_vec().into(),
    })
}

fn without_start<'a>(bytes: Cow<'a, [u8]>, start: &[u8]) -> Cow<'a, [u8]> {
    match bytes {
        Cow::Borrowed(bytes) => bytes.strip_prefix(start).unwrap_or(bytes).into(),
        Cow::Owned(bytes) if bytes.starts_with(start) => bytes[start.len()..].to_vec().into(),
        bytes => bytes,
    }
}

/// One of the small TIFF structures in Canon's box in `moov`.
pub(super) fn canon<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    let moov = boxes::find(bytes, 0..bytes.len(), b"moov")?;
    let range = boxes::boxes(bytes, moov)
        .filter(|inner| inner.kind == *b"uuid")
        .find_map(|uuid| boxes::find(bytes, uuid.body.start.checked_add(16)?..uuid.body.end, kind))?;
    bytes.get(range)
}

/// The three directories of a TIFF structure.
fn parse(block: &[u8]) -> ExifBlock {
    let first = Tiff::open(block).and_then(|tiff| tiff.first());
    let child = |tag| first.and_then(|first| first.child(tag));
    let mut found = excerpt(first, child(ifd::EXIF_DIRECTORY), child(ifd::GPS_DIRECTORY));
    let is_lost = |tag| first.is_some_and(|first| first.find(tag).is_some()) && child(tag).is_none();
    for (tag, warning) in [
        (ifd::EXIF_DIRECTORY, "EXIF: the EXIF directory cannot be read"),
        (ifd::GPS_DIRECTORY, "EXIF: the GPS directory cannot be read"),
    ] {
        if is_lost(tag) && found.warning.is_none() {
            found.warning = Some(warning.to_owned());
        }
    }
    found
}

fn partial(read: Result<Exif, Error>) -> ExifBlock {
    let warn = |error: &Error| Some(format!("EXIF: {error}"));
    match read {
        Ok(exif) => ExifBlock { exif: Some(exif), warning: None },
        Err(Error::PartialResult(partial)) => {
            let (exif, errors) = partial.into_inner();
            ExifBlock { exif: Some(exif), warning: errors.first().and_then(warn) }
        }
        Err(error) => ExifBlock { exif: None, warning: warn(&error) },
    }
}

/// The first chunk of a name. PNG's (big-endian) are length, name, body, checksum; WebP's (little-endian) are name,
/// length, body, and a byte to make that even.
pub(super) fn chunk<'a>(bytes: &'a [u8], start: usize, order: ByteOrder, name: &[u8; 4]) -> Option<&'a [u8]> {
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
    let is_whole = [Some(main), exif, gps].iter().flatten().all(Ifd::is_whole);
    let below = |directory: Option<Ifd<'_>>| {
        directory.filter(|directory| directory.tiff().order() == order).map(|directory| entries(&directory, order))
    };
    let (mut main, exif, gps) = (entries(&main, order), below(exif), below(gps));
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
    let mut found = partial(Reader::new().continue_on_error(true).read_raw(tables));
    if !is_whole {
        found.warning.get_or_insert_with(|| "EXIF: a directory lacks entries, or their values".to_owned());
    }
    found
}

/// The entries that are small; pointers are rewritten.
fn entries(directory: &Ifd<'_>, order: ByteOrder) -> Vec<ExcerptEntry> {
    const INTEROPERABILITY: u16 = 0xA005;
    let pointers = [ifd::EXIF_DIRECTORY, ifd::GPS_DIRECTORY, ifd::SUB_DIRECTORIES, INTEROPERABILITY];
    directory
        .entries()
        .filter(|entry| !pointers.contains(&entry.tag))
        .filter_map(|entry| excerpt_entry(&entry, order))
        .take(MAX_ENTRIES)
        .collect()
}

/// An entry of a type that the parser knows: it knows no offsets of directories and no integers of eight bytes.
fn excerpt_entry(entry: &IfdEntry<'_>, order: ByteOrder) -> Option<ExcerptEntry> {
    const ASCII: u16 = 2;
    const LONG: u16 = 4;
    let (tag, kind, value) = (entry.tag, entry.kind, entry.value);
    let made = match kind {
        ASCII => {
            let value = value.get(..MAX_VALUE).unwrap_or(value).to_vec();
            ExcerptEntry { tag, kind, count: value.len(), value }
        }
        _ if value.len() > MAX_VALUE => return None,
        1..=12 => ExcerptEntry { tag, kind, count: entry.count(), value: value.to_vec() },
        _ => {
            let numbers: Vec<usize> = entry.numbers().map(usize::try_from).collect::<Result<_, _>>().ok()?;
            let fits = numbers.iter().all(|&number| u32::try_from(number).is_ok());
            let value = numbers.iter().flat_map(|&number| encoded(order, number, 4)).collect();
            fits.then_some(ExcerptEntry { tag, kind: LONG, count: numbers.len(), value })?
        }
    };
    Some(made)
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
