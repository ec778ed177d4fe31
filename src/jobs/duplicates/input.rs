//! Reads the images of a catalog with their files and siblings, as the role that submitted the job, and puts them into
//! the order of preference.
//!
//! The queries are plain scans, whose rows come at once: between them the job checks for cancellation. Sorting,
//! counting and joining is done by `lumina_catalog`, but for the pictures beside raw files, which a query finds where
//! there are raw files at all, and for decisions, which name images by their contents.

use super::parameters::Parameters;
use super::reader::{Choices, Reader};
use crate::error::LuminaError;
use crate::jobs::job::{Job, TABLES};
use crate::jobs::stop::Stop;
use crate::pg::spi::statement;
use crate::pg::worker::transaction::{self, Tables, as_role, attempt, lock_tables};
use crate::search::session::SearchSession;
use lumina_catalog::{LabelSet, RankedImages};
use lumina_search::HashRows;
use std::cell::Cell;
use std::time::Duration;

/// The parts of both scores, in the order of [`ScoreWeights::weights`].
const QUALITY_PARTS: &str = "i.quality_format, i.quality_resolution, i.quality_size, i.quality_metadata";
const COMPOSITE_PARTS: &str = "i.composite_format, i.composite_resolution, i.composite_size, i.composite_sharpness";

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

/// Images that somebody has called different: the action, the image, and its part. Each content is looked up.
const DISTINCT_IMAGES: &str = "SELECT d.action, i.id, d.part FROM lumina.distinct_images d
    CROSS JOIN LATERAL (SELECT i.id FROM lumina.images i
        WHERE i.sha256 = d.sha256 AND i.catalog = d.catalog OFFSET 0) i
    WHERE d.catalog = ";

/// Frames of bursts, by their shots. What only looks like a burst has none, and keeps nothing apart.
const BURST_FRAMES: &str = "SELECT f.burst, f.image, f.shot FROM lumina.burst_frames f
    WHERE f.shot IS NOT NULL AND f.catalog = ";

/// What the job read.
pub(super) struct Input {
    /// The images, best first.
    pub(super) images: RankedImages,
    /// The rows to compare.
    pub(super) rows: HashRows,
    /// [`constraints`], when it read.
    pub(super) constraints: String,
}

/// Identifies what keeps images of a catalog apart, and which decisions have changed files or were taken back, as it is
/// now: another text later means that it has changed. Images that a decision has rejected are noticed by their rows. In
/// a transaction.
pub(super) fn constraints(job: &Job, parameters: &Parameters) -> String {
    let count = |table: &str, id: &str| {
        format!(
            "(SELECT pg_catalog.format('%s of %s', pg_catalog.count(*), pg_catalog.max({id})) FROM lumina.{table} t
                WHERE t.catalog = $1)"
        )
    };
    let bursts = if parameters.exclude_bursts { count("bursts", "t.id") } else { "NULL".to_owned() };
    let actions = "(SELECT pg_catalog.max(a.id)::pg_catalog.text FROM lumina.duplicate_actions a
        WHERE a.catalog = $1 AND (a.files > 0 OR a.kind = 'undo'))";
    let apart = [count("distinct_images", "t.action"), count("distinct_files", "t.action"), bursts];
    let counts = format!("{}, {actions}", apart.join(", "));
    let query = format!("SELECT pg_catalog.concat_ws(', ', {counts})");
    statement::row(&query, &[job.catalog.into()], |row| row.known::<String>(1)).unwrap_or_default()
}

/// Reads the images, best first, and the rows to compare.
pub(super) fn read(job: &Job, parameters: &Parameters, run: &SearchSession<'_>) -> Result<Input, Stop> {
    let choices = job.read(|| Ok(Choices::read(job)))?;
    let columns: Vec<String> = parameters.rule.hashes().iter().map(|hash| format!("i.{}", hash.name)).collect();
    // Names are ours, and the catalog is a number.
    let images = format!(
        "SELECT i.id, i.size, i.xmin::pg_catalog.text::pg_catalog.int8, (i.ranking_score * 100)::pg_catalog.int4,
            i.hash_valid::pg_catalog.int4, (pg_catalog.date_part('epoch', i.captured_at) * 1000000)::pg_catalog.int8,
            lumina_internal.is_raw(i.format)::pg_catalog.int4, i.truncated::pg_catalog.int4, i.sha256,
            i.width, i.height, i.format, {}, {}
        FROM lumina.images i WHERE i.catalog = {} AND i.status <> 'rejected'",
        if choices.weights.is_composite { COMPOSITE_PARTS } else { QUALITY_PARTS },
        columns.join(", "),
        job.catalog
    );
    let files = format!(
        "SELECT f.image, f.device, f.inode, f.id{} FROM lumina.image_files f
        WHERE f.catalog = {} AND f.state = 'keep' AND f.missing_since IS NULL",
        if choices.has_folders() { ", f.path" } else { "" },
        job.catalog
    );
    // An earlier decision on a file counts.
    let decided_files = format!(
        "SELECT d.file, pg_catalog.min(d.action) FROM lumina.distinct_files d WHERE d.catalog = {}
        GROUP BY d.file ORDER BY d.file",
        job.catalog
    );
    let of_catalog = |query: &str| format!("{query}{}", job.catalog);
    let stopped = Cell::new(None);
    let read = attempt(|| {
        transaction::run(|| {
            if lock_tables(&TABLES, true, Duration::MAX) != Tables::Locked {
                return Err(Stop::LostClaim);
            }
            // Before the snapshot of what is read: what comes between the two is compared once more.
            let constraints = constraints(job, parameters);
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
                let mut reader = Reader::new(parameters, &choices, run);
                reader = reader.scan(images, &look, Reader::take_image)?;
                reader = reader.scan(decided_files, &look, Reader::take_decided_file)?;
                reader = reader.scan(files, &look, Reader::take_file)?;
                if reader.has_raw && parameters.leave_out_siblings {
                    reader = reader.scan(of_catalog(SIBLINGS), &look, Reader::take_sibling)?;
                }
                reader = reader.scan(of_catalog(DISTINCT_IMAGES), &look, |reader, row| {
                    reader.take_label(LabelSet::Decision, row)
                })?;
                if parameters.exclude_bursts {
                    reader = reader
                        .scan(of_catalog(BURST_FRAMES), &look, |reader, row| reader.take_label(LabelSet::Burst, row))?;
                }
                Ok(reader.end())
            })
            .and_then(|images| job.check_rights().map(|()| (images, constraints)))
        })
    });
    if let Some(stop) = stopped.take() {
        return Err(stop);
    }
    let (images, constraints) = read??;
    let (images, rows) = run.on_threads(|context| images.rank(context))?;
    Ok(Input { images, rows, constraints })
}
