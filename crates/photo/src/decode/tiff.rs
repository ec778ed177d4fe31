//! TIFF, by the crate of that name: its first page, strip by strip or tile by tile, so that only one of them is held in
//! addition to the picture.
//!
//! JPEG strips are decoded by [`jpeg`](super::jpeg) and not by the crate, which cannot be stopped there and allocates
//! what they claim.

use super::jpeg::JpegStream;
use super::{FIXED, area, damaged, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::ifd;
use crate::input::Input;
use crate::limits::{CancelCheck, Limits};
use crate::picture::{Picture, Pixels, cmyk_to_rgb};
use std::cell::Cell;
use tiff::ColorType;
use tiff::TiffError;
use tiff::decoder::{ChunkType, Decoder, Limits as DecoderLimits};
use tiff::tags::Tag;

/// Bytes that the crate holds per value of a tag while it reads it.
const VALUE: usize = 32;
/// The most bytes that the values of one tag may take in the crate: no camera or scanner writes longer ones.
const VALUES: usize = 64 << 20;
/// What tags take at least, enough for most files: for their entries and their longest tags.
const FEW: usize = 1 << 12;
/// Strips and tiles count as at least this many values: each has a decoder of its own.
const SMALLEST: usize = 1 << 12;
/// Compression by JPEG (TIFF Technical Note 2).
const JPEG: u16 = 7;

/// What the samples of a pixel mean.
enum Colours {
    Grey,
    Rgb,
    Cmyk,
    YCbCr,
}

type TiffDecoder<'a> = Decoder<Input<'a>>;

/// Tags that the crate reads of a page.
const READ: [u64; 19] = [256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 338, 339, 347, 530];

/// Bytes that the longest tag of the first page takes while it is read. The crate allocates what a tag claims before it
/// reads it, and only then can it be given limits. Errors: a tag claims more than there is, or more than [`VALUES`].
fn longest(bytes: &[u8]) -> Result<usize, PhotoError> {
    let damaged = |why| Err(damaged(Format::Tiff, why));
    let Some(order) = bytes.get(..2).and_then(ifd::ByteOrder::of) else { return damaged("it has no header") };
    let number = |at: u64, width: usize| {
        let at = usize::try_from(at).ok()?;
        Some(order.number(bytes.get(at..at.checked_add(width)?)?))
    };
    let big = number(2, 2) == Some(43);
    let (width, record, first) = if big { (8, 20, number(8, 8)) } else { (4, 12, number(4, 4)) };
    let (Some(first), count_width) = (first, if big { 8 } else { 2 }) else { return damaged("it has no page") };
    let count = number(first, count_width).unwrap_or(0);
    let mut longest = FEW as u64;
    let mut next = first.saturating_add(count_width as u64);
    for _ in 0..count {
        let at = next;
        let (Some(tag), Some(kind)) = (number(at, 2), number(at.saturating_add(2), 2)) else { break };
        let Some(count) = number(at.saturating_add(4), width) else { break };
        // The crate takes 12 bytes for an entry of an unknown type, even where entries have 20.
        next = at.saturating_add(if matches!(kind, 1..=13 | 16..=18) { record } else { 12 });
        if !READ.contains(&tag) {
            continue;
        }
        let unit = match kind {
            2 => return damaged("a tag is a text where it should be a number"),
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16 | 17 | 18 => 8,
            _ => 1,
        };
        if count.saturating_mul(unit) > bytes.len() as u64 {
            return damaged("a tag is longer than the file");
        }
        longest = longest.max(count);
    }
    match longest as usize * VALUE {
        longest if longest <= VALUES => Ok(longest),
        _ => damaged("one of its tags is too large"),
    }
}

pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let overrun = Cell::new(false);
    let longest = longest(bytes)?;
    let mut decoder_limits = DecoderLimits::default();
    decoder_limits.ifd_value_size = longest;
    decoder_limits.decoding_buffer_size = longest;
    decoder_limits.intermediate_buffer_size = usize::MAX; // not allocated: what is stored is read as it is decoded
    // The entries of a page; a tag as it is read, the offsets and lengths of strips, and the same in numbers.
    let tags = (bytes.len() as u64).min(1 << 16) * 8 + 2 * longest as u64;
    limits.allow_memory(Format::Tiff, tags + FIXED)?;
    let mut decoder = Decoder::new(Input::new(bytes, limits, &overrun)).map_err(error)?.with_limits(decoder_limits);
    let (width, height) = decoder.dimensions().map_err(error)?;
    if width == 0 || height == 0 {
        return Err(damaged(Format::Tiff, "it has no width or no height"));
    }
    limits.allow_pixels(width, height)?;
    let colour_type = decoder.colortype().map_err(error)?;
    let colours = colours(colour_type, &mut decoder)?;
    let channels = if matches!(colours, Colours::Grey) { 1 } else { 3 };
    let chunk = decoder.chunk_dimensions();
    // A strip ends with the page, whatever its height; of a tile the decoder keeps the part on the page.
    let (across, down) = (chunk.0.min(width), chunk.1.min(height));
    let pixel_bits = u64::from(colour_type.bit_depth()) * u64::from(colour_type.num_samples());
    // A strip or tile, and one row of it with all that is left out; of bits that are few, not less than the picture's.
    let chunk_bytes = (u64::from(across) * pixel_bits).div_ceil(8) * u64::from(down);
    let row_bytes = 4 * u64::from(chunk.0) * pixel_bits.div_ceil(8);
    let held = area(width, height, channels) + tags;
    let needed = held.saturating_add(chunk_bytes).saturating_add(row_bytes).saturating_add(FIXED);
    limits.allow_memory(Format::Tiff, needed)?;

    let jpegs = Jpegs::of(&mut decoder, bytes, chunk, held)?;
    let mut samples = limits.zeros(area(width, height, channels) as usize)?;
    let mut page =
        TiffPage { width: width as usize, height: height as usize, channels: channels as usize, chunk, jpegs };
    page.read(&mut decoder, colour_type, &colours, &mut samples, limits)?;
    let pixels = if channels == 1 { Pixels::Grey(samples) } else { Pixels::Rgb(samples) };
    Ok(Picture { width, height, pixels, damage: None })
}

fn colours(colour_type: ColorType, decoder: &mut TiffDecoder<'_>) -> Result<Colours, PhotoError> {
    let format = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat).map_err(error)?;
    if format.is_some_and(|formats| formats.iter().any(|&format| format != 1)) {
        return Err(unsupported(Format::Tiff, "samples that are no unsigned integers"));
    }
    let depth = colour_type.bit_depth();
    let whole = matches!(depth, 8 | 16);
    match colour_type {
        ColorType::Gray(1 | 2 | 4 | 8 | 16) => Ok(Colours::Grey),
        ColorType::GrayA(_) if whole => Ok(Colours::Grey),
        ColorType::RGB(_) | ColorType::RGBA(_) if whole => Ok(Colours::Rgb),
        ColorType::CMYK(_) | ColorType::CMYKA(_) if whole => Ok(Colours::Cmyk),
        ColorType::YCbCr(8) => Ok(Colours::YCbCr),
        other => Err(unsupported(Format::Tiff, format!("pixels of the kind {other:?}"))),
    }
}

/// Strips or tiles in JPEG.
struct Jpegs<'a> {
    bytes: &'a [u8],
    tables: Vec<u8>,
    offsets: Vec<u64>,
    lengths: Vec<u64>,
    /// Whether black is the highest value.
    inverted: bool,
    largest: (u32, u32),
    held: u64,
}

impl<'a> Jpegs<'a> {
    /// `None` where the page has another compression.
    fn of(
        decoder: &mut TiffDecoder<'_>,
        bytes: &'a [u8],
        largest: (u32, u32),
        held: u64,
    ) -> Result<Option<Self>, PhotoError> {
        if decoder.find_tag_unsigned::<u16>(Tag::Compression).map_err(error)? != Some(JPEG) {
            return Ok(None);
        }
        if decoder.colortype().map_err(error)?.bit_depth() != 8 {
            return Err(unsupported(Format::Tiff, "JPEG of samples that have not 8 bits"));
        }
        let (offsets, lengths) = match decoder.get_chunk_type() {
            ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
            ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
        };
        let tables = decoder.find_tag(Tag::JPEGTables).map_err(error)?;
        let photometric = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation).map_err(error)?;
        Ok(Some(Jpegs {
            bytes,
            tables: tables.map(|tables| tables.into_u8_vec()).transpose().map_err(error)?.unwrap_or_default(),
            offsets: decoder.get_tag_u64_vec(offsets).map_err(error)?,
            lengths: decoder.get_tag_u64_vec(lengths).map_err(error)?,
            inverted: photometric == Some(0),
            largest,
            held,
        }))
    }

    /// Samples of a strip or tile of at least that width and height, and the bytes of a row.
    fn decode(
        &self,
        index: usize,
        (width, height): (u32, u32),
        each: usize,
        limits: &Limits<'_>,
    ) -> Result<(Vec<u8>, usize), PhotoError> {
        let damaged = |why| damaged(Format::Tiff, why);
        let outside = || damaged("a strip lies outside of the file");
        let (&offset, &length) = self.offsets.get(index).zip(self.lengths.get(index)).ok_or_else(outside)?;
        let stored = usize::try_from(offset).ok().and_then(|offset| self.bytes.get(offset..)).ok_or_else(outside)?;
        let stored = &stored[..stored.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
        let stream = JpegStream { tables: &self.tables, bytes: stored, largest: self.largest, held: self.held };
        let mut decoded = stream.components(limits).map_err(|error| match error {
            PhotoError::Damaged { why, .. } => PhotoError::Damaged { format: Format::Tiff, why },
            PhotoError::Unsupported { why, .. } => PhotoError::Unsupported { format: Format::Tiff, why },
            error => error,
        })?;
        if decoded.width < width || decoded.height < height || decoded.channels as usize != each {
            return Err(damaged("a strip in JPEG is less than it should be"));
        }
        if let Some(damage) = decoded.damage {
            return Err(PhotoError::Damaged {
                format: Format::Tiff,
                why: format!("a strip in JPEG {}", damage.text()),
            });
        }
        if self.inverted {
            decoded.samples.iter_mut().for_each(|sample| *sample = !*sample);
        }
        Ok((decoded.samples, decoded.width as usize * each))
    }
}

/// The page into which strips and tiles are copied.
struct TiffPage<'a> {
    width: usize,
    height: usize,
    channels: usize,
    /// Width and height of a strip or tile.
    chunk: (u32, u32),
    jpegs: Option<Jpegs<'a>>,
}

impl TiffPage<'_> {
    fn read(
        &mut self,
        decoder: &mut TiffDecoder<'_>,
        colour_type: ColorType,
        colours: &Colours,
        samples: &mut [u8],
        limits: &Limits<'_>,
    ) -> Result<(), PhotoError> {
        let (chunk_width, chunk_height) = (self.chunk.0.max(1) as usize, self.chunk.1.max(1) as usize);
        let (across, down) = (self.width.div_ceil(chunk_width), self.height.div_ceil(chunk_height));
        let each_plane = across * down;
        let planar = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).map_err(error)? == Some(2);
        let stored = usize::from(colour_type.num_samples());
        let planes = if planar && stored > 1 { stored.min(self.channels) } else { 1 };
        if planes > 1 && !matches!(colours, Colours::Grey | Colours::Rgb) {
            return Err(unsupported(Format::Tiff, "planes of such colours"));
        }
        let mut buffer: Vec<u8> = Vec::new();
        let mut length;
        let mut check = CancelCheck::new(limits);
        for chunk in 0..each_plane * planes {
            check.advance(SMALLEST)?;
            let index = u32::try_from(chunk).map_err(|_| damaged(Format::Tiff, "it has too many strips"))?;
            let (width, height) = decoder.chunk_data_dimensions(index);
            let reads = Samples {
                depth: usize::from(colour_type.bit_depth()),
                each: if planes > 1 || planar { 1 } else { stored },
            };
            let stride = match &self.jpegs {
                Some(jpegs) => {
                    drop(std::mem::take(&mut buffer)); // before the next one is made
                    let (samples, stride) = jpegs.decode(chunk, (width, height), reads.each, limits)?;
                    (buffer, length) = (samples, usize::MAX);
                    stride
                }
                None => {
                    let layout = decoder.image_chunk_buffer_layout(index).map_err(error)?;
                    if layout.len > buffer.len() {
                        buffer = limits.zeros(layout.len)?;
                    }
                    decoder.read_chunk_bytes(index, &mut buffer[..layout.len]).map_err(error)?;
                    length = layout.len;
                    layout.row_stride.map_or(layout.len, |stride| stride.get()).max(1)
                }
            };
            let (plane, place) = (chunk / each_plane, chunk % each_plane);
            let (left, top) = (place % across * chunk_width, place / across * chunk_height);
            let read = &buffer[..length.min(buffer.len())];
            let rows = read.chunks(stride).take((height as usize).min(self.height - top));
            for (y, row) in rows.enumerate() {
                check.advance(row.len())?;
                let at = ((top + y) * self.width + left) * self.channels;
                let room = (width as usize).min(self.width - left) * self.channels;
                let target = &mut samples[at..at + room];
                if planes > 1 {
                    for (x, pixel) in target.chunks_exact_mut(self.channels).enumerate() {
                        pixel[plane] = reads.get(row, x, 0);
                    }
                } else {
                    reads.convert(row, colours, target);
                }
            }
        }
        Ok(())
    }
}

/// The layout of samples in a row.
struct Samples {
    /// Bits per sample.
    depth: usize,
    /// Samples per pixel.
    each: usize,
}

impl Samples {
    /// One sample, reduced to its highest 8 bits; shorter samples are not scaled.
    #[inline]
    fn get(&self, row: &[u8], x: usize, sample: usize) -> u8 {
        let index = x * self.each + sample;
        match self.depth {
            8 => row.get(index).copied().unwrap_or_default(),
            16 => {
                let bytes = row.get(2 * index..2 * index + 2).unwrap_or(&[0, 0]);
                (u16::from_ne_bytes([bytes[0], bytes[1]]) >> 8) as u8
            }
            depth => {
                let bit = index * depth;
                let byte = row.get(bit / 8).copied().unwrap_or_default();
                (byte >> (8 - depth - bit % 8)) & ((1 << depth) - 1)
            }
        }
    }

    fn convert(&self, row: &[u8], colours: &Colours, target: &mut [u8]) {
        match colours {
            Colours::Grey => {
                let scale = if self.depth < 8 { 255 / ((1 << self.depth) - 1) } else { 1 };
                for (x, grey) in target.iter_mut().enumerate() {
                    *grey = self.get(row, x, 0) * scale;
                }
            }
            Colours::Rgb if self.depth == 8 && self.each == 3 => {
                let length = target.len().min(row.len());
                target[..length].copy_from_slice(&row[..length]);
            }
            _ => {
                for (x, pixel) in target.chunks_exact_mut(3).enumerate() {
                    let sample = |index| self.get(row, x, index);
                    pixel.copy_from_slice(&match colours {
                        Colours::Cmyk => cmyk_to_rgb([sample(0), sample(1), sample(2), sample(3)]),
                        Colours::YCbCr => ycbcr_to_rgb([sample(0), sample(1), sample(2)]),
                        Colours::Grey | Colours::Rgb => [sample(0), sample(1), sample(2)],
                    });
                }
            }
        }
    }
}

/// The conversion of JFIF in libjpeg's arithmetic: 16 fractional bits, rounded.
fn ycbcr_to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = (91881 * cr + 32768) >> 16;
    let green = (-22554 * cb - 46802 * cr + 32768) >> 16;
    let blue = (116130 * cb + 32768) >> 16;
    [y + red, y + green, y + blue].map(|sample| sample.clamp(0, 255) as u8)
}

fn error(error: TiffError) -> PhotoError {
    match error {
        TiffError::UnsupportedError(what) => unsupported(Format::Tiff, what),
        TiffError::LimitsExceeded => damaged(Format::Tiff, "one of its tags or strips is too large"),
        error => damaged(Format::Tiff, error),
    }
}
