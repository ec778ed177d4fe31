//! A picture in its orientation, eight rows at a time: the common input of all hashes, in one pass.
//!
//! Rotated pictures are never stored whole; the eight rows of a strip stay in the cache while every hash reads them.

use crate::orientation::Orientation;
use crate::picture::Picture;
#[cfg(test)]
use crate::picture::Pixels;
use crate::simd::rgb;

/// Rows of a strip: the number of 32-bit lanes in an AVX2 vector.
pub(crate) const ROWS: usize = 8;

/// Pixels of a row that lie together in a [`Tile`].
pub(crate) const ACROSS: usize = 8;

/// A square of a strip's grey pixels, row after row: a vector of AVX-512, and a line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Tile(pub(crate) [[u8; ACROSS]; ROWS]);

/// A picture under an orientation.
#[derive(Clone, Copy)]
pub(crate) struct OrientedView<'a> {
    samples: &'a [u8],
    pub(crate) channels: usize,
    /// Of the picture as shown.
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// The place of a shown pixel: `start + x * across + y * down`, in pixels of the stored picture.
    start: usize,
    across: isize,
    down: isize,
}

impl<'a> OrientedView<'a> {
    pub(crate) fn new(picture: &'a Picture, orientation: Orientation) -> Self {
        let (w, h) = (picture.width as usize, picture.height as usize);
        let row = w as isize;
        let (start, across, down) = match orientation {
            Orientation::Upright => (0, 1, row),
            Orientation::FlipHorizontal => (w - 1, -1, row),
            Orientation::Rotate180 => (w * h - 1, -1, -row),
            Orientation::FlipVertical => (w * (h - 1), 1, -row),
            Orientation::Transpose => (0, row, 1),
            Orientation::Rotate90 => (w * (h - 1), -row, 1),
            Orientation::Transverse => (w * h - 1, -row, -1),
            Orientation::Rotate270 => (w - 1, row, -1),
        };
        let (width, height) = if orientation.swaps_sides() { (h, w) } else { (w, h) };
        let samples = picture.pixels.samples();
        OrientedView { samples, channels: picture.pixels.channels(), width, height, start, across, down }
    }

    /// The rows from `y` on, at most [`ROWS`], one after the other.
    pub(crate) fn rows<'s>(&'s self, y: usize, scratch: &'s mut [u8]) -> &'s [u8] {
        let count = ROWS.min(self.height - y);
        let length = self.width * self.channels;
        if self.across == 1 && self.down == self.width as isize {
            return &self.samples[y * length..(y + count) * length];
        }
        let rows = &mut scratch[..count * length];
        match self.channels {
            1 => self.gather::<1>(y, rows),
            _ => self.gather::<3>(y, rows),
        }
        rows
    }

    /// Copies the rows from `y` on, pixel after pixel of all rows: where sides are swapped, these lie together.
    fn gather<const CHANNELS: usize>(&self, y: usize, rows: &mut [u8]) {
        let (pixels, width) = (self.samples.as_chunks::<CHANNELS>().0, self.width);
        let rows = rows.as_chunks_mut::<CHANNELS>().0;
        let mut first = self.start.wrapping_add_signed(self.down * y as isize);
        for x in 0..width {
            let mut place = first;
            for target in rows.iter_mut().skip(x).step_by(width) {
                *target = pixels[place];
                place = place.wrapping_add_signed(self.down);
            }
            first = first.wrapping_add_signed(self.across);
        }
    }
}

/// The derived samples of a strip, row after row.
pub(crate) struct Strip<'a> {
    /// The row that it begins at.
    pub(crate) y: usize,
    /// 1 to [`ROWS`].
    pub(crate) count: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    /// As stored: `channels` a pixel.
    pub(crate) samples: &'a [u8],
    /// Grey, one a pixel.
    pub(crate) grey: &'a [u8],
    /// Grey, in tiles; rows past `count` are stale, pixels past `width` are 0.
    pub(crate) tiles: &'a [Tile],
}

/// StripBuffers that are reused for each strip.
pub(crate) struct StripBuffers {
    scratch: Vec<u8>,
    grey: Vec<u8>,
    tiles: Vec<Tile>,
}

impl StripBuffers {
    /// Bytes that they take.
    pub(crate) fn memory(width: usize) -> usize {
        width * ROWS * 5 + size_of::<Tile>()
    }

    pub(crate) fn new(view: &OrientedView<'_>) -> Self {
        let width = view.width;
        StripBuffers {
            scratch: vec![0; width * ROWS * view.channels],
            grey: vec![0; width * ROWS],
            tiles: no_tiles(width),
        }
    }

    /// The strip that begins at row `y`.
    pub(crate) fn strip<'s>(&'s mut self, view: &'s OrientedView<'_>, y: usize) -> Strip<'s> {
        let samples = view.rows(y, &mut self.scratch);
        let count = ROWS.min(view.height - y);
        let grey: &[u8] = if view.channels == 1 {
            samples
        } else {
            rgb::grey(samples, &mut self.grey[..count * view.width]);
            &self.grey[..count * view.width]
        };
        tiles(grey, view.width, &mut self.tiles);
        Strip { y, count, width: view.width, channels: view.channels, samples, grey, tiles: &self.tiles }
    }
}

/// Tiles for a strip of a width, all black.
pub(crate) fn no_tiles(width: usize) -> Vec<Tile> {
    vec![Tile([[0; ACROSS]; ROWS]); width.div_ceil(ACROSS)]
}

/// Copies rows of `width` pixels into tiles.
pub(crate) fn tiles(rows: &[u8], width: usize, tiles: &mut [Tile]) {
    for (lane, row) in rows.chunks_exact(width).enumerate() {
        let (eights, rest) = row.as_chunks();
        for (tile, eight) in tiles.iter_mut().zip(eights) {
            tile.0[lane] = *eight;
        }
        if let Some(tile) = tiles.get_mut(eights.len()) {
            tile.0[lane][..rest.len()].copy_from_slice(rest);
        }
    }
}

/// The grey picture as a whole, for tests.
#[cfg(test)]
pub(crate) fn grey_of(picture: &Picture, orientation: Orientation) -> Picture {
    let view = OrientedView::new(picture, orientation);
    let mut buffers = StripBuffers::new(&view);
    let mut all = Vec::new();
    for y in (0..view.height).step_by(ROWS) {
        all.extend_from_slice(buffers.strip(&view, y).grey);
    }
    let (width, height) = (view.width as u32, view.height as u32);
    Picture { width, height, pixels: Pixels::Grey(all), damage: None }
}
