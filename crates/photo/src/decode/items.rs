//! What pictures of HEIF files have in common, whatever codes them: the bytes of items, grids, the output.
//!
//! Called by `heic` and `avif`. Of a grid, one coded picture (a tile) is held at a time; each is converted into its
//! place of the output.
//!
//! - [`nclx`]: the numbers of colours.

pub(super) mod nclx;

use super::{area, damaged, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::heif::transforms::{Rectangle, Transform};
use crate::heif::{Heif, Item};
use crate::limits::{CancelCheck, Limits};
use crate::picture::{Damage, Picture, Pixels};
use nclx::Nclx;
use std::borrow::Cow;

/// What may be allocated regardless of the picture's size: the tables of items, parameter sets, the header of a slice.
pub(super) const FIXED: u64 = 2 << 20;
/// Tiles of a grid, at most: as many as items are read.
const MAX_TILES: usize = 4096;

/// The numbers of a grid (ISO/IEC 23008-12, 6.6.2.3).
pub(super) struct Grid {
    rows: u32,
    columns: u32,
    /// Of the picture, in pixels.
    pub(super) width: u32,
    pub(super) height: u32,
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

    /// Of one picture alone, of this size.
    #[cfg_attr(not(feature = "avif"), allow(dead_code, reason = "HEIC has its size from the coded picture"))]
    pub(super) fn single((width, height): (u32, u32)) -> Self {
        Grid { rows: 1, columns: 1, width, height }
    }

    /// The place of a tile of this size, by its number.
    pub(super) fn place(&self, number: u32, (width, height): (u32, u32)) -> Rectangle {
        Rectangle { x: number % self.columns * width, y: number / self.columns * height, width, height }
    }

    /// Pixels of all tiles of this size, those outside of the picture as well: all are decoded. Errors:
    /// [`PhotoError::Pixels`]; [`PhotoError::Damaged`], if they do not cover the picture.
    pub(super) fn pixels(
        &self,
        (width, height): (u32, u32),
        format: Format,
        limits: &Limits<'_>,
    ) -> Result<u64, PhotoError> {
        let wrong = |why: &str| damaged(format, why);
        let side = |count: u32, length: u32| count.checked_mul(length).ok_or_else(|| wrong("its grid is too large"));
        let (across, down) = (side(self.columns, width)?, side(self.rows, height)?);
        limits.allow_pixels(across, down)?;
        if across < self.width || down < self.height {
            return Err(wrong("its tiles are smaller than its grid"));
        }
        Ok(area(across, down, 1))
    }
}

/// A grid, and its tiles: as many as it has places. Errors: [`PhotoError::Pixels`], [`PhotoError::Damaged`],
/// [`PhotoError::Unsupported`].
pub(super) fn grid<'a>(
    heif: &'a Heif<'_>,
    item: &Item,
    format: Format,
    limits: &Limits<'_>,
) -> Result<(Grid, Vec<Option<&'a Item>>), PhotoError> {
    let wrong = |why: &str| damaged(format, why);
    let grid = Grid::read(&data(heif, item, format, 0, limits)?).ok_or_else(|| wrong("its grid has no size"))?;
    limits.allow_pixels(grid.width, grid.height)?;
    let tiles: Vec<Option<&Item>> = heif.sources(item).take(MAX_TILES + 1).map(|id| heif.item(id)).collect();
    if grid.rows as usize * grid.columns as usize > MAX_TILES {
        return Err(unsupported(format, "a grid of more than 4096 pictures"));
    }
    if tiles.len() != grid.rows as usize * grid.columns as usize {
        return Err(wrong("its grid has not as many pictures as rows and columns"));
    }
    Ok((grid, tiles))
}

/// Errors: [`PhotoError::Unsupported`] for a tile that is turned, or not coded as `kind` says.
pub(super) fn check_tile(heif: &Heif<'_>, item: &Item, kind: &[u8; 4], format: Format) -> Result<(), PhotoError> {
    if item.kind != *kind {
        return Err(unsupported(format, format!("a grid of pictures that are not {}", kind.escape_ascii())));
    }
    if heif.transforms(item).any(|transform| transform != Transform::Turn(Default::default())) {
        return Err(unsupported(format, "a grid of turned pictures"));
    }
    Ok(())
}

/// The output, and which part of the picture it is.
pub(super) struct Canvas<'a> {
    format: Format,
    part: Rectangle,
    pub(super) channels: usize,
    samples: Vec<u8>,
    limits: &'a Limits<'a>,
}

impl<'a> Canvas<'a> {
    /// For the shown part of a picture, whose decoder takes `working` bytes.
    pub(super) fn new(
        format: Format,
        whole: Rectangle,
        turns: &[Transform],
        channels: usize,
        working: u64,
        limits: &'a Limits<'a>,
    ) -> Result<Self, PhotoError> {
        let part = whole.shown(turns).ok_or_else(|| damaged(format, "its clean aperture is no part of it"))?;
        let mut canvas = Canvas { format, part, channels, samples: Vec::new(), limits };
        canvas.allow(working)?;
        canvas.samples = limits.zeros(canvas.size() as usize)?;
        Ok(canvas)
    }

    /// Bytes of the output.
    pub(super) fn size(&self) -> u64 {
        area(self.part.width, self.part.height, self.channels as u64)
    }

    /// Asks for the memory of the output, and for what decoding a coded picture takes.
    pub(super) fn allow(&self, working: u64) -> Result<(), PhotoError> {
        self.limits.allow_memory(self.format, self.with_output(working))
    }

    fn with_output(&self, working: u64) -> u64 {
        (FIXED + self.size()).saturating_add(working)
    }

    /// Limits with that memory alone.
    #[cfg_attr(not(feature = "avif"), allow(dead_code, reason = "only its decoder is given memory"))]
    pub(super) fn limits(&self, working: u64) -> Limits<'a> {
        Limits { memory: self.with_output(working), ..*self.limits }
    }

    /// The shown part of row `row` of a place, and the column of the place where it begins; `None` if there is none.
    pub(super) fn line(&mut self, place: Rectangle, row: u32) -> Option<(usize, &mut [u8])> {
        let common = self.part.common(place)?;
        let row = place.y + row;
        let is_shown = row >= common.y && row - common.y < common.height;
        is_shown.then(|| ((common.x - place.x) as usize, self.row(row, common)))
    }

    /// Makes a place grey.
    pub(super) fn clear(&mut self, place: Rectangle) -> Result<(), PhotoError> {
        let Some(common) = self.part.common(place) else { return Ok(()) };
        let mut check = CancelCheck::new(self.limits);
        for row in common.y..common.y + common.height {
            check.row(common.width as usize)?;
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

    pub(super) fn picture(self, truncated: bool) -> Picture {
        let pixels = if self.channels == 1 { Pixels::Grey(self.samples) } else { Pixels::Rgb(self.samples) };
        Picture {
            width: self.part.width,
            height: self.part.height,
            pixels,
            damage: truncated.then_some(Damage::Truncated),
        }
    }
}

/// The bytes of an item. Copied only if they are in several pieces, beside the `held` bytes of the output.
pub(super) fn data<'a>(
    heif: &Heif<'a>,
    item: &Item,
    format: Format,
    held: u64,
    limits: &Limits<'_>,
) -> Result<Cow<'a, [u8]>, PhotoError> {
    let away = || damaged(format, "an item is not where it should be");
    let early = || damaged(format, "it ends early");
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
    limits.allow_memory(format, FIXED + held + length as u64)?;
    let mut all = Vec::new();
    all.try_reserve_exact(length).map_err(|_| PhotoError::OutOfMemory)?;
    parts()?.for_each(|part| all.extend_from_slice(part));
    Ok(Cow::Owned(all))
}

/// What the first property `colr` of numbers says.
pub(super) fn nclx(heif: &Heif<'_>, item: &Item) -> Option<Nclx> {
    heif.contents(item, b"colr").find_map(Nclx::read)
}
