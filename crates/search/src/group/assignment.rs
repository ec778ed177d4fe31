//! What a strategy decides: the group of each value. [`super::groups`] numbers, measures and lists the groups.

/// In no group.
pub(super) const NONE: u32 = u32::MAX;

/// For each value its group, by any number below the number of values; and the primary, if already known.
pub(super) struct Assignment {
    pub(super) group_of: Vec<u32>,
    /// By the same number; empty if primaries are still to be chosen.
    pub(super) primary_of: Vec<u32>,
}
