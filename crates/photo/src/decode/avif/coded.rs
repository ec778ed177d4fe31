//! Coded pictures: what is known of one before it is decoded, the process that decodes it, and its rows as they come.

use super::colour::{Conversion, Lines, ready};
use super::obu::Units;
use crate::decode::items::nclx::Nclx;
use crate::decode::items::{Canvas, FIXED};
use crate::decode::{area, damaged, isolated};
use crate::error::PhotoError;
use crate::format::Format;
use crate::heif::transforms::Rectangle;
use crate::heif::{Heif, Item};
use crate::limits::Limits;
use lumina_isolated::client::{Failure, Program};
use lumina_isolated::{Codec, Frame, Layout, Refusal};

/// What the process takes whatever it decodes, in bytes: some 1.2 MB were measured.
const PROCESS: u64 = 4 << 20;

/// The property `av1C` (AV1 Codec ISO Media File Format Binding, 2.3).
pub(super) struct Configuration<'a> {
    high_bits: bool,
    monochrome: bool,
    /// Samples of chroma for four of luma.
    chroma: u64,
    /// Units that come before those of the item.
    units: &'a [u8],
}

impl<'a> Configuration<'a> {
    pub(super) fn read(heif: &Heif<'a>, item: &Item) -> Result<Self, PhotoError> {
        let found = heif.contents(item, b"av1C").next().and_then(|property| property.split_first_chunk::<4>());
        let (&[_, _, flags, _], units) =
            found.ok_or_else(|| damaged(Format::Avif, "a picture has no decoder configuration"))?;
        let bit = |place: u32| flags >> place & 1 == 1;
        let monochrome = bit(4);
        let chroma = match (monochrome, bit(3), bit(2)) {
            (true, ..) => 0,
            (_, true, true) => 2,
            (_, true, false) => 4,
            _ => 8,
        };
        Ok(Configuration { high_bits: bit(6), monochrome, chroma, units })
    }

    /// Samples of a pixel of the output.
    pub(super) fn channels(&self) -> usize {
        if self.monochrome { 1 } else { 3 }
    }

    /// Bytes that decoding `length` bytes takes in addition to the output, there and here. Measured were the planes,
    /// and 0.6 to 1 byte a pixel; film grain takes the planes twice.
    pub(super) fn working_memory(&self, width: u32, height: u32, length: u64) -> u64 {
        let planes = area(width, height, 4 + self.chroma) / 4 * if self.high_bits { 2 } else { 1 };
        planes * 2 + area(width, height, 1) + length + PROCESS + self.held_memory(width, length)
    }

    /// Bytes that are held here of it: rows, and the bytes of an item, should they be in several pieces.
    pub(super) fn held_memory(&self, width: u32, length: u64) -> u64 {
        FIXED + Lines::memory(width) + length
    }
}

/// How often the program is started for one file, at most.
const MAX_STARTS: u32 = 4;

/// The process that decodes the pictures of one file. Where it answers no more, or what it sends next is not known, it
/// is ended, and the next picture has another.
pub(super) struct Decoder<'a> {
    program: Option<Program<'a>>,
    /// How often it may still be started.
    starts: u32,
    pixels: u64,
    held: u64,
    limits: &'a Limits<'a>,
    is_cancelled: &'a dyn Fn() -> bool,
}

impl<'a> Decoder<'a> {
    /// For frames of `pixels` together, beside `held` bytes.
    pub(super) fn new(pixels: u64, held: u64, limits: &'a Limits<'a>, is_cancelled: &'a dyn Fn() -> bool) -> Self {
        Decoder { program: None, starts: MAX_STARTS, pixels, held, limits, is_cancelled }
    }

    fn start(&mut self) -> Result<Program<'a>, PhotoError> {
        let ended = || damaged(Format::Avif, "its decoder has ended too often");
        self.starts = self.starts.checked_sub(1).ok_or_else(ended)?;
        isolated::start(Format::Avif, Codec::Av1, self.pixels, self.held, self.limits, self.is_cancelled)
    }

    /// Decodes an item into its place. What `nclx` says counts before the frame's own numbers.
    pub(super) fn paint(
        &mut self,
        data: &[u8],
        configuration: &Configuration<'_>,
        nclx: Option<Nclx>,
        canvas: &mut Canvas<'_>,
        place: Rectangle,
    ) -> Result<(), PhotoError> {
        let wrong = |why: &str| damaged(Format::Avif, why);
        let units = Units::read(data);
        if !units.is_picture || !Units::read(configuration.units).is_picture {
            return Err(wrong("a picture has more frames than layers"));
        }
        let before = if units.has_sequence { &[][..] } else { configuration.units };
        let mut program = self.program.take().map_or_else(|| self.start(), Ok)?;
        let frame = match program.decode(&[before, data]) {
            Ok(frame) => frame,
            Err(failure) => {
                if let Failure::Refused(Refusal::Damaged | Refusal::TooLarge) = failure {
                    self.program = Some(program);
                }
                return Err(isolated::error(failure, Format::Avif, self.limits));
            }
        };
        if (frame.width, frame.height) != (place.width, place.height) {
            return Err(wrong("a frame has another size than its picture"));
        }
        if (frame.layout == Layout::Monochrome) != (canvas.channels == 1) || frame.layout == Layout::Rgb {
            return Err(wrong("a frame has other colours than its picture"));
        }
        self.rows(&mut program, &frame, &Conversion::new(nclx, &frame)?, canvas, place)?;
        // All of its samples are taken.
        self.program = Some(program);
        Ok(())
    }

    /// Converts the rows of a frame as they come.
    fn rows(
        &self,
        program: &mut Program<'_>,
        frame: &Frame,
        conversion: &Conversion,
        canvas: &mut Canvas<'_>,
        place: Rectangle,
    ) -> Result<(), PhotoError> {
        let mut lines = Lines::new(frame, self.limits)?;
        let failed = |failure| isolated::error(failure, Format::Avif, self.limits);
        let mut receive = |samples: &mut [u8]| program.receive(samples).map_err(failed);
        let rows = frame.layout.rows();
        for strip in 0..frame.height.div_ceil(rows) {
            let first = strip * rows;
            for row in first..frame.height.min(first + rows) {
                lines.read_luma(row, conversion, &mut receive)?;
            }
            lines.read_chroma(conversion, &mut receive)?;
            let (begin, end) = ready(frame.layout, strip, frame.height);
            for row in begin..end {
                if let Some((from, out)) = canvas.line(place, row) {
                    lines.convert(row, strip, conversion, from, out);
                }
            }
        }
        Ok(())
    }
}
