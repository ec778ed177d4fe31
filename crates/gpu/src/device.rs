//! A device as this process uses it: context, stream, compiled modules, memory within a limit, and transfers.
//!
//! A process has at most one [`Device`] at a time, on one thread. All work goes through one stream, in order.
//!
//! - Memory: each search has one [`Arena`], a single allocation that is cut into arrays. The sum of all allocations
//!   stays within the limit; the arena that was freed last is kept for the next search.
//! - Transfers go through pinned memory that is allocated once: pageable copies have a fifth of its rate.
//! - Results are read only after waiting for the stream, and every error of that wait is checked first.

#![allow(unsafe_code, reason = "copies and kernels take addresses of the device")]

use crate::driver::{Context, Driver, Function, Module, Stream};
use crate::error::GpuError;
use crate::kernels::{Instructions, Kernel, PtxModule, Subject};
use crate::params;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Bytes of pinned memory, for both directions.
pub(crate) const STAGING: usize = 8 << 20;
/// Alignment of arrays: what the widest load of a kernel needs, and whole cache lines.
const ALIGNMENT: usize = 256;
/// The oldest compute capability that the kernels run on.
const OLDEST: (u32, u32) = (7, 5);

/// The driver's description of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The product's name.
    pub name: String,
    /// Compute capability: major, minor.
    pub capability: (u32, u32),
    /// In bytes.
    pub memory: usize,
    /// How many streaming multiprocessors.
    pub multiprocessors: u32,
    /// The newest CUDA version that the driver knows, as 1000 · major + 10 · minor.
    pub driver: u32,
}

/// The first device that the kernels run on, opened.
#[derive(Debug)]
pub struct Device {
    info: Info,
    limit: usize,
    allocated: Cell<usize>,
    /// Arenas in use by searches.
    arenas: Cell<usize>,
    lost: Cell<Option<u32>>,
    /// The memory of the last arena, and its size.
    spare: Cell<Option<(u64, usize)>>,
    modules: RefCell<BTreeMap<PtxModule, Module>>,
    functions: RefCell<BTreeMap<Kernel, Function>>,
    staging: RefCell<Option<Staging>>,
    proved: RefCell<BTreeSet<Subject>>,
    // Dropped in this order: the context last.
    stream: Stream,
    context: Context,
}

impl Device {
    /// Opens the first device that is new enough; searches get at most `limit` bytes of its memory. Takes some 0.3 s,
    /// and half a gigabyte of the device for the context. Errors: `NoDriver`, `NoDevice`, `TooOld`, `OutOfMemory` where
    /// others fill the device, `Lost` where this process has lost it before.
    pub fn open(limit: usize) -> Result<Self, GpuError> {
        let driver = Driver::open()?;
        let mut oldest = None;
        for number in 0..driver.devices()? {
            let card = driver.device(number)?;
            let capability = card.capability()?;
            if capability < OLDEST {
                oldest = Some(capability);
                continue;
            }
            let info = Info {
                name: card.name()?,
                capability,
                memory: card.total_memory()?,
                multiprocessors: card.multiprocessors()?,
                driver: driver.version()?,
            };
            let context = card.retain()?;
            return Ok(Device {
                info,
                limit,
                allocated: Cell::new(0),
                arenas: Cell::new(0),
                lost: Cell::new(None),
                spare: Cell::new(None),
                modules: RefCell::default(),
                functions: RefCell::default(),
                staging: RefCell::new(None),
                proved: RefCell::default(),
                stream: context.stream()?,
                context,
            });
        }
        Err(match oldest {
            Some((major, minor)) => GpuError::TooOld(major, minor),
            None => GpuError::NoDevice("the driver has none".into()),
        })
    }

    /// The driver's description of it.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The instructions that brute force uses.
    pub(crate) fn instructions(&self) -> Instructions {
        Instructions::best(self.info.capability)
    }

    /// Whether a kind of kernel is proved.
    pub(crate) fn is_proved(&self, subject: Subject) -> bool {
        self.proved.borrow().contains(&subject)
    }

    /// Remembers that a kind of kernel is proved.
    pub(crate) fn set_proved(&self, subject: Subject) {
        self.proved.borrow_mut().insert(subject);
    }

    /// The limit for all searches together, in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that are allocated, including the spare arena.
    pub fn allocated(&self) -> usize {
        self.allocated.get()
    }

    /// Passes on an outcome of the driver; remembers a sticky error, which every later call then returns at once.
    pub(crate) fn noted<T>(&self, outcome: Result<T, GpuError>) -> Result<T, GpuError> {
        if let Some(code) = self.lost.get() {
            return Err(GpuError::Lost(code));
        }
        if let Err(GpuError::Lost(code)) = outcome {
            self.lost.set(Some(code));
        }
        outcome
    }

    /// Waits until all queued work is done.
    pub(crate) fn wait(&self) -> Result<(), GpuError> {
        self.noted(self.stream.wait())
    }

    /// Queues a kernel with one parameter, a structure that is passed by value.
    ///
    /// # Safety
    /// `parameter` is what the kernel declares, and what it says of device memory is true.
    pub(crate) unsafe fn launch<P>(
        &self,
        kernel: Kernel,
        grid: (u32, u32),
        block: u32,
        parameter: &P,
    ) -> Result<(), GpuError> {
        let function = self.function(kernel)?;
        let mut parameters = [(&raw const *parameter).cast_mut().cast::<c_void>()];
        // SAFETY: as promised by the caller.
        self.noted(unsafe { self.stream.launch(function, grid, block, &mut parameters) })
    }

    fn function(&self, kernel: Kernel) -> Result<Function, GpuError> {
        if let Some(function) = self.functions.borrow().get(&kernel) {
            return Ok(*function);
        }
        let name = kernel.module;
        let mut modules = self.modules.borrow_mut();
        if let std::collections::btree_map::Entry::Vacant(vacant) = modules.entry(name) {
            let text = CString::new(name.ptx()).map_err(|_| GpuError::wrong("a module's text"))?;
            vacant.insert(self.noted(self.context.load(&text))?);
        }
        let function = match modules.get(&name) {
            Some(module) => self.noted(module.function(kernel.name))?,
            None => return Err(GpuError::wrong("a module that was loaded is gone")),
        };
        self.functions.borrow_mut().insert(kernel, function);
        Ok(function)
    }

    /// Copies an array to the device; complete on return.
    pub(crate) fn copy_in<T: Plain>(&self, to: Pointer<T>, from: &[T]) -> Result<(), GpuError> {
        let mut staging = self.staging.borrow_mut();
        let staging = self.staged(&mut staging)?;
        for (number, piece) in bytes_of(from).chunks(STAGING).enumerate() {
            let here = staging.bytes(piece.len());
            here.copy_from_slice(piece);
            // SAFETY: the memory is pinned, and refilled only after a wait; the array has room for all of `from`.
            self.noted(unsafe { self.stream.copy_in(to.address + (number * STAGING) as u64, here) })?;
            self.wait()?;
        }
        Ok(())
    }

    /// Copies an array from the device, and passes it to `take` piece by piece. Waits for everything queued before.
    pub(crate) fn copy_out<T: Plain, E: From<GpuError>>(
        &self,
        from: Pointer<T>,
        count: usize,
        mut take: impl FnMut(&[T]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut staging = self.staging.borrow_mut();
        let staging = self.staged(&mut staging)?;
        let piece = STAGING / size_of::<T>();
        for first in (0..count).step_by(piece) {
            let bytes = piece.min(count - first) * size_of::<T>();
            let here = staging.bytes(bytes);
            // SAFETY: the memory is pinned, and read after the wait; the array is `count` long.
            self.noted(unsafe { self.stream.copy_out(here, from.address + (first * size_of::<T>()) as u64) })?;
            self.wait()?;
            take(values_of(here))?;
        }
        Ok(())
    }

    /// Queues the filling of the first `count` elements of an array with a byte.
    pub(crate) fn fill<T: Plain>(&self, array: Pointer<T>, byte: u8, count: usize) -> Result<(), GpuError> {
        if count == 0 {
            return Ok(());
        }
        // SAFETY: the array is at least `count` long.
        self.noted(unsafe { self.stream.fill(array.address, byte, count * size_of::<T>()) })
    }

    fn staged<'a>(&self, staging: &'a mut Option<Staging>) -> Result<&'a mut Staging, GpuError> {
        match staging {
            Some(staging) => Ok(staging),
            none => {
                let memory = self.noted(self.context.allocate_host(STAGING))?;
                Ok(none.insert(Staging(memory)))
            }
        }
    }

    /// Whether other searches hold memory that they will free.
    pub(crate) fn is_shared(&self) -> bool {
        self.arenas.get() > 0
    }

    /// Allocates memory for a search. Errors: `OutOfMemory`, where the limit or the device has less.
    pub(crate) fn arena(&self, bytes: usize) -> Result<Arena<'_>, GpuError> {
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        if let Some((address, size)) = self.spare.take() {
            if size >= bytes && size / 4 <= bytes {
                self.arenas.set(self.arenas.get() + 1);
                return Ok(Arena { device: self, address, size, used: Cell::new(0) });
            }
            self.free(address, size);
        }
        if self.allocated.get() + bytes > self.limit {
            return Err(GpuError::OutOfMemory(bytes));
        }
        let address = self.noted(self.context.allocate(bytes))?;
        self.allocated.set(self.allocated.get() + bytes);
        self.arenas.set(self.arenas.get() + 1);
        Ok(Arena { device: self, address, size: bytes, used: Cell::new(0) })
    }

    fn free(&self, address: u64, size: usize) {
        self.context.free(address);
        self.allocated.set(self.allocated.get() - size);
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some((address, size)) = self.spare.take() {
            self.free(address, size);
        }
        if let Some(Staging(memory)) = self.staging.take() {
            self.context.free_host(memory);
        }
    }
}

/// Pinned memory of [`STAGING`] bytes, aligned for any element.
#[derive(Debug)]
struct Staging(NonNull<u8>);

impl Staging {
    fn bytes(&mut self, bytes: usize) -> &mut [u8] {
        // SAFETY: the memory is STAGING bytes long, and this borrows all of it.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_ptr(), bytes.min(STAGING)) }
    }
}

/// Numbers, and structures of numbers without padding, for which every bit pattern is valid.
pub(crate) trait Plain: Copy + 'static {}
impl Plain for u8 {}
impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for params::Column {}
impl Plain for params::Band {}

fn bytes_of<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: numbers have no padding.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// Reads values from pinned memory, which begins at a page and so is aligned.
fn values_of<T: Plain>(bytes: &[u8]) -> &[T] {
    // SAFETY: any bits are a value, and `align_to` gives only what is aligned.
    let (before, values, after) = unsafe { bytes.align_to() };
    debug_assert!(before.is_empty() && after.is_empty());
    values
}

/// An array in the device's memory.
#[derive(Debug)]
pub(crate) struct Pointer<T> {
    address: u64,
    kind: PhantomData<T>,
}

impl<T> Clone for Pointer<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Pointer<T> {}

impl<T> Pointer<T> {
    /// The null pointer.
    pub(crate) const NULL: Self = Pointer { address: 0, kind: PhantomData };

    /// The elements from `index` on.
    pub(crate) fn at(self, index: usize) -> Self {
        Pointer { address: self.address + (index * size_of::<T>()) as u64, kind: PhantomData }
    }

    /// The address that kernels get.
    pub(crate) fn address(self) -> u64 {
        self.address
    }
}

/// The memory of a search, cut into arrays from its start.
#[derive(Debug)]
pub(crate) struct Arena<'d> {
    device: &'d Device,
    address: u64,
    size: usize,
    used: Cell<usize>,
}

impl Arena<'_> {
    /// The size of an array of `count` elements.
    pub(crate) fn bytes<T>(count: usize) -> usize {
        (count * size_of::<T>()).next_multiple_of(ALIGNMENT)
    }

    /// An uninitialized array of `count` elements. Errors: `OutOfMemory`, where the arena is too small.
    pub(crate) fn array<T: Plain>(&self, count: usize) -> Result<Pointer<T>, GpuError> {
        let (at, bytes) = (self.used.get(), Self::bytes::<T>(count));
        if at + bytes > self.size {
            return Err(GpuError::OutOfMemory(at + bytes));
        }
        self.used.set(at + bytes);
        Ok(Pointer { address: self.address + at as u64, kind: PhantomData })
    }
}

impl Drop for Arena<'_> {
    fn drop(&mut self) {
        self.device.arenas.set(self.device.arenas.get() - 1);
        // A running kernel may still write to it. If the wait fails, this memory is never reused.
        if self.device.wait().is_err() {
            return;
        }
        if let Some((address, size)) = self.device.spare.replace(Some((self.address, self.size))) {
            self.device.free(address, size);
        }
    }
}
