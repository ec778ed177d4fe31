//! What a search looks for: [`PairQuery`], and which of its columns count.
//!
//! Planned by [`crate::plan`], executed by [`crate::join`] or, in another process, by a GPU.

use crate::values::Values;
use lumina_hash::kernel::JoinColumn;
use lumina_hash::words::words_for;

/// The pairs of values within `radii[c]` bits in every column c.
#[derive(Debug, Clone, Copy)]
pub struct PairQuery<'a> {
    /// The left set.
    pub left: &'a Values,
    /// The right set; `None`: the left one is compared with itself, each pair once.
    pub right: Option<&'a Values>,
    /// The maximum distance of each column, in bits. If that is its width or more, the column does not count: it is not
    /// compared, but its distances are reported like those of the others.
    pub radii: &'a [u32],
}

impl PairQuery<'_> {
    /// The columns for the kernels.
    pub(crate) fn columns(&self) -> Vec<JoinColumn> {
        let mut first = 0;
        let column = |(&bits, &radius): (&usize, &u32)| {
            let planes = words_for(bits);
            first += planes;
            JoinColumn { first: first - planes, planes, radius }
        };
        self.left.widths().iter().zip(self.radii).map(column).collect()
    }

    /// Whether a column can exclude pairs.
    pub(crate) fn counts(&self, column: usize) -> bool {
        (self.radii[column] as usize) < self.left.widths()[column]
    }

    /// The columns to compare: the driving one, then the others that count.
    pub(crate) fn compared(&self, driving: usize) -> Vec<JoinColumn> {
        let columns = self.columns();
        let others = (0..columns.len()).filter(|&column| column != driving && self.counts(column));
        std::iter::once(driving).chain(others).map(|column| columns[column]).collect()
    }
}
