//! A running job, as its kind uses it, and what a kind does: the trait [`Work`].
//!
//! Everything is written in short transactions that first find the job running under this worker's token; a worker that
//! does not find it stops silently. Each of them also checks that the role that submitted the job still has the right
//! to it: what was written before stays. Wherever [`Job::check_cancelled`] is called, it checks for cancellation at
//! least twice a second. The job's row is written by [`super::store`] alone.

use super::kind::{self, Kind};
use super::stop::Stop;
use super::store;
use crate::pg::spi::statement;
use crate::pg::worker::background::sleep;
use crate::pg::worker::transaction::{self, TableLock, attempt, lock_tables, try_lock_tables};
use pgrx::Uuid;
use pgrx::pg_sys::Oid;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::time::{Duration, Instant};

pub(super) use super::store::Progress;

/// How often a running job checks for cancellation.
const CHECK_INTERVAL: Duration = Duration::from_millis(400);
/// After how many rows of a scan it reads the clock.
const ROWS_PER_CHECK: u32 = 16;
/// How often it reports its progress, at most.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How long a job waits for a session that changes or drops the tables: until it is told to end.
const TABLE_LOCK_TIMEOUT: Duration = Duration::MAX;
/// How often a transaction that meets deadlocks is tried.
const TRIES: usize = 5;

/// The tables that tell whether a job is cancelled or stopped.
const STATE_TABLES: [&CStr; 3] = [c"jobs", c"job_cancellations", c"workers_stopped"];
/// All tables and sequences that a worker uses.
pub(super) const TABLES: [&CStr; 25] = [
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
    c"bursts",
    c"bursts_id_seq",
    c"burst_frames",
    c"duplicate_actions",
    c"distinct_images",
    c"distinct_files",
    c"lumina_internal.image_changes",
];

/// What a kind of job does.
pub(super) trait Work: Kind {
    /// Does the work that committed batches have left, up to [`Job::finish`].
    fn run(&self, job: &Job) -> Result<(), Stop>;
}

/// A job that this worker has claimed.
pub(super) struct Job {
    pub(super) id: i64,
    pub(super) catalog: i64,
    pub(super) kind: &'static dyn Work,
    pub(super) parameters: Value,
    /// The role that submitted it.
    pub(super) owner: String,
    pub(super) role: Oid,
    pub(super) token: Uuid,
    /// [`Kind::permission`] as it was when the job began.
    pub(super) permission: RefCell<String>,
    pub(super) last: Last,
}

/// The times of a job's last check and last report, and what has come since.
#[derive(Debug)]
pub(super) struct Last {
    checked: Cell<Instant>,
    /// Rows since the clock was read.
    rows: Cell<u32>,
    reported: Cell<Option<Instant>>,
    /// Progress of batches that are committed, which the job's row does not have yet.
    unreported: Cell<Option<Progress>>,
}

impl Default for Last {
    fn default() -> Self {
        Last {
            checked: Cell::new(Instant::now()),
            rows: Cell::new(0),
            reported: Cell::new(None),
            unreported: Cell::new(None),
        }
    }
}

impl Job {
    /// Runs the job by its kind, again where its permission has changed but still allows it.
    pub(super) fn run(&self) -> Result<(), Stop> {
        loop {
            let permission = self.read(|| self.check_rights().and_then(|()| self.read_permission()))?;
            self.permission.replace(permission);
            match self.kind.run(self) {
                Err(Stop::PermissionChanged) => (),
                result => return result,
            }
        }
    }

    /// Begins a phase, and reports it even where the last report is recent.
    pub(super) fn phase(&self, progress: Progress) -> Result<(), Stop> {
        self.write(|| {
            store::report_progress(self.id, self.token, &progress);
            Ok(())
        })?;
        self.last.reported.set(Some(Instant::now()));
        self.last.unreported.set(None);
        Ok(())
    }

    /// One batch of the job's results: `work` writes it, and returns the progress, which is reported at most once a
    /// second. A batch resets the job's failures and restarts.
    pub(super) fn batch(&self, mut work: impl FnMut() -> Result<Progress, Stop>) -> Result<(), Stop> {
        let due = self.last.reported.get().is_none_or(|reported| reported.elapsed() >= REPORT_INTERVAL);
        let progress = self.write(|| {
            let progress = work()?;
            if due {
                store::report_progress(self.id, self.token, &progress);
            }
            store::reset_failures(self.id);
            Ok(progress)
        })?;
        if due {
            self.last.reported.set(Some(Instant::now()));
        }
        self.last.unreported.set((!due).then_some(progress));
        Ok(())
    }

    /// Adds the keys of a JSON object to what the job remembers for the worker that resumes it. In a batch, with which
    /// it commits.
    pub(super) fn add_to_checkpoint(&self, keys: Value) {
        store::add_to_checkpoint(self.id, keys);
    }

    /// The cancel check. To be called wherever the job computes; it reads the tables now and then.
    pub(super) fn check_cancelled(&self) -> Result<(), Stop> {
        if self.last.checked.get().elapsed() < CHECK_INTERVAL {
            return Ok(());
        }
        // Not a moment's sleep: this notices the end of the postmaster.
        attempt(|| sleep(Duration::ZERO))?;
        attempt(|| transaction::run(|| self.check(false)))??;
        self.last.checked.set(Instant::now());
        Ok(())
    }

    /// The cancel check within a transaction, of any role: on what is committed by now.
    pub(super) fn check_cancelled_in_transaction(&self) -> Result<(), Stop> {
        if self.last.checked.get().elapsed() < CHECK_INTERVAL {
            return Ok(());
        }
        self.check_cancelled_now()
    }

    /// The same, between rows of a scan: reading the clock takes as long as a column.
    pub(super) fn check_cancelled_at_row(&self) -> Result<(), Stop> {
        let rows = self.last.rows.get() + 1;
        self.last.rows.set(rows % ROWS_PER_CHECK);
        if rows < ROWS_PER_CHECK { Ok(()) } else { self.check_cancelled_in_transaction() }
    }

    fn check_cancelled_now(&self) -> Result<(), Stop> {
        self.last.checked.set(Instant::now());
        transaction::as_self(|| transaction::on_latest_snapshot(|| self.check(false)))
    }

    /// Checks that the job is still allowed, by the permission with which it began. In a transaction.
    fn check_permission(&self) -> Result<(), Stop> {
        self.check_rights()?;
        let now = self.read_permission()?;
        if now == *self.permission.borrow() { Ok(()) } else { Err(Stop::PermissionChanged) }
    }

    fn read_permission(&self) -> Result<String, Stop> {
        self.kind.permission(self.role, &self.parameters)
    }

    /// Checks that the role that submitted the job has the right that its kind needs. In a transaction.
    pub(super) fn check_rights(&self) -> Result<(), Stop> {
        let rights = statement::read(
            "SELECT lumina_internal.rights($1, $2)::text[],
                EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = $1)",
            &[self.role.into(), self.catalog.into()],
            |row| (row.get::<Vec<String>>(1).unwrap_or_default(), row.known::<bool>(2)),
        );
        let (rights, owner_exists) = rights.into_iter().next().unwrap_or_default();
        match kind::refusal(self.kind, &self.owner, owner_exists, &rights) {
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
            if !statement::execute(lock_catalog, &[self.catalog.into()]) {
                return Err(Stop::LostClaim);
            }
            // No other worker gets the job before this transaction has ended.
            if !store::lock(self.id, self.token) {
                return Err(Stop::LostClaim);
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
        let tables =
            if wait { lock_tables(&TABLES, true, TABLE_LOCK_TIMEOUT) } else { try_lock_tables(&STATE_TABLES, false) };
        match tables {
            TableLock::Locked if wait => transaction::refresh_snapshot(), // others may have committed meanwhile
            TableLock::Locked => (),
            TableLock::Busy => return Ok(()),
            TableLock::Missing => return Err(Stop::LostClaim),
        }
        self.check_wanted()
    }

    fn check_wanted(&self) -> Result<(), Stop> {
        let wanted = statement::read(
            "SELECT pg_catalog.convert_to(c.requested_by, 'UTF8'), EXISTS (SELECT FROM lumina.workers_stopped)
                FROM lumina.jobs j LEFT JOIN lumina.job_cancellations c ON c.job = j.id
                WHERE j.id = $1 AND j.token = $2 AND j.state = 'running'",
            &[self.id.into(), self.token.into()],
            |row| (row.utf8(1), row.known::<bool>(2)),
        );
        match wanted.into_iter().next() {
            None => Err(Stop::LostClaim),
            Some((Some(role), _)) => Err(Stop::Cancelled(format!("by \"{role}\""))),
            Some((None, true)) => Err(Stop::Stopped),
            Some((None, false)) => Ok(()),
        }
    }

    /// The last transaction: `work` writes the results and returns the value of `jobs.result`; then the job has
    /// succeeded. The catalog is locked first, so that nothing that affects results changes meanwhile.
    pub(super) fn finish(&self, work: impl FnMut() -> Result<Value, Stop>) -> Result<(), Stop> {
        self.finish_with(store::succeed, work)
    }

    /// The last transaction of a preview, which then waits for approval.
    pub(super) fn finish_preview(&self, work: impl FnMut() -> Result<Value, Stop>) -> Result<(), Stop> {
        self.finish_with(store::make_ready, work)
    }

    fn finish_with(
        &self,
        end: fn(i64, Uuid, Value),
        mut work: impl FnMut() -> Result<Value, Stop>,
    ) -> Result<(), Stop> {
        self.write_with("SELECT FROM lumina.catalogs WHERE id = $1 FOR NO KEY UPDATE", || {
            let result = work()?;
            // Once more: a job that is cancelled until this moment must not succeed.
            self.check_cancelled_now()?;
            end(self.id, self.token, result);
            Ok(())
        })
    }

    /// Writes why the job has ended. Returns whether it could.
    pub(super) fn end(&self, stop: &Stop) -> bool {
        match stop {
            Stop::LostClaim | Stop::PermissionChanged => true, // the second never leaves `run`
            Stop::Stopped => commits(requeue_current_job),
            Stop::Cancelled(by) => self.write_end(|| store::cancel(self.id, by)),
            Stop::Failed(failure) => self.write_end(|| store::fail(self.id, failure)),
        }
    }

    /// Runs `end` in a transaction, under the job's token. Returns whether it has committed.
    fn write_end(&self, end: impl Fn()) -> bool {
        commits(|| {
            if lock_tables(&TABLES, true, TABLE_LOCK_TIMEOUT) == TableLock::Locked && store::lock(self.id, self.token) {
                // A job that has ended shows all that it has committed.
                if let Some(progress) = self.last.unreported.get() {
                    store::report_progress(self.id, self.token, &progress);
                }
                end();
            }
        })
    }
}

/// Runs `work` in a transaction. Returns whether it has committed.
fn commits(work: impl FnOnce()) -> bool {
    let once = || {
        work();
        Ok::<_, Stop>(())
    };
    matches!(attempt(|| transaction::run(once)), Ok(Ok(())))
}

thread_local! {
    /// The id and the token of the job that this worker runs.
    static CURRENT_JOB: Cell<Option<(i64, Uuid)>> = const { Cell::new(None) };
}

/// Sets the job that [`requeue_current_job`] requeues.
pub(super) fn set_current_job(job: Option<&Job>) {
    CURRENT_JOB.set(job.map(|job| (job.id, job.token)));
}

/// Requeues the job of this worker when the worker is told to end: this is no failure of the job. Never waits for a
/// lock: a job that cannot be written is left an orphan. In a transaction.
pub(super) fn requeue_current_job() {
    // `CURRENT_JOB` stays set: told to end in the middle of this, the worker tries once more at exit.
    if let Some((id, token)) = CURRENT_JOB.get()
        && try_lock_tables(&TABLES, true) == TableLock::Locked
    {
        store::requeue(id, token);
    }
}
