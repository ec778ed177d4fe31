//! Streams and events.
//!
//! A query of pending work does a piece of it and returns "not ready", so that a polling loop ends.
#![allow(unsafe_code, non_snake_case, reason = "the names and signatures of the driver API")]

use crate::code::*;
use crate::driver::{Driver, Event, Needs, call};
use crate::host::put;
use crate::stream::{Stream, StreamWork};
use std::ffi::{c_int, c_uint};

fn create(driver: &mut Driver, stream: *mut usize) -> Result<(), Code> {
    let handle = driver.handle();
    // SAFETY: the program passes a place for the handle.
    unsafe { put(stream, handle) }?;
    driver.streams.insert(handle, Stream::default());
    Ok(())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreate(stream: *mut usize, _flags: c_uint) -> u32 {
    call("cuStreamCreate", Needs::Context, |driver| create(driver, stream))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreateWithPriority(stream: *mut usize, _flags: c_uint, _priority: c_int) -> u32 {
    call("cuStreamCreateWithPriority", Needs::Context, |driver| create(driver, stream))
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamDestroy_v2(stream: usize) -> u32 {
    call("cuStreamDestroy_v2", Needs::Context, |driver| {
        let handle = driver.stream(stream)?;
        match driver.streams.get_mut(&handle) {
            // Its work continues.
            Some(stream) if handle != 0 => {
                stream.is_destroyed = true;
                Ok(())
            }
            _ => Err(INVALID_HANDLE),
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamSynchronize(stream: usize) -> u32 {
    call("cuStreamSynchronize", Needs::Context, |driver| {
        let handle = driver.stream(stream)?;
        driver.drain(handle)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamQuery(stream: usize) -> u32 {
    call("cuStreamQuery", Needs::Context, |driver| {
        let handle = driver.stream(stream)?;
        let issued = driver.streams.get(&handle).map_or(0, |stream| stream.issued);
        driver.advance(handle, issued)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamWaitEvent(stream: usize, event: usize, _flags: c_uint) -> u32 {
    call("cuStreamWaitEvent", Needs::Context, |driver| {
        let event = *driver.events.get(&event).ok_or(INVALID_HANDLE)?;
        match event.recorded {
            Some((of, until)) => driver.issue(stream, StreamWork::Wait { stream: of, until }),
            None => driver.stream(stream).map(drop),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamIsCapturing(_stream: usize, status: *mut c_int) -> u32 {
    // SAFETY: the program passes a place for the number.
    call("cuStreamIsCapturing", Needs::Context, |_| unsafe { put(status, 0) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventCreate(event: *mut usize, _flags: c_uint) -> u32 {
    call("cuEventCreate", Needs::Context, |driver| {
        let handle = driver.handle();
        // SAFETY: the program passes a place for the handle.
        unsafe { put(event, handle) }?;
        driver.events.insert(handle, Event::default());
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventDestroy_v2(event: usize) -> u32 {
    call("cuEventDestroy_v2", Needs::Context, |driver| driver.events.remove(&event).map(drop).ok_or(INVALID_HANDLE))
}

#[unsafe(no_mangle)]
extern "C" fn cuEventRecord(event: usize, stream: usize) -> u32 {
    call("cuEventRecord", Needs::Context, |driver| {
        let handle = driver.stream(stream)?;
        let until = driver.streams.get(&handle).map_or(0, |stream| stream.issued) + 1;
        let of = driver.events.get_mut(&event).ok_or(INVALID_HANDLE)?;
        *of = Event { recorded: Some((handle, until)), time: None };
        driver.issue(handle, StreamWork::Record(event))
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventQuery(event: usize) -> u32 {
    call("cuEventQuery", Needs::Context, |driver| match driver.events.get(&event).ok_or(INVALID_HANDLE)?.recorded {
        Some((stream, until)) => driver.advance(stream, until),
        None => Ok(()),
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventSynchronize(event: usize) -> u32 {
    call("cuEventSynchronize", Needs::Context, |driver| {
        match driver.events.get(&event).ok_or(INVALID_HANDLE)?.recorded {
            Some((stream, until)) => driver.drain_until(stream, until),
            None => Ok(()),
        }
    })
}

fn elapsed(driver: &Driver, milliseconds: *mut f32, start: usize, end: usize) -> Result<(), Code> {
    let event = |event| driver.events.get(&event).copied().ok_or(INVALID_HANDLE);
    let (start, end) = (event(start)?, event(end)?);
    if start.recorded.is_none() || end.recorded.is_none() {
        return Err(INVALID_HANDLE);
    }
    let (Some(start), Some(end)) = (start.time, end.time) else { return Err(NOT_READY) };
    let seconds = end.saturating_duration_since(start).as_secs_f32();
    // SAFETY: the program passes a place for the number.
    unsafe { put(milliseconds, seconds * 1e3) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime(milliseconds: *mut f32, start: usize, end: usize) -> u32 {
    call("cuEventElapsedTime", Needs::Context, |driver| elapsed(driver, milliseconds, start, end))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime_v2(milliseconds: *mut f32, start: usize, end: usize) -> u32 {
    call("cuEventElapsedTime_v2", Needs::Context, |driver| elapsed(driver, milliseconds, start, end))
}
