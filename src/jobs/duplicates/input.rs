//! The images of a catalog in order of preference: the best first, which is the one to keep of a group.
//!
//! The queries are plain scans, whose rows come at once: between them the job checks for cancellation. Sorting,
//! counting and joining is done here, but for the pictures beside raw files, which a query finds where there are raw
//! files at all.

use super::rule::Parameters;
use crate::error::LuminaError;
use crate::jobs::job::{Job, TABLES};
use crate::jobs::stop::Stop;
use crate::pg::query::{Column, Row, run_select};
use crate::pg::transaction::{self, Tables, as_role, attempt, lock_tables};
use crate::search::session::SearchSession;
use lumina_search::HashRows;
use std::cell::Cell;
use std::cmp::Reverse;
use std::ffi::CString;
use std::time::Duration;

/// The sort key of images: the greater first.
type Preference = (bool, i32, Reverse<i64>, i64, Reverse<(u64, i64)>);

/// A file: its image, its device, and its inode.
type File = (i64, i64, i64);

/// An image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image {
    pub(super) id: i64,
    /// In bytes.
    pub(super) size: i64,
    /// How many files it has.
    pub(super) files: u32,
    /// The `xmin` of its row: another one later means that it has changed.
    pub(super) written: u32,
    /// Whether the file is not truncated.
    whole: bool,
    /// In hundredths.
    quality: i32,
    /// Whether its hashes are valid, and it does not belong to a raw file.
    valid: bool,
    /// In microseconds; `i64::MAX` for unknown.
    captured: i64,
    /// The first 64 bits of its checksum.
    checksum: u64,
}

impl Image {
    /// Whole, then better, then older, then larger. Of equally good ones that with the smaller checksum: ids depend on
    /// the order in which threads finish.
    fn preference(&self) -> Preference {
        (self.whole, self.quality, Reverse(self.captured), self.size, Reverse((self.checksum, self.id)))
    }
}

/// The images with at least one file that exists: others have nothing to keep and nothing to remove.
pub(super) struct Images {
    /// Best first. An image is identified by its place here.
    pub(super) all: Vec<Image>,
    /// The image of each row that is compared, ascending.
    pub(super) compared: Vec<u32>,
    /// The compared hashes: those that the rule names, of images whose hashes are valid. An image with several files
    /// has [`ROWS`] rows: so it forms a group, with what is also near, even where no other image is in it.
    pub(super) rows: HashRows,
}

/// Rows of an image with several files.
const ROWS: u32 = 2;

impl Images {
    /// How many images are compared.
    pub(super) fn count_compared(&self) -> usize {
        self.all.iter().filter(|image| image.valid).count()
    }
}

/// Columns before the hashes.
const FIRST_HASH: usize = 9;

/// Pictures that a camera has written beside a raw file, by the same name, where the raw file can be compared.
const SIBLINGS: &str = "SELECT f.image FROM lumina.image_files r
    JOIN lumina.images ri
        ON ri.id = r.image AND lumina_internal.is_raw(ri.format) AND ri.hash_valid AND ri.status <> 'rejected'
    JOIN lumina.image_files f ON f.catalog = r.catalog AND f.stem = r.stem AND f.image <> r.image
    JOIN lumina.images i ON i.id = f.image AND i.format IN ('jpeg', 'heic')
    WHERE r.state = 'keep' AND r.missing_since IS NULL AND f.state = 'keep' AND f.missing_since IS NULL AND r.catalog = ";

/// Reads the images, as the role that submitted the job.
pub(super) fn read(job: &Job, parameters: &Parameters, run: &SearchSession<'_>) -> Result<Images, Stop> {
    let columns: Vec<String> = parameters.hashes.iter().map(|(name, _)| format!("i.{name}")).collect();
    let widths: Vec<usize> = parameters.hashes.iter().map(|(_, width)| *width).collect();
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
    let stopped = Cell::new(None);
    let read = attempt(|| {
        transaction::run(|| {
            if lock_tables(&TABLES, true, Duration::MAX) != Tables::Locked {
                return Err(Stop::LostClaim);
            }
            transaction::refresh_snapshot();
            // A role that may not read the catalog any more would read no images, and find no duplicates.
            job.check_rights()?;
            let begin = |_: &[Column]| Ok(Found { all: Vec::new(), hashes: HashRows::new(&widths), has_raw: false });
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
                let found = run_select(&text(images), begin, |found, row| {
                    look()?;
                    found.take(row, &widths, run)
                })?;
                let files = run_select(
                    &text(files),
                    |_: &[Column]| Ok(Vec::new()),
                    |files: &mut Vec<File>, row| {
                        look()?;
                        // One without device and inode is a file of its own.
                        let (device, inode) = match row.is_null(1) || row.is_null(2) {
                            true => (i64::MIN, files.len() as i64),
                            false => (row.integer(1), row.integer(2)),
                        };
                        Ok(run.context().push(files, (row.integer(0), device, inode))?)
                    },
                )?;
                let siblings = format!("{SIBLINGS}{}", job.catalog);
                let take = |ids: &mut Vec<i64>, row: Row<'_>| {
                    look()?;
                    Ok(run.context().push(ids, row.integer(0))?)
                };
                let siblings = if found.has_raw && parameters.siblings {
                    run_select(&text(siblings), |_: &[Column]| Ok(Vec::new()), take)?
                } else {
                    Vec::new()
                };
                Ok((found, files, siblings))
            })
            .and_then(|read| job.check_rights().map(|()| read))
        })
    });
    if let Some(stop) = stopped.take() {
        return Err(stop);
    }
    let (found, files, siblings) = read??;
    Ok(found.arrange(files, siblings, run)?)
}

/// A statement, which holds no zero byte.
fn text(statement: String) -> CString {
    CString::new(statement).unwrap_or_default()
}

/// What was read, in the order in which it came.
struct Found {
    all: Vec<Image>,
    /// The hashes of every image; zeros where they are invalid.
    hashes: HashRows,
    has_raw: bool,
}

impl Found {
    fn take(&mut self, row: Row<'_>, widths: &[usize], run: &SearchSession<'_>) -> Result<(), LuminaError> {
        const NONE: [u8; 32] = [0; 32];
        let context = run.context();
        let image = Image {
            id: row.integer(0),
            size: row.integer(1),
            files: 0,
            written: row.integer(2) as u32,
            whole: row.integer(7) == 0,
            quality: row.integer(3) as i32,
            valid: row.integer(4) != 0,
            captured: if row.is_null(5) { i64::MAX } else { row.integer(5) },
            checksum: row.bytes(8).first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)),
        };
        self.has_raw |= row.integer(6) != 0;
        context.push(&mut self.all, image)?;
        if image.valid {
            // They are all there, by a constraint of the table.
            let columns = FIRST_HASH..FIRST_HASH + widths.len();
            self.hashes.push(columns.map(|column| row.bytes(column)), context)?;
        } else {
            self.hashes.push(widths.iter().map(|width| &NONE[..width / 8]), context)?;
        }
        Ok(())
    }

    /// Counts the files of each image, and puts the images into order. `siblings` are not compared.
    fn arrange(
        self,
        mut files: Vec<File>,
        mut siblings: Vec<i64>,
        run: &SearchSession<'_>,
    ) -> Result<Images, LuminaError> {
        let Found { mut all, mut hashes, .. } = self;
        run.on_threads(|context| {
            context.sort(&mut files, File::cmp)?;
            files.dedup(); // two names of one file
            context.sort(&mut siblings, i64::cmp)?;
            all.iter_mut().for_each(|image| image.valid &= siblings.binary_search(&image.id).is_err());
            context.free(siblings);
            let mut order = context.vec(all.len())?;
            order.extend(0..all.len() as u32);
            context.sort(&mut order, |a: &u32, b| all[*a as usize].id.cmp(&all[*b as usize].id))?;
            let mut at = 0;
            for &image in &order {
                let image = &mut all[image as usize];
                while at < files.len() && files[at].0 < image.id {
                    at += 1;
                }
                while at < files.len() && files[at].0 == image.id {
                    at += 1;
                    image.files = image.files.saturating_add(1);
                }
            }
            context.free(files);
            order.retain(|image| all[*image as usize].files > 0);
            let preference = |image: &u32| all[*image as usize].preference();
            context.sort(&mut order, |a: &u32, b| preference(b).cmp(&preference(a)))?;
            let mut sorted = context.vec(order.len())?;
            sorted.extend(order.iter().map(|image| all[*image as usize]));
            context.free(std::mem::take(&mut all));
            let (mut compared, mut valid) = (Vec::new(), Vec::new());
            for (place, image) in sorted.iter().enumerate().filter(|(_, image)| image.valid) {
                for _ in 0..image.files.min(ROWS) {
                    context.push(&mut compared, place as u32)?;
                    context.push(&mut valid, order[place])?;
                }
            }
            hashes.reorder(&valid, context)?;
            context.free(valid);
            context.free(order);
            Ok(Images { all: sorted, compared, rows: hashes })
        })
    }
}
