//! The order of preference: which image of a group is the one to keep.
//!
//! Two answers, for two questions. [`Preference`] is a total order of all images, by which [`crate::images`] sorts a
//! catalog: ties in a search go to the better image. [`best_of`] chooses among the members of a group that was formed,
//! where small differences in resolution and size count as none; such a tolerance is no order (it is not transitive),
//! but relative to the largest member it is a choice: every member gets a score of its own, and the members' order does
//! not matter. Called by [`crate::groups`]; the report of duplicates tells why in the same order (`lumina-report`).
//!
//! Both put folders first, then protected files, then whole pictures. Neither depends on ids, except for images that
//! differ in nothing else: ids are in the order in which the threads of an import finished.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

/// An image of a catalog, as its row describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogImage {
    /// Its id.
    pub id: i64,
    /// Bytes of one of its files.
    pub size: i64,
    /// When it was taken, in microseconds; [`UNKNOWN_TIME`] where that is not known.
    pub captured: i64,
    /// The first 64 bits of its checksum, from [`first_word`].
    pub checksum: u64,
    /// The score by which the catalog ranks, in hundredths.
    pub quality: i32,
    /// The parts of that score.
    pub parts: ScoreParts,
    /// The version of its row: another one later means that the image has changed. It is not compared.
    pub row_version: u32,
    /// Whether its file ends too early, or its data are damaged.
    pub is_damaged: bool,
    /// Whether its hashes are valid. Others are not there, and the image is not compared.
    pub has_hashes: bool,
}

/// The time of an image whose time is not known: later than all others.
pub const UNKNOWN_TIME: i64 = i64::MAX;

/// The first 64 bits of a checksum; 0 where it is shorter.
pub fn first_word(checksum: &[u8]) -> u64 {
    checksum.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// What a score is made of, in hundredths of a point, and what tolerances are applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScoreParts {
    /// Pixels; 0 where they are not known.
    pub pixels: u32,
    /// What its resolution adds to the score.
    pub resolution: u16,
    /// What its size adds.
    pub size: u16,
    /// What all else adds.
    pub rest: u16,
    /// A number for its format: sizes are compared within a format.
    pub format: u8,
}

impl ScoreParts {
    /// The score.
    pub fn sum(&self) -> u32 {
        u32::from(self.rest) + u32::from(self.resolution) + u32::from(self.size)
    }
}

/// How much each part of a score counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreWeights {
    /// Whether the parts are those of the composite score, and else those of the quality score.
    pub is_composite: bool,
    /// The weights of format, resolution, size, and metadata or sharpness: points of the score for a point of the part.
    pub weights: [f64; 4],
}

impl ScoreWeights {
    /// Those of a catalog that has chosen none: the quality score as it is.
    pub const DEFAULT: Self = ScoreWeights { is_composite: false, weights: [0.40, 0.35, 0.15, 0.10] };

    /// From eight weights, as SQL has them: four for the parts of the quality score and four for those of the composite
    /// one, of which the one four or the other are zeros.
    pub fn from_eight(weights: &[f64]) -> Option<Self> {
        let (quality, composite) = (weights.first_chunk::<4>()?, weights.get(4..)?.try_into().ok()?);
        let is_composite = quality.iter().all(|weight| *weight == 0.0);
        Some(ScoreWeights { is_composite, weights: if is_composite { composite } else { *quality } })
    }

    /// The parts of an image: `points` are those of format, resolution, size, and metadata or sharpness.
    pub fn parts(&self, points: [f32; 4], pixels: u64, format: u8) -> ScoreParts {
        let [of_format, resolution, size, last] =
            std::array::from_fn(|part| self.weights[part] * f64::from(points[part]));
        // A cast of a float saturates.
        let hundredths = |points: f64| (points * 100.0).round() as u16;
        ScoreParts {
            pixels: u32::try_from(pixels).unwrap_or(u32::MAX),
            resolution: hundredths(resolution),
            size: hundredths(size),
            rest: hundredths(of_format + last),
            format,
        }
    }
}

/// Where the files of an image lie. Those in no preferred folder come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The number of the best preferred folder, from 0; [`Place::NO_FOLDER`] for none.
    pub folder: u16,
    /// Whether one of its files is below a protected source.
    pub is_protected: bool,
}

impl Place {
    /// The number of no folder.
    pub const NO_FOLDER: u16 = u16::MAX;
}

impl Default for Place {
    fn default() -> Self {
        Place { folder: Self::NO_FOLDER, is_protected: false }
    }
}

/// What decides before quality does: the least is the best. By preferred folder, then protected, then whole images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class(u32);

impl Class {
    /// Of an image with its place.
    pub fn new(place: Place, is_damaged: bool) -> Self {
        Class(u32::from(place.folder) << 2 | u32::from(!place.is_protected) << 1 | u32::from(is_damaged))
    }
}

/// The sort key of images: the least is the best. Fields are compared in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Preference {
    /// Preferred, protected, whole images come first.
    class: Class,
    /// Then better ones,
    quality: Reverse<i32>,
    /// then older ones,
    captured: i64,
    /// then larger ones,
    size: Reverse<i64>,
    /// then, of equally good ones, that with the smaller checksum.
    checksum: u64,
    id: i64,
}

impl CatalogImage {
    pub(crate) fn preference(&self, place: Place) -> Preference {
        let CatalogImage { id, size, captured, checksum, quality, is_damaged, .. } = *self;
        let class = Class::new(place, is_damaged);
        Preference { class, quality: Reverse(quality), captured, size: Reverse(size), checksum, id }
    }
}

/// A member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its place in the order of preference, which no other member has.
    pub rank: u32,
    /// What decides before quality does.
    pub class: Class,
    /// The parts of its score.
    pub parts: ScoreParts,
    /// Bytes of one of its files.
    pub size: i64,
    /// When it was taken.
    pub captured: i64,
}

/// The member of a group that is the one to keep, by its rank; `None` where there is no member.
///
/// 1. Only members of the best class are left.
/// 2. Each gets a score. Where its pixels are more than 95 % of the most that a member left has, its resolution adds
///    what that of the member with most pixels adds; where its bytes are more than 90 % of the most that a member left
///    of the same format has, its size adds what that of the largest file of the format adds.
/// 3. The best score decides, then the earlier time, then more bytes, then the better rank: the better score as it is,
///    then the smaller checksum, then the smaller id.
pub fn best_of(members: impl Iterator<Item = Candidate> + Clone) -> Option<u32> {
    let class = members.clone().map(|member| member.class).min()?;
    let left = members.filter(|member| member.class == class);
    let tolerances = Tolerances::of(left.clone());
    left.min_by_key(|member| (Reverse(tolerances.score(member)), member.captured, Reverse(member.size), member.rank))
        .map(|member| member.rank)
}

/// The largest of the members of a group that are left: what resolution and size of each are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tolerances {
    /// The most pixels, and what they add to a score.
    most_pixels: (u32, u16),
    /// Of each format the most bytes, and what they add.
    sizes: Vec<(u8, (i64, u16))>,
}

impl Tolerances {
    /// Of the members of the best class.
    pub fn of(left: impl Iterator<Item = Candidate>) -> Self {
        // Of several that are largest, that to which it adds most.
        let (mut most_pixels, mut sizes) = ((0, 0), Vec::<(u8, (i64, u16))>::new());
        for Candidate { parts, size, .. } in left {
            most_pixels = most_pixels.max((parts.pixels, parts.resolution));
            match sizes.iter_mut().find(|(format, _)| *format == parts.format) {
                Some((_, largest)) => *largest = (*largest).max((size, parts.size)),
                None => sizes.push((parts.format, (size, parts.size))),
            }
        }
        Tolerances { most_pixels, sizes }
    }

    /// The parts of a member's score as they count: those of the largest, where the difference counts as none.
    pub fn counted(&self, member: &Candidate) -> ScoreParts {
        let Candidate { parts, size, .. } = *member;
        let (most, adds) = self.most_pixels;
        let resolution = if is_more_than(parts.pixels.into(), 95, most.into()) { adds } else { parts.resolution };
        let largest = self.sizes.iter().find(|(format, _)| *format == parts.format).map(|(_, largest)| *largest);
        let of_size = match largest {
            Some((most, adds)) if is_more_than(size, 90, most) => adds,
            _ => parts.size,
        };
        ScoreParts { resolution, size: of_size, ..parts }
    }

    /// The score of a member as it counts, in hundredths.
    pub fn score(&self, member: &Candidate) -> u32 {
        self.counted(member).sum()
    }
}

/// Whether a number is the most, or more than `percent` percent of it.
fn is_more_than(number: i64, percent: i128, most: i64) -> bool {
    number == most || i128::from(number) * 100 > i128::from(most) * percent
}
