//! What the name of a file says of it: whether it is worth a look, and whose companion it is.
//!
//! A name never says what a file is: that is for its content. It only says what is left alone.

/// Why a file or a directory is left alone by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Its name begins with a dot.
    Hidden,
    /// A Synology server's own: thumbnails and the like.
    Synology,
    /// Goes with a photograph of the same name: an edit or a live picture.
    Sidecar,
    /// A film.
    Video,
}

impl Leave {
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

/// Edits that are kept beside a photograph.
const SIDECARS: [&str; 2] = ["xmp", "aae"];

/// Films; those that cameras write beside a photograph are told from others by what stands beside them.
const VIDEOS: [&str; 16] =
    ["mp4", "mov", "avi", "mkv", "wmv", "flv", "webm", "m4v", "mpg", "mpeg", "3gp", "3g2", "mts", "m2ts", "ogv", "vob"];

/// Whether a directory is left alone.
pub fn leave_directory(name: &[u8]) -> Option<Leave> {
    leave(name)
}

/// Whether a file is left alone, without a look into it.
pub fn leave_file(name: &[u8]) -> Option<Leave> {
    leave(name).or_else(|| {
        let extension = extension(name)?;
        let is = |one: &&str| one.as_bytes().eq_ignore_ascii_case(extension);
        if SIDECARS.iter().any(is) { Some(Leave::Sidecar) } else { VIDEOS.iter().any(is).then_some(Leave::Video) }
    })
}

fn leave(name: &[u8]) -> Option<Leave> {
    if name.starts_with(b"@eaDir") || name.windows(13).any(|part| part == b"@SynoResource") {
        Some(Leave::Synology)
    } else if name.starts_with(b".") {
        Some(Leave::Hidden)
    } else {
        None
    }
}

/// What follows the last dot, which is not the first character.
fn extension(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().rposition(|&byte| byte == b'.')?;
    (dot > 0 && dot + 1 < name.len()).then(|| &name[dot + 1..])
}

/// A path as a text: what is not UTF-8 in it is written as `\xNN`, and is then no path any more but says which file is meant.
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_left_alone() {
        for (name, expected) in [
            ("IMG_1.jpg", None),
            ("noextension", None),
            (".hidden.jpg", Some("hidden")),
            ("@eaDir", Some("synology")),
            ("x@SynoResource", Some("synology")),
            ("IMG_1.XMP", Some("sidecar")),
            ("IMG_1.CR2.xmp", Some("sidecar")),
            ("IMG_1.aae", Some("sidecar")),
            ("IMG_1.MOV", Some("video")),
            ("mov", None),
            ("a.", None),
        ] {
            assert_eq!(leave_file(name.as_bytes()).map(Leave::reason), expected, "{name}");
        }
        assert_eq!(leave_directory(b"2023.mov"), None);
        assert_eq!(leave_directory(b".git"), Some(Leave::Hidden));
    }

    #[test]
    fn what_is_not_utf8_is_shown_as_bytes() {
        assert_eq!(shown(b"/a/caf\xe9.jpg"), "/a/caf\\xe9.jpg");
        assert_eq!(shown("/a/café".as_bytes()), "/a/café");
        assert_eq!(shown(b"/a\\xe9/\xe9"), "/a\\\\xe9/\\xe9");
        assert_eq!(shown(b"/a\\xe9"), "/a\\xe9", "a text is what it is");
    }
}
