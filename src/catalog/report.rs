//! `lumina_internal.report`, behind `duplicates_html`: SQL returns the groups of a catalog, threads make their
//! thumbnails, and `lumina-report` writes the report.

mod rows;

use super::error::ReportTooLarge;
use super::paths::{roots, text};
use crate::error::{LuminaError, OutOfMemory};
use crate::guc;
use crate::pg::backend::allocator::{reserve_spent, room_for};
use crate::pg::backend::image_memory::{Counted, Share, with_share};
use crate::pg::backend::server::decoder;
use crate::pg::backend::threads::start_pool;
use crate::pg::fmgr::call::function;
use crate::pg::fmgr::datum::Varlena;
use crate::pg::fmgr::error::{IncompleteExtension, ThreadsNotStarted};
use crate::pg::fmgr::raise::OrRaise;
use crate::pg::spi::statement;
use lumina_import::contents::from_hex;
use lumina_import::pool::Pool;
use lumina_import::thumbnail::{Missing, ThumbnailTask, Thumbnailer};
use lumina_report::{BurstsSummary, DecisionsSummary, ReportWriter};
use pgrx::JsonB;
use rows::{BurstsRow, DecisionsRow, GroupRow, NextGroups, Original, SummaryRow};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// The longer side of a thumbnail, in pixels: enough for screens of twice the usual resolution.
const SIDE: u32 = 320;
/// The most images shown of one group.
const MOST_IMAGES: i32 = 60;
/// Bursts that are shown.
const MOST_BURSTS: i32 = 8;
/// Actions that are listed.
const MOST_ACTIONS: i32 = 10;
/// Groups that are read at a time.
const GROUPS_AT_ONCE: i32 = 200;
/// The most bytes of a report: the longest text of Postgres, less some room.
const LONGEST: usize = 1_000_000_000;
/// The most bytes of image memory for each thread while several make thumbnails: photographs of 40 megapixels need no
/// more.
const EACH: u64 = 128 << 20;
/// The longest sleep of the backend's thread.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

function! {
    /// `lumina_internal.report(bigint, text, int, text, text)`.
    duplicates_report, pg_finfo_duplicates_report,
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
        read("SELECT lumina_internal.report_summary($1)", &[catalog.into()]).pop().ok_or(IncompleteExtension)?;
    let threads = guc::import_threads();
    let thumbnailer = Thumbnailer {
        roots: roots(setting)?,
        side: SIDE,
        pixels: guc::max_image_pixels().value as u64,
        room_for,
        decoder: Some(decoder()),
        memory: share.for_thread(),
    };
    let pool = start_pool(threads, &thumbnailer)?;
    let mut report = summary.report();
    if after.is_empty() {
        report.bursts = bursts(catalog, &pool, threads, share)?;
        report.decisions = decisions(catalog)?;
    }
    let choice = summary.choice();
    let mut html = Bounded::default();
    let mut writer = ReportWriter::begin(&report, &mut html).map_err(too_large)?;
    let mut shown = 0;
    let mut after = Some(after.to_owned()).filter(|after| !after.is_empty());
    while shown < most {
        let some = GROUPS_AT_ONCE.min(most - shown);
        let arguments = [catalog.into(), order.into(), after.into(), some.into()];
        let next: NextGroups =
            read("SELECT lumina_internal.report_ids($1, $2, $3, $4)", &arguments).pop().ok_or(IncompleteExtension)?;
        let found = next.ids.len();
        let arguments = [next.ids.into(), MOST_IMAGES.into()];
        let groups: Vec<GroupRow> = read("SELECT lumina_internal.report_groups($1, $2)", &arguments);
        shown += groups.len() as i32;
        for group in groups {
            let originals: Vec<Original<'_>> = group.images.iter().map(|image| image.original()).collect();
            let pictures = pictures(&pool, &originals, threads, share)?;
            if let Some(group) = group.shown(pictures, &choice) {
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

/// The bursts of a catalog, with the pictures of some.
fn bursts(
    catalog: i64,
    pool: &Pool<Thumbnailer<Arc<Counted>>>,
    threads: usize,
    share: &mut Share,
) -> Result<BurstsSummary, LuminaError> {
    let arguments = [catalog.into(), MOST_BURSTS.into()];
    let bursts: BurstsRow =
        read("SELECT lumina_internal.report_bursts($1, $2)", &arguments).pop().ok_or(IncompleteExtension)?;
    let originals: Vec<Original<'_>> = bursts.shown.iter().map(|burst| burst.original()).collect();
    let pictures = pictures(pool, &originals, threads, share)?;
    Ok(bursts.summary(pictures))
}

fn decisions(catalog: i64) -> Result<DecisionsSummary, LuminaError> {
    let arguments = [catalog.into(), MOST_ACTIONS.into()];
    let decisions: DecisionsRow =
        read("SELECT lumina_internal.report_decisions($1, $2)", &arguments).pop().ok_or(IncompleteExtension)?;
    Ok(decisions.summary())
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
    images: &[Original<'_>],
    threads: usize,
    share: &mut Share,
) -> Result<Vec<Result<Vec<u8>, String>>, LuminaError> {
    let mut pictures = vec![Err("it cannot be read".to_owned()); images.len()];
    let all = guc::image_memory().value as u64;
    let each = (all / threads as u64).min(EACH);
    let task = |number: usize, memory: u64| {
        let image = &images[number];
        Some(ThumbnailTask { number, path: image.path?.into(), sha256: from_hex(image.sha256)?, memory })
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
