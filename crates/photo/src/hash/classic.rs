//! The median hash and the block hash of the crate image_hasher (3.1), bit for bit.
//!
//! The crate itself is the oracle of the tests, not a dependency: it needs the picture whole and rotated, cannot be
//! cancelled, and takes as long as all other hashes together. Both hashes are sums in single precision in a fixed
//! order, which processing by strips preserves.

use super::{Hash, pack};
use crate::simd::{fastest, rgb};
use crate::strip::{ROWS, Strip};
use std::f32::consts::PI;
use std::ops::Range;

/// Lanczos weights of `image::imageops::resize` in single precision, normalised: for each output pixel, the first input
/// pixel and its weights.
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
    /// The grey of a strip.
    floats: Vec<f32>,
}

impl Median {
    pub(super) fn memory((width, height): (usize, usize), size: usize) -> usize {
        (size * width + 7 * height + 7 * width + ROWS * width) * size_of::<f32>() + size * 64
    }

    pub(super) fn new((width, height): (usize, usize), size: usize) -> Self {
        Median {
            size,
            width,
            as_it_is: width == size && height == size,
            down: weights(height, size),
            sums: vec![0.0; size * width],
            floats: vec![0.0; ROWS * width],
        }
    }

    pub(super) fn take(&mut self, strip: &Strip<'_>) {
        let (width, end) = (self.width, strip.y + strip.count);
        if strip.channels == 1 {
            self.floats.iter_mut().zip(strip.samples).for_each(|(float, &grey)| *float = f32::from(grey));
        } else {
            rgb::grey_709(strip.samples, &mut self.floats[..strip.count * width]);
        }
        if self.as_it_is {
            self.sums[strip.y * width..end * width].copy_from_slice(&self.floats[..strip.count * width]);
            return;
        }
        for ((first, weights), sums) in self.down.iter().zip(self.sums.chunks_exact_mut(width)) {
            let (from, to) = (strip.y.max(*first), end.min(first + weights.len()));
            if from < to {
                add_weighted(&self.floats[(from - strip.y) * width..], &weights[from - first..to - first], sums);
            }
        }
    }

    pub(super) fn hash(self) -> Hash {
        let nearest = |value: f32| value.clamp(0.0, 255.0).round() as u8;
        let pixels: Vec<u8> = if self.as_it_is {
            self.sums.iter().map(|&sum| nearest(sum)).collect()
        } else {
            let mut pixels = vec![0; self.size * self.size];
            let mut totals = vec![0.0; self.size];
            for (x, (first, weights)) in weights(self.width, self.size).into_iter().enumerate() {
                // Rows are interleaved, so that no addition waits for the one before it.
                totals.fill(0.0);
                for (place, weight) in (first..).zip(weights) {
                    for (total, sum) in totals.iter_mut().zip(self.sums[place..].iter().step_by(self.width)) {
                        *total += sum * weight;
                    }
                }
                for (row, total) in totals.iter().enumerate() {
                    pixels[row * self.size + x] = nearest(*total);
                }
            }
            pixels
        };
        let mut sorted = pixels.clone();
        sorted.sort_unstable();
        let middle = sorted.len() / 2;
        let median = sorted[middle - 1].midpoint(sorted[middle]);
        pack(pixels.iter().map(|&pixel| pixel >= median))
    }
}

fastest! {
    /// Adds weighted rows, one after the other, so that sums are loaded and stored once.
    fn add_weighted(rows: &[f32], weights: &[f32], sums: &mut [f32]) {
        const AT_ONCE: usize = 64; // sums that stay in registers
        let width = sums.len();
        for (x, sums) in (0..).step_by(AT_ONCE).zip(sums.chunks_mut(AT_ONCE)) {
            let rows = weights.iter().zip(rows.chunks_exact(width));
            if let Some(all) = sums.first_chunk_mut::<AT_ONCE>() {
                let mut kept = *all;
                for (weight, row) in rows {
                    for (sum, sample) in kept.iter_mut().zip(&row[x..x + AT_ONCE]) {
                        *sum += sample * weight;
                    }
                }
                *all = kept;
            } else {
                for (weight, row) in rows {
                    for (sum, sample) in sums.iter_mut().zip(&row[x..]) {
                        *sum += sample * weight;
                    }
                }
            }
        }
    }
}

/// The output blocks of one row or column.
#[derive(Clone, Copy)]
struct BlockShare {
    near: usize,
    far: usize,
    near_weight: f32,
    far_weight: f32,
}

/// image_hasher's arithmetic for one axis. It is meant to split pixels between blocks; in effect it does so only where
/// blocks are smaller than pixels.
fn shares(length: usize, size: usize) -> Vec<BlockShare> {
    let block = length as f32 / size as f32;
    let share = |place: usize| {
        let place = place as f32;
        let within = place + 1.0 % block;
        let near_weight = within.fract();
        let near = (place / block).floor() as usize;
        let far = if within.trunc() == 0.0 { (place / block).ceil() as usize } else { near };
        BlockShare { near: near.min(size - 1), far: far.min(size - 1), near_weight, far_weight: 1.0 - near_weight }
    };
    (0..length).map(share).collect()
}

/// The block hash: blocks brighter than the median of their band of four rows of blocks.
pub(super) struct BlockHash {
    size: usize,
    channels: usize,
    /// Pixels of a block, across and down.
    extent: (f32, f32),
    /// Width and height are multiples of the size: sums are integers.
    even: bool,
    /// Each block has whole pixels: the columns of each.
    spans: Option<Vec<Range<usize>>>,
    across: Vec<BlockShare>,
    down: Vec<BlockShare>,
    sums: Vec<f32>,
    integers: Vec<u32>,
    brightness: Vec<u32>,
}

impl BlockHash {
    pub(super) fn memory((width, height): (usize, usize), size: usize) -> usize {
        (width + height) * size_of::<BlockShare>() + width * 4 + size * size * 24
    }

    pub(super) fn new((width, height): (usize, usize), size: usize, channels: usize) -> Self {
        let (across, down) = (shares(width, size), shares(height, size));
        let even = width % size == 0 && height % size == 0;
        let whole =
            |shares: &[BlockShare]| shares.iter().all(|share| share.near == share.far && share.near_weight == 0.0);
        let span = |block: usize| {
            let first = across.partition_point(|share| share.near < block);
            first..across.partition_point(|share| share.near <= block)
        };
        BlockHash {
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
                rgb::sum(samples, &mut self.brightness);
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
    fn split(&mut self, down: BlockShare) {
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

/// Adds the pixels of each span to its sum, one after the other: sums past 2^24 are rounded with each addition. Spans
/// are interleaved, so that no addition waits for the one before it.
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
