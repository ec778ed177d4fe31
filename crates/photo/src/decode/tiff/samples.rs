//! From the bytes of a row to grey, or red, green and blue. Called by [`tiff`](super) alone.
//!
//! Every sample becomes 8 bits: the highest of more, the range of fewer stretched to 0 to 255; of signed numbers the
//! lowest is 0; of floats 0.0 is 0 and 1.0 is 255, and what lies beyond is cut off. The range of floats is a convention
//! of programs that edit photographs (and of ImageMagick), not of TIFF; a range found in the pixels instead would give
//! copies of a picture other hashes as soon as one pixel differs.

use super::damage;
use super::page::{Colours, JPEG, Page, SampleKind};
use crate::error::PhotoError;
use crate::ifd::ByteOrder;
use crate::picture::cmyk_to_rgb;

/// Undoes the predictor of one row (TIFF 6.0, section 14; TIFF Technical Note 3). `scratch`: as long as the row, for
/// floats.
pub(super) fn undo_predictor(page: &Page<'_>, row: &mut [u8], scratch: &mut [u8]) {
    // All samples of a pixel count, also those that are not read.
    let each = page.samples_each();
    match (page.predictor, page.depth / 8) {
        (2, 2) => add_left::<2>(row, each, page.order),
        (2, 4) => add_left::<4>(row, each, page.order),
        (2, 8) => add_left::<8>(row, each, page.order),
        (2, _) => add_left::<1>(row, each, page.order),
        (3, size) => {
            add_left::<1>(row, each, page.order);
            scratch.copy_from_slice(row);
            let count = row.len() / size;
            for (index, sample) in row.chunks_exact_mut(size).enumerate() {
                for (byte, target) in sample.iter_mut().enumerate() {
                    *target = scratch[byte * count + index];
                }
            }
        }
        _ => {}
    }
}

/// Adds to each number of `SIZE` bytes the one that is `step` numbers before it.
fn add_left<const SIZE: usize>(row: &mut [u8], step: usize, order: ByteOrder) {
    let step = step * SIZE;
    if SIZE == 1 {
        for at in step..row.len() {
            row[at] = row[at].wrapping_add(row[at - step]);
        }
        return;
    }
    for at in (step..=row.len().saturating_sub(SIZE)).step_by(SIZE) {
        let mut carry = 0;
        for byte in 0..SIZE {
            let byte = at + if order == ByteOrder::Little { byte } else { SIZE - 1 - byte };
            let sum = u16::from(row[byte]) + u16::from(row[byte - step]) + carry;
            (row[byte], carry) = (sum as u8, sum >> 8);
        }
    }
}

/// Where the 8 bits of a sample come from.
enum Layout {
    /// Whole bytes: how many, and which of them is the highest.
    Bytes(usize, usize),
    /// Bits, the highest first.
    Packed,
    Float,
}

/// Converts the rows of a page.
pub(super) struct Converter<'a> {
    page: &'a Page<'a>,
    layout: Layout,
    /// Bits of a sample that are inverted.
    mask: u8,
    palette: Vec<[u8; 3]>,
    ycbcr: YCbCr,
}

impl<'a> Converter<'a> {
    /// Errors: [`PhotoError::Damaged`], [`PhotoError::Unsupported`].
    pub(super) fn new(page: &'a Page<'a>) -> Result<Self, PhotoError> {
        let size = page.depth / 8;
        let layout = match page.kind {
            SampleKind::Float => Layout::Float,
            _ if !page.depth.is_multiple_of(8) => Layout::Packed,
            _ => Layout::Bytes(size, if page.order == ByteOrder::Little { size - 1 } else { 0 }),
        };
        let sign = if page.kind == SampleKind::Signed { 0x80 } else { 0 };
        let mask = if page.colours == (Colours::Grey { inverted: true }) { !sign } else { sign };
        let palette = if page.colours == Colours::Palette { palette(page)? } else { Vec::new() };
        Ok(Converter { page, layout, mask, palette, ycbcr: YCbCr::new(page) })
    }

    /// Converts a row of a plane (0 where there is one), or row `y` of those that share colours: `row` as it is stored,
    /// without its predictor, to the part that is on the page. The planes of a pixel come in order.
    pub(super) fn convert(&self, row: &[u8], plane: usize, y: usize, target: &mut [u8]) {
        if self.page.subsampling != (1, 1) {
            self.subsampled(row, y, target);
        } else if self.page.planar {
            self.plane(row, plane, target);
        } else {
            self.chunky(row, self.page.samples, target);
        }
    }

    /// Pixels of `each` samples.
    fn chunky(&self, row: &[u8], each: usize, target: &mut [u8]) {
        let plain = matches!(self.layout, Layout::Bytes(1, _)) && self.mask == 0;
        match self.page.colours {
            Colours::Grey { .. } if plain && each == 1 => copy(row, target),
            Colours::Rgb if plain && each == 3 => copy(row, target),
            Colours::Grey { .. } => {
                for (x, grey) in target.iter_mut().enumerate() {
                    *grey = self.sample(row, x * each);
                }
            }
            Colours::Palette => {
                for (x, pixel) in target.as_chunks_mut().0.iter_mut().enumerate() {
                    *pixel = self.palette.get(self.number(row, x * each) as usize).copied().unwrap_or_default();
                }
            }
            colours => {
                for (x, pixel) in target.as_chunks_mut().0.iter_mut().enumerate() {
                    let sample = |index| self.sample(row, x * each + index);
                    *pixel = match colours {
                        Colours::Cmyk => cmyk_to_rgb([sample(0), sample(1), sample(2), sample(3)]),
                        Colours::YCbCr => self.ycbcr.rgb([sample(0), sample(1), sample(2)]),
                        _ => [sample(0), sample(1), sample(2)],
                    };
                }
            }
        }
    }

    /// The picture holds the samples of earlier planes until the last one is there.
    fn plane(&self, row: &[u8], plane: usize, target: &mut [u8]) {
        let colours = self.page.colours;
        if colours.samples() == 1 {
            return self.chunky(row, 1, target);
        }
        for (x, pixel) in target.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let sample = self.sample(row, x);
            match plane {
                0..3 => pixel[plane] = sample,
                _ => *pixel = cmyk_to_rgb([pixel[0], pixel[1], pixel[2], sample]),
            }
            if plane == 2 && colours == Colours::YCbCr {
                *pixel = self.ycbcr.rgb(*pixel);
            }
        }
    }

    /// Units of pixels that share a Cb and a Cr (TIFF 6.0, section 21): all their Y in rows, Cb, Cr.
    fn subsampled(&self, row: &[u8], y: usize, target: &mut [u8]) {
        let (across, down) = self.page.subsampling;
        let size = across * down + 2;
        for (x, pixel) in target.as_chunks_mut().0.iter_mut().enumerate() {
            let unit = &row[x / across * size..][..size];
            *pixel = self.ycbcr.rgb([unit[y * across + x % across], unit[size - 2], unit[size - 1]]);
        }
    }

    /// A sample of a row, as 8 bits.
    #[inline]
    fn sample(&self, row: &[u8], index: usize) -> u8 {
        match self.layout {
            Layout::Bytes(size, high) => row.get(index * size + high).copied().unwrap_or_default() ^ self.mask,
            Layout::Packed => {
                let (depth, number) = (self.page.depth as u32, self.number(row, index));
                let number = if self.page.kind == SampleKind::Signed { number ^ 1 << (depth - 1) } else { number };
                let byte = match depth {
                    0..8 => ((number * 255 * 2 + (1 << depth) - 1) / (2 * ((1 << depth) - 1))) as u8,
                    _ => (number >> (depth - 8)) as u8,
                };
                // The sign is turned already.
                if self.mask & 1 == 1 { !byte } else { byte }
            }
            Layout::Float => {
                let byte = (self.float(row, index) * 255.0 + 0.5) as u8; // saturates; 0 for no number
                byte ^ self.mask
            }
        }
    }

    /// A sample of at most 32 bits as it is stored.
    #[inline]
    fn number(&self, row: &[u8], index: usize) -> u64 {
        let depth = self.page.depth;
        if let Layout::Bytes(size, _) = self.layout {
            return self.page.order.number(row.get(index * size..(index + 1) * size).unwrap_or_default());
        }
        let bit = index * depth;
        let bytes = row.get(bit / 8..(bit + depth).div_ceil(8)).unwrap_or_default();
        let number = ByteOrder::Big.number(bytes) >> ((8 - (bit + depth) % 8) % 8);
        number & ((1 << depth) - 1)
    }

    fn float(&self, row: &[u8], index: usize) -> f64 {
        let size = self.page.depth / 8;
        let bits = self.page.order.number(row.get(index * size..(index + 1) * size).unwrap_or_default());
        match size {
            2 => half(bits as u16),
            4 => f32::from_bits(bits as u32).into(),
            _ => f64::from_bits(bits),
        }
    }
}

/// Samples of a pixel in the picture.
pub(super) fn channels(page: &Page<'_>) -> usize {
    if matches!(page.colours, Colours::Grey { .. }) { 1 } else { 3 }
}

fn copy(row: &[u8], target: &mut [u8]) {
    let length = target.len().min(row.len());
    target[..length].copy_from_slice(&row[..length]);
}

/// A number of IEEE 754's binary16.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction > 0.0 => f64::NAN,
        31 => f64::INFINITY,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// The colours of a page. Values that all fit in 8 bits are meant so, as libtiff has it.
fn palette(page: &Page<'_>) -> Result<Vec<[u8; 3]>, PhotoError> {
    if page.depth > 16 || page.kind != SampleKind::Unsigned {
        return Err(super::unsupported("a palette of such samples"));
    }
    let map = page.colour_map.ok_or_else(|| damage("it has no palette"))?;
    let count = (map.count() / 3).min(1 << page.depth);
    let shift = if map.numbers().all(|value| value < 256) { 0 } else { 8 };
    let value = |index| map.nth(index).map_or(0, |value| (value >> shift) as u8);
    let colours = (0..count).map(|index| [value(index), value(count + index), value(2 * count + index)]);
    Ok(colours.collect())
}

/// The conversion of YCbCr in libtiff's arithmetic: tables with 16 fractional bits.
struct YCbCr {
    luma: [i32; 256],
    /// What Cr adds to red, Cb to blue, both to green.
    red: [i32; 256],
    blue: [i32; 256],
    green: [[i32; 256]; 2],
}

impl YCbCr {
    fn new(page: &Page<'_>) -> Self {
        // JPEG has its own rules, those of the defaults.
        let jpeg = page.compression == JPEG;
        let [red, green, blue] = if jpeg { [0.299, 0.587, 0.114] } else { page.luma };
        let reference = if jpeg { [0.0, 255.0, 128.0, 255.0, 128.0, 255.0] } else { page.black_white };
        // Cut off as there: no sum of products exceeds 32 bits.
        let fixed = |factor: f64| (factor.clamp(0.0, 2.0) * 65536.0).round() as i32;
        let (from_cr, from_cb) = (2.0 - 2.0 * red, 2.0 - 2.0 * blue);
        let factors = [from_cr, from_cb, red * from_cr / green, blue * from_cb / green].map(fixed);
        let spread = |code: f64, black: f64, white: f64, range: f64| {
            let width = if white == black { 1.0 } else { white - black };
            ((code - black.trunc()) * range / width).clamp(-4096.0, 4096.0) as i32
        };
        let [y0, y1, cb0, cb1, cr0, cr1] = reference;
        let table = |value: &dyn Fn(f64) -> i32| std::array::from_fn(|code| value(code as f64));
        let cr = |code: f64| spread(code - 128.0, cr0 - 128.0, cr1 - 128.0, 127.0);
        let cb = |code: f64| spread(code - 128.0, cb0 - 128.0, cb1 - 128.0, 127.0);
        YCbCr {
            luma: table(&|code| spread(code, y0, y1, 255.0)),
            red: table(&|code| (factors[0] * cr(code) + 32768) >> 16),
            blue: table(&|code| (factors[1] * cb(code) + 32768) >> 16),
            green: [table(&|code| 32768 - factors[3] * cb(code)), table(&|code| -factors[2] * cr(code))],
        }
    }

    fn rgb(&self, [y, cb, cr]: [u8; 3]) -> [u8; 3] {
        let (y, cb, cr) = (self.luma[usize::from(y)], usize::from(cb), usize::from(cr));
        let green = (self.green[0][cb] + self.green[1][cr]) >> 16;
        [y + self.red[cr], y + green, y + self.blue[cb]].map(|sample| sample.clamp(0, 255) as u8)
    }
}
