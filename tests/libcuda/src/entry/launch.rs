//! Modules, functions and launches.
#![allow(unsafe_code, non_snake_case, reason = "the names and signatures of the driver API")]

use crate::code::*;
use crate::driver::{Driver, Needs, call};
use crate::host::{self, put};
use crate::stream::StreamWork;
use lumina_ptx::{Device, Header, Module, Unsupported};
use std::ffi::{CStr, c_char, c_int, c_uint};

/// Parses and checks a text.
fn load(driver: &mut Driver, text: &[u8]) -> Result<Module, Code> {
    let text = std::str::from_utf8(text).map_err(|_| INVALID_IMAGE)?;
    if !text.contains(".version") {
        return Err(INVALID_IMAGE);
    }
    let control = &driver.source.control;
    let device = Device { capability: control.capability, version: control.ptx };
    let mut refuse = |code: Code, message: String| {
        driver.messages.push(format!("module: {message}"));
        code
    };
    let header = match Header::parse(text) {
        Ok(header) => header,
        Err(error) => return Err(refuse(INVALID_PTX, error.to_string())),
    };
    header.check(&device).map_err(|unsupported| match unsupported {
        Unsupported::Version(_) => refuse(UNSUPPORTED_PTX_VERSION, unsupported.to_string()),
        Unsupported::Target(_) => refuse(INVALID_PTX, unsupported.to_string()),
    })?;
    Module::parse(text).map_err(|error| refuse(INVALID_PTX, error.to_string()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadData(module: *mut usize, image: *const c_char) -> u32 {
    call("cuModuleLoadData", Needs::Context, |driver| {
        if module.is_null() || image.is_null() {
            return Err(INVALID_VALUE);
        }
        // Waits for running kernels.
        driver.drain_all()?;
        // SAFETY: the program passes NUL-terminated text; other images contain a NUL early, and are refused.
        let text = unsafe { CStr::from_ptr(image) };
        let loaded = load(driver, text.to_bytes())?;
        let handle = driver.handle();
        driver.modules.insert(handle, loaded);
        // SAFETY: the program passes a place for the handle.
        unsafe { put(module, handle) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleUnload(module: usize) -> u32 {
    call("cuModuleUnload", Needs::Context, |driver| {
        driver.drain_all()?;
        driver.functions.retain(|_, (of, _)| *of != module);
        driver.modules.remove(&module).map(drop).ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetFunction(function: *mut usize, module: usize, name: *const c_char) -> u32 {
    call("cuModuleGetFunction", Needs::Context, |driver| {
        if name.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the program passes NUL-terminated text.
        let name = unsafe { CStr::from_ptr(name) }.to_str().map_err(|_| NOT_FOUND)?;
        let entry = driver.modules.get(&module).ok_or(INVALID_HANDLE)?.entry(name).ok_or(NOT_FOUND)?.clone();
        let handle = driver.handle();
        driver.functions.insert(handle, (module, entry));
        // SAFETY: the program passes a place for the handle.
        unsafe { put(function, handle) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuFuncGetAttribute(value: *mut c_int, attribute: c_int, function: usize) -> u32 {
    call("cuFuncGetAttribute", Needs::Context, |driver| {
        let (_, entry) = driver.functions.get(&function).ok_or(INVALID_HANDLE)?;
        let found = match attribute {
            0 => entry.max_threads().unwrap_or(1024) as c_int, // MAX_THREADS_PER_BLOCK
            1 => entry.shared_size() as c_int,                 // SHARED_SIZE_BYTES
            2 => 0,                                            // CONST_SIZE_BYTES
            3 => entry.local_size() as c_int,                  // LOCAL_SIZE_BYTES
            4 => 64,                                           // NUM_REGS: no compiler has chosen one
            _ => return Err(INVALID_VALUE),
        };
        // SAFETY: the program passes a place for the number.
        unsafe { put(value, found) }
    })
}

fn occupancy(driver: &Driver, blocks: *mut c_int, function: usize, threads: c_int) -> Result<(), Code> {
    driver.functions.get(&function).ok_or(INVALID_HANDLE)?;
    let threads = u32::try_from(threads).ok().filter(|threads| (1..=1024).contains(threads)).ok_or(INVALID_VALUE)?;
    // SAFETY: the program passes a place for the number.
    unsafe { put(blocks, (2048 / threads.next_multiple_of(32)).min(32) as c_int) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    blocks: *mut c_int,
    function: usize,
    threads: c_int,
    _shared: usize,
) -> u32 {
    call("cuOccupancyMaxActiveBlocksPerMultiprocessor", Needs::Context, |driver| {
        occupancy(driver, blocks, function, threads)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    blocks: *mut c_int,
    function: usize,
    threads: c_int,
    _shared: usize,
    _flags: c_uint,
) -> u32 {
    call("cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags", Needs::Context, |driver| {
        occupancy(driver, blocks, function, threads)
    })
}

/// Whether the device and the kernel accept the shape of a launch.
fn takes(entry: &lumina_ptx::Entry, grid: [u32; 3], block: [u32; 3], shared: u32) -> bool {
    let threads = block.iter().map(|size| u64::from(*size)).product::<u64>();
    let most = u64::from(entry.max_threads().unwrap_or(1024)).min(1024);
    (1..=most).contains(&threads)
        && block[2] <= 64
        && grid.iter().all(|size| *size > 0)
        && grid[0] <= i32::MAX as u32
        && grid[1].max(grid[2]) <= 65_535
        && u64::from(entry.shared_size()) + u64::from(shared) <= 48 << 10
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchKernel(
    function: usize,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    shared: c_uint,
    stream: usize,
    params: *const *const u8,
    extra: *const usize,
) -> u32 {
    call("cuLaunchKernel", Needs::Context, |driver| {
        let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
        let (_, entry) = driver.functions.get(&function).ok_or(INVALID_HANDLE)?;
        if !takes(entry, grid, block, shared) || !extra.is_null() {
            return Err(INVALID_VALUE);
        }
        let mut bytes = vec![0; entry.params_size()];
        for (index, param) in entry.params().into_iter().enumerate() {
            if params.is_null() {
                return Err(INVALID_VALUE);
            }
            // SAFETY: the program passes a pointer for each parameter of the kernel.
            let from = unsafe { *params.add(index) };
            if from.is_null() {
                return Err(INVALID_VALUE);
            }
            bytes[param.offset..param.offset + param.size].copy_from_slice(&host::read(from as usize, param.size));
        }
        driver.issue(stream, StreamWork::Launch { function, grid, block, params: bytes, dynamic_shared: shared })
    })
}
