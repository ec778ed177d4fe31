//! AVIF: the primary picture of a HEIF file whose pictures are coded with AV1, by rav1d in a process of its own.
//!
//! The container is read here, as that of HEIC ([`items`]): a picture is one coded picture, or a grid of them. One
//! process decodes all of a file; the tiles behind one at which it breaks off have another. Its samples come in strips,
//! and are converted as they come, so that a frame is held once, and there. The process is given what usual pictures
//! take; one that needs more is decoded again with twice as much, up to the limit. Turns are left to the orientation;
//! alpha and gain maps are items of their own, which are not read.
//!
//! - [`coded`]: the process, and a coded picture's rows.
//! - [`colour`]: samples to the colours that libavif makes of them.
//! - [`obu`]: the units of a coded picture: how many frames it has.

mod coded;
mod colour;
mod obu;

use super::items::{self, Canvas, Grid, data};
use super::{area, damaged, isolated, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::heif::transforms::{Rectangle, Transform};
use crate::heif::{Heif, Item};
use crate::limits::Limits;
use crate::picture::Picture;
use coded::{Configuration, Decoder};

pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let (mut times, mut given) = (1, 0);
    loop {
        match attempt(bytes, times, limits) {
            // The process has needed more than it was given.
            Err(PhotoError::Memory { limit, .. }) if limit > given && limit < limits.memory => {
                (times, given) = (2 * times, limit);
            }
            Err(PhotoError::Memory { format, limit, .. }) if limit < limits.memory => {
                return Err(isolated::too_little_memory(format, limits));
            }
            result => return result,
        }
    }
}

/// The memory for decoding: `usual`, this many times, up to what the output leaves of the limit.
fn working(times: u64, usual: u64, output: u64, limits: &Limits<'_>) -> u64 {
    let most = limits.memory.saturating_sub(items::FIXED + output);
    usual.saturating_mul(times).min(most).max(usual)
}

/// Decodes with `times` the memory that usual pictures take.
fn attempt(bytes: &[u8], times: u64, limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    limits.allow_memory(Format::Avif, items::FIXED)?;
    let heif = Heif::parse(bytes).ok_or_else(|| damaged(Format::Avif, "it names no primary item"))?;
    let (item, turns) = heif.picture().ok_or_else(|| damaged(Format::Avif, "its primary item is missing"))?;
    match &item.kind {
        b"av01" => tiles(&heif, item, &turns, (Grid::single(size(&heif, item)?), vec![Some(item)]), times, limits),
        b"grid" => tiles(&heif, item, &turns, items::grid(&heif, item, Format::Avif, limits)?, times, limits),
        kind => Err(unsupported(Format::Avif, format!("its picture is of type {}", kind.escape_ascii()))),
    }
}

/// Width and height of an item, in pixels, by its property `ispe`.
fn size(heif: &Heif<'_>, item: &Item) -> Result<(u32, u32), PhotoError> {
    let read = |property: &[u8]| {
        let &[_, _, _, _, a, b, c, d, e, f, g, h] = property else { return None };
        let (width, height) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        (width > 0 && height > 0).then_some((width, height))
    };
    let found = heif.contents(item, b"ispe").find_map(read);
    found.ok_or_else(|| damaged(Format::Avif, "a picture has no size"))
}

/// A picture of coded pictures of one size, row by row: a grid of them, or that of the item itself.
fn tiles(
    heif: &Heif<'_>,
    item: &Item,
    turns: &[Transform],
    (grid, tiles): (Grid, Vec<Option<&Item>>),
    times: u64,
    limits: &Limits<'_>,
) -> Result<Picture, PhotoError> {
    let wrong = |why: &str| damaged(Format::Avif, why);
    let check = |tile: &Item| match item.kind == *b"grid" {
        true => items::check_tile(heif, tile, b"av01", Format::Avif),
        false => Ok(()),
    };
    let first = tiles.first().copied().flatten().ok_or_else(|| wrong("its first tile is missing"))?;
    check(first)?;
    let (width, height) = size(heif, first)?;
    let pixels = grid.pixels((width, height), Format::Avif, limits)?;
    let configuration = Configuration::read(heif, first)?;
    let nclx = items::nclx(heif, item).or_else(|| items::nclx(heif, first));
    // No picture has more bytes than the file.
    let length = heif.length() as u64;
    let output = area(grid.width, grid.height, configuration.channels() as u64);
    let working = working(times, configuration.working_memory(width, height, length), output, limits);
    let whole = Rectangle::whole(grid.width, grid.height);
    let mut canvas = Canvas::new(Format::Avif, whole, turns, configuration.channels(), working, limits)?;
    let held = canvas.size() + configuration.held_memory(width, length);
    let is_cancelled = || limits.caller.is_cancelled();
    let given = canvas.limits(working);
    let mut decoder = Decoder::new(pixels, held, &given, &is_cancelled);
    // Many items may share their bytes: few bytes must not become much work.
    let mut budget = length + pixels;
    let mut truncated = false;
    for (number, tile) in (0..).zip(&tiles) {
        limits.check()?;
        let here = grid.place(number, (width, height));
        let mut attempt = || {
            let tile = tile.ok_or_else(|| wrong("a tile is missing"))?;
            check(tile)?;
            if size(heif, tile)? != (width, height) {
                return Err(wrong("its tiles differ in size"));
            }
            let data = data(heif, tile, Format::Avif, canvas.size(), limits)?;
            budget = budget.checked_sub(data.len() as u64).ok_or_else(|| wrong("its tiles share their bytes"))?;
            decoder.paint(&data, &Configuration::read(heif, tile)?, nclx, &mut canvas, here)
        };
        match attempt() {
            Err(PhotoError::Damaged { .. }) if number > 0 => {
                truncated = true;
                canvas.clear(here)?;
            }
            result => result?,
        }
    }
    Ok(canvas.picture(truncated))
}
