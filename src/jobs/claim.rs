//! Which job a worker takes, and how it makes it its own.
//!
//! First the lock of the job, then the row: whoever holds the lock knows that no other worker is alive for it, so that a job
//! that is running all the same is an orphan.

use super::job::{Job, cancelled, write_end};
use super::kinds;
use super::stop::Failure;
use crate::guc;
use crate::pg::background;
use crate::pg::lock::{Attempt, Lock};
use crate::pg::report::say;
use crate::pg::statement::{self, Argument, Record};
use crate::pg::transaction::{self, Caught, Extension, attempt, hold_extension};
use pgrx::PgSqlErrorCode::*;
use pgrx::pg_sys::Oid;
use pgrx::{JsonB, PgLogLevel, Uuid};
use serde_json::Value;

/// The most failures of a job: claims since the last batch that it has committed.
const FAILURES: i32 = 3;

/// Jobs of this database that are queued, or running and of no worker that is alive. `None` where nothing is to be done.
fn candidates() -> Result<Vec<i64>, Caught> {
    attempt(|| transaction::run(|| Ok::<_, Caught>(find_candidates())))?
}

fn find_candidates() -> Vec<i64> {
    if hold_extension(true) != Extension::Held {
        return Vec::new();
    }
    let (version, stopped) = statement::read(
        "SELECT x.extversion, EXISTS (SELECT FROM lumina.workers_stopped)
            FROM pg_catalog.pg_extension x WHERE x.extname = 'lumina'",
        &[],
        |row| (row.known::<String>(1), row.known::<bool>(2)),
    )
    .pop()
    .unwrap_or_default();
    if version != env!("CARGO_PKG_VERSION") {
        // The tables may be others than this library knows.
        let library = env!("CARGO_PKG_VERSION");
        let message = format!(
            "extension_version_mismatch: the library lumina is of version {library}, the extension of version {version}; \
             jobs wait for ALTER EXTENSION lumina UPDATE"
        );
        say(PgLogLevel::WARNING, &message);
        return Vec::new();
    }
    if stopped {
        return Vec::new();
    }
    let jobs = transaction::relation(c"jobs");
    let found = statement::read(
        "SELECT j.id, j.kind, lumina._job_place(j.system_identifier, j.database, j.timeline, j.directory)
            FROM lumina.jobs j WHERE j.state IN ('queued', 'running') ORDER BY j.id",
        &[],
        |row| (row.known::<i64>(1), row.known::<String>(2), row.known::<String>(3)),
    );
    let claimable = |kind: &str, place: &str| match place {
        "here" => true,
        "failover" => kinds::named(kind).is_some_and(|kind| !kind.moves_files()),
        _ => false,
    };
    let free = |job: &i64| !Lock::job(jobs, *job).is_held();
    found.into_iter().filter(|(_, kind, place)| claimable(kind, place)).map(|(job, ..)| job).filter(free).collect()
}

/// Whether there is a job to be taken.
pub(super) fn is_there_one() -> Result<bool, Caught> {
    candidates().map(|jobs| !jobs.is_empty())
}

/// Takes the oldest job that can be had, with its lock.
pub(super) fn claim() -> Result<Option<Job>, Caught> {
    for id in candidates()? {
        let taken = attempt(|| {
            transaction::run(|| {
                if hold_extension(true) != Extension::Held {
                    return Ok(None);
                }
                let lock = Lock::job(transaction::relation(c"jobs"), id);
                if lock.try_for_session() != Attempt::Taken {
                    return Ok(None);
                }
                // What its last worker has committed is seen from here on.
                transaction::refresh_snapshot();
                let job = take(id);
                if job.is_none() {
                    lock.release_in_session();
                }
                Ok::<_, Caught>(job)
            })
        })??;
        if let Some(job) = taken {
            return Ok(Some(job));
        }
    }
    Ok(None)
}

/// A job's row, as it was found.
struct Found {
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
}

impl Found {
    fn read(row: &Record<'_>) -> Self {
        Found {
            state: row.known(1),
            kind: row.known(2),
            catalog: row.known(3),
            parameters: row.known::<JsonB>(4).0,
            settings: row.known::<JsonB>(5).0,
            owner: row.known(6),
            role: row.get(7),
            failures: row.known(8),
            rights: row.get(9).unwrap_or_default(),
            cancelled_by: row.get(10),
        }
    }
}

/// Makes a job this worker's own. `None` where it is none to take, or has ended with this.
fn take(id: i64) -> Option<Job> {
    let found = statement::row(
        "SELECT j.state::text, j.kind, j.catalog, j.parameters, j.settings, j.owner, r.oid, j.failures,
                lumina._rights(r.oid, j.catalog)::text[],
                (SELECT c.requested_by FROM lumina.job_cancellations c WHERE c.job = j.id)
            FROM lumina.jobs j LEFT JOIN pg_catalog.pg_roles r ON r.rolname = j.owner
            WHERE j.id = $1 AND j.state IN ('queued', 'running') FOR UPDATE OF j SKIP LOCKED",
        &[id.into()],
        Found::read,
    )?;
    if found.state == "running" {
        say(PgLogLevel::LOG, &format!("lumina: job {id} ({}) has lost its worker", found.kind));
        statement::any(
            "UPDATE lumina.jobs SET state = 'queued', token = NULL, worker_pid = NULL WHERE id = $1",
            &[id.into()],
        );
    }
    if let Some(role) = &found.cancelled_by {
        write_end(id, "cancelled", &cancelled(&format!("by \"{role}\"")));
        return None;
    }
    let refused = refuse(&found);
    let token = start(id, refused.is_none());
    let (Some(role), None) = (found.role, &refused) else {
        if let Some(failure) = refused {
            say(PgLogLevel::WARNING, &format!("lumina: job {id} ({}) has failed: {}", found.kind, failure.message));
            write_end(id, "failed", &failure);
        }
        return None;
    };
    for (name, setting) in guc::JOB_SETTINGS {
        if let Some(value) = found.settings.get(name).and_then(Value::as_i64) {
            background::set(setting, &value.to_string());
        }
    }
    Some(Job::new(id, found.catalog, found.kind, found.parameters, role, token))
}

/// Why a job cannot be run (again), if it cannot.
fn refuse(found: &Found) -> Option<Failure> {
    let Found { kind, owner, role, failures, rights, .. } = found;
    let Some(known) = kinds::named(kind) else {
        let message = format!("this library has no jobs of the kind \"{kind}\"");
        return Some(Failure::new("unknown_kind", ERRCODE_FEATURE_NOT_SUPPORTED, message, "Install a newer library."));
    };
    if *failures >= FAILURES {
        let message = format!("lost its worker {failures} times without getting any further");
        let hint = "The server's log says what ended them; SELECT lumina.retry_job(...) submits it once more.";
        return Some(Failure::new("worker_lost", ERRCODE_OPERATOR_INTERVENTION, message, hint));
    }
    if role.is_none() {
        let message = format!("the role \"{owner}\", who submitted the job, does not exist any more");
        let hint = "Submit it as another role.";
        return Some(Failure::new("role_missing", ERRCODE_UNDEFINED_OBJECT, message, hint));
    }
    if !rights.iter().any(|right| right == known.right()) {
        let message = format!("the role \"{owner}\" has no right to {} in this catalog any more", known.right());
        let hint = "The catalog's owner can grant it anew: SELECT lumina.grant_catalog(...).";
        return Some(Failure::new("permission_denied", ERRCODE_INSUFFICIENT_PRIVILEGE, message, hint));
    }
    None
}

/// Starts a queued job under a new token, which tells this claim from every other.
fn start(id: i64, counts: bool) -> Uuid {
    let home = crate::pg::home::Home::here();
    let arguments: [Argument<'_>; 5] = [
        id.into(),
        (std::process::id() as i32).into(),
        home.timeline.into(),
        home.directory.into(),
        i32::from(counts).into(),
    ];
    let started = statement::row(
        "UPDATE lumina.jobs SET state = 'running', token = pg_catalog.gen_random_uuid(), worker_pid = $2, timeline = $3,
            directory = $4, attempts = attempts + 1, failures = failures + $5, phase = 'starting', progress = 0,
            items_done = 0, items_total = NULL, bytes_done = 0, bytes_total = NULL,
            claimed_at = pg_catalog.clock_timestamp() WHERE id = $1 RETURNING token",
        &arguments,
        |row| row.known::<Uuid>(1),
    );
    match started {
        Some(token) => token,
        None => panic!("a job that is locked is there"),
    }
}
