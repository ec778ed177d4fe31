//! What can be wrong with an index.

use thiserror::Error;

/// What is wrong with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Damage {
    /// Nothing but zeros where a page was promised.
    #[error("it holds nothing but zeros")]
    Zero,
    /// Not a page of an index of this kind.
    #[error("it is no page of a hamming index")]
    Foreign,
    /// Written by another version of the format.
    #[error("its format is version {0}, which is not known")]
    Version(u8),
    /// The sum over its contents is another.
    #[error("its contents are not what was written")]
    Sum,
    /// Written for another block.
    #[error("it was written as block {0}")]
    Place(u32),
    /// A kind of page that does not exist.
    #[error("its kind is unknown")]
    Kind,
    /// Free room that is none.
    #[error("its free room is out of bounds")]
    Room,
    /// More entries than a page holds, or fewer than it must.
    #[error("its number of entries is impossible")]
    Count,
    /// Of another kind, band or level than what leads to it.
    #[error("it is not what the page before promised")]
    Unexpected,
    /// Of another owner, though nothing has changed.
    #[error("it belongs to something else")]
    Owner,
    /// A block past the end of the file.
    #[error("it lies past the end of the index")]
    Past,
    /// Keys out of order.
    #[error("its entries are out of order")]
    Order,
    /// Contents of block 0 that cannot be.
    #[error("its lists are impossible")]
    Lists,
}

/// A block of an index that is not what it must be.
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
