//! GIF, by the crate of that name: its first frame, on the whole screen as Pillow lays it.

use super::{FIXED, area, damaged};
use crate::error::PhotoError;
use crate::format::Format;
use crate::input::Input;
use crate::limits::{CancelCheck, Limits};
use crate::picture::{Picture, Pixels};
use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};
use std::cell::Cell;
use std::num::NonZero;

/// Larger profiles or XMP data, in bytes, are refused.
const METADATA: u64 = 1 << 20;

pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let overrun = Cell::new(false);
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    // The decoder keeps a colour profile and XMP data, in vectors that double.
    options.set_memory_limit(MemoryLimit::Bytes(NonZero::new(METADATA).unwrap_or(NonZero::<u64>::MIN)));
    let metadata = 4 * METADATA.min(bytes.len() as u64);
    limits.allow_memory(Format::Gif, metadata + FIXED)?;
    let mut decoder = options.read_info(Input::new(bytes, limits, &overrun)).map_err(error)?;
    let screen = (u32::from(decoder.width()), u32::from(decoder.height()));
    limits.allow_pixels(screen.0, screen.1)?;
    let frame = decoder.next_frame_info().map_err(error)?.ok_or_else(|| damaged(Format::Gif, "it has no frame"))?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (frame_width, frame_height) = (usize::from(frame.width), usize::from(frame.height));
    let background = frame.transparent.unwrap_or(0);
    // A first frame that goes beyond the screen makes the screen larger.
    let width = screen.0.max((left + frame_width) as u32);
    let height = screen.1.max((top + frame_height) as u32);
    limits.allow_pixels(width, height)?;
    if width == 0 || height == 0 || frame_width == 0 || frame_height == 0 {
        return Err(damaged(Format::Gif, "it has no width or no height"));
    }
    let local = frame.palette.clone();
    let channels = if local.is_some() || decoder.global_palette().is_some() { 3 } else { 1 };
    let needed = area(width, height, channels) + (frame_width * frame_height) as u64 + u64::from(width) + metadata;
    limits.allow_memory(Format::Gif, needed + FIXED)?;
    let mut stored: Vec<u8> = limits.zeros(frame_width * frame_height)?;
    decoder.read_into_buffer(&mut stored).map_err(error)?;

    let colours = local.as_deref().or_else(|| decoder.global_palette()).map(colours);
    let mut samples: Vec<u8> = limits.zeros(area(width, height, channels) as usize)?;
    let mut indices = vec![background; width as usize];
    let mut check = CancelCheck::new(limits);
    let mut frame_rows = stored.chunks_exact(frame_width);
    for (y, row) in samples.chunks_exact_mut(width as usize * channels as usize).enumerate() {
        check.advance(row.len())?;
        let frame_row = if y < top { None } else { frame_rows.next() };
        match frame_row {
            Some(read) => indices[left..left + frame_width].copy_from_slice(read),
            None => indices.fill(background),
        }
        match &colours {
            None => row.copy_from_slice(&indices),
            Some(colours) => {
                for (sample, &index) in row.chunks_exact_mut(3).zip(&indices) {
                    sample.copy_from_slice(&colours[usize::from(index)]);
                }
            }
        }
    }
    let pixels = if channels == 1 { Pixels::Grey(samples) } else { Pixels::Rgb(samples) };
    Ok(Picture { width, height, pixels, damage: None })
}

/// The palette as a table. Colours past its end are black, as in Pillow.
fn colours(palette: &[u8]) -> [[u8; 3]; 256] {
    let mut colours = [[0; 3]; 256];
    for (colour, entry) in colours.iter_mut().zip(palette.chunks_exact(3)) {
        colour.copy_from_slice(entry);
    }
    colours
}

fn error(error: DecodingError) -> PhotoError {
    match error {
        DecodingError::OutOfMemory => PhotoError::OutOfMemory,
        error => damaged(Format::Gif, error),
    }
}
