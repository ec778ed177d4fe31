//! Errors of a text ([`ParseError`]), and of a launch ([`Fault`]).

use thiserror::Error;

/// The text is no PTX that this interpreter knows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: u32,
    /// What is wrong with it.
    pub message: String,
}

impl ParseError {
    pub(crate) fn new(line: u32, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// The kind of a fault; callers that emulate a driver map it to a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The launch itself: its shape or the size of its parameters.
    Launch,
    /// An access outside of what its address space holds, freed device memory included.
    Address,
    /// An address that is not a multiple of the access's size.
    Misaligned,
    /// A read of an unwritten register.
    Register,
    /// A read of unwritten memory.
    Unwritten,
    /// Two threads accessed the same bytes without synchronisation, and one of the accesses was a write.
    Race,
    /// A collective that not all named lanes take part in, or a barrier that not all threads reach.
    Divergence,
    /// A division by zero or another operation that PTX leaves undefined.
    Undefined,
    /// `trap`.
    Trap,
    /// More instructions than the launch was granted.
    Endless,
}

/// A launch that failed: the fault and its place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("kernel {kernel}, block {block:?}, thread {thread:?}, line {line}: {message}")]
pub struct Fault {
    /// The kind.
    pub kind: FaultKind,
    /// What happened.
    pub message: String,
    /// The entry that was launched.
    pub kernel: String,
    /// The block's index in the grid.
    pub block: [u32; 3],
    /// The thread's index in the block: the first one concerned.
    pub thread: [u32; 3],
    /// The line of the PTX text; 0 where no instruction is concerned.
    pub line: u32,
}

/// A fault before the machine adds its place.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) kind: FaultKind,
    /// The first lane concerned.
    pub(crate) lane: u32,
    pub(crate) message: String,
}

impl Problem {
    /// Boxed, so that a result which is nearly always Ok stays small.
    pub(crate) fn new(kind: FaultKind, lane: u32, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { kind, lane, message: message.into() })
    }
}
