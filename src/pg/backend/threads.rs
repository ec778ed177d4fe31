//! The start of threads in a backend.
//!
//! A thread inherits the signal mask of the one that starts it. Postgres's handlers change its state and may only ever
//! run on the backend's own thread, so that every other thread is started with all signals blocked.

use super::allocator::{hold_reserve, room_for};
use crate::error::{LuminaError, OutOfMemory};
use crate::pg::fmgr::error::ThreadsNotStarted;
use lumina_import::pool::{Pool, Processor};
use std::mem::MaybeUninit;
use std::thread::Builder;

/// More than the C library takes for a thread beside its stack.
const SETUP: usize = 1 << 18;

/// Whether the system has memory for threads with stacks of `stack` bytes: where the C library has none to set one up,
/// the process ends.
pub(crate) fn room_for_threads(threads: usize, stack: usize) -> bool {
    room_for(threads * (stack + SETUP) + SETUP)
}

/// Stack of a thread of a pool, in bytes.
const POOL_STACK: usize = 4 << 20;

/// Starts threads that read and decode files. Errors: 53000, 53200.
pub(crate) fn start_pool<P: Processor>(threads: usize, processor: &P) -> Result<Pool<P>, LuminaError> {
    if !hold_reserve() || !room_for_threads(threads, POOL_STACK) {
        return Err(OutOfMemory.into());
    }
    let spawn = |work| Builder::new().name("lumina file".into()).stack_size(POOL_STACK).spawn(work);
    let pool = with_signals_blocked(|| Pool::start(threads, processor, spawn));
    pool.map_err(|error| ThreadsNotStarted { threads, why: error.to_string() }.into())
}

/// Runs `start` with all signals blocked; threads that it starts never see one. It must not call Postgres.
pub(crate) fn with_signals_blocked<R>(start: impl FnOnce() -> R) -> R {
    let _restored = Mask::block_all();
    start()
}

/// The signal mask as it was.
struct Mask(libc::sigset_t);

impl Mask {
    fn block_all() -> Self {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: sigfillset fills in `all`, and pthread_sigmask, which can fail for a wrong `how` alone, `before`.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Mask(before.assume_init())
        }
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        // SAFETY: the mask is one that the system gave. This calls nothing of Postgres, so that it is right while an
        // error unwinds as well.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}
