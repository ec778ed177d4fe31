//! HEIC: the primary picture of a HEIF file whose pictures are coded with HEVC, by heifer-hevc-dec.
//!
//! The container is read here ([`heif`](crate::heif)), because what is decoded at once must be bounded: a grid is
//! decoded one coded picture (a tile) after the other, and each is converted into its place of the output, so that the
//! memory is that of the output and of one tile. Turns are left to the orientation, as those of the other formats.
//! Alpha, depth and gain maps are items of their own, which are not read.
//!
//! A grid whose later tiles are missing or damaged is a truncated picture. One coded picture cannot tell where it
//! breaks: that is an error.
//!
//! - [`coded`]: one coded picture: its parameter sets, their bounds, its samples.
//! - [`colour`]: samples to the colours that libheif makes of them.

mod coded;
mod colour;

use super::{area, damaged, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::heif::transforms::{Rectangle, Transform};
use crate::heif::{Heif, Item};
use crate::limits::{CancelCheck, Limits};
use crate::picture::{Damage, Picture, Pixels};
use coded::Coded;
use colour::{Conversion, Nclx};
use std::borrow::Cow;

/// What may be allocated regardless of the picture's size: the tables of items, parameter sets, the header of a slice.
const FIXED: u64 = 2 << 20;
/// Tiles of a grid, at most: as many as items are read.
const MAX_TILES: usize = 4096;

pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    limits.allow_memory(Format::Heic, FIXED)?;
    let heif = Heif::parse(bytes).ok_or_else(|| damaged(Format::Heic, "it names no primary item"))?;
    let (item, transforms) = heif.picture().ok_or_else(|| damaged(Format::Heic, "its primary item is missing"))?;
    match &item.kind {
        b"hvc1" => single(&heif, item, &transforms, limits),
        b"grid" => grid(&heif, item, &transforms, limits),
        kind => Err(unsupported(Format::Heic, format!("its picture is of type {}", kind.escape_ascii()))),
    }
}

/// A picture of one coded picture.
fn single(heif: &Heif<'_>, item: &Item, turns: &[Transform], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let data = data(heif, item, limits)?;
    let coded = Coded::open(configuration(heif, item)?, &data, limits)?;
    let whole = Rectangle::whole(coded.width, coded.height);
    let mut canvas = Canvas::new(whole, turns, &coded, &data, limits)?;
    let conversion = Conversion::new(nclx(heif, item), &coded)?;
    canvas.paint(&coded.decode(data, limits)?, &conversion, whole)?;
    Ok(canvas.picture(false))
}

/// The numbers of a grid (ISO/IEC 23008-12, 6.6.2.3).
struct Grid {
    rows: u32,
    columns: u32,
    width: u32,
    height: u32,
}

impl Grid {
    fn read(data: &[u8]) -> Option<Self> {
        let &[_, flags, rows, columns, ref size @ ..] = data else { return None };
        let (width, height) = match (flags & 1, size) {
            (0, &[a, b, c, d, ..]) => (u16::from_be_bytes([a, b]).into(), u16::from_be_bytes([c, d]).into()),
            (1, &[a, b, c, d, e, f, g, h, ..]) => (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])),
            _ => return None,
        };
        let grid = Grid { rows: u32::from(rows) + 1, columns: u32::from(columns) + 1, width, height };
        (width > 0 && height > 0).then_some(grid)
    }
}

/// A picture of several coded pictures of one size, row by row.
fn grid(heif: &Heif<'_>, item: &Item, turns: &[Transform], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let wrong = |why: &str| damaged(Format::Heic, why);
    let grid = Grid::read(&data(heif, item, limits)?).ok_or_else(|| wrong("its grid has no size"))?;
    limits.allow_pixels(grid.width, grid.height)?;
    let tiles: Vec<Option<&Item>> = heif.sources(item).take(MAX_TILES + 1).map(|id| heif.item(id)).collect();
    if grid.rows as usize * grid.columns as usize > MAX_TILES {
        return Err(unsupported(Format::Heic, "a grid of more than 4096 pictures"));
    }
    if tiles.len() != grid.rows as usize * grid.columns as usize {
        return Err(wrong("its grid has not as many pictures as rows and columns"));
    }
    let first = tiles.first().copied().flatten().ok_or_else(|| wrong("its first tile is missing"))?;
    let mut tile = Tile::open(heif, first, limits)?;
    let (width, height) = (tile.coded.width, tile.coded.height);
    let side = |count: u32, length: u32| count.checked_mul(length).ok_or_else(|| wrong("its grid is too large"));
    let (across, down) = (side(grid.columns, width)?, side(grid.rows, height)?);
    // All tiles are decoded, those outside of the picture as well.
    limits.allow_pixels(across, down)?;
    if across < grid.width || down < grid.height {
        return Err(wrong("its tiles are smaller than its grid"));
    }
    let whole = Rectangle::whole(grid.width, grid.height);
    let mut canvas = Canvas::new(whole, turns, &tile.coded, &tile.data, limits)?;
    let conversion = Conversion::new(nclx(heif, item).or_else(|| nclx(heif, first)), &tile.coded)?;
    // Many items may share their bytes: few bytes must not become much work.
    let mut budget = heif.length() as u64 + area(across, down, 1);
    let mut truncated = false;
    for (place, item) in (0..).zip(&tiles) {
        limits.check()?;
        let here = Rectangle { x: place % grid.columns * width, y: place / grid.columns * height, width, height };
        let mut paint = || {
            if place > 0 {
                tile = Tile::open(heif, item.ok_or_else(|| wrong("a tile is missing"))?, limits)?;
            }
            let Coded { width: w, height: h, chroma, depth, .. } = tile.coded;
            if (w, h, chroma, depth) != (width, height, conversion.chroma, conversion.depth) {
                return Err(wrong("its tiles differ in size or in kind"));
            }
            budget = budget.checked_sub(tile.data.len() as u64).ok_or_else(|| wrong("its tiles share their bytes"))?;
            canvas.allow(&tile.coded, &tile.data)?;
            let data = std::mem::take(&mut tile.data);
            canvas.paint(&tile.coded.decode(data, limits)?, &conversion, here)
        };
        match paint() {
            Err(PhotoError::Damaged { .. }) if place > 0 => {
                truncated = true;
                canvas.clear(here)?;
            }
            result => result?,
        }
    }
    Ok(canvas.picture(truncated))
}

/// One coded picture of a grid, and its bytes.
struct Tile<'a> {
    coded: Coded,
    data: Cow<'a, [u8]>,
}

impl<'a> Tile<'a> {
    fn open(heif: &Heif<'a>, item: &Item, limits: &Limits<'_>) -> Result<Self, PhotoError> {
        if item.kind != *b"hvc1" {
            return Err(unsupported(Format::Heic, "a grid of pictures that are not coded with HEVC"));
        }
        if heif.transforms(item).any(|transform| transform != Transform::Turn(Default::default())) {
            return Err(unsupported(Format::Heic, "a grid of turned pictures"));
        }
        let data = data(heif, item, limits)?;
        Ok(Tile { coded: Coded::open(configuration(heif, item)?, &data, limits)?, data })
    }
}

/// The output, and which part of the picture it is.
struct Canvas<'a> {
    part: Rectangle,
    channels: usize,
    samples: Vec<u8>,
    limits: &'a Limits<'a>,
}

impl<'a> Canvas<'a> {
    /// For a picture that begins with this coded one.
    fn new(
        whole: Rectangle,
        turns: &[Transform],
        coded: &Coded,
        data: &[u8],
        limits: &'a Limits<'a>,
    ) -> Result<Self, PhotoError> {
        let part = whole.shown(turns).ok_or_else(|| damaged(Format::Heic, "its clean aperture is no part of it"))?;
        let channels = coded.channels();
        let mut canvas = Canvas { part, channels, samples: Vec::new(), limits };
        canvas.allow(coded, data)?;
        canvas.samples = limits.zeros(canvas.size() as usize)?;
        Ok(canvas)
    }

    /// Bytes of the output.
    fn size(&self) -> u64 {
        area(self.part.width, self.part.height, self.channels as u64)
    }

    /// Asks for the memory of the output and of decoding a coded picture.
    fn allow(&self, coded: &Coded, data: &[u8]) -> Result<(), PhotoError> {
        self.limits.allow_memory(Format::Heic, FIXED + self.size() + coded.working_memory(data.len() as u64))
    }

    /// Converts a frame into its place.
    fn paint(&mut self, frame: &coded::Frame, by: &Conversion, place: Rectangle) -> Result<(), PhotoError> {
        let Some(common) = self.part.common(place) else { return Ok(()) };
        let mut check = CancelCheck::new(self.limits);
        for row in common.y..common.y + common.height {
            check.advance(common.width as usize)?;
            let from = (common.x - place.x) as usize;
            by.convert(frame, (row - place.y) as usize, from, self.row(row, common));
        }
        Ok(())
    }

    /// Makes a place grey.
    fn clear(&mut self, place: Rectangle) -> Result<(), PhotoError> {
        let Some(common) = self.part.common(place) else { return Ok(()) };
        let mut check = CancelCheck::new(self.limits);
        for row in common.y..common.y + common.height {
            check.advance(common.width as usize)?;
            self.row(row, common).fill(128);
        }
        Ok(())
    }

    /// The samples of a row of a part of the picture.
    fn row(&mut self, row: u32, part: Rectangle) -> &mut [u8] {
        let (x, y) = ((part.x - self.part.x) as usize, (row - self.part.y) as usize);
        let start = (y * self.part.width as usize + x) * self.channels;
        &mut self.samples[start..start + part.width as usize * self.channels]
    }

    fn picture(self, truncated: bool) -> Picture {
        let pixels = if self.channels == 1 { Pixels::Grey(self.samples) } else { Pixels::Rgb(self.samples) };
        Picture {
            width: self.part.width,
            height: self.part.height,
            pixels,
            damage: truncated.then_some(Damage::Truncated),
        }
    }
}

/// The bytes of an item. Copied only if they are in several pieces.
fn data<'a>(heif: &Heif<'a>, item: &Item, limits: &Limits<'_>) -> Result<Cow<'a, [u8]>, PhotoError> {
    let away = || damaged(Format::Heic, "an item is not where it should be");
    let early = || damaged(Format::Heic, "it ends early");
    let extents = || heif.extents(item).ok_or_else(away);
    let (mut length, mut count) = (0usize, 0);
    for extent in extents()? {
        let part = heif.slice(extent.ok_or_else(away)?).ok_or_else(early)?;
        // Pieces that overlap could be longer than all.
        length = length.checked_add(part.len()).filter(|&length| length <= heif.length()).ok_or_else(away)?;
        count += 1;
    }
    let parts = || extents().map(|found| found.filter_map(|extent| heif.slice(extent?)));
    if count == 1 {
        return parts()?.next().map(Cow::Borrowed).ok_or_else(away);
    }
    limits.allow_memory(Format::Heic, FIXED + length as u64)?;
    let mut all = Vec::new();
    all.try_reserve_exact(length).map_err(|_| PhotoError::OutOfMemory)?;
    parts()?.for_each(|part| all.extend_from_slice(part));
    Ok(Cow::Owned(all))
}

fn configuration<'a>(heif: &Heif<'a>, item: &Item) -> Result<&'a [u8], PhotoError> {
    heif.contents(item, b"hvcC").next().ok_or_else(|| damaged(Format::Heic, "a picture has no decoder configuration"))
}

/// What the first property `colr` of numbers says.
fn nclx(heif: &Heif<'_>, item: &Item) -> Option<Nclx> {
    heif.contents(item, b"colr").find_map(Nclx::read)
}
