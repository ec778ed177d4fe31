//! The format of a file, by its content. Names and extensions are ignored.

mod detect;

use std::fmt;

pub use detect::detect;

/// A format of image files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// JPEG (ITU-T T.81).
    Jpeg,
    /// PNG (ISO/IEC 15948).
    Png,
    /// GIF87a and GIF89a.
    Gif,
    /// WebP (RFC 9649).
    WebP,
    /// TIFF 6.0 and BigTIFF.
    Tiff,
    /// Windows bitmap.
    Bmp,
    /// Adobe Digital Negative.
    Dng,
    /// Canon, built on TIFF.
    Cr2,
    /// Canon, built on ISO base media files.
    Cr3,
    /// Nikon.
    Nef,
    /// Sony.
    Arw,
    /// Olympus, OM System.
    Orf,
    /// Panasonic, Leica.
    Rw2,
    /// Fujifilm.
    Raf,
    /// Pentax, Ricoh.
    Pef,
    /// Samsung.
    Srw,
    /// HEIF with HEVC.
    Heic,
    /// HEIF with AV1.
    Avif,
    /// JPEG XL.
    Jxl,
}

impl Format {
    /// The name in SQL: lower case, like the usual extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::WebP => "webp",
            Self::Tiff => "tiff",
            Self::Bmp => "bmp",
            Self::Dng => "dng",
            Self::Cr2 => "cr2",
            Self::Cr3 => "cr3",
            Self::Nef => "nef",
            Self::Arw => "arw",
            Self::Orf => "orf",
            Self::Rw2 => "rw2",
            Self::Raf => "raf",
            Self::Pef => "pef",
            Self::Srw => "srw",
            Self::Heic => "heic",
            Self::Avif => "avif",
            Self::Jxl => "jxl",
        }
    }

    /// Whether it is a camera's raw file, of which a preview is read.
    pub fn is_raw(self) -> bool {
        matches!(
            self,
            Self::Dng
                | Self::Cr2
                | Self::Cr3
                | Self::Nef
                | Self::Arw
                | Self::Orf
                | Self::Rw2
                | Self::Raf
                | Self::Pef
                | Self::Srw
        )
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Gif => "GIF",
            Self::WebP => "WebP",
            Self::Tiff => "TIFF",
            Self::Bmp => "BMP",
            Self::Dng => "DNG",
            Self::Cr2 => "CR2",
            Self::Cr3 => "CR3",
            Self::Nef => "NEF",
            Self::Arw => "ARW",
            Self::Orf => "ORF",
            Self::Rw2 => "RW2",
            Self::Raf => "RAF",
            Self::Pef => "PEF",
            Self::Srw => "SRW",
            Self::Heic => "HEIC",
            Self::Avif => "AVIF",
            Self::Jxl => "JPEG XL",
        })
    }
}
