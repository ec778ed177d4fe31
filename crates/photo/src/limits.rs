//! Limits for reading an image, and its cancellation.
//!
//! Sizes in a file are claims. Every allocation whose size comes from one is counted against [`Limits::memory`] before
//! it is made, and the system is asked whether it has as much: the decoders themselves allocate infallibly, and a
//! failed allocation would end the process.

use crate::error::PhotoError;
use crate::format::Format;
use std::io;
use std::path::Path;
use std::thread;

/// Values between two checks where little is done with each.
pub(crate) const AT_ONCE: usize = 1 << 24;

/// Values that a row counts at least, in a [`CancelCheck`]: its decoder is called for it.
const ROW: usize = 64;

/// What reading an image asks of its caller: cancellation, every few milliseconds; memory; threads; a program.
pub trait Caller {
    /// Whether the caller has cancelled.
    fn is_cancelled(&self) -> bool;

    /// Whether the system has `bytes` available.
    fn room_for(&self, bytes: usize) -> bool {
        let _ = bytes;
        true
    }

    /// Where the program `lumina-decoder` is, which decodes formats that are not decoded inside this process. `None`:
    /// those are not decoded.
    fn decoder(&self) -> Option<&Path> {
        None
    }

    /// Starts a thread that only computes and calls nothing of the caller; it may outlive the call that started it, by
    /// seconds. A caller that handles signals blocks them in it. Errors: the system starts none.
    fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        thread::Builder::new().name("lumina decoder".into()).spawn(work).map(drop)
    }
}

/// A caller that never cancels.
#[derive(Debug, Clone, Copy)]
pub struct NeverCancels;

impl Caller for NeverCancels {
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Limits for reading one image.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Width times height, in pixels.
    pub pixels: u64,
    /// Bytes in addition to those of the file itself.
    pub memory: u64,
    /// The caller.
    pub caller: &'a dyn Caller,
}

impl Limits<'_> {
    /// Errors: [`PhotoError::Cancelled`].
    pub fn check(&self) -> Result<(), PhotoError> {
        if self.caller.is_cancelled() { Err(PhotoError::Cancelled) } else { Ok(()) }
    }

    /// Errors: [`PhotoError::Pixels`].
    pub fn allow_pixels(&self, width: u32, height: u32) -> Result<(), PhotoError> {
        if u64::from(width) * u64::from(height) <= self.pixels {
            return Ok(());
        }
        Err(PhotoError::Pixels { width, height, limit: self.pixels })
    }

    /// Errors: [`PhotoError::Memory`], [`PhotoError::OutOfMemory`].
    pub fn allow_memory(&self, format: Format, needed: u64) -> Result<(), PhotoError> {
        if needed > self.memory {
            return Err(PhotoError::Memory { format, needed, limit: self.memory });
        }
        match usize::try_from(needed) {
            Ok(bytes) if self.caller.room_for(bytes) => Ok(()),
            _ => Err(PhotoError::OutOfMemory),
        }
    }

    /// `length` zeros, allocated fallibly; the system may take half a second. Errors: [`PhotoError::OutOfMemory`],
    /// [`PhotoError::Cancelled`].
    pub(crate) fn zeros<T: Copy + Default>(&self, length: usize) -> Result<Vec<T>, PhotoError> {
        self.filled(length, T::default())
    }

    /// `length` times `value`, as [`Limits::zeros`].
    pub(crate) fn filled<T: Copy>(&self, length: usize, value: T) -> Result<Vec<T>, PhotoError> {
        let mut values = Vec::new();
        values.try_reserve_exact(length).map_err(|_| PhotoError::OutOfMemory)?;
        while values.len() < length {
            self.check()?;
            values.resize(length.min(values.len() + AT_ONCE), value);
        }
        Ok(values)
    }

    /// The parts, concatenated, allocated fallibly. Errors: [`PhotoError::OutOfMemory`].
    pub(crate) fn joined(&self, parts: &[&[u8]]) -> Result<Vec<u8>, PhotoError> {
        let mut joined = Vec::new();
        let length = parts.iter().map(|part| part.len()).sum();
        joined.try_reserve_exact(length).map_err(|_| PhotoError::OutOfMemory)?;
        parts.iter().for_each(|part| joined.extend_from_slice(part));
        Ok(joined)
    }
}

/// Checks for cancellation every 2^18 values or so, however they come in rows.
pub(crate) struct CancelCheck<'a> {
    limits: &'a Limits<'a>,
    values: usize,
}

impl<'a> CancelCheck<'a> {
    pub(crate) fn new(limits: &'a Limits<'a>) -> Self {
        CancelCheck { limits, values: 0 }
    }

    /// A row of `values` is about to be made. Errors: [`PhotoError::Cancelled`].
    pub(crate) fn row(&mut self, values: usize) -> Result<(), PhotoError> {
        self.advance(values.max(ROW))
    }

    /// `values` more are about to be made. Errors: [`PhotoError::Cancelled`].
    pub(crate) fn advance(&mut self, values: usize) -> Result<(), PhotoError> {
        self.values += values;
        if self.values < 1 << 18 {
            return Ok(());
        }
        self.values = 0;
        self.limits.check()
    }
}
