//! All that differs between Postgres 15, 16, 17 and 18, apart from the access method's handler.

use super::fmgr::raise::Raise;
use crate::error::LuminaError;
use pgrx::pg_sys::{self, Oid, Relation};

/// Raises an input function's error. From Postgres 16 on callers may ask for it as a value.
#[cfg(feature = "pg15")]
pub(crate) fn raise_softly(error: LuminaError, _fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    error.raise()
}

/// Saves an input function's error where the caller asked for errors as values (Postgres 16: `pg_input_is_valid`, 17:
/// COPY with ON_ERROR), else raises it. Returns the datum to return in the first case.
#[cfg(not(feature = "pg15"))]
pub(crate) fn raise_softly(error: LuminaError, fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: fcinfo is that of the running call; its context is null or a node, whose tag says what it is.
    unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_ErrorSaveContext {
            error.raise()
        }
        save(&error, context);
    }
    pg_sys::Datum::null()
}

/// Postgres's `errsave`: records in `context` that there was an error and, if the caller wants to know, which one.
///
/// # Safety
/// `context` is an ErrorSaveContext.
#[cfg(not(feature = "pg15"))]
unsafe fn save(error: &LuminaError, context: *mut pg_sys::Node) {
    use super::fmgr::encoding::in_database_encoding;
    use std::borrow::Cow;
    use std::ffi::{CStr, CString, c_char, c_int};
    use std::ptr;

    unsafe extern "C-unwind" {
        // pgrx binds the first two nowhere and the others without a guard.
        fn errcode(code: c_int) -> c_int;
        fn errhint(format: *const c_char, ...) -> c_int;
        fn errmsg_internal(format: *const c_char, ...) -> c_int;
        fn errdetail_internal(format: *const c_char, ...) -> c_int;
    }
    const AS_IT_IS: &CStr = c"%s";

    // SAFETY: as promised by the caller. Postgres opens an error that only the context hears of, or answers that the
    // flag is all that is wanted. The parts are copied; the closure owns nothing, should one of them raise. The place
    // in the source, which nobody is shown, is left out.
    unsafe {
        if !pg_sys::errsave_start(context, ptr::null()) {
            return;
        }
        let crate::error::Report { sqlstate, message, detail, hint, .. } = error.report();
        let code = sqlstate as c_int;
        // A part that held a zero byte would be left empty: none does, they are made of C strings and numbers.
        let text = |part: String| CString::new(in_database_encoding(part)).unwrap_or_default();
        let (message, detail, hint) = (text(message), detail.map(text), hint.map(Cow::into_owned).map(text));
        let format = AS_IT_IS.as_ptr();
        pg_sys::ffi::pg_guard_ffi_boundary(|| {
            errcode(code);
            errmsg_internal(format, message.as_ptr());
            if let Some(detail) = &detail {
                errdetail_internal(format, detail.as_ptr());
            }
            if let Some(hint) = &hint {
                errhint(format, hint.as_ptr());
            }
        });
        pg_sys::errsave_finish(context, ptr::null(), 0, ptr::null());
    }
}

/// Reserves the prefix of lumina's settings for those that are defined by now: others become errors.
pub(crate) fn reserve_settings() {
    // SAFETY: a plain call with a static string. The same in all versions so far.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"lumina".as_ptr()) };
}

/// The description of a column, counted from 0.
///
/// # Safety
/// `description` has more than `index` columns.
#[cfg(not(feature = "pg18"))]
pub(super) unsafe fn attribute(description: pg_sys::TupleDesc, index: usize) -> *const pg_sys::FormData_pg_attribute {
    // SAFETY: as promised by the caller.
    unsafe { (*description).attrs.as_ptr().add(index) }
}

/// The description of a column, counted from 0.
///
/// # Safety
/// `description` has more than `index` columns.
#[cfg(feature = "pg18")]
pub(super) unsafe fn attribute(description: pg_sys::TupleDesc, index: usize) -> *const pg_sys::FormData_pg_attribute {
    // SAFETY: as promised by the caller.
    unsafe { pg_sys::TupleDescAttr(description, index as i32) }
}

/// Sets the handler of a signal in this process.
///
/// # Safety
/// `handler` is safe to run whenever the signal comes.
#[cfg(not(feature = "pg18"))]
pub(super) unsafe fn set_signal_handler(signal: i32, handler: pg_sys::pqsigfunc) {
    // SAFETY: as promised by the caller.
    unsafe { pg_sys::pqsignal(signal, handler) };
}

/// Sets the handler of a signal in this process.
///
/// # Safety
/// `handler` is safe to run whenever the signal comes.
#[cfg(feature = "pg18")]
pub(super) unsafe fn set_signal_handler(signal: i32, handler: pg_sys::pqsigfunc) {
    // SAFETY: as promised by the caller.
    unsafe { pg_sys::pqsignal_be(signal, handler) };
}

/// The status of a server process, by its place in this session's copy of the list, counted from 1.
///
/// # Safety
/// `place` is at most `pgstat_fetch_stat_numbackends()`.
#[cfg(feature = "pg15")]
pub(super) unsafe fn backend_entry(place: i32) -> *const pg_sys::PgBackendStatus {
    // SAFETY: as promised by the caller.
    unsafe { pg_sys::pgstat_fetch_stat_beentry(place) }
}

/// The status of a server process, by its place in this session's copy of the list, counted from 1.
///
/// # Safety
/// `place` is at most `pgstat_fetch_stat_numbackends()`.
#[cfg(not(feature = "pg15"))]
pub(super) unsafe fn backend_entry(place: i32) -> *const pg_sys::PgBackendStatus {
    // SAFETY: as promised by the caller; a local entry begins with what is known of the process.
    unsafe { pg_sys::pgstat_get_local_beentry_by_index(place).cast() }
}

/// Disables, in a background worker, the timeouts of Postgres 17 and later.
pub(super) fn set_newer_timeouts(_set: impl Fn(&std::ffi::CStr, &str)) {
    #[cfg(not(any(feature = "pg15", feature = "pg16")))]
    _set(c"transaction_timeout", "0");
}

/// Whether this process holds a lock.
///
/// # Safety
/// `lock` points to the tag of one.
pub(super) unsafe fn holds(lock: *const pg_sys::LOCKTAG, mode: pg_sys::LOCKMODE) -> bool {
    // SAFETY: as promised by the caller.
    unsafe {
        #[cfg(any(feature = "pg15", feature = "pg16"))]
        let held = pg_sys::LockHeldByMe(lock, mode);
        #[cfg(not(any(feature = "pg15", feature = "pg16")))]
        let held = pg_sys::LockHeldByMe(lock, mode, false);
        held
    }
}

/// All settings that are defined by now.
pub(super) fn settings() -> Vec<&'static pg_sys::config_generic> {
    #[cfg(not(feature = "pg15"))]
    let mut count = 0;
    // SAFETY: Postgres has a list of pointers to settings, each of which stays as long as the process; it is as long as
    // said.
    unsafe {
        #[cfg(feature = "pg15")]
        let (list, count) = (pg_sys::get_guc_variables(), pg_sys::GetNumConfigOptions());
        #[cfg(not(feature = "pg15"))]
        let list = pg_sys::get_guc_variables(&raw mut count);
        (0..count as usize).filter_map(|place| (*list.add(place)).as_ref()).collect()
    }
}

/// Adds a block of zeros to a file, and returns its number.
///
/// # Safety
/// `relation` is open, and its fork exists.
#[cfg(feature = "pg15")]
pub(super) unsafe fn extend(
    relation: Relation,
    fork: pg_sys::ForkNumber::Type,
    strategy: pg_sys::BufferAccessStrategy,
) -> u32 {
    const LOCK: pg_sys::LOCKMODE = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;
    const NEW: u32 = u32::MAX; // P_NEW
    // SAFETY: as promised by the caller. No other session extends a relation that it cannot see.
    unsafe {
        let is_shared = !(*relation).rd_islocaltemp && (*relation).rd_createSubid == 0;
        if is_shared {
            pg_sys::LockRelationForExtension(relation, LOCK);
        }
        let buffer = pg_sys::ReadBufferExtended(relation, fork, NEW, pg_sys::ReadBufferMode::RBM_NORMAL, strategy);
        if is_shared {
            pg_sys::UnlockRelationForExtension(relation, LOCK);
        }
        let block = pg_sys::BufferGetBlockNumber(buffer);
        pg_sys::ReleaseBuffer(buffer);
        block
    }
}

/// Adds a block of zeros to a file, and returns its number.
///
/// # Safety
/// `relation` is open, and its fork exists.
#[cfg(not(feature = "pg15"))]
pub(super) unsafe fn extend(
    relation: Relation,
    fork: pg_sys::ForkNumber::Type,
    strategy: pg_sys::BufferAccessStrategy,
) -> u32 {
    let which = pg_sys::BufferManagerRelation { rel: relation, ..Default::default() };
    // SAFETY: as promised by the caller.
    unsafe {
        let buffer = pg_sys::ExtendBufferedRel(which, fork, strategy, 0);
        let block = pg_sys::BufferGetBlockNumber(buffer);
        pg_sys::ReleaseBuffer(buffer);
        block
    }
}

/// Whether this transaction has created a relation, or its file.
///
/// # Safety
/// `relation` is open.
pub(super) unsafe fn is_made_here(relation: Relation) -> bool {
    // SAFETY: as promised by the caller.
    unsafe {
        #[cfg(feature = "pg15")]
        let file = (*relation).rd_firstRelfilenodeSubid;
        #[cfg(not(feature = "pg15"))]
        let file = (*relation).rd_firstRelfilelocatorSubid;
        (*relation).rd_createSubid != 0 || file != 0
    }
}

/// A number that identifies the file of a relation within its database.
///
/// # Safety
/// `relation` is open.
#[inline]
pub(super) unsafe fn file_number(relation: Relation) -> u64 {
    // SAFETY: as promised by the caller.
    unsafe {
        #[cfg(feature = "pg15")]
        let (space, number) = ((*relation).rd_node.spcNode, (*relation).rd_node.relNode);
        #[cfg(not(feature = "pg15"))]
        let (space, number) = ((*relation).rd_locator.spcOid, (*relation).rd_locator.relNumber);
        u64::from(space.to_u32()) << 32 | u64::from(number.to_u32())
    }
}

/// A snapshot that pages have to be tested against, because `old_snapshot_threshold` lets VACUUM remove rows that it
/// sees; else null. Postgres 17 has no such setting.
pub(super) fn expiring(_snapshot: pg_sys::Snapshot) -> pg_sys::Snapshot {
    #[cfg(any(feature = "pg15", feature = "pg16"))]
    // SAFETY: a setting that is fixed at the server's start; a snapshot that is null or in use.
    unsafe {
        let is_on = (&raw const pg_sys::old_snapshot_threshold).read() >= 0;
        let is_mvcc = !_snapshot.is_null() && (*_snapshot).snapshot_type == pg_sys::SnapshotType::SNAPSHOT_MVCC;
        if is_on && is_mvcc && (*_snapshot).lsn != 0 {
            return _snapshot;
        }
    }
    std::ptr::null_mut()
}

/// Postgres's `TestForOldSnapshot`: raises 72000 where a page was changed after a snapshot was taken that is too old by
/// now, for what it should see may have been removed from the page.
///
/// # Safety
/// `snapshot` is one that `expiring` has returned, `relation` is open, and `page` is a locked page of it.
#[inline]
pub(super) unsafe fn test_for_old_snapshot(_snapshot: pg_sys::Snapshot, _relation: Relation, _page: pg_sys::Page) {
    #[cfg(any(feature = "pg15", feature = "pg16"))]
    // SAFETY: as promised by the caller.
    unsafe {
        let lsn = (*_page.cast::<pg_sys::PageHeaderData>()).pd_lsn;
        if (u64::from(lsn.xlogid) << 32 | u64::from(lsn.xrecoff)) > (*_snapshot).lsn {
            pg_sys::TestForOldSnapshot_impl(_snapshot, _relation);
        }
    }
}

/// Applies the cost-based vacuum delay, and checks for interrupts.
pub(super) fn vacuum_delay() {
    // SAFETY: a plain call.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::vacuum_delay_point();
        #[cfg(feature = "pg18")]
        pg_sys::vacuum_delay_point(false);
    }
}

/// Counts a scan of an index in the statistics: `pgstat_count_index_scan`.
///
/// # Safety
/// `index` is open.
pub(super) unsafe fn count_scan(index: Relation) {
    // SAFETY: as promised by the caller. Enabled statistics exist afterwards.
    unsafe {
        if (*index).pgstat_info.is_null() {
            if !(*index).pgstat_enabled {
                return;
            }
            pg_sys::pgstat_assoc_relation(index);
        }
        #[cfg(feature = "pg15")]
        {
            (*(*index).pgstat_info).t_counts.t_numscans += 1;
        }
        #[cfg(not(feature = "pg15"))]
        {
            (*(*index).pgstat_info).counts.numscans += 1;
        }
    }
}

/// Counts a search in what EXPLAIN shows of a scan.
///
/// # Safety
/// `scan` is a running scan.
pub(super) unsafe fn count_search(_scan: pg_sys::IndexScanDesc) {
    #[cfg(feature = "pg18")]
    // SAFETY: as promised by the caller; null where nobody wants to know.
    unsafe {
        if let Some(instrument) = (*_scan).instrument.as_mut() {
            instrument.nsearches += 1;
        }
    }
}

/// The table of an index that is vacuumed; null where Postgres does not say.
///
/// # Safety
/// `info` is that of a running vacuum.
pub(super) unsafe fn vacuumed_table(_info: *const pg_sys::IndexVacuumInfo) -> Relation {
    #[cfg(feature = "pg15")]
    return std::ptr::null_mut();
    #[cfg(not(feature = "pg15"))]
    // SAFETY: as promised by the caller.
    unsafe {
        (*_info).heaprel
    }
}

/// Whether a user may maintain a table: its owner and superusers, from Postgres 17 on roles with MAINTAIN.
///
/// # Safety
/// `table` exists.
pub(super) unsafe fn may_maintain(table: Oid, user: Oid) -> bool {
    // SAFETY: look-ups in the catalog.
    unsafe {
        #[cfg(feature = "pg15")]
        let owns = pg_sys::pg_class_ownercheck(table, user);
        #[cfg(not(feature = "pg15"))]
        let owns = pg_sys::object_ownercheck(pg_sys::RelationRelationId, table, user);
        #[cfg(any(feature = "pg15", feature = "pg16"))]
        let maintains = false;
        #[cfg(not(any(feature = "pg15", feature = "pg16")))]
        let maintains = pg_sys::pg_class_aclcheck(table, user, pg_sys::ACL_MAINTAIN as pg_sys::AclMode)
            == pg_sys::AclResult::ACLCHECK_OK;
        owns || maintains
    }
}

/// Restricts the search path for functions that run as the owner of a table, where Postgres does so too.
pub(super) fn restrict_search_path() {
    #[cfg(not(any(feature = "pg15", feature = "pg16")))]
    // SAFETY: a plain call, within a level of settings that ends.
    unsafe {
        pg_sys::RestrictSearchPath();
    }
}

/// A storage parameter, stored at an offset.
pub(super) fn parameter(
    name: *const std::ffi::c_char,
    type_: pg_sys::relopt_type::Type,
    offset: i32,
) -> pg_sys::relopt_parse_elt {
    pg_sys::relopt_parse_elt {
        optname: name,
        opttype: type_,
        offset,
        #[cfg(feature = "pg18")]
        isset_offset: 0, // nobody asks whether it was given
    }
}

/// Lets the planner prefer every other path to one of infinite cost: Postgres 18 compares counts of disabled nodes
/// before costs, and a plain scan of the table may be disabled once. A bitmap scan does not inherit the count from its
/// path: where that has no condition of the index, no bitmap scan is to be made of the index.
///
/// # Safety
/// `path` is being made, over an index whose description is the running planner's own.
pub(super) unsafe fn disable(_path: *mut pg_sys::IndexPath) {
    #[cfg(feature = "pg18")]
    // SAFETY: as promised by the caller.
    unsafe {
        (*_path).path.disabled_nodes = 2;
        // Then no path over this index has one: it would need the column, and no index-only path would be tried.
        if (*_path).indexclauses.is_null() && (*_path).indexorderbys.is_null() {
            (*(*_path).indexinfo).amhasgetbitmap = false;
        }
    }
}
