//! A picture of JPEG XL (ISO/IEC 18181), by [`jxl`], libjxl's own decoder in Rust: the first frame that is shown.
//!
//! Pixels are those that libjxl gives for 8 bits: a picture coded in XYB comes in the enumerated colour space that it
//! names, or in sRGB where it has a profile instead; any other picture in the colours as they are coded, without regard
//! to a profile. Samples are rounded to 8 bits from 16, since the decoder's own 8 bits are dithered; alpha is dropped
//! and not divided out. The picture is not turned: its orientation is left to the caller.
//!
//! Memory, beside that of the item: 16 bits a sample, and 3 to 12 MB of tables and rows; 1 to 4 bytes a sample more
//! where channels are kept whole (lossless and progressive, lossy and modular, 16 bits). A hostile item makes it
//! allocate anything, which the limit of the process ends. A panic of the decoder is the end of the item.

use crate::{Decoder, Picture};
use jxl::api::{
    Endianness, Event, JxlColorProfile, JxlColorType, JxlDataFormat, JxlDecoder, JxlDecoderOptions, JxlOutputBuffer,
    JxlPixelFormat, ProfileLevel,
};
use jxl::error::Error;
use lumina_isolated::{Frame, Layout, Refusal, Start};
use std::panic::{catch_unwind, set_hook};

/// A decoder of one item.
pub(crate) struct Item {
    bytes: Vec<u8>,
    pixels: u32,
}

impl Decoder for Item {
    type Picture = Samples;

    fn new(start: &Start, length: usize) -> Result<Self, Refusal> {
        Ok(Item { bytes: zeros(length)?, pixels: start.pixels })
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn decode(self) -> Result<Samples, Refusal> {
        // The usual hook would look for files to print a backtrace.
        set_hook(Box::new(|_| {}));
        catch_unwind(|| decode(&self.bytes, self.pixels)).unwrap_or(Err(Refusal::Damaged))
    }
}

fn decode(bytes: &[u8], pixels: u32) -> Result<Samples, Refusal> {
    let mut input = bytes;
    let mut options = JxlDecoderOptions::default();
    options.adjust_orientation = false;
    options.max_profile_level = ProfileLevel::Main10;
    options.sample_limit = Some(most_samples(pixels));
    let mut decoder = JxlDecoder::new(options);
    // The first event is the end of the header.
    let Event::BasicInfo = decoder.process(&mut input, None, None).map_err(refusal)? else {
        return Err(Refusal::Damaged);
    };
    let info = decoder.basic_info().ok_or(Refusal::Damaged)?;
    let (width, height) = info.size;
    if width.checked_mul(height).is_none_or(|area| area > pixels as usize) {
        return Err(Refusal::TooLarge);
    }
    let extra = info.extra_channels.len();
    if decoder.embedded_color_profile().is_some_and(JxlColorProfile::is_cmyk) {
        return Err(Refusal::Unsupported);
    }
    let is_grey = decoder.current_pixel_format().is_some_and(|format| format.color_type == JxlColorType::Grayscale);
    let (color_type, layout) =
        if is_grey { (JxlColorType::Grayscale, Layout::Monochrome) } else { (JxlColorType::Rgb, Layout::Rgb) };
    let color_data_format = Some(JxlDataFormat::U16 { endianness: Endianness::LittleEndian, bit_depth: 16 });
    let format = JxlPixelFormat { color_type, color_data_format, extra_channel_format: vec![None; extra] };
    decoder.set_pixel_format(format).map_err(refusal)?;
    // An even place in memory, which the decoder wants of 16 bits: the allocator gives no other to so much.
    let row = width * layout.channels();
    let mut samples = zeros(row.checked_mul(2 * height).ok_or(Refusal::Memory)?)?;
    loop {
        let mut output = [JxlOutputBuffer::new(&mut samples, height, 2 * row)];
        match decoder.process(&mut input, Some(&mut output), None).map_err(refusal)? {
            Event::FrameComplete { .. } => break,
            Event::BasicInfo | Event::FrameHeader => {}
            // It ends early.
            Event::NeedMoreInput { .. } | Event::Complete => return Err(Refusal::Damaged),
        }
    }
    round(&mut samples);
    let side = |length| u32::try_from(length).map_err(|_| Refusal::TooLarge);
    let (width, height) = (side(width)?, side(height)?);
    let frame = Frame { width, height, bits: 8, layout, primaries: 1, transfer: 13, matrix: 0, full_range: true };
    Ok(Samples { frame, samples, row })
}

/// Brings 16 bits to 8, in place: the results are in the first half.
fn round(samples: &mut [u8]) {
    for place in 0..samples.len() / 2 {
        let deep = u32::from(u16::from_le_bytes([samples[2 * place], samples[2 * place + 1]]));
        samples[place] = ((deep * 255 + 32_767) / 65_535) as u8;
    }
}

/// The most samples of a frame, as the decoder counts them: rows are at least 16 pixels, and frames that others refer
/// to may be larger than the picture, and have further channels.
fn most_samples(pixels: u32) -> usize {
    (pixels as usize).saturating_add(16).saturating_mul(64)
}

fn zeros(length: usize) -> Result<Vec<u8>, Refusal> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(length).map_err(|_| Refusal::Memory)?;
    zeros.resize(length, 0);
    Ok(zeros)
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::OutOfMemory(_) | Error::ImageOutOfMemory(..) => Refusal::Memory,
        Error::ImageSizeTooLarge(..) => Refusal::TooLarge,
        _ => Refusal::Damaged,
    }
}

/// A decoded picture.
pub(crate) struct Samples {
    frame: Frame,
    samples: Vec<u8>,
    row: usize,
}

impl Picture for Samples {
    fn frame(&self) -> Frame {
        self.frame
    }

    fn row(&self, _plane: usize, row: u32) -> &[u8] {
        let start = row as usize * self.row;
        &self.samples[start..start + self.row]
    }
}
