//! WebP, by image-webp: of an animation the first frame, on its canvas.
//!
//! The container is walked here first, as the decoder will walk it, to find the size in the first picture's own header:
//! a canvas may claim another, and the decoder allocates before it compares. A large picture is decoded by a
//! [`decoder_thread`]: the decoder of lossy pictures reads all of its input before it begins, and a lossless picture of
//! one colour takes no input at all.
//!
//! The memory for the Huffman codes of a lossless picture has to be computed from its data: [`codes`].
//!
//! Programs that strip metadata leave the flags that name them: the decoder gets a copy without those, as it would
//! refuse the file.

mod codes;
#[cfg(test)]
mod tests;

use super::{FIXED, area, damaged, decoder_thread, drop_channels, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::input::Input;
use crate::limits::Limits;
use crate::picture::{Picture, Pixels};
use image_webp::{DecodingError, WebPDecoder};
use std::cell::Cell;

/// The largest claimed length of a partition of a lossy picture, in bytes; it is allocated before it is read.
const PARTITION: u64 = 1 << 24;

/// Where the flags of an extended header are, and what they name.
const FLAGS: usize = 20;
const XMP: u8 = 4;
const EXIF: u8 = 8;
const ALPHA: u8 = 16;

/// A picture in a chunk of its own.
#[derive(Clone, Copy)]
struct Stored<'a> {
    width: u32,
    height: u32,
    codec: Codec<'a>,
}

#[derive(Clone, Copy)]
enum Codec<'a> {
    /// With its alpha chunk, if it has one.
    Lossy(Option<&'a [u8]>),
    /// With its bits after width and height.
    Lossless(&'a [u8]),
}

impl<'a> Stored<'a> {
    fn of(kind: [u8; 4], chunk: &'a [u8]) -> Option<Self> {
        if &kind == b"VP8 " {
            let &[_, _, _, _, _, _, w0, w1, h0, h1] = chunk.first_chunk::<10>()?;
            let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
            return Some(Stored { width: side(w0, w1), height: side(h0, h1), codec: Codec::Lossy(None) });
        }
        let (&[_, bits @ ..], rest) = chunk.split_first_chunk::<5>().filter(|_| &kind == b"VP8L")?;
        let bits = u32::from_le_bytes(bits);
        Some(Stored { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1, codec: Codec::Lossless(rest) })
    }

    fn is_lossy(&self) -> bool {
        matches!(self.codec, Codec::Lossy(_))
    }
}

/// A chunk: its kind, its available bytes, and what follows it.
fn chunk(bytes: &[u8]) -> Option<([u8; 4], &[u8], &[u8])> {
    let (&[a, b, c, d, length @ ..], body) = bytes.split_first_chunk::<8>()?;
    let length = u32::from_le_bytes(length) as usize;
    let rest = body.get(length.saturating_add(length & 1)..).unwrap_or_default();
    Some(([a, b, c, d], &body[..length.min(body.len())], rest))
}

/// The pictures that may be decoded as the first: that of the first frame, or the first of each kind outside of frames.
fn stored<'a>(bytes: &'a [u8], animated: bool, limits: &Limits<'_>) -> Result<Vec<Stored<'a>>, PhotoError> {
    let mut found: Vec<Stored<'_>> = Vec::new();
    let mut alpha = None;
    let mut rest = bytes.get(12..).unwrap_or_default();
    let mut chunks = 0u32;
    while let Some((kind, body, after)) = chunk(rest) {
        if chunks.is_multiple_of(1 << 12) {
            limits.check()?;
        }
        match &kind {
            b"ANMF" if animated => return Ok(body.get(16..).and_then(first_of_frame).into_iter().collect()),
            b"VP8 " | b"VP8L" if !animated => {
                let known = |stored: &Stored<'_>| found.iter().any(|found| found.is_lossy() == stored.is_lossy());
                found.extend(Stored::of(kind, body).filter(|stored| !known(stored)));
                if chunks == 0 {
                    return Ok(found); // a simple file: what follows does not count
                }
            }
            b"ALPH" if alpha.is_none() => alpha = Some(body),
            _ => {}
        }
        chunks = chunks.wrapping_add(1);
        rest = after;
    }
    for stored in &mut found {
        if let Codec::Lossy(of) = &mut stored.codec {
            *of = alpha;
        }
    }
    Ok(found)
}

/// The picture of a frame: its first chunk, or the second, after its alpha; the decoder takes that one for a lossy
/// picture, whatever its name.
fn first_of_frame(frame: &[u8]) -> Option<Stored<'_>> {
    let (kind, body, after) = chunk(frame)?;
    if &kind == b"ALPH" {
        let lossy = Stored::of(*b"VP8 ", chunk(after)?.1)?;
        return Some(Stored { codec: Codec::Lossy(Some(body)), ..lossy });
    }
    Stored::of(kind, body)
}

/// What decoding one of the pictures takes in addition to the file and the output, in bytes.
fn working_memory(
    (width, height): (u32, u32),
    stored: &Stored<'_>,
    animated: bool,
    limits: &Limits<'_>,
) -> Result<u64, PhotoError> {
    let pixels = area(stored.width.next_multiple_of(16), stored.height.next_multiple_of(16), 1);
    // A lossless picture, and at most two transforms and the groups of codes for every 4 x 4 pixels of it; also if a
    // frame is larger than its picture, which the decoder detects too late.
    let canvas = area(width, height, 1).max(pixels);
    let lossless = canvas * 4 + canvas * 3 / 4 + canvas / 8;
    let memory = match stored.codec {
        Codec::Lossless(bits) => lossless + codes::memory(bits, (stored.width, stored.height), limits)?,
        // Planes of brightness and colour, and the state of every block of 16 x 16.
        Codec::Lossy(alpha) => {
            let planes = pixels * 3 / 2 + pixels / 4 + if animated { canvas * 4 } else { 0 };
            let alpha = match alpha {
                None => 0,
                // A lossless picture, of which one channel is kept.
                Some(&[kind, ref bits @ ..]) if kind & 3 == 1 => {
                    lossless + canvas + codes::memory(bits, (width, height), limits)?
                }
                Some(_) => canvas,
            };
            planes + alpha
        }
    };
    Ok(memory + if animated { area(width, height, 4) } else { 0 })
}

/// The flags of an extended header without those for chunks that are not there; `None` if all are.
fn mended_flags(bytes: &[u8], limits: &Limits<'_>) -> Result<Option<u8>, PhotoError> {
    let Some((kind, _, mut rest)) = bytes.get(12..).and_then(chunk) else { return Ok(None) };
    let Some(&flags) = bytes.get(FLAGS).filter(|_| &kind == b"VP8X") else { return Ok(None) };
    // As far as the decoder looks.
    let size = bytes.get(4..).and_then(<[u8]>::first_chunk).map_or(0, |size| u32::from_le_bytes(*size) as usize);
    let end = (bytes.len() - rest.len()).saturating_add(size.saturating_sub(12));
    let (mut missing, mut lossy, mut chunks) = (flags & (XMP | EXIF | ALPHA), false, 0u32);
    while missing != 0 && bytes.len() - rest.len() < end {
        if chunks.is_multiple_of(1 << 12) {
            limits.check()?;
        }
        let Some((kind, _, after)) = chunk(rest) else { break };
        match &kind {
            b"XMP " => missing &= !XMP,
            b"EXIF" => missing &= !EXIF,
            b"ALPH" | b"ANMF" => missing &= !ALPHA,
            b"VP8 " => lossy = true,
            _ => {}
        }
        (chunks, rest) = (chunks.wrapping_add(1), after);
    }
    if !lossy {
        missing &= !ALPHA; // other pictures have it in themselves
    }
    Ok((missing != 0).then_some(flags & !missing))
}

pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let Some(flags) = mended_flags(bytes, limits)? else { return whole(bytes, 0, limits) };
    let length = bytes.len() as u64;
    limits.allow_memory(Format::WebP, length + FIXED)?;
    let (before, behind) = bytes.split_at(FLAGS);
    let copy = limits.joined(&[before, &[flags], behind.get(1..).unwrap_or_default()])?;
    whole(&copy, length, limits)
}

/// Decodes a file. `held`: the bytes that the caller holds beside it.
fn whole(bytes: &[u8], held: u64, limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let overrun = Cell::new(false);
    let decoder = WebPDecoder::new(Input::new(bytes, limits, &overrun)).map_err(error)?;
    let (size, animated) = (decoder.dimensions(), decoder.is_animated());
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    drop(decoder);
    let stored = stored(bytes, animated, limits)?;
    for (width, height) in [size].into_iter().chain(stored.iter().map(|stored| (stored.width, stored.height))) {
        if width == 0 || height == 0 {
            return Err(damaged(Format::WebP, "it has no width or no height"));
        }
        limits.allow_pixels(width, height)?;
    }
    // The decoder compares them too, but only after it has allocated either.
    let fits = |stored: &Stored<'_>| match animated {
        false => (stored.width, stored.height) == size,
        true => stored.width <= size.0 && stored.height <= size.1,
    };
    if stored.is_empty() || !stored.iter().all(fits) {
        return Err(damaged(Format::WebP, "its picture has not the size of its canvas"));
    }
    // The decoder copies what it reads of a lossy picture, into a vector that doubles; and a thread has its own copy.
    let large = area(size.0, size.1, 1) > decoder_thread::LARGE;
    let lossy = stored.iter().any(Stored::is_lossy);
    let copies =
        bytes.len() as u64 * (u64::from(large) + if lossy { 3 } else { 0 }) + if lossy { PARTITION } else { 0 };
    let output = held + area(size.0, size.1, channels) + copies + FIXED;
    limits.allow_memory(Format::WebP, output)?;
    let mut working = 0;
    for stored in &stored {
        working = working.max(working_memory(size, stored, animated, limits)?);
    }
    limits.allow_memory(Format::WebP, output + working)?;
    if large {
        decoder_thread::run(Format::WebP, limits.joined(&[bytes])?, limits, picture)
    } else {
        picture(bytes, limits)
    }
}

/// Decodes a file that has been checked.
fn picture(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let overrun = Cell::new(false);
    let mut decoder = WebPDecoder::new(Input::new(bytes, limits, &overrun)).map_err(error)?;
    let (width, height) = decoder.dimensions();
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let mut samples = limits.zeros(area(width, height, channels) as usize)?;
    decoder.read_image(&mut samples).map_err(error)?;
    drop(decoder);
    if channels == 4 {
        drop_channels(&mut samples, 4, 3, limits)?;
    }
    Ok(Picture { width, height, pixels: Pixels::Rgb(samples), damage: None })
}

fn error(error: DecodingError) -> PhotoError {
    match error {
        DecodingError::UnsupportedFeature(what) => unsupported(Format::WebP, what),
        error => damaged(Format::WebP, error),
    }
}
