//! The control file: the emulated card and its faults. [`crate::driver`] rereads it at each call if it changed.
//!
//! A line is a word and its values; `#` begins a comment. An invalid line is reported, and ends the process: a test
//! whose control file has a slip must not pass.
//!
//! | line | meaning |
//! |---|---|
//! | `name TEXT` | the card's name |
//! | `capability 9.0`, `ptx 9.0`, `driver 13000` | its capabilities, and its driver |
//! | `memory BYTES`, `multiprocessors N`, `pools 0` | its memory, its size, no memory pools |
//! | `devices 0`, `init CODE` | how many cards, and what `cuInit` returns |
//! | `other-context-full` | other processes fill the card: no context, code 2 |
//! | `fail CALL N CODE` | the Nth call, counted from when the line is first read, returns CODE |
//! | `sticky CODE at launch N` | the Nth launch loses the device with CODE when it runs |
//! | `slow 10ms` | each launch takes that long |
//! | `eager` | work runs when it is issued; shows that a missing wait then goes unnoticed |
//! | `order reversed`, `order shuffled SEED` | the order of blocks and warps |
//! | `unwritten allow`, `races allow` | disables checks that no GPU has |
//! | `limit N` | instructions of warps at which a launch counts as endless |
//! | `report FILE` | where the report goes when the process ends |
//! | `report-now WORD` | writes it at once, each time that WORD changes |

use lumina_ptx::Order;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A call that is to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The name of the call, or `launch` for a kernel that runs.
    pub(crate) call: String,
    pub(crate) nth: u64,
    pub(crate) code: u32,
    /// Calls so far.
    pub(crate) seen: u64,
}

/// The contents of a control file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) name: String,
    /// Times ten.
    pub(crate) capability: u32,
    pub(crate) ptx: (u32, u32),
    pub(crate) driver: i32,
    pub(crate) memory: usize,
    pub(crate) multiprocessors: i32,
    pub(crate) has_pools: bool,
    pub(crate) devices: i32,
    pub(crate) init: u32,
    pub(crate) is_full: bool,
    pub(crate) failures: Vec<Failure>,
    pub(crate) slow: Duration,
    pub(crate) is_eager: bool,
    pub(crate) order: Order,
    pub(crate) checks_unwritten: bool,
    pub(crate) checks_races: bool,
    pub(crate) limit: u64,
    pub(crate) report: Option<PathBuf>,
    pub(crate) report_now: Option<String>,
}

impl Default for Control {
    /// A card like an H100, with little memory.
    fn default() -> Self {
        Self {
            name: "stand-in".to_owned(),
            capability: 90,
            ptx: (9, 0),
            driver: 13000,
            memory: 1 << 30,
            multiprocessors: 4,
            has_pools: true,
            devices: 1,
            init: 0,
            is_full: false,
            failures: Vec::new(),
            slow: Duration::ZERO,
            is_eager: false,
            order: Order::Forward,
            checks_unwritten: true,
            checks_races: true,
            limit: 1 << 32,
            report: None,
            report_now: None,
        }
    }
}

fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

impl Control {
    /// Reads a file's text; an error names the line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut control = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() && control.line(line).is_none() {
                return Err(format!("line {}: {line:?} is not understood", number + 1));
            }
        }
        Ok(control)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let failure = |call: &str, nth: &str, code: &str| {
            Some(Failure { call: call.to_owned(), nth: nth.parse().ok()?, code: code.parse().ok()?, seen: 0 })
        };
        match words[..] {
            ["name", ..] => self.name = line[4..].trim().to_owned(),
            ["capability", value] => {
                let (major, minor) = version(value)?;
                self.capability = 10 * major + minor;
            }
            ["ptx", value] => self.ptx = version(value)?,
            ["driver", value] => self.driver = value.parse().ok()?,
            ["memory", value] => self.memory = value.parse().ok()?,
            ["multiprocessors", value] => self.multiprocessors = value.parse().ok()?,
            ["pools", value] => self.has_pools = value.parse::<u8>().ok()? != 0,
            ["devices", value] => self.devices = value.parse().ok()?,
            ["init", value] => self.init = value.parse().ok()?,
            ["other-context-full"] => self.is_full = true,
            ["fail", call, nth, code] => self.failures.push(failure(call, nth, code)?),
            ["sticky", code, "at", "launch", nth] => self.failures.push(failure("launch", nth, code)?),
            ["slow", value] => self.slow = Duration::from_millis(value.strip_suffix("ms")?.parse().ok()?),
            ["eager"] => self.is_eager = true,
            ["order", "forward"] => self.order = Order::Forward,
            ["order", "reversed"] => self.order = Order::Reversed,
            ["order", "shuffled", seed] => self.order = Order::Shuffled(seed.parse().ok()?),
            ["unwritten", "allow"] => self.checks_unwritten = false,
            ["races", "allow"] => self.checks_races = false,
            ["limit", value] => self.limit = value.parse().ok()?,
            ["report", file] => self.report = Some(file.into()),
            ["report-now", word] => self.report_now = Some(word.to_owned()),
            _ => return None,
        }
        Some(())
    }

    /// Counts a call. Returns the code that it must fail with.
    pub(crate) fn count(&mut self, call: &str) -> Option<u32> {
        let mut code = None;
        for failure in self.failures.iter_mut().filter(|failure| failure.call == call) {
            failure.seen += 1;
            if failure.seen == failure.nth {
                code = Some(failure.code);
            }
        }
        code
    }
}

/// The control file and its last contents.
#[derive(Debug, Default)]
pub(crate) struct Source {
    path: Option<PathBuf>,
    stamp: Option<(SystemTime, u64)>,
    pub(crate) control: Control,
}

impl Source {
    /// The file that the environment names; defaults without one.
    pub(crate) fn from_environment() -> Self {
        let path = std::env::var_os("LUMINA_CUDA_STANDIN").map(PathBuf::from);
        Self { path, ..Self::default() }
    }

    /// Rereads the file if it has changed; returns whether a report must be written now.
    pub(crate) fn refresh(&mut self) -> bool {
        let Some(path) = &self.path else { return false };
        let Ok(stamp) = stamp_of(path) else { return false };
        if self.stamp == Some(stamp) {
            return false;
        }
        let Ok(text) = std::fs::read_to_string(path) else { return false };
        match Control::parse(&text) {
            Ok(mut control) => {
                // Lines that remain keep their counts.
                for failure in &mut control.failures {
                    let same =
                        |old: &&Failure| (&old.call, old.nth, old.code) == (&failure.call, failure.nth, failure.code);
                    failure.seen = self.control.failures.iter().find(same).map_or(0, |old| old.seen);
                }
                let reports = control.report_now.is_some() && control.report_now != self.control.report_now;
                self.control = control;
                self.stamp = Some(stamp);
                reports
            }
            Err(error) => {
                eprintln!("stand-in libcuda: {}, {error}", path.display());
                std::process::abort();
            }
        }
    }
}

fn stamp_of(path: &Path) -> std::io::Result<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.modified()?, metadata.len()))
}
