//! Functions that return one value: Postgres's version-1 calling convention without a framework in between.
//!
//! [`function!`] declares one. Its body, `guarded`, runs under pgrx's guard and may panic and call Postgres. pgrx's own
//! wrapper costs about 40 ns a call, more than a sequential scan spends on everything else. So a function that runs
//! once a row has a fast path before it: `now` answers the common case in a few instructions, and must neither panic
//! nor call Postgres; where it has no answer (`None`) `guarded` runs.

use super::datum::{Phash, PhashBall, Raw, inline_payload, payload};
use pgrx::pg_sys::{self, Datum, FunctionCallInfo};
use std::ffi::CStr;

/// The arguments of a STRICT function: none is NULL.
#[derive(Clone, Copy)]
pub(crate) struct Arguments(FunctionCallInfo);

impl Arguments {
    /// # Safety
    /// `fcinfo` is that of the running call of a STRICT function, whose declaration gives its arguments the types that
    /// they are read as.
    #[inline(always)]
    pub(crate) unsafe fn new(fcinfo: FunctionCallInfo) -> Self {
        Arguments(fcinfo)
    }

    #[inline(always)]
    fn datum(self, index: usize) -> Datum {
        // SAFETY: the declaration in sql/ gives the function at least `index + 1` arguments.
        unsafe { (*(*self.0).args.as_ptr().add(index)).value }
    }

    /// The payload of a `phash` or `phash_ball`; `None` where it is compressed or stored out of line, which no value of
    /// a type of storage PLAIN ever is.
    #[inline(always)]
    pub(crate) fn inline<'a>(self, index: usize) -> Option<&'a [u8]> {
        // SAFETY: the argument is a varlena, not NULL, and lives as long as the call.
        unsafe { inline_payload(self.datum(index)) }
    }

    /// The payload of a varlena of exactly `N` bytes with the usual header of four bytes; else `None`.
    #[inline(always)]
    pub(crate) fn exactly<'a, const N: usize>(self, index: usize) -> Option<&'a [u8; N]> {
        let varlena: *const pg_sys::varlena = self.datum(index).cast_mut_ptr();
        // SAFETY: the argument is a varlena, not NULL, and lives as long as the call; its first byte says whether its
        // header has four bytes, and the header how many follow.
        unsafe {
            (pgrx::varatt_is_4b_u(varlena) && varlena.cast::<u32>().read_unaligned() == header_of(N))
                .then(|| &*varlena.cast::<u8>().add(size_of::<u32>()).cast::<[u8; N]>())
        }
    }

    /// A `phash`, wherever it is stored.
    pub(crate) fn hash<'a>(self, index: usize) -> Phash<'a> {
        // SAFETY: the argument is a `phash`, not NULL, and lives as long as the call.
        unsafe { Phash::read(self.datum(index)) }
    }

    /// A `phash_ball`, wherever it is stored.
    pub(crate) fn ball<'a>(self, index: usize) -> PhashBall<'a> {
        // SAFETY: the argument is a `phash_ball`, not NULL, and lives as long as the call.
        unsafe { PhashBall::read(self.datum(index)) }
    }

    /// The payload of a varlena, wherever it is stored.
    pub(crate) fn bytes<'a>(self, index: usize) -> &'a [u8] {
        // SAFETY: the argument is a varlena, not NULL, and lives as long as the call.
        unsafe { payload(self.datum(index)) }
    }

    /// A `cstring`.
    pub(crate) fn c_string<'a>(self, index: usize) -> &'a CStr {
        // SAFETY: the argument is a C string, and lives as long as the call.
        unsafe { CStr::from_ptr(self.datum(index).cast_mut_ptr()) }
    }

    /// An `internal`.
    pub(crate) fn raw(self, index: usize) -> Raw {
        Raw(self.datum(index))
    }

    /// A `bool`.
    pub(crate) fn bool(self, index: usize) -> bool {
        self.datum(index).value() as u8 != 0
    }

    /// The arguments of a function that is not STRICT, of which each may be NULL.
    pub(crate) fn nullable(self) -> super::rows::Call {
        // SAFETY: as promised when these were made, but for NULLs, which a `Call` looks for.
        unsafe { super::rows::Call::new(self.0) }
    }

    /// The row that this call returns; its declaration gives it columns of these types. `None` is NULL.
    pub(crate) fn record<const COLUMNS: usize>(self, columns: [Option<Datum>; COLUMNS]) -> Datum {
        // SAFETY: as promised when these were made, and by the caller.
        unsafe { super::record::record(self.0, columns) }
    }

    /// The call itself.
    pub(crate) fn call(self) -> FunctionCallInfo {
        self.0
    }

    /// An `int4`.
    #[inline(always)]
    pub(crate) fn int4(self, index: usize) -> i32 {
        self.datum(index).value() as i32
    }

    /// An `oid`, or a `regclass`.
    pub(crate) fn oid(self, index: usize) -> pg_sys::Oid {
        pg_sys::Oid::from_u32(self.datum(index).value() as u32)
    }

    /// An `int8`.
    #[inline(always)]
    pub(crate) fn int8(self, index: usize) -> i64 {
        self.datum(index).value() as i64
    }
}

/// The header of an uncompressed varlena with a payload of `length` bytes, as SET_VARSIZE_4B writes it.
const fn header_of(length: usize) -> u32 {
    let size = (length + size_of::<u32>()) as u32;
    if cfg!(target_endian = "little") { size << 2 } else { size }
}

/// Declares `$name`, with or without a fast path, and the record that tells Postgres its calling convention, `$record`.
macro_rules! function {
    ($(#[$doc:meta])* $name:ident, $record:ident, guarded: $guarded:expr $(,)?) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        unsafe extern "C-unwind" fn $name(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            use crate::pg::call::Arguments;
            let guarded: fn(Arguments) -> pgrx::pg_sys::Datum = $guarded;
            // SAFETY: called by Postgres alone, as declared in sql/; the closure owns nothing that an error would leave
            // behind.
            unsafe { pgrx::pg_sys::panic::pgrx_extern_c_guard(|| guarded(Arguments::new(fcinfo))) }
        }

        crate::pg::call::record!($record);
    };
    ($(#[$doc:meta])* $name:ident, $record:ident, now: $now:expr, guarded: $guarded:expr $(,)?) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        unsafe extern "C-unwind" fn $name(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            use crate::pg::call::Arguments;
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

        crate::pg::call::record!($record);
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
