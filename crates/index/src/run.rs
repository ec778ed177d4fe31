//! A run: per band a bulk-loaded tree of leaves and fences, and one page that says where the trees begin.
//!
//! A run never changes once it is listed in block 0, except that vacuum removes entries from its leaves; fences stay,
//! because a first key that is too small still leads to the right leaf.

use crate::entries::{Children, FENCE_CAPACITY, LeafBuffer, StoredTid};
use crate::error::{Corrupted, Damage};
use crate::free::FreeBlocks;
use crate::layout::{EntryShape, Layout};
use crate::meta::{Meta, RunRef};
use crate::page::{BODY_END, HEADER, Page, PageKind};
use crate::store::Store;

/// The root of a band's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Root {
    /// The block of the uppermost page; [`Root::NONE`] for a band without entries.
    pub(crate) block: u32,
    /// Its level.
    pub(crate) level: u8,
    /// Leaves below it.
    pub(crate) leaves: u32,
}

impl Root {
    pub(crate) const NONE: u32 = u32::MAX;
}

/// Hints at free blocks that may be refused for one run before the file is extended instead: checking one costs a
/// microsecond, or a read from disk, and a page that is not reused costs eight kilobytes.
const MAX_REFUSED_HINTS: usize = 4096;
/// [`MAX_REFUSED_HINTS`] for work without cancel checks.
const MAX_REFUSED_HINTS_SHORT: usize = 512;

/// The most pages that a merge reads without cancel checks: they take some ten milliseconds.
pub(crate) const MAX_UNINTERRUPTED_PAGES: u64 = 2048;

/// Allocates blocks for new pages.
pub(crate) struct Allocator<'s, S: Store> {
    pub(crate) store: &'s S,
    /// Block 0 when the generation of the new pages was allocated.
    meta: Meta,
    free: FreeBlocks,
    is_long: bool,
}

impl<'s, S: Store> Allocator<'s, S> {
    /// An allocator for work that checks for cancellation if it is long. Short work does not: sessions that are each
    /// cancelled before it is done would restart it for ever, and never finish.
    pub(crate) fn new(store: &'s S, meta: Meta, is_long: bool) -> Self {
        let free = FreeBlocks::new(store, &meta, if is_long { MAX_REFUSED_HINTS } else { MAX_REFUSED_HINTS_SHORT });
        Allocator { store, meta, free, is_long }
    }

    /// A cancel check, called once per page.
    pub(crate) fn check_for_interrupts(&self) {
        if self.is_long {
            self.store.check_for_interrupts();
        }
    }

    /// Writes a page, as one change, to a block that was free.
    pub(crate) fn place(&mut self, fill: impl Fn(&mut Page, u32)) -> u32 {
        loop {
            let block = self.free.take(self.store, &self.meta);
            let placed = self.store.change(&[block], |pages| {
                if !self.meta.is_free(pages[0], block, self.store) {
                    return None;
                }
                fill(pages[0], block);
                pages[0].finish();
                Some(())
            });
            if placed.is_some() {
                return block;
            }
        }
    }

    /// Returns the hints whose blocks could not be taken yet.
    pub(crate) fn finish(self) {
        self.free.finish(self.store);
    }
}

/// Writes the tree of one band from its entries in the order of their keys.
pub(crate) struct TreeWriter {
    generation: u64,
    band: u8,
    shape: EntryShape,
    leaf: LeafBuffer,
    /// Per level, the first keys and blocks of pages that are not in a fence yet.
    levels: Vec<Vec<(u64, u32)>>,
    leaves: u32,
    pub(crate) pages: u32,
    pub(crate) entries: u64,
}

impl TreeWriter {
    pub(crate) fn new(layout: &Layout, generation: u64, band: usize) -> Self {
        TreeWriter {
            generation,
            band: band as u8,
            shape: layout.shape(band),
            leaf: LeafBuffer::default(),
            levels: vec![Vec::new()],
            leaves: 0,
            pages: 0,
            entries: 0,
        }
    }

    pub(crate) fn push<S: Store>(
        &mut self,
        allocator: &mut Allocator<'_, S>,
        words: &[u64],
        half: u32,
        tid: StoredTid,
    ) {
        self.leaf.push(self.shape, words, half, tid);
        self.entries += 1;
        if self.leaf.len() == self.shape.capacity() {
            self.write_leaf(allocator);
        }
    }

    fn write_leaf<S: Store>(&mut self, allocator: &mut Allocator<'_, S>) {
        let key = self.leaf.first_key();
        let mut page = Page::default();
        self.leaf.drain_into(self.begin(&mut page, PageKind::Leaf, 0));
        let block = self.put(allocator, page);
        self.leaves += 1;
        self.levels[0].push((key, block));
        for level in 0.. {
            if self.levels[level].len() < FENCE_CAPACITY {
                break;
            }
            self.write_fence(allocator, level);
        }
        allocator.check_for_interrupts();
    }

    fn begin<'p>(&self, page: &'p mut Page, kind: PageKind, level: usize) -> &'p mut Page {
        page.begin(0, kind, self.generation, self.band, level as u8);
        page
    }

    fn put<S: Store>(&mut self, allocator: &mut Allocator<'_, S>, page: Page) -> u32 {
        self.pages += 1;
        allocator.place(|to, block| to.copy(&page, block))
    }

    /// Writes the pending entries of `level` into a fence of the level above.
    fn write_fence<S: Store>(&mut self, allocator: &mut Allocator<'_, S>, level: usize) {
        let children = std::mem::take(&mut self.levels[level]);
        let mut page = Page::default();
        Children::write(self.begin(&mut page, PageKind::Fence, level + 1), &children);
        let block = self.put(allocator, page);
        if self.levels.len() == level + 1 {
            self.levels.push(Vec::new());
        }
        self.levels[level + 1].push((children[0].0, block));
    }

    pub(crate) fn finish<S: Store>(&mut self, allocator: &mut Allocator<'_, S>) -> Root {
        if self.leaf.len() > 0 {
            self.write_leaf(allocator);
        }
        let mut level = 0;
        loop {
            let is_uppermost = level + 1 == self.levels.len();
            match self.levels[level].as_slice() {
                [] if is_uppermost => return Root { block: Root::NONE, level: 0, leaves: 0 },
                [(_, block)] if is_uppermost => {
                    return Root { block: *block, level: level as u8, leaves: self.leaves };
                }
                [] => {}
                _ => self.write_fence(allocator, level),
            }
            level += 1;
        }
    }
}

/// Writes the page of roots, and returns the run's entry for block 0.
pub(crate) fn write_roots<S: Store>(
    allocator: &mut Allocator<'_, S>,
    generation: u64,
    roots: &[Root],
    (pages, entries, nulls): (u32, u64, u64),
) -> RunRef {
    let block = allocator.place(|page, block| {
        page.begin(block, PageKind::Run, generation, 0, 0);
        if let Some(words) = page.array_mut::<u32>(HEADER, roots.len() * 3) {
            for (to, root) in words.chunks_mut(3).zip(roots) {
                to.copy_from_slice(&[root.block, u32::from(root.level), root.leaves]);
            }
        }
        page.extend_used(roots.len(), HEADER + roots.len() * 12, BODY_END);
    });
    RunRef { generation, block, pages: pages + 1, entries, nulls }
}

/// Reads the page of roots: one root per band, and the root of the NULLs.
pub(crate) fn read_roots(page: &Page, block: u32, count: usize, layout: &Layout) -> Result<Vec<Root>, Corrupted> {
    if count != layout.bands() + 1 {
        return Err(Corrupted::new(block, Damage::Count));
    }
    let words: &[u32] = page.array(HEADER, count * 3).ok_or(Corrupted::new(block, Damage::Count))?;
    Ok(words.chunks(3).map(|root| Root { block: root[0], level: root[1] as u8, leaves: root[2] }).collect())
}
