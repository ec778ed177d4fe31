//! What a file's name decides: whether it is skipped, and whether it accompanies another file.
//!
//! A name never determines the format: the content does.

use crate::sidecar;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Why a file or a directory is skipped by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Its name begins with a dot.
    Hidden,
    /// A Synology server's own file: thumbnails and the like.
    Synology,
    /// Accompanies a photograph of the same name: an edit, or Google Takeout's metadata.
    Sidecar,
    /// A video.
    Video,
}

impl SkipReason {
    /// The word for it in `import_items.reason`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Synology => "synology",
            Self::Sidecar => "sidecar",
            Self::Video => "video",
        }
    }
}

/// Edits that are stored beside a photograph.
const SIDECARS: [&str; 2] = ["xmp", "aae"];

/// Videos; those that cameras write beside a photograph are recognized by the file beside them.
const VIDEOS: [&str; 16] =
    ["mp4", "mov", "avi", "mkv", "wmv", "flv", "webm", "m4v", "mpg", "mpeg", "3gp", "3g2", "mts", "m2ts", "ogv", "vob"];

/// Whether a directory is skipped.
pub fn skip_directory(name: &[u8]) -> Option<SkipReason> {
    skip(name)
}

/// Whether a file is skipped without opening it.
pub fn skip_file(name: &[u8]) -> Option<SkipReason> {
    skip(name).or_else(|| {
        let extension = extension(name)?;
        let is = |one: &&str| one.as_bytes().eq_ignore_ascii_case(extension);
        let is_takeout = || std::str::from_utf8(name).is_ok_and(sidecar::is_takeout);
        if SIDECARS.iter().any(is) || is_takeout() {
            Some(SkipReason::Sidecar)
        } else {
            VIDEOS.iter().any(is).then_some(SkipReason::Video)
        }
    })
}

fn skip(name: &[u8]) -> Option<SkipReason> {
    if name.starts_with(b"@eaDir") || name.windows(13).any(|part| part == b"@SynoResource") {
        Some(SkipReason::Synology)
    } else if name.starts_with(b".") {
        Some(SkipReason::Hidden)
    } else {
        None
    }
}

/// The part after the last dot, unless that is the first character.
fn extension(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().rposition(|&byte| byte == b'.')?;
    (dot > 0 && dot + 1 < name.len()).then(|| &name[dot + 1..])
}

/// A path as text: bytes that are not UTF-8 become `\xNN`; the result then only identifies the file and is no path.
pub fn shown(path: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(path) {
        return text.to_owned();
    }
    let mut text = String::new();
    for chunk in path.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// The longest path that is imported, in bytes: the limit of the columns.
pub const LONGEST: usize = 2500;

/// Why a file with this path is not imported: a stable word, and an explanation. `None` if it is.
pub fn refuse(path: &Path) -> Option<(&'static str, String)> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() > LONGEST {
        return Some(("path_too_long", format!("the path has {} bytes, more than {LONGEST}", bytes.len())));
    }
    let is_text = std::str::from_utf8(bytes).is_ok();
    (!is_text).then(|| ("name_not_utf8", "the path is not UTF-8: rename the file, or its directory".to_owned()))
}

/// A path as stored in `import_items`, at most [`LONGEST`] bytes: the path itself if it can be imported; otherwise a
/// text that is unique for it.
pub fn kept(path: &Path) -> String {
    let mut text = shown(path.as_os_str().as_bytes());
    // No real path has a doubled slash, so this text cannot take the row of a file with that name.
    if path.to_str().is_none() {
        let name = text.rfind('/').unwrap_or_default();
        text.insert(name, '/');
    }
    if text.len() > LONGEST {
        // The beginning, and the file name, which may be the only difference.
        let name = shown(path.file_name().unwrap_or_default().as_bytes());
        let end = (0..=LONGEST.saturating_sub(name.len() + 4)).rev().find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or_default());
        text = format!("{text}.../{name}");
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_skipped() {
        for (name, expected) in [
            ("IMG_1.jpg", None),
            ("noextension", None),
            (".hidden.jpg", Some("hidden")),
            ("@eaDir", Some("synology")),
            ("x@SynoResource", Some("synology")),
            ("IMG_1.XMP", Some("sidecar")),
            ("IMG_1.CR2.xmp", Some("sidecar")),
            ("IMG_1.aae", Some("sidecar")),
            ("IMG_1.jpg.supplemental-metadata.json", Some("sidecar")),
            ("metadata.json", None),
            ("IMG_1.MOV", Some("video")),
            ("mov", None),
            ("a.", None),
        ] {
            assert_eq!(skip_file(name.as_bytes()).map(SkipReason::reason), expected, "{name}");
        }
        assert_eq!(skip_directory(b"2023.mov"), None);
        assert_eq!(skip_directory(b".git"), Some(SkipReason::Hidden));
    }

    #[test]
    fn what_is_not_utf8_is_shown_as_bytes() {
        assert_eq!(shown(b"/a/caf\xe9.jpg"), "/a/caf\\xe9.jpg");
        assert_eq!(shown("/a/café".as_bytes()), "/a/café");
        assert_eq!(shown(b"/a\\xe9/\xe9"), "/a\\\\xe9/\\xe9");
        assert_eq!(shown(b"/a\\xe9"), "/a\\xe9", "a text is what it is");
    }

    #[test]
    fn every_path_has_a_row_of_its_own() {
        use std::ffi::OsStr;
        let path = |bytes: &'static [u8]| Path::new(OsStr::from_bytes(bytes));
        assert_eq!(kept(path("/a/é.jpg".as_bytes())), "/a/é.jpg");
        assert_ne!(kept(path(b"/a/\xe9.jpg")), kept(path(b"/a/\\xe9.jpg")), "what one is and the other looks like");
        let long = |name: &str| format!("/{}/{name}", "dé/".repeat(1200));
        let (one, other) = (long("one.jpg"), long("other.jpg"));
        for text in [&one, &other] {
            let row = kept(Path::new(text));
            assert!(row.len() <= LONGEST && row.ends_with(text.rsplit('/').next().unwrap()), "{row}");
            assert_eq!(refuse(Path::new(text)).unwrap().0, "path_too_long");
        }
        assert_ne!(kept(Path::new(&one)), kept(Path::new(&other)));
        assert_eq!(refuse(path(b"/a/\xe9.jpg")).unwrap().0, "name_not_utf8");
        assert_eq!(refuse(path(b"/a/b.jpg")), None);
    }
}
