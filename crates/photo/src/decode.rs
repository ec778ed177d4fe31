//! Decodes files to pixels: one module per format, each around a well-maintained decoder.
//!
//! Each of them reads the header first, checks width, height and the memory that its decoder will take against the
//! [`Limits`], and only then decodes. The estimates are upper bounds, tested by counting allocations. Animations yield
//! their first picture, files of several pages the first page.

#[cfg(feature = "avif")]
mod avif;
mod bmp;
mod decoder_thread;
mod gif;
#[cfg(feature = "heic")]
mod heic;
#[cfg(any(feature = "avif", feature = "jxl"))]
mod isolated;
#[cfg(any(feature = "avif", feature = "heic"))]
mod items;
mod jpeg;
#[cfg(feature = "jxl")]
mod jxl;
mod png;
mod tiff;
mod webp;

use crate::error::PhotoError;
use crate::format::{self, Format};
use crate::input::guarded;
use crate::limits::{AT_ONCE, Limits};
use crate::picture::Picture;
use crate::raw;

/// What every decoder may allocate regardless of the picture's size: tables, buffers, the state of an inflater.
const FIXED: u64 = 1 << 20;

/// The pixels and the format of a file. Errors: all of [`PhotoError`].
pub fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<(Format, Picture), PhotoError> {
    limits.check()?;
    let format = format::detect(bytes)?;
    let picture = guarded(format, || match format {
        Format::Jpeg => jpeg::decode(bytes, limits),
        Format::Png => png::decode(bytes, limits),
        Format::Gif => gif::decode(bytes, limits),
        Format::WebP => webp::decode(bytes, limits),
        Format::Tiff => tiff::decode(bytes, limits),
        Format::Bmp => bmp::decode(bytes, limits),
        #[cfg(feature = "heic")]
        Format::Heic => heic::decode(bytes, limits),
        #[cfg(feature = "avif")]
        Format::Avif => avif::decode(bytes, limits),
        #[cfg(feature = "jxl")]
        Format::Jxl => jxl::decode(bytes, limits),
        raw if raw.is_raw() => preview(bytes, raw, limits),
        _ => Err(PhotoError::Unsupported { format, why: "no decoder is built in".into() }),
    })?;
    Ok((format, picture))
}

/// The largest preview of a raw file that can be decoded.
fn preview(bytes: &[u8], format: Format, limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let mut failed = PhotoError::NoPreview { format };
    for range in raw::previews(bytes, format) {
        match jpeg::decode(bytes.get(range).unwrap_or_default(), limits) {
            // A smaller whole one is better than a large damaged one.
            Ok(picture) => match picture.damage {
                Some(damage) => {
                    failed = PhotoError::Damaged { format, why: format!("its preview {}", damage.text()) };
                }
                None => return Ok(picture),
            },
            Err(error @ (PhotoError::Cancelled | PhotoError::OutOfMemory)) => return Err(error),
            Err(error @ (PhotoError::Pixels { .. } | PhotoError::Memory { .. })) => failed = error,
            Err(_) => {}
        }
    }
    Err(failed)
}

/// Keeps the first `to` of every `from` samples, in place. Errors: [`PhotoError::Cancelled`].
fn drop_channels(samples: &mut Vec<u8>, from: usize, to: usize, limits: &Limits<'_>) -> Result<(), PhotoError> {
    let pixels = samples.len() / from;
    for start in (0..pixels).step_by(AT_ONCE) {
        limits.check()?;
        for pixel in start.max(1)..pixels.min(start + AT_ONCE) {
            samples.copy_within(pixel * from..pixel * from + to, pixel * to);
        }
    }
    samples.truncate(pixels * to);
    Ok(())
}

fn damaged(format: Format, why: impl ToString) -> PhotoError {
    PhotoError::Damaged { format, why: why.to_string() }
}

fn unsupported(format: Format, why: impl ToString) -> PhotoError {
    PhotoError::Unsupported { format, why: why.to_string() }
}

/// Bytes of `width * height` pixels of `each` bytes.
fn area(width: u32, height: u32, each: u64) -> u64 {
    u64::from(width) * u64::from(height) * each
}
