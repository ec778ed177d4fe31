//! An index as block 0 describes it at one moment: how pages are read, and how the trees of a run are walked.
//!
//! What block 0 says can be out of date a moment later. A page that has been taken for something else by then has another
//! generation, and whoever reads it learns that it has *moved*: it starts again from block 0. That happens on a standby
//! alone; on the server that writes, no page is taken that a scan may still be promised (see [`crate::meta`]).

use crate::entries::{Children, Entries, FENCE_CAPACITY};
use crate::error::{Corrupted, Damage};
use crate::layout::Layout;
use crate::meta::{Meta, RunRef};
use crate::page::{Kind, Page, Trailer};
use crate::run::{Root, read_roots};
use crate::store::{Store, reserve};
use std::ops::Range;

/// Why a walk ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The page at this block does not belong to the generation that it was promised of, by now.
    Moved { block: u32, generation: u64 },
    /// A page is not what it must be.
    Corrupted(Corrupted),
}

impl From<Corrupted> for Stop {
    fn from(corrupted: Corrupted) -> Self {
        Stop::Corrupted(corrupted)
    }
}

impl Stop {
    /// Where nothing may have moved: under the lock that keeps the runs as they are.
    pub(crate) fn settled(self) -> Corrupted {
        match self {
            Stop::Moved { block, .. } => Corrupted::new(block, Damage::Owner),
            Stop::Corrupted(corrupted) => corrupted,
        }
    }

    /// Where something may have moved: whether that is so, and the walk is to begin again. What is still listed has not
    /// moved, for its pages are in place from before it is listed until after it no longer is.
    pub(crate) fn moved(self, store: &impl Store) -> Result<(), Corrupted> {
        match self {
            Stop::Moved { generation, .. } if !Meta::load(store)?.is_listed(generation) => Ok(()),
            stop => Err(stop.settled()),
        }
    }
}

/// What a page must be to whom it was promised.
#[derive(Clone, Copy)]
pub(crate) struct Promise {
    pub(crate) generation: u64,
    pub(crate) kind: Kind,
    pub(crate) band: u8,
    pub(crate) level: u8,
}

/// Keys from the first to the last, both among them.
pub(crate) type KeyRange = (u64, u64);

/// Block 0 and the length of the file, at one moment.
pub(crate) struct View<'s, S: Store> {
    pub(crate) store: &'s S,
    pub(crate) meta: Meta,
    blocks: u32,
    /// Whether checksums are looked at that the store knows to be right.
    with_all_checksums: bool,
}

impl<'s, S: Store> View<'s, S> {
    pub(crate) fn new(store: &'s S) -> Result<Self, Corrupted> {
        let meta = Meta::load(store)?;
        // Every block that this copy of block 0 leads to exists by now.
        Ok(View { store, meta, blocks: store.blocks(), with_all_checksums: false })
    }

    /// Looks at the checksum of every page, whatever the store knows of it.
    pub(crate) fn with_all_checksums(self) -> Self {
        View { with_all_checksums: true, ..self }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.meta.layout
    }

    /// Whether the file goes as far as a block that is promised.
    pub(crate) fn exists(&self, block: u32) -> Result<(), Corrupted> {
        if block < self.blocks { Ok(()) } else { Err(Corrupted::new(block, Damage::Past)) }
    }

    /// Tells the store that a page will be read soon, if there is one.
    pub(crate) fn prefetch(&self, block: u32) {
        if self.exists(block).is_ok() {
            self.store.prefetch(block);
        }
    }

    /// Reads a page that is what was promised.
    pub(crate) fn page<R>(
        &self,
        block: u32,
        promise: Promise,
        look: impl FnOnce(&Page, Trailer) -> Result<R, Corrupted>,
    ) -> Result<R, Stop> {
        self.exists(block)?;
        self.store.read_verified(block, |page, is_verified| {
            let trailer = page.examine(block, self.with_all_checksums || !is_verified)?;
            if trailer.generation != promise.generation {
                return Err(Stop::Moved { block, generation: promise.generation });
            }
            if (trailer.kind, trailer.band, trailer.level) != (promise.kind, promise.band, promise.level) {
                return Err(Corrupted::new(block, Damage::Unexpected).into());
            }
            Ok(look(page, trailer)?)
        })
    }

    /// The entries of a staging page.
    pub(crate) fn staging<R>(
        &self,
        (block, kind): (u32, Kind),
        generation: u64,
        look: impl FnOnce(Entries<'_>) -> R,
    ) -> Result<R, Stop> {
        let promise = Promise { generation, kind, band: 0, level: 0 };
        let words = self.layout().words();
        self.page(block, promise, |page, trailer| Ok(look(Entries::staging(page, block, trailer, words)?)))
    }

    /// The roots of a run.
    pub(crate) fn roots(&self, run: &RunRef) -> Result<Vec<Root>, Stop> {
        let promise = Promise { generation: run.generation, kind: Kind::Run, band: 0, level: 0 };
        self.page(run.block, promise, |page, trailer| read_roots(page, run.block, trailer.count, self.layout()))
    }

    /// The promise of a page of a tree.
    fn promise(run: &RunRef, band: usize, level: u8) -> Promise {
        let kind = if level == 0 { Kind::Leaf } else { Kind::Fence };
        Promise { generation: run.generation, kind, band: band as u8, level }
    }

    /// Reads a leaf.
    pub(crate) fn leaf<R>(
        &self,
        run: &RunRef,
        band: usize,
        block: u32,
        look: impl FnOnce(Entries<'_>) -> Result<R, Corrupted>,
    ) -> Result<R, Stop> {
        let shape = self.layout().shape(band);
        self.page(block, Self::promise(run, band, 0), |page, trailer| look(Entries::leaf(page, block, trailer, shape)?))
    }

    /// Reads a fence.
    pub(crate) fn fence<R>(
        &self,
        run: &RunRef,
        band: usize,
        level: u8,
        block: u32,
        look: impl FnOnce(Children<'_>) -> R,
    ) -> Result<R, Stop> {
        self.page(block, Self::promise(run, band, level), |page, trailer| Ok(look(Children::of(page, block, trailer)?)))
    }

    /// Shows every stretch of entries of a leaf whose keys are in one of the ranges that led to it.
    pub(crate) fn stretches(
        &self,
        run: &RunRef,
        band: usize,
        (block, part): (u32, Range<usize>),
        ranges: &[KeyRange],
        mut look: impl FnMut(Entries<'_>, Range<usize>),
    ) -> Result<(), Stop> {
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

/// Pages that are prefetched between two reads, at most: each may take a while where the disk's queue is full.
const AT_ONCE: usize = 32;

/// The leaves of a band that ranges of keys lead to, in order.
///
/// Each page that leads to any of them is read once, and level by level: then it is known long before what will be read next.
pub(crate) struct Probed<'r> {
    /// Rise, and do not touch.
    ranges: &'r [KeyRange],
    level: u8,
    /// Pages of that level, each with which of the ranges lead there.
    pages: Vec<(u32, Range<usize>)>,
    /// How many of them were given out, and how many the store was told of.
    given: usize,
    told: usize,
}

impl<'r> Probed<'r> {
    pub(crate) fn of(root: Root, ranges: &'r [KeyRange]) -> Self {
        Probed { ranges, level: root.level, pages: vec![(root.block, 0..ranges.len())], given: 0, told: 1 }
    }

    /// The next one, and which of the ranges lead there.
    pub(crate) fn next<S: Store>(
        &mut self,
        view: &View<'_, S>,
        run: &RunRef,
        band: usize,
    ) -> Result<Option<(u32, Range<usize>)>, Stop> {
        while self.level > 0 {
            let mut below = Vec::new();
            while let Some((block, part)) = self.give(view) {
                reserve(view.store, &mut below, FENCE_CAPACITY);
                view.fence(run, band, self.level, block, |children| {
                    lead(children, &self.ranges[part.clone()], |block, inner| {
                        below.push((block, part.start + inner.start..part.start + inner.end));
                    });
                })?;
                // A page is in one place of a tree.
                if below.len() > view.blocks as usize {
                    return Err(Corrupted::new(block, Damage::Order).into());
                }
                view.store.interrupt();
            }
            (self.level, self.pages, self.given, self.told) = (self.level - 1, below, 0, 0);
        }
        Ok(self.give(view))
    }

    /// The next page of the level. Those after it are on their way.
    fn give<S: Store>(&mut self, view: &View<'_, S>) -> Option<(u32, Range<usize>)> {
        let next = self.pages.get(self.given)?.clone();
        self.given += 1;
        self.told = self.told.max(self.given);
        let ahead = (self.given + view.store.read_ahead()).min(self.told + AT_ONCE).min(self.pages.len());
        while self.told < ahead {
            view.prefetch(self.pages[self.told].0);
            self.told += 1;
        }
        Some(next)
    }
}

/// Which children of a fence lead to keys in `ranges`: their blocks, with the ranges that each leads to.
///
/// A child holds keys from its own first key to the next child's, both among them, because equal keys may go on.
fn lead(children: Children<'_>, ranges: &[KeyRange], mut child: impl FnMut(u32, Range<usize>)) {
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
pub(crate) struct Leaves {
    /// Per level the blocks that are still to be visited, the next one last.
    waiting: Vec<(u32, u8)>,
}

impl Leaves {
    pub(crate) fn of(root: Root) -> Self {
        Leaves { waiting: if root.block == Root::NONE { Vec::new() } else { vec![(root.block, root.level)] } }
    }

    /// The next one.
    pub(crate) fn next<S: Store>(
        &mut self,
        view: &View<'_, S>,
        run: &RunRef,
        band: usize,
    ) -> Result<Option<u32>, Stop> {
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
