//! The program's allocator: the system's, but that the program ends where it has no more.
//!
//! Rust aborts where an allocation fails, and the signal for that is forbidden here. The status says what it was.
#![allow(unsafe_code)]

use lumina_isolated::exit;
use std::alloc::{GlobalAlloc, Layout, System};

struct Bounded;

#[global_allocator]
static BOUNDED: Bounded = Bounded;

fn given(memory: *mut u8) -> *mut u8 {
    if memory.is_null() {
        // SAFETY: it ends the process, and runs nothing of it.
        unsafe { libc::_exit(exit::MEMORY) }
    }
    memory
}

// SAFETY: each method is the system's, with the same promises of the caller.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { System.realloc(memory, layout, size) })
    }
}
