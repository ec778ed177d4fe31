//! From the bytes of an image file to facts, without Postgres: pixels, orientation, perceptual hashes, sharpness, EXIF
//! facts, dates.
//!
//! - [`format`]: what a file is, by its content.
//! - [`limits`]: what reading it may take, and whether it is cancelled; [`input`]: the bytes as decoders read them.
//! - [`decode`](mod@decode): pixels, one file a format; [`picture`]: what they are kept in.
//! - [`orientation`], [`strip`], [`simd`]: a picture as it is shown, eight rows at a time.
//! - [`lanczos`]: resizing with Pillow's bits.
//! - [`hash`], [`sharpness`], [`thumbnail`](mod@thumbnail): what is made of the rows.
//! - [`metadata`], [`dates`]: what EXIF and names say; [`raw`]: previews in raw files. Below them [`boxes`],
//!   [`chunks`], [`heif`], [`ifd`], [`jxl`] and [`segments`] read the structures of ISO base media files, PNG, HEIF,
//!   TIFF, JPEG XL and JPEG.
//! - [`origin`]: what tells an original from a copy that was made of it.
//! - [`quality`]: the score by which the best of several images is chosen.
//!
//! Called by `lumina-import` (files and thumbnails), by the extension's `src/image` (images given as `bytea`),
//! `src/catalog` (quality) and `src/pg/backend/interrupts.rs` (cancellation), and by `benches/quality`. Bytes are
//! hostile: nothing here panics on them past [`decode`](mod@decode), what they claim is checked before it is allocated,
//! and a caller that waits can stop it.

mod boxes;
mod chunks;
pub mod dates;
pub mod decode;
mod dimensions;
pub mod error;
pub mod format;
pub mod hash;
#[cfg_attr(not(any(feature = "avif", feature = "heic")), allow(dead_code, reason = "only decoders need all of it"))]
mod heif;
mod ifd;
mod input;
mod jxl;
mod lanczos;
pub mod limits;
pub mod metadata;
pub mod orientation;
pub mod origin;
pub mod picture;
pub mod quality;
pub mod raw;
mod segments;
pub mod sharpness;
mod simd;
mod strip;
mod thumbnail;

pub use decode::decode;
pub use dimensions::dimensions;
pub use error::PhotoError;
pub use format::Format;
pub use hash::{Made, Method, Recipe, Wanted};
pub use limits::{Caller, Limits, NeverCancels};
pub use orientation::Orientation;
pub use origin::Origin;
pub use picture::{Damage, Picture, Pixels};
pub use thumbnail::thumbnail;
