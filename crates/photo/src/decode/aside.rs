//! Runs a decoder that cannot be stopped on a separate thread.
//!
//! A decoder is stopped through its reader. Some read all of their input first and then compute for seconds, or compute
//! much out of a few bytes: WebP of both kinds (image-webp), JPEG in several scans (zune-jpeg, which transforms all
//! coefficients at the end). Measured on one slow core, 8 million pixels of these take 0.1 to 0.4 s. So a larger
//! picture of them is decoded by a thread that has its own copy of the file, while the caller's thread keeps checking
//! its watch. Once the caller cancels, the thread is abandoned: it ends at its next read or with its picture, whichever
//! is first, and frees what it holds. The next large picture waits until it has: a caller that cancels often holds the
//! memory of one picture, not of many. Small pictures are decoded at once, without a thread.
//!
//! The thread touches nothing of the caller, nor of Postgres: [`Watch::spawn`](crate::limits::Watch::spawn) starts it,
//! and blocks signals there.

use crate::error::PhotoError;
use crate::format::Format;
use crate::input::guarded;
use crate::limits::{Limits, Watch};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// Pixels that the slowest decoder makes in less than half a second.
pub(super) const LARGE: u64 = 8_000_000;
/// Interval of the checks of the caller's watch.
const LOOK: Duration = Duration::from_millis(4);

/// Abandoned threads that have not ended.
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// The watch of the thread, which is told when the caller cancels.
struct Told(Arc<AtomicBool>);

impl Watch for Told {
    fn stop(&self) -> bool {
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
    while LEFT.load(Ordering::Acquire) > 0 {
        limits.check()?;
        thread::sleep(LOOK);
    }
    let stop = Arc::new(AtomicBool::new(false));
    // Set by the caller as it leaves and by the thread as it ends: the second one sees that the first has set it.
    let parted = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&parted);
    let told = Told(Arc::clone(&stop));
    let (pixels, memory) = (limits.pixels, limits.memory);
    let (sender, receiver) = sync_channel(1);
    let work = move || {
        let result = guarded(format, || decode(&bytes, &Limits { pixels, memory, watch: &told }));
        drop(bytes); // before the caller goes on and counts what is left
        let unwanted = sender.send(result).err(); // nobody may be there any more
        drop(unwanted);
        if ended.swap(true, Ordering::AcqRel) {
            LEFT.fetch_sub(1, Ordering::AcqRel);
        }
    };
    limits.watch.spawn(Box::new(work)).map_err(|_| PhotoError::OutOfMemory)?;
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Disconnected) => return Err(super::damaged(format, "the decoder failed")),
            Err(RecvTimeoutError::Timeout) if limits.watch.stop() => {
                stop.store(true, Ordering::Relaxed);
                LEFT.fetch_add(1, Ordering::AcqRel);
                if parted.swap(true, Ordering::AcqRel) {
                    LEFT.fetch_sub(1, Ordering::AcqRel); // it ended in between, and counts no more
                }
                return Err(PhotoError::Cancelled);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
