//! A view of an index by one copy of block 0: reads pages, and walks the trees of a run.
//!
//! The copy of block 0 can be out of date a moment later. A page that has been reused by then has another generation,
//! so its reader learns that it has *moved*, and restarts from block 0. That happens only on a standby; on the primary,
//! no page is reused that a scan may still be led to (see [`crate::meta`]).

use crate::entries::{Children, Entries, FENCE_CAPACITY};
use crate::error::{Corrupted, Damage};
use crate::layout::Layout;
use crate::meta::{Meta, RunRef};
use crate::page::{Page, PageKind, Trailer};
use crate::run::{Root, read_roots};
use crate::store::{Store, reserve};
use std::ops::Range;

/// Why a page was not read as expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// The page at this block no longer belongs to the expected generation.
    Moved { block: u32, generation: u64 },
    /// A page is corrupted.
    Corrupted(Corrupted),
}

impl From<Corrupted> for ReadError {
    fn from(corrupted: Corrupted) -> Self {
        ReadError::Corrupted(corrupted)
    }
}

impl ReadError {
    /// For callers that hold the lock of the runs, where nothing can have moved.
    pub(crate) fn into_corrupted(self) -> Corrupted {
        match self {
            ReadError::Moved { block, .. } => Corrupted::new(block, Damage::Owner),
            ReadError::Corrupted(corrupted) => corrupted,
        }
    }

    /// For callers without locks: success if the page has moved, and the walk must restart. The pages of a listed
    /// generation have not moved, because they are in place from before it is listed until after it no longer is.
    pub(crate) fn retry_if_moved(self, store: &impl Store) -> Result<(), Corrupted> {
        match self {
            ReadError::Moved { generation, .. } if !Meta::load(store)?.is_listed(generation) => Ok(()),
            error => Err(error.into_corrupted()),
        }
    }
}

/// What a page is expected to be.
#[derive(Clone, Copy)]
pub(crate) struct ExpectedPage {
    pub(crate) generation: u64,
    pub(crate) kind: PageKind,
    pub(crate) band: u8,
    pub(crate) level: u8,
}

/// Keys from the first to the last, inclusive.
pub(crate) type KeyRange = (u64, u64);

/// Block 0 and the length of the file, at one moment.
pub(crate) struct IndexView<'s, S: Store> {
    pub(crate) store: &'s S,
    pub(crate) meta: Meta,
    blocks: u32,
    /// Whether to verify checksums that the store knows to be right.
    with_all_checksums: bool,
}

impl<'s, S: Store> IndexView<'s, S> {
    /// Skips the checksums that the store knows to be right.
    pub(crate) fn new(store: &'s S) -> Result<Self, Corrupted> {
        IndexView::of(store, Meta::load(store)?, false)
    }

    /// Verifies the checksum of every page, block 0 included, whatever the store knows of it.
    pub(crate) fn verifying(store: &'s S) -> Result<Self, Corrupted> {
        IndexView::of(store, Meta::load_verifying(store)?, true)
    }

    fn of(store: &'s S, meta: Meta, with_all_checksums: bool) -> Result<Self, Corrupted> {
        // Every block that this copy of block 0 leads to exists by now.
        Ok(IndexView { store, meta, blocks: store.blocks(), with_all_checksums })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.meta.layout
    }

    /// Checks that an expected block is within the file.
    pub(crate) fn exists(&self, block: u32) -> Result<(), Corrupted> {
        if block < self.blocks { Ok(()) } else { Err(Corrupted::new(block, Damage::PastEnd)) }
    }

    /// Prefetches a page, if it exists.
    pub(crate) fn prefetch(&self, block: u32) {
        if self.exists(block).is_ok() {
            self.store.prefetch(block);
        }
    }

    /// Reads a page that must be as expected.
    pub(crate) fn page<R>(
        &self,
        block: u32,
        expected: ExpectedPage,
        look: impl FnOnce(&Page, Trailer) -> Result<R, Corrupted>,
    ) -> Result<R, ReadError> {
        self.exists(block)?;
        self.store.read_verified(block, |page, is_verified| {
            let trailer = page.examine(block, self.with_all_checksums || !is_verified)?;
            if trailer.generation != expected.generation {
                return Err(ReadError::Moved { block, generation: expected.generation });
            }
            if (trailer.kind, trailer.band, trailer.level) != (expected.kind, expected.band, expected.level) {
                return Err(Corrupted::new(block, Damage::Unexpected).into());
            }
            Ok(look(page, trailer)?)
        })
    }

    /// The entries of a staging page.
    pub(crate) fn staging<R>(
        &self,
        (block, kind): (u32, PageKind),
        generation: u64,
        look: impl FnOnce(Entries<'_>) -> R,
    ) -> Result<R, ReadError> {
        let expected = ExpectedPage { generation, kind, band: 0, level: 0 };
        let words = self.layout().words();
        self.page(block, expected, |page, trailer| Ok(look(Entries::staging(page, block, trailer, words)?)))
    }

    /// The roots of a run.
    pub(crate) fn roots(&self, run: &RunRef) -> Result<Vec<Root>, ReadError> {
        let expected = ExpectedPage { generation: run.generation, kind: PageKind::Run, band: 0, level: 0 };
        self.page(run.block, expected, |page, trailer| read_roots(page, run.block, trailer.count, self.layout()))
    }

    /// The expectation for a page of a tree.
    fn expected(run: &RunRef, band: usize, level: u8) -> ExpectedPage {
        let kind = if level == 0 { PageKind::Leaf } else { PageKind::Fence };
        ExpectedPage { generation: run.generation, kind, band: band as u8, level }
    }

    /// Reads a leaf.
    pub(crate) fn leaf<R>(
        &self,
        run: &RunRef,
        band: usize,
        block: u32,
        look: impl FnOnce(Entries<'_>) -> Result<R, Corrupted>,
    ) -> Result<R, ReadError> {
        let shape = self.layout().shape(band);
        self.page(block, Self::expected(run, band, 0), |page, trailer| {
            look(Entries::leaf(page, block, trailer, shape)?)
        })
    }

    /// Reads a fence.
    pub(crate) fn fence<R>(
        &self,
        run: &RunRef,
        band: usize,
        level: u8,
        block: u32,
        look: impl FnOnce(Children<'_>) -> R,
    ) -> Result<R, ReadError> {
        self.page(block, Self::expected(run, band, level), |page, trailer| {
            Ok(look(Children::of(page, block, trailer)?))
        })
    }

    /// Passes on the entries of a leaf whose keys are in one of the ranges that led to it, range by range.
    pub(crate) fn entries_in_ranges(
        &self,
        run: &RunRef,
        band: usize,
        (block, part): (u32, Range<usize>),
        ranges: &[KeyRange],
        mut look: impl FnMut(Entries<'_>, Range<usize>),
    ) -> Result<(), ReadError> {
        self.leaf(run, band, block, |entries| {
            let mut from = 0;
            for (first, last) in &ranges[part] {
                from = entries.lower_bound(from, *first);
                let mut end = from;
                while end < entries.len() && entries.key(end) <= *last {
                    end += 1;
                }
                if end > from {
                    look(entries, from..end);
                    from = end;
                }
            }
            Ok(())
        })
    }
}

/// The most pages that are prefetched between two reads: each may take a while if the disk's queue is full.
const MAX_PREFETCHED_AT_ONCE: usize = 32;

/// The leaves of a band that ranges of keys lead to, in order.
///
/// Each page that leads to any of them is read once, and level by level: so the next reads are known long in advance.
pub(crate) struct ProbeWalk<'r> {
    /// Ascending and disjoint.
    ranges: &'r [KeyRange],
    level: u8,
    /// The pages of the current level, each with the ranges that lead there.
    pages: Vec<(u32, Range<usize>)>,
    /// How many of them were returned, and how many were prefetched.
    returned: usize,
    prefetched: usize,
}

impl<'r> ProbeWalk<'r> {
    pub(crate) fn of(root: Root, ranges: &'r [KeyRange]) -> Self {
        ProbeWalk { ranges, level: root.level, pages: vec![(root.block, 0..ranges.len())], returned: 0, prefetched: 1 }
    }

    /// The next leaf, and the ranges that lead there.
    pub(crate) fn next<S: Store>(
        &mut self,
        view: &IndexView<'_, S>,
        run: &RunRef,
        band: usize,
    ) -> Result<Option<(u32, Range<usize>)>, ReadError> {
        while self.level > 0 {
            let mut below = Vec::new();
            while let Some((block, part)) = self.next_page(view) {
                reserve(view.store, &mut below, FENCE_CAPACITY);
                view.fence(run, band, self.level, block, |children| {
                    children_in_ranges(children, &self.ranges[part.clone()], |block, inner| {
                        below.push((block, part.start + inner.start..part.start + inner.end));
                    });
                })?;
                // Each page occurs once in a tree.
                if below.len() > view.blocks as usize {
                    return Err(Corrupted::new(block, Damage::Order).into());
                }
                view.store.check_for_interrupts();
            }
            (self.level, self.pages, self.returned, self.prefetched) = (self.level - 1, below, 0, 0);
        }
        Ok(self.next_page(view))
    }

    /// The next page of the level; prefetches the ones after it.
    fn next_page<S: Store>(&mut self, view: &IndexView<'_, S>) -> Option<(u32, Range<usize>)> {
        let next = self.pages.get(self.returned)?.clone();
        self.returned += 1;
        self.prefetched = self.prefetched.max(self.returned);
        let ahead = (self.returned + view.store.read_ahead())
            .min(self.prefetched + MAX_PREFETCHED_AT_ONCE)
            .min(self.pages.len());
        while self.prefetched < ahead {
            view.prefetch(self.pages[self.prefetched].0);
            self.prefetched += 1;
        }
        Some(next)
    }
}

/// Which children of a fence lead to keys in `ranges`: their blocks, with the ranges that each leads to.
///
/// A child holds keys from its own first key to the next child's, inclusive, because equal keys may continue.
fn children_in_ranges(children: Children<'_>, ranges: &[KeyRange], mut child: impl FnMut(u32, Range<usize>)) {
    let (keys, count) = (children.keys, children.keys.len());
    let mut start = 0;
    let mut at = 0;
    while start < ranges.len() && at < count {
        let first = ranges[start].0;
        // The last child that begins below: the one before the first that does not.
        at = at.max((at + keys[at..].partition_point(|key| *key < first)).saturating_sub(1));
        let upper = keys.get(at + 1).copied().unwrap_or(u64::MAX);
        let mut end = start;
        while end < ranges.len() && ranges[end].0 <= upper {
            end += 1;
        }
        if end > start {
            child(children.blocks[at], start..end);
        }
        at += 1;
        // Ranges that end below what the next child begins with are done.
        let Some(next) = keys.get(at) else { return };
        while start < ranges.len() && ranges[start].1 < *next {
            start += 1;
        }
    }
}

/// The blocks of the leaves of a band, in order.
pub(crate) struct LeafWalk {
    /// Per level, the blocks still to be visited, the next one last.
    waiting: Vec<(u32, u8)>,
}

impl LeafWalk {
    pub(crate) fn of(root: Root) -> Self {
        LeafWalk { waiting: if root.block == Root::NONE { Vec::new() } else { vec![(root.block, root.level)] } }
    }

    /// The next one.
    pub(crate) fn next<S: Store>(
        &mut self,
        view: &IndexView<'_, S>,
        run: &RunRef,
        band: usize,
    ) -> Result<Option<u32>, ReadError> {
        while let Some((block, level)) = self.waiting.pop() {
            if level == 0 {
                return Ok(Some(block));
            }
            view.fence(run, band, level, block, |children| {
                self.waiting.extend(children.blocks.iter().rev().map(|block| (*block, level - 1)));
            })?;
        }
        Ok(None)
    }
}
