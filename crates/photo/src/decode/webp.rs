//! WebP, by image-webp: of an animation the first frame, on its canvas.

use super::{FIXED, area, damaged, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::input::Input;
use crate::limits::Limits;
use crate::picture::{Picture, Pixels, drop_channels};
use image_webp::{DecodingError, WebPDecoder};
use std::cell::Cell;

/// Chunks looked at in search of the first picture.
const CHUNKS: usize = 1 << 12;

/// Width and height of every picture that is decoded for the first frame, by the headers of its own chunk: a canvas may
/// say otherwise, and the decoder allocates before it compares.
fn stored_sizes(bytes: &[u8], sizes: &mut Vec<(u32, u32)>) {
    let mut rest = bytes;
    for _ in 0..CHUNKS {
        let Some((&header, body)) = rest.split_first_chunk::<8>() else { return };
        let [a, b, c, d, length @ ..] = header;
        let length = u32::from_le_bytes(length) as usize;
        let chunk = &body[..length.min(body.len())];
        match &[a, b, c, d] {
            b"VP8 " => {
                if let Some(&[_, _, _, _, _, _, w0, w1, h0, h1]) = chunk.first_chunk::<10>() {
                    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
                    sizes.push((side(w0, w1), side(h0, h1)));
                }
                return;
            }
            b"VP8L" => {
                if let Some(&[_, bits @ ..]) = chunk.first_chunk::<5>() {
                    let bits = u32::from_le_bytes(bits);
                    sizes.push(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1));
                }
                return;
            }
            b"ANMF" => return stored_sizes(chunk.get(16..).unwrap_or_default(), sizes),
            _ => {}
        }
        rest = body.get(length.saturating_add(length & 1)..).unwrap_or_default();
    }
}

pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let overrun = Cell::new(false);
    let mut decoder = WebPDecoder::new(Input::new(bytes, limits, &overrun)).map_err(error)?;
    let (width, height) = decoder.dimensions();
    let mut sizes = vec![(width, height)];
    stored_sizes(bytes.get(12..).unwrap_or_default(), &mut sizes);
    let mut needed = bytes.len() as u64 + FIXED;
    for &(width, height) in &sizes {
        if width == 0 || height == 0 {
            return Err(damaged(Format::WebP, "it has no width or no height"));
        }
        limits.allow_pixels(width, height)?;
        // The output, a canvas or the planes of lossy pictures, alpha, transforms and their tables.
        needed += area(width.next_multiple_of(16), height.next_multiple_of(16), 8);
    }
    limits.allow_memory(Format::WebP, needed)?;
    decoder.set_memory_limit(limits.memory.try_into().unwrap_or(usize::MAX));
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let mut samples = limits.zeros(area(width, height, channels) as usize)?;
    decoder.read_image(&mut samples).map_err(error)?;
    if channels == 4 {
        drop_channels(&mut samples, 4, 3);
    }
    Ok(Picture { width, height, pixels: Pixels::Rgb(samples), truncated: false })
}

fn error(error: DecodingError) -> PhotoError {
    match error {
        DecodingError::UnsupportedFeature(what) => unsupported(Format::WebP, what),
        error => damaged(Format::WebP, error),
    }
}
