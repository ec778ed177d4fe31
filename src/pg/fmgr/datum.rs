//! Hashes and balls as they pass between Postgres and Rust: borrowed on the way in, palloc'd on the way out.
//!
//! A `phash` is a varlena whose payload is the hash's bytes; a `phash_ball` one whose payload is the ball's binary
//! form. The payload may be unaligned: read it as bytes.

use super::raise::OrRaise;
use crate::types::error::ValueError;
use lumina_hash::ball::Ball;
use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum, FromDatum};
use pgrx::pg_sys;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};

/// A `phash` argument: its bytes, borrowed for the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Phash<'a>(pub(crate) &'a [u8]);

impl Phash<'_> {
    /// Its width in bits.
    #[inline]
    pub(crate) fn bits(self) -> usize {
        self.0.len() * 8
    }
}

/// A `phash_ball` argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PhashBall<'a>(pub(crate) Ball<'a>);

/// Any argument or result as it is, where Rust has no type for it.
#[derive(Clone, Copy)]
pub(crate) struct Raw(pub(crate) pg_sys::Datum);

impl Raw {
    /// The pointer that the datum is.
    pub(crate) fn pointer<T>(self) -> *mut T {
        self.0.cast_mut_ptr()
    }
}

/// A new varlena, allocated in the memory of the current call.
pub(crate) struct Varlena(pg_sys::Datum);

impl Varlena {
    /// One whose payload is `parts`, one after the other.
    pub(crate) fn new(parts: &[&[u8]]) -> Self {
        const HEADER: usize = size_of::<i32>();
        let size = HEADER + parts.iter().map(|part| part.len()).sum::<usize>();
        // SAFETY: palloc returns `size` bytes or raises; header and parts fill exactly those.
        unsafe {
            let varlena: *mut u8 = pg_sys::palloc(size).cast();
            pgrx::set_varsize_4b(varlena.cast(), size as i32);
            let mut at = varlena.add(HEADER);
            for part in parts {
                at.copy_from_nonoverlapping(part.as_ptr(), part.len());
                at = at.add(part.len());
            }
            Varlena(pg_sys::Datum::from(varlena))
        }
    }
}

impl Varlena {
    /// The value as Postgres passes it.
    pub(crate) fn into_datum(self) -> pg_sys::Datum {
        self.0
    }
}

/// A new C string, allocated in the memory of the current call.
pub(crate) struct CString(pg_sys::Datum);

impl CString {
    /// A copy of `text`, which must hold no zero byte.
    pub(crate) fn new(text: &str) -> Self {
        Self::from_bytes(text.as_bytes())
    }

    /// A copy of a text in the encoding of the database.
    pub(crate) fn from_bytes(text: &[u8]) -> Self {
        // SAFETY: palloc returns one byte more than the text has, or raises.
        unsafe {
            let string: *mut u8 = pg_sys::palloc(text.len() + 1).cast();
            string.copy_from_nonoverlapping(text.as_ptr(), text.len());
            string.add(text.len()).write(0);
            CString(pg_sys::Datum::from(string))
        }
    }

    /// The value as Postgres passes it.
    pub(crate) fn into_datum(self) -> pg_sys::Datum {
        self.0
    }
}

/// The payload of a varlena that is stored inline, with a header of one byte or four; else `None`.
///
/// # Safety
/// `datum` points to a varlena that lives for `'a`.
#[inline(always)]
pub(crate) unsafe fn inline_payload<'a>(datum: pg_sys::Datum) -> Option<&'a [u8]> {
    let varlena: *const pg_sys::varlena = datum.cast_mut_ptr();
    // SAFETY: as promised by the caller.
    unsafe {
        if pgrx::varatt_is_1b_e(varlena) || pgrx::varatt_is_4b_c(varlena) {
            return None;
        }
        Some(std::slice::from_raw_parts(pgrx::vardata_any(varlena).cast(), pgrx::varsize_any_exhdr(varlena)))
    }
}

/// The payload of a varlena.
///
/// Only compressed and external values, which a column of storage PLAIN never holds, cost a call into Postgres.
///
/// # Safety
/// `datum` points to a varlena that lives for `'a`.
#[inline]
pub(crate) unsafe fn payload<'a>(datum: pg_sys::Datum) -> &'a [u8] {
    // SAFETY: as promised by the caller; a detoasted copy lives as long as the memory of the call.
    unsafe {
        inline_payload(datum).unwrap_or_else(|| {
            let inline = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
            std::slice::from_raw_parts(pgrx::vardata_any(inline).cast(), pgrx::varsize_any_exhdr(inline))
        })
    }
}

impl Phash<'_> {
    /// Reads a datum of type `phash`.
    ///
    /// # Safety
    /// `datum` is a `phash`, not NULL, that lives as long as the result is used.
    #[inline]
    pub(crate) unsafe fn read(datum: pg_sys::Datum) -> Self {
        // SAFETY: as promised by the caller.
        Phash(unsafe { payload(datum) })
    }
}

impl PhashBall<'_> {
    /// Reads a datum of type `phash_ball`.
    ///
    /// # Safety
    /// `datum` is a `phash_ball`, not NULL, that lives as long as the result is used.
    #[inline]
    pub(crate) unsafe fn read(datum: pg_sys::Datum) -> Self {
        // SAFETY: as promised by the caller.
        PhashBall(Ball::from_binary(unsafe { payload(datum) }).map_err(ValueError::BallBinary).or_raise())
    }
}

macro_rules! argument {
    ($type:ident, $read:expr) => {
        impl FromDatum for $type<'_> {
            #[inline]
            unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, null: bool, _: pg_sys::Oid) -> Option<Self> {
                // SAFETY: the SQL declaration of the function gives the argument this type.
                if null { None } else { Some(unsafe { $read(datum) }) }
            }
        }

        // SAFETY: a value that is not NULL is a pointer to a varlena of this type, alive for the call.
        unsafe impl<'fcx> ArgAbi<'fcx> for $type<'fcx> {
            #[inline]
            unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
                // SAFETY: as promised by the caller.
                match unsafe { arg.unbox_arg_using_from_datum() } {
                    Some(value) => value,
                    None => panic!("NULL given to a function that is declared STRICT"),
                }
            }
        }
    };
}

argument!(Phash, Phash::read);
argument!(PhashBall, PhashBall::read);

// SAFETY: any datum is a `Raw`.
unsafe impl<'fcx> ArgAbi<'fcx> for Raw {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: a pointer-sized integer is read as it is.
        Raw(pg_sys::Datum::from(unsafe { arg.unbox_arg_using_from_datum::<i64>() }.unwrap_or_default()))
    }
}

macro_rules! result {
    ($($type:ty),*) => {$(
        // SAFETY: the datum is of the type that the SQL declaration promises.
        unsafe impl BoxRet for $type {
            #[inline]
            unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
                // SAFETY: as promised by the caller: it is returned from the function.
                unsafe { fcinfo.return_raw_datum(self.0) }
            }
        }
    )*};
}

result!(Varlena, CString, Raw);

// The SQL of every function is written by hand in sql/, so these names are only a label in pgrx's own bookkeeping.
macro_rules! label {
    ($($type:ty => $name:literal),*) => {$(
        // SAFETY: nothing is generated from it.
        unsafe impl SqlTranslatable for $type {
            const TYPE_IDENT: &'static str = concat!("lumina::", $name);
            const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
            const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal($name));
            const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal($name)));
        }
    )*};
}

label!(
    Phash<'_> => "phash", PhashBall<'_> => "phash_ball", Varlena => "varlena", CString => "cstring", Raw => "internal"
);
