//! Thumbnails: small JPEGs of a picture in its orientation, in colour.
//!
//! Every sample of a thumbnail is the mean of the area that it covers, in integers and so without error: an input pixel
//! on a border counts in parts. The picture is read once, in strips, and never rotated as a whole. Called by
//! `lumina-import` for the page of duplicates. Colour profiles are ignored, as everywhere here.

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests;

use crate::error::PhotoError;
use crate::format::Format;
use crate::limits::{CancelCheck, Limits};
use crate::orientation::Orientation;
use crate::picture::Picture;
use crate::strip::{OrientedView, ROWS};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use std::io::{self, Write};

/// JPEG quality, of 100: higher values do not visibly improve thumbnails.
const QUALITY: u8 = 75;

/// The most pixels of a JPEG's side.
const LONGEST: u32 = 0xffff;

/// Bytes that the encoder takes for its tables.
const TABLES: usize = 2 << 10;

/// The initial capacity for a thumbnail, in bytes.
const USUAL: usize = 16 << 10;

/// A baseline JPEG of the picture in its orientation, at most `side` pixels wide and high (65535 at most, 1 at least),
/// never larger than the picture. RGB stays RGB, grey stays grey. `format` is named in errors.
///
/// Errors: [`PhotoError::Memory`], [`PhotoError::OutOfMemory`], [`PhotoError::Cancelled`].
pub fn thumbnail(
    picture: &Picture,
    orientation: Orientation,
    side: u32,
    format: Format,
    limits: &Limits<'_>,
) -> Result<Vec<u8>, PhotoError> {
    let view = OrientedView::new(picture, orientation);
    let size = scaled((view.width, view.height), side.clamp(1, LONGEST) as usize);
    let held = picture.pixels.samples().len() + size.0 * size.1 * view.channels + TABLES;
    limits.allow_memory(format, (held + memory(&view, size)) as u64)?;
    let samples = match view.channels {
        1 => averaged::<1>(&view, size, limits)?,
        _ => averaged::<3>(&view, size, limits)?,
    };
    encoded(
        &samples,
        size,
        Output { bytes: Vec::new(), held, format, limits, check: CancelCheck::new(limits), error: None },
    )
}

/// The size of the thumbnail of a picture of this size, the longer side at most `side`.
fn scaled((width, height): (usize, usize), side: usize) -> (usize, usize) {
    let longer = width.max(height);
    if longer <= side {
        return (width, height);
    }
    let scale = |length: usize| {
        let (length, side, longer) = (length as u64, side as u64, longer as u64);
        ((length * side + longer / 2) / longer).max(1) as usize
    };
    (scale(width), scale(height))
}

/// Bytes that [`averaged`] takes in addition to its result.
fn memory(view: &OrientedView<'_>, size: (usize, usize)) -> usize {
    view.width * view.channels * ROWS + size.0 * (size_of::<PixelSpan>() + 2 * view.channels * size_of::<u64>())
}

/// The pixels of a row that an output pixel covers. Positions are counted in parts: an input pixel has as many as the
/// output has pixels, and an output pixel as many as the input has.
#[derive(Clone, Copy, Default)]
struct PixelSpan {
    /// The pixel that it begins in, and how much of it.
    first: usize,
    head: u64,
    /// The pixel that it ends in, and how much of it: nothing if that is the first.
    last: usize,
    tail: u64,
}

/// The samples of the picture at another size, no larger in any direction.
fn averaged<const CHANNELS: usize>(
    view: &OrientedView<'_>,
    size: (usize, usize),
    limits: &Limits<'_>,
) -> Result<Vec<u8>, PhotoError> {
    let mut scratch = limits.zeros(view.width * CHANNELS * ROWS)?;
    let mut spans: Vec<PixelSpan> = limits.zeros(size.0)?;
    for (index, span) in spans.iter_mut().enumerate() {
        *span = covered(index, view.width, size.0);
    }
    let mut row: Vec<[u64; CHANNELS]> = Vec::new();
    row.try_reserve_exact(size.0).map_err(|_| PhotoError::OutOfMemory)?;
    let mut sums: Vec<u64> = limits.zeros(size.0 * CHANNELS)?;
    let mut result: Vec<u8> = limits.zeros(size.0 * size.1 * CHANNELS)?;
    let mut rows_of_result = result.chunks_exact_mut(size.0 * CHANNELS);

    let whole = view.width as u64 * view.height as u64;
    let (part, all) = (size.1 as u64, view.height as u64);
    let mut filled = 0; // of `all`
    let mut check = CancelCheck::new(limits);
    for y in (0..view.height).step_by(ROWS) {
        for samples in view.rows(y, &mut scratch).chunks_exact(view.width * CHANNELS) {
            check.advance(samples.len())?;
            row.clear();
            row.extend(spans.iter().map(|span| sum::<CHANNELS>(samples.as_chunks().0, span, size.0 as u64)));
            let now = part.min(all - filled);
            add(&mut sums, row.as_flattened(), now);
            filled += now;
            if filled == all {
                for (sample, sum) in rows_of_result.next().unwrap_or_default().iter_mut().zip(&mut sums) {
                    *sample = ((*sum + whole / 2) / whole) as u8;
                    *sum = 0;
                }
                filled = part - now;
                add(&mut sums, row.as_flattened(), filled);
            }
        }
    }
    Ok(result)
}

/// The span of pixel `index` of `to` in `from` pixels.
fn covered(index: usize, from: usize, to: usize) -> PixelSpan {
    let begin = index as u64 * from as u64;
    let (end, pixel) = (begin + from as u64, to as u64);
    let (first, last) = (begin / pixel, (end - 1) / pixel);
    let head = end.min((first + 1) * pixel) - begin;
    let tail = if last > first { end - last * pixel } else { 0 };
    PixelSpan { first: first as usize, head, last: last as usize, tail }
}

/// The weighted samples of a row under a span; `pixel` is the weight of a pixel between its ends.
fn sum<const CHANNELS: usize>(row: &[[u8; CHANNELS]], span: &PixelSpan, pixel: u64) -> [u64; CHANNELS] {
    let mut between = [0; CHANNELS];
    if span.last > span.first {
        for samples in &row[span.first + 1..span.last] {
            for (sum, sample) in between.iter_mut().zip(samples) {
                *sum += u64::from(*sample);
            }
        }
    }
    let (first, last) = (&row[span.first], &row[span.last]);
    std::array::from_fn(|channel| {
        u64::from(first[channel]) * span.head + between[channel] * pixel + u64::from(last[channel]) * span.tail
    })
}

fn add(sums: &mut [u64], row: &[u64], weight: u64) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum += value * weight;
    }
}

/// The growing JPEG: every byte of it is counted before it is allocated.
struct Output<'a> {
    bytes: Vec<u8>,
    /// Bytes that are held elsewhere.
    held: usize,
    format: Format,
    limits: &'a Limits<'a>,
    check: CancelCheck<'a>,
    /// Why it stopped.
    error: Option<PhotoError>,
}

impl Output<'_> {
    fn append(&mut self, bytes: &[u8]) -> Result<(), PhotoError> {
        self.check.advance(64 * bytes.len())?; // a flat block of 64 samples takes less than a byte
        if self.bytes.capacity() - self.bytes.len() < bytes.len() {
            let more = self.bytes.len().max(bytes.len()).max(USUAL);
            self.limits.allow_memory(self.format, (self.held + 2 * self.bytes.len() + more) as u64)?;
            self.bytes.try_reserve_exact(more).map_err(|_| PhotoError::OutOfMemory)?;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.append(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                self.error = Some(error);
                Err(io::ErrorKind::Other.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn encoded(samples: &[u8], size: (usize, usize), mut output: Output<'_>) -> Result<Vec<u8>, PhotoError> {
    let colours = if samples.len() == size.0 * size.1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let result =
        JpegEncoder::new_with_quality(&mut output, QUALITY).encode(samples, size.0 as u32, size.1 as u32, colours);
    match (output.error, result) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(output.bytes),
        // The encoder refuses only sizes and colours that it never gets here.
        (None, Err(error)) => Err(PhotoError::Unsupported { format: Format::Jpeg, why: error.to_string() }),
    }
}
