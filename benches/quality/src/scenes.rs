//! Collects the pictures of some folders, each scene once.
//!
//! Several files can show one scene. Most are recognized by name: sizes and crops of one wallpaper, forms of one
//! photograph ([`motif`]); the largest stands for all. The rest are recognized by hash: a picture nearer than
//! [`SAME_SCENE`] bits of PDQ to an earlier one is left out, so PDQ rules below that distance cannot be wrong here.
//! Thumbnails are left out too, since nothing is left of them at 15 %, and so is what lumina itself never compares.

use crate::alterations::unaltered;
use crate::hashes::{self, Hashes};
use crate::shapes::at_most;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use lumina_photo::format::detect;
use lumina_photo::{Method, Pixels, dimensions};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Pictures nearer than this, in bits of PDQ, show the same scene.
const SAME_SCENE: u32 = 70;

/// The longer side of a scene at most, in pixels: a usual size on the web.
const LONGEST: u32 = 1280;

/// A picture whose longer side has fewer pixels is a thumbnail.
const SMALLEST: u32 = 320;

/// A scene.
pub(crate) struct Scene {
    /// Its file.
    pub(crate) name: String,
    /// The picture, upright, at most [`LONGEST`] pixels a side.
    pub(crate) picture: RgbImage,
    /// The hashes of that picture, saved without loss.
    pub(crate) hashes: Hashes,
}

/// The result of [`collect`].
pub(crate) struct Found {
    /// The scenes that are measured.
    pub(crate) scenes: Vec<Scene>,
    /// How many pictures were left out because their hashes cannot be trusted.
    pub(crate) not_trusted: usize,
}

/// Collects all scenes in files and folders, in the order given, then by name. Prints a line on standard error for each
/// picture that is left out.
pub(crate) fn collect(places: &[PathBuf]) -> Found {
    let mut motifs: BTreeMap<(usize, String), (u64, PathBuf)> = BTreeMap::new();
    for (index, place) in places.iter().enumerate() {
        let mut found = Vec::new();
        files(place, &mut found);
        for path in found {
            let Some(pixels) = pixels(&path) else { continue };
            let largest = motifs.entry((index, motif(&path.to_string_lossy()))).or_default();
            if pixels > largest.0 {
                *largest = (pixels, path);
            }
        }
    }
    let motifs: Vec<_> = motifs.into_values().collect();
    let pictures: Vec<Scene> = motifs.par_iter().filter_map(|(_, path)| scene(path)).collect();
    let (trusted, flat): (Vec<Scene>, Vec<Scene>) = pictures.into_iter().partition(|scene| scene.hashes.trusted());
    for scene in &flat {
        eprintln!("left out, its hashes are not to be trusted: {} ({})", scene.name, scene.hashes.why_not());
    }
    Found { scenes: different(trusted), not_trusted: flat.len() }
}

/// A file, or the files below a folder, in path order; no links, since packages link sizes to each other.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    if folder.is_file() {
        return found.push(folder.into());
    }
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry of a folder").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_symlink() {
        } else if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The pixel count of a picture by its header; `None` where the file is no picture or the header does not tell.
fn pixels(path: &Path) -> Option<u64> {
    let bytes = std::fs::read(path).expect("a file that can be read");
    let (width, height) = dimensions(&bytes, detect(&bytes).ok()?)?;
    Some(u64::from(width) * u64::from(height))
}

/// A name for what a file shows, derived from its file name: equal for all sizes and crops of a Plasma wallpaper, and
/// for files whose names differ only in a size, a one-digit number, or YES and NO, after an underscore. A dark form of
/// a wallpaper is another motif.
fn motif(name: &str) -> String {
    if let Some((package, inside)) = name.split_once("/contents/") {
        let form = if inside.starts_with("images_dark/") { "dark" } else { "light" };
        return format!("{package} {form}");
    }
    let without_extension = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut stem = without_extension;
    while let Some((before, last)) = stem.rsplit_once('_') {
        if !is_a_form(last) {
            break;
        }
        stem = before;
    }
    stem.to_string()
}

fn is_a_form(word: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let size = word.split_once('x').is_some_and(|(width, height)| number(width) && number(height));
    size || (number(word) && word.len() == 1) || matches!(word, "YES" | "NO" | "Portrait")
}

/// The scene of a file, scaled and hashed; otherwise `None`, and a line that says why.
fn scene(path: &Path) -> Option<Scene> {
    let bytes = std::fs::read(path).expect("a file that can be read");
    let name = path.display().to_string();
    let (picture, orientation) = match hashes::read(&bytes) {
        Ok(read) => read,
        Err(error) => {
            eprintln!("left out, {error}: {name}");
            return None;
        }
    };
    if picture.width.max(picture.height) < SMALLEST {
        eprintln!("left out, a thumbnail of {} by {}: {name}", picture.width, picture.height);
        return None;
    }
    let (width, height) = (picture.width, picture.height);
    let pixels = match picture.pixels {
        Pixels::Grey(samples) => GrayImage::from_raw(width, height, samples).map(DynamicImage::from),
        Pixels::Rgb(samples) => RgbImage::from_raw(width, height, samples).map(DynamicImage::from),
    };
    let mut upright = pixels.expect("as many samples as pixels");
    upright.apply_orientation(Orientation::from_exif(orientation.exif()).expect("one of EXIF's eight"));
    let picture = at_most(upright.into_rgb8(), LONGEST);
    let hashes = Hashes::of(&unaltered(&picture)).expect("our own PNG decodes");
    Some(Scene { name, picture, hashes })
}

/// Drops scenes that are near an earlier one, with a line for each.
fn different(scenes: Vec<Scene>) -> Vec<Scene> {
    let mut different: Vec<Scene> = Vec::new();
    for scene in scenes {
        let distance = |other: &Scene| other.hashes.distance(&scene.hashes, Method::Pdq);
        match different.iter().find(|other| distance(other) < SAME_SCENE) {
            Some(same) => eprintln!("the same scene, PDQ {}: {} as {}", distance(same), scene.name, same.name),
            None => different.push(scene),
        }
    }
    different
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_the_same() {
        for same in [
            ["plasma/Flow/contents/images/5120x2880.jpg", "plasma/Flow/contents/screenshot.png"],
            ["plasma/Flow/contents/images_dark/5120x2880.jpg", "plasma/Flow/contents/images_dark/720x1440.jpg"],
            ["mate/Elephants.jpg", "mate/Elephants_3840x2160.jpg"],
            ["sway/Blue_768x1024_Portrait.png", "sway/Blue_1920x1080.png"],
            ["orientation/landscape_1.jpg", "orientation/landscape_8.jpg"],
            ["hdr/iphone_hdr_YES.jpg", "hdr/iphone_hdr_NO.jpg"],
        ] {
            assert_eq!(motif(same[0]), motif(same[1]));
        }
        for other in [
            ["plasma/Flow/contents/images/5120x2880.jpg", "plasma/Flow/contents/images_dark/5120x2880.jpg"],
            ["plasma/Flow/contents/screenshot.png", "plasma/Shell/contents/screenshot.png"],
            ["gps/DSCN0010.jpg", "gps/DSCN0012.jpg"],
            ["cameras/Canon_40D.jpg", "exif-org/Canon_40D.jpg"],
            ["cameras/Canon_40D.jpg", "cameras/Canon_40D_photoshop_import.jpg"],
        ] {
            assert_ne!(motif(other[0]), motif(other[1]));
        }
    }

    #[test]
    fn the_same_scene_counts_once() {
        let scene = |name: &str, pdq: [u8; 32]| Scene {
            name: name.into(),
            picture: RgbImage::new(1, 1),
            hashes: Hashes::fake(1, 1, 1, pdq, 100),
        };
        let mut near = [0; 32];
        near[..8].fill(u8::MAX);
        near[8] = 0x1f;
        let mut far = near;
        far[8] = 0x3f;
        let kept = different(vec![scene("a", [0; 32]), scene("69 bits", near), scene("70 bits", far)]);
        assert_eq!(kept.iter().map(|scene| scene.name.as_str()).collect::<Vec<_>>(), ["a", "70 bits"]);
    }
}
