//! An index in a store: creates, opens, inserts.
//!
//! An insert appends to the last staging page and locks nothing else. The insert that fills a page adds the next one
//! and lists it, as one change; the insert that fills the batch turns it into a run, unless another session does
//! ([`crate::flush`]), and merges runs that have become many ([`crate::merge`]).

use crate::entries::{append, stored_tid};
use crate::error::{Corrupted, Damage};
use crate::free::FreeBlocks;
use crate::layout::{Layout, PackedHash};
use crate::meta::{MAX_STAGING_PAGES, Meta};
use crate::page::PageKind;
use crate::store::Store;

/// The most pages that an insert merges in the foreground: some 32 batches of 64 bits, of which the tiers use sixteen
/// as a rule. Larger merges are left to vacuum.
pub const MAX_FOREGROUND_PAGES: u64 = 8192;
/// Hints at free blocks that may be refused for one page before the file is extended instead.
const MAX_REFUSED_HINTS: usize = 256;

/// The staging pages that a session appended to last. Only a hint, which is always verified.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tails {
    hashes: Option<Tail>,
    nulls: Option<Tail>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tail {
    block: u32,
    generation: u64,
}

impl Tails {
    fn of(&mut self, kind: PageKind) -> &mut Option<Tail> {
        if kind == PageKind::StagingNulls { &mut self.nulls } else { &mut self.hashes }
    }
}

/// The outcome of adding a page.
enum Added {
    Page(Tail),
    /// Another session added one first.
    LostRace,
    /// The block is not free.
    NotFree,
}

/// An index.
pub struct Index<'s, S: Store> {
    store: &'s S,
    layout: Layout,
}

impl<S: Store> Clone for Index<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Store> Copy for Index<'_, S> {}

impl<'s, S: Store> Index<'s, S> {
    /// Makes an empty index in an empty store.
    pub fn create(store: &'s S, layout: Layout) -> Self {
        let block = store.extend();
        debug_assert_eq!(block, 0, "an index is made in a store without blocks");
        let _: Option<()> = store.change(&[0], |pages| {
            Meta::new(layout).write(pages[0]);
            Some(())
        });
        Index { store, layout }
    }

    /// Opens an index.
    pub fn open(store: &'s S) -> Result<Self, Corrupted> {
        Ok(Index { store, layout: Meta::load(store)?.layout })
    }

    /// An index whose layout the caller knows from an earlier opening: it never changes.
    pub fn with_layout(store: &'s S, layout: Layout) -> Self {
        Index { store, layout }
    }

    /// Its store.
    pub fn store(&self) -> &'s S {
        self.store
    }

    /// The layout of hashes in the pages.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Adds a row, or a NULL. The heap TID is block · 2¹⁶ + offset.
    pub fn insert(&self, tails: &mut Tails, hash: Option<&PackedHash>, tid: u64) -> Result<(), Corrupted> {
        let (kind, words) = match hash {
            Some(hash) => (PageKind::Staging, &hash[..self.layout.words()]),
            None => (PageKind::StagingNulls, &[][..]),
        };
        let is_full = loop {
            let tried = *tails.of(kind);
            if let Some(tail) = tried
                && self.append(tail, kind, words, tid)?
            {
                break false;
            }
            let meta = Meta::load(self.store)?;
            let last = meta.staging.of(kind).last();
            let last = last.map(|block| Tail { block: *block, generation: meta.staging.generation });
            if let Some(tail) = last.filter(|tail| tail.block >= self.store.blocks()) {
                return Err(Corrupted::new(tail.block, Damage::PastEnd));
            }
            if last.is_some() && last != tried {
                *tails.of(kind) = last;
                continue;
            }
            if meta.staging.of(kind).len() >= MAX_STAGING_PAGES {
                self.flush(true)?;
                continue;
            }
            let mut free = FreeBlocks::new(self.store, &meta, MAX_REFUSED_HINTS);
            let block = free.take(self.store, &meta);
            free.finish(self.store);
            match self.add_page(kind, block, last.map(|tail| tail.block), words, tid)? {
                Added::Page(tail) => {
                    *tails.of(kind) = Some(tail);
                    break meta.staging.of(kind).len() + 1 >= crate::meta::STAGING_PAGES;
                }
                Added::LostRace => self.store.record_free(&[block]),
                Added::NotFree => {}
            }
            self.store.check_for_interrupts();
        };
        if is_full { self.maintain(MAX_FOREGROUND_PAGES) } else { Ok(()) }
    }

    /// Appends to a staging page, if it still is one, and has room.
    fn append(&self, tail: Tail, kind: PageKind, words: &[u64], tid: u64) -> Result<bool, Corrupted> {
        let mut failure = None;
        let appended = self.store.change(&[tail.block], |pages| {
            let trailer = pages[0].check(tail.block).map_err(|why| failure = Some(why)).ok()?;
            let fits = trailer.generation == tail.generation && trailer.kind == kind && !trailer.is_sealed;
            if !fits || !append(pages[0], trailer.count, words, stored_tid(tid)) {
                return None;
            }
            pages[0].finish();
            Some(())
        });
        failure.map_or(Ok(appended.is_some()), Err)
    }

    /// Adds a staging page with its first entry, unless another was added after `last`.
    fn add_page(
        &self,
        kind: PageKind,
        block: u32,
        last: Option<u32>,
        words: &[u64],
        tid: u64,
    ) -> Result<Added, Corrupted> {
        let mut outcome = Ok(Added::LostRace);
        self.store.change(&[0, block], |pages| {
            let mut meta = Meta::read(pages[0]).map_err(|why| outcome = Err(why)).ok()?;
            if meta.staging.of(kind).last().copied() != last || meta.staging.of(kind).len() >= MAX_STAGING_PAGES {
                return None;
            }
            if !meta.is_free(pages[1], block, self.store) {
                outcome = Ok(Added::NotFree);
                return None;
            }
            let generation = meta.staging.generation;
            pages[1].begin(block, kind, generation, 0, 0);
            if !append(pages[1], 0, words, stored_tid(tid)) {
                outcome = Err(Corrupted::new(block, Damage::Count));
                return None;
            }
            pages[1].finish();
            meta.add_staging(kind, block);
            meta.write(pages[0]);
            outcome = Ok(Added::Page(Tail { block, generation }));
            Some(())
        });
        outcome
    }

    /// Does the work that inserts leave, unless another session does it: turns a full batch of staging pages into a
    /// run, and merges runs of at most `most` pages together.
    pub fn maintain(&self, most: u64) -> Result<(), Corrupted> {
        if Meta::load(self.store)?.staging.is_full() {
            self.flush(false)?;
        }
        while self.merge(most, false)? {}
        Ok(())
    }
}
