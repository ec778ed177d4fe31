//! PNG, by the crate of that name; row by row, so that transparency and depth beyond 8 bits are dropped at once.

use super::{FIXED, area, damaged, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::input::Input;
use crate::limits::{CancelCheck, Limits};
use crate::picture::{Picture, Pixels};
use png::{ColorType, Decoder, DecodingError, InterlaceInfo, Transformations, expand_interlaced_row};
use std::cell::Cell;

/// Limit for chunks other than the picture: a palette, its transparency; all others are skipped.
const CHUNKS: usize = 1 << 20;

pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let overrun = Cell::new(false);
    let mut decoder = Decoder::new_with_limits(Input::new(bytes, limits, &overrun), png::Limits { bytes: usize::MAX });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let info = decoder.read_header_info().map_err(error)?;
    let (width, height, interlaced) = (info.width, info.height, info.interlaced);
    limits.allow_pixels(width, height)?;
    let row = info.raw_row_length() as u64;
    // Rows as they are stored and as they are expanded, the latter twice with 8 and once with 16 bits.
    let rows = 4 * row + 16 * u64::from(width);
    let working = rows + CHUNKS as u64 + FIXED;
    limits.allow_memory(Format::Png, working)?;
    decoder.set_limits(png::Limits { bytes: CHUNKS + rows as usize });

    let mut reader = decoder.read_info().map_err(error)?;
    let (colours, _) = reader.output_color_type();
    let (from, to) = match colours {
        ColorType::Grayscale => (1, 1),
        ColorType::GrayscaleAlpha => (2, 1),
        ColorType::Rgb => (3, 3),
        ColorType::Rgba => (4, 3),
        ColorType::Indexed => return Err(unsupported(Format::Png, "a palette that cannot be expanded")),
    };
    limits.allow_memory(Format::Png, area(width, height, to as u64) + working)?;
    let stride = width as usize * to;
    let mut check = CancelCheck::new(limits);
    let mut samples: Vec<u8> = limits.zeros(area(width, height, to as u64) as usize)?;
    if interlaced {
        let mut kept: Vec<u8> = limits.zeros(stride)?;
        // Rows of seven passes, each with pixels that the ones before it lack.
        while let Some(row) = reader.next_interlaced_row().map_err(error)? {
            check.advance(row.data().len())?;
            let InterlaceInfo::Adam7(place) = row.interlace() else { break };
            let stored = row.data();
            let kept =
                kept.get_mut(..stored.len() / from * to).ok_or_else(|| damaged(Format::Png, "a row is too long"))?;
            keep(stored, from, kept, to);
            expand_interlaced_row(&mut samples, stride, kept, place, 8 * to as u8);
        }
    } else {
        for target in samples.chunks_exact_mut(stride) {
            check.advance(stride)?;
            let row = reader.next_row().map_err(error)?.ok_or_else(|| damaged(Format::Png, "rows are missing"))?;
            let stored = row.data().get(..width as usize * from);
            keep(stored.ok_or_else(|| damaged(Format::Png, "a row is too short"))?, from, target, to);
        }
    }
    let pixels = if to == 1 { Pixels::Grey(samples) } else { Pixels::Rgb(samples) };
    Ok(Picture { width, height, pixels, damage: None })
}

/// Copies the first `to` of every `from` samples.
fn keep(stored: &[u8], from: usize, kept: &mut [u8], to: usize) {
    if from == to {
        return kept.copy_from_slice(stored);
    }
    for (kept, stored) in kept.chunks_exact_mut(to).zip(stored.chunks_exact(from)) {
        kept.copy_from_slice(&stored[..to]);
    }
}

fn error(error: DecodingError) -> PhotoError {
    match error {
        DecodingError::LimitsExceeded => damaged(Format::Png, "one of its chunks is too large"),
        error => damaged(Format::Png, error),
    }
}
