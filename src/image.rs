//! Images given as `bytea`: their hashes, and what their metadata say. The work is done in `lumina-photo`.
//!
//! - [`hash`]: `image_phash`, `image_pdq`, `image_phashes`, `image_phash_dihedral`.
//! - [`info`]: the function `image_info`.
//! - [`error`]: what can be wrong with images and methods.
//!
//! All of it runs on the backend's own thread, within the limits of the settings, and checks for interrupts as it goes.

mod error;
mod hash;
mod info;

use crate::error::LuminaError;
use crate::guc;
use crate::pg::backend::interrupts::Waiting;
use lumina_photo::{Format, Limits, Orientation, PhotoError, Picture, metadata};

/// The limits that the settings give.
fn limits(waiting: &Waiting) -> Limits<'_> {
    Limits { pixels: guc::max_image_pixels().value as u64, memory: guc::image_memory().value as u64, caller: waiting }
}

/// An image, decoded.
struct DecodedImage {
    format: Format,
    picture: Picture,
    /// The orientation in the file.
    stored: Orientation,
    /// The orientation to show.
    shown: Orientation,
}

/// Decodes an image; a damaged one is refused. `orient`: whether the orientation in the file counts.
fn decode(bytes: &[u8], orient: bool, limits: &Limits<'_>) -> Result<DecodedImage, PhotoError> {
    let (format, picture) = lumina_photo::decode(bytes, limits)?;
    if let Some(damage) = picture.damage {
        return Err(PhotoError::Damaged { format, why: format!("it {}", damage.text()) });
    }
    let stored = metadata::orientation(bytes, format);
    let shown = if orient { stored } else { Orientation::Upright };
    Ok(DecodedImage { format, picture, stored, shown })
}

/// Runs `work` within the limits of the settings; an interrupt stops it.
fn within_limits<R>(work: impl FnOnce(&Limits<'_>) -> Result<R, PhotoError>) -> Result<R, LuminaError> {
    let waiting = Waiting::begin()?;
    let result = work(&limits(&waiting));
    waiting.end(result)
}
