//! Values of type `jsonb`.

use super::datum::CString;
use super::encoding::in_plain_encoding;
use pgrx::pg_sys::{self, Datum};
use serde_json::Value;

/// A new `jsonb`. Raises where Postgres rejects a text in it: none must hold a zero character.
pub(crate) fn jsonb(value: &Value) -> Datum {
    let text = CString::new(&in_plain_encoding(value.to_string()));
    let (mut input, mut parameter) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
    // SAFETY: a look-up that fills in both, and the type's own input function, which does not keep the text.
    unsafe {
        pg_sys::getTypeInputInfo(pg_sys::JSONBOID, &raw mut input, &raw mut parameter);
        pg_sys::OidInputFunctionCall(input, text.into_datum().cast_mut_ptr(), parameter, -1)
    }
}
