//! The kind `import`: imports the photographs of a directory into a catalog.
//!
//! Two phases, each in batches that commit. The first walks the directory, and writes a row of `import_items` for each
//! file; in the second a pool of threads reads the files, and the outcomes are written. A job that is resumed goes on
//! after the last committed batch of either: the walk has an order, and a row holds the state of its file. A preview
//! stops after the second phase with all outcomes in the rows; once approved, they are written as they are where the
//! files have not changed.
//!
//! - [`scan`]: the first phase.
//! - [`analyze`]: the second one: which files go to the threads when, and what is already known of their contents.
//! - [`write`]: writes outcomes into tables.

mod analyze;
mod scan;
mod write;

use super::job::{Job, Work};
use super::kind::Kind;
use super::stop::{Failure, Stop};
use crate::catalog::error::PathError;
use crate::catalog::paths;
use crate::pg::statement;
use lumina_import::Roots;
use lumina_import::roots::PathKind;
use pgrx::PgSqlErrorCode::ERRCODE_DATA_CORRUPTED;
use pgrx::pg_sys::Oid;
use serde_json::Value;
use std::path::PathBuf;

/// `import`.
pub(super) struct Import;

impl Kind for Import {
    fn name(&self) -> &'static str {
        "import"
    }

    fn right(&self) -> &'static str {
        "import"
    }

    /// The current `lumina.import_roots` of the role that submitted the job.
    fn permission(&self, role: Oid, parameters: &Value) -> Result<String, Stop> {
        let read = "SELECT pg_catalog.convert_to(lumina_internal.import_roots($1), 'UTF8')";
        let setting = statement::read(read, &[role.into()], |row| row.utf8(1)).pop().flatten().unwrap_or_default();
        let roots = Roots::parse(&setting).map_err(PathError::Roots)?;
        Roots::new(roots, []).allow(&path(parameters)?).map_err(PathError::Refused)?;
        Ok(setting)
    }
}

impl Work for Import {
    fn run(&self, job: &Job) -> Result<(), Stop> {
        let import = ImportJob::begin(job)?;
        if !import.is_scanned {
            scan::scan(job, &import)?;
        }
        analyze::analyze(job, &import)?;
        let finish = || Ok(write::finish(job, &import));
        if import.is_preview { job.finish_preview(finish) } else { job.finish(finish) }
    }
}

/// What a job imports, and how far it has come.
struct ImportJob {
    path: PathBuf,
    /// As configured: the job starts over where they change.
    roots: Roots,
    path_kind: PathKind,
    /// Whether the outcomes are only kept for review.
    is_preview: bool,
    /// Whether it is a preview that was approved.
    is_approved: bool,
    is_scanned: bool,
    /// The row of `sources`, where a directory is imported.
    source: Option<i64>,
}

impl ImportJob {
    /// Reads the job's parameters, and checks its path.
    fn begin(job: &Job) -> Result<Self, Stop> {
        let path = path(&job.parameters)?;
        let wants_preview = job.parameters.get("preview").and_then(Value::as_bool).unwrap_or(false);
        let (scanned, approved) = job.read(|| {
            let read = statement::row(
                "SELECT j.checkpoint ? 'scanned', j.checkpoint ? 'approved' FROM lumina.jobs j WHERE j.id = $1",
                &[job.id.into()],
                |row| (row.known::<bool>(1), row.known::<bool>(2)),
            );
            read.ok_or(Stop::LostClaim)
        })?;
        let roots = paths::roots(&job.permission.borrow())?;
        let path_kind = roots.examine(&path).map_err(PathError::Refused)?;
        let is_preview = wants_preview && !approved;
        let mut import = ImportJob {
            path,
            roots,
            path_kind,
            is_preview,
            is_approved: wants_preview && approved,
            is_scanned: scanned,
            source: None,
        };
        if matches!(import.path_kind, PathKind::Directory(_)) && !is_preview {
            import.source = job.write(|| Ok(write::source(job, &import.path)))?;
        }
        Ok(import)
    }
}

/// The path in the job's parameters.
fn path(parameters: &Value) -> Result<PathBuf, Stop> {
    let path = parameters.get("path").and_then(Value::as_str).map(PathBuf::from);
    path.ok_or_else(|| {
        let message = "the parameters of the job hold no path".to_owned();
        Stop::Failed(Failure::new("data_corrupted", ERRCODE_DATA_CORRUPTED, message, "Submit it again."))
    })
}
