//! Values of any one type, copied out of a query's rows: the ids of what a search compares.
//!
//! They are kept in Rust's memory, so that they outlive the query, and returned as datums.

use super::query::Row;
use crate::error::LuminaError;
use pgrx::pg_sys::{self, Datum, Oid};
use std::cmp::Ordering;
use std::ffi::{CStr, c_char, c_int};

/// Values in the order in which they were added. None is NULL.
pub(crate) struct TypedValues {
    type_: Oid,
    /// The type of an array's elements: the same, or a domain over it.
    shown: Oid,
    /// `typlen`: the length of values of a fixed length, -1 for varlenas, -2 for C strings.
    length: i16,
    by_value: bool,
    alignment: c_char,
    /// The values themselves, or where each begins in `words`; then, one more, where the last ends.
    places: Vec<usize>,
    /// Aligned to 8 bytes, as no type asks for more.
    words: Vec<u64>,
}

impl TypedValues {
    /// No values yet, of a type that is no domain; in arrays they are of type `shown`, which may be a domain over it.
    pub(crate) fn new(type_: Oid, shown: Oid) -> Self {
        let (mut length, mut by_value, mut alignment) = (0, false, 0);
        // SAFETY: a look-up, which fills in what it is given or raises.
        unsafe { pg_sys::get_typlenbyvalalign(type_, &raw mut length, &raw mut by_value, &raw mut alignment) };
        let places = if by_value { Vec::new() } else { vec![0] };
        TypedValues { type_, shown, length, by_value, alignment, places, words: Vec::new() }
    }

    /// Adds the value of a column of this type, which is not NULL. Errors: 53200.
    pub(crate) fn push(&mut self, row: Row<'_>, column: usize) -> Result<(), LuminaError> {
        let (value, type_) = row.value(column);
        assert!(type_ == self.type_, "column {column} is of another type");
        self.places.try_reserve(1)?;
        if self.by_value {
            // What a datum has beyond the bytes of its type is not defined.
            self.places.push(match self.length {
                1 => value.value() as i8 as usize,
                2 => value.value() as i16 as usize,
                4 => value.value() as i32 as usize,
                _ => value.value(),
            });
            return Ok(());
        }
        // SAFETY: the value is of this type, alive, and not NULL.
        let bytes = unsafe { stored(value, self.length) };
        self.words.try_reserve(bytes.len().div_ceil(8))?;
        let (whole, rest) = bytes.as_chunks::<8>();
        self.words.extend(whole.iter().map(|word| u64::from_ne_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.words.push(u64::from_ne_bytes(last));
        }
        self.places.push(self.words.len());
        Ok(())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - usize::from(!self.by_value)
    }

    /// How many bytes of memory they take.
    pub(crate) fn size(&self) -> usize {
        self.places.capacity() * size_of::<usize>() + self.words.capacity() * size_of::<u64>()
    }

    /// One of them, as a datum; valid until another is added.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Datum {
        if self.by_value { Datum::from(self.places[index]) } else { Datum::from(self.words_of(index).as_ptr()) }
    }

    /// An array of some of them, allocated in the current memory context.
    pub(crate) fn array(&self, indexes: impl ExactSizeIterator<Item = usize>) -> Datum {
        let count = indexes.len();
        // SAFETY: palloc returns room for `count` values, or raises; at most as many, as the iterator promises, are
        // written. They are of this type, and copied.
        unsafe {
            let values: *mut Datum = pg_sys::palloc(count * size_of::<Datum>()).cast();
            for (at, index) in indexes.take(count).enumerate() {
                values.add(at).write(self.get(index));
            }
            let count = count as c_int;
            let length = c_int::from(self.length);
            Datum::from(pg_sys::construct_array(values, count, self.shown, length, self.by_value, self.alignment))
        }
    }

    /// An order that depends on nothing but the two values: that of numbers, and of the bytes of all else. Calls
    /// nothing of Postgres, so that other threads may call it.
    pub(crate) fn compare(&self, left: usize, right: usize) -> Ordering {
        if self.by_value {
            return (self.places[left] as isize).cmp(&(self.places[right] as isize));
        }
        self.bytes(left).cmp(self.bytes(right))
    }

    /// The bytes of a value that is passed by reference, without a header. Calls nothing of Postgres.
    fn bytes(&self, index: usize) -> &[u8] {
        let words = self.words_of(index);
        // SAFETY: a value is stored there, at most as long as the words; a varlena with a header of four bytes.
        unsafe {
            let start: *const u8 = words.as_ptr().cast();
            match self.length {
                -1 => {
                    let size = pgrx::varsize_any(start.cast()).min(size_of_val(words));
                    &std::slice::from_raw_parts(start, size)[pg_sys::VARHDRSZ..]
                }
                -2 => CStr::from_ptr(start.cast()).to_bytes(),
                length => std::slice::from_raw_parts(start, length as usize),
            }
        }
    }

    /// A value as text.
    pub(crate) fn text(&self, index: usize) -> String {
        let (mut output, mut is_varlena) = (Oid::INVALID, false);
        // SAFETY: the output function of the type of the value, which answers with a C string.
        unsafe {
            pg_sys::getTypeOutputInfo(self.type_, &raw mut output, &raw mut is_varlena);
            CStr::from_ptr(pg_sys::OidOutputFunctionCall(output, self.get(index))).to_string_lossy().into_owned()
        }
    }

    fn words_of(&self, index: usize) -> &[u64] {
        &self.words[self.places[index]..self.places[index + 1]]
    }
}

/// The bytes that a value is stored as; a varlena's with a header of four bytes, uncompressed.
///
/// # Safety
/// `value` is of a type that is passed by reference and has this length in pg_type; it lives for `'a`, as does the
/// current memory context.
unsafe fn stored<'a>(value: Datum, length: i16) -> &'a [u8] {
    let start: *const u8 = value.cast_mut_ptr();
    // SAFETY: as promised by the caller.
    unsafe {
        match length {
            -1 => {
                let varlena = pg_sys::pg_detoast_datum(value.cast_mut_ptr());
                std::slice::from_raw_parts(varlena.cast(), pgrx::varsize_any(varlena))
            }
            -2 => CStr::from_ptr(start.cast()).to_bytes_with_nul(),
            length => std::slice::from_raw_parts(start, length as usize),
        }
    }
}
