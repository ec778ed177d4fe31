//! The protocol between a client and the GPU process, over a Unix stream socket.
//!
//! - Each message is a frame: its kind and the length of its body, two `u32`, then the body. Numbers have native byte
//!   order: both ends are one program on one host.
//! - A client asks with [`Ask`], as JSON; the first byte of the frame carries the file ([`shared`](crate::shared)) that
//!   holds the hashes: the columns of the left set one after the other, then those of the right one.
//! - The answers to a search are any number of [`FrameKind::Pairs`] or [`FrameKind::Firsts`], with
//!   [`FrameKind::Alive`] between them, then [`FrameKind::Done`] or [`FrameKind::Failed`].
//!
//! A connection has one question at a time. A client that closes it ends its search.

use crate::device::Info;
use crate::error::GpuError;
use crate::request::{HashMemory, Hashes, MAX_COLUMNS, PairMethod, PairRequest, Set};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// Changes with the messages: both ends come from one build, but the library may be replaced while the process runs.
pub(crate) const VERSION: u32 = 2;
/// The longest body of a frame, in bytes.
pub(crate) const MOST: usize = 1 << 22;
/// Bytes before the body.
pub(crate) const HEAD: usize = 8;
/// The most pairs of a frame: they fit with the distances of all columns.
pub(crate) const PAIRS: usize = MOST / (8 + 2 * MAX_COLUMNS) / 2;

/// A question with its version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) version: u32,
    pub(crate) question: Question,
}

/// The part of a question that every version understands.
#[derive(Debug, Deserialize)]
pub(crate) struct Version {
    pub(crate) version: u32,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Question {
    /// The device, and what it has done.
    Status,
    /// The pairs of near rows.
    Pairs {
        /// The left set.
        left: SetShape,
        /// The right set; `None`: the left one is compared with itself.
        right: Option<SetShape>,
        /// The maximum distance of each column, in bits.
        radii: Vec<u32>,
        /// The column in which candidates are found.
        driving: usize,
        /// How pairs are found.
        method: PairMethod,
    },
    /// For each row, the first row equal to it.
    Firsts {
        /// The set.
        set: SetShape,
        /// An unpredictable number.
        seed: u64,
    },
}

/// The layout of a set in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetShape {
    /// How many rows.
    pub rows: usize,
    /// Words of a hash, for each column.
    pub words: Vec<usize>,
}

impl SetShape {
    /// Words of the whole set; `None` if too many for any memory.
    pub fn size(&self) -> Option<usize> {
        self.words.iter().try_fold(0usize, |sum, words| sum.checked_add(self.rows.checked_mul(*words)?))
    }

    /// The set at word `first` of `source`.
    fn set(&self, source: &HashMemory, mut first: usize) -> Option<Set> {
        let column = |&words: &usize| {
            let hashes = Hashes::new(source, first, self.rows, words)?;
            first += self.rows * words;
            Some(hashes)
        };
        Some(Set { rows: self.rows, columns: self.words.iter().map(column).collect::<Option<_>>()? })
    }
}

impl Question {
    /// Words of the file; `None` if too many for any file.
    pub(crate) fn size(&self) -> Option<usize> {
        match self {
            Self::Status => Some(0),
            Self::Pairs { left, right, .. } => {
                left.size()?.checked_add(right.as_ref().map_or(Some(0), SetShape::size)?)
            }
            Self::Firsts { set, .. } => set.size(),
        }
    }

    /// The search that a question describes.
    pub(crate) fn request(&self, source: &HashMemory) -> Option<PairRequest> {
        let Self::Pairs { left, right, radii, driving, method } = self else { return None };
        let after = left.size()?;
        Some(PairRequest {
            left: left.set(source, 0)?,
            right: match right {
                Some(right) => Some(right.set(source, after)?),
                None => None,
            },
            radii: radii.clone(),
            driving: *driving,
            method: method.clone(),
        })
    }

    /// The set that a question describes.
    pub(crate) fn set(&self, source: &HashMemory) -> Option<(Set, u64)> {
        let Self::Firsts { set, seed } = self else { return None };
        Some((set.set(source, 0)?, *seed))
    }
}

/// The kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum FrameKind {
    /// An [`Ask`], as JSON.
    Ask = 1,
    /// A [`Status`], as JSON.
    Status = 2,
    /// Pairs, two `u32` each, then the distances of the first pair in each column, those of the second, … as `u16`.
    Pairs = 3,
    /// First rows, a `u32` each.
    Firsts = 4,
    /// Empty: the search is still running.
    Alive = 5,
    /// Empty: the search is done.
    Done = 6,
    /// A [`GpuError`], as JSON: the search has failed.
    Failed = 7,
}

impl FrameKind {
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        let kinds = [Self::Ask, Self::Status, Self::Pairs, Self::Firsts, Self::Alive, Self::Done, Self::Failed];
        kinds.into_iter().find(|kind| *kind as u32 == number)
    }
}

/// The status of the GPU process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its process id.
    pub process: u32,
    /// The device.
    pub info: Info,
    /// The most device memory for all searches, in bytes.
    pub limit: usize,
    /// Device memory in use, in bytes.
    pub allocated: usize,
    /// Searches for pairs that have succeeded.
    pub searches: u64,
    /// Searches that run or wait.
    pub active: usize,
    /// When it began to serve.
    pub started: SystemTime,
}

/// A frame that was read: its kind, its body, and its total length.
pub(crate) type ReadFrame<'a> = (FrameKind, &'a [u8], usize);

/// Appends a frame.
pub(crate) fn frame(output: &mut Vec<u8>, kind: FrameKind, body: &[&[u8]]) -> Result<(), GpuError> {
    let length: usize = body.iter().map(|part| part.len()).sum();
    if length > MOST {
        return Err(GpuError::refused("a message that is too long", 0));
    }
    output.try_reserve(HEAD + length).map_err(|_| GpuError::OutOfMemory(length))?;
    output.extend_from_slice(&(kind as u32).to_ne_bytes());
    output.extend_from_slice(&(length as u32).to_ne_bytes());
    body.iter().for_each(|part| output.extend_from_slice(part));
    Ok(())
}

/// The first frame of the input; `None` while it is incomplete. Errors: `Refused`, for what is no frame.
pub(crate) fn first_frame(input: &[u8]) -> Result<Option<ReadFrame<'_>>, GpuError> {
    let Some((head, rest)) = input.split_at_checked(HEAD) else { return Ok(None) };
    let number = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (kind, length) = (FrameKind::from_number(number(0)), number(4) as usize);
    match kind.filter(|_| length <= MOST) {
        None => Err(GpuError::refused("a message of an unknown kind", number(0))),
        Some(kind) => Ok(rest.get(..length).map(|body| (kind, body, HEAD + length))),
    }
}
