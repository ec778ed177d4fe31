//! Reads the images of a catalog with their files and siblings, as the role that submitted the job, and puts them into
//! the order of preference.
//!
//! The rows of the queries ([`super::queries`]) come at once: between them the job checks for cancellation. Sorting,
//! counting and joining is done by `lumina_catalog`, but for the pictures beside raw files, which a query finds where
//! there are raw files at all, and for decisions, which name images by their contents.

use super::parameters::DuplicateParameters;
use super::queries::Queries;
use super::reader::{Choices, Reader};
use crate::error::LuminaError;
use crate::jobs::job::{Job, TABLES};
use crate::jobs::stop::Stop;
use crate::pg::spi::query::{ResultColumn, Row, run_select};
use crate::pg::spi::statement;
use crate::pg::worker::transaction::{self, TableLock, as_role, attempt, lock_tables};
use crate::search::session::SearchSession;
use lumina_catalog::{LabelSet, RankedImages};
use lumina_search::{HashRows, SearchError};
use std::cell::Cell;
use std::ffi::CString;
use std::time::Duration;

/// What the job read.
pub(super) struct DuplicateInput {
    /// The images, best first.
    pub(super) images: RankedImages,
    /// The rows to compare.
    pub(super) rows: HashRows,
    /// What the groups depend on beside the images.
    pub(super) base: Base,
}

/// What groups depend on beside the images, when these were read.
pub(super) struct Base {
    /// [`constraints`].
    pub(super) constraints: String,
    /// `lumina_internal.search_basis`.
    pub(super) preference: String,
    /// What was visible.
    pub(super) snapshot: String,
    /// Whether one of the images is a raw file.
    pub(super) has_raw: bool,
}

/// Identifies what keeps images of a catalog apart, and which decisions have changed files or were taken back, as it is
/// now: another text later means that it has changed. Images that a decision has rejected are noticed by their rows. In
/// a transaction.
pub(super) fn constraints(job: &Job, parameters: &DuplicateParameters) -> String {
    let count = |table: &str, id: &str| {
        format!(
            "(SELECT pg_catalog.format('%s of %s', pg_catalog.count(*), pg_catalog.max({id})) FROM lumina.{table} t
                WHERE t.catalog = $1)"
        )
    };
    let bursts = if parameters.exclude_bursts { count("bursts", "t.id") } else { "NULL".to_owned() };
    let actions = "(SELECT pg_catalog.max(a.id)::pg_catalog.text FROM lumina.duplicate_actions a
        WHERE a.catalog = $1 AND (a.files > 0 OR a.kind = 'undo'))";
    let apart = [count("distinct_images", "t.action"), count("distinct_files", "t.action"), bursts];
    let counts = format!("{}, {actions}", apart.join(", "));
    let query = format!("SELECT pg_catalog.concat_ws(', ', {counts})");
    statement::row(&query, &[job.catalog.into()], |row| row.known::<String>(1)).unwrap_or_default()
}

/// Reads the images, best first, and the rows to compare: those in `some`, or all. `had_raw`: whether a picture may lie
/// beside a raw file that is not among some.
pub(super) fn read(
    job: &Job,
    parameters: &DuplicateParameters,
    run: &SearchSession<'_>,
    some: Option<&[i64]>,
    had_raw: bool,
) -> Result<DuplicateInput, Stop> {
    let choices = job.read(|| Ok(Choices::read(job)))?;
    let queries = Queries::new(job.catalog, parameters, &choices, some);
    let stopped = Cell::new(None);
    let read = attempt(|| {
        transaction::run(|| {
            if lock_tables(&TABLES, true, Duration::MAX) != TableLock::Locked {
                return Err(Stop::LostClaim);
            }
            // Before the snapshot of what is read: what comes between the two is compared once more.
            let constraints = constraints(job, parameters);
            transaction::refresh_snapshot();
            let snapshot = snapshot();
            // A role that may not read the catalog any more would read no images, and find no duplicates.
            job.check_rights()?;
            let check_cancelled = || -> Result<(), LuminaError> {
                match job.check_cancelled_at_row() {
                    Ok(()) => Ok(()),
                    Err(stop) => {
                        stopped.set(Some(stop));
                        Err(SearchError::Cancelled.into())
                    }
                }
            };
            as_role(job.role, || {
                let mut reader = Reader::new(parameters, &choices, run);
                reader = reader.scan(queries.images(), &check_cancelled, Reader::take_image)?;
                reader = reader.scan(queries.decided_files(), &check_cancelled, Reader::take_decided_file)?;
                reader = reader.scan(queries.files(), &check_cancelled, Reader::take_file)?;
                let has_raw = reader.has_raw || had_raw;
                if has_raw && parameters.leave_out_siblings {
                    reader = reader.scan(queries.siblings(), &check_cancelled, Reader::take_sibling)?;
                }
                reader = reader.scan(queries.distinct_images(), &check_cancelled, |reader, row| {
                    reader.take_label(LabelSet::Decision, row)
                })?;
                if parameters.exclude_bursts {
                    reader = reader.scan(queries.burst_frames(), &check_cancelled, |reader, row| {
                        reader.take_label(LabelSet::Burst, row)
                    })?;
                }
                Ok((has_raw, reader.end()))
            })
            .and_then(|(has_raw, images)| job.check_rights().map(|()| (images, constraints, snapshot, has_raw)))
        })
    });
    if let Some(stop) = stopped.take() {
        return Err(stop);
    }
    let (images, constraints, snapshot, has_raw) = read??;
    let (images, rows) = run.on_threads(|context| images.rank(context))?;
    Ok(DuplicateInput { images, rows, base: Base { constraints, preference: choices.basis, snapshot, has_raw } })
}

/// Reads an id and the hashes of the rule of each row of a FROM item `h`, as the worker: row-level security of the
/// submitter would keep indexes from being used. The rows are of the job's catalog, all of which the submitter may
/// read.
pub(super) fn scan_hashes(
    job: &Job,
    parameters: &DuplicateParameters,
    run: &SearchSession<'_>,
    id: &str,
    from: &str,
) -> Result<(Vec<i64>, HashRows), Stop> {
    let columns: Vec<String> = parameters.rule.hashes().iter().map(|hash| format!("h.{}", hash.name)).collect();
    let query = CString::new(format!("SELECT {id}, {} {from}", columns.join(", "))).unwrap_or_default(); // no zero byte
    let widths: Vec<usize> = parameters.rule.hashes().iter().map(|hash| hash.bits).collect();
    let (context, stopped) = (run.context(), Cell::new(None));
    let read = attempt(|| {
        transaction::run(|| {
            if lock_tables(&TABLES, true, Duration::MAX) != TableLock::Locked {
                return Err(Stop::LostClaim);
            }
            transaction::refresh_snapshot();
            job.check_rights()?;
            let rows = run_select(
                &query,
                |_: &[ResultColumn]| Ok((Vec::new(), HashRows::new(&widths))),
                |(ids, rows), row: Row<'_>| {
                    if let Err(stop) = job.check_cancelled_at_row() {
                        stopped.set(Some(stop));
                        return Err(SearchError::Cancelled.into());
                    }
                    context.push(ids, row.integer(0)).map_err(LuminaError::from)?;
                    Ok(rows.push((1..=widths.len()).map(|column| row.bytes(column)), context)?)
                },
            );
            Ok(rows?)
        })
    });
    match stopped.take() {
        Some(stop) => Err(stop),
        None => read?,
    }
}

/// What is visible to the running statement.
pub(super) fn snapshot() -> String {
    let read = "SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text";
    statement::read(read, &[], |row| row.known::<String>(1)).pop().unwrap_or_default()
}
