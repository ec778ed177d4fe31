//! All that differs between Postgres 15, 16, 17 and 18, apart from the access method's handler.

use crate::error::LuminaError;
use pgrx::pg_sys;

/// Gives an input function's error to whoever asked for errors as values (Postgres 16: `pg_input_is_valid`, 17: COPY
/// with ON_ERROR), else raises it. Returns the datum to return in the first case.
pub(crate) fn raise_softly(error: &LuminaError, fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    #[cfg(not(feature = "pg15"))]
    {
        // SAFETY: fcinfo is that of the running call; its context is a node or null, and an ErrorSaveContext if its
        // tag says so. A context that wants no details is answered by the flag alone.
        unsafe {
            let context = (*fcinfo).context;
            if !context.is_null() && (*context).type_ == pg_sys::NodeTag::T_ErrorSaveContext {
                let context: *mut pg_sys::ErrorSaveContext = context.cast();
                (*context).error_occurred = true;
                if (*context).details_wanted {
                    (*context).error_data = error.to_error_data();
                }
                return pg_sys::Datum::null();
            }
        }
    }
    #[cfg(feature = "pg15")]
    let _ = fcinfo;
    error.raise()
}
