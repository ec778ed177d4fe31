//! Writes the outcomes of an import into tables.

use super::job::ImportJob;
use crate::jobs::job::{Job, Progress};
use crate::jobs::stop::{Stop, sqlstate_text};
use crate::pg::spi::statement::{self, Argument};
use lumina_import::{FileOutcome, Finding};
use pgrx::JsonB;
use serde_json::{Value, json};

/// Writes the outcomes of several files in one transaction; `progress` gets the number of written and of failed ones.
/// Where a row cannot be written, every outcome gets a transaction of its own, and that one a reason. Returns how many
/// failed.
pub(super) fn batch(
    job: &Job,
    import: &ImportJob,
    outcomes: Vec<FileOutcome>,
    progress: impl Fn(usize, i64) -> Progress,
) -> Result<i64, Stop> {
    let (mut written, mut failed) = (0, 0);
    let mut write = |outcomes: &[FileOutcome]| {
        let mut more = 0;
        job.batch(|| {
            more = write_all(job, import, outcomes);
            Ok(progress(written + outcomes.len(), failed + more))
        })?;
        written += outcomes.len();
        failed += more;
        Ok(failed)
    };
    match write(&outcomes) {
        Err(stop) if refused(&stop).is_some() => (),
        result => return result,
    }
    for outcome in &outcomes {
        let result = write(std::slice::from_ref(outcome));
        match result.as_ref().err().and_then(refused) {
            Some(why) => write(&[FileOutcome { finding: Finding::failed("not_written", why), ..outcome.clone() }])?,
            None => result?,
        };
    }
    Ok(failed)
}

/// The message of an error that the values of a row have caused: class 22 or 23.
fn refused(stop: &Stop) -> Option<String> {
    let Stop::Failed(failure) = stop else { return None };
    let class = sqlstate_text(failure.sqlstate as i32);
    (class.starts_with("22") || class.starts_with("23")).then(|| failure.message.clone())
}

/// Returns how many of them failed. In a transaction.
fn write_all(job: &Job, import: &ImportJob, outcomes: &[FileOutcome]) -> i64 {
    if outcomes.is_empty() {
        return 0;
    }
    let outcomes = serde_json::to_value(outcomes).unwrap_or_else(|_| json!([]));
    let arguments: [Argument<'_>; 5] =
        [job.id.into(), job.catalog.into(), import.source.into(), JsonB(outcomes).into(), import.is_preview.into()];
    let write = "SELECT lumina_internal.import_batch($1, $2, $3, $4, $5)";
    statement::rows(write, &arguments, |row| row.known(1)).pop().unwrap_or_default()
}

/// Does what is left once all files are read; returns the value of `jobs.result`. In a transaction.
pub(super) fn finish(job: &Job, import: &ImportJob) -> Value {
    let path = import.path.to_string_lossy().into_owned();
    let arguments: [Argument<'_>; 4] = [job.id.into(), job.catalog.into(), path.into(), import.is_preview.into()];
    let finish = "SELECT lumina_internal.finish_import($1, $2, $3, $4)";
    statement::rows(finish, &arguments, |row| row.known::<JsonB>(1).0).pop().unwrap_or(Value::Null)
}
