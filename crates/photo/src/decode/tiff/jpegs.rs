//! Strips and tiles in JPEG (TIFF Technical Note 2), decoded as a whole by [`jpeg`](crate::decode::jpeg).

use super::damage;
use super::page::Page;
use crate::decode::jpeg::JpegStream;
use crate::error::PhotoError;
use crate::format::Format;
use crate::limits::Limits;

/// The samples of a strip or tile, of which some rows are read already.
#[derive(Default)]
pub(super) struct JpegChunk {
    samples: Vec<u8>,
    /// Where the next row begins, and the bytes of a row.
    at: usize,
    stride: usize,
}

impl JpegChunk {
    /// Decodes another one, of at least that width and height. `held`: bytes that the caller holds. Errors: all of
    /// [`PhotoError`].
    pub(super) fn decode(
        &mut self,
        page: &Page<'_>,
        stored: &[u8],
        (width, height): (u32, u32),
        held: u64,
        limits: &Limits<'_>,
    ) -> Result<(), PhotoError> {
        *self = Self::default(); // the last one is freed before the next one is made
        let largest = (page.chunk_width, page.chunk_height);
        let stream = JpegStream { tables: page.jpeg_tables, bytes: stored, largest, held };
        let decoded = stream.components(limits).map_err(|error| match error {
            PhotoError::Damaged { why, .. } => PhotoError::Damaged { format: Format::Tiff, why },
            PhotoError::Unsupported { why, .. } => PhotoError::Unsupported { format: Format::Tiff, why },
            error => error,
        })?;
        let each = page.samples_each();
        if decoded.width < width || decoded.height < height || decoded.channels as usize != each {
            return Err(damage("a strip in JPEG is less than it should be"));
        }
        if let Some(found) = decoded.damage {
            return Err(damage(format!("a strip in JPEG {}", found.text())));
        }
        *self = JpegChunk { samples: decoded.samples, at: 0, stride: decoded.width as usize * each };
        Ok(())
    }

    /// Copies the next row, as far as it goes: to the right of the page, a tile may end.
    pub(super) fn read(&mut self, row: &mut [u8]) {
        let stored = self.samples.get(self.at..).unwrap_or_default();
        let length = row.len().min(self.stride).min(stored.len());
        row[..length].copy_from_slice(&stored[..length]);
        self.at += self.stride;
    }
}
