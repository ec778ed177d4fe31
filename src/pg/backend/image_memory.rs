//! `lumina.image_memory_total`: the memory that all images of the server may take together.
//!
//! Every role may hash images, in as many sessions as the server has, so that a bound for each image bounds nothing. An
//! image that needs more than [`SMALL`] takes a share of the total before it is decoded, and waits for a while where
//! none is left. Parallel workers and sessions count alike, each for itself.
//!
//! - Where the library is preloaded, shares are counted in shared memory ([`shared_memory`](super::shared_memory)), to
//!   the kilobyte.
//! - Elsewhere the total is cut into [`PARTS`] parts, each of which is a lock of ours ([`lock`](super::lock)): a share
//!   is as many of them as it needs.
//!
//! Either is released at the end of the call, where the (sub)transaction fails, and where the process ends. A decoder
//! that outlives its call (`crates/photo`, `decode/decoder_thread.rs`) keeps its share until it ends. Without shared
//! memory only the backend's own thread can release that: with the session's next image or transaction.

use super::latch::{WAIT_TIMEOUT, pause};
use super::lock::{Attempt, Lock};
use super::shared_memory::{self, Word};
use crate::error::LuminaError;
use crate::guc;
use crate::pg::fmgr::error::ImageMemoryFull;
use pgrx::pg_sys::{self, XactEvent};
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes below which an image is not counted: any statement of Postgres takes as much.
const SMALL: u64 = 4 << 20;
/// The parts of the total where there is no shared memory.
const PARTS: u32 = 64;
/// The time between two attempts to grow.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How long a call that ends early waits for its decoder to notice.
const NOTICE: Duration = Duration::from_millis(300);

/// The share of the total of a call's images.
pub(crate) struct Share {
    counted: Arc<Counted>,
    parts: Vec<Lock>,
}

/// What was counted in shared memory. Shared by the call and the threads that it starts: the last of them releases it.
pub(crate) struct Counted {
    word: Option<Word>,
    kilobytes: AtomicU32,
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Calls nothing of Postgres: on any thread, and while an error unwinds.
        if let Some(word) = self.word {
            word.subtract(self.kilobytes.load(Ordering::Acquire));
        }
    }
}

/// Runs `work` with a share. Decoders that a failed `work` leaves behind keep it.
pub(crate) fn with_share<R>(work: impl FnOnce(&mut Share) -> Result<R, LuminaError>) -> Result<R, LuminaError> {
    let mut share = Share::none();
    // An interrupt is caught once nothing but the share is left, and rethrown at once.
    let result = catch_unwind(AssertUnwindSafe(|| work(&mut share)));
    if !matches!(result, Ok(Ok(_))) {
        share.end_early();
    }
    result.unwrap_or_else(|raised| resume_unwind(raised))
}

impl Share {
    /// An empty share.
    pub(crate) fn none() -> Self {
        release_ended();
        Share { counted: Arc::new(Counted { word: Word::mine(), kilobytes: AtomicU32::new(0) }), parts: Vec::new() }
    }

    /// Grows it to `bytes`, and waits for a while where others hold the memory. Raises what interrupts raise. Errors:
    /// 53400, where there is no room.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), LuminaError> {
        if bytes <= SMALL {
            return Ok(());
        }
        let (needed, limit) = (bytes.div_ceil(1024), guc::image_memory_total() as u64);
        let began = Instant::now();
        while needed > limit || !self.try_grow(needed, limit) {
            if needed > limit || began.elapsed() > WAIT_TIMEOUT {
                return Err(ImageMemoryFull { needed, limit }.into());
            }
            pause(POLL_INTERVAL);
        }
        Ok(())
    }

    /// In kilobytes; `needed` is at most `limit`. Takes all that is lacking, or nothing.
    fn try_grow(&mut self, needed: u64, limit: u64) -> bool {
        let Some(word) = self.counted.word else {
            let part = limit.div_ceil(u64::from(PARTS));
            return self.try_parts(needed.div_ceil(part) as usize);
        };
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        let more = needed.saturating_sub(self.counted.kilobytes.load(Ordering::Acquire));
        // Added first and checked afterwards: of two concurrent calls the later sees both.
        word.add(more);
        if more > 0 && shared_memory::sum() > limit {
            word.subtract(more);
            return false;
        }
        self.counted.kilobytes.fetch_add(more, Ordering::AcqRel);
        true
    }

    fn try_parts(&mut self, needed: usize) -> bool {
        let before = self.parts.len();
        // Each process begins at another part: so few try what is taken.
        let first = process::id() % PARTS;
        for place in 0..PARTS {
            if self.parts.len() >= needed {
                return true;
            }
            let part = Lock::image_memory((first + place) % PARTS);
            match part.try_for_transaction() {
                Attempt::Taken => self.parts.push(part),
                Attempt::Again => part.release_in_transaction(),
                Attempt::Busy => {}
            }
        }
        if self.parts.len() >= needed {
            return true;
        }
        self.parts.drain(before..).for_each(Lock::release_in_transaction);
        false
    }

    /// The share that a thread of the image holds while it runs.
    pub(crate) fn for_thread(&self) -> Arc<Counted> {
        Arc::clone(&self.counted)
    }

    /// Ends the share of a failed call: a thread may be abandoned. A share that only the backend can release stays the
    /// session's.
    pub(in crate::pg) fn end_early(mut self) {
        if self.parts.is_empty() {
            return;
        }
        let began = Instant::now();
        while Arc::strong_count(&self.counted) > 1 {
            if began.elapsed() > NOTICE {
                let kept: Vec<Lock> = self.parts.drain(..).collect();
                // Transaction locks end with the transaction.
                for part in &kept {
                    part.try_for_session();
                }
                keep(Arc::downgrade(&self.counted), kept);
                return;
            }
            thread::sleep(Duration::from_millis(4));
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.parts.drain(..).for_each(Lock::release_in_transaction);
        }
    }
}

/// Parts that this session holds for a thread, which has ended once the reference is dead.
type Abandoned = (Weak<Counted>, Vec<Lock>);

thread_local! {
    static ABANDONED: RefCell<Vec<Abandoned>> = const { RefCell::new(Vec::new()) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

fn keep(thread: Weak<Counted>, parts: Vec<Lock>) {
    ABANDONED.with_borrow_mut(|abandoned| abandoned.push((thread, parts)));
    if !REGISTERED.replace(true) {
        // SAFETY: a callback of ours, for the life of the session.
        unsafe { pg_sys::RegisterXactCallback(Some(transaction_ends), std::ptr::null_mut()) };
    }
}

/// Releases the parts of threads that have ended.
fn release_ended() {
    let ended = ABANDONED.with_borrow_mut(|abandoned| {
        let mut ended = Vec::new();
        abandoned.retain_mut(|(thread, parts)| {
            let alive = thread.strong_count() > 0;
            if !alive {
                ended.append(parts);
            }
            alive
        });
        ended
    });
    ended.into_iter().for_each(Lock::release_if_held_in_session);
}

/// # Safety
/// Called by Postgres.
unsafe extern "C-unwind" fn transaction_ends(event: XactEvent::Type, _: *mut c_void) {
    if matches!(event, XactEvent::XACT_EVENT_COMMIT | XactEvent::XACT_EVENT_ABORT) {
        // SAFETY: the closure owns nothing that an error would leave behind.
        unsafe { pg_sys::panic::pgrx_extern_c_guard(release_ended) };
    }
}
