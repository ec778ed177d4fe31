//! Compares an index with its table: every row of one snapshot must be in every band, with its own hash.
//!
//! The table is read in parts that fit in memory, one after the other; for each part the whole index is checked, and
//! the entries of the part's rows are compared with them. The caller holds the snapshot until the end: so the entries
//! of a row that was read cannot be vacuumed. Entries of other rows are ignored: dead rows, and rows that were inserted
//! since.
//!
//! Called by `src/am/check.rs` of the extension, with the table as a [`Heap`].

use crate::check::CheckedEntry;
use crate::error::Corrupted;
use crate::index::Index;
use crate::layout::{Layout, MAX_WORDS};
use crate::store::Store;
use std::ops::Range;

/// The most tuples in a heap block.
const ROWS_PER_BLOCK: usize = 291;

/// The table of an index, as a check reads it.
pub trait Heap {
    /// Blocks that exist.
    fn blocks(&self) -> u32;

    /// Passes on the rows of some blocks that the index must have, block by block, in any order within a block: the
    /// hash, `None` for a NULL, and the heap TID, block · 2¹⁶ + offset.
    fn rows(&self, blocks: Range<u32>, each: &mut dyn FnMut(Option<&[u8]>, u64));
}

/// What is wrong between a row and the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// A band lacks the row.
    Missing,
    /// An entry has another hash than the row.
    Different,
    /// An entry has a TID past the end of the table.
    PastEnd,
}

/// A heap TID, and what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowMismatch {
    /// The heap TID.
    pub tid: u64,
    /// What is wrong.
    pub mismatch: Mismatch,
}

/// The farthest TID of the entries that a check has passed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FarthestTid(u64);

impl FarthestTid {
    /// Takes note of an entry.
    pub fn note(&mut self, entry: &CheckedEntry) {
        self.0 = self.0.max(entry.tid);
    }

    /// A mismatch if it is past the end of a table of `blocks` blocks.
    pub fn past_end(self, blocks: u32) -> Option<RowMismatch> {
        let is_past = self.0 >> 16 >= u64::from(blocks) && self.0 > 0;
        is_past.then_some(RowMismatch { tid: self.0, mismatch: Mismatch::PastEnd })
    }
}

impl<S: Store> Index<'_, S> {
    /// Checks every page in use, as [`Index::check`] does, and that every row of `heap` is in every band. Reads the
    /// table in parts of `memory` bytes, and 4 bytes a block of the table beside them, at least a block. Returns the
    /// first mismatch that it finds.
    pub fn check_heap(
        &self,
        heap: &impl Heap,
        memory: usize,
        farthest: &mut FarthestTid,
    ) -> Result<Option<RowMismatch>, Corrupted> {
        let store = self.store();
        let blocks = heap.blocks();
        let Some(mut part) = HeapPart::new(*self.layout(), memory, blocks) else { store.no_memory() };
        let mut start = 0;
        // An empty table is one part, so that the index is checked.
        while start < blocks || start == 0 {
            part.clear();
            let mut end = start;
            while let Some(step) = part.blocks_that_fit(end - start).filter(|_| end < blocks) {
                let next = blocks.min(end.saturating_add(step));
                heap.rows(end..next, &mut |hash, tid| part.add(hash, tid));
                end = next;
            }
            if part.sort(start..end, &|| store.check_for_interrupts()).is_none() {
                store.no_memory();
            }
            self.check(&mut |entry| {
                farthest.note(&entry);
                part.compare(entry);
            })?;
            if let Some(mismatch) = part.mismatch() {
                return Ok(Some(mismatch));
            }
            start = end.max(1);
        }
        Ok(None)
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
struct HeapRow {
    tid: u64,
    /// The place of its hash among those of the part; `None` for a NULL.
    place: Option<u32>,
    /// A bit for every band in which it was found.
    bands: u64,
}

/// The rows of a part of the table, and the bands in which each was found.
struct HeapPart {
    layout: Layout,
    blocks: Range<u32>,
    /// The packed hashes of the rows.
    words: Vec<u64>,
    rows: Vec<HeapRow>,
    /// Where the rows of each block begin in `rows`, and where those of the last one end.
    starts: Vec<u32>,
    /// The first entry with another hash than its row.
    different: Option<u64>,
}

impl HeapPart {
    /// For parts of `memory` bytes of a table of `blocks` blocks; `None` if out of memory.
    fn new(layout: Layout, memory: usize, blocks: u32) -> Option<Self> {
        let most = (memory / Self::bytes_of_row(&layout)).max(ROWS_PER_BLOCK);
        let capacity = most.min((blocks as usize + 1).saturating_mul(ROWS_PER_BLOCK));
        let (mut words, mut rows) = (Vec::new(), Vec::new());
        words.try_reserve_exact(capacity * layout.words()).ok()?;
        rows.try_reserve_exact(capacity).ok()?;
        Some(HeapPart { layout, blocks: 0..0, words, rows, starts: Vec::new(), different: None })
    }

    fn bytes_of_row(layout: &Layout) -> usize {
        size_of::<HeapRow>() + layout.words() * size_of::<u64>()
    }

    fn clear(&mut self) {
        self.words.clear();
        self.rows.clear();
    }

    /// How many more blocks fit after `blocks` of them, however full they are; `None` if the memory is used up.
    fn blocks_that_fit(&self, blocks: u32) -> Option<u32> {
        let most = self.rows.capacity();
        let fit = (most - self.rows.len()) / ROWS_PER_BLOCK;
        // Empty blocks take memory as well, though less.
        let step = fit.min(most.saturating_sub(blocks as usize));
        u32::try_from(step).ok().filter(|step| *step > 0)
    }

    fn add(&mut self, hash: Option<&[u8]>, tid: u64) {
        let place = match hash.map(|hash| self.layout.pack(hash)) {
            None => None,
            Some(Some(packed)) => {
                let words = self.layout.words();
                self.words.extend_from_slice(&packed[..words]);
                Some((self.words.len() / words - 1) as u32)
            }
            // Of another width than the index.
            Some(None) => {
                self.different = self.different.or(Some(tid));
                return;
            }
        };
        self.rows.push(HeapRow { tid, place, bands: 0 });
    }

    /// Sorts the rows of `blocks` by TID, block by block, once all were added; `None` if out of memory.
    fn sort(&mut self, blocks: Range<u32>, check_for_interrupts: &dyn Fn()) -> Option<()> {
        self.starts.clear();
        self.starts.try_reserve_exact(blocks.len() + 1).ok()?;
        let mut start = 0;
        for block in blocks.clone() {
            self.starts.push(start as u32);
            let rest = &mut self.rows[start..];
            let count = rest.iter().take_while(|row| row.tid >> 16 == u64::from(block)).count();
            rest[..count].sort_unstable_by_key(|row| row.tid);
            start += count;
            check_for_interrupts();
        }
        self.starts.push(start as u32);
        debug_assert_eq!(start, self.rows.len(), "rows came in the order of their blocks");
        self.blocks = blocks;
        Some(())
    }

    /// Where a row is in `rows`. Entries come in the order of their hashes, so that every memory access counts.
    fn find(&self, tid: u64) -> Option<usize> {
        let block = (tid >> 16) as usize;
        let at = block.checked_sub(self.blocks.start as usize)?;
        let (start, end) = (*self.starts.get(at)? as usize, *self.starts.get(at + 1)? as usize);
        // Mostly the TIDs of a block have no gaps.
        let likely = start + (tid as u16 as usize).saturating_sub(1);
        if likely < end && self.rows[likely].tid == tid {
            return Some(likely);
        }
        let found = self.rows[start..end].binary_search_by_key(&tid, |row| row.tid);
        found.ok().map(|at| start + at)
    }

    /// Compares an entry of the index with its row, if that is in this part.
    fn compare(&mut self, CheckedEntry { band, fingerprint, tid }: CheckedEntry) {
        let Some(at) = self.find(tid) else { return };
        let null_band = self.layout.null_band();
        let is_equal = match self.rows[at].place {
            None => band == Some(null_band),
            Some(place) => {
                let (mut hash, words) = ([0; MAX_WORDS], self.layout.words());
                hash[..words].copy_from_slice(&self.words[place as usize * words..(place as usize + 1) * words]);
                band != Some(null_band) && self.layout.fingerprint(&hash, band.unwrap_or(0)) == fingerprint
            }
        };
        if !is_equal {
            self.different = self.different.or(Some(tid));
            return;
        }
        self.rows[at].bands |= match band {
            Some(band) if band != null_band => 1 << band,
            _ => self.all_bands(),
        };
    }

    /// A bit for each band.
    fn all_bands(&self) -> u64 {
        u64::MAX >> (64 - self.layout.bands())
    }

    /// What is wrong, once the index was read: an entry that differs, or else the first row that a band lacks.
    fn mismatch(&self) -> Option<RowMismatch> {
        let different = self.different.map(|tid| RowMismatch { tid, mismatch: Mismatch::Different });
        different.or_else(|| {
            let missing = self.rows.iter().find(|row| row.bands != self.all_bands());
            missing.map(|row| RowMismatch { tid: row.tid, mismatch: Mismatch::Missing })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Full blocks, and then empty ones: a part ends before its memory grows.
    #[test]
    fn a_part_keeps_within_its_memory() {
        let Ok(layout) = Layout::new(64, None) else { panic!("no layout") };
        for memory in [0, 1 << 15, 1 << 16, 1 << 20] {
            let Some(mut part) = HeapPart::new(layout, memory, 10_000) else { panic!("no memory") };
            let (rows, words) = (part.rows.capacity(), part.words.capacity());
            assert!(rows >= ROWS_PER_BLOCK && (rows - ROWS_PER_BLOCK) * HeapPart::bytes_of_row(&layout) <= memory);
            for full_blocks in [0, 1, u32::MAX] {
                part.clear();
                let mut end = 0;
                while let Some(step) = part.blocks_that_fit(end) {
                    for block in end..end + step {
                        let offsets = 1..=if block < full_blocks { ROWS_PER_BLOCK as u64 } else { 0 };
                        offsets.for_each(|offset| part.add(Some(&[7; 8]), u64::from(block) << 16 | offset));
                    }
                    end += step;
                }
                assert!(end >= 1 && end as usize <= rows);
                assert!(part.sort(0..end, &|| ()).is_some());
                assert_eq!((part.rows.capacity(), part.words.capacity()), (rows, words), "{memory} {full_blocks}");
            }
        }
    }
}
