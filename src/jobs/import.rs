//! The kind `import`: imports the photographs of a directory into a catalog.
//!
//! Two phases, each in batches that commit. The first walks the directory, and writes a row of `import_items` for each
//! file; in the second a pool of threads reads the files, and the outcomes are written. A job that is resumed goes on
//! after the last committed batch of either: the walk has an order, and a row holds the state of its file. A preview
//! stops after the second phase with all outcomes in the rows; once approved, they are written as they are where the
//! files have not changed.
//!
//! - [`scan`]: the first phase.
//! - [`look`]: the second one: which files go to the threads when, and what is already known of their contents.
//! - [`write`]: writes outcomes into tables.

mod look;
mod scan;
mod write;

use super::job::Job;
use super::kinds::Kind;
use super::stop::{Failure, Stop};
use crate::catalog::paths;
use crate::error::LuminaError;
use crate::pg::statement;
use lumina_import::Roots;
use lumina_import::roots::Place;
use pgrx::PgSqlErrorCode::ERRCODE_DATA_CORRUPTED;
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
    fn permission(&self, job: &Job) -> Result<String, Stop> {
        let read = "SELECT pg_catalog.convert_to(lumina_internal.import_roots($1), 'UTF8')";
        let setting = statement::read(read, &[job.role.into()], |row| row.utf8(1)).pop().flatten().unwrap_or_default();
        let roots = Roots::parse(&setting).map_err(LuminaError::ImportRoots)?;
        Roots::new(roots, []).allow(&path(job)?).map_err(LuminaError::ImportPath)?;
        Ok(setting)
    }

    fn run(&self, job: &Job) -> Result<(), Stop> {
        let task = Task::begin(job)?;
        if !task.is_scanned {
            scan::scan(job, &task)?;
        }
        look::look(job, &task)?;
        let finish = || Ok(write::finish(job, &task));
        if task.is_preview { job.be_ready(finish) } else { job.finish(finish) }
    }
}

/// What is to be imported.
struct Task {
    path: PathBuf,
    /// As configured: the job starts over where they change.
    roots: Roots,
    place: Place,
    /// Whether the outcomes are only kept for review.
    is_preview: bool,
    /// Whether it is a preview that was approved.
    is_approved: bool,
    is_scanned: bool,
    /// The row of `sources`, where a directory is imported.
    source: Option<i64>,
}

impl Task {
    /// Reads the job's parameters, and checks its path.
    fn begin(job: &Job) -> Result<Self, Stop> {
        let path = path(job)?;
        let wants_preview = job.parameters.get("preview").and_then(Value::as_bool).unwrap_or(false);
        let (scanned, approved) = job.read(|| {
            let read = statement::row(
                "SELECT j.checkpoint ? 'scanned', j.checkpoint ? 'approved' FROM lumina.jobs j WHERE j.id = $1",
                &[job.id.into()],
                |row| (row.known::<bool>(1), row.known::<bool>(2)),
            );
            read.ok_or(Stop::Gone)
        })?;
        let roots = paths::roots(&job.permission.borrow())?;
        let place = roots.look(&path).map_err(LuminaError::ImportPath)?;
        let is_preview = wants_preview && !approved;
        let mut task = Task {
            path,
            roots,
            place,
            is_preview,
            is_approved: wants_preview && approved,
            is_scanned: scanned,
            source: None,
        };
        if matches!(task.place, Place::Directory(_)) && !is_preview {
            task.source = job.write(|| Ok(write::source(job, &task.path)))?;
        }
        Ok(task)
    }
}

/// The path in the job's parameters.
fn path(job: &Job) -> Result<PathBuf, Stop> {
    let path = job.parameters.get("path").and_then(Value::as_str).map(PathBuf::from);
    path.ok_or_else(|| {
        let message = "the parameters of the job hold no path".to_owned();
        Stop::Failed(Failure::new("data_corrupted", ERRCODE_DATA_CORRUPTED, message, "Submit it again."))
    })
}
