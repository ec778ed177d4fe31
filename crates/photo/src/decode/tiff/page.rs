//! The first page of a file, as its directory describes it: size, strips or tiles, what samples mean.
//!
//! Read from the directory in place: an entry that lies outside of the file does not exist, later pages are not looked
//! at, and lists of strips are not copied.

use super::{damage, unsupported};
use crate::error::PhotoError;
use crate::ifd::{self, ByteOrder, Ifd, IfdEntry, Tiff};
use crate::limits::Limits;

/// Compression by JPEG (TIFF Technical Note 2).
pub(super) const JPEG: u64 = 7;

const BITS: u16 = 258;
const FILL_ORDER: u16 = 266;
const SAMPLES: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const PLANAR: u16 = 284;
const GROUP3_OPTIONS: u16 = 292;
const PREDICTOR: u16 = 317;
const COLOUR_MAP: u16 = 320;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_LENGTHS: u16 = 325;
const SAMPLE_FORMAT: u16 = 339;
const JPEG_TABLES: u16 = 347;
const YCBCR_COEFFICIENTS: u16 = 529;
const YCBCR_SUBSAMPLING: u16 = 530;
const REFERENCE_BLACK_WHITE: u16 = 532;

/// All tags that are read: without one that is there, the others may give another picture.
const READ: [u16; 23] = [
    ifd::WIDTH,
    ifd::HEIGHT,
    BITS,
    ifd::COMPRESSION,
    ifd::PHOTOMETRIC,
    FILL_ORDER,
    ifd::STRIP_OFFSETS,
    SAMPLES,
    ROWS_PER_STRIP,
    ifd::STRIP_LENGTHS,
    PLANAR,
    GROUP3_OPTIONS,
    PREDICTOR,
    COLOUR_MAP,
    TILE_WIDTH,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_LENGTHS,
    SAMPLE_FORMAT,
    JPEG_TABLES,
    YCBCR_COEFFICIENTS,
    YCBCR_SUBSAMPLING,
    REFERENCE_BLACK_WHITE,
];

/// What the samples of a pixel mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    /// `inverted`: the lowest value is white.
    Grey {
        inverted: bool,
    },
    Rgb,
    Palette,
    Cmyk,
    YCbCr,
}

impl Colours {
    /// Samples of a pixel that are read; further ones are alpha or have no meaning.
    pub(super) fn samples(self) -> usize {
        match self {
            Self::Grey { .. } | Self::Palette => 1,
            Self::Rgb | Self::YCbCr => 3,
            Self::Cmyk => 4,
        }
    }
}

/// How a sample is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SampleKind {
    Unsigned,
    Signed,
    Float,
}

/// The description of a page.
pub(super) struct Page<'a> {
    pub(super) order: ByteOrder,
    /// In pixels, at least 1.
    pub(super) width: u32,
    pub(super) height: u32,
    /// Width and height of a strip or tile; a strip is not higher than the page.
    pub(super) chunk_width: u32,
    pub(super) chunk_height: u32,
    pub(super) compression: u64,
    /// FillOrder 2.
    pub(super) reversed: bool,
    /// Group 3 with rows that are coded as differences.
    pub(super) two_dimensional: bool,
    /// 1 none, 2 differences to the pixel to the left, 3 the same of the bytes of floats.
    pub(super) predictor: u64,
    /// Bits of a sample: 1 to 64.
    pub(super) depth: usize,
    pub(super) kind: SampleKind,
    /// Samples of a pixel: at least those of the colours.
    pub(super) samples: usize,
    pub(super) colours: Colours,
    /// Each sample of the pixels has strips or tiles of its own.
    pub(super) planar: bool,
    /// Pixels across and down that share a Cb and a Cr; (1, 1) for all other colours, and in JPEG.
    pub(super) subsampling: (usize, usize),
    pub(super) jpeg_tables: &'a [u8],
    /// Red, green and blue of each index, 16 bits each, all reds first.
    pub(super) colour_map: Option<IfdEntry<'a>>,
    /// Luma of red, green and blue.
    pub(super) luma: [f64; 3],
    /// Black and white of Y, zero and the highest of Cb, the same of Cr.
    pub(super) black_white: [f64; 6],
    bytes: &'a [u8],
    offsets: IfdEntry<'a>,
    lengths: Option<IfdEntry<'a>>,
}

impl<'a> Page<'a> {
    /// Errors: all of [`PhotoError`] that a directory can cause.
    pub(super) fn read(bytes: &'a [u8], limits: &Limits<'_>) -> Result<Self, PhotoError> {
        let file = Tiff::open(bytes).ok_or_else(|| damage("it has no header"))?;
        let directory = file.first().ok_or_else(|| damage("it has no page"))?;
        if directory.is_cut(&READ) {
            return Err(damage("its directory ends early"));
        }
        let number = |tag| directory.number(tag);
        let (width, height) = (side(number(ifd::WIDTH))?, side(number(ifd::HEIGHT))?);
        limits.allow_pixels(width, height)?;

        let compression = number(ifd::COMPRESSION).unwrap_or(1);
        let samples = number(SAMPLES).unwrap_or(1);
        let colours = colours(&directory, compression, samples)?;
        let samples = usize::from(u16::try_from(samples).map_err(|_| damage("its pixels have too many samples"))?);
        if samples < colours.samples() {
            return Err(damage("its pixels have too few samples"));
        }
        let depth = same(&directory, BITS, samples)?.unwrap_or(1);
        let kind = match same(&directory, SAMPLE_FORMAT, samples)? {
            None | Some(1 | 4) => SampleKind::Unsigned,
            Some(2) => SampleKind::Signed,
            Some(3) => SampleKind::Float,
            Some(_) => return Err(unsupported("complex numbers")),
        };
        let known = match kind {
            SampleKind::Float => matches!(depth, 16 | 32 | 64),
            _ => matches!(depth, 1..=32 | 64),
        };
        if !known {
            return Err(unsupported(format!("samples of {depth} bits")));
        }
        if compression == JPEG && depth != 8 || matches!(compression, 2..=4 | 32771) && depth * samples as u64 != 1 {
            return Err(unsupported(format!("compression {compression} of samples of {depth} bits")));
        }

        let planar = samples > 1 && number(PLANAR) == Some(2);
        let subsampling = match colours {
            Colours::YCbCr if compression != JPEG => subsampling(&directory)?,
            _ => (1, 1),
        };
        // Other decompressors have no predictor, whatever the tag says.
        let predictor = if matches!(compression, 5 | 8 | 32946) { number(PREDICTOR).unwrap_or(1) } else { 1 };
        let predicted = match predictor {
            1 => true,
            2 => matches!(depth, 8 | 16 | 32 | 64),
            3 => kind == SampleKind::Float,
            _ => false,
        };
        if !predicted || subsampling != (1, 1) && (predictor != 1 || planar || depth != 8) {
            return Err(unsupported(format!("predictor {predictor} for samples of {depth} bits")));
        }

        let tiled = number(TILE_WIDTH).is_some();
        let (chunk_width, chunk_height) = if tiled {
            (side(number(TILE_WIDTH))?, side(number(TILE_HEIGHT))?)
        } else {
            let rows = number(ROWS_PER_STRIP).filter(|&rows| rows > 0).unwrap_or(u64::MAX);
            (width, rows.min(height.into()) as u32)
        };
        let either = |first, second| directory.find(first).or_else(|| directory.find(second));
        let (offsets, lengths) = if tiled {
            (either(TILE_OFFSETS, ifd::STRIP_OFFSETS), either(TILE_LENGTHS, ifd::STRIP_LENGTHS))
        } else {
            (directory.find(ifd::STRIP_OFFSETS), directory.find(ifd::STRIP_LENGTHS))
        };
        Ok(Page {
            // The predictor of floats leaves the most significant byte first.
            order: if predictor == 3 { ByteOrder::Big } else { file.order() },
            width,
            height,
            chunk_width,
            chunk_height,
            compression,
            reversed: number(FILL_ORDER) == Some(2),
            two_dimensional: number(GROUP3_OPTIONS).is_some_and(|options| options % 2 == 1),
            predictor,
            depth: depth as usize,
            kind,
            samples,
            colours,
            planar,
            subsampling,
            jpeg_tables: directory.find(JPEG_TABLES).map_or(&[], |tables| tables.value),
            colour_map: directory.find(COLOUR_MAP),
            luma: rationals(&directory, YCBCR_COEFFICIENTS).unwrap_or([0.299, 0.587, 0.114]),
            black_white: rationals(&directory, REFERENCE_BLACK_WHITE)
                .unwrap_or([0.0, 255.0, 128.0, 255.0, 128.0, 255.0]),
            bytes,
            offsets: offsets.ok_or_else(|| damage("it has no strips"))?,
            lengths,
        })
    }

    /// Samples of a pixel that lie together.
    pub(super) fn samples_each(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Planes that are read.
    pub(super) fn planes(&self) -> usize {
        if self.planar { self.colours.samples() } else { 1 }
    }

    /// Bytes of a row of a strip or tile; with subsampled colours, of as many rows as share them.
    pub(super) fn row_bytes(&self) -> u64 {
        let (across, down) = (self.subsampling.0 as u64, self.subsampling.1 as u64);
        let width = u64::from(self.chunk_width);
        if (across, down) != (1, 1) {
            return width.div_ceil(across) * (across * down + 2);
        }
        (width * self.samples_each() as u64 * self.depth as u64).div_ceil(8)
    }

    /// The stored bytes of a strip or tile. Errors: [`PhotoError::Damaged`].
    pub(super) fn stored(&self, chunk: usize) -> Result<&'a [u8], PhotoError> {
        let outside = || damage("a strip lies outside of the file");
        let offset = self.offsets.nth(chunk).and_then(|offset| usize::try_from(offset).ok()).ok_or_else(outside)?;
        let rest = self.bytes.get(offset..).filter(|rest| !rest.is_empty()).ok_or_else(outside)?;
        // Without compression the length is known; others need none to find their end.
        let length = self.lengths.and_then(|lengths| lengths.nth(chunk)).filter(|&length| length > 0);
        match length.and_then(|length| usize::try_from(length).ok()) {
            Some(length) if self.compression != 1 => Ok(&rest[..length.min(rest.len())]),
            _ => Ok(rest),
        }
    }
}

/// A width or height.
fn side(number: Option<u64>) -> Result<u32, PhotoError> {
    let side = number.and_then(|number| u32::try_from(number).ok());
    side.filter(|&side| side > 0).ok_or_else(|| damage("it has no width or no height"))
}

/// A number that all samples have in common.
fn same(directory: &Ifd<'_>, tag: u16, samples: usize) -> Result<Option<u64>, PhotoError> {
    let Some(entry) = directory.find(tag) else { return Ok(None) };
    let mut numbers = entry.numbers().take(samples);
    let first = numbers.next();
    match numbers.find(|&number| Some(number) != first) {
        Some(_) => Err(unsupported("samples that are not alike")),
        None => Ok(first),
    }
}

fn colours(directory: &Ifd<'_>, compression: u64, samples: u64) -> Result<Colours, PhotoError> {
    let fax = matches!(compression, 2..=4 | 32771);
    match directory.number(ifd::PHOTOMETRIC) {
        Some(0) => Ok(Colours::Grey { inverted: true }),
        Some(1) => Ok(Colours::Grey { inverted: false }),
        Some(2) => Ok(Colours::Rgb),
        Some(3) => Ok(Colours::Palette),
        Some(5) => Ok(Colours::Cmyk),
        Some(6) => Ok(Colours::YCbCr),
        Some(other) => Err(unsupported(format!("photometric interpretation {other}"))),
        // As libtiff guesses.
        None if samples == 3 => Ok(Colours::Rgb),
        None => Ok(Colours::Grey { inverted: fax }),
    }
}

/// YCbCrSubSampling, which is (2, 2) where it is missing.
fn subsampling(directory: &Ifd<'_>) -> Result<(usize, usize), PhotoError> {
    let mut factors = [2; 2];
    if let Some(entry) = directory.find(YCBCR_SUBSAMPLING) {
        for (factor, number) in factors.iter_mut().zip(entry.numbers()) {
            *factor = match number {
                1 | 2 | 4 => number as usize,
                _ => return Err(damage("its colours are sampled in an impossible way")),
            };
        }
    }
    Ok((factors[0], factors[1]))
}

fn rationals<const COUNT: usize>(directory: &Ifd<'_>, tag: u16) -> Option<[f64; COUNT]> {
    let mut numbers = [0.0; COUNT];
    let mut found = directory.find(tag)?.rationals();
    for number in &mut numbers {
        *number = found.next().filter(|number| number.is_finite())?;
    }
    Some(numbers)
}
