//! Host memory, which the program owns and passes by address. Called by [`crate::stream`] and [`crate::entry`].
#![allow(unsafe_code, reason = "the driver API passes pointers")]

use crate::code::{Code, INVALID_VALUE, OUT_OF_MEMORY};
use lumina_ptx::STALE;
use std::alloc::Layout;

/// A copy of host memory.
pub(crate) fn read(from: usize, length: usize) -> Vec<u8> {
    if length == 0 {
        return Vec::new();
    }
    // SAFETY: the program promises that `length` bytes are readable until the copy is done.
    unsafe { std::slice::from_raw_parts(from as *const u8, length) }.to_vec()
}

/// Writes host memory.
pub(crate) fn write(to: usize, bytes: &[u8]) {
    // SAFETY: the program promises that this many bytes are writable until the copy is done.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to as *mut u8, bytes.len()) }
}

/// Overwrites host memory that is to be written later.
pub(crate) fn fill(to: usize, length: usize) {
    // SAFETY: the program promises that this many bytes are writable, from now on until the copy is done.
    unsafe { std::ptr::write_bytes(to as *mut u8, STALE, length) }
}

/// Writes a result to the program's address.
///
/// # Safety
/// `to` is null or a place for a `T`.
pub(crate) unsafe fn put<T>(to: *mut T, value: T) -> Result<(), Code> {
    if to.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: as promised by the caller.
    unsafe { to.write(value) };
    Ok(())
}

fn layout(length: usize) -> Result<Layout, Code> {
    Layout::from_size_align(length.max(1), 4096).map_err(|_| INVALID_VALUE)
}

/// Allocates pinned memory, which holds a pattern.
pub(crate) fn allocate(length: usize) -> Result<usize, Code> {
    let layout = layout(length)?;
    // SAFETY: the size is not zero.
    let pointer = unsafe { std::alloc::alloc(layout) };
    if pointer.is_null() {
        return Err(OUT_OF_MEMORY);
    }
    // SAFETY: this many bytes were allocated.
    unsafe { pointer.write_bytes(STALE, layout.size()) };
    Ok(pointer as usize)
}

/// Frees what [`allocate`] returned for `length`.
pub(crate) fn free(address: usize, length: usize) -> Result<(), Code> {
    let layout = layout(length)?;
    // SAFETY: the caller found the address among those that `allocate` returned, with its length.
    unsafe { std::alloc::dealloc(address as *mut u8, layout) };
    Ok(())
}
