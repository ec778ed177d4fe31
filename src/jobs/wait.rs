//! `wait_for_job`: returns when a job has ended, and raises its error if it has one.
//!
//! Called outside of a transaction block it holds no snapshot while it waits, so that a long job keeps vacuum from nothing.

use super::job::sqlstate_code;
use crate::error::LuminaError;
use crate::pg::background::sleep;
use crate::pg::procedure::Procedure;
use crate::pg::report::say;
use crate::pg::statement::{self, Record};
use crate::pg::transaction::{is_of_this_transaction, on_latest_snapshot};
use pgrx::{PgLogLevel, PgSqlErrorCode};
use std::time::{Duration, Instant};

/// How long it sleeps between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// How often it says how far the job is, at most.
const TELL: Duration = Duration::from_secs(1);

crate::pg::procedure::procedure! {
    /// `wait_for_job(bigint)`. Errors: that of the job; 42704, 55000.
    wait_for_job, pg_finfo_wait_for_job, wait
}

/// A job as it is seen at one moment.
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
    fn read(row: &Record<'_>) -> Self {
        Seen {
            state: row.known(1),
            phase: row.known(2),
            percent: row.known(3),
            done: row.known(4),
            total: row.get(5),
            note: row.known(6),
            error: row.get::<String>(7).map(|error| (row.known(8), error, row.get(9))),
            kind: row.known(10),
            transaction: row.known::<i64>(11) as u32,
        }
    }
}

fn wait(procedure: &Procedure) -> Result<(), LuminaError> {
    let job = procedure.int8(0).ok_or(LuminaError::ArgumentNull("job"))?;
    let mut told: Option<(Instant, String)> = None;
    loop {
        let seen = on_latest_snapshot(|| {
            statement::read(
                "SELECT p.state, p.phase, p.percent::float8, p.done, p.total, p.note, j.error, j.error_sqlstate, j.error_hint,
                    p.kind, j.xmin::text::int8
                    FROM lumina.job_progress p JOIN lumina.jobs j ON j.id = p.job WHERE p.job = $1",
                &[job.into()],
                Seen::read,
            )
        });
        let Some(seen) = seen.into_iter().next() else { return Err(LuminaError::JobUnknown(job)) };
        if let Some((sqlstate, message, hint)) = seen.error {
            let code = PgSqlErrorCode::from(sqlstate_code(&sqlstate));
            return Err(LuminaError::JobEnded { job, kind: seen.kind, code, message, hint });
        }
        match seen.state.as_str() {
            "succeeded" | "ready" => return Ok(()),
            "fenced" => return Err(LuminaError::JobFenced(job)),
            _ if is_of_this_transaction(seen.transaction) => return Err(LuminaError::JobOfThisTransaction(job)),
            _ => (),
        }
        if seen.note.starts_with("extension_version_mismatch") {
            return Err(LuminaError::JobVersion(job));
        }
        let text = match seen.total {
            Some(total) => format!("{} {}, {:.0} %, {} of {total}", seen.state, seen.phase, seen.percent, seen.done),
            None => format!("{} {}", seen.state, seen.note),
        };
        if told.as_ref().is_none_or(|(when, before)| when.elapsed() >= TELL && *before != text) {
            if told.is_some() {
                say(PgLogLevel::NOTICE, &format!("job {job}: {}", text.trim_end()));
            }
            told = Some((Instant::now(), text));
        }
        procedure.let_go();
        sleep(LOOK);
    }
}
