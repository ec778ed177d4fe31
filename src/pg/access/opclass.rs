//! Operator classes and the members of their families, from the catalog.

use pgrx::pg_sys::ffi::pg_guard_ffi_boundary as guard;
use pgrx::pg_sys::{self, FormData_pg_amop, FormData_pg_amproc, FormData_pg_opclass, Oid};
use std::ffi::{CStr, c_int};

unsafe extern "C-unwind" {
    // pgrx binds neither.
    fn check_amop_signature(operator: Oid, result: Oid, left: Oid, right: Oid) -> bool;
    fn opfamily_can_sort_type(family: Oid, type_: Oid) -> bool;
}

/// An operator class.
pub(crate) struct OperatorClass {
    pub(crate) name: String,
    pub(crate) family: Oid,
    /// The type of the columns that it is for.
    pub(crate) type_: Oid,
    /// The type that is stored, where it is another.
    pub(crate) stored: Option<Oid>,
    /// The access method.
    pub(crate) method: Oid,
}

/// An operator of a family.
pub(crate) struct Operator {
    pub(crate) strategy: i16,
    /// The operand types in the family. The operator's own may differ: [`Operator::returns`] checks them.
    pub(crate) left: Oid,
    pub(crate) right: Oid,
    pub(crate) operator: Oid,
    /// The family that sorts what it returns, for an operator that orders.
    pub(crate) sort_family: Option<Oid>,
}

impl OperatorClass {
    /// The operator class `oid`. Raises XX000 where there is none.
    pub(crate) fn look_up(oid: Oid) -> Self {
        use pg_sys::SysCacheIdentifier::CLAOID;
        // SAFETY: a look-up with the key of its cache; everything is copied before the row is given back.
        unsafe {
            let row = pg_sys::SearchSysCache1(CLAOID as i32, oid.into());
            assert!(!row.is_null(), "no operator class {oid:?}");
            let form: &FormData_pg_opclass = &*pg_sys::GETSTRUCT(row).cast();
            let class = OperatorClass {
                name: CStr::from_ptr(form.opcname.data.as_ptr()).to_string_lossy().into_owned(),
                family: form.opcfamily,
                type_: form.opcintype,
                stored: (form.opckeytype != Oid::INVALID).then_some(form.opckeytype),
                method: form.opcmethod,
            };
            pg_sys::ReleaseSysCache(row);
            class
        }
    }

    /// The operators of its family.
    pub(crate) fn operators(&self) -> Vec<Operator> {
        let operator = |form: &FormData_pg_amop| Operator {
            strategy: form.amopstrategy,
            left: form.amoplefttype,
            right: form.amoprighttype,
            operator: form.amopopr,
            sort_family: (form.amoppurpose as u8 == pg_sys::AMOP_ORDER).then_some(form.amopsortfamily),
        };
        // SAFETY: rows of that cache are of this form.
        unsafe { members(pg_sys::SysCacheIdentifier::AMOPSTRATEGY, self.family, operator) }
    }

    /// The numbers of the support functions of its family.
    pub(crate) fn functions(&self) -> Vec<i16> {
        // SAFETY: rows of that cache are of this form.
        unsafe {
            members(pg_sys::SysCacheIdentifier::AMPROCNUM, self.family, |form: &FormData_pg_amproc| form.amprocnum)
        }
    }

    /// The handler of its access method.
    pub(crate) fn handler(&self) -> Oid {
        use pg_sys::SysCacheIdentifier::AMOID;
        // SAFETY: a look-up with the key of its cache; the one field is copied before the row is given back.
        unsafe {
            let row = pg_sys::SearchSysCache1(AMOID as i32, self.method.into());
            assert!(!row.is_null(), "no access method {:?}", self.method);
            let handler = (*pg_sys::GETSTRUCT(row).cast::<pg_sys::FormData_pg_am>()).amhandler;
            pg_sys::ReleaseSysCache(row);
            handler
        }
    }
}

impl Operator {
    /// Whether its operand types are those in the family, and it returns `result`.
    pub(crate) fn returns(&self, result: Oid) -> bool {
        // SAFETY: a look-up. The closure owns nothing.
        unsafe { guard(|| check_amop_signature(self.operator, result, self.left, self.right)) }
    }

    /// Whether a family can sort values of a type.
    pub(crate) fn sorts(family: Oid, type_: Oid) -> bool {
        // SAFETY: a look-up. The closure owns nothing.
        unsafe { guard(|| opfamily_can_sort_type(family, type_)) }
    }

    /// Its name and its types, for a message.
    pub(crate) fn signature(&self) -> String {
        // SAFETY: a look-up, which answers with a C string.
        unsafe { CStr::from_ptr(pg_sys::format_operator(self.operator)) }.to_string_lossy().into_owned()
    }
}

/// What `read` makes of each row of a cache that belongs to a family.
///
/// # Safety
/// The rows of the cache are of the form `F`, and the family is the first of its keys.
unsafe fn members<F, R>(cache: pg_sys::SysCacheIdentifier::Type, family: Oid, read: impl Fn(&F) -> R) -> Vec<R> {
    let none = pg_sys::Datum::null();
    // SAFETY: as promised by the caller; what is read is copied before the list is given back.
    unsafe {
        let list = pg_sys::SearchSysCacheList(cache as c_int, 1, family.into(), none, none);
        let count = (*list).n_members as usize;
        let rows = (&raw const (*list).members).cast::<*mut pg_sys::CatCTup>();
        let result = (0..count).map(|at| read(&*pg_sys::GETSTRUCT(&raw mut (**rows.add(at)).tuple).cast())).collect();
        pg_sys::ReleaseCatCacheList(list);
        result
    }
}
