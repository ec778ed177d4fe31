//! Block 0: which runs and staging pages an index has, and which generations are live.
//!
//! A page is live if its generation is that of a listed run, of a batch of staging pages, or of a run that is being
//! written; every other page is free, whatever it contains: no page is ever written to be freed, and a crash leaves
//! nothing to clean up. A replaced generation is remembered with its xid horizon, as nbtree keeps the `safexid` of a
//! deleted page, until no scan can be reading it; until then its pages are not reused, so that on the primary, a scan
//! finds every page that it was led to.

use crate::error::{Corrupted, Damage};
use crate::layout::Layout;
use crate::page::{BODY, HEADER, Page, PageKind, Trailer};
use crate::store::Store;

/// The most runs at a time.
pub const MAX_RUNS: usize = 64;
/// Pages of a batch, of hashes and of NULLs each, at which it becomes a run.
pub const STAGING_PAGES: usize = 64;
/// The most pages of a batch: beyond this, an insert waits for the batch before to become a run.
pub const MAX_STAGING_PAGES: usize = 126;
/// The most replaced generations that are remembered one by one.
const MAX_REPLACED: usize = 192;

/// A run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunRef {
    /// Its generation; of two runs the younger has the larger one.
    pub generation: u64,
    /// The block of its roots.
    pub block: u32,
    /// Pages of all its bands.
    pub pages: u32,
    /// Hashes in it.
    pub entries: u64,
    /// NULLs in it.
    pub nulls: u64,
}

/// Staging pages that become one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StagingBatch {
    /// The generation of its pages.
    pub generation: u64,
    /// Pages of hashes; the last one is being filled.
    pub hashes: Vec<u32>,
    /// Pages of NULLs.
    pub nulls: Vec<u32>,
}

impl StagingBatch {
    /// Whether it has no page.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty() && self.nulls.is_empty()
    }

    /// The pages of one kind.
    pub fn of(&self, kind: PageKind) -> &Vec<u32> {
        if kind == PageKind::StagingNulls { &self.nulls } else { &self.hashes }
    }

    fn of_mut(&mut self, kind: PageKind) -> &mut Vec<u32> {
        if kind == PageKind::StagingNulls { &mut self.nulls } else { &mut self.hashes }
    }

    /// Whether it is due to become a run.
    pub fn is_full(&self) -> bool {
        self.hashes.len() >= STAGING_PAGES || self.nulls.len() >= STAGING_PAGES
    }

    /// Its pages, the youngest first, with their kinds.
    pub fn pages(&self) -> impl Iterator<Item = (u32, PageKind)> {
        let hashes = self.hashes.iter().rev().map(|block| (*block, PageKind::Staging));
        hashes.chain(self.nulls.iter().rev().map(|block| (*block, PageKind::StagingNulls)))
    }
}

/// The contents of block 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The layout of hashes in the pages.
    pub layout: Layout,
    /// Counts every change of the lists.
    pub changes: u64,
    /// The next generation to allocate.
    pub next_generation: u64,
    /// The run that a flush is writing; 0: none.
    pub flushing: u64,
    /// The run that a merge is writing; 0: none.
    pub merging: u64,
    /// The run that a nested merge is writing, of runs that inserts add during a long merge; 0: none.
    pub merging_nested: u64,
    /// The runs, the largest first.
    pub runs: Vec<RunRef>,
    /// Staging pages that take no more entries, while they become a run.
    pub sealed: StagingBatch,
    /// Staging pages.
    pub staging: StagingBatch,
    /// Replaced generations with their xid horizons, in the order of their replacement.
    replaced: Vec<(u64, u64)>,
    /// The xid horizon of every replaced generation that is not in the list.
    unlisted_horizon: u64,
}

impl Meta {
    /// The contents for an empty index.
    pub fn new(layout: Layout) -> Self {
        Meta {
            layout,
            changes: 0,
            next_generation: 2,
            flushing: 0,
            merging: 0,
            merging_nested: 0,
            runs: Vec::new(),
            sealed: StagingBatch::default(),
            staging: StagingBatch { generation: 1, ..StagingBatch::default() },
            replaced: Vec::new(),
            unlisted_horizon: 0,
        }
    }

    /// Reads block 0.
    pub fn load(store: &impl Store) -> Result<Self, Corrupted> {
        Self::load_with(store, false)
    }

    /// Reads block 0 and verifies its checksum, whatever the store knows of it.
    pub(crate) fn load_verifying(store: &impl Store) -> Result<Self, Corrupted> {
        Self::load_with(store, true)
    }

    fn load_with(store: &impl Store, always: bool) -> Result<Self, Corrupted> {
        if store.blocks() == 0 {
            return Err(Corrupted::new(0, Damage::PastEnd));
        }
        store.read_verified(0, |page, is_verified| Self::parse(page, page.examine(0, always || !is_verified)?))
    }

    /// Changes block 0; no change if `change` returns `None`.
    pub(crate) fn update<R>(
        store: &impl Store,
        change: impl FnOnce(&mut Meta) -> Option<R>,
    ) -> Result<Option<R>, Corrupted> {
        let mut failure = None;
        let result = store.change(&[0], |pages| {
            let mut meta = Meta::read(pages[0]).map_err(|why| failure = Some(why)).ok()?;
            let result = change(&mut meta)?;
            meta.write(pages[0]);
            Some(result)
        });
        failure.map_or(Ok(result), Err)
    }

    /// Parses the page of block 0.
    pub fn read(page: &Page) -> Result<Self, Corrupted> {
        Self::parse(page, page.check(0)?)
    }

    fn parse(page: &Page, trailer: Trailer) -> Result<Self, Corrupted> {
        let wrong = Corrupted::new(0, Damage::Lists);
        if trailer.kind != PageKind::Meta {
            return Err(Corrupted::new(0, Damage::Unexpected));
        }
        let words: &[u64] = page.array(HEADER, BODY / 8).ok_or(wrong)?;
        let mut words = words.iter().copied();
        let mut next = || words.next().ok_or(wrong);
        let cut = next()?;
        let layout = Layout::new(cut as u32 as usize, Some((cut >> 32) as usize)).map_err(|_| wrong)?;
        let [changes, next_generation, unlisted_horizon] = [next()?, next()?, next()?];
        let [flushing, merging, merging_nested] = [next()?, next()?, next()?];
        let [of_staging, of_sealed, counts] = [next()?, next()?, next()?];
        let count = |at: usize, most: usize| {
            let count = usize::from((counts >> (at * 8)) as u8);
            if count <= most { Ok(count) } else { Err(wrong) }
        };
        let runs = (0..count(0, MAX_RUNS)?)
            .map(|_| {
                let (generation, place) = (next()?, next()?);
                Ok(RunRef {
                    generation,
                    block: place as u32,
                    pages: (place >> 32) as u32,
                    entries: next()?,
                    nulls: next()?,
                })
            })
            .collect::<Result<_, Corrupted>>()?;
        let replaced =
            (0..count(1, MAX_REPLACED)?).map(|_| Ok((next()?, next()?))).collect::<Result<_, Corrupted>>()?;
        let mut blocks = |at| {
            let count = count(at, MAX_STAGING_PAGES)?;
            let pairs = (0..count.div_ceil(2)).map(|_| next()).collect::<Result<Vec<_>, _>>()?;
            Ok(pairs.into_iter().flat_map(|pair| [pair as u32, (pair >> 32) as u32]).take(count).collect())
        };
        let sealed = StagingBatch { generation: of_sealed, hashes: blocks(2)?, nulls: blocks(3)? };
        let staging = StagingBatch { generation: of_staging, hashes: blocks(4)?, nulls: blocks(5)? };
        Ok(Meta {
            layout,
            changes,
            next_generation,
            flushing,
            merging,
            merging_nested,
            runs,
            sealed,
            staging,
            replaced,
            unlisted_horizon,
        })
    }

    /// Writes the page of block 0.
    pub fn write(&self, page: &mut Page) {
        let mut words = vec![
            self.layout.bits() as u64 | (self.layout.bands() as u64) << 32,
            self.changes,
            self.next_generation,
            self.unlisted_horizon,
            self.flushing,
            self.merging,
            self.merging_nested,
            self.staging.generation,
            self.sealed.generation,
        ];
        let batches = [&self.sealed.hashes, &self.sealed.nulls, &self.staging.hashes, &self.staging.nulls];
        let counts = [self.runs.len(), self.replaced.len()].into_iter().chain(batches.map(Vec::len));
        words.push(counts.enumerate().fold(0, |counts, (at, count)| counts | (count as u64) << (at * 8)));
        for run in &self.runs {
            let place = u64::from(run.block) | u64::from(run.pages) << 32;
            words.extend([run.generation, place, run.entries, run.nulls]);
        }
        words.extend(self.replaced.iter().flat_map(|(generation, horizon)| [*generation, *horizon]));
        for blocks in batches {
            let pair = |pair: &[u32]| u64::from(pair[0]) | pair.get(1).map_or(0, |block| u64::from(*block) << 32);
            words.extend(blocks.chunks(2).map(pair));
        }
        page.begin(0, PageKind::Meta, 0, 0, 0);
        if let Some(body) = page.array_mut(HEADER, words.len()) {
            body.copy_from_slice(&words);
        }
        page.extend_used(words.len(), HEADER + words.len() * 8, HEADER + BODY);
        page.finish();
    }

    /// Allocates a generation.
    pub(crate) fn take_generation(&mut self) -> u64 {
        self.next_generation += 1;
        self.next_generation - 1
    }

    /// Adds a staging page.
    pub(crate) fn add_staging(&mut self, kind: PageKind, block: u32) {
        self.staging.of_mut(kind).push(block);
        self.changes += 1;
    }

    /// Lists a new run; the list is sorted, the largest first.
    pub(crate) fn list(&mut self, run: Option<RunRef>) {
        self.runs.extend(run);
        self.runs.sort_by_key(|run| std::cmp::Reverse(run.entries + run.nulls));
    }

    /// Remembers that `generation` was replaced at the xid horizon `horizon`.
    pub(crate) fn add_replaced(&mut self, generation: u64, horizon: u64, store: &impl Store) {
        self.replaced.retain(|(_, horizon)| !store.older_scans_have_ended(*horizon));
        while self.replaced.len() >= MAX_REPLACED {
            let (_, horizon) = self.replaced.remove(0);
            self.unlisted_horizon = self.unlisted_horizon.max(horizon);
        }
        self.replaced.push((generation, horizon));
    }

    /// Whether a page of `generation` may be in use, as far as this copy of block 0 knows.
    pub fn is_live(&self, generation: u64) -> bool {
        generation >= self.next_generation
            || [self.flushing, self.merging, self.merging_nested].contains(&generation)
            || self.is_listed(generation)
    }

    /// Whether searches are led to pages of `generation`.
    pub(crate) fn is_listed(&self, generation: u64) -> bool {
        [self.staging.generation, self.sealed.generation].contains(&generation)
            || self.runs.iter().any(|run| run.generation == generation)
    }

    /// Whether a page may be reused: it is new, or not live any more, and nobody can be reading it.
    pub fn is_free(&self, page: &Page, block: u32, store: &impl Store) -> bool {
        if page.is_new() {
            return block != 0;
        }
        let generation = page.generation();
        let listed = self.replaced.iter().find(|(replaced, _)| *replaced == generation);
        let horizon = listed.map_or(self.unlisted_horizon, |(_, horizon)| *horizon);
        block != 0 && !self.is_live(generation) && store.older_scans_have_ended(horizon)
    }

    /// Whether the list of runs has room for only one more.
    pub(crate) fn is_full(&self) -> bool {
        self.runs.len() + 1 >= MAX_RUNS
    }

    /// Hashes in runs.
    pub fn entries(&self) -> u64 {
        self.runs.iter().map(|run| run.entries).sum()
    }

    /// Pages of hashes in staging, including sealed ones.
    pub fn staging_pages(&self) -> usize {
        self.sealed.hashes.len() + self.staging.hashes.len()
    }
}
