//! PNG, by the crate of that name; row by row, so that transparency and depth beyond 8 bits are dropped at once.
//!
//! Data that the decoder refuses are an error; those that it decodes to wrong pixels are [`Damage`].

use super::{FIXED, area, damaged, unsupported};
use crate::chunks::{Chunk, chunks};
use crate::error::PhotoError;
use crate::format::Format;
use crate::input::Input;
use crate::limits::{CancelCheck, Limits};
use crate::picture::{Damage, Picture, Pixels};
use flate2::Crc;
use png::{ColorType, Decoder, DecodingError, InterlaceInfo, Transformations, expand_interlaced_row};
use std::cell::Cell;

/// Limit for chunks other than the picture and EXIF: a palette, its transparency; all others are skipped.
const CHUNKS: u64 = 1 << 20;

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
    // The decoder reads EXIF into a vector that doubles, and copies it.
    let exif = longest_exif(bytes, limits)?;
    let chunks = (2 * exif).max(CHUNKS);
    let working = rows + chunks + exif + FIXED;
    limits.allow_memory(Format::Png, working)?;
    decoder.set_limits(png::Limits { bytes: (chunks + rows) as usize });

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
            check.row(row.data().len())?;
            let InterlaceInfo::Adam7(place) = row.interlace() else { break };
            let stored = row.data();
            let kept =
                kept.get_mut(..stored.len() / from * to).ok_or_else(|| damaged(Format::Png, "a row is too long"))?;
            keep(stored, from, kept, to);
            expand_interlaced_row(&mut samples, stride, kept, place, 8 * to as u8);
        }
    } else {
        for target in samples.chunks_exact_mut(stride) {
            check.row(stride)?;
            let row = reader.next_row().map_err(error)?.ok_or_else(|| damaged(Format::Png, "rows are missing"))?;
            let stored = row.data().get(..width as usize * from);
            keep(stored.ok_or_else(|| damaged(Format::Png, "a row is too short"))?, from, target, to);
        }
    }
    let pixels = if to == 1 { Pixels::Grey(samples) } else { Pixels::Rgb(samples) };
    Ok(Picture { width, height, pixels, damage: damage(bytes, &mut check)? })
}

/// Bytes of the longest EXIF data before the picture. Errors: [`PhotoError::Cancelled`].
fn longest_exif(bytes: &[u8], limits: &Limits<'_>) -> Result<u64, PhotoError> {
    let mut check = CancelCheck::new(limits);
    let mut longest = 0;
    for Chunk { name, body, .. } in chunks(bytes).take_while(|chunk| chunk.name != b"IDAT") {
        check.advance(1)?;
        if name == b"eXIf" {
            longest = longest.max(body.len() as u64);
        }
    }
    Ok(longest)
}

/// What the checksums of the picture's chunks say. The decoder stops at the last pixel, and no data are so wrong that
/// they give no pixels; so it has not read the last checksum. Errors: [`PhotoError::Cancelled`].
fn damage(bytes: &[u8], check: &mut CancelCheck<'_>) -> Result<Option<Damage>, PhotoError> {
    for Chunk { name, body, crc } in chunks(bytes).take_while(|chunk| chunk.name != b"IEND") {
        check.advance(1)?;
        if name != b"IDAT" {
            continue;
        }
        let Some(crc) = crc else { return Ok(Some(Damage::Truncated)) };
        let mut sum = Crc::new();
        sum.update(name);
        for piece in body.chunks(1 << 20) {
            check.advance(piece.len())?;
            sum.update(piece);
        }
        if sum.sum() != crc {
            return Ok(Some(Damage::Data));
        }
    }
    Ok(None)
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::limits::NeverCancels;
    use png::{BitDepth, Encoder};

    const LIMITS: Limits<'static> = Limits { pixels: 1 << 24, memory: 1 << 28, caller: &NeverCancels };

    fn encoded(colours: ColorType, width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, width, height);
        encoder.set_color(colours);
        encoder.set_depth(BitDepth::Eight);
        let samples = area(width, height, colours.samples() as u64);
        let pixels: Vec<u8> = (0..samples).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8 & 0x3F).collect();
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        bytes
    }

    fn decoded(bytes: &[u8]) -> Result<Option<Damage>, PhotoError> {
        decode(bytes, &LIMITS).map(|picture| picture.damage)
    }

    /// Whatever is wrong with the data of the pixels is refused or marked, also where it decodes to the last of them;
    /// what is behind the data is not theirs.
    #[test]
    fn damaged_data_is_seen() {
        for (colours, width, height) in
            [(ColorType::Rgb, 120, 90), (ColorType::Grayscale, 33, 41), (ColorType::Rgba, 70, 9)]
        {
            let whole = encoded(colours, width, height);
            assert_eq!(decoded(&whole).unwrap(), None);
            let first = whole.windows(4).position(|name| name == b"IDAT").unwrap();
            let end = whole.len() - 12;
            let mut marked = 0;
            for at in (first + 4..end).step_by(7) {
                let mut flipped = whole.clone();
                flipped[at] ^= 0x10;
                let of_zeros = [&whole[..at], &vec![0; whole.len() - at + 5000]].concat();
                for (how, bytes) in [("flipped", flipped), ("zeros", of_zeros), ("cut", whole[..at].to_vec())] {
                    match decoded(&bytes) {
                        Ok(damage) => {
                            assert!(damage.is_some(), "{how} at {at}");
                            marked += 1;
                        }
                        Err(error) => assert!(matches!(error, PhotoError::Damaged { .. }), "{how} at {at}: {error}"),
                    }
                }
            }
            assert!(marked > 5, "{marked}: the decoder refuses the rest");
            assert_eq!(decoded(&whole[..end]).unwrap(), None, "only IEND is missing");
            let mut flipped = whole.clone();
            *flipped.last_mut().unwrap() ^= 1;
            assert_eq!(decoded(&flipped).unwrap(), None, "the checksum of IEND");
        }
    }
}
