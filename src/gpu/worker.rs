//! The background worker of the GPU process: one at most on the server. It starts the process, watches it, writes into
//! the [`record`](super::record) how it ended, and ends itself.

use super::record::{GpuRecord, SOCKET, become_worker};
use crate::guc;
use crate::pg::backend::report::ereport;
use crate::pg::worker::background;
use crate::pg::worker::child::{Child, Ended, Inside};
use lumina_gpu::server::{End, Settings, serve};
use lumina_gpu::{Device, GpuError, Info, measure_rate};
use pgrx::PgLogLevel;
use pgrx::pg_sys::{Datum, Oid};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::net::UnixListener;
use std::time::Duration;

/// How long the process may be silent before it is killed: a driver that hangs never returns. Opening any device takes
/// less.
const SILENT: Duration = Duration::from_secs(60);
/// How often it checks the process.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How often it tries to become the worker: sessions that check for one hold the lock for a moment.
const TRIES: u32 = 20;

/// What the process reports to its worker.
#[derive(Debug, Serialize, Deserialize)]
enum ProcessReport {
    /// It serves.
    Ready { info: Info, rate: f64 },
    /// The device could not be opened.
    NotOpened(GpuError),
    /// It ends, without a fault.
    Ends,
    /// It ends by a fault.
    Failed(String),
}

/// The worker's entry point.
#[allow(unsafe_code, reason = "Postgres finds it by its name")]
#[pgrx::pg_guard]
#[unsafe(no_mangle)]
extern "C-unwind" fn lumina_gpu(_argument: Datum) {
    background::set_up(Oid::INVALID);
    let mut tries = 0..TRIES;
    let held = loop {
        match become_worker() {
            Ok(Some(held)) => break held,
            Ok(None) if tries.next().is_none() => return,
            Ok(None) => _ = background::sleep(Duration::from_millis(5)),
            Err(error) => return ereport(PgLogLevel::WARNING, &format!("lumina: no GPU process: {error}")),
        }
    };
    if let Err(error) = watch() {
        ereport(PgLogLevel::WARNING, &format!("lumina: the GPU process could not be started: {error}"));
        note(|record| record.failed(format!("the GPU process could not be started: {error}")));
    }
    drop(held);
}

/// Starts the process, and watches it until it has ended.
fn watch() -> io::Result<()> {
    let (limit, idle) = (guc::gpu_memory(), guc::gpu_idle_timeout());
    background::report_activity(Some("opening the GPU"));
    let mut child = Child::start(&[], |inside| run(inside, limit, idle))?;
    let pid = child.pid();
    let (mut last, mut has_served) = (None, false);
    while let Some(lines) = child.listen(CHECK_INTERVAL) {
        for report in lines.iter().filter_map(|line| serde_json::from_str::<ProcessReport>(line).ok()) {
            if let ProcessReport::Ready { info, rate } = &report {
                has_served = true;
                let (name, rate) = (&info.name, *rate);
                let text = format!("process {pid} on {name}, {rate:.1e} pairs a second");
                background::report_activity(Some(&text));
                ereport(PgLogLevel::LOG, &format!("lumina: GPU {text}"));
            }
            last = Some(report);
        }
        background::reload();
        if child.silent_for() > SILENT {
            child.kill();
            last = Some(ProcessReport::Failed(format!("the GPU process has shown no life for {} s", SILENT.as_secs())));
            break;
        }
    }
    let ended = child.wait();
    // No session is to find a dead socket.
    let _ = std::fs::remove_file(SOCKET);
    match (last, ended) {
        (Some(ProcessReport::Ends), _) => {
            ereport(PgLogLevel::LOG, &format!("lumina: GPU process {pid} has ended: nobody needs it"));
        }
        // A requested end.
        (None | Some(ProcessReport::Ready { .. }), Some(Ended::Code(0))) => {}
        (_, Some(Ended::Signal(libc::SIGTERM | libc::SIGINT))) => {}
        (Some(ProcessReport::NotOpened(error)), _) => {
            ereport(PgLogLevel::LOG, &format!("lumina: the GPU cannot be used: {error}"));
            note(|record| record.not_opened(&error));
        }
        (last, ended) => {
            let why = match (last, ended) {
                (Some(ProcessReport::Failed(why)), _) => why,
                (_, Some(Ended::Signal(signal))) => format!("the GPU process was ended by signal {signal}"),
                (_, Some(Ended::Code(code))) => format!("the GPU process ended with code {code}"),
                (_, None) => "the GPU process does not end".into(),
            };
            ereport(PgLogLevel::WARNING, &format!("lumina: {why}"));
            note(|record| if has_served { record.failed(why) } else { record.failed_to_start(why) });
        }
    }
    Ok(())
}

fn note(change: impl FnOnce(&mut GpuRecord)) {
    if let Err(error) = GpuRecord::update(change) {
        ereport(PgLogLevel::WARNING, &format!("lumina: what became of the GPU could not be noted: {error}"));
    }
}

/// Runs the GPU process. It must not call Postgres.
fn run(inside: &mut Inside, limit: usize, idle: Duration) {
    let report = match try_run(inside, limit, idle) {
        Ok(End::Idle | End::Stopped) => ProcessReport::Ends,
        Ok(End::Lost(error)) => ProcessReport::Failed(error.to_string()),
        Ok(End::System(error)) => ProcessReport::Failed(format!("the GPU process could not go on: {error}")),
        Err(error) => ProcessReport::NotOpened(error),
    };
    send_report(inside, &report);
}

fn send_report(inside: &mut Inside, report: &ProcessReport) {
    inside.report(&serde_json::to_string(report).unwrap_or_default());
}

/// Errors: the device could not be opened.
fn try_run(inside: &mut Inside, limit: usize, idle: Duration) -> Result<End, GpuError> {
    let device = Device::open(limit)?;
    let rate = measure_rate(&device)?;
    // Written before a session can connect, since sessions plan with it. A failed write does no harm.
    let _ = GpuRecord::update(|record| record.opened(device.info().clone(), rate));
    let listener = match listen() {
        Ok(listener) => listener,
        Err(error) => return Ok(End::System(error)),
    };
    send_report(inside, &ProcessReport::Ready { info: device.info().clone(), rate });
    let inside = &*inside;
    Ok(serve(&listener, &device, Settings { idle }, &|| !inside.beat()))
}

/// The socket; it replaces one that an earlier process may have left.
fn listen() -> io::Result<UnixListener> {
    let new = format!("{SOCKET}.new");
    let _ = std::fs::remove_file(&new);
    let listener = UnixListener::bind(&new)?;
    std::fs::rename(new, SOCKET)?;
    Ok(listener)
}
