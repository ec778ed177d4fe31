//! Geometric alterations: sizes, crops, borders, rotations, and overlays.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

/// A share of a length, in whole pixels.
fn part(length: u32, share: f32) -> u32 {
    (length as f32 * share).round() as u32
}

/// Scales each side by `share`.
pub(crate) fn scaled(picture: &RgbImage, share: f32) -> RgbImage {
    let [width, height] = [picture.width(), picture.height()].map(|side| part(side, share).max(1));
    imageops::resize(picture, width, height, FilterType::Lanczos3)
}

/// Scales down so that no side is longer than `longest`; smaller pictures stay.
pub(crate) fn at_most(picture: RgbImage, longest: u32) -> RgbImage {
    let longer = picture.width().max(picture.height());
    if longer <= longest { picture } else { scaled(&picture, longest as f32 / longer as f32) }
}

/// Cuts `share` of the width off the left and the right, and of the height off the top and the bottom.
pub(crate) fn cropped(picture: &RgbImage, share: f32) -> RgbImage {
    let [(x, width), (y, height)] = [picture.width(), picture.height()].map(|side| {
        let away = part(side, share);
        (away, side - 2 * away)
    });
    imageops::crop_imm(picture, x, y, width, height).to_image()
}

/// Adds a white frame, on all sides `share` of the longer side wide.
pub(crate) fn framed(picture: &RgbImage, share: f32) -> RgbImage {
    let frame = part(picture.width().max(picture.height()), share).max(1);
    let size = (picture.width() + 2 * frame, picture.height() + 2 * frame);
    let mut framed = RgbImage::from_pixel(size.0, size.1, Rgb([255; 3]));
    imageops::replace(&mut framed, picture, i64::from(frame), i64::from(frame));
    framed
}

/// Rotates clockwise about the centre, in the same size; the corners become black.
pub(crate) fn turned(picture: &RgbImage, degrees: f32) -> RgbImage {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (middle_x, middle_y) = ((picture.width() - 1) as f32 / 2.0, (picture.height() - 1) as f32 / 2.0);
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let (x, y) = (x as f32 - middle_x, y as f32 - middle_y);
        let (from_x, from_y) = (cos * x + sin * y + middle_x, cos * y - sin * x + middle_y);
        imageops::interpolate_bilinear(picture, from_x, from_y).unwrap_or(Rgb([0; 3]))
    })
}

/// Adds a signature in the lower right corner: a white plate of 30 % of the width and 8 % of the height, with dark
/// strokes for letters, blended with 30 % of the picture.
pub(crate) fn signed(picture: &RgbImage) -> RgbImage {
    let (width, height) = (part(picture.width(), 0.3).max(1), part(picture.height(), 0.08).max(1));
    let (left, top) = (picture.width() - width, picture.height() - height);
    let mut signed = picture.clone();
    for y in 0..height {
        for x in 0..width {
            // Twelve letters in the middle half of the plate's height, each half a stroke and half a gap.
            let in_line = (height / 4..height - height / 4).contains(&y);
            let ink = if in_line && x * 24 / width % 2 == 1 { 32.0 } else { 255.0 };
            let under = signed.get_pixel_mut(left + x, top + y);
            *under = Rgb(under.0.map(|sample| (0.7 * ink + 0.3 * f32::from(sample)).round() as u8));
        }
    }
    signed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slope() -> RgbImage {
        RgbImage::from_fn(200, 100, |x, y| Rgb([x as u8, 2 * y as u8, 7]))
    }

    #[test]
    fn sizes_are_those_stated() {
        assert_eq!(scaled(&slope(), 0.15).dimensions(), (30, 15));
        assert_eq!(scaled(&RgbImage::new(3, 1), 0.15).dimensions(), (1, 1));
        assert_eq!(cropped(&slope(), 0.05).dimensions(), (180, 90));
        assert_eq!(framed(&slope(), 0.03).dimensions(), (212, 112));
        assert_eq!(at_most(slope(), 100).dimensions(), (100, 50));
        assert_eq!(at_most(slope(), 200), slope());
    }

    #[test]
    fn crops_and_frames_take_and_add_as_much_on_every_side() {
        let cropped = cropped(&slope(), 0.05);
        assert_eq!(cropped.get_pixel(0, 0), slope().get_pixel(10, 5));
        assert_eq!(cropped.get_pixel(179, 89), slope().get_pixel(189, 94));
        let framed = framed(&slope(), 0.03);
        assert_eq!(framed.get_pixel(5, 5), &Rgb([255; 3]));
        assert_eq!(framed.get_pixel(6, 6), slope().get_pixel(0, 0));
        assert_eq!(framed.get_pixel(205, 105), slope().get_pixel(199, 99));
    }

    #[test]
    fn turns_go_clockwise_about_the_middle() {
        assert_eq!(turned(&slope(), 0.0), slope());
        let half = turned(&slope(), 180.0);
        assert_eq!(half.get_pixel(60, 30), slope().get_pixel(139, 69));
        let mut mark = RgbImage::new(101, 101);
        mark.put_pixel(50, 10, Rgb([255; 3]));
        assert_eq!(turned(&mark, 90.0).get_pixel(90, 50), &Rgb([255; 3]));
        assert_eq!(turned(&RgbImage::from_pixel(100, 100, Rgb([255; 3])), 3.0).get_pixel(0, 0), &Rgb([0; 3]));
    }

    #[test]
    fn a_name_covers_its_corner_and_nothing_else() {
        let (slope, signed) = (slope(), signed(&slope()));
        for (x, y, pixel) in signed.enumerate_pixels() {
            assert_eq!(pixel != slope.get_pixel(x, y), x >= 140 && y >= 92, "{x} {y}");
        }
    }
}
