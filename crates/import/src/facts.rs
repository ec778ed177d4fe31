//! The facts of a file, in the form in which SQL receives them, or why there are none.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The identity and times of a file when it was read: if one of these but the device differs, it is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    /// In bytes.
    pub size: u64,
    /// The number of its device.
    pub device: i64,
    /// Its inode number there.
    pub inode: i64,
    /// mtime, in microseconds since 1970.
    pub modified: i64,
    /// ctime, in microseconds since 1970: it changes with rights and names too.
    pub changed: i64,
}

impl FileStatus {
    /// Whether a file is the same and unchanged. Some file systems change device numbers on each mount.
    pub fn is_same(&self, other: &FileStatus) -> bool {
        let of = |status: &FileStatus| (status.size, status.inode, status.modified, status.changed);
        of(self) == of(other)
    }
}

/// The facts of a picture: the columns of `lumina.images`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// The usual extension, in lower case.
    pub format: String,
    /// In pixels, as stored.
    pub width: Option<u32>,
    /// In pixels, as stored.
    pub height: Option<u32>,
    /// EXIF orientation, 1 to 8.
    pub orientation: Option<u8>,
    /// Whether it ends before its last pixel.
    pub truncated: bool,
    /// Whether its data do not decode to its last pixel.
    #[serde(default)]
    pub damaged_data: bool,
    /// In the input format of `timestamptz`.
    pub captured_at: Option<String>,
    /// The source of the date.
    pub date_source: Option<String>,
    /// 0 to 100.
    pub date_confidence: Option<u8>,
    /// The camera's maker.
    pub camera_make: Option<String>,
    /// The camera.
    pub camera_model: Option<String>,
    /// The lens.
    pub lens_model: Option<String>,
    /// In millimetres.
    pub focal_length: Option<f32>,
    /// The f-number.
    pub aperture: Option<f32>,
    /// In seconds.
    pub exposure_time: Option<f64>,
    /// The ISO sensitivity.
    pub iso: Option<i32>,
    /// In degrees, north positive.
    pub latitude: Option<f64>,
    /// In degrees, east positive.
    pub longitude: Option<f64>,
    /// Other EXIF values.
    pub metadata: Map<String, Value>,
    /// Of 64 bits, in hex.
    pub ahash: Option<String>,
    /// Of 64 bits, in hex.
    pub dhash: Option<String>,
    /// Of 64 bits, in hex.
    pub dct: Option<String>,
    /// Of 256 bits, in hex.
    pub pdq: Option<String>,
    /// 0 to 100.
    pub pdq_quality: Option<u8>,
    /// Whether the hashes can be trusted.
    pub hash_valid: bool,
    /// The variance of the Laplacian.
    pub sharpness: Option<f32>,
    /// The quality of a JPEG file as estimated from its tables, 1 to 100.
    pub jpeg_quality: Option<u8>,
    /// 0 to 15: see [`lumina_photo::Origin::originality`].
    #[serde(default)]
    pub originality: u8,
    /// The amount of detail: see [`lumina_photo::origin::detail`].
    #[serde(default)]
    pub detail: Option<f32>,
    /// How much of it is as fine as pixels.
    #[serde(default)]
    pub fineness: Option<f32>,
}

/// When a picture was taken, by its content, its name, its directory, its time of modification.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FileDate {
    /// In the input format of `timestamptz`.
    pub captured_at: String,
    /// The source of the date.
    pub date_source: String,
    /// 0 to 100.
    pub date_confidence: u8,
    /// The date's part of `metadata`.
    pub marks: Map<String, Value>,
}

/// The result for one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Finding {
    /// A picture for the catalog. It may have a defect.
    Image {
        /// SHA-256 in hex.
        sha256: String,
        /// The defect: `truncated`, `damaged_data`, `flat`, `unsupported_format`.
        reason: Option<String>,
        /// The defect in words.
        error: Option<String>,
        /// `None` where the catalog has the content already: only the file is new.
        facts: Option<Box<Facts>>,
        /// The date of this file, even if its content is known: a content gets the best date of all its files.
        #[serde(default)]
        date: Option<Box<FileDate>>,
    },
    /// Nothing to import: no picture, or unchanged since it was imported.
    Skipped {
        /// A stable word.
        reason: String,
    },
    /// A file that should have been imported, and could not be.
    Failed {
        /// A stable word.
        reason: String,
        /// In words.
        error: String,
        /// SHA-256 in hex, if the file could be read to its end.
        sha256: Option<String>,
    },
}

impl Finding {
    /// A skipped file.
    pub fn skipped(reason: &str) -> Self {
        Self::Skipped { reason: reason.into() }
    }

    /// A failed file.
    pub fn failed(reason: &str, error: String) -> Self {
        Self::Failed { reason: reason.into(), error, sha256: None }
    }
}

/// The outcome for one file, in the form in which `lumina_internal.import_batch` and `import_items.analysis` have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileOutcome {
    /// Its row of `lumina.import_items`.
    pub item: i64,
    /// The file's identity and times when it was opened; `None` if it could not be.
    pub file_status: Option<FileStatus>,
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use serde_json::json;

    /// Rows of an earlier release, and `lumina_internal.import_batch`, have these keys.
    #[test]
    fn outcomes_keep_their_form_in_json() {
        let file_status = Some(FileStatus { size: 1, device: 2, inode: 3, modified: 4, changed: 5 });
        let outcome = FileOutcome { item: 7, file_status, finding: Finding::skipped("unchanged") };
        let file_status = json!({"size": 1, "device": 2, "inode": 3, "modified": 4, "changed": 5});
        let expected = json!({"item": 7, "file_status": file_status, "state": "skipped", "reason": "unchanged"});
        assert_eq!(serde_json::to_value(&outcome).unwrap(), expected);
        assert_eq!(serde_json::from_value::<FileOutcome>(expected).unwrap(), outcome);
    }
}
