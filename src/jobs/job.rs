//! A running job, as its kind uses it.
//!
//! Everything is written in short transactions that first find the job running under this worker's token; a worker that
//! does not find it stops silently. Each of them also checks that the role that submitted the job still has the right
//! to it: what was written before stays. Wherever [`Job::look`] is called, it checks for cancellation at least twice a
//! second.

use super::kinds::{self, Kind};
use super::stop::{Failure, Stop};
use crate::pg::background::sleep;
use crate::pg::message::in_plain_encoding;
use crate::pg::statement::{self, Argument};
use crate::pg::transaction::{self, Tables, attempt, hold, try_hold};
use pgrx::PgSqlErrorCode::*;
use pgrx::pg_sys::Oid;
use pgrx::{JsonB, Uuid};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::time::{Duration, Instant};

/// How often a running job checks for cancellation.
const LOOK: Duration = Duration::from_millis(400);
/// How often it reports its progress, at most.
const TELL: Duration = Duration::from_secs(1);
/// How long a job waits for a session that changes or drops the tables: until it is told to end.
const PATIENCE: Duration = Duration::MAX;
/// How often a transaction that meets deadlocks is tried.
const TRIES: usize = 5;

/// Resets the failures of a job that has committed a batch.
const BATCHED: &str =
    "UPDATE lumina.jobs SET failures = 0, restarts = 0 WHERE id = $1 AND (failures > 0 OR restarts > 0)";

/// The tables that tell whether a job is cancelled or stopped.
const WANTED: [&CStr; 3] = [c"jobs", c"job_cancellations", c"workers_stopped"];
/// All tables and sequences that a worker uses.
pub(super) const ALL: [&CStr; 18] = [
    c"catalogs",
    c"catalog_grants",
    c"jobs",
    c"job_cancellations",
    c"workers_stopped",
    c"sources",
    c"sources_id_seq",
    c"images",
    c"images_id_seq",
    c"image_files",
    c"image_files_id_seq",
    c"sidecars",
    c"import_items",
    c"import_items_id_seq",
    c"duplicate_runs",
    c"duplicate_groups",
    c"duplicate_members",
    c"duplicate_groups_id_seq",
];

/// A job that this worker has claimed.
pub(super) struct Job {
    pub(super) id: i64,
    pub(super) catalog: i64,
    pub(super) kind: String,
    pub(super) parameters: Value,
    /// The role that submitted it.
    pub(super) owner: String,
    pub(super) role: Oid,
    pub(super) token: Uuid,
    /// [`Kind::permission`] as it was when the job began.
    pub(super) permission: RefCell<String>,
    pub(super) last: Last,
}

/// The times of a job's last check and last report.
#[derive(Debug)]
pub(super) struct Last {
    looked: Cell<Instant>,
    told: Cell<Option<Instant>>,
}

impl Default for Last {
    fn default() -> Self {
        Last { looked: Cell::new(Instant::now()), told: Cell::new(None) }
    }
}

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

impl Job {
    /// Runs the job by its kind, again where its permission has changed but still allows it.
    pub(super) fn run(&self, kind: &dyn Kind) -> Result<(), Stop> {
        loop {
            let permission = self.read(|| self.check_rights().and_then(|()| kind.permission(self)))?;
            self.permission.replace(permission);
            match kind.run(self) {
                Err(Stop::PermissionChanged) => (),
                result => return result,
            }
        }
    }

    /// Begins a phase, and reports it even where the last report is recent.
    pub(super) fn phase(&self, progress: Progress) -> Result<(), Stop> {
        self.write(|| {
            self.tell(progress);
            Ok(())
        })?;
        self.last.told.set(Some(Instant::now()));
        Ok(())
    }

    /// Writes the progress of the job. In a transaction.
    fn tell(&self, progress: Progress) {
        let arguments: [Argument<'_>; 9] = [
            self.id.into(),
            self.token.into(),
            progress.phase.into(),
            progress.share.into(),
            progress.done.into(),
            progress.total.into(),
            progress.failed.into(),
            progress.bytes_done.into(),
            progress.bytes_total.into(),
        ];
        statement::any(
            "UPDATE lumina.jobs SET phase = $3, progress = $4, items_done = $5, items_total = $6, items_failed = $7,
                bytes_done = $8, bytes_total = $9, progress_at = pg_catalog.clock_timestamp() WHERE id = $1 AND token = $2",
            &arguments,
        );
    }

    /// One batch of the job's results: `work` writes it, and returns the progress, which is reported at most once a
    /// second. A batch resets the job's failures and restarts.
    pub(super) fn batch(&self, mut work: impl FnMut() -> Result<Progress, Stop>) -> Result<(), Stop> {
        let due = self.last.told.get().is_none_or(|told| told.elapsed() >= TELL);
        self.write(|| {
            let progress = work()?;
            if due {
                self.tell(progress);
            }
            statement::any(BATCHED, &[self.id.into()]);
            Ok(())
        })?;
        if due {
            self.last.told.set(Some(Instant::now()));
        }
        Ok(())
    }

    /// The cancel check. To be called wherever the job computes; it reads the tables now and then.
    pub(super) fn look(&self) -> Result<(), Stop> {
        if self.last.looked.get().elapsed() < LOOK {
            return Ok(());
        }
        // Not a moment's sleep: this notices the end of the postmaster.
        attempt(|| sleep(Duration::ZERO))?;
        attempt(|| transaction::run(|| self.check(false)))??;
        self.last.looked.set(Instant::now());
        Ok(())
    }

    /// The cancel check within a transaction, of any role: on what is committed by now.
    pub(super) fn look_within(&self) -> Result<(), Stop> {
        if self.last.looked.get().elapsed() < LOOK {
            return Ok(());
        }
        self.look_within_now()
    }

    fn look_within_now(&self) -> Result<(), Stop> {
        self.last.looked.set(Instant::now());
        transaction::as_self(|| transaction::on_latest_snapshot(|| self.check(false)))
    }

    /// Checks that the job is still allowed, by the permission with which it began. In a transaction.
    fn check_permission(&self) -> Result<(), Stop> {
        self.check_rights()?;
        let now = kinds::named(&self.kind).map_or(Ok(String::new()), |kind| kind.permission(self))?;
        if now == *self.permission.borrow() { Ok(()) } else { Err(Stop::PermissionChanged) }
    }

    /// Checks that the role that submitted the job has the right that its kind needs. In a transaction.
    pub(super) fn check_rights(&self) -> Result<(), Stop> {
        let rights = statement::read(
            "SELECT lumina_internal.rights($1, $2)::text[], EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = $1)",
            &[self.role.into(), self.catalog.into()],
            |row| (row.get::<Vec<String>>(1).unwrap_or_default(), row.known::<bool>(2)),
        );
        let (rights, is_there) = rights.into_iter().next().unwrap_or_default();
        match refuse(&self.kind, &self.owner, is_there, &rights) {
            Some(failure) => Err(Stop::Failed(failure)),
            None => Ok(()),
        }
    }

    /// Runs `work`, which writes nothing, in a transaction, after a cancel check.
    pub(super) fn read<R>(&self, mut work: impl FnMut() -> Result<R, Stop>) -> Result<R, Stop> {
        attempt(|| transaction::run(|| self.check(true).and_then(|()| work())))?
    }

    /// Runs `work` in a transaction, under the job's token, after checks that the job is wanted and allowed. It is
    /// rolled back where `work` returns an error.
    pub(super) fn write<R>(&self, work: impl FnMut() -> Result<R, Stop>) -> Result<R, Stop> {
        // What is written refers to the catalog.
        self.write_with("SELECT FROM lumina.catalogs WHERE id = $1 FOR KEY SHARE", work)
    }

    fn write_with<R>(&self, lock_catalog: &str, mut work: impl FnMut() -> Result<R, Stop>) -> Result<R, Stop> {
        let mut once = || {
            self.check(true)?;
            // The catalog first: DROP of it goes from there to its jobs.
            if !statement::any(lock_catalog, &[self.catalog.into()]) {
                return Err(Stop::Gone);
            }
            // No other worker gets the job before this transaction has ended.
            let lock = "SELECT FROM lumina.jobs WHERE id = $1 AND token = $2 FOR NO KEY UPDATE";
            if !statement::any(lock, &[self.id.into(), self.token.into()]) {
                return Err(Stop::Gone);
            }
            transaction::refresh_snapshot();
            self.check_permission()?;
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

    /// Checks that the job is still this worker's, and wanted. In a transaction.
    fn check(&self, wait: bool) -> Result<(), Stop> {
        let held = if wait { hold(&ALL, true, PATIENCE) } else { try_hold(&WANTED, false) };
        match held {
            Tables::Held if wait => transaction::refresh_snapshot(), // others may have committed meanwhile
            Tables::Held => (),
            Tables::Busy => return Ok(()),
            Tables::Gone => return Err(Stop::Gone),
        }
        self.is_wanted()
    }

    fn is_wanted(&self) -> Result<(), Stop> {
        let wanted = statement::read(
            "SELECT pg_catalog.convert_to(c.requested_by, 'UTF8'), EXISTS (SELECT FROM lumina.workers_stopped)
                FROM lumina.jobs j LEFT JOIN lumina.job_cancellations c ON c.job = j.id
                WHERE j.id = $1 AND j.token = $2 AND j.state = 'running'",
            &[self.id.into(), self.token.into()],
            |row| (row.utf8(1), row.known::<bool>(2)),
        );
        match wanted.into_iter().next() {
            None => Err(Stop::Gone),
            Some((Some(role), _)) => Err(Stop::Cancelled(format!("by \"{role}\""))),
            Some((None, true)) => Err(Stop::Stopped),
            Some((None, false)) => Ok(()),
        }
    }

    /// The last transaction: `work` writes the results and returns the value of `jobs.result`; then the job has
    /// succeeded. The catalog is locked first, so that nothing that affects results changes meanwhile.
    pub(super) fn finish(&self, work: impl FnMut() -> Result<Value, Stop>) -> Result<(), Stop> {
        self.finish_by(
            "UPDATE lumina.jobs SET state = 'succeeded', phase = 'done', progress = 1, items_done = coalesce(items_total, 0),
                failures = 0, result = $3, token = NULL, worker_pid = NULL,
                ended_at = pg_catalog.clock_timestamp() WHERE id = $1 AND token = $2",
            work,
        )
    }

    /// The last transaction of a preview, which then waits for approval.
    pub(super) fn be_ready(&self, work: impl FnMut() -> Result<Value, Stop>) -> Result<(), Stop> {
        self.finish_by(
            "UPDATE lumina.jobs SET state = 'ready', phase = 'ready', items_done = coalesce(items_total, 0),
                failures = 0, restarts = 0, result = $3, token = NULL, worker_pid = NULL WHERE id = $1 AND token = $2",
            work,
        )
    }

    fn finish_by(&self, end: &str, mut work: impl FnMut() -> Result<Value, Stop>) -> Result<(), Stop> {
        self.write_with("SELECT FROM lumina.catalogs WHERE id = $1 FOR NO KEY UPDATE", || {
            let result = work()?;
            // Once more: a job that is cancelled until this moment must not succeed.
            self.look_within_now()?;
            let ended = statement::any(end, &[self.id.into(), self.token.into(), JsonB(result).into()]);
            assert!(ended, "a job that is locked is there");
            Ok(())
        })
    }

    /// Writes why the job has ended. Returns whether it could.
    pub(super) fn end(&self, stop: &Stop) -> bool {
        let (state, failure) = match stop {
            Stop::Gone | Stop::PermissionChanged => return true, // the second never leaves `run`
            Stop::Stopped => {
                let written = attempt(|| {
                    transaction::run(|| {
                        give_back();
                        Ok::<_, Stop>(())
                    })
                });
                return matches!(written, Ok(Ok(())));
            }
            Stop::Cancelled(by) => ("cancelled", cancelled(by)),
            Stop::Failed(failure) => ("failed", failure.clone()),
        };
        let write = || {
            let token = "SELECT FROM lumina.jobs WHERE id = $1 AND token = $2 FOR NO KEY UPDATE";
            if hold(&ALL, true, PATIENCE) == Tables::Held && statement::any(token, &[self.id.into(), self.token.into()])
            {
                write_end(self.id, state, &failure);
            }
            Ok::<_, Stop>(())
        };
        matches!(attempt(|| transaction::run(write)), Ok(Ok(())))
    }
}

thread_local! {
    /// The job of this worker, and its token.
    static MINE: Cell<Option<(i64, Uuid)>> = const { Cell::new(None) };
}

/// Sets the job that [`give_back`] requeues.
pub(super) fn set_mine(job: Option<&Job>) {
    MINE.set(job.map(|job| (job.id, job.token)));
}

/// Requeues the job of this worker when the worker is told to end: this is no failure of the job. Never waits for a
/// lock: a job that cannot be written is left an orphan. In a transaction.
pub(super) fn give_back() {
    // `MINE` stays set: told to end in the middle of this, the worker tries once more at exit.
    if let Some((id, token)) = MINE.get()
        && try_hold(&ALL, true) == Tables::Held
    {
        statement::any(
            "UPDATE lumina.jobs SET state = 'queued', token = NULL, worker_pid = NULL, failures = greatest(failures - 1, 0),
                phase = '', progress = 0, items_done = 0, items_failed = 0, bytes_done = 0
                WHERE id = (SELECT j.id FROM lumina.jobs j WHERE j.id = $1 AND j.token = $2 AND j.state = 'running'
                    FOR NO KEY UPDATE SKIP LOCKED)",
            &[id.into(), token.into()],
        );
    }
}

/// Why a job of this kind cannot be run for this role, if it cannot.
pub(super) fn refuse(kind: &str, owner: &str, is_there: bool, rights: &[String]) -> Option<Failure> {
    let Some(kind_known) = kinds::named(kind) else {
        let message = format!("this library has no jobs of the kind \"{kind}\"");
        return Some(Failure::new("unknown_kind", ERRCODE_FEATURE_NOT_SUPPORTED, message, "Install a newer library."));
    };
    if !is_there {
        let message = format!("the role \"{owner}\", who submitted the job, does not exist any more");
        return Some(Failure::new("role_missing", ERRCODE_UNDEFINED_OBJECT, message, "Submit it as another role."));
    }
    let needed = kind_known.right();
    if !rights.iter().any(|right| right == needed) {
        let message = format!("the role \"{owner}\" has no right to {needed} in this catalog any more");
        let hint = "The catalog's owner can grant it again: SELECT lumina.grant_catalog(...).";
        return Some(Failure::new("permission_denied", ERRCODE_INSUFFICIENT_PRIVILEGE, message, hint));
    }
    None
}

/// Writes the end of a job, which the caller has locked, and its reason.
pub(super) fn write_end(id: i64, state: &'static str, failure: &Failure) {
    let arguments: [Argument<'_>; 6] = [
        id.into(),
        state.into(),
        failure.code.into(),
        sqlstate_text(failure.sqlstate as i32).into(),
        in_plain_encoding(failure.message.clone()).into(),
        failure.hint.clone().map(in_plain_encoding).into(),
    ];
    statement::any(
        "UPDATE lumina.jobs SET state = $2::lumina.job_state, error_code = $3, error_sqlstate = $4, error = $5,
            error_hint = $6, token = NULL, worker_pid = NULL, ended_at = pg_catalog.clock_timestamp() WHERE id = $1",
        &arguments,
    );
}

/// The failure that stands for a cancellation.
pub(super) fn cancelled(by: &str) -> Failure {
    Failure {
        code: "cancelled",
        sqlstate: ERRCODE_QUERY_CANCELED,
        message: format!("cancelled {by}"),
        hint: Some("SELECT lumina.retry_job(...) submits it once more.".into()),
    }
}

/// An SQLSTATE as its five characters, each of which is six bits.
pub(super) fn sqlstate_text(code: i32) -> String {
    (0..5).map(|place| char::from(b'0' + (code >> (6 * place) & 0x3f) as u8)).collect()
}

/// An SQLSTATE from its five characters.
pub(super) fn sqlstate_code(text: &str) -> i32 {
    text.bytes().take(5).enumerate().map(|(place, byte)| i32::from(byte.wrapping_sub(b'0') & 0x3f) << (6 * place)).sum()
}
