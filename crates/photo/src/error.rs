//! Why an image yields no facts.

use crate::format::Format;

/// Why an image could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhotoError {
    /// No bytes at all.
    #[error("the image is empty")]
    Empty,
    /// The first bytes belong to no image format.
    #[error("the bytes are not an image of a known format")]
    Unknown {
        /// Their format, if known: "a ZIP archive", say.
        looks_like: Option<&'static str>,
    },
    /// An image whose pixels cannot be read here.
    #[error("{format} images cannot be decoded: {why}")]
    Unsupported {
        /// Its format.
        format: Format,
        /// Which part of it is not supported.
        why: String,
    },
    /// An image whose pixels could be read here, were it not for the system: the same image may be read another time.
    #[error("{format} images cannot be decoded here: {why}")]
    Unavailable {
        /// Its format.
        format: Format,
        /// What is missing.
        why: String,
    },
    /// A raw file in which no preview was found that could be decoded.
    #[error("the {format} file holds no preview that can be decoded")]
    NoPreview {
        /// Its format.
        format: Format,
    },
    /// The bytes break the rules of their format, or end too early.
    #[error("the {format} image is damaged: {why}")]
    Damaged {
        /// The format that it claims.
        format: Format,
        /// The decoder's message.
        why: String,
    },
    /// More pixels than allowed.
    #[error("the image has {width} x {height} pixels, more than the {limit} that are allowed")]
    Pixels {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// In pixels: width times height.
        limit: u64,
    },
    /// More memory than allowed.
    #[error("the {format} image needs {needed} bytes of memory, more than the {limit} that are allowed")]
    Memory {
        /// Its format.
        format: Format,
        /// In bytes.
        needed: u64,
        /// In bytes.
        limit: u64,
    },
    /// The system is out of memory.
    #[error("out of memory")]
    OutOfMemory,
    /// The caller has cancelled.
    #[error("cancelled")]
    Cancelled,
}
