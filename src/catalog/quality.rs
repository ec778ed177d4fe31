//! Both scores of an image and their parts: the functions behind the generated columns of `lumina.images`, and the
//! rounding of the score that a catalog chooses instead.

use crate::pg::fmgr::arguments::Call;
use crate::pg::fmgr::call::function;
use lumina_photo::quality::{self, Present, composite};
use pgrx::pg_sys::Datum;
use std::borrow::Cow;

fn float(number: f64) -> Datum {
    Datum::from(number.to_bits())
}

/// The name of a format, in any encoding: all known names are ASCII.
fn format(call: Call, index: usize) -> Cow<'static, str> {
    String::from_utf8_lossy(call.bytes::<'static>(index))
}

/// An `int4` that may be NULL, as a number of any size.
fn side(call: Call, index: usize) -> Option<i64> {
    call.int4(index).map(i64::from)
}

/// A quality of JPEG files; `None` for what is none.
fn jpeg_quality(call: Call, index: usize) -> Option<u8> {
    call.int4(index).and_then(|quality| u8::try_from(quality).ok())
}

fn resolution(call: Call, width: usize, height: usize) -> f64 {
    quality::resolution_score(side(call, width), side(call, height))
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

function! {
    /// `rounded_score(score)`.
    rounded_score, pg_finfo_rounded_score,
    guarded: |arguments: Arguments| float(quality::rounded(arguments.nullable().float8(0).unwrap_or_default())),
}

function! {
    /// `composite_format(format, jpeg_quality)`.
    composite_format, pg_finfo_composite_format,
    guarded: |arguments: Arguments| {
        let call = arguments.nullable();
        float(composite::format_points(&format(call, 0), jpeg_quality(call, 1)))
    },
}

function! {
    /// `composite_resolution(width, height)`.
    composite_resolution, pg_finfo_composite_resolution,
    guarded: |arguments: Arguments| {
        let call = arguments.nullable();
        float(composite::resolution_points(side(call, 0), side(call, 1)))
    },
}

function! {
    /// `composite_size(size, width, height)`.
    composite_size, pg_finfo_composite_size,
    guarded: |arguments: Arguments| {
        let call = arguments.nullable();
        float(composite::size_points(call.int8(0), side(call, 1), side(call, 2)))
    },
}

function! {
    /// `composite_sharpness(sharpness)`.
    composite_sharpness, pg_finfo_composite_sharpness,
    guarded: |arguments: Arguments| float(composite::sharpness_points(arguments.nullable().float8(0))),
}

function! {
    /// `composite_score(format, jpeg_quality, width, height, size, sharpness)`.
    composite_score, pg_finfo_composite_score,
    guarded: |arguments: Arguments| {
        let call = arguments.nullable();
        let (width, height) = (side(call, 2), side(call, 3));
        float(composite::score(
            composite::format_points(&format(call, 0), jpeg_quality(call, 1)),
            composite::resolution_points(width, height),
            composite::size_points(call.int8(4), width, height),
            composite::sharpness_points(call.float8(5)),
        ))
    },
}
