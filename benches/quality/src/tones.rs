//! Alterations of colours, pixel by pixel.

use image::RgbImage;
use rand_core::{Rng, SeedableRng};
use rand_xorshift::XorShiftRng;

/// Applies a function to every sample, 0 to 255, and clamps the result to that range.
pub(crate) fn each_sample(picture: &RgbImage, mut tone: impl FnMut(f32) -> f32) -> RgbImage {
    let mut altered = picture.clone();
    for sample in altered.iter_mut() {
        *sample = tone(f32::from(*sample)).round().clamp(0.0, 255.0) as u8;
    }
    altered
}

/// Exposure: linear light times a factor.
pub(crate) fn light(picture: &RgbImage, factor: f32) -> RgbImage {
    each_sample(picture, |sample| sample * factor)
}

/// Contrast: the distance from middle grey times a factor.
pub(crate) fn contrast(picture: &RgbImage, factor: f32) -> RgbImage {
    each_sample(picture, |sample| 128.0 + (sample - 128.0) * factor)
}

/// Gamma curve; black and white stay.
pub(crate) fn gamma(picture: &RgbImage, power: f32) -> RgbImage {
    each_sample(picture, |sample| 255.0 * (sample / 255.0).powf(power))
}

/// Noise as of a high sensitivity: each sample changes by up to `levels`, uniformly. The noise is the same every time.
pub(crate) fn noise(picture: &RgbImage, levels: f32) -> RgbImage {
    let mut random = vec![0; picture.as_raw().len()];
    XorShiftRng::seed_from_u64(20_260_101).fill_bytes(&mut random);
    let mut random = random.into_iter().map(|byte| (f32::from(byte) / 127.5 - 1.0) * levels);
    each_sample(picture, |sample| sample + random.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tones_are_those_stated() {
        let picture = RgbImage::from_raw(2, 1, vec![0, 100, 128, 200, 250, 255]).expect("two pixels");
        assert_eq!(light(&picture, 1.25).as_raw(), &[0, 125, 160, 250, 255, 255]);
        assert_eq!(contrast(&picture, 0.75).as_raw(), &[32, 107, 128, 182, 220, 223]);
        assert_eq!(gamma(&picture, 1.0), picture);
        let lifted = gamma(&picture, 0.5);
        assert_eq!((lifted.as_raw()[0], lifted.as_raw()[1], lifted.as_raw()[5]), (0, 160, 255));
    }

    #[test]
    fn noise_has_its_strength_and_is_the_same_every_time() {
        let grey = RgbImage::from_pixel(64, 64, image::Rgb([128; 3]));
        let noisy = noise(&grey, 24.0);
        assert_eq!(noisy, noise(&grey, 24.0));
        let (least, most) = (noisy.iter().min(), noisy.iter().max());
        assert_eq!((least, most), (Some(&104), Some(&152)));
        let mean = noisy.iter().map(|&sample| f64::from(sample)).sum::<f64>() / (64.0 * 64.0 * 3.0);
        assert!((mean - 128.0).abs() < 0.5, "{mean}");
    }
}
