//! Device memory: allocations at unique addresses, as seen by a host program and kernels.
//!
//! Invariant: an address belongs to one allocation for ever. Two allocations are separated by [`GAP`] unowned bytes,
//! and an address is not reused after a free, so that an overrun and a use after a free are errors, which a GPU often
//! does not notice.

use crate::fault::{FaultKind, Problem};
use crate::region::Region;
use thiserror::Error;

/// The address of the first allocation. Smaller ones belong to shared and local memory, or to nobody.
const FIRST: u64 = 0x7f00_0000_0000;
/// Bytes between two allocations.
const GAP: u64 = 1 << 20;
/// Alignment of allocations, as in the driver.
const ALIGN: u64 = 512;

/// A range that is not inside of one living allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{length} bytes at {address:#x} are not inside of one allocation")]
pub struct OutOfBounds {
    /// The first byte.
    pub address: u64,
    /// How many.
    pub length: usize,
}

#[derive(Debug)]
struct Allocation {
    base: u64,
    region: Region,
    is_free: bool,
}

/// The memory of a device.
#[derive(Debug, Default)]
pub struct Memory {
    /// In the order of their addresses.
    allocations: Vec<Allocation>,
    next: u64,
}

impl Memory {
    /// Nothing is allocated.
    pub fn new() -> Self {
        Self { allocations: Vec::new(), next: FIRST }
    }

    /// Allocates `length` bytes, which hold [`STALE`](crate::STALE) and count as unwritten. The address is aligned to
    /// 512 bytes.
    pub fn allocate(&mut self, length: usize) -> u64 {
        let base = self.next.max(FIRST);
        self.next = (base + length as u64 + GAP).next_multiple_of(ALIGN);
        self.allocations.push(Allocation { base, region: Region::new(length), is_free: false });
        base
    }

    /// Allocates room for `bytes` and writes them.
    pub fn allocate_with(&mut self, bytes: &[u8]) -> u64 {
        let base = self.allocate(bytes.len());
        if let Some(last) = self.allocations.last_mut() {
            last.region.write(0, bytes);
        }
        base
    }

    /// Frees what [`allocate`](Self::allocate) returned; returns its size, or `None` if `address` is the start of no
    /// live allocation.
    pub fn free(&mut self, address: u64) -> Option<usize> {
        let at = self.allocations.binary_search_by_key(&address, |allocation| allocation.base).ok()?;
        let allocation = &mut self.allocations[at];
        if allocation.is_free {
            return None;
        }
        allocation.is_free = true;
        let length = allocation.region.len();
        allocation.region = Region::default();
        Some(length)
    }

    /// The size of the allocation that starts at `address`.
    pub fn size_of(&self, address: u64) -> Option<usize> {
        let at = self.allocations.binary_search_by_key(&address, |allocation| allocation.base).ok()?;
        (!self.allocations[at].is_free).then(|| self.allocations[at].region.len())
    }

    /// The allocation that `address` may lie in: the last one that begins there or before.
    fn candidate(&self, address: u64) -> Option<usize> {
        self.allocations.partition_point(|allocation| allocation.base <= address).checked_sub(1)
    }

    fn find(&self, address: u64, length: usize) -> Result<(usize, usize), OutOfBounds> {
        let out = OutOfBounds { address, length };
        let at = self.candidate(address).ok_or(out)?;
        let allocation = &self.allocations[at];
        let offset = usize::try_from(address - allocation.base).map_err(|_| out)?;
        let fits =
            !allocation.is_free && offset <= allocation.region.len() && length <= allocation.region.len() - offset;
        if fits { Ok((at, offset)) } else { Err(out) }
    }

    /// Whether a range is inside of one living allocation.
    pub fn contains(&self, address: u64, length: usize) -> bool {
        self.find(address, length).is_ok()
    }

    /// Writes bytes, like a copy from the host.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), OutOfBounds> {
        let (at, offset) = self.find(address, bytes.len())?;
        self.allocations[at].region.write(offset, bytes);
        Ok(())
    }

    /// Reads bytes, like a copy to the host; unwritten ones are [`STALE`](crate::STALE).
    pub fn read(&self, address: u64, length: usize) -> Result<Vec<u8>, OutOfBounds> {
        let (at, offset) = self.find(address, length)?;
        Ok(self.allocations[at].region.bytes(offset..offset + length))
    }

    /// Whether every byte of a range was written.
    pub fn is_written(&self, address: u64, length: usize) -> bool {
        self.find(address, length)
            .is_ok_and(|(at, offset)| self.allocations[at].region.range_is_written(offset..offset + length))
    }

    /// Writes one byte everywhere in a range.
    pub fn fill(&mut self, address: u64, length: usize, byte: u8) -> Result<(), OutOfBounds> {
        let (at, offset) = self.find(address, length)?;
        self.allocations[at].region.fill(offset..offset + length, byte);
        Ok(())
    }

    /// Copies within the device; unwritten bytes stay unwritten.
    pub fn copy(&mut self, to: u64, from: u64, length: usize) -> Result<(), OutOfBounds> {
        let (source, start) = self.find(from, length)?;
        let (target, at) = self.find(to, length)?;
        let mut part = Region::new(length);
        part.copy_from(0, &self.allocations[source].region, start..start + length);
        self.allocations[target].region.copy_from(at, &part, 0..length);
        Ok(())
    }

    /// The allocation that an access of a kernel hits, and its first address.
    pub(crate) fn resolve(&self, address: u64, size: usize, lane: u32) -> Result<(usize, u64), Box<Problem>> {
        match self.find(address, size) {
            Ok((at, _)) => Ok((at, self.allocations[at].base)),
            Err(_) => Err(Problem::new(FaultKind::Address, lane, self.describe(address, size))),
        }
    }

    fn describe(&self, address: u64, size: usize) -> String {
        match self.candidate(address).map(|at| &self.allocations[at]) {
            Some(Allocation { base, is_free: true, .. }) => {
                format!("{size} bytes at {address:#x}: freed memory, or behind it (it began at {base:#x})")
            }
            Some(Allocation { base, region, .. }) => format!(
                "{size} bytes at {address:#x}: {} bytes behind the start of an allocation of {}",
                address - base,
                region.len()
            ),
            None => format!("{size} bytes at {address:#x}: no device memory"),
        }
    }

    pub(crate) fn region_len(&self, at: usize) -> usize {
        self.allocations[at].region.len()
    }

    pub(crate) fn region(&mut self, at: usize) -> &mut Region {
        &mut self.allocations[at].region
    }
}
