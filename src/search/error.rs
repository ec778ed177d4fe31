//! What can be wrong with a bulk search.

use crate::error::{Report, UserError, raise_setting, sentence};
use crate::guc;
use lumina_search::SearchError;
use pgrx::PgSqlErrorCode::*;

/// What is wrong with the arguments of a bulk search, its rows or its size.
#[derive(Debug)]
pub(crate) enum BulkError {
    NoDistance,
    DistanceCount { columns: usize, distances: usize, array: bool },
    DistanceNegative(i32),
    DistanceLarge { distance: i32, bits: usize },
    NoHashColumn(usize),
    HashColumn { name: String, type_: String },
    IdColumn { name: String, found: String, wanted: String },
    IdNoInteger { name: String, found: String },
    IdNull,
    IdTwice(String),
    MixedWidths { name: String, one: usize, other: usize },
    DifferentWidths { left: usize, right: usize },
    Strategy(String),
    TooManyPairs { limit: u64, setting: &'static str, hashes: Vec<(String, f64)> },
}

impl UserError for BulkError {
    fn report(&self) -> Report {
        match self {
            Self::NoDistance => Report::new(ERRCODE_INVALID_PARAMETER_VALUE, "max_distance holds no distance")
                .hint("Give a distance for each hash column, such as ARRAY[5,5]."),
            Self::DistanceCount { columns, distances, array } => {
                let message = format!(
                    "max_distance and the hash columns of the inner query differ in number: {distances} and {columns}"
                );
                let hint = match array {
                    true => "Give a distance for each hash column.",
                    false => "Give a distance for each hash column, as an array such as ARRAY[5,5].",
                };
                Report::new(ERRCODE_INVALID_PARAMETER_VALUE, message).hint(hint)
            }
            Self::DistanceNegative(distance) => {
                Report::new(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, format!("max_distance {distance} is negative"))
                    .hint("Give a distance of 0 for equal hashes.")
            }
            Self::DistanceLarge { distance, bits } => {
                let message = format!("max_distance {distance} is larger than the {bits} bits of the hash");
                let hint = format!("Give a distance of 0 to {bits}.");
                Report::new(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, message).hint(hint)
            }
            Self::NoHashColumn(columns) => {
                let message = format!(
                    "the inner query returns {columns} column{}, but must return an id and at least one hash",
                    if *columns == 1 { "" } else { "s" }
                );
                let hint = "Write SELECT id, hash FROM ..., with one or more hash columns.";
                Report::new(ERRCODE_DATATYPE_MISMATCH, message).hint(hint)
            }
            Self::HashColumn { name, type_ } => {
                let message = format!("column \"{name}\" of the inner query is of type {type_}, not phash");
                let hint = "All columns after the first are hashes: cast them to phash.";
                Report::new(ERRCODE_DATATYPE_MISMATCH, message).hint(hint)
            }
            Self::IdColumn { name, found, wanted } => {
                let message = format!("column \"{name}\" of the inner query is of type {found}, not {wanted}");
                let hint = "Let id be NULL of the type of the query's first column.";
                Report::new(ERRCODE_DATATYPE_MISMATCH, message).hint(hint)
            }
            Self::IdNoInteger { name, found } => {
                let message =
                    format!("column \"{name}\" of the inner query, the id, is of type {found}, not an integer");
                let hint = format!("Name the type of the ids by one more argument: id => NULL::{found}.");
                Report::new(ERRCODE_DATATYPE_MISMATCH, message).hint(hint)
            }
            Self::IdNull => {
                let message = "the inner query returns a row whose id is NULL";
                Report::new(ERRCODE_NULL_VALUE_NOT_ALLOWED, message).hint("Leave such rows out, or give them an id.")
            }
            Self::IdTwice(id) => {
                let message = format!("the inner query returns the id {id} more than once");
                let hint = "Let the first column be a key; row_number() OVER () makes one.";
                Report::new(ERRCODE_UNIQUE_VIOLATION, message).hint(hint)
            }
            Self::MixedWidths { name, one, other } => {
                let message = format!("column \"{name}\" of the inner query holds hashes of {one} and of {other} bits");
                let hint = format!("Compare hashes of one width: WHERE phash_bits(...) = {one}.");
                Report::new(ERRCODE_STRING_DATA_LENGTH_MISMATCH, message).hint(hint)
            }
            Self::DifferentWidths { left, right } => {
                let message = format!(
                    "the left query returns hashes of {left} bits where the right query returns hashes of {right} bits"
                );
                let hint = "Compare hashes of one method and size.";
                Report::new(ERRCODE_STRING_DATA_LENGTH_MISMATCH, message).hint(hint)
            }
            Self::Strategy(name) => {
                Report::new(ERRCODE_INVALID_PARAMETER_VALUE, format!("unknown strategy \"{name}\""))
                    .hint("The strategies are clique, star and component.")
            }
            Self::TooManyPairs { limit, setting, hashes } => {
                let percent = |(hash, share): &(String, f64)| match share * 100.0 {
                    large @ 5.0.. => format!("{hash}: {large:.0} %"),
                    small => format!("{hash}: {small:.1} %"),
                };
                let shares: Vec<String> = hashes.iter().map(percent).collect();
                let message = format!("more than {limit} pairs are within the distance, and {setting} allows no more");
                let detail = format!("Hashes that take part in most of the pairs found so far: {}.", shares.join("; "));
                let raise = raise_setting(setting);
                Report::new(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, message)
                    .detail(detail)
                    .hint(format!("Leave such hashes out, lower the distance, or {raise}."))
                    .job_code("too_many_pairs")
            }
        }
    }
}

impl UserError for SearchError {
    fn report(&self) -> Report {
        const FEWER: &str = "Search fewer rows at a time.";
        match self {
            Self::OverBudget { needed, limit } => {
                let (setting, limit) = (guc::search_memory().setting, limit / 1024);
                let message = format!("the search needs more than the {limit} kB of memory that {setting} allows");
                Report::new(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, message)
                    .detail(format!("At least {} kB would be needed.", needed.div_ceil(1024)))
                    .hint(sentence(&format!("{}, or search fewer rows at a time", raise_setting(setting))))
            }
            Self::OutOfMemory { .. } => Report::new(ERRCODE_OUT_OF_MEMORY, self.to_string()).hint(FEWER),
            Self::Cancelled => Report::new(ERRCODE_QUERY_CANCELED, self.to_string()).hint(FEWER),
            _ => Report::new(ERRCODE_PROGRAM_LIMIT_EXCEEDED, self.to_string()).hint(FEWER),
        }
    }
}
