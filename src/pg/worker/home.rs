//! What identifies this database of this cluster among its copies.
//!
//! A dump restored elsewhere has another system identifier, a cloned database another OID, and a copied cluster (a base
//! backup) another data directory: the same path, perhaps, but another inode with another birth time. Both survive
//! restarts and crashes, and a move of the directory. A promoted standby has another directory too, but on a later
//! timeline. Only a copy of the whole disk below the file system cannot be told from the original.

use pgrx::pg_sys::{self, Oid};
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Where a job belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) system: i64,
    pub(crate) database: Oid,
    /// `None` in recovery.
    pub(crate) timeline: Option<i64>,
    pub(crate) directory: String,
}

impl Home {
    /// The home of this session.
    pub(crate) fn here() -> Self {
        // SAFETY: plain reads and look-ups; the timeline is asked for outside of recovery alone.
        unsafe {
            Home {
                system: pg_sys::GetSystemIdentifier() as i64,
                database: crate::pg::backend::lock::database(),
                timeline: (!pg_sys::RecoveryInProgress()).then(|| i64::from(pg_sys::GetWALInsertionTimeLine())),
                directory: directory(CStr::from_ptr((&raw const pg_sys::DataDir).read())),
            }
        }
    }
}

/// Inode and birth time of a directory; the inode alone where the file system has no birth times.
fn directory(path: &CStr) -> String {
    let Ok(metadata) = std::fs::metadata(Path::new(OsStr::from_bytes(path.to_bytes()))) else {
        return "unknown".into();
    };
    let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("{}:{}", metadata.ino(), born.map_or(0, |time| time.as_nanos()))
}
