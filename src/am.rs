//! The index access method `hamming`: Postgres's callbacks, implemented by `crates/index`.
//!
//! - [`handler`]: the list of the callbacks, by Postgres's version.
//! - [`build`], [`insert`], [`scan`], [`vacuum`], [`cost`], [`validate`], [`options`], [`property`]: the callbacks,
//!   under Postgres's names.
//! - [`functions`], [`check`]: `hamming_index_check`, `hamming_index_stats`, `hamming_index_merge`.
//! - [`error`]: what can be wrong with an index.
//!
//! This module does not know the page format, and `crates/index` does not know Postgres; [`crate::pg::access::pages`]
//! connects the two. Invariants of every callback:
//!
//! - An index holds hashes of one width, that of its column's type. Width and number of bands are fixed when it is
//!   built. Only this layout is cached; block 0 is read for the lists of pages at every search, and at an insert that
//!   finds its staging page full.
//! - Scans are those of one moment's snapshot, and only go forward. They keep no pin and no lock between two calls.
//! - A row whose hash is NULL is in the index too: ordered by distance it comes last.

mod build;
mod check;
mod cost;
mod error;
mod functions;
mod handler;
mod insert;
mod options;
mod property;
mod scan;
mod vacuum;
mod validate;

pub(crate) use options::register;

use crate::pg::access::pages::Pages;
use crate::pg::access::relation::IndexRelation;
use crate::pg::fmgr::raise::OrRaise;
use error::IndexError;
use lumina_index::{Corrupted, Damage, Index, Layout};

/// The strategy of the search operator `<@`.
const IN_BALL: u16 = 1;
/// The strategy of the ordering operator `<~>`.
const DISTANCE: u16 = 2;

/// The layout of an index: read once, and cached with the relation.
fn layout(index: IndexRelation, pages: &Pages) -> Layout {
    index.remembered().unwrap_or_else(|| {
        let layout = *Index::open(pages).or_raise_in(index).layout();
        index.remember(layout);
        layout
    })
}

/// Raises the corruption of an index.
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
fn corruption(index: IndexRelation, Corrupted { block, damage }: Corrupted) -> IndexError {
    let index = index.qualified_name();
    match damage {
        Damage::Version(version) => IndexError::Format { index, version },
        damage => IndexError::Corrupted { index, block, damage },
    }
}
