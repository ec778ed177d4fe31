//! How a worker chooses and claims a job.
//!
//! A claim takes the lock of the job first, then the row: the holder of the lock knows that no other worker is alive
//! for the job, so that a job that is running nevertheless is an orphan. `worker.rs` calls it between two jobs;
//! [`super::store`] writes what it decides.

use super::job::{Job, Last, TABLES};
use super::stop::Failure;
use super::{kind, kinds, store};
use crate::guc::{self, DeviceSetting};
use crate::pg::backend::lock::{Attempt, Lock};
use crate::pg::backend::report::ereport;
use crate::pg::spi::statement::{self, ResultRow};
use crate::pg::worker::background;
use crate::pg::worker::home::Home;
use crate::pg::worker::transaction::{self, Caught, TableLock, attempt, lock_tables};
use pgrx::PgSqlErrorCode::*;
use pgrx::pg_sys::Oid;
use pgrx::{JsonB, PgLogLevel};
use serde_json::Value;
use std::cell::RefCell;
use std::time::Duration;

/// The most failures of a job: claims since its last committed batch, but for those of workers that were told to end.
const FAILURES: i32 = 3;
/// The most times that a job loses its worker with the whole server between two batches. As a rule that is a restart,
/// and not the job's fault; but with `restart_after_crash = off` it may be.
const RESTARTS: i32 = 100;
/// How long a worker without a job waits for a session that changes or drops the tables. Later workers try again.
const TABLE_LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Jobs of this database that are queued, or running without a live worker, oldest first.
fn candidates() -> Result<Candidates, Caught> {
    attempt(|| transaction::run(|| Ok::<_, Caught>(find_candidates())))?
}

/// Claimable jobs, and their table.
#[derive(Default)]
struct Candidates {
    table: Oid,
    jobs: Vec<i64>,
}

/// Whether library and extension are of one version: else the tables may differ from those this library knows.
pub(super) fn is_of_one_version() -> bool {
    let version =
        statement::read("SELECT x.extversion FROM pg_catalog.pg_extension x WHERE x.extname = 'lumina'", &[], |row| {
            row.known::<String>(1)
        });
    let library = env!("CARGO_PKG_VERSION");
    let Some(version) = version.into_iter().next().filter(|version| version != library) else { return true };
    let message = format!(
        "extension_version_mismatch: the library lumina is of version {library}, the extension of version {version}; \
         jobs wait for ALTER EXTENSION lumina UPDATE"
    );
    ereport(PgLogLevel::WARNING, &message);
    false
}

fn find_candidates() -> Candidates {
    if lock_tables(&TABLES, true, TABLE_LOCK_TIMEOUT) != TableLock::Locked || !is_of_one_version() {
        return Candidates::default();
    }
    transaction::refresh_snapshot();
    let table = transaction::relation(c"jobs");
    let found = statement::read(
        "SELECT j.id, j.kind, lumina_internal.job_place(j.system_identifier, j.database, j.timeline, j.directory)
            FROM lumina.jobs j WHERE j.state IN ('queued', 'running')
                AND NOT EXISTS (SELECT FROM lumina.workers_stopped) ORDER BY j.id",
        &[],
        |row| (row.known::<i64>(1), row.known::<String>(2), row.known::<String>(3)),
    );
    let claimable = |kind: &str, place: &str| match place {
        "here" => true,
        "failover" => kinds::named(kind).is_some_and(|kind| !kind.moves_files()),
        _ => false,
    };
    let free = |job: &i64| !Lock::job(table, *job).is_held();
    let claimable = found.into_iter().filter(|(_, kind, place)| claimable(kind, place));
    Candidates { table, jobs: claimable.map(|(job, ..)| job).filter(free).collect() }
}

/// The claimable jobs, oldest first.
pub(super) fn jobs() -> Result<Vec<i64>, Caught> {
    candidates().map(|candidates| candidates.jobs)
}

/// Claims the oldest job that it can lock.
pub(super) fn claim() -> Result<Option<Job>, Caught> {
    let Candidates { table, jobs } = candidates()?;
    for id in jobs {
        let lock = Lock::job(table, id);
        if lock.try_for_session() != Attempt::Taken {
            continue;
        }
        match attempt(|| transaction::run(|| Ok::<_, Caught>(try_claim(table, id)))) {
            Ok(Ok(Some(job))) => return Ok(Some(job)),
            Ok(Ok(None)) => (),
            // The other jobs must not wait for it.
            Ok(Err(caught)) | Err(caught) => {
                ereport(PgLogLevel::WARNING, &format!("lumina: job {id} could not be claimed: {}", caught.message));
            }
        }
        lock.release_in_session();
    }
    Ok(None)
}

/// Claims a job whose lock this worker holds.
fn try_claim(table: Oid, id: i64) -> Option<Job> {
    if lock_tables(&TABLES, true, TABLE_LOCK_TIMEOUT) != TableLock::Locked || transaction::relation(c"jobs") != table {
        return None;
    }
    // The new snapshot sees what its last worker has committed.
    transaction::refresh_snapshot();
    claim_row(id)
}

/// A job's row, which this transaction has locked.
struct JobRow {
    state: String,
    kind: String,
    catalog: i64,
    parameters: Value,
    settings: Value,
    owner: String,
    role: Option<Oid>,
    failures: i32,
    rights: Vec<String>,
    cancelled_by: Option<String>,
    restarts: i32,
    is_of_another_start: bool,
}

impl JobRow {
    fn read(row: &ResultRow<'_>) -> Self {
        JobRow {
            state: row.known(1),
            kind: row.known(2),
            catalog: row.known(3),
            parameters: row.known::<JsonB>(4).0,
            settings: row.known::<JsonB>(5).0,
            owner: row.utf8(6).unwrap_or_default(),
            role: row.get(7),
            failures: row.known(8),
            rights: row.get(9).unwrap_or_default(),
            cancelled_by: row.utf8(10),
            restarts: row.known(11),
            is_of_another_start: row.get(12).unwrap_or_default(),
        }
    }

    /// Requeues a job that has lost its worker. Where the server was started since, its worker ended with the server:
    /// that counts as a restart, not as a failure. (A crash of one process leaves the postmaster alive, so that it
    /// remains the job's failure.)
    fn requeue(&mut self, id: i64) {
        ereport(PgLogLevel::LOG, &format!("lumina: job {id} ({}) has lost its worker", self.kind));
        if self.is_of_another_start {
            self.failures = (self.failures - 1).max(0);
            self.restarts = (self.restarts + 1).min(RESTARTS);
        }
        store::requeue_orphan(id, self.failures, self.restarts);
    }

    /// Why the job must not run, if so.
    fn refusal(&self) -> Option<Failure> {
        let lost = |how: String| {
            let hint = "The server's log says what ended them; SELECT lumina.retry_job(...) submits it once more.";
            let message = format!("{how} without getting any further");
            Some(Failure::new("worker_lost", ERRCODE_OPERATOR_INTERVENTION, message, hint))
        };
        if self.failures >= FAILURES {
            lost(format!("lost its worker {FAILURES} times"))
        } else if self.restarts >= RESTARTS {
            lost(format!("lost its worker with the whole server {RESTARTS} times"))
        } else {
            match kinds::named(&self.kind) {
                Some(kind) => kind::refusal(kind, &self.owner, self.role.is_some(), &self.rights),
                None => Some(unknown(&self.kind)),
            }
        }
    }
}

/// The failure of a job whose kind this library does not know.
fn unknown(kind: &str) -> Failure {
    let message = format!("this library has no jobs of the kind \"{kind}\"");
    Failure::new("unknown_kind", ERRCODE_FEATURE_NOT_SUPPORTED, message, "Install a newer library.")
}

/// Claims a job. `None` where it cannot be claimed, or has ended with this.
fn claim_row(id: i64) -> Option<Job> {
    // A cancellation refers to the row by a foreign key, which FOR NO KEY UPDATE does not block.
    let home = Home::here();
    let mut row = statement::row(
        "SELECT j.state::text, j.kind, j.catalog, j.parameters, j.settings,
                pg_catalog.convert_to(j.owner, 'UTF8'), r.oid, j.failures,
                lumina_internal.rights(r.oid, j.catalog)::text[],
                (SELECT pg_catalog.convert_to(c.requested_by, 'UTF8')
                    FROM lumina.job_cancellations c WHERE c.job = j.id),
                j.restarts, j.claimed_at < pg_catalog.pg_postmaster_start_time() OR j.timeline IS DISTINCT FROM $2
            FROM lumina.jobs j LEFT JOIN pg_catalog.pg_roles r ON r.oid = lumina_internal.role_oid(j.owner)
            WHERE j.id = $1 AND j.state IN ('queued', 'running') FOR NO KEY UPDATE OF j SKIP LOCKED",
        &[id.into(), home.timeline.into()],
        JobRow::read,
    )?;
    if row.state == "running" {
        row.requeue(id);
    }
    if let Some(role) = &row.cancelled_by {
        store::cancel(id, &format!("by \"{role}\""));
        return None;
    }
    let refused = row.refusal();
    let token = store::claim(id, &home, refused.is_none());
    if let Some(failure) = refused {
        ereport(PgLogLevel::WARNING, &format!("lumina: job {id} ({}) has failed: {}", row.kind, failure.message));
        store::fail(id, &failure);
        return None;
    }
    for (name, setting) in guc::JOB_SETTINGS {
        if let Some(value) = row.settings.get(name).and_then(Value::as_i64) {
            background::set(setting, &value.to_string());
        }
    }
    let (device, setting) = guc::JOB_DEVICE;
    if let Some(device) = row.settings.get(device).and_then(Value::as_str).and_then(DeviceSetting::named) {
        background::set(setting, device.name());
    }
    let JobRow { catalog, kind, parameters, owner, role, .. } = row;
    let (permission, last) = (RefCell::default(), Last::default());
    Some(Job { id, catalog, kind: kinds::named(&kind)?, parameters, owner, role: role?, token, permission, last })
}
