//! The resources of a running search, and its cancellation.
//!
//! Everything whose size depends on data is allocated here: counted against the granted memory and allocated fallibly,
//! since a failed allocation elsewhere would end the process.

use crate::error::SearchError;
use rayon::slice::ParallelSliceMut;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// Shared by the threads of one search.
#[derive(Debug)]
pub struct SearchContext {
    limit: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
    cancelled: AtomicBool,
}

impl SearchContext {
    /// A search that may use `limit` bytes.
    pub fn new(limit: usize) -> Self {
        SearchContext { limit, used: AtomicUsize::new(0), peak: AtomicUsize::new(0), cancelled: AtomicBool::new(false) }
    }

    /// Cancels the search; its threads end within milliseconds.
    pub fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    /// An error once the search is cancelled.
    #[inline]
    pub fn check(&self) -> Result<(), SearchError> {
        if self.cancelled.load(Relaxed) { Err(SearchError::Cancelled) } else { Ok(()) }
    }

    /// Bytes granted.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// The most bytes that were in use at once.
    pub fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    /// Counts `bytes` that are about to be allocated.
    pub fn take(&self, bytes: usize) -> Result<(), SearchError> {
        let needed = self.used.fetch_add(bytes, Relaxed).saturating_add(bytes);
        if needed > self.limit {
            self.used.fetch_sub(bytes, Relaxed);
            return Err(SearchError::OverBudget { needed, limit: self.limit });
        }
        self.peak.fetch_max(needed, Relaxed);
        Ok(())
    }

    /// Counts `bytes` that were freed.
    pub fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }

    /// An empty vector with room for `capacity` elements, to be freed by [`SearchContext::free`].
    pub fn vec<T>(&self, capacity: usize) -> Result<Vec<T>, SearchError> {
        let mut vec = Vec::new();
        self.grow(&mut vec, capacity)?;
        Ok(vec)
    }

    /// A vector of `length` equal elements.
    pub fn filled<T: Copy>(&self, length: usize, value: T) -> Result<Vec<T>, SearchError> {
        let mut vec = self.vec(length)?;
        vec.resize(length, value);
        Ok(vec)
    }

    /// Reserves room in `vec` for `more` elements than it has.
    pub fn grow<T>(&self, vec: &mut Vec<T>, more: usize) -> Result<(), SearchError> {
        let before = vec.capacity();
        let wanted = vec.len().saturating_add(more);
        if wanted <= before {
            return Ok(());
        }
        let bytes = (wanted - before).saturating_mul(size_of::<T>());
        self.take(bytes)?;
        if vec.try_reserve_exact(more).is_err() {
            self.release(bytes);
            return Err(SearchError::OutOfMemory { bytes: wanted.saturating_mul(size_of::<T>()) });
        }
        // The allocator may round up: count what is later freed.
        self.used.fetch_add((vec.capacity() - wanted) * size_of::<T>(), Relaxed);
        Ok(())
    }

    /// Appends to a vector that grows by half.
    #[inline]
    pub fn push<T>(&self, vec: &mut Vec<T>, value: T) -> Result<(), SearchError> {
        if vec.len() == vec.capacity() {
            self.grow(vec, (vec.len() / 2).max(1024))?;
        }
        vec.push(value);
        Ok(())
    }

    /// Runs `step` for each number of a range, with regular cancel checks.
    #[inline]
    pub fn each(&self, range: Range<usize>, mut step: impl FnMut(usize)) -> Result<(), SearchError> {
        const STEPS: usize = 1 << 20;
        for start in range.clone().step_by(STEPS) {
            self.check()?;
            for at in start..range.end.min(start + STEPS) {
                step(at);
            }
        }
        Ok(())
    }

    /// Sorts on the current thread pool.
    pub fn sort<T: Send>(
        &self,
        items: &mut [T],
        compare: impl Fn(&T, &T) -> Ordering + Sync,
    ) -> Result<(), SearchError> {
        // Once the search is cancelled, all elements compare equal: then any sort ends soon.
        let wanted = || !self.cancelled.load(Relaxed);
        items.par_sort_unstable_by(|a, b| if wanted() { compare(a, b) } else { Ordering::Equal });
        self.check()
    }

    /// Frees a vector.
    pub fn free<T>(&self, vec: Vec<T>) {
        self.release(vec.capacity() * size_of::<T>());
    }
}
