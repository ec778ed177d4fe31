//! `lumina.gpu_info()` and `lumina.gpu_reset()`.

use super::connect::{connect_to_running, forget};
use super::error::RecordNotWritten;
use super::record::{GpuRecord, GpuState, has_worker};
use crate::pg::backend::latch::ready;
use crate::pg::fmgr::call::function;
use crate::pg::fmgr::datum::Varlena;
use crate::pg::fmgr::raise::OrRaise;
use crate::pg::fmgr::rows::set_function;
use lumina_gpu::Info;
use lumina_gpu::client::Answer;
use lumina_gpu::protocol::{Question, Status};
use pgrx::pg_sys::Datum;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the process may take to report its status: a step of a search may be under way.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

set_function! {
    /// One row about the device: from the process where one runs, else from the record.
    gpu_info, pg_finfo_gpu_info, |_call, rows| {
        let record = GpuRecord::read();
        let answer = status();
        let is_silent = answer.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut);
        let status = answer.unwrap_or_default();
        let state = match (&status, record.state()) {
            (Some(_), _) => "running",
            _ if is_silent => "not answering",
            _ if has_worker() => "starting",
            (None, GpuState::Unknown) => "not tried",
            (None, GpuState::Usable) => "stopped",
            (None, GpuState::Full) => "full",
            (None, GpuState::Unusable) => "unusable",
            (None, GpuState::Disabled) => "disabled",
        };
        let known = record.device.as_ref().filter(|_| record.state() != GpuState::Unusable);
        let info: Option<&Info> = status.as_ref().map(|status| &status.info).or(known.map(|known| &known.info));
        let text = |text: &str| Varlena::new(&[text.as_bytes()]).into_datum();
        let version = |(major, minor): (u32, u32)| text(&format!("{major}.{minor}"));
        let bytes = |bytes: usize| Datum::from(bytes as i64);
        rows.put(1, |_, values, nulls| {
            let answers = [
                Some(text(state)),
                info.map(|info| text(&info.name)),
                info.map(|info| version(info.capability)),
                info.map(|info| bytes(info.memory)),
                info.map(|info| version((info.driver / 1000, info.driver % 1000 / 10))),
                known.map(|known| Datum::from(known.rate.to_bits())),
                status.as_ref().map(|status| Datum::from(status.process as i32)),
                status.as_ref().map(|status| Datum::from(moment(status.started))),
                status.as_ref().map(|status| bytes(status.limit)),
                status.as_ref().map(|status| bytes(status.allocated)),
                status.as_ref().map(|status| Datum::from(status.searches as i64)),
                status.as_ref().map(|status| Datum::from(status.active as i32)),
                Some(Datum::from(record.failures() as i32)),
                record.last_error.as_ref().map(|(at, _)| Datum::from(moment(UNIX_EPOCH + Duration::from_secs(*at)))),
                record.last_error.as_ref().map(|(_, error)| text(error)),
            ];
            for ((value, null), answer) in values.iter_mut().zip(nulls).zip(answers) {
                if let Some(answer) = answer {
                    (*value, *null) = (answer, false);
                }
            }
        });
        Ok(())
    }
}

/// A moment as a `timestamptz`: microseconds since 2000.
fn moment(then: SystemTime) -> i64 {
    const SINCE_1970: Duration = Duration::from_secs(946_684_800);
    then.duration_since(UNIX_EPOCH + SINCE_1970).map_or(0, |time| time.as_micros() as i64)
}

/// The status that the process reports; `None` where none runs.
fn status() -> io::Result<Option<Status>> {
    let Some(mut client) = connect_to_running()? else { return Ok(None) };
    client.ask(&Question::Status, None)?;
    let began = Instant::now();
    while began.elapsed() < STATUS_TIMEOUT {
        match client.receive()? {
            Some(Answer::Status(status)) => return Ok(Some(status)),
            Some(_) => {}
            None => ready(client.as_fd().as_raw_fd(), Duration::from_millis(100)),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

function! {
    /// `gpu_reset()`: forgets failures, so that the next search tries the device.
    gpu_reset, pg_finfo_gpu_reset,
    guarded: |_| {
        forget();
        GpuRecord::update(GpuRecord::reset).map_err(RecordNotWritten).or_raise();
        Datum::null()
    },
}
