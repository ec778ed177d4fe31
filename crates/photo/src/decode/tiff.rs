//! TIFF, by the crate of that name: its first page, strip by strip or tile by tile, so that only one of them is held
//! beside the picture.

use super::{FIXED, area, damaged, jpeg, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::input::Input;
use crate::limits::Limits;
use crate::picture::{Picture, Pixels, cmyk_to_rgb};
use std::cell::Cell;
use tiff::ColorType;
use tiff::TiffError;
use tiff::decoder::{ChunkType, Decoder, Limits as DecoderLimits};
use tiff::tags::Tag;

/// One value of a tag, and all of them: what is longer is no image of a camera or a scanner.
const TAGS: usize = 16 << 20;
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

pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let overrun = Cell::new(false);
    let mut decoder_limits = DecoderLimits::default();
    decoder_limits.ifd_value_size = TAGS;
    decoder_limits.decoding_buffer_size = usize::try_from(limits.memory).unwrap_or(usize::MAX);
    decoder_limits.intermediate_buffer_size = decoder_limits.decoding_buffer_size;
    limits.allow_memory(Format::Tiff, 4 * TAGS as u64)?;
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
    let sample_bytes = u64::from(colour_type.bit_depth()).div_ceil(8) * u64::from(colour_type.num_samples());
    let chunk_bytes = area(chunk.0, chunk.1, sample_bytes);
    check_jpeg_chunks(bytes, &mut decoder, chunk)?;
    // A strip or tile as it is stored, decoded, and, of those in JPEG, once more; and the lists of where they are.
    let needed = area(width, height, channels) + 3 * chunk_bytes + 2 * bytes.len() as u64 + 4 * TAGS as u64 + FIXED;
    limits.allow_memory(Format::Tiff, needed)?;

    let mut samples = limits.zeros(area(width, height, channels) as usize)?;
    let mut page = Page { width: width as usize, height: height as usize, channels: channels as usize, chunk };
    page.read(&mut decoder, colour_type, &colours, &mut samples, limits)?;
    let pixels = if channels == 1 { Pixels::Grey(samples) } else { Pixels::Rgb(samples) };
    Ok(Picture { width, height, pixels, truncated: false })
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

/// The decoder allocates what the JPEG in a strip says of its size, before it looks whether the strip has that size.
fn check_jpeg_chunks(bytes: &[u8], decoder: &mut TiffDecoder<'_>, chunk: (u32, u32)) -> Result<(), PhotoError> {
    if decoder.find_tag_unsigned::<u16>(Tag::Compression).map_err(error)? != Some(JPEG) {
        return Ok(());
    }
    let (offsets, lengths) = match decoder.get_chunk_type() {
        ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
        ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
    };
    let offsets = decoder.get_tag_u64_vec(offsets).map_err(error)?;
    let lengths = decoder.get_tag_u64_vec(lengths).map_err(error)?;
    for (&offset, &length) in offsets.iter().zip(&lengths) {
        let part = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
        let part = part.ok_or_else(|| damaged(Format::Tiff, "a strip lies outside of the file"))?;
        let part = &part[..part.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
        let size = jpeg::size(part).map_err(|_| damaged(Format::Tiff, "a strip in JPEG is damaged"))?;
        if size.0 > chunk.0 || size.1 > chunk.1 {
            return Err(damaged(Format::Tiff, "a strip in JPEG is larger than it should be"));
        }
    }
    Ok(())
}

/// Where strips and tiles go.
struct Page {
    width: usize,
    height: usize,
    channels: usize,
    /// Width and height of a strip or tile.
    chunk: (u32, u32),
}

impl Page {
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
        for chunk in 0..each_plane * planes {
            limits.check()?;
            let index = u32::try_from(chunk).map_err(|_| damaged(Format::Tiff, "it has too many strips"))?;
            let layout = decoder.image_chunk_buffer_layout(index).map_err(error)?;
            if layout.len > buffer.len() {
                buffer = limits.zeros(layout.len)?;
            }
            decoder.read_chunk_bytes(index, &mut buffer[..layout.len]).map_err(error)?;
            let (plane, place) = (chunk / each_plane, chunk % each_plane);
            let (left, top) = (place % across * chunk_width, place / across * chunk_height);
            let (width, height) = decoder.chunk_data_dimensions(index);
            let stride = layout.row_stride.map_or(layout.len, |stride| stride.get()).max(1);
            let reads = Samples {
                depth: usize::from(colour_type.bit_depth()),
                each: if planes > 1 || planar { 1 } else { stored },
            };
            let rows = buffer[..layout.len].chunks(stride).take((height as usize).min(self.height - top));
            for (y, row) in rows.enumerate() {
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

/// How samples lie in a row.
struct Samples {
    /// Bits of one.
    depth: usize,
    /// How many a pixel has.
    each: usize,
}

impl Samples {
    /// One sample, brought to 8 bits by its highest ones; bits that are fewer are not scaled.
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

/// The conversion of JFIF in libjpeg's arithmetic: 16 bits behind the point, rounded.
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
