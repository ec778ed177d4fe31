//! What reading an image may take, and whether it is still wanted.
//!
//! Sizes in a file are claims. Every allocation whose size comes from one is counted against [`Limits::memory`] before it
//! is made, and the system is asked whether it has as much: the decoders themselves allocate in ways that cannot fail,
//! and a failed allocation would end the process.

use crate::error::PhotoError;
use crate::format::Format;

/// The caller, asked every few milliseconds while an image is read.
pub trait Watch {
    /// Whether the result is no longer wanted.
    fn stop(&self) -> bool;

    /// Whether the system has `bytes` to give.
    fn room_for(&self, bytes: usize) -> bool {
        let _ = bytes;
        true
    }
}

/// A caller that waits for as long as it takes.
#[derive(Debug, Clone, Copy)]
pub struct Patient;

impl Watch for Patient {
    fn stop(&self) -> bool {
        false
    }
}

/// What reading one image may take.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Width times height, in pixels.
    pub pixels: u64,
    /// Bytes beside those of the file itself.
    pub memory: u64,
    /// Who waits for it.
    pub watch: &'a dyn Watch,
}

impl Limits<'_> {
    /// Errors: [`PhotoError::Cancelled`].
    pub fn check(&self) -> Result<(), PhotoError> {
        if self.watch.stop() { Err(PhotoError::Cancelled) } else { Ok(()) }
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
            Ok(bytes) if self.watch.room_for(bytes) => Ok(()),
            _ => Err(PhotoError::OutOfMemory),
        }
    }

    /// `length` zeros, asked of the system in a way that can fail. Errors: [`PhotoError::OutOfMemory`].
    pub(crate) fn zeros<T: Copy + Default>(&self, length: usize) -> Result<Vec<T>, PhotoError> {
        let mut zeros = Vec::new();
        zeros.try_reserve_exact(length).map_err(|_| PhotoError::OutOfMemory)?;
        zeros.resize(length, T::default());
        Ok(zeros)
    }
}
