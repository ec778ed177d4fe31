//! Hashes against those of Python's libraries for the same files: `golden/make.py` writes the tables.
//!
//! The small pictures of `golden/images` come with the sources. Photographs and wallpapers do not: those tests print
//! that they are skipped if the folder is missing (`LUMINA_PHOTOS`, `LUMINA_WALLPAPERS`).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

#[path = "hostile/decoder.rs"]
mod decoder;

use lumina_photo::hash::{Wanted, dihedral, make};
use lumina_photo::{Caller, Format, Limits, Method, Orientation, Picture, Pixels, Recipe, decode, metadata};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const LIMITS: Limits<'static> = Limits { pixels: 1 << 30, memory: 4 << 30, caller: &Decodes };

/// The forms of pdqhash's table, in the order of its columns: the reference names rotations counterclockwise and
/// mirrorings by the axis that stays.
const FORMS: [(&str, Orientation); 7] = [
    ("rotate90", Orientation::Rotate270),
    ("rotate180", Orientation::Rotate180),
    ("rotate270", Orientation::Rotate90),
    ("flipx", Orientation::FlipVertical),
    ("flipy", Orientation::FlipHorizontal),
    ("flipplus1", Orientation::Transpose),
    ("flipminus1", Orientation::Transverse),
];

/// A caller that never cancels, and knows the program.
#[derive(Debug, Clone, Copy)]
struct Decodes;

impl Caller for Decodes {
    fn is_cancelled(&self) -> bool {
        false
    }

    fn decoder(&self) -> Option<&Path> {
        Some(&decoder::PROGRAM)
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The rows of a table, by the names of its columns.
fn table(name: &str) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(golden().join(name)).expect("the table is part of the sources");
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let names: Vec<&str> = lines.next().expect("a head").split('\t').collect();
    let row = |line: &str| names.iter().map(|name| name.to_string()).zip(line.split('\t').map(Into::into)).collect();
    lines.map(row).collect()
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..8])
}

fn hex(bytes: &[u8]) -> String {
    lumina_hash::hex::to_string(bytes)
}

/// Bits in which two hashes in hex differ.
fn distance(a: &str, b: &str) -> u32 {
    let digit = |c: char| c.to_digit(16).expect("a hex digit");
    assert_eq!(a.len(), b.len(), "{a} and {b}");
    a.chars().zip(b.chars()).map(|(a, b)| (digit(a) ^ digit(b)).count_ones()).sum()
}

fn recipe(column: &str) -> Option<Recipe> {
    let split = column.find(|c: char| c.is_ascii_digit()).unwrap_or(column.len());
    let size = column[split..].parse().unwrap_or(8);
    let recipe = Recipe::new(Method::from_name(&column[..split])?, size).expect("a size of the table");
    Some(recipe)
}

/// The result for a file, with its row.
struct Outcome {
    /// Whether Pillow's pixels equal ours.
    same_pixels: bool,
    /// Bits of difference by column.
    bits: BTreeMap<String, u32>,
    quality: (i32, i32),
}

fn rgb(picture: &Picture) -> Vec<u8> {
    match &picture.pixels {
        Pixels::Rgb(samples) => samples.clone(),
        Pixels::Grey(samples) => samples.iter().flat_map(|&grey| [grey; 3]).collect(),
    }
}

/// The colours of a picture as it is shown, row by row.
fn shown(picture: &Picture, turned: Orientation) -> Vec<u8> {
    let stored = rgb(picture);
    let (w, h) = (picture.width as usize, picture.height as usize);
    let (across, down) = if turned.swaps_sides() { (h, w) } else { (w, h) };
    let place = |x: usize, y: usize| match turned {
        Orientation::Upright => (x, y),
        Orientation::FlipHorizontal => (w - 1 - x, y),
        Orientation::Rotate180 => (w - 1 - x, h - 1 - y),
        Orientation::FlipVertical => (x, h - 1 - y),
        Orientation::Transpose => (y, x),
        Orientation::Rotate90 => (y, h - 1 - x),
        Orientation::Transverse => (w - 1 - y, h - 1 - x),
        Orientation::Rotate270 => (w - 1 - y, x),
    };
    let places = (0..down).flat_map(|y| (0..across).map(move |x| (x, y)));
    let pixel = |(x, y): (usize, usize)| {
        let (x, y) = place(x, y);
        stored[(y * w + x) * 3..][..3].to_vec()
    };
    places.flat_map(pixel).collect()
}

fn outcome(row: &BTreeMap<String, String>, bytes: &[u8], picture: &Picture, format: Format) -> Outcome {
    // Pillow turns TIFF and HEIC files by their orientation as it reads them, djxl does so, and no others.
    let turns = ["TIFF", "HEIF"].contains(&row["format"].as_str()) || format == Format::Jxl;
    let turned = if turns { metadata::orientation(bytes, format) } else { Orientation::Upright };
    let columns: Vec<&String> = row.keys().filter(|name| recipe(name).is_some() && row[*name] != "-").collect();
    let recipes = columns.iter().filter_map(|name| recipe(name)).collect();
    let wanted = Wanted { recipes, sharpness: true };
    let made = make(picture, turned, &wanted, format, &LIMITS).expect("hashes");
    let found = columns.iter().zip(&made.hashes);
    let mut bits: BTreeMap<String, u32> =
        found.map(|(name, hash)| (name.to_string(), distance(&hex(hash), &row[*name]))).collect();
    if row.contains_key("rotate90") && row["rotate90"] != "-" {
        let eight = dihedral(picture, turned, Recipe::standard(Method::Pdq), format, &LIMITS).unwrap();
        for (name, form) in FORMS {
            let hash = &eight[usize::from(form.exif() - 1)];
            bits.insert(name.into(), distance(&hex(hash), &row[name]));
        }
    }
    let quality = (made.pdq_quality.unwrap_or_default().into(), row["quality"].parse().unwrap_or(0));
    let same_pixels = digest(&shown(picture, turned)) == row["rgb"];
    Outcome { same_pixels, bits, quality }
}

/// Files whose pixels differ for a known reason, with that reason, and whether the hashes still agree.
const EXCEPTIONS: [(&str, &str); 13] = [
    ("bmp-rgb16", "5 and 6 bits are brought to 8 with rounding; Pillow cuts off"),
    (
        "png-grey16",
        "16 bits of grey are cut to their higher 8; Pillow clips them, so that all but the darkest are white",
    ),
    ("tiff-grey16", "as png-grey16"),
    ("tiff-rgba-premultiplied", "alpha is dropped and not divided out"),
    (
        "heic-clap-odd",
        "chroma is repeated; libheif interpolates it, and this picture's alone, since it begins at an odd place",
    ),
    ("heic-grid-orientation6", "the same, since it has an odd side and is turned"),
    ("avif-10bit-rgba", "with alpha, Pillow's pixels of more than 8 bits are rounded otherwise"),
    ("avif-clap", "the clean aperture is cut out; Pillow shows the whole picture"),
    ("avif-grid", "chroma is interpolated in each tile; libavif does so across the tiles"),
    ("jpeg-96x96", "another inverse DCT than libjpeg-turbo's"),
    ("jpeg-cmyk", "as jpeg-96x96"),
    ("jpeg-ycck", "as jpeg-96x96"),
    ("jpeg-q30", "as jpeg-96x96"),
];

/// Hashes of more than 64 bits where two frequencies are zero, or equal, in exact arithmetic: the order of additions in
/// the FFT that SciPy was built with decides which of them is larger.
const DCT_TIES: [&str; 2] = ["ties-level", "ties-two-values"];

fn excepted<'a>(path: &str, list: impl IntoIterator<Item = &'a str>) -> bool {
    list.into_iter().any(|name| path.trim_start_matches("images/").starts_with(name))
}

#[test]
fn hashes_of_small_pictures() {
    let mut failures = Vec::new();
    let rows = table("golden.tsv");
    assert!(rows.len() > 100);
    let mut unlike = 0;
    for row in &rows {
        let path = &row["path"];
        let bytes = std::fs::read(golden().join(path)).expect(path);
        if excepted(path, EXCEPTIONS.map(|(name, _)| name)) {
            unlike += 1;
            continue;
        }
        let (format, picture) = match decode(&bytes, &LIMITS) {
            Ok(decoded) => decoded,
            Err(error) => {
                failures.push(format!("{path}: {error}"));
                continue;
            }
        };
        let outcome = outcome(row, &bytes, &picture, format);
        let tied = |name: &str| name == "dct16" && excepted(path, DCT_TIES);
        let wrong: Vec<_> = outcome.bits.iter().filter(|(name, bits)| **bits > 0 && !tied(name)).collect();
        let lossy = path.contains("jpeg");
        if !(outcome.same_pixels || lossy) || !wrong.is_empty() || outcome.quality.0 != outcome.quality.1 {
            let pixels = if outcome.same_pixels { "same pixels" } else { "OTHER PIXELS" };
            failures.push(format!("{path} ({}): {pixels}, {wrong:?}, {:?}", row["mode"], outcome.quality));
        }
    }
    assert!(failures.is_empty(), "{} of {} files:\n{}", failures.len(), rows.len(), failures.join("\n"));
    assert!(unlike <= 19, "{unlike} exceptions");
}

/// Compares the files whose names begin with this with the golden values, the hashes of imagehash: for 98 % of all
/// hashes all bits are the same, and for each all but 2. All but some files have the same pixels, too.
#[cfg(any(feature = "avif", feature = "heic"))]
fn compare_heif(begin: &str, format: Format, other_pixels: u32) {
    let (mut same, mut all, mut pixels, mut files) = (0, 0, 0, 0);
    for row in table("golden.tsv").iter().filter(|row| row["path"].starts_with(begin)) {
        if format == Format::Avif && row["path"].contains("clap") {
            continue; // Pillow shows what it cuts off
        }
        let bytes = std::fs::read(golden().join(&row["path"])).unwrap();
        let (found, picture) = decode(&bytes, &LIMITS).unwrap_or_else(|error| panic!("{}: {error}", row["path"]));
        assert_eq!(found, format);
        let outcome = outcome(row, &bytes, &picture, format);
        pixels += u32::from(outcome.same_pixels);
        files += 1;
        for column in ["ahash8", "dhash8", "dct8", "whash8"] {
            let bits = outcome.bits[column];
            assert!(bits <= 2, "{}: {column} differs by {bits} bits", row["path"]);
            same += u32::from(bits == 0);
            all += 1;
        }
    }
    println!("{files} files, {pixels} with the same pixels; {same} of {all} hashes identical");
    assert!(files >= 50 && pixels + other_pixels >= files && same * 100 >= all * 98);
}

/// The golden values are those of pillow-heif.
#[cfg(feature = "heic")]
#[test]
fn hashes_of_heic() {
    compare_heif("images/heic-", Format::Heic, 2);
}

/// The golden values are those of Pillow.
#[cfg(feature = "avif")]
#[test]
fn hashes_of_avif() {
    compare_heif("images/avif-", Format::Avif, 6);
}

/// All bits of the hashes of JPEG XL are those of imagehash with djxl, for 98 % of all, and all but 2 for each. XYB is
/// not exact: a sample in some thousand differs by one.
#[cfg(feature = "jxl")]
#[test]
fn hashes_of_jpeg_xl() {
    let (mut same, mut all, mut pixels, mut files) = (0, 0, 0, 0);
    for row in &table("jxl.tsv") {
        let path = &row["path"];
        let bytes = std::fs::read(golden().join(path)).unwrap();
        let (format, picture) = decode(&bytes, &LIMITS).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!((format, picture.damage), (Format::Jxl, None), "{path}");
        let (mut width, mut height) = (picture.width, picture.height);
        if metadata::orientation(&bytes, format).swaps_sides() {
            (width, height) = (height, width);
        }
        assert_eq!(format!("{width}x{height}"), row["size"], "{path}");
        assert_eq!(matches!(picture.pixels, Pixels::Grey(_)), row["mode"].starts_with('L'), "{path}");
        let outcome = outcome(row, &bytes, &picture, format);
        pixels += u32::from(outcome.same_pixels);
        files += 1;
        assert!(outcome.same_pixels || !path.contains("lossless"), "{path}: other pixels");
        for (name, &bits) in &outcome.bits {
            // A picture of some pixels has no detail for the larger hashes: they are noise.
            if outcome.same_pixels || name.ends_with('8') {
                assert!(bits <= 2, "{path}: {name} differs by {bits} bits");
            }
            same += u32::from(bits == 0);
            all += 1;
        }
    }
    println!("{files} files, {pixels} with the same pixels; {same} of {all} hashes identical");
    assert!(files >= 60 && pixels * 10 >= files * 7 && same * 100 >= all * 98);
}

/// The EXIF block that cjxl compresses, as it does by default with a JPEG.
#[test]
fn metadata_of_jpeg_xl() {
    for orientation in [2, 4, 6, 8] {
        let bytes = std::fs::read(golden().join(format!("jxl/orientation-{orientation}.jxl"))).unwrap();
        assert_eq!(metadata::read(&bytes, Format::Jxl).orientation, Some(orientation));
        assert_eq!(metadata::orientation(&bytes, Format::Jxl).exif(), orientation);
    }
}

/// 16 bits of grey have the hashes of their higher 8.
#[test]
fn sixteen_bits_of_grey() {
    let read = |name: &str| decode(&std::fs::read(golden().join("images").join(name)).unwrap(), &LIMITS).unwrap().1;
    let (png, tiff) = (read("png-grey16.png"), read("tiff-grey16.tiff"));
    for picture in [png, tiff] {
        let Pixels::Grey(samples) = &picture.pixels else { panic!("grey") };
        assert!(samples.iter().any(|&grey| grey < 64) && samples.iter().any(|&grey| (100..200).contains(&grey)));
    }
}

/// Compares the files of a folder with a table.
fn folder(name: &str, variable: &str, usual: &str) {
    let root = std::env::var_os(variable).map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(usual));
    if !root.is_dir() {
        println!("skipped: {} is no folder (set {variable})", root.display());
        return;
    }
    let rows = table(name);
    let (mut lossless, mut jpegs, mut missing) = (0, 0, 0);
    let mut jpeg_bits: Vec<u32> = Vec::new();
    let mut pdq_bits = Vec::new();
    let mut quality = 0;
    let mut failures = Vec::new();
    for row in &rows {
        let path = &row["path"];
        let Ok(bytes) = std::fs::read(root.join(path)) else {
            missing += 1;
            continue;
        };
        assert_eq!(hex(&Sha256::digest(&bytes)), row["sha256"], "{path} is another file");
        let (format, picture) = decode(&bytes, &LIMITS).unwrap_or_else(|error| panic!("{path}: {error}"));
        let outcome = outcome(row, &bytes, &picture, format);
        pdq_bits.push(outcome.bits["pdq"]);
        quality = quality.max((outcome.quality.0 - outcome.quality.1).abs());
        let bits: Vec<u32> = ["ahash8", "dhash8", "dct8", "whash8"].map(|name| outcome.bits[name]).to_vec();
        if outcome.same_pixels {
            lossless += 1;
            if outcome.bits.values().any(|&bits| bits > 0) {
                failures.push(format!("{path}: same pixels, {:?}", outcome.bits));
            }
        } else if row["format"] == "JPEG" || row["format"] == "MPO" {
            jpegs += 1;
            if bits.iter().any(|&bits| bits > 0) || outcome.bits["pdq"] > 0 {
                println!("{path}: another inverse DCT: {:?}", outcome.bits);
            }
            jpeg_bits.extend(bits);
        } else {
            failures.push(format!("{path} ({}): other pixels, {:?}", row["format"], outcome.bits));
        }
    }
    let share = |bits: &[u32], within: u32| {
        bits.iter().filter(|&&bits| bits <= within).count() as f64 / bits.len().max(1) as f64
    };
    println!(
        "{}: {missing} missing; {lossless} with the same pixels; {jpegs} JPEG, of whose hashes {:.4} are identical and \
         {:.4} within 2 bits; PDQ identical in {:.4}, within 10 in {:.4}; quality within {quality}",
        root.display(),
        share(&jpeg_bits, 0),
        share(&jpeg_bits, 2),
        share(&pdq_bits, 0),
        share(&pdq_bits, 10),
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(lossless + jpegs >= 60, "only {lossless} and {jpegs} files");
    assert!(share(&jpeg_bits, 0) >= 0.9 && share(&jpeg_bits, 2) >= 0.99);
    assert!(share(&pdq_bits, 10) >= 0.99 && quality <= 1);
}

#[test]
fn hashes_of_photographs() {
    folder("photos.tsv", "LUMINA_PHOTOS", "../../../shared/photos");
}

#[test]
fn hashes_of_wallpapers() {
    folder("wallpapers.tsv", "LUMINA_WALLPAPERS", "../../target/wallpapers");
}
