//! Helpers of the kernel tests: values as bytes, reads of device memory, launches, orders.
//!
//! `sets` makes hashes and computes their pairs by definition; `brute`, `banded` and `collapse` launch the shipped
//! kernels, the PTX text of `lumina-gpu`, like its host code; `written` has helpers for PTX written by hand.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(dead_code, reason = "each test program uses a part")]

pub(crate) mod banded;
pub(crate) mod brute;
pub(crate) mod collapse;
pub(crate) mod sets;
pub(crate) mod written;

use lumina_gpu::params;
use lumina_ptx::{Memory, Module, Options, Order, Stats, launch};

/// Numbers, and `repr(C)` structures of numbers without padding.
pub(crate) trait Plain: Copy {}

impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for params::Column {}
impl Plain for params::Band {}
impl Plain for params::Brute {}
impl Plain for params::OnesSort {}
impl Plain for params::BandSort {}
impl Plain for params::BandProbe {}
impl Plain for params::Collapse {}

/// The bytes of values, for a copy to the device or a launch.
#[allow(unsafe_code, reason = "structures are read as bytes")]
pub(crate) fn bytes<T: Plain>(values: &[T]) -> Vec<u8> {
    // SAFETY: the values are borrowed, and have no padding, so that each of their bytes was written.
    let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) };
    bytes.to_vec()
}

/// Reads `count` numbers of 64 bits.
pub(crate) fn read_u64(memory: &Memory, address: u64, count: usize) -> Vec<u64> {
    let bytes = memory.read(address, count * 8).unwrap();
    bytes.chunks(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap())).collect()
}

/// Reads `count` numbers of 32 bits.
pub(crate) fn read_u32(memory: &Memory, address: u64, count: usize) -> Vec<u32> {
    let bytes = memory.read(address, count * 4).unwrap();
    bytes.chunks(4).map(|chunk| u32::from_le_bytes(chunk.try_into().unwrap())).collect()
}

/// Reads `count` numbers of 16 bits.
pub(crate) fn read_u16(memory: &Memory, address: u64, count: usize) -> Vec<u16> {
    let bytes = memory.read(address, count * 2).unwrap();
    bytes.chunks(2).map(|chunk| u16::from_le_bytes(chunk.try_into().unwrap())).collect()
}

/// The orders that kernels are run in.
pub(crate) const ORDERS: [Order; 4] = [Order::Forward, Order::Reversed, Order::Shuffled(1), Order::Shuffled(2)];

/// Launches a kernel with its one parameter: blocks along x and y, threads a block. Errors: a fault, as text.
pub(crate) fn run<P: Plain>(
    module: &Module,
    name: &str,
    (blocks, threads): ((usize, usize), u32),
    parameters: P,
    memory: &mut Memory,
    options: &Options,
) -> Result<Stats, String> {
    let entry = module.entry(name).unwrap_or_else(|| panic!("there is no kernel {name}"));
    let grid = [blocks.0 as u32, blocks.1 as u32, 1];
    launch(entry, grid, [threads, 1, 1], &bytes(&[parameters]), memory, options).map_err(|fault| fault.to_string())
}
