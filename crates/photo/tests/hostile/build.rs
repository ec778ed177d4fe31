//! Writers of minimal PNG, GIF and BMP files and of zlib streams, with arbitrary lies.

use flate2::{Compress, Compression, Crc, FlushCompress};
use std::path::{Path, PathBuf};

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/images")
}

/// Names and bytes of the small pictures that come with the sources.
pub(crate) fn golden() -> Vec<(String, Vec<u8>)> {
    of_format(|extension| extension != "avif")
}

/// The same in AVIF, which take a process each.
#[cfg(feature = "avif")]
pub(crate) fn avifs() -> Vec<(String, Vec<u8>)> {
    of_format(|extension| extension == "avif")
}

/// Those of JPEG XL.
#[cfg(feature = "jxl")]
pub(crate) fn jxls() -> Vec<(String, Vec<u8>)> {
    of(&folder().with_file_name("jxl"), |_| true)
}

fn of_format(is_wanted: impl Fn(&str) -> bool) -> Vec<(String, Vec<u8>)> {
    of(&folder(), is_wanted)
}

fn of(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<(String, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| is_wanted(path.extension().unwrap().to_str().unwrap()));
    paths.sort();
    assert!(paths.len() > 50);
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

pub(crate) fn image(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

/// A zlib stream of `length` zeros: a thousandth as long, and quickly written.
pub(crate) fn zeros(length: u64) -> Vec<u8> {
    const PIECE: usize = 1 << 20;
    let mut stream = vec![0x78, 0x9c];
    let mut compress = Compress::new(Compression::best(), false);
    let (mut left, zero) = (length, vec![0; PIECE]);
    let mut piece = Vec::new();
    if left >= 2 * PIECE as u64 {
        // A piece that ends at a byte and has no back-references can be repeated.
        piece.reserve(PIECE);
        compress.compress_vec(&zero, &mut piece, FlushCompress::Full).unwrap();
        while left >= PIECE as u64 {
            stream.extend_from_slice(&piece);
            left -= PIECE as u64;
        }
    }
    let mut last = Vec::with_capacity(2 * PIECE + 64);
    let mut compress = Compress::new(Compression::best(), false);
    compress.compress_vec(&vec![0; left as usize], &mut last, FlushCompress::Finish).unwrap();
    stream.extend_from_slice(&last);
    let adler = ((length % 65521) as u32) << 16 | 1;
    stream.extend_from_slice(&adler.to_be_bytes());
    stream
}

pub(crate) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(Compression::fast(), true);
    let mut stream = Vec::with_capacity(bytes.len() + bytes.len() / 8 + 64);
    compress.compress_vec(bytes, &mut stream, FlushCompress::Finish).unwrap();
    stream
}

pub(crate) fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(body);
    [&(body.len() as u32).to_be_bytes()[..], kind, body, &crc.sum().to_be_bytes()].concat()
}

/// The header of a PNG.
#[derive(Clone, Copy)]
pub(crate) struct Png {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) depth: u8,
    /// PNG's colour type: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA.
    pub(crate) colour: u8,
    pub(crate) interlaced: bool,
}

impl Png {
    pub(crate) fn header(self) -> Vec<u8> {
        let mut body = [self.width.to_be_bytes(), self.height.to_be_bytes()].concat();
        body.extend_from_slice(&[self.depth, self.colour, 0, 0, self.interlaced.into()]);
        [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &body)].concat()
    }

    /// Bytes of all rows as they are filtered.
    pub(crate) fn length(self) -> u64 {
        let channels = [1, 0, 3, 1, 2, 0, 4][usize::from(self.colour)];
        let row = |width: u64| 1 + (width * channels * u64::from(self.depth)).div_ceil(8);
        let (width, height) = (u64::from(self.width), u64::from(self.height));
        if !self.interlaced {
            return height * row(width);
        }
        let passes = [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)];
        let count = |side: u64, from: u64, step: u64| side.saturating_sub(from).div_ceil(step);
        let pass = |&(x, across, y, down): &(u64, u64, u64, u64)| (count(width, x, across), count(height, y, down));
        passes.iter().map(pass).filter(|(width, _)| *width > 0).map(|(width, height)| height * row(width)).sum()
    }

    /// The file, with these chunks before its pixels, which are black.
    pub(crate) fn black(self, before: &[Vec<u8>]) -> Vec<u8> {
        let data = zeros(self.length());
        let mut file = self.header();
        before.iter().for_each(|chunk| file.extend_from_slice(chunk));
        data.chunks(1 << 20).for_each(|part| file.extend_from_slice(&self::chunk(b"IDAT", part)));
        file.extend_from_slice(&chunk(b"IEND", b""));
        file
    }
}

pub(crate) const SMALL_PNG: Png = Png { width: 8, height: 8, depth: 8, colour: 2, interlaced: false };

/// A screen with a palette of two colours.
pub(crate) fn gif(width: u16, height: u16) -> Vec<u8> {
    let [w0, w1] = width.to_le_bytes();
    let [h0, h1] = height.to_le_bytes();
    [&b"GIF89a"[..], &[w0, w1, h0, h1, 0x80, 0, 0, 0, 0, 0, 255, 255, 255]].concat()
}

/// A frame, of which this is the data: its first byte, the size of codes, and blocks.
pub(crate) fn gif_frame(width: u16, height: u16, data: &[u8]) -> Vec<u8> {
    let [w0, w1] = width.to_le_bytes();
    let [h0, h1] = height.to_le_bytes();
    let mut frame = vec![0x2c, 0, 0, 0, 0, w0, w1, h0, h1, 0, 2];
    for block in data.chunks(255) {
        frame.push(block.len() as u8);
        frame.extend_from_slice(block);
    }
    frame.push(0);
    frame
}

/// LZW codes of `length` zeros in a GIF: each code is the one that is just being defined.
pub(crate) fn gif_zeros(length: u64) -> Vec<u8> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0u32);
    let mut put = |code: u32, width: u32| {
        bits |= code << held;
        held += width;
        while held >= 8 {
            bytes.push(bits as u8);
            bits >>= 8;
            held -= 8;
        }
    };
    let (mut left, mut width) = (length, 3);
    let (mut next, mut run) = (6, 0u64);
    put(4, 3);
    while left > 0 {
        let code = if run == 0 { 0 } else { next };
        let length = (run + 1).min(left);
        put(if length < run + 1 { if length == 1 { 0 } else { 4 + length as u32 } } else { code }, width);
        left -= length;
        if run > 0 {
            next += 1;
        }
        run += 1;
        if next == 1 << width && width < 12 {
            width += 1;
        }
        if next >= 4095 {
            put(4, width);
            (width, next, run) = (3, 6, 0);
        }
    }
    put(5, width);
    put(0, 8);
    bytes
}

/// The header of a bitmap.
pub(crate) struct Bmp {
    pub(crate) width: i32,
    pub(crate) height: i32,
    pub(crate) bits: u16,
    /// 0 none, 1 RLE8, 2 RLE4, 3 masks.
    pub(crate) compression: u32,
    pub(crate) colours: u32,
}

impl Bmp {
    pub(crate) fn file(&self, palette: &[u8], data: &[u8]) -> Vec<u8> {
        let offset = 54 + palette.len() as u32;
        let mut file = b"BM".to_vec();
        for number in [offset + data.len() as u32, 0, offset, 40, self.width as u32, self.height as u32] {
            file.extend_from_slice(&number.to_le_bytes());
        }
        file.extend_from_slice(&[1, 0]);
        file.extend_from_slice(&self.bits.to_le_bytes());
        for number in [self.compression, data.len() as u32, 2835, 2835, self.colours, 0] {
            file.extend_from_slice(&number.to_le_bytes());
        }
        [&file[..], palette, data].concat()
    }
}
