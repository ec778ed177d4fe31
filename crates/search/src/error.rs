//! Why a search ends without its result.

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// The search needs more memory than was granted.
    #[error("the search needs at least {needed} bytes of memory and may use {limit}")]
    OverBudget {
        /// Bytes in use, including the refused allocation.
        needed: usize,
        /// The granted bytes.
        limit: usize,
    },
    /// The system has no more memory.
    #[error("out of memory: {bytes} bytes could not be allocated")]
    OutOfMemory {
        /// The size of the allocation that failed.
        bytes: usize,
    },
    /// More rows than can be numbered.
    #[error("more than {limit} rows")]
    TooManyRows {
        /// [`crate::MAX_ROWS`].
        limit: usize,
    },
    /// More pairs than the limit.
    #[error("more than {limit} pairs")]
    TooManyPairs {
        /// The limit.
        limit: u64,
        /// The values with most pairs, most pairs first.
        most_pairs: Vec<ValueShare>,
    },
    /// [`crate::SearchContext::cancel`] was called.
    #[error("the search was cancelled")]
    Cancelled,
}

/// A value, and the share of the pairs found so far that it takes part in.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueShare {
    /// Its hashes, one a column.
    pub hashes: Vec<Vec<u8>>,
    /// From 0 to 1.
    pub share: f64,
}

impl Eq for ValueShare {}
