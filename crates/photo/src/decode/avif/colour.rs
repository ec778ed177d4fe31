//! Samples to 8 bits of red, green and blue, as libavif 1.4 with libyuv converts them for Pillow.
//!
//! imagehash's users have the pixels of Pillow, so the choices of these are followed to the bit:
//!
//! - Samples of more than 8 bits are cut to their upper 8 before anything else; those of grey, and of pictures whose
//!   planes are green, blue and red, are scaled and rounded instead.
//! - Chroma is interpolated: a pixel takes 9, 3, 3 and 1 sixteenths of the four samples around it, in the last column
//!   of an odd width no others than those above each other.
//! - Weights are whole 64ths, no larger than 2.
//! - The property `colr` of the picture counts before the bitstream's own numbers. Nothing said is ITU-R BT.601.
//!
//! Not followed: with alpha, Pillow's pixels of more than 8 bits differ by a rounding; in a grid, libavif interpolates
//! across the tiles.

use crate::decode::items::nclx::{Nclx, luma};
use crate::decode::unsupported;
use crate::error::PhotoError;
use crate::format::Format;
use crate::limits::Limits;
use lumina_isolated::{Frame, Layout};

/// The arithmetic.
#[derive(Debug, Clone, Copy)]
enum Formula {
    /// Luma alone.
    Grey,
    /// Sums of whole numbers.
    Weights(Weights),
    /// The planes are green, blue and red.
    Planes,
    /// Green against magenta, orange against blue.
    Cgco,
}

/// What the colours take of the samples, in 64ths.
#[derive(Debug, Clone, Copy)]
struct Weights {
    /// Of luma, in 2^22ths of its 16 bits.
    luma: i32,
    bias: i32,
    red_cr: i32,
    green_cb: i32,
    green_cr: i32,
    blue_cb: i32,
}

impl Weights {
    fn of(nclx: Nclx) -> Option<Self> {
        // Without primaries, those of BT.709.
        let primaries = if nclx.primaries == 2 { 1 } else { nclx.primaries };
        let (red, blue) = match nclx.matrix {
            2 => (0.299, 0.114),
            // Derived from the primaries, but not from these.
            12 if matches!(primaries, 5 | 6) => (0.299, 0.114),
            4..=7 | 1 | 9 | 12 => luma(nclx.matrix, primaries)?,
            _ => return None,
        };
        let (red, blue) = (f64::from(red), f64::from(blue));
        let green = 1.0 - red - blue;
        let stretch = if nclx.full { 64.0 } else { 64.0 * 255.0 / 224.0 };
        let weight = |value: f64| ((value * stretch).round() as i32).min(128);
        let (luma, bias) = match (nclx.full, nclx.matrix == 9 || nclx.matrix == 12 && nclx.primaries == 9) {
            (true, _) => (16_320, 32),
            (false, true) => (19_003, -1160),
            (false, false) => (18_997, -1160),
        };
        Some(Weights {
            luma,
            bias,
            red_cr: weight(2.0 * (1.0 - red)),
            green_cb: weight(2.0 * blue * (1.0 - blue) / green),
            green_cr: weight(2.0 * red * (1.0 - red) / green),
            blue_cb: weight(2.0 * (1.0 - blue)),
        })
    }

    #[inline(always)]
    fn rgb(self, luma: u8, cb: u8, cr: u8) -> [u8; 3] {
        let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
        let luma = ((i32::from(luma) * 0x101 * self.luma) >> 16) + self.bias;
        [luma + cr * self.red_cr, luma - (cb * self.green_cb + cr * self.green_cr), luma + cb * self.blue_cb]
            .map(|colour| (colour >> 6).clamp(0, 255) as u8)
    }
}

/// A conversion of frames of one kind.
#[derive(Debug)]
pub(super) struct Conversion {
    formula: Formula,
    /// What 8 bits a sample becomes.
    table: Vec<u8>,
}

impl Conversion {
    /// Errors: [`PhotoError::Unsupported`], if libavif has no formula.
    pub(super) fn new(nclx: Option<Nclx>, frame: &Frame) -> Result<Self, PhotoError> {
        let (primaries, matrix) = (frame.primaries.into(), frame.matrix.into());
        let nclx = nclx.unwrap_or(Nclx { primaries, transfer: 2, matrix, full: frame.full_range });
        let formula = match (frame.layout, nclx.matrix, nclx.full) {
            (Layout::Monochrome, ..) => Formula::Grey,
            (Layout::Yuv444, 0, _) => Formula::Planes,
            (_, 8, true) => Formula::Cgco,
            _ => Weights::of(nclx)
                .map(Formula::Weights)
                .ok_or_else(|| unsupported(Format::Avif, format!("matrix {}", nclx.matrix)))?,
        };
        let shift = u32::from(frame.bits) - 8;
        let scaled = |sample: u32| {
            let (black, range) = if nclx.full { (0, (256 << shift) - 1) } else { (16 << shift, 219 << shift) };
            let unit = (sample as f32 - black as f32) / range as f32;
            (0.5 + unit.clamp(0.0, 1.0) * 255.0) as u8
        };
        let samples = 0..256u32 << shift;
        let table = match formula {
            Formula::Grey | Formula::Planes => samples.map(scaled).collect(),
            _ => samples.map(|sample| (sample >> shift) as u8).collect(),
        };
        Ok(Conversion { formula, table })
    }

    /// The samples of a row, of a byte each or of two. None is larger than its bits allow; if one is, it is white.
    fn samples(&self, raw: &[u8], row: &mut [u8]) {
        let brought = |sample: u16| self.table.get(usize::from(sample)).copied().unwrap_or(255);
        if self.table.len() == 256 {
            raw.iter().zip(row).for_each(|(&sample, out)| *out = brought(sample.into()));
        } else {
            let (samples, _) = raw.as_chunks::<2>();
            samples.iter().zip(row).for_each(|(&sample, out)| *out = brought(u16::from_le_bytes(sample)));
        }
    }
}

/// The rows of a frame that are held: four of luma and two of each chroma plane, in turns, and what is made of these.
pub(super) struct Lines {
    layout: Layout,
    height: u32,
    raw: Vec<u8>,
    luma: [Vec<u8>; 4],
    /// By plane, and turn.
    chroma: [[Vec<u8>; 2]; 2],
    /// How many rows of chroma have been read.
    strips: u32,
    sums: Vec<u16>,
    full: [Vec<u8>; 2],
    /// Bytes of a row of luma, and of chroma, as they are sent.
    lengths: (usize, usize),
}

impl Lines {
    /// Bytes of those of a frame of this width, at most.
    pub(super) fn memory(width: u32) -> u64 {
        (u64::from(width) + 2) * 14
    }

    pub(super) fn new(frame: &Frame, limits: &Limits<'_>) -> Result<Self, PhotoError> {
        let width = frame.width as usize;
        let chroma = frame.layout.chroma(frame.width, frame.height).map_or(0, |(width, _)| width as usize);
        let line = |length: usize| limits.zeros::<u8>(length);
        let two = |length: usize| Ok([line(length)?, line(length)?]);
        Ok(Lines {
            layout: frame.layout,
            height: frame.height,
            raw: line(width * frame.sample())?,
            luma: [line(width)?, line(width)?, line(width)?, line(width)?],
            chroma: [two(chroma)?, two(chroma)?],
            strips: 0,
            sums: limits.zeros(chroma)?,
            full: two(if chroma > 0 { width } else { 0 })?,
            lengths: (width * frame.sample(), chroma * frame.sample()),
        })
    }

    /// Reads a row of luma by `receive`.
    pub(super) fn read_luma(
        &mut self,
        row: u32,
        by: &Conversion,
        receive: &mut impl FnMut(&mut [u8]) -> Result<(), PhotoError>,
    ) -> Result<(), PhotoError> {
        let raw = &mut self.raw[..self.lengths.0];
        receive(raw)?;
        by.samples(raw, &mut self.luma[row as usize & 3]);
        Ok(())
    }

    /// Reads the next row of each chroma plane.
    pub(super) fn read_chroma(
        &mut self,
        by: &Conversion,
        receive: &mut impl FnMut(&mut [u8]) -> Result<(), PhotoError>,
    ) -> Result<(), PhotoError> {
        for plane in &mut self.chroma {
            let raw = &mut self.raw[..self.lengths.1];
            receive(raw)?;
            by.samples(raw, &mut plane[self.strips as usize & 1]);
        }
        self.strips += 1;
        Ok(())
    }

    /// Converts a part of a row: the pixels from `from` on that `out` has room for. The last two strips have been read.
    pub(super) fn convert(&mut self, row: u32, strip: u32, by: &Conversion, from: usize, out: &mut [u8]) {
        if let Formula::Grey = by.formula {
            return out.copy_from_slice(&self.luma[row as usize & 3][from..from + out.len()]);
        }
        self.interpolate(row, strip);
        let pixels = out.len() / 3;
        let luma = &self.luma[row as usize & 3][from..from + pixels];
        let [cb, cr] = match self.layout {
            Layout::Yuv444 => [0, 1].map(|plane| &self.chroma[plane][strip as usize & 1]),
            _ => [&self.full[0], &self.full[1]],
        }
        .map(|line| &line[from..from + pixels]);
        let (out, _) = out.as_chunks_mut::<3>();
        let each = out.iter_mut().zip(luma.iter().zip(cb.iter().zip(cr)));
        match by.formula {
            Formula::Grey => {}
            Formula::Planes => each.for_each(|(rgb, (&luma, (&cb, &cr)))| *rgb = [cr, luma, cb]),
            Formula::Weights(weights) => each.for_each(|(rgb, (&luma, (&cb, &cr)))| *rgb = weights.rgb(luma, cb, cr)),
            Formula::Cgco => each.for_each(|(rgb, (&luma, (&cb, &cr)))| {
                let (luma, green, orange) = (i32::from(luma), i32::from(cb) - 128, i32::from(cr) - 128);
                let colours = [luma - green + orange, luma + green, luma - green - orange];
                *rgb = colours.map(|colour| colour.clamp(0, 255) as u8);
            }),
        }
    }

    /// Chroma for each pixel of a row.
    fn interpolate(&mut self, row: u32, strip: u32) {
        if self.layout == Layout::Yuv444 {
            return;
        }
        let (near, other) = match self.layout {
            Layout::Yuv420 => {
                let near = row / 2;
                let last = self.height.div_ceil(2) - 1;
                (near, if row.is_multiple_of(2) { near.saturating_sub(1) } else { last.min(near + 1) })
            }
            _ => (strip, strip),
        };
        for (plane, full) in self.chroma.iter().zip(&mut self.full) {
            let (near, other) = (&plane[near as usize & 1], &plane[other as usize & 1]);
            for (sum, (&near, &other)) in self.sums.iter_mut().zip(near.iter().zip(other)) {
                *sum = u16::from(near) * 3 + u16::from(other);
            }
            widen(&self.sums, full);
        }
    }
}

/// The rows that can be converted once a strip has been read: the last one of a strip needs the chroma below it.
pub(super) fn ready(layout: Layout, strip: u32, height: u32) -> (u32, u32) {
    let rows = layout.rows();
    let (first, end) = (strip * rows, height.min(strip * rows + rows));
    if rows == 1 {
        return (first, end);
    }
    (first.saturating_sub(1), if end == height { height } else { first + 1 })
}

/// Twice as many samples, out of sums of four, each of three parts of the nearer and one of the farther.
fn widen(sums: &[u16], out: &mut [u8]) {
    let mix = |near: u16, far: u16| ((3 * near + far + 8) >> 4) as u8;
    let (Some(&first), Some(&last)) = (sums.first(), sums.last()) else { return };
    if let Some(begin) = out.first_mut() {
        *begin = mix(first, first);
    }
    let inner = out.get_mut(1..).unwrap_or_default();
    let (pairs, _) = inner.as_chunks_mut::<2>();
    for (pair, two) in pairs.iter_mut().zip(sums.windows(2)) {
        *pair = [mix(two[0], two[1]), mix(two[1], two[0])];
    }
    // An odd width ends with a left one of a pair, which has no right one to be mixed with.
    if let Some(end) = out.last_mut() {
        *end = mix(last, last);
    }
}

#[cfg(test)]
mod tests;
