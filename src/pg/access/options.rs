//! Storage parameters of an access method: registered once, read from what a user wrote.

use crate::pg::version;
use pgrx::pg_sys::{self, Datum, bytea};
use std::ffi::{CStr, c_int};
use std::mem::offset_of;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A parameter that is a whole number.
pub(crate) struct NumberOption {
    pub(crate) name: &'static CStr,
    pub(crate) description: &'static CStr,
    pub(crate) minimum: c_int,
    pub(crate) maximum: c_int,
}

/// What the parameters of a relation become: a varlena with the number in it, or -1 where none was given.
#[repr(C)]
pub(crate) struct Options {
    header: i32,
    number: c_int,
}

impl Options {
    /// The number, if one was given.
    ///
    /// # Safety
    /// `options` was made by [`read`], or is null.
    pub(crate) unsafe fn number(options: *const Options) -> Option<usize> {
        // SAFETY: as promised by the caller.
        unsafe { options.as_ref() }.and_then(|options| usize::try_from(options.number).ok())
    }
}

/// The `relopt_kind` of our indexes.
static KIND: AtomicU32 = AtomicU32::new(0);

/// Registers a parameter, when the library is loaded.
pub(crate) fn register(number: &'static NumberOption) {
    // SAFETY: plain calls with strings that live for ever.
    unsafe {
        let kind = pg_sys::add_reloption_kind();
        let (name, description) = (number.name.as_ptr(), number.description.as_ptr());
        // It does not affect existing indexes: no session need be locked out.
        let lock = pg_sys::ShareUpdateExclusiveLock as pg_sys::LOCKMODE;
        pg_sys::add_int_reloption(kind, name, description, -1, number.minimum, number.maximum, lock);
        KIND.store(kind, Relaxed);
    }
}

/// Reads what a user wrote; where `validate` is set, raises 22023 for what is not allowed.
pub(crate) fn read(given: Datum, validate: bool, number: &'static NumberOption) -> *mut bytea {
    let offset = offset_of!(Options, number) as c_int;
    let element = version::parameter(number.name.as_ptr(), pg_sys::relopt_type::RELOPT_TYPE_INT, offset);
    // SAFETY: one element, of a parameter of this kind, with a place in `Options`.
    unsafe {
        pg_sys::build_reloptions(given, validate, KIND.load(Relaxed), size_of::<Options>(), &raw const element, 1)
            .cast()
    }
}
