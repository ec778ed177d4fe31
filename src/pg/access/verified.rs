//! Which index pages this session has verified, where Postgres keeps no checksums of pages.
//!
//! [`super::pages`] asks for every page that a search reads. The checksum of a page is computed when this session reads
//! the page from disk, and when it meets the page in a buffer for the first time: another session may have read it
//! without verifying it (`pg_prewarm`), or have found it damaged and raised. After that the page is trusted, as
//! Postgres trusts a page whose checksum was right when it came in.
//!
//! Each page has one byte: 0, or 1 plus its buffer's number modulo 255. One case remains that Postgres's own checksums
//! exclude: a page that this session has verified is evicted, damaged on disk, and read again by another session, into
//! a buffer that has the same number modulo 255.

use std::cell::RefCell;
use std::collections::HashMap;

/// The most bytes that a session keeps: those of indexes of half a terabyte. Beyond it all are forgotten.
const MOST: usize = 64 << 20;
/// The most indexes that a session remembers.
const MOST_FILES: usize = 4096;

thread_local! {
    static SESSION: RefCell<Verified> = RefCell::new(Verified::default());
}

/// The marks of a session: of the file that it used last, and of others.
#[derive(Default)]
struct Verified {
    file: u64,
    marks: Vec<u8>,
    others: HashMap<u64, Vec<u8>>,
    /// Bytes of all marks.
    bytes: usize,
}

/// A page in a buffer: the number of its file, its block, and the buffer's number, which is negative for local ones.
#[derive(Clone, Copy)]
pub(in crate::pg) struct BufferedPage {
    pub(in crate::pg) file: u64,
    pub(in crate::pg) block: u32,
    pub(in crate::pg) buffer: i32,
}

impl BufferedPage {
    fn mark(self) -> u8 {
        (self.buffer.unsigned_abs() % 255) as u8 + 1
    }

    /// Whether this session has verified the page in this buffer.
    #[inline]
    pub(in crate::pg) fn is_verified(self) -> bool {
        SESSION.with_borrow_mut(|session| session.marks_of(self.file).get(self.block as usize) == Some(&self.mark()))
    }

    /// Records that the page is intact. Where there is no memory for that, it is verified again.
    pub(in crate::pg) fn set_verified(self) {
        SESSION.with_borrow_mut(|session| {
            let at = self.block as usize;
            let more = (at + 1).saturating_sub(session.marks_of(self.file).len());
            if session.bytes + more > MOST {
                *session = Verified { file: self.file, ..Verified::default() };
                return;
            }
            let marks = &mut session.marks;
            if more > 0 {
                if marks.try_reserve(more).is_err() {
                    return;
                }
                marks.resize(at + 1, 0);
                session.bytes += more;
            }
            marks[at] = self.mark();
        });
    }

    /// Records that the page has come in from disk, unverified.
    pub(in crate::pg) fn set_unknown(self) {
        SESSION.with_borrow_mut(|session| {
            if let Some(mark) = session.marks_of(self.file).get_mut(self.block as usize) {
                *mark = 0;
            }
        });
    }
}

impl Verified {
    #[inline]
    fn marks_of(&mut self, file: u64) -> &mut Vec<u8> {
        if self.file != file {
            self.turn_to(file);
        }
        &mut self.marks
    }

    #[cold]
    fn turn_to(&mut self, file: u64) {
        if self.others.len() >= MOST_FILES {
            *self = Verified::default();
        }
        let marks = std::mem::take(&mut self.marks);
        if !marks.is_empty() {
            self.others.insert(self.file, marks);
        }
        self.marks = self.others.remove(&file).unwrap_or_default();
        self.file = file;
    }
}
