//! The median hash and the block hash of the crate image_hasher (3.1), bit for bit.
//!
//! The crate itself is the oracle of the tests, not a dependency: it wants the picture whole and turned, cannot be
//! cancelled, and takes as long as all other hashes together. Both hashes are sums in single precision in a fixed order,
//! which strips keep.

use super::{Hash, pack};
use crate::simd::fastest;
use crate::strip::Strip;
use std::f32::consts::PI;
use std::ops::Range;

/// Lanczos weights of `image::imageops::resize` in single precision, normalised: for each pixel after, the first one
/// before and its weights.
fn weights(input: usize, output: usize) -> Vec<(usize, Vec<f32>)> {
    let sinc = |t: f32| if t == 0.0 { 1.0 } else { (t * PI).sin() / (t * PI) };
    let lanczos = |x: f32| if x.abs() < 3.0 { sinc(x) * sinc(x / 3.0) } else { 0.0 };
    let ratio = input as f32 / output as f32;
    let scale = ratio.max(1.0);
    let support = 3.0 * scale;
    let spans = (0..output).map(|pixel| {
        let centre = (pixel as f32 + 0.5) * ratio;
        let left = ((centre - support).floor() as i64).clamp(0, input as i64 - 1) as usize;
        let right = ((centre + support).ceil() as i64).clamp(left as i64 + 1, input as i64) as usize;
        let centre = centre - 0.5;
        let mut weights: Vec<f32> = (left..right).map(|before| lanczos((before as f32 - centre) / scale)).collect();
        let sum = weights.iter().fold(0.0, |sum, weight| sum + weight);
        weights.iter_mut().for_each(|weight| *weight /= sum);
        (left, weights)
    });
    spans.collect()
}

/// The median hash: at least as bright as the median of the resized picture.
pub(super) struct Median {
    size: usize,
    width: usize,
    /// A picture of the hash's own size is not resized.
    as_it_is: bool,
    down: Vec<(usize, Vec<f32>)>,
    /// `size` rows of sums.
    sums: Vec<f32>,
    grey: Vec<u8>,
    floats: Vec<f32>,
}

impl Median {
    pub(super) fn memory((width, height): (usize, usize), size: usize) -> usize {
        (size * width + 7 * height + 7 * width + 2 * width) * size_of::<f32>() + size * 64
    }

    pub(super) fn new((width, height): (usize, usize), size: usize) -> Self {
        Median {
            size,
            width,
            as_it_is: width == size && height == size,
            down: weights(height, size),
            sums: vec![0.0; size * width],
            grey: vec![0; width],
            floats: vec![0.0; width],
        }
    }

    pub(super) fn take(&mut self, strip: &Strip<'_>) {
        let row_length = self.width * strip.channels;
        for (row, samples) in strip.samples.chunks_exact(row_length).enumerate() {
            let y = strip.y + row;
            if strip.channels == 1 {
                self.grey.copy_from_slice(samples);
            } else {
                grey_709(samples, &mut self.grey);
            }
            if self.as_it_is {
                let target = &mut self.sums[y * self.width..(y + 1) * self.width];
                target.iter_mut().zip(&self.grey).for_each(|(sum, &grey)| *sum = f32::from(grey));
                continue;
            }
            self.floats.iter_mut().zip(&self.grey).for_each(|(float, &grey)| *float = f32::from(grey));
            for ((first, weights), sums) in self.down.iter().zip(self.sums.chunks_exact_mut(self.width)) {
                if let Some(&weight) = y.checked_sub(*first).and_then(|index| weights.get(index)) {
                    add_weighted(&self.floats, weight, sums);
                }
            }
        }
    }

    pub(super) fn hash(self) -> Hash {
        let nearest = |value: f32| value.clamp(0.0, 255.0).round() as u8;
        let pixels: Vec<u8> = if self.as_it_is {
            self.sums.iter().map(|&sum| nearest(sum)).collect()
        } else {
            let across = weights(self.width, self.size);
            let row = |sums: &[f32]| {
                let pixel = |(first, weights): &(usize, Vec<f32>)| {
                    let pairs = weights.iter().zip(&sums[*first..]);
                    nearest(pairs.fold(0.0, |total, (weight, sum)| total + sum * weight))
                };
                across.iter().map(pixel).collect::<Vec<u8>>()
            };
            self.sums.chunks_exact(self.width).flat_map(row).collect()
        };
        let mut sorted = pixels.clone();
        sorted.sort_unstable();
        let middle = sorted.len() / 2;
        let median = sorted[middle - 1].midpoint(sorted[middle]);
        pack(pixels.iter().map(|&pixel| pixel >= median))
    }
}

fastest! {
    /// The crate image's grey: ITU-R BT.709 in ten-thousandths, cut off.
    fn grey_709(rgb: &[u8], grey: &mut [u8]) {
        for (pixel, grey) in rgb.chunks_exact(3).zip(grey) {
            let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
            *grey = ((2126 * r + 7152 * g + 722 * b) / 10000) as u8;
        }
    }
}

fastest! {
    fn add_weighted(row: &[f32], weight: f32, sums: &mut [f32]) {
        for (sum, &sample) in sums.iter_mut().zip(row) {
            *sum += sample * weight;
        }
    }
}

/// Where the pixels of one row or column go.
#[derive(Clone, Copy)]
struct Share {
    near: usize,
    far: usize,
    near_weight: f32,
    far_weight: f32,
}

/// image_hasher's arithmetic for one axis. It means to split pixels between blocks; in effect it does so only where
/// blocks are smaller than pixels.
fn shares(length: usize, size: usize) -> Vec<Share> {
    let block = length as f32 / size as f32;
    let share = |place: usize| {
        let place = place as f32;
        let within = place + 1.0 % block;
        let near_weight = within.fract();
        let near = (place / block).floor() as usize;
        let far = if within.trunc() == 0.0 { (place / block).ceil() as usize } else { near };
        Share { near: near.min(size - 1), far: far.min(size - 1), near_weight, far_weight: 1.0 - near_weight }
    };
    (0..length).map(share).collect()
}

/// The block hash: blocks brighter than the median of their band of four rows of blocks.
pub(super) struct Block {
    size: usize,
    channels: usize,
    /// Pixels of a block, across and down.
    extent: (f32, f32),
    /// Width and height are multiples of the size: sums are integers.
    even: bool,
    /// Each block has whole pixels: the columns of each.
    spans: Option<Vec<Range<usize>>>,
    across: Vec<Share>,
    down: Vec<Share>,
    sums: Vec<f32>,
    integers: Vec<u32>,
    brightness: Vec<u32>,
}

impl Block {
    pub(super) fn memory((width, height): (usize, usize), size: usize) -> usize {
        (width + height) * size_of::<Share>() + width * 4 + size * size * 24
    }

    pub(super) fn new((width, height): (usize, usize), size: usize, channels: usize) -> Self {
        let (across, down) = (shares(width, size), shares(height, size));
        let even = width % size == 0 && height % size == 0;
        let whole = |shares: &[Share]| shares.iter().all(|share| share.near == share.far && share.near_weight == 0.0);
        let span = |block: usize| {
            let first = across.partition_point(|share| share.near < block);
            first..across.partition_point(|share| share.near <= block)
        };
        Block {
            size,
            channels,
            extent: (width as f32 / size as f32, height as f32 / size as f32),
            even,
            spans: (even || whole(&across) && whole(&down)).then(|| (0..size).map(span).collect()),
            sums: vec![0.0; size * size],
            integers: vec![0; size * size],
            brightness: vec![0; width],
            across,
            down,
        }
    }

    pub(super) fn take(&mut self, strip: &Strip<'_>) {
        let row_length = strip.width * strip.channels;
        for (row, samples) in strip.samples.chunks_exact(row_length).enumerate() {
            if self.channels == 1 {
                self.brightness.iter_mut().zip(samples).for_each(|(sum, &sample)| *sum = sample.into());
            } else {
                add_channels(samples, &mut self.brightness);
            }
            let share = self.down[strip.y + row];
            let band = share.near * self.size..(share.near + 1) * self.size;
            match &self.spans {
                Some(spans) if self.even => {
                    for (sum, span) in self.integers[band].iter_mut().zip(spans) {
                        *sum = sum.wrapping_add(self.brightness[span.clone()].iter().sum::<u32>());
                    }
                }
                Some(spans) => in_order(&self.brightness, spans, &mut self.sums[band]),
                None => self.split(share),
            }
        }
    }

    /// A row of pixels that are larger than blocks.
    fn split(&mut self, down: Share) {
        for (across, &brightness) in self.across.iter().zip(&self.brightness) {
            let brightness = brightness as f32;
            let mut add = |x: usize, y: usize, share: f32| self.sums[y * self.size + x] += share;
            add(across.near, down.near, brightness * across.near_weight * down.near_weight);
            add(across.near, down.far, brightness * across.near_weight * down.far_weight);
            add(across.far, down.near, brightness * across.far_weight * down.near_weight);
            add(across.far, down.far, brightness * across.far_weight * down.far_weight);
        }
    }

    pub(super) fn hash(self) -> Hash {
        let band = 4 * self.size;
        if self.even {
            let area = self.extent.0 as u32 * self.extent.1 as u32;
            let middle = (255 * if self.channels == 1 { 1 } else { 3 } * u64::from(area) / 2) as u32;
            return pack(self.integers.chunks(band).flat_map(|blocks| {
                let mut sorted = blocks.to_vec();
                sorted.sort_unstable();
                let median = sorted[sorted.len() / 2];
                blocks.iter().map(move |&block| block > median || block == median && median > middle)
            }));
        }
        let white = if self.channels == 1 { 255.0 } else { 255.0 * 3.0 };
        let middle = white * (self.extent.0 * self.extent.1) / 2.0;
        pack(self.sums.chunks(band).flat_map(|blocks| {
            let mut sorted = blocks.to_vec();
            sorted.sort_unstable_by(f32::total_cmp);
            let median = sorted[sorted.len() / 2];
            blocks.iter().map(move |&block| block > median || (block - median).abs() < 0.001 && median > middle)
        }))
    }
}

fastest! {
    fn add_channels(rgb: &[u8], sums: &mut [u32]) {
        for (pixel, sum) in rgb.chunks_exact(3).zip(sums) {
            *sum = u32::from(pixel[0]) + u32::from(pixel[1]) + u32::from(pixel[2]);
        }
    }
}

/// Adds the pixels of each span to its sum, one after the other: sums past 2^24 are rounded with each. Spans take turns,
/// so that no addition waits for the one before it.
fn in_order(brightness: &[u32], spans: &[Range<usize>], sums: &mut [f32]) {
    let longest = spans.iter().map(ExactSizeIterator::len).max().unwrap_or_default();
    for offset in 0..longest {
        for (sum, span) in sums.iter_mut().zip(spans) {
            if offset < span.len() {
                *sum += brightness[span.start + offset] as f32;
            }
        }
    }
}
