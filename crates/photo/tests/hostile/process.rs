//! Decodes by the program of isolated decoders, with an eye on the processes.

use crate::counted::{MEMORY, Outcome, PIXELS, Random, Remembers, measured};
use crate::decoder::PROGRAM;
use lumina_photo::{Caller, Limits, PhotoError, Picture, decode};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Decodes within this memory by this program.
pub(crate) fn within(bytes: &[u8], memory: u64, program: Option<PathBuf>) -> Outcome {
    let caller = Remembers { program, ..Remembers::default() };
    let start = Instant::now();
    let (result, peak) = measured(|| decode(bytes, &Limits { pixels: PIXELS, memory, caller: &caller }));
    let (asked, checks, time) = (caller.asked.get(), caller.checks.get(), start.elapsed());
    Outcome { result, peak, asked, checks, time }
}

/// Decodes within the default limits, and checks the invariants for all bytes. The lock of [`alone`] must be held.
pub(crate) fn outcome(name: &str, bytes: &[u8]) -> Result<Picture, PhotoError> {
    let outcome = within(bytes, MEMORY, Some(PROGRAM.clone()));
    crate::counted::check(name, &outcome);
    assert_eq!(children(), 0, "{name}: a process is left over");
    outcome.result.map(|(_, picture)| picture)
}

/// Decodes files, each within the default limits; of the memory they may ask for less than `most` bytes.
pub(crate) fn decode_within(files: impl IntoIterator<Item = (String, Vec<u8>)>, most: u64) {
    for (name, bytes) in files {
        let outcome = within(&bytes, MEMORY, Some(PROGRAM.clone()));
        crate::counted::check(&name, &outcome);
        assert!(outcome.result.is_ok(), "{name}: {:?}", outcome.result.err());
        assert!(outcome.asked < most, "{name}: {} bytes were asked for", outcome.asked);
    }
    assert_eq!(children(), 0);
}

/// Processes of this one that run, or wait to be reaped. Those of these tests are the only ones.
pub(crate) fn children() -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok())
        .map(|list| list.split_whitespace().count())
        .sum()
}

/// With some bytes changed before `end`.
pub(crate) fn flipped(bytes: &[u8], random: &mut Random, end: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    let changes = 1 << random.below(4);
    for _ in 0..=random.below(changes) {
        let at = random.below(end.min(bytes.len()));
        match random.below(3) {
            0 => flipped[at] ^= 1 << random.below(8),
            1 => flipped[at] = random.next() as u8,
            _ => flipped[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
        }
    }
    flipped
}

/// Cancels after a time, and does something to the process before, while it decodes.
struct Stops {
    begin: Instant,
    after: Duration,
    signal: Option<&'static str>,
    /// The checks since the process has given up its rights.
    checks: Cell<u32>,
}

impl Caller for Stops {
    fn is_cancelled(&self) -> bool {
        let list = std::fs::read_to_string("/proc/thread-self/children").unwrap();
        if let Some((signal, process)) = self.signal.zip(list.split_whitespace().next()) {
            let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
            self.checks.update(|checks| checks + u32::from(status.contains("Seccomp:\t2")));
            if self.checks.get() == 4 {
                assert!(Command::new("kill").args([signal, process]).status().unwrap().success());
            }
        }
        self.begin.elapsed() > self.after
    }

    fn decoder(&self) -> Option<&Path> {
        Some(&PROGRAM)
    }
}

/// A decode that is cancelled after some milliseconds, and whose process gets a signal as it begins.
pub(crate) fn stopped(
    bytes: &[u8],
    after: u64,
    signal: Option<&'static str>,
) -> (Result<Picture, PhotoError>, Duration) {
    let begin = Instant::now();
    let caller = Stops { begin, after: Duration::from_millis(after), signal, checks: Cell::new(0) };
    let result = decode(bytes, &Limits { pixels: PIXELS, memory: MEMORY, caller: &caller });
    assert_eq!(children(), 0, "a process is left over");
    (result.map(|(_, picture)| picture), begin.elapsed())
}
