//! What can be wrong with hashes, balls, and casts of them.

use crate::error::{Report, UserError, sentence};
use lumina_hash::ball::{BallError, RadiusError};
use lumina_hash::hex::HexError;
use lumina_hash::width::WidthError;
use pgrx::PgSqlErrorCode::*;

/// What is wrong with a value.
#[derive(Debug)]
pub(crate) enum ValueError {
    HashText { text: String, why: HexError },
    HashBinary(WidthError),
    BallText { text: String, why: BallError },
    BallBinary(BallError),
    ModifierCount,
    Modifier(WidthError),
    Width { found: usize, expected: usize },
    Distance { left: usize, right: usize },
    BandDistance { distance: i32, bits: usize },
    ToBigint(usize),
    ToBit { type_: &'static str, bits: usize, length: usize },
    FromBytes(WidthError),
    FromBit(usize),
}

const HASH_FORM: &str = "A phash has 8 to 4096 bits, in steps of 8: two hex digits a byte, such as c3a1f0e00f1e3c78.";
const BALL_FORM: &str = "A phash_ball is a hash and a radius, such as <c3a1f0e00f1e3c78,5>.";
const MODIFIER_FORM: &str = "Write phash(64), say, or phash for hashes of any width.";

impl UserError for ValueError {
    fn report(&self) -> Report {
        match self {
            Self::HashText { text, why } => {
                let message = format!("invalid input syntax for type phash: \"{text}\"");
                let hint = match why {
                    HexError::Digit { position: 2, character: 'x' | 'X' } => {
                        "Leave the prefix 0x out: a phash is written as hex digits alone."
                    }
                    HexError::Digit { position: 1, character: '\\' } => {
                        "Leave the prefix \\x out, or cast the bytea: '\\xab'::bytea::phash."
                    }
                    _ => HASH_FORM,
                };
                Report::new(ERRCODE_INVALID_TEXT_REPRESENTATION, message).detail(sentence(why)).hint(hint)
            }
            Self::HashBinary(why) => {
                let message = format!("invalid binary representation of phash: {why}");
                Report::new(ERRCODE_INVALID_BINARY_REPRESENTATION, message).hint(HASH_FORM)
            }
            Self::BallText { text, why } => {
                let message = format!("invalid input syntax for type phash_ball: \"{text}\"");
                Report::new(ERRCODE_INVALID_TEXT_REPRESENTATION, message).detail(sentence(why)).hint(BALL_FORM)
            }
            Self::BallBinary(why) => {
                let message = format!("invalid binary representation of phash_ball: {why}");
                Report::new(ERRCODE_INVALID_BINARY_REPRESENTATION, message).hint(BALL_FORM)
            }
            Self::ModifierCount => {
                let message = "type modifier of phash must be one number of bits";
                Report::new(ERRCODE_INVALID_PARAMETER_VALUE, message).hint(MODIFIER_FORM)
            }
            Self::Modifier(why) => {
                let message = format!("invalid width for type phash: {why}");
                Report::new(ERRCODE_INVALID_PARAMETER_VALUE, message).hint(MODIFIER_FORM)
            }
            Self::Width { found, expected } => {
                let message = format!("phash of {found} bits does not fit type phash({expected})");
                let hint = format!("Keep it in a column of type phash({found}), or of type phash for any width.");
                Report::new(ERRCODE_STRING_DATA_LENGTH_MISMATCH, message).hint(hint)
            }
            Self::Distance { left, right } => {
                let message = format!("no distance between a phash of {left} bits and one of {right} bits");
                let hint = "Compare hashes of one method and size; phash_within and <@ skip others.";
                Report::new(ERRCODE_STRING_DATA_LENGTH_MISMATCH, message).hint(hint)
            }
            Self::BandDistance { distance, bits } => {
                let message =
                    format!("cannot cut a phash of {bits} bits into bands for a maximum distance of {distance}");
                let hint =
                    format!("Give a distance of 0 to {}: hashes that differ in every bit share no band.", bits - 1);
                Report::new(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, message).hint(hint)
            }
            Self::ToBigint(bits) => {
                let message = format!("cannot cast a phash of {bits} bits to bigint");
                let hint = "Only a phash(64) is a bigint; cast to bytea for other widths.";
                Report::new(ERRCODE_CANNOT_COERCE, message).hint(hint)
            }
            Self::ToBit { type_, bits, length } => {
                let message = format!("cannot cast a phash of {bits} bits to {type_}({length})");
                let hint = format!("Cast to {type_}({bits}): bits are never cut off.");
                Report::new(ERRCODE_CANNOT_COERCE, message).hint(hint)
            }
            Self::FromBytes(why) => {
                Report::new(ERRCODE_CANNOT_COERCE, format!("cannot cast to phash: {why}")).hint(HASH_FORM)
            }
            Self::FromBit(bits) => {
                let message = format!("cannot cast a bit string of {bits} bits to phash");
                let hint = "The number of bits must be a multiple of 8, up to 4096.";
                Report::new(ERRCODE_CANNOT_COERCE, message).hint(hint)
            }
        }
    }
}

impl UserError for RadiusError {
    fn report(&self) -> Report {
        let report = Report::new(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, self.to_string());
        match self {
            Self::Negative(_) => report.hint("Give a radius of 0 for equal hashes."),
            Self::Large { bits, .. } => report.hint(format!("Give a radius of 0 to {bits}.")),
        }
    }
}
