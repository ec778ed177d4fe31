//! The duplicates of a catalog as one HTML page, without Postgres: groups, thumbnails, the file to keep of each with
//! the reason, and the space that deleting the others frees; bursts, and what was decided so far.
//!
//! - [`ReportWriter`] writes the report piece by piece, so that only the pictures of one group are in memory at once.
//! - [`why`], [`why_file`]: why an image is the one to keep, and why a file of it.
//! - `group`: the section of a group. `picture`: a thumbnail. `bursts`, `decisions`: the sections after the groups.
//! - `words`: rules and strategies in words. `units`: formatted numbers. `text`: data as HTML.
//! - `style.css`: how it looks, on a screen of any width, in light and dark, and on paper.
//!
//! Called by `src/catalog/report.rs` of the extension. The report is one self-contained HTML page: no script, pictures
//! as `data:` URIs, and a Content-Security-Policy that blocks everything else. All text from the catalog goes through
//! `text`: it cannot become markup, nor reorder the characters around it.

mod bursts;
mod decisions;
mod group;
mod picture;
mod text;
mod units;
mod why;
mod words;
mod writer;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests;

pub use bursts::{BurstsSummary, FramePlace, ShownBurst};
pub use decisions::{Decision, DecisionsSummary};
pub use why::{Choice, FileMerits, Merits, why, why_file};
pub use writer::ReportWriter;

/// The report's data about the whole catalog.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReportSummary {
    /// The catalog's name.
    pub catalog: String,
    /// When the report was made, as text.
    pub generated: String,
    /// When two images are near: in one of these alternatives every hash is within its distance.
    pub rule: Vec<Vec<Distance>>,
    /// How groups are made of near images: `clique`, `star`, `component`.
    pub strategy: String,
    /// Images that were compared.
    pub images: u64,
    /// Groups of the catalog; the report may be given fewer.
    pub groups_total: u64,
    /// Files of all groups that are neither the one to keep nor protected.
    pub redundant_files: u64,
    /// Bytes of these.
    pub savings: u64,
    /// The bursts of the catalog.
    pub bursts: BurstsSummary,
    /// What was decided.
    pub decisions: DecisionsSummary,
}

/// A group of duplicates.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportGroup {
    /// Its number in the catalog.
    pub id: i64,
    /// What its images have in common.
    pub kind: GroupKind,
    /// 0 to 100.
    pub confidence: u8,
    /// Bytes that are freed if all files are deleted but the one to keep and those that are protected.
    pub savings: u64,
    /// The image to keep: its first file is the one.
    pub keep: Member,
    /// Why this image, from [`why`].
    pub why: Vec<String>,
    /// Why this file of the image, from [`why_file`].
    pub why_file: Vec<String>,
    /// The other images, none in a group of kind [`GroupKind::Exact`].
    pub others: Vec<Member>,
    /// How many more there are than are shown.
    pub others_more: u64,
    /// Images that are near a member, and not in the group.
    pub also_near: Vec<AlsoNear>,
    /// How many more of these there are.
    pub also_near_more: u64,
}

/// An image that is near a member of a group, and not in it.
#[derive(Debug, Clone, PartialEq)]
pub struct AlsoNear {
    /// One of its paths.
    pub path: String,
    /// Why it is not in the group.
    pub because: Apart,
}

/// Why an image is not in a group though it is near a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// It is not near all members.
    NotNearAll,
    /// A decision has called it and a member different: the action's number.
    Decision(i64),
    /// It and a member are different shots of a burst: the burst's number.
    Burst(i64),
}

/// What the images of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKind {
    /// All bytes: one image with several files.
    Exact,
    /// All hashes.
    Identical,
    /// Most bits of their hashes.
    Near,
}

impl GroupKind {
    /// The kind of a name in SQL.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Exact, Self::Identical, Self::Near].into_iter().find(|kind| kind.name() == name)
    }

    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Identical => "identical",
            Self::Near => "near",
        }
    }
}

/// An image of a group. `None` is shown as unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its files, which are byte-identical.
    pub files: Vec<MemberFile>,
    /// How many more there are than are shown.
    pub files_more: u64,
    /// Bytes of one file.
    pub size: u64,
    /// As text: "JPEG".
    pub format: String,
    /// In pixels.
    pub width: Option<u32>,
    /// In pixels.
    pub height: Option<u32>,
    /// When it was taken, as text.
    pub captured: Option<String>,
    /// The camera.
    pub camera: Option<String>,
    /// The score by which the catalog ranks, 0 to 100.
    pub quality: f32,
    /// The frame of a burst that it is.
    pub burst: Option<FramePlace>,
    /// The distance to the image to keep, of 64 bits; `None` for that image itself.
    pub distance: Option<u8>,
    /// The distances by hash.
    pub distances: Vec<Distance>,
    /// The thumbnail: a JPEG, or why there is none, in a few words.
    pub thumbnail: Result<Vec<u8>, String>,
}

impl Member {
    /// Whether one of its files is protected: then it is never proposed for rejection.
    pub fn is_protected(&self) -> bool {
        self.files.iter().any(|file| file.is_protected)
    }
}

/// A file of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberFile {
    /// Where it lies.
    pub path: String,
    /// Whether it is below a protected source.
    pub is_protected: bool,
}

impl From<&str> for MemberFile {
    /// A file that is not protected.
    fn from(path: &str) -> Self {
        MemberFile { path: path.into(), is_protected: false }
    }
}

/// A distance of one kind of hash: between two images, or the largest that a rule allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distance {
    /// The name of the hash in SQL.
    pub hash: String,
    /// The number of differing bits.
    pub distance: u16,
    /// The width in bits.
    pub bits: u16,
}
