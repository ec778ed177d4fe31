//! Background workers: how they are started, what they set up, how they wait and end.
//!
//! Sessions and the launcher start them; the entry points of `src/jobs` and `src/gpu` call the rest. Invariant: signals
//! are handled by Postgres's own handlers, and a worker that is told to end requeues its job before it releases locks.

use crate::pg::backend::latch::pause;
use crate::pg::version::{backend_entry, set_newer_timeouts, set_signal_handler};
use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys::{self, BackgroundWorker, BgWorkerStartTime, Datum, GucContext, GucSource, Oid};
use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

unsafe extern "C-unwind" {
    // Without guards: they run as signal handlers.
    fn die(signal: c_int);
    fn StatementCancelHandler(signal: c_int);
    fn SignalHandlerForConfigReload(signal: c_int);
}

/// The `backend_type` of workers in pg_stat_activity.
pub(crate) const WORKER: &CStr = c"lumina worker";
/// That of the launcher.
pub(crate) const LAUNCHER: &CStr = c"lumina launcher";
/// That of the worker of the GPU process.
const GPU: &CStr = c"lumina gpu";

fn described(kind: &CStr, name: &str, function: &CStr) -> BackgroundWorker {
    let mut worker = BackgroundWorker::default();
    copy(kind.to_bytes(), &mut worker.bgw_type);
    copy(name.as_bytes(), &mut worker.bgw_name);
    copy(b"lumina", &mut worker.bgw_library_name);
    copy(function.to_bytes(), &mut worker.bgw_function_name);
    worker.bgw_flags = (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION) as c_int;
    worker.bgw_start_time = BgWorkerStartTime::BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = pg_sys::BGW_NEVER_RESTART;
    worker
}

/// Copies a text into a field that ends it by a zero.
fn copy(text: &[u8], field: &mut [c_char]) {
    let last = field.len() - 1;
    for (to, from) in field[..last].iter_mut().zip(text) {
        *to = *from as c_char;
    }
}

/// A worker of a database, which first waits for a transaction to end (0: for none).
fn job_worker(database: Oid, transaction: u32) -> BackgroundWorker {
    let mut worker = described(WORKER, &format!("lumina worker of database {}", database.to_u32()), c"lumina_worker");
    worker.bgw_main_arg = Datum::from(database);
    copy_number(transaction, &mut worker.bgw_extra);
    worker
}

/// Starts a worker in a database, which first waits for a transaction to end (0: for none). Whether a slot was free.
/// Allocates nothing of Postgres's.
pub(crate) fn start_worker(database: Oid, transaction: u32) -> bool {
    let mut worker = job_worker(database, transaction);
    // SAFETY: a complete description, which Postgres copies; the handle is not asked for.
    unsafe { pg_sys::RegisterDynamicBackgroundWorker(&raw mut worker, std::ptr::null_mut()) }
}

/// [`start_worker`], of which the end can be detected for the life of the session. `None` where no slot is free.
pub(crate) fn request_worker(database: Oid, transaction: u32) -> Option<RequestedWorker> {
    let mut worker = job_worker(database, transaction);
    let mut handle = std::ptr::null_mut();
    // SAFETY: a complete description, which Postgres copies; it allocates the handle in the current memory context.
    let started = unsafe {
        PgMemoryContexts::TopMemoryContext
            .switch_to(|_| pg_sys::RegisterDynamicBackgroundWorker(&raw mut worker, &raw mut handle))
    };
    started.then_some(RequestedWorker(handle))
}

/// A requested worker, whose end can be detected.
pub(crate) struct RequestedWorker(*mut pg_sys::BackgroundWorkerHandle);

/// Starts the worker of the GPU process, on a standby as well. `None` where no slot is free. This process is woken when
/// it starts, and when it ends.
pub(crate) fn start_gpu_worker() -> Option<RequestedWorker> {
    let mut worker = described(GPU, "lumina gpu", c"lumina_gpu");
    worker.bgw_start_time = BgWorkerStartTime::BgWorkerStart_ConsistentState;
    let mut handle = std::ptr::null_mut();
    // SAFETY: a complete description, which Postgres copies; it allocates the handle in the current memory context,
    // which lives as long as the statement.
    unsafe {
        worker.bgw_notify_pid = (&raw const pg_sys::MyProcPid).read();
        pg_sys::RegisterDynamicBackgroundWorker(&raw mut worker, &raw mut handle).then_some(RequestedWorker(handle))
    }
}

impl RequestedWorker {
    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        let mut pid = 0;
        // SAFETY: the handle is one of this statement's, or of the session's.
        let status = unsafe { pg_sys::GetBackgroundWorkerPid(self.0, &raw mut pid) };
        status == pg_sys::BgwHandleStatus::BGWH_STOPPED
    }

    pub(crate) fn free(self) {
        // SAFETY: the handle is used no more.
        unsafe { pg_sys::pfree(self.0.cast()) };
    }
}

/// The number of background worker slots of the server: `max_worker_processes`.
pub(crate) fn max_worker_processes() -> i32 {
    // SAFETY: a plain read of what is set when the server starts.
    unsafe { (&raw const pg_sys::max_worker_processes).read() }
}

fn copy_number(number: u32, field: &mut [c_char]) {
    for (to, from) in field.iter_mut().zip(number.to_ne_bytes()) {
        *to = from as c_char;
    }
}

/// The transaction that this worker was told to wait for.
pub(crate) fn transaction_to_await() -> u32 {
    // SAFETY: set in a background worker, for its life.
    let extra = unsafe { (*pg_sys::MyBgworkerEntry).bgw_extra };
    u32::from_ne_bytes([extra[0] as u8, extra[1] as u8, extra[2] as u8, extra[3] as u8])
}

/// Registers the launcher, where the postmaster preloads the library. The launcher is restarted when it dies.
pub(crate) fn register_launcher() {
    // SAFETY: plain reads and a call that Postgres allows while it preloads libraries alone.
    unsafe {
        if (&raw const pg_sys::process_shared_preload_libraries_in_progress).read() && !pg_sys::IsBinaryUpgrade {
            let mut launcher = described(LAUNCHER, "lumina launcher", c"lumina_launcher");
            launcher.bgw_restart_time = 1;
            pg_sys::RegisterBackgroundWorker(&raw mut launcher);
        }
    }
}

/// Sets up this process as a background worker in a database, or in none. It then ends at the first interrupt check
/// after SIGTERM, and SIGINT cancels what it does.
pub(crate) fn set_up(database: Oid) {
    // SAFETY: called once, first thing in a background worker; the handlers are Postgres's own.
    unsafe {
        set_signal_handler(libc::SIGTERM, Some(die));
        set_signal_handler(libc::SIGINT, Some(StatementCancelHandler));
        set_signal_handler(libc::SIGHUP, Some(SignalHandlerForConfigReload));
        pg_sys::BackgroundWorkerUnblockSignals();
        // Before a preset of the database arms it: that is applied in a transaction, which it may end.
        set_newer_timeouts(|name, value| set_from(name, value, GucSource::PGC_S_OVERRIDE));
        pg_sys::BackgroundWorkerInitializeConnectionByOid(database, Oid::INVALID, 0);
    }
}

/// Sets a setting of this session, as the superuser.
pub(crate) fn set(name: &CStr, value: &str) {
    set_from(name, value, GucSource::PGC_S_SESSION);
}

/// Sets a setting of this session, as the superuser: what comes from a lesser source does not change it any more.
fn set_from(name: &CStr, value: &str, source: GucSource::Type) {
    let value = CString::new(value).unwrap_or_default(); // values of ours hold no zero byte
    // SAFETY: Postgres copies both.
    unsafe { pg_sys::SetConfigOption(name.as_ptr(), value.as_ptr(), GucContext::PGC_SUSET, source) };
}

/// Makes this session's commits durable, at least here: on the standbys as well, where the server asks for that.
pub(crate) fn commit_durably() {
    // SAFETY: a plain read of a setting.
    let level = unsafe { (&raw const pg_sys::synchronous_commit).read() };
    let strictest = level == pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_REMOTE_APPLY as c_int;
    set(c"synchronous_commit", if strictest { "remote_apply" } else { "on" });
}

/// Sleeps until the latch is set, but no longer than `at_most`; ends the process when the postmaster dies. Checks for
/// interrupts, and reloads the configuration when told to. Returns whether the latch was set.
pub(crate) fn sleep(at_most: Duration) -> bool {
    let woken = pause(at_most);
    reload();
    woken
}

/// Reloads the configuration, if a SIGHUP asked for it.
pub(crate) fn reload() {
    // SAFETY: the flag is set by the signal handler; a plain call.
    unsafe {
        if (&raw const pg_sys::ConfigReloadPending).read_volatile() != 0 {
            (&raw mut pg_sys::ConfigReloadPending).write_volatile(0);
            pg_sys::ProcessConfigFile(GucContext::PGC_SIGHUP);
        }
    }
}

/// Shows in pg_stat_activity what this process does; `None` for nothing.
pub(crate) fn report_activity(activity: Option<&str>) {
    let text = activity.map(|text| CString::new(text).unwrap_or_default());
    // SAFETY: Postgres copies the text.
    unsafe {
        match &text {
            Some(text) => pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, text.as_ptr()),
            None => pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null()),
        }
    }
}

/// The workers of one kind: of one database, or of any.
pub(crate) fn processes(kind: &CStr, of: Option<Oid>) -> Vec<i32> {
    let mut found = Vec::new();
    // SAFETY: Postgres keeps a local copy of the list until it is told to forget it; entries are read while it is
    // there.
    unsafe {
        pg_sys::pgstat_clear_backend_activity_snapshot();
        for number in 1..=pg_sys::pgstat_fetch_stat_numbackends() {
            let entry = backend_entry(number);
            if entry.is_null() || (*entry).st_backendType != pg_sys::BackendType::B_BG_WORKER {
                continue;
            }
            let pid = (*entry).st_procpid;
            let name = pg_sys::GetBackgroundWorkerTypeByPid(pid);
            let wanted = of.is_none_or(|database| (*entry).st_databaseid == database);
            if wanted && !name.is_null() && CStr::from_ptr(name) == kind {
                found.push(pid);
            }
        }
        pg_sys::pgstat_clear_backend_activity_snapshot();
    }
    found
}

/// Sends a signal to a process of this server; nothing happens where it is gone.
pub(crate) fn signal(pid: i32, signal: c_int) {
    // SAFETY: the process is looked up among those of this server first.
    unsafe {
        if !pg_sys::BackendPidGetProc(pid).is_null() {
            libc::kill(pid, signal);
        }
    }
}

static LAUNCHER_PID: AtomicI32 = AtomicI32::new(0);
static BUSY: AtomicBool = AtomicBool::new(false);

/// Sets whether this worker has a job.
pub(crate) fn set_busy(busy: bool) {
    BUSY.store(busy, Ordering::Release);
}

thread_local! {
    static REQUEUE: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// Registers `requeue`, which runs, in a transaction, should this process be told to end while it has a job; then the
/// launcher is woken, if there is one. An error in it ends the process a little sooner. Called once, in a transaction.
pub(crate) fn requeue_at_exit(requeue: fn()) {
    REQUEUE.set(Some(requeue));
    LAUNCHER_PID.store(processes(LAUNCHER, None).first().copied().unwrap_or_default(), Ordering::Release);
    // SAFETY: the first is called before Postgres gives up this session's transaction and locks, as its own clean-up of
    // temporary tables is; the second afterwards, and before this process is taken off the list of all.
    unsafe {
        pg_sys::before_shmem_exit(Some(requeue_job), Datum::null());
        pg_sys::on_shmem_exit(Some(wake_launcher), Datum::null());
    }
}

/// # Safety
/// Called by Postgres while the process exits.
unsafe extern "C-unwind" fn requeue_job(_code: c_int, _argument: Datum) {
    let act = || {
        if let Some(requeue) = REQUEUE.take()
            && BUSY.load(Ordering::Acquire)
        {
            // SAFETY: as Postgres does it for its own: whatever transaction there was ends, and one of ours begins.
            unsafe {
                pg_sys::AbortOutOfAnyTransaction();
                pg_sys::StartTransactionCommand();
                pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
                requeue();
                pg_sys::PopActiveSnapshot();
                pg_sys::CommitTransactionCommand();
            }
        }
    };
    // SAFETY: the closure owns nothing that an error would leave behind.
    unsafe { pg_sys::panic::pgrx_extern_c_guard(act) };
}

/// # Safety
/// Called by Postgres while the process exits: it must not raise.
unsafe extern "C-unwind" fn wake_launcher(_code: c_int, _argument: Datum) {
    let launcher = LAUNCHER_PID.load(Ordering::Acquire);
    if BUSY.load(Ordering::Acquire) && launcher != 0 {
        // SIGUSR1 wakes every process of Postgres, and means nothing by itself.
        signal(launcher, libc::SIGUSR1);
    }
}

/// Clears a pending cancel that was meant for what is done.
pub(crate) fn clear_pending_cancel() {
    // SAFETY: a plain write, which the signal handler may do at the same moment: then it is meant for what comes next.
    unsafe { (&raw mut pg_sys::QueryCancelPending).write_volatile(0) };
}
