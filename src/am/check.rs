//! `hamming_index_check`: checks every page of the index and, on request, that every row of the table is in every band.
//!
//! The check covers the rows that one snapshot sees. Each is in the index as long as the snapshot lives: its entries
//! were there before it became visible, and VACUUM cannot remove it. `lumina_index::heap_check` compares the rows with
//! the index, in parts of the table that fit in `maintenance_work_mem`; this file reads them, and raises what is wrong.
//! Inserts, VACUUM and merges go on during the check.

use super::error::IndexError;
use super::{OrRaiseIn, layout};
use crate::pg::access::pages::Pages;
use crate::pg::access::relation::{Opened, TableRelation};
use crate::pg::access::table_scan::Visible;
use crate::pg::planner::path::maintenance_memory;
use lumina_index::Index;
use lumina_index::heap_check::{FarthestTid, Heap, RowMismatch};
use std::ops::Range;

/// The rows of a table that a snapshot sees.
struct VisibleRows {
    table: TableRelation,
    visible: Visible,
}

impl Heap for VisibleRows {
    fn blocks(&self) -> u32 {
        self.table.blocks()
    }

    fn rows(&self, blocks: Range<u32>, each: &mut dyn FnMut(Option<&[u8]>, u64)) {
        self.visible.rows(blocks, &mut |hash, tid| each(hash.map(|hash| hash.0), tid));
    }
}

/// Checks an index; with `heap_all_indexed`, against its table too. Errors: XX002 for the first thing that is wrong.
pub(super) fn check(opened: &Opened, heap_all_indexed: bool) -> Result<(), IndexError> {
    let (table, index) = (opened.table, opened.index);
    let pages = Pages::of(index, Some(table));
    let tree = Index::with_layout(&pages, layout(index, &pages));
    let wrong = |row: RowMismatch| Err(IndexError::Row { index: index.qualified_name(), row });
    let mut farthest = FarthestTid::default();
    if heap_all_indexed {
        let visible = Visible::begin(table, index).ok_or_else(|| IndexError::Young(index.name()))?;
        let heap = VisibleRows { table, visible };
        let mismatch = tree.check_heap(&heap, maintenance_memory(), &mut farthest).or_raise_in(index);
        mismatch.map_or(Ok(()), wrong)?;
        heap.visible.end();
    } else {
        tree.check(&mut |entry| farthest.note(&entry)).or_raise_in(index);
    }
    // The lock on the table keeps VACUUM from truncating it.
    farthest.past_end(table.blocks()).map_or(Ok(()), wrong)
}
