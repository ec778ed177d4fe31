//! Writes bursts into tables: they replace those that the catalog had, but for the choices of their best images.
//! Called in the last transaction of the job, which has the catalog locked.
//!
//! Foreign keys are not checked ([`crate::jobs::results`]), but hold: frames refer to the burst that was inserted
//! before them, and are deleted before it; the best image of a burst is one of its frames.

use super::parameters::BurstParameters;
use crate::error::OutOfMemory;
use crate::guc;
use crate::jobs::job::Job;
use crate::jobs::results::{check_foreign_keys, lock_images};
use crate::jobs::stop::Stop;
use crate::pg::spi::statement::{self, Argument};
use lumina_catalog::bursts::{BurstChoice, Bursts};
use lumina_search::SearchContext;
use serde_json::{Value, json};
use std::ops::Range;

/// Frames that are written by one statement, and those of one burst more.
const FRAMES: usize = 16_384;

/// Locks the images of all frames. Whether all are there.
pub(super) fn lock_frames(job: &Job, bursts: &Bursts) -> Result<bool, Stop> {
    let mut images = Vec::new();
    images.try_reserve_exact(bursts.frame_count()).map_err(|_| OutOfMemory)?;
    for number in 0..bursts.len() {
        images.extend(bursts.frames(bursts.burst(number)).iter().map(|frame| frame.image));
    }
    images.sort_unstable();
    lock_images(job, &images, None)
}

/// Replaces the bursts of the catalog. Returns the job's result.
pub(super) fn write(job: &Job, parameters: &BurstParameters, bursts: &mut Bursts) -> Result<Value, Stop> {
    let catalog = job.catalog;
    let context = SearchContext::new(guc::search_memory().value);
    let chosen = bursts.keep_choices(&choices(catalog), &context)?;
    let before = shots(catalog);
    check_foreign_keys(false);
    // Frames first: deleting a burst looks up its frames.
    for table in ["burst_frames", "bursts"] {
        let delete = format!("DELETE FROM lumina.{table} WHERE catalog = $1");
        statement::execute(&delete, &[catalog.into()]);
        job.check_cancelled_in_transaction()?;
    }
    let mut first = 0;
    while first < bursts.len() {
        let (mut end, mut frames) = (first, 0);
        while end < bursts.len() && frames < FRAMES {
            frames += bursts.burst(end).frames as usize;
            end += 1;
        }
        write_bursts(catalog, &parameters.best_by, bursts, first..end);
        job.check_cancelled_in_transaction()?;
        first = end;
    }
    check_foreign_keys(true);
    note_changes(catalog, &before, &shots(catalog));
    let suspects = (0..bursts.len()).filter(|&number| bursts.burst(number).is_suspect).count();
    Ok(json!({"bursts": bursts.len(), "frames": bursts.frame_count(), "suspects": suspects, "chosen": chosen}))
}

/// The best images that somebody has chosen, with what is left of their bursts.
fn choices(catalog: i64) -> Vec<BurstChoice> {
    statement::read(
        "SELECT b.best_image, f.images
            FROM lumina.bursts b
            CROSS JOIN LATERAL (SELECT array_agg(f.image) AS images FROM lumina.burst_frames f
                WHERE f.burst = b.id OFFSET 0) f
            WHERE b.catalog = $1 AND b.best_by = 'manual' AND b.best_image IS NOT NULL AND f.images IS NOT NULL",
        &[catalog.into()],
        |row| BurstChoice { image: row.known(1), frames: row.known(2) },
    )
}

/// The most frames that are compared with those before: with more, the next search for duplicates is a whole one.
const COMPARED: usize = 10_000;

/// The images that are kept apart from others, ascending: each with the first image of its burst, and its shot there.
/// Of a great many, one more than are compared.
fn shots(catalog: i64) -> Vec<(i64, i64, i32)> {
    statement::rows(
        "SELECT s.image, min(s.image) OVER (PARTITION BY s.burst), s.shot
            FROM (SELECT f.image, f.burst, f.shot FROM lumina.burst_frames f
                WHERE f.catalog = $1 AND f.shot IS NOT NULL LIMIT $2) s
            ORDER BY s.image",
        &[catalog.into(), (COMPARED as i64 + 1).into()],
        |row| (row.known(1), row.known(2), row.known(3)),
    )
}

/// Notes which images are in other shots than before: a search for duplicates may group them otherwise.
fn note_changes(catalog: i64, before: &[(i64, i64, i32)], after: &[(i64, i64, i32)]) {
    if before.len().max(after.len()) > COMPARED {
        statement::execute("SELECT lumina_internal.note_everything($1)", &[catalog.into()]);
        return;
    }
    let other = |of: &[(i64, i64, i32)], than: &[(i64, i64, i32)]| -> Vec<i64> {
        of.iter().filter(|frame| than.binary_search(frame).is_err()).map(|frame| frame.0).collect()
    };
    let mut changed = other(before, after);
    changed.extend(other(after, before));
    changed.sort_unstable();
    changed.dedup();
    statement::execute("SELECT lumina_internal.note_images($1, $2)", &[catalog.into(), changed.into()]);
}

/// Writes some bursts, by their numbers.
fn write_bursts(catalog: i64, best_by: &str, bursts: &Bursts, numbers: Range<usize>) {
    let ids = statement::row(
        "SELECT array_agg(nextval('lumina.bursts_id_seq')) FROM generate_series(1, $1)",
        &[(numbers.len() as i32).into()],
        |row| row.known::<Vec<i64>>(1),
    );
    let ids = ids.unwrap_or_default();
    let (mut burst_rows, mut frame_rows) = (BurstRows::default(), FrameRows::default());
    for (burst, &id) in numbers.map(|number| bursts.burst(number)).zip(&ids) {
        let frames = bursts.frames(burst);
        burst_rows.ids.push(id);
        burst_rows.frames.push(burst.frames as i32);
        burst_rows.shots.push(burst.shots as i32);
        burst_rows.started.push(burst.started);
        burst_rows.ended.push(burst.ended);
        burst_rows.firsts.push(frames[0].image);
        burst_rows.best.push(frames[burst.chosen.unwrap_or(burst.best) as usize].image);
        burst_rows.is_chosen.push(burst.chosen.is_some());
        burst_rows.is_suspect.push(burst.is_suspect);
        for (position, frame) in frames.iter().enumerate() {
            frame_rows.images.push(frame.image);
            frame_rows.bursts.push(id);
            frame_rows.positions.push(position as i32);
            frame_rows.shots.push(if burst.is_suspect { NO_SHOT } else { frame.shot as i32 });
        }
    }
    burst_rows.write(catalog, best_by);
    frame_rows.write(catalog);
}

/// Rows of `bursts`, a list per column.
#[derive(Default)]
struct BurstRows {
    ids: Vec<i64>,
    frames: Vec<i32>,
    shots: Vec<i32>,
    started: Vec<i64>,
    ended: Vec<i64>,
    firsts: Vec<i64>,
    best: Vec<i64>,
    is_chosen: Vec<bool>,
    is_suspect: Vec<bool>,
}

impl BurstRows {
    /// The camera is that of the first image.
    fn write(self, catalog: i64, best_by: &str) {
        let arguments: [Argument<'_>; 11] = [
            catalog.into(),
            best_by.into(),
            self.ids.into(),
            self.frames.into(),
            self.shots.into(),
            statement::times(self.started.into_iter().map(Some)),
            statement::times(self.ended.into_iter().map(Some)),
            self.firsts.into(),
            self.best.into(),
            self.is_chosen.into(),
            self.is_suspect.into(),
        ];
        statement::execute(
            "INSERT INTO lumina.bursts (id, catalog, frames, shots, started_at, ended_at, camera_make, camera_model,
                    best_image, best_by, suspect) OVERRIDING SYSTEM VALUE
                SELECT b.id, $1, b.frames, b.shots, b.started, b.ended, i.camera_make, i.camera_model, b.best,
                    CASE WHEN b.is_chosen THEN 'manual' ELSE $2 END, b.is_suspect
                FROM ROWS FROM (unnest($3::int8[]), unnest($4::int4[]), unnest($5::int4[]), unnest($6::timestamptz[]),
                    unnest($7::timestamptz[]), unnest($8::int8[]), unnest($9::int8[]), unnest($10::bool[]),
                    unnest($11::bool[]))
                    AS b (id, frames, shots, started, ended, first, best, is_chosen, is_suspect)
                CROSS JOIN LATERAL (SELECT i.camera_make, i.camera_model FROM lumina.images i
                    WHERE i.id = b.first OFFSET 0) i",
            &arguments,
        );
    }
}

/// The shot of frames that nothing tells apart: NULL in the table.
const NO_SHOT: i32 = -1;

/// Rows of `burst_frames`, a list per column.
#[derive(Default)]
struct FrameRows {
    images: Vec<i64>,
    bursts: Vec<i64>,
    positions: Vec<i32>,
    shots: Vec<i32>,
}

impl FrameRows {
    fn write(self, catalog: i64) {
        let arguments: [Argument<'_>; 5] =
            [catalog.into(), self.images.into(), self.bursts.into(), self.positions.into(), self.shots.into()];
        statement::execute(
            "INSERT INTO lumina.burst_frames (image, burst, catalog, position, shot)
                SELECT f.image, f.burst, $1, f.position, nullif(f.shot, -1)
                FROM ROWS FROM (unnest($2::int8[]), unnest($3::int8[]), unnest($4::int4[]), unnest($5::int4[]))
                    AS f (image, burst, position, shot)",
            &arguments,
        );
    }
}
