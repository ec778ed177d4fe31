//! The buffers of a thread of the join, and how large they are: the plan counts their memory.

use crate::batch::{PairBatch, ValuePair};
use crate::context::SearchContext;
use crate::error::SearchError;
use lumina_hash::kernel::RowPair;
use std::sync::{Mutex, PoisonError};

/// Rows of a block: two of them, in planes of a word, fit the first-level cache.
pub(crate) const TILE: usize = 2048;
/// Pairs in a batch.
const BATCH: usize = 2048;

/// The bytes that the threads of a search fill and have in transit. Counts those of the current thread pool.
pub(crate) fn memory(columns: usize) -> usize {
    let batch = BATCH * (size_of::<ValuePair>() + columns * size_of::<u16>());
    // One being filled, one in transit, and one that the calling thread reads.
    rayon::current_num_threads() * (2 * TILE * size_of::<RowPair>() + 2 * batch) + batch
}

/// A thread's buffers. A batch that is not full yet is passed on to the next piece of work, since waking the calling
/// thread for each of them would cost more than the work.
pub(crate) struct ThreadBuffers {
    /// What the kernel has found: room for twice [`TILE`].
    pub(crate) hits: Vec<RowPair>,
    /// The pairs found.
    pub(crate) batch: PairBatch,
}

/// Buffers that are not in use.
#[derive(Default)]
pub(crate) struct SpareBuffers(Mutex<Vec<ThreadBuffers>>);

impl SpareBuffers {
    /// Spare buffers, or new ones where there are none.
    pub(crate) fn take(&self, context: &SearchContext) -> Result<ThreadBuffers, SearchError> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match spare {
            Some(buffers) => Ok(buffers),
            None => Ok(ThreadBuffers { hits: context.vec(2 * TILE)?, batch: PairBatch::empty() }),
        }
    }

    /// Returns buffers.
    pub(crate) fn put(&self, buffers: ThreadBuffers) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffers);
    }

    /// All of them, at the end of the search.
    pub(crate) fn into_all(self) -> Vec<ThreadBuffers> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ThreadBuffers {
    /// The batch, in whose place is none.
    pub(crate) fn take_batch(&mut self) -> PairBatch {
        std::mem::replace(&mut self.batch, PairBatch::empty())
    }

    /// Makes room for a batch of pairs of `columns` columns.
    pub(crate) fn begin_batch(&mut self, columns: usize, context: &SearchContext) -> Result<(), SearchError> {
        self.batch.pairs = context.vec(BATCH)?;
        self.batch.distances = context.vec(BATCH * columns)?;
        Ok(())
    }
}
