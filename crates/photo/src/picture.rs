//! Pixels: rows from the top, without gaps.

/// A decoded picture, as it is stored: not turned by its orientation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// In pixels, at least 1.
    pub width: u32,
    /// In pixels, at least 1.
    pub height: u32,
    /// `width * height` of them.
    pub pixels: Pixels,
    /// What is wrong with the data. Such a picture is never better than one without it.
    pub damage: Option<Damage>,
}

/// Damage that leaves a picture of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The file ends before its last pixel; missing pixels are grey.
    Truncated,
    /// The data of the pixels are not those that were written: some pixels are wrong, or grey.
    Data,
}

impl Damage {
    /// A stable word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Data => "damaged_data",
        }
    }

    /// In words, of an image: "it" and this.
    pub fn text(self) -> &'static str {
        match self {
            Self::Truncated => "ends before its last pixel",
            Self::Data => "holds data that are not those that were written",
        }
    }
}

/// The samples, 8 bits each. Transparency is dropped, as in Pillow: the colour under it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pixels {
    /// One sample a pixel.
    Grey(Vec<u8>),
    /// Red, green, blue.
    Rgb(Vec<u8>),
}

impl Pixels {
    /// Samples of a pixel: 1 or 3.
    pub fn channels(&self) -> usize {
        match self {
            Self::Grey(_) => 1,
            Self::Rgb(_) => 3,
        }
    }

    /// All samples.
    pub fn samples(&self) -> &[u8] {
        match self {
            Self::Grey(samples) | Self::Rgb(samples) => samples,
        }
    }
}

/// Red, green and blue of a pixel of CMYK: Pillow's `cmyk2rgb`.
pub(crate) fn cmyk_to_rgb([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let white = 255 - i32::from(k);
    [c, m, y].map(|ink| {
        let product = i32::from(ink) * white + 128;
        let scaled = ((product >> 8) + product) >> 8; // product / 255, rounded
        (white - scaled).clamp(0, 255) as u8
    })
}
