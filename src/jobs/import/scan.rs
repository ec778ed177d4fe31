//! The first phase of an import: each file below its directory gets a row.

use super::job::ImportJob;
use crate::catalog::error::PathError;
use crate::jobs::job::{Job, Progress};
use crate::jobs::stop::{Failure, Stop};
use crate::pg::spi::statement;
use lumina_import::names::{kept, refuse};
use lumina_import::roots::PathKind;
use lumina_import::walk::{Walk, WalkEntry};
use pgrx::JsonB;
use pgrx::PgSqlErrorCode::ERRCODE_UNDEFINED_FILE;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How many rows are written at a time, at most.
const BATCH: usize = 1000;
/// How long rows are kept, at most.
const OFTEN: Duration = Duration::from_secs(1);

/// Walks the directory, or takes the file.
pub(super) fn scan(job: &Job, import: &ImportJob) -> Result<(), Stop> {
    let mut scan = Scanner { job, found: 0, bytes: 0, rows: Vec::new() };
    scan.found = job.read(|| Ok(count(job)))?;
    job.phase(scan.progress())?;
    match &import.path_kind {
        PathKind::File => scan.take(&WalkEntry::File { path: import.path.clone(), size: 0 }),
        PathKind::Directory(_) => {
            let after = job.read(|| Ok(last_path(job)))?;
            // Opened again: what was checked may be long gone.
            let directory = import.roots.open_directory(&import.path).map_err(PathError::Refused)?;
            let mut written = Instant::now();
            for entry in Walk::new(&import.roots, directory, after.as_deref()) {
                scan.take(&entry);
                job.check_cancelled()?;
                if scan.rows.len() >= BATCH || written.elapsed() >= OFTEN {
                    scan.write(false)?;
                    written = Instant::now();
                }
            }
        }
    }
    if scan.found == 0 && job.read(|| Ok(has_files_below(job, import)))? {
        let message = format!("\"{}\" is empty, and was not when it was imported before", import.path.display());
        let hint = "Is a disk not mounted? If all files are gone indeed, import into a new catalog.";
        return Err(Stop::Failed(Failure::new("source_empty", ERRCODE_UNDEFINED_FILE, message, hint)));
    }
    scan.write(true)
}

/// Whether the catalog has files below the imported directory. In a transaction.
fn has_files_below(job: &Job, import: &ImportJob) -> bool {
    let below = "SELECT 1 FROM lumina.image_files f
        WHERE f.catalog = $1 AND f.missing_since IS NULL AND pg_catalog.starts_with(f.path, $2) LIMIT 1";
    let path = import.path.to_string_lossy().trim_end_matches('/').to_owned() + "/";
    statement::execute(below, &[job.catalog.into(), path.into()])
}

/// The last file that an earlier worker of this job has reached.
fn last_path(job: &Job) -> Option<PathBuf> {
    // A truncated path would sort elsewhere. Without it some files are found twice.
    let last = "SELECT pg_catalog.convert_to(t.path, 'UTF8') FROM lumina.import_items t
        WHERE t.job = $1 AND pg_catalog.octet_length(t.path) < 2490 ORDER BY t.id DESC LIMIT 1";
    statement::row(last, &[job.id.into()], |row| row.utf8(1).map(PathBuf::from)).flatten()
}

fn count(job: &Job) -> i64 {
    let count = "SELECT pg_catalog.count(*) FROM lumina.import_items t WHERE t.job = $1";
    statement::row(count, &[job.id.into()], |row| row.known(1)).unwrap_or_default()
}

struct Scanner<'a> {
    job: &'a Job,
    found: i64,
    bytes: i64,
    rows: Vec<Value>,
}

impl Scanner<'_> {
    fn take(&mut self, entry: &WalkEntry) {
        let path = entry.path();
        let (size, state, reason, error) = match entry {
            WalkEntry::File { size, .. } => match refuse(path) {
                None => (Some(*size), "found", None, None),
                Some((reason, why)) => (Some(*size), "failed", Some(reason), Some(why)),
            },
            WalkEntry::Skipped { size, reason, failure: Some(why), .. } => {
                (*size, "failed", Some(*reason), Some(why.clone()))
            }
            WalkEntry::Skipped { size, reason, .. } => (*size, "skipped", Some(*reason), None),
            WalkEntry::Directory { .. } => return,
        };
        self.found += 1;
        self.bytes += size.unwrap_or_default() as i64;
        let path = kept(path);
        self.rows.push(json!({"path": path, "size": size, "state": state, "reason": reason, "error": error}));
    }

    fn progress(&self) -> Progress {
        let (total, bytes_total) = (Some(self.found), Some(self.bytes));
        Progress { phase: "scanning", total, bytes_total, ..Progress::default() }
    }

    /// Writes the rows, and with the last ones that the scan is complete.
    fn write(&mut self, is_last: bool) -> Result<(), Stop> {
        let rows = Value::Array(std::mem::take(&mut self.rows));
        self.job.batch(|| {
            let job = self.job;
            statement::execute(
                "INSERT INTO lumina.import_items (job, catalog, path, size, state, action, reason, error)
                    SELECT $1, $2, e.path, e.size, e.state::lumina.item_state,
                        (CASE e.state WHEN 'skipped' THEN 'skip' END)::lumina.item_action, e.reason, e.error
                    FROM pg_catalog.jsonb_to_recordset($3) e (path text, size int8, state text, reason text, error text)
                    ON CONFLICT (job, path) DO NOTHING",
                &[job.id.into(), job.catalog.into(), JsonB(rows.clone()).into()],
            );
            if is_last {
                job.add_to_checkpoint(json!({"scanned": true}));
            }
            Ok(self.progress())
        })
    }
}
