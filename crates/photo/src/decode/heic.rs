//! HEIC: the primary picture of a HEIF file whose pictures are coded with HEVC, by heifer-hevc-dec.
//!
//! The container is read here ([`heif`](crate::heif)), because what is decoded at once must be bounded: a grid is
//! decoded one coded picture (a tile) after the other, and each is converted into its place of the output, so that the
//! memory is that of the output and of one tile. Turns are left to the orientation, as those of the other formats.
//! Alpha, depth and gain maps are items of their own, which are not read.
//!
//! The size is that of the samples. The property `ispe` should say the same; where it does not, libheif 1.19
//! decodes the samples, and 1.23 refuses the file. Such files exist: they are decoded.
//!
//! A grid whose later tiles are missing or damaged is a truncated picture. One coded picture cannot tell where it
//! breaks: that is an error.
//!
//! - [`coded`]: one coded picture: its parameter sets, their bounds, its samples.
//! - [`colour`]: samples to the colours that libheif makes of them.

mod coded;
mod colour;

use super::items::nclx::Nclx;
use super::items::{self, Canvas, FIXED, data};
use super::{damaged, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::heif::transforms::{Rectangle, Transform};
use crate::heif::{Heif, Item};
use crate::limits::{CancelCheck, Limits};
use crate::picture::Picture;
use coded::Coded;
use colour::Conversion;
use std::borrow::Cow;

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
    let data = data(heif, item, Format::Heic, 0, limits)?;
    let coded = Coded::open(configuration(heif, item)?, &data, limits)?;
    let whole = Rectangle::whole(coded.width, coded.height);
    let working = coded.working_memory(data.len() as u64);
    let mut canvas = Canvas::new(Format::Heic, whole, turns, coded.channels(), working, limits)?;
    let conversion = Conversion::new(nclx(heif, item), &coded)?;
    paint(&mut canvas, &coded.decode(data, limits)?, &conversion, whole, limits)?;
    Ok(canvas.picture(false))
}

/// A picture of several coded pictures of one size, row by row.
fn grid(heif: &Heif<'_>, item: &Item, turns: &[Transform], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let wrong = |why: &str| damaged(Format::Heic, why);
    let (grid, tiles) = items::grid(heif, item, Format::Heic, limits)?;
    let first = tiles.first().copied().flatten().ok_or_else(|| wrong("its first tile is missing"))?;
    let tile = Tile::open(heif, first, 0, limits)?;
    let (width, height) = (tile.coded.width, tile.coded.height);
    let pixels = grid.pixels((width, height), Format::Heic, limits)?;
    let whole = Rectangle::whole(grid.width, grid.height);
    let working = tile.coded.working_memory(tile.data.len() as u64);
    let mut canvas = Canvas::new(Format::Heic, whole, turns, tile.coded.channels(), working, limits)?;
    let conversion = Conversion::new(nclx(heif, item).or_else(|| nclx(heif, first)), &tile.coded)?;
    let mut opened = Some(tile);
    // Many items may share their bytes: few bytes must not become much work.
    let mut budget = heif.length() as u64 + pixels;
    let mut truncated = false;
    for (place, item) in (0..).zip(&tiles) {
        limits.check()?;
        let here = grid.place(place, (width, height));
        let mut attempt = || {
            let tile = match opened.take() {
                Some(first) => first,
                None => Tile::open(heif, item.ok_or_else(|| wrong("a tile is missing"))?, canvas.size(), limits)?,
            };
            let Coded { width: w, height: h, chroma, depth, .. } = tile.coded;
            if (w, h, chroma, depth) != (width, height, conversion.chroma, conversion.depth) {
                return Err(wrong("its tiles differ in size or in kind"));
            }
            budget = budget.checked_sub(tile.data.len() as u64).ok_or_else(|| wrong("its tiles share their bytes"))?;
            canvas.allow(tile.coded.working_memory(tile.data.len() as u64))?;
            paint(&mut canvas, &tile.coded.decode(tile.data, limits)?, &conversion, here, limits)
        };
        match attempt() {
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
    /// `held`: bytes of the output.
    fn open(heif: &Heif<'a>, item: &Item, held: u64, limits: &Limits<'_>) -> Result<Self, PhotoError> {
        items::check_tile(heif, item, b"hvc1", Format::Heic)?;
        let data = data(heif, item, Format::Heic, held, limits)?;
        Ok(Tile { coded: Coded::open(configuration(heif, item)?, &data, limits)?, data })
    }
}

/// Converts a frame into its place.
fn paint(
    canvas: &mut Canvas<'_>,
    frame: &coded::Frame,
    by: &Conversion,
    place: Rectangle,
    limits: &Limits<'_>,
) -> Result<(), PhotoError> {
    let mut check = CancelCheck::new(limits);
    for row in 0..place.height {
        let Some((from, out)) = canvas.line(place, row) else { continue };
        check.row(out.len())?;
        by.convert(frame, row as usize, from, out);
    }
    Ok(())
}

fn configuration<'a>(heif: &Heif<'a>, item: &Item) -> Result<&'a [u8], PhotoError> {
    heif.contents(item, b"hvcC").next().ok_or_else(|| damaged(Format::Heic, "a picture has no decoder configuration"))
}

/// What the first property `colr` of numbers says; nothing is said by three times 2 with full range.
fn nclx(heif: &Heif<'_>, item: &Item) -> Option<Nclx> {
    let found = items::nclx(heif, item)?;
    let Nclx { primaries, transfer, matrix, full } = found;
    ([primaries, transfer, matrix] != [2; 3] || !full).then_some(found)
}
