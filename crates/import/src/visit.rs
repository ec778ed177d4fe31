//! What a thread does with one file of an import.
//!
//! Memory: a task has a limit for the file's bytes and its picture together. A task that needs more is returned with
//! the number, to be handed out again when that much is free. Only the caller knows the catalog; it is asked whether it
//! has a content before that is decoded.

use crate::analyze::{Analysis, analyze, date_beside, hex, refuse_head};
use crate::contents::Sha256;
use crate::facts::{Finding, Outcome, Stamp};
use crate::pool::{Caller, Waiting, Work};
use crate::read::Opened;
use crate::roots::{Refusal, Roots};
use crate::walk::{is_skipped, reason};
use jiff::Timestamp;
use lumina_photo::Limits;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// How long a thread waits for an answer before it checks whether one can still come.
const PATIENCE: Duration = Duration::from_millis(20);

/// A file to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its row of `lumina.import_items`.
    pub item: i64,
    /// Its path.
    pub path: PathBuf,
    /// Its identity and times when it was imported, if it was.
    pub known: Option<Stamp>,
    /// The memory limit, in bytes.
    pub memory: u64,
}

/// An event of a thread.
#[derive(Debug)]
pub enum Event {
    /// A content was read: the thread asks whether it is known.
    Hashed {
        /// The file: its row of `lumina.import_items`.
        item: i64,
        /// Its checksum.
        sha256: Sha256,
        /// Where to send the answer.
        is_known: SyncSender<bool>,
    },
    /// A file is finished.
    Done(Outcome),
    /// A task that needs this many bytes in all.
    NeedsMore(Task, u64),
}

/// What all files of an import share.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The roots that files may lie under.
    pub roots: Roots,
    /// The most pixels of a picture.
    pub pixels: u64,
    /// The time that dates are checked against.
    pub now: Timestamp,
    /// Whether the system has this much memory available.
    pub room_for: fn(usize) -> bool,
}

impl Work for Visit {
    type Task = Task;
    type Event = Event;

    fn work(&self, task: &Task, caller: &Caller<Event>) -> Option<Event> {
        let done = |stamp, finding| Some(Event::Done(Outcome { item: task.item, stamp, finding }));
        let opened = match self.roots.open_file(&task.path) {
            Ok(descriptor) => Opened::new(descriptor),
            Err(refusal) => Err(refused(&refusal)),
        };
        let mut opened = match opened {
            Ok(opened) => opened,
            Err(finding) => return done(None, finding),
        };
        let stamp = opened.stamp;
        if task.known.is_some_and(|known| known.is_same(&stamp)) {
            return done(Some(stamp), Finding::skipped("unchanged"));
        }
        let head = match opened.head() {
            Ok(head) => head,
            Err(finding) => return done(Some(stamp), finding),
        };
        if let Some(finding) = refuse_head(&head) {
            return done(Some(stamp), finding);
        }
        if stamp.size > task.memory {
            return Some(Event::NeedsMore(task.clone(), stamp.size));
        }
        let (bytes, sha256) = match opened.all(head, || caller.stop()) {
            Ok(read) => read?,
            Err(finding) => return done(Some(stamp), finding),
        };
        let sum = hex(&sha256);
        let date = date_beside(&task.path, &stamp, self.now);
        if is_known(task.item, sha256, caller)? {
            return done(Some(stamp), Finding::Image { sha256: sum, reason: None, error: None, facts: None, date });
        }
        let waiting = Waiting(self, caller);
        let limits = Limits { pixels: self.pixels, memory: task.memory - stamp.size, caller: &waiting };
        let finding = match analyze(&bytes, &task.path, &stamp, self.now, &limits) {
            Analysis::Facts(facts, remark) => {
                let (reason, error) = remark.map(|(reason, words)| (reason.to_owned(), words)).unzip();
                Finding::Image { sha256: sum, reason, error, facts: Some(facts), date }
            }
            Analysis::Not(Finding::Failed { reason, error, .. }) => {
                Finding::Failed { reason, error, sha256: Some(sum) }
            }
            Analysis::Not(finding) => finding,
            Analysis::NeedsMore(needed) => {
                return Some(Event::NeedsMore(task.clone(), needed.saturating_add(stamp.size)));
            }
            Analysis::Cancelled => return None,
        };
        done(Some(stamp), finding)
    }

    fn failed(task: &Task) -> Event {
        let finding = Finding::failed("internal_error", "the analysis of the file failed".into());
        Event::Done(Outcome { item: task.item, stamp: None, finding })
    }

    fn room_for(&self, bytes: usize) -> bool {
        (self.room_for)(bytes)
    }
}

/// `None` if nobody answers.
fn is_known(item: i64, sha256: Sha256, caller: &Caller<Event>) -> Option<bool> {
    let (is_known, answer) = sync_channel(1);
    caller.say(Event::Hashed { item, sha256, is_known })?;
    loop {
        match answer.recv_timeout(PATIENCE) {
            Ok(known) => return Some(known),
            Err(RecvTimeoutError::Timeout) if !caller.stop() => (),
            Err(_) => return None,
        }
    }
}

fn refused(refusal: &Refusal) -> Finding {
    if is_skipped(refusal) {
        Finding::skipped(reason(refusal))
    } else {
        Finding::failed(reason(refusal), refusal.to_string())
    }
}
