//! Runs a decoder that cannot be stopped on a thread of its own.
//!
//! A decoder is stopped through its reader. Some read all of their input first and then compute for seconds, or compute
//! much out of a few bytes: WebP of both kinds (image-webp), JPEG in several scans (zune-jpeg, which transforms all
//! coefficients at the end). Measured on one slow core, 8 million pixels of these take 0.1 to 0.4 s. So a larger
//! picture of them is decoded by a thread that has its own copy of the file, while the caller's thread keeps checking
//! whether the caller has cancelled. If so, the thread is abandoned: it ends at its next read or with its picture,
//! whichever is first, and frees what it holds. The next large picture waits until it has: a caller that cancels often
//! holds the memory of one picture, not of many. Small pictures are decoded at once, without a thread.
//!
//! Called by `webp` and `jpeg`. The thread touches nothing of the caller, nor of Postgres:
//! [`Caller::spawn`](crate::limits::Caller::spawn) starts it, and blocks signals there.

use crate::error::PhotoError;
use crate::format::Format;
use crate::input::guarded;
use crate::limits::{Caller, Limits};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// Pixels that the slowest decoder makes in less than half a second.
pub(super) const LARGE: u64 = 8_000_000;
/// The time between two checks whether the caller has cancelled.
const POLL_INTERVAL: Duration = Duration::from_millis(4);

/// Abandoned threads that have not ended.
static ABANDONED: AtomicUsize = AtomicUsize::new(0);

/// The caller of the decoder on its thread: cancelled when the real caller is.
struct CancelFlag(Arc<AtomicBool>);

impl Caller for CancelFlag {
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The result of `decode` on `bytes`, computed in another thread. Errors: those of `decode`; [`PhotoError::Cancelled`];
/// [`PhotoError::OutOfMemory`] if no thread can be started.
pub(super) fn run<T: Send + 'static>(
    format: Format,
    bytes: Vec<u8>,
    limits: &Limits<'_>,
    decode: impl FnOnce(&[u8], &Limits<'_>) -> Result<T, PhotoError> + Send + 'static,
) -> Result<T, PhotoError> {
    while ABANDONED.load(Ordering::Acquire) > 0 {
        limits.check()?;
        thread::sleep(POLL_INTERVAL);
    }
    let cancelled = Arc::new(AtomicBool::new(false));
    // Set by the caller as it leaves and by the thread as it ends: the second one sees that the first has set it.
    let one_is_gone = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&one_is_gone);
    let flag = CancelFlag(Arc::clone(&cancelled));
    let (pixels, memory) = (limits.pixels, limits.memory);
    let (sender, receiver) = sync_channel(1);
    let work = move || {
        let result = guarded(format, || decode(&bytes, &Limits { pixels, memory, caller: &flag }));
        drop(bytes); // before the caller goes on and counts what is allocated
        let unwanted = sender.send(result).err(); // nobody may be there any more
        drop(unwanted);
        if ended.swap(true, Ordering::AcqRel) {
            ABANDONED.fetch_sub(1, Ordering::AcqRel);
        }
    };
    limits.caller.spawn(Box::new(work)).map_err(|_| PhotoError::OutOfMemory)?;
    loop {
        match receiver.recv_timeout(POLL_INTERVAL) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Disconnected) => return Err(super::damaged(format, "the decoder failed")),
            Err(RecvTimeoutError::Timeout) if limits.caller.is_cancelled() => {
                cancelled.store(true, Ordering::Relaxed);
                ABANDONED.fetch_add(1, Ordering::AcqRel);
                if one_is_gone.swap(true, Ordering::AcqRel) {
                    ABANDONED.fetch_sub(1, Ordering::AcqRel); // it ended in between, and counts no more
                }
                return Err(PhotoError::Cancelled);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
