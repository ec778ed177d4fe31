//! GIF, by the crate of that name: its first frame, on the whole screen as Pillow lays it.

use super::{FIXED, area, damaged};
use crate::error::PhotoError;
use crate::format::Format;
use crate::input::Input;
use crate::limits::Limits;
use crate::picture::{Picture, Pixels};
use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};
use std::cell::Cell;
use std::num::NonZero;

pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let overrun = Cell::new(false);
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Bytes(NonZero::new(limits.memory).unwrap_or(NonZero::<u64>::MIN)));
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
    let needed = area(width, height, 1 + 3) + (frame_width * frame_height) as u64 + FIXED;
    limits.allow_memory(Format::Gif, needed)?;
    let mut stored: Vec<u8> = limits.zeros(frame_width * frame_height)?;
    decoder.read_into_buffer(&mut stored).map_err(error)?;

    let mut indices = limits.zeros(area(width, height, 1) as usize)?;
    indices.fill(background);
    let rows = indices.chunks_exact_mut(width as usize).skip(top);
    for (row, read) in rows.zip(stored.chunks_exact(frame_width)) {
        row[left..left + frame_width].copy_from_slice(read);
    }
    let palette = local.or_else(|| decoder.global_palette().map(<[u8]>::to_vec));
    let pixels = match palette {
        None => Pixels::Grey(indices),
        Some(palette) => Pixels::Rgb(coloured(&indices, &palette, limits)?),
    };
    Ok(Picture { width, height, pixels, truncated: false })
}

/// Looks every index up. Those past the end of the palette are black, as in Pillow.
fn coloured(indices: &[u8], palette: &[u8], limits: &Limits<'_>) -> Result<Vec<u8>, PhotoError> {
    let mut colours = [[0; 3]; 256];
    for (colour, entry) in colours.iter_mut().zip(palette.chunks_exact(3)) {
        colour.copy_from_slice(entry);
    }
    let mut samples: Vec<u8> = limits.zeros(3 * indices.len())?;
    for (sample, &index) in samples.chunks_exact_mut(3).zip(indices) {
        sample.copy_from_slice(&colours[usize::from(index)]);
    }
    Ok(samples)
}

fn error(error: DecodingError) -> PhotoError {
    match error {
        DecodingError::OutOfMemory => PhotoError::OutOfMemory,
        error => damaged(Format::Gif, error),
    }
}
