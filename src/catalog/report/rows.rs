//! What the statements of `sql/catalog/report.sql` return, and what `lumina-report` makes of it. Called by
//! [`super::make`]. Invariant: the fields have the names of the keys there.

use lumina_catalog::preference::{Origin, Place, ScoreWeights, first_word};
use lumina_import::contents::from_hex;
use lumina_report::{
    AlsoNear, Apart, BurstsSummary, Choice, Decision, DecisionsSummary, Distance, FileMerits, FramePlace, GroupKind,
    Member, MemberFile, Merits, ReportGroup, ReportSummary, ShownBurst,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The catalog, from `lumina_internal.report_summary`.
#[derive(Deserialize)]
pub(super) struct SummaryRow {
    catalog: String,
    generated: String,
    rule: Vec<BTreeMap<String, u16>>,
    strategy: String,
    images: u64,
    weights: Option<Vec<f64>>,
    groups: u64,
    redundant_files: u64,
    savings: u64,
}

/// Which groups come next, from `lumina_internal.report_ids`.
#[derive(Deserialize)]
pub(super) struct NextGroups {
    pub(super) ids: Vec<i64>,
    /// The place of the last one in the order.
    pub(super) cursor: Option<String>,
}

/// A group, from `lumina_internal.report_groups`.
#[derive(Deserialize)]
pub(super) struct GroupRow {
    id: i64,
    kind: String,
    confidence: u8,
    savings: u64,
    pub(super) images: Vec<ImageRow>,
    more_images: u64,
    also_near: Vec<NearRow>,
    also_near_more: u64,
}

/// An image that is near a group, and not in it.
#[derive(Deserialize)]
struct NearRow {
    path: String,
    action: Option<i64>,
    burst: Option<i64>,
}

impl NearRow {
    fn describe(self) -> AlsoNear {
        let because = match (self.action, self.burst) {
            (Some(action), _) => Apart::Decision(action),
            (None, Some(burst)) => Apart::Burst(burst),
            (None, None) => Apart::NotNearAll,
        };
        AlsoNear { path: self.path, because }
    }
}

/// An image of a group.
#[derive(Deserialize)]
pub(super) struct ImageRow {
    place: i32,
    files: Vec<String>,
    protected: Vec<bool>,
    more_files: u64,
    /// Of each file the rank of its folder, its import, and its number; of the image to keep alone.
    origins: Option<Vec<(Option<i32>, i64, i64)>>,
    sha256: String,
    size: u64,
    format: String,
    raw: bool,
    damaged: bool,
    width: Option<u32>,
    height: Option<u32>,
    captured: Option<String>,
    camera: Option<String>,
    time: Option<i64>,
    score: i32,
    quality: [f32; 4],
    composite: [f32; 4],
    originality: u8,
    detail: Option<f32>,
    fineness: Option<f32>,
    folder: Option<i32>,
    is_protected: bool,
    burst: Option<FrameRow>,
    distance: u8,
    distances: BTreeMap<String, Option<u16>>,
}

/// The frame of a burst that an image is.
#[derive(Deserialize)]
struct FrameRow {
    burst: i64,
    frames: u64,
    position: u64,
    shot: Option<u64>,
    is_best: bool,
}

/// Bursts, from `lumina_internal.report_bursts`.
#[derive(Deserialize)]
pub(super) struct BurstsRow {
    total: u64,
    pub(super) shown: Vec<BurstRow>,
}

/// A burst.
#[derive(Deserialize)]
pub(super) struct BurstRow {
    id: i64,
    frames: u64,
    shots: u64,
    started: String,
    camera: Option<String>,
    is_suspect: bool,
    best: Option<String>,
    sha256: String,
}

/// Decisions, from `lumina_internal.report_decisions`.
#[derive(Deserialize)]
pub(super) struct DecisionsRow {
    standing: u64,
    images_rejected: u64,
    files_rejected: u64,
    is_at_least: bool,
    last: Vec<ActionRow>,
}

/// An action.
#[derive(Deserialize)]
struct ActionRow {
    id: i64,
    kind: String,
    group: Option<i64>,
    actor: String,
    at: String,
    images: u64,
    files: u64,
    undo_of: Option<i64>,
    undone_by: Option<i64>,
}

/// A file that a thumbnail is made of, and the checksum that it has to have.
pub(super) struct Original<'a> {
    pub(super) path: Option<&'a str>,
    pub(super) sha256: &'a str,
}

/// For each image its thumbnail, or why there is none.
type Pictures = Vec<Result<Vec<u8>, String>>;

impl SummaryRow {
    /// What the report says of the catalog, without bursts and decisions.
    pub(super) fn report(&self) -> ReportSummary {
        let distances =
            |each: &BTreeMap<String, u16>| each.iter().map(|(hash, distance)| of_hash(hash, *distance)).collect();
        ReportSummary {
            catalog: self.catalog.clone(),
            generated: self.generated.clone(),
            rule: self.rule.iter().map(distances).collect(),
            strategy: self.strategy.clone(),
            images: self.images,
            groups_total: self.groups,
            redundant_files: self.redundant_files,
            savings: self.savings,
            bursts: BurstsSummary::default(),
            decisions: DecisionsSummary::default(),
        }
    }

    /// By what the one to keep of a group was chosen.
    pub(super) fn choice(&self) -> Choice {
        let weights = self.weights.as_deref().and_then(ScoreWeights::from_eight);
        Choice {
            weights: weights.unwrap_or(ScoreWeights::DEFAULT),
            has_tolerances: self.strategy != "star",
            is_first: true,
        }
    }
}

fn of_hash(hash: &str, distance: u16) -> Distance {
    Distance { hash: hash.to_owned(), distance, bits: if hash == "pdq" { 256 } else { 64 } }
}

/// The number of a folder from its rank in SQL, which begins with 1.
fn folder(rank: Option<i32>) -> u16 {
    rank.and_then(|rank| u16::try_from(rank - 1).ok()).unwrap_or(Place::NO_FOLDER)
}

impl GroupRow {
    /// The group with a picture of each of its images.
    pub(super) fn shown(self, pictures: Pictures, choice: &Choice) -> Option<ReportGroup> {
        let is_first = self.images.first().is_some_and(|image| image.place == 0);
        let choice = Choice { is_first, ..*choice };
        let merits: Vec<Merits> = self.images.iter().map(|image| image.merits(&choice)).collect();
        let why_file = self.images.first().map(|image| lumina_report::why_file(&image.file_merits()));
        let mut members = self.images.into_iter().zip(pictures).map(|(image, picture)| image.member(picture));
        let keep = Member { distance: None, distances: Vec::new(), ..members.next()? };
        Some(ReportGroup {
            id: self.id,
            kind: GroupKind::from_name(&self.kind)?,
            confidence: self.confidence,
            savings: self.savings,
            keep,
            why: lumina_report::why(&merits, &choice),
            why_file: why_file.unwrap_or_default(),
            others: members.collect(),
            others_more: self.more_images,
            also_near: self.also_near.into_iter().map(NearRow::describe).collect(),
            also_near_more: self.also_near_more,
        })
    }
}

impl ImageRow {
    pub(super) fn original(&self) -> Original<'_> {
        Original { path: self.files.first().map(String::as_str), sha256: &self.sha256 }
    }

    fn merits(&self, choice: &Choice) -> Merits {
        Merits {
            place: Place { folder: folder(self.folder), is_protected: self.is_protected },
            damaged: self.damaged,
            format: self.format.clone(),
            raw: self.raw,
            pixels: self.width.zip(self.height).map(|(width, height)| u64::from(width) * u64::from(height)),
            size: self.size,
            captured: self.time,
            score: self.score,
            points: if choice.weights.is_composite { self.composite } else { self.quality },
            origin: Origin::new(self.originality, self.detail.zip(self.fineness)),
            checksum: from_hex(&self.sha256).map_or(0, |sha256| first_word(&sha256)),
        }
    }

    fn file_merits(&self) -> Vec<FileMerits> {
        let origins = self.origins.iter().flatten().zip(&self.protected);
        let file = |(&(rank, import, number), &is_protected)| FileMerits {
            folder: folder(rank),
            is_protected,
            import,
            number,
        };
        origins.map(file).collect()
    }

    /// The image with its distance to the one to keep.
    fn member(self, thumbnail: Result<Vec<u8>, String>) -> Member {
        let distances = self.distances.iter();
        let files = self.files.into_iter().zip(self.protected);
        Member {
            distance: Some(self.distance),
            distances: distances.filter_map(|(hash, distance)| Some(of_hash(hash, (*distance)?))).collect(),
            files: files.map(|(path, is_protected)| MemberFile { path, is_protected }).collect(),
            files_more: self.more_files,
            size: self.size,
            format: self.format.to_uppercase(),
            width: self.width,
            height: self.height,
            captured: self.captured,
            camera: self.camera,
            quality: self.score as f32 / 100.0,
            burst: self.burst.map(|frame| FramePlace {
                burst: frame.burst,
                frames: frame.frames,
                frame: frame.position + 1,
                shot: frame.shot.map(|shot| shot + 1),
                is_best: frame.is_best,
            }),
            thumbnail,
        }
    }
}

impl BurstsRow {
    /// The bursts with a picture of each.
    pub(super) fn summary(self, pictures: Pictures) -> BurstsSummary {
        let shown = self.shown.into_iter().zip(pictures).map(|(burst, thumbnail)| ShownBurst {
            id: burst.id,
            frames: burst.frames,
            shots: burst.shots,
            started: burst.started,
            camera: burst.camera,
            is_suspect: burst.is_suspect,
            best: burst.best,
            thumbnail,
        });
        BurstsSummary { total: self.total, shown: shown.collect() }
    }
}

impl BurstRow {
    pub(super) fn original(&self) -> Original<'_> {
        Original { path: self.best.as_deref(), sha256: &self.sha256 }
    }
}

impl DecisionsRow {
    pub(super) fn summary(self) -> DecisionsSummary {
        let decision = |action: ActionRow| Decision {
            id: action.id,
            kind: action.kind,
            group: action.group,
            actor: action.actor,
            at: action.at,
            images: action.images,
            files: action.files,
            undo_of: action.undo_of,
            undone_by: action.undone_by,
        };
        DecisionsSummary {
            standing: self.standing,
            images_rejected: self.images_rejected,
            files_rejected: self.files_rejected,
            is_at_least: self.is_at_least,
            last: self.last.into_iter().map(decision).collect(),
        }
    }
}
