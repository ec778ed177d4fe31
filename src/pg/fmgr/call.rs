//! Functions that return one value: Postgres's version-1 calling convention without a framework in between.
//!
//! [`function!`] declares one. Its body, `guarded`, runs under pgrx's guard and may panic and call Postgres. pgrx's own
//! wrapper costs about 40 ns a call, more than a sequential scan spends on everything else. So a function that runs
//! once a row has a fast path before it: `now` answers the common case in a few instructions, and must neither panic
//! nor call Postgres; where it has no answer (`None`) `guarded` runs.

/// Declares `$name`, with or without a fast path, and the record that tells Postgres its calling convention, `$record`.
macro_rules! function {
    ($(#[$doc:meta])* $name:ident, $record:ident, guarded: $guarded:expr $(,)?) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        unsafe extern "C-unwind" fn $name(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            use crate::pg::fmgr::arguments::Arguments;
            let guarded: fn(Arguments) -> pgrx::pg_sys::Datum = $guarded;
            // SAFETY: called by Postgres alone, as declared in sql/; the closure owns nothing that an error would leave
            // behind.
            unsafe { pgrx::pg_sys::panic::pgrx_extern_c_guard(|| guarded(Arguments::new(fcinfo))) }
        }

        crate::pg::fmgr::call::record!($record);
    };
    ($(#[$doc:meta])* $name:ident, $record:ident, now: $now:expr, guarded: $guarded:expr $(,)?) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        unsafe extern "C-unwind" fn $name(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            use crate::pg::fmgr::arguments::Arguments;
            // SAFETY: called by Postgres alone, as declared in sql/.
            let arguments = unsafe { Arguments::new(fcinfo) };
            let now: fn(Arguments) -> Option<_> = $now;
            if let Some(result) = now(arguments) {
                return result.into();
            }
            #[cold]
            #[inline(never)]
            fn guard(arguments: Arguments) -> pgrx::pg_sys::Datum {
                let guarded: fn(Arguments) -> _ = $guarded;
                // SAFETY: the closure owns nothing that an error would leave behind.
                unsafe { pgrx::pg_sys::panic::pgrx_extern_c_guard(|| guarded(arguments).into()) }
            }
            guard(arguments)
        }

        crate::pg::fmgr::call::record!($record);
    };
}

/// Declares the record that tells Postgres a function's calling convention.
macro_rules! record {
    ($record:ident) => {
        #[allow(unsafe_code)]
        #[doc(hidden)]
        #[unsafe(no_mangle)]
        extern "C" fn $record() -> &'static pgrx::pg_sys::Pg_finfo_record {
            const RECORD: pgrx::pg_sys::Pg_finfo_record = pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
            &RECORD
        }
    };
}

pub(crate) use function;
pub(crate) use record;
