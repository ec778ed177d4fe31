//! `lumina.role`: a role in a row of the catalog layer, kept by its OID and read and written by its name.
//!
//! The payload is the OID, four bytes, most significant first. If no role has the name when it is read, the OID is 0
//! and the name follows: such a value is nobody, even if a role gets that name later. Its text is `unknown (name)`, and
//! that of a dropped role is `unknown (OID=n)`; a text that begins so is never looked up. Different values have
//! different texts: else a unique index over them could refuse rows of a dump.

use crate::pg::backend::role;
use crate::pg::fmgr::call::function;
use crate::pg::fmgr::datum::{CString, Varlena};
use crate::pg::fmgr::message;
use pgrx::pg_sys::{Datum, Oid};
use std::ffi::CStr;

/// The prefix of the text of a value that is no role.
const UNKNOWN: &[u8] = b"unknown (";

function! {
    /// `role_in(cstring)`: a name.
    role_in, pg_finfo_role_in,
    guarded: |arguments: Arguments| read(arguments.c_string(0)),
}

function! {
    /// `role_out(role)`: the current name.
    role_out, pg_finfo_role_out,
    guarded: |arguments: Arguments| CString::from_bytes(&write(arguments.bytes(0))).into_datum(),
}

function! {
    /// `role_recv(internal)`: a name, in the client's encoding.
    role_recv, pg_finfo_role_recv,
    guarded: |arguments: Arguments| read(message::text(arguments.raw(0))),
}

function! {
    /// `role_send(role)`: the current name, in the client's encoding.
    role_send, pg_finfo_role_send,
    guarded: |arguments: Arguments| message::of_text(&write(arguments.bytes(0))),
}

function! {
    /// `lumina_internal.role(oid)`.
    role_of_oid, pg_finfo_role_of_oid,
    guarded: |arguments: Arguments| stored(arguments.oid(0), b""),
}

function! {
    /// `lumina_internal.role_oid(role)`: 0 for nobody.
    role_to_oid, pg_finfo_role_to_oid,
    guarded: |arguments: Arguments| Datum::from(oid(arguments.bytes(0))),
}

function! {
    /// `lumina_internal.acts_for(oid, role)`.
    role_acts_for, pg_finfo_role_acts_for,
    guarded: |arguments: Arguments| Datum::from(role::acts_for(arguments.oid(0), oid(arguments.bytes(1)))),
}

fn stored(role: Oid, name: &[u8]) -> Datum {
    Varlena::new(&[&role.to_u32().to_be_bytes(), name]).into_datum()
}

fn oid(stored: &[u8]) -> Oid {
    stored.first_chunk().map_or(Oid::INVALID, |bytes| Oid::from_u32(u32::from_be_bytes(*bytes)))
}

fn read(name: &CStr) -> Datum {
    match Some(name).filter(|name| !name.to_bytes().starts_with(UNKNOWN)).and_then(role::named) {
        Some(role) => stored(role, b""),
        None => stored(Oid::INVALID, name.to_bytes()),
    }
}

fn write(stored: &[u8]) -> Vec<u8> {
    let role = oid(stored);
    let unknown = |what: &[u8]| [UNKNOWN, what, b")"].concat();
    if role == Oid::INVALID {
        return unknown(stored.get(size_of::<u32>()..).unwrap_or_default());
    }
    // A role whose name has the prefix is shown as a dropped one: read back, its name would be taken for nobody.
    let name = role::name_of(role).filter(|name| !name.starts_with(UNKNOWN));
    name.unwrap_or_else(|| unknown(format!("OID={}", role.to_u32()).as_bytes()))
}
