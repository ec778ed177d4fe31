//! Whether a picture was compressed as JPEG before, and more strongly than the file that it is in now.
//!
//! A decoded JPEG picture has coefficients at multiples of the steps of its quantization table, also after it was saved
//! without loss, or with smaller steps: their histogram has gaps at regular distances (Fan and de Queiroz,
//! "Identification of Bitmap Compression History", IEEE Trans. Image Processing 12(2), 2003; Lukáš and Fridrich,
//! "Estimation of Primary Quantization Matrix in Double Compressed JPEG Images", DFRWS 2003). Some thousand blocks of
//! eight by eight pixels are transformed, and for each coefficient, but for the finest, it is asked whether some step
//! larger than that of the file itself fits: the mean cosine of what is left over is near 1 then, and near 0 or below
//! where none does. Fine coefficients are mostly 0, so that few blocks tell; but they show it after sharpening and
//! brightening, too. A picture that was cut at other places than blocks, turned or resized since shows nothing.

use super::luma;
use crate::error::PhotoError;
use crate::limits::Limits;
use crate::picture::Picture;
use crate::simd::fastest;
use std::array;
use std::f32::consts::{PI, SQRT_2};
use std::sync::LazyLock;

const SIDE: usize = 8;
/// Blocks that are looked at, at most.
const BLOCKS: usize = 6000;
/// Coefficients that are looked at: horizontal and vertical frequency, in zigzag order after the mean, as far as
/// diagonals are whole. Finer ones are hardly ever there.
const COEFFICIENTS: [(usize, usize); 35] = coefficients();
/// The steps that are looked for; smaller ones are lost in the rounding of pixels.
const STEPS: std::ops::Range<usize> = 2..41;
/// Bins of the histograms to a step of 1, and all of them: coefficients from this on are rare.
const BINS_A_STEP: usize = 8;
const BINS: usize = 128 * BINS_A_STEP;
/// Coefficients that have to be there, so that a step can be told.
const ENOUGH: u32 = 60;
/// The mean cosine from which on a step fits.
const FITS: f32 = 0.3;

const fn coefficients() -> [(usize, usize); 35] {
    let mut all = [(0, 0); 35];
    let (mut found, mut sum) = (0, 1);
    while sum < SIDE {
        let mut lesser = 0;
        while lesser <= sum {
            all[found] = if sum % 2 == 1 { (sum - lesser, lesser) } else { (lesser, sum - lesser) };
            (found, lesser) = (found + 1, lesser + 1);
        }
        sum += 1;
    }
    all
}

/// In how many of 35 coefficients an earlier compression shows; `None` where the picture is too small to tell. `table`
/// is the quantization table of the file, in zigzag order, if it is a JPEG file. Errors: [`PhotoError::Cancelled`].
pub fn earlier(picture: &Picture, table: Option<&[u16; 64]>, limits: &Limits<'_>) -> Result<Option<u8>, PhotoError> {
    let (across, down) = (picture.width as usize / SIDE, picture.height as usize / SIDE);
    let blocks = across * down;
    if blocks < ENOUGH as usize {
        return Ok(None);
    }
    let mut histograms = vec![[0_u32; BINS + 1]; COEFFICIENTS.len()];
    let basis = Basis::new();
    let wanted = blocks.min(BLOCKS);
    for number in 0..wanted {
        if number % 64 == 0 {
            limits.check()?;
        }
        let place = number * blocks / wanted;
        if let Some(block) = block(picture, place % across, place / across) {
            count(&basis, &block, &mut histograms);
        }
    }
    let shows = |(number, histogram): (usize, &[u32; BINS + 1])| {
        let found = found(histogram);
        let own = table.map_or(1, |table| usize::from(table[number + 1]));
        // Multiples of the file's own step fit as well as it does: larger ones are asked for that fit better.
        let first = (own * 3 / 2 + 1).max(STEPS.start);
        (first..STEPS.end).map_while(|step| fit(&found, step)).any(|fit| fit > FITS)
    };
    let count = histograms.iter().enumerate().filter(|histogram| shows(*histogram)).count();
    Ok(u8::try_from(count).ok())
}

/// The luminance of a block, in sixteenths; `None` where some of it is as dark or bright as can be, which has hidden
/// the rest.
fn block(picture: &Picture, x: usize, y: usize) -> Option<Block<i32>> {
    let mut block = [[0; SIDE]; SIDE];
    luma::of_block(picture, y * SIDE * picture.width as usize + x * SIDE, &mut block);
    let mut is_clipped = false;
    for &luma in block.as_flattened() {
        is_clipped |= !(5 * 16..=250 * 16).contains(&luma);
    }
    (!is_clipped).then_some(block)
}

type Block<T> = [[T; SIDE]; SIDE];

/// The functions of the cosine transform.
struct Basis {
    /// Of each frequency its value at each place.
    basis: Block<f32>,
    /// Of each place the value of each frequency.
    turned: Block<f32>,
}

impl Basis {
    fn new() -> Self {
        let value = |frequency: usize, place: usize| {
            let scale = if frequency == 0 { 1.0 / SQRT_2 } else { 1.0 };
            scale / 2.0 * ((2 * place + 1) as f32 * frequency as f32 * PI / 16.0).cos()
        };
        let table = |value: &dyn Fn(usize, usize) -> f32| array::from_fn(|a| array::from_fn(|b| value(a, b)));
        Basis { basis: table(&value), turned: table(&|place, frequency| value(frequency, place)) }
    }
}

/// Adds the coefficients of a block to their histograms.
fn count(basis: &Basis, block: &Block<i32>, histograms: &mut [[u32; BINS + 1]]) {
    let mut bins = [[0; SIDE]; SIDE];
    transform(basis, block, &mut bins);
    for (&(across, down), histogram) in COEFFICIENTS.iter().zip(histograms) {
        histogram[(bins[down][across] as usize).min(BINS)] += 1;
    }
}

fastest! {
    /// The bins of the coefficients of a block: of each vertical frequency those of all horizontal ones.
    fn transform(basis: &Basis, block: &Block<i32>, bins: &mut Block<i32>) {
        // Of each row its horizontal frequencies, then of each of these its vertical ones: all of them at a time, which
        // are side by side.
        let combine = |parts: &Block<f32>, factors: &[f32; SIDE]| {
            let mut sums = [0.0; SIDE];
            for (part, factor) in parts.iter().zip(factors) {
                sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part * factor);
            }
            sums
        };
        let mut rows = [[0.0; SIDE]; SIDE];
        for (row, luma) in rows.iter_mut().zip(block) {
            *row = combine(&basis.turned, &luma.map(|luma| luma as f32 / 16.0));
        }
        for (bins, factors) in bins.iter_mut().zip(&basis.basis) {
            // To the nearest bin: `round` is a call where the processor may have no instruction for it.
            *bins = combine(&rows, factors).map(|coefficient| (coefficient.abs() * BINS_A_STEP as f32 + 0.5) as i32);
        }
    }
}

/// A histogram without the bins behind the last that holds any, to be summed.
fn found(histogram: &[u32; BINS + 1]) -> Vec<f32> {
    let end = histogram[..BINS].iter().rposition(|&found| found > 0).map_or(0, |last| last + 1);
    histogram[..end].iter().map(|&found| found as f32).collect()
}

/// For each step the cosine of each bin.
static COSINES: LazyLock<Vec<[f32; BINS]>> = LazyLock::new(|| {
    let of_step = |step: usize| {
        let bins = step * BINS_A_STEP;
        array::from_fn(|bin| (2.0 * PI * (bin % bins) as f32 / bins as f32).cos())
    };
    STEPS.map(of_step).collect()
});

/// The mean cosine of coefficients, for a step; without those that are nearest to zero, where most are, whatever the
/// step was. At half the step they count: there they are if it is twice the file's own. `None` where there are too few.
fn fit(found: &[f32], step: usize) -> Option<f32> {
    let from = (step * BINS_A_STEP * 3 / 10).max(BINS_A_STEP) + 1;
    let (found, cosines) = (found.get(from..)?, COSINES[step - STEPS.start].get(from..)?);
    let (mut count, mut sum) = (0.0, 0.0);
    sum_up(found, cosines, &mut count, &mut sum);
    (count >= ENOUGH as f32).then(|| sum / count)
}

fastest! {
    /// Sums what bins hold, and their cosines.
    fn sum_up(found: &[f32], cosines: &[f32], count: &mut f32, sum: &mut f32) {
        const LANES: usize = 16;
        let (mut counts, mut sums) = ([0.0; LANES], [0.0; LANES]);
        for (found, cosines) in found.chunks(LANES).zip(cosines.chunks(LANES)) {
            for (((count, sum), found), cosine) in counts.iter_mut().zip(&mut sums).zip(found).zip(cosines) {
                *count += found;
                *sum += found * cosine;
            }
        }
        (*count, *sum) = (counts.iter().sum(), sums.iter().sum());
    }
}
