//! Which groups of an earlier search are formed again where images have changed.
//!
//! Groups are formed by taking edges in an order (`lumina_search::group`): each is decided by the groups that its ends
//! are in at that moment. So a group comes out as it did before, whatever else is compared, as long as its members, the
//! edges among them, and their order are the same, and no edge that leads out of it is taken, as none was before.
//! Hence:
//!
//! 1. *Dirty* are the images that have changed, all members of their groups, and all groups that are near them, now or
//!    before: their list of what is also near may be another one. Groups that have lost members, too.
//! 2. The dirty images are grouped once more, together with all images near them and all members of those images'
//!    groups.
//! 3. If each of these other groups comes out as it was, and no dirty image is in one, everything outside of the dirty
//!    images is as a search of all would find it, and so is what was found for them: the groups of dirty images are
//!    replaced. Otherwise the groups that came out otherwise become dirty, and it goes on with 2.
//!
//! Whose edges come first depends on the order of preference among the images that are compared, which is that among
//! all of them.
//!
//! Called by the job, which reads groups and finds what is near. Images and groups are named by their ids.

use lumina_search::group::Strategy;
use std::collections::{BTreeMap, BTreeSet};

/// The groups of an earlier search around what has changed.
#[derive(Debug, Default)]
pub struct Regrouping {
    dirty: BTreeSet<i64>,
    /// Members of each known group, the one to keep first.
    groups: BTreeMap<i64, Vec<i64>>,
    group_of: BTreeMap<i64, i64>,
}

impl Regrouping {
    /// Adds a group with all of its members, the one to keep first.
    pub fn add_group(&mut self, group: i64, members: Vec<i64>) {
        self.group_of.extend(members.iter().map(|member| (*member, group)));
        self.groups.insert(group, members);
    }

    /// Whether the group of an image is known.
    pub fn is_grouped(&self, image: i64) -> bool {
        self.group_of.contains_key(&image)
    }

    /// Makes images dirty, and all members of their groups, which are known. Returns those that were not dirty before.
    pub fn soil(&mut self, images: &[i64]) -> Vec<i64> {
        let groups: BTreeSet<i64> = images.iter().filter_map(|image| self.group_of.get(image).copied()).collect();
        let members = groups.iter().flat_map(|group| &self.groups[group]);
        let new: BTreeSet<i64> = images.iter().chain(members).copied().filter(|i| !self.dirty.contains(i)).collect();
        self.dirty.extend(&new);
        new.into_iter().collect()
    }

    /// How many images are dirty.
    pub fn dirty(&self) -> usize {
        self.dirty.len()
    }

    /// The members of all known groups.
    pub fn members(&self) -> impl Iterator<Item = i64> + '_ {
        self.groups.values().flatten().copied()
    }

    /// Whether one of the members of a group is dirty: then it replaces others, or is replaced.
    pub fn is_dirty(&self, members: &[i64]) -> bool {
        members.iter().any(|image| self.dirty.contains(image))
    }

    /// The images that become dirty by how groups have come out: none where everything else is as it was. `found` are
    /// all groups of the images that were compared, the one to keep of each first.
    pub fn disturbed(&self, found: impl Iterator<Item = Vec<i64>>, strategy: Strategy) -> Vec<i64> {
        let mut same = BTreeSet::new();
        let mut disturbed = Vec::new();
        for members in found {
            if self.is_dirty(&members) {
                disturbed.extend(members.iter().filter(|image| !self.dirty.contains(image)));
                continue;
            }
            let before = members.first().and_then(|image| self.group_of.get(image));
            match before.filter(|group| is_same(&self.groups[group], &members, strategy)) {
                Some(group) => {
                    same.insert(*group);
                }
                None => disturbed.extend(&members),
            }
        }
        for (group, members) in &self.groups {
            if !same.contains(group) && !self.is_dirty(members) {
                disturbed.extend(members);
            }
        }
        disturbed
    }

    /// The known groups that are replaced.
    pub fn replaced(&self) -> impl Iterator<Item = i64> + '_ {
        self.groups.iter().filter(|(_, members)| self.is_dirty(members)).map(|(group, _)| *group)
    }
}

fn is_same(before: &[i64], now: &[i64], strategy: Strategy) -> bool {
    // Of a star the image in its centre is the first.
    (strategy != Strategy::Star || before.first() == now.first())
        && before.len() == now.len()
        && before.iter().collect::<BTreeSet<_>>() == now.iter().collect::<BTreeSet<_>>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups 1 of images 1 and 2, 2 of 3 and 4, 3 of 5 and 6; image 7 is in none. Image 1 has changed.
    fn changed() -> Regrouping {
        let mut groups = Regrouping::default();
        (0..3).for_each(|n| groups.add_group(n + 1, vec![2 * n + 1, 2 * n + 2]));
        assert_eq!(groups.soil(&[1, 8]), [1, 2, 8]);
        groups
    }

    fn disturbed(groups: &Regrouping, found: &[&[i64]], strategy: Strategy) -> Vec<i64> {
        groups.disturbed(found.iter().map(|members| members.to_vec()), strategy)
    }

    #[test]
    fn what_comes_out_otherwise_becomes_dirty() {
        let groups = changed();
        let cliques = |found: &[&[i64]]| disturbed(&groups, found, Strategy::Clique);
        assert_eq!(cliques(&[&[1, 2], &[3, 4], &[5, 6]]), [0; 0]);
        assert_eq!(cliques(&[&[8, 1, 2], &[4, 3], &[5, 6]]), [0; 0], "dirty ones as they are; others in any order");
        assert_eq!(cliques(&[&[1, 3], &[5, 6]]), [3, 3, 4], "one of another group is in a dirty one");
        assert_eq!(cliques(&[&[3, 4]]), [5, 6], "a group that is no longer one");
        assert_eq!(cliques(&[&[3, 4], &[5, 6, 7]]), [5, 6, 7, 5, 6], "a group that has grown");
        assert_eq!(cliques(&[&[3, 4, 5, 6]]), [3, 4, 5, 6, 3, 4, 5, 6], "two that are one");
        assert_eq!(disturbed(&groups, &[&[4, 3], &[5, 6]], Strategy::Star), [4, 3, 3, 4], "another centre");
    }

    #[test]
    fn groups_of_dirty_images_are_replaced() {
        let mut groups = changed();
        assert_eq!(groups.replaced().collect::<Vec<_>>(), [1]);
        assert_eq!(groups.soil(&[2, 3]), [3, 4]);
        assert_eq!((groups.replaced().collect::<Vec<_>>(), groups.dirty()), (vec![1, 2], 5));
        assert!(groups.is_dirty(&[7, 4]) && !groups.is_dirty(&[5, 7]) && groups.is_grouped(5) && !groups.is_grouped(7));
    }
}
