//! A spool of words on disk: a temporary file of Postgres, in its tablespaces and under its limits.

use lumina_index::Spool;
use pgrx::pg_sys::{self, BufFile};
use std::ptr;

/// A temporary file, made when the first words are written.
///
/// Where an error unwinds, the end of the transaction closes it, as it does Postgres's own.
pub(crate) struct TemporaryFile(*mut BufFile);

impl TemporaryFile {
    /// An empty file. It is closed by the statement that makes it.
    pub(crate) fn new() -> Self {
        TemporaryFile(ptr::null_mut())
    }
}

impl Spool for TemporaryFile {
    fn write(&mut self, words: &[u64]) {
        // SAFETY: a file of our own, and room of the length that is given, which is only read. Both raise where they
        // fail.
        unsafe {
            if self.0.is_null() {
                self.0 = pg_sys::BufFileCreateTemp(false);
            }
            pg_sys::BufFileWrite(self.0, words.as_ptr().cast_mut().cast(), size_of_val(words));
        }
    }

    fn rewind(&mut self) {
        if !self.0.is_null() {
            // SAFETY: a file of our own.
            let failed = unsafe { pg_sys::BufFileSeek(self.0, 0, 0, libc::SEEK_SET) } != 0;
            assert!(!failed, "the beginning of a temporary file was not found");
        }
    }

    fn read(&mut self, words: &mut [u64]) -> usize {
        if self.0.is_null() {
            return 0;
        }
        // SAFETY: a file of our own, and room of the length that is given; any bytes are words.
        unsafe { pg_sys::BufFileRead(self.0, words.as_mut_ptr().cast(), size_of_val(words)) / size_of::<u64>() }
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if !self.0.is_null() && !std::thread::panicking() {
            // SAFETY: a file of our own, in a transaction that goes on.
            unsafe { pg_sys::BufFileClose(self.0) };
        }
    }
}
