//! Why an image of a group is the one to keep, and why a file of it: what was decisive, in the order of preference.
//!
//! The order is that of `lumina_catalog::preference`. Others are struck out by the first thing in which the one to keep
//! is preferred to them, and each thing that has struck out one is a reason. Where another one is preferred instead,
//! facts or settings have changed since the group was formed; then that is told, and nothing else is claimed.

#[cfg(test)]
mod tests;

use lumina_catalog::preference::{
    Candidate, Class, Origin, Originals, Place, ScoreParts, ScoreWeights, Tolerances, UNKNOWN_TIME,
};
use std::cmp::Reverse;

/// What is told where another one would be preferred by what is known now.
const CHANGED: &str = "chosen when the group was formed; by now another one is preferred";
/// What is told where the one that was preferred is not there.
const NEXT: &str = "the next one of the group: the one that was chosen is rejected or gone";

/// What preference decides by, of an image.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Merits {
    /// Where its files lie.
    pub place: Place,
    /// Whether it ends early, or its data are damaged.
    pub damaged: bool,
    /// Its format.
    pub format: String,
    /// Whether that is a camera's raw file.
    pub raw: bool,
    /// Width times height, if known.
    pub pixels: Option<u64>,
    /// In bytes.
    pub size: u64,
    /// When it was taken, in microseconds, if known.
    pub captured: Option<i64>,
    /// The score by which the catalog ranks, in hundredths.
    pub score: i32,
    /// The parts of it, as the table stores them: format, resolution, size, and metadata or sharpness.
    pub points: [f32; 4],
    /// What tells whether it is an original.
    pub origin: Origin,
    /// The first 64 bits of its checksum.
    pub checksum: u64,
}

/// How a group was formed, as far as preference depends on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// How much each part of a score counts.
    pub weights: ScoreWeights,
    /// Whether small differences in resolution and size count as none: not in groups of the strategy `star`.
    pub has_tolerances: bool,
    /// Whether the first image is the one that was chosen; that may be rejected by now.
    pub is_first: bool,
}

/// What preference decides by, of a file of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMerits {
    /// The preferred folder that it is in.
    pub folder: u16,
    /// Whether it is below a protected source.
    pub is_protected: bool,
    /// The import that has found it; 0 for none.
    pub import: i64,
    /// Of a file that no import has found its number, else 0.
    pub number: i64,
}

/// The one to keep against others, which are struck out one by one.
struct Contest<'a, T> {
    keep: &'a T,
    left: Vec<&'a T>,
    reasons: Vec<String>,
    /// Whether another one was preferred.
    is_lost: bool,
}

impl<'a, T> Contest<'a, T> {
    fn new(all: &'a [T]) -> Option<Self> {
        let (keep, others) = all.split_first()?;
        Some(Contest { keep, left: others.iter().collect(), reasons: Vec::new(), is_lost: false })
    }

    /// Strikes out those of a greater key, with a reason in words if there are any: for the one to keep and these.
    fn by<K: Ord>(&mut self, key: impl Fn(&T) -> K, words: impl FnOnce(&T, &[&T]) -> String) {
        let of_keep = key(self.keep);
        if self.is_lost || self.left.iter().any(|other| key(other) < of_keep) {
            self.is_lost = true;
            return;
        }
        let (worse, left) = self.left.drain(..).partition::<Vec<&T>, _>(|other| key(other) > of_keep);
        self.left = left;
        if !worse.is_empty() {
            self.reasons.push(words(self.keep, &worse));
        }
    }

    fn end(self) -> Vec<String> {
        if self.is_lost { vec![CHANGED.into()] } else { self.reasons }
    }
}

/// An image with its scores.
struct Entry<'a> {
    merits: &'a Merits,
    candidate: Candidate,
    /// The score that decides, in hundredths, and the parts of it.
    score: i64,
    parts: ScoreParts,
    /// What format and metadata, or sharpness, add to it.
    points: [f64; 2],
    /// Whether it is an enlarged copy of another one.
    is_enlarged: bool,
    /// Its originality as it counts.
    originality: u8,
}

/// Why the first image is the one to keep; nothing where it is the only one.
pub fn why(images: &[Merits], choice: &Choice) -> Vec<String> {
    if !choice.is_first && images.len() > 1 {
        return vec![NEXT.into()];
    }
    let mut entries = entries(images, choice);
    count(&mut entries, choice);
    let damaged = images.iter().filter(|image| image.damaged).count();
    let is_highest = images.iter().skip(1).all(|other| images[0].score > other.score);
    let Some(mut contest) = Contest::new(&entries) else { return Vec::new() };
    contest.by(
        |entry| entry.merits.damaged,
        |_, worse| {
            let is_only = damaged + 1 == images.len();
            let verb = if worse.len() == 1 { "another is damaged" } else { "others are damaged" };
            if is_only { "the only one that is whole".into() } else { format!("whole, where {verb}") }
        },
    );
    contest.by(|entry| entry.merits.place.folder, |_, worse| folder(worse.iter().map(|one| one.merits.place.folder)));
    contest.by(|entry| !entry.merits.place.is_protected, |_, _| "protected".into());
    contest.by(|entry| entry.is_enlarged, |_, worse| enlarged(worse.len()));
    contest.by(|entry| Reverse(entry.originality), |keep, worse| original(keep, worse));
    contest.by(|entry| Reverse(entry.score), |keep, worse| better(keep, worse, is_highest, choice));
    contest.by(
        |entry| entry.candidate.captured,
        |_, worse| {
            let has_date = worse.iter().any(|one| one.merits.captured.is_some());
            if has_date { "older".into() } else { "the date is known".into() }
        },
    );
    contest.by(|entry| Reverse(entry.merits.size), |_, _| "larger file".into());
    contest.by(|entry| Reverse(entry.merits.score), |keep, worse| compared(keep, worse, is_highest));
    contest.by(|entry| entry.merits.checksum, |_, _| "as good as any: the smaller checksum".into());
    if !contest.is_lost && !contest.left.is_empty() {
        contest.reasons.push("as good as any".into());
    }
    contest.end()
}

fn entries<'a>(images: &'a [Merits], choice: &Choice) -> Vec<Entry<'a>> {
    let entry = |merits: &'a Merits| {
        // The first of the same format has the number.
        let format = images.iter().position(|one| one.format == merits.format).unwrap_or_default();
        let pixels = merits.pixels.unwrap_or_default();
        let parts = choice.weights.parts(merits.points, pixels, u8::try_from(format).unwrap_or(u8::MAX));
        let weighted = |part: usize| choice.weights.weights[part] * f64::from(merits.points[part]);
        Entry {
            merits,
            candidate: Candidate {
                rank: 0,
                class: Class::new(merits.place, merits.damaged),
                parts,
                origin: merits.origin,
                size: i64::try_from(merits.size).unwrap_or(i64::MAX),
                captured: merits.captured.unwrap_or(UNKNOWN_TIME),
            },
            score: merits.score.into(),
            parts,
            points: [weighted(0), weighted(3)],
            is_enlarged: false,
            originality: 0,
        }
    };
    images.iter().map(entry).collect()
}

/// Where there are tolerances: tells which are enlarged and how original the others are, and replaces the scores by
/// those that count, by the largest of the best class.
fn count(entries: &mut [Entry<'_>], choice: &Choice) {
    if !choice.has_tolerances {
        return;
    }
    let Some(class) = entries.iter().map(|entry| entry.candidate.class).min() else { return };
    let candidates: Vec<Candidate> = entries.iter().map(|entry| entry.candidate).collect();
    let left = candidates.iter().copied().filter(|candidate| candidate.class == class);
    let originals = Originals::of(left.clone());
    let tolerances = Tolerances::of(left.filter(|candidate| !originals.is_enlarged(candidate)));
    for entry in entries {
        entry.is_enlarged = originals.is_enlarged(&entry.candidate);
        entry.originality = originals.counted(&entry.candidate);
        entry.parts = tolerances.counted(&entry.candidate);
        entry.score = entry.parts.sum().into();
    }
}

fn enlarged(worse: usize) -> String {
    if worse == 1 { "not enlarged, as another is" } else { "not enlarged, as others are" }.into()
}

/// What makes an image more original than others: what none of them has.
fn original(keep: &Entry<'_>, worse: &[&Entry<'_>]) -> String {
    let of_keep = keep.originality;
    let is_alone = |least: u8| of_keep >= least && worse.iter().all(|other| other.originality < least);
    if is_alone(Origin::CAMERA) {
        "has the camera's data"
    } else if is_alone(Origin::WRITTEN) {
        "as the camera wrote it"
    } else if worse.iter().all(|other| other.originality % 2 < of_keep % 2) {
        "not compressed before, as the others were"
    } else {
        "more original"
    }
    .into()
}

fn folder(worse: impl IntoIterator<Item = u16>) -> String {
    let is_alone = worse.into_iter().all(|folder| folder == Place::NO_FOLDER);
    if is_alone { "in a preferred folder" } else { "in a folder that is preferred to others" }.into()
}

/// What makes a score better that decides. It may be the lower one as it is, where small differences count as none; it
/// is called better only where no other image of the group has one as high.
fn better(keep: &Entry<'_>, worse: &[&Entry<'_>], is_highest: bool, choice: &Choice) -> String {
    let scores = compared(keep, worse, is_highest);
    let parts = better_parts(keep, worse, choice).join(", ");
    if parts.is_empty() { scores } else { format!("{parts} ({scores})") }
}

/// The score of an image as it is, beside the best one of others.
fn compared(keep: &Entry<'_>, others: &[&Entry<'_>], is_highest: bool) -> String {
    let score = points(keep.merits.score);
    let best = others.iter().map(|other| other.merits.score).max().unwrap_or_default();
    let verb = if is_highest { ", better than" } else { " against" };
    let note = if best < keep.merits.score { "" } else { ", where small differences count as none" };
    format!("score {score}{verb} {}{note}", points(best))
}

/// The parts of a score in which an image is better than others, in words that are true of the facts as well.
fn better_parts(keep: &Entry<'_>, worse: &[&Entry<'_>], choice: &Choice) -> Vec<&'static str> {
    let beats = |better: &dyn Fn(&Entry<'_>) -> bool| worse.iter().all(|other| better(other));
    let is_composite = choice.weights.is_composite;
    let mut parts = Vec::new();
    if beats(&|other| keep.points[0] > other.points[0]) {
        parts.push(if keep.merits.raw && beats(&|other| !other.merits.raw) {
            "raw file"
        } else if is_composite && beats(&|other| keep.merits.format == other.merits.format) {
            "saved in better quality"
        } else {
            "better format"
        });
    }
    if beats(&|other| keep.parts.resolution > other.parts.resolution) {
        parts.push("more pixels");
    }
    if beats(&|other| keep.parts.size > other.parts.size) {
        parts.push(if is_composite {
            "more bytes a megapixel"
        } else if beats(&|other| keep.merits.size > other.merits.size) {
            "larger file"
        } else {
            "larger file for its format"
        });
    }
    if beats(&|other| keep.points[1] > other.points[1]) {
        parts.push(if is_composite { "sharper" } else { "says more of how it was taken" });
    }
    parts
}

/// Hundredths as points, without zeros behind.
fn points(hundredths: i32) -> String {
    (f64::from(hundredths) / 100.0).to_string()
}

/// Why the first of the files of an image is the one to keep; nothing where it is the only one.
pub fn why_file(files: &[FileMerits]) -> Vec<String> {
    let Some(mut contest) = Contest::new(files) else { return Vec::new() };
    contest.by(|file| file.folder, |_, worse| folder(worse.iter().map(|one| one.folder)));
    contest.by(|file| !file.is_protected, |_, _| "in a protected source".into());
    contest.by(|file| file.import, |keep, _| if keep.import > 0 { "imported first" } else { "added first" }.into());
    contest.by(|file| file.number, |_, _| "added first".into());
    if !contest.is_lost && !contest.left.is_empty() {
        contest.reasons.push("first by its path".into());
    }
    contest.reasons.dedup();
    contest.end()
}
