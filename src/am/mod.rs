//! The index access method `hamming`: what Postgres asks of an index, answered by `crates/index`.
//!
//! - [`handler`]: the list of the callbacks, by Postgres's version.
//! - [`build`], [`insert`], [`scan`], [`vacuum`], [`cost`], [`validate`], [`options`], [`property`]: the callbacks, under Postgres's names.
//! - [`functions`], [`check`]: `hamming_index_check`, `hamming_index_stats`, `hamming_index_merge`.
//!
//! Nothing here knows what a page holds, and nothing in `crates/index` knows Postgres; in between stands
//! [`crate::pg::pages`]. What every callback keeps to:
//!
//! - An index is over hashes of one width, that of its column's type, frozen when it is built, with the number of bands.
//!   The layout is all that is cached of an index; its lists of pages are read from block 0 at every search and insert.
//! - Scans are those of one moment's snapshot, and only go forward. They keep no pin and no lock between two calls.
//! - A row without a hash is in the index too: ordered by distance it comes last.

mod build;
mod check;
mod cost;
mod functions;
mod handler;
mod insert;
mod options;
mod property;
mod scan;
mod vacuum;
mod validate;

pub(crate) use options::register;

use crate::error::{LuminaError, OrRaise};
use crate::pg::pages::Pages;
use crate::pg::relation::IndexRelation;
use lumina_index::{Corrupted, Damage, Index, Layout};

/// `<@`: the strategy of a search.
const IN_BALL: u16 = 1;
/// `<~>`: the strategy of an order.
const DISTANCE: u16 = 2;

/// How hashes stand in an index: read once, and remembered with the relation.
fn layout(index: IndexRelation, pages: &Pages) -> Layout {
    index.remembered().unwrap_or_else(|| {
        let layout = *Index::open(pages).or_raise_in(index).layout();
        index.remember(layout);
        layout
    })
}

/// Raises what is wrong with an index.
trait OrRaiseIn<T> {
    fn or_raise_in(self, index: IndexRelation) -> T;
}

impl<T> OrRaiseIn<T> for Result<T, Corrupted> {
    #[inline]
    fn or_raise_in(self, index: IndexRelation) -> T {
        self.map_err(|corrupted| corruption(index, corrupted)).or_raise()
    }
}

#[cold]
fn corruption(index: IndexRelation, Corrupted { block, damage }: Corrupted) -> LuminaError {
    let index = index.qualified_name();
    match damage {
        Damage::Version(version) => LuminaError::IndexFormat { index, version },
        damage => LuminaError::IndexCorrupted { index, block, damage },
    }
}
