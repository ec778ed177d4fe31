//! Roles of the cluster, by name and by OID.

use pgrx::pg_sys::{self, Oid};
use std::ffi::CStr;

/// The role that has this name now.
pub(crate) fn named(name: &CStr) -> Option<Oid> {
    // SAFETY: a look-up, which answers 0 where there is none.
    let role = unsafe { pg_sys::get_role_oid(name.as_ptr(), true) };
    (role != Oid::INVALID).then_some(role)
}

/// The current name of a role, in the encoding in which it was given; `None` where there is no such role.
pub(crate) fn name_of(role: Oid) -> Option<Vec<u8>> {
    // SAFETY: a look-up, which answers NULL where there is none; the name is copied.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        (!name.is_null()).then(|| CStr::from_ptr(name).to_bytes().to_vec())
    }
}

/// Whether a role is a superuser, or has the rights of another, which is there still.
pub(crate) fn acts_for(role: Oid, other: Oid) -> bool {
    // SAFETY: look-ups, which answer no where there is no such role.
    unsafe { pg_sys::superuser_arg(role) || name_of(other).is_some() && pg_sys::has_privs_of_role(role, other) }
}
