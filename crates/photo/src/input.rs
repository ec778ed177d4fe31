//! The bytes of a file, read by decoders that can be cancelled.
//!
//! A decoder knows nothing of its caller: between two reads it cannot be interrupted. So the reader checks, every
//! [`STRIDE`] bytes, whether the caller has cancelled. If so, it unwinds: decoders take an error of their reader for a
//! file that ends early, and some continue with what they have. [`guarded`] catches the unwinding, and with it a panic
//! of a decoder, which means that a file is damaged in a way that the decoder does not handle.

use crate::error::PhotoError;
use crate::format::Format;
use crate::limits::{Caller, Limits};
use std::any::Any;
use std::cell::Cell;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use zune_core::bytestream::{ZByteIoError, ZByteReaderTrait, ZSeekFrom};

/// Bytes between two checks: the slowest decoders spend some milliseconds on them.
const STRIDE: usize = 16 << 10;

/// The payload with which a cancelled read unwinds.
struct Cancellation;

/// Runs a decoder. Errors: its own; [`PhotoError::Cancelled`]; [`PhotoError::Damaged`] where it panicked.
pub(crate) fn guarded<T>(format: Format, decode: impl FnOnce() -> Result<T, PhotoError>) -> Result<T, PhotoError> {
    // What a decoder leaves half-done is dropped with its frames; the input is not used again.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|payload| {
        if payload.is::<Cancellation>() {
            return Err(PhotoError::Cancelled);
        }
        Err(PhotoError::Damaged { format, why: panic_text(payload.as_ref()) })
    })
}

/// Unwinds if the caller has cancelled: for code that a decoder calls, and that cannot return an error. Must be called
/// inside [`guarded`].
pub(crate) fn unwind_if_cancelled(caller: &dyn Caller) {
    if caller.is_cancelled() {
        resume_unwind(Box::new(Cancellation)); // no message, no backtrace: nobody is to see it
    }
}

/// Unwinds for a reason: for code that a decoder calls, and that cannot return an error. Must be called inside
/// [`guarded`], which takes it for the decoder's own panic.
#[cfg_attr(not(feature = "heic"), allow(dead_code, reason = "no other decoder calls ours"))]
pub(crate) fn unwind(why: &'static str) -> ! {
    resume_unwind(Box::new(why))
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref().copied());
    format!("the decoder failed ({})", text.unwrap_or("without a reason"))
}

/// The bytes of a file. Must be read inside [`guarded`].
pub(crate) struct Input<'a> {
    bytes: &'a [u8],
    position: usize,
    /// The position of the next check.
    check_at: usize,
    /// The position of the last check: a read before it is checked too.
    checked_at: usize,
    caller: &'a dyn Caller,
    overrun: &'a Cell<bool>,
}

impl<'a> Input<'a> {
    /// `overrun` is set when more is read than there is.
    pub(crate) fn new(bytes: &'a [u8], limits: &Limits<'a>, overrun: &'a Cell<bool>) -> Self {
        Input { bytes, position: 0, check_at: 0, checked_at: 0, caller: limits.caller, overrun }
    }

    #[inline(always)]
    fn moved(&mut self) {
        if self.position >= self.check_at || self.position < self.checked_at {
            self.check();
        }
    }

    #[cold]
    fn check(&mut self) {
        unwind_if_cancelled(self.caller);
        self.checked_at = self.position;
        self.check_at = self.position.saturating_add(STRIDE);
    }

    #[inline(always)]
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    fn go_to(&mut self, position: Option<usize>) -> io::Result<u64> {
        let position = position.ok_or(io::ErrorKind::InvalidInput)?;
        self.position = position;
        self.moved();
        Ok(position as u64)
    }
}

impl Read for Input<'_> {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.rest();
        let length = buffer.len().min(rest.len()).min(STRIDE);
        buffer[..length].copy_from_slice(&rest[..length]);
        if length == 0 && !buffer.is_empty() {
            self.overrun.set(true);
        }
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Input<'_> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let rest = self.rest();
        if rest.is_empty() {
            self.overrun.set(true);
        }
        Ok(&rest[..rest.len().min(STRIDE)])
    }

    #[inline]
    fn consume(&mut self, length: usize) {
        self.position += length;
        self.moved();
    }
}

impl Seek for Input<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.go_to(match to {
            SeekFrom::Start(offset) => usize::try_from(offset).ok(),
            SeekFrom::End(offset) => self.bytes.len().checked_add_signed(offset as isize),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset as isize),
        })
    }
}

/// An [`Input`] for the JPEG decoder, whose innermost loop reads four bytes at a time through a trait of its own.
pub(crate) struct JpegInput<'a>(pub(crate) Input<'a>);

impl ZByteReaderTrait for JpegInput<'_> {
    #[inline(always)]
    fn read_byte_no_error(&mut self) -> u8 {
        let input = &mut self.0;
        match input.bytes.get(input.position) {
            Some(&byte) => {
                input.position += 1;
                input.moved();
                byte
            }
            None => {
                input.overrun.set(true);
                0
            }
        }
    }

    #[inline(always)]
    fn read_exact_bytes(&mut self, buffer: &mut [u8]) -> Result<(), ZByteIoError> {
        let rest = self.0.rest();
        let Some(bytes) = rest.get(..buffer.len()) else {
            return Err(ZByteIoError::NotEnoughBytes(rest.len(), buffer.len())); // the decoder tries byte by byte
        };
        buffer.copy_from_slice(bytes);
        self.0.position += buffer.len();
        self.0.moved();
        Ok(())
    }

    fn read_bytes(&mut self, buffer: &mut [u8]) -> Result<usize, ZByteIoError> {
        self.0.read(buffer).map_err(ZByteIoError::from)
    }

    fn peek_bytes(&mut self, buffer: &mut [u8]) -> Result<usize, ZByteIoError> {
        let rest = self.0.rest();
        let length = buffer.len().min(rest.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn peek_exact_bytes(&mut self, buffer: &mut [u8]) -> Result<(), ZByteIoError> {
        match self.peek_bytes(buffer)? {
            length if length == buffer.len() => Ok(()),
            length => Err(ZByteIoError::NotEnoughBytes(length, buffer.len())),
        }
    }

    #[inline(always)]
    fn z_seek(&mut self, to: ZSeekFrom) -> Result<u64, ZByteIoError> {
        let to = match to {
            ZSeekFrom::Start(offset) => SeekFrom::Start(offset),
            ZSeekFrom::End(offset) => SeekFrom::End(offset),
            ZSeekFrom::Current(offset) => SeekFrom::Current(offset),
        };
        self.0.seek(to).map_err(ZByteIoError::from)
    }

    #[inline(always)]
    fn is_eof(&mut self) -> Result<bool, ZByteIoError> {
        // The decoder calls this while pixels are still to come; after the end marker it does not.
        let ended = self.0.position >= self.0.bytes.len();
        if ended {
            self.0.overrun.set(true);
        }
        Ok(ended)
    }

    fn z_position(&mut self) -> Result<u64, ZByteIoError> {
        Ok(self.0.position as u64)
    }

    fn read_remaining(&mut self, sink: &mut Vec<u8>) -> Result<usize, ZByteIoError> {
        let rest = self.0.rest();
        sink.extend_from_slice(rest);
        self.0.consume(rest.len());
        Ok(rest.len())
    }
}
