//! What the warps of a block share while it runs: shared memory, parameters, counters. [`crate::launch`] makes it,
//! [`crate::warp`] uses it.

use crate::memory::Memory;
use crate::region::Region;
use crate::shadow::Shadow;
use std::collections::HashMap;

/// A running block.
#[derive(Debug)]
pub(crate) struct Block<'m> {
    pub(crate) memory: &'m mut Memory,
    pub(crate) shared: Region,
    /// Offset and size of each shared variable.
    pub(crate) shared_variables: Vec<(u32, u32)>,
    pub(crate) params: Region,
    /// Its number along the grid.
    pub(crate) number: u32,
    /// Barriers that it has passed.
    pub(crate) epoch: u32,
    /// Instructions of warps so far, in the whole launch.
    pub(crate) instructions: u64,
    /// The same, times the lanes that took part.
    pub(crate) lane_instructions: u64,
    /// Whether reading unwritten device memory is a fault.
    pub(crate) checks_unwritten: bool,
    /// Accesses of shared and of device memory; `None`: races are not looked for.
    pub(crate) shadows: Option<Shadows>,
}

/// Accesses of shared memory, and of each allocation of the device.
#[derive(Debug, Default)]
pub(crate) struct Shadows {
    pub(crate) shared: Shadow,
    pub(crate) device: HashMap<usize, Shadow>,
}
