//! The arrays of a page: entries of leaves and staging pages, children of fences.
//!
//! A leaf of n entries is three arrays, one after the other: whole words (entry by entry), upper halves, TIDs. A
//! staging page grows from both sides: rows up from the header, TIDs down from the trailer. A fence is first keys, then
//! blocks.

use crate::error::{Corrupted, Damage};
use crate::layout::EntryShape;
use crate::page::{BODY, BODY_END, HEADER, Page, PageKind, Trailer};

/// A heap TID as stored in a page: the upper and lower half of the block, the offset.
pub(crate) type StoredTid = [u16; 3];

/// A heap TID as a number: block · 2¹⁶ + offset, below 2⁴⁸.
pub(crate) fn tid_of(stored: StoredTid) -> u64 {
    u64::from(stored[0]) << 32 | u64::from(stored[1]) << 16 | u64::from(stored[2])
}

/// The inverse of [`tid_of`].
pub(crate) fn stored_tid(tid: u64) -> StoredTid {
    [(tid >> 32) as u16, (tid >> 16) as u16, tid as u16]
}

/// The entries of a leaf.
#[derive(Clone, Copy)]
pub(crate) struct Entries<'p> {
    pub(crate) shape: EntryShape,
    pub(crate) words: &'p [u64],
    pub(crate) halves: &'p [u32],
    pub(crate) tids: &'p [StoredTid],
}

impl<'p> Entries<'p> {
    /// The entries of a leaf.
    pub(crate) fn leaf(page: &'p Page, block: u32, trailer: Trailer, shape: EntryShape) -> Result<Self, Corrupted> {
        let count = trailer.count;
        let halves_at = HEADER + count * shape.words * 8;
        let tids_at = halves_at + if shape.half { count * 4 } else { 0 };
        let arrays = || {
            Some(Entries {
                shape,
                words: page.array(HEADER, count * shape.words)?,
                halves: page.array(halves_at, if shape.half { count } else { 0 })?,
                tids: page.array(tids_at, count)?,
            })
        };
        arrays().ok_or(Corrupted::new(block, Damage::Count))
    }

    /// The entries of a staging page, whose TIDs are in reverse order: entry i has TID `len() - 1 - i`.
    pub(crate) fn staging(page: &'p Page, block: u32, trailer: Trailer, words: usize) -> Result<Self, Corrupted> {
        let shape = EntryShape { words: if trailer.kind == PageKind::StagingNulls { 0 } else { words }, half: false };
        let count = trailer.count;
        let arrays = || {
            let tids_at = BODY_END.checked_sub(count * 6)?;
            let words = page.array(HEADER, count * shape.words)?;
            Some(Entries { shape, words, halves: &[], tids: page.array(tids_at, count)? })
        };
        arrays().ok_or(Corrupted::new(block, Damage::Count))
    }

    pub(crate) fn len(&self) -> usize {
        self.tids.len()
    }

    /// The first word of entry `at`.
    pub(crate) fn key(&self, at: usize) -> u64 {
        if self.shape.words == 0 { 0 } else { self.words[at * self.shape.words] }
    }

    /// The first entry from `from` on whose key is not below `key`.
    pub(crate) fn lower_bound(&self, from: usize, key: u64) -> usize {
        let (mut low, mut high) = (from, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.key(middle) < key { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The words of entry `at`.
    pub(crate) fn row(&self, at: usize) -> &'p [u64] {
        &self.words[at * self.shape.words..(at + 1) * self.shape.words]
    }

    /// The stored half word of entry `at`; 0 if none is stored.
    pub(crate) fn half(&self, at: usize) -> u32 {
        self.halves.get(at).copied().unwrap_or(0)
    }
}

/// Entries that are collected for a leaf.
#[derive(Default)]
pub(crate) struct LeafBuffer {
    words: Vec<u64>,
    halves: Vec<u32>,
    tids: Vec<StoredTid>,
}

impl LeafBuffer {
    pub(crate) fn len(&self) -> usize {
        self.tids.len()
    }

    pub(crate) fn first_key(&self) -> u64 {
        self.words.first().copied().unwrap_or(0)
    }

    pub(crate) fn push(&mut self, shape: EntryShape, words: &[u64], half: u32, tid: StoredTid) {
        self.words.extend_from_slice(&words[..shape.words]);
        if shape.half {
            self.halves.push(half);
        }
        self.tids.push(tid);
    }

    /// Writes the entries into a begun leaf, and clears the buffer.
    pub(crate) fn drain_into(&mut self, page: &mut Page) {
        let mut at = HEADER;
        if let Some(words) = page.array_mut(at, self.words.len()) {
            words.copy_from_slice(&self.words);
        }
        at += self.words.len() * 8;
        if let Some(halves) = page.array_mut(at, self.halves.len()) {
            halves.copy_from_slice(&self.halves);
        }
        at += self.halves.len() * 4;
        if let Some(tids) = page.array_mut(at, self.tids.len()) {
            tids.copy_from_slice(&self.tids);
        }
        page.extend_used(self.tids.len(), at + self.tids.len() * 6, BODY_END);
        self.words.clear();
        self.halves.clear();
        self.tids.clear();
    }
}

/// How many entries a staging page has room for.
pub(crate) fn staging_capacity(words: usize) -> usize {
    BODY / (words * 8 + 6)
}

/// Adds an entry to a staging page; false if it is full.
pub(crate) fn append(page: &mut Page, count: usize, words: &[u64], tid: StoredTid) -> bool {
    if count >= staging_capacity(words.len()) {
        return false;
    }
    let (lower, upper) = (HEADER + count * words.len() * 8, BODY_END - (count + 1) * 6);
    if let Some(room) = page.array_mut(lower, words.len()) {
        room.copy_from_slice(words);
    }
    if let Some(room) = page.array_mut(upper, 1) {
        room[0] = tid;
    }
    page.extend_used(count + 1, lower + words.len() * 8, upper);
    true
}

/// Children of a full fence.
pub(crate) const FENCE_CAPACITY: usize = BODY / 12;

/// The children of a fence.
#[derive(Clone, Copy)]
pub(crate) struct Children<'p> {
    pub(crate) keys: &'p [u64],
    pub(crate) blocks: &'p [u32],
}

impl<'p> Children<'p> {
    pub(crate) fn of(page: &'p Page, block: u32, trailer: Trailer) -> Result<Self, Corrupted> {
        let count = trailer.count;
        let arrays =
            || Some(Children { keys: page.array(HEADER, count)?, blocks: page.array(HEADER + count * 8, count)? });
        arrays().filter(|_| count > 0).ok_or(Corrupted::new(block, Damage::Count))
    }

    /// Writes the children of a begun fence.
    pub(crate) fn write(page: &mut Page, children: &[(u64, u32)]) {
        let count = children.len();
        if let Some(keys) = page.array_mut::<u64>(HEADER, count) {
            keys.iter_mut().zip(children).for_each(|(to, (key, _))| *to = *key);
        }
        if let Some(blocks) = page.array_mut::<u32>(HEADER + count * 8, count) {
            blocks.iter_mut().zip(children).for_each(|(to, (_, block))| *to = *block);
        }
        page.extend_used(count, HEADER + count * 12, BODY_END);
    }
}
