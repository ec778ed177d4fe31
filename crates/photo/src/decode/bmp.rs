//! Windows bitmaps, and those of OS/2 that are alike, row by row.
//!
//! Decoded here and not by the crate `image`, which refuses what other programs read: palettes of more colours than the
//! bits of a pixel tell apart, runs that go beyond their row, headers of OS/2 2.x. What is missing is as in Pillow:
//! pixels that a run-length encoding skips have the first colour of the palette, indices behind it are black. Colours
//! of less than 8 bits are stretched and rounded.

use super::{FIXED, area, damaged, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::limits::{CancelCheck, Limits};
use crate::picture::{Picture, Pixels};

#[cfg(test)]
mod tests;

/// Bytes before the header of the bitmap.
const FILE_HEADER: usize = 14;
/// The header of OS/2 1.x, with sides of 16 bits and a palette of three bytes a colour.
const CORE: usize = 12;

/// How pixels are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Storage {
    /// 1, 2, 4 or 8 bits of an index.
    Indices,
    /// Runs of indices of 8 or 4 bits.
    Runs,
    /// Two to four bytes, in which these bits are red, green and blue.
    Masks([u32; 3]),
}

struct Bitmap<'a> {
    width: u32,
    height: u32,
    /// The first row is the highest.
    top_down: bool,
    bits: usize,
    storage: Storage,
    palette: [[u8; 3]; 256],
    /// From the first pixel on.
    data: &'a [u8],
}

fn damage<T>(why: &str) -> Result<T, PhotoError> {
    Err(damaged(Format::Bmp, why))
}

impl<'a> Bitmap<'a> {
    /// Errors: all of [`PhotoError`] that a header can cause.
    fn read(bytes: &'a [u8], limits: &Limits<'_>) -> Result<Self, PhotoError> {
        let ends = || damaged(Format::Bmp, "its header ends early");
        let long = |at: usize| {
            let four = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or_else(ends)?;
            Ok(u32::from_le_bytes(*four))
        };
        let short = |at: usize| -> Result<u32, PhotoError> {
            let two = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or_else(ends)?;
            Ok(u16::from_le_bytes(*two).into())
        };
        let size = long(FILE_HEADER)? as usize;
        let (width, height, bits) = match size {
            CORE => (short(18)? as i32, short(20)? as i32, short(24)?),
            16 | 40 | 52 | 56 | 64 | 108 | 124 => (long(18)? as i32, long(22)? as i32, short(28)?),
            _ => return Err(unsupported(Format::Bmp, format!("a header of {size} bytes"))),
        };
        if width <= 0 || height == 0 {
            return damage("it has no width or no height");
        }
        let (width, top_down, height) = (width as u32, height < 0, height.unsigned_abs());
        limits.allow_pixels(width, height)?;
        let (compression, colours) = if size < 40 { (0, 0) } else { (long(30)?, long(46)?) };
        let masks = || Ok([long(54)?, long(58)?, long(62)?]);
        let storage = match (compression, bits) {
            (0, 1 | 2 | 4 | 8) => Storage::Indices,
            (0, 16) => Storage::Masks([0x7c00, 0x3e0, 0x1f]),
            (0, 24 | 32) => Storage::Masks([0xff_0000, 0xff00, 0xff]),
            (1, 8) | (2, 4) => Storage::Runs,
            // OS/2 has another meaning for these numbers.
            (3 | 6, 16 | 24 | 32) if size != 64 => Storage::Masks(masks()?),
            (0..=3, _) => return damage("its pixels have an impossible number of bits"),
            _ => return Err(unsupported(Format::Bmp, format!("compression {compression} of {bits} bits"))),
        };
        let mut palette = [[0; 3]; 256];
        let mut behind = FILE_HEADER + size;
        if !matches!(storage, Storage::Masks(_)) {
            let colours = if colours == 0 { 1 << bits } else { colours as usize };
            let entry = if size == CORE { 3 } else { 4 };
            let stored = bytes.get(behind..).ok_or_else(ends)?;
            let known = palette.iter_mut().take(1 << bits);
            for (colour, stored) in known.zip(stored.chunks_exact(entry).take(colours)) {
                *colour = [stored[2], stored[1], stored[0]];
            }
            behind = behind.saturating_add(colours.saturating_mul(entry));
        }
        // Some files lack the position of pixels.
        let start = match long(10)? as usize {
            start if start > FILE_HEADER + size || matches!(storage, Storage::Masks(_)) && start > FILE_HEADER => start,
            _ => behind,
        };
        let data = bytes.get(start..).ok_or_else(|| damaged(Format::Bmp, "it ends before its pixels"))?;
        Ok(Bitmap { width, height, top_down, bits: bits as usize, storage, palette, data })
    }

    /// The place of a row, counted as they are stored, among those from the top.
    fn place(&self, y: usize) -> usize {
        if self.top_down { y } else { self.height as usize - 1 - y }
    }

    /// Rows without compression, each a multiple of four bytes long.
    fn rows(&self, samples: &mut [u8], limits: &Limits<'_>) -> Result<(), PhotoError> {
        let width = self.width as usize;
        let length = (width * self.bits).div_ceil(8);
        let mut check = CancelCheck::new(limits);
        for y in 0..self.height as usize {
            check.row(3 * width)?;
            // Behind the last row the bytes up to a multiple of four may be missing.
            let start = y * length.next_multiple_of(4);
            let row = self.data.get(start..).and_then(|rest| rest.get(..length));
            let row = row.ok_or_else(|| damaged(Format::Bmp, "it ends before its last row"))?;
            let target = &mut samples[self.place(y) * width * 3..][..width * 3];
            self.row(row, target.as_chunks_mut().0);
        }
        Ok(())
    }

    fn row(&self, row: &[u8], target: &mut [[u8; 3]]) {
        match self.storage {
            Storage::Masks([0xff_0000, 0xff00, 0xff]) if self.bits > 16 => {
                for (pixel, stored) in target.iter_mut().zip(row.chunks_exact(self.bits / 8)) {
                    *pixel = [stored[2], stored[1], stored[0]];
                }
            }
            Storage::Masks(masks) => {
                for (pixel, stored) in target.iter_mut().zip(row.chunks_exact(self.bits / 8)) {
                    let number = stored.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte));
                    *pixel = masks.map(|mask| masked(number, mask));
                }
            }
            Storage::Indices | Storage::Runs => {
                for (x, pixel) in target.iter_mut().enumerate() {
                    let bit = x * self.bits;
                    let index = row[bit / 8] >> (8 - self.bits - bit % 8) & (0xff >> (8 - self.bits));
                    *pixel = self.palette[usize::from(index)];
                }
            }
        }
    }

    /// RLE8 and RLE4: a count and a colour (or two in turn), or a zero and an instruction. What goes beyond the width
    /// is left out.
    fn runs(&self, samples: &mut [u8], limits: &Limits<'_>) -> Result<(), PhotoError> {
        let (width, height) = (self.width as usize, self.height as usize);
        let mut check = CancelCheck::new(limits);
        let (pixels, _) = samples.as_chunks_mut();
        for row in pixels.chunks_mut(width) {
            check.row(3 * width)?;
            row.fill(self.palette[0]);
        }
        let ends = || damaged(Format::Bmp, "it ends before its last row");
        let colour = |bytes: &[u8], at: usize| {
            let index = match self.bits {
                4 => bytes[at / 2 % bytes.len()] >> (4 - at % 2 * 4) & 15,
                _ => bytes[at % bytes.len()],
            };
            self.palette[usize::from(index)]
        };
        let (mut x, mut y, mut rest) = (0, 0, self.data);
        while y < height && !(y + 1 == height && x >= width) {
            check.advance(1)?;
            let (&[count, value], behind) = rest.split_first_chunk().ok_or_else(ends)?;
            rest = behind;
            let (length, colours): (usize, &[u8]) = match (count, value) {
                (0, 0) => {
                    (x, y) = (0, y + 1);
                    continue;
                }
                (0, 1) => return Ok(()),
                (0, 2) => {
                    let (&[right, up], behind) = rest.split_first_chunk().ok_or_else(ends)?;
                    (x, y, rest) = (x + usize::from(right), y + usize::from(up), behind);
                    continue;
                }
                (0, length) => {
                    let bytes = (usize::from(length) * self.bits).div_ceil(8);
                    let colours = rest.get(..bytes).ok_or_else(ends)?;
                    // They fill pairs of bytes, of which the last may be missing.
                    rest = rest.get(bytes.next_multiple_of(2)..).unwrap_or_default();
                    (length.into(), colours)
                }
                (length, _) => (length.into(), std::slice::from_ref(&value)),
            };
            let start = self.place(y) * width + x.min(width);
            let room = width.saturating_sub(x);
            for (at, pixel) in pixels[start..][..length.min(room)].iter_mut().enumerate() {
                *pixel = colour(colours, at);
            }
            x += length;
        }
        Ok(())
    }
}

/// The bits of a mask, as a number from 0 to 255.
fn masked(number: u32, mask: u32) -> u8 {
    if mask == 0 {
        return 0;
    }
    let (value, most) = ((number & mask) >> mask.trailing_zeros(), mask >> mask.trailing_zeros());
    match most {
        // Of more than 8 bits the highest ones.
        256.. => (value >> (24 - most.leading_zeros())) as u8,
        _ => ((value * 255 + most / 2) / most) as u8,
    }
}

pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let bitmap = Bitmap::read(bytes, limits)?;
    let (width, height) = (bitmap.width, bitmap.height);
    let needed = area(width, height, 3);
    limits.allow_memory(Format::Bmp, needed + FIXED)?;
    let mut samples = limits.zeros(needed as usize)?;
    match bitmap.storage {
        Storage::Runs => bitmap.runs(&mut samples, limits)?,
        _ => bitmap.rows(&mut samples, limits)?,
    }
    Ok(Picture { width, height, pixels: Pixels::Rgb(samples), damage: None })
}
