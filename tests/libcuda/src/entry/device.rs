//! Start, devices, contexts, errors.
#![allow(unsafe_code, non_snake_case, reason = "the names and signatures of the driver API")]

use crate::code::*;
use crate::driver::{CONTEXT, CURRENT, Driver, Needs, call};
use crate::host::put;
use std::ffi::{c_char, c_int, c_uint};

#[unsafe(no_mangle)]
extern "C" fn cuInit(flags: c_uint) -> u32 {
    call("cuInit", Needs::Nothing, |driver| {
        if driver.process != std::process::id() {
            return Err(NOT_INITIALIZED);
        }
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        match (driver.control().init, driver.control().devices) {
            (0, 0) => Err(NO_DEVICE),
            (0, _) => {
                driver.is_initialized = true;
                Ok(())
            }
            (code, _) => Err(Code(code)),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDriverGetVersion(version: *mut c_int) -> u32 {
    // SAFETY: the program passes a place for the number.
    call("cuDriverGetVersion", Needs::Nothing, |driver| unsafe { put(version, driver.control().driver) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> u32 {
    // SAFETY: the program passes a place for the number.
    call("cuDeviceGetCount", Needs::Driver, |driver| unsafe { put(count, driver.control().devices) })
}

fn check_device(driver: &Driver, device: c_int) -> Result<(), Code> {
    if (0..driver.control().devices).contains(&device) { Ok(()) } else { Err(INVALID_DEVICE) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> u32 {
    call("cuDeviceGet", Needs::Driver, |driver| {
        check_device(driver, ordinal)?;
        // SAFETY: the program passes a place for the number.
        unsafe { put(device, ordinal) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, length: c_int, device: c_int) -> u32 {
    call("cuDeviceGetName", Needs::Driver, |driver| {
        check_device(driver, device)?;
        let room = usize::try_from(length).ok().filter(|room| *room > 0).ok_or(INVALID_VALUE)?;
        let text = driver.control().name.as_bytes();
        let text = &text[..text.len().min(room - 1)];
        if name.is_null() {
            return Err(INVALID_VALUE);
        }
        crate::host::write(name as usize, text);
        crate::host::write(name as usize + text.len(), &[0]);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, device: c_int) -> u32 {
    call("cuDeviceTotalMem_v2", Needs::Driver, |driver| {
        check_device(driver, device)?;
        // SAFETY: the program passes a place for the number.
        unsafe { put(bytes, driver.control().memory) }
    })
}

/// Unknown attributes are an error, so that no program relies on an invented value.
fn attribute(driver: &Driver, attribute: c_int) -> Result<c_int, Code> {
    let control = driver.control();
    Ok(match attribute {
        1..=3 => 1024,                            // MAX_THREADS_PER_BLOCK, MAX_BLOCK_DIM_X, _Y
        4 => 64,                                  // MAX_BLOCK_DIM_Z
        5 => c_int::MAX,                          // MAX_GRID_DIM_X
        6 | 7 => 65_535,                          // MAX_GRID_DIM_Y, _Z
        8 => 48 << 10,                            // MAX_SHARED_MEMORY_PER_BLOCK
        9 => 64 << 10,                            // TOTAL_CONSTANT_MEMORY
        10 => 32,                                 // WARP_SIZE
        12 => 64 << 10,                           // MAX_REGISTERS_PER_BLOCK
        13 => 1_980_000,                          // CLOCK_RATE, kHz
        16 => control.multiprocessors,            // MULTIPROCESSOR_COUNT
        17 | 18 | 35 => 0,                        // KERNEL_EXEC_TIMEOUT, INTEGRATED, ECC_ENABLED
        20 => 0,                                  // COMPUTE_MODE: default
        31 | 41 => 1,                             // CONCURRENT_KERNELS, UNIFIED_ADDRESSING
        33 | 34 | 50 => 0,                        // PCI_BUS_ID, PCI_DEVICE_ID, PCI_DOMAIN_ID
        39 => 2048,                               // MAX_THREADS_PER_MULTIPROCESSOR
        75 => (control.capability / 10) as c_int, // COMPUTE_CAPABILITY_MAJOR
        76 => (control.capability % 10) as c_int, // COMPUTE_CAPABILITY_MINOR
        83 => 0,                                  // MANAGED_MEMORY
        115 => c_int::from(control.has_pools),    // MEMORY_POOLS_SUPPORTED
        _ => return Err(INVALID_VALUE),
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetAttribute(value: *mut c_int, which: c_int, device: c_int) -> u32 {
    call("cuDeviceGetAttribute", Needs::Driver, |driver| {
        check_device(driver, device)?;
        let found = attribute(driver, which)?;
        // SAFETY: the program passes a place for the number.
        unsafe { put(value, found) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut usize, device: c_int) -> u32 {
    call("cuDevicePrimaryCtxRetain", Needs::Driver, |driver| {
        check_device(driver, device)?;
        if driver.references == 0 {
            if let Some(code) = driver.sticky {
                return Err(code);
            }
            if driver.control().is_full {
                return Err(OUT_OF_MEMORY);
            }
        }
        // SAFETY: the program passes a place for the handle.
        unsafe { put(context, CONTEXT) }?;
        driver.references += 1;
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRelease_v2(device: c_int) -> u32 {
    call("cuDevicePrimaryCtxRelease_v2", Needs::Driver, |driver| {
        check_device(driver, device)?;
        driver.references = driver.references.checked_sub(1).ok_or(INVALID_CONTEXT)?;
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxReset_v2(device: c_int) -> u32 {
    // It reports success, and a lost device stays lost.
    call("cuDevicePrimaryCtxReset_v2", Needs::Driver, |driver| check_device(driver, device))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetCurrent(context: *mut usize) -> u32 {
    // SAFETY: the program passes a place for the handle.
    call("cuCtxGetCurrent", Needs::Driver, |_| unsafe { put(context, if CURRENT.get() { CONTEXT } else { 0 }) })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetCurrent(context: usize) -> u32 {
    call("cuCtxSetCurrent", Needs::Driver, |driver| match context {
        0 => {
            CURRENT.set(false);
            Ok(())
        }
        CONTEXT if driver.references > 0 => {
            CURRENT.set(true);
            Ok(())
        }
        _ => Err(INVALID_CONTEXT),
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSynchronize() -> u32 {
    call("cuCtxSynchronize", Needs::Context, Driver::drain_all)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorName(code: u32, name: *mut *const c_char) -> u32 {
    call("cuGetErrorName", Needs::Nothing, |_| {
        let found = names(code).ok_or(INVALID_VALUE)?.0;
        // SAFETY: the program passes a place for the pointer.
        unsafe { put(name, found.as_ptr()) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorString(code: u32, text: *mut *const c_char) -> u32 {
    call("cuGetErrorString", Needs::Nothing, |_| {
        let found = names(code).ok_or(INVALID_VALUE)?.1;
        // SAFETY: the program passes a place for the pointer.
        unsafe { put(text, found.as_ptr()) }
    })
}
