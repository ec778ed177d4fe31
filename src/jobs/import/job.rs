//! The job of an import: what it imports, how, and how far it has come.

use crate::catalog::error::PathError;
use crate::catalog::paths;
use crate::jobs::job::Job;
use crate::jobs::stop::{Failure, Stop};
use crate::pg::spi::statement::{self, Argument};
use lumina_import::Roots;
use lumina_import::roots::PathKind;
use pgrx::PgSqlErrorCode::ERRCODE_DATA_CORRUPTED;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What a job imports, and how far it has come.
pub(super) struct ImportJob {
    pub(super) path: PathBuf,
    /// As configured: the job starts over where they change.
    pub(super) roots: Roots,
    pub(super) path_kind: PathKind,
    /// Whether the outcomes are only kept for review.
    pub(super) is_preview: bool,
    /// Whether it is a preview that was approved.
    pub(super) is_approved: bool,
    pub(super) is_scanned: bool,
    /// The row of `sources`, where a directory is imported.
    pub(super) source: Option<i64>,
}

impl ImportJob {
    /// Reads the job's parameters, and checks its path.
    pub(super) fn begin(job: &Job) -> Result<Self, Stop> {
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
            import.source = job.write(|| Ok(source(job, &import.path)))?;
        }
        Ok(import)
    }
}

/// The path in the job's parameters.
pub(super) fn path(parameters: &Value) -> Result<PathBuf, Stop> {
    let path = parameters.get("path").and_then(Value::as_str).map(PathBuf::from);
    path.ok_or_else(|| {
        let message = "the parameters of the job hold no path".to_owned();
        Stop::Failed(Failure::new("data_corrupted", ERRCODE_DATA_CORRUPTED, message, "Submit it again."))
    })
}

/// The id of a directory in `sources`. In a transaction.
fn source(job: &Job, path: &Path) -> Option<i64> {
    let name = path.file_name().map_or_else(|| "/".into(), |name| name.to_string_lossy().into_owned());
    let path = path.to_string_lossy().into_owned();
    let arguments: [Argument<'_>; 3] = [job.catalog.into(), path.into(), name.into()];
    statement::execute(
        "INSERT INTO lumina.sources (catalog, path, name) VALUES ($1, $2, $3) ON CONFLICT (catalog, path) DO NOTHING",
        &arguments,
    );
    let [catalog, path, _] = arguments;
    statement::row("SELECT s.id FROM lumina.sources s WHERE s.catalog = $1 AND s.path = $2", &[catalog, path], |row| {
        row.known(1)
    })
}
