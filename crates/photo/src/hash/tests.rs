//! Hashes against golden values, against the crate image_hasher and against slow twins; their limits and cancellation.

use super::*;
use crate::limits::{Caller, NeverCancels};
use crate::picture::Pixels;
use crate::strip::grey_of;
use image::{GrayImage, RgbImage};
use image_hasher::{BitOrder, HashAlg, HasherConfig};
use proptest::prelude::*;
use std::cell::Cell;

const LIMITS: Limits<'static> = Limits { pixels: 1 << 30, memory: 1 << 30, caller: &NeverCancels };

fn grey(width: u32, height: u32, sample: impl Fn(u32, u32) -> u32) -> Picture {
    let samples = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| sample(x, y) as u8).collect();
    Picture { width, height, pixels: Pixels::Grey(samples), damage: None }
}

fn hash_of(picture: &Picture, method: Method, size: i32) -> String {
    let wanted = Wanted { recipes: vec![Recipe::new(method, size).unwrap()], sharpness: false };
    let made = make(picture, Orientation::Upright, &wanted, Format::Png, &LIMITS).unwrap();
    lumina_hash::hex::to_string(&made.hashes[0])
}

/// The predecessor's wavelet hash, reduced to its 16 bits: imagehash's `whash` of size 4 at the scale 8, in single
/// precision, and without removing the mean.
fn predecessors_wavelet(picture: &Picture) -> String {
    let view = OrientedView::new(picture, Orientation::Upright);
    let mut resize = Resize::new((view.width, view.height), (8, 8));
    let mut buffers = StripBuffers::new(&view);
    for y in (0..view.height).step_by(ROWS) {
        resize.take(&buffers.strip(&view, y));
    }
    let pixels: Vec<f32> = resize.into_pixels().into_iter().map(|pixel| f32::from(pixel) / 255.0).collect();
    let root = std::f32::consts::FRAC_1_SQRT_2;
    let column = |x: usize, y: usize| root * pixels[(2 * y + 1) * 8 + x] + root * pixels[2 * y * 8 + x];
    let mean = |x: usize, y: usize| root * column(2 * x + 1, y) + root * column(2 * x, y);
    let means: Vec<f64> = (0..16).map(|index| f64::from(mean(index % 4, index / 4))).collect();
    lumina_hash::hex::to_string(&basic::above_median(&means))
}

/// The table of golden values of the predecessor: aHash, dHash, and its wavelet hash.
#[test]
fn golden_values() {
    type Sample = fn(u32, u32) -> u32;
    let table: [(&str, Sample, &str, &str, &str); 12] = [
        ("4x", |x, _| 4 * x, "0f0f0f0f0f0f0f0f", "ffffffffffffffff", "3333"),
        ("255-4x", |x, _| 255 - 4 * x, "f0f0f0f0f0f0f0f0", "0000000000000000", "cccc"),
        ("4y", |_, y| 4 * y, "00000000ffffffff", "0000000000000000", "00ff"),
        ("255-4y", |_, y| 255 - 4 * y, "ffffffff00000000", "0000000000000000", "ff00"),
        ("black", |_, _| 0, "0000000000000000", "0000000000000000", "0000"),
        ("white", |_, _| 255, "0000000000000000", "0000000000000000", "0000"),
        ("128", |_, _| 128, "0000000000000000", "0000000000000000", "0000"),
        ("board", |x, y| 255 * ((x / 8 + y / 8) % 2), "55aa55aa55aa55aa", "a55aa55aa55aa55a", "1428"),
        ("left half", |x, _| if x < 32 { 255 } else { 0 }, "f0f0f0f0f0f0f0f0", "2424242424242424", "cccc"),
        ("xy", |x, y| (x * y) & 255, "007f5f7f7f7f7f7e", "fdc1a8949186a688", "0377"),
        ("x xor y", |x, y| (x ^ y) * 4, "0f0f0f0ff0f0f0f0", "ff7e9918e7668100", "33cc"),
        ("x xor y again", |x, y| ((x ^ y) * 4) & 255, "0f0f0f0ff0f0f0f0", "ff7e9918e7668100", "33cc"),
    ];
    for (name, sample, average, difference, wavelet) in table {
        let picture = grey(64, 64, sample);
        assert_eq!(hash_of(&picture, Method::Average, 8), average, "aHash of {name}");
        assert_eq!(hash_of(&picture, Method::Difference, 8), difference, "dHash of {name}");
        assert_eq!(predecessors_wavelet(&picture), wavelet, "wavelet hash of {name}");
    }
}

#[test]
fn names_and_sizes() {
    for method in Method::ALL {
        assert_eq!(Method::from_name(method.name()), Some(method));
    }
    assert_eq!(Method::from_name("phash"), Some(Method::Dct));
    assert_eq!(Method::from_name("PHASH"), None);
    for size in [-8, 0, 1, 2, 3, 6, 65, 68, i32::MAX] {
        assert!(Recipe::new(Method::Average, size).is_err(), "{size}");
    }
    for size in (4..=64).step_by(4) {
        assert_eq!(Recipe::new(Method::Dct, size).unwrap().bits(), (size * size) as usize);
        assert_eq!(Recipe::new(Method::Wavelet, size).is_ok(), [4, 8, 16, 32, 64].contains(&size), "{size}");
        assert_eq!(Recipe::new(Method::Pdq, size).is_ok(), [8, 16].contains(&size), "{size}");
    }
    assert_eq!(Recipe::new(Method::Pdq, 8).unwrap().bits(), 256);
}

fn pictures(longest: u32) -> impl Strategy<Value = Picture> {
    let size = (1..=longest, 1..=longest, any::<bool>(), 0..4u8, any::<u64>());
    size.prop_map(|(width, height, colour, kind, seed)| {
        let channels = if colour { 3 } else { 1 };
        let mut state = seed | 1;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let flat = random() as u8;
        let samples = (0..(width * height) as usize * channels).map(|index| match kind {
            0 => random() as u8,
            1 => (index / 7) as u8 ^ flat,
            2 => flat,
            _ => {
                if random() % 40 == 0 {
                    255
                } else {
                    flat
                }
            }
        });
        let samples: Vec<u8> = samples.collect();
        let pixels = if colour { Pixels::Rgb(samples) } else { Pixels::Grey(samples) };
        Picture { width, height, pixels, damage: None }
    })
}

fn image_hasher(picture: &Picture, algorithm: HashAlg, size: u32) -> String {
    let config = HasherConfig::new().hash_alg(algorithm).hash_size(size, size).bit_order(BitOrder::MsbFirst);
    let hasher = config.to_hasher();
    let (width, height) = (picture.width, picture.height);
    let hash = match &picture.pixels {
        Pixels::Grey(samples) => hasher.hash_image(&GrayImage::from_raw(width, height, samples.clone()).unwrap()),
        Pixels::Rgb(samples) => hasher.hash_image(&RgbImage::from_raw(width, height, samples.clone()).unwrap()),
    };
    lumina_hash::hex::to_string(hash.as_bytes())
}

/// A picture as an orientation shows it, pixel by pixel.
fn shown(picture: &Picture, orientation: Orientation) -> Picture {
    let (w, h) = (picture.width as usize, picture.height as usize);
    let channels = picture.pixels.channels();
    let (width, height) = if orientation.swaps_sides() { (h, w) } else { (w, h) };
    let mut samples = Vec::new();
    for y in 0..height {
        for x in 0..width {
            // Where the picture's pixel at (x, y) is stored, by the table of EXIF.
            let (sx, sy) = match orientation.exif() {
                1 => (x, y),
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (y, h - 1 - x),
                7 => (w - 1 - y, h - 1 - x),
                _ => (w - 1 - y, x),
            };
            let at = (sy * w + sx) * channels;
            samples.extend_from_slice(&picture.pixels.samples()[at..at + channels]);
        }
    }
    let pixels = if channels == 1 { Pixels::Grey(samples) } else { Pixels::Rgb(samples) };
    Picture { width: width as u32, height: height as u32, pixels, damage: None }
}

/// One box filter of PDQ's reference, over a vector with a stride.
fn box_filter(input: &[f32], output: &mut [f32], length: usize, stride: usize, window: usize) {
    let half = window.div_ceil(2) + usize::from(window.is_multiple_of(2));
    let (mut sum, mut held) = (0f32, 0);
    let (mut left, mut right) = (0, 0);
    for out in 0..length {
        let (first, last) = ((out + half).saturating_sub(window), (out + half).min(length));
        while right < last {
            sum += input[right * stride];
            held += 1;
            right += 1;
            if held > window {
                sum -= input[left * stride];
                held -= 1;
                left += 1;
            }
        }
        while left < first {
            sum -= input[left * stride];
            held -= 1;
            left += 1;
        }
        output[out * stride] = sum / held as f32;
    }
}

/// PDQ's 64 x 64 samples by separate passes over the whole picture, like the reference.
fn pdq_samples(picture: &Picture) -> Vec<f32> {
    let (w, h) = (picture.width as usize, picture.height as usize);
    let mut luminance: Vec<f32> = match &picture.pixels {
        Pixels::Grey(samples) => samples.iter().map(|&sample| f32::from(sample)).collect(),
        Pixels::Rgb(samples) => samples
            .chunks(3)
            .map(|p| (f64::from(p[0]) * 0.299 + f64::from(p[1]) * 0.587 + f64::from(p[2]) * 0.114) as f32)
            .collect(),
    };
    let window = |length: usize| length.div_ceil(128);
    let mut other = luminance.clone();
    for _ in 0..2 {
        for y in 0..h {
            box_filter(&luminance[y * w..], &mut other[y * w..], w, 1, window(w));
        }
        for x in 0..w {
            box_filter(&other[x..], &mut luminance[x..], h, w, window(h));
        }
    }
    let middle = |part: usize, length: usize| ((part as f64 + 0.5) * length as f64 / 64.0) as usize;
    (0..64 * 64).map(|index| luminance[middle(index / 64, h) * w + middle(index % 64, w)]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 150 } else { 1000 }))]

    #[test]
    fn median_and_block_are_image_hashers(picture in pictures(70), size in prop::sample::select(vec![4, 8, 12, 16])) {
        let wanted = size as i32;
        prop_assert_eq!(hash_of(&picture, Method::Median, wanted), image_hasher(&picture, HashAlg::Median, size));
        // Where blocks are smaller than pixels, image_hasher may write past its last block.
        if picture.width >= size && picture.height >= size {
            prop_assert_eq!(hash_of(&picture, Method::Block, wanted), image_hasher(&picture, HashAlg::Blockhash, size));
        } else {
            hash_of(&picture, Method::Block, wanted);
        }
    }

    #[test]
    fn pdq_in_one_pass_is_pdq_in_four(picture in pictures(400)) {
        let view = OrientedView::new(&picture, Orientation::Upright);
        let mut pdq = Pdq::new((view.width, view.height), view.channels).always_filtered();
        let mut buffers = StripBuffers::new(&view);
        for y in (0..view.height).step_by(ROWS) {
            pdq.take(&buffers.strip(&view, y));
        }
        prop_assert_eq!(pdq.samples(), pdq_samples(&picture));
    }

    #[test]
    fn orientations(picture in pictures(40)) {
        for orientation in Orientation::ALL {
            let turned = shown(&picture, orientation);
            prop_assert_eq!(grey_of(&picture, orientation), grey_of(&turned, Orientation::Upright));
            let wanted = Wanted { recipes: Method::ALL.map(Recipe::standard).to_vec(), sharpness: true };
            prop_assert_eq!(
                make(&picture, orientation, &wanted, Format::Png, &LIMITS).unwrap(),
                make(&turned, Orientation::Upright, &wanted, Format::Png, &LIMITS).unwrap()
            );
        }
    }

    /// The eight hashes are those of the eight pictures; of PDQ nearly so, since it turns frequencies and not pixels.
    #[test]
    fn eight_forms(picture in pictures(90), orientation in prop::sample::select(Orientation::ALL.to_vec())) {
        let picture_shown = shown(&picture, orientation);
        for method in [Method::Difference, Method::Dct] {
            let eight = dihedral(&picture, orientation, Recipe::standard(method), Format::Png, &LIMITS).unwrap();
            for (form, hash) in Orientation::ALL.into_iter().zip(eight) {
                let turned = shown(&picture_shown, form);
                prop_assert_eq!(lumina_hash::hex::to_string(&hash), hash_of(&turned, method, 8));
            }
        }
    }

    #[test]
    fn sharpness_is_the_variance_of_the_laplacian(picture in pictures(60)) {
        let wanted = Wanted { recipes: Vec::new(), sharpness: true };
        let made = make(&picture, Orientation::Upright, &wanted, Format::Png, &LIMITS).unwrap();
        let all = grey_of(&picture, Orientation::Upright);
        let (w, h) = (picture.width as usize, picture.height as usize);
        let at = |x: usize, y: usize| f64::from(all.pixels.samples()[y * w + x]);
        let mut values = Vec::new();
        for y in 1..h.saturating_sub(1) {
            for x in 1..w.saturating_sub(1) {
                values.push(at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4.0 * at(x, y));
            }
        }
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len().max(1) as f64;
        prop_assert!((made.sharpness.unwrap() - variance).abs() < 1e-6 * variance.max(1.0));
    }
}

/// A smooth picture without symmetry, in which PDQ's forms are far from one another.
fn scene() -> Picture {
    grey(300, 200, |x, y| {
        let (x, y) = (f64::from(x) / 300.0, f64::from(y) / 200.0);
        (100.0 + 60.0 * (5.0 * x + 3.0 * y * y).sin() + 60.0 * (17.0 * x * y + 2.0 * x).cos()) as u32
    })
}

#[test]
fn pdq_forms_are_near_those_of_turned_pictures() {
    let picture = scene();
    let eight = dihedral(&picture, Orientation::Upright, Recipe::standard(Method::Pdq), Format::Png, &LIMITS).unwrap();
    let distance = |a: &[u8], b: &[u8]| -> u32 { a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum() };
    for (form, hash) in Orientation::ALL.into_iter().zip(&eight) {
        let turned = shown(&picture, form);
        let wanted = Wanted { recipes: vec![Recipe::standard(Method::Pdq)], sharpness: false };
        let made = make(&turned, Orientation::Upright, &wanted, Format::Png, &LIMITS).unwrap();
        let near = distance(hash, &made.hashes[0]);
        assert!(near <= 20, "{form:?}: {near}");
        for (other, hash) in Orientation::ALL.into_iter().zip(&eight).filter(|(other, _)| *other != form) {
            assert!(distance(hash, &made.hashes[0]) > 60, "{form:?} is like {other:?}");
        }
    }
}

#[test]
fn small_pictures_have_no_pdq() {
    for (width, height) in [(4, 100), (100, 4), (1, 1)] {
        let picture = grey(width, height, |x, y| x * y);
        assert_eq!(hash_of(&picture, Method::Pdq, 8), "0".repeat(64));
    }
}

/// A caller that cancels.
struct Impatient(Cell<u32>);

impl Caller for Impatient {
    fn is_cancelled(&self) -> bool {
        self.0.set(self.0.get().saturating_sub(1));
        self.0.get() == 0
    }
}

#[test]
fn cancelled() {
    let picture = scene();
    let wanted = Wanted { recipes: Method::ALL.map(Recipe::standard).to_vec(), sharpness: true };
    for patience in 1..30 {
        let caller = Impatient(Cell::new(patience));
        let limits = Limits { caller: &caller, ..LIMITS };
        let result = make(&picture, Orientation::Upright, &wanted, Format::Png, &limits);
        assert_eq!(result, Err(PhotoError::Cancelled), "after {patience} looks");
    }
}

#[test]
fn too_little_memory() {
    let picture = scene();
    let wanted = Wanted { recipes: Method::ALL.map(Recipe::standard).to_vec(), sharpness: true };
    let limits = Limits { memory: 60_000, ..LIMITS };
    let result = make(&picture, Orientation::Upright, &wanted, Format::Png, &limits);
    assert!(matches!(result, Err(PhotoError::Memory { .. })), "{result:?}");
}
