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
    /// Canon, before those built on TIFF.
    Crw,
    /// Minolta.
    Mrw,
    /// Sigma.
    X3f,
    /// Raw files of other makers, built on TIFF: Phase One, Leaf, Hasselblad, Kodak, Epson, Mamiya, Sinar.
    Raw,
    /// HEIF with HEVC.
    Heic,
    /// HEIF with AV1.
    Avif,
    /// JPEG XL.
    Jxl,
    /// JPEG 2000 (ISO/IEC 15444-1), in a file or as a bare codestream.
    Jp2,
    /// Photoshop documents.
    Psd,
    /// Windows icons.
    Ico,
    /// Portable bitmaps, greymaps and pixmaps of Netpbm.
    Pnm,
    /// Truevision Targa.
    Tga,
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
            Self::Crw => "crw",
            Self::Mrw => "mrw",
            Self::X3f => "x3f",
            Self::Raw => "raw",
            Self::Heic => "heic",
            Self::Avif => "avif",
            Self::Jxl => "jxl",
            Self::Jp2 => "jp2",
            Self::Psd => "psd",
            Self::Ico => "ico",
            Self::Pnm => "pnm",
            Self::Tga => "tga",
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
                | Self::Crw
                | Self::Mrw
                | Self::X3f
                | Self::Raw
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
            Self::Crw => "CRW",
            Self::Mrw => "MRW",
            Self::X3f => "X3F",
            Self::Raw => "raw",
            Self::Heic => "HEIC",
            Self::Avif => "AVIF",
            Self::Jxl => "JPEG XL",
            Self::Jp2 => "JPEG 2000",
            Self::Psd => "Photoshop",
            Self::Ico => "icon",
            Self::Pnm => "Netpbm",
            Self::Tga => "Targa",
        })
    }
}
