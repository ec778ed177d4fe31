//! `phash_bands`: the pigeonhole rule as rows, for joins that any engine can run.

use super::error::ValueError;
use crate::pg::fmgr::datum::{Phash, Raw};
use crate::pg::fmgr::raise::Raise;
use crate::pg::planner::node::Request;
use lumina_hash::bands::Bands;
use pgrx::prelude::*;

/// The `max_distance + 1` bands of a hash as rows (band, value). Errors: 22003.
///
/// Two hashes of one width within `max_distance` bits agree in at least one row.
#[pg_extern(sql = false)]
fn phash_bands(hash: Phash<'_>, max_distance: i32) -> TableIterator<'static, (name!(band, i32), name!(value, i64))> {
    let count = usize::try_from(max_distance).map_or(0, |distance| distance.saturating_add(1));
    let Some(bands) = Bands::new(hash.bits(), count) else {
        ValueError::BandDistance { distance: max_distance, bits: hash.bits() }.raise()
    };
    let rows: Vec<(i32, i64)> = (0..count).map(|band| (band as i32, bands.value(hash.0, band) as i64)).collect();
    TableIterator::new(rows)
}

/// Estimates the number of rows for the planner.
#[pg_extern(sql = false)]
fn phash_bands_support(request: Raw) -> Raw {
    match Request::read(request) {
        Request::Rows { arguments } => match arguments.get(1).and_then(|distance| distance.constant_int()) {
            Some(distance) => Request::rows(request, f64::from(distance.max(0)) + 1.0),
            None => Request::pass(),
        },
        _ => Request::pass(),
    }
}
