//! The functions behind `sql/catalog/jobs.sql`, which submits, shows, resumes and stops jobs.

use super::job::Work;
use super::kinds;
use super::start::{self, Start};
use crate::guc;
use crate::pg::backend::lock::Lock;
use crate::pg::backend::report::ereport;
use crate::pg::fmgr::call::function;
use crate::pg::fmgr::datum::Varlena;
use crate::pg::fmgr::jsonb::jsonb;
use crate::pg::worker::home::Home;
use crate::pg::worker::transaction::in_block;
use pgrx::PgLogLevel;
use pgrx::pg_sys::{Datum, Oid};
use serde_json::{Map, Value};
use std::ffi::CString;

function! {
    /// `is_job_kind(text)`.
    is_job_kind, pg_finfo_is_job_kind,
    guarded: |arguments: Arguments| Datum::from(kind(arguments.bytes(0)).is_some()),
}

function! {
    /// `lumina_internal.job_right(text)`: the right that the submitter of a job of this kind needs.
    job_right, pg_finfo_job_right,
    guarded: |arguments: Arguments| {
        let right = kind(arguments.bytes(0)).map_or("own", |kind| kind.right());
        Varlena::new(&[right.as_bytes()]).into_datum()
    },
}

fn kind(name: &[u8]) -> Option<&'static dyn Work> {
    std::str::from_utf8(name).ok().and_then(kinds::named)
}

function! {
    /// `library_version()`.
    library_version, pg_finfo_library_version,
    guarded: |_| Varlena::new(&[env!("CARGO_PKG_VERSION").as_bytes()]).into_datum(),
}

function! {
    /// `lumina_internal.home()`: what identifies this database of this cluster among its copies.
    job_home, pg_finfo_job_home,
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
    /// `lumina_internal.job_settings()`: the settings of this session that a job is to run with, each within its limit.
    job_settings, pg_finfo_job_settings,
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
        let device = (guc::JOB_DEVICE.0.to_owned(), guc::device().name().into());
        jsonb(&Value::Object(pairs.chain([device]).collect::<Map<_, _>>()))
    },
}

function! {
    /// `lumina_internal.job_alive(regclass, bigint)`: whether a worker holds the lock of a job.
    job_alive, pg_finfo_job_alive,
    guarded: |arguments: Arguments| {
        let table = Oid::from(arguments.int4(0) as u32);
        Datum::from(Lock::job(table, arguments.int8(1)).is_held())
    },
}

function! {
    /// `lumina_internal.start_worker_at_commit(bigint)`: starts a worker when this transaction commits, for a job that
    /// it has queued; reports that in a transaction block.
    start_worker_at_commit, pg_finfo_start_worker_at_commit,
    guarded: |arguments: Arguments| {
        start::at_commit();
        if in_block() {
            ereport(PgLogLevel::NOTICE, &format!("job {} starts at COMMIT", arguments.int8(0)));
        }
        Datum::null()
    },
}

function! {
    /// `lumina_internal.start_workers_at_end(integer, bool)`: starts that many workers, or as many as can run, when
    /// this transaction ends: for jobs that were queued before.
    start_workers_at_end, pg_finfo_start_workers_at_end,
    guarded: |arguments: Arguments| {
        start::at_end(u32::try_from(arguments.int4(0)).unwrap_or_default(), arguments.bool(1));
        Datum::null()
    },
}

function! {
    /// `lumina_internal.notify_at_commit(text)`.
    notify_at_commit, pg_finfo_notify_at_commit,
    guarded: |arguments: Arguments| {
        // A text of Postgres holds no zero byte.
        crate::pg::worker::transaction::notify_at_commit(CString::new(arguments.bytes(0)).unwrap_or_default());
        Datum::null()
    },
}

function! {
    /// `lumina_internal.start_worker_now()`: for a job that waits already, even where this transaction is rolled back.
    start_worker_now, pg_finfo_start_worker_now,
    guarded: |_| {
        if start::now_as_side_effect() == Some(Start::NoSlot) {
            start::warn("the job that is active stays queued");
        }
        Datum::null()
    },
}
