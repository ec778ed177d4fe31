//! One picture coded with HEVC (ITU-T H.265): bounded, cancelled and decoded.
//!
//! heifer-hevc-dec allocates what a sequence parameter set claims, so that one is looked at as soon as it is read. Its
//! parser hands every coding unit to a sink, which is ours: there a decode is cancelled. The loop filters at the end
//! run over the whole picture and cannot be stopped: a larger picture, or one of more bytes, is decoded by a
//! [`decoder_thread`].
//!
//! Behind the end of its data the parser reads zeros, and could make a large picture of no bytes. But each coding unit
//! takes at least one bit, the first of its luma prediction mode, which is not compressed (9.3.4.2, table 9.46). So
//! there are no more units than bits.

use crate::decode::{area, damaged, decoder_thread, unsupported};
use crate::error::PhotoError;
use crate::format::Format;
use crate::input::{guarded, unwind, unwind_if_cancelled};
use crate::limits::Limits;
use heifer_hevc_dec::Error;
use heifer_hevc_dec::nal::{NalHeader, NalUnit, NalUnitType};
use heifer_hevc_dec::params::{ParameterSets, Pps, Sps};
use heifer_hevc_dec::recon::{Frame as Planes, Reconstructor};
use heifer_hevc_dec::slice::SliceHeader;
use heifer_hevc_dec::syntax::{CodingUnit, Picture, SaoParams, Sink, TransformBlock, decode_slice_segment};
use std::borrow::Cow;

/// The longest side of a coded picture, in pixels: tables of rows and columns are allocated by it. Level 6.2 has
/// 16,888.
const MAX_SIDE: u32 = 1 << 16;
/// Tile columns and rows of a coded picture, at most (table A.8): finding the order of its blocks takes their sum for
/// each block.
const MAX_COLUMNS: u32 = 20;
const MAX_ROWS: u32 = 22;
/// Bytes of a parameter set, at most: as many as a decoder configuration can hold. They are copied without escapes.
const MAX_SET: usize = 0xffff;
/// Bytes in which the header of a slice must end: offsets of 4 bytes, and their escapes, to the rows of all tiles.
const HEADER: usize = 1 << 19;
/// Pixels between two checks for cancellation: some milliseconds.
const PIXELS_AT_ONCE: u32 = 1 << 16;
/// Parameter sets between two of these checks.
const UNITS_AT_ONCE: usize = 64;

/// The samples of a coded picture.
pub(super) struct Frame {
    pub(super) planes: Planes,
    /// Where its conformance window begins, in samples of luma, and of chroma.
    pub(super) luma: (usize, usize),
    pub(super) chroma: (usize, usize),
}

/// A coded picture whose headers have been read and checked.
pub(super) struct Coded {
    sets: ParameterSets,
    /// The bytes of the length before each unit.
    prefix: usize,
    /// Of its conformance window, in pixels.
    pub(super) width: u32,
    pub(super) height: u32,
    /// With what is cut off.
    stored: (u32, u32),
    /// 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub(super) chroma: u8,
    /// Bits of a sample.
    pub(super) depth: u8,
    /// Whether black is 0, the colour primaries, and the matrix coefficients, as the sequence parameter set says.
    pub(super) full: bool,
    pub(super) primaries: u16,
    pub(super) matrix: u16,
    /// Pixels of the smallest units that there are tables of.
    block: u32,
}

fn error(error: Error) -> PhotoError {
    match error {
        Error::Unimplemented(what) => unsupported(Format::Heic, what),
        error => damaged(Format::Heic, error),
    }
}

/// The units of an item's data, each behind its length.
struct Units<'a> {
    rest: &'a [u8],
    prefix: usize,
}

impl<'a> Iterator for Units<'a> {
    type Item = Result<&'a [u8], PhotoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (rest, prefix) = (std::mem::take(&mut self.rest), self.prefix);
        let length = rest.get(..prefix).map(|bytes| bytes.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)));
        let unit = length.and_then(|length| rest[prefix..].split_at_checked(length));
        let Some((unit, rest)) = unit else {
            return Some(Err(damaged(Format::Heic, "a unit is longer than its item")));
        };
        self.rest = rest;
        Some(Ok(unit))
    }
}

/// The parameter sets in a decoder configuration (ISO/IEC 14496-15, 8.3.3.1), and the bytes of a length.
fn configured<'a>(record: &'a [u8]) -> Option<(usize, Vec<&'a [u8]>)> {
    let prefix = usize::from(record.get(21)? & 3) + 1;
    let (&arrays, mut rest) = record.get(22..)?.split_first()?;
    let two = |rest: &mut &'a [u8]| {
        let (head, behind) = rest.split_first_chunk::<2>()?;
        *rest = behind;
        Some(usize::from(u16::from_be_bytes(*head)))
    };
    let mut units = Vec::new();
    for _ in 0..arrays {
        rest = rest.get(1..)?;
        for _ in 0..two(&mut rest)? {
            let length = two(&mut rest)?;
            let (unit, behind) = rest.split_at_checked(length)?;
            // As many as there are numbers for them, and some to spare.
            if units.len() < 256 {
                units.push(unit);
            }
            rest = behind;
        }
    }
    Some((prefix, units))
}

/// Adds a unit, if it is a parameter set, and checks what it claims.
fn add(sets: &mut ParameterSets, unit: &[u8], limits: &Limits<'_>) -> Result<(), PhotoError> {
    let Ok(NalHeader { unit_type, layer_id: 0, .. }) = NalHeader::parse(unit) else { return Ok(()) };
    if matches!(unit_type, NalUnitType::Sps | NalUnitType::Pps) && unit.len() > MAX_SET {
        return Err(damaged(Format::Heic, "a parameter set is longer than 65535 bytes"));
    }
    match unit_type {
        NalUnitType::Sps => {
            sets.add(&NalUnit::parse(unit).map_err(error)?).map_err(error)?;
            // The new one replaces one of its number: all of them are checked.
            sets.sps.iter().flatten().try_for_each(|sps| check(sps, limits))
        }
        NalUnitType::Pps => {
            sets.add(&NalUnit::parse(unit).map_err(error)?).map_err(error)?;
            let tiles = sets.pps.iter().flatten().filter_map(|pps| pps.tiles.as_ref());
            match { tiles }.any(|tiles| tiles.num_columns > MAX_COLUMNS || tiles.num_rows > MAX_ROWS) {
                true => Err(damaged(Format::Heic, "more tiles than any level has")),
                false => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn check(sps: &Sps, limits: &Limits<'_>) -> Result<(), PhotoError> {
    let (width, height) = (sps.pic_width_in_luma_samples, sps.pic_height_in_luma_samples);
    limits.allow_pixels(width, height)?;
    if width.max(height) > MAX_SIDE {
        return Err(unsupported(Format::Heic, "a side of more than 65536 pixels"));
    }
    Ok(())
}

/// The bits that coding units can take, with some to spare for the end of the arithmetic code.
fn bits(data: &[u8]) -> u64 {
    data.len() as u64 * 8 + 64
}

/// The header of a slice, if the unit is one of the picture itself.
fn slice(unit: &[u8], sets: &ParameterSets, previous: Option<&SliceHeader>) -> Result<Option<SliceHeader>, PhotoError> {
    match NalHeader::parse(unit) {
        Ok(header) if header.unit_type.is_slice() && header.layer_id == 0 => {
            // Headers are short: not all of a large slice is copied for its header.
            let start = NalUnit::parse(&unit[..unit.len().min(HEADER)]).map_err(error)?;
            SliceHeader::parse(&start.rbsp, &header, sets, previous).map(Some).map_err(error)
        }
        _ => Ok(None),
    }
}

impl Coded {
    /// Reads the headers of a picture: `record` is its decoder configuration, `data` its units.
    pub(super) fn open(record: &[u8], data: &[u8], limits: &Limits<'_>) -> Result<Self, PhotoError> {
        let wrong = |why| damaged(Format::Heic, why);
        let (prefix, units) = configured(record).ok_or_else(|| wrong("its decoder configuration breaks off"))?;
        let mut sets = ParameterSets::default();
        for unit in units {
            add(&mut sets, unit, limits)?;
        }
        let mut found = None;
        for (count, unit) in (Units { rest: data, prefix }).enumerate() {
            if count % UNITS_AT_ONCE == 0 {
                limits.check()?;
            }
            let unit = unit?;
            found = slice(unit, &sets, None)?;
            if found.is_some() {
                break;
            }
            add(&mut sets, unit, limits)?;
        }
        let header = found.ok_or_else(|| wrong("no picture in an item"))?;
        let (_, sps) = sets.get(header.slice_pic_parameter_set_id.into()).map_err(error)?;
        if sps.separate_colour_plane_flag {
            return Err(unsupported(Format::Heic, "colour planes coded apart"));
        }
        if sps.bit_depth_luma != sps.bit_depth_chroma && sps.chroma_format_idc > 0 || sps.bit_depth_luma > 14 {
            return Err(unsupported(Format::Heic, "more than 14 bits, or different ones"));
        }
        let (across, down) = sps.pic_size_in_ctbs();
        if area(across, down, 1) > bits(data) {
            return Err(wrong("it ends early"));
        }
        let (width, height) = sps.output_size();
        let vui = sps.vui.as_ref();
        Ok(Coded {
            prefix,
            width,
            height,
            stored: (sps.pic_width_in_luma_samples, sps.pic_height_in_luma_samples),
            chroma: sps.chroma_format_idc,
            depth: sps.bit_depth_luma,
            full: vui.is_some_and(|vui| vui.video_full_range_flag),
            primaries: vui.map_or(2, |vui| vui.colour_primaries.into()),
            matrix: vui.map_or(2, |vui| vui.matrix_coeffs.into()),
            block: sps.ctb_size().pow(2),
            sets,
        })
    }

    /// Samples of a pixel of the output.
    pub(super) fn channels(&self) -> usize {
        if self.chroma == 0 { 1 } else { 3 }
    }

    /// Bytes that decoding takes in addition to `length` bytes of data: planes of 16 bits, a copy of the largest for
    /// the last filter, 17 bytes for every 4 x 4 pixels, 128 for every block; a slice without its escapes, and in a
    /// thread a copy of the data.
    pub(super) fn working_memory(&self, length: u64) -> u64 {
        let (width, height) = self.stored;
        let pixels = area(width, height, 1);
        let samples = match self.chroma {
            0 => pixels * 4,
            1 => pixels * 5,
            2 => pixels * 6,
            _ => pixels * 8,
        };
        let blocks = pixels / u64::from(self.block) + u64::from(width.max(height)) / 8 + 1;
        samples + pixels * 17 / 16 + blocks * 128 + length * 2
    }

    /// The samples. `data` is what [`Coded::open`] has read.
    pub(super) fn decode(&self, data: Cow<'_, [u8]>, limits: &Limits<'_>) -> Result<Frame, PhotoError> {
        let (width, height) = self.stored;
        // A long slice is copied without its escapes at once, however small its picture.
        if area(width, height, 1).max(data.len() as u64) <= decoder_thread::LARGE {
            return guarded(Format::Heic, || frame(&self.sets, self.prefix, &data, limits));
        }
        let (sets, prefix) = (self.sets.clone(), self.prefix);
        let data = match data {
            Cow::Owned(data) => data,
            Cow::Borrowed(data) => limits.joined(&[data])?,
        };
        decoder_thread::run(Format::Heic, data, limits, move |data, limits| frame(&sets, prefix, data, limits))
    }
}

/// Decodes the first picture of some units.
fn frame(sets: &ParameterSets, prefix: usize, data: &[u8], limits: &Limits<'_>) -> Result<Frame, PhotoError> {
    let wrong = |why| damaged(Format::Heic, why);
    let mut state: Option<(Picture<'_>, Checked<'_, '_>)> = None;
    let mut previous: Option<SliceHeader> = None;
    for (count, unit) in (Units { rest: data, prefix }).enumerate() {
        if count % UNITS_AT_ONCE == 0 {
            limits.check()?;
        }
        let unit = unit?;
        let Some(header) = slice(unit, sets, previous.as_ref())? else { continue };
        if header.first_slice_segment_in_pic_flag && state.is_some() {
            break; // the next picture
        }
        let (pps, sps) = match &state {
            Some((picture, _)) => (picture.pps, picture.sps),
            None => sets.get(header.slice_pic_parameter_set_id.into()).map_err(error)?,
        };
        let (picture, sink) = state.get_or_insert_with(|| start(sps, pps, bits(data), limits));
        // Slices follow each other without a gap: otherwise few bytes could decode the picture many times.
        let place = picture.layout.rs_to_ts.get(header.slice_segment_address as usize);
        if place != Some(&picture.decoded_ctbs) {
            return Err(wrong("its slices are not in their order"));
        }
        let unit = NalUnit::parse(unit).map_err(error)?;
        let body = unit.rbsp.get(header.header_size..).ok_or_else(|| wrong("a slice ends in its header"))?;
        sink.inner.start_slice(&header);
        let quantizer = header.slice_qp_y(sets).map_err(error)?;
        decode_slice_segment(picture, &header, quantizer, body, sink).map_err(error)?;
        if let Some(problem) = sink.inner.error.take() {
            return Err(error(problem));
        }
        if picture.is_complete() {
            break;
        }
        if !header.dependent_slice_segment_flag {
            // Each dependent slice copies this one.
            previous = Some(SliceHeader { entry_point_offsets: Vec::new(), ..header });
        }
    }
    let (picture, sink) = state.filter(|(picture, _)| picture.is_complete()).ok_or_else(|| wrong("it ends early"))?;
    let (across, down) = picture.sps.chroma_subsampling();
    let [left, _, top, _] = picture.sps.conf_win_offsets;
    drop(picture);
    limits.check()?;
    Ok(Frame {
        planes: sink.inner.finish(false),
        luma: ((left * across) as usize, (top * down) as usize),
        chroma: (left as usize, top as usize),
    })
}

fn start<'a, 'l>(sps: &'a Sps, pps: &'a Pps, bits: u64, limits: &'l Limits<'l>) -> (Picture<'a>, Checked<'a, 'l>) {
    (Picture::new(sps, pps), Checked { inner: Reconstructor::new(sps, pps), bits, pixels: 0, limits })
}

/// The decoder's own sink, with checks for cancellation. Must be used inside [`guarded`].
struct Checked<'a, 'l> {
    inner: Reconstructor<'a>,
    /// The units that may still come.
    bits: u64,
    /// Since the last check.
    pixels: u32,
    limits: &'l Limits<'l>,
}

impl Sink for Checked<'_, '_> {
    fn sao(&mut self, x: u32, y: u32, params: &SaoParams) {
        self.inner.sao(x, y, params);
    }

    fn transform_block(&mut self, block: &TransformBlock<'_>) {
        self.inner.transform_block(block);
    }

    fn pcm(&mut self, x: u32, y: u32, log2_size: u8, samples: [&[u16]; 3]) {
        self.inner.pcm(x, y, log2_size, samples);
    }

    fn coding_unit(&mut self, unit: &CodingUnit) {
        self.inner.coding_unit(unit);
        match self.bits.checked_sub(1) {
            Some(bits) => self.bits = bits,
            None => unwind("its data end early"),
        }
        self.pixels += 1 << (2 * unit.log2_size);
        if self.pixels >= PIXELS_AT_ONCE {
            self.pixels = 0;
            unwind_if_cancelled(self.limits.caller);
        }
    }
}
