//! Groups of duplicates: near images, as `lumina_search` has grouped their rows, and images with several files.
//!
//! The job calls [`DuplicateGroups::collect`] once the search has formed groups of rows, then
//! [`DuplicateGroups::add_exact`]. Invariant: an image is in at most one group, and the first of a group is the one to
//! keep. Groups take space in proportion to their members, never to their pairs.

#[cfg(test)]
mod tests;

use crate::images::RankedImages;
use crate::rule::PairRule;
use lumina_search::group::{Groups, Strategy};
use lumina_search::{SearchContext, SearchError, Values};
use std::ops::RangeInclusive;

/// All groups, in two levels: a record for each, and the lists of all, one after the other. Images are named by their
/// ranks.
#[derive(Debug)]
pub struct DuplicateGroups {
    /// How many hashes the rule names.
    hashes: usize,
    records: Vec<GroupRecord>,
    /// Of each group the one to keep comes first.
    members: Vec<u32>,
    /// The distances of each member to the first of its group, in each hash of the rule.
    distances: Vec<u16>,
    also_near: Vec<u32>,
    near_pairs: u64,
}

/// Where the lists of a group end, which begin where those of the group before end.
#[derive(Debug, Clone, Copy)]
struct GroupRecord {
    members_end: usize,
    also_near_end: usize,
    also_near_count: u32,
    distance: i16,
    is_identical: bool,
}

/// A group.
#[derive(Debug, Clone, Copy)]
pub struct DuplicateGroup<'a> {
    /// Its images by rank: the one to keep, then the others, the nearest to it first.
    pub members: &'a [u32],
    /// The distances of each member to the first one, in each hash of the rule: all those of a member together.
    pub distances: &'a [u16],
    /// The distance of the two members farthest apart, of 64 bits.
    pub distance: i16,
    /// Images near a member, but in no group with it, best first: those that are kept.
    pub also_near: &'a [u32],
    /// How many of these there are, those that are not kept included.
    pub also_near_count: u32,
    is_identical: bool,
}

/// What the images of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKind {
    /// All bytes: one image with several files.
    Exact,
    /// All hashes of the rule.
    Identical,
    /// Most bits of their hashes.
    Near,
}

impl GroupKind {
    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Identical => "identical",
            Self::Near => "near",
        }
    }
}

/// A group keeps at least this many images that are also near, and else as many as it has members: so the run takes
/// space in proportion to its members.
const MIN_ALSO_NEAR: usize = 16;

impl DuplicateGroups {
    /// No groups.
    pub fn none(rule: &PairRule) -> Self {
        DuplicateGroups {
            hashes: rule.hashes().len(),
            records: Vec::new(),
            members: Vec::new(),
            distances: Vec::new(),
            also_near: Vec::new(),
            near_pairs: 0,
        }
    }

    /// Makes groups of images from groups of the rows that [`crate::UnrankedImages::rank`] returned. `near_values` is
    /// how many pairs of values the rule makes near. `each_group` is called before each group, to check for interrupts.
    pub fn collect(
        groups: &Groups,
        values: &Values,
        near_values: u64,
        images: &RankedImages,
        rule: &PairRule,
        context: &SearchContext,
        mut each_group: impl FnMut(),
    ) -> Result<Self, SearchError> {
        let near_pairs = near_values + equal_pairs(values, images);
        let mut collected = DuplicateGroups { near_pairs, ..Self::none(rule) };
        let image = |row: &u32| images.image_of_row(*row);
        let (mut rows, mut distances, mut near) = (Vec::new(), Vec::new(), Vec::new());
        for group in 0..groups.len() {
            each_group();
            groups.rows(values, group, None, &mut rows, &mut distances, context)?;
            if let Some(best) = better_primary(groups.strategy(), &rows, images) {
                groups.rows(values, group, Some(best), &mut rows, &mut distances, context)?;
            }
            groups.also_near(values, group, &mut near, context)?;
            let start = collected.members.len();
            // Rows of one image are equal, and so follow one another.
            for (row, each) in rows.iter().zip(distances.chunks_exact(collected.hashes)) {
                if collected.members[start..].last() != Some(&image(row)) {
                    collected.push_member(image(row), each.iter().copied(), context)?;
                }
            }
            near.dedup_by_key(|row| image(row));
            let kept = near.len().min(MIN_ALSO_NEAR.max(collected.members.len() - start));
            for row in &near[..kept] {
                context.push(&mut collected.also_near, image(row))?;
            }
            let farthest = groups.farthest(group);
            let is_identical = farthest.iter().all(|distance| *distance == 0);
            collected.end_group(rule.shown_distance(farthest), is_identical, near.len(), context)?;
        }
        context.free(rows);
        context.free(distances);
        context.free(near);
        Ok(collected)
    }

    /// Adds a group for each image that has several files, not all of which were decided on, and is in no group yet:
    /// those whose hashes are not compared.
    pub fn add_exact(&mut self, images: &RankedImages, context: &SearchContext) -> Result<(), SearchError> {
        let mut is_grouped = context.filled(images.len(), false)?;
        self.members.iter().for_each(|member| is_grouped[*member as usize] = true);
        for rank in
            (0..images.len() as u32).filter(|rank| images.has_undecided_copies(*rank) && !is_grouped[*rank as usize])
        {
            self.push_member(rank, std::iter::repeat_n(0, self.hashes), context)?;
            self.end_group(0, true, 0, context)?;
        }
        context.free(is_grouped);
        Ok(())
    }

    /// Adds a member to the group that is not ended yet.
    fn push_member(
        &mut self,
        rank: u32,
        distances: impl Iterator<Item = u16>,
        context: &SearchContext,
    ) -> Result<(), SearchError> {
        context.push(&mut self.members, rank)?;
        for distance in distances {
            context.push(&mut self.distances, distance)?;
        }
        Ok(())
    }

    fn end_group(
        &mut self,
        distance: i16,
        is_identical: bool,
        also_near: usize,
        context: &SearchContext,
    ) -> Result<(), SearchError> {
        let record = GroupRecord {
            members_end: self.members.len(),
            also_near_end: self.also_near.len(),
            also_near_count: also_near as u32,
            distance,
            is_identical,
        };
        context.push(&mut self.records, record)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The members of all groups, by rank.
    pub fn members(&self) -> &[u32] {
        &self.members
    }

    /// Near pairs of different hashes, and pairs of images whose hashes are equal.
    pub fn near_pairs(&self) -> u64 {
        self.near_pairs
    }

    /// A group: near ones are in the order of their best images, then come exact ones.
    pub fn group(&self, number: usize) -> DuplicateGroup<'_> {
        let before = number.checked_sub(1).map(|before| self.records[before]);
        let (first, first_near) = before.map_or((0, 0), |before| (before.members_end, before.also_near_end));
        let record = self.records[number];
        DuplicateGroup {
            members: &self.members[first..record.members_end],
            distances: &self.distances[first * self.hashes..record.members_end * self.hashes],
            distance: record.distance,
            also_near: &self.also_near[first_near..record.also_near_end],
            also_near_count: record.also_near_count,
            is_identical: record.is_identical,
        }
    }
}

impl<'a> DuplicateGroup<'a> {
    /// The members in their order, each with its distances to the first one.
    pub fn members_with_distances(&self) -> impl Iterator<Item = (u32, &'a [u16])> + use<'a> {
        let hashes = self.distances.len() / self.members.len();
        self.members.iter().copied().zip(self.distances.chunks_exact(hashes))
    }

    /// What its images have in common.
    pub fn kind(&self) -> GroupKind {
        match (self.members.len(), self.is_identical) {
            (1, _) => GroupKind::Exact,
            (_, true) => GroupKind::Identical,
            _ => GroupKind::Near,
        }
    }

    /// How many files its images have.
    pub fn files(&self, images: &RankedImages) -> i64 {
        self.members.iter().map(|&rank| i64::from(images.files(rank))).sum()
    }

    /// The bytes of all its files.
    pub fn bytes(&self, images: &RankedImages) -> i64 {
        let bytes = |rank| i64::from(images.files(rank)).saturating_mul(images.size(rank));
        self.members.iter().fold(0, |sum, &rank| sum.saturating_add(bytes(rank)))
    }

    /// Its redundant files and their bytes: see [`RankedImages::redundant_files`].
    pub fn redundant(&self, images: &RankedImages) -> (i64, i64) {
        let of_each = self.members.iter().enumerate().map(|(place, &rank)| {
            let files = i64::from(images.redundant_files(rank, place == 0));
            (files, files.saturating_mul(images.size(rank)))
        });
        of_each.fold((0, 0), |(files, bytes), (more, size)| (files + more, bytes.saturating_add(size)))
    }
}

/// The rows of the image to keep, where that is another one than the first of a group. In a star all members are near
/// its primary, and perhaps no other: there it stays the one that was best when the group was formed.
fn better_primary(strategy: Strategy, rows: &[u32], images: &RankedImages) -> Option<RangeInclusive<u32>> {
    if strategy == Strategy::Star {
        return None;
    }
    let image = |row: &u32| images.image_of_row(*row);
    let best = images.best_of(rows.iter().map(image))?;
    if rows.first().map(image) == Some(best) {
        return None;
    }
    // Rows of one image follow one another.
    let of_best = || rows.iter().copied().filter(|row| image(row) == best);
    Some(of_best().min()?..=of_best().max()?)
}

/// Pairs of images whose hashes are equal.
fn equal_pairs(values: &Values, images: &RankedImages) -> u64 {
    let pairs = |value| {
        let rows = values.members(value);
        let is_other = |pair: &&[u32]| images.image_of_row(pair[0]) != images.image_of_row(pair[1]);
        let others = rows.as_slice().windows(2).filter(is_other).count() as u64;
        others * (others + 1) / 2
    };
    values.repeated().map(pairs).sum()
}
