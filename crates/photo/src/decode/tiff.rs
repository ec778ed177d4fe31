//! TIFF: the first page, row by row, so that only a row is held in addition to the picture.
//!
//! The crates `flate2`, `weezl` and `fax` decompress; the directory, the order of rows and what samples mean are read
//! here. The crate `tiff` is not used: it reverses no bits (FillOrder 2), counts the samples of a pixel by their
//! meaning (so that its predictor fails where one has none), follows the directories behind the first page, knows
//! neither palettes nor Group 3, and holds a strip, in a file of one strip the picture.
//!
//! - [`page`]: the directory; which strips or tiles there are, and how their samples are stored.
//! - [`rows`]: rows of a strip or tile, decompressed; [`stored`], [`fax`], [`jpegs`] are parts of it.
//! - [`samples`]: the predictor; from a row to 8 bits of grey, or red, green and blue.

mod fax;
mod jpegs;
mod page;
mod rows;
mod samples;
mod stored;
#[cfg(test)]
mod tests;

use super::{FIXED, area};
use crate::error::PhotoError;
use crate::format::Format;
use crate::limits::{CancelCheck, Limits};
use crate::picture::{Picture, Pixels};
use page::Page;
use rows::Rows;
use samples::{Converter, channels, undo_predictor};

/// Strips and tiles count as at least this many values: each begins with a new state of its decompressor.
const SMALLEST: usize = 1 << 12;

pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    limits.allow_memory(Format::Tiff, FIXED)?;
    let page = Page::read(bytes, limits)?;
    let channels = channels(&page);
    let picture = area(page.width, page.height, channels as u64);
    let row = page.row_bytes();
    let predicted = if page.predictor == 3 { row } else { 0 };
    let held = picture.saturating_add(row).saturating_add(predicted).saturating_add(Rows::memory(&page));
    limits.allow_memory(Format::Tiff, held.saturating_add(FIXED))?;

    let mut samples = limits.zeros(picture as usize)?;
    read(&page, &mut samples, held, limits)?;
    let pixels = if channels == 1 { Pixels::Grey(samples) } else { Pixels::Rgb(samples) };
    Ok(Picture { width: page.width, height: page.height, pixels, damage: None })
}

/// Fills a picture. `held`: the bytes that were allowed.
fn read(page: &Page<'_>, samples: &mut [u8], held: u64, limits: &Limits<'_>) -> Result<(), PhotoError> {
    let (width, height) = (page.width as usize, page.height as usize);
    let (chunk_width, chunk_height) = (page.chunk_width as usize, page.chunk_height as usize);
    let (across, down) = (width.div_ceil(chunk_width), height.div_ceil(chunk_height));
    let channels = channels(page);
    let converter = Converter::new(page)?;
    let mut rows = Rows::new(page)?;
    let mut row: Vec<u8> = limits.zeros(page.row_bytes() as usize)?;
    let mut scratch: Vec<u8> = limits.zeros(if page.predictor == 3 { row.len() } else { 0 })?;
    let mut check = CancelCheck::new(limits);
    for chunk in 0..across * down * page.planes() {
        check.advance(SMALLEST)?;
        let (plane, place) = (chunk / (across * down), chunk % (across * down));
        let (left, top) = (place % across * chunk_width, place / across * chunk_height);
        let (seen_width, seen_height) = (chunk_width.min(width - left), chunk_height.min(height - top));
        rows.begin(chunk, (seen_width as u32, seen_height as u32), held, limits)?;
        let seen = &mut samples[top * width * channels..(top + seen_height) * width * channels];
        // Rows that share their colours are stored together.
        for targets in seen.chunks_mut(page.subsampling.1 * width * channels) {
            rows.read(&mut row, &mut check)?;
            undo_predictor(page, &mut row, &mut scratch);
            let (start, end) = (left * channels, (left + seen_width) * channels);
            for (y, target) in targets.chunks_exact_mut(width * channels).enumerate() {
                converter.convert(&row, plane, y, &mut target[start..end]);
            }
        }
    }
    Ok(())
}

fn damage(why: impl ToString) -> PhotoError {
    super::damaged(Format::Tiff, why)
}

fn unsupported(why: impl ToString) -> PhotoError {
    super::unsupported(Format::Tiff, why)
}
