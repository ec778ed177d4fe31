//! Transactions of a background worker, and actions at the end of a session's transaction.
//!
//! A worker has a transaction only while it reads or writes: it holds no snapshot, and no lock on a table, while it
//! computes. [`run`] is one transaction; an error in it unwinds to [`attempt`], which aborts it. Jobs and the launcher
//! call these; sessions register what is to happen at the end of their own transaction.

use super::background::sleep;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::pg_sys::{self, Oid, SubXactEvent, XactEvent};
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

/// An error that was caught, after its transaction was aborted.
#[derive(Debug)]
pub(crate) struct Caught {
    pub(crate) code: PgSqlErrorCode,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Runs `work`, and catches errors in or between its transactions. What it leaves half done must not be used again.
pub(crate) fn attempt<R>(work: impl FnOnce() -> R) -> Result<R, Caught> {
    // SAFETY: plain reads of the current stacks of error contexts and of exception handlers.
    let (callbacks, caught_at) =
        unsafe { ((&raw const pg_sys::error_context_stack).read(), (&raw const pg_sys::PG_exception_stack).read()) };
    let payload = match std::panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => return Ok(result),
        Err(payload) => payload,
    };
    crate::pg::backend::context::forget();
    // SAFETY: the error has been copied and taken off Postgres's stack where it was caught; both stacks are restored to
    // what they were here, as PG_CATCH does; then the error's transaction ends.
    unsafe {
        pg_sys::error_context_stack = callbacks;
        pg_sys::PG_exception_stack = caught_at;
        pg_sys::InterruptHoldoffCount = 0;
        pg_sys::QueryCancelHoldoffCount = 0;
        pg_sys::AbortCurrentTransaction();
    }
    Err(described(payload))
}

fn described(payload: Box<dyn std::any::Any + Send>) -> Caught {
    let report = match payload.downcast::<CaughtError>() {
        Ok(caught) => match *caught {
            CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => report,
            CaughtError::RustPanic { ereport, .. } => ereport,
        },
        Err(payload) => match payload.downcast::<pg_sys::panic::ErrorReportWithLevel>() {
            Ok(report) => *report,
            Err(payload) => {
                let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
                let message = text.unwrap_or_else(|| "a panic without a message".into());
                return Caught { code: PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, message, hint: None };
            }
        },
    };
    Caught {
        code: report.sql_error_code(),
        message: report.message().to_owned(),
        hint: report.hint().map(ToOwned::to_owned),
    }
}

/// One transaction of a background worker: `work`, then COMMIT; or ROLLBACK, where it returns an error. An error that
/// is raised unwinds and leaves the transaction to be aborted.
pub(crate) fn run<R, E>(work: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
    // SAFETY: called between transactions. The snapshot is popped before the commit; else both are left to the abort.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let result = work();
        if result.is_ok() {
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
        } else {
            pg_sys::AbortCurrentTransaction();
        }
        pg_sys::pgstat_report_stat(true);
        result
    }
}

/// Takes a new snapshot in the running transaction: what others have committed since is seen from here on.
pub(crate) fn refresh_snapshot() {
    // SAFETY: replaces the snapshot that `run` has pushed.
    unsafe {
        pg_sys::PopActiveSnapshot();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
    }
}

/// Runs `work` with the rights of a role, in a transaction. After an error the abort restores the rights.
pub(crate) fn as_role<R>(role: Oid, work: impl FnOnce() -> R) -> R {
    let (mut before, mut context) = (Oid::INVALID, 0);
    // SAFETY: plain calls; what was before is put back.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&raw mut before, &raw mut context);
        let restricted = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
        pg_sys::SetUserIdAndSecContext(role, context | restricted as i32);
        let result = work();
        pg_sys::SetUserIdAndSecContext(before, context);
        result
    }
}

/// Runs `work` with the rights of the process itself, within [`as_role`].
pub(crate) fn as_self<R>(work: impl FnOnce() -> R) -> R {
    // SAFETY: a plain read.
    as_role(unsafe { pg_sys::GetAuthenticatedUserId() }, work)
}

/// Runs `read` on the latest snapshot, whatever the isolation level. In a transaction.
pub(crate) fn on_latest_snapshot<R>(read: impl FnOnce() -> R) -> R {
    // SAFETY: an error leaves the snapshot to the abort.
    unsafe {
        pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
        let result = read();
        pg_sys::PopActiveSnapshot();
        result
    }
}

/// The outcome of an attempt to lock tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableLock {
    /// They are locked, and stay as they are for the rest of this transaction.
    Locked,
    /// Another session is about to drop or change one.
    Busy,
    /// One is not there (any more): the extension was dropped.
    Missing,
}

/// Tries to lock tables and sequences ([`relation`]) for the rest of this transaction: all of them, or none. A
/// session that has locked all that it needs never waits for a DROP EXTENSION that has locked some of them, and so
/// never deadlocks. No lock that others can take is in the way: those on tables need rights to them.
pub(crate) fn try_lock_tables(names: &[&CStr], to_write: bool) -> TableLock {
    let mode = if to_write { pg_sys::RowExclusiveLock } else { pg_sys::AccessShareLock } as pg_sys::LOCKMODE;
    let mut locked = Vec::new();
    let mut outcome = TableLock::Locked;
    for name in names {
        let table = relation(name);
        if table == Oid::INVALID {
            outcome = TableLock::Missing;
            break;
        }
        // SAFETY: a plain call, which waits for nobody.
        if !unsafe { pg_sys::ConditionalLockRelationOid(table, mode) } {
            outcome = TableLock::Busy;
            break;
        }
        locked.push(table);
        // What was committed before the lock was taken is visible by now.
        if relation(name) != table {
            outcome = TableLock::Missing;
            break;
        }
    }
    if outcome != TableLock::Locked {
        // SAFETY: locks that were just taken.
        locked.into_iter().for_each(|table| unsafe { pg_sys::UnlockRelationOid(table, mode) });
    }
    outcome
}

/// [`try_lock_tables`] that waits while others are in the way, with none of them locked; no longer than `timeout`.
pub(crate) fn lock_tables(names: &[&CStr], to_write: bool, timeout: Duration) -> TableLock {
    let began = Instant::now();
    loop {
        match try_lock_tables(names, to_write) {
            TableLock::Busy if began.elapsed() < timeout => {
                sleep(Duration::from_millis(20));
            }
            outcome => return outcome,
        }
    }
}

/// A table or view of the schema `lumina`, or, with that before its name, of `lumina_internal`.
pub(crate) fn relation(name: &CStr) -> Oid {
    let internal = name.to_bytes_with_nul().strip_prefix(b"lumina_internal.");
    let name_in = internal.and_then(|name| CStr::from_bytes_with_nul(name).ok());
    let (schema, name) = name_in.map_or((c"lumina", name), |name| (c"lumina_internal", name));
    // SAFETY: look-ups by static names, which answer that there is none.
    unsafe { pg_sys::get_relname_relid(name.as_ptr(), pg_sys::get_namespace_oid(schema.as_ptr(), true)) }
}

/// Whether this xid belongs to the running transaction.
pub(crate) fn is_of_this_transaction(xid: u32) -> bool {
    // SAFETY: a plain look.
    unsafe { pg_sys::TransactionIdIsCurrentTransactionId(xid.into()) }
}

/// Whether the running statement is in a transaction block.
pub(crate) fn in_block() -> bool {
    // SAFETY: a plain look.
    unsafe { pg_sys::IsTransactionBlock() }
}

/// The xid of the running top-level transaction; 0 where it has none.
pub(crate) fn top_xid() -> u32 {
    // SAFETY: a plain look.
    unsafe { pg_sys::GetTopTransactionIdIfAny() }.into_inner()
}

/// Waits until the transaction with this xid has ended; 0 for none.
pub(crate) fn wait_for_xid(xid: u32) {
    if xid != 0 {
        // SAFETY: a plain call in a transaction, which can be interrupted.
        unsafe {
            pg_sys::XactLockTableWait(
                xid.into(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                pg_sys::XLTW_Oper::XLTW_None,
            );
        }
    }
}

unsafe extern "C-unwind" {
    // pgrx does not bind it.
    fn Async_Notify(channel: *const c_char, payload: *const c_char);
}

/// What is to happen when the running transaction ends.
#[derive(Default)]
struct AtEnd {
    registered: bool,
    /// Each with its subtransaction.
    before_commit: Vec<(u32, fn(usize))>,
    after_commit: Vec<fn()>,
    at_abort: Vec<fn()>,
    /// Payloads for [`JOBS`], each with its subtransaction.
    notifications: Vec<(u32, CString)>,
}

/// The NOTIFY channel of jobs.
const JOBS: &CStr = c"lumina_jobs";

thread_local! {
    static AT_END: RefCell<AtEnd> = RefCell::default();
}

/// Registers `action`: called just before the running transaction commits, with the number of those registered by this
/// function that were called before it; not where it, or the running subtransaction, is rolled back, and not where it
/// is prepared.
pub(crate) fn before_commit(action: fn(usize)) {
    let subtransaction = subtransaction();
    at_end(|end| end.before_commit.push((subtransaction, action)));
}

/// [`before_commit`], whether or not the running subtransaction is rolled back.
pub(crate) fn before_any_commit(action: fn(usize)) {
    at_end(|end| end.before_commit.push((ANY_SUBTRANSACTION, action)));
}

/// Registers `action`: called when the running transaction has committed, and others see what it wrote. It must not
/// raise, nor allocate memory of Postgres.
pub(crate) fn after_commit(action: fn()) {
    at_end(|end| end.after_commit.push(action));
}

/// Registers `action`: called when the running transaction is rolled back. It must not raise.
pub(crate) fn at_abort(action: fn()) {
    at_end(|end| end.at_abort.push(action));
}

/// Notifies listeners of jobs when the running transaction commits; not where it, or the running subtransaction, is
/// rolled back, and not where it is prepared, which a transaction that has called NOTIFY cannot be.
pub(crate) fn notify_at_commit(payload: CString) {
    let subtransaction = subtransaction();
    at_end(|end| end.notifications.push((subtransaction, payload)));
}

/// In place of a subtransaction: they are counted from 1.
const ANY_SUBTRANSACTION: u32 = 0;

fn subtransaction() -> u32 {
    // SAFETY: a plain look.
    unsafe { pg_sys::GetCurrentSubTransactionId() }
}

fn at_end(change: impl FnOnce(&mut AtEnd)) {
    AT_END.with_borrow_mut(|end| {
        if !std::mem::replace(&mut end.registered, true) {
            // SAFETY: callbacks of ours, for the life of the session.
            unsafe {
                pg_sys::RegisterXactCallback(Some(transaction_ends), std::ptr::null_mut());
                pg_sys::RegisterSubXactCallback(Some(subtransaction_ends), std::ptr::null_mut());
            }
        }
        change(end);
    });
}

/// Takes the registered actions; the next transaction begins with none.
fn forget_end() -> AtEnd {
    AT_END.with_borrow_mut(|end| std::mem::replace(end, AtEnd { registered: true, ..AtEnd::default() }))
}

/// # Safety
/// Called by Postgres.
unsafe extern "C-unwind" fn transaction_ends(event: XactEvent::Type, _: *mut c_void) {
    let act = || match event {
        XactEvent::XACT_EVENT_PRE_COMMIT => {
            let (actions, notifications) = AT_END.with_borrow_mut(|end| {
                (std::mem::take(&mut end.before_commit), std::mem::take(&mut end.notifications))
            });
            for (_, payload) in notifications {
                // SAFETY: the transaction still runs, and sends it at its end; Postgres copies both. An error of it is
                // caught by the guard: nothing of Rust is between.
                unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| Async_Notify(JOBS.as_ptr(), payload.as_ptr())) };
            }
            let mut place = 0;
            for (subtransaction, action) in actions {
                action(place);
                place += usize::from(subtransaction != ANY_SUBTRANSACTION);
            }
        }
        XactEvent::XACT_EVENT_COMMIT => forget_end().after_commit.into_iter().for_each(|action| action()),
        XactEvent::XACT_EVENT_PREPARE => drop(forget_end()),
        XactEvent::XACT_EVENT_ABORT => forget_end().at_abort.into_iter().for_each(|action| action()),
        _ => (),
    };
    // SAFETY: the closure owns nothing that an error would leave behind.
    unsafe { pg_sys::panic::pgrx_extern_c_guard(act) };
}

/// # Safety
/// Called by Postgres.
unsafe extern "C-unwind" fn subtransaction_ends(
    event: SubXactEvent::Type,
    subtransaction: u32,
    _parent: u32,
    _: *mut c_void,
) {
    let act = || {
        if event == SubXactEvent::SUBXACT_EVENT_ABORT_SUB {
            // Subtransactions are numbered as they begin: those that began in this one have greater numbers.
            AT_END.with_borrow_mut(|end| {
                end.notifications.retain(|(of, _)| *of < subtransaction);
                end.before_commit.retain(|(of, _)| *of < subtransaction);
            });
        }
    };
    // SAFETY: the closure owns nothing that an error would leave behind.
    unsafe { pg_sys::panic::pgrx_extern_c_guard(act) };
}
