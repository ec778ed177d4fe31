//! The quality of an image and its parts: the functions behind the generated columns of `lumina.images`.

use crate::pg::fmgr::arguments::Call;
use crate::pg::fmgr::call::function;
use lumina_photo::quality::{self, Present};
use pgrx::pg_sys::Datum;
use std::borrow::Cow;

fn float(number: f64) -> Datum {
    Datum::from(number.to_bits())
}

/// The name of a format, in any encoding: all known names are ASCII.
fn format(call: Call, index: usize) -> Cow<'static, str> {
    String::from_utf8_lossy(call.bytes::<'static>(index))
}

fn resolution(call: Call, width: usize, height: usize) -> f64 {
    quality::resolution_score(call.int4(width).map(i64::from), call.int4(height).map(i64::from))
}

function! {
    /// `quality_format(format)`.
    quality_format, pg_finfo_quality_format,
    guarded: |arguments: Arguments| float(quality::format_score(&format(arguments.nullable(), 0))),
}

function! {
    /// `quality_resolution(width, height)`.
    quality_resolution, pg_finfo_quality_resolution,
    guarded: |arguments: Arguments| float(resolution(arguments.nullable(), 0, 1)),
}

function! {
    /// `quality_size(format, size)`.
    quality_size, pg_finfo_quality_size,
    guarded: |arguments: Arguments| {
        let call = arguments.nullable();
        float(quality::size_score(&format(call, 0), call.int8(1)))
    },
}

function! {
    /// `quality_metadata(make, model, lens, focal_length, aperture, exposure_time, iso, latitude, longitude)`.
    quality_metadata, pg_finfo_quality_metadata,
    guarded: |arguments: Arguments| {
        let there = |index| !arguments.nullable().is_null(index);
        float(quality::metadata_score(Present {
            make: there(0),
            model: there(1),
            lens: there(2),
            focal_length: there(3),
            aperture: there(4),
            shutter: there(5),
            iso: there(6),
            latitude: there(7),
            longitude: there(8),
        }))
    },
}

function! {
    /// `quality_score(format, width, height, size, metadata)`.
    quality_score, pg_finfo_quality_score,
    guarded: |arguments: Arguments| {
        let call = arguments.nullable();
        let name = format(call, 0);
        float(quality::overall(
            quality::format_score(&name),
            resolution(call, 1, 2),
            quality::size_score(&name, call.int8(3)),
            call.float8(4).unwrap_or_default(),
        ))
    },
}
