//! Interrupts in the middle of somebody else's code.
//!
//! An interrupt that is an error must not unwind through a decoder as if it were the decoder's own failure: it is caught
//! where it is raised, the decoder is told to stop, and once it has, the interrupt goes on.

use super::allocator::{hold_reserve, reserve_spent, room_for};
use super::threads::{room_for_threads, with_signals_blocked};
use crate::error::LuminaError;
use lumina_photo::Watch;
use std::any::Any;
use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::Builder;

/// Stack of a decoder that runs aside, in bytes: what Rust gives a thread by itself.
const STACK: usize = 2 << 20;

/// This backend, waiting for an image.
pub(crate) struct Waiting {
    raised: RefCell<Option<Box<dyn Any + Send>>>,
}

impl Waiting {
    /// Errors: 53200, where there is no memory even for a reserve.
    pub(crate) fn begin() -> Result<Self, LuminaError> {
        if hold_reserve() { Ok(Waiting { raised: RefCell::new(None) }) } else { Err(LuminaError::OutOfMemory) }
    }

    /// The result of what was waited for; an interrupt that stopped it goes on from here. Errors: 53200, where the
    /// reserve was needed.
    pub(crate) fn end<R>(self, result: Result<R, impl Into<LuminaError>>) -> Result<R, LuminaError> {
        if let Some(raised) = self.raised.into_inner() {
            resume_unwind(raised);
        }
        if reserve_spent() { Err(LuminaError::OutOfMemory) } else { result.map_err(Into::into) }
    }
}

impl Watch for Waiting {
    fn stop(&self) -> bool {
        if reserve_spent() || self.raised.borrow().is_some() {
            return true;
        }
        // The guard that pgrx puts around the call makes a panic of an error; nothing is left half done by it.
        let look = || {
            pgrx::check_for_interrupts!();
        };
        match catch_unwind(AssertUnwindSafe(look)) {
            Ok(()) => false,
            Err(raised) => {
                *self.raised.borrow_mut() = Some(raised);
                true
            }
        }
    }

    fn room_for(&self, bytes: usize) -> bool {
        room_for(bytes)
    }

    fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        if !room_for_threads(1, STACK) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        with_signals_blocked(|| Builder::new().name("lumina decoder".into()).stack_size(STACK).spawn(work).map(drop))
    }
}
