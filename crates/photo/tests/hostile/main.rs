//! Hostile files: whatever the bytes are, `decode` gives a picture or an error, within its memory, and stops when told.
//!
//! - [`counted`]: the allocator that counts, and the watch that remembers.
//! - [`build`], [`tiffs`], [`jpegs`], [`webps`]: writers of files, byte by byte.
//! - [`memory`]: what is allocated is never more than what the limits were asked for.
//! - [`damage`]: golden images cut short and with flipped bits; files of other kinds.
//! - [`bombs`], [`layers`]: headers that lie, bombs of compression and of structure.
//! - [`cancel`]: how soon a decode ends once nobody wants it.
//! - [`thumbnails`]: what they allocate, of pictures of every shape.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod bombs;
mod build;
mod cancel;
mod counted;
mod damage;
mod jpegs;
mod layers;
mod memory;
mod thumbnails;
mod tiffs;
mod webps;
