//! The stored bytes of a strip or tile, in the order of bits that decompressors expect. Used by [`rows`](super::rows)
//! and [`fax`](super::fax).

use crate::error::PhotoError;
use crate::limits::CancelCheck;

/// Bytes that are handed out at once: a decompressor spends a millisecond on them at most, if they are not a bomb.
const PIECE: usize = 4 << 10;

/// Compressed bytes, read from their beginning.
pub(super) struct Stored<'a> {
    rest: &'a [u8],
    /// FillOrder 2: the first pixel is in the lowest bit. As in libtiff, this concerns the bytes before decompression.
    reversed: bool,
    /// The part of `rest` that may be read, as far as it is not reversed.
    piece: usize,
    /// The reversed part of `rest`, from `from` to `piece`.
    turned: Vec<u8>,
}

impl<'a> Stored<'a> {
    pub(super) fn new(bytes: &'a [u8], reversed: bool) -> Self {
        Stored { rest: bytes, reversed, piece: 0, turned: Vec::new() }
    }

    /// The next bytes, of which [`consume`](Self::consume) takes some; none at the end. Errors:
    /// [`PhotoError::Cancelled`].
    pub(super) fn fill(&mut self, check: &mut CancelCheck<'_>) -> Result<&[u8], PhotoError> {
        if self.piece == 0 {
            self.piece = self.rest.len().min(PIECE);
            check.advance(self.piece)?;
            if self.reversed {
                self.turned.clear();
                self.turned.extend(self.rest[..self.piece].iter().map(|byte| byte.reverse_bits()));
            }
        }
        Ok(if self.reversed { &self.turned[self.turned.len() - self.piece..] } else { &self.rest[..self.piece] })
    }

    /// Goes on by at most as many bytes as [`fill`](Self::fill) has given.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.piece);
        self.piece -= count;
        self.rest = &self.rest[count..];
    }

    /// The next byte.
    pub(super) fn byte(&mut self, check: &mut CancelCheck<'_>) -> Result<Option<u8>, PhotoError> {
        let byte = self.fill(check)?.first().copied();
        self.consume(1);
        Ok(byte)
    }
}
