//! The luminance of single pixels of a picture as it is stored (ITU-R BT.601, as in JFIF).

use crate::picture::{Picture, Pixels};
use crate::simd::fastest;

/// The luminance of the pixels from a place on, in sixteenths of a grey level.
pub(super) fn of_run(picture: &Picture, at: usize, run: &mut [i32]) {
    match &picture.pixels {
        Pixels::Grey(samples) => {
            let grey = samples.get(at..).unwrap_or_default();
            run.iter_mut().zip(grey).for_each(|(luma, &grey)| *luma = 16 * i32::from(grey));
        }
        Pixels::Rgb(samples) => {
            of_rgb(samples.get(3 * at..).unwrap_or_default().as_chunks().0, run);
        }
    }
}

/// The same of a block of eight by eight pixels.
pub(super) fn of_block(picture: &Picture, at: usize, block: &mut [[i32; 8]; 8]) {
    let stride = picture.width as usize;
    match &picture.pixels {
        Pixels::Grey(_) => (at..).step_by(stride).zip(block).for_each(|(at, run)| of_run(picture, at, run)),
        Pixels::Rgb(samples) => {
            of_rgb_block(samples.as_chunks().0.get(at..).unwrap_or_default(), stride, block);
        }
    }
}

#[inline(always)]
fn of_pixel(rgb: &[u8; 3]) -> i32 {
    let [red, green, blue] = rgb.map(i32::from);
    (19595 * red + 38470 * green + 7471 * blue + 2048) >> 12
}

fastest! {
    fn of_rgb(rgb: &[[u8; 3]], run: &mut [i32]) {
        run.iter_mut().zip(rgb).for_each(|(luma, rgb)| *luma = of_pixel(rgb));
    }
}

fastest! {
    fn of_rgb_block(rgb: &[[u8; 3]], stride: usize, block: &mut [[i32; 8]; 8]) {
        for (run, rgb) in block.iter_mut().zip(rgb.chunks(stride)) {
            if let Some(rgb) = rgb.first_chunk::<8>() {
                *run = rgb.each_ref().map(of_pixel);
            }
        }
    }
}
