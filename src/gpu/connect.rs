//! A session on its way to the GPU process, which it has started where none runs.

use super::Unavailable;
use super::record::{Record, SOCKET, has_worker};
use crate::pg::background::{places, start_gpu_worker};
use crate::pg::interrupts::pause;
use lumina_gpu::client::Client;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the process may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// Connects to the process that runs; `None` where none does. Errors: the system's.
pub(crate) fn connect_to_running() -> io::Result<Option<Client>> {
    match Client::connect(Path::new(SOCKET)) {
        Ok(client) => Ok(Some(client)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Connects to the process, which is started where none runs. Waits until it is there, and looks for interrupts
/// meanwhile; `tick` is called between two looks. Errors: why there is none.
pub(crate) fn connect(mut tick: impl FnMut()) -> Result<Client, Unavailable> {
    let began = Instant::now();
    let mut asked = None;
    loop {
        match connect_to_running() {
            Ok(Some(client)) => return Ok(client),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(unreachable(&error)),
        }
        if let Some(reason) = Record::read().reason() {
            return Err(reason);
        }
        if began.elapsed() > PATIENCE {
            let reason = format!("its process has not started within {} s", PATIENCE.as_secs());
            return Err(Unavailable::new(reason, "Look at the server's log."));
        }
        // One that another session has asked for serves this one as well.
        if asked.as_ref().is_none_or(|asked: &crate::pg::background::Asked| asked.has_ended()) && !has_worker() {
            asked = match start_gpu_worker() {
                Some(asked) => Some(asked),
                None => return Err(no_place()),
            };
        }
        pause(LOOK);
        tick();
    }
}

fn unreachable(error: &io::Error) -> Unavailable {
    Unavailable::new(format!("its process cannot be reached: {error}"), "Look at the server's log.")
}

fn no_place() -> Unavailable {
    let reason = format!("no background worker is free, of {}", places());
    Unavailable::new(reason, "Raise max_worker_processes, or wait until other workers have ended.")
}
