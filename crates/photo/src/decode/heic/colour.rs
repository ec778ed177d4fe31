//! Samples to 8 bits of red, green and blue, as libheif converts them (1.23, as pillow-heif calls it).
//!
//! imagehash's users have the pixels of libheif, so its choices are followed to the bit:
//!
//! - Samples of chroma are repeated, not interpolated.
//! - 4:2:0 of full range is computed in integers of 8 bits; all else in floats of the full depth, cut to 8 bits behind.
//! - Limited range is stretched by 1.1689 and 1.1429, which are 256/219 and 256/224 and not 255/219 and 255/224.
//! - Grey pictures are not stretched.
//! - The property `colr` of the picture counts before the bitstream's own numbers. Nothing said is ITU-R BT.601.

use super::coded::{Coded, Frame};
use crate::decode::items::nclx::{Nclx, luma};
use crate::decode::unsupported;
use crate::error::PhotoError;
use crate::format::Format;
use crate::simd::fastest;

/// What green, and red or blue, take of the two samples of chroma.
#[derive(Debug, Clone, Copy)]
struct Weights {
    red_cr: f32,
    green_cb: f32,
    green_cr: f32,
    blue_cb: f32,
}

impl Weights {
    fn of(nclx: Nclx) -> Self {
        let Some((red, blue)) = luma(nclx.matrix, nclx.primaries) else {
            return Weights { red_cr: 1.402, green_cb: -0.344_136, green_cr: -0.714_136, blue_cb: 1.772 };
        };
        Weights {
            red_cr: 2.0 * (-red + 1.0),
            green_cb: 2.0 * blue * (-blue + 1.0) / (blue + red - 1.0),
            green_cr: 2.0 * red * (-red + 1.0) / (blue + red - 1.0),
            blue_cb: 2.0 * (-blue + 1.0),
        }
    }
}

/// The arithmetic.
#[derive(Debug, Clone, Copy)]
enum Formula {
    /// Luma alone.
    Grey,
    /// Sums of whole numbers, in 256ths: the weights of [`Weights`].
    Whole([i32; 4]),
    /// Sums of floats.
    Float { weights: Weights, full: bool },
    /// The planes are green, blue and red.
    Planes { full: bool },
    /// Green against magenta, orange against blue.
    Cgco,
}

/// A conversion of the frames of one picture.
#[derive(Debug)]
pub(super) struct Conversion {
    formula: Formula,
    pub(super) chroma: u8,
    pub(super) depth: u8,
}

impl Conversion {
    /// For pictures like this one. Errors: [`PhotoError::Unsupported`], if libheif has no formula.
    pub(super) fn new(nclx: Option<Nclx>, coded: &Coded) -> Result<Self, PhotoError> {
        let Coded { primaries, matrix, full, chroma, depth, .. } = *coded;
        let nclx = nclx.unwrap_or(Nclx { primaries, transfer: 2, matrix, full });
        let weights = Weights::of(nclx);
        let formula = match (chroma, nclx.matrix) {
            (0, _) => Formula::Grey,
            (_, 0) => Formula::Planes { full: nclx.full },
            (_, 8) => Formula::Cgco,
            (_, 11 | 14 | 16) => return Err(unsupported(Format::Heic, format!("matrix {}", nclx.matrix))),
            (1, _) if nclx.full => {
                let Weights { red_cr, green_cb, green_cr, blue_cb } = weights;
                Formula::Whole([red_cr, green_cb, green_cr, blue_cb].map(|weight| (256.0 * weight).round() as i32))
            }
            _ => Formula::Float { weights, full: nclx.full },
        };
        Ok(Conversion { formula, chroma, depth })
    }

    /// Converts a part of a row: the pixels from `from` on that `out` has room for. `row` and `from` count within the
    /// conformance window.
    pub(super) fn convert(&self, frame: &Frame, row: usize, from: usize, out: &mut [u8]) {
        let (across, down) = match self.chroma {
            1 => (1, 1),
            2 => (1, 0),
            _ => (0, 0),
        };
        let planes = &frame.planes;
        let width = planes.widths[0] as usize;
        let luma = &planes.planes[0][(row + frame.luma.1) * width + frame.luma.0 + from..];
        if let Formula::Grey = self.formula {
            let shift = self.depth - 8;
            return out.iter_mut().zip(luma).for_each(|(grey, &luma)| *grey = (luma >> shift) as u8);
        }
        let line = |plane: usize| {
            let start = ((row >> down) + frame.chroma.1) * planes.widths[plane] as usize + frame.chroma.0;
            &planes.planes[plane][start..]
        };
        let row = Row { luma, cb: line(1), cr: line(2), from, across };
        let top = (1i32 << self.depth) - 1;
        let (shift, middle) = (self.depth - 8, 1i32 << (self.depth - 8) << 7);
        let cut = |rgb: [i32; 3]| rgb.map(|colour| (colour.clamp(0, top) >> shift) as u8);
        match self.formula {
            Formula::Grey => {}
            Formula::Whole(weights) => {
                let (pixels, odd) = (out.as_chunks_mut().0, from & 1);
                let chroma = |skip: usize| [row.cb, row.cr].map(|plane| plane.get(skip..).unwrap_or_default());
                // A row may begin with the second pixel of two.
                let (first, pixels) = pixels.split_at_mut(odd.min(pixels.len()));
                whole(luma, chroma(from / 2), (weights, shift), first);
                whole(&luma[first.len()..], chroma(from / 2 + odd), (weights, shift), pixels);
            }
            Formula::Float { weights, full } => {
                let (black, [scale_luma, scale_chroma]) = limited(full, self.depth);
                let most = top as f32;
                row.each(
                    out,
                    |cb, cr| {
                        let [cb, cr] = [cb, cr].map(|chroma| (i32::from(chroma) - middle) as f32 * scale_chroma);
                        [
                            [weights.red_cr * cr, 0.0],
                            [weights.green_cb * cb, weights.green_cr * cr],
                            [weights.blue_cb * cb, 0.0],
                        ]
                    },
                    |luma, offsets| {
                        let luma = (f32::from(luma) - black) * scale_luma;
                        offsets.map(|[a, b]| ((luma + a + b + 0.5).clamp(0.0, most) as u16 >> shift) as u8)
                    },
                );
            }
            Formula::Planes { full: true } => {
                row.each(out, |cb, cr| [cb, cr], |luma, [cb, cr]| cut([cr, luma, cb].map(i32::from)));
            }
            Formula::Planes { full: false } => {
                let (black, [scale_luma, scale_chroma]) = limited(false, self.depth);
                let stretch = |sample: u16, scale: f32| ((f32::from(sample) - black) * scale + 0.5) as i32;
                row.each(
                    out,
                    |cb, cr| [cb, cr].map(|plane| stretch(plane, scale_chroma)),
                    |luma, [cb, cr]| cut([cr, stretch(luma, scale_luma), cb]),
                );
            }
            Formula::Cgco => row.each(
                out,
                |cb, cr| [cb, cr].map(|chroma| i32::from(chroma) - middle),
                |luma, [cb, cr]| {
                    let luma = i32::from(luma);
                    cut([luma - cb + cr, luma + cb, luma - cb - cr])
                },
            ),
        }
    }
}

/// Pixels that are converted together, two for each sample of chroma.
const RUN: usize = 64;

fastest! {
    /// [`Formula::Whole`]: of samples of chroma that two pixels share.
    fn whole(luma: &[u16], chroma: [&[u16]; 2], formula: ([i32; 4], u8), out: &mut [[u8; 3]]) {
        let ([red_cr, green_cb, green_cr, blue_cb], shift) = formula;
        let [mut cb, mut cr] = chroma.map(|plane| plane.chunks(RUN / 2));
        for (luma, out) in luma.chunks(RUN).zip(out.chunks_mut(RUN)) {
            // As if the run were whole: a row may end anywhere.
            let (mut lumas, mut blues, mut reds) = ([0; RUN], [0; RUN / 2], [0; RUN / 2]);
            lumas.iter_mut().zip(luma).for_each(|(to, from)| *to = *from);
            blues.iter_mut().zip(cb.next().unwrap_or_default()).for_each(|(to, from)| *to = *from);
            reds.iter_mut().zip(cr.next().unwrap_or_default()).for_each(|(to, from)| *to = *from);
            let mut offsets = [[0; RUN]; 3];
            for place in 0..RUN / 2 {
                let (cb, cr) = (i32::from(blues[place] >> shift) - 128, i32::from(reds[place] >> shift) - 128);
                let sums = [red_cr * cr, green_cb * cb + green_cr * cr, blue_cb * cb];
                for (offsets, sum) in offsets.iter_mut().zip(sums) {
                    (offsets[2 * place], offsets[2 * place + 1]) = ((sum + 128) >> 8, (sum + 128) >> 8);
                }
            }
            let mut run = [[0; RUN]; 3];
            for (colour, offsets) in run.iter_mut().zip(&offsets) {
                for ((colour, offset), luma) in colour.iter_mut().zip(offsets).zip(&lumas) {
                    *colour = (i32::from(luma >> shift) + offset).clamp(0, 255) as u8;
                }
            }
            let [red, green, blue] = &run;
            for (pixel, ((&red, &green), &blue)) in out.iter_mut().zip(red.iter().zip(green).zip(blue)) {
                *pixel = [red, green, blue];
            }
        }
    }
}

/// The sample that is black, and the factors of luma and chroma.
fn limited(full: bool, depth: u8) -> (f32, [f32; 2]) {
    if full { (0.0, [1.0; 2]) } else { ((16u32 << (depth - 8)) as f32, [1.1689, 1.1429]) }
}

/// A row of samples: luma from the first pixel that is wanted on, chroma from the first of the row on.
struct Row<'a> {
    luma: &'a [u16],
    cb: &'a [u16],
    cr: &'a [u16],
    from: usize,
    /// Whether two pixels share a sample of chroma: 1 or 0.
    across: usize,
}

impl Row<'_> {
    /// Makes red, green and blue of each pixel: of its luma and of what `shared` makes of its chroma.
    #[inline(always)]
    fn each<T>(&self, out: &mut [u8], shared: impl Fn(u16, u16) -> T, rgb: impl Fn(u16, T) -> [u8; 3])
    where
        T: Copy,
    {
        let (pixels, _) = out.as_chunks_mut::<3>();
        let skip = self.from >> self.across;
        let (Some(cb), Some(cr)) = (self.cb.get(skip..), self.cr.get(skip..)) else { return };
        if self.across == 0 {
            for (pixel, ((&luma, &cb), &cr)) in pixels.iter_mut().zip(self.luma.iter().zip(cb).zip(cr)) {
                *pixel = rgb(luma, shared(cb, cr));
            }
            return;
        }
        // A row may begin with the second pixel of two.
        let odd = (self.from & 1).min(pixels.len());
        let (first, pixels) = pixels.split_at_mut(odd);
        let (own, luma) = self.luma.split_at(odd.min(self.luma.len()));
        for (pixel, (&luma, (&cb, &cr))) in first.iter_mut().zip(own.iter().zip(cb.iter().zip(cr))) {
            *pixel = rgb(luma, shared(cb, cr));
        }
        let (cb, cr) = (cb.get(odd..).unwrap_or_default(), cr.get(odd..).unwrap_or_default());
        for ((two, lumas), (&cb, &cr)) in pixels.chunks_mut(2).zip(luma.chunks(2)).zip(cb.iter().zip(cr)) {
            let shared = shared(cb, cr);
            for (pixel, &luma) in two.iter_mut().zip(lumas) {
                *pixel = rgb(luma, shared);
            }
        }
    }
}
