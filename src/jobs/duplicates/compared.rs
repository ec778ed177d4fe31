//! The images of a catalog, compared: what [`super::output`] writes.

use super::extent::Extent;
use super::input::Base;
use lumina_catalog::{DuplicateGroups, RankedImages};

/// What was found.
pub(super) struct Compared {
    pub(super) extent: Extent,
    pub(super) images: RankedImages,
    pub(super) groups: DuplicateGroups,
    pub(super) base: Base,
}

impl Compared {
    /// What keeps images apart, before anything was read that depends on it.
    pub(super) fn constraints(&self) -> &String {
        match &self.extent {
            Extent::Whole(_) => &self.base.constraints,
            Extent::Changes(changes) => &changes.constraints,
        }
    }
}
