//! Memory that two processes share: hashes on their way to the GPU process.
//!
//! It is an anonymous file. The writer allocates all of its pages first, so that a write cannot kill the process, and
//! seals it before passing it on: neither its size nor its contents can change afterwards, so that the reader can trust
//! both.

#![allow(unsafe_code, reason = "memory is mapped")]

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use std::io;
use std::ptr::NonNull;

/// Bytes that are allocated at a time.
const PIECE: u64 = 16 << 20;

/// Words of a file, mapped.
#[derive(Debug)]
struct Mapped {
    memory: NonNull<u64>,
    words: usize,
}

// SAFETY: the value owns the memory, on any thread.
unsafe impl Send for Mapped {}
// SAFETY: as above; the memory changes through `&mut` alone.
unsafe impl Sync for Mapped {}

impl Mapped {
    fn new(file: impl AsFd, words: usize, writable: bool) -> io::Result<Self> {
        if words == 0 {
            return Ok(Mapped { memory: NonNull::dangling(), words });
        }
        let access = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        // A read-only mapping must be private: a shared one could be made writable, which the seals forbid.
        let kind = if writable { MapFlags::SHARED } else { MapFlags::PRIVATE };
        // SAFETY: the kernel chooses the address; the file is this long, and stays so.
        let memory = unsafe { rustix::mm::mmap(std::ptr::null_mut(), words * 8, access, kind, file, 0) }?;
        let memory = NonNull::new(memory.cast()).ok_or(Errno::NOMEM)?;
        Ok(Mapped { memory, words })
    }

    fn as_slice(&self) -> &[u64] {
        // SAFETY: mapped with this length; nobody can write it but through `&mut self`.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.words) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.words > 0 {
            // SAFETY: mapped with this length, and no borrow is left.
            let _ = unsafe { rustix::mm::munmap(self.memory.as_ptr().cast(), self.words * 8) };
        }
    }
}

/// Shared memory that is being written.
#[derive(Debug)]
pub struct Draft {
    file: OwnedFd,
    mapped: Mapped,
}

impl Draft {
    /// Memory of `words` words, all zeros, every page of it allocated, piece by piece with a call of `between` after
    /// each. The caller bounds it: where memory runs out the kernel kills processes, and reports nothing. Errors: those
    /// of the system, and of `between`.
    pub fn new(words: usize, mut between: impl FnMut() -> io::Result<()>) -> io::Result<Self> {
        let file = rustix::fs::memfd_create("lumina hashes", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let bytes = (words as u64).checked_mul(8).ok_or(Errno::NOMEM)?;
        for first in (0..bytes).step_by(PIECE as usize) {
            let piece = PIECE.min(bytes - first);
            // A signal interrupts the call, and a backend gets many.
            while let Err(error) = rustix::fs::fallocate(&file, FallocateFlags::empty(), first, piece) {
                if error != Errno::INTR {
                    return Err(error.into());
                }
                between()?;
            }
            between()?;
        }
        let mapped = Mapped::new(&file, words, true)?;
        Ok(Draft { file, mapped })
    }

    /// The words.
    pub fn words(&mut self) -> &mut [u64] {
        // SAFETY: mapped with this length, and borrowed as a whole.
        unsafe { std::slice::from_raw_parts_mut(self.mapped.memory.as_ptr(), self.mapped.words) }
    }

    /// Seals it: nothing can change it afterwards.
    pub fn seal(self) -> io::Result<OwnedFd> {
        let Draft { file, mapped } = self;
        drop(mapped);
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
        Ok(file)
    }
}

/// Shared memory that another process has written and sealed.
#[derive(Debug)]
pub struct Sealed(Mapped);

impl Sealed {
    /// Maps a file of `words` words. Errors: `InvalidData` for a file that is shorter, or not sealed.
    pub fn open(file: impl AsFd, words: usize) -> io::Result<Self> {
        let wanted = SealFlags::SHRINK | SealFlags::WRITE;
        let is_sealed = rustix::fs::fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(wanted));
        let stat = rustix::fs::fstat(&file)?;
        // A file with holes is refused: reading them would allocate memory.
        let size = (stat.st_size as u64).min(stat.st_blocks as u64 * 512);
        if !is_sealed || words.checked_mul(8).is_none_or(|bytes| bytes as u64 > size) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Sealed(Mapped::new(file, words, false)?))
    }
}

impl AsRef<[u64]> for Sealed {
    fn as_ref(&self) -> &[u64] {
        self.0.as_slice()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_stays_as_it_is() {
        let mut draft = Draft::new(1000, || Ok(())).unwrap();
        draft.words().iter_mut().zip(0..).for_each(|(word, number)| *word = number);
        let unsealed = draft.file.try_clone().unwrap();
        assert_eq!(Sealed::open(&unsealed, 1000).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let file = draft.seal().unwrap();
        let sealed = Sealed::open(&file, 1000).unwrap();
        assert_eq!(sealed.as_ref(), (0..1000).collect::<Vec<u64>>());
        assert!(rustix::fs::ftruncate(&file, 8).is_err() && Mapped::new(&file, 1000, true).is_err());
        assert_eq!(Sealed::open(&file, 1001).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(Sealed::open(&file, usize::MAX).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(Sealed::open(Draft::new(0, || Ok(())).unwrap().seal().unwrap(), 0).unwrap().as_ref().is_empty());
    }
}
