//! What tells this database of this cluster from every copy of it.
//!
//! A dump restored elsewhere has another system identifier, a cloned database another OID, and a cluster that was copied
//! (a base backup) another data directory: the same path, perhaps, but another inode that was born at another time. Both stay
//! through restarts and crashes, and when the directory is moved. A standby that was promoted is another directory too, but on a later timeline.
//! What cannot be told from the original is a copy of the whole disk below the file system.

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
    /// That of this session.
    pub(crate) fn here() -> Self {
        // SAFETY: plain reads and look-ups; the timeline is asked for outside of recovery alone.
        unsafe {
            Home {
                system: pg_sys::GetSystemIdentifier() as i64,
                database: super::lock::database(),
                timeline: (!pg_sys::RecoveryInProgress()).then(|| i64::from(pg_sys::GetWALInsertionTimeLine())),
                directory: directory(CStr::from_ptr((&raw const pg_sys::DataDir).read())),
            }
        }
    }
}

/// Inode and time of birth of a directory; of a file system that knows no birth the inode alone.
fn directory(path: &CStr) -> String {
    let Ok(metadata) = std::fs::metadata(Path::new(OsStr::from_bytes(path.to_bytes()))) else {
        return "unknown".into();
    };
    let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("{}:{}", metadata.ino(), born.map_or(0, |time| time.as_nanos()))
}
