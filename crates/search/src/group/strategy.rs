//! How rows are grouped: the strategy, and which row of a group is its primary.

/// A grouping strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Every two members are near. Pairs are joined best first; two groups are joined if all their members are near.
    Clique,
    /// Every member is near the primary.
    Star,
    /// Every member is near some other one.
    Component,
}

impl Strategy {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 3] =
        [("clique", Self::Clique), ("star", Self::Star), ("component", Self::Component)];

    /// The strategy of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, strategy)| *strategy)
    }
}

/// Which row of a group is its primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Primary {
    /// The central row: in a clique the row with the smallest sum of distances to all others, in a star the one with
    /// most ungrouped neighbours, in a component the one with most neighbours. Ties go to the first.
    Central,
    /// The first row, for callers that pass rows in an order of preference, best first. Stars are made in that order:
    /// the first ungrouped row with ungrouped neighbours takes all of those.
    First,
}
