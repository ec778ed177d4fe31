//! `amoptions`: `CREATE INDEX ... WITH (bands = 4)`.
//!
//! The number is frozen in the index when it is built. ALTER INDEX ... SET (bands = ...) has no effect until REINDEX.

use crate::pg::access::options::{self, NumberOption, Options};
use crate::pg::access::relation::IndexRelation;
use lumina_index::layout::MAX_BANDS;
use pgrx::pg_guard;
use pgrx::pg_sys::{Datum, bytea};

static BANDS: NumberOption = NumberOption {
    name: c"bands",
    description: c"Number of bands that hashes are cut into, when the index is built",
    minimum: 1,
    maximum: MAX_BANDS as i32,
};

/// Makes the options known, when the library is loaded.
pub(crate) fn register() {
    options::register(&BANDS);
}

/// The option `bands` of an index, if set.
#[allow(unsafe_code, reason = "the options were made below")]
pub(super) fn bands(index: IndexRelation) -> Option<usize> {
    // SAFETY: an index of ours has the options that `amoptions` has made, if any.
    unsafe { Options::number(index.options()) }
}

/// Reads the options of an index.
///
/// # Safety
/// Called by Postgres, with an array of texts or null.
#[allow(unsafe_code, reason = "a callback")]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn amoptions(given: Datum, validate: bool) -> *mut bytea {
    options::read(given, validate, &BANDS)
}
