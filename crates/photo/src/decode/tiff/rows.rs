//! Rows of the strips and tiles of a page, decompressed. Called by [`tiff`](super) alone.
//!
//! Rows come one at a time, so that none but the picture itself is held whole (and one strip or tile, if it is JPEG):
//! the rows of a tile below the page are not decompressed at all. Every decompressor is kept for the next strip.

use super::fax::{FaxCoding, FaxRows};
use super::jpegs::JpegChunk;
use super::page::{JPEG, Page};
use super::stored::Stored;
use super::{damage, unsupported};
use crate::error::PhotoError;
use crate::limits::{CancelCheck, Limits};
use flate2::{Decompress, FlushDecompress, Status};
use weezl::LzwStatus;
use weezl::decode::{Configuration, Decoder as LzwDecoder};

/// Bytes that are made between two checks.
const PIECE: usize = 64 << 10;

/// The codes that an LZW decoder can hold in its 64 bits. Without input it takes at least one of them each time that it
/// is called, also where it makes no bytes, and does not tell whether there are more.
const LZW_CODES: u32 = 64 / 9;

/// A decompressor, within a strip or tile.
enum Codec<'a> {
    None,
    /// Bytes that are left of a run, and their value unless they are stored.
    PackBits(usize, Option<u8>),
    /// And whether its codes have their lowest bit first.
    Lzw(LzwDecoder, bool),
    Deflate(Decompress),
    Fax(FaxRows<'a>),
    Jpeg(JpegChunk),
}

/// Reads the rows of one strip or tile after another.
pub(super) struct Rows<'a> {
    page: &'a Page<'a>,
    codec: Codec<'a>,
    stored: Stored<'a>,
}

impl<'a> Rows<'a> {
    /// Bytes that are allocated for this page, but for those of JPEG.
    pub(super) fn memory(page: &Page<'_>) -> u64 {
        fax_coding(page).map_or(0, |_| FaxRows::memory(page.chunk_width.into()))
    }

    /// Errors: [`PhotoError::Unsupported`], [`PhotoError::OutOfMemory`].
    pub(super) fn new(page: &'a Page<'a>) -> Result<Self, PhotoError> {
        let codec = match (page.compression, fax_coding(page)) {
            (_, Some(coding)) => Codec::Fax(FaxRows::new(coding, page.chunk_width)?),
            (1, _) => Codec::None,
            (5, _) => Codec::Lzw(lzw_decoder(false), false),
            (8 | 32946, _) => Codec::Deflate(Decompress::new(true)),
            (32773, _) => Codec::PackBits(0, None),
            (JPEG, _) => Codec::Jpeg(JpegChunk::default()),
            (other, _) => return Err(unsupported(format!("compression {other}"))),
        };
        Ok(Rows { page, codec, stored: Stored::new(&[], false) })
    }

    /// Goes to the first row of a strip or tile, of which that width and height are on the page. `held`: bytes that the
    /// caller holds. Errors: all of [`PhotoError`].
    pub(super) fn begin(
        &mut self,
        chunk: usize,
        seen: (u32, u32),
        held: u64,
        limits: &Limits<'_>,
    ) -> Result<(), PhotoError> {
        let stored = self.page.stored(chunk)?;
        self.stored = Stored::new(stored, self.page.reversed);
        match &mut self.codec {
            Codec::None => {}
            Codec::PackBits(left, _) => *left = 0,
            Codec::Lzw(decoder, lowest_first) => {
                // As libtiff wrote strips before 1990.
                let odd = if self.page.reversed { 0x80 } else { 1 };
                let is_old = matches!(stored, [0, second, ..] if second & odd > 0);
                if *lowest_first == is_old {
                    decoder.reset();
                } else {
                    (*decoder, *lowest_first) = (lzw_decoder(is_old), is_old);
                }
            }
            Codec::Deflate(decoder) => decoder.reset(true),
            Codec::Fax(rows) => rows.begin(stored, self.page.reversed),
            Codec::Jpeg(jpeg) => jpeg.decode(self.page, stored, seen, held, limits)?,
        }
        Ok(())
    }

    /// The next row as it is stored. Errors: all of [`PhotoError`].
    pub(super) fn read(&mut self, row: &mut [u8], check: &mut CancelCheck<'_>) -> Result<(), PhotoError> {
        match &mut self.codec {
            Codec::Fax(rows) => {
                check.row(row.len())?;
                return rows.read(row, check);
            }
            Codec::Jpeg(jpeg) => {
                check.row(row.len())?;
                jpeg.read(row);
                return Ok(());
            }
            _ => {}
        }
        for piece in row.chunks_mut(PIECE) {
            check.row(piece.len())?;
            let mut made = 0;
            while made < piece.len() {
                match self.some(&mut piece[made..], check)? {
                    0 => return Err(damage("a strip ends before its last row")),
                    count => made += count,
                }
            }
        }
        Ok(())
    }

    /// At least one more byte; none at the end.
    fn some(&mut self, out: &mut [u8], check: &mut CancelCheck<'_>) -> Result<usize, PhotoError> {
        let stored = &mut self.stored;
        match &mut self.codec {
            Codec::None => Ok(copy(stored, out, check)?),
            Codec::PackBits(left, value) => {
                while *left == 0 {
                    let Some(head) = stored.byte(check)? else { return Ok(0) };
                    (*left, *value) = match head {
                        0..128 => (usize::from(head) + 1, None),
                        128 => continue,
                        129.. => (257 - usize::from(head), stored.byte(check)?),
                    };
                }
                let length = out.len().min(*left);
                let count = match *value {
                    Some(value) => {
                        out[..length].fill(value);
                        length
                    }
                    None => copy(stored, &mut out[..length], check)?,
                };
                *left -= count;
                Ok(count)
            }
            Codec::Lzw(decoder, _) => {
                let mut idle = 0;
                loop {
                    let compressed = stored.fill(check)?;
                    idle += u32::from(compressed.is_empty());
                    let result = decoder.decode_bytes(compressed, out);
                    stored.consume(result.consumed_in);
                    let status = result.status.map_err(damage)?;
                    if result.consumed_out > 0 || idle > LZW_CODES || matches!(status, LzwStatus::Done) {
                        break Ok(result.consumed_out);
                    }
                }
            }
            Codec::Deflate(decoder) => loop {
                let compressed = stored.fill(check)?;
                let ended = compressed.is_empty();
                let (read, written) = (decoder.total_in(), decoder.total_out());
                let status = decoder.decompress(compressed, out, FlushDecompress::None).map_err(damage)?;
                stored.consume((decoder.total_in() - read) as usize);
                let count = (decoder.total_out() - written) as usize;
                if count > 0 || ended || status == Status::StreamEnd {
                    break Ok(count);
                }
            },
            Codec::Fax(_) | Codec::Jpeg(_) => Ok(0), // these are read by rows
        }
    }
}

fn copy(stored: &mut Stored<'_>, out: &mut [u8], check: &mut CancelCheck<'_>) -> Result<usize, PhotoError> {
    let bytes = stored.fill(check)?;
    let length = out.len().min(bytes.len());
    out[..length].copy_from_slice(&bytes[..length]);
    stored.consume(length);
    Ok(length)
}

/// A decoder that stops when it has made as much as is wanted: the code for the end may be missing.
fn lzw_decoder(lowest_first: bool) -> LzwDecoder {
    let configuration = match lowest_first {
        false => Configuration::with_tiff_size_switch(weezl::BitOrder::Msb, 8),
        true => Configuration::new(weezl::BitOrder::Lsb, 8),
    };
    configuration.with_yield_on_full_buffer(true).build()
}

fn fax_coding(page: &Page<'_>) -> Option<FaxCoding> {
    match page.compression {
        2 => Some(FaxCoding::Aligned(8)),
        32771 => Some(FaxCoding::Aligned(16)),
        3 if page.two_dimensional => Some(FaxCoding::Group3TwoDimensional),
        3 => Some(FaxCoding::Group3),
        4 => Some(FaxCoding::Group4),
        _ => None,
    }
}
