//! Everything a user can do wrong with a hash: one enum, each variant with its SQLSTATE, message and hint.
//!
//! Raised by [`OrRaise::or_raise`] at the edge to Postgres. A panic, by contrast, is a bug.

use crate::pg::message::in_database_encoding;
use lumina_hash::ball::{BallError, RadiusError};
use lumina_hash::hex::HexError;
use lumina_hash::width::WidthError;
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
}

impl LuminaError {
    pub(crate) fn code(&self) -> PgSqlErrorCode {
        match self {
            Self::HashText { .. } | Self::BallText { .. } => ERRCODE_INVALID_TEXT_REPRESENTATION,
            Self::HashBinary(_) | Self::BallBinary(_) => ERRCODE_INVALID_BINARY_REPRESENTATION,
            Self::ModifierCount | Self::Modifier(_) => ERRCODE_INVALID_PARAMETER_VALUE,
            Self::Width { .. } | Self::Distance { .. } => ERRCODE_STRING_DATA_LENGTH_MISMATCH,
            Self::Constant { .. } => ERRCODE_DATATYPE_MISMATCH,
            Self::Radius(_) | Self::BandDistance { .. } => ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
            Self::ToBigint(_) | Self::ToBit { .. } | Self::FromBytes(_) | Self::FromBit(_) => ERRCODE_CANNOT_COERCE,
        }
    }

    pub(crate) fn detail(&self) -> Option<String> {
        match self {
            Self::HashText { why, .. } => Some(sentence(why)),
            Self::BallText { why, .. } => Some(sentence(why)),
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

fn sentence(why: &impl ToString) -> String {
    let why = why.to_string();
    let mut characters = why.chars();
    let first = characters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect()
}

impl From<RadiusError> for LuminaError {
    fn from(why: RadiusError) -> Self {
        Self::Radius(why)
    }
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
