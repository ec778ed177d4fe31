//! The order of preference: which image of a group is the one to keep. Called by [`crate::images`], which sorts a
//! catalog by it.
//!
//! It is a total order that does not depend on ids, except for images that differ in nothing else: ids are in the order
//! in which the threads of an import finished.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

/// An image of a catalog, as its row describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogImage {
    /// Its id.
    pub id: i64,
    /// Bytes of one of its files.
    pub size: i64,
    /// When it was taken, in microseconds; [`UNKNOWN_TIME`] where that is not known.
    pub captured: i64,
    /// The first 64 bits of its checksum, from [`first_word`].
    pub checksum: u64,
    /// The quality score, in hundredths.
    pub quality: i32,
    /// The version of its row: another one later means that the image has changed. It is not compared.
    pub row_version: u32,
    /// Whether its file ends too early.
    pub is_truncated: bool,
    /// Whether its hashes are valid. Others are not there, and the image is not compared.
    pub has_hashes: bool,
}

/// The time of an image whose time is not known: later than all others.
pub const UNKNOWN_TIME: i64 = i64::MAX;

/// The first 64 bits of a checksum; 0 where it is shorter.
pub fn first_word(checksum: &[u8]) -> u64 {
    checksum.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// The sort key of images: the least is the best. Fields are compared in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Preference {
    /// Whole images come first.
    is_truncated: bool,
    /// Then better ones,
    quality: Reverse<i32>,
    /// then older ones,
    captured: i64,
    /// then larger ones,
    size: Reverse<i64>,
    /// then, of equally good ones, that with the smaller checksum.
    checksum: u64,
    id: i64,
}

impl CatalogImage {
    pub(crate) fn preference(&self) -> Preference {
        let CatalogImage { id, size, captured, checksum, quality, is_truncated, .. } = *self;
        Preference { is_truncated, quality: Reverse(quality), captured, size: Reverse(size), checksum, id }
    }
}
