//! The kind `import`: imports the photographs of a directory into a catalog.
//!
//! Two phases, each in batches that commit. The first walks the directory, and writes a row of `import_items` for each
//! file; in the second a pool of threads reads the files, and the outcomes are written. A job that is resumed goes on
//! after the last committed batch of either: the walk has an order, and a row holds the state of its file. A preview
//! stops after the second phase with all outcomes in the rows; once approved, they are written as they are where the
//! files have not changed.
//!
//! - [`job`](mod@job): what a job imports, and how far it has come.
//! - [`scan`]: the first phase.
//! - [`analyze`]: the second one: which files go to the threads when, and what is already known of their contents.
//! - [`write`]: writes outcomes into tables.

mod analyze;
mod job;
mod scan;
mod write;

use super::job::{Job, Work};
use super::kind::Kind;
use super::stop::Stop;
use crate::catalog::error::PathError;
use crate::pg::spi::statement;
use job::{ImportJob, path};
use lumina_import::Roots;
use pgrx::pg_sys::Oid;
use serde_json::Value;

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
