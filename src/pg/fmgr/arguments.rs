//! The arguments of a running call: [`Arguments`] of a STRICT function, [`Call`] of one whose arguments may be NULL.
//!
//! Invariant: both are only read as the types that the function's declaration in `sql/` gives them.

use super::array;
use super::datum::{Phash, PhashBall, Raw, inline_payload, payload};
use crate::error::LuminaError;
use pgrx::pg_sys::{self, Datum, FunctionCallInfo, Oid};
use std::ffi::{CStr, CString};

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
    pub(crate) fn nullable(self) -> Call {
        // SAFETY: as promised when these were made, but for NULLs, which a `Call` looks for.
        unsafe { Call::new(self.0) }
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

/// A call of a function that is not STRICT: each argument may be NULL.
#[derive(Clone, Copy)]
pub(crate) struct Call(FunctionCallInfo);

impl Call {
    /// # Safety
    /// `fcinfo` is that of the running call, whose declaration gives its arguments the types that they are read as.
    pub(crate) unsafe fn new(fcinfo: FunctionCallInfo) -> Self {
        Call(fcinfo)
    }

    /// An argument as it is; `None` for NULL.
    fn datum(self, index: usize) -> Option<Datum> {
        // SAFETY: the call has `nargs` arguments.
        unsafe {
            assert!(index < (*self.0).nargs as usize, "the function has no argument {index}");
            let argument = (*self.0).args.as_ptr().add(index);
            (!(*argument).isnull).then_some((*argument).value)
        }
    }

    /// A `text`, in the encoding of the database.
    pub(crate) fn text(self, index: usize) -> Option<CString> {
        // SAFETY: the argument is a text, which never holds a zero byte.
        self.datum(index).map(|text| unsafe { CString::from_vec_unchecked(payload(text).to_vec()) })
    }

    /// An `int4`.
    pub(crate) fn int4(self, index: usize) -> Option<i32> {
        self.datum(index).map(|number| number.value() as i32)
    }

    /// An `int8`.
    pub(crate) fn int8(self, index: usize) -> Option<i64> {
        self.datum(index).map(|number| number.value() as i64)
    }

    /// A `float8`.
    pub(crate) fn float8(self, index: usize) -> Option<f64> {
        self.datum(index).map(|number| f64::from_bits(number.value() as u64))
    }

    /// Whether an argument is NULL.
    pub(crate) fn is_null(self, index: usize) -> bool {
        self.datum(index).is_none()
    }

    /// The payload of a varlena; nothing for NULL.
    pub(crate) fn bytes<'a>(self, index: usize) -> &'a [u8] {
        // SAFETY: the argument is a varlena, which lives as long as the call.
        self.datum(index).map_or(&[], |varlena| unsafe { payload(varlena) })
    }

    /// A `bool`; false for NULL.
    pub(crate) fn bool(self, index: usize) -> bool {
        self.datum(index).is_some_and(|value| value.value() as u8 != 0)
    }

    /// The call itself.
    pub(in crate::pg) fn raw(self) -> FunctionCallInfo {
        self.0
    }

    /// The function that is called.
    pub(crate) fn function(self) -> Oid {
        // SAFETY: the call is running, and knows its function.
        unsafe { (*(*self.0).flinfo).fn_oid }
    }

    /// Whether an argument is declared as an array of `int4`.
    pub(crate) fn is_int4s(self, index: usize) -> bool {
        let (mut types, mut count) = (std::ptr::null_mut(), 0);
        // SAFETY: a look-up, which fills in how many types there are, and an array of as many.
        unsafe {
            pg_sys::get_func_signature(self.function(), &raw mut types, &raw mut count);
            assert!(index < count as usize, "the function has no argument {index}");
            *types.add(index) == pg_sys::INT4ARRAYOID
        }
    }

    /// An `int4[]`, which users know by `name`. Errors: 2202E for more than one dimension, 22004 for NULL elements.
    pub(crate) fn int4s(self, index: usize, name: &'static str) -> Result<Option<Vec<i32>>, LuminaError> {
        // SAFETY: the argument is an int4[].
        self.datum(index).map(|array| unsafe { array::int4s(array, name) }).transpose()
    }
}
