//! PNG, by the crate of that name; row by row, so that transparency and depth beyond 8 bits are dropped at once.

use super::{FIXED, area, damaged, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::input::Input;
use crate::limits::Limits;
use crate::picture::{Picture, Pixels, drop_channels};
use png::{ColorType, Decoder, DecodingError, Transformations};
use std::cell::Cell;

/// For chunks other than the picture: a palette, its transparency; all others are skipped.
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
    let whole = if interlaced { 4 } else { 3 };
    // Rows as they are stored, filtered and expanded, and what the inflater looks back to.
    limits.allow_memory(Format::Png, area(width, height, whole) + 16 * row + CHUNKS as u64 + FIXED)?;
    decoder.set_limits(png::Limits { bytes: CHUNKS });

    let mut reader = decoder.read_info().map_err(error)?;
    let (colours, _) = reader.output_color_type();
    let (from, to) = match colours {
        ColorType::Grayscale => (1, 1),
        ColorType::GrayscaleAlpha => (2, 1),
        ColorType::Rgb => (3, 3),
        ColorType::Rgba => (4, 3),
        ColorType::Indexed => return Err(unsupported(Format::Png, "a palette that cannot be expanded")),
    };
    let (pixels, row) = (area(width, height, 1) as usize, width as usize * from);
    let mut samples = if interlaced {
        let mut samples = limits.zeros(pixels * from)?;
        reader.next_frame(&mut samples).map_err(error)?;
        drop_channels(&mut samples, from, to);
        samples
    } else {
        let mut samples: Vec<u8> = limits.zeros(pixels * to)?;
        for stored in samples.chunks_exact_mut(width as usize * to) {
            let read = reader.next_row().map_err(error)?.ok_or_else(|| damaged(Format::Png, "rows are missing"))?;
            let read = read.data().get(..row).ok_or_else(|| damaged(Format::Png, "a row is too short"))?;
            if from == to {
                stored.copy_from_slice(read);
            } else {
                for (stored, read) in stored.chunks_exact_mut(to).zip(read.chunks_exact(from)) {
                    stored.copy_from_slice(&read[..to]);
                }
            }
        }
        samples
    };
    samples.shrink_to_fit();
    let pixels = if to == 1 { Pixels::Grey(samples) } else { Pixels::Rgb(samples) };
    Ok(Picture { width, height, pixels, truncated: false })
}

fn error(error: DecodingError) -> PhotoError {
    match error {
        DecodingError::LimitsExceeded => damaged(Format::Png, "one of its chunks is too large"),
        error => damaged(Format::Png, error),
    }
}
