//! Device memory, pinned memory, copies and fills.
//!
//! Blocking: a free and a free of pinned memory wait for all work; a copy out to pageable memory waits for its stream,
//! and so does a copy in from more than 64 KiB of it. Not blocking: everything on pinned memory.
#![allow(unsafe_code, non_snake_case, reason = "the names and signatures of the driver API")]

use crate::code::*;
use crate::driver::{Driver, Needs, call};
use crate::host::{self, put};
use crate::stream::{STAGED, StreamWork};
use std::ffi::c_uint;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> u32 {
    call("cuMemGetInfo_v2", Needs::Context, |driver| {
        let memory = driver.control().memory;
        // SAFETY: the program passes places for both numbers.
        unsafe {
            put(free, memory.saturating_sub(driver.used))?;
            put(total, memory)
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAlloc_v2(address: *mut u64, length: usize) -> u32 {
    call("cuMemAlloc_v2", Needs::Context, |driver| {
        if length == 0 {
            return Err(INVALID_VALUE);
        }
        let found = driver.allocate(length)?;
        // SAFETY: the program passes a place for the address.
        unsafe { put(address, found) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocAsync(address: *mut u64, length: usize, stream: usize) -> u32 {
    call("cuMemAllocAsync", Needs::Context, |driver| {
        let stream = driver.stream(stream)?;
        if !driver.control().has_pools {
            return Err(NOT_SUPPORTED);
        }
        // The driver returns success for zero bytes.
        let found = if length == 0 {
            0
        } else {
            match driver.allocate(length) {
                Err(OUT_OF_MEMORY) => {
                    // Earlier frees on this stream count.
                    driver.drain(stream)?;
                    driver.allocate(length)?
                }
                other => other?,
            }
        };
        // SAFETY: the program passes a place for the address.
        unsafe { put(address, found) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFree_v2(address: u64) -> u32 {
    call("cuMemFree_v2", Needs::Context, |driver| {
        if address == 0 {
            return Ok(());
        }
        // The driver accepts an allocation with a pending free, and may crash: here it is an error.
        if !driver.allocations.contains_key(&address) || driver.freeing.contains(&address) {
            return Err(INVALID_VALUE);
        }
        driver.drain_all()?;
        driver.free(address)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeAsync(address: u64, stream: usize) -> u32 {
    call("cuMemFreeAsync", Needs::Context, |driver| {
        let stream = driver.stream(stream)?;
        if address == 0 {
            return Ok(());
        }
        if !driver.allocations.contains_key(&address) || !driver.freeing.insert(address) {
            return Err(INVALID_VALUE);
        }
        driver.issue(stream, StreamWork::Free(address))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemHostAlloc(address: *mut usize, length: usize, _flags: c_uint) -> u32 {
    call("cuMemHostAlloc", Needs::Context, |driver| {
        if length == 0 || address.is_null() {
            return Err(INVALID_VALUE);
        }
        let found = host::allocate(length)?;
        driver.pinned.insert(found, length);
        // SAFETY: the program passes a place for the address.
        unsafe { put(address, found) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeHost(address: usize) -> u32 {
    call("cuMemFreeHost", Needs::Context, |driver| {
        if !driver.pinned.contains_key(&address) {
            return Err(INVALID_VALUE);
        }
        driver.drain_all()?;
        let length = driver.pinned.remove(&address).ok_or(INVALID_VALUE)?;
        host::free(address, length)
    })
}

fn copy_in(driver: &mut Driver, to: u64, from: usize, length: usize, stream: usize) -> Result<(), Code> {
    let stream = driver.stream(stream)?;
    driver.check_range(to, length)?;
    if driver.is_pinned(from, length) {
        return driver.issue(stream, StreamWork::CopyIn { to, from, length });
    }
    if length > STAGED {
        driver.drain(stream)?;
    }
    driver.issue(stream, StreamWork::CopyStaged { to, bytes: host::read(from, length) })
}

fn copy_out(driver: &mut Driver, to: usize, from: u64, length: usize, stream: usize) -> Result<(), Code> {
    let stream = driver.stream(stream)?;
    driver.check_range(from, length)?;
    let waits = !driver.is_pinned(to, length);
    if !waits {
        // Until the copy is done the contents must not be relied on, least of all the result of the copy before.
        host::fill(to, length);
    }
    driver.issue(stream, StreamWork::CopyOut { to, from, length })?;
    if waits { driver.drain(stream) } else { Ok(()) }
}

fn copy_inside(driver: &mut Driver, to: u64, from: u64, length: usize, stream: usize) -> Result<(), Code> {
    driver.check_range(to, length)?;
    driver.check_range(from, length)?;
    driver.issue(stream, StreamWork::CopyInside { to, from, length })
}

fn fill(driver: &mut Driver, at: u64, pattern: &[u8], count: usize, stream: usize) -> Result<(), Code> {
    let length = count.checked_mul(pattern.len()).ok_or(INVALID_VALUE)?;
    if !at.is_multiple_of(pattern.len() as u64) {
        return Err(INVALID_VALUE);
    }
    driver.check_range(at, length)?;
    driver.issue(stream, StreamWork::Fill { at, length, pattern: pattern.to_vec() })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoD_v2(to: u64, from: usize, length: usize) -> u32 {
    call("cuMemcpyHtoD_v2", Needs::Context, |driver| {
        copy_in(driver, to, from, length, 0)?;
        driver.drain(0)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoDAsync_v2(to: u64, from: usize, length: usize, stream: usize) -> u32 {
    call("cuMemcpyHtoDAsync_v2", Needs::Context, |driver| copy_in(driver, to, from, length, stream))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoH_v2(to: usize, from: u64, length: usize) -> u32 {
    call("cuMemcpyDtoH_v2", Needs::Context, |driver| {
        copy_out(driver, to, from, length, 0)?;
        driver.drain(0)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoHAsync_v2(to: usize, from: u64, length: usize, stream: usize) -> u32 {
    call("cuMemcpyDtoHAsync_v2", Needs::Context, |driver| copy_out(driver, to, from, length, stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoD_v2(to: u64, from: u64, length: usize) -> u32 {
    call("cuMemcpyDtoD_v2", Needs::Context, |driver| copy_inside(driver, to, from, length, 0))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, length: usize, stream: usize) -> u32 {
    call("cuMemcpyDtoDAsync_v2", Needs::Context, |driver| copy_inside(driver, to, from, length, stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8_v2(at: u64, value: u8, count: usize) -> u32 {
    call("cuMemsetD8_v2", Needs::Context, |driver| fill(driver, at, &[value], count, 0))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8Async(at: u64, value: u8, count: usize, stream: usize) -> u32 {
    call("cuMemsetD8Async", Needs::Context, |driver| fill(driver, at, &[value], count, stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD32_v2(at: u64, value: c_uint, count: usize) -> u32 {
    call("cuMemsetD32_v2", Needs::Context, |driver| fill(driver, at, &value.to_le_bytes(), count, 0))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD32Async(at: u64, value: c_uint, count: usize, stream: usize) -> u32 {
    call("cuMemsetD32Async", Needs::Context, |driver| fill(driver, at, &value.to_le_bytes(), count, stream))
}
