//! Weighted sums of pixels: the two passes of a resizer, in integers that do not depend on the order of additions.
//!
//! Called by [`crate::lanczos`]. A [`Weigher`] has two implementations, plain loops, compiled for several instruction
//! sets, and that of [`super::vnni`]; their results are equal.

#[cfg(target_arch = "x86_64")]
use super::vnni::{Digits, Vnni};
use crate::strip::{ACROSS, ROWS, Tile};
use std::ops::Range;

/// An implementation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Weigher {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Vnni(Vnni),
}

impl Weigher {
    /// All implementations for this processor, the fastest first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vnni = Vnni::detect().map(Self::Vnni);
        #[cfg(not(target_arch = "x86_64"))]
        let vnni = None;
        vnni.into_iter().chain([Self::Plain])
    }

    pub(crate) fn fastest() -> Self {
        Self::all().next().unwrap_or(Self::Plain)
    }

    /// Adds weighted rows of `sums.len()` pixels, one after the other, to `sums`.
    pub(crate) fn down(self, rows: &[u8], weights: &[i32], sums: &mut [i32]) {
        match self {
            Self::Plain => down(rows, weights, sums),
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(vnni) => vnni.down(rows, weights, sums),
        }
    }
}

/// The weights of sums along the rows of tiles.
pub(crate) struct Across {
    /// For each sum: its first tile, and the weights of that one and those after it.
    pub(crate) spans: Vec<(usize, Range<usize>)>,
    weights: Weights,
}

enum Weights {
    Plain(Vec<[i32; ACROSS]>),
    #[cfg(target_arch = "x86_64")]
    Vnni(Vnni, Vec<Digits>),
}

impl Across {
    /// An upper bound of its bytes, including the temporary ones; spans have at most `longest` pixels.
    pub(crate) fn memory(sums: usize, longest: usize) -> usize {
        let tiles = (longest + 2 * (ACROSS - 1)) / ACROSS;
        sums * (size_of::<(usize, Range<usize>)>() + tiles * size_of::<[i32; ACROSS]>())
    }

    /// From the first pixel and the weights of each sum.
    pub(crate) fn new<'a>(weigher: Weigher, sums: impl Iterator<Item = (usize, &'a [i32])> + Clone) -> Self {
        let needed = |(first, weights): (usize, &[i32])| (first % ACROSS + weights.len()).div_ceil(ACROSS);
        let mut spans = Vec::with_capacity(sums.clone().count());
        let mut tiles: Vec<[i32; ACROSS]> = Vec::with_capacity(sums.clone().map(needed).sum());
        for (first, weights) in sums {
            let (before, start) = (first % ACROSS, tiles.len());
            tiles.resize(start + needed((first, weights)), [0; ACROSS]);
            tiles[start..].as_flattened_mut()[before..before + weights.len()].copy_from_slice(weights);
            spans.push((first / ACROSS, start..tiles.len()));
        }
        let weights = match weigher {
            Weigher::Plain => Weights::Plain(tiles),
            #[cfg(target_arch = "x86_64")]
            Weigher::Vnni(vnni) => Weights::Vnni(vnni, tiles.into_iter().map(Digits::new).collect()),
        };
        Across { spans, weights }
    }

    /// The sums of each row, from `start` on, in units of 2^-`bits` (at least 16 bits), clamped to 0 to 255: row after
    /// row.
    pub(crate) fn sums(&self, start: i32, bits: u32, tiles: &[Tile], rows: &mut [u8]) {
        let width = self.spans.len();
        for (group, spans) in self.spans.chunks(ACROSS).enumerate() {
            let mut eights = [[0; ACROSS]; ROWS];
            match &self.weights {
                Weights::Plain(weights) => across(start, bits, tiles, spans, weights, &mut eights),
                #[cfg(target_arch = "x86_64")]
                Weights::Vnni(vnni, weights) => vnni.across(start, bits, tiles, spans, weights, &mut eights),
            }
            for (eight, row) in eights.iter().zip(rows.chunks_exact_mut(width)) {
                let target = &mut row[group * ACROSS..];
                if let Some(target) = target.first_chunk_mut() {
                    *target = *eight;
                } else {
                    target.copy_from_slice(&eight[..target.len()]);
                }
            }
        }
    }
}

fastest! {
    fn across(
        start: i32,
        bits: u32,
        tiles: &[Tile],
        spans: &[(usize, Range<usize>)],
        weights: &[[i32; ACROSS]],
        eights: &mut [[u8; ACROSS]; ROWS],
    ) {
        for (x, (first, span)) in spans.iter().enumerate() {
            let mut sums = [[0; ACROSS]; ROWS];
            for (weights, tile) in weights[span.clone()].iter().zip(&tiles[*first..]) {
                for (sums, row) in sums.iter_mut().zip(&tile.0) {
                    for ((sum, weight), &sample) in sums.iter_mut().zip(weights).zip(row) {
                        *sum += weight * i32::from(sample);
                    }
                }
            }
            for (eight, sums) in eights.iter_mut().zip(sums) {
                eight[x] = ((start + sums.iter().sum::<i32>()) >> bits).clamp(0, 255) as u8;
            }
        }
    }
}

fastest! {
    fn down(rows: &[u8], weights: &[i32], sums: &mut [i32]) {
        const AT_ONCE: usize = 64; // sums that stay in registers
        let width = sums.len();
        for (x, sums) in (0..).step_by(AT_ONCE).zip(sums.chunks_mut(AT_ONCE)) {
            let rows = weights.iter().zip(rows.chunks_exact(width));
            if let Some(all) = sums.first_chunk_mut::<AT_ONCE>() {
                let mut kept = *all;
                for (weight, row) in rows {
                    for (sum, &sample) in kept.iter_mut().zip(&row[x..x + AT_ONCE]) {
                        *sum += weight * i32::from(sample);
                    }
                }
                *all = kept;
            } else {
                for (weight, row) in rows {
                    for (sum, &sample) in sums.iter_mut().zip(&row[x..]) {
                        *sum += weight * i32::from(sample);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
