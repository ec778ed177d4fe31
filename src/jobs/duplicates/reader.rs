//! What `detect_duplicates` has read of a catalog, row by row: images with their hashes, files, and what keeps images
//! apart. Called by [`super::input`], which runs the queries. Invariant: the columns of a row are those of its query
//! there.

use super::parameters::DuplicateParameters;
use crate::error::LuminaError;
use crate::jobs::job::Job;
use crate::pg::spi::query::{ResultColumn, Row, run_select};
use crate::pg::spi::statement;
use crate::search::session::SearchSession;
use lumina_catalog::folders::Folders;
use lumina_catalog::preference::{Origin, Place, ScoreParts, ScoreWeights, UNKNOWN_TIME, first_word};
use lumina_catalog::{CatalogImage, LabelSet, UnrankedImages};
use std::ffi::CString;

/// Columns before the hashes.
const FIRST_HASH: usize = 19;

/// What the catalog's owner has chosen.
pub(super) struct Choices {
    pub(super) weights: ScoreWeights,
    /// Preferred folders and protected sources, as lists for [`Folders`]; `None` where there are none.
    preferred: Option<Vec<u8>>,
    protected: Option<Vec<u8>>,
    /// `lumina_internal.search_basis`: identifies all of these.
    pub(super) basis: String,
}

impl Choices {
    /// In a transaction.
    pub(super) fn read(job: &Job) -> Self {
        let read = "SELECT lumina_internal.score_weights(c.id),
                lumina_internal.folder_list(c.settings->'preferred_folders'), lumina_internal.protected_folders(c.id),
                lumina_internal.search_basis(c.id)
            FROM lumina.catalogs c WHERE c.id = $1";
        let row = statement::row(read, &[job.catalog.into()], |row| {
            (row.get::<Vec<f64>>(1), row.get::<Vec<u8>>(2), row.get::<Vec<u8>>(3), row.known(4))
        });
        let (weights, preferred, protected, basis) = row.unwrap_or_default();
        let weights = weights.and_then(|weights| ScoreWeights::from_eight(&weights));
        Choices { weights: weights.unwrap_or(ScoreWeights::DEFAULT), preferred, protected, basis }
    }

    /// Whether paths matter. Most catalogs have neither list, and then no path is read.
    pub(super) fn has_folders(&self) -> bool {
        self.preferred.is_some() || self.protected.is_some()
    }

    /// Where a file lies.
    fn place(&self, path: &[u8]) -> Place {
        let position = |list: &Option<Vec<u8>>| list.as_deref().and_then(|list| Folders::new(list).position(path));
        let folder = position(&self.preferred).and_then(|folder| u16::try_from(folder).ok());
        Place { folder: folder.unwrap_or(Place::NO_FOLDER), is_protected: position(&self.protected).is_some() }
    }
}

/// What was read.
pub(super) struct Reader<'a> {
    run: &'a SearchSession<'a>,
    choices: &'a Choices,
    images: UnrankedImages,
    /// How many hashes are read.
    hashes: usize,
    /// Whether one of the images is a raw file.
    pub(super) has_raw: bool,
    /// The formats that were met, by their numbers.
    formats: Vec<Vec<u8>>,
    /// Files that are kept beside others of their image, and the actions that decided it.
    decided_files: Vec<(i64, i64)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(parameters: &DuplicateParameters, choices: &'a Choices, run: &'a SearchSession<'a>) -> Self {
        Reader {
            run,
            choices,
            images: UnrankedImages::new(&parameters.rule),
            hashes: parameters.rule.hashes().len(),
            has_raw: false,
            formats: Vec::new(),
            decided_files: Vec::new(),
        }
    }

    /// Runs a query, and takes its rows; `check_cancelled` is called before each.
    pub(super) fn scan(
        self,
        query: String,
        check_cancelled: &dyn Fn() -> Result<(), LuminaError>,
        mut take: impl FnMut(&mut Self, Row<'_>) -> Result<(), LuminaError>,
    ) -> Result<Self, LuminaError> {
        let query = CString::new(query).unwrap_or_default(); // it holds no zero byte
        run_select(
            &query,
            |_: &[ResultColumn]| Ok(self),
            |reader, row| {
                check_cancelled()?;
                take(reader, row)
            },
        )
    }

    /// The images, with all that was read of them.
    pub(super) fn end(self) -> UnrankedImages {
        self.run.context().free(self.decided_files);
        self.images
    }

    pub(super) fn take_image(&mut self, row: Row<'_>) -> Result<(), LuminaError> {
        let image = CatalogImage {
            id: row.integer(0),
            size: row.integer(1),
            row_version: row.xid(2), // xmin
            quality: row.integer(3) as i32,
            parts: self.parts(row),
            origin: origin(row),
            has_hashes: row.bool(4),
            captured: if row.is_null(5) { UNKNOWN_TIME } else { row.time(5) },
            is_damaged: row.bool(7),
            checksum: first_word(row.bytes(8)),
        };
        self.has_raw |= row.bool(6);
        // Valid hashes are all there, by a constraint of the table.
        let hashes = (FIRST_HASH..FIRST_HASH + self.hashes).map(|column| row.bytes(column));
        Ok(self.images.push_image(image, hashes, self.run.context())?)
    }

    /// The parts of an image's score.
    fn parts(&mut self, row: Row<'_>) -> ScoreParts {
        let pixels = if row.is_null(9) || row.is_null(10) {
            0
        } else {
            row.integer(9).unsigned_abs().saturating_mul(row.integer(10).unsigned_abs())
        };
        let name = row.bytes(11);
        let known = self.formats.iter().position(|format| format == name);
        // There are some twenty formats; if ever there are more than 255, the last ones share a number.
        let number = known.unwrap_or(self.formats.len());
        let format = u8::try_from(number).unwrap_or(u8::MAX);
        if known.is_none() && format < u8::MAX {
            self.formats.push(name.to_vec());
        }
        self.choices.weights.parts(std::array::from_fn(|part| row.float4(12 + part)), pixels, format)
    }

    /// Before all files, ordered by file.
    pub(super) fn take_decided_file(&mut self, row: Row<'_>) -> Result<(), LuminaError> {
        Ok(self.run.context().push(&mut self.decided_files, (row.integer(0), row.integer(1)))?)
    }

    pub(super) fn take_file(&mut self, row: Row<'_>) -> Result<(), LuminaError> {
        let (image, file, context) = (row.integer(0), row.integer(3), self.run.context());
        let identity = (!row.is_null(1) && !row.is_null(2)).then(|| (row.integer(1), row.integer(2)));
        let decided = self.decided_files.binary_search_by_key(&file, |(file, _)| *file);
        let decision = decided.ok().map(|at| self.decided_files[at].1);
        let mut place = Place::default();
        if self.choices.has_folders() {
            place = self.choices.place(row.bytes(4));
            let is_missing = row.bool(5);
            if is_missing && place.is_protected {
                self.images.push_missing_protected(image, context)?;
            }
            if is_missing {
                return Ok(());
            }
        }
        Ok(self.images.push_file(image, place, identity, decision, context)?)
    }

    pub(super) fn take_sibling(&mut self, row: Row<'_>) -> Result<(), LuminaError> {
        if !row.is_null(0) {
            self.images.push_sibling(row.integer(0), self.run.context())?;
        }
        Ok(())
    }

    /// A row of a set's id, an image, and its part.
    pub(super) fn take_label(&mut self, set: fn(i64) -> LabelSet, row: Row<'_>) -> Result<(), LuminaError> {
        Ok(self.images.push_label(row.integer(1), set(row.integer(0)), row.integer(2) as i32, self.run.context())?)
    }
}

/// What tells whether an image is an original.
fn origin(row: Row<'_>) -> Origin {
    let detail = (!row.is_null(17) && !row.is_null(18)).then(|| (row.float4(17), row.float4(18)));
    Origin::new(u8::try_from(row.integer(16)).unwrap_or_default(), detail)
}
