//! How much detail a picture has, and how much of it is as fine as its pixels.
//!
//! The integral of the squared gradient over a plane does not change with the scale of a picture: enlarged, it has as
//! much as before, and twice as large a photograph has a good deal more. Divided by the variance, it depends neither on
//! brightness nor on contrast.

use super::luma;
use crate::error::PhotoError;
use crate::limits::Limits;
use crate::picture::Picture;
use crate::simd::fastest;

/// Rows that are looked at, at most, each with the one below it.
const ROWS: usize = 256;
/// Pixels of a row that are looked at together.
const RUN: usize = 1024;
/// The fewest that can be.
const SHORTEST: usize = 5;

/// The detail of a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detail {
    /// The squared gradient, summed over all pixels, over the variance of the luminance.
    pub amount: f64,
    /// The mean squared second difference of pixels side by side, over that of every second one: 1 for noise, 1/16
    /// where nothing is finer than many pixels; below 0.2 in most enlarged pictures.
    pub fineness: f64,
}

/// Measures a picture; `None` where it is too small or flat. Errors: [`PhotoError::Cancelled`].
pub fn of(picture: &Picture, limits: &Limits<'_>) -> Result<Option<Detail>, PhotoError> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let rows = height.saturating_sub(1).min(ROWS);
    let mut sums = Sums::default();
    let (mut row, mut below) = ([0; RUN], [0; RUN]);
    for number in 0..rows {
        let y = number * (height - 1) / rows;
        for x in (0..width).step_by(RUN) {
            let length = RUN.min(width - x);
            if length < SHORTEST {
                break;
            }
            limits.check()?;
            luma::of_run(picture, y * width + x, &mut row[..length]);
            luma::of_run(picture, (y + 1) * width + x, &mut below[..length]);
            add(&mut sums, &row[..length], &below[..length]);
        }
    }
    let mean = |sum: i64, count: i64| sum as f64 / count.max(1) as f64;
    let level = mean(sums.levels, sums.pixels);
    let variance = mean(sums.squares, sums.pixels) - level * level;
    let coarse = mean(sums.coarse, sums.pixels - 4 * sums.runs);
    // In sixteenths: less than a grey level is nothing to see.
    if variance < 256.0 || coarse <= 0.0 {
        return Ok(None);
    }
    let gradient = mean(sums.across, sums.pixels - sums.runs) + mean(sums.down, sums.pixels);
    let fine = mean(sums.fine, sums.pixels - 2 * sums.runs);
    Ok(Some(Detail { amount: gradient * (width * height) as f64 / variance, fineness: fine / coarse }))
}

/// Sums over runs of pixels: of levels and their squares, of squared first differences, and of second ones.
#[derive(Default)]
struct Sums {
    runs: i64,
    pixels: i64,
    levels: i64,
    squares: i64,
    across: i64,
    down: i64,
    fine: i64,
    coarse: i64,
}

fastest! {
    /// Adds a run of pixels and those below it.
    fn add(sums: &mut Sums, row: &[i32], below: &[i32]) {
        // Without a sign, so that two are multiplied at a time.
        let square = |number: i32| (u64::from(number.unsigned_abs()) * u64::from(number.unsigned_abs())) as i64;
        sums.runs += 1;
        sums.pixels += row.len() as i64;
        for (&here, &under) in row.iter().zip(below) {
            sums.levels += i64::from(here);
            sums.squares += square(here);
            sums.down += square(under - here);
        }
        sums.across += row.windows(2).map(|two| square(two[1] - two[0])).sum::<i64>();
        sums.fine += row.windows(3).map(|three| square(three[0] - 2 * three[1] + three[2])).sum::<i64>();
        sums.coarse += row.windows(5).map(|five| square(five[0] - 2 * five[2] + five[4])).sum::<i64>();
    }
}
