//! Reads the images of a catalog with their files, as the role that submitted the job.
//!
//! The queries are plain scans, whose rows come at once: between them the job checks for cancellation. Sorting and
//! joining is done by `lumina_catalog`.

use crate::error::LuminaError;
use crate::jobs::job::{Job, TABLES};
use crate::jobs::stop::Stop;
use crate::pg::spi::query::{ResultColumn, Row, run_select};
use crate::pg::worker::transaction::{self, TableLock, as_role, attempt, lock_tables};
use crate::search::session::SearchSession;
use lumina_catalog::bursts::{BurstFrames, BurstImage};
use std::cell::Cell;
use std::ffi::CString;
use std::time::Duration;

/// Images with a date.
///
/// An import notes in `metadata` whether the time of day is known (`has_time`). Of a row of which nothing says so,
/// midnight is no time. A fraction of a second in `captured_at` is the sign that sub-seconds are known.
const IMAGES: &str = "SELECT i.id, i.captured_at,
        CASE i.metadata->'has_time' WHEN 'true' THEN true WHEN 'false' THEN false END,
        i.date_confidence, i.camera_make, i.camera_model, i.latitude, i.longitude,
        (i.ranking_score * 100)::pg_catalog.int4, i.status = 'rejected'
    FROM lumina.images i
    WHERE i.captured_at IS NOT NULL AND i.date_confidence IS NOT NULL AND i.catalog = ";

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

/// Files that are there: also those that were decided against, since decisions do not change what a camera did.
const FILES: &str = "SELECT f.image, f.import_job, f.path FROM lumina.image_files f
    WHERE f.state <> 'trashed' AND f.missing_since IS NULL AND f.catalog = ";

/// Reads the frames of the catalog.
pub(super) fn read(job: &Job, run: &SearchSession<'_>) -> Result<BurstFrames, Stop> {
    let stopped = Cell::new(None);
    let read = attempt(|| {
        transaction::run(|| {
            if lock_tables(&TABLES, true, Duration::MAX) != TableLock::Locked {
                return Err(Stop::LostClaim);
            }
            transaction::refresh_snapshot();
            // A role that may not read the catalog any more would read no images, and find no bursts.
            job.check_rights()?;
            let check_cancelled = || -> Result<(), LuminaError> {
                match job.check_cancelled_at_row() {
                    Ok(()) => Ok(()),
                    Err(stop) => {
                        stopped.set(Some(stop));
                        Err(lumina_search::SearchError::Cancelled.into())
                    }
                }
            };
            let select = |text, frames, take: fn(&mut BurstFrames, Row<'_>, &SearchSession<'_>) -> _| {
                run_select(
                    &statement(text, job.catalog),
                    |_: &[ResultColumn]| Ok(frames),
                    |frames: &mut BurstFrames, row| {
                        check_cancelled()?;
                        take(frames, row, run)
                    },
                )
            };
            as_role(job.role, || {
                let frames = select(IMAGES, BurstFrames::new(), take_image)?;
                Ok(select(FILES, frames, take_file)?)
            })
            .and_then(|frames| job.check_rights().map(|()| frames))
        })
    });
    match stopped.take() {
        Some(stop) => Err(stop),
        None => read?,
    }
}

/// A statement for a catalog, which holds no zero byte.
fn statement(text: &str, catalog: i64) -> CString {
    CString::new(format!("{text}{catalog}")).unwrap_or_default()
}

fn take_image(frames: &mut BurstFrames, row: Row<'_>, run: &SearchSession<'_>) -> Result<(), LuminaError> {
    let text = |column| if row.is_null(column) { &b""[..] } else { row.bytes(column) };
    let captured = row.time(1);
    let image = BurstImage {
        id: row.integer(0),
        captured,
        has_time: if row.is_null(2) { captured % MICROSECONDS_PER_DAY != 0 } else { row.bool(2) },
        confidence: row.integer(3),
        camera: (text(4), text(5)),
        place: (!row.is_null(6) && !row.is_null(7)).then(|| (row.float8(6), row.float8(7))),
        quality: row.integer(8) as i32,
        is_rejected: row.bool(9),
    };
    Ok(frames.push_image(&image, run.context())?)
}

fn take_file(frames: &mut BurstFrames, row: Row<'_>, run: &SearchSession<'_>) -> Result<(), LuminaError> {
    let import = if row.is_null(1) { 0 } else { row.integer(1) };
    Ok(frames.push_file(row.integer(0), import, row.bytes(2), run.context())?)
}
