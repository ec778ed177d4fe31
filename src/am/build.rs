//! `ambuild`, `ambuildempty`, `ambuildphasename`: CREATE INDEX and REINDEX.

use super::OrRaiseIn;
use super::error::IndexError;
use super::options::bands;
use crate::pg::access::pages::Pages;
use crate::pg::access::progress;
use crate::pg::access::relation::{IndexRelation, TableRelation};
use crate::pg::access::spool::TemporaryFile;
use crate::pg::access::table_scan::{build_result, rows_to_index};
use crate::pg::fmgr::raise::OrRaise;
use crate::pg::planner::path::maintenance_memory;
use crate::types::error::ValueError;
use lumina_index::{BuildStats, Index, IndexBuilder, Layout, LayoutError, MAX_BITS};
use pgrx::pg_guard;
use pgrx::pg_sys::{IndexBuildResult, IndexInfo, Relation, int64};
use std::ffi::{CStr, c_char};

/// The phases of a build, from 1 on: the first is Postgres's own.
const PHASES: [&CStr; 3] = [c"initializing", c"reading hashes", c"sorting and writing bands"];

/// Builds an index of the rows that its table has.
///
/// # Safety
/// Called by Postgres: the table and the index are open, and nobody else sees the index.
#[allow(unsafe_code, reason = "a callback")]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn ambuild(
    table: Relation,
    index: Relation,
    info: *mut IndexInfo,
) -> *mut IndexBuildResult {
    // SAFETY: as promised by the caller.
    let (table, index) = unsafe { (TableRelation::of(table), IndexRelation::of(index)) };
    let layout = new_layout(index).or_raise();
    let pages = Pages::new_index(index);
    let spool = TemporaryFile::new();
    let mut builder = IndexBuilder::new(&pages, layout, maintenance_memory(), spool).or_raise_in(index);
    // A layout cached so far, if any, is that of the index before REINDEX.
    index.remember(layout);
    progress::phase(2);
    let mut rows = 0;
    let mut add = |hash: Option<crate::pg::fmgr::datum::Phash<'_>>, tid| {
        let row = hash.map(|hash| {
            let other = ValueError::Width { found: hash.bits(), expected: layout.bits() };
            layout.pack(hash.0).ok_or(other).or_raise()
        });
        builder.add(row.as_ref(), tid);
        rows += 1;
    };
    // SAFETY: as promised by the caller.
    let in_table = unsafe { rows_to_index(table, index, info, &mut add) };
    progress::phase(3);
    progress::rows(rows);
    let BuildStats { entries, nulls, .. } = builder.finish_with_progress(&mut progress::rows_done).or_raise_in(index);
    pages.log();
    progress::rows_done(rows);
    build_result(in_table, (entries + nulls) as f64)
}

/// Writes the init fork of an unlogged index: an empty index.
///
/// # Safety
/// Called by Postgres: the index is open, and has an init fork without blocks.
#[allow(unsafe_code, reason = "a callback")]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn ambuildempty(index: Relation) {
    // SAFETY: as promised by the caller.
    let index = unsafe { IndexRelation::of(index) };
    let pages = Pages::init_fork(index);
    Index::create(&pages, new_layout(index).or_raise());
    pages.log();
}

/// The name of a phase of a build.
///
/// # Safety
/// None is needed.
#[allow(unsafe_code, reason = "a callback")]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn ambuildphasename(number: int64) -> *mut c_char {
    let name = usize::try_from(number - 1).ok().and_then(|at| PHASES.get(at));
    name.map_or(std::ptr::null_mut(), |name| name.as_ptr().cast_mut())
}

/// The layout of a new index: its width is that of the column's type, its number of bands a storage option.
///
/// Errors: 42P17 where the type has no width or the operator class is not over hashes, 54000 for hashes that are too
/// wide, 22023 for a number of bands that does not fit.
fn new_layout(index: IndexRelation) -> Result<Layout, IndexError> {
    if !index.is_over_hashes() {
        return Err(IndexError::Class(index.name()));
    }
    let bits = index.declared_bits().ok_or_else(|| IndexError::NoWidth(index.column_name()))?;
    Layout::new(bits, bands(index)).map_err(|why| match why {
        LayoutError::Bits(bits) => IndexError::Width { bits, most: MAX_BITS },
        LayoutError::Bands { bits, bands } => IndexError::Bands { bits, bands },
    })
}
