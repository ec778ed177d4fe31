//! What can be wrong with images and methods of hashing.

use crate::error::{Report, UserError, raise_setting, sentence};
use crate::guc;
use lumina_photo::hash::{NoForms, SizeError};
use lumina_photo::{Method, PhotoError};
use pgrx::PgSqlErrorCode::*;

/// There is no method of that name.
#[derive(Debug)]
pub(super) struct UnknownMethod(pub(super) String);

impl UserError for UnknownMethod {
    fn report(&self) -> Report {
        Report::new(ERRCODE_INVALID_PARAMETER_VALUE, format!("unknown method \"{}\"", self.0))
            .hint("The methods are ahash, dhash, dct (also phash), whash, median, block and pdq.")
    }
}

impl UserError for SizeError {
    fn report(&self) -> Report {
        let hint = match self {
            Self::Size { method: Method::Pdq, .. } => "PDQ has 256 bits: leave size out, or give 16.",
            Self::Size { .. } => "Give 4, 8, 12, or another multiple of 4 up to 64: the hash has size * size bits.",
            Self::PowerOfTwo { .. } => "Give 4, 8, 16, 32 or 64.",
        };
        Report::new(ERRCODE_INVALID_PARAMETER_VALUE, self.to_string()).hint(hint)
    }
}

impl UserError for NoForms {
    fn report(&self) -> Report {
        let hint = match self.method {
            Method::Pdq => "PDQ has 256 bits.",
            _ => "A hash that has forms has as many rows of bits as columns: 16, 64, 144, 256 bits and so on.",
        };
        Report::new(ERRCODE_INVALID_PARAMETER_VALUE, self.to_string()).hint(hint)
    }
}

impl UserError for PhotoError {
    fn report(&self) -> Report {
        const FORMATS: &str =
            "Images are JPEG, PNG, GIF, WebP, TIFF, BMP, HEIC, AVIF, JPEG XL, and raw files of cameras.";
        const SMALLER: &str = "Scale the image down, or end sessions that take much memory.";
        let message = self.to_string();
        match self {
            Self::Empty | Self::Unknown { looks_like: None } => {
                Report::new(ERRCODE_INVALID_BINARY_REPRESENTATION, message).hint(FORMATS)
            }
            Self::Unknown { looks_like: Some(what) } => Report::new(ERRCODE_INVALID_BINARY_REPRESENTATION, message)
                .detail(format!("They look like {what}."))
                .hint(FORMATS),
            Self::Unsupported { .. } => Report::new(ERRCODE_FEATURE_NOT_SUPPORTED, message)
                .hint("image_info reads what its metadata say; convert it to JPEG or PNG for a hash."),
            Self::Unavailable { .. } => Report::new(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message).hint(format!(
                "Install {} of the same build beside the library (pg_config --pkglibdir).",
                lumina_isolated::PROGRAM
            )),
            Self::NoPreview { .. } => Report::new(ERRCODE_FEATURE_NOT_SUPPORTED, message)
                .hint("image_info reads what its metadata say; export it as JPEG for a hash."),
            Self::Damaged { .. } => {
                Report::new(ERRCODE_DATA_EXCEPTION, message).hint("Replace the image by a copy that is whole.")
            }
            Self::Pixels { width, height, limit } => {
                let setting = guc::max_image_pixels().setting;
                let message =
                    format!("the image has {width} x {height} pixels, more than the {limit} that {setting} allows");
                Report::new(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, message)
                    .hint(sentence(&format!("{}, or scale the image down", raise_setting(setting))))
            }
            Self::Memory { needed, limit, .. } => {
                let setting = guc::image_memory().setting;
                let (needed, limit) = (needed.div_ceil(1024), limit / 1024);
                let message =
                    format!("the image needs {needed} kB of memory, more than the {limit} kB that {setting} allows");
                Report::new(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, message)
                    .hint(sentence(&format!("{}, or scale the image down", raise_setting(setting))))
            }
            Self::OutOfMemory => Report::new(ERRCODE_OUT_OF_MEMORY, message).hint(SMALLER),
            Self::Cancelled => Report::new(ERRCODE_QUERY_CANCELED, message).hint(SMALLER),
        }
    }
}
