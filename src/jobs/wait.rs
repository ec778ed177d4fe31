//! `wait_for_job`: returns when a job has ended, and raises its error if it has one.
//!
//! Called outside of a transaction block it holds no snapshot while it waits, so that it does not hold back the xid
//! horizon.

use super::error::JobError;
use super::start::{Start, start_one, warn};
use super::stop::sqlstate_code;
use crate::error::LuminaError;
use crate::pg::backend::report::ereport;
use crate::pg::fmgr::error::ArgumentError;
use crate::pg::fmgr::procedure::Procedure;
use crate::pg::spi::statement::{self, ResultRow};
use crate::pg::worker::background::sleep;
use crate::pg::worker::transaction::{is_of_this_transaction, on_latest_snapshot};
use pgrx::{PgLogLevel, PgSqlErrorCode};
use std::time::{Duration, Instant};

/// How long it sleeps between two checks.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// After how long it starts a worker for a job that none runs, and how often.
const START_INTERVAL: Duration = Duration::from_secs(1);
/// How often it reports the job's progress, at most.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How often it repeats a report where nothing changes.
const REPEAT_INTERVAL: Duration = Duration::from_secs(15);

crate::pg::fmgr::procedure::procedure! {
    /// `wait_for_job(bigint)`. Errors: that of the job; 42704, 55000.
    wait_for_job, pg_finfo_wait_for_job, wait
}

/// The state of a job at one moment.
struct Seen {
    state: String,
    phase: String,
    percent: f64,
    done: i64,
    total: Option<i64>,
    note: String,
    error: Option<(String, String, Option<String>)>,
    kind: String,
    transaction: u32,
}

impl Seen {
    fn read(row: &ResultRow<'_>) -> Self {
        Seen {
            state: row.known(1),
            phase: row.known(2),
            percent: row.known(3),
            done: row.known(4),
            total: row.get(5),
            note: row.utf8(6).unwrap_or_default(),
            error: row.utf8(7).map(|error| (row.known(8), error, row.utf8(9))),
            kind: row.known(10),
            transaction: row.known::<i64>(11) as u32,
        }
    }
}

fn wait(procedure: &Procedure) -> Result<(), LuminaError> {
    let job = procedure.int8(0).ok_or(ArgumentError::Null("job"))?;
    let mut reported: Option<(Instant, String)> = None;
    let began = Instant::now();
    let (mut started, mut warned) = (began, None);
    loop {
        let seen = on_latest_snapshot(|| {
            statement::read(
                // As the caller, under the caller's search path: every name must be qualified.
                "SELECT p.state, p.phase, p.percent::pg_catalog.float8, p.done, p.total,
                    pg_catalog.convert_to(p.note, 'UTF8'), pg_catalog.convert_to(j.error, 'UTF8'), j.error_sqlstate,
                    pg_catalog.convert_to(j.error_hint, 'UTF8'), p.kind, j.xmin::pg_catalog.text::pg_catalog.int8
                    FROM lumina.job_progress p JOIN lumina.jobs j ON j.id OPERATOR(pg_catalog.=) p.job
                    WHERE p.job OPERATOR(pg_catalog.=) $1",
                &[job.into()],
                Seen::read,
            )
        });
        let Some(seen) = seen.into_iter().next() else { return Err(JobError::Unknown(job).into()) };
        if let Some((sqlstate, message, hint)) = seen.error {
            let code = PgSqlErrorCode::from(sqlstate_code(&sqlstate));
            return Err(JobError::Ended { job, kind: seen.kind, code, message, hint }.into());
        }
        match seen.state.as_str() {
            "succeeded" | "ready" => return Ok(()),
            "fenced" => return Err(JobError::Fenced(job).into()),
            _ if is_of_this_transaction(seen.transaction) => return Err(JobError::OfThisTransaction(job).into()),
            _ => (),
        }
        if seen.note.starts_with("extension_version_mismatch") {
            return Err(JobError::Version(job).into());
        }
        // The waiting session starts a worker for a job that no worker has taken, or whose worker is gone.
        let idle = match seen.state.as_str() {
            "orphaned" => true,
            "queued" => seen.note.is_empty() || seen.note.starts_with("waits for a worker"),
            _ => false,
        };
        if idle && started.elapsed() >= START_INTERVAL {
            started = Instant::now();
            if start_one() == Start::NoSlot && warned.is_none_or(|warned: Instant| warned.elapsed() >= REPEAT_INTERVAL)
            {
                warn(&format!("job {job} waits for one"));
                warned = Some(started);
            }
        }
        let text = match seen.total {
            _ if !seen.note.is_empty() => format!("{}: {}", seen.state, seen.note),
            Some(total) => format!("{} {}, {:.0} %, {} of {total}", seen.state, seen.phase, seen.percent, seen.done),
            None => seen.state,
        };
        let due = match &reported {
            None => began.elapsed() >= REPORT_INTERVAL,
            Some((when, before)) => when.elapsed() >= if *before == text { REPEAT_INTERVAL } else { REPORT_INTERVAL },
        };
        if due {
            ereport(PgLogLevel::NOTICE, &format!("job {job}: {text}"));
            reported = Some((Instant::now(), text));
        }
        procedure.end_transaction();
        sleep(POLL_INTERVAL);
    }
}
