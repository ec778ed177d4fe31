//! The order of preference: which image of a group is the one to keep.
//!
//! Two answers, for two questions. [`Preference`] is a total order of all images, by which [`crate::images`] sorts a
//! catalog: ties in a search go to the better image. [`best_of`] chooses among the members of a group that was formed,
//! where small differences in resolution and size count as none; such a tolerance is no order (it is not transitive),
//! but relative to the largest member it is a choice: every member gets a score of its own, and the members' order does
//! not matter. Called by [`crate::groups`]; the report of duplicates tells why in the same order (`lumina-report`).
//!
//! Before the score it asks which member is an original, and which are copies of it that have more bytes or pixels and
//! nothing more to see ([`Originals`]): relative to the other members, too. The order of all images does not ask that.
//!
//! Both put whole pictures first, then folders, then protected files. Neither depends on ids, except for images that
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
    /// What tells whether it is an original.
    pub origin: Origin,
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

/// What tells an original from a copy that was made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// From 0 to 15, as `lumina_photo::origin` has it: from [`Origin::WRITTEN`] on the file is as a camera has written
    /// it, from [`Origin::CAMERA`] on a camera's data are there.
    pub originality: u8,
    /// How much of the detail is as fine as pixels, in hundredths; 255 where that is not known.
    pub fineness: u8,
    /// The amount of detail as a logarithm: 256 for each doubling; 0 where it is not known.
    pub detail: u16,
}

impl Origin {
    /// The least originality of a file with a camera's data.
    pub const CAMERA: u8 = 8;
    /// That of one that is built as the camera has written it.
    pub const WRITTEN: u8 = 12;
    /// A picture of less fine detail is smooth: most enlarged ones are, and soft photographs.
    const SMOOTH: u8 = 20;
    /// A picture of finer detail is not enlarged, whatever else is known of it.
    const SHARP: u8 = 25;

    /// Of what the table has: the originality, and the amount and fineness of detail where they are known.
    pub fn new(originality: u8, detail: Option<(f32, f32)>) -> Self {
        let amount = detail.map_or(0.0, |(amount, _)| f64::from(amount).max(0.0));
        Origin {
            originality,
            fineness: detail.map_or(u8::MAX, |(_, fineness)| (fineness * 100.0) as u8), // saturates, too
            detail: ((amount + 1.0).log2() * 256.0).round() as u16,                     // a cast of a float saturates
        }
    }

    fn is_smooth(&self) -> bool {
        self.fineness < Self::SMOOTH
    }
}

impl Default for Origin {
    fn default() -> Self {
        Self::new(0, None)
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

/// What decides before quality does: the least is the best. Whole images, then those in a preferred folder, then
/// protected ones: no folder makes a damaged file one to keep where there is a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class(u32);

impl Class {
    /// Of an image with its place.
    pub fn new(place: Place, is_damaged: bool) -> Self {
        Class(u32::from(is_damaged) << 17 | u32::from(place.folder) << 1 | u32::from(!place.is_protected))
    }
}

/// The sort key of images: the least is the best. Fields are compared in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Preference {
    /// Whole, preferred, protected images come first.
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
    /// What tells whether it is an original.
    pub origin: Origin,
    /// Bytes of one of its files.
    pub size: i64,
    /// When it was taken.
    pub captured: i64,
}

/// The member of a group that is the one to keep, by its rank; `None` where there is no member.
///
/// 1. Only members of the best class are left.
/// 2. Enlarged copies go, see [`Originals`].
/// 3. Of members that are about as large as the largest one left the most original decides.
/// 4. Each gets a score. Where its pixels are more than 95 % of the most that a member left has, its resolution adds
///    what that of the member with most pixels adds; where its bytes are more than 90 % of the most that a member left
///    of the same format has, its size adds what that of the largest file of the format adds.
/// 5. The best score decides, then the earlier time, then more bytes, then the better rank: the better score as it is,
///    then the smaller checksum, then the smaller id.
pub fn best_of(members: impl Iterator<Item = Candidate> + Clone) -> Option<u32> {
    let class = members.clone().map(|member| member.class).min()?;
    let left = members.filter(|member| member.class == class);
    let originals = Originals::of(left.clone());
    let left = left.filter(|member| !originals.is_enlarged(member));
    let tolerances = Tolerances::of(left.clone());
    left.min_by_key(|member| {
        let originality = originals.counted(member);
        (Reverse(originality), Reverse(tolerances.score(member)), member.captured, Reverse(member.size), member.rank)
    })
    .map(|member| member.rank)
}

/// Of each member of a group whether it is a copy of the first one, which is the one to keep: one of its class that
/// comes after it for being enlarged or less original, whatever its score.
pub fn copies_of_first(members: impl Iterator<Item = Candidate> + Clone) -> impl Iterator<Item = bool> {
    let first = members.clone().next();
    let class = first.map(|first| first.class);
    let originals = Originals::of(members.clone().filter(move |member| Some(member.class) == class));
    members.map(move |member| {
        first.is_some_and(|first| {
            let of = |member: &Candidate| (originals.is_enlarged(member), Reverse(originals.counted(member)));
            member.class == first.class && of(&first) < of(&member)
        })
    })
}

/// What the members of a group that are left are compared with, to tell originals from copies.
///
/// A copy is *enlarged* if it is not as a camera has written it, and
/// - not sharp, and has more pixels than a member that is as written;
/// - or smooth, and one that is not has as much detail in fewer pixels;
/// - or smooth without a camera's data, and yet has so much more detail than a smaller one that has such data as smooth
///   pictures do not have unless they were sharpened.
///
/// Among members of about as many pixels originality counts as it is, but that traces of an earlier compression are
/// lost where a picture is cut: that one of fewer pixels shows none tells nothing beside the largest. A still smaller
/// one is no more original than the most original of these: it would lose to none of them otherwise, and a small copy
/// may have kept what a large one lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Originals {
    /// Of members that are as a camera has written them, the fewest pixels.
    written: Option<u32>,
    /// The largest of members that are not smooth, and its detail.
    sharp: (u32, u16),
    /// The same of those that have a camera's data.
    camera: (u32, u16),
    /// The most pixels of members that are not enlarged.
    most_pixels: u32,
    /// The best originality of those with as many.
    of_largest: u8,
    /// The best originality, as it counts, of members of about as many.
    best: u8,
}

impl Originals {
    /// About as large: this many percent of the most pixels, and more.
    const AS_LARGE: i128 = 80;
    /// Enlarging adds less detail than this, in doublings for each doubling of pixels; it takes away even less.
    const ADDED: f64 = 0.115;
    const LOST: i32 = -11;
    /// Smooth pictures have less detail than this beside smaller ones, in the same unit.
    const OF_SMOOTH: f64 = 0.4;

    /// Of the members of the best class.
    pub fn of(left: impl Iterator<Item = Candidate> + Clone) -> Self {
        let pixels = |member: &Candidate| member.parts.pixels;
        let written = left.clone().filter(|member| member.origin.originality >= Origin::WRITTEN);
        let sharp = left.clone().filter(|member| !member.origin.is_smooth() && member.origin.detail > 0);
        let camera = sharp.clone().filter(|member| member.origin.originality >= Origin::CAMERA);
        let largest = |sharp: &mut dyn Iterator<Item = Candidate>| {
            sharp.map(|member| (pixels(&member), member.origin.detail)).max().unwrap_or_default()
        };
        let mut originals = Originals {
            written: written.map(|member| pixels(&member)).filter(|&pixels| pixels > 0).min(),
            sharp: largest(&mut sharp.clone()),
            camera: largest(&mut camera.clone()),
            most_pixels: 0,
            of_largest: 0,
            best: 0,
        };
        let left = left.filter(move |member| !originals.is_enlarged(member));
        originals.most_pixels = left.clone().map(|member| pixels(&member)).max().unwrap_or_default();
        let largest = left.clone().filter(|member| pixels(member) == originals.most_pixels);
        originals.of_largest = largest.map(|member| member.origin.originality).max().unwrap_or_default();
        let large = left.filter(|member| originals.is_as_large(member));
        originals.best = large.map(|member| originals.of_large(&member)).max().unwrap_or_default();
        originals
    }

    /// Whether a member is an enlarged copy of another one.
    pub fn is_enlarged(&self, member: &Candidate) -> bool {
        let (pixels, origin) = (member.parts.pixels, member.origin);
        if origin.fineness > Origin::SHARP || origin.originality >= Origin::WRITTEN {
            return false;
        }
        let is_larger_than = |than: u32| i64::from(than) * 10 < i64::from(pixels) * 9;
        if self.written.is_some_and(is_larger_than) {
            return true;
        }
        // Detail more than that of another one, and pixels, in doublings: only of smaller ones.
        let beside = |(smaller, detail): (u32, u16)| {
            let more = i32::from(origin.detail) - i32::from(detail);
            let is_smaller = smaller > 0 && is_larger_than(smaller);
            is_smaller.then(|| (more, 256.0 * (f64::from(pixels) / f64::from(smaller)).log2()))
        };
        let has_as_much =
            |(more, doublings): (i32, f64)| more >= Self::LOST && f64::from(more) < Self::ADDED * doublings;
        let has_too_much = |(more, doublings): (i32, f64)| f64::from(more) > Self::OF_SMOOTH * doublings;
        origin.is_smooth()
            && (beside(self.sharp).is_some_and(has_as_much)
                || origin.originality < Origin::CAMERA && beside(self.camera).is_some_and(has_too_much))
    }

    fn is_as_large(&self, member: &Candidate) -> bool {
        i128::from(member.parts.pixels) * 100 >= i128::from(self.most_pixels) * Self::AS_LARGE
    }

    /// The originality of a member as it counts.
    pub fn counted(&self, member: &Candidate) -> u8 {
        if self.is_as_large(member) { self.of_large(member) } else { member.origin.originality.min(self.best) }
    }

    fn of_large(&self, member: &Candidate) -> u8 {
        let originality = member.origin.originality;
        let is_same_but_for_traces = originality / 2 == self.of_largest / 2;
        let is_cut = member.parts.pixels < self.most_pixels;
        if is_cut && is_same_but_for_traces { originality.min(self.of_largest) } else { originality }
    }
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
