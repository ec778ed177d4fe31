//! `hamming_index_check`: checks every page of the index and, where asked, that every row of the table is in every
//! band.
//!
//! The check covers the rows that one snapshot sees. Each is in the index as long as the snapshot lives: its entries
//! were there before it became visible, and VACUUM cannot remove it. So the check reads a part of the table that fits
//! in `maintenance_work_mem`, then the whole index, then the next part. Inserts, VACUUM and merges go on meanwhile.

use super::error::{IndexError, RowFault};
use super::{OrRaiseIn, layout};
use crate::error::LuminaError;
use crate::pg::error::IndexMemory;
use crate::pg::pages::Pages;
use crate::pg::path::maintenance_memory;
use crate::pg::relation::Opened;
use crate::pg::table_scan::Visible;
use lumina_index::layout::MAX_WORDS;
use lumina_index::{CheckedEntry, Index, Layout, Store};
use std::ops::Range;

/// The most tuples in a heap block.
const ROWS_OF_BLOCK: usize = 291;
/// Stands for the place of a row whose hash is NULL.
const NULL: u32 = u32::MAX;

/// Checks an index; with `whole`, against its table too. Errors: XX002 for the first thing that is wrong.
pub(super) fn check(opened: &Opened, whole: bool) -> Result<(), LuminaError> {
    let (table, index) = (opened.table, opened.index);
    let pages = Pages::of(index, Some(table));
    let layout = layout(index, &pages);
    let tree = Index::with_layout(&pages, layout);
    let mut farthest = 0;
    let fault = |tid: u64, fault| IndexError::Row { index: index.qualified_name(), tid, fault };
    if whole {
        let visible = Visible::begin(table, index).ok_or_else(|| IndexError::Young(index.name()))?;
        let blocks = table.blocks();
        let room = (maintenance_memory() / Rows::size_of_row(&layout)).max(ROWS_OF_BLOCK);
        let mut rows = Rows::new(layout, room.min((blocks as usize + 1).saturating_mul(ROWS_OF_BLOCK)))?;
        let mut start = 0;
        while start < blocks || start == 0 {
            rows.clear();
            let mut end = start;
            while let Some(step) = rows.room(end - start).filter(|_| end < blocks) {
                let next = blocks.min(end.saturating_add(step));
                visible.rows(end..next, &mut |hash, tid| rows.add(hash.map(|hash| hash.0), tid));
                end = next;
            }
            rows.sort(start..end, &|| pages.interrupt())?;
            tree.check(&mut |entry| {
                farthest = farthest.max(entry.tid);
                rows.meet(entry);
            })
            .or_raise_in(index);
            rows.outcome().map_err(|(tid, what)| fault(tid, what))?;
            start = end.max(1);
        }
        visible.end();
    } else {
        tree.check(&mut |entry| farthest = farthest.max(entry.tid)).or_raise_in(index);
    }
    // The lock on the table keeps VACUUM from truncating it.
    if farthest >> 16 >= u64::from(table.blocks()) && farthest > 0 {
        return Err(fault(farthest, RowFault::Impossible).into());
    }
    Ok(())
}

/// Rows of a part of the table, and the bands in which each was found.
struct Rows {
    layout: Layout,
    blocks: Range<u32>,
    words: Vec<u64>,
    /// The heap TID, the row's place in `words`, and a bit for every band it was found in.
    tids: Vec<(u64, u32, u64)>,
    /// Where each block's TIDs begin in `tids`, and where those of the last one end.
    starts: Vec<u32>,
    fault: Option<(u64, RowFault)>,
}

impl Rows {
    /// For at most `room` rows. Errors: 53200.
    fn new(layout: Layout, room: usize) -> Result<Self, LuminaError> {
        let (mut words, mut tids) = (Vec::new(), Vec::new());
        let reserved = words.try_reserve_exact(room * layout.words()).and_then(|()| tids.try_reserve_exact(room));
        reserved.map_err(|_| IndexMemory)?;
        Ok(Rows { layout, blocks: 0..0, words, tids, starts: Vec::new(), fault: None })
    }

    fn clear(&mut self) {
        self.words.clear();
        self.tids.clear();
    }

    /// How many more blocks fit after `blocks` of them, however full they are; `None` where the memory is used up.
    fn room(&self, blocks: u32) -> Option<u32> {
        let most = self.tids.capacity();
        let fits = (most - self.tids.len()) / ROWS_OF_BLOCK;
        // Empty blocks take memory as well, though less.
        let step = fits.min(most.saturating_sub(blocks as usize));
        u32::try_from(step).ok().filter(|step| *step > 0)
    }

    fn size_of_row(layout: &Layout) -> usize {
        size_of::<(u64, u32, u64)>() + layout.words() * size_of::<u64>()
    }

    fn add(&mut self, hash: Option<&[u8]>, tid: u64) {
        let place = match hash.map(|hash| self.layout.row(hash)) {
            None => NULL,
            Some(Some(row)) => {
                self.words.extend_from_slice(&row[..self.layout.words()]);
                (self.words.len() / self.layout.words() - 1) as u32
            }
            Some(None) => {
                self.fault = self.fault.or(Some((tid, RowFault::Other)));
                return;
            }
        };
        self.tids.push((tid, place, 0));
    }

    /// Sorts the rows of `blocks`, once all were added, block by block. Errors: 53200.
    fn sort(&mut self, blocks: Range<u32>, interrupt: &dyn Fn()) -> Result<(), LuminaError> {
        self.starts.clear();
        self.starts.try_reserve_exact(blocks.len() + 1).map_err(|_| IndexMemory)?;
        let mut start = 0;
        for block in blocks.clone() {
            self.starts.push(start as u32);
            let rest = &mut self.tids[start..];
            let count = rest.iter().take_while(|(tid, ..)| tid >> 16 == u64::from(block)).count();
            rest[..count].sort_unstable();
            start += count;
            interrupt();
        }
        self.starts.push(start as u32);
        debug_assert_eq!(start, self.tids.len(), "rows came in the order of their blocks");
        self.blocks = blocks;
        Ok(())
    }

    /// Where a row is in `tids`. Entries come in the order of their hashes, so that every memory access counts.
    fn find(&self, tid: u64) -> Option<usize> {
        let block = (tid >> 16) as usize;
        let at = block.checked_sub(self.blocks.start as usize)?;
        let (start, end) = (*self.starts.get(at)? as usize, *self.starts.get(at + 1)? as usize);
        // Mostly the TIDs of a block have no gaps.
        let likely = start + (tid as u16 as usize).saturating_sub(1);
        if likely < end && self.tids[likely].0 == tid {
            return Some(likely);
        }
        let found = self.tids[start..end].binary_search_by_key(&tid, |(tid, ..)| *tid);
        found.ok().map(|at| start + at)
    }

    fn meet(&mut self, CheckedEntry { band, fingerprint, tid }: CheckedEntry) {
        let Some(at) = self.find(tid) else { return };
        let all = self.all();
        let (_, place, met) = &mut self.tids[at];
        let null_band = self.layout.null_band();
        let right = if *place == NULL {
            band == Some(null_band)
        } else {
            let mut row = [0; MAX_WORDS];
            let words = self.layout.words();
            row[..words].copy_from_slice(&self.words[*place as usize * words..(*place as usize + 1) * words]);
            band != Some(null_band) && self.layout.fingerprint(&row, band.unwrap_or(0)) == fingerprint
        };
        if !right {
            self.fault = self.fault.or(Some((tid, RowFault::Other)));
            return;
        }
        *met |= match band {
            Some(band) if band != null_band => 1 << band,
            _ => all,
        };
    }

    /// A bit for each band.
    fn all(&self) -> u64 {
        u64::MAX >> (64 - self.layout.bands())
    }

    fn outcome(&self) -> Result<(), (u64, RowFault)> {
        let missing =
            || self.tids.iter().find(|(.., met)| *met != self.all()).map(|(tid, ..)| (*tid, RowFault::Missing));
        self.fault.or_else(missing).map_or(Ok(()), Err)
    }
}
