//! What happens to pictures between two folders: 23 alterations, each from the pixels of a scene to a file's bytes.
//!
//! Where an alteration is not about a format, its result is saved as JPEG of quality 90, as editors do.

use crate::{shapes, tones};
use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, Frame, ImageEncoder, RgbImage, imageops};

/// An alteration.
pub(crate) struct Alteration {
    /// The name that is printed and that [`crate::tables`] selects by.
    pub(crate) name: &'static str,
    /// A short description.
    pub(crate) what: &'static str,
    /// Makes the file of the altered copy.
    pub(crate) make: fn(&RgbImage) -> Vec<u8>,
}

/// The quality of a copy that was edited.
const EDITED: u8 = 90;

/// All alterations, in the order of the tables.
pub(crate) const ALL: [Alteration; 23] = [
    Alteration { name: "JPEG q90", what: "saved as JPEG of quality 90", make: |picture| jpeg(picture, 90) },
    Alteration { name: "JPEG q60", what: "saved as JPEG of quality 60", make: |picture| jpeg(picture, 60) },
    Alteration { name: "JPEG q30", what: "saved as JPEG of quality 30", make: |picture| jpeg(picture, 30) },
    Alteration { name: "GIF", what: "saved as GIF with 256 colours", make: gif },
    Alteration { name: "75 % size", what: "scaled", make: |picture| edited(&shapes::scaled(picture, 0.75)) },
    Alteration { name: "50 % size", what: "scaled", make: |picture| edited(&shapes::scaled(picture, 0.5)) },
    Alteration { name: "25 % size", what: "scaled", make: |picture| edited(&shapes::scaled(picture, 0.25)) },
    Alteration { name: "15 % size", what: "scaled", make: |picture| edited(&shapes::scaled(picture, 0.15)) },
    Alteration {
        name: "crop 1 %",
        what: "1 % cut off at each side",
        make: |picture| edited(&shapes::cropped(picture, 0.01)),
    },
    Alteration {
        name: "crop 2.5 %",
        what: "2.5 % cut off at each side",
        make: |picture| edited(&shapes::cropped(picture, 0.025)),
    },
    Alteration {
        name: "crop 5 %",
        what: "5 % cut off at each side",
        make: |picture| edited(&shapes::cropped(picture, 0.05)),
    },
    Alteration {
        name: "watermark",
        what: "a name on a white plate in a corner, 30 % by 8 %",
        make: |picture| edited(&shapes::signed(picture)),
    },
    Alteration {
        name: "border 3 %",
        what: "a white frame of 3 % around it",
        make: |picture| edited(&shapes::framed(picture, 0.03)),
    },
    Alteration {
        name: "rotate 1°",
        what: "turned by 1°, black corners",
        make: |picture| edited(&shapes::turned(picture, 1.0)),
    },
    Alteration {
        name: "rotate 3°",
        what: "turned by 3°, black corners",
        make: |picture| edited(&shapes::turned(picture, 3.0)),
    },
    Alteration { name: "brighter", what: "light × 1.25", make: |picture| edited(&tones::light(picture, 1.25)) },
    Alteration { name: "darker", what: "light × 0.75", make: |picture| edited(&tones::light(picture, 0.75)) },
    Alteration {
        name: "more contrast",
        what: "contrast × 1.25",
        make: |picture| edited(&tones::contrast(picture, 1.25)),
    },
    Alteration {
        name: "less contrast",
        what: "contrast × 0.75",
        make: |picture| edited(&tones::contrast(picture, 0.75)),
    },
    Alteration {
        name: "gamma",
        what: "shadows lifted: gamma 1.5",
        make: |picture| edited(&tones::gamma(picture, 1.0 / 1.5)),
    },
    Alteration { name: "grey", what: "black and white, saved as grey PNG", make: grey },
    Alteration { name: "blur", what: "Gaussian blur, 2 pixels", make: |picture| edited(&imageops::blur(picture, 2.0)) },
    Alteration { name: "noise", what: "± 24 of 255 levels", make: |picture| edited(&tones::noise(picture, 24.0)) },
];

fn edited(picture: &RgbImage) -> Vec<u8> {
    jpeg(picture, EDITED)
}

fn jpeg(picture: &RgbImage, quality: u8) -> Vec<u8> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, quality).encode_image(picture).expect("a JPEG of these pixels");
    file
}

fn gif(picture: &RgbImage) -> Vec<u8> {
    let mut file = Vec::new();
    let frame = Frame::new(DynamicImage::from(picture.clone()).into_rgba8());
    // 30: as fast as it goes; the colours are a bit worse.
    GifEncoder::new_with_speed(&mut file, 30).encode_frame(frame).expect("a GIF of these pixels");
    file
}

fn grey(picture: &RgbImage) -> Vec<u8> {
    let mut file = Vec::new();
    let grey = imageops::grayscale(picture);
    PngEncoder::new(&mut file)
        .write_image(&grey, grey.width(), grey.height(), ExtendedColorType::L8)
        .expect("a PNG of these pixels");
    file
}

/// The unaltered picture, saved without loss: a scene's hashes come from this file.
pub(crate) fn unaltered(picture: &RgbImage) -> Vec<u8> {
    let mut file = Vec::new();
    PngEncoder::new(&mut file)
        .write_image(picture, picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .expect("a PNG of these pixels");
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashes::Hashes;
    use crate::rules;

    /// A scene with large and small details.
    fn scene() -> RgbImage {
        RgbImage::from_fn(400, 300, |x, y| {
            let (x, y) = (x as f32 / 400.0, y as f32 / 300.0);
            let wave = (9.0 * x + 4.0 * y * y).sin() + (3.0 - 14.0 * x * y).cos();
            image::Rgb([128.0 + 50.0 * wave, 120.0 + 40.0 * wave + 30.0 * x, 90.0 + 60.0 * y].map(|v| v as u8))
        })
    }

    #[test]
    fn copies_have_the_sizes_stated() {
        for alteration in &ALL {
            let file = (alteration.make)(&scene());
            let (picture, _) = crate::hashes::read(&file).expect("it decodes");
            let size = match alteration.name {
                "75 % size" => (300, 225),
                "50 % size" => (200, 150),
                "25 % size" => (100, 75),
                "15 % size" => (60, 45),
                "crop 1 %" => (392, 294),
                "crop 2.5 %" => (380, 284),
                "crop 5 %" => (360, 270),
                "border 3 %" => (424, 324),
                _ => (400, 300),
            };
            assert_eq!((picture.width, picture.height), size, "{}", alteration.name);
        }
    }

    #[test]
    fn every_alteration_alters_and_does_so_the_same_way_again() {
        let original = unaltered(&scene());
        let (original, _) = crate::hashes::read(&original).expect("it decodes");
        for alteration in &ALL {
            let file = (alteration.make)(&scene());
            assert_eq!(file, (alteration.make)(&scene()), "{}", alteration.name);
            assert_ne!(crate::hashes::read(&file).expect("it decodes").0, original, "{}", alteration.name);
        }
    }

    #[test]
    fn a_copy_without_alteration_is_found_by_every_rule() {
        let (original, copy) = (Hashes::of(&unaltered(&scene())), Hashes::of(&unaltered(&scene())));
        let (original, copy) = (original.expect("it decodes"), copy.expect("it decodes"));
        assert!(original.trusted());
        assert_eq!(original, copy);
        assert!(rules::ALL.iter().all(|rule| rule.near(&original, &copy)));
    }

    #[test]
    fn names_are_different() {
        let mut names = ALL.map(|alteration| alteration.name);
        names.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]));
    }
}
