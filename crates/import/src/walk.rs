//! The files below a directory, one after the other: depth first, names in the order of their bytes.
//!
//! The order does not depend on the file system, so an interrupted walk resumes after the last file it reached. Links
//! are not followed; a directory that contains itself (by a bind mount) is not entered again. Held at a time: the names
//! of the directories on the way, and a descriptor of each.

use crate::names::{skip_directory, skip_file};
use crate::roots::{Directory, Refusal, Roots};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The most names of one directory.
const MOST_NAMES: usize = 1_000_000;

/// The deepest nesting of directories.
const DEEPEST: usize = 200;

/// An entry of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalkEntry {
    /// A directory, whose files come next: so even a tree without files shows progress to a waiting caller.
    Directory {
        /// Its path.
        path: PathBuf,
    },
    /// A regular file to visit.
    File {
        /// Its path.
        path: PathBuf,
        /// Its size in bytes at that time.
        size: u64,
    },
    /// An entry that is skipped, with everything below it.
    Skipped {
        /// Its path.
        path: PathBuf,
        /// Its size in bytes, if it is a regular file.
        size: Option<u64>,
        /// A stable word.
        reason: &'static str,
        /// The error, if it could not be read.
        failure: Option<String>,
    },
}

impl WalkEntry {
    /// The path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Directory { path } | Self::File { path, .. } | Self::Skipped { path, .. } => path,
        }
    }
}

/// A directory that is being walked.
struct Level {
    directory: Directory,
    /// The names still to come, the next one last.
    names: Vec<OsString>,
}

/// A walk.
pub struct Walk<'a> {
    roots: &'a Roots,
    levels: Vec<Level>,
    /// The entry to return before any other.
    waiting: Option<WalkEntry>,
    /// The rest of the path of an earlier walk's last entry, from the level that is opened next.
    after: Vec<OsString>,
}

impl<'a> Walk<'a> {
    /// A walk of everything below `directory`, without entries up to and including `after`.
    pub fn new(roots: &'a Roots, directory: Directory, after: Option<&Path>) -> Self {
        let after = after.and_then(|after| after.strip_prefix(&directory.path).ok());
        let after = after.map(|after| after.components().map(|part| part.as_os_str().to_owned()).collect());
        let mut walk = Walk { roots, levels: Vec::new(), waiting: None, after: after.unwrap_or_default() };
        walk.after.reverse();
        walk.enter(directory);
        walk
    }

    fn enter(&mut self, directory: Directory) {
        let after = self.after.pop();
        match names(&directory) {
            Ok(mut names) => {
                // The directory of the earlier walk's last entry is entered again, if it still is a directory.
                if let Some(after) = after {
                    let is_below = !self.after.is_empty();
                    names.retain(|name| if is_below { *name >= after } else { *name > after });
                    if names.last() != Some(&after) {
                        self.after.clear();
                    }
                }
                self.levels.push(Level { directory, names });
            }
            Err(entry) => {
                self.after.clear();
                self.waiting = Some(entry);
            }
        }
    }

    /// Examines a name in the top directory.
    fn visit(&mut self, name: &OsStr) -> Option<WalkEntry> {
        let top = &self.levels.last()?.directory;
        let path = top.path.join(name);
        let found = match fs::statat(&top.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(rustix::io::Errno::NOENT) => return None, // gone since
            Err(error) => return Some(refused(Refusal::from_errno(&path, error), path)),
        };
        let skipped = |path, size, reason| Some(WalkEntry::Skipped { path, size, reason, failure: None });
        let bytes = name.as_bytes();
        match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => {
                let size = u64::try_from(found.st_size).unwrap_or_default();
                match skip_file(bytes) {
                    Some(why) => skipped(path, Some(size), why.reason()),
                    None => Some(WalkEntry::File { path, size }),
                }
            }
            FileType::Directory => {
                if let Some(why) = skip_directory(bytes) {
                    return skipped(path, None, why.reason());
                }
                let identity = (found.st_dev, found.st_ino);
                if self.levels.iter().any(|level| level.directory.identity == identity) {
                    return skipped(path, None, "directory_loop");
                }
                if self.levels.len() >= DEEPEST {
                    return skipped(path, None, "too_deep");
                }
                match self.roots.open_within(top, name) {
                    Ok(directory) => {
                        self.enter(directory);
                        Some(self.waiting.take().unwrap_or(WalkEntry::Directory { path }))
                    }
                    Err(Refusal::NotFound(_)) => None,
                    Err(refusal) => Some(refused(refusal, path)),
                }
            }
            FileType::Symlink => skipped(path, None, "symbolic_link"),
            _ => skipped(path, None, "special_file"),
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = WalkEntry;

    fn next(&mut self) -> Option<WalkEntry> {
        loop {
            if let Some(entry) = self.waiting.take() {
                return Some(entry);
            }
            let Some(name) = self.levels.last_mut()?.names.pop() else {
                self.levels.pop();
                continue;
            };
            let depth = self.levels.len();
            let entry = self.visit(&name);
            // The earlier walk's directory is none any more: the next entry is outside of it.
            if self.levels.len() == depth {
                self.after.clear();
            }
            if entry.is_some() {
                return entry;
            }
        }
    }
}

fn refused(refusal: Refusal, path: PathBuf) -> WalkEntry {
    let reason = reason(&refusal);
    let failure = (!is_skipped(&refusal)).then(|| refusal.to_string());
    WalkEntry::Skipped { path, size: None, reason, failure }
}

/// Whether a refusal is no failure: a link or a special file is skipped, also if it replaced a file or a directory
/// between its examination and its opening.
pub(crate) fn is_skipped(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Link(_) | Refusal::Special(_))
}

/// The word for a refusal in `import_items.reason`.
pub(crate) fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Permission(_) => "permission_denied",
        Refusal::Protected(_) => "protected_directory",
        Refusal::Link(_) => "symbolic_link",
        Refusal::Special(_) => "special_file",
        Refusal::NotFound(_) => "vanished",
        Refusal::NotDirectory(_) => "replaced",
        Refusal::NotAbsolute(_) | Refusal::Dots(_) | Refusal::Outside(_) => "path_not_allowed",
        Refusal::Io { .. } => "io_error",
    }
}

/// The names in a directory, the last one first.
fn names(directory: &Directory) -> Result<Vec<OsString>, WalkEntry> {
    let path = &directory.path;
    let refused = |error| refused(Refusal::from_errno(path, error), path.clone());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listed = fs::openat(&directory.descriptor, ".", flags, Mode::empty()).map_err(refused)?;
    let mut names = Vec::new();
    for entry in fs::Dir::new(listed).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if names.len() == MOST_NAMES || names.try_reserve(1).is_err() {
            let failure = format!("\"{}\" has more than {MOST_NAMES} names", path.display());
            let failure = Some(failure);
            return Err(WalkEntry::Skipped { path: path.clone(), size: None, reason: "directory_too_large", failure });
        }
        names.push(OsString::from_vec(name.to_vec()));
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the link is met on examination or on opening depends on timing, and must make no difference.
    #[test]
    fn a_link_that_is_met_when_it_is_opened_is_no_failure() {
        let at = || PathBuf::from("/photos/d");
        let skipped = |reason, failure| WalkEntry::Skipped { path: at(), size: None, reason, failure };
        assert_eq!(refused(Refusal::Link(at()), at()), skipped("symbolic_link", None));
        assert_eq!(refused(Refusal::Special(at()), at()), skipped("special_file", None));
        let denied = Refusal::Permission(at());
        let words = denied.to_string();
        assert_eq!(refused(denied, at()), skipped("permission_denied", Some(words)));
    }
}
