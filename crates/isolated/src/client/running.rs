//! The programs of this process that run, so that it can end without leaving one behind.
//!
//! A process that has ended leaves its children to another. That may be a database's first process, in a container,
//! which takes a child that it does not know, and that a signal has ended, for a crash, and ends all sessions. So
//! whatever ends a process first calls [`end_all`].

use std::io;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// All that run; `None` once no more may be started.
static RUNNING: Mutex<Option<Vec<Child>>> = Mutex::new(Some(Vec::new()));

/// It is held while a program starts or ends, so that none is missing, and never while one works.
fn running() -> MutexGuard<'static, Option<Vec<Child>>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills and reaps all programs of this process, of whichever thread. No more are started afterwards.
pub fn end_all() {
    for child in running().take().unwrap_or_default() {
        end(child);
    }
}

/// A program that runs; killed and reaped when dropped.
pub(super) struct Process(u32);

impl Process {
    /// Starts a program whose input and output are pipes.
    pub(super) fn start(command: &mut Command) -> io::Result<(Self, ChildStdin, ChildStdout)> {
        let mut running = running();
        let Some(children) = running.as_mut() else {
            return Err(io::Error::other("this process is ending"));
        };
        let mut child = command.spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            end(child);
            return Err(io::Error::other("it has no pipes"));
        };
        let process = Process(child.id());
        children.push(child);
        Ok((process, input, output))
    }

    pub(super) fn id(&self) -> u32 {
        self.0
    }

    /// Its status, if it has ended. An error also where [`end_all`] has ended it.
    pub(super) fn status(&self) -> io::Result<Option<ExitStatus>> {
        let mut running = running();
        let child = running.as_mut().and_then(|children| children.iter_mut().find(|child| child.id() == self.0));
        child.map_or_else(|| Err(io::Error::other("it was ended")), Child::try_wait)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut running = running();
        let Some(children) = running.as_mut() else { return };
        if let Some(place) = children.iter().position(|child| child.id() == self.0) {
            end(children.swap_remove(place));
        }
    }
}

/// Kills a child and reaps it, however it is: a stopped one dies as well.
fn end(mut child: Child) {
    // An error means that it has ended, or has been reaped: both are wanted.
    let _ = child.kill();
    let _ = child.wait();
}
