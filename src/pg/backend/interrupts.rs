//! Interrupts during code that knows none, such as decoders.
//!
//! An interrupt that is an error must not unwind through a decoder as if it were the decoder's own failure: it is
//! caught where it is raised, the decoder is told to stop, and once it has, the interrupt is rethrown.

use super::allocator::{hold_reserve, reserve_spent, room_for};
use super::image_memory::Share;
use super::server::decoder;
use super::threads::{room_for_threads, with_signals_blocked};
use crate::error::{LuminaError, OutOfMemory};
use lumina_photo::Caller;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::thread::Builder;

/// The stack of a decoder thread, in bytes: Rust's default.
const STACK: usize = 2 << 20;

/// The backend while it waits for an image.
pub(crate) struct Waiting {
    raised: RefCell<Option<Box<dyn Any + Send>>>,
    /// Its share of the memory for all images.
    share: RefCell<Share>,
    /// Why that could not grow.
    refused: Cell<Option<LuminaError>>,
    /// Where the program `lumina-decoder` is.
    decoder: PathBuf,
}

impl Waiting {
    /// Errors: 53200, where there is no memory even for a reserve.
    pub(crate) fn begin() -> Result<Self, LuminaError> {
        if !hold_reserve() {
            return Err(OutOfMemory.into());
        }
        Ok(Waiting {
            raised: RefCell::new(None),
            share: RefCell::new(Share::none()),
            refused: Cell::new(None),
            decoder: decoder(),
        })
    }

    /// Returns the result of the work; rethrows an interrupt that stopped it. Errors: 53400, where the memory for all
    /// images was full; 53200, where the reserve was needed.
    pub(crate) fn end<R>(self, result: Result<R, impl Into<LuminaError>>) -> Result<R, LuminaError> {
        let Waiting { raised, share, refused, .. } = self;
        let raised = raised.into_inner();
        if raised.is_some() || reserve_spent() {
            share.into_inner().end_early();
        }
        if let Some(raised) = raised {
            resume_unwind(raised);
        }
        if reserve_spent() {
            return Err(OutOfMemory.into());
        }
        refused.into_inner().map_or(result.map_err(Into::into), Err)
    }

    /// Runs `work`; keeps what it raises for [`Self::end`]. pgrx's guard around its calls turns an error into a panic;
    /// nothing is left half done by it.
    fn keep_raised<R>(&self, work: impl FnOnce() -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(result) => Some(result),
            Err(raised) => {
                *self.raised.borrow_mut() = Some(raised);
                None
            }
        }
    }

    fn has_share(&self, bytes: usize) -> bool {
        match self.keep_raised(|| self.share.borrow_mut().grow(bytes as u64)) {
            Some(grown) => grown.map_err(|refused| self.refused.set(Some(refused))).is_ok(),
            None => false,
        }
    }
}

impl Caller for Waiting {
    fn is_cancelled(&self) -> bool {
        if reserve_spent() || self.raised.borrow().is_some() {
            return true;
        }
        let check = || {
            pgrx::check_for_interrupts!();
        };
        self.keep_raised(check).is_none()
    }

    fn room_for(&self, bytes: usize) -> bool {
        self.has_share(bytes) && room_for(bytes)
    }

    fn decoder(&self) -> Option<&Path> {
        Some(&self.decoder)
    }

    fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        if !room_for_threads(1, STACK) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let share = self.share.borrow().for_thread();
        let work = move || {
            work();
            drop(share);
        };
        with_signals_blocked(|| Builder::new().name("lumina decoder".into()).stack_size(STACK).spawn(work).map(drop))
    }
}
