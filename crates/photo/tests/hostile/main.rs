//! Hostile files: for any bytes, `decode` returns a picture or an error, within its memory, and stops when cancelled.
//!
//! - [`counted`]: the counting allocator and the recording caller.
//! - `decoder`: the program of isolated decoders.
//! - [`build`], [`tiffs`], [`jpegs`], [`webps`], `heics`: writers of files, byte by byte.
//! - [`memory`]: allocations never exceed what was requested from the limits.
//! - [`damage`]: golden images, truncated and with flipped bits; files of other kinds.
//! - [`bombs`], `bombs_heic`, [`layers`]: headers that lie, bombs of compression and of structure.
//! - [`cancel`]: how soon a decode ends once it is cancelled.
//! - `process`: decodes by that program.
//! - `avif`, `jxls`: all of these for AVIF and JPEG XL, whose decoder is a process.
//! - [`thumbnails`]: their allocations, for pictures of every shape.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

#[cfg(feature = "avif")]
mod avif;
mod bombs;
#[cfg(feature = "heic")]
mod bombs_heic;
mod build;
mod cancel;
mod counted;
mod damage;
#[cfg(any(feature = "avif", feature = "jxl"))]
mod decoder;
#[cfg(any(feature = "avif", feature = "heic"))]
#[cfg_attr(not(feature = "heic"), allow(dead_code, reason = "AVIF needs the container alone"))]
mod heics;
mod jpegs;
#[cfg(feature = "jxl")]
mod jxls;
mod layers;
mod memory;
#[cfg(any(feature = "avif", feature = "jxl"))]
mod process;
mod thumbnails;
mod tiffs;
mod webps;
