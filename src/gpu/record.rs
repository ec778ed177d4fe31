//! What is known of the device: a small file below the data directory, which any server process may update and every
//! session reads before it connects to the GPU process. It is valid for one start of the server.
//!
//! A device that has failed [`FAILURES`] times within an hour is disabled until a superuser says otherwise.
//!
//! Readers see it whole: it is replaced, never changed. A lock serialises its writers. Where it cannot be read or
//! written (a full disk), nothing is known, and the next search tries the device.

use super::error::Unavailable;
use crate::pg::backend::report::ereport;
use crate::pg::backend::server::started;
use lumina_gpu::{GpuError, Info};
use pgrx::PgLogLevel;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Its directory, which base backups leave out. Every process of the server runs in the data directory.
const FOLDER: &str = "pg_stat_tmp";
/// The socket on which the process listens: its path must be short.
pub(crate) const SOCKET: &str = "pg_stat_tmp/lumina_gpu.socket";
const RECORD: &str = "pg_stat_tmp/lumina_gpu.json";
/// Held while the record is replaced.
const WRITER: &str = "pg_stat_tmp/lumina_gpu.json.lock";
/// Held by the session that has a worker started.
const STARTER: &str = "pg_stat_tmp/lumina_gpu.start.lock";
/// Held by the worker that runs the process.
const WORKER: &str = "pg_stat_tmp/lumina_gpu.lock";

/// A device that has failed this often within [`PERIOD`] seconds is disabled.
pub(super) const FAILURES: usize = 3;
const PERIOD: u64 = 3600;
/// For how many seconds a device whose memory is full is not tried again.
const FULL: u64 = 60;
/// The assumed rate of an unknown device, in pairs of hashes per second: that of a small one.
const USUAL_RATE: f64 = 1e12;
/// How long a writer of the record waits for another.
const WRITER_TIMEOUT: Duration = Duration::from_secs(1);

/// The record. Times are in seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct GpuRecord {
    /// The start of the server for which it is valid.
    server: i64,
    /// The times of the device's failures.
    failures: Vec<u64>,
    /// How often a process has failed before it could serve.
    pub(super) failed_starts: u64,
    /// The time and text of the last error.
    pub(super) last_error: Option<(u64, String)>,
    /// Why there is no usable device, and what to do about it.
    unusable: Option<(String, String)>,
    /// Until when the device counts as full.
    full_until: u64,
    /// The device that was found, and how many pairs of hashes it compares in a second.
    pub(super) device: Option<Known>,
}

/// A device that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) info: Info,
    /// Pairs of 256-bit hashes that it compares in a second.
    pub(super) rate: f64,
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GpuState {
    /// No session has tried.
    Unknown,
    /// It has worked.
    Usable,
    /// Its memory is full.
    Full,
    /// There is no driver or device that could be used.
    Unusable,
    /// It has failed too often.
    Disabled,
}

impl GpuRecord {
    /// The current record.
    pub(crate) fn read() -> Self {
        let server = started();
        let text = std::fs::read(RECORD).unwrap_or_default();
        let record = serde_json::from_slice::<Self>(&text).ok().filter(|record| record.server == server);
        record.unwrap_or(GpuRecord { server, ..GpuRecord::default() })
    }

    /// Replaces the record by what `change` makes of it. Errors: the system's; then it stays as it was.
    pub(super) fn update(change: impl FnOnce(&mut Self)) -> io::Result<()> {
        let lock = lock_file(WRITER)?;
        let began = Instant::now();
        while let Err(error) = lock.try_lock() {
            match error {
                TryLockError::WouldBlock if began.elapsed() < WRITER_TIMEOUT => {
                    std::thread::sleep(Duration::from_millis(1))
                }
                error => return Err(error.into()),
            }
        }
        let mut record = Self::read();
        change(&mut record);
        let new = format!("{RECORD}.new");
        std::fs::write(&new, serde_json::to_vec(&record).map_err(io::Error::other)?)?;
        std::fs::rename(new, RECORD)
    }

    /// The device has failed.
    pub(super) fn failed(&mut self, error: String) {
        let now = now();
        self.failures.retain(|at| at + PERIOD > now);
        self.failures.push(now);
        self.last_error = Some((now, error));
    }

    /// The process has failed before it could serve.
    pub(super) fn failed_to_start(&mut self, error: String) {
        self.failed_starts += 1;
        self.failed(error);
    }

    /// The device could not be opened.
    pub(super) fn not_opened(&mut self, error: &GpuError) {
        let text = error.to_string();
        let hint = match error {
            GpuError::NoDriver(_) => "Install or update the driver, then let a superuser SELECT lumina.gpu_reset().",
            GpuError::NoDevice(_) => {
                "Look whether the card is handed to this machine or container, then let a superuser SELECT \
                 lumina.gpu_reset()."
            }
            GpuError::TooOld(..) => "SET lumina.device = auto.",
            GpuError::OutOfMemory(_) => {
                self.full_until = now() + FULL;
                self.last_error = Some((now(), text));
                return;
            }
            _ => return self.failed_to_start(text),
        };
        self.unusable = Some((text.clone(), hint.to_owned()));
        self.last_error = Some((now(), text));
    }

    /// The device was opened.
    pub(super) fn opened(&mut self, info: Info, rate: f64) {
        (self.unusable, self.full_until) = (None, 0);
        self.device = Some(Known { info, rate });
    }

    /// Forgets every reason not to use the device.
    pub(super) fn reset(&mut self) {
        self.failures.clear();
        (self.unusable, self.full_until, self.last_error) = (None, 0, None);
    }

    /// How often the device has failed in the last hour.
    pub(super) fn failures(&self) -> usize {
        let now = now();
        self.failures.iter().filter(|at| *at + PERIOD > now).count()
    }

    pub(super) fn state(&self) -> GpuState {
        match self {
            _ if self.unusable.is_some() => GpuState::Unusable,
            _ if self.failures() >= FAILURES => GpuState::Disabled,
            _ if self.full_until > now() => GpuState::Full,
            GpuRecord { device: Some(_), .. } => GpuState::Usable,
            _ => GpuState::Unknown,
        }
    }

    /// Pairs of 256-bit hashes that the device compares in a second: known or assumed.
    pub(crate) fn rate(&self) -> f64 {
        self.device.as_ref().map_or(USUAL_RATE, |known| known.rate)
    }

    /// Why searches should not use the device now; `None` if they may.
    pub(crate) fn reason(&self) -> Option<Unavailable> {
        let last = || self.last_error.as_ref().map_or("", |(_, error)| error);
        match self.state() {
            GpuState::Unknown | GpuState::Usable => None,
            GpuState::Full => {
                let hint = "End what else runs on the card, or try again in a minute.";
                Some(Unavailable::new(format!("the memory of the GPU is full: {}", last()), hint))
            }
            GpuState::Unusable => {
                let (reason, hint) = self.unusable.clone().unwrap_or_default();
                Some(Unavailable::new(reason, hint))
            }
            GpuState::Disabled => {
                let hint = "Look at the server's log, then let a superuser SELECT lumina.gpu_reset().";
                let reason = format!("it has failed {} times in an hour, last: {}", self.failures(), last());
                Some(Unavailable::new(reason, hint))
            }
        }
    }
}

/// Records that a search has failed on the device.
pub(crate) fn note_failure(error: String) {
    if let Err(why) = GpuRecord::update(|record| record.failed(error)) {
        ereport(PgLogLevel::LOG, &format!("lumina: a failure of the GPU could not be noted: {why}"));
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn lock_file(path: &str) -> io::Result<File> {
    let options = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    match options() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir(FOLDER)?;
            options()
        }
        opened => opened,
    }
}

/// The lock of the worker, held as long as the file is open; `None` where another worker holds it.
pub(super) fn become_worker() -> io::Result<Option<File>> {
    try_to_hold(WORKER)
}

/// The lock to start a worker, held as long as the file is open; `None` where another session holds it. Without it
/// concurrent sessions would each take a background worker slot.
pub(super) fn become_starter() -> io::Result<Option<File>> {
    try_to_hold(STARTER)
}

fn try_to_hold(path: &str) -> io::Result<Option<File>> {
    let file = lock_file(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether a worker runs the process, or is about to.
pub(super) fn has_worker() -> bool {
    lock_file(WORKER).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
