//! Values that are kept apart: they are never in one group, and no edge connects them, however near they are.
//!
//! Each row has any number of labels (set, part). Two rows are apart if some set has labelled both, with different
//! parts: different shots of a burst, or images that a user has called different. [`super::find_groups`] is given the
//! labels of all values; every strategy asks here. Invariant: all rows of a value have the same labels, which
//! [`Values::split`] ensures.

use crate::context::SearchContext;
use crate::error::SearchError;
use crate::values::Values;
use std::cmp::Ordering;
use std::collections::HashMap;

/// A label of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// What has labelled the row.
    pub set: i64,
    /// Rows of one part are not apart.
    pub part: i32,
}

/// Whether two lists of labels, each ascending and with one label a set, keep their rows apart.
pub fn are_apart(mut a: &[Label], mut b: &[Label]) -> bool {
    while let (Some((x, rest_of_a)), Some((y, rest_of_b))) = (a.split_first(), b.split_first()) {
        match x.set.cmp(&y.set) {
            Ordering::Less => a = rest_of_a,
            Ordering::Greater => b = rest_of_b,
            Ordering::Equal if x.part != y.part => return true,
            Ordering::Equal => (a, b) = (rest_of_a, rest_of_b),
        }
    }
    false
}

/// The labels of values.
#[derive(Debug)]
pub struct Apart {
    /// `labels[starts[v]..starts[v + 1]]` are those of value v, ascending.
    starts: Vec<u32>,
    labels: Vec<Label>,
}

impl Apart {
    /// The labels of `values`. `labels_of` returns those of a row: ascending, one a set, and equal for all rows of a
    /// value.
    pub fn of<'a>(
        values: &Values,
        labels_of: impl Fn(u32) -> &'a [Label],
        context: &SearchContext,
    ) -> Result<Self, SearchError> {
        let mut starts = context.vec(values.count() + 1)?;
        starts.push(0);
        let mut labels = Vec::new();
        for value in 0..values.count() as u32 {
            if value % (1 << 16) == 0 {
                context.check()?;
            }
            let own = labels_of(values.members(value).as_slice()[0]);
            debug_assert!(own.windows(2).all(|pair| pair[0].set < pair[1].set));
            debug_assert!(values.members(value).as_slice().iter().all(|row| labels_of(*row) == own));
            context.grow(&mut labels, own.len())?;
            labels.extend_from_slice(own);
            starts.push(labels.len() as u32);
        }
        Ok(Apart { starts, labels })
    }

    /// The labels of a value.
    #[inline]
    pub(super) fn labels(&self, value: u32) -> &[Label] {
        &self.labels[self.starts[value as usize] as usize..self.starts[value as usize + 1] as usize]
    }

    /// Whether two values are apart.
    #[inline]
    pub(super) fn are_apart(&self, a: u32, b: u32) -> bool {
        are_apart(self.labels(a), self.labels(b))
    }

    /// Frees it.
    pub fn free(self, context: &SearchContext) {
        context.free(self.starts);
        context.free(self.labels);
    }
}

/// The parts of a group's labels, by their sets: whether a value or another group can be added to it takes as long as
/// that one has labels, however large the group is.
#[derive(Debug, Default)]
pub(super) struct Parts(HashMap<i64, i32>);

impl Parts {
    /// Those of a group of one value.
    pub(super) fn of(labels: &[Label]) -> Self {
        Parts(labels.iter().map(|label| (label.set, label.part)).collect())
    }

    fn has_room_for(&self, label: Label) -> bool {
        self.0.get(&label.set).is_none_or(|part| *part == label.part)
    }

    /// Adds a value's labels, unless one of them keeps the value apart from the group. Returns whether it was added.
    pub(super) fn add(&mut self, labels: &[Label]) -> bool {
        let has_room = labels.iter().all(|label| self.has_room_for(*label));
        if has_room {
            self.0.extend(labels.iter().map(|label| (label.set, label.part)));
        }
        has_room
    }

    /// Whether two groups cannot be joined.
    pub(super) fn is_apart_from(&self, other: &Parts) -> bool {
        let (few, many) = if self.0.len() < other.0.len() { (self, other) } else { (other, self) };
        !few.0.iter().all(|(&set, &part)| many.has_room_for(Label { set, part }))
    }

    /// Joins two groups that are not apart.
    pub(super) fn joined(self, other: Parts) -> Parts {
        let (few, mut many) = if self.0.len() < other.0.len() { (self, other) } else { (other, self) };
        many.0.extend(few.0);
        many
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels() -> impl Strategy<Value = Vec<Label>> {
        prop::collection::btree_map(0i64..6, 0i32..3, 0..4)
            .prop_map(|labels| labels.into_iter().map(|(set, part)| Label { set, part }).collect())
    }

    fn naive(a: &[Label], b: &[Label]) -> bool {
        a.iter().any(|x| b.iter().any(|y| x.set == y.set && x.part != y.part))
    }

    proptest! {
        #[test]
        fn labels_keep_apart(a in labels(), b in labels(), c in labels()) {
            prop_assert_eq!(are_apart(&a, &b), naive(&a, &b));
            let (mut left, right) = (Parts::of(&a), Parts::of(&b));
            let is_added = left.add(&c);
            prop_assert_eq!(is_added, !naive(&a, &c));
            let apart = naive(&a, &b) || is_added && naive(&c, &b);
            prop_assert_eq!(left.is_apart_from(&right), apart);
            prop_assert_eq!(right.is_apart_from(&left), apart);
            if !apart {
                let all = left.joined(right);
                prop_assert!(a.iter().chain(&b).all(|label| all.0[&label.set] == label.part));
                prop_assert!(!is_added || c.iter().all(|label| all.0[&label.set] == label.part));
            }
        }
    }
}
