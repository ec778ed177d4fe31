//! TIFF's directories ("IFDs"), parsed in place: of TIFF and BigTIFF files, of the raw files built on them (whose magic
//! numbers differ), of EXIF blocks, of cameras' maker notes.
//!
//! Called by `format` (to identify a maker's raw file), `metadata` and `raw`. Allocations are not proportional to a
//! file's claims, and no offset is trusted: an entry whose value lies outside of the bytes does not exist. Directories
//! that point at each other are visited once, and at most [`MAX_DIRECTORIES`] of them.

use std::collections::BTreeSet;
use std::ops::Range;

pub(crate) const WIDTH: u16 = 0x0100;
pub(crate) const HEIGHT: u16 = 0x0101;
pub(crate) const COMPRESSION: u16 = 0x0103;
pub(crate) const PHOTOMETRIC: u16 = 0x0106;
pub(crate) const MAKE: u16 = 0x010F;
pub(crate) const STRIP_OFFSETS: u16 = 0x0111;
pub(crate) const ORIENTATION: u16 = 0x0112;
pub(crate) const STRIP_LENGTHS: u16 = 0x0117;
pub(crate) const SUB_DIRECTORIES: u16 = 0x014A;
pub(crate) const JPEG_OFFSET: u16 = 0x0201;
pub(crate) const JPEG_LENGTH: u16 = 0x0202;
pub(crate) const EXIF_DIRECTORY: u16 = 0x8769;
pub(crate) const GPS_DIRECTORY: u16 = 0x8825;
pub(crate) const MAKER_NOTE: u16 = 0x927C;

/// More directories than any camera writes; further ones are not read.
const MAX_DIRECTORIES: usize = 64;
/// Entries of one directory. Cameras write some 150 at most.
const MAX_ENTRIES: usize = 1024;
/// Directories below one entry.
const MAX_CHILDREN: usize = 16;

/// Which byte of a number comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    /// The least significant: "II".
    Little,
    /// The most significant: "MM".
    Big,
}

impl ByteOrder {
    /// The order that the two letters denote.
    pub(crate) fn of(letters: &[u8]) -> Option<Self> {
        match letters {
            b"II" => Some(Self::Little),
            b"MM" => Some(Self::Big),
            _ => None,
        }
    }

    /// At most eight bytes as a number.
    pub(crate) fn number(self, bytes: &[u8]) -> u64 {
        let push = |sum: u64, &byte: &u8| (sum << 8) | u64::from(byte);
        match self {
            Self::Little => bytes.iter().rev().fold(0, push),
            Self::Big => bytes.iter().fold(0, push),
        }
    }
}

/// Bytes with directories in them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tiff<'a> {
    bytes: &'a [u8],
    /// The origin of this structure's offsets.
    base: usize,
    order: ByteOrder,
    /// BigTIFF: eight bytes an offset.
    big: bool,
    first: u64,
}

impl<'a> Tiff<'a> {
    /// Opens a structure by its header: TIFF's, BigTIFF's, or one of those that Olympus and Panasonic use instead.
    pub(crate) fn open(bytes: &'a [u8]) -> Option<Self> {
        let order = ByteOrder::of(bytes.get(..2)?)?;
        let (big, first) = match order.number(bytes.get(2..4)?) {
            0x002A | 0x0055 | 0x4F52 | 0x5352 => (false, bytes.get(4..8)?),
            0x002B if order.number(bytes.get(4..6)?) == 8 => (true, bytes.get(8..16)?),
            _ => return None,
        };
        Some(Self { bytes, base: 0, order, big, first: order.number(first) })
    }

    /// These bytes, read in `order` with offsets relative to `base`, as maker notes need.
    pub(crate) fn rebased(&self, base: usize, order: ByteOrder) -> Self {
        Self { base, order, big: false, ..*self }
    }

    /// The byte order.
    pub(crate) fn order(&self) -> ByteOrder {
        self.order
    }

    /// The position of an offset in the bytes.
    pub(crate) fn position(&self, offset: u64) -> Option<usize> {
        let position = self.base.checked_add(usize::try_from(offset).ok()?)?;
        (position <= self.bytes.len()).then_some(position)
    }

    /// The offset of a position in the bytes.
    pub(crate) fn offset(&self, position: usize) -> Option<u64> {
        u64::try_from(position.checked_sub(self.base)?).ok()
    }

    /// `length` bytes from `offset`, if they exist.
    pub(crate) fn range(&self, offset: u64, length: u64) -> Option<Range<usize>> {
        let start = self.position(offset)?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        (end <= self.bytes.len()).then_some(start..end)
    }

    /// The first one.
    pub(crate) fn first(&self) -> Option<Ifd<'a>> {
        self.directory(self.first)
    }

    /// The directory at `offset`. A directory that the end of the bytes truncates has the remaining entries.
    pub(crate) fn directory(&self, offset: u64) -> Option<Ifd<'a>> {
        let width = if self.big { 8 } else { 2 };
        let head = self.range(offset, width)?;
        let count = usize::try_from(self.order.number(self.bytes.get(head.clone())?)).ok()?;
        (offset != 0).then_some(Ifd { tiff: *self, start: head.end, count })
    }

    /// The directories of the chain, of SUB_DIRECTORIES and EXIF_DIRECTORY, in the order found; each once.
    pub(crate) fn directories(&self) -> Vec<Ifd<'a>> {
        let mut queue = vec![self.first];
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(&offset) = queue.get(at) {
            at += 1;
            if found.len() >= MAX_DIRECTORIES || !seen.insert(offset) {
                continue;
            }
            let Some(directory) = self.directory(offset) else { continue };
            queue.extend(directory.next());
            for tag in [SUB_DIRECTORIES, EXIF_DIRECTORY] {
                let children = directory.find(tag);
                queue.extend(children.iter().flat_map(|entry| entry.numbers()).take(MAX_CHILDREN));
            }
            found.push(directory);
        }
        found
    }
}

/// A directory: a table of entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ifd<'a> {
    tiff: Tiff<'a>,
    start: usize,
    count: usize,
}

impl<'a> Ifd<'a> {
    /// What it is part of.
    pub(crate) fn tiff(&self) -> &Tiff<'a> {
        &self.tiff
    }

    /// Those that can be read.
    pub(crate) fn entries(&self) -> impl Iterator<Item = IfdEntry<'a>> + use<'a> {
        let directory = *self;
        (0..self.count.min(MAX_ENTRIES)).map_while(move |index| directory.record(index)).filter_map(Result::ok)
    }

    /// The first with this tag.
    pub(crate) fn find(&self, tag: u16) -> Option<IfdEntry<'a>> {
        self.entries().find(|entry| entry.tag == tag)
    }

    /// The first number of the first entry with this tag.
    pub(crate) fn number(&self, tag: u16) -> Option<u64> {
        self.find(tag)?.numbers().next()
    }

    /// Whether the bytes end within the directory, or lack the value of an entry with one of these tags.
    pub(crate) fn is_cut(&self, tags: &[u16]) -> bool {
        (0..self.count.min(MAX_ENTRIES)).any(|index| match self.record(index) {
            None => true,
            Some(Ok(_)) => false,
            Some(Err(tag)) => tags.contains(&tag),
        })
    }

    /// The directory that an entry of this one points at.
    pub(crate) fn child(&self, tag: u16) -> Option<Ifd<'a>> {
        let entry = self.find(tag)?;
        // Bytes that are one number, as some write it.
        let offset = match (entry.kind, entry.value.len()) {
            (1 | 7, 4 | 8) => self.tiff.order.number(entry.value),
            _ => entry.numbers().next()?,
        };
        self.tiff.directory(offset)
    }

    /// Whether all entries are there with their values. Those of types that do not exist have none.
    pub(crate) fn is_whole(&self) -> bool {
        let (size, _) = self.sizes();
        let has_type = |index: usize| {
            let kind = self.start + index * size + 2;
            self.tiff.bytes.get(kind..kind + 2).is_some_and(|kind| unit(self.tiff.order.number(kind) as u16).is_some())
        };
        let is_whole = |index| match self.record(index) {
            Some(record) => record.is_ok() || !has_type(index),
            None => false,
        };
        (0..self.count.min(MAX_ENTRIES)).all(is_whole)
    }

    /// In bytes, of an entry, and of an offset or a count.
    fn sizes(&self) -> (usize, usize) {
        if self.tiff.big { (20, 8) } else { (12, 4) }
    }

    /// The offset of the next one of the chain.
    fn next(&self) -> Option<u64> {
        let (size, width) = self.sizes();
        let at = self.start.checked_add(self.count.checked_mul(size)?)?;
        Some(self.tiff.order.number(self.tiff.bytes.get(at..at.checked_add(width)?)?))
    }

    /// `None` past the end of the bytes; as an error the tag of an entry whose value is missing.
    fn record(&self, index: usize) -> Option<Result<IfdEntry<'a>, u16>> {
        let (size, width) = self.sizes();
        let at = self.start.checked_add(index.checked_mul(size)?)?;
        let record = self.tiff.bytes.get(at..at.checked_add(size)?)?;
        Some(self.entry(at, record, width).ok_or_else(|| self.tiff.order.number(&record[..2]) as u16))
    }

    fn entry(&self, at: usize, record: &[u8], width: usize) -> Option<IfdEntry<'a>> {
        let order = self.tiff.order;
        let kind = order.number(record.get(2..4)?) as u16;
        let count = order.number(record.get(4..4 + width)?);
        let length = count.checked_mul(u64::try_from(unit(kind)?).ok()?)?;
        let range = if length <= width as u64 {
            let start = at + 4 + width;
            start..start.checked_add(usize::try_from(length).ok()?)?
        } else {
            self.tiff.range(order.number(record.get(4 + width..)?), length)?
        };
        let value = self.tiff.bytes.get(range.clone())?;
        Some(IfdEntry { tag: order.number(record.get(..2)?) as u16, kind, value, at: range.start, order })
    }
}

/// A tag and its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IfdEntry<'a> {
    /// What it says.
    pub(crate) tag: u16,
    /// TIFF's type of the values.
    pub(crate) kind: u16,
    /// All of the values.
    pub(crate) value: &'a [u8],
    /// Where the values lie in the bytes.
    pub(crate) at: usize,
    order: ByteOrder,
}

impl<'a> IfdEntry<'a> {
    /// The values, where they are whole numbers; one below zero becomes larger than any size or offset.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> + use<'a> {
        let (order, size) = (self.order, unit(self.kind).unwrap_or(1));
        let is_signed = matches!(self.kind, 6 | 8 | 9 | 17);
        let values = if is_signed || matches!(self.kind, 1 | 3 | 4 | 7 | 13 | 16 | 18) { self.value } else { &[] };
        values.chunks_exact(size).map(move |chunk| {
            let number = order.number(chunk);
            let is_negative = is_signed && number >> (8 * size - 1) == 1;
            if is_negative { u64::MAX } else { number }
        })
    }

    /// The value at an index, where the values are whole numbers without a sign.
    pub(crate) fn nth(&self, index: usize) -> Option<u64> {
        let size = unit(self.kind).unwrap_or(1);
        let rest = IfdEntry { value: self.value.get(index.checked_mul(size)?..)?, ..*self };
        rest.numbers().next()
    }

    /// The values, where they are fractions without a sign.
    pub(crate) fn rationals(&self) -> impl Iterator<Item = f64> + use<'a> {
        let order = self.order;
        let values = if self.kind == 5 { self.value } else { &[] };
        values.chunks_exact(8).map(move |pair| order.number(&pair[..4]) as f64 / order.number(&pair[4..]) as f64)
    }

    /// How many values.
    pub(crate) fn count(&self) -> usize {
        self.value.len() / unit(self.kind).unwrap_or(1)
    }

    /// The text up to the first NUL.
    pub(crate) fn text(&self) -> &'a [u8] {
        self.value.split(|&byte| byte == 0).next().unwrap_or_default()
    }
}

/// The size of one value of a type, in bytes.
fn unit(kind: u16) -> Option<usize> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 | 16 | 17 | 18 => Some(8),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod build;
#[cfg(test)]
mod tests;
