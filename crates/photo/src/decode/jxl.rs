//! JPEG XL (ISO/IEC 18181), by jxl in a process of its own ([`isolated`]); of an animation the first frame, as it is
//! shown.
//!
//! The process gets the whole file, and reads its boxes. The picture comes as it is stored: turns are left to the
//! orientation. A file that ends early is damaged: what is missing cannot be told from what is there.
//!
//! How much memory a picture takes depends on how it was coded. The process first gets what usual ones take, and a
//! picture that needs more is decoded again with twice as much, up to the limit. So a limit of many pictures at a time
//! counts what they take, and not what each may take.

use super::{area, damaged, isolated};
use crate::error::PhotoError;
use crate::format::Format;
use crate::jxl::Header;
use crate::limits::Limits;
use crate::picture::{Picture, Pixels};
use lumina_isolated::{Codec, Frame, Layout};

/// What the process takes beside the file and the picture, in bytes: 3 to 6 MB of tables and rows were measured.
const PROCESS: u64 = 6 << 20;
/// Bytes a pixel: 6 are the samples, which have 16 bits there; usual pictures were measured to take 1 more, those that
/// are lossless and progressive, or lossy and modular, 3.
const BYTES_A_PIXEL: u64 = 9;

pub(super) fn decode(bytes: &[u8], limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let header = Header::read(bytes).ok_or_else(|| damaged(Format::Jxl, "it has no whole header"))?;
    let (width, height) = header.size;
    limits.allow_pixels(width, height)?;
    let output = area(width, height, 3);
    let mut working = PROCESS + bytes.len() as u64 + area(width, height, BYTES_A_PIXEL);
    loop {
        limits.allow_memory(Format::Jxl, output + working)?;
        let given = Limits { memory: output + working, ..*limits };
        let most = limits.memory - output;
        match attempt(bytes, header.size, output, &given) {
            Err(PhotoError::Memory { .. }) if working < most => working = most.min(2 * working),
            Err(PhotoError::Memory { format, .. }) => {
                return Err(PhotoError::Memory { format, needed: output + 2 * working, limit: limits.memory });
            }
            result => return result,
        }
    }
}

/// Decodes a picture of this size within the memory of `limits`, of which `output` bytes are in use here.
fn attempt(bytes: &[u8], size: (u32, u32), output: u64, limits: &Limits<'_>) -> Result<Picture, PhotoError> {
    let failed = |failure| isolated::error(failure, Format::Jxl, limits);
    let is_cancelled = || limits.caller.is_cancelled();
    let pixels = area(size.0, size.1, 1);
    let mut program = isolated::start(Format::Jxl, Codec::JpegXl, pixels, output, limits, &is_cancelled)?;
    let Frame { width, height, layout, bits, .. } = program.decode(&[bytes]).map_err(failed)?;
    let is_known = matches!(layout, Layout::Monochrome | Layout::Rgb) && bits == 8;
    if (width, height) != size || !is_known {
        return Err(damaged(Format::Jxl, "a frame has another size than its picture"));
    }
    let mut samples = limits.zeros(area(width, height, layout.channels() as u64) as usize)?;
    program.receive(&mut samples).map_err(failed)?;
    let pixels = if layout == Layout::Rgb { Pixels::Rgb(samples) } else { Pixels::Grey(samples) };
    Ok(Picture { width, height, pixels, damage: None })
}
