//! Windows bitmaps, by the crate `image`.

use super::{FIXED, area, damaged, drop_channels, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::input::Input;
use crate::limits::Limits;
use crate::picture::{Picture, Pixels};
use image::codecs::bmp::BmpDecoder;
use image::{ColorType, ImageDecoder, ImageError};
use std::cell::Cell;

pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let overrun = Cell::new(false);
    let decoder = BmpDecoder::new(Input::new(bytes, limits, &overrun)).map_err(error)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(damaged(Format::Bmp, "it has no width or no height"));
    }
    limits.allow_pixels(width, height)?;
    let (from, to) = match decoder.color_type() {
        ColorType::L8 => (1, 1),
        ColorType::Rgb8 => (3, 3),
        ColorType::Rgba8 => (4, 3),
        other => return Err(unsupported(Format::Bmp, format!("{other:?}"))),
    };
    limits.allow_memory(Format::Bmp, area(width, height, from as u64) + area(width, 8, 4) + FIXED)?;
    let mut samples = limits.zeros(area(width, height, from as u64) as usize)?;
    decoder.read_image(&mut samples).map_err(error)?;
    if from != to {
        drop_channels(&mut samples, from, to, limits)?;
    }
    let pixels = if to == 1 { Pixels::Grey(samples) } else { Pixels::Rgb(samples) };
    Ok(Picture { width, height, pixels, damage: None })
}

fn error(error: ImageError) -> PhotoError {
    match error {
        ImageError::Unsupported(what) => unsupported(Format::Bmp, what),
        error => damaged(Format::Bmp, error),
    }
}
