//! A memory reserve for small allocations, whose failure Rust cannot handle.
//!
//! Memory that grows with data is allocated fallibly. That of threads, channels and the like is not: where the system
//! has none for one of their few bytes, Rust ends the process, and Postgres with it all sessions. For them a search
//! holds a reserve: it is freed when a small allocation fails, which is then retried, and the search ends with an error
//! at its next check.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

#[global_allocator]
static ALLOCATOR: WithReserve = WithReserve;

/// The system's allocator, with a reserve.
struct WithReserve;

/// Larger requests may fail: their callers handle that.
const SMALL: usize = 64 << 10;
/// Above glibc's mmap threshold, so that the address space is given back at once.
const RESERVE: Layout = match Layout::from_size_align(1 << 20, 4096) {
    Ok(layout) => layout,
    Err(_) => panic!("a size and a power of two"),
};

static HELD: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static SPENT: AtomicBool = AtomicBool::new(false);

/// Frees the reserve. Returns whether there is, or has just been, one.
#[cold]
fn spend() -> bool {
    let held = HELD.swap(ptr::null_mut(), Ordering::AcqRel);
    if !held.is_null() {
        // SAFETY: the thread that swaps the pointer out owns it, and it was allocated with this layout.
        unsafe { System.dealloc(held, RESERVE) };
        SPENT.store(true, Ordering::Release);
    }
    SPENT.load(Ordering::Acquire)
}

/// Retries a small allocation that has failed.
#[inline]
fn with_reserve(size: usize, allocate: impl Fn() -> *mut u8) -> *mut u8 {
    let allocated = allocate();
    if allocated.is_null() && size <= SMALL && spend() { allocate() } else { allocated }
}

// SAFETY: every call is passed on to the system's allocator as it is, once more where it has failed and so done
// nothing.
unsafe impl GlobalAlloc for WithReserve {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller.
        with_reserve(layout.size(), || unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller.
        with_reserve(layout.size(), || unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as promised by the caller; a call that fails leaves the old allocation as it is.
        with_reserve(size, || unsafe { System.realloc(pointer, layout, size) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Allocates the reserve, unless it is held. Returns whether it is.
pub(crate) fn hold_reserve() -> bool {
    if HELD.load(Ordering::Acquire).is_null() {
        // SAFETY: the layout's size is not zero.
        let reserve = unsafe { System.alloc(RESERVE) };
        // A nested search finds one held already. Threads may run that have just spent it.
        let before = HELD.swap(reserve, Ordering::AcqRel);
        if !before.is_null() {
            // SAFETY: as in `spend`.
            unsafe { System.dealloc(before, RESERVE) };
        }
    }
    let is_held = !HELD.load(Ordering::Acquire).is_null();
    if is_held {
        SPENT.store(false, Ordering::Release);
    }
    is_held
}

/// Whether `bytes` can be allocated now. Threads that are started next find at least as much.
///
/// glibc gives each thread that allocates an arena of its own, 64 MiB of address space; here all share the first one,
/// which the backend's own thread uses alone but for the few batches that they fill.
pub(crate) fn room_for(bytes: usize) -> bool {
    let Ok(layout) = Layout::from_size_align(bytes.max(1), 4096) else { return false };
    // SAFETY: a plain setting of the allocator; then a block that is freed at once, as nobody has seen it.
    unsafe {
        #[cfg(target_env = "gnu")]
        libc::mallopt(libc::M_ARENA_MAX, 1);
        let block = System.alloc(layout);
        if !block.is_null() {
            System.dealloc(block, layout);
        }
        !block.is_null()
    }
}

/// Whether a small allocation had to use the reserve.
pub(crate) fn reserve_spent() -> bool {
    SPENT.load(Ordering::Acquire)
}
