//! The luminance of single pixels of a picture as it is stored (ITU-R BT.601, as in JFIF).

use crate::picture::{Picture, Pixels};

/// The luminance of the pixels from a place on, in sixteenths of a grey level.
pub(super) fn of_run(picture: &Picture, at: usize, run: &mut [i32]) {
    match &picture.pixels {
        Pixels::Grey(samples) => {
            let grey = samples.get(at..).unwrap_or_default();
            run.iter_mut().zip(grey).for_each(|(luma, &grey)| *luma = 16 * i32::from(grey));
        }
        Pixels::Rgb(samples) => {
            let rgb = samples.get(3 * at..).unwrap_or_default().chunks_exact(3);
            run.iter_mut().zip(rgb).for_each(|(luma, rgb)| {
                let [red, green, blue] = [rgb[0], rgb[1], rgb[2]].map(i32::from);
                *luma = (19595 * red + 38470 * green + 7471 * blue + 2048) >> 12;
            });
        }
    }
}
