//! Race detection by the last accesses of memory: finds unordered accesses, even though a machine that runs threads in
//! turn computes the right result. Called by [`crate::warp`] for shared and for device memory.
//!
//! Two accesses of the same bytes, one of them a write and not both atomic, are a race unless the first one happens
//! before the second: by the same thread, before a barrier of the block, or before a barrier of the warp. Blocks of a
//! launch are never ordered.
//!
//! Invariant: no false report. A word of four bytes remembers one write and one group of reads, so some of many
//! accesses to different bytes of one word are forgotten.

/// The accessing thread, and the barriers it has passed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who {
    /// The block, counted along the grid.
    pub(crate) block: u32,
    /// Barriers that the block has passed.
    pub(crate) epoch: u32,
    /// The lane's clock, which barriers of its warp set.
    pub(crate) synchronised: u32,
    /// The thread, counted along the block; of several the first one.
    pub(crate) thread: u32,
    /// All lanes of the warp at once.
    pub(crate) is_warp: bool,
}

/// How far apart the threads of a stamp's accesses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Spread {
    #[default]
    Thread,
    Warp,
    Block,
    Grid,
}

/// The last access, or several mutually unordered ones.
#[derive(Debug, Clone, Copy, Default)]
struct Stamp {
    block: u32,
    epoch: u32,
    synchronised: u32,
    thread: u16,
    spread: Spread,
    /// A bit for each byte of the word; 0: none.
    bytes: u8,
}

impl Stamp {
    fn new(who: Who, bytes: u8) -> Self {
        let spread = if who.is_warp { Spread::Warp } else { Spread::Thread };
        let Who { block, epoch, synchronised, thread, .. } = who;
        Self { block, epoch, synchronised, thread: thread as u16, spread, bytes }
    }

    fn happens_before(&self, next: &Self) -> bool {
        if self.bytes == 0 {
            true
        } else if self.spread == Spread::Grid || self.block != next.block {
            false
        } else if self.epoch < next.epoch {
            true
        } else if self.spread == Spread::Block || self.thread / 32 != next.thread / 32 {
            false
        } else {
            let is_one = self.spread == Spread::Thread && next.spread == Spread::Thread;
            self.synchronised < next.synchronised || (is_one && self.thread == next.thread)
        }
    }

    fn conflicts(&self, next: &Self) -> bool {
        self.bytes & next.bytes != 0 && !self.happens_before(next)
    }

    /// Adds an access of the same kind.
    fn merge(&mut self, next: Self) {
        if self.happens_before(&next) {
            let is_same = self.bytes != 0 && self.thread == next.thread && self.epoch == next.epoch;
            let bytes = if is_same { self.bytes | next.bytes } else { next.bytes };
            *self = Self { bytes, ..next };
            return;
        }
        let apart = if self.block != next.block {
            Spread::Grid
        } else if self.thread / 32 != next.thread / 32 {
            Spread::Block
        } else if self.thread != next.thread {
            Spread::Warp
        } else {
            Spread::Thread
        };
        self.spread = self.spread.max(next.spread).max(apart);
        self.synchronised = self.synchronised.max(next.synchronised);
        self.bytes |= next.bytes;
    }
}

/// The kind of an access. Strong ones are atomic, `volatile` or `relaxed`: no two of them race.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    StrongRead,
    Write,
    /// A strong write, or a read and a write in one.
    StrongWrite,
}

/// The accesses of a word: the last one of each kind that is not ordered after the last write.
#[derive(Debug, Clone, Copy, Default)]
struct Word {
    read: Stamp,
    strong_read: Stamp,
    write: Stamp,
    strong_write: Stamp,
}

/// Words of a page: shadows of unaccessed memory take no space.
const PAGE: usize = 256;

/// The accesses of some memory.
#[derive(Debug, Default)]
pub(crate) struct Shadow {
    pages: Vec<Option<Box<[Word; PAGE]>>>,
}

impl Shadow {
    /// Of `length` bytes.
    pub(crate) fn new(length: usize) -> Self {
        Self { pages: vec![None; length.div_ceil(4 * PAGE)] }
    }

    /// Records an access of `size` bytes at `at`, aligned to its size. Returns the block and thread of the other access
    /// if there is a race.
    pub(crate) fn note(&mut self, kind: Kind, at: usize, size: usize, who: Who) -> Option<(u32, u32)> {
        let bytes = if size >= 4 { 15 } else { ((1u8 << size) - 1) << (at % 4) };
        let next = Stamp::new(who, bytes);
        for word in at / 4..(at + size).div_ceil(4) {
            let page = self.pages[word / PAGE].get_or_insert_with(|| Box::new([Word::default(); PAGE]));
            let Word { read, strong_read, write, strong_write } = &mut page[word % PAGE];
            let (with, own): (&[&Stamp], _) = match kind {
                Kind::Read => (&[&*write, &*strong_write], read),
                Kind::StrongRead => (&[&*write], strong_read),
                Kind::Write => (&[&*read, &*strong_read, &*strong_write], write),
                Kind::StrongWrite => (&[&*read, &*write], strong_write),
            };
            if let Some(other) = with.iter().find(|other| other.conflicts(&next)) {
                return Some((other.block, u32::from(other.thread)));
            }
            if kind == Kind::Write && own.conflicts(&next) {
                return Some((own.block, u32::from(own.thread)));
            }
            own.merge(next);
        }
        None
    }
}
