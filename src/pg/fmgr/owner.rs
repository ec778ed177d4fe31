//! Functions that every role may call, and that run with the rights of the extension's owner.
//!
//! Postgres's SECURITY DEFINER alone does not do: such a function cannot know who called it. `current_user` is the
//! owner, and the session's role need not be the caller: a trigger of another role may run in a superuser's session. So
//! a public function `lumina.f(a, b)` is declared with [`as_owner`] and runs as its caller. It calls
//! `lumina_internal.f(caller, a, b)`, which is SECURITY DEFINER and which nobody else may execute, with the caller as
//! Postgres knows it at that moment.

use super::call::record;
use pgrx::PgList;
use pgrx::pg_sys::{self, Datum, FmgrInfo, FunctionCallInfo, FunctionCallInfoBaseData, NullableDatum, Oid};
use std::ffi::{CStr, c_int};

/// The schema of internal functions. It is the extension's: nobody else can create anything in it.
const INTERNAL_SCHEMA: &CStr = c"lumina_internal";

/// Calls the function of the same name in [`INTERNAL_SCHEMA`], with the caller as its first argument.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn as_owner(fcinfo: FunctionCallInfo) -> Datum {
    // SAFETY: called by Postgres alone; the closure owns nothing that an error would leave behind.
    unsafe { pg_sys::panic::pgrx_extern_c_guard(|| call_inner(fcinfo)) }
}

record!(pg_finfo_as_owner);

/// # Safety
/// `fcinfo` is that of the running call.
unsafe fn call_inner(fcinfo: FunctionCallInfo) -> Datum {
    // SAFETY: as promised by the caller. The inner call's record has room for one argument more than the outer one, and
    // is filled in as InitFunctionCallInfoData would; both live in Postgres's memory.
    unsafe {
        let outer = &mut *fcinfo;
        let flinfo = &mut *outer.flinfo;
        if flinfo.fn_extra.is_null() {
            let info: *mut FmgrInfo = pg_sys::MemoryContextAllocZero(flinfo.fn_mcxt, size_of::<FmgrInfo>()).cast();
            pg_sys::fmgr_info_cxt(inner_of(flinfo.fn_oid), info, flinfo.fn_mcxt);
            flinfo.fn_extra = info.cast();
        }
        let count = outer.nargs as usize;
        let size = size_of::<FunctionCallInfoBaseData>() + (count + 1) * size_of::<NullableDatum>();
        let inner: FunctionCallInfo = pg_sys::palloc0(size).cast();
        (*inner).flinfo = flinfo.fn_extra.cast();
        (*inner).fncollation = outer.fncollation;
        (*inner).resultinfo = outer.resultinfo; // of a set, which the inner one makes
        (*inner).nargs = outer.nargs + 1;
        let arguments = (*inner).args.as_mut_ptr();
        arguments.write(NullableDatum { value: Datum::from(pg_sys::GetUserId()), isnull: false });
        arguments.add(1).copy_from_nonoverlapping(outer.args.as_ptr(), count);
        let Some(function) = (*(*inner).flinfo).fn_addr else { panic!("a function without an address") };
        // The caller is not to see where in the inner function an error was raised.
        let result = pg_sys::ffi::pg_guard_ffi_boundary(|| function(inner));
        outer.isnull = (*inner).isnull;
        result
    }
}

/// The inner function: of the name of `function`, with one argument more. Looked up as the caller, who needs USAGE on
/// its schema, but no right to call it.
///
/// # Safety
/// `function` is the function of a running call.
unsafe fn inner_of(function: Oid) -> Oid {
    let (mut types, mut count) = (std::ptr::null_mut(), 0);
    // SAFETY: look-ups of a function that exists; names and lists are made in Postgres's memory.
    unsafe {
        pg_sys::get_func_signature(function, &raw mut types, &raw mut count);
        let mut names = PgList::<pg_sys::String>::new();
        names.push(pg_sys::makeString(pg_sys::pstrdup(INTERNAL_SCHEMA.as_ptr())));
        names.push(pg_sys::makeString(pg_sys::get_func_name(function)));
        let mut arguments = vec![pg_sys::OIDOID];
        arguments.extend_from_slice(std::slice::from_raw_parts(types, count as usize));
        pg_sys::LookupFuncName(names.into_pg(), count + 1 as c_int, arguments.as_ptr(), false)
    }
}
