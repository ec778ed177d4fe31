//! The items of a HEIF file (ISO/IEC 23008-12; boxes of ISO/IEC 14496-12, 8.11): which one is the picture, where its
//! bytes are, which properties it has.
//!
//! Called by `format` (which codec), `metadata` (the orientation) and `decode`. Boxes are parsed in place; of a kind,
//! at most 4,096 are kept, and as many entries of a table are read. Nothing is allocated by counts in the file.

pub(crate) mod transforms;

use crate::boxes::{self, FileBox};
use crate::ifd::ByteOrder;
use crate::orientation::Orientation;
use std::ops::Range;
use transforms::Transform;

/// Derivations of one picture from another, at most.
const MAX_CHAIN: usize = 8;
/// Entries of `iloc`, and of all tables `ipma` together, that are read: one for each item that can be.
const MAX_ENTRIES: usize = boxes::MAX_BOXES;

/// Numbers of a box, read one after the other.
struct Numbers<'a> {
    bytes: &'a [u8],
    rest: Range<usize>,
}

impl Numbers<'_> {
    /// The next `length` bytes, at most 8, as one number.
    fn take(&mut self, length: usize) -> Option<u64> {
        let end = self.rest.start.checked_add(length)?;
        let bytes = self.bytes.get(self.rest.start..end).filter(|_| end <= self.rest.end)?;
        self.rest.start = end;
        Some(ByteOrder::Big.number(bytes))
    }

    fn number(&mut self, length: usize) -> Option<u32> {
        u32::try_from(self.take(length)?).ok()
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.rest.start = self.rest.start.checked_add(length).filter(|&start| start <= self.rest.end)?;
        Some(())
    }
}

/// One item.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    id: u32,
    /// Its type, four letters.
    pub(crate) kind: [u8; 4],
    location: Option<Location>,
    associations: Option<Associations>,
}

/// Where the bytes of an item are (8.11.3).
#[derive(Debug, Clone, Copy)]
struct Location {
    /// 0: the file; 1: the box `idat`.
    method: u8,
    external: bool,
    base: u64,
    /// The position of its first extent in the file, and their number.
    extents: usize,
    count: usize,
}

/// The list of an item's properties (ISO/IEC 23008-12, 9.3).
#[derive(Debug, Clone, Copy)]
struct Associations {
    /// The position of the first in the file, and their number.
    at: usize,
    count: usize,
    /// Bytes of each: 1 or 2.
    each: usize,
}

/// Bytes of the fields of an extent.
#[derive(Debug, Clone, Copy, Default)]
struct Widths {
    offset: usize,
    length: usize,
    index: usize,
}

/// The items of a file.
pub(crate) struct Heif<'a> {
    bytes: &'a [u8],
    primary: u32,
    /// By their number.
    items: Vec<Item>,
    properties: Vec<FileBox>,
    references: Option<Range<usize>>,
    /// The bytes of `idat`.
    data: Option<Range<usize>>,
    widths: Widths,
}

impl<'a> Heif<'a> {
    /// `None` if the file names no primary item.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let meta = boxes::find(bytes, 0..bytes.len(), b"meta")?;
        // The version and flags of a full box come before the boxes in it.
        let within = meta.start.checked_add(4)?..meta.end;
        let one = |kind| boxes::find(bytes, within.clone(), kind);
        let mut primary = Numbers { bytes, rest: one(b"pitm")? };
        let wide = primary.take(4)? >> 24 != 0;
        let primary = primary.number(if wide { 4 } else { 2 })?;
        let properties = one(b"iprp");
        let list = properties.clone().and_then(|within| boxes::find(bytes, within, b"ipco"));
        let mut heif = Heif {
            bytes,
            primary,
            items: items(bytes, one(b"iinf")?)?,
            properties: list.into_iter().flat_map(|within| boxes::boxes(bytes, within)).collect(),
            references: one(b"iref"),
            data: one(b"idat"),
            widths: Widths::default(),
        };
        // A table that breaks off has told of its first items.
        if let Some(table) = one(b"iloc") {
            let _ = heif.locate(table);
        }
        let lists = properties.into_iter().flat_map(|within| boxes::boxes(bytes, within));
        let mut left = MAX_ENTRIES;
        for list in lists.filter(|list| list.kind == *b"ipma") {
            let _ = heif.associate(list.body, &mut left);
        }
        Some(heif)
    }

    pub(crate) fn item(&self, id: u32) -> Option<&Item> {
        let place = self.items.binary_search_by_key(&id, |item| item.id).ok()?;
        self.items.get(place)
    }

    fn item_mut(&mut self, id: u32) -> Option<&mut Item> {
        let place = self.items.binary_search_by_key(&id, |item| item.id).ok()?;
        self.items.get_mut(place)
    }

    /// Reads `iloc`: versions 0 to 2.
    fn locate(&mut self, body: Range<usize>) -> Option<()> {
        let mut fields = Numbers { bytes: self.bytes, rest: body };
        let version = fields.take(4)? >> 24;
        let widths = fields.take(2)? as usize;
        let (offset, length, base) = (widths >> 12, widths >> 8 & 15, widths >> 4 & 15);
        let index = if version == 0 { 0 } else { widths & 15 };
        if [offset, length, base, index].iter().any(|&width| width > 8) || version > 2 {
            return None;
        }
        self.widths = Widths { offset, length, index };
        let wide = if version == 2 { 4 } else { 2 };
        for _ in 0..MAX_ENTRIES.min(fields.number(wide)? as usize) {
            let id = fields.number(wide)?;
            let method = if version == 0 { 0 } else { fields.take(2)? as u8 & 15 };
            let external = fields.take(2)? != 0;
            let base = fields.take(base)?;
            let count = fields.take(2)? as usize;
            let extents = fields.rest.start;
            fields.skip(count * (offset + length + index))?;
            if let Some(item) = self.item_mut(id) {
                item.location.get_or_insert(Location { method, external, base, extents, count });
            }
        }
        Some(())
    }

    /// Reads a table `ipma`: no more entries than are left.
    fn associate(&mut self, body: Range<usize>, left: &mut usize) -> Option<()> {
        let mut fields = Numbers { bytes: self.bytes, rest: body };
        let head = fields.take(4)?;
        let (wide, each) = (if head >> 24 == 0 { 2 } else { 4 }, if head & 1 == 0 { 1 } else { 2 });
        for _ in 0..fields.number(4)? {
            *left = left.checked_sub(1)?;
            let id = fields.number(wide)?;
            let count = fields.take(1)? as usize;
            let at = fields.rest.start;
            fields.skip(count * each)?;
            if let Some(item) = self.item_mut(id) {
                item.associations.get_or_insert(Associations { at, count, each });
            }
        }
        Some(())
    }

    /// The properties of an item, in their order.
    pub(crate) fn properties(&self, item: &Item) -> impl Iterator<Item = &FileBox> {
        let list = item.associations.map_or(0..0, |list| 0..list.count);
        list.filter_map(move |place| {
            let Associations { at, each, .. } = item.associations?;
            let index = boxes::number(self.bytes, &(at..self.bytes.len()), place * each, each)?;
            // The highest bit says that a reader must understand it.
            let index = index & if each == 1 { 0x7f } else { 0x7fff };
            self.properties.get((index as usize).checked_sub(1)?)
        })
    }

    /// The contents of an item's properties of a kind.
    pub(crate) fn contents(&self, item: &Item, kind: &[u8; 4]) -> impl Iterator<Item = &'a [u8]> {
        let found = self.properties(item).filter(move |property| property.kind == *kind);
        found.filter_map(|property| self.bytes.get(property.body.clone()))
    }

    /// The bytes of a range; `None` if the file ends before.
    pub(crate) fn slice(&self, range: Range<usize>) -> Option<&'a [u8]> {
        self.bytes.get(range)
    }

    /// Bytes of the file.
    pub(crate) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// The items that an item is derived from, in their order (`dimg`).
    pub(crate) fn sources(&self, item: &Item) -> impl Iterator<Item = u32> + '_ {
        let mut fields = self.references_from(item.id);
        std::iter::from_fn(move || {
            let (fields, wide) = fields.as_mut()?;
            fields.number(*wide)
        })
    }

    /// The numbers of the first reference `dimg` from an item, and the bytes of each.
    fn references_from(&self, id: u32) -> Option<(Numbers<'a>, usize)> {
        let body = self.references.clone()?;
        let wide = if boxes::number(self.bytes, &body, 0, 1)? == 0 { 2 } else { 4 };
        let within = body.start.checked_add(4)?..body.end;
        boxes::boxes(self.bytes, within).filter(|reference| reference.kind == *b"dimg").find_map(|reference| {
            let mut fields = Numbers { bytes: self.bytes, rest: reference.body };
            (fields.number(wide)? == id).then_some(())?;
            let count = fields.take(2)? as usize;
            let end = fields.rest.start.checked_add(count * wide)?;
            fields.rest.end = fields.rest.end.min(end);
            Some((fields, wide))
        })
    }

    /// The ranges of an item's bytes in the file, which may end before them; `None` if they are elsewhere.
    pub(crate) fn extents(&self, item: &Item) -> Option<impl Iterator<Item = Option<Range<usize>>>> {
        let place = item.location.filter(|place| !place.external)?;
        let within = match place.method {
            0 => 0..self.bytes.len(),
            1 => self.data.clone()?,
            _ => return None,
        };
        let Widths { offset, length, index } = self.widths;
        let mut fields = Numbers { bytes: self.bytes, rest: place.extents..self.bytes.len() };
        Some((0..place.count).map(move |_| {
            fields.skip(index)?;
            let offset = usize::try_from(place.base.checked_add(fields.take(offset)?)?).ok()?;
            let length = usize::try_from(fields.take(length)?).ok()?;
            let start = within.start.checked_add(offset)?;
            // No length: to the end.
            let end = if length == 0 { within.end } else { start.checked_add(length)? };
            (start <= end && (place.method == 0 || end <= within.end)).then_some(start..end)
        }))
    }

    /// The item that is decoded for the primary one, and how it is shown: an identity (`iden`) shows another item, a
    /// tone map (`tmap`) is one for its first source. `None` if it is missing, or derived in a circle.
    pub(crate) fn picture(&self) -> Option<(&Item, Vec<Transform>)> {
        let mut item = self.item(self.primary)?;
        let mut outer: Vec<Transform> = Vec::new();
        for _ in 0..MAX_CHAIN {
            match &item.kind {
                b"iden" => outer.splice(0..0, self.transforms(item)).for_each(drop),
                b"tmap" => {}
                _ => {
                    outer.splice(0..0, self.transforms(item)).for_each(drop);
                    return Some((item, outer));
                }
            }
            item = self.item(self.sources(item).next()?)?;
        }
        None
    }

    /// How the picture is to be turned so that it is upright: by its rotations and mirrorings.
    pub(crate) fn orientation(&self) -> Option<Orientation> {
        Some(transforms::orientation(&self.picture()?.1))
    }

    pub(crate) fn transforms(&self, item: &Item) -> impl Iterator<Item = Transform> {
        self.properties(item).filter_map(|property| Transform::read(property, self.bytes))
    }
}

/// Whether a file has items that are coded with AV1, and none with HEVC. Nothing is allocated.
pub(crate) fn is_av1(bytes: &[u8]) -> bool {
    let has = |wanted: &[u8; 4]| {
        let meta = boxes::find(bytes, 0..bytes.len(), b"meta")?;
        let list = boxes::find(bytes, meta.start.checked_add(4)?..meta.end, b"iinf")?;
        let version = boxes::number(bytes, &list, 0, 1)?;
        let within = list.start.checked_add(if version == 0 { 6 } else { 8 })?..list.end;
        let kind = |entry: FileBox| {
            let skip = if boxes::number(bytes, &entry.body, 0, 1)? == 2 { 8 } else { 10 };
            boxes::number(bytes, &entry.body, skip, 4)
        };
        let wanted = u64::from(u32::from_be_bytes(*wanted));
        let mut entries = boxes::boxes(bytes, within).filter(|found| found.kind == *b"infe");
        entries.any(|entry| kind(entry) == Some(wanted)).then_some(())
    };
    has(b"av01").is_some() && has(b"hvc1").is_none()
}

/// The items of `iinf`, by their number.
fn items(bytes: &[u8], body: Range<usize>) -> Option<Vec<Item>> {
    let version = boxes::number(bytes, &body, 0, 1)?;
    let within = body.start.checked_add(if version == 0 { 6 } else { 8 })?..body.end;
    let entry = |found: FileBox| {
        let mut fields = Numbers { bytes, rest: found.body };
        let wide = match fields.take(4)? >> 24 {
            2 => 2,
            3 => 4,
            _ => return None,
        };
        let id = fields.number(wide)?;
        fields.skip(2)?;
        let kind = fields.number(4)?.to_be_bytes();
        Some(Item { id, kind, location: None, associations: None })
    };
    let entries = boxes::boxes(bytes, within).filter(|found| found.kind == *b"infe");
    let mut items: Vec<Item> = entries.filter_map(entry).collect();
    items.sort_by_key(|item| item.id);
    items.dedup_by_key(|item| item.id);
    Some(items)
}

#[cfg(test)]
mod tests;
