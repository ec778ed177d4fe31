//! What can be wrong with a `hamming` index, and with a use of one.

use crate::error::{Report, UserError};
use lumina_index::Damage;
use pgrx::PgSqlErrorCode::*;

/// What is wrong.
#[derive(Debug)]
pub(super) enum IndexError {
    Corrupted {
        index: String,
        block: u32,
        damage: Damage,
    },
    /// The format of its pages is one of a later version.
    Format {
        index: String,
        version: u8,
    },
    /// Table and index disagree.
    Row {
        index: String,
        tid: u64,
        fault: RowFault,
    },
    NoWidth(String),
    Width {
        bits: usize,
        most: usize,
    },
    Bands {
        bits: usize,
        bands: usize,
    },
    Class(String),
    /// It was made after the snapshot of the check.
    Young(String),
    Orders,
    Snapshot,
    Backward,
    Only,
}

/// What is wrong between a row of a table and its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum RowFault {
    #[error("it lacks")]
    Missing,
    #[error("it has another hash for")]
    Other,
    #[error("its table cannot have")]
    Impossible,
}

impl UserError for IndexError {
    fn report(&self) -> Report {
        let corrupted =
            |message, index| Report::new(ERRCODE_INDEX_CORRUPTED, message).hint(format!("REINDEX INDEX {index};"));
        let not_supported = |message: &str| Report::new(ERRCODE_FEATURE_NOT_SUPPORTED, message);
        match self {
            Self::Corrupted { index, block, damage } => {
                corrupted(format!("index \"{index}\" is corrupted: block {block}: {damage}"), index)
            }
            Self::Format { index, version } => corrupted(
                format!("index \"{index}\" is written in format {version}, which this version of lumina does not know"),
                index,
            ),
            Self::Row { index, tid, fault } => {
                let (block, offset) = (tid >> 16, tid & 0xffff);
                corrupted(format!("index \"{index}\" is corrupted: {fault} row ({block},{offset})"), index)
            }
            Self::NoWidth(column) => {
                let message = format!("column \"{column}\" has no width to be indexed by");
                let hint = format!(
                    "Index hashes of one width: USING hamming (({column}::phash(64))), or give the column the type \
                     phash(64)."
                );
                Report::new(ERRCODE_INVALID_OBJECT_DEFINITION, message).hint(hint)
            }
            Self::Width { bits, most } => {
                let message = format!("hashes of {bits} bits cannot be indexed: at most {most} bits");
                Report::new(ERRCODE_PROGRAM_LIMIT_EXCEEDED, message)
                    .hint("Index a part of them, or hashes of another size.")
            }
            Self::Bands { bits, bands } => {
                let message = format!("hashes of {bits} bits cannot be cut into {bands} bands");
                let most = bits.min(&64);
                Report::new(ERRCODE_INVALID_PARAMETER_VALUE, message)
                    .hint(format!("Give 1 to {most} bands, or leave it out for as many as suit the width."))
            }
            Self::Class(index) => {
                let message = format!("the operator class of index \"{index}\" is not one over hashes");
                Report::new(ERRCODE_INVALID_OBJECT_DEFINITION, message)
                    .hint("Use phash_hamming_ops, which is the default.")
            }
            Self::Young(index) => {
                let message =
                    format!("index \"{index}\" cannot be checked in a transaction that began before it was made");
                Report::new(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
                    .hint("Run the check in a new transaction.")
            }
            Self::Orders => not_supported("a hamming index cannot order by more than one distance")
                .hint("SET enable_indexscan = off."),
            Self::Snapshot => not_supported("a hamming index is read with the snapshot of one moment only"),
            Self::Backward => not_supported("a hamming index is only read forward"),
            Self::Only => {
                not_supported("a hamming index is not read without its table").hint("SET enable_indexonlyscan = off.")
            }
        }
    }
}
