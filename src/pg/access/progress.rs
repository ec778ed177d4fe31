//! What `pg_stat_progress_create_index` shows of a build.

use pgrx::pg_sys;

/// The build is in phase `number`, of those that the access method has names for.
pub(crate) fn phase(number: i64) {
    show(pg_sys::PROGRESS_CREATEIDX_SUBPHASE, number);
}

/// The number of rows to be written.
pub(crate) fn rows(total: u64) {
    show(pg_sys::PROGRESS_CREATEIDX_TUPLES_TOTAL, total as i64);
}

/// The number of rows written.
pub(crate) fn rows_done(done: u64) {
    show(pg_sys::PROGRESS_CREATEIDX_TUPLES_DONE, done as i64);
}

fn show(what: u32, value: i64) {
    // SAFETY: a plain call, which does nothing where nobody counts.
    unsafe { pg_sys::pgstat_progress_update_param(what as i32, value) };
}
