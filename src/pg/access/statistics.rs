//! What ANALYZE stored of a column, copied out of the catalog.

use crate::pg::fmgr::datum::payload;
use crate::pg::planner::node::{Expression, Objects, Planner};
use lumina_hash::estimate::ColumnSample;
use pgrx::pg_sys;

/// The statistics of `expression`; `None` where it has none, or is no `phash`.
///
/// They are read with the rights of the planner. That is safe: the operators that use them are LEAKPROOF, and what
/// comes of them is an estimate.
pub(crate) fn of(planner: Planner, objects: &Objects, expression: Expression, relation: i32) -> Option<ColumnSample> {
    if !expression.is_of(objects.hash_type()) {
        return None;
    }
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
        let common = slot(tuple, objects, pg_sys::STATISTIC_KIND_MCV, pg_sys::ATTSTATSSLOT_NUMBERS);
        let histogram = slot(tuple, objects, pg_sys::STATISTIC_KIND_HISTOGRAM, 0);
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

/// The values and, where they are requested, the numbers of one kind of statistics; nothing where the values are no
/// hashes. Raises where it lacks requested numbers.
///
/// # Safety
/// `tuple` is a row of pg_statistic.
unsafe fn slot(tuple: pg_sys::HeapTuple, objects: &Objects, kind: u32, numbers: u32) -> (Vec<Box<[u8]>>, Vec<f64>) {
    let mut slot = pg_sys::AttStatsSlot::default();
    let wanted = (pg_sys::ATTSTATSSLOT_VALUES | numbers) as i32;
    // SAFETY: as promised by the caller; get_attstatsslot fills `slot` if it returns true, with `nvalues` values and
    // `nnumbers` numbers, which are copied before it is freed.
    unsafe {
        if !pg_sys::get_attstatsslot(&raw mut slot, tuple, kind as i32, pg_sys::Oid::INVALID, wanted) {
            return (Vec::new(), Vec::new());
        }
        if pg_sys::getBaseType(slot.valuetype) != objects.hash_type() {
            pg_sys::free_attstatsslot(&raw mut slot);
            return (Vec::new(), Vec::new());
        }
        let values = (0..slot.nvalues as usize).map(|i| payload(*slot.values.add(i)).into()).collect();
        let numbers = (0..slot.nnumbers as usize).map(|i| f64::from(*slot.numbers.add(i))).collect();
        pg_sys::free_attstatsslot(&raw mut slot);
        (values, numbers)
    }
}
