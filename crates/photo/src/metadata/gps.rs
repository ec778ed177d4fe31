//! The position, from EXIF's GPS directory.
//!
//! Called by the module above. A returned position is finite and on Earth.

use exif::{Context, Value};

use super::Gps;
use super::fields::Fields;

/// The position; `None` if there is none, or if it is exactly 0 degrees by 0 degrees, which devices without a position
/// write.
///
/// Errors: what is wrong with it.
pub(super) fn of(fields: &Fields<'_>) -> Result<Option<Gps>, &'static str> {
    let (Some(latitude), Some(longitude)) = (gps(fields, 2), gps(fields, 4)) else { return Ok(None) };
    let latitude = degrees(latitude, sign(gps(fields, 1), [b'N', b'S']), 90.0);
    let longitude = degrees(longitude, sign(gps(fields, 3), [b'E', b'W']), 180.0);
    match (latitude, longitude) {
        (Some(0.0), Some(0.0)) => Ok(None),
        (Some(latitude), Some(longitude)) => Ok(Some(Gps { latitude, longitude, altitude: altitude(fields) })),
        _ => Err("the GPS position is not one"),
    }
}

fn gps<'a>(fields: &'a Fields<'_>, tag: u16) -> Option<&'a Value> {
    fields.value_in(Context::Gps, tag)
}

/// By the letter of the hemisphere: the first is positive.
fn sign(reference: Option<&Value>, [positive, negative]: [u8; 2]) -> Option<f64> {
    let letter = match reference? {
        Value::Ascii(parts) => *parts.first()?.first()?,
        Value::Byte(bytes) | Value::Undefined(bytes, _) => *bytes.first()?,
        _ => return None,
    };
    match letter.to_ascii_uppercase() {
        letter if letter == positive => Some(1.0),
        letter if letter == negative => Some(-1.0),
        _ => None,
    }
}

/// Of degrees, minutes and seconds. 0/0 in the place of minutes or seconds means that there are none.
fn degrees(value: &Value, sign: Option<f64>, most: f64) -> Option<f64> {
    let parts: Vec<(f64, f64)> = match value {
        Value::Rational(parts) => parts.iter().map(|part| (f64::from(part.num), f64::from(part.denom))).collect(),
        Value::SRational(parts) => parts.iter().map(|part| (f64::from(part.num), f64::from(part.denom))).collect(),
        _ => return None,
    };
    let part = |index: usize| match parts.get(index) {
        None | Some((0.0, 0.0)) if index > 0 => Some(0.0),
        Some((_, 0.0)) | None => None,
        Some((numerator, denominator)) => Some(numerator / denominator),
    };
    let (minutes, seconds) = (part(1)?, part(2)?);
    let fits = (0.0..=60.0).contains(&minutes) && (0.0..=60.0).contains(&seconds);
    let degrees = part(0)?.abs() + minutes / 60.0 + seconds / 3600.0;
    (fits && degrees <= most).then_some(sign? * degrees)
}

/// In metres. The reference is 1 below the sea, 3 below the ellipsoid.
fn altitude(fields: &Fields<'_>) -> Option<f64> {
    let metres = match gps(fields, 6)? {
        Value::Rational(values) => values.first()?.to_f64(),
        Value::SRational(values) => values.first()?.to_f64(),
        _ => return None,
    };
    let below = gps(fields, 5).and_then(|reference| match reference {
        Value::Undefined(bytes, _) => bytes.first().map(|&byte| u32::from(byte)),
        reference => reference.get_uint(0),
    });
    let metres = if matches!(below, Some(1 | 3)) { -metres } else { metres };
    (metres.is_finite() && metres.abs() <= 1_000_000.0).then_some(metres)
}
