//! JPEG, by zune-jpeg.
//!
//! The frame header is read here first: what the file is (baseline, progressive, lossless, arithmetic), how many bits a
//! sample has, and how the components are sampled, from which follows what the decoder will allocate.

use super::{FIXED, area, damaged, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::input::{Input, JpegInput};
use crate::limits::Limits;
use crate::picture::{Picture, Pixels};
use std::cell::Cell;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

/// Frame header (ITU-T T.81, B.2.2).
struct Frame {
    progressive: bool,
    width: u32,
    height: u32,
    /// Sampling factors of each component.
    sampling: Vec<(u8, u8)>,
    /// All components come in one scan.
    interleaved: bool,
}

/// The frame header and the first scan's, by the segments before it.
fn frame(bytes: &[u8]) -> Result<Frame, PhotoError> {
    let damaged = |why| damaged(Format::Jpeg, why);
    let unsupported = |why| Err(unsupported(Format::Jpeg, why));
    let ends = || damaged("it ends before its pixels begin");
    let mut found: Option<Frame> = None;
    let mut at = 2;
    loop {
        // Between segments anything goes that is no marker: decoders skip it.
        let skipped = bytes.get(at..).unwrap_or_default().iter().position(|&byte| byte == 0xff).ok_or_else(ends)?;
        at += skipped;
        let marker = *bytes.get(at + 1).ok_or_else(ends)?;
        if matches!(marker, 0xff | 0x00 | 0x01 | 0xd0..=0xd8) {
            at += if marker == 0xff { 1 } else { 2 };
            continue;
        }
        if marker == 0xd9 {
            return Err(ends());
        }
        let length = match bytes.get(at + 2..at + 4) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => return Err(ends()),
        };
        let segment = bytes.get(at + 4..at + 2 + length.max(2)).ok_or_else(ends)?;
        match marker {
            0xc3 | 0xc7 | 0xcb | 0xcf => return unsupported("lossless JPEG"),
            0xc5 | 0xc6 | 0xcd | 0xce => return unsupported("hierarchical JPEG"),
            0xc9 | 0xca => return unsupported("arithmetic coding"),
            0xc0..=0xc2 => {
                let &[precision, h1, h0, w1, w0, count, ref rest @ ..] = segment else { return Err(ends()) };
                if precision != 8 {
                    return unsupported(&format!("{precision} bits a sample"));
                }
                let components = rest.chunks_exact(3).take(count.into());
                let sampling: Vec<(u8, u8)> = components.map(|c| (c[1] >> 4, c[1] & 15)).collect();
                let (width, height) = (u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into());
                if width == 0 || height == 0 {
                    return Err(damaged("it has no width or no height"));
                }
                if sampling.len() != usize::from(count) || !matches!(count, 1 | 3 | 4) {
                    return Err(damaged("its components are wrong in number"));
                }
                if !sampling.iter().all(|(h, v)| (1..=4).contains(h) && (1..=4).contains(v)) {
                    return Err(damaged("its components are sampled in an impossible way"));
                }
                found = Some(Frame { progressive: marker == 0xc2, width, height, sampling, interleaved: true });
            }
            0xda => {
                let mut frame = found.ok_or_else(|| damaged("its pixels come before its size"))?;
                let count = *segment.first().ok_or_else(ends)?;
                frame.interleaved = usize::from(count) == frame.sampling.len();
                return Ok(frame);
            }
            _ => {}
        }
        at += 2 + length.max(2);
    }
}

impl Frame {
    /// What the decoder allocates beside the output, in bytes: of a progressive picture, or one in several scans, all
    /// coefficients; else some rows.
    fn working_memory(&self) -> u64 {
        let largest = |side: fn(&(u8, u8)) -> u8| self.sampling.iter().map(side).max().map_or(1, u64::from);
        let (h, v) = (largest(|s| s.0), largest(|s| s.1));
        let units = u64::from(self.width).div_ceil(8 * h) * u64::from(self.height).div_ceil(8 * v);
        let blocks: u64 = self.sampling.iter().map(|&(h, v)| u64::from(h) * u64::from(v)).sum();
        let rows = 128 * u64::from(self.width.next_multiple_of(64)) * self.sampling.len() as u64 * h.max(v);
        if self.progressive || !self.interleaved { units * blocks * 128 + rows } else { rows }
    }
}

/// Width and height, in pixels, by the frame header.
pub(super) fn size(bytes: &[u8]) -> Result<(u32, u32), PhotoError> {
    frame(bytes).map(|frame| (frame.width, frame.height))
}

pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let frame = frame(bytes)?;
    let Frame { width, height, .. } = frame;
    limits.allow_pixels(width, height)?;
    let channels = if frame.sampling.len() == 1 { 1 } else { 3 };
    // Metadata is copied by the decoder: never more than the file itself.
    let needed = area(width, height, channels) + frame.working_memory() + bytes.len() as u64 + FIXED;
    limits.allow_memory(Format::Jpeg, needed)?;

    let overrun = Cell::new(false);
    let colours = match channels {
        1 => ColorSpace::Luma,
        _ => ColorSpace::RGB,
    };
    let side = usize::from(u16::MAX);
    let options = DecoderOptions::default().set_max_width(side).set_max_height(side).jpeg_set_out_colorspace(colours);
    let mut decoder = JpegDecoder::new_with_options(JpegInput(Input::new(bytes, limits, &overrun)), options);
    decoder.decode_headers().map_err(error)?;
    let length = decoder.output_buffer_size().ok_or_else(|| damaged(Format::Jpeg, "it has no size"))?;
    if length as u64 != area(width, height, channels) {
        return Err(damaged(Format::Jpeg, "it gives its size twice"));
    }
    let mut samples = limits.zeros(length)?;
    decoder.decode_into(&mut samples).map_err(error)?;
    let pixels = match channels {
        1 => Pixels::Grey(samples),
        _ => Pixels::Rgb(samples),
    };
    Ok(Picture { width, height, pixels, truncated: overrun.get() })
}

fn error(error: DecodeErrors) -> PhotoError {
    match error {
        DecodeErrors::Unsupported(what) => unsupported(Format::Jpeg, format!("{what:?}")),
        error => damaged(Format::Jpeg, format!("{error:?}")),
    }
}
