//! The page format: what every block of an index begins and ends with, and how its arrays are read.
//!
//! The first 24 bytes belong to the store (to Postgres: LSN, checksum, `pd_lower`, `pd_upper` and so on) and are
//! neither read nor written here. The last 32 bytes are the *trailer*: the kind of the page, its owner, its block, and
//! a checksum over everything else. A page in the wrong block, of another index format, or with any one byte changed is
//! detected when it is read ([`Page::check`]), or by a store that checks itself; a page of another owner is detected by
//! its generation.
//!
//! The space between `lower` and `upper` is always zero: a store may omit it from its log.

use crate::error::{Corrupted, Damage};
use bytemuck::{AnyBitPattern, NoUninit};

/// Bytes of a page.
pub const PAGE_SIZE: usize = 8192;
/// Bytes at the beginning that belong to the store.
pub const HEADER: usize = 24;
/// Bytes of the trailer.
const TRAILER: usize = 32;
/// Where the trailer begins.
pub const BODY_END: usize = PAGE_SIZE - TRAILER;
/// Bytes for entries.
pub const BODY: usize = BODY_END - HEADER;
/// The format version of all pages.
pub const FORMAT: u8 = 2;
/// Last byte of every page of an index: `h` with the high bit set.
const MAGIC: u8 = 0xe8;

// Offsets in the trailer.
const GENERATION: usize = BODY_END;
const CHECKSUM: usize = BODY_END + 8;
const BLOCK: usize = BODY_END + 16;
const COUNT: usize = BODY_END + 20;
const LOWER: usize = BODY_END + 22;
const UPPER: usize = BODY_END + 24;
const KIND: usize = BODY_END + 26;
const BAND: usize = BODY_END + 27;
const LEVEL: usize = BODY_END + 28;
const FLAGS: usize = BODY_END + 29;
const VERSION: usize = BODY_END + 30;
const MAGIC_AT: usize = BODY_END + 31;

/// The kind of a page: what its body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PageKind {
    /// Block 0: the lists of runs and staging pages.
    Meta = 1,
    /// Entries in the order of their arrival.
    Staging = 2,
    /// TIDs of NULLs in the order of their arrival.
    StagingNulls = 3,
    /// The roots of the trees of a run.
    Run = 4,
    /// Entries of one band of a run, in order.
    Leaf = 5,
    /// First keys and blocks of leaves, or of lower fences.
    Fence = 6,
}

impl PageKind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Meta, Self::Staging, Self::StagingNulls, Self::Run, Self::Leaf, Self::Fence]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// The trailer of a page that has been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// The owner: the generation of a run or of a batch of staging pages; 0 for block 0.
    pub generation: u64,
    /// What it holds.
    pub kind: PageKind,
    /// The band of a leaf or fence; 0 elsewhere.
    pub band: u8,
    /// 0: a leaf; 1: a fence over leaves; and so on.
    pub level: u8,
    /// Whether a staging page takes no more entries.
    pub is_sealed: bool,
    /// Entries.
    pub count: usize,
}

/// A page.
#[derive(Clone)]
#[repr(C, align(8))]
pub struct Page {
    bytes: [u8; PAGE_SIZE],
}

impl Default for Page {
    fn default() -> Self {
        Page { bytes: [0; PAGE_SIZE] }
    }
}

impl Page {
    /// All bytes, including those of the store.
    pub fn bytes(&self) -> &[u8; PAGE_SIZE] {
        &self.bytes
    }

    /// All bytes, for a store to write its header, or for tests to damage them.
    pub fn bytes_mut(&mut self) -> &mut [u8; PAGE_SIZE] {
        &mut self.bytes
    }

    fn get<T: AnyBitPattern>(&self, at: usize) -> T {
        bytemuck::pod_read_unaligned(&self.bytes[at..at + size_of::<T>()])
    }

    fn set<T: NoUninit>(&mut self, at: usize, value: T) {
        self.bytes[at..at + size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&value));
    }

    /// Whether it was never written: a block that was added to the file before a crash.
    pub fn is_new(&self) -> bool {
        self.bytes[HEADER..].iter().all(|byte| *byte == 0)
    }

    /// Begins an empty page of `kind` in `block`.
    pub fn begin(&mut self, block: u32, kind: PageKind, generation: u64, band: u8, level: u8) {
        self.bytes[HEADER..].fill(0);
        self.set(BLOCK, block);
        self.set(GENERATION, generation);
        self.bytes[KIND] = kind as u8;
        self.bytes[BAND] = band;
        self.bytes[LEVEL] = level;
        self.bytes[VERSION] = FORMAT;
        self.bytes[MAGIC_AT] = MAGIC;
        self.set_used(0, HEADER, BODY_END);
    }

    /// The bounds of the free space between the entries, for stores that omit it from their log.
    pub fn room(&self) -> (u16, u16) {
        (self.get(LOWER), self.get(UPPER))
    }

    /// Declares `count` entries that fill the body up to `lower` and from `upper`, and clears the space between.
    pub fn set_used(&mut self, count: usize, lower: usize, upper: usize) {
        let (lower, upper) = (lower.clamp(HEADER, BODY_END), upper.clamp(HEADER, BODY_END));
        self.bytes[lower..upper.max(lower)].fill(0);
        self.set(COUNT, count as u16);
        self.set(LOWER, lower as u16);
        self.set(UPPER, upper as u16);
    }

    /// [`Self::set_used`] for a caller that has just used a part of the free space; the rest is clear already.
    pub(crate) fn extend_used(&mut self, count: usize, lower: usize, upper: usize) {
        self.set(COUNT, count as u16);
        self.set(LOWER, lower as u16);
        self.set(UPPER, upper as u16);
    }

    /// Becomes a copy of `page` in `block`; the store's header stays.
    pub(crate) fn copy(&mut self, page: &Page, block: u32) {
        self.bytes[HEADER..].copy_from_slice(&page.bytes[HEADER..]);
        self.set(BLOCK, block);
    }

    /// Closes the page to more entries.
    pub(crate) fn seal(&mut self) {
        self.bytes[FLAGS] = 1;
    }

    /// The owner that the page claims, before any check.
    pub fn generation(&self) -> u64 {
        self.get(GENERATION)
    }

    /// Writes the checksum: the last step before a page goes to the store.
    pub fn finish(&mut self) {
        self.set(CHECKSUM, 0u64);
        let checksum = self.checksum();
        self.set(CHECKSUM, checksum);
    }

    /// Whether its checksum is right.
    pub fn is_intact(&self) -> bool {
        self.checksum() == self.get::<u64>(CHECKSUM)
    }

    /// A checksum of all words but the store's: any single changed byte changes it, and so do most other changes.
    fn checksum(&self) -> u64 {
        let words: &[u64] = bytemuck::try_cast_slice(&self.bytes[HEADER..]).unwrap_or_default();
        let mut lanes = [0u64; 8];
        let chunks = words.chunks_exact(8);
        let rest = chunks.remainder();
        for chunk in chunks {
            for (lane, word) in lanes.iter_mut().zip(chunk) {
                *lane = lane.wrapping_add(*word);
            }
        }
        for (lane, word) in lanes.iter_mut().zip(rest) {
            *lane = lane.wrapping_add(*word);
        }
        let stored: u64 = self.get(CHECKSUM);
        let place = (CHECKSUM - HEADER) / 8 % 8;
        lanes[place] = lanes[place].wrapping_sub(stored);
        // The fold distinguishes lanes, so that the checksum detects words that moved between them.
        lanes.iter().fold(0x9e37_79b9_7f4a_7c15, |folded: u64, lane| folded.rotate_left(7).wrapping_add(*lane))
    }

    /// Checks that the page is as it was written in `block`, and returns its trailer.
    pub fn check(&self, block: u32) -> Result<Trailer, Corrupted> {
        self.examine(block, true)
    }

    /// [`Self::check`] with or without the checksum, for callers that have verified it already.
    pub(crate) fn examine(&self, block: u32, with_checksum: bool) -> Result<Trailer, Corrupted> {
        let damaged = |damage| Err(Corrupted { block, damage });
        if self.bytes[MAGIC_AT] != MAGIC {
            return damaged(if self.is_new() { Damage::Zero } else { Damage::Foreign });
        }
        if self.bytes[VERSION] != FORMAT {
            return damaged(Damage::Version(self.bytes[VERSION]));
        }
        if with_checksum && !self.is_intact() {
            return damaged(Damage::Checksum);
        }
        let written: u32 = self.get(BLOCK);
        if written != block {
            return damaged(Damage::Place(written));
        }
        let (lower, upper) = self.room();
        let (lower, upper) = (usize::from(lower), usize::from(upper));
        let Some(kind) = PageKind::of(self.bytes[KIND]) else { return damaged(Damage::Kind) };
        if lower < HEADER || upper < lower || upper > BODY_END {
            return damaged(Damage::Room);
        }
        Ok(Trailer {
            generation: self.get(GENERATION),
            kind,
            band: self.bytes[BAND],
            level: self.bytes[LEVEL],
            is_sealed: self.bytes[FLAGS] & 1 == 1,
            count: usize::from(self.get::<u16>(COUNT)),
        })
    }

    /// An array of `count` elements at byte `at`; none if it would leave the body.
    pub(crate) fn array<T: AnyBitPattern>(&self, at: usize, count: usize) -> Option<&[T]> {
        let bytes = self.bytes.get(at..at.checked_add(count.checked_mul(size_of::<T>())?)?)?;
        if at + bytes.len() > BODY_END {
            return None;
        }
        bytemuck::try_cast_slice(bytes).ok()
    }

    /// [`Self::array`], mutable.
    pub(crate) fn array_mut<T: AnyBitPattern + NoUninit>(&mut self, at: usize, count: usize) -> Option<&mut [T]> {
        let end = at.checked_add(count.checked_mul(size_of::<T>())?)?;
        if end > BODY_END {
            return None;
        }
        bytemuck::try_cast_slice_mut(&mut self.bytes[at..end]).ok()
    }
}
