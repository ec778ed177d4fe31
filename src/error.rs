//! Everything a user can do wrong: one enum, each variant with its SQLSTATE, message and hint.
//!
//! Raised by [`OrRaise::or_raise`] at the edge to Postgres. A panic, by contrast, is a bug.

mod from;

use crate::gpu::Unavailable;
use crate::pg::message::in_database_encoding;
use lumina_hash::ball::{BallError, RadiusError};
use lumina_hash::hex::HexError;
use lumina_hash::width::WidthError;
use lumina_import::Refusal;
use lumina_index::Damage;
use lumina_photo::PhotoError;
use lumina_photo::hash::SizeError;
use lumina_search::SearchError;
use pgrx::PgSqlErrorCode::{self, *};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, function_name};

/// What was wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LuminaError {
    #[error("invalid input syntax for type phash: \"{text}\"")]
    HashText { text: String, why: HexError },
    #[error("invalid input syntax for type phash_ball: \"{text}\"")]
    BallText { text: String, why: BallError },
    #[error("invalid binary representation of phash: {0}")]
    HashBinary(WidthError),
    #[error("invalid binary representation of phash_ball: {0}")]
    BallBinary(BallError),
    #[error("type modifier of phash must be one number of bits")]
    ModifierCount,
    #[error("invalid width for type phash: {0}")]
    Modifier(WidthError),
    #[error("phash of {found} bits does not fit type phash({expected})")]
    Width { found: usize, expected: usize },
    #[error("no distance between a phash of {left} bits and one of {right} bits")]
    Distance { left: usize, right: usize },
    #[error("phash({column}) cannot be searched with a constant of {constant} bits")]
    Constant { column: usize, constant: usize },
    #[error(transparent)]
    Radius(RadiusError),
    #[error("cannot cut a phash of {bits} bits into bands for a maximum distance of {distance}")]
    BandDistance { distance: i32, bits: usize },
    #[error("cannot cast a phash of {0} bits to bigint")]
    ToBigint(usize),
    #[error("cannot cast a phash of {bits} bits to {type_}({length})")]
    ToBit { type_: &'static str, bits: usize, length: usize },
    #[error("cannot cast to phash: {0}")]
    FromBytes(WidthError),
    #[error("cannot cast a bit string of {0} bits to phash")]
    FromBit(usize),
    #[error("the inner query holds {0} statements instead of one")]
    QueryCount(usize),
    #[error("the inner query must be a SELECT, not {0}")]
    QueryCommand(String),
    #[error("the inner query {0}")]
    QueryWrites(&'static str),
    #[error("the columns of the inner query changed while it was prepared")]
    QueryChanged,
    #[error("{name} must be an array of one dimension, not of {dimensions}")]
    ArrayShape { name: &'static str, dimensions: i32 },
    #[error("{name} must not hold NULL")]
    ArrayNull { name: &'static str },
    #[error("out of memory")]
    OutOfMemory,
    #[error("out of memory")]
    IndexMemory,
    #[error("{0} must not be NULL")]
    ArgumentNull(&'static str),
    #[error("max_distance holds no distance")]
    NoDistance,
    #[error("max_distance and the hash columns of the inner query differ in number: {distances} and {columns}")]
    DistanceCount { columns: usize, distances: usize, array: bool },
    #[error("max_distance {0} is negative")]
    DistanceNegative(i32),
    #[error("max_distance {distance} is larger than the {bits} bits of the hash")]
    DistanceLarge { distance: i32, bits: usize },
    #[error("the inner query returns {0} columns, but must return an id and at least one hash")]
    NoHashColumn(usize),
    #[error("column \"{name}\" of the inner query is of type {type_}, not phash")]
    HashColumn { name: String, type_: String },
    #[error("column \"{name}\" of the inner query is of type {found}, not {wanted}")]
    IdColumn { name: String, found: String, wanted: String },
    #[error("column \"{name}\" of the inner query, the id, is of type {found}, not an integer")]
    IdNoInteger { name: String, found: String },
    #[error("the inner query returns a row whose id is NULL")]
    IdNull,
    #[error("the inner query returns the id {0} more than once")]
    IdTwice(String),
    #[error("column \"{name}\" of the inner query holds hashes of {one} and of {other} bits")]
    MixedWidths { name: String, one: usize, other: usize },
    #[error("the left query returns hashes of {left} bits where the right query returns hashes of {right} bits")]
    DifferentWidths { left: usize, right: usize },
    #[error("the schema of the called function lacks other parts of the extension lumina")]
    Incomplete,
    #[error("unknown strategy \"{0}\"")]
    Strategy(String),
    #[error("{threads} threads could not be started: {why}")]
    Threads { threads: usize, why: String },
    #[error("the search needs more than the {limit} kB of memory that {setting} allows")]
    OverMemory { limit: usize, needed: usize, setting: &'static str },
    #[error("more than {limit} pairs are within the distance, and {setting} allows no more")]
    TooManyPairs { limit: u64, setting: &'static str, hashes: Vec<(String, f64)> },
    #[error(transparent)]
    Search(SearchError),
    #[error("unknown method \"{0}\"")]
    Method(String),
    #[error(transparent)]
    HashSize(SizeError),
    #[error("{0}")]
    Image(PhotoError),
    #[error("the image has {width} x {height} pixels, more than the {limit} that {setting} allows")]
    ImagePixels { width: u32, height: u32, limit: u64, setting: &'static str },
    #[error("the image needs {needed} kB of memory, more than the {limit} kB that {setting} allows")]
    ImageMemory { needed: u64, limit: u64, setting: &'static str },
    #[error("the image needs {needed} kB of memory, more than is left of the {limit} kB for all images of the server")]
    ImageMemoryTotal { needed: u64, limit: u64 },
    #[error("job {0} does not exist")]
    JobUnknown(i64),
    #[error("job {0} was submitted by this transaction")]
    JobOfThisTransaction(i64),
    #[error("job {0} belongs to another server or database")]
    JobFenced(i64),
    #[error("extension_version_mismatch: job {0} waits for ALTER EXTENSION lumina UPDATE")]
    JobVersion(i64),
    #[error("job {job} ({kind}): {message}")]
    JobEnded { job: i64, kind: String, code: PgSqlErrorCode, message: String, hint: Option<String> },
    #[error("lumina.import_roots holds \"{0}\", which is not an absolute path")]
    ImportRoots(String),
    #[error("cannot import: {0}")]
    ImportPath(Refusal),
    #[error("the page of duplicates would be larger than a text can be")]
    PageTooLarge,
    #[error("a path of {0} bytes is longer than any that is imported")]
    ImportPathLong(usize),
    #[error("all places for bulk searches on this server are taken: {limit}")]
    Busy { limit: u32 },
    #[error("the GPU cannot be used: {}", .0.reason)]
    Gpu(Unavailable),
    #[error("what is known of the GPU could not be written: {0}")]
    GpuRecord(std::io::Error),
    #[error("index \"{index}\" is corrupted: block {block}: {damage}")]
    IndexCorrupted { index: String, block: u32, damage: Damage },
    #[error("index \"{index}\" is written in format {version}, which this version of lumina does not know")]
    IndexFormat { index: String, version: u8 },
    #[error("index \"{index}\" is corrupted: {fault} row ({},{})", tid >> 16, tid & 0xffff)]
    IndexRow { index: String, tid: u64, fault: RowFault },
    #[error("column \"{0}\" has no width to be indexed by")]
    IndexNoWidth(String),
    #[error("hashes of {bits} bits cannot be indexed: at most {most} bits")]
    IndexWidth { bits: usize, most: usize },
    #[error("hashes of {bits} bits cannot be cut into {bands} bands")]
    IndexBands { bits: usize, bands: usize },
    #[error("the operator class of index \"{0}\" is not one over hashes")]
    IndexClass(String),
    #[error("\"{0}\" is not a hamming index")]
    IndexOther(String),
    #[error("index \"{0}\" is partitioned")]
    IndexPartitioned(String),
    #[error("index \"{0}\" is a temporary one of another session")]
    IndexOtherTemporary(String),
    #[error("index \"{0}\" is not valid")]
    IndexInvalid(String),
    #[error("index \"{0}\" cannot be checked in a transaction that began before it was made")]
    IndexYoung(String),
    #[error("a hamming index cannot order by more than one distance")]
    IndexOrders,
    #[error("a hamming index is read with the snapshot of one moment only")]
    IndexSnapshot,
    #[error("a hamming index is only read forward")]
    IndexBackward,
    #[error("a hamming index is not read without its table")]
    IndexOnly,
}

/// What is wrong between a row of a table and its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RowFault {
    #[error("it lacks")]
    Missing,
    #[error("it has another hash for")]
    Other,
    #[error("its table cannot have")]
    Impossible,
}

impl LuminaError {
    pub(crate) fn code(&self) -> PgSqlErrorCode {
        match self {
            Self::HashText { .. } | Self::BallText { .. } => ERRCODE_INVALID_TEXT_REPRESENTATION,
            Self::HashBinary(_) | Self::BallBinary(_) => ERRCODE_INVALID_BINARY_REPRESENTATION,
            Self::ModifierCount | Self::Modifier(_) => ERRCODE_INVALID_PARAMETER_VALUE,
            Self::Width { .. } | Self::Distance { .. } => ERRCODE_STRING_DATA_LENGTH_MISMATCH,
            Self::Constant { .. } => ERRCODE_DATATYPE_MISMATCH,
            Self::Radius(_) | Self::BandDistance { .. } | Self::DistanceNegative(_) | Self::DistanceLarge { .. } => {
                ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE
            }
            Self::ToBigint(_) | Self::ToBit { .. } | Self::FromBytes(_) | Self::FromBit(_) => ERRCODE_CANNOT_COERCE,
            Self::QueryCount(_) => ERRCODE_SYNTAX_ERROR,
            Self::QueryCommand(_) | Self::QueryChanged => ERRCODE_FEATURE_NOT_SUPPORTED,
            Self::QueryWrites(_) => ERRCODE_READ_ONLY_SQL_TRANSACTION,
            Self::ArrayShape { .. } => ERRCODE_ARRAY_ELEMENT_ERROR,
            Self::ArrayNull { .. } => ERRCODE_NULL_VALUE_NOT_ALLOWED,
            Self::OutOfMemory | Self::IndexMemory | Self::Search(SearchError::OutOfMemory { .. }) => {
                ERRCODE_OUT_OF_MEMORY
            }
            Self::ArgumentNull(_) | Self::IdNull => ERRCODE_NULL_VALUE_NOT_ALLOWED,
            Self::NoDistance | Self::DistanceCount { .. } | Self::Strategy(_) => ERRCODE_INVALID_PARAMETER_VALUE,
            Self::NoHashColumn(_) | Self::HashColumn { .. } | Self::IdColumn { .. } | Self::IdNoInteger { .. } => {
                ERRCODE_DATATYPE_MISMATCH
            }
            Self::IdTwice(_) => ERRCODE_UNIQUE_VIOLATION,
            Self::MixedWidths { .. } | Self::DifferentWidths { .. } => ERRCODE_STRING_DATA_LENGTH_MISMATCH,
            Self::Incomplete => ERRCODE_UNDEFINED_OBJECT,
            Self::Method(_) | Self::HashSize(_) => ERRCODE_INVALID_PARAMETER_VALUE,
            Self::Image(error) => match error {
                PhotoError::Empty | PhotoError::Unknown { .. } => ERRCODE_INVALID_BINARY_REPRESENTATION,
                PhotoError::Unsupported { .. } | PhotoError::NoPreview { .. } => ERRCODE_FEATURE_NOT_SUPPORTED,
                PhotoError::Damaged { .. } => ERRCODE_DATA_EXCEPTION,
                PhotoError::Pixels { .. } | PhotoError::Memory { .. } => ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                PhotoError::OutOfMemory => ERRCODE_OUT_OF_MEMORY,
                PhotoError::Cancelled => ERRCODE_QUERY_CANCELED,
            },
            Self::JobUnknown(_) => ERRCODE_UNDEFINED_OBJECT,
            Self::JobOfThisTransaction(_) | Self::JobFenced(_) | Self::JobVersion(_) => {
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE
            }
            Self::JobEnded { code, .. } => *code,
            Self::PageTooLarge => ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            Self::ImportRoots(_) | Self::ImportPathLong(_) => ERRCODE_INVALID_PARAMETER_VALUE,
            Self::ImportPath(refusal) => match refusal {
                Refusal::NotAbsolute(_) | Refusal::Dots(_) => ERRCODE_INVALID_PARAMETER_VALUE,
                Refusal::NotFound(_) => ERRCODE_UNDEFINED_FILE,
                Refusal::NotDirectory(_) | Refusal::Special(_) | Refusal::Link(_) => ERRCODE_WRONG_OBJECT_TYPE,
                Refusal::Outside(_) | Refusal::Protected(_) | Refusal::Permission(_) => ERRCODE_INSUFFICIENT_PRIVILEGE,
                Refusal::Io { .. } => ERRCODE_IO_ERROR,
            },
            Self::ImagePixels { .. } | Self::ImageMemory { .. } | Self::ImageMemoryTotal { .. } => {
                ERRCODE_CONFIGURATION_LIMIT_EXCEEDED
            }
            Self::Threads { .. } => ERRCODE_INSUFFICIENT_RESOURCES,
            Self::Gpu(_) => ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Self::GpuRecord(_) => ERRCODE_IO_ERROR,
            Self::OverMemory { .. } | Self::TooManyPairs { .. } | Self::Busy { .. } => {
                ERRCODE_CONFIGURATION_LIMIT_EXCEEDED
            }
            Self::IndexCorrupted { .. } | Self::IndexFormat { .. } | Self::IndexRow { .. } => ERRCODE_INDEX_CORRUPTED,
            Self::IndexNoWidth(_) | Self::IndexClass(_) => ERRCODE_INVALID_OBJECT_DEFINITION,
            Self::IndexWidth { .. } => ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            Self::IndexBands { .. } => ERRCODE_INVALID_PARAMETER_VALUE,
            Self::IndexOther(_) | Self::IndexPartitioned(_) => ERRCODE_WRONG_OBJECT_TYPE,
            Self::IndexInvalid(_) | Self::IndexYoung(_) => ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Self::IndexOtherTemporary(_)
            | Self::IndexOrders
            | Self::IndexSnapshot
            | Self::IndexBackward
            | Self::IndexOnly => ERRCODE_FEATURE_NOT_SUPPORTED,
            Self::Search(SearchError::Cancelled) => ERRCODE_QUERY_CANCELED,
            Self::Search(_) => ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        }
    }

    pub(crate) fn detail(&self) -> Option<String> {
        match self {
            Self::HashText { why, .. } => Some(sentence(why)),
            Self::Image(PhotoError::Unknown { looks_like: Some(what) }) => Some(format!("They look like {what}.")),
            Self::BallText { why, .. } => Some(sentence(why)),
            Self::OverMemory { needed, .. } => Some(format!("At least {} kB would be needed.", needed.div_ceil(1024))),
            Self::TooManyPairs { hashes, .. } => {
                let percent = |(hash, share): &(String, f64)| match share * 100.0 {
                    large @ 5.0.. => format!("{hash}: {large:.0} %"),
                    small => format!("{hash}: {small:.1} %"),
                };
                let shares: Vec<String> = hashes.iter().map(percent).collect();
                Some(format!("Hashes that take part in most of the pairs found so far: {}.", shares.join("; ")))
            }
            _ => None,
        }
    }

    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::HashText { why: HexError::Digit { position: 2, character: 'x' | 'X' }, .. } => {
                "Leave the prefix 0x out: a phash is written as hex digits alone.".into()
            }
            Self::HashText { why: HexError::Digit { position: 1, character: '\\' }, .. } => {
                "Leave the prefix \\x out, or cast the bytea: '\\xab'::bytea::phash.".into()
            }
            Self::HashText { .. } | Self::HashBinary(_) | Self::FromBytes(_) => {
                "A phash has 8 to 4096 bits, in steps of 8: two hex digits a byte, such as c3a1f0e00f1e3c78.".into()
            }
            Self::BallText { .. } | Self::BallBinary(_) => {
                "A phash_ball is a hash and a radius, such as <c3a1f0e00f1e3c78,5>.".into()
            }
            Self::ModifierCount | Self::Modifier(_) => "Write phash(64), say, or phash for hashes of any width.".into(),
            Self::Width { found, .. } => {
                format!("Keep it in a column of type phash({found}), or of type phash for any width.")
            }
            Self::Distance { .. } => "Compare hashes of one method and size; phash_within and <@ skip others.".into(),
            Self::Constant { column, .. } => format!("Give a hash of {column} bits: {} hex digits.", column / 4),
            Self::Radius(RadiusError::Negative(_)) => "Give a radius of 0 for equal hashes.".into(),
            Self::Radius(RadiusError::Large { bits, .. }) => format!("Give a radius of 0 to {bits}."),
            Self::BandDistance { bits, .. } => {
                format!("Give a distance of 0 to {}: hashes that differ in every bit share no band.", bits - 1)
            }
            Self::ToBigint(_) => "Only a phash(64) is a bigint; cast to bytea for other widths.".into(),
            Self::ToBit { type_, bits, .. } => format!("Cast to {type_}({bits}): bits are never cut off."),
            Self::FromBit(_) => "The number of bits must be a multiple of 8, up to 4096.".into(),
            Self::QueryCount(_) | Self::QueryCommand(_) | Self::QueryWrites(_) => {
                "Give one plain SELECT, VALUES, TABLE or WITH ... SELECT.".into()
            }
            Self::QueryChanged => "Run the search again.".into(),
            Self::ArrayShape { .. } | Self::ArrayNull { .. } => "Write a list of numbers, such as ARRAY[5,5].".into(),
            Self::JobUnknown(_) => "TABLE lumina.job_progress lists the jobs that you may see.".into(),
            Self::JobOfThisTransaction(_) => "It starts at COMMIT: wait for it after that.".into(),
            Self::JobFenced(_) => "SELECT lumina.adopt_catalog(...) lets the jobs of a catalog go on here.".into(),
            Self::JobVersion(_) => "ALTER EXTENSION lumina UPDATE.".into(),
            Self::ImportRoots(_) => {
                "It is a list of directories, each from the root of the file system, with commas between them.".into()
            }
            Self::PageTooLarge => "Ask for fewer groups: max_groups => 100.".into(),
            Self::ImportPath(refusal) => crate::catalog::paths::hint(refusal),
            Self::ImportPathLong(_) => {
                format!(
                    "Give a path of at most {} bytes. {}",
                    lumina_import::names::LONGEST,
                    crate::pg::server::who_reads()
                )
            }
            Self::JobEnded { hint, .. } => return hint.clone(),
            Self::OutOfMemory | Self::Search(_) => "Search fewer rows at a time.".into(),
            Self::IndexMemory => "Lower work_mem and maintenance_work_mem, or the number of sessions.".into(),
            Self::ArgumentNull("strategy") => "If it is meant as the type of the ids, write id => NULL::text.".into(),
            Self::ArgumentNull("job") => "Give the number of a job: TABLE lumina.job_progress lists them.".into(),
            Self::ArgumentNull(_) => "Only the argument id may be NULL: it gives the type of the ids.".into(),
            Self::DistanceNegative(_) => "Give a distance of 0 for equal hashes.".into(),
            Self::DistanceLarge { bits, .. } => format!("Give a distance of 0 to {bits}."),
            Self::NoDistance => "Give a distance for each hash column, such as ARRAY[5,5].".into(),
            Self::DistanceCount { array: false, .. } => {
                "Give a distance for each hash column, as an array such as ARRAY[5,5].".into()
            }
            Self::DistanceCount { .. } => "Give a distance for each hash column.".into(),
            Self::NoHashColumn(_) => "Write SELECT id, hash FROM ..., with one or more hash columns.".into(),
            Self::HashColumn { .. } => "All columns after the first are hashes: cast them to phash.".into(),
            Self::IdColumn { .. } => "Let id be NULL of the type of the query's first column.".into(),
            Self::IdNoInteger { found, .. } => {
                format!("Name the type of the ids by one more argument: id => NULL::{found}.")
            }
            Self::IdNull => "Leave such rows out, or give them an id.".into(),
            Self::IdTwice(_) => "Let the first column be a key; row_number() OVER () makes one.".into(),
            Self::MixedWidths { one, .. } => {
                format!("Compare hashes of one width: WHERE phash_bits(...) = {one}.")
            }
            Self::DifferentWidths { .. } => "Compare hashes of one method and size.".into(),
            Self::Incomplete => "Create the extension again.".into(),
            Self::Strategy(_) => "The strategies are clique, star and component.".into(),
            Self::Threads { .. } => "Lower lumina.search_threads.".into(),
            Self::OverMemory { setting, .. } => format!("{}, or search fewer rows at a time.", raise_setting(setting)),
            Self::TooManyPairs { setting, .. } => {
                format!("Leave such hashes out, lower the distance, or {}.", lower_first(&raise_setting(setting)))
            }
            Self::Method(_) => "The methods are ahash, dhash, dct (also phash), whash, median, block and pdq.".into(),
            Self::HashSize(SizeError::Size { method: lumina_photo::Method::Pdq, .. }) => {
                "PDQ has 256 bits: leave size out, or give 16.".into()
            }
            Self::HashSize(SizeError::Size { .. }) => {
                "Give 4, 8, 12, or another multiple of 4 up to 64: the hash has size * size bits.".into()
            }
            Self::HashSize(SizeError::PowerOfTwo { .. }) => "Give 4, 8, 16, 32 or 64.".into(),
            Self::Image(PhotoError::Unsupported { .. }) => {
                "image_info reads what its metadata say; convert it to JPEG or PNG for a hash.".into()
            }
            Self::Image(PhotoError::NoPreview { .. }) => {
                "image_info reads what its metadata say; export it as JPEG for a hash.".into()
            }
            Self::Image(PhotoError::Damaged { .. }) => "Replace the image by a copy that is whole.".into(),
            Self::Image(PhotoError::Empty | PhotoError::Unknown { .. }) => {
                "Images are JPEG, PNG, GIF, WebP, TIFF, BMP, and raw files of cameras.".into()
            }
            Self::Image(_) => "Scale the image down, or end sessions that take much memory.".into(),
            Self::ImagePixels { setting, .. } | Self::ImageMemory { setting, .. } => {
                format!("{}, or scale the image down.", raise_setting(setting))
            }
            Self::ImageMemoryTotal { needed, limit } if needed > limit => {
                "Ask the superuser to raise lumina.image_memory_total, or scale the image down.".into()
            }
            Self::ImageMemoryTotal { .. } => {
                "Wait until other images are done, or ask the superuser to raise lumina.image_memory_total.".into()
            }
            Self::IndexCorrupted { index, .. } | Self::IndexFormat { index, .. } | Self::IndexRow { index, .. } => {
                format!("REINDEX INDEX {index};")
            }
            Self::IndexNoWidth(column) => format!(
                "Index hashes of one width: USING hamming (({column}::phash(64))), or give the column the type phash(64)."
            ),
            Self::IndexWidth { .. } => "Index a part of them, or hashes of another size.".into(),
            Self::IndexBands { bits, .. } => {
                format!("Give 1 to {} bands, or leave it out for as many as suit the width.", bits.min(&64))
            }
            Self::IndexClass(_) => "Use phash_hamming_ops, which is the default.".into(),
            Self::IndexOther(_) => "Give the name of an index that was made with USING hamming.".into(),
            Self::IndexPartitioned(_) => "Give the name of the index of a partition.".into(),
            Self::IndexOtherTemporary(_) => "Only that session can read it.".into(),
            Self::IndexInvalid(index) => format!("REINDEX INDEX {index}; or drop it."),
            Self::IndexYoung(_) => "Run the check in a new transaction.".into(),
            Self::IndexOrders => "SET enable_indexscan = off.".into(),
            Self::IndexOnly => "SET enable_indexonlyscan = off.".into(),
            Self::IndexSnapshot | Self::IndexBackward => return None,
            Self::Gpu(unavailable) => unavailable.hint.clone().into_owned(),
            Self::GpuRecord(error) if error.kind() == std::io::ErrorKind::WouldBlock => "Try again.".into(),
            Self::GpuRecord(_) => "Make room on the disk of the data directory.".into(),
            Self::Busy { .. } => {
                "Wait until one has ended, or ask the superuser to raise lumina.concurrent_searches.".into()
            }
        })
    }

    /// Raises it as an ERROR. Destructors on the way to the guard run.
    pub(crate) fn raise(&self) -> ! {
        let mut report = ErrorReport::new(self.code(), in_database_encoding(self.to_string()), function_name!());
        if let Some(detail) = self.detail() {
            report = report.set_detail(in_database_encoding(detail));
        }
        if let Some(hint) = self.hint() {
            report = report.set_hint(hint);
        }
        report.report(PgLogLevel::ERROR);
        unreachable!("a report at level ERROR does not return")
    }
}

/// The advice to raise a setting or a limit.
fn raise_setting(setting: &str) -> String {
    let superuser = if setting.ends_with("_limit") { "Ask the superuser to raise" } else { "Raise" };
    format!("{superuser} {setting}")
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|c| c.to_ascii_lowercase()).into_iter().chain(characters).collect()
}

fn sentence(why: &impl ToString) -> String {
    let why = why.to_string();
    let mut characters = why.chars();
    let first = characters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect()
}

/// Raises the error of a result, if it is one.
pub(crate) trait OrRaise<T> {
    fn or_raise(self) -> T;
}

impl<T, E: Into<LuminaError>> OrRaise<T> for Result<T, E> {
    #[inline]
    fn or_raise(self) -> T {
        match self {
            Ok(value) => value,
            Err(error) => error.into().raise(),
        }
    }
}
