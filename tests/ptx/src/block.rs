//! The state that the warps of a block share: shared memory, parameters, counters. [`crate::launch`] creates it,
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
    /// Instructions times participating lanes.
    pub(crate) lane_instructions: u64,
    /// Whether reading unwritten device memory is a fault.
    pub(crate) checks_unwritten: bool,
    /// Accesses of shared and of device memory; `None`: no race detection.
    pub(crate) shadows: Option<Shadows>,
}

/// Accesses of shared memory, and of each allocation of the device.
#[derive(Debug, Default)]
pub(crate) struct Shadows {
    pub(crate) shared: Shadow,
    pub(crate) device: HashMap<usize, Shadow>,
}
