//! Perceptual hashes, all from one pass over the picture.
//!
//! - [`basic`]: aHash and dHash, and the medians that others need.
//! - [`dct`]: the DCT hash.
//! - [`wavelet`]: the Haar wavelet hash.
//! - [`pdq`]: Meta's PDQ.
//! - [`classic`]: the median hash and the block hash of the crate image_hasher.
//! - [`forms`]: hashes of turned and mirrored pictures, from the hash of one.
//!
//! aHash, dHash, DCT hash and wavelet hash have the bits of Python's imagehash 4.3.2 on the same pixels, PDQ those of
//! pdqhash 0.2.8, median and block hash those of image_hasher 3.1: columns filled by those can be compared with ours.
//! The first bit of a hash is its most significant one, as these libraries print it.

mod basic;
mod classic;
mod dct;
mod forms;
pub(crate) mod pdq;
mod wavelet;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests;

use crate::error::PhotoError;
use crate::format::Format;
use crate::lanczos::Resize;
use crate::limits::Limits;
use crate::orientation::Orientation;
use crate::picture::Picture;
use crate::sharpness::{self, Sharpness};
use crate::strip::{OrientedView, ROWS, StripBuffers};
use classic::{BlockHash, Median};
pub use forms::{NoForms, forms};
use pdq::Pdq;
use wavelet::Wavelet;

/// A hash algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// Brighter than the mean (imagehash's `average_hash`).
    Average,
    /// Brighter than the left neighbour (imagehash's `dhash`).
    Difference,
    /// Low frequencies above their median (imagehash's `phash`).
    Dct,
    /// Low frequencies of a Haar wavelet above their median (imagehash's `whash`).
    Wavelet,
    /// At least as bright as the median (image_hasher's `Median`).
    Median,
    /// Blocks brighter than the median of their band (image_hasher's `Blockhash`).
    Block,
    /// PDQ, of 256 bits.
    Pdq,
}

impl Method {
    /// All methods, in the order in which users see them.
    pub const ALL: [Method; 7] =
        [Self::Average, Self::Difference, Self::Dct, Self::Wavelet, Self::Median, Self::Block, Self::Pdq];

    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Average => "ahash",
            Self::Difference => "dhash",
            Self::Dct => "dct",
            Self::Wavelet => "whash",
            Self::Median => "median",
            Self::Block => "block",
            Self::Pdq => "pdq",
        }
    }

    /// The method of a name; `phash`, as imagehash calls it, is [`Method::Dct`].
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "phash" {
            return Some(Self::Dct);
        }
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

/// A method and a size: the hash has `size * size` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recipe {
    method: Method,
    size: usize,
}

/// Why there is no such hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Not a multiple of 4 between 4 and 64.
    #[error("no {} has the size {size}", method.name())]
    Size {
        /// The method.
        method: Method,
        /// The requested size.
        size: i32,
    },
    /// Not a power of 2.
    #[error("no {} has the size {size}, which is not a power of 2", method.name())]
    PowerOfTwo {
        /// The method.
        method: Method,
        /// The requested size.
        size: i32,
    },
}

impl Recipe {
    /// 8, but for PDQ, whose only size is 16.
    pub const fn standard(method: Method) -> Self {
        Recipe { method, size: if matches!(method, Method::Pdq) { pdq::SIZE } else { 8 } }
    }

    /// A hash of `size * size` bits: `size` is 4, 8, 12, ... 64, and for wavelet hashes a power of 2. PDQ has one size,
    /// so the default, 8, is accepted for it too.
    pub fn new(method: Method, size: i32) -> Result<Self, SizeError> {
        let wanted = usize::try_from(size).ok().filter(|size| (4..=64).contains(size) && size % 4 == 0);
        let error = SizeError::Size { method, size };
        match (method, wanted) {
            (Method::Pdq, Some(8 | pdq::SIZE)) => Ok(Self::standard(method)),
            (Method::Pdq, _) | (_, None) => Err(error),
            (Method::Wavelet, Some(wanted)) if !wanted.is_power_of_two() => Err(SizeError::PowerOfTwo { method, size }),
            (_, Some(size)) => Ok(Recipe { method, size }),
        }
    }

    /// Its method.
    pub fn method(self) -> Method {
        self.method
    }

    /// The width of the hash in bits.
    pub fn bits(self) -> usize {
        self.size * self.size
    }
}

/// A hash, as bytes: the first bit is the most significant bit of the first byte.
pub type Hash = Vec<u8>;

/// The hashes to make of a picture.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The hashes.
    pub recipes: Vec<Recipe>,
    /// Whether its sharpness is wanted too.
    pub sharpness: bool,
}

/// The results.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Made {
    /// One hash per recipe, in their order.
    pub hashes: Vec<Hash>,
    /// PDQ's own measure of the reliability of its hash: 0 to 100; below 50 it is unreliable.
    pub pdq_quality: Option<u8>,
    /// The variance of the Laplacian, at a fixed size: see [`sharpness`].
    pub sharpness: Option<f64>,
}

/// A hash in progress.
enum Maker {
    Resized(Recipe, Resize),
    Wavelet(Wavelet),
    Median(Median),
    Block(BlockHash),
    Pdq(Box<Pdq>),
    Sharpness(Sharpness),
}

/// Makes all that is wanted, from the picture in its orientation.
///
/// Errors: [`PhotoError::Memory`], [`PhotoError::OutOfMemory`], [`PhotoError::Cancelled`].
pub fn make(
    picture: &Picture,
    orientation: Orientation,
    wanted: &Wanted,
    format: Format,
    limits: &Limits<'_>,
) -> Result<Made, PhotoError> {
    let view = OrientedView::new(picture, orientation);
    let size = (view.width, view.height);
    let needed: usize = wanted.recipes.iter().map(|recipe| memory(*recipe, size)).sum();
    let beside = StripBuffers::memory(view.width) + usize::from(wanted.sharpness) * sharpness::memory(size);
    limits.allow_memory(format, (picture.pixels.samples().len() + needed + beside) as u64)?;

    let mut makers: Vec<Maker> = wanted.recipes.iter().map(|recipe| maker(*recipe, size, view.channels)).collect();
    if wanted.sharpness {
        makers.push(Maker::Sharpness(Sharpness::new(size)));
    }
    let mut buffers = StripBuffers::new(&view);
    for y in (0..view.height).step_by(ROWS) {
        limits.check()?;
        let strip = buffers.strip(&view, y);
        for maker in &mut makers {
            match maker {
                Maker::Resized(_, resize) => resize.take(&strip),
                Maker::Wavelet(wavelet) => wavelet.take(&strip),
                Maker::Median(median) => median.take(&strip),
                Maker::Block(block) => block.take(&strip),
                Maker::Pdq(pdq) => pdq.take(&strip),
                Maker::Sharpness(sharpness) => sharpness.take(&strip),
            }
        }
    }
    let mut made = Made::default();
    for maker in makers {
        limits.check()?;
        match maker {
            Maker::Resized(recipe, resize) => {
                let pixels = resize.into_pixels();
                made.hashes.push(match recipe.method {
                    Method::Average => basic::average(&pixels),
                    Method::Difference => basic::difference(&pixels, recipe.size),
                    _ => dct::hash(&pixels, recipe.size),
                });
            }
            Maker::Wavelet(wavelet) => made.hashes.push(wavelet.hash(limits)?),
            Maker::Median(median) => made.hashes.push(median.hash()),
            Maker::Block(block) => made.hashes.push(block.hash()),
            Maker::Pdq(pdq) => {
                let found = pdq.finish();
                made.pdq_quality = Some(found.quality());
                made.hashes.push(found.hash(Orientation::Upright));
            }
            Maker::Sharpness(sharpness) => made.sharpness = Some(sharpness.variance()),
        }
    }
    Ok(made)
}

/// The hash of each of the eight forms of a picture, relative to its orientation, in the order of [`Orientation::ALL`].
///
/// PDQ's come from one transform, as in its reference; for the other methods each form is hashed separately. Errors: as
/// [`make`].
pub fn dihedral(
    picture: &Picture,
    orientation: Orientation,
    recipe: Recipe,
    format: Format,
    limits: &Limits<'_>,
) -> Result<Vec<Hash>, PhotoError> {
    if recipe.method == Method::Pdq {
        let view = OrientedView::new(picture, orientation);
        let size = (view.width, view.height);
        let needed = picture.pixels.samples().len() + memory(recipe, size) + StripBuffers::memory(view.width);
        limits.allow_memory(format, needed as u64)?;
        let mut pdq = Pdq::new(size, view.channels).always_filtered();
        let mut buffers = StripBuffers::new(&view);
        for y in (0..view.height).step_by(ROWS) {
            limits.check()?;
            pdq.take(&buffers.strip(&view, y));
        }
        let found = pdq.finish();
        return Ok(Orientation::ALL.map(|form| found.hash(form)).to_vec());
    }
    let wanted = Wanted { recipes: vec![recipe], sharpness: false };
    let each = |form: Orientation| {
        let made = make(picture, orientation.then(form), &wanted, format, limits)?;
        Ok(made.hashes.into_iter().next().unwrap_or_default())
    };
    Orientation::ALL.into_iter().map(each).collect()
}

fn target(recipe: Recipe) -> (usize, usize) {
    let size = recipe.size;
    match recipe.method {
        Method::Difference => (size + 1, size),
        Method::Dct => (dct::OVERSAMPLING * size, dct::OVERSAMPLING * size),
        _ => (size, size),
    }
}

fn memory(recipe: Recipe, size: (usize, usize)) -> usize {
    match recipe.method {
        Method::Average | Method::Difference | Method::Dct => Resize::memory(size, target(recipe)),
        Method::Wavelet => Wavelet::memory(size, recipe.size),
        Method::Median => Median::memory(size, recipe.size),
        Method::Block => BlockHash::memory(size, recipe.size),
        Method::Pdq => Pdq::memory(size),
    }
}

fn maker(recipe: Recipe, size: (usize, usize), channels: usize) -> Maker {
    match recipe.method {
        Method::Average | Method::Difference | Method::Dct => Maker::Resized(recipe, Resize::new(size, target(recipe))),
        Method::Wavelet => Maker::Wavelet(Wavelet::new(size, recipe.size)),
        Method::Median => Maker::Median(Median::new(size, recipe.size)),
        Method::Block => Maker::Block(BlockHash::new(size, recipe.size, channels)),
        Method::Pdq => Maker::Pdq(Box::new(Pdq::new(size, channels))),
    }
}

/// Packs bits, the first one as the most significant.
fn pack(bits: impl Iterator<Item = bool>) -> Hash {
    let mut hash = Hash::new();
    for (index, bit) in bits.enumerate() {
        if index % 8 == 0 {
            hash.push(0);
        }
        if let Some(last) = hash.last_mut() {
            *last |= u8::from(bit) << (7 - index % 8);
        }
    }
    hash
}
