//! One-dimensional arrays as arguments and results, allocated in the current memory context.

use super::error::ArgumentError;
use crate::error::LuminaError;
use pgrx::pg_sys::{self, ArrayType, Datum, Oid};
use std::ffi::c_int;

/// Head, length and lower bound of an array of one dimension without NULLs; the elements follow, aligned to 8 bytes.
const HEAD: usize = size_of::<ArrayType>() + 2 * size_of::<c_int>();
const _: () = assert!(HEAD.is_multiple_of(8), "elements follow at once");

/// A new `int4[]`.
pub(crate) fn int4_array(elements: impl ExactSizeIterator<Item = i32>) -> Datum {
    // SAFETY: int4 is stored as it is in Rust.
    unsafe { array(elements, pg_sys::INT4OID) }
}

/// A new `int8[]`.
pub(crate) fn int8_array(elements: impl ExactSizeIterator<Item = i64>) -> Datum {
    // SAFETY: int8 is stored as it is in Rust.
    unsafe { array(elements, pg_sys::INT8OID) }
}

/// # Safety
/// A `T` has the bytes that an element of this type is stored as.
unsafe fn array<T: Copy>(elements: impl ExactSizeIterator<Item = T>, type_: Oid) -> Datum {
    let count = elements.len();
    let size = HEAD + count * size_of::<T>();
    // SAFETY: palloc returns `size` bytes, aligned to 8, or raises; head, bounds and at most `count` elements, as many
    // as the iterator promises, fill exactly those.
    unsafe {
        if count == 0 {
            return Datum::from(pg_sys::construct_empty_array(type_));
        }
        let array: *mut ArrayType = pg_sys::palloc(size).cast();
        pgrx::set_varsize_4b(array.cast(), size as i32);
        (*array).ndim = 1;
        (*array).dataoffset = 0; // no NULLs
        (*array).elemtype = type_;
        let bounds: *mut c_int = array.add(1).cast();
        bounds.write(count as c_int);
        bounds.add(1).write(1);
        let first: *mut T = array.byte_add(HEAD).cast();
        for (at, element) in elements.take(count).enumerate() {
            first.add(at).write(element);
        }
        Datum::from(array)
    }
}

/// The elements of an `int4[]` that was given as the argument `name`. Errors: 2202E for more than one dimension, 22004
/// for NULLs.
///
/// # Safety
/// `array` is an `int4[]`, not NULL.
pub(in crate::pg) unsafe fn int4s(array: Datum, name: &'static str) -> Result<Vec<i32>, LuminaError> {
    // SAFETY: as promised by the caller; the bounds, and where the elements begin, are those that Postgres keeps.
    unsafe {
        let array: *mut ArrayType = pg_sys::pg_detoast_datum(array.cast_mut_ptr()).cast();
        match (*array).ndim {
            0 => return Ok(Vec::new()),
            1 => (),
            dimensions => return Err(ArgumentError::ArrayShape { name, dimensions }.into()),
        }
        if pg_sys::array_contains_nulls(array) {
            return Err(ArgumentError::ArrayNull { name }.into());
        }
        let count = array.add(1).cast::<c_int>().read() as usize;
        let start = if (*array).dataoffset == 0 { HEAD } else { (*array).dataoffset as usize };
        Ok(std::slice::from_raw_parts(array.byte_add(start).cast::<i32>(), count).to_vec())
    }
}
