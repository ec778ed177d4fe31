//! Directories that may be read, and what is opened beneath them.
//!
//! A path is allowed if it lies under one of the roots, component by component. Every component is opened separately,
//! without following a link, so that a component that is replaced meanwhile leads nowhere else. Only on the way to a
//! root, a link is followed if only root or the server's own user can have made it. The directories of the server
//! itself are never read: each directory on the way is compared with them by device and inode, whatever its name.

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Links that are followed on the way to a root, at most.
const MOST_LINKS: usize = 40;

/// Device and inode: identifies a file under any name.
pub type Identity = (u64, u64);

/// Why a path is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not begin at the root of the file system.
    #[error("\"{}\" is not an absolute path", .0.display())]
    NotAbsolute(PathBuf),
    /// It contains `.` or `..`, or a zero byte.
    #[error("\"{}\" has \"..\" or a zero byte in it", .0.display())]
    Dots(PathBuf),
    /// It lies under none of the roots.
    #[error("\"{}\" is not below any of the directories that may be imported from", .0.display())]
    Outside(PathBuf),
    /// It is, or is below, a directory of the server itself.
    #[error("\"{}\" belongs to the server itself", .0.display())]
    Protected(PathBuf),
    /// It is a symbolic link.
    #[error("\"{}\" is a symbolic link", .0.display())]
    Link(PathBuf),
    /// There is no such file or directory.
    #[error("\"{}\" does not exist", .0.display())]
    NotFound(PathBuf),
    /// It is no directory, but must be one.
    #[error("\"{}\" is not a directory", .0.display())]
    NotDirectory(PathBuf),
    /// It is neither a regular file nor a directory.
    #[error("\"{}\" is not a regular file", .0.display())]
    Special(PathBuf),
    /// The server's user has no permission.
    #[error("\"{}\" may not be read", .0.display())]
    Permission(PathBuf),
    /// Another error of the system.
    #[error("\"{}\" cannot be opened: {why}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// In the system's words.
        why: String,
    },
}

impl Refusal {
    /// The refusal for a system error.
    pub(crate) fn from_errno(path: &Path, error: Errno) -> Self {
        let path = path.to_owned();
        match error {
            Errno::NOENT => Self::NotFound(path),
            Errno::LOOP => Self::Link(path),
            Errno::NOTDIR => Self::NotDirectory(path),
            Errno::ACCESS | Errno::PERM => Self::Permission(path),
            Errno::NXIO | Errno::NODEV => Self::Special(path),
            error => Self::Io { path, why: std::io::Error::from(error).to_string() },
        }
    }
}

/// The directories that may be read.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    roots: Vec<PathBuf>,
    /// Directories that are never read, with everything below.
    protected: Vec<Identity>,
}

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    /// The path by which it was requested.
    pub path: PathBuf,
    pub(crate) descriptor: OwnedFd,
    pub(crate) identity: Identity,
}

impl Directory {
    /// Opens a regular file in it to read it. Never blocks, not even on a pipe.
    ///
    /// Errors: those of [`Refusal`] that concern a file.
    pub(crate) fn open_file(&self, name: &OsStr) -> Result<OwnedFd, Refusal> {
        let path = self.path.join(name);
        let refused = |error| Refusal::from_errno(&path, error);
        // Examined before it is opened: opening a device can have effects.
        let found = fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).map_err(refused)?;
        regular(&path, found.st_mode)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = fs::openat(&self.descriptor, name, flags, Mode::empty()).map_err(refused)?;
        regular(&path, fs::fstat(&opened).map_err(refused)?.st_mode)?;
        Ok(opened)
    }
}

/// The kind of a path.
#[derive(Debug)]
pub enum PathKind {
    /// A directory.
    Directory(Directory),
    /// A regular file.
    File,
}

impl Roots {
    /// `roots` are absolute; `protected` are directories that are never read. A missing one protects nothing.
    pub fn new(roots: impl IntoIterator<Item = PathBuf>, protected: impl IntoIterator<Item = PathBuf>) -> Self {
        let identity = |path: PathBuf| fs::stat(&path).ok().map(|found| (found.st_dev, found.st_ino));
        Roots { roots: roots.into_iter().collect(), protected: protected.into_iter().filter_map(identity).collect() }
    }

    /// The roots in a setting: absolute paths, separated by commas; one with a comma or a space at its ends is
    /// double-quoted, with inner quotes doubled. Errors: the element that is no such path.
    pub fn parse(list: &str) -> Result<Vec<PathBuf>, String> {
        let mut roots = Vec::new();
        let mut rest = list.trim();
        while !rest.is_empty() {
            let mut path = String::new();
            if let Some(mut quoted) = rest.strip_prefix('"') {
                loop {
                    let (text, after) = quoted.split_once('"').ok_or_else(|| rest.to_owned())?;
                    path.push_str(text);
                    quoted = after;
                    match quoted.strip_prefix('"') {
                        Some(after) => quoted = after,
                        None => break,
                    }
                    path.push('"');
                }
                rest = quoted.trim_start();
                rest = if rest.is_empty() { rest } else { rest.strip_prefix(',').ok_or_else(|| rest.to_owned())? };
            } else {
                let (text, after) = rest.split_once(',').unwrap_or((rest, ""));
                path.push_str(text.trim());
                rest = after;
            }
            rest = rest.trim_start();
            let root = plain(Path::new(&path));
            Self::check_syntax(&root).map_err(|_| path)?;
            roots.push(root);
        }
        Ok(roots)
    }

    /// Whether a path may be named at all: absolute, and without `..`.
    ///
    /// Errors: [`Refusal::NotAbsolute`], [`Refusal::Dots`].
    pub fn check_syntax(path: &Path) -> Result<(), Refusal> {
        if !path.is_absolute() {
            return Err(Refusal::NotAbsolute(path.to_owned()));
        }
        let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !plain || path.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(Refusal::Dots(path.to_owned()));
        }
        Ok(())
    }

    /// Whether a path lies under one of the roots, by its name alone: nothing is opened.
    ///
    /// Errors: [`Refusal::Outside`], and those of [`Roots::check_syntax`].
    pub fn allow(&self, path: &Path) -> Result<(), Refusal> {
        self.root_of(path).map(drop)
    }

    /// The deepest root that contains or is a path. Errors: [`Refusal::Outside`], and those of [`Roots::check_syntax`].
    fn root_of(&self, path: &Path) -> Result<&Path, Refusal> {
        Self::check_syntax(path)?;
        let above = self.roots.iter().filter(|root| path.starts_with(root));
        let deepest = above.max_by_key(|root| root.components().count());
        deepest.map(PathBuf::as_path).ok_or_else(|| Refusal::Outside(path.to_owned()))
    }

    /// Opens a directory. Errors: all of [`Refusal`].
    pub fn open_directory(&self, path: &Path) -> Result<Directory, Refusal> {
        let root = self.root_of(path)?;
        let mut here = self.open_root(root)?;
        // Errors name each component as the user named it.
        let mut shown = root.to_owned();
        for part in path.strip_prefix(root).unwrap_or(Path::new("")).components() {
            shown.push(part);
            here = self.enter(&here.0, part.as_os_str(), &shown)?;
        }
        Ok(Directory { path: path.to_owned(), descriptor: here.0, identity: here.1 })
    }

    /// Opens a root, through links that are trusted.
    fn open_root(&self, root: &Path) -> Result<(OwnedFd, Identity), Refusal> {
        let slash = || self.enter(fs::CWD, OsStr::new("/"), Path::new("/"));
        let (mut here, mut shown) = (slash()?, PathBuf::from("/"));
        let mut parts: Vec<OsString> = root.components().rev().map(|part| part.as_os_str().to_owned()).collect();
        let mut links = 0;
        while let Some(part) = parts.pop() {
            if part == "/" {
                (here, shown) = (slash()?, PathBuf::from("/"));
                continue;
            }
            if part == "." {
                continue;
            }
            shown.push(&part);
            match self.enter(&here.0, &part, &shown) {
                Ok(below) => here = below,
                Err(Refusal::Link(path)) if links < MOST_LINKS && is_trusted(&here.0, &part) => {
                    links += 1;
                    let target = fs::readlinkat(&here.0, &part, Vec::new())
                        .map_err(|error| Refusal::from_errno(&path, error))?;
                    let target = Path::new(OsStr::from_bytes(target.to_bytes()));
                    // The target of such a link may lie above this directory.
                    parts.extend(target.components().rev().map(|part| part.as_os_str().to_owned()));
                    shown.pop();
                }
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(here)
    }

    /// One step down.
    fn enter(&self, from: impl std::os::fd::AsFd, name: &OsStr, path: &Path) -> Result<(OwnedFd, Identity), Refusal> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match fs::openat(&from, name, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::NOTDIR) => {
                let found = fs::statat(&from, name, AtFlags::SYMLINK_NOFOLLOW);
                let is_link = found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink);
                return Err(Refusal::from_errno(path, if is_link { Errno::LOOP } else { Errno::NOTDIR }));
            }
            Err(error) => return Err(Refusal::from_errno(path, error)),
        };
        let found = fs::fstat(&opened).map_err(|error| Refusal::from_errno(path, error))?;
        let identity = (found.st_dev, found.st_ino);
        if self.protected.contains(&identity) {
            return Err(Refusal::Protected(path.to_owned()));
        }
        Ok((opened, identity))
    }

    /// A directory within one that is open.
    pub(crate) fn open_within(&self, parent: &Directory, name: &OsStr) -> Result<Directory, Refusal> {
        let path = parent.path.join(name);
        let (descriptor, identity) = self.enter(&parent.descriptor, name, &path)?;
        Ok(Directory { path, descriptor, identity })
    }

    /// The kind of a path. Errors: all of [`Refusal`].
    pub fn examine(&self, path: &Path) -> Result<PathKind, Refusal> {
        match self.open_directory(path) {
            Ok(directory) => {
                // Opened because it will be listed.
                fs::openat(
                    &directory.descriptor,
                    ".",
                    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                    Mode::empty(),
                )
                .map_err(|error| Refusal::from_errno(path, error))?;
                Ok(PathKind::Directory(directory))
            }
            Err(Refusal::NotDirectory(at)) if at == path => self.open_file(path).map(|_| PathKind::File),
            Err(refusal) => Err(refusal),
        }
    }

    /// Opens a regular file to read it. Never blocks, not even on a pipe.
    ///
    /// Errors: all of [`Refusal`].
    pub fn open_file(&self, path: &Path) -> Result<OwnedFd, Refusal> {
        let root = self.root_of(path)?;
        let (Some(parent), Some(name)) = (path.parent().filter(|_| path != root), path.file_name()) else {
            return Err(Refusal::Special(path.to_owned()));
        };
        self.open_directory(parent)?.open_file(name)
    }

    /// Each step to a path, from the first, and the refusal at it, if any: up to the first refusal.
    pub fn steps(&self, path: &Path) -> Vec<(PathBuf, Option<Refusal>)> {
        let root = match self.root_of(path) {
            Ok(root) => root.to_owned(),
            Err(refusal) => return vec![(path.to_owned(), Some(refusal))],
        };
        let below = path.strip_prefix(&root).unwrap_or(Path::new("")).components();
        let below: Vec<OsString> = below.map(|part| part.as_os_str().to_owned()).collect();
        let mut steps = Vec::new();
        let mut here = root;
        for part in std::iter::once(None).chain(below.iter().map(Some)) {
            here.extend(part);
            let refusal = if here == path { self.examine(&here).err() } else { self.open_directory(&here).err() };
            let stop = refusal.is_some();
            steps.push((here.clone(), refusal));
            if stop {
                break;
            }
        }
        steps
    }
}

/// A path without redundant parts: doubled or trailing slashes, and `.` in between.
pub fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// Whether only root or the user of this process can have made or replaced a link.
fn is_trusted(directory: &OwnedFd, name: &OsStr) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let is_ours = |user: u32| user == 0 || user == own;
    let link = fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
    let around = fs::fstat(directory);
    match (link, around) {
        (Ok(link), Ok(around)) => is_ours(link.st_uid) && is_ours(around.st_uid) && around.st_mode & 0o022 == 0,
        _ => false,
    }
}

/// Errors: [`Refusal`], if a mode is not that of a regular file.
fn regular(path: &Path, mode: fs::RawMode) -> Result<(), Refusal> {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Ok(()),
        FileType::Symlink => Err(Refusal::Link(path.to_owned())),
        _ => Err(Refusal::Special(path.to_owned())),
    }
}
