//! Transactions of a background worker, and what is to happen when a session's transaction ends.
//!
//! A worker has no transaction but for the moments in which it reads or writes: it holds no snapshot, and no lock on a table,
//! while it computes. [`run`] is one transaction; an error in it unwinds to [`attempt`], which aborts it.

use super::lock::Lock;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::pg_sys::{self, Oid, XactEvent};
use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::AssertUnwindSafe;

/// An error that was caught, after its transaction was aborted.
#[derive(Debug)]
pub(crate) struct Caught {
    pub(crate) code: PgSqlErrorCode,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Runs `work`, in or between whose transactions an error may be raised. What it leaves half done must not be used again.
pub(crate) fn attempt<R>(work: impl FnOnce() -> R) -> Result<R, Caught> {
    let caught = std::panic::catch_unwind(AssertUnwindSafe(work));
    let Err(payload) = caught else { return caught.map_err(|_| unreachable!("checked")) };
    // SAFETY: the error has been copied and taken off Postgres's stack where it was caught; this ends its transaction.
    unsafe {
        pg_sys::InterruptHoldoffCount = 0;
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

/// One transaction of a background worker: `work`, then COMMIT; or ROLLBACK, where it returns an error. One that is raised
/// unwinds and leaves the transaction to be aborted.
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

/// Runs `work` with the rights of a role, in a transaction. An error leaves it to the abort to take them back.
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

/// Runs `read` on what is committed at this moment, whatever the isolation level. In a transaction.
pub(crate) fn on_latest_snapshot<R>(read: impl FnOnce() -> R) -> R {
    // SAFETY: an error leaves the snapshot to the abort.
    unsafe {
        pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
        let result = read();
        pg_sys::PopActiveSnapshot();
        result
    }
}

/// What became of an attempt to hold the extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extension {
    /// It is there, and stays for the rest of this transaction.
    Held,
    /// Somebody is about to drop it.
    Busy,
    /// There is none (any more).
    Gone,
}

/// Locks the extension against DROP EXTENSION for the rest of this transaction, or finds it gone.
/// DROP EXTENSION takes this lock first: whoever has it never meets a DROP half way through the tables.
pub(crate) fn hold_extension(wait: bool) -> Extension {
    // SAFETY: a look-up by a static name, which answers that there is none.
    let find = || unsafe { pg_sys::get_extension_oid(c"lumina".as_ptr(), true) };
    let extension = find();
    if extension == Oid::INVALID {
        return Extension::Gone;
    }
    let lock = Lock::extension(extension);
    if wait {
        lock.share();
    } else if !lock.try_share() {
        return Extension::Busy;
    }
    // SAFETY: what was committed before the lock was ours is heard of here.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    if find() == extension { Extension::Held } else { Extension::Gone }
}

/// A table or view of the schema `lumina`.
pub(crate) fn relation(name: &std::ffi::CStr) -> Oid {
    // SAFETY: look-ups by static names, which answer that there is none.
    unsafe { pg_sys::get_relname_relid(name.as_ptr(), pg_sys::get_namespace_oid(c"lumina".as_ptr(), true)) }
}

/// Whether a row that was inserted by this transaction number is of the running transaction.
pub(crate) fn is_of_this_transaction(number: u32) -> bool {
    // SAFETY: a plain look.
    unsafe { pg_sys::TransactionIdIsCurrentTransactionId(number.into()) }
}

/// Whether the running statement is in a transaction block.
pub(crate) fn in_block() -> bool {
    // SAFETY: a plain look.
    unsafe { pg_sys::IsTransactionBlock() }
}

/// The number of the running top-level transaction, if it has one.
pub(crate) fn top_number() -> u32 {
    // SAFETY: a plain look.
    unsafe { pg_sys::GetTopTransactionIdIfAny() }.into_inner()
}

/// Waits until a transaction has ended.
pub(crate) fn wait_for(number: u32) {
    if number != 0 {
        // SAFETY: a plain call in a transaction, which can be interrupted.
        unsafe {
            pg_sys::XactLockTableWait(
                number.into(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                pg_sys::XLTW_Oper::XLTW_None,
            );
        }
    }
}

/// What is to happen when the running transaction ends.
#[derive(Default)]
struct AtEnd {
    registered: bool,
    before_commit: Vec<fn()>,
    after_commit: Vec<fn()>,
}

thread_local! {
    static AT_END: RefCell<AtEnd> = RefCell::default();
}

/// Has `action` called just before the running transaction commits; not where it is prepared or rolled back.
pub(crate) fn before_commit(action: fn()) {
    at_end(|end| end.before_commit.push(action));
}

/// Has `action` called just after the running transaction has committed. It must not raise.
pub(crate) fn after_commit(action: fn()) {
    at_end(|end| end.after_commit.push(action));
}

fn at_end(change: impl FnOnce(&mut AtEnd)) {
    AT_END.with_borrow_mut(|end| {
        if !std::mem::replace(&mut end.registered, true) {
            // SAFETY: a callback of ours, for the life of the session.
            unsafe { pg_sys::RegisterXactCallback(Some(transaction_ends), std::ptr::null_mut()) };
        }
        change(end);
    });
}

/// # Safety
/// Called by Postgres.
unsafe extern "C-unwind" fn transaction_ends(event: XactEvent::Type, _: *mut c_void) {
    let act = || {
        let take = |before: bool| {
            AT_END.with_borrow_mut(|end| {
                std::mem::take(if before { &mut end.before_commit } else { &mut end.after_commit })
            })
        };
        match event {
            XactEvent::XACT_EVENT_PRE_COMMIT => take(true).into_iter().for_each(|action| action()),
            XactEvent::XACT_EVENT_COMMIT => take(false).into_iter().for_each(|action| action()),
            XactEvent::XACT_EVENT_ABORT | XactEvent::XACT_EVENT_PREPARE => {
                take(true);
                take(false);
            }
            _ => (),
        }
    };
    // SAFETY: the closure owns nothing that an error would leave behind.
    unsafe { pg_sys::panic::pgrx_extern_c_guard(act) };
}
