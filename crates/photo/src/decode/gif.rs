//! GIF, by the crate of that name: its first frame, on the whole screen as Pillow lays it.
//!
//! The blocks before the frame are read here, because the crate refuses what other programs skip: unknown extensions,
//! bytes between blocks, extensions of a wrong length, frames without a palette. It gets a header and what follows from
//! the frame on.

use super::{FIXED, area, damaged};
use crate::error::PhotoError;
use crate::format::Format;
use crate::input::Input;
use crate::limits::{CancelCheck, Limits};
use crate::picture::{Picture, Pixels};
use gif::{ColorOutput, DecodeOptions, DecodingError};
use std::cell::Cell;
use std::io::Read;

#[cfg(test)]
mod tests;

/// Signature and screen.
const HEADER: usize = 13;

/// What comes before the first frame.
struct Lead<'a> {
    /// The palette of all frames, if there is one.
    palette: Option<&'a [u8]>,
    /// The index that is transparent in the first frame.
    transparent: Option<u8>,
    /// Where the first frame begins.
    frame: usize,
}

/// Skips blocks up to the first frame. Errors: there is none; [`PhotoError::Cancelled`].
fn lead<'a>(bytes: &'a [u8], limits: &Limits<'_>) -> Result<Lead<'a>, PhotoError> {
    let missing = || damaged(Format::Gif, "it has no frame");
    let flags = *bytes.get(HEADER - 3).ok_or_else(missing)?;
    let mut at = HEADER;
    let mut palette = None;
    if flags & 0x80 != 0 {
        let length = 3 * (2 << (flags & 7));
        palette = Some(bytes.get(at..at + length).ok_or_else(missing)?);
        at += length;
    }
    let mut transparent = None;
    let mut check = CancelCheck::new(limits);
    loop {
        check.advance(1)?;
        match *bytes.get(at).ok_or_else(missing)? {
            b',' => return Ok(Lead { palette, transparent, frame: at }),
            b';' => return Err(missing()),
            b'!' => {
                // The extension that says how the frame is shown; a later one counts.
                if let Some(&[0xf9, 4..=255, flags, _, _, index]) = bytes.get(at + 1..at + 7) {
                    transparent = (flags & 1 == 1).then_some(index);
                }
                at += 2;
                while let length @ 1.. = *bytes.get(at).ok_or_else(missing)? {
                    check.advance(1)?;
                    at += 1 + usize::from(length);
                }
                at += 1;
            }
            _ => at += 1, // no block, as in Pillow
        }
    }
}

pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    limits.allow_memory(Format::Gif, FIXED)?;
    let Lead { palette, transparent, frame } = lead(bytes, limits)?;
    let mut header = [0; HEADER + 6];
    header[..HEADER].copy_from_slice(&bytes[..HEADER]);
    header[HEADER - 3] = 0x80; // a palette of two colours, which is not looked at
    let overrun = Cell::new(false);
    let input = header.as_slice().chain(Input::new(&bytes[frame..], limits, &overrun));
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    let mut decoder = options.read_info(input).map_err(error)?;
    let screen = (u32::from(decoder.width()), u32::from(decoder.height()));
    limits.allow_pixels(screen.0, screen.1)?;
    let frame = decoder.next_frame_info().map_err(error)?.ok_or_else(|| damaged(Format::Gif, "it has no frame"))?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (frame_width, frame_height) = (usize::from(frame.width), usize::from(frame.height));
    let background = transparent.unwrap_or(0);
    // A first frame that goes beyond the screen makes the screen larger.
    let width = screen.0.max((left + frame_width) as u32);
    let height = screen.1.max((top + frame_height) as u32);
    limits.allow_pixels(width, height)?;
    if width == 0 || height == 0 || frame_width == 0 || frame_height == 0 {
        return Err(damaged(Format::Gif, "it has no width or no height"));
    }
    let local = frame.palette.clone();
    let channels = if local.is_some() || palette.is_some() { 3 } else { 1 };
    let needed = area(width, height, channels) + (frame_width * frame_height) as u64 + u64::from(width);
    limits.allow_memory(Format::Gif, needed + FIXED)?;
    let mut stored: Vec<u8> = limits.zeros(frame_width * frame_height)?;
    decoder.read_into_buffer(&mut stored).map_err(error)?;

    let colours = local.as_deref().or(palette).map(colours);
    let mut samples: Vec<u8> = limits.zeros(area(width, height, channels) as usize)?;
    let mut indices = vec![background; width as usize];
    let mut check = CancelCheck::new(limits);
    let mut frame_rows = stored.chunks_exact(frame_width);
    for (y, row) in samples.chunks_exact_mut(width as usize * channels as usize).enumerate() {
        check.row(row.len())?;
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
