//! `amcostestimate`: the cost of a search for the planner.
//!
//! `lumina_index::cost` computes the work of a search from the runs that block 0 lists, by the same arithmetic that
//! plans the search itself. This file converts that work to Postgres's unit, the cost of one sequential page read.
//!
//! - **Pages.** A probe reads leaves in random order: `random_page_cost` each, as for a B-tree. A pass reads a band's
//!   leaves in the order in which they were written: `seq_page_cost` each. In a nested loop earlier searches have
//!   cached pages: Postgres's formula for that (Mackert and Lohman) says how many are really read.
//! - **Processor.** The work is known in nanoseconds. `cpu_operator_cost` stands for one `<@` of a sequential scan,
//!   which takes about [`OPERATOR_NS`] of them (measured: 41 ms against 34 ms for a million rows). So a search costs in
//!   proportion to the scan that it competes with, whatever the settings.
//! - **Rows.** `cpu_index_tuple_cost` for each row that is found. The planner itself adds the cost of reading the
//!   table.
//!
//! A radius search finds everything before it returns the first row: its startup cost is all of its cost but for the
//! rows. A nearest-neighbour search returns its first few hundred rows after one pass, and takes another pass for
//! sixteen times as many, until its memory is full: the startup cost is the first pass, the total cost all of them, and
//! LIMIT takes its share in between. A radius that is known only at run time is assumed to be [`UNKNOWN_RADIUS`] of the
//! width.
//!
//! A scan without conditions and order is one of a partial index whose predicate is the whole condition; it is one
//! pass. What the index cannot do has infinite cost: an order by two distances, and an index-only scan, which the
//! planner tries for any index where a query needs no column, as `count(*)` does. Such a scan trusts the visibility
//! map, and would need the pins that ours do not keep.

use super::OrRaiseIn;
use crate::pg::access::pages::Pages;
use crate::pg::planner::path::{IndexPath, Radius, processor_costs, work_memory};
use lumina_index::cost::{SearchWork, nearest, range};
use lumina_index::meta::{Meta, RunRef};
use lumina_index::{Layout, MAX_BITS};
use pgrx::pg_guard;
use pgrx::pg_sys::{self, Cost, PlannerInfo, Selectivity};

/// Nanoseconds that `cpu_operator_cost` stands for.
const OPERATOR_NS: f64 = 7.0;
/// The assumed share of the width of an unknown radius: 5 bits of 64.
const UNKNOWN_RADIUS: f64 = 5.0 / 64.0;
/// Rows that the first pass for the nearest returns, and the factor by which each further one returns more.
const FIRST_PASS_ROWS: f64 = 256.0;
const PASS_GROWTH: f64 = 16.0;
/// Bytes of memory that a found row takes until it is returned.
const HIT_BYTES: f64 = 16.0;

/// What `amcostestimate` answers.
struct Estimate {
    startup: f64,
    total: f64,
    selectivity: f64,
}

/// Estimates the costs of a search.
///
/// # Safety
/// Called by the planner, with a path over an index of ours and room for the answers.
#[allow(unsafe_code, reason = "a callback")]
#[allow(clippy::too_many_arguments, reason = "Postgres's")]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn amcostestimate(
    planner: *mut PlannerInfo,
    path: *mut pg_sys::IndexPath,
    loops: f64,
    startup: *mut Cost,
    total: *mut Cost,
    selectivity: *mut Selectivity,
    correlation: *mut f64,
    pages: *mut f64,
) {
    // SAFETY: as promised by the caller.
    let path = unsafe { IndexPath::of(planner, path) };
    let (estimate, all) = estimate(path, loops);
    // SAFETY: as promised by the caller.
    unsafe {
        *startup = estimate.startup;
        *total = estimate.total;
        *selectivity = estimate.selectivity;
        *correlation = 0.0; // rows that are near one another stand anywhere
        *pages = all;
    }
}

/// The estimate, and how many pages the index has.
fn estimate(path: IndexPath, loops: f64) -> (Estimate, f64) {
    let all = f64::from(path.pages());
    let meta = path.with_relation(|index| Meta::load(&Pages::of(index, None)).or_raise_in(index));
    let meta = meta.unwrap_or_else(|| hypothetical(path));
    let selectivity = path.selectivity();
    if path.orders() > 1 || path.is_index_only() {
        path.refuse();
        return (Estimate { startup: f64::INFINITY, total: f64::INFINITY, selectivity }, all);
    }
    let bits = meta.layout.bits() as u32;
    let pass = range(&meta, bits);
    let radius = path.radius().map(|radius| match radius {
        Radius::Known(radius) => radius.min(bits),
        Radius::Later => (f64::from(bits) * UNKNOWN_RADIUS) as u32,
    });
    let rows = (selectivity * path.table_rows()).max(1.0);
    let (first, passes) = match (radius, path.orders() > 0) {
        (Some(radius), false) => (range(&meta, radius), 0.0),
        (Some(radius), true) if meta.layout.is_exact() => (range(&meta, radius), 0.0),
        (Some(_), true) | (None, false) => (pass, 0.0),
        (None, true) => (nearest(&meta), further_passes(rows)),
    };
    let price = |work: &SearchWork| price(path, work, loops, all);
    let (_, row) = processor_costs();
    let startup = price(&first);
    (Estimate { startup, total: startup + passes * price(&pass) + rows * row, selectivity }, all)
}

/// How many passes after the first it takes to return `rows` rows, the nearest first.
fn further_passes(rows: f64) -> f64 {
    let most = (work_memory() as f64 / HIT_BYTES).max(FIRST_PASS_ROWS);
    let (mut returned, mut kept, mut passes) = (FIRST_PASS_ROWS, FIRST_PASS_ROWS, 0.0);
    while returned < rows && kept < most {
        kept = (kept * PASS_GROWTH).min(most);
        returned += kept;
        passes += 1.0;
    }
    passes + ((rows - returned) / most).max(0.0).ceil()
}

/// The cost of `work`.
fn price(path: IndexPath, work: &SearchWork, loops: f64, all: f64) -> f64 {
    let (random, sequential) = path.page_costs();
    let (operator, _) = processor_costs();
    let share = path.fetched(work.pages, loops, all) / work.pages.max(1.0);
    let pages = (work.pages - work.sequential).max(0.0) * random + work.sequential * sequential;
    pages * share + work.time() / OPERATOR_NS * operator
}

/// A hypothetical index, as it would be: one run.
fn hypothetical(path: IndexPath) -> Meta {
    let layout = |bits| Layout::new(bits, None).ok();
    let layout = path.declared_bits().and_then(layout).or_else(|| layout(MAX_BITS));
    let Some(layout) = layout else { panic!("no layout for the widest hash") };
    let mut meta = Meta::new(layout);
    let entries = path.rows().max(0.0) as u64;
    meta.runs.push(RunRef { generation: 1, block: 1, pages: path.pages(), entries, nulls: 0 });
    meta
}
