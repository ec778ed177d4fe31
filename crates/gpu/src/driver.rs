//! The CUDA driver calls of this crate, each as a safe function where possible. Used by `device` alone.
//!
//! `libcuda.so.1` belongs to the driver and is opened at run time. cudarc looks up each function when it is first
//! called, and panics where the library or the function is missing. So [`Driver::open`] looks for all of them first: a
//! `Driver` exists only where every call below can be made.
//!
//! After an error that leaves the context unusable, every later call returns that error, and the process never gets
//! another context (measured on a real driver). [`classify`] tells those codes from others.

#![allow(unsafe_code, reason = "the driver's functions take raw pointers")]

use crate::error::GpuError;
use cudarc::driver::DriverError;
use cudarc::driver::result;
use cudarc::driver::sys::{self, CUdevice_attribute};
use std::ffi::{CStr, CString, c_int, c_void};
use std::ptr::NonNull;
use std::sync::OnceLock;

/// Every driver function that is called, by cudarc or by this crate.
const FUNCTIONS: [&str; 26] = [
    "cuInit",
    "cuDriverGetVersion",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceGetAttribute",
    "cuDeviceTotalMem_v2",
    "cuDevicePrimaryCtxRetain",
    "cuDevicePrimaryCtxRelease_v2",
    "cuCtxSetCurrent",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamSynchronize",
    "cuMemAlloc_v2",
    "cuMemFree_v2",
    "cuMemHostAlloc",
    "cuMemFreeHost",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemsetD8Async",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuModuleGetFunction",
    "cuLaunchKernel",
    "cuGetErrorName",
    "cuGetErrorString",
];

/// Codes after which the context, and with it this process's use of the device, is gone: illegal address, launch
/// failure, misaligned address and the like; ECC and hardware errors; a device that has fallen off the bus.
const STICKY: [u32; 18] = [4, 46, 214, 219, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 999];
/// `CUDA_ERROR_OUT_OF_MEMORY`; also the error of a new context on a device that others fill.
const OUT_OF_MEMORY: u32 = 2;
/// Codes that mean that the driver does not support the kernels' PTX.
const TOO_NEW: [u32; 2] = [209, 222];
/// Codes of the first calls that mean that there is no device.
const NO_DEVICE: [u32; 4] = [100, 101, 801, 802];

/// The driver, with all functions that are needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Driver(());

impl Driver {
    /// Opens the library on first use, and initializes the driver. Errors: `NoDriver`, `NoDevice`.
    pub(crate) fn open() -> Result<Self, GpuError> {
        static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
        FOUND.get_or_init(find).clone().map_err(GpuError::NoDriver)?;
        result::init().map_err(|error| {
            let (code, name) = (code(error), name(error));
            match code {
                _ if NO_DEVICE.contains(&code) => GpuError::NoDevice(format!("cuInit: {name}")),
                _ => GpuError::NoDriver(format!("cuInit: {name}")),
            }
        })?;
        Ok(Driver(()))
    }

    /// The newest CUDA version that the driver knows, as 1000 · major + 10 · minor.
    pub(crate) fn version(self) -> Result<u32, GpuError> {
        let mut version: c_int = 0;
        // SAFETY: the function exists, and writes one integer.
        let outcome = unsafe { sys::cuDriverGetVersion(&raw mut version) }.result();
        outcome.map(|()| version as u32).map_err(|error| classify("cuDriverGetVersion", error, 0))
    }

    /// How many devices there are.
    pub(crate) fn devices(self) -> Result<usize, GpuError> {
        result::device::get_count().map(|count| count as usize).map_err(|error| classify("cuDeviceGetCount", error, 0))
    }

    /// A device by its number.
    pub(crate) fn device(self, number: usize) -> Result<Card, GpuError> {
        let device = result::device::get(number as c_int).map_err(|error| classify("cuDeviceGet", error, 0))?;
        Ok(Card { device })
    }
}

/// Finds the library and each function, in the order in which cudarc searches for the library.
fn find() -> Result<(), String> {
    let names = cudarc::get_lib_name_candidates("cuda");
    // SAFETY: libcuda's initializers have no condition that this could break.
    let found = names.iter().find_map(|name| unsafe { libloading::Library::new(name) }.ok());
    let Some(library) = found else { return Err("libcuda.so.1 cannot be opened".into()) };
    for name in FUNCTIONS {
        // SAFETY: the symbol is looked up, and never called here.
        if unsafe { library.get::<*const c_void>(name.as_bytes()) }.is_err() {
            return Err(format!("libcuda.so.1 has no function {name}: the driver is too old"));
        }
    }
    std::mem::forget(library); // cudarc's handle is another one; neither is ever closed
    Ok(())
}

/// A device of the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Card {
    device: sys::CUdevice,
}

impl Card {
    pub(crate) fn name(self) -> Result<String, GpuError> {
        result::device::get_name(self.device).map_err(|error| classify("cuDeviceGetName", error, 0))
    }

    pub(crate) fn total_memory(self) -> Result<usize, GpuError> {
        // SAFETY: the device is one that the driver gave.
        unsafe { result::device::total_mem(self.device) }.map_err(|error| classify("cuDeviceTotalMem", error, 0))
    }

    pub(crate) fn capability(self) -> Result<(u32, u32), GpuError> {
        use CUdevice_attribute::{
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
        };
        Ok((self.attribute(MAJOR)?, self.attribute(MINOR)?))
    }

    pub(crate) fn multiprocessors(self) -> Result<u32, GpuError> {
        self.attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
    }

    fn attribute(self, attribute: CUdevice_attribute) -> Result<u32, GpuError> {
        // SAFETY: the device is one that the driver gave.
        let value = unsafe { result::device::get_attribute(self.device, attribute) };
        value.map(|value| value as u32).map_err(|error| classify("cuDeviceGetAttribute", error, 0))
    }

    /// Retains the primary context, and makes it current on this thread.
    pub(crate) fn retain(self) -> Result<Context, GpuError> {
        // SAFETY: the device is one that the driver gave.
        let context = unsafe { result::primary_ctx::retain(self.device) }
            .map_err(|error| classify("cuDevicePrimaryCtxRetain", error, 0))?;
        let retained = Context { card: self };
        // SAFETY: the context is alive as long as `retained`.
        unsafe { result::ctx::set_current(context) }.map_err(|error| classify("cuCtxSetCurrent", error, 0))?;
        Ok(retained)
    }
}

/// A reference to the primary context, which is current on this thread while it lives.
#[derive(Debug)]
pub(crate) struct Context {
    card: Card,
}

impl Context {
    pub(crate) fn stream(&self) -> Result<Stream, GpuError> {
        let stream = result::stream::create(result::stream::StreamKind::NonBlocking)
            .map_err(|error| classify("cuStreamCreate", error, 0))?;
        Ok(Stream(stream))
    }

    /// Allocates device memory and returns its address. Freed by [`free`](Self::free).
    pub(crate) fn allocate(&self, bytes: usize) -> Result<u64, GpuError> {
        // SAFETY: the memory is passed to kernels as an address alone.
        unsafe { result::malloc_sync(bytes) }.map_err(|error| classify("cuMemAlloc", error, bytes))
    }

    /// Frees memory of [`allocate`](Self::allocate); waits for running kernels.
    pub(crate) fn free(&self, address: u64) {
        // SAFETY: the owner frees it once. After a sticky error this fails, and the memory ends with the process.
        let _ = unsafe { result::free_sync(address) };
    }

    /// Allocates pinned host memory.
    pub(crate) fn allocate_host(&self, bytes: usize) -> Result<NonNull<u8>, GpuError> {
        // SAFETY: the caller owns the memory.
        let memory =
            unsafe { result::malloc_host(bytes, 0) }.map_err(|error| classify("cuMemHostAlloc", error, bytes))?;
        NonNull::new(memory.cast()).ok_or(GpuError::OutOfMemory(bytes))
    }

    /// Frees memory of [`allocate_host`](Self::allocate_host).
    pub(crate) fn free_host(&self, memory: NonNull<u8>) {
        // SAFETY: the owner frees it once.
        let _ = unsafe { result::free_host(memory.as_ptr().cast()) };
    }

    /// Compiles a module of PTX.
    pub(crate) fn load(&self, ptx: &CStr) -> Result<Module, GpuError> {
        // SAFETY: the image is text that ends with a NUL.
        let module = unsafe { result::module::load_data(ptx.as_ptr().cast()) };
        module.map(Module).map_err(|error| classify("cuModuleLoadData", error, 0))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: retained once, and released once.
        let _ = unsafe { result::primary_ctx::release(self.card.device) };
    }
}

/// A stream: a queue of device work.
#[derive(Debug)]
pub(crate) struct Stream(sys::CUstream);

impl Stream {
    /// Waits until all work is done. Errors: `Lost`, whatever the code: it is unknown then what still runs.
    pub(crate) fn wait(&self) -> Result<(), GpuError> {
        // SAFETY: the stream is alive.
        unsafe { result::stream::synchronize(self.0) }.map_err(|error| GpuError::Lost(code(error)))
    }

    /// Queues a copy to the device.
    ///
    /// # Safety
    /// `from` is pinned, and does not change until the stream has been waited for; `to` is device memory with room for
    /// it.
    pub(crate) unsafe fn copy_in(&self, to: u64, from: &[u8]) -> Result<(), GpuError> {
        // SAFETY: as promised by the caller.
        unsafe { result::memcpy_htod_async(to, from, self.0) }.map_err(|error| classify("cuMemcpyHtoDAsync", error, 0))
    }

    /// Queues a copy from the device.
    ///
    /// # Safety
    /// `to` is pinned, and not read until the stream has been waited for; `from` is device memory.
    pub(crate) unsafe fn copy_out(&self, to: &mut [u8], from: u64) -> Result<(), GpuError> {
        // SAFETY: as promised by the caller.
        unsafe { result::memcpy_dtoh_async(to, from, self.0) }.map_err(|error| classify("cuMemcpyDtoHAsync", error, 0))
    }

    /// Queues the filling of memory of the device with a byte.
    ///
    /// # Safety
    /// `at` is device memory, at least `bytes` long.
    pub(crate) unsafe fn fill(&self, at: u64, byte: u8, bytes: usize) -> Result<(), GpuError> {
        // SAFETY: as promised by the caller.
        unsafe { result::memset_d8_async(at, byte, bytes, self.0) }
            .map_err(|error| classify("cuMemsetD8Async", error, 0))
    }

    /// Queues a kernel.
    ///
    /// # Safety
    /// `parameters` point to what the kernel declares, one each, and what those say of device memory is true.
    pub(crate) unsafe fn launch(
        &self,
        function: Function,
        grid: (u32, u32),
        block: u32,
        parameters: &mut [*mut c_void],
    ) -> Result<(), GpuError> {
        // SAFETY: as promised by the caller; the driver copies the parameters before it returns.
        unsafe { result::launch_kernel(function.0, (grid.0, grid.1, 1), (block, 1, 1), 0, self.0, parameters) }
            .map_err(|error| classify("cuLaunchKernel", error, 0))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: created once, and destroyed once.
        let _ = unsafe { result::stream::destroy(self.0) };
    }
}

/// Compiled kernels.
#[derive(Debug)]
pub(crate) struct Module(sys::CUmodule);

/// A kernel of a module, which has to outlive it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Function(sys::CUfunction);

impl Module {
    pub(crate) fn function(&self, name: &CStr) -> Result<Function, GpuError> {
        // SAFETY: the module is loaded.
        let function = unsafe { result::module::get_function(self.0, CString::from(name)) };
        function.map(Function).map_err(|error| classify("cuModuleGetFunction", error, 0))
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: loaded once, and unloaded once.
        let _ = unsafe { result::module::unload(self.0) };
    }
}

fn code(error: DriverError) -> u32 {
    error.0 as u32
}

/// The driver's name of an error, or its number.
fn name(error: DriverError) -> String {
    error.error_name().map_or_else(|_| format!("error {}", code(error)), |name| name.to_string_lossy().into_owned())
}

/// The meaning of an error of a call; `bytes` is the size that the call asked for.
fn classify(call: &'static str, error: DriverError, bytes: usize) -> GpuError {
    match code(error) {
        OUT_OF_MEMORY => GpuError::OutOfMemory(bytes),
        code if STICKY.contains(&code) => GpuError::Lost(code),
        code if TOO_NEW.contains(&code) => {
            GpuError::NoDriver(format!("it is too old for the kernels, which need CUDA 11.1: {call}: {}", name(error)))
        }
        code if NO_DEVICE.contains(&code) => GpuError::NoDevice(format!("{call}: {}", name(error))),
        code => GpuError::refused(call, code),
    }
}
