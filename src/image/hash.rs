//! `image_phash`, `image_pdq`, `image_phashes`, `image_phash_dihedral`, `phash_dihedral`.

use super::error::UnknownMethod;
use super::{decode, within_limits};
use crate::error::LuminaError;
use crate::pg::fmgr::arguments::Call;
use crate::pg::fmgr::call::function;
use crate::pg::fmgr::datum::Varlena;
use crate::pg::fmgr::encoding::shortened;
use crate::pg::fmgr::raise::OrRaise;
use crate::pg::fmgr::record::record;
use crate::pg::fmgr::rows::{Rows, set_function};
use lumina_photo::hash::{self, Hash};
use lumina_photo::{Made, Method, Orientation, Recipe, Wanted};
use pgrx::pg_sys::Datum;

/// A user's method. Errors: 22023.
fn method(name: &[u8]) -> Result<Method, LuminaError> {
    let name = String::from_utf8_lossy(name);
    Method::from_name(&name).ok_or_else(|| UnknownMethod(shortened(&name)).into())
}

/// The recipe of a user's method and size. Errors: 22023.
fn recipe(name: &[u8], size: i32) -> Result<Recipe, LuminaError> {
    Ok(Recipe::new(method(name)?, size)?)
}

fn datum(hash: &Hash) -> Datum {
    Varlena::new(&[hash]).into_datum()
}

/// Makes hashes of an image.
fn make(bytes: &[u8], orient: bool, recipes: Vec<Recipe>) -> Result<Made, LuminaError> {
    within_limits(|limits| {
        let decoded = decode(bytes, orient, limits)?;
        let wanted = Wanted { recipes, sharpness: false };
        hash::make(&decoded.picture, decoded.shown, &wanted, decoded.format, limits)
    })
}

function! {
    /// `image_phash(bytea, text, int4, bool)`.
    image_phash, pg_finfo_image_phash,
    guarded: |arguments: Arguments| {
        let recipe = recipe(arguments.bytes(1), arguments.int4(2)).or_raise();
        let made = make(arguments.bytes(0), arguments.bool(3), vec![recipe]).or_raise();
        made.hashes.first().map_or(Datum::null(), datum)
    },
}

function! {
    /// `image_pdq(bytea, bool)`: hash and quality.
    image_pdq, pg_finfo_image_pdq,
    guarded: |arguments: Arguments| {
        let made = make(arguments.bytes(0), arguments.bool(1), vec![Recipe::standard(Method::Pdq)]).or_raise();
        let columns = [made.hashes.first().map(datum), made.pdq_quality.map(|quality| i32::from(quality).into())];
        // SAFETY: the columns of its declaration.
        #[allow(unsafe_code)]
        unsafe { record(arguments.call(), columns) }
    },
}

function! {
    /// `image_phashes(bytea, bool)`: everything that one decode gives.
    image_phashes, pg_finfo_image_phashes,
    guarded: |arguments: Arguments| {
        let (decoded, made) = within_limits(|limits| {
            let decoded = decode(arguments.bytes(0), arguments.bool(1), limits)?;
            let wanted = Wanted { recipes: Method::ALL.map(Recipe::standard).to_vec(), sharpness: true };
            let made = hash::make(&decoded.picture, decoded.shown, &wanted, decoded.format, limits)?;
            Ok((decoded, made))
        })
        .or_raise();
        let hash = |index: usize| made.hashes.get(index).map(datum);
        let columns = [
            hash(0),
            hash(1),
            hash(2),
            hash(3),
            hash(4),
            hash(5),
            hash(6),
            made.pdq_quality.map(|quality| i32::from(quality).into()),
            made.sharpness.map(|variance| Datum::from(variance.to_bits())),
            Some((decoded.picture.width as i32).into()),
            Some((decoded.picture.height as i32).into()),
            Some(Varlena::new(&[decoded.format.name().as_bytes()]).into_datum()),
            Some(i32::from(decoded.stored.exif()).into()),
        ];
        // SAFETY: the columns of its declaration.
        #[allow(unsafe_code)]
        unsafe { record(arguments.call(), columns) }
    },
}

set_function! {
    /// `image_phash_dihedral(bytea, text, int4, bool)`: eight rows.
    image_phash_dihedral, pg_finfo_image_phash_dihedral, dihedral
}

fn dihedral(call: Call, rows: &mut Rows) -> Result<(), LuminaError> {
    let recipe = recipe(call.bytes(1), call.int4(2).unwrap_or_default())?;
    let hashes = within_limits(|limits| {
        let decoded = decode(call.bytes(0), call.bool(3), limits)?;
        hash::dihedral(&decoded.picture, decoded.shown, recipe, decoded.format, limits)
    })?;
    put_forms(rows, &Orientation::ALL.into_iter().zip(hashes).collect::<Vec<_>>());
    Ok(())
}

fn put_forms(rows: &mut Rows, forms: &[(Orientation, Hash)]) {
    rows.put(forms.len(), |row, values, nulls| {
        let (orientation, hash) = &forms[row];
        values[0] = Varlena::new(&[transform(*orientation).as_bytes()]).into_datum();
        values[1] = datum(hash);
        nulls.fill(false);
    });
}

set_function! {
    /// `phash_dihedral(phash, text)`: eight rows, or four.
    phash_dihedral, pg_finfo_phash_dihedral, forms
}

fn forms(call: Call, rows: &mut Rows) -> Result<(), LuminaError> {
    put_forms(rows, &hash::forms(call.bytes(0), method(call.bytes(1))?)?);
    Ok(())
}

/// The name of the transformation; rotations are clockwise.
fn transform(orientation: Orientation) -> &'static str {
    match orientation {
        Orientation::Upright => "identity",
        Orientation::FlipHorizontal => "flip_horizontal",
        Orientation::Rotate180 => "rotate_180",
        Orientation::FlipVertical => "flip_vertical",
        Orientation::Transpose => "transpose",
        Orientation::Rotate90 => "rotate_90",
        Orientation::Transverse => "transverse",
        Orientation::Rotate270 => "rotate_270",
    }
}
