//! Hooks: functions of users that lumina calls as another role than its caller.
//!
//! `lumina_internal.run_hook` calls them (`sql/catalog/decisions.sql`) through `call_hook`, once for each image that a
//! decision has rejected. A hook runs as the owner of the catalog, whose own it is, in the same transaction, as
//! restricted as a function of an index: it cannot change its role back, leave anything for later to be run with the
//! rights of the caller, or find names that the caller has chosen. While one runs, no decision is made.

use super::call::function;
use super::encoding::shortened;
use super::raise::Raise;
use crate::error::{Report, UserError};
use pgrx::PgSqlErrorCode::{self, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, ERRCODE_UNDEFINED_FUNCTION};
use pgrx::pg_sys::panic::{CaughtError, ErrorReportWithLevel};
use pgrx::pg_sys::{self, Datum, FmgrInfo, FunctionCallInfo, FunctionCallInfoBaseData, NullableDatum, Oid};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The arguments of a hook: the image that is kept, one that is rejected, the paths of both.
const ARGUMENTS: usize = 4;
/// The place of the first of them among the arguments of `call_hook`.
const FIRST: usize = 3;

thread_local! {
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// A hook that runs; until it returns or raises.
struct RunningHook;

impl RunningHook {
    fn begin() -> Self {
        IS_RUNNING.set(true);
        RunningHook
    }
}

impl Drop for RunningHook {
    fn drop(&mut self) {
        IS_RUNNING.set(false);
    }
}

/// What can be wrong with hooks.
#[derive(Debug)]
enum HookError {
    /// A hook tries to decide.
    Nested,
    /// The function of this name is gone: the hook has dropped itself.
    Dropped { name: String },
    /// The hook of this name has raised an error.
    Raised { name: String, sqlstate: PgSqlErrorCode, message: String, detail: Option<String>, hint: Option<String> },
}

impl UserError for HookError {
    fn report(&self) -> Report {
        match self {
            Self::Nested => Report::new(
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "a hook cannot decide about duplicates, or undo a decision",
            )
            .hint("The hook on_resolve is called within a decision; what else is to be decided is for its caller."),
            Self::Dropped { name } => {
                Report::new(ERRCODE_UNDEFINED_FUNCTION, format!("function {name} does not exist any more"))
                    .detail("It is the hook on_resolve, and is called for each image that is rejected.")
                    .hint("A hook leaves itself alone: nothing was decided.")
            }
            Self::Raised { name, sqlstate, message, detail, hint } => {
                let told = format!("The hook on_resolve, {name}, has raised it: nothing was decided.");
                let detail = detail.as_ref().map_or_else(|| told.clone(), |detail| format!("{detail}\n{told}"));
                let report = Report::new(*sqlstate, message.clone()).detail(detail);
                match hint {
                    Some(hint) => report.hint(hint.clone()),
                    None => report,
                }
            }
        }
    }
}

function! {
    /// `lumina_internal.refuse_in_hook()`. Errors: 55000.
    refuse_in_hook, pg_finfo_refuse_in_hook,
    guarded: |_: Arguments| {
        if IS_RUNNING.get() {
            HookError::Nested.raise();
        }
        Datum::null()
    },
}

function! {
    /// `lumina_internal.call_hook(oid, oid, text, int8, int8, text[], text[])`. Errors: those of the hook.
    call_hook, pg_finfo_call_hook,
    guarded: |arguments: Arguments| {
        let (owner, hook) = (arguments.oid(0), arguments.oid(1));
        let name = || shortened(&String::from_utf8_lossy(arguments.bytes(2)));
        if !exists(hook) {
            HookError::Dropped { name: name() }.raise();
        }
        let running = RunningHook::begin();
        // The error is raised again at once.
        // SAFETY: the call has the arguments of the hook behind three others.
        let result = catch_unwind(AssertUnwindSafe(|| unsafe { call(owner, hook, arguments.call()) }));
        drop(running);
        if let Err(payload) = result {
            raise_again(payload, name());
        }
        Datum::null()
    },
}

/// Whether there is a function of this number.
fn exists(function: Oid) -> bool {
    // SAFETY: a look-up by an oid, in a transaction; the row is released.
    unsafe {
        let row = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::PROCOID as i32, function.into());
        let exists = !row.is_null();
        if exists {
            pg_sys::ReleaseSysCache(row);
        }
        exists
    }
}

/// Raises the error of a hook, with its name.
fn raise_again(payload: Box<dyn Any + Send>, name: String) -> ! {
    let raised = |report: &ErrorReportWithLevel| HookError::Raised {
        name,
        sqlstate: report.sql_error_code(),
        message: report.message().to_owned(),
        detail: report.detail().map(ToOwned::to_owned),
        hint: report.hint().map(ToOwned::to_owned),
    };
    let error = match payload.downcast_ref::<CaughtError>() {
        Some(CaughtError::PostgresError(report) | CaughtError::ErrorReport(report)) => raised(report),
        _ => match payload.downcast_ref::<ErrorReportWithLevel>() {
            Some(report) => raised(report),
            None => resume_unwind(payload),
        },
    };
    error.raise()
}

/// Calls `hook` as `owner`, with the arguments of `outer` from [`FIRST`] on.
///
/// # Safety
/// `outer` is that of a running call whose arguments from [`FIRST`] on have the types of the hook's; none is NULL.
unsafe fn call(owner: Oid, hook: Oid, outer: FunctionCallInfo) {
    let (mut user, mut context) = (Oid::INVALID, 0);
    let restricted = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
    // SAFETY: as promised by the caller. The record of the call is filled in as InitFunctionCallInfoData would; what it
    // needs lives in Postgres's memory. After an error the abort of the (sub)transaction restores user and settings.
    unsafe {
        let info: *mut FmgrInfo = pg_sys::palloc0(size_of::<FmgrInfo>()).cast();
        pg_sys::fmgr_info(hook, info);
        let size = size_of::<FunctionCallInfoBaseData>() + ARGUMENTS * size_of::<NullableDatum>();
        let inner: FunctionCallInfo = pg_sys::palloc0(size).cast();
        (*inner).flinfo = info;
        (*inner).fncollation = pg_sys::DEFAULT_COLLATION_OID;
        (*inner).nargs = ARGUMENTS as i16;
        (*inner).args.as_mut_ptr().copy_from_nonoverlapping((*outer).args.as_ptr().add(FIRST), ARGUMENTS);
        let Some(function) = (*info).fn_addr else { panic!("a function without an address") };

        pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
        pg_sys::SetUserIdAndSecContext(owner, context | restricted as i32);
        let settings = pg_sys::NewGUCNestLevel();
        pg_sys::set_config_option(
            c"search_path".as_ptr(),
            c"pg_catalog, pg_temp".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
        pg_sys::ffi::pg_guard_ffi_boundary(|| function(inner));
        pg_sys::AtEOXact_GUC(false, settings);
        pg_sys::SetUserIdAndSecContext(user, context);
    }
}
