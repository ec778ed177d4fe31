//! Connects a session to the GPU process, which is started where none runs.

use super::error::Unavailable;
use super::record::{GpuRecord, SOCKET, become_starter, has_worker};
use crate::error::LuminaError;
use crate::pg::backend::latch::pause;
use crate::pg::backend::report::ereport;
use crate::pg::worker::background::{RequestedWorker, max_worker_processes, start_gpu_worker};
use lumina_gpu::client::Client;
use pgrx::PgLogLevel;
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a search waits for the process to start, at most.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often one search has it started: an idle process may end before the search reaches it.
const STARTS: u32 = 3;
/// How long a session waits for a background worker slot.
const PLACE: Duration = Duration::from_millis(300);
const SEE_LOG: &str = "Look at the server's log.";
/// How long a session that has waited in vain does not try again.
const BAR: Duration = Duration::from_secs(60);
/// The time between two attempts to connect.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Connects to a running process; `None` where none runs. Errors: the system's.
pub(crate) fn connect_to_running() -> io::Result<Option<Client>> {
    match Client::connect(Path::new(SOCKET)) {
        Ok(client) => Ok(Some(client)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}

thread_local! {
    /// Until when this session does not try again, and why: the record does not hold this reason.
    static BARRED: RefCell<Option<(Instant, Unavailable)>> = const { RefCell::new(None) };
}

/// Why a search should not use the device now unless the user asked for it; `None` if it may.
pub(crate) fn reason_not_to(record: &GpuRecord) -> Option<Unavailable> {
    let barred = BARRED.with_borrow(|barred| barred.clone().filter(|(until, _)| *until > Instant::now()));
    record.reason().or(barred.map(|(_, reason)| reason))
}

/// Why a session got no connection.
pub(crate) enum Denied {
    /// The GPU cannot be used.
    Unavailable(Unavailable),
    /// The search was stopped.
    Stopped(LuminaError),
}

impl From<Unavailable> for Denied {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl From<LuminaError> for Denied {
    fn from(error: LuminaError) -> Self {
        Self::Stopped(error)
    }
}

/// Connects to the process, which is started where none runs. Waits for it no longer than `timeout`, and checks for
/// interrupts meanwhile; calls `check_cancelled` between two attempts. Errors: why there is none, and those of
/// `check_cancelled`.
pub(crate) fn connect(
    timeout: Duration,
    mut check_cancelled: impl FnMut() -> Result<(), LuminaError>,
) -> Result<Client, Denied> {
    let (began, failed_starts) = (Instant::now(), GpuRecord::read().failed_starts);
    // The right to start one, the worker, and the starts.
    let (mut starter, mut asked, mut starts): (Option<File>, Option<RequestedWorker>, u32) = (None, None, 0);
    loop {
        match connect_to_running() {
            Ok(Some(client)) => return Ok(client),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(unreachable(&error).into()),
        }
        let record = GpuRecord::read();
        if let Some(reason) = record.reason() {
            return Err(reason.into());
        }
        // The process started for this search has failed: another would fail, too.
        if let (true, Some((_, error))) = (record.failed_starts > failed_starts, &record.last_error) {
            return Err(Unavailable::failure(error, SEE_LOG).into());
        }
        if began.elapsed() > timeout {
            let reason = format!("its process has not started within {} s", timeout.as_secs());
            return Err(barred(Unavailable::new(reason, SEE_LOG)).into());
        }
        if starter.is_none() {
            starter = become_starter().map_err(|error| unreachable(&error))?;
        }
        if starter.is_some() && asked.as_ref().is_none_or(RequestedWorker::has_ended) && !has_worker() {
            if starts == STARTS {
                return Err(barred(Unavailable::failure("its process ends as soon as it has started", SEE_LOG)).into());
            }
            asked = start_gpu_worker();
            match asked {
                Some(_) => starts += 1,
                // The slot of a worker that has just ended may be free soon.
                None if began.elapsed() > PLACE => {
                    let reason = barred(no_place());
                    ereport(PgLogLevel::LOG, &format!("lumina: no GPU process: {}", reason.reason));
                    return Err(reason.into());
                }
                None => {}
            }
        }
        pause(POLL_INTERVAL);
        check_cancelled()?;
    }
}

fn barred(reason: Unavailable) -> Unavailable {
    BARRED.set(Some((Instant::now() + BAR, reason.clone())));
    reason
}

/// Lets this session try again.
pub(super) fn forget() {
    BARRED.set(None);
}

fn unreachable(error: &io::Error) -> Unavailable {
    Unavailable::failure(format!("its process cannot be reached: {error}"), SEE_LOG)
}

fn no_place() -> Unavailable {
    let reason = format!("no background worker is free, of {}", max_worker_processes());
    Unavailable::new(reason, "Raise max_worker_processes, or wait until other workers have ended.")
}
