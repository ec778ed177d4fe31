//! A writer of TIFF files.

use super::{HEIGHT, WIDTH};
use crate::ifd::ByteOrder;
use crate::ifd::build::{Builder, Value, long, short};
use flate2::{Compress, Compression, FlushCompress};

/// How strips or tiles are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Squeeze {
    None,
    PackBits,
    Lzw,
    Deflate,
}

impl Squeeze {
    fn number(self) -> u16 {
        match self {
            Self::None => 1,
            Self::Lzw => 5,
            Self::Deflate => 8,
            Self::PackBits => 32773,
        }
    }

    pub(super) fn predicts(self) -> bool {
        matches!(self, Self::Lzw | Self::Deflate)
    }

    fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::None => bytes.to_vec(),
            Self::PackBits => packbits(bytes),
            Self::Lzw => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(bytes).unwrap(),
            Self::Deflate => {
                let mut stream = Vec::with_capacity(bytes.len() + 64);
                Compress::new(Compression::fast(), true)
                    .compress_vec(bytes, &mut stream, FlushCompress::Finish)
                    .unwrap();
                stream
            }
        }
    }
}

/// Runs of two bytes or more, single ones, and a byte that means nothing between them.
fn packbits(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    for run in bytes.chunk_by(|a, b| a == b).flat_map(|run| run.chunks(128)) {
        packed.push((257 - run.len()) as u8);
        if run.len() == 1 {
            *packed.last_mut().unwrap() = 0;
        }
        packed.push(run[0]);
        packed.push(128);
    }
    packed
}

/// Codes of nine bits for each byte, the table cleared before it needs ten; without the code for the end, unless asked.
pub(super) fn plain_lzw(bytes: &[u8], end: bool) -> Vec<u8> {
    let mut codes = Vec::new();
    for part in bytes.chunks(200) {
        codes.push(256);
        codes.extend(part.iter().map(|&byte| u32::from(byte)));
    }
    if end {
        codes.push(257);
    }
    let bits: Vec<u8> = codes.iter().flat_map(|code| (0..9).rev().map(move |bit| (code >> bit & 1) as u8)).collect();
    bits.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |sum, (at, bit)| sum | bit << (7 - at))).collect()
}

/// How a sheet lies in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Width and height of tiles, in the place of strips.
    pub(super) tile: Option<(usize, usize)>,
    /// Rows of a strip.
    pub(super) rows: u32,
    pub(super) order: ByteOrder,
    pub(super) planar: bool,
    /// FillOrder 2.
    pub(super) reversed: bool,
    pub(super) squeeze: Squeeze,
    pub(super) predictor: u16,
}

impl Layout {
    pub(super) const PLAIN: Layout = Layout {
        tile: None,
        rows: u32::MAX,
        order: ByteOrder::Little,
        planar: false,
        reversed: false,
        squeeze: Squeeze::None,
        predictor: 1,
    };
}

/// Samples and what they mean.
#[derive(Clone)]
pub(super) struct Sheet {
    pub(super) photometric: u16,
    pub(super) depth: u32,
    /// Samples of a pixel.
    pub(super) each: usize,
    /// The last of them that have no meaning.
    pub(super) extra: usize,
    /// SampleFormat.
    pub(super) format: u16,
    pub(super) map: Vec<u16>,
    pub(super) subsampling: Option<(usize, usize)>,
    /// Whether the lengths of strips are given, and by how much each is too short.
    pub(super) lengths: bool,
    pub(super) shortened: usize,
    pub(super) samples: Vec<u64>,
}

impl Sheet {
    pub(super) fn new(photometric: u16, depth: u32, each: usize, samples: Vec<u64>) -> Self {
        assert_eq!(samples.len(), WIDTH * HEIGHT * each);
        Sheet {
            photometric,
            depth,
            each,
            extra: 0,
            format: 1,
            map: Vec::new(),
            subsampling: None,
            lengths: true,
            shortened: 0,
            samples,
        }
    }

    pub(super) fn file(&self, layout: Layout) -> Vec<u8> {
        let mut build = Builder::new(layout.order);
        let (mut offsets, mut lengths) = (Vec::new(), Vec::new());
        for mut chunk in self.chunks(layout) {
            if layout.reversed {
                chunk.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
            }
            chunk.truncate(chunk.len() - self.shortened);
            offsets.push(build.blob(&chunk));
            lengths.push(chunk.len() as u32);
        }
        let planar = if layout.planar { 2 } else { 1 };
        let mut tags = vec![
            (256, long(WIDTH as u32)),
            (257, short(HEIGHT as u16)),
            (258, Value::Short(vec![self.depth as u16; self.each])),
            (259, short(layout.squeeze.number())),
            (262, short(self.photometric)),
            (266, short(if layout.reversed { 2 } else { 1 })),
            (277, short(self.each as u16)),
            (284, short(planar)),
            (317, short(layout.predictor)),
            (339, Value::Short(vec![self.format; self.each])),
        ];
        if !self.map.is_empty() {
            tags.push((320, Value::Short(self.map.clone())));
        }
        if self.extra > 0 {
            tags.push((338, Value::Short(vec![0; self.extra])));
        }
        if let Some((across, down)) = self.subsampling {
            tags.push((530, Value::Short(vec![across as u16, down as u16])));
        }
        let (at, length) = if layout.tile.is_some() { (324, 325) } else { (273, 279) };
        tags.push((at, Value::Long(offsets)));
        if self.lengths {
            tags.push((length, Value::Long(lengths)));
        }
        match layout.tile {
            Some((width, height)) => tags.extend([(322, short(width as u16)), (323, short(height as u16))]),
            None => tags.push((278, long(layout.rows))),
        }
        tags.sort_by_key(|&(tag, _)| tag);
        let directory = build.directory(&tags, 0);
        build.finish(42, directory)
    }

    /// The compressed strips or tiles.
    fn chunks(&self, layout: Layout) -> Vec<Vec<u8>> {
        let rows = (layout.rows as usize).min(HEIGHT);
        let (width, height) = layout.tile.unwrap_or((WIDTH, rows));
        let planes = if layout.planar { self.each } else { 1 };
        let mut chunks = Vec::new();
        for plane in 0..planes {
            for top in (0..HEIGHT).step_by(height) {
                for left in (0..WIDTH).step_by(width) {
                    let end = if layout.tile.is_some() { top + height } else { HEIGHT.min(top + height) };
                    let chunk = match self.subsampling {
                        Some((across, down)) if (across, down) != (1, 1) => {
                            self.units((left, top), (width, end - top), (across, down))
                        }
                        _ => (top..end).flat_map(|y| self.row(plane, y, left..left + width, layout)).collect(),
                    };
                    chunks.push(layout.squeeze.of(&chunk));
                }
            }
        }
        chunks
    }

    /// A sample; outside of the picture the nearest one.
    fn sample(&self, x: usize, y: usize, sample: usize) -> u64 {
        self.samples[(y.min(HEIGHT - 1) * WIDTH + x.min(WIDTH - 1)) * self.each + sample]
    }

    fn row(&self, plane: usize, y: usize, pixels: std::ops::Range<usize>, layout: Layout) -> Vec<u8> {
        let wanted = if layout.planar { plane..plane + 1 } else { 0..self.each };
        let each = wanted.len();
        let row: Vec<u64> = pixels.flat_map(|x| wanted.clone().map(move |sample| self.sample(x, y, sample))).collect();
        let left = |row: &[u64], at: usize| if at < each { 0 } else { row[at - each] };
        let differences =
            |row: &[u64]| -> Vec<u64> { (0..row.len()).map(|at| row[at].wrapping_sub(left(row, at))).collect() };
        match layout.predictor {
            2 => packed(&differences(&row), self.depth, layout.order),
            3 => {
                let shifts = (0..self.depth).step_by(8).rev();
                let bytes: Vec<u64> =
                    shifts.flat_map(|shift| row.iter().map(move |value| value >> shift & 255)).collect();
                packed(&differences(&bytes), 8, layout.order)
            }
            _ => packed(&row, self.depth, layout.order),
        }
    }

    /// Pixels that share their second and third sample.
    fn units(&self, start: (usize, usize), size: (usize, usize), unit: (usize, usize)) -> Vec<u8> {
        let mut bytes = Vec::new();
        for y in (start.1..start.1 + size.1).step_by(unit.1) {
            for x in (start.0..start.0 + size.0).step_by(unit.0) {
                for down in 0..unit.1 {
                    bytes.extend((0..unit.0).map(|across| self.sample(x + across, y + down, 0) as u8));
                }
                bytes.extend([1, 2].map(|sample| self.sample(x, y, sample) as u8));
            }
        }
        bytes
    }
}

/// Numbers of `depth` bits; a row ends with a byte.
fn packed(row: &[u64], depth: u32, order: ByteOrder) -> Vec<u8> {
    if depth.is_multiple_of(8) {
        let size = (depth / 8) as usize;
        return match order {
            ByteOrder::Little => row.iter().flat_map(|value| value.to_le_bytes()[..size].to_vec()).collect(),
            ByteOrder::Big => row.iter().flat_map(|value| value.to_be_bytes()[8 - size..].to_vec()).collect(),
        };
    }
    let bits: Vec<u8> =
        row.iter().flat_map(|value| (0..depth).rev().map(move |bit| (value >> bit & 1) as u8)).collect();
    bits.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |sum, (at, bit)| sum | bit << (7 - at))).collect()
}
