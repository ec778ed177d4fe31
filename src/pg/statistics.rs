//! What ANALYZE stored of a column, copied out of the catalog.

use super::datum::payload;
use super::node::{Expression, Planner};
use lumina_hash::estimate::ColumnSample;
use pgrx::pg_sys;

/// The statistics of `expression`, of type `phash`; `None` where it has none.
///
/// They are read with the rights of the planner. That is safe: the operators that use them are LEAKPROOF, and what
/// comes of them is an estimate.
pub(crate) fn of(planner: Planner, expression: Expression, relation: i32) -> Option<ColumnSample> {
    let mut variable = pg_sys::VariableStatData::default();
    // SAFETY: the planner hands over its state and expressions of the query it plans. examine_variable fills
    // `variable`, whose tuple, if any, is released by its own function once everything is copied. Should something
    // raise before that, the end of the transaction releases it.
    unsafe {
        pg_sys::examine_variable(planner.0, expression.pointer(), relation, &raw mut variable);
        let tuple = variable.statsTuple;
        if tuple.is_null() {
            return None;
        }
        let form: pg_sys::Form_pg_statistic = pg_sys::GETSTRUCT(tuple).cast();
        let null_fraction = f64::from((*form).stanullfrac);
        let mut is_default = false;
        let distinct = pg_sys::get_variable_numdistinct(&raw mut variable, &raw mut is_default);
        let common = slot(tuple, pg_sys::STATISTIC_KIND_MCV, pg_sys::ATTSTATSSLOT_NUMBERS);
        let histogram = slot(tuple, pg_sys::STATISTIC_KIND_HISTOGRAM, 0);
        if let Some(release) = variable.freefunc {
            pg_sys::ffi::pg_guard_ffi_boundary(|| release(tuple));
        }
        Some(ColumnSample {
            null_fraction,
            distinct,
            common: common.0.into_iter().zip(common.1).collect(),
            histogram: histogram.0,
        })
    }
}

/// The values and, where they are asked for, the numbers of one kind of statistics. To ask for what it has not raises.
///
/// # Safety
/// `tuple` is a row of pg_statistic for a column of type `phash`.
unsafe fn slot(tuple: pg_sys::HeapTuple, kind: u32, numbers: u32) -> (Vec<Box<[u8]>>, Vec<f64>) {
    let mut slot = pg_sys::AttStatsSlot::default();
    let wanted = (pg_sys::ATTSTATSSLOT_VALUES | numbers) as i32;
    // SAFETY: as promised by the caller; get_attstatsslot fills `slot` if it returns true, with `nvalues` values and
    // `nnumbers` numbers, which are copied before it is freed.
    unsafe {
        if !pg_sys::get_attstatsslot(&raw mut slot, tuple, kind as i32, pg_sys::Oid::INVALID, wanted) {
            return (Vec::new(), Vec::new());
        }
        let values = (0..slot.nvalues as usize).map(|i| payload(*slot.values.add(i)).into()).collect();
        let numbers = (0..slot.nnumbers as usize).map(|i| f64::from(*slot.numbers.add(i))).collect();
        pg_sys::free_attstatsslot(&raw mut slot);
        (values, numbers)
    }
}
