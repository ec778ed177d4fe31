//! The state of the emulated driver: one device, its primary context, allocations. [`crate::entry`] calls it under a
//! lock; [`crate::stream`] runs pending work, [`crate::report`] reports leaks at the end.
//!
//! Invariant: once a kernel has faulted, every call on the context returns its code, and after the last release no
//! context is created again.

use crate::code::*;
use crate::control::{Control, Source};
use crate::stream::Stream;
use lumina_ptx::{Entry, Memory, Module};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The handle of the primary context.
pub(crate) const CONTEXT: usize = 0x10;
/// Handles count from here, so that one is never the default stream nor the context.
const FIRST_HANDLE: usize = 0x1000;

/// An event.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Event {
    /// The stream, and the number of the work after which it was recorded.
    pub(crate) recorded: Option<(usize, u64)>,
    /// When that work was done.
    pub(crate) time: Option<Instant>,
}

/// The driver of a process.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) source: Source,
    pub(crate) is_initialized: bool,
    /// The process that it belongs to.
    pub(crate) process: u32,
    pub(crate) calls: BTreeMap<&'static str, u64>,
    /// The code of the fault that lost the device.
    pub(crate) sticky: Option<Code>,
    /// Times that the primary context is retained.
    pub(crate) references: u64,
    pub(crate) memory: Memory,
    /// Live device allocations, with their sizes.
    pub(crate) allocations: BTreeMap<u64, usize>,
    /// Those whose free waits on a stream.
    pub(crate) freeing: BTreeSet<u64>,
    pub(crate) used: usize,
    pub(crate) peak: usize,
    /// Pinned host memory.
    pub(crate) pinned: BTreeMap<usize, usize>,
    pub(crate) streams: HashMap<usize, Stream>,
    pub(crate) events: HashMap<usize, Event>,
    pub(crate) modules: HashMap<usize, Module>,
    /// The module of each function, and the function.
    pub(crate) functions: HashMap<usize, (usize, Entry)>,
    handles: usize,
    /// What went wrong, for the report.
    pub(crate) messages: Vec<String>,
}

static DRIVER: Mutex<Option<Driver>> = Mutex::new(None);

thread_local! {
    /// Whether the primary context is current in this thread.
    pub(crate) static CURRENT: Cell<bool> = const { Cell::new(false) };
}

/// Locks the state, and creates it at the first call.
pub(crate) fn lock() -> MutexGuard<'static, Option<Driver>> {
    let mut guard = DRIVER.lock().unwrap_or_else(PoisonError::into_inner);
    guard.get_or_insert_with(|| {
        crate::report::at_exit();
        Driver::new()
    });
    guard
}

/// The precondition of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    /// `cuInit`.
    Driver,
    /// A context that is current in the thread and not lost.
    Context,
}

/// Runs one driver API call: counts it, makes it fail if the control file says so, checks its precondition.
pub(crate) fn call(name: &'static str, needs: Needs, run: impl FnOnce(&mut Driver) -> Result<(), Code>) -> u32 {
    let mut guard = lock();
    let Some(driver) = guard.as_mut() else { return NOT_INITIALIZED.0 };
    if driver.source.refresh() {
        crate::report::write(driver);
    }
    *driver.calls.entry(name).or_default() += 1;
    if let Some(code) = driver.source.control.count(name) {
        return code;
    }
    let ready = match needs {
        Needs::Nothing => Ok(()),
        // No driver state survives a fork.
        _ if !driver.is_initialized || driver.process != std::process::id() => Err(NOT_INITIALIZED),
        Needs::Driver => Ok(()),
        Needs::Context if !CURRENT.get() => Err(INVALID_CONTEXT),
        Needs::Context => match driver.sticky {
            Some(code) => Err(code),
            None if driver.references == 0 => Err(CONTEXT_IS_DESTROYED),
            None => Ok(()),
        },
    };
    match ready.and_then(|()| run(driver)) {
        Ok(()) => 0,
        Err(code) => code.0,
    }
}

impl Driver {
    fn new() -> Self {
        Self {
            source: Source::from_environment(),
            is_initialized: false,
            process: std::process::id(),
            calls: BTreeMap::new(),
            sticky: None,
            references: 0,
            memory: Memory::new(),
            allocations: BTreeMap::new(),
            freeing: BTreeSet::new(),
            used: 0,
            peak: 0,
            pinned: BTreeMap::new(),
            streams: HashMap::from([(0, Stream::default())]),
            events: HashMap::new(),
            modules: HashMap::new(),
            functions: HashMap::new(),
            handles: FIRST_HANDLE,
            messages: Vec::new(),
        }
    }

    pub(crate) fn control(&self) -> &Control {
        &self.source.control
    }

    /// A new handle.
    pub(crate) fn handle(&mut self) -> usize {
        self.handles += 0x10;
        self.handles
    }

    /// The handle of a stream that exists; the legacy default stream has three names.
    pub(crate) fn stream(&self, handle: usize) -> Result<usize, Code> {
        let handle = if handle <= 2 { 0 } else { handle };
        match self.streams.get(&handle) {
            Some(stream) if !stream.is_destroyed => Ok(handle),
            _ => Err(INVALID_HANDLE),
        }
    }

    /// Allocates device memory that holds a pattern; a fresh card holds zeros and a used one anything.
    pub(crate) fn allocate(&mut self, length: usize) -> Result<u64, Code> {
        if length > self.control().memory.saturating_sub(self.used) {
            return Err(OUT_OF_MEMORY);
        }
        let address = self.memory.allocate(length);
        self.allocations.insert(address, length);
        self.used += length;
        self.peak = self.peak.max(self.used);
        Ok(address)
    }

    /// Frees an allocation whose work is done.
    pub(crate) fn free(&mut self, address: u64) -> Result<(), Code> {
        let length = self.allocations.remove(&address).ok_or(INVALID_VALUE)?;
        self.freeing.remove(&address);
        self.memory.free(address);
        self.used -= length;
        Ok(())
    }

    /// Checks a range of device memory.
    pub(crate) fn check_range(&self, address: u64, length: usize) -> Result<(), Code> {
        if self.memory.contains(address, length) { Ok(()) } else { Err(INVALID_VALUE) }
    }

    /// Whether all of a range of host memory is pinned.
    pub(crate) fn is_pinned(&self, address: usize, length: usize) -> bool {
        let before = self.pinned.range(..=address).next_back();
        before.is_some_and(|(base, size)| address - base <= *size && length <= size - (address - base))
    }
}
