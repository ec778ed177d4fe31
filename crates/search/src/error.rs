//! Why a search ends without its result.

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// More memory would be needed than was granted.
    #[error("the search needs at least {needed} bytes of memory and may use {limit}")]
    OverBudget {
        /// What would be in use together with the allocation that was refused.
        needed: usize,
        /// What may be in use.
        limit: usize,
    },
    /// The system has no more memory.
    #[error("out of memory: {bytes} bytes could not be allocated")]
    OutOfMemory {
        /// The size of the allocation that failed.
        bytes: usize,
    },
    /// More rows than can be numbered.
    #[error("more than {} rows", crate::MAX_ROWS)]
    TooManyRows,
    /// More pairs than wanted.
    #[error("more than {limit} pairs")]
    TooManyPairs {
        /// How many were wanted at most.
        limit: u64,
        /// The hashes to blame: values of a set, most pairs first, with the share of the pairs that each takes part in.
        blame: Vec<Blame>,
    },
    /// [`crate::Context::cancel`] was called.
    #[error("the search was cancelled")]
    Cancelled,
}

/// One value, and the share of the pairs found so far that it takes part in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blame {
    /// Whether it is a value of the right set.
    pub right: bool,
    /// The value's number.
    pub value: u32,
    /// From 0 to 1.
    pub share: f64,
}

impl Eq for Blame {}
