//! The states of jobs: every statement by which a worker changes a row of `lumina.jobs`, one function each.
//!
//! No other file of `src` changes that table. Sessions change it by functions of `sql/catalog/jobs.sql`. The trigger
//! `check_job_change` there refuses every transition that README.md does not list; the numbers T2 to T9 are those of
//! its table.
//!
//! [`super::claim`] calls this when a worker takes a job, [`super::job`] while it runs the job and when the job ends.
//! All of it runs in the caller's transaction. Invariant: the caller has locked the tables of jobs, then the catalog's
//! row, where the results refer to it, then the job's row, by [`lock`] or as a claim does; only [`requeue`] locks the
//! row by itself. So two workers never change a job at once, and a worker whose claim is lost changes nothing.

use super::stop::{Failure, sqlstate_text};
use crate::pg::fmgr::encoding::in_plain_encoding;
use crate::pg::spi::statement::{self, Argument};
use crate::pg::worker::home::Home;
use pgrx::{JsonB, Uuid};
use serde_json::Value;

/// The progress of a job.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// What it does.
    pub(super) phase: &'static str,
    /// From 0 to 1.
    pub(super) share: f32,
    pub(super) done: i64,
    pub(super) total: Option<i64>,
    /// Of those that are done.
    pub(super) failed: i64,
    pub(super) bytes_done: i64,
    pub(super) bytes_total: Option<i64>,
}

/// Locks the row of a running job until the transaction ends: no other worker can claim it. Returns whether the job is
/// still claimed under this token.
pub(super) fn lock(id: i64, token: Uuid) -> bool {
    let lock = "SELECT FROM lumina.jobs WHERE id = $1 AND token = $2 FOR NO KEY UPDATE";
    statement::execute(lock, &[id.into(), token.into()])
}

/// T2, `queued` to `running`. Requires: this worker holds the job's advisory lock, and the transaction the row's.
/// Returns the token that identifies this claim from now on. Where it `counts`, it is a failure until [`requeue`] takes
/// it back or [`reset_failures`] forgets it.
pub(super) fn claim(id: i64, home: &Home, counts: bool) -> Uuid {
    let arguments: [Argument<'_>; 5] = [
        id.into(),
        (std::process::id() as i32).into(),
        home.timeline.into(),
        home.directory.as_str().into(),
        i32::from(counts).into(),
    ];
    let token = statement::row(
        "UPDATE lumina.jobs SET state = 'running', token = pg_catalog.gen_random_uuid(), worker_pid = $2, timeline = $3,
            directory = $4, attempts = attempts + 1, failures = failures + $5, phase = 'starting', progress = 0,
            items_done = 0, items_failed = 0, items_total = NULL, bytes_done = 0, bytes_total = NULL,
            claimed_at = pg_catalog.clock_timestamp() WHERE id = $1 RETURNING token",
        &arguments,
        |row| row.known::<Uuid>(1),
    );
    match token {
        Some(token) => token,
        None => panic!("a job that is locked is there"),
    }
}

/// T3, `running` to `queued`, of a job that has lost its worker. Requires: as [`claim`], which follows in the same
/// transaction. The caller decides what the loss counts as.
pub(super) fn requeue_orphan(id: i64, failures: i32, restarts: i32) {
    statement::execute(
        "UPDATE lumina.jobs SET state = 'queued', token = NULL, worker_pid = NULL, failures = $2, restarts = $3
            WHERE id = $1",
        &[id.into(), failures.into(), restarts.into()],
    );
}

/// T4, `running` to `queued`, of this worker's own job: the worker is to end, which is no failure of the job. Requires:
/// the transaction has locked the tables, but not the row. Never waits: where the claim is lost, or another session has
/// the row, nothing changes.
pub(super) fn requeue(id: i64, token: Uuid) {
    statement::execute(
        "UPDATE lumina.jobs SET state = 'queued', token = NULL, worker_pid = NULL, failures = greatest(failures - 1, 0),
            phase = '', progress = 0, items_done = 0, items_failed = 0, bytes_done = 0
            WHERE id = (SELECT j.id FROM lumina.jobs j WHERE j.id = $1 AND j.token = $2 AND j.state = 'running'
                FOR NO KEY UPDATE SKIP LOCKED)",
        &[id.into(), token.into()],
    );
}

/// Writes the progress of a running job. Requires: [`lock`].
pub(super) fn report_progress(id: i64, token: Uuid, progress: &Progress) {
    let arguments: [Argument<'_>; 9] = [
        id.into(),
        token.into(),
        progress.phase.into(),
        progress.share.into(),
        progress.done.into(),
        progress.total.into(),
        progress.failed.into(),
        progress.bytes_done.into(),
        progress.bytes_total.into(),
    ];
    statement::execute(
        "UPDATE lumina.jobs SET phase = $3, progress = $4, items_done = $5, items_total = $6, items_failed = $7,
            bytes_done = $8, bytes_total = $9, progress_at = pg_catalog.clock_timestamp() WHERE id = $1 AND token = $2",
        &arguments,
    );
}

/// Resets failures and restarts of a running job, which commits a batch in this transaction. Requires: [`lock`].
pub(super) fn reset_failures(id: i64) {
    statement::execute(
        "UPDATE lumina.jobs SET failures = 0, restarts = 0 WHERE id = $1 AND (failures > 0 OR restarts > 0)",
        &[id.into()],
    );
}

/// Adds the keys of a JSON object to what a running job remembers, `jobs.checkpoint`, for the worker that resumes it.
/// Requires: [`lock`].
pub(super) fn add_to_checkpoint(id: i64, keys: Value) {
    statement::execute(
        "UPDATE lumina.jobs SET checkpoint = checkpoint || $2 WHERE id = $1",
        &[id.into(), JsonB(keys).into()],
    );
}

/// T5, `running` to `ready`, of a preview, which then waits for approval. Requires: [`lock`] in this transaction, which
/// holds all results as well.
pub(super) fn make_ready(id: i64, token: Uuid, result: Value) {
    let updated = statement::execute(
        "UPDATE lumina.jobs SET state = 'ready', phase = 'ready', items_done = coalesce(items_total, 0),
            failures = 0, restarts = 0, result = $3, token = NULL, worker_pid = NULL WHERE id = $1 AND token = $2",
        &[id.into(), token.into(), JsonB(result).into()],
    );
    assert!(updated, "a job that is locked is there");
}

/// T6, `running` to `succeeded`. Requires: [`lock`] in this transaction, which holds all results as well.
pub(super) fn succeed(id: i64, token: Uuid, result: Value) {
    let updated = statement::execute(
        "UPDATE lumina.jobs SET state = 'succeeded', phase = 'done', progress = 1,
            items_done = coalesce(items_total, 0), failures = 0, result = $3, token = NULL, worker_pid = NULL,
            ended_at = pg_catalog.clock_timestamp() WHERE id = $1 AND token = $2",
        &[id.into(), token.into(), JsonB(result).into()],
    );
    assert!(updated, "a job that is locked is there");
}

/// T7, `running` to `failed`. Requires: the transaction has locked the row. The job never changes again.
pub(super) fn fail(id: i64, failure: &Failure) {
    end(id, "failed", failure);
}

/// T8 and T9, `running` or `queued` to `cancelled`: `by` says who or what has cancelled the job. Requires: as [`fail`].
pub(super) fn cancel(id: i64, by: &str) {
    end(id, "cancelled", &Failure::cancelled(by));
}

fn end(id: i64, state: &'static str, failure: &Failure) {
    let arguments: [Argument<'_>; 6] = [
        id.into(),
        state.into(),
        failure.code.into(),
        sqlstate_text(failure.sqlstate as i32).into(),
        in_plain_encoding(failure.message.clone()).into(),
        failure.hint.clone().map(in_plain_encoding).into(),
    ];
    statement::execute(
        "UPDATE lumina.jobs SET state = $2::lumina.job_state, error_code = $3, error_sqlstate = $4, error = $5,
            error_hint = $6, token = NULL, worker_pid = NULL, ended_at = pg_catalog.clock_timestamp() WHERE id = $1",
        &arguments,
    );
}
