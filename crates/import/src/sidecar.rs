//! Files beside a photograph that belong to it, and the date that they give.
//!
//! - XMP packets in files of their own, as editors of raw files write them: `IMG_1.CR2.xmp`, `IMG_1.xmp`.
//! - JSON of Google Takeout, a file for each photograph of Google Photos: `IMG_1.jpg.supplemental-metadata.json`, until
//!   2024 `IMG_1.jpg.json`. Its name is cut at 46 characters before `.json`; a number stands at its end
//!   (`IMG_1.jpg.supplemental-metadata(2).json` for `IMG_1(2).jpg`); what was edited has that of the original
//!   (`IMG_1-edited.jpg`).
//!
//! Called for each file that is read. The files are hostile, and read without following a link, as
//! photographs are; what cannot be read or understood gives no date, and is no error of the photograph.

use crate::roots::{Directory, Roots};
use lumina_photo::dates::{self, DateSource, PhotoDate};
use serde::Deserialize;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Of a file, in bytes: what is behind them is not read.
const LONGEST: u64 = 1 << 20;

/// The most characters of a name that Takeout makes, without its extension.
const TAKEOUT_NAME: usize = 46;

/// What Takeout adds to the name of a photograph; it is the end of the name that is cut.
const TAKEOUT_SUFFIX: &str = ".supplemental-metadata";

/// The most trusted date of the files beside a photograph.
pub fn date(roots: &Roots, path: &Path) -> Option<PhotoDate> {
    let name = path.file_name()?.to_str()?;
    let directory = roots.open_directory(path.parent()?).ok()?;
    let read = |name: &String| read(&directory, name);
    let of_xmp = xmp_names(name).iter().filter_map(read).find_map(|bytes| dates::from_xmp_sidecar(&bytes));
    let of_takeout = takeout_names(name).iter().filter_map(read).find_map(|bytes| of_takeout(&bytes));
    dates::most_trusted([of_xmp, of_takeout].into_iter().flatten())
}

/// `None` where it is not there, or may not be read.
fn read(directory: &Directory, name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::from(directory.open_file(OsStr::new(name)).ok()?).take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The names of XMP files, the one that belongs to this photograph alone first.
fn xmp_names(name: &str) -> Vec<String> {
    let stem = split(name).0;
    let mut names: Vec<String> =
        [name, stem].iter().flat_map(|of| ["xmp", "XMP"].map(|x| format!("{of}.{x}"))).collect();
    names.dedup();
    names
}

/// The names of Takeout's files, the likelier first.
fn takeout_names(name: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |name: &str, number: &str| {
        for of in [format!("{name}{TAKEOUT_SUFFIX}"), name.to_owned()] {
            let of: String = of.chars().take(TAKEOUT_NAME).collect();
            let json = format!("{of}{number}.json");
            if !names.contains(&json) {
                names.push(json);
            }
        }
    };
    add(name, "");
    let (stem, extension) = split(name);
    let (original, number) = numbered(stem);
    let original = original.strip_suffix("-edited").unwrap_or(original);
    if original != stem {
        add(&format!("{original}{extension}"), number);
    }
    names
}

/// A name without its extension, and that with its dot.
fn split(name: &str) -> (&str, &str) {
    let dot = name.rfind('.').filter(|&dot| dot > 0).unwrap_or(name.len());
    name.split_at(dot)
}

/// What is before a number in brackets at the end, and that with its brackets.
fn numbered(name: &str) -> (&str, &str) {
    let inner = name.strip_suffix(')').and_then(|name| name.rsplit_once('('));
    match inner {
        Some((before, digits)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            name.split_at(before.len())
        }
        _ => (name, ""),
    }
}

/// Whether a name is one that Takeout gives to its files: before `.json`, and a number, a name of a file with an
/// extension, or as many characters as there may be.
pub fn is_takeout(name: &str) -> bool {
    let (name, json) = split(name);
    if !json.eq_ignore_ascii_case(".json") {
        return false;
    }
    let name = numbered(name).0;
    let (of, extension) = split(name);
    let is_extension =
        |text: &str| (3..=5).contains(&text.len()) && text.bytes().skip(1).all(|b| b.is_ascii_alphanumeric());
    is_extension(extension)
        || extension.len() > 1 && TAKEOUT_SUFFIX.starts_with(extension) && is_extension(split(of).1)
        || name.chars().count() == TAKEOUT_NAME
}

/// The part of Takeout's JSON that is read here.
#[derive(Deserialize)]
struct Takeout {
    #[serde(rename = "photoTakenTime")]
    taken: TakeoutTime,
}

#[derive(Deserialize)]
struct TakeoutTime {
    /// Seconds since 1970 in UTC, in decimal digits.
    timestamp: String,
}

fn of_takeout(json: &[u8]) -> Option<PhotoDate> {
    let found: Takeout = serde_json::from_slice(json).ok()?;
    dates::from_unix_time(found.taken.timestamp.parse().ok()?, 0, DateSource::Takeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that Takeout has been seen to give (of exports of 2019 to 2025), and the photographs that they belong to.
    const TAKEOUT: [(&str, &str); 13] = [
        ("IMG_1.jpg", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1(2).jpg", "IMG_1.jpg(2).json"),
        ("IMG_1(2).jpg", "IMG_1.jpg.supplemental-metadata(2).json"),
        ("IMG_1-edited.jpg", "IMG_1.jpg.json"),
        ("IMG_1-edited(2).jpg", "IMG_1.jpg.supplemental-metadata(2).json"),
        ("PXL_20240102_030405678.PORTRAIT.jpg", "PXL_20240102_030405678.PORTRAIT.jpg.supplement.json"),
        ("Screenshot_20240102-030405_Some App.png", "Screenshot_20240102-030405_Some App.png.supple.json"),
        ("0123456789_0123456789_0123456789_0123456789.jpg", "0123456789_0123456789_0123456789_0123456789.jp.json"),
        ("0123456789_0123456789_0123456789_012345678ab.jpg", "0123456789_0123456789_0123456789_012345678ab.j.json"),
        ("0123456789 0123456789 0123456789 0123456789 x.jpg", "0123456789 0123456789 0123456789 0123456789 x..json"),
        ("Zürich, Großmünster, Blick über die Limmat.jpg", "Zürich, Großmünster, Blick über die Limmat.jpg.json"),
        ("IMG_1", "IMG_1.json"),
    ];

    #[test]
    fn names_of_takeout() {
        for (photograph, json) in TAKEOUT {
            let names = takeout_names(photograph);
            assert!(names.iter().any(|name| name == json), "{photograph}: {names:?}");
            assert_eq!(is_takeout(json), photograph != "IMG_1", "{json}");
        }
        for other in
            ["metadata.json", "user-generated-memory-titles.json", "print-subscriptions.json", "a.jpg", ".json"]
        {
            assert!(!is_takeout(other), "{other}");
        }
        assert_eq!(takeout_names("a(x).jpg").len(), 2, "no number");
    }

    #[test]
    fn names_of_xmp() {
        assert_eq!(xmp_names("a.CR2"), ["a.CR2.xmp", "a.CR2.XMP", "a.xmp", "a.XMP"]);
        assert_eq!(xmp_names(".a"), [".a.xmp", ".a.XMP", ".a.xmp", ".a.XMP"]);
    }

    #[test]
    fn dates_of_takeout() {
        let at = |json: &str| of_takeout(json.as_bytes()).map(|date| date.rfc3339());
        let json = r#"{"title": "IMG_1.jpg", "description": "", "creationTime": {"timestamp": "1700000000"},
            "photoTakenTime": {"timestamp": "1562320800", "formatted": "5 Jul 2019, 10:00:00 UTC"},
            "geoData": {"latitude": 0.0, "longitude": 0.0}}"#;
        assert_eq!(at(json).as_deref(), Some("2019-07-05T10:00:00+00:00"));
        assert_eq!(at(&json.replace("1562320800", "-1000000000")).as_deref(), Some("1938-04-24T22:13:20+00:00"));
        for broken in [
            json.replace("1562320800", "99999999999999999999"),
            json.replace("1562320800", "9999999999999999"),
            json.replace("1562320800", ""),
            json.replace("photoTakenTime", "taken"),
            json.replace("\"1562320800\"", "[]"),
            json[..json.len() / 2].to_owned(),
            "[".repeat(100_000),
            String::new(),
        ] {
            assert_eq!(at(&broken), None, "{}", broken.get(..80).unwrap_or(&broken));
        }
    }
}
