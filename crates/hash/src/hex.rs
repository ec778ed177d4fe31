//! The text form of a hash: two hex digits a byte, most significant first, written in lower case, read in either.
//!
//! The form that Python's `imagehash`, Meta's PDQ and ThreatExchange print. No prefix (`0x`, `\x`), no separators.

use crate::width::{MAX_BITS, MAX_BYTES};

/// Why a text is no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// No digits at all.
    #[error("it is empty")]
    Empty,
    /// A width that is no multiple of 8 bits.
    #[error("it has an odd number of hex digits ({digits})")]
    Odd {
        /// How many digits there are.
        digits: usize,
    },
    /// Something that is no hex digit.
    #[error("\"{character}\" at position {position} is not a hex digit")]
    Digit {
        /// The first such character.
        character: char,
        /// Where it stands, in characters, from 1.
        position: usize,
    },
    /// A byte that is no hex digit, in a text that is not UTF-8.
    #[error("byte \\x{byte:02x} at position {position} is not a hex digit")]
    Byte {
        /// The first such byte.
        byte: u8,
        /// Where it stands, in bytes, from 1.
        position: usize,
    },
    /// More than [`MAX_BITS`].
    #[error("it has {bits} bits, more than {MAX_BITS}")]
    Wide {
        /// The width the text would have.
        bits: usize,
    },
}

/// Reads a hash into `buffer` and returns the part of it that was filled.
pub fn decode<'a>(text: &str, buffer: &'a mut [u8; MAX_BYTES]) -> Result<&'a [u8], HexError> {
    decode_bytes(text.as_bytes(), buffer)
}

/// [`decode`] of a text that may not be UTF-8, as databases of other encodings send it. Allocates nothing, however long
/// the text is.
pub fn decode_bytes<'a>(text: &[u8], buffer: &'a mut [u8; MAX_BYTES]) -> Result<&'a [u8], HexError> {
    if let Some(index) = text.iter().position(|byte| !byte.is_ascii_hexdigit()) {
        // The text before it is ASCII, so bytes are characters; of the text after it one character is enough.
        let character =
            text[index..text.len().min(index + 4)].utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
        return Err(match character {
            Some(character) => HexError::Digit { character, position: index + 1 },
            None => HexError::Byte { byte: text[index], position: index + 1 },
        });
    }
    match text.len() {
        0 => Err(HexError::Empty),
        digits if digits > 2 * MAX_BYTES => Err(HexError::Wide { bits: digits * 4 }),
        digits => {
            let bytes = &mut buffer[..digits / 2];
            match const_hex::decode_to_slice(text, bytes) {
                Ok(()) => Ok(bytes),
                Err(_) => Err(HexError::Odd { digits }), // every character was checked: it is their number
            }
        }
    }
}

/// Writes a hash as text into `buffer` and returns the part of it that was filled.
///
/// Bytes past [`MAX_BYTES`] are not written: no hash has them.
pub fn encode<'a>(hash: &[u8], buffer: &'a mut [u8; 2 * MAX_BYTES]) -> &'a str {
    let hash = &hash[..hash.len().min(MAX_BYTES)];
    let digits = &mut buffer[..2 * hash.len()];
    const_hex::encode_to_str(hash, digits).unwrap_or_default()
}

/// A hash as text, for messages and tests.
pub fn to_string(hash: &[u8]) -> String {
    encode(hash, &mut [0; 2 * MAX_BYTES]).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<u8>, HexError> {
        decode(text, &mut [0; MAX_BYTES]).map(<[u8]>::to_vec)
    }

    #[test]
    fn golden() {
        assert_eq!(read("c3a1f0e00f1e3c78"), Ok(vec![0xc3, 0xa1, 0xf0, 0xe0, 0x0f, 0x1e, 0x3c, 0x78]));
        assert_eq!(read("FFfe"), Ok(vec![0xff, 0xfe]));
        assert_eq!(to_string(&[0x00, 0x0f, 0xab]), "000fab");
    }

    #[test]
    fn wrong_texts_name_what_is_wrong() {
        assert_eq!(read(""), Err(HexError::Empty));
        assert_eq!(read("abc"), Err(HexError::Odd { digits: 3 }));
        assert_eq!(read("0xab"), Err(HexError::Digit { character: 'x', position: 2 }));
        assert_eq!(read("\\xab"), Err(HexError::Digit { character: '\\', position: 1 }));
        assert_eq!(read("ab cd"), Err(HexError::Digit { character: ' ', position: 3 }));
        assert_eq!(read("äb"), Err(HexError::Digit { character: 'ä', position: 1 }));
        let bytes = |text: &[u8]| decode_bytes(text, &mut [0; MAX_BYTES]).map(<[u8]>::to_vec);
        assert_eq!(bytes(b"ab\xe4bcdefg"), Err(HexError::Byte { byte: 0xe4, position: 3 }));
        assert_eq!(bytes("ab日本".as_bytes()), Err(HexError::Digit { character: '日', position: 3 }));
        assert_eq!(read(&"0".repeat(1026)), Err(HexError::Wide { bits: 4104 }));
        assert_eq!(read(&"0".repeat(1024)).map(|h| h.len()), Ok(512));
    }

    proptest! {
        #[test]
        fn round_trip(hash in prop::collection::vec(any::<u8>(), 1..=512), upper in any::<bool>()) {
            let naive: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            prop_assert_eq!(&to_string(&hash), &naive);
            let text = if upper { naive.to_uppercase() } else { naive };
            prop_assert_eq!(read(&text), Ok(hash));
        }

        #[test]
        fn any_text_is_read_or_refused_as_the_naive_reader_does(text in "[0-9a-fA-FxX g\u{e9}]{0,8}") {
            let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
            let naive = digits.filter(|d| !d.is_empty() && d.len() % 2 == 0)
                .map(|d| d.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect::<Vec<u8>>());
            prop_assert_eq!(read(&text).ok(), naive);
        }
    }
}
