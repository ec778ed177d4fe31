//! `aminsert`: adds a row that was inserted into the table, or whose hash was updated.

use super::{OrRaiseIn, layout};
use crate::pg::access::index_scan::tid_of;
use crate::pg::access::insertion::Insertion;
use crate::pg::access::pages::Pages;
use crate::pg::access::relation::{IndexRelation, TableRelation};
use crate::pg::access::table_scan::value_of;
use crate::pg::fmgr::raise::OrRaise;
use crate::types::error::ValueError;
use lumina_index::{Index, Layout, Tails};
use pgrx::pg_guard;
use pgrx::pg_sys::{Datum, IndexInfo, IndexUniqueCheck, ItemPointer, Relation};

/// What is kept from one row of a statement to the next.
#[derive(Clone, Copy)]
struct Kept {
    layout: Layout,
    tails: Tails,
}

/// Adds a row. Returns false: no index of ours is declared unique.
///
/// # Safety
/// Called by Postgres: table and index are open; there is one value, and a TID.
#[allow(unsafe_code, reason = "a callback")]
#[allow(clippy::too_many_arguments, reason = "Postgres's")]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn aminsert(
    index: Relation,
    values: *mut Datum,
    nulls: *mut bool,
    tid: ItemPointer,
    table: Relation,
    _check_unique: IndexUniqueCheck::Type,
    _is_unchanged: bool,
    info: *mut IndexInfo,
) -> bool {
    // SAFETY: as promised by the caller.
    let (index, table, insertion, hash, tid) = unsafe {
        let (index, table) = (IndexRelation::of(index), TableRelation::of(table));
        (index, table, Insertion::of(info), value_of(values, nulls), tid_of(tid))
    };
    let pages = Pages::of(index, Some(table));
    let kept = insertion.kept(|| Kept { layout: layout(index, &pages), tails: Tails::default() });
    let Kept { layout, tails } = kept;
    let row = hash.map(|hash| {
        let other = ValueError::Width { found: hash.bits(), expected: layout.bits() };
        layout.pack(hash.0).ok_or(other).or_raise()
    });
    Index::with_layout(&pages, *layout).insert(tails, row.as_ref(), tid).or_raise_in(index);
    false
}
