//! JPEG, by zune-jpeg: files, the previews of raw files, and the strips of TIFF files.
//!
//! The headers are read here first: the kind of file (baseline, progressive, lossless, arithmetic), the bits per
//! sample, and the sampling of the components, from which follows what the decoder will allocate. The decoder then gets
//! a copy with only those segments before the scans that pixels need, so that both see the same frame header, and so
//! that it does not collect metadata (it allocates the length that an extended XMP block claims).
//!
//! A picture in several scans is transformed only after all of them are read, without checking for cancellation: a
//! large one is decoded by a [`decoder_thread`]. So is a very large one in one scan, which may have its end marker
//! anywhere, after which the decoder makes pixels without input.

use super::{FIXED, area, damaged, decoder_thread, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::input::{Input, JpegInput};
use crate::limits::Limits;
use crate::picture::{Picture, Pixels};
use std::cell::Cell;
use std::io::BufRead;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

/// Pixels in one scan that are decoded in a quarter of a second without input.
const HUGE: u64 = 64_000_000;

/// Frame header (ITU-T T.81, B.2.2).
struct JpegFrame {
    progressive: bool,
    width: u32,
    height: u32,
    /// Sampling factors of each component.
    sampling: Vec<(u8, u8)>,
    /// All components come in one scan.
    interleaved: bool,
}

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
    /// The input ends before the last pixel.
    pub(super) truncated: bool,
}

/// The parsed headers.
struct Headers {
    frame: JpegFrame,
    /// The segments that pixels need, up to the first scan's header.
    kept: Vec<u8>,
    /// Where the first scan's header begins.
    scans: usize,
}

/// Reads all segments before the first scan: those of `tables`, then those of `bytes`.
fn headers(tables: &[u8], bytes: &[u8], purpose: Purpose, limits: &Limits<'_>) -> Result<Headers, PhotoError> {
    let mut kept = Vec::new();
    kept.try_reserve_exact(tables.len() + bytes.len()).map_err(|_| PhotoError::OutOfMemory)?;
    kept.extend_from_slice(&[0xff, 0xd8]);
    let mut found = None;
    if !tables.is_empty() {
        segments(tables, purpose, &mut found, &mut kept, limits)?;
    }
    let scans = segments(bytes, purpose, &mut found, &mut kept, limits)?;
    let (scans, count) = scans.ok_or_else(ends)?;
    let mut frame = found.ok_or_else(|| damaged(Format::Jpeg, "its pixels come before its size"))?;
    frame.interleaved = usize::from(count) == frame.sampling.len();
    Ok(Headers { frame, kept, scans })
}

fn ends() -> PhotoError {
    damaged(Format::Jpeg, "it ends before its pixels begin")
}

/// Reads segments up to the first scan's header: its position, and the number of its components. `None` if the bytes
/// end without one.
fn segments(
    bytes: &[u8],
    purpose: Purpose,
    found: &mut Option<JpegFrame>,
    kept: &mut Vec<u8>,
    limits: &Limits<'_>,
) -> Result<Option<(usize, u8)>, PhotoError> {
    let unsupported = |why| Err(unsupported(Format::Jpeg, why));
    let mut at = 2;
    let mut check_at = 0;
    loop {
        if at >= check_at {
            limits.check()?;
            check_at = at + (1 << 16);
        }
        // Decoders skip any bytes between segments that are no marker.
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(skipped) = rest.iter().position(|&byte| byte == 0xff) else { return Ok(None) };
        at += skipped;
        let Some(&marker) = bytes.get(at + 1) else { return Ok(None) };
        if matches!(marker, 0xff | 0x00 | 0x01 | 0xd0..=0xd8) {
            at += if marker == 0xff { 1 } else { 2 };
            continue;
        }
        if marker == 0xd9 {
            return Ok(None);
        }
        let length = match bytes.get(at + 2..at + 4) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])).max(2),
            _ => return Ok(None),
        };
        let Some(segment) = bytes.get(at + 4..at + 2 + length) else { return Ok(None) };
        match marker {
            0xc3 | 0xc7 | 0xcb | 0xcf => return unsupported("lossless JPEG"),
            0xc5 | 0xc6 | 0xcd | 0xce => return unsupported("hierarchical JPEG"),
            0xc9 | 0xca => return unsupported("arithmetic coding"),
            0xc0..=0xc2 if found.is_some() => return Err(damaged(Format::Jpeg, "it gives its size twice")),
            0xc0..=0xc2 => *found = Some(frame(marker, segment)?),
            0xda => return Ok(Some((at, *segment.first().ok_or_else(ends)?))),
            _ => {}
        }
        let needed = match marker {
            0xc0..=0xc2 | 0xc4 | 0xdb | 0xdd => true,
            0xee => purpose == Purpose::Picture,
            _ => false,
        };
        if needed {
            kept.extend_from_slice(&bytes[at..at + 2 + length]);
        }
        at += 2 + length;
    }
}

/// Copies the scans up to the end of the picture, without the metadata that may lie between them: the decoder keeps it.
fn copy_scans(scans: &[u8], copy: &mut Vec<u8>, limits: &Limits<'_>) -> Result<(), PhotoError> {
    let (mut at, mut kept_from, mut check_at) = (0, 0, 0);
    let end = loop {
        if at >= check_at {
            limits.check()?;
            check_at = at + (1 << 16);
        }
        let mut ahead = scans.get(at..check_at.min(scans.len())).unwrap_or_default();
        at += ahead.skip_until(0xff).unwrap_or(0);
        if at >= scans.len() {
            break scans.len();
        }
        if scans[at - 1] != 0xff {
            continue; // as far as the next check
        }
        let length = match scans.get(at + 1..at + 3) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => break scans.len(),
        };
        let after = at + 1 + length;
        match scans[at] {
            0xff => {}
            0xd9 => break at + 1,
            0xc4 | 0xda | 0xdb | 0xdd => at = after,
            // The markers that the decoder knows: it treats others as damage.
            0xe0..=0xe2 | 0xed | 0xee | 0xfe if length >= 2 && after <= scans.len() => {
                copy.extend_from_slice(&scans[kept_from..at - 1]);
                (at, kept_from) = (after, after);
            }
            _ => at += 1,
        }
    };
    copy.extend_from_slice(scans.get(kept_from..end).unwrap_or_default());
    Ok(())
}

fn frame(marker: u8, segment: &[u8]) -> Result<JpegFrame, PhotoError> {
    let damaged = |why| Err(damaged(Format::Jpeg, why));
    let &[precision, h1, h0, w1, w0, count, ref rest @ ..] = segment else { return Err(ends()) };
    if precision != 8 {
        return Err(unsupported(Format::Jpeg, format!("{precision} bits a sample")));
    }
    let components = rest.chunks_exact(3).take(count.into());
    let sampling: Vec<(u8, u8)> = components.map(|c| (c[1] >> 4, c[1] & 15)).collect();
    let (width, height) = (u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into());
    if width == 0 || height == 0 {
        return damaged("it has no width or no height");
    }
    if sampling.len() != usize::from(count) || !matches!(count, 1 | 3 | 4) {
        return damaged("its components are wrong in number");
    }
    if !sampling.iter().all(|(h, v)| (1..=4).contains(h) && (1..=4).contains(v)) {
        return damaged("its components are sampled in an impossible way");
    }
    Ok(JpegFrame { progressive: marker == 0xc2, width, height, sampling, interleaved: true })
}

impl JpegFrame {
    /// What the decoder allocates in addition to the output, in bytes: for a picture in several scans, all
    /// coefficients; otherwise some rows.
    fn working_memory(&self) -> u64 {
        let largest = |side: fn(&(u8, u8)) -> u8| self.sampling.iter().map(side).max().map_or(1, u64::from);
        let (h, v) = (largest(|s| s.0), largest(|s| s.1));
        let units = u64::from(self.width).div_ceil(8 * h) * u64::from(self.height).div_ceil(8 * v);
        let blocks: u64 = self.sampling.iter().map(|&(h, v)| u64::from(h) * u64::from(v)).sum();
        let rows = 40 * u64::from(self.width.next_multiple_of(64)) * self.sampling.len() as u64 * h.max(v);
        if self.in_several_scans() { units * blocks * 128 + rows } else { rows }
    }

    fn in_several_scans(&self) -> bool {
        self.progressive || !self.interleaved
    }
}

/// The picture of a file.
pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let whole = JpegStream { tables: &[], bytes, largest: (u32::MAX, u32::MAX), held: 0 };
    let DecodedJpeg { width, height, channels, samples, truncated } = read(&whole, Purpose::Picture, limits)?;
    let pixels = match channels {
        1 => Pixels::Grey(samples),
        _ => Pixels::Rgb(samples),
    };
    Ok(Picture { width, height, pixels, truncated })
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
    let Headers { frame, kept: mut copy, scans } = headers(tables, bytes, purpose, limits)?;
    let JpegFrame { width, height, .. } = frame;
    limits.allow_pixels(width, height)?;
    if width > largest.0 || height > largest.1 {
        return Err(damaged(Format::Jpeg, "it is larger than its place in the page"));
    }
    let channels = match (purpose, frame.sampling.len() as u32) {
        (_, 1) => 1,
        (Purpose::Picture, _) => 3,
        (Purpose::Components, count) => count,
    };
    let output = area(width, height, channels.into());
    limits.allow_memory(Format::Jpeg, held + output + frame.working_memory() + file + FIXED)?;
    copy_scans(&bytes[scans..], &mut copy, limits)?;

    let size = (width, height, channels);
    let large = if frame.in_several_scans() { decoder_thread::LARGE } else { HUGE };
    if area(width, height, 1) > large {
        decoder_thread::run(Format::Jpeg, copy, limits, move |copy, limits| scans_of(copy, size, purpose, limits))
    } else {
        scans_of(&copy, size, purpose, limits)
    }
}

/// Decodes the segments that [`headers`] has kept, with this width, height and number of channels.
fn scans_of(
    bytes: &[u8],
    (width, height, channels): (u32, u32, u32),
    purpose: Purpose,
    limits: &Limits<'_>,
) -> Result<DecodedJpeg, PhotoError> {
    let overrun = Cell::new(false);
    let side = usize::from(u16::MAX);
    let mut options = DecoderOptions::default().set_max_width(side).set_max_height(side);
    if purpose == Purpose::Picture {
        options = options.jpeg_set_out_colorspace(if channels == 1 { ColorSpace::Luma } else { ColorSpace::RGB });
    }
    let mut decoder = JpegDecoder::new_with_options(JpegInput(Input::new(bytes, limits, &overrun)), options);
    decoder.decode_headers().map_err(error)?;
    if let (Purpose::Components, Some(stored)) = (purpose, decoder.input_colorspace()) {
        decoder.set_options(options.jpeg_set_out_colorspace(stored));
    }
    let length = decoder.output_buffer_size().ok_or_else(|| damaged(Format::Jpeg, "it has no size"))?;
    if length as u64 != area(width, height, channels.into()) {
        return Err(damaged(Format::Jpeg, "its components are wrong in number"));
    }
    let mut samples = limits.zeros(length)?;
    decoder.decode_into(&mut samples).map_err(error)?;
    Ok(DecodedJpeg { width, height, channels, samples, truncated: overrun.get() })
}

fn error(error: DecodeErrors) -> PhotoError {
    match error {
        DecodeErrors::Unsupported(what) => unsupported(Format::Jpeg, format!("{what:?}")),
        error => damaged(Format::Jpeg, format!("{error:?}")),
    }
}
