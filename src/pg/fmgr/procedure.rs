//! Procedures that wait: outside of a transaction block they end their transaction before they do.
//!
//! `wait_for_job` (`src/jobs/wait.rs`) is one. Invariant: a procedure ends its transaction only where its CALL is not
//! atomic, and holds no snapshot afterwards.

use super::arguments::Call;
use super::raise::OrRaise;
use crate::error::LuminaError;
use pgrx::pg_sys::{self, CallContext, Datum, FunctionCallInfo, NodeTag};

/// A call of a procedure.
pub(crate) struct Procedure {
    call: Call,
    /// Called within a transaction block, or by a function: it must not end the transaction.
    atomic: bool,
}

impl Procedure {
    /// An argument of type `bigint`.
    pub(crate) fn int8(&self, index: usize) -> Option<i64> {
        self.call.int8(index)
    }

    /// Commits the transaction and begins another, where the call is not atomic: for a wait that holds no snapshot.
    pub(crate) fn end_transaction(&self) {
        if !self.atomic {
            // SAFETY: SPI is connected, by `call`, for a caller that allows it.
            unsafe { pg_sys::SPI_commit() };
        }
    }
}

/// Runs the body of a procedure.
///
/// # Safety
/// `fcinfo` is that of the running call.
pub(crate) unsafe fn call(fcinfo: FunctionCallInfo, body: fn(&Procedure) -> Result<(), LuminaError>) -> Datum {
    // SAFETY: as promised by the caller; the tag says whether the context is that of a CALL. What is connected is
    // finished, or left to the abort.
    unsafe {
        let context = (*fcinfo).context;
        let atomic =
            context.is_null() || (*context).type_ != NodeTag::T_CallContext || (*context.cast::<CallContext>()).atomic;
        pg_sys::SPI_connect_ext(if atomic { 0 } else { pg_sys::SPI_OPT_NONATOMIC as i32 });
        body(&Procedure { call: Call::new(fcinfo), atomic }).or_raise();
        pg_sys::SPI_finish();
    }
    Datum::null()
}

/// Declares `$name`, a procedure, and the record that tells Postgres its calling convention, `$record`.
macro_rules! procedure {
    ($(#[$doc:meta])* $name:ident, $record:ident, $body:expr $(,)?) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        unsafe extern "C-unwind" fn $name(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            // SAFETY: called by Postgres alone, as declared in sql/; the closure owns nothing that an error would leave
            // behind.
            unsafe { pgrx::pg_sys::panic::pgrx_extern_c_guard(|| crate::pg::fmgr::procedure::call(fcinfo, $body)) }
        }

        crate::pg::fmgr::call::record!($record);
    };
}

pub(crate) use procedure;
