//! Starts the program, gives it items, and takes their samples, while a caller can cancel.
//!
//! One program serves one file, and is used by the thread that started it: it ends with that thread. The pipes do not
//! block. Between two waits of some milliseconds the caller is asked whether it has cancelled. The program is killed
//! and reaped when [`Program`] is dropped, or by [`end_all`], so none is left over whatever ends the work. It has a
//! process group of its own: signals to that of its parent are not for it. It is not trusted: what it returns is
//! checked, and one that neither answers nor computes is given up, as is one that takes far more time than its limit.

mod running;

pub use running::end_all;

use crate::{Frame, Refusal, Reply, Start, exit};
use running::Process;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Timespec;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read, write};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The time between two checks whether the caller has cancelled.
const POLL_INTERVAL: Duration = Duration::from_millis(8);
/// How long the program may give nothing and use no processor.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time that the program may take, in its limits of processor time: a machine may be busy.
const LIMITS: u64 = 10;
/// How long the program may take to end once it has closed its output.
const ENDING: Duration = Duration::from_secs(1);

/// Why there are no samples.
#[derive(Debug)]
pub enum Failure {
    /// The program cannot be started, does not work, or is of another version: what is wrong with it, in words. It has
    /// seen nothing of the file.
    Program(String),
    /// The system has no memory, or no room for a process.
    System,
    /// The caller has cancelled.
    Cancelled,
    /// The program has said why.
    Refused(Refusal),
    /// The program has failed on the item: how, in words.
    Failed(&'static str),
}

/// A program that runs.
pub struct Program<'a> {
    process: Process,
    input: ChildStdin,
    output: ChildStdout,
    is_cancelled: &'a dyn Fn() -> bool,
    patience: Duration,
    /// When it will have taken too long, for whatever.
    deadline: Instant,
    /// When it last gave or took bytes, or was seen to have computed.
    active_at: Instant,
    /// The processor time that it had used then; `None` if the system does not say.
    used: Option<u64>,
}

impl<'a> Program<'a> {
    /// Starts the program at `path`, until it is ready. The calling thread must be the one that uses it.
    pub fn start(path: &Path, start: Start, is_cancelled: &'a dyn Fn() -> bool) -> Result<Self, Failure> {
        let mut program = Self::spawn(path, start, is_cancelled)?;
        program.greet(start)?;
        Ok(program)
    }

    fn spawn(path: &Path, start: Start, is_cancelled: &'a dyn Fn() -> bool) -> Result<Self, Failure> {
        let mut command = Command::new(path);
        command.env_clear().current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let (process, input, output) = Process::start(&mut command).map_err(|error| match error.kind() {
            io::ErrorKind::OutOfMemory | io::ErrorKind::WouldBlock => Failure::System,
            _ => Failure::Program(format!("cannot be started: {error}")),
        })?;
        for pipe in [input.as_fd(), output.as_fd()] {
            let set = fcntl_getfl(pipe).and_then(|flags| fcntl_setfl(pipe, flags | OFlags::NONBLOCK));
            set.map_err(|_| Failure::System)?;
        }
        let active_at = Instant::now();
        let deadline = active_at + Duration::from_secs(LIMITS * start.seconds());
        Ok(Program { process, input, output, is_cancelled, patience: PATIENCE, deadline, active_at, used: None })
    }

    /// Tells the program its limits, and takes its word that it is ready. What fails is its fault, and not the file's.
    fn greet(&mut self, start: Start) -> Result<(), Failure> {
        let mut reply = [0; Reply::LENGTH];
        let answer = self.send(&start.to_bytes()).and_then(|()| self.receive(&mut reply));
        match answer.map(|()| Reply::from_bytes(reply)) {
            Ok(Some(Reply::Ready)) => Ok(()),
            Ok(Some(Reply::Refused(refusal))) => Err(Failure::Refused(refusal)),
            Ok(_) => Err(Failure::Program("is of another version".into())),
            Err(Failure::Failed(how)) => Err(Failure::Program(format!("does not work: {how}"))),
            Err(failure) => Err(failure),
        }
    }

    /// Gives an item, in parts, and takes what its frame is. The frame's samples must be taken next.
    pub fn decode(&mut self, parts: &[&[u8]]) -> Result<Frame, Failure> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.send(&(length as u64).to_le_bytes())?;
        for part in parts {
            self.send(part)?;
        }
        let mut reply = [0; Reply::LENGTH];
        self.receive(&mut reply)?;
        match Reply::from_bytes(reply) {
            Some(Reply::Frame(frame)) => Ok(frame),
            Some(Reply::Refused(refusal)) => Err(Failure::Refused(refusal)),
            _ => Err(Failure::Failed("it returned no answer of its language")),
        }
    }

    /// Takes samples of a frame: as many bytes as there is room for.
    pub fn receive(&mut self, mut samples: &mut [u8]) -> Result<(), Failure> {
        self.check()?;
        while !samples.is_empty() {
            match read(&self.output, &mut *samples) {
                Ok(0) => return Err(self.ended()),
                Ok(count) => {
                    samples = &mut samples[count..];
                    self.active_at = Instant::now();
                }
                Err(Errno::AGAIN) => self.wait(PollFlags::IN)?,
                Err(Errno::INTR) => {}
                Err(_) => return Err(Failure::System),
            }
        }
        Ok(())
    }

    /// Where the program takes no more, it has answered already, or has ended: its output tells.
    fn send(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        self.check()?;
        while !bytes.is_empty() {
            match write(&self.input, bytes) {
                Ok(count) => {
                    bytes = &bytes[count..];
                    self.active_at = Instant::now();
                }
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT)?,
                Err(Errno::INTR) => {}
                Err(Errno::PIPE) => return Ok(()),
                Err(_) => return Err(Failure::System),
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Failure> {
        if (self.is_cancelled)() { Err(Failure::Cancelled) } else { Ok(()) }
    }

    /// Waits for a pipe, a few milliseconds at most.
    fn wait(&mut self, wanted: PollFlags) -> Result<(), Failure> {
        self.check()?;
        let pipe: BorrowedFd<'_> = if wanted == PollFlags::IN { self.output.as_fd() } else { self.input.as_fd() };
        let time = Timespec { tv_sec: 0, tv_nsec: POLL_INTERVAL.as_nanos() as i64 };
        match poll(&mut [PollFd::new(&pipe, wanted)], Some(&time)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return Err(Failure::System),
        }
        if Instant::now() > self.deadline {
            return Err(Failure::Failed("it takes too long"));
        }
        if self.active_at.elapsed() < self.patience {
            return Ok(());
        }
        let used = processor_time(self.process.id());
        // Where the system does not say, as of one that takes no time.
        if used.is_none() || used == self.used {
            return Err(Failure::Failed("it does not answer"));
        }
        (self.used, self.active_at) = (used, Instant::now());
        Ok(())
    }

    /// The reason why the output has ended.
    fn ended(&mut self) -> Failure {
        let since = Instant::now();
        while since.elapsed() < ENDING {
            // First: what has ended it may be the end of all.
            if let Err(cancelled) = self.check() {
                return cancelled;
            }
            match self.process.status() {
                Ok(Some(status)) => return reason(status),
                Ok(None) => {}
                Err(_) => return Failure::System,
            }
            thread::sleep(Duration::from_millis(1));
        }
        Failure::Failed("it returned less than it said")
    }
}

/// What a program that has ended without an answer says by its status.
fn reason(status: ExitStatus) -> Failure {
    const SIGKILL: i32 = 9;
    const SIGXCPU: i32 = 24;
    match (status.code(), status.signal()) {
        (Some(exit::MEMORY), _) => Failure::Refused(Refusal::Memory),
        (Some(exit::LANGUAGE), _) => Failure::Program("is of another version".into()),
        // The dynamic linker, where a library is missing.
        (Some(126 | 127), _) => Failure::Program("cannot be run".into()),
        // By the system, which needs its memory.
        (_, Some(SIGKILL)) => Failure::System,
        (_, Some(SIGXCPU)) => Failure::Failed("it takes too long"),
        _ => Failure::Failed("it broke off"),
    }
}

/// The processor time that a process has used, in ticks (proc(5), fields 14 and 15 of stat).
fn processor_time(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before may hold anything, but for a last parenthesis.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests;
