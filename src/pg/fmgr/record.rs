//! Functions that return one row of several columns.

use pgrx::pg_sys::{self, Datum, FunctionCallInfo, TypeFuncClass};
use std::ptr;

/// The row that the running call returns, of the columns that its declaration gives it; `None` is NULL.
///
/// # Safety
/// `fcinfo` is that of the running call, of a function whose columns have the types of `columns`.
pub(crate) unsafe fn record<const COLUMNS: usize>(
    fcinfo: FunctionCallInfo,
    columns: [Option<Datum>; COLUMNS],
) -> Datum {
    let mut description = ptr::null_mut();
    // SAFETY: as promised by the caller; description and row are allocated in the current memory context.
    unsafe {
        let class = pg_sys::get_call_result_type(fcinfo, ptr::null_mut(), &raw mut description);
        assert!(class == TypeFuncClass::TYPEFUNC_COMPOSITE, "the function does not return a row");
        assert!((*description).natts as usize == COLUMNS, "the function returns another number of columns");
        let description = pg_sys::BlessTupleDesc(description);
        let mut values = columns.map(|column| column.unwrap_or(Datum::null()));
        let mut nulls = columns.map(|column| column.is_none());
        let row = pg_sys::heap_form_tuple(description, values.as_mut_ptr(), nulls.as_mut_ptr());
        pg_sys::HeapTupleHeaderGetDatum((*row).t_data)
    }
}
