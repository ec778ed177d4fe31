//! Reads the images of a catalog with their files and siblings, as the role that submitted the job, and puts them into
//! the order of preference.
//!
//! The queries are plain scans, whose rows come at once: between them the job checks for cancellation. Sorting,
//! counting and joining is done by `lumina_catalog`, but for the pictures beside raw files, which a query finds where
//! there are raw files at all.

use super::parameters::Parameters;
use crate::error::LuminaError;
use crate::jobs::job::{Job, TABLES};
use crate::jobs::stop::Stop;
use crate::pg::spi::query::{Column, Row, run_select};
use crate::pg::worker::transaction::{self, Tables, as_role, attempt, lock_tables};
use crate::search::session::SearchSession;
use lumina_catalog::preference::{UNKNOWN_TIME, first_word};
use lumina_catalog::{CatalogImage, RankedImages, UnrankedImages};
use lumina_search::HashRows;
use std::cell::Cell;
use std::ffi::CString;
use std::time::Duration;

/// Columns before the hashes.
const FIRST_HASH: usize = 9;

/// Pictures that a camera has written beside a raw file, by the same name, where the raw file can be compared: a row
/// for each raw file, NULL where there is none, so that the job checks for cancellation between them.
///
/// The planner knows nothing of names, and would compare each raw file with every file: so each looks for its own,
/// whose paths are "stem" or begin by "stem.", and so come before "stem/".
const SIBLINGS: &str = "SELECT s.image FROM lumina.image_files r
    JOIN lumina.images ri
        ON ri.id = r.image AND lumina_internal.is_raw(ri.format) AND ri.hash_valid AND ri.status <> 'rejected'
    LEFT JOIN LATERAL (SELECT f.image FROM lumina.image_files f
        JOIN lumina.images i ON i.id = f.image AND i.format IN ('jpeg', 'heic')
        WHERE f.path >= r.stem AND f.path < r.stem || '/' AND f.stem = r.stem AND f.catalog + 0 = r.catalog
            AND f.image <> r.image AND f.state = 'keep' AND f.missing_since IS NULL OFFSET 0) s ON true
    WHERE r.state = 'keep' AND r.missing_since IS NULL AND r.catalog = ";

/// Reads the images, best first, and the rows to compare.
pub(super) fn read(
    job: &Job,
    parameters: &Parameters,
    run: &SearchSession<'_>,
) -> Result<(RankedImages, HashRows), Stop> {
    let columns: Vec<String> = parameters.rule.hashes().iter().map(|hash| format!("i.{}", hash.name)).collect();
    // Names are ours, and the catalog is a number.
    let images = format!(
        "SELECT i.id, i.size, i.xmin::pg_catalog.text::pg_catalog.int8, (i.quality_score * 100)::pg_catalog.int4,
            i.hash_valid::pg_catalog.int4, (pg_catalog.date_part('epoch', i.captured_at) * 1000000)::pg_catalog.int8,
            lumina_internal.is_raw(i.format)::pg_catalog.int4, i.truncated::pg_catalog.int4, i.sha256, {}
        FROM lumina.images i WHERE i.catalog = {} AND i.status <> 'rejected'",
        columns.join(", "),
        job.catalog
    );
    let files = format!(
        "SELECT f.image, f.device, f.inode FROM lumina.image_files f
        WHERE f.catalog = {} AND f.state = 'keep' AND f.missing_since IS NULL",
        job.catalog
    );
    let siblings = format!("{SIBLINGS}{}", job.catalog);
    let stopped = Cell::new(None);
    let read = attempt(|| {
        transaction::run(|| {
            if lock_tables(&TABLES, true, Duration::MAX) != Tables::Locked {
                return Err(Stop::LostClaim);
            }
            transaction::refresh_snapshot();
            // A role that may not read the catalog any more would read no images, and find no duplicates.
            job.check_rights()?;
            let look = || -> Result<(), LuminaError> {
                match job.check_cancelled_in_transaction() {
                    Ok(()) => Ok(()),
                    Err(stop) => {
                        stopped.set(Some(stop));
                        Err(lumina_search::SearchError::Cancelled.into())
                    }
                }
            };
            as_role(job.role, || {
                let mut reader =
                    Reader { images: UnrankedImages::new(&parameters.rule), hashes: columns.len(), has_raw: false };
                reader = run_select(
                    &text(images),
                    |_: &[Column]| Ok(reader),
                    |reader, row| {
                        look()?;
                        reader.take_image(row, run)
                    },
                )?;
                reader = run_select(
                    &text(files),
                    |_: &[Column]| Ok(reader),
                    |reader, row| {
                        look()?;
                        reader.take_file(row, run)
                    },
                )?;
                if reader.has_raw && parameters.leave_out_siblings {
                    reader = run_select(
                        &text(siblings),
                        |_: &[Column]| Ok(reader),
                        |reader, row| {
                            look()?;
                            if !row.is_null(0) {
                                reader.images.push_sibling(row.integer(0), run.context())?;
                            }
                            Ok(())
                        },
                    )?;
                }
                Ok(reader.images)
            })
            .and_then(|images| job.check_rights().map(|()| images))
        })
    });
    if let Some(stop) = stopped.take() {
        return Err(stop);
    }
    let images = read??;
    Ok(run.on_threads(|context| images.rank(context))?)
}

/// A statement, which holds no zero byte.
fn text(statement: String) -> CString {
    CString::new(statement).unwrap_or_default()
}

/// What was read.
struct Reader {
    images: UnrankedImages,
    /// How many hashes are read.
    hashes: usize,
    /// Whether one of the images is a raw file.
    has_raw: bool,
}

impl Reader {
    fn take_image(&mut self, row: Row<'_>, run: &SearchSession<'_>) -> Result<(), LuminaError> {
        let image = CatalogImage {
            id: row.integer(0),
            size: row.integer(1),
            row_version: row.integer(2) as u32, // xmin
            quality: row.integer(3) as i32,
            has_hashes: row.integer(4) != 0,
            captured: if row.is_null(5) { UNKNOWN_TIME } else { row.integer(5) },
            is_truncated: row.integer(7) != 0,
            checksum: first_word(row.bytes(8)),
        };
        self.has_raw |= row.integer(6) != 0;
        // Valid hashes are all there, by a constraint of the table.
        let hashes = (FIRST_HASH..FIRST_HASH + self.hashes).map(|column| row.bytes(column));
        Ok(self.images.push_image(image, hashes, run.context())?)
    }

    fn take_file(&mut self, row: Row<'_>, run: &SearchSession<'_>) -> Result<(), LuminaError> {
        let identity = (!row.is_null(1) && !row.is_null(2)).then(|| (row.integer(1), row.integer(2)));
        Ok(self.images.push_file(row.integer(0), identity, run.context())?)
    }
}
