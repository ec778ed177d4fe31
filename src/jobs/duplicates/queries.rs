//! The queries by which a search reads a catalog: all of it by plain scans, or some images one by one.
//!
//! [`super::input`] runs them as the submitter, and [`super::reader`] takes their rows. Names are ours; everything else
//! in the text is a number. The planner does not know how many of the rows are of a catalog: `OFFSET 0` keeps look-ups
//! of single images look-ups, whatever it believes.

use super::parameters::DuplicateParameters;
use super::reader::Choices;

/// The parts of both scores, in the order of [`ScoreWeights::weights`].
///
/// [`ScoreWeights::weights`]: lumina_catalog::preference::ScoreWeights::weights
const QUALITY_PARTS: &str = "i.quality_format, i.quality_resolution, i.quality_size, i.quality_metadata";
const COMPOSITE_PARTS: &str = "i.composite_format, i.composite_resolution, i.composite_size, i.composite_sharpness";

/// What a file must be to count.
const IS_THERE: &str = "f.state = 'keep' AND f.missing_since IS NULL";

/// The queries of a catalog.
pub(super) struct Queries<'a> {
    catalog: i64,
    parameters: &'a DuplicateParameters,
    choices: &'a Choices,
    /// The images as an array, if not all.
    some: Option<String>,
}

impl<'a> Queries<'a> {
    /// The queries for some images, or all.
    pub(super) fn new(
        catalog: i64,
        parameters: &'a DuplicateParameters,
        choices: &'a Choices,
        some: Option<&[i64]>,
    ) -> Self {
        let array = |images: &[i64]| {
            let numbers: Vec<String> = images.iter().map(i64::to_string).collect();
            format!("pg_catalog.unnest('{{{}}}'::pg_catalog.int8[]) n (id)", numbers.join(","))
        };
        Queries { catalog, parameters, choices, some: some.map(array) }
    }

    /// `columns` of the rows that `rows`, a FROM item named as its last word, has of the catalog: for some images those
    /// for which `of_image` holds.
    fn select(&self, columns: &str, rows: &str, condition: &str, of_image: &str) -> String {
        let (name, catalog) = (rows.rsplit(' ').next().unwrap_or_default(), self.catalog);
        match &self.some {
            None => format!("SELECT {columns} FROM {rows} WHERE {name}.catalog = {catalog} AND {condition}"),
            Some(some) => format!(
                "SELECT s.* FROM {some} CROSS JOIN LATERAL (SELECT {columns} FROM {rows}
                    WHERE {of_image} AND {name}.catalog + 0 = {catalog} AND {condition} OFFSET 0) s"
            ),
        }
    }

    /// Images that are not rejected: see `Reader::take_image`.
    pub(super) fn images(&self) -> String {
        let hashes: Vec<String> = self.parameters.rule.hashes().iter().map(|hash| format!("i.{}", hash.name)).collect();
        let parts = if self.choices.weights.is_composite { COMPOSITE_PARTS } else { QUALITY_PARTS };
        let columns = format!(
            "i.id, i.size, i.xmin AS version, (i.ranking_score * 100)::pg_catalog.int4, i.hash_valid,
            lumina_internal.known_time(i.captured_at, i.date_confidence), lumina_internal.is_raw(i.format),
            i.truncated OR i.damaged_data, i.sha256, i.width, i.height, i.format,
            {parts}, i.originality::pg_catalog.int4, i.detail, i.fineness, {}",
            hashes.join(", ")
        );
        self.select(&columns, "lumina.images i", "i.status <> 'rejected'", "i.id = n.id")
    }

    /// Files that are there, and where places matter also those that are missing: see `Reader::take_file`.
    pub(super) fn files(&self) -> String {
        let (more, condition) = if self.choices.has_folders() {
            (", f.path, f.missing_since IS NOT NULL", "f.state = 'keep'")
        } else {
            ("", IS_THERE)
        };
        let columns = format!("f.image, f.device, f.inode, f.id{more}");
        self.select(&columns, "lumina.image_files f", condition, "f.image = n.id")
    }

    /// Where it has no row of this catalog, a table is not looked at for each of some images.
    fn unless_empty(&self, table: &str) -> String {
        format!("(SELECT EXISTS (SELECT FROM lumina.{table} t WHERE t.catalog = {}))", self.catalog)
    }

    /// Files that are kept beside others of their image, in order, each with the action that decided it. An earlier
    /// decision on a file counts.
    pub(super) fn decided_files(&self) -> String {
        let decided = self.select(
            "d.file, d.action",
            "lumina.distinct_files d",
            "true",
            "d.file = ANY (ARRAY(SELECT f.id FROM lumina.image_files f WHERE f.image = n.id))",
        );
        let is_any = self.unless_empty("distinct_files");
        format!(
            "SELECT d.file, pg_catalog.min(d.action) FROM ({decided}) d WHERE {is_any}
                GROUP BY d.file ORDER BY d.file"
        )
    }

    /// Pictures that a camera has written with a raw file, by the stem of a file and the shot, where the raw file can
    /// be compared. Of all images a row for each raw file, NULL where there is none, so that the job checks for
    /// cancellation between them.
    ///
    /// The planner knows nothing of stems, and would compare each file with every other: so each looks for its own.
    pub(super) fn siblings(&self) -> String {
        const OF_THE_SAME_STEM: &str = "o.stem = f.stem AND o.catalog + 0 = f.catalog AND o.image <> f.image
            AND o.state = 'keep' AND o.missing_since IS NULL";
        match &self.some {
            None => format!(
                "SELECT s.image FROM lumina.image_files f
                    JOIN lumina.images r ON r.id = f.image AND lumina_internal.is_raw(r.format)
                    LEFT JOIN LATERAL (SELECT o.image FROM lumina.image_files o
                        JOIN lumina.images p ON p.id = o.image AND lumina_internal.is_sibling(p, r)
                        WHERE {OF_THE_SAME_STEM} OFFSET 0) s ON true
                    WHERE {IS_THERE} AND f.catalog = {}",
                self.catalog
            ),
            Some(some) => format!(
                "SELECT f.image FROM {some}
                    CROSS JOIN LATERAL (SELECT i AS picture FROM lumina.images i
                        WHERE i.id = n.id AND i.format IN ('jpeg', 'heic') OFFSET 0) p
                    CROSS JOIN LATERAL (SELECT f.image, f.stem, f.catalog FROM lumina.image_files f
                        WHERE f.image = n.id AND f.catalog + 0 = {} AND {IS_THERE} OFFSET 0) f
                    CROSS JOIN LATERAL (SELECT o.image FROM lumina.image_files o WHERE {OF_THE_SAME_STEM} OFFSET 0) o
                    CROSS JOIN LATERAL (SELECT i.id FROM lumina.images i
                        WHERE i.id = o.image AND lumina_internal.is_sibling(p.picture, i) OFFSET 0) i",
                self.catalog
            ),
        }
    }

    /// Images that somebody has called different: the action, the image, and its part. Each content is looked up.
    pub(super) fn distinct_images(&self) -> String {
        match &self.some {
            None => format!(
                "SELECT d.action, i.id, d.part FROM lumina.distinct_images d
                    CROSS JOIN LATERAL (SELECT i.id FROM lumina.images i
                        WHERE i.sha256 = d.sha256 AND i.catalog = d.catalog OFFSET 0) i
                    WHERE d.catalog = {}",
                self.catalog
            ),
            Some(some) => format!(
                "SELECT d.action, n.id, d.part FROM {some}
                    CROSS JOIN LATERAL (SELECT i.sha256 FROM lumina.images i WHERE i.id = n.id OFFSET 0) i
                    CROSS JOIN LATERAL (SELECT d.action, d.part FROM lumina.distinct_images d
                        WHERE d.sha256 = i.sha256 AND d.catalog = {} OFFSET 0) d
                    WHERE {}",
                self.catalog,
                self.unless_empty("distinct_images")
            ),
        }
    }

    /// Frames of bursts, by their shots. What only looks like a burst has none, and keeps nothing apart.
    pub(super) fn burst_frames(&self) -> String {
        let columns = "f.burst, f.image, f.shot";
        self.select(columns, "lumina.burst_frames f", "f.shot IS NOT NULL", "f.image = n.id")
    }
}
