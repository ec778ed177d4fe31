//! Corruption of an index.

use thiserror::Error;

/// What is wrong with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Damage {
    /// A zero page where a page of the index must be.
    #[error("it holds nothing but zeros")]
    Zero,
    /// No page of an index of this kind.
    #[error("it is no page of a hamming index")]
    Foreign,
    /// Written by another version of the format.
    #[error("its format is version {0}, which is not known")]
    Version(u8),
    /// The checksum does not match.
    #[error("its contents are not what was written")]
    Checksum,
    /// Written for another block.
    #[error("it was written as block {0}")]
    Place(u32),
    /// A kind of page that does not exist.
    #[error("its kind is unknown")]
    Kind,
    /// Impossible bounds of the free space.
    #[error("its free room is out of bounds")]
    Room,
    /// More entries than a page can hold, or fewer than it must.
    #[error("its number of entries is impossible")]
    Count,
    /// Another kind, band or level than expected.
    #[error("it is not what the page before promised")]
    Unexpected,
    /// Another owner, though block 0 has not changed.
    #[error("it belongs to something else")]
    Owner,
    /// A block past the end of the file.
    #[error("it lies past the end of the index")]
    PastEnd,
    /// Keys out of order.
    #[error("its entries are out of order")]
    Order,
    /// Impossible contents of block 0.
    #[error("its lists are impossible")]
    Lists,
}

/// A corrupted block of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("block {block}: {damage}")]
pub struct Corrupted {
    /// The block.
    pub block: u32,
    /// What is wrong with it.
    pub damage: Damage,
}

impl Corrupted {
    pub(crate) fn new(block: u32, damage: Damage) -> Self {
        Corrupted { block, damage }
    }
}
