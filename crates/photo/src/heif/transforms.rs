//! The transformative properties of an item (ISO/IEC 23008-12, 6.5.9, 6.5.10, 6.5.12): parts, rotations, mirrorings.
//!
//! They are applied in the order of the item's properties. Here they are brought into another: first the part of the
//! stored picture that is shown, then one orientation.

use crate::boxes::{self, FileBox};
use crate::orientation::Orientation;

/// One transformative property.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Transform {
    /// `irot` and `imir`.
    Turn(Orientation),
    /// `clap`: width, height and the place of the part's centre, relative to that of the picture, in pixels.
    Part([f64; 4]),
    /// One that means nothing.
    Broken,
}

impl Transform {
    /// `None` if the property is none.
    pub(crate) fn read(property: &FileBox, bytes: &[u8]) -> Option<Self> {
        let byte = || boxes::number(bytes, &property.body, 0, 1);
        let found = match &property.kind {
            // Quarter turns, counterclockwise.
            b"irot" => byte().map(|turns| match turns & 3 {
                0 => Orientation::Upright,
                1 => Orientation::Rotate270,
                2 => Orientation::Rotate180,
                _ => Orientation::Rotate90,
            }),
            b"imir" => byte().map(|axis| match axis & 1 {
                0 => Orientation::FlipVertical,
                _ => Orientation::FlipHorizontal,
            }),
            b"clap" => return Some(part(property, bytes).map_or(Self::Broken, Self::Part)),
            _ => return None,
        };
        Some(found.map_or(Self::Broken, Self::Turn))
    }
}

/// Four fractions; the offsets have signs.
fn part(property: &FileBox, bytes: &[u8]) -> Option<[f64; 4]> {
    let number = |place| boxes::number(bytes, &property.body, place * 4, 4).map(|number| number as u32);
    let mut values = [0.0; 4];
    for (place, value) in values.iter_mut().enumerate() {
        let (above, below) = (number(2 * place)?, number(2 * place + 1)?);
        let above = if place < 2 { f64::from(above) } else { f64::from(above as i32) };
        *value = (below > 0).then(|| above / f64::from(below))?;
    }
    Some(values)
}

/// The product of the turns.
pub(crate) fn orientation(transforms: &[Transform]) -> Orientation {
    transforms.iter().fold(Orientation::Upright, |turned, transform| match transform {
        Transform::Turn(next) => turned.then(*next),
        _ => turned,
    })
}

/// A part of a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rectangle {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Rectangle {
    pub(crate) fn whole(width: u32, height: u32) -> Self {
        Rectangle { x: 0, y: 0, width, height }
    }

    /// The part of this one, as stored, that is shown after all transforms; `None` if that is nothing.
    pub(crate) fn shown(mut self, transforms: &[Transform]) -> Option<Self> {
        let mut turned = Orientation::Upright;
        for transform in transforms {
            match *transform {
                Transform::Turn(next) => turned = turned.then(next),
                Transform::Part(part) => self = self.part(part, turned)?,
                Transform::Broken => return None,
            }
        }
        Some(self)
    }

    /// A clean aperture of this one under an orientation, rounded as libheif does: to the left, and to the nearest row.
    fn part(self, [width, height, right, down]: [f64; 4], turned: Orientation) -> Option<Self> {
        let (w, h) = if turned.swaps_sides() { (self.height, self.width) } else { (self.width, self.height) };
        let round = |value: f64| (value + 0.5).floor();
        let left = (right + (f64::from(w) - 1.0) / 2.0 - (width - 1.0) / 2.0).floor();
        let top = round(down + (f64::from(h) - 1.0) / 2.0 - (height - 1.0) / 2.0);
        let last = |first: f64, length: f64, side: u32| round(length - 1.0 + first).min(f64::from(side) - 1.0);
        let (x, y) = ((left.max(0.0), last(left, width, w)), (top.max(0.0), last(top, height, h)));
        if x.0 > x.1 || y.0 > y.1 {
            return None;
        }
        let (x, y) = ((x.0 as u32, x.1 as u32), (y.0 as u32, y.1 as u32));
        // The opposite corners, as stored.
        let (a, b) = (self.stored((x.0, y.0), turned), self.stored((x.1, y.1), turned));
        Some(Rectangle {
            x: self.x + a.0.min(b.0),
            y: self.y + a.1.min(b.1),
            width: a.0.abs_diff(b.0) + 1,
            height: a.1.abs_diff(b.1) + 1,
        })
    }

    /// The stored place of a shown pixel.
    fn stored(self, (x, y): (u32, u32), turned: Orientation) -> (u32, u32) {
        let (right, bottom) = (self.width - 1, self.height - 1);
        match turned {
            Orientation::Upright => (x, y),
            Orientation::FlipHorizontal => (right - x, y),
            Orientation::Rotate180 => (right - x, bottom - y),
            Orientation::FlipVertical => (x, bottom - y),
            Orientation::Transpose => (y, x),
            Orientation::Rotate90 => (y, bottom - x),
            Orientation::Transverse => (right - y, bottom - x),
            Orientation::Rotate270 => (right - y, x),
        }
    }

    /// What this one and another have in common.
    pub(crate) fn common(self, other: Self) -> Option<Self> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let right = (self.x.saturating_add(self.width)).min(other.x.saturating_add(other.width));
        let bottom = (self.y.saturating_add(self.height)).min(other.y.saturating_add(other.height));
        (x < right && y < bottom).then(|| Rectangle { x, y, width: right - x, height: bottom - y })
    }
}
