//! A job that is running, as its kind sees it.
//!
//! Everything is written in short transactions that first find the job running under this worker's token; whoever does not
//! find it so stops without a word. Cancellation is looked for at least twice a second, wherever [`Job::look`] is called.

use super::stop::{Failure, Stop};
use crate::pg::statement::{self, Argument};
use crate::pg::transaction::{self, Extension, attempt, hold_extension};
use pgrx::pg_sys::Oid;
use pgrx::{JsonB, Uuid};
use serde_json::Value;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// How often a running job looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(400);
/// How often it says, at most, how far it is.
const TELL: Duration = Duration::from_secs(1);
/// How often a transaction that met a deadlock is run again.
const TRIES: usize = 5;

/// A job that this worker has claimed.
pub(super) struct Job {
    pub(super) id: i64,
    pub(super) catalog: i64,
    pub(super) kind: String,
    pub(super) parameters: Value,
    /// Who submitted it.
    pub(super) role: Oid,
    pub(super) token: Uuid,
    looked: Cell<Instant>,
    told: Cell<Option<Instant>>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// What it does.
    pub(super) phase: &'static str,
    /// From 0 to 1.
    pub(super) share: f32,
    pub(super) done: i64,
    pub(super) total: i64,
}

impl Job {
    pub(super) fn new(id: i64, catalog: i64, kind: String, parameters: Value, role: Oid, token: Uuid) -> Self {
        Job { id, catalog, kind, parameters, role, token, looked: Cell::new(Instant::now()), told: Cell::new(None) }
    }

    /// A phase begins: says so, whenever it was last said how far the job is.
    pub(super) fn phase(&self, progress: Progress) -> Result<(), Stop> {
        self.told.set(Some(Instant::now()));
        self.write(|| {
            let arguments: [Argument<'_>; 6] = [
                self.id.into(),
                self.token.into(),
                progress.phase.into(),
                progress.share.into(),
                progress.done.into(),
                progress.total.into(),
            ];
            statement::any(
                "UPDATE lumina.jobs SET phase = $3, progress = $4, items_done = $5, items_total = $6,
                    progress_at = pg_catalog.clock_timestamp() WHERE id = $1 AND token = $2",
                &arguments,
            );
            Ok(())
        })
    }

    /// Says how far the job is, at most once a second.
    #[expect(dead_code, reason = "for kinds that work in batches")]
    pub(super) fn progress(&self, progress: Progress) -> Result<(), Stop> {
        if self.told.get().is_none_or(|told| told.elapsed() >= TELL) { self.phase(progress) } else { self.look() }
    }

    /// Whether the job is still wanted. To be called wherever it computes; looks at the tables now and then.
    pub(super) fn look(&self) -> Result<(), Stop> {
        if self.looked.get().elapsed() < LOOK {
            return Ok(());
        }
        attempt(|| transaction::run(|| self.check(false)))??;
        self.looked.set(Instant::now());
        Ok(())
    }

    /// The same within a transaction, whoever it acts as: on what is committed by now.
    pub(super) fn look_within(&self) -> Result<(), Stop> {
        if self.looked.get().elapsed() < LOOK {
            return Ok(());
        }
        self.looked.set(Instant::now());
        transaction::as_self(|| transaction::on_latest_snapshot(|| self.check(false)))
    }

    /// One transaction: `work`, under the job's token, after another look whether the job is wanted. Nothing of it stays
    /// where `work` returns an error.
    pub(super) fn write<R>(&self, work: impl FnMut() -> Result<R, Stop>) -> Result<R, Stop> {
        self.write_with(None, work)
    }

    fn write_with<R>(&self, catalog: Option<i64>, mut work: impl FnMut() -> Result<R, Stop>) -> Result<R, Stop> {
        let mut once = || {
            self.check(true)?;
            // The catalog first: whoever drops it comes from there to its jobs.
            let lock = "SELECT FROM lumina.catalogs WHERE id = $1 FOR NO KEY UPDATE";
            if catalog.is_some_and(|catalog| !statement::any(lock, &[catalog.into()])) {
                return Err(Stop::Gone);
            }
            // Nobody else gets the job before this transaction has ended.
            let lock = "SELECT FROM lumina.jobs WHERE id = $1 AND token = $2 FOR NO KEY UPDATE";
            if !statement::any(lock, &[self.id.into(), self.token.into()]) {
                return Err(Stop::Gone);
            }
            transaction::refresh_snapshot();
            work()
        };
        for tries in 1.. {
            let result = attempt(|| transaction::run(&mut once)).map_err(Stop::from).and_then(|result| result);
            match &result {
                Err(Stop::Failed(failure)) if failure.is_transient() && tries < TRIES => (),
                _ => return result,
            }
        }
        unreachable!("the last try returns")
    }

    /// Looks whether the job is still this worker's, and wanted. In a transaction.
    fn check(&self, wait: bool) -> Result<(), Stop> {
        match hold_extension(wait) {
            Extension::Held => (),
            Extension::Busy => return Ok(()),
            Extension::Gone => return Err(Stop::Gone),
        }
        let wanted = statement::read(
            "SELECT c.requested_by FROM lumina.jobs j LEFT JOIN lumina.job_cancellations c ON c.job = j.id
                WHERE j.id = $1 AND j.token = $2 AND j.state = 'running'",
            &[self.id.into(), self.token.into()],
            |row| row.get::<String>(1),
        );
        match wanted.into_iter().next() {
            None => Err(Stop::Gone),
            Some(Some(role)) => Err(Stop::Cancelled(format!("by \"{role}\""))),
            Some(None) => Ok(()),
        }
    }

    /// The last transaction: `work` writes the results and returns what `jobs.result` is to hold; then the job has succeeded.
    /// The catalog is locked first, so that nothing that matters to results changes meanwhile.
    pub(super) fn finish(&self, mut work: impl FnMut() -> Result<Value, Stop>) -> Result<(), Stop> {
        self.write_with(Some(self.catalog), || {
            let result = work()?;
            let ended = statement::any(
                "UPDATE lumina.jobs SET state = 'succeeded', phase = 'done', progress = 1, items_done = coalesce(items_total, 0),
                    failures = 0, result = $3, token = NULL, worker_pid = NULL,
                    ended_at = pg_catalog.clock_timestamp() WHERE id = $1 AND token = $2",
                &[self.id.into(), self.token.into(), JsonB(result).into()],
            );
            assert!(ended, "a job that is locked is there");
            Ok(())
        })
    }

    /// Writes why the job has ended. Whether that could be written.
    pub(super) fn end(&self, stop: &Stop) -> bool {
        let (state, failure) = match stop {
            Stop::Gone => return true,
            Stop::Cancelled(by) => ("cancelled", cancelled(by)),
            Stop::Failed(failure) => ("failed", failure.clone()),
        };
        let write = || {
            let token = "SELECT FROM lumina.jobs WHERE id = $1 AND token = $2 FOR NO KEY UPDATE";
            if hold_extension(true) == Extension::Held && statement::any(token, &[self.id.into(), self.token.into()]) {
                write_end(self.id, state, &failure);
            }
            Ok::<_, Stop>(())
        };
        matches!(attempt(|| transaction::run(write)), Ok(Ok(())))
    }
}

/// Writes that a job, which the caller has locked, has ended, and why.
pub(super) fn write_end(id: i64, state: &'static str, failure: &Failure) {
    let arguments: [Argument<'_>; 6] = [
        id.into(),
        state.into(),
        failure.code.into(),
        sqlstate_text(failure.sqlstate as i32).into(),
        failure.message.as_str().into(),
        failure.hint.as_deref().into(),
    ];
    statement::any(
        "UPDATE lumina.jobs SET state = $2::lumina.job_state, error_code = $3, error_sqlstate = $4, error = $5,
            error_hint = $6, token = NULL, worker_pid = NULL, ended_at = pg_catalog.clock_timestamp() WHERE id = $1",
        &arguments,
    );
}

/// The failure that a cancellation is kept as.
pub(super) fn cancelled(by: &str) -> Failure {
    Failure {
        code: "cancelled",
        sqlstate: pgrx::PgSqlErrorCode::ERRCODE_QUERY_CANCELED,
        message: format!("cancelled {by}"),
        hint: Some("SELECT lumina.retry_job(...) submits it once more.".into()),
    }
}

/// An SQLSTATE as its five characters, each of which is six bits.
pub(super) fn sqlstate_text(code: i32) -> String {
    (0..5).map(|place| char::from(b'0' + (code >> (6 * place) & 0x3f) as u8)).collect()
}

/// The same the other way round.
pub(super) fn sqlstate_code(text: &str) -> i32 {
    text.bytes().take(5).enumerate().map(|(place, byte)| i32::from(byte.wrapping_sub(b'0') & 0x3f) << (6 * place)).sum()
}
