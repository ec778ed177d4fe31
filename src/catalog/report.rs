//! `lumina_internal.page`, behind `duplicates_html`: SQL returns the groups of a catalog, threads make their
//! thumbnails, and `lumina-report` writes the report.

use super::error::ReportTooLarge;
use super::paths::{roots, text};
use crate::error::{LuminaError, OutOfMemory};
use crate::guc;
use crate::pg::backend::allocator::{reserve_spent, room_for};
use crate::pg::backend::image_memory::{Counted, Share, with_share};
use crate::pg::backend::threads::start_pool;
use crate::pg::fmgr::call::function;
use crate::pg::fmgr::datum::Varlena;
use crate::pg::fmgr::error::{IncompleteExtension, ThreadsNotStarted};
use crate::pg::fmgr::raise::OrRaise;
use crate::pg::spi::statement;
use lumina_import::contents::from_hex;
use lumina_import::pool::Pool;
use lumina_import::thumbnail::{Missing, ThumbnailTask, Thumbnailer};
use lumina_report::{Distance, GroupKind, Member, Merits, ReportGroup, ReportSummary, ReportWriter};
use pgrx::JsonB;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The longer side of a thumbnail, in pixels: enough for screens of twice the usual resolution.
const SIDE: u32 = 320;
/// The most images shown of one group.
const MOST_IMAGES: i32 = 60;
/// Groups that are read at a time.
const GROUPS_AT_ONCE: i32 = 200;
/// The most bytes of a report: the longest text of Postgres, less some room.
const LONGEST: usize = 1_000_000_000;
/// The most bytes of image memory for each thread while several make thumbnails: photographs of 40 megapixels need no
/// more.
const EACH: u64 = 128 << 20;
/// The longest sleep of the backend's thread.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// The catalog, from `lumina_internal.page_summary`.
#[derive(Deserialize)]
struct SummaryRow {
    catalog: String,
    generated: String,
    rule: Vec<BTreeMap<String, u16>>,
    strategy: String,
    images: u64,
    groups: u64,
    redundant_files: u64,
    savings: u64,
}

/// What comes next on the page, from `lumina_internal.page_ids`.
#[derive(Deserialize)]
struct NextGroups {
    ids: Vec<i64>,
    /// The place of the last one in the order.
    cursor: Option<String>,
}

/// A group, from `lumina_internal.page_groups`.
#[derive(Deserialize)]
struct GroupRow {
    id: i64,
    kind: String,
    confidence: u8,
    savings: u64,
    images: Vec<ImageRow>,
    more_images: u64,
    also_near: Vec<String>,
    also_near_more: u64,
}

/// An image of a group.
#[derive(Deserialize)]
struct ImageRow {
    files: Vec<String>,
    more_files: u64,
    sha256: String,
    size: u64,
    format: String,
    raw: bool,
    truncated: bool,
    width: Option<u32>,
    height: Option<u32>,
    captured: Option<String>,
    camera: Option<String>,
    quality: f32,
    quality_format: f32,
    quality_metadata: f32,
    distance: u8,
    distances: BTreeMap<String, Option<u16>>,
}

function! {
    /// `lumina_internal.page(bigint, text, int, text, text)`.
    page_of_duplicates, pg_finfo_page_of_duplicates,
    guarded: |arguments: Arguments| {
        let (catalog, setting, most) = (arguments.int8(0), text(arguments.bytes(1)), arguments.int4(2));
        let start = (text(arguments.bytes(3)), text(arguments.bytes(4)));
        let html = with_share(|share| make(catalog, setting, most, start, share)).or_raise();
        Varlena::new(&[html.as_bytes()]).into_datum()
    },
}

/// The report of at most `most` groups, in an order, after a place in it.
fn make(
    catalog: i64,
    setting: &str,
    most: i32,
    (order, after): (&str, &str),
    share: &mut Share,
) -> Result<String, LuminaError> {
    let summary: SummaryRow =
        read("SELECT lumina_internal.page_summary($1)", &[catalog.into()]).pop().ok_or(IncompleteExtension)?;
    let threads = guc::import_threads();
    let thumbnailer = Thumbnailer {
        roots: roots(setting)?,
        side: SIDE,
        pixels: guc::max_image_pixels().value as u64,
        room_for,
        memory: share.for_thread(),
    };
    let pool = start_pool(threads, &thumbnailer)?;
    let report = report_of(&summary);
    let mut html = Bounded::default();
    let mut writer = ReportWriter::begin(&report, &mut html).map_err(too_large)?;
    let mut shown = 0;
    let mut after = Some(after.to_owned()).filter(|after| !after.is_empty());
    while shown < most {
        let some = GROUPS_AT_ONCE.min(most - shown);
        let arguments = [catalog.into(), order.into(), after.into(), some.into()];
        let next: NextGroups =
            read("SELECT lumina_internal.page_ids($1, $2, $3, $4)", &arguments).pop().ok_or(IncompleteExtension)?;
        let found = next.ids.len();
        let arguments = [next.ids.into(), MOST_IMAGES.into()];
        let groups: Vec<GroupRow> = read("SELECT lumina_internal.page_groups($1, $2)", &arguments);
        shown += groups.len() as i32;
        for group in groups {
            let pictures = pictures(&pool, &group.images, threads, share)?;
            if let Some(group) = group.shown(pictures) {
                writer.group(&group).map_err(too_large)?;
            }
        }
        if found < some as usize {
            break;
        }
        after = next.cursor;
    }
    writer.end().map_err(too_large)?;
    Ok(html.text)
}

/// A text whose growth can fail, of at most the size that Postgres can return.
#[derive(Default)]
struct Bounded {
    text: String,
}

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, more: &str) -> std::fmt::Result {
        if self.text.len() + more.len() > LONGEST || self.text.try_reserve(more.len()).is_err() {
            return Err(std::fmt::Error);
        }
        self.text.push_str(more);
        Ok(())
    }
}

fn too_large(_: std::fmt::Error) -> ReportTooLarge {
    ReportTooLarge
}

/// Reads the rows of a statement of ours that has one column of `jsonb`.
fn read<T: for<'a> Deserialize<'a>>(statement: &str, arguments: &[statement::Argument<'_>]) -> Vec<T> {
    statement::read(statement, arguments, |row| match serde_json::from_value(row.known::<JsonB>(1).0) {
        Ok(value) => value,
        Err(error) => panic!("a statement of ours returned another form than it should: {error}"),
    })
}

/// For each image its thumbnail, or why there is none. One that needs more memory than a thread's share is made alone.
fn pictures(
    pool: &Pool<Thumbnailer<Arc<Counted>>>,
    images: &[ImageRow],
    threads: usize,
    share: &mut Share,
) -> Result<Vec<Result<Vec<u8>, String>>, LuminaError> {
    let mut pictures = vec![Err("it cannot be read".to_owned()); images.len()];
    let all = guc::image_memory().value as u64;
    let each = (all / threads as u64).min(EACH);
    let task = |number: usize, memory: u64| {
        let image = &images[number];
        Some(ThumbnailTask { number, path: image.files.first()?.into(), sha256: from_hex(&image.sha256)?, memory })
    };
    share.grow(each * threads as u64)?;
    let mut waiting = 0;
    for task in (0..images.len()).filter_map(|number| task(number, each)) {
        pool.submit(task);
        waiting += 1;
    }
    let mut large = Vec::new();
    while waiting > 0 {
        let (number, picture) = next(pool)?;
        waiting -= 1;
        match picture {
            Err(Missing::NeedsMore) if each < all => large.push(number),
            picture => pictures[number] = picture.map_err(words),
        }
    }
    for task in large.into_iter().filter_map(|number| task(number, all)) {
        share.grow(all)?;
        pool.submit(task);
        let (number, picture) = next(pool)?;
        pictures[number] = picture.map_err(words);
    }
    Ok(pictures)
}

fn words(why: Missing) -> String {
    match why {
        Missing::Because(words) => words,
        Missing::NeedsMore => "it needs more memory than lumina.image_memory allows".into(),
    }
}

/// Waits for the next thumbnail from a thread.
fn next(pool: &Pool<Thumbnailer<Arc<Counted>>>) -> Result<(usize, Result<Vec<u8>, Missing>), LuminaError> {
    loop {
        pgrx::check_for_interrupts!();
        if reserve_spent() {
            return Err(OutOfMemory.into());
        }
        match pool.event(LONGEST_SLEEP) {
            Ok(Some(made)) => return Ok(made),
            Ok(None) => (),
            Err(broken) => {
                return Err(ThreadsNotStarted { threads: guc::import_threads(), why: broken.to_string() }.into());
            }
        }
    }
}

fn report_of(summary: &SummaryRow) -> ReportSummary {
    let distances =
        |each: &BTreeMap<String, u16>| each.iter().map(|(hash, distance)| of_hash(hash, *distance)).collect();
    ReportSummary {
        catalog: summary.catalog.clone(),
        generated: summary.generated.clone(),
        rule: summary.rule.iter().map(distances).collect(),
        strategy: summary.strategy.clone(),
        images: summary.images,
        groups_total: summary.groups,
        redundant_files: summary.redundant_files,
        savings: summary.savings,
    }
}

fn of_hash(hash: &str, distance: u16) -> Distance {
    Distance { hash: hash.to_owned(), distance, bits: if hash == "pdq" { 256 } else { 64 } }
}

impl GroupRow {
    /// The group with a picture of each of its images.
    fn shown(self, pictures: Vec<Result<Vec<u8>, String>>) -> Option<ReportGroup> {
        let merits: Vec<Merits> = self.images.iter().map(ImageRow::merits).collect();
        let why = lumina_report::why(&merits).into_iter().map(str::to_owned).collect();
        let mut pictures = pictures.into_iter();
        let mut members = self.images.into_iter().enumerate().map(|(place, image)| Member {
            distance: (place > 0).then_some(image.distance),
            distances: image
                .distances
                .iter()
                .filter(|_| place > 0)
                .filter_map(|(hash, distance)| Some(of_hash(hash, (*distance)?)))
                .collect(),
            files: image.all_files(),
            size: image.size,
            format: image.format.to_uppercase(),
            width: image.width,
            height: image.height,
            captured: image.captured,
            camera: image.camera,
            quality: image.quality,
            thumbnail: pictures.next().unwrap_or_else(|| Err(String::new())),
        });
        Some(ReportGroup {
            id: self.id,
            kind: GroupKind::from_name(&self.kind)?,
            confidence: self.confidence,
            savings: self.savings,
            keep: members.next()?,
            why,
            others: members.collect(),
            others_more: self.more_images,
            also_near: self.also_near,
            also_near_more: self.also_near_more,
        })
    }
}

impl ImageRow {
    fn merits(&self) -> Merits {
        Merits {
            raw: self.raw,
            truncated: self.truncated,
            pixels: self.width.zip(self.height).map(|(width, height)| u64::from(width) * u64::from(height)),
            size: self.size,
            quality: self.quality,
            quality_format: self.quality_format,
            quality_metadata: self.quality_metadata,
            captured: self.captured.clone(),
        }
    }

    /// The paths, and the number of further ones.
    fn all_files(&self) -> Vec<String> {
        let more = (self.more_files > 0).then(|| format!("... and {} more", self.more_files));
        self.files.iter().cloned().chain(more).collect()
    }
}
