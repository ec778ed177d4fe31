//! Builds an index of a table's existing rows: one run.
//!
//! Rows are kept in order of arrival; per band, the keys are sorted and the leaves written in order. Beyond the granted
//! memory, rows go to a *spool* that is read several times: per band, a histogram of the keys says which ranges of keys
//! fit in memory, and each range is read, sorted and written in turn. A range of one key needs no sorting, however many
//! rows have it.

use crate::entries::{StoredTid, stored_tid};
use crate::error::Corrupted;
use crate::index::Index;
use crate::layout::{Layout, MAX_WORDS, PackedHash};
use crate::meta::Meta;
use crate::run::{Allocator, TreeWriter, write_roots};
use crate::store::{Store, reserve};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// Key bits that a histogram resolves.
const HISTOGRAM_BITS: u32 = 12;
/// The most words per read or write of a spool.
const CHUNK: usize = 1 << 12;
/// Rows that are sorted without a cancel check; the sorted pieces are merged.
const PIECE: usize = 1 << 20;
/// Entries written between two reports of progress.
const PROGRESS_INTERVAL: u64 = 1 << 14;

/// Storage for rows that exceed the memory.
pub trait Spool {
    /// Adds words at the end.
    fn write(&mut self, words: &[u64]);
    /// Rewinds, to read.
    fn rewind(&mut self);
    /// Reads words; fewer than asked for only at the end.
    fn read(&mut self, words: &mut [u64]) -> usize;
}

/// A spool in memory.
#[derive(Debug, Default)]
pub struct MemorySpool {
    words: Vec<u64>,
    at: usize,
}

impl Spool for MemorySpool {
    fn write(&mut self, words: &[u64]) {
        self.words.extend_from_slice(words);
    }

    fn rewind(&mut self) {
        self.at = 0;
    }

    fn read(&mut self, words: &mut [u64]) -> usize {
        let count = words.len().min(self.words.len() - self.at);
        words[..count].copy_from_slice(&self.words[self.at..self.at + count]);
        self.at += count;
        count
    }
}

/// The size of a built index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BuildStats {
    /// Hashes.
    pub entries: u64,
    /// NULLs.
    pub nulls: u64,
    /// Blocks.
    pub pages: u32,
}

/// An index being built, in an empty store that nobody else sees.
pub struct IndexBuilder<'s, S: Store, P: Spool> {
    index: Index<'s, S>,
    allocator: Allocator<'s, S>,
    generation: u64,
    nulls: TreeWriter,
    rows: RowBuffer<'s, S, P>,
}

/// The rows, in memory as far as they fit: of each its packed hash and its TID.
struct RowBuffer<'s, S: Store, P: Spool> {
    store: &'s S,
    layout: Layout,
    stride: usize,
    /// Rows that are sorted at a time.
    sorted_at_once: usize,
    words: Vec<u64>,
    spool: P,
    is_spooled: bool,
    count: u64,
}

impl<'s, S: Store, P: Spool> IndexBuilder<'s, S, P> {
    /// Begins an index; the build uses `memory` bytes.
    pub fn new(store: &'s S, layout: Layout, memory: usize, spool: P) -> Result<Self, Corrupted> {
        let index = Index::create(store, layout);
        let begun = Meta::update(store, |meta| {
            meta.merging = meta.take_generation();
            Some(meta.clone())
        })?;
        let meta = begun.unwrap_or_else(|| Meta::new(layout));
        let stride = layout.words() + 1;
        // A stored row, and its key and position while a band is sorted.
        let sorted_at_once = (memory / (stride * 8 + 16)).clamp(1, u32::MAX as usize);
        Ok(IndexBuilder {
            generation: meta.merging,
            nulls: TreeWriter::new(&layout, meta.merging, layout.null_band()),
            allocator: Allocator::new(store, meta, true),
            rows: RowBuffer {
                store,
                layout,
                stride,
                sorted_at_once,
                words: Vec::new(),
                spool,
                is_spooled: false,
                count: 0,
            },
            index,
        })
    }

    /// Adds a row, or a NULL. The heap TID is block · 2¹⁶ + offset.
    pub fn add(&mut self, hash: Option<&PackedHash>, tid: u64) {
        match hash {
            Some(hash) => self.rows.add(hash, tid),
            None => self.nulls.push(&mut self.allocator, &[], 0, stored_tid(tid)),
        }
    }

    /// Writes the run.
    pub fn finish(self) -> Result<BuildStats, Corrupted> {
        self.finish_with_progress(&mut |_| ())
    }

    /// Writes the run, and reports now and then how many hashes are written, averaged over the bands.
    pub fn finish_with_progress(mut self, report: &mut dyn FnMut(u64)) -> Result<BuildStats, Corrupted> {
        let layout = *self.index.layout();
        let store = self.index.store();
        self.rows.end();
        let (mut roots, mut pages, mut written) = (Vec::new(), 0, 0u64);
        for band in 0..layout.bands() {
            let mut tree = TreeWriter::new(&layout, self.generation, band);
            let mut put = |row: &[u64], tid: StoredTid| {
                let mut hash = [0; MAX_WORDS];
                hash[..row.len()].copy_from_slice(row);
                let (kept, half) = layout.kept(&hash, band);
                tree.push(&mut self.allocator, &kept, half, tid);
                written += 1;
                if written.is_multiple_of(PROGRESS_INTERVAL) {
                    report(written / layout.bands() as u64);
                }
            };
            self.rows.sorted(band, &mut put);
            roots.push(tree.finish(&mut self.allocator));
            pages += tree.pages;
        }
        roots.push(self.nulls.finish(&mut self.allocator));
        let (entries, nulls) = (self.rows.count, self.nulls.entries);
        let size = (pages + self.nulls.pages, entries, nulls);
        let run = (entries + nulls > 0).then(|| write_roots(&mut self.allocator, self.generation, &roots, size));
        self.allocator.finish();
        Meta::update(store, |meta| {
            meta.merging = 0;
            meta.changes += 1;
            meta.list(run);
            Some(())
        })?;
        Ok(BuildStats { entries, nulls, pages: store.blocks() })
    }
}

impl<S: Store, P: Spool> RowBuffer<'_, S, P> {
    fn add(&mut self, hash: &PackedHash, tid: u64) {
        if self.words.capacity() - self.words.len() < self.stride {
            // Doubled, up to the memory limit.
            let most = self.sorted_at_once * self.stride - self.words.len();
            let more = self.words.len().max(1024).min(most).max(self.stride);
            if self.words.try_reserve_exact(more).is_err() {
                self.store.no_memory();
            }
        }
        self.words.extend_from_slice(&hash[..self.stride - 1]);
        self.words.push(tid);
        self.count += 1;
        if self.words.len() >= self.sorted_at_once * self.stride {
            self.is_spooled = true;
            self.spool();
            self.words.clear();
        }
    }

    fn spool(&mut self) {
        for words in self.words.chunks(CHUNK) {
            self.spool.write(words);
            self.store.check_for_interrupts();
        }
    }

    /// Ends the input.
    fn end(&mut self) {
        if self.is_spooled {
            self.spool();
            self.words = Vec::new();
        }
    }

    /// Passes on all rows, sorted by the keys of a band.
    fn sorted(&mut self, band: usize, put: &mut dyn FnMut(&[u64], StoredTid)) {
        if self.is_spooled {
            return self.sort_range(band, (0, u64::MAX), self.count, 64, put);
        }
        let rows = std::mem::take(&mut self.words);
        self.sort(band, &rows, put);
        self.words = rows;
    }

    /// Sorts rows piece by piece, and merges the pieces.
    fn sort(&self, band: usize, rows: &[u64], put: &mut dyn FnMut(&[u64], StoredTid)) {
        let row = |at: u32| &rows[at as usize * self.stride..(at as usize + 1) * self.stride];
        let key = |row: &[u64]| self.layout.first_word(&row[..self.stride - 1], band);
        // The rows mostly arrived in the order of their TIDs.
        let mut order: Vec<(u64, u32)> = Vec::new();
        reserve(self.store, &mut order, rows.len() / self.stride);
        let mut heads = BinaryHeap::new();
        let piece = PIECE.min(self.sorted_at_once.div_ceil(4));
        for rows in rows.chunks(piece * self.stride) {
            let first = order.len();
            let places = first as u32..;
            order.extend(rows.chunks(self.stride).map(key).zip(places));
            order[first..].sort_unstable();
            heads.push(Reverse((order[first], first + 1, order.len())));
            self.store.check_for_interrupts();
        }
        while let Some(mut head) = heads.peek_mut() {
            let Reverse(((_, at), next, end)) = *head;
            match order[next..end].first() {
                Some(entry) => *head = Reverse((*entry, next + 1, end)),
                None => drop(PeekMut::pop(head)),
            }
            let row = row(at);
            put(&row[..self.stride - 1], stored_tid(row[self.stride - 1]));
        }
    }

    /// Passes on the `count` spooled rows whose keys are in a range of 2^`bits` keys.
    fn sort_range(
        &mut self,
        band: usize,
        (first, last): (u64, u64),
        count: u64,
        bits: u32,
        put: &mut dyn FnMut(&[u64], StoredTid),
    ) {
        if count <= self.sorted_at_once as u64 {
            let mut rows = Vec::new();
            reserve(self.store, &mut rows, count as usize * self.stride);
            self.read_range(band, (first, last), |row, _| rows.extend_from_slice(row));
            return self.sort(band, &rows, put);
        }
        if bits == 0 {
            let stride = self.stride;
            let all = |row: &[u64], _| put(&row[..stride - 1], stored_tid(row[stride - 1]));
            return self.read_range(band, (first, last), all);
        }
        let shift = bits.saturating_sub(HISTOGRAM_BITS);
        let mut counts = vec![0u64; 1 << (bits - shift)];
        self.read_range(band, (first, last), |_, key| counts[((key - first) >> shift) as usize] += 1);
        let mut at = 0;
        while at < counts.len() {
            // As many buckets as fit together, at least one.
            let (start, mut sum) = (at, counts[at]);
            at += 1;
            while at < counts.len() && sum + counts[at] <= self.sorted_at_once as u64 {
                sum += counts[at];
                at += 1;
            }
            let inner = (first + ((start as u64) << shift), first + ((at as u64 - 1) << shift) + ((1 << shift) - 1));
            if sum > 0 {
                self.sort_range(band, inner, sum, shift, put);
            }
        }
    }

    fn read_range(&mut self, band: usize, (first, last): (u64, u64), mut look: impl FnMut(&[u64], u64)) {
        let mut chunk = vec![0; (CHUNK / self.stride).max(1) * self.stride];
        self.spool.rewind();
        loop {
            let read = self.spool.read(&mut chunk);
            for row in chunk[..read].chunks_exact(self.stride) {
                let key = self.layout.first_word(&row[..self.stride - 1], band);
                if (first..=last).contains(&key) {
                    look(row, key);
                }
            }
            self.store.check_for_interrupts();
            if read < chunk.len() {
                return;
            }
        }
    }
}
