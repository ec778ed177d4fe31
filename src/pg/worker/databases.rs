//! The databases of the server, for a process that is connected to none.

use pgrx::pg_sys::{self, FormData_pg_database, Oid, ScanDirection};

/// The databases that accept connections. In a transaction.
pub(crate) fn connectable() -> Vec<Oid> {
    let mut found = Vec::new();
    // SAFETY: the catalog is shared, so that it can be read without a database; its rows begin with the fixed part,
    // which is copied out of them before the scan goes on.
    unsafe {
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
        let scan = pg_sys::table_beginscan_catalog(relation, 0, std::ptr::null_mut());
        loop {
            let row = pg_sys::heap_getnext(scan, ScanDirection::ForwardScanDirection);
            if row.is_null() {
                break;
            }
            let header = (*row).t_data;
            let fixed: *const FormData_pg_database = header.cast::<u8>().add(usize::from((*header).t_hoff)).cast();
            // A limit of -2 marks an interrupted DROP DATABASE.
            if (*fixed).datallowconn && (*fixed).datconnlimit != -2 {
                found.push((*fixed).oid);
            }
        }
        pg_sys::table_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
    }
    found
}
