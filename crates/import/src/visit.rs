//! What a thread does with one file of an import.
//!
//! Memory: a task has a limit for the file's bytes and its picture together. A task that needs more is returned with
//! the number, to be handed out again when that much is free. Only the caller knows the catalog; it is asked whether it
//! has a content before that is decoded.

use crate::analyze::{Analysis, Place, analyze, date_beside, hex, refuse_head};
use crate::contents::Sha256;
use crate::facts::{FileOutcome, FileStatus, Finding};
use crate::pool::{DecoderCaller, Processor, TaskContext};
use crate::read::OpenFile;
use crate::roots::{Refusal, Roots};
use crate::sidecar;
use crate::walk::{is_skipped, reason};
use jiff::Timestamp;
use lumina_photo::Limits;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// How long a thread waits for an answer before it checks whether one can still come.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A file to visit.
#[derive(Debug, Clone, PartialEq)]
pub struct FileTask {
    /// Its row of `lumina.import_items`.
    pub item: i64,
    /// Its path.
    pub path: PathBuf,
    /// Its identity and times when it was imported, if it was.
    pub known: Option<FileStatus>,
    /// The memory limit, in bytes.
    pub memory: u64,
}

/// An event of a thread.
#[derive(Debug)]
pub enum FileEvent {
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
    Done(FileOutcome),
    /// A task that needs this many bytes in all.
    NeedsMore(FileTask, u64),
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
    /// Where the program `lumina-decoder` is.
    pub decoder: Option<PathBuf>,
}

impl Processor for Visit {
    type Task = FileTask;
    type Event = FileEvent;

    fn process(&self, task: &FileTask, context: &TaskContext<FileEvent>) -> Option<FileEvent> {
        let done = |file_status, finding| Some(FileEvent::Done(FileOutcome { item: task.item, file_status, finding }));
        let opened = match self.roots.open_file(&task.path) {
            Ok(descriptor) => OpenFile::new(descriptor),
            Err(refusal) => Err(refused(&refusal)),
        };
        let mut opened = match opened {
            Ok(opened) => opened,
            Err(finding) => return done(None, finding),
        };
        let status = opened.status;
        if task.known.is_some_and(|known| known.is_same(&status)) {
            return done(Some(status), Finding::skipped("unchanged"));
        }
        let head = match opened.head() {
            Ok(head) => head,
            Err(finding) => return done(Some(status), finding),
        };
        if let Some(finding) = refuse_head(&head) {
            return done(Some(status), finding);
        }
        if status.size > task.memory {
            return Some(FileEvent::NeedsMore(task.clone(), status.size));
        }
        let (bytes, sha256) = match opened.all(head, || context.is_cancelled()) {
            Ok(read) => read?,
            Err(finding) => return done(Some(status), finding),
        };
        let checksum = hex(&sha256);
        let beside = sidecar::date(&self.roots, &task.path);
        let place = Place { path: &task.path, status: &status, beside };
        let date = date_beside(&place, self.now);
        if is_known(task.item, sha256, context)? {
            return done(
                Some(status),
                Finding::Image { sha256: checksum, reason: None, error: None, facts: None, date },
            );
        }
        let caller = DecoderCaller(self, context);
        let limits = Limits { pixels: self.pixels, memory: task.memory - status.size, caller: &caller };
        let finding = match analyze(&bytes, &place, self.now, &limits) {
            Analysis::Facts(facts, remark) => {
                let (reason, error) = remark.map(|(reason, words)| (reason.to_owned(), words)).unzip();
                Finding::Image { sha256: checksum, reason, error, facts: Some(facts), date }
            }
            Analysis::Not(Finding::Failed { reason, error, .. }) => {
                Finding::Failed { reason, error, sha256: Some(checksum) }
            }
            Analysis::Not(finding) => finding,
            Analysis::NeedsMore(needed) => {
                return Some(FileEvent::NeedsMore(task.clone(), needed.saturating_add(status.size)));
            }
            Analysis::Cancelled => return None,
        };
        done(Some(status), finding)
    }

    fn failed(task: &FileTask) -> FileEvent {
        let finding = Finding::failed("internal_error", "the analysis of the file failed".into());
        FileEvent::Done(FileOutcome { item: task.item, file_status: None, finding })
    }

    fn room_for(&self, bytes: usize) -> bool {
        (self.room_for)(bytes)
    }

    fn decoder(&self) -> Option<&Path> {
        self.decoder.as_deref()
    }
}

/// `None` if nobody answers.
fn is_known(item: i64, sha256: Sha256, context: &TaskContext<FileEvent>) -> Option<bool> {
    let (is_known, answer) = sync_channel(1);
    context.send(FileEvent::Hashed { item, sha256, is_known })?;
    loop {
        match answer.recv_timeout(POLL_INTERVAL) {
            Ok(known) => return Some(known),
            Err(RecvTimeoutError::Timeout) if !context.is_cancelled() => (),
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
