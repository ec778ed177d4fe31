//! Metadata items of HEIC and AVIF files: the EXIF block and the XMP packet (ISO/IEC 14496-12, 8.11; ISO/IEC 23008-12,
//! annex A).
//!
//! Called by the modules beside this one. Tables are parsed in place; an item is copied where it lies in several parts,
//! at most [`MAX_ITEM`] bytes of it.

use std::borrow::Cow;
use std::ops::Range;

use crate::boxes;

/// Entries of one table that are examined.
const MAX_ITEMS: usize = 4096;
/// Parts of one item.
const MAX_PARTS: usize = 64;
/// In bytes, of one item in parts.
const MAX_ITEM: usize = 1 << 20;

/// The first EXIF item: four bytes of offset, and the block.
pub(super) fn exif(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    item(bytes, |info| info.get(..4) == Some(b"Exif"))
}

/// The first XMP item.
pub(super) fn xmp(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    // The type, the name of the item, the type of the content; texts end with a zero byte.
    item(bytes, |info| {
        let texts = info.strip_prefix(b"mime").unwrap_or_default();
        texts.split(|&byte| byte == 0).nth(1) == Some(b"application/rdf+xml")
    })
}

/// The contents of `meta`, behind its version and flags.
pub(super) fn meta(bytes: &[u8]) -> Option<Range<usize>> {
    let meta = boxes::find(bytes, 0..bytes.len(), b"meta")?;
    Some(meta.start.checked_add(4)?..meta.end)
}

/// The properties of the primary item: their places in `ipco`, from 1 on (8.11.4 and 8.11.14). `meta` is the range of
/// [`meta`].
pub(super) fn properties_of_primary(bytes: &[u8], meta: &Range<usize>) -> Option<Vec<usize>> {
    let primary = boxes::find(bytes, meta.clone(), b"pitm")?;
    let width = if boxes::number(bytes, &primary, 0, 1)? == 0 { 2 } else { 4 };
    let primary = boxes::number(bytes, &primary, 4, width)?;
    let properties = boxes::find(bytes, meta.clone(), b"iprp")?;
    let tables = boxes::boxes(bytes, properties).filter(|found| found.kind == *b"ipma");
    tables.take(MAX_PARTS).find_map(|table| associations(bytes, &table.body, primary))
}

/// The properties that one table gives an item.
fn associations(bytes: &[u8], table: &Range<usize>, wanted: u64) -> Option<Vec<usize>> {
    let version = boxes::number(bytes, table, 0, 1)?;
    let (wide, index) =
        (if version == 0 { 2 } else { 4 }, if boxes::number(bytes, table, 3, 1)? & 1 == 1 { 2 } else { 1 });
    let mut cursor = Cursor { bytes, table, at: 4 };
    let items = cursor.next(4)?;
    for _ in 0..items.min(MAX_ITEMS as u64) {
        let id = cursor.next(wide)?;
        let count = usize::try_from(cursor.next(1)?).ok()?;
        if id != wanted {
            cursor.skip(count * index);
            continue;
        }
        // The first bit says that a property is essential.
        let mask = (1 << (8 * index - 1)) - 1;
        return (0..count).map(|_| usize::try_from(cursor.next(index)? & mask).ok()).collect();
    }
    None
}

/// The contents of the first item for which `is_wanted` holds, which is given its type and what follows that.
fn item(bytes: &[u8], is_wanted: impl Fn(&[u8]) -> bool) -> Option<Cow<'_, [u8]>> {
    let meta = meta(bytes)?;
    let infos = boxes::find(bytes, meta.clone(), b"iinf")?;
    let head = if boxes::number(bytes, &infos, 0, 1)? == 0 { 6 } else { 8 };
    let id = boxes::boxes(bytes, infos.start.checked_add(head)?..infos.end).find_map(|info| {
        let version = boxes::number(bytes, &info.body, 0, 1)?;
        let width = if version == 2 { 2 } else { 4 };
        let rest = info.body.start.checked_add(6 + width)?..info.body.end;
        let is_entry = info.kind == *b"infe" && version >= 2;
        (is_entry && is_wanted(bytes.get(rest)?)).then(|| boxes::number(bytes, &info.body, 4, width))?
    })?;
    let parts = located(bytes, &meta, id)?;
    if let [part] = parts.as_slice() {
        return Some(bytes.get(part.clone())?.into());
    }
    let mut whole = Vec::new();
    for part in parts {
        let part = bytes.get(part)?;
        whole.extend_from_slice(part.get(..MAX_ITEM.saturating_sub(whole.len())).unwrap_or(part));
    }
    Some(whole.into())
}

/// Where the parts of an item lie in the file; a part that the end of the file cuts is shorter.
fn located(bytes: &[u8], meta: &Range<usize>, wanted: u64) -> Option<Vec<Range<usize>>> {
    let table = boxes::find(bytes, meta.clone(), b"iloc")?;
    let version = boxes::number(bytes, &table, 0, 1)?;
    let sizes = boxes::number(bytes, &table, 4, 2)?;
    let size = |shift: u32| ((sizes >> shift) & 15) as usize;
    let (offsets, lengths, bases, indexes) = (size(12), size(8), size(4), if version > 0 { size(0) } else { 0 });
    let wide = if version < 2 { 2 } else { 4 };
    let mut cursor = Cursor { bytes, table: &table, at: 6 };
    let items = cursor.next(wide)?;
    for _ in 0..items.min(MAX_ITEMS as u64) {
        let id = cursor.next(wide)?;
        // 0: from the start of the file, 1: from that of `idat`.
        let method = if version > 0 { cursor.next(2)? & 15 } else { 0 };
        cursor.skip(2);
        let base = cursor.next(bases)?;
        let count = usize::try_from(cursor.next(2)?).ok()?;
        if id != wanted {
            cursor.skip(count * (indexes + offsets + lengths));
            continue;
        }
        let within = match method {
            0 => 0..bytes.len(),
            1 => boxes::find(bytes, meta.clone(), b"idat")?,
            _ => return None,
        };
        let part = |_| {
            cursor.skip(indexes);
            let (offset, length) = (cursor.next(offsets)?, cursor.next(lengths)?);
            let start = within.start.checked_add(usize::try_from(base.checked_add(offset)?).ok()?)?;
            // A length of zero is the rest.
            let length = if length == 0 { usize::MAX } else { usize::try_from(length).ok()? };
            let end = start.saturating_add(length).min(within.end);
            (start <= end).then_some(start..end)
        };
        return (0..count.min(MAX_PARTS)).map(part).collect();
    }
    None
}

/// Reads numbers one after the other.
struct Cursor<'a> {
    bytes: &'a [u8],
    table: &'a Range<usize>,
    at: usize,
}

impl Cursor<'_> {
    /// A number of `length` bytes; of none it is zero.
    fn next(&mut self, length: usize) -> Option<u64> {
        let at = self.at;
        self.skip(length);
        if length == 0 { Some(0) } else { boxes::number(self.bytes, self.table, at, length) }
    }

    fn skip(&mut self, length: usize) {
        self.at = self.at.saturating_add(length);
    }
}
