//! `ambeginscan`, `amrescan`, `amgettuple`, `amgetbitmap`, `amendscan`: searches.
//!
//! The keys are known when a scan is (re)started, as they may be runtime values. Conditions `<@` are ANDed: the scan
//! searches the smallest ball, and Postgres rechecks the others. An order comes with at most one ball.

use super::error::IndexError;
use super::{DISTANCE, IN_BALL, OrRaiseIn, layout};
use crate::error::LuminaError;
use crate::pg::access::index_scan::{Bitmap, IndexScan};
use crate::pg::access::pages::Pages;
use crate::pg::access::relation::IndexRelation;
use crate::pg::fmgr::raise::Raise;
use crate::pg::planner::path::work_memory;
use crate::types::error::ValueError;
use lumina_index::{HammingScan, Index, Layout, OrderBy, Query};
use pgrx::pg_guard;
use pgrx::pg_sys::{IndexScanDesc, Relation, ScanDirection, ScanKey, TIDBitmap, int64};
use std::ffi::c_int;

/// A scan between two calls.
struct ScanState {
    /// `None` finds nothing: before the first start, or where nothing can be found.
    running: Option<RunningScan>,
    /// Why the keys are refused; raised only when a row is requested.
    refused: Option<LuminaError>,
    is_counted: bool,
}

struct RunningScan {
    scan: HammingScan,
    layout: Layout,
    /// Whether Postgres has to recheck the conditions.
    recheck: bool,
}

/// Begins a scan that is not started yet.
///
/// # Safety
/// Called by Postgres: the index is open as long as the scan.
#[allow(unsafe_code, reason = "a callback")]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn ambeginscan(index: Relation, keys: c_int, orders: c_int) -> IndexScanDesc {
    // SAFETY: as promised by the caller.
    let index = unsafe { IndexRelation::of(index) };
    IndexScan::begin(index, keys, orders, ScanState { running: None, refused: None, is_counted: false })
}

/// (Re)starts a scan with new keys or, where the arguments are null, with the old ones.
///
/// # Safety
/// Called by Postgres, with a scan that `ambeginscan` has begun, and as many keys as were announced.
#[allow(unsafe_code, reason = "a callback")]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn amrescan(
    scan: IndexScanDesc,
    keys: ScanKey,
    _count: c_int,
    orders: ScanKey,
    _order_count: c_int,
) {
    // SAFETY: as promised by the caller.
    let scan = unsafe {
        let scan = IndexScan::of(scan);
        scan.set_keys(keys, orders);
        scan
    };
    let layout = layout(scan.index(), &Pages::of(scan.index(), None));
    let state: &mut ScanState = scan.state();
    (state.running, state.refused, state.is_counted) = (None, None, false);
    match query(scan, &layout) {
        Ok(Some((query, balls))) => {
            let scan = HammingScan::new(query, work_memory());
            let recheck = balls > 1 || scan.needs_recheck(&layout);
            state.running = Some(RunningScan { scan, layout, recheck });
        }
        Ok(None) => {}
        Err(why) => state.refused = Some(why),
    }
}

/// What a scan searches for, and its number of balls; `None` where no row can be found.
///
/// Errors: 22026 for a distance that the operator would refuse.
#[allow(unsafe_code, reason = "keys are read by their strategies")]
fn query(scan: IndexScan, layout: &Layout) -> Result<Option<(Query, usize)>, LuminaError> {
    let (mut smallest, mut balls) = (None, 0);
    for key in scan.keys().inspect(|key| assert!(key.strategy == IN_BALL, "a condition that is none of ours")) {
        // SAFETY: the one operator that searches has a ball on its right.
        let Some(ball) = (unsafe { key.ball() }) else { return Ok(None) };
        let Some(center) = layout.pack(ball.0.center()) else { return Ok(None) };
        if smallest.is_none_or(|(_, radius)| ball.0.radius() < radius) {
            smallest = Some((center, ball.0.radius()));
        }
        balls += 1;
    }
    let mut orders = scan.orders();
    let order = match orders.next() {
        // All rows of a partial index.
        None => smallest.is_none().then_some(OrderBy::Null),
        Some(key) => {
            assert!(key.strategy == DISTANCE, "an order that is none of ours");
            // SAFETY: the one operator that orders has a hash on its right.
            Some(match unsafe { key.hash() } {
                None => OrderBy::Null,
                Some(hash) => OrderBy::DistanceFrom(
                    layout.pack(hash.0).ok_or(ValueError::Distance { left: layout.bits(), right: hash.bits() })?,
                ),
            })
        }
    };
    if orders.next().is_some() {
        return Err(IndexError::Orders.into());
    }
    Ok(Some((Query { ball: smallest, order }, balls)))
}

impl ScanState {
    /// The running search, once a row is requested; raises where a scan of this kind is refused.
    fn checked(&mut self, scan: IndexScan) -> Option<&mut RunningScan> {
        if !scan.is_of_one_moment() {
            IndexError::Snapshot.raise();
        }
        if scan.is_index_only() {
            IndexError::Only.raise();
        }
        if let Some(why) = &self.refused {
            why.raise_again()
        }
        if !self.is_counted {
            self.is_counted = true;
            scan.count();
        }
        self.running.as_mut()
    }
}

/// Finds the next row.
///
/// # Safety
/// Called by Postgres, with a scan that `amrescan` has started.
#[allow(unsafe_code, reason = "a callback")]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn amgettuple(scan: IndexScanDesc, direction: ScanDirection::Type) -> bool {
    // SAFETY: as promised by the caller.
    let scan = unsafe { IndexScan::of(scan) };
    if direction != ScanDirection::ForwardScanDirection {
        IndexError::Backward.raise();
    }
    let Some(running) = scan.state::<ScanState>().checked(scan) else { return false };
    let pages = Pages::of_scan(scan);
    pages.test_snapshot();
    match running.scan.next(&Index::with_layout(&pages, running.layout)).or_raise_in(scan.index()) {
        Some(tid) => {
            scan.put(tid, running.recheck);
            true
        }
        None => false,
    }
}

/// Finds all rows.
///
/// # Safety
/// Called by Postgres, with a scan that `amrescan` has started.
#[allow(unsafe_code, reason = "a callback")]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn amgetbitmap(scan: IndexScanDesc, bitmap: *mut TIDBitmap) -> int64 {
    // SAFETY: as promised by the caller.
    let (scan, mut bitmap) = unsafe { (IndexScan::of(scan), Bitmap::of(bitmap)) };
    let Some(running) = scan.state::<ScanState>().checked(scan) else { return 0 };
    let pages = Pages::of_scan(scan);
    let index = Index::with_layout(&pages, running.layout);
    let recheck = running.recheck;
    running.scan.each(&index, &mut |tids| bitmap.add(tids, recheck)).or_raise_in(scan.index());
    bitmap.count
}

/// Ends a scan. The rest of it is freed with the memory context in which it began.
///
/// # Safety
/// Called by Postgres, with a scan that `ambeginscan` has begun.
#[allow(unsafe_code, reason = "a callback")]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn amendscan(scan: IndexScanDesc) {
    // SAFETY: as promised by the caller.
    unsafe { IndexScan::of(scan) }.state::<ScanState>().running = None;
}
