//! From the bytes of an image file to facts, without Postgres: pixels, orientation, perceptual hashes, sharpness, EXIF
//! facts, dates.

mod boxes;
pub mod dates;
pub mod decode;
pub mod error;
pub mod format;
pub mod hash;
mod ifd;
mod input;
mod lanczos;
pub mod limits;
pub mod metadata;
pub mod orientation;
pub mod picture;
pub mod raw;
mod segments;
pub mod sharpness;
mod simd;
mod strip;

pub use decode::decode;
pub use error::PhotoError;
pub use format::Format;
pub use hash::{Made, Method, Recipe, Wanted};
pub use limits::{Limits, Patient, Watch};
pub use orientation::Orientation;
pub use picture::{Picture, Pixels};
