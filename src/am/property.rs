//! `amproperty`: answers `pg_index_column_has_property` where Postgres does not know the answer by itself.

use pgrx::pg_guard;
use pgrx::pg_sys::{IndexAMProperty, Oid};
use std::ffi::{c_char, c_int};

/// Every column can be ordered by distance: an operator class without that operator is invalid ([`super::validate`]).
///
/// # Safety
/// Called by Postgres, with room for the answer.
#[allow(unsafe_code, reason = "a callback")]
#[pg_guard]
pub(super) unsafe extern "C-unwind" fn amproperty(
    _index: Oid,
    column: c_int,
    property: IndexAMProperty::Type,
    _name: *const c_char,
    result: *mut bool,
    is_null: *mut bool,
) -> bool {
    let is_answered = column > 0 && property == IndexAMProperty::AMPROP_DISTANCE_ORDERABLE;
    if is_answered {
        // SAFETY: as promised by the caller.
        unsafe {
            *result = true;
            *is_null = false;
        }
    }
    is_answered
}
