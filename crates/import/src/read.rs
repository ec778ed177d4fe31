//! Reads the bytes of a file as of one moment: a file that is written to or truncated meanwhile is rejected.

use crate::contents::Sha256 as Checksum;
use crate::facts::{FileStatus, Finding};
use rustix::fs::{self, Stat};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};

/// Bytes that are read to decide whether a file is an image.
pub const HEAD: usize = 64 << 10;

/// Bytes per read: between two, the caller is asked whether it has cancelled.
const AT_ONCE: usize = 4 << 20;

/// Bytes, and their checksum.
pub type Content = (Vec<u8>, Checksum);

/// An open file, and its identity and times when it was opened.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    /// Its identity and times then.
    pub status: FileStatus,
}

impl FileStatus {
    fn of(found: &Stat) -> Self {
        // Limited to the years 1 to 9999, which every clock of ours can represent.
        let micros =
            |seconds: i64, nanos: i64| seconds.clamp(-62_135_596_800, 253_402_300_799) * 1_000_000 + nanos / 1000;
        FileStatus {
            size: u64::try_from(found.st_size).unwrap_or_default(),
            device: found.st_dev as i64,
            inode: found.st_ino as i64,
            modified: micros(found.st_mtime, found.st_mtime_nsec as i64),
            changed: micros(found.st_ctime, found.st_ctime_nsec as i64),
        }
    }
}

impl OpenFile {
    /// Examines a file that was just opened. Errors: `io_error`.
    pub fn new(descriptor: OwnedFd) -> Result<Self, Finding> {
        let found = fs::fstat(descriptor.as_fd()).map_err(|error| io(std::io::Error::from(error)))?;
        Ok(OpenFile { file: File::from(descriptor), status: FileStatus::of(&found) })
    }

    /// The first bytes, at most [`HEAD`]. Errors: `io_error`.
    pub fn head(&mut self) -> Result<Vec<u8>, Finding> {
        let mut head = Vec::new();
        let wanted = self.status.size.min(HEAD as u64);
        (&mut self.file).take(wanted).read_to_end(&mut head).map_err(io)?;
        Ok(head)
    }

    /// Reads the rest of the file after [`OpenFile::head`] and returns all bytes with their SHA-256. `None` if
    /// `is_cancelled` says so. Errors: `changed_while_read`, `out_of_memory`, `io_error`.
    pub fn all(mut self, head: Vec<u8>, is_cancelled: impl Fn() -> bool) -> Result<Option<Content>, Finding> {
        let size = usize::try_from(self.status.size).map_err(|_| out_of_memory())?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| out_of_memory())?;
        bytes.extend_from_slice(&head);
        drop(head);
        let mut digest = Sha256::new();
        digest.update(&bytes);
        while bytes.len() < size {
            if is_cancelled() {
                return Ok(None);
            }
            let start = bytes.len();
            bytes.resize(size.min(start + AT_ONCE), 0);
            let mut at = start;
            while at < bytes.len() {
                match self.file.read(&mut bytes[at..]) {
                    Ok(0) => return Err(changed()), // it was cut
                    Ok(count) => at += count,
                    Err(error) if error.kind() == ErrorKind::Interrupted => (),
                    Err(error) => return Err(io(error)),
                }
            }
            digest.update(&bytes[start..]);
        }
        let after = fs::fstat(self.file.as_fd()).map_err(|error| io(std::io::Error::from(error)))?;
        let after = FileStatus::of(&after);
        // The ctime may differ, by a change of names or rights; the mtime may not.
        if (after.size, after.modified) != (self.status.size, self.status.modified) {
            return Err(changed());
        }
        Ok(Some((bytes, digest.finalize().into())))
    }
}

fn changed() -> Finding {
    Finding::failed("changed_while_read", "the file was written to while it was read".into())
}

fn out_of_memory() -> Finding {
    Finding::failed("out_of_memory", "the system has no memory for the file".into())
}

fn io(error: std::io::Error) -> Finding {
    Finding::failed("io_error", format!("the file cannot be read: {error}"))
}
