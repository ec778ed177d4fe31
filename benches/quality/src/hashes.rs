//! The hashes that lumina computes from a file's bytes, and whether they can be trusted.
//!
//! [`Hashes::trusted`] is the `hash_valid` of `lumina.images`: an image for which it is false is never a duplicate.

use lumina_hash::kernel::distance;
use lumina_photo::hash::make;
use lumina_photo::{Limits, Method, NeverCancels, Orientation, PhotoError, Picture, Recipe, Wanted, decode, metadata};

/// Large limits: the pictures are ours.
pub(crate) const LIMITS: Limits<'static> = Limits { pixels: 1 << 30, memory: 4 << 30, caller: &NeverCancels };

/// The hashes that pair rules use.
const METHODS: [Method; 4] = [Method::Average, Method::Difference, Method::Dct, Method::Pdq];

/// Below this quality PDQ itself declares its hash unreliable.
const LEAST_QUALITY: u8 = 50;

/// The hashes of one image.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hashes {
    /// In the order of [`METHODS`].
    all: Vec<Vec<u8>>,
    quality: u8,
}

/// Decodes a file: its pixels and its orientation. Errors: those of [`decode`].
pub(crate) fn read(bytes: &[u8]) -> Result<(Picture, Orientation), PhotoError> {
    let (format, picture) = decode(bytes, &LIMITS)?;
    Ok((picture, metadata::orientation(bytes, format)))
}

impl Hashes {
    /// The hashes of a file, from its bytes. Errors: those of [`decode`] and [`make`].
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, PhotoError> {
        let (format, picture) = decode(bytes, &LIMITS)?;
        let orientation = metadata::orientation(bytes, format);
        let wanted = Wanted { recipes: METHODS.map(Recipe::standard).to_vec(), sharpness: false };
        let made = make(&picture, orientation, &wanted, format, &LIMITS)?;
        Ok(Hashes { all: made.hashes, quality: made.pdq_quality.unwrap_or_default() })
    }

    /// The hash of a method.
    fn hash(&self, method: Method) -> &[u8] {
        let index = METHODS.iter().position(|&other| other == method).expect("a method that rules speak of");
        &self.all[index]
    }

    /// How many bits of a method's hash differ.
    pub(crate) fn distance(&self, other: &Hashes, method: Method) -> u32 {
        distance(self.hash(method), other.hash(method))
    }

    /// Whether the hashes can be trusted.
    pub(crate) fn trusted(&self) -> bool {
        let level = |hash: &[u8]| hash.iter().all(|&byte| byte == 0) || hash.iter().all(|&byte| byte == u8::MAX);
        self.quality >= LEAST_QUALITY && !level(self.hash(Method::Average)) && !level(self.hash(Method::Difference))
    }

    /// Why they cannot be trusted, for a reader.
    pub(crate) fn why_not(&self) -> String {
        let hash = |method| lumina_hash::hex::to_string(self.hash(method));
        format!("PDQ quality {}, aHash {}, dHash {}", self.quality, hash(Method::Average), hash(Method::Difference))
    }

    /// The distances of all methods, for a reader.
    pub(crate) fn distances(&self, other: &Hashes) -> String {
        METHODS.map(|method| format!("{} {}", method.name(), self.distance(other, method))).join(", ")
    }

    #[cfg(test)]
    pub(crate) fn fake(average: u64, difference: u64, dct: u64, pdq: [u8; 32], quality: u8) -> Self {
        let mut all: Vec<Vec<u8>> = [average, difference, dct].map(|hash| hash.to_be_bytes().to_vec()).to_vec();
        all.push(pdq.to_vec());
        Hashes { all, quality }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_pictures_are_not_trusted() {
        let trusted = |average, difference, quality| Hashes::fake(average, difference, 0, [0; 32], quality).trusted();
        assert!(trusted(1, 1, 50));
        assert!(!trusted(1, 1, 49));
        assert!(!trusted(0, 1, 100) && !trusted(u64::MAX, 1, 100));
        assert!(!trusted(1, 0, 100) && !trusted(1, u64::MAX, 100));
    }
}
