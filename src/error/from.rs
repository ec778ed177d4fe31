//! Conversions from the errors of the crates below.

use super::LuminaError;
use crate::guc;
use lumina_hash::ball::RadiusError;
use lumina_photo::PhotoError;
use lumina_photo::hash::SizeError;
use lumina_search::SearchError;
use std::collections::TryReserveError;

impl From<RadiusError> for LuminaError {
    fn from(why: RadiusError) -> Self {
        Self::Radius(why)
    }
}

impl From<SearchError> for LuminaError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::OverBudget { needed, limit } => {
                Self::OverMemory { needed, limit: limit / 1024, setting: guc::search_memory().setting }
            }
            error => Self::Search(error),
        }
    }
}

impl From<SizeError> for LuminaError {
    fn from(error: SizeError) -> Self {
        Self::HashSize(error)
    }
}

impl From<PhotoError> for LuminaError {
    fn from(error: PhotoError) -> Self {
        match error {
            PhotoError::Pixels { width, height, limit } => {
                Self::ImagePixels { width, height, limit, setting: guc::max_image_pixels().setting }
            }
            PhotoError::Memory { needed, limit, .. } => Self::ImageMemory {
                needed: needed.div_ceil(1024),
                limit: limit / 1024,
                setting: guc::image_memory().setting,
            },
            error => Self::Image(error),
        }
    }
}

impl From<TryReserveError> for LuminaError {
    fn from(_: TryReserveError) -> Self {
        Self::OutOfMemory
    }
}
