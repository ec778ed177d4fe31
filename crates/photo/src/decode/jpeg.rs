//! JPEG, by zune-jpeg: files, the previews of raw files, and the strips of TIFF files.
//!
//! The headers are read here first: the kind of file (baseline, progressive, lossless, arithmetic), the bits per
//! sample, and the sampling of the components, from which follows what the decoder will allocate. The decoder then gets
//! a [`copy`] with only what pixels need, so that both see the same frame header, and so that it does not collect
//! metadata (it allocates the length that an extended XMP block claims).
//!
//! The decoder does not tell of damage, so [`check`] reads the data before it, and writes the copy meanwhile. Tables
//! that a file lacks are those of T.81, and what zune-jpeg places wrongly is rewritten for it ([`split`]) or refused.
//!
//! A picture in several scans is transformed only after all of them are read, without checking for cancellation: a
//! large one is decoded by a [`decoder_thread`]. So is a very large one in one scan, which may have its end marker
//! anywhere, after which the decoder makes pixels without input.

mod check;
mod copy;
mod headers;
mod huffman;
mod scan;
mod split;
mod tables;
#[cfg(test)]
mod tests;

use super::{FIXED, area, damaged, decoder_thread, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::input::{Input, JpegInput};
use crate::limits::Limits;
use crate::picture::{Damage, Picture, Pixels};
use headers::JpegFrame;
use std::cell::Cell;
use std::num::NonZeroU32;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

/// Missing pixels.
const GREY: u8 = 128;

/// Components that the decoder has no colours for.
const TWO: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

/// Pixels in one scan that are decoded in a quarter of a second without input.
const HUGE: u64 = 64_000_000;

/// The purpose of a decode.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Grey, or red, green and blue.
    Picture,
    /// The components as they are stored, regardless of Adobe's marker.
    Components,
}

/// Samples, 8 bits each, in rows.
pub(super) struct DecodedJpeg {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Samples of a pixel.
    pub(super) channels: u32,
    pub(super) samples: Vec<u8>,
    /// What is wrong with the data.
    pub(super) damage: Option<Damage>,
}

/// The picture of a file.
pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let whole = JpegStream { tables: &[], bytes, largest: (u32::MAX, u32::MAX), held: 0 };
    let DecodedJpeg { width, height, channels, samples, damage } = read(&whole, Purpose::Picture, limits)?;
    let pixels = match channels {
        1 => Pixels::Grey(samples),
        _ => Pixels::Rgb(samples),
    };
    Ok(Picture { width, height, pixels, damage })
}

/// A file, or a strip or tile of a TIFF file, in JPEG.
pub(super) struct JpegStream<'a> {
    /// Tables that all strips or tiles share.
    pub(super) tables: &'a [u8],
    pub(super) bytes: &'a [u8],
    /// The width and height that it may have.
    pub(super) largest: (u32, u32),
    /// Bytes that the caller holds.
    pub(super) held: u64,
}

impl JpegStream<'_> {
    /// Its components as they are stored.
    pub(super) fn components(&self, limits: &Limits<'_>) -> Result<DecodedJpeg, PhotoError> {
        read(self, Purpose::Components, limits)
    }
}

fn read(stream: &JpegStream<'_>, purpose: Purpose, limits: &Limits<'_>) -> Result<DecodedJpeg, PhotoError> {
    let &JpegStream { tables, bytes, largest, held } = stream;
    // The decoder's copy.
    let file = (tables.len() + bytes.len()) as u64;
    limits.allow_memory(Format::Jpeg, held + file + FIXED)?;
    let headers = headers::headers(tables, bytes, purpose, limits)?;
    let JpegFrame { width, height, .. } = headers.frame;
    limits.allow_pixels(width, height)?;
    if width > largest.0 || height > largest.1 {
        return Err(damaged(Format::Jpeg, "it is larger than its place in the page"));
    }
    let channels = match (purpose, headers.frame.components.len() as u32) {
        (_, 1) => 1,
        (Purpose::Picture, _) => 3,
        (Purpose::Components, count) => count,
    };
    let output = area(width, height, channels.into());
    let copies = if headers.frame.is_split() { file + split::MEMORY * file } else { file };
    limits.allow_memory(Format::Jpeg, held + output + headers.frame.working_memory() + copies + FIXED)?;
    let scans = bytes.get(headers.scans..).unwrap_or_default();
    let large = if headers.frame.in_several_scans() { decoder_thread::LARGE } else { HUGE };
    let (copy, damage) = check::check(headers, scans, limits)?;

    let job = Job { width, height, channels, purpose, damage };
    if area(width, height, 1) > large {
        decoder_thread::run(Format::Jpeg, copy, limits, move |copy, limits| job.run(copy, limits))
    } else {
        job.run(&copy, limits)
    }
}

/// What is known before a decode.
#[derive(Clone, Copy)]
struct Job {
    width: u32,
    height: u32,
    channels: u32,
    purpose: Purpose,
    damage: Option<Damage>,
}

impl Job {
    /// Decodes the file that [`check`] has made.
    fn run(self, bytes: &[u8], limits: &Limits<'_>) -> Result<DecodedJpeg, PhotoError> {
        let Job { width, height, channels, purpose, damage } = self;
        let overrun = Cell::new(false); // how far it reads is no sign of damage
        let side = usize::from(u16::MAX);
        let mut options = DecoderOptions::default().set_max_width(side).set_max_height(side);
        if purpose == Purpose::Picture {
            options = options.jpeg_set_out_colorspace(if channels == 1 { ColorSpace::Luma } else { ColorSpace::RGB });
        }
        let mut decoder = JpegDecoder::new_with_options(JpegInput(Input::new(bytes, limits, &overrun)), options);
        decoder.decode_headers().map_err(error)?;
        if let (Purpose::Components, Some(stored)) = (purpose, decoder.input_colorspace()) {
            // Of two components it says so only when it decodes them.
            let stored = if channels == 2 { ColorSpace::MultiBand(TWO) } else { stored };
            decoder.set_options(options.jpeg_set_out_colorspace(stored));
        }
        let length = decoder.output_buffer_size().ok_or_else(|| damaged(Format::Jpeg, "it has no size"))?;
        if length as u64 != area(width, height, channels.into()) {
            return Err(damaged(Format::Jpeg, "its components are wrong in number"));
        }
        let mut samples = limits.filled(length, GREY)?;
        // Of damaged data the picture is what could be decoded.
        if let (Err(error), None) = (decoder.decode_into(&mut samples), damage) {
            return Err(self::error(error));
        }
        Ok(DecodedJpeg { width, height, channels, samples, damage })
    }
}

fn error(error: DecodeErrors) -> PhotoError {
    match error {
        DecodeErrors::Unsupported(what) => unsupported(Format::Jpeg, format!("{what:?}")),
        error => damaged(Format::Jpeg, format!("{error:?}")),
    }
}
