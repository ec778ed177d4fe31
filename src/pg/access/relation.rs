//! Open tables and indexes, and opening them for functions that are given an index.

use crate::error::LuminaError;
use crate::pg::fmgr::error::IndexNameError;
use crate::pg::planner::node::Objects;
use crate::pg::version;
use pgrx::pg_sys::{self, LOCKMODE, Oid, Relation};
use std::ffi::{CStr, c_char};

/// A lock that conflicts with ACCESS EXCLUSIVE only.
pub(crate) const READ: LOCKMODE = pg_sys::AccessShareLock as LOCKMODE;
/// The lock of VACUUM: one holder at a time, beside readers and writers.
pub(crate) const MAINTAIN: LOCKMODE = pg_sys::ShareUpdateExclusiveLock as LOCKMODE;

/// A table, open and locked.
#[derive(Clone, Copy)]
pub(crate) struct TableRelation(pub(in crate::pg) Relation);

/// An index, open and locked.
#[derive(Clone, Copy)]
pub(crate) struct IndexRelation(pub(in crate::pg) Relation);

impl TableRelation {
    /// # Safety
    /// `relation` is a table, open for as long as this is used.
    pub(crate) unsafe fn of(relation: Relation) -> Self {
        TableRelation(relation)
    }

    /// How many blocks it has.
    pub(crate) fn blocks(self) -> u32 {
        // SAFETY: an open relation.
        unsafe { pg_sys::RelationGetNumberOfBlocksInFork(self.0, pg_sys::ForkNumber::MAIN_FORKNUM) }
    }
}

impl IndexRelation {
    /// # Safety
    /// `relation` is an index, open for as long as this is used.
    pub(crate) unsafe fn of(relation: Relation) -> Self {
        IndexRelation(relation)
    }

    /// Its name, without a schema.
    pub(crate) fn name(self) -> String {
        // SAFETY: a C string in an open relation.
        unsafe { CStr::from_ptr(self.c_name()) }.to_string_lossy().into_owned()
    }

    fn c_name(self) -> *const c_char {
        // SAFETY: an open relation.
        unsafe { (&raw const (*(*self.0).rd_rel).relname.data).cast() }
    }

    /// Its name as SQL writes it, with its schema.
    pub(crate) fn qualified_name(self) -> String {
        // SAFETY: look-ups of the schema of an open relation; the result is a C string.
        unsafe {
            let schema = pg_sys::get_namespace_name((*(*self.0).rd_rel).relnamespace);
            CStr::from_ptr(pg_sys::quote_qualified_identifier(schema, self.c_name())).to_string_lossy().into_owned()
        }
    }

    /// The name of the column that it is on; for an expression the name of the index column.
    pub(crate) fn column_name(self) -> String {
        // SAFETY: an open relation with one column, whose name is a C string.
        unsafe {
            let column = version::attribute((*self.0).rd_att, 0);
            CStr::from_ptr((&raw const (*column).attname.data).cast()).to_string_lossy().into_owned()
        }
    }

    /// The width in bits that its column, or expression, is declared with, through domains.
    pub(crate) fn declared_bits(self) -> Option<usize> {
        // SAFETY: an open relation with one column; a look-up of its type.
        let modifier = unsafe {
            let column = version::attribute((*self.0).rd_att, 0);
            let mut modifier = (*column).atttypmod;
            if modifier < 0 {
                pg_sys::getBaseTypeAndTypmod((*column).atttypid, &raw mut modifier);
            }
            modifier
        };
        usize::try_from(modifier).ok()
    }

    /// Whether its operator class is over the extension's own hashes and balls.
    pub(crate) fn is_over_hashes(self) -> bool {
        // SAFETY: an open index with one column, for which Postgres keeps one type and one family.
        unsafe {
            Objects::beside((*self.0).rd_amhandler).is_some_and(|objects| {
                *(*self.0).rd_opcintype == objects.hash_type() && objects.family_has_in_ball(*(*self.0).rd_opfamily)
            })
        }
    }

    /// Its options, made by `amoptions`; null where none was given.
    pub(crate) fn options<T>(self) -> *const T {
        // SAFETY: an open relation.
        unsafe { (*self.0).rd_options.cast() }
    }

    /// What [`IndexRelation::remember`] was given, if the relation has not changed since.
    pub(crate) fn remembered<T: Copy>(self) -> Option<T> {
        // SAFETY: only `remember` sets this, always with the same type: the layout of an index.
        unsafe { (*self.0).rd_amcache.cast::<T>().as_ref() }.copied()
    }

    /// Caches a value with the relation (`rd_amcache`).
    pub(crate) fn remember<T: Copy>(self, value: T) {
        // SAFETY: an open relation. Postgres frees the copy when it drops or rebuilds the relcache entry.
        unsafe {
            if (*self.0).rd_amcache.is_null() {
                (*self.0).rd_amcache = pg_sys::MemoryContextAlloc((*self.0).rd_indexcxt, size_of::<T>());
            }
            (*self.0).rd_amcache.cast::<T>().write(value);
        }
    }

    /// Counts a scan of it in the statistics.
    pub(crate) fn count_scan(self) {
        // SAFETY: an open relation.
        unsafe { version::count_scan(self.0) }
    }
}

/// An index that a function was given, with its table.
pub(crate) struct Opened {
    pub(crate) table: TableRelation,
    pub(crate) index: IndexRelation,
    lock: LOCKMODE,
}

/// The rights that a caller needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    /// To read the table, or statistics of all tables.
    Read,
    /// To maintain the table: its owner, superusers, from Postgres 17 on roles with MAINTAIN.
    Maintain,
}

impl Rights {
    /// Raises 42501 unless the current user has them; before anything is locked, so that others cannot be kept waiting.
    ///
    /// # Safety
    /// `table` and `index` exist.
    unsafe fn check(self, table: Oid, index: Oid) {
        use pg_sys::AclResult::{ACLCHECK_NOT_OWNER, ACLCHECK_OK};
        use pg_sys::ObjectType::{OBJECT_INDEX, OBJECT_TABLE};
        // SAFETY: as promised by the caller: look-ups in the catalog; a name that is gone by now is null, which is
        // allowed.
        unsafe {
            let user = pg_sys::GetUserId();
            match self {
                Rights::Maintain if !version::may_maintain(table, user) => {
                    pg_sys::aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, pg_sys::get_rel_name(index));
                }
                Rights::Read => {
                    let read = pg_sys::pg_class_aclcheck(table, user, pg_sys::ACL_SELECT as pg_sys::AclMode);
                    let statistics = Oid::from_u32(pg_sys::ROLE_PG_STAT_SCAN_TABLES);
                    if read != ACLCHECK_OK && !pg_sys::has_privs_of_role(user, statistics) {
                        pg_sys::aclcheck_error(read, OBJECT_TABLE, pg_sys::get_rel_name(table));
                    }
                }
                Rights::Maintain => {}
            }
        }
    }
}

impl Opened {
    /// Opens the index `oid` and its table. `insert` is the `aminsert` of our access method, which identifies it.
    ///
    /// Errors: 42809 for what is no index of ours, 42501, 55000 for an index that is not valid, 0A000 for a temporary
    /// one of another session.
    pub(crate) fn open(
        oid: Oid,
        lock: LOCKMODE,
        rights: Rights,
        insert: pg_sys::aminsert_function,
    ) -> Result<Self, LuminaError> {
        // SAFETY: look-ups, and opening what they find: the table first, as everybody does who locks both. Relations
        // that are not closed are closed by the end of the transaction. What an index says of itself lives as long as
        // it is open.
        unsafe {
            let table = pg_sys::IndexGetRelation(oid, true);
            if table == Oid::INVALID {
                pg_sys::index_open(oid, READ); // raises: no index, or nothing at all
            }
            rights.check(table, oid);
            let opened = Opened {
                table: TableRelation(pg_sys::table_open(table, lock)),
                index: IndexRelation(pg_sys::index_open(oid, lock)),
                lock,
            };
            let relation = &*opened.index.0;
            let name = || opened.index.name();
            let is_ours = match (insert, relation.rd_indam.as_ref().and_then(|routine| routine.aminsert)) {
                (Some(ours), Some(theirs)) => std::ptr::fn_addr_eq(ours, theirs),
                _ => false,
            };
            if table != pg_sys::IndexGetRelation(oid, false) || !is_ours {
                return Err(IndexNameError::NotHamming(name()).into());
            }
            if (*relation.rd_rel).relkind as u8 != pg_sys::RELKIND_INDEX {
                return Err(IndexNameError::Partitioned(name()).into());
            }
            if (*relation.rd_rel).relpersistence as u8 == pg_sys::RELPERSISTENCE_TEMP && !relation.rd_islocaltemp {
                return Err(IndexNameError::OtherTemporary(name()).into());
            }
            if !(*relation.rd_index).indisvalid {
                return Err(IndexNameError::Invalid(opened.index.qualified_name()).into());
            }
            Ok(opened)
        }
    }

    /// Closes both, and releases the locks.
    pub(crate) fn close(self) {
        // SAFETY: opened by `open`, with this lock.
        unsafe {
            pg_sys::index_close(self.index.0, self.lock);
            pg_sys::table_close(self.table.0, self.lock);
        }
    }
}
