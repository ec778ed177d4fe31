//! Background workers: how they are started, what they set up, how they wait and end.

use crate::pg::lock::database;
use crate::pg::version::{backend_entry, set_signal_handler};
use pgrx::pg_sys::{self, BackgroundWorker, BgWorkerStartTime, Datum, GucContext, GucSource, Oid};
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

unsafe extern "C-unwind" {
    // Without guards: they run as signal handlers.
    fn die(signal: c_int);
    fn StatementCancelHandler(signal: c_int);
    fn SignalHandlerForConfigReload(signal: c_int);
}

/// As what workers show in pg_stat_activity.
pub(crate) const WORKER: &CStr = c"lumina worker";
/// As what the launcher does.
pub(crate) const LAUNCHER: &CStr = c"lumina launcher";

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

/// Asks for a worker in a database, which first waits for a transaction to end (0: for none). Whether there was a place.
pub(crate) fn start_worker(database: Oid, transaction: u32) -> bool {
    let mut worker = described(WORKER, &format!("lumina worker of database {}", database.to_u32()), c"lumina_worker");
    worker.bgw_main_arg = Datum::from(database);
    copy_number(transaction, &mut worker.bgw_extra);
    // SAFETY: a complete description, which Postgres copies; the handle is not asked for.
    unsafe { pg_sys::RegisterDynamicBackgroundWorker(&raw mut worker, std::ptr::null_mut()) }
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

/// Has the postmaster start the launcher, where the library is loaded by it. The launcher comes back when it dies.
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

/// Sets up this process as a background worker in a database, or in none. It then ends at the first look for interrupts
/// after SIGTERM, and SIGINT cancels what it does: the default handlers would leave both until it asks.
pub(crate) fn set_up(database: Oid) {
    // SAFETY: called once, first thing in a background worker; the handlers are Postgres's own.
    unsafe {
        set_signal_handler(libc::SIGTERM, Some(die));
        set_signal_handler(libc::SIGINT, Some(StatementCancelHandler));
        set_signal_handler(libc::SIGHUP, Some(SignalHandlerForConfigReload));
        pg_sys::BackgroundWorkerUnblockSignals();
        pg_sys::BackgroundWorkerInitializeConnectionByOid(database, Oid::INVALID, 0);
    }
}

/// Sets a setting of this session, as the superuser.
pub(crate) fn set(name: &CStr, value: &str) {
    let value = CString::new(value).unwrap_or_default(); // values of ours hold no zero byte
    let (context, source) = (GucContext::PGC_SUSET, GucSource::PGC_S_SESSION);
    // SAFETY: Postgres copies both.
    unsafe { pg_sys::SetConfigOption(name.as_ptr(), value.as_ptr(), context, source) };
}

/// Whether transactions of this session may be lost although they were committed, or are on this server alone where others
/// are to have them.
pub(crate) fn commits_lazily() -> bool {
    // SAFETY: a plain read of a setting.
    let level = unsafe { (&raw const pg_sys::synchronous_commit).read() };
    level < pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_REMOTE_FLUSH as c_int
}

/// Sleeps until the latch is set, but no longer than `at_most`; ends the process when the postmaster dies. Looks for
/// interrupts, and reads the configuration anew when told to. Whether the latch was set.
pub(crate) fn sleep(at_most: Duration) -> bool {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: plain calls; the latch is this process's own.
    let happened = unsafe {
        let milliseconds = at_most.as_millis().min(i32::MAX as u128) as i64;
        let happened = pg_sys::WaitLatch(pg_sys::MyLatch, events as c_int, milliseconds, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
        happened
    };
    pgrx::check_for_interrupts!();
    reload();
    happened as u32 & pg_sys::WL_LATCH_SET != 0
}

/// Reads the configuration anew, if a SIGHUP asked for it.
pub(crate) fn reload() {
    // SAFETY: the flag is set by the signal handler; a plain call.
    unsafe {
        if (&raw const pg_sys::ConfigReloadPending).read_volatile() != 0 {
            (&raw mut pg_sys::ConfigReloadPending).write_volatile(0);
            pg_sys::ProcessConfigFile(GucContext::PGC_SIGHUP);
        }
    }
}

/// Says in pg_stat_activity what this process does; `None` for nothing.
pub(crate) fn report(activity: Option<&str>) {
    let text = activity.map(|text| CString::new(text).unwrap_or_default());
    // SAFETY: Postgres copies the text.
    unsafe {
        match &text {
            Some(text) => pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, text.as_ptr()),
            None => pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null()),
        }
    }
}

/// The processes of one kind: of this database, or of any.
pub(crate) fn processes(kind: &CStr, of_this_database: bool) -> Vec<i32> {
    let mut found = Vec::new();
    // SAFETY: Postgres keeps a local copy of the list until the transaction ends; entries are read while it is there.
    unsafe {
        pg_sys::pgstat_clear_backend_activity_snapshot();
        for number in 1..=pg_sys::pgstat_fetch_stat_numbackends() {
            let entry = backend_entry(number);
            if entry.is_null() || (*entry).st_backendType != pg_sys::BackendType::B_BG_WORKER {
                continue;
            }
            let pid = (*entry).st_procpid;
            let name = pg_sys::GetBackgroundWorkerTypeByPid(pid);
            let ours = !of_this_database || (*entry).st_databaseid == database();
            if ours && !name.is_null() && CStr::from_ptr(name) == kind {
                found.push(pid);
            }
        }
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

/// Tells whether this worker has a job. Should it die with one, the launcher, if there is one, is woken to find it.
pub(crate) fn set_busy(busy: bool) {
    BUSY.store(busy, Ordering::Release);
}

/// Has the launcher woken when this process ends while it has a job. Called once.
pub(crate) fn wake_launcher_at_exit() {
    LAUNCHER_PID.store(processes(LAUNCHER, false).first().copied().unwrap_or_default(), Ordering::Release);
    // SAFETY: called after the session's own locks are released, and before this process is taken off the list of all.
    unsafe { pg_sys::on_shmem_exit(Some(wake_launcher), Datum::null()) };
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
