//! `image_info`: format, size and metadata of a file, read without decoding it.

use super::within_limits;
use crate::pg::fmgr::call::function;
use crate::pg::fmgr::jsonb::jsonb;
use crate::pg::fmgr::raise::OrRaise;
use lumina_photo::{Format, dates, dimensions, format, metadata};
use serde_json::{Map, Value, json};

function! {
    /// `image_info(bytea)`.
    image_info, pg_finfo_image_info,
    guarded: |arguments: Arguments| {
        let bytes = arguments.bytes(0);
        let facts = within_limits(|limits| {
            limits.check()?;
            let format = format::detect(bytes)?;
            Ok(describe(bytes, format))
        });
        jsonb(&facts.or_raise())
    },
}

/// Format, width and height, and EXIF metadata.
fn describe(bytes: &[u8], format: Format) -> Value {
    let metadata = metadata::read(bytes, format);
    let mut facts = Map::new();
    facts.insert("format".into(), format.name().into());
    let size = dimensions(bytes, format).or(metadata.width.zip(metadata.height));
    if let Some((width, height)) = size {
        facts.insert("width".into(), width.into());
        facts.insert("height".into(), height.into());
    }
    facts.insert("orientation".into(), metadata::orientation(bytes, format).exif().into());
    if let Some(date) = dates::from_metadata(&metadata) {
        let mut taken = Map::new();
        taken.insert("at".into(), date.rfc3339().into());
        taken.insert("source".into(), date.source.name().into());
        taken.insert("confidence".into(), date.confidence.into());
        if let Some(suspicion) = date.suspicious {
            taken.insert("suspicious".into(), suspicion.name().into());
        }
        facts.insert("taken".into(), taken.into());
    }
    // Empty metadata are left out.
    let exif = serde_json::to_value(&metadata).unwrap_or_else(|_| json!({}));
    if exif.as_object().is_some_and(|exif| !exif.is_empty()) {
        facts.insert("exif".into(), exif);
    }
    Value::Object(facts)
}
