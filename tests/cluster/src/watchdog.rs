//! Ends and names a test that hangs: otherwise it would block the whole run, and nobody would know which test it is.

use crate::report::{number, say};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Seconds that a server may live in a test: ten times the longest test on an idle machine. `LUMINA_TEST_LIMIT` sets
/// another limit, for the long forms.
const LIMIT: u64 = 1200;
/// How long the test then has to fail by itself.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// Dropped with the server that it watches.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// Closed by the drop.
    _alive: Sender<()>,
}

impl Watchdog {
    /// Watches the server with this data directory, for the test on the current thread. Does nothing outside of tests.
    pub(crate) fn watch(data: PathBuf) -> Option<Self> {
        let current = std::thread::current();
        // Each test has a thread of its name; benches and examples run on the main thread.
        let test = current.name().filter(|&name| name != "main")?.to_owned();
        let limit = number("LUMINA_TEST_LIMIT", LIMIT);
        let (alive, gone) = channel::<()>();
        let watch = move || {
            if gone.recv_timeout(Duration::from_secs(limit)) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            say(&format!("{test} hangs: its server is {limit} s old and is killed"));
            kill(&data);
            if gone.recv_timeout(LAST_WORDS) == Err(RecvTimeoutError::Timeout) {
                say(&format!("{test} hangs without its server too: the run ends here"));
                std::process::exit(101);
            }
        };
        std::thread::Builder::new().name("watchdog".into()).spawn(watch).expect("a thread starts");
        Some(Watchdog { _alive: alive })
    }
}

/// Prints what the processes of a server do, and kills them: the postmaster first, which would start others, and also
/// stopped ones, which would outlive it.
fn kill(data: &Path) {
    let Some(postmaster) = crate::cluster::postmaster_of(data) else { return };
    let processes: Vec<u32> = [postmaster].into_iter().chain(crate::cluster::children_of(postmaster)).collect();
    for pid in &processes {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let (title, status) = (read("cmdline").replace('\0', " "), read("status"));
        let state = status.lines().find_map(|line| line.strip_prefix("State:")).unwrap_or("gone");
        say(&format!("{pid}: {}: {} {}", title.trim(), state.trim(), read("wchan")));
    }
    // Some may have exited since.
    let _ = Command::new("kill").arg("-9").args(processes.iter().map(u32::to_string)).output();
}
