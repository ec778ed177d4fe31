//! What a search finds: pairs of values, in batches.
//!
//! Threads fill batches and pass them to a [`PairSink`]; the calling thread hands them to [`PairResults`].

use crate::context::SearchContext;
use crate::error::SearchError;

/// Two values; within one set the left one is the smaller number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValuePair {
    /// A value of the left set.
    pub left: u32,
    /// A value of the right set, or of the only one.
    pub right: u32,
}

/// Some of the pairs, unordered.
#[derive(Debug)]
pub struct PairBatch {
    /// The pairs.
    pub pairs: Vec<ValuePair>,
    /// The distances of the first pair in each column, then those of the second, …
    pub distances: Vec<u16>,
}

impl PairBatch {
    pub(crate) fn empty() -> Self {
        PairBatch { pairs: Vec::new(), distances: Vec::new() }
    }

    /// The distances of pair `index`, one a column.
    pub fn distances_of(&self, index: usize) -> &[u16] {
        let columns = self.distances.len() / self.pairs.len();
        &self.distances[index * columns..(index + 1) * columns]
    }

    /// Frees it.
    pub fn free(self, context: &SearchContext) {
        context.free(self.pairs);
        context.free(self.distances);
    }
}

/// Receives the threads' results: blocks while the calling thread is behind.
pub type PairSink<'s> = dyn Fn(PairBatch) -> Result<(), SearchError> + Sync + 's;

/// Receives what a search finds, on the calling thread.
pub trait PairResults {
    /// The search begins. What an earlier attempt has found is discarded.
    fn begin(&mut self) -> Result<(), SearchError>;

    /// Takes pairs of values.
    fn take(&mut self, batch: &PairBatch) -> Result<(), SearchError>;
}
