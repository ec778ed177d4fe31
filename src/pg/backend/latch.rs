//! A backend that waits: on its latch, and for a file to read from.

use pgrx::pg_sys;
use std::ffi::c_int;
use std::os::fd::RawFd;
use std::time::Duration;

/// How long a statement waits for others to end before it is refused. It waits for none without a limit: they may wait
/// for its locks.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Sleeps for at most `at_most`, or until this process is woken; checks for interrupts. Ends the process when the
/// postmaster dies. Returns whether it was woken.
pub(crate) fn pause(at_most: Duration) -> bool {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: plain calls; the latch is this process's own.
    let happened = unsafe {
        let milliseconds = at_most.as_millis().min(i32::MAX as u128) as i64;
        let happened = pg_sys::WaitLatch(pg_sys::MyLatch, events as c_int, milliseconds, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
        happened
    };
    pgrx::check_for_interrupts!();
    happened as u32 & pg_sys::WL_LATCH_SET != 0
}

/// Waits until a file has something to read or this process is woken, but no longer than `at_most`; checks for
/// interrupts. Ends the process when the postmaster dies.
pub(crate) fn ready(file: RawFd, at_most: Duration) {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH | pg_sys::WL_SOCKET_READABLE;
    let milliseconds = at_most.as_millis().min(i32::MAX as u128) as i64;
    // SAFETY: plain calls; the latch is this process's own, and a file that is none is reported as ready.
    unsafe {
        let (latch, wait) = (pg_sys::MyLatch, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::WaitLatchOrSocket(latch, events as c_int, file, milliseconds, wait);
        pg_sys::ResetLatch(latch);
    }
    pgrx::check_for_interrupts!();
}
