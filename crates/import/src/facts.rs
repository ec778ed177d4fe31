//! What is known of a file in the end, in the form in which it is handed to SQL, or why nothing is.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a file was when it was looked at: where one of these but the device differs, it is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// In bytes.
    pub size: u64,
    /// The number of the device that it lies on.
    pub device: i64,
    /// Its number there.
    pub inode: i64,
    /// When its bytes were last written to, in microseconds since 1970.
    pub modified: i64,
    /// When anything of it was last changed, its rights or names too, in microseconds since 1970.
    pub changed: i64,
}

impl Stamp {
    /// Whether a file is the one that it was, unchanged. Devices are numbered anew when they are mounted, by some file systems.
    pub fn is_same(&self, other: &Stamp) -> bool {
        let of = |stamp: &Stamp| (stamp.size, stamp.inode, stamp.modified, stamp.changed);
        of(self) == of(other)
    }
}

/// What a picture is: the columns of `lumina.images`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// As the usual extension, in lower case.
    pub format: String,
    /// In pixels, as stored.
    pub width: Option<u32>,
    /// In pixels, as stored.
    pub height: Option<u32>,
    /// EXIF's: 1 to 8.
    pub orientation: Option<u8>,
    /// Whether it ends before its last pixel.
    pub truncated: bool,
    /// As Postgres reads a `timestamptz`.
    pub captured_at: Option<String>,
    /// Where that is from.
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
    /// As cameras call it.
    pub iso: Option<i32>,
    /// In degrees, north positive.
    pub latitude: Option<f64>,
    /// In degrees, east positive.
    pub longitude: Option<f64>,
    /// What else EXIF says.
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
    /// Whether the hashes are to be trusted.
    pub hash_valid: bool,
    /// The variance of the Laplacian.
    pub sharpness: Option<f32>,
}

/// When a picture was taken, as its file tells: by what is in it, its name, its directory, its time of modification.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FileDate {
    /// As Postgres reads a `timestamptz`.
    pub captured_at: String,
    /// Where that is from.
    pub date_source: String,
    /// 0 to 100.
    pub date_confidence: u8,
    /// What `metadata` says of it.
    pub marks: Map<String, Value>,
}

/// What was found of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Finding {
    /// A picture that is to be in the catalog. Beside that, perhaps, a word on what is wrong with it.
    Image {
        /// SHA-256 in hex.
        sha256: String,
        /// `truncated`, `flat`, `unsupported_format`.
        reason: Option<String>,
        /// The same in words.
        error: Option<String>,
        /// `None` where the catalog has the content already: only the place is new.
        facts: Option<Box<Facts>>,
        /// Of this file, whether its content is new or not: the best date of all its files is that of the content.
        #[serde(default)]
        date: Option<Box<FileDate>>,
    },
    /// Nothing to import: it is no picture, or has not changed since it was imported.
    Skipped {
        /// A stable word.
        reason: String,
    },
    /// It should have been imported, and could not be.
    Failed {
        /// A stable word.
        reason: String,
        /// In words.
        error: String,
        /// SHA-256 in hex, where it could be read to its end.
        sha256: Option<String>,
    },
}

impl Finding {
    /// Not to be imported.
    pub fn skipped(reason: &str) -> Self {
        Self::Skipped { reason: reason.into() }
    }

    /// Not importable.
    pub fn failed(reason: &str, error: String) -> Self {
        Self::Failed { reason: reason.into(), error, sha256: None }
    }
}

/// What became of the look at one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its row of `lumina.import_items`.
    pub item: i64,
    /// What it was when it was opened; `None` where it could not be.
    pub stamp: Option<Stamp>,
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
}
