//! The process that runs jobs: started for a database when a transaction that submitted one commits, by the launcher,
//! and by every function that may leave a job to do (`run_import`, `resume_jobs`, `wait_for_job`, `adopt_catalog`,
//! `cancel_job`). It runs jobs, one after the other, until there is none left, and ends.

use super::claim;
use super::job::{Job, TABLES, requeue_current_job, set_current_job};
use super::stop::Stop;
use crate::guc;
use crate::pg::backend::lock::{self, Attempt, Lock};
use crate::pg::backend::report::ereport;
use crate::pg::spi::statement;
use crate::pg::worker::background::{self, set, set_busy, sleep};
use crate::pg::worker::settings::ServerSettings;
use crate::pg::worker::transaction::{self, Caught, TableLock, attempt, try_lock_tables};
use pgrx::PgLogLevel;
use pgrx::pg_sys::{Datum, Oid};
use std::ffi::CStr;
use std::time::{Duration, Instant};

/// How often a worker tries to write that its job has failed: the disk may be full.
const TRIES: u32 = 10;

/// How often a worker tries to claim jobs that others have locked, before it leaves them to the next worker.
const IDLE_ROUNDS: u32 = 10;

/// The worker's entry point. `argument` is the database's OID.
#[allow(unsafe_code, reason = "Postgres finds it by its name")]
#[pgrx::pg_guard]
#[unsafe(no_mangle)]
extern "C-unwind" fn lumina_worker(argument: Datum) {
    let server = ServerSettings::read();
    background::set_up(Oid::from(argument.value() as u32));
    server.put_back(&KEPT);
    pin_settings();
    if let Err(caught) = work() {
        ereport(PgLogLevel::WARNING, &format!("lumina: a worker ends: {}", caught.message));
    }
}

/// The user settings that a database may preset for jobs as for its sessions.
const KEPT: [&CStr; 1] = [c"synchronous_commit"];

/// Sets a worker's own settings, whatever those of the server and the database are.
fn pin_settings() {
    for (name, value) in [
        (c"exit_on_error", "off"),
        (c"search_path", "pg_catalog, pg_temp"),
        (c"default_transaction_isolation", "read committed"),
        (c"default_transaction_read_only", "off"),
        (c"default_transaction_deferrable", "off"),
        (c"statement_timeout", "0"),
        (c"lock_timeout", "0"),
        (c"idle_in_transaction_session_timeout", "0"),
        (c"row_security", "on"),
        (c"session_replication_role", "origin"),
        (c"max_parallel_workers_per_gather", "0"),
        (c"jit", "off"),
        (c"DateStyle", "ISO, YMD"),
        (c"IntervalStyle", "postgres"),
        (c"bytea_output", "hex"),
        (c"TimeZone", "UTC"),
        // How statements and their texts are parsed; PL/pgSQL reads its settings when a function is first called.
        (c"standard_conforming_strings", "on"),
        (c"transform_null_equals", "off"),
        (c"array_nulls", "on"),
        (c"xmloption", "content"),
        (c"plpgsql.variable_conflict", "error"),
        (c"plpgsql.extra_errors", "none"),
        (c"plpgsql.extra_warnings", "none"),
    ] {
        set(name, value);
    }
    background::commit_durably();
}

fn work() -> Result<(), Caught> {
    let submitted = background::transaction_to_await();
    attempt(|| {
        transaction::run(|| {
            background::requeue_at_exit(requeue_current_job);
            transaction::wait_for_xid(submitted);
            Ok::<_, Caught>(())
        })
    })??;
    // A worker that finds all places taken may end: their holders look for jobs again after releasing them.
    let (mut idle_rounds, mut tried) = (0, Vec::new());
    loop {
        let jobs = claim::jobs()?;
        // Others have locked the rows of all jobs: they are left to the next worker. New jobs are tried once.
        let is_idle = idle_rounds >= IDLE_ROUNDS && jobs.iter().all(|job| tried.contains(job));
        if jobs.is_empty() || is_idle || !take_place() {
            break;
        }
        tried = jobs;
        background::clear_pending_cancel();
        let claimed = claim::claim()?;
        match &claimed {
            Some(job) => {
                set_current_job(Some(job));
                set_busy(true);
                let ran = attempt(|| run(job));
                set_busy(false);
                set_current_job(None);
                background::report_activity(None);
                ran?;
                idle_rounds = 0;
            }
            None => idle_rounds += 1,
        }
        lock::release_all();
        if claimed.is_none() && idle_rounds < IDLE_ROUNDS {
            attempt(|| sleep(Duration::from_millis(100)))?;
        }
    }
    remove_expired()
}

/// Takes a place among the workers of this database, until all locks are released.
fn take_place() -> bool {
    (0..guc::max_job_workers()).any(|place| Lock::worker(place).try_for_session() == Attempt::Taken)
}

/// Runs a job to its end. The caller releases its lock.
fn run(job: &Job) {
    let (began, kind) = (Instant::now(), job.kind.name());
    background::report_activity(Some(&format!("{kind} (job {})", job.id)));
    let stop = match attempt(|| job.run()) {
        Ok(Ok(())) => {
            let seconds = began.elapsed().as_secs_f64();
            ereport(PgLogLevel::LOG, &format!("lumina: job {} ({kind}) is done in {seconds:.3} s", job.id));
            return;
        }
        Ok(Err(stop)) => stop,
        Err(caught) => Stop::from(caught),
    };
    match &stop {
        Stop::Stopped => ereport(PgLogLevel::LOG, &format!("lumina: job {} ({kind}) waits for resume_jobs", job.id)),
        Stop::LostClaim | Stop::PermissionChanged => {
            ereport(PgLogLevel::LOG, &format!("lumina: job {} ({kind}) is gone", job.id))
        }
        Stop::Cancelled(by) => ereport(PgLogLevel::LOG, &format!("lumina: job {} ({kind}) was cancelled {by}", job.id)),
        Stop::Failed(why) => {
            let message = format!("lumina: job {} ({kind}) has failed: {}", job.id, why.message);
            ereport(PgLogLevel::WARNING, &message);
        }
    }
    for _ in 0..TRIES {
        if job.end(&stop) {
            return;
        }
        // A job whose end cannot be written is left an orphan, and is tried again.
        sleep(Duration::from_secs(1));
    }
}

/// Removes expired jobs.
fn remove_expired() -> Result<(), Caught> {
    attempt(|| {
        transaction::run(|| {
            if try_lock_tables(&TABLES, true) == TableLock::Locked && claim::is_of_one_version() {
                statement::execute("SELECT lumina_internal.remove_expired_jobs()", &[]);
            }
            Ok::<_, Caught>(())
        })
    })?
}
