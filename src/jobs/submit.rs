//! What SQL needs of this library when it submits, shows, resumes and stops jobs: the functions behind `sql/jobs.sql`.

use super::kinds;
use crate::guc;
use crate::pg::background::start_worker;
use crate::pg::call::function;
use crate::pg::datum::Varlena;
use crate::pg::home::Home;
use crate::pg::jsonb::jsonb;
use crate::pg::lock::{Lock, database};
use crate::pg::report::{say, say_with_hint};
use crate::pg::transaction::{at_abort, before_commit, in_block, top_number};
use pgrx::PgLogLevel;
use pgrx::pg_sys::{Datum, Oid};
use serde_json::{Map, Value};
use std::ffi::CString;

function! {
    /// `is_job_kind(text)`.
    is_job_kind, pg_finfo_is_job_kind,
    now: |_| None::<Datum>,
    guarded: |arguments: Arguments| Datum::from(kind(arguments.bytes(0)).is_some()),
}

function! {
    /// `_job_right(text)`: the right that whoever submits a job of this kind needs.
    job_right, pg_finfo_job_right,
    now: |_| None::<Datum>,
    guarded: |arguments: Arguments| {
        let right = kind(arguments.bytes(0)).map_or("own", |kind| kind.right());
        Varlena::new(&[right.as_bytes()]).into_datum()
    },
}

fn kind(name: &[u8]) -> Option<&'static dyn kinds::Kind> {
    std::str::from_utf8(name).ok().and_then(kinds::named)
}

function! {
    /// `library_version()`.
    library_version, pg_finfo_library_version,
    now: |_| None::<Datum>,
    guarded: |_| Varlena::new(&[env!("CARGO_PKG_VERSION").as_bytes()]).into_datum(),
}

function! {
    /// `_home()`: what tells this database of this cluster from every copy of it.
    job_home, pg_finfo_job_home,
    now: |_| None::<Datum>,
    guarded: |arguments: Arguments| {
        let home = Home::here();
        let columns = [
            Some(Datum::from(home.system)),
            Some(Datum::from(home.database)),
            home.timeline.map(Datum::from),
            Some(Varlena::new(&[home.directory.as_bytes()]).into_datum()),
        ];
        arguments.record(columns)
    },
}

function! {
    /// `_job_settings()`: the settings of this session, each within its limit, that a job is to run with.
    job_settings, pg_finfo_job_settings,
    now: |_| None::<Datum>,
    guarded: |_| {
        let values = [
            guc::search_threads(),
            guc::search_memory().value / 1024,
            guc::max_pairs().value,
            guc::import_threads(),
            guc::import_memory().value / 1024,
            guc::max_image_pixels().value,
        ];
        let pairs = guc::JOB_SETTINGS.iter().zip(values).map(|((name, _), value)| ((*name).to_owned(), value.into()));
        jsonb(&Value::Object(pairs.collect::<Map<_, _>>()))
    },
}

function! {
    /// `_job_alive(regclass, bigint)`: whether a worker holds the lock of a job.
    job_alive, pg_finfo_job_alive,
    now: |_| None::<Datum>,
    guarded: |arguments: Arguments| {
        let table = Oid::from(arguments.int4(0) as u32);
        Datum::from(Lock::job(table, arguments.int8(1)).is_held())
    },
}

function! {
    /// `_start_worker_at_commit(bigint, bool)`: starts a worker when this transaction commits; says so, in a transaction block, of
    /// a job that was submitted. Given NULL it is for a job that was there before, and starts a worker at ROLLBACK as well: one
    /// may have passed by what this transaction had locked. Where no worker can be had it warns, unless it is to be quiet.
    start_worker_at_commit, pg_finfo_start_worker_at_commit,
    now: |_| None::<Datum>,
    guarded: |arguments: Arguments| {
        before_commit(if arguments.nullable().bool(1) { start_at_abort } else { start_at_commit });
        match arguments.nullable().int8(0) {
            Some(job) if in_block() => say(PgLogLevel::NOTICE, &format!("job {job} starts at COMMIT")),
            Some(_) => (),
            None => at_abort(start_at_abort),
        }
        Datum::null()
    },
}

/// A worker may have passed by what this transaction had locked; where none can be had, nothing is lost.
fn start_at_abort() {
    start_worker(database(), 0);
}

fn start_at_commit() {
    if !start_worker(database(), top_number()) {
        say_with_hint(
            PgLogLevel::WARNING,
            "no background worker is free: the job stays queued",
            "SELECT lumina.resume_jobs() starts it once one is free, and so does the next job; max_worker_processes says how many there are.",
        );
    }
}

function! {
    /// `_notify_at_commit(text)`.
    notify_at_commit, pg_finfo_notify_at_commit,
    now: |_| None::<Datum>,
    guarded: |arguments: Arguments| {
        // A text of Postgres holds no zero byte.
        crate::pg::transaction::notify_at_commit(CString::new(arguments.bytes(0)).unwrap_or_default());
        Datum::null()
    },
}

function! {
    /// `_start_worker_now()`: for jobs that are there already, whatever becomes of this transaction.
    start_worker_now, pg_finfo_start_worker_now,
    now: |_| None::<Datum>,
    guarded: |_| Datum::from(start_worker(database(), 0)),
}
