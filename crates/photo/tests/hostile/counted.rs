//! A counting allocator, a recording caller, and a decode under both. The fuzz targets use it too.

use lumina_photo::{Caller, Format, Limits, PhotoError, Picture, decode};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, Once};
use std::time::{Duration, Instant};

/// A backend's default limit.
pub(crate) const PIXELS: u64 = 200_000_000;
/// A backend's default limit, in bytes.
pub(crate) const MEMORY: u64 = 1 << 30;
/// What may be allocated without a request: texts of errors, the state of a reader.
const UNASKED: u64 = 300 << 10;
/// The longest decode of hostile bytes, on a slow and busy machine without optimisation; the aim is a second.
pub(crate) const LONGEST: Duration = Duration::from_secs(5);

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Bytes that are currently allocated.
pub(crate) fn live() -> usize {
    LIVE.load(Relaxed)
}

fn grown(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(live, Relaxed);
}

// SAFETY: every call is passed to the system's allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: as promised by the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Large blocks are moved by remapping pages, so the old one does not count beside the new one.
        LIVE.fetch_sub(layout.size(), Relaxed);
        grown(size);
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// A caller that records.
#[derive(Default)]
pub(crate) struct Remembers {
    /// The largest request, in bytes.
    pub(crate) asked: Cell<u64>,
    /// How often it was asked whether to stop.
    pub(crate) checks: Cell<u64>,
    /// The check at which it cancels.
    pub(crate) stop_at: Option<u64>,
    /// Where the program of isolated decoders is.
    pub(crate) program: Option<PathBuf>,
}

impl Caller for Remembers {
    fn decoder(&self) -> Option<&Path> {
        self.program.as_deref()
    }

    fn is_cancelled(&self) -> bool {
        self.checks.set(self.checks.get() + 1);
        self.stop_at.is_some_and(|check| self.checks.get() > check)
    }

    fn room_for(&self, bytes: usize) -> bool {
        self.asked.set(self.asked.get().max(bytes as u64));
        true
    }
}

/// Serializes the tests: the counts are those of the process.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static QUIET: Once = Once::new();
    // Panics of decoders are caught, and not printed; those of a test must be printed.
    QUIET.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.location().is_some_and(|location| location.file().contains("hostile")) {
                usual(info);
            }
        }));
    });
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The result of a decode.
pub(crate) struct Outcome {
    pub(crate) result: Result<(Format, Picture), PhotoError>,
    /// Bytes allocated at once, at most.
    pub(crate) peak: u64,
    /// The most bytes requested at once.
    pub(crate) asked: u64,
    pub(crate) checks: u64,
    pub(crate) time: Duration,
}

pub(crate) fn outcome_within(bytes: &[u8], pixels: u64, memory: u64) -> Outcome {
    let first = once(bytes, pixels, memory);
    // A machine may pause for a minute. What is slow is slow twice.
    if first.time < LONGEST { first } else { once(bytes, pixels, memory) }
}

fn once(bytes: &[u8], pixels: u64, memory: u64) -> Outcome {
    let caller = Remembers::default();
    let start = Instant::now();
    let (result, peak) = measured(|| decode(bytes, &Limits { pixels, memory, caller: &caller }));
    let time = start.elapsed();
    Outcome { result, peak, asked: caller.asked.get(), checks: caller.checks.get(), time }
}

/// The result of some work, and its peak allocation in bytes. The lock of [`alone`] must be held.
pub(crate) fn measured<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = live();
    PEAK.store(before, Relaxed);
    let result = work();
    (result, (PEAK.load(Relaxed) - before) as u64)
}

/// Decodes within the default limits, and checks the invariants for all bytes. The lock of [`alone`] must be held.
pub(crate) fn outcome(name: &str, bytes: &[u8]) -> Outcome {
    let outcome = outcome_within(bytes, PIXELS, MEMORY);
    check(name, &outcome);
    outcome
}

pub(crate) fn check(name: &str, outcome: &Outcome) {
    let &Outcome { ref result, peak, asked, time, .. } = outcome;
    let said = result.as_ref().map(|(format, picture)| (*format, picture.width, picture.height));
    assert!(peak <= asked.max(UNASKED), "{name}: {peak} bytes, of which {asked} were asked for: {said:?}");
    assert!(time < LONGEST, "{name}: took {time:?}: {said:?}");
    if let Ok((_, picture)) = result {
        let pixels = picture.width as usize * picture.height as usize;
        assert_eq!(picture.pixels.samples().len(), pixels * picture.pixels.channels(), "{name}");
        assert!(pixels > 0, "{name}");
    }
}

/// The error of bytes that must give one.
pub(crate) fn refused(name: &str, bytes: &[u8]) -> PhotoError {
    match outcome(name, bytes).result {
        Ok((format, picture)) => panic!("{name} is a {format} of {} x {}", picture.width, picture.height),
        Err(error) => error,
    }
}

/// Bytes that claim too many pixels are refused for that, before anything is allocated.
pub(crate) fn too_many_pixels(name: &str, bytes: &[u8]) {
    let outcome = outcome(name, bytes);
    assert!(matches!(outcome.result, Err(PhotoError::Pixels { .. })), "{name}: {:?}", outcome.result.err());
    assert!(outcome.peak <= UNASKED, "{name}: {} bytes", outcome.peak);
}

/// Deterministic pseudo-random numbers (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}
