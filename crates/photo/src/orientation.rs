//! The eight orientations of a camera, and the eight forms of a picture rotated and mirrored.

/// Tag 0x0112 of EXIF: what is to be done to the stored picture so that it is upright (Exif 3.0, 4.6.5.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orientation {
    /// 1: nothing.
    #[default]
    Upright,
    /// 2: mirrored left to right.
    FlipHorizontal,
    /// 3: turned by 180 degrees.
    Rotate180,
    /// 4: mirrored top to bottom.
    FlipVertical,
    /// 5: mirrored along the diagonal from the top left.
    Transpose,
    /// 6: turned by 90 degrees clockwise.
    Rotate90,
    /// 7: mirrored along the diagonal from the top right.
    Transverse,
    /// 8: turned by 270 degrees clockwise.
    Rotate270,
}

impl Orientation {
    /// All orientations, in the order of their numbers.
    pub const ALL: [Orientation; 8] = [
        Self::Upright,
        Self::FlipHorizontal,
        Self::Rotate180,
        Self::FlipVertical,
        Self::Transpose,
        Self::Rotate90,
        Self::Transverse,
        Self::Rotate270,
    ];

    /// The one of EXIF's number 1 to 8; `None` for other numbers.
    pub fn from_exif(value: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(value).ok()?.checked_sub(1)?).copied()
    }

    /// EXIF's number: 1 to 8.
    pub fn exif(self) -> u8 {
        self as u8 + 1
    }

    /// The orientation of a picture that is shown under `self` and then under `next`.
    pub fn then(self, next: Self) -> Self {
        let ([a, b], [c, d]) = self.axes();
        let ([e, f], [g, h]) = next.axes();
        let product = ([a * e + b * g, a * f + b * h], [c * e + d * g, c * f + d * h]);
        Self::ALL.into_iter().find(|orientation| orientation.axes() == product).unwrap_or_default()
    }

    /// The rows of the matrix that takes a place in the shown picture to one in the stored picture, up to a shift.
    pub(crate) fn axes(self) -> ([i8; 2], [i8; 2]) {
        match self {
            Self::Upright => ([1, 0], [0, 1]),
            Self::FlipHorizontal => ([-1, 0], [0, 1]),
            Self::Rotate180 => ([-1, 0], [0, -1]),
            Self::FlipVertical => ([1, 0], [0, -1]),
            Self::Transpose => ([0, 1], [1, 0]),
            Self::Rotate90 => ([0, 1], [-1, 0]),
            Self::Transverse => ([0, -1], [-1, 0]),
            Self::Rotate270 => ([0, -1], [1, 0]),
        }
    }

    /// Whether width and height change places.
    pub fn swaps_sides(self) -> bool {
        matches!(self, Self::Transpose | Self::Rotate90 | Self::Transverse | Self::Rotate270)
    }
}
