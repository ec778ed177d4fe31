//! The position and the time of EXIF's GPS directory.
//!
//! Called by the module above. A returned position is finite and on Earth.

use exif::{Context, Value};

use super::Gps;
use super::fields::{Fields, real};

/// The position; `None` if there is none, or if it is exactly 0 degrees by 0 degrees, which devices without a position
/// write.
///
/// Errors: what is wrong with it.
pub(super) fn of(fields: &Fields<'_>) -> Result<Option<Gps>, &'static str> {
    let (Some(latitude), Some(longitude)) = (gps(fields, 2), gps(fields, 4)) else { return Ok(None) };
    let latitude = degrees(latitude, gps(fields, 1), [b'N', b'S'], 90.0);
    let longitude = degrees(longitude, gps(fields, 3), [b'E', b'W'], 180.0);
    match (latitude, longitude) {
        (Some(0.0), Some(0.0)) => Ok(None),
        (Some(latitude), Some(longitude)) => Ok(Some(Gps { latitude, longitude, altitude: altitude(fields) })),
        _ => Err("the GPS position is not one"),
    }
}

/// When the position was determined, in UTC, in EXIF's form: `2023:04:15 12:32:18Z`.
pub(super) fn time(fields: &Fields<'_>) -> Option<String> {
    let Value::Ascii(parts) = gps(fields, 0x1D)? else { return None };
    let day = super::text::clean(parts.first()?)?;
    let [hour, minute, second] = parts_of(gps(fields, 7)?)?.try_into().ok()?;
    let whole = |part: Option<f64>, most: f64| part.filter(|part| (0.0..most).contains(part));
    let (hour, minute, second) = (whole(hour, 24.0)?, whole(minute, 60.0)?, whole(second, 61.0)?);
    Some(format!("{day} {:02}:{:02}:{:02}Z", hour as u8, minute as u8, second as u8))
}

fn gps<'a>(fields: &'a Fields<'_>, tag: u16) -> Option<&'a Value> {
    fields.value_in(Context::Gps, tag)
}

/// By the letter of the hemisphere: the first is positive.
fn sign(letter: u8, [positive, negative]: [u8; 2]) -> Option<f64> {
    match letter.to_ascii_uppercase() {
        letter if letter == positive => Some(1.0),
        letter if letter == negative => Some(-1.0),
        _ => None,
    }
}

/// Of degrees, minutes and seconds; those that are not there are zero. The hemisphere is that of the reference, of a
/// letter in a text, or of a minus sign.
fn degrees(value: &Value, reference: Option<&Value>, letters: [u8; 2], most: f64) -> Option<f64> {
    let parts = parts_of(value)?;
    let part = |index: usize| parts.get(index).copied().unwrap_or(Some(0.0));
    let (minutes, seconds) = (part(1)?, part(2)?);
    let fits = (0.0..=60.0).contains(&minutes) && (0.0..=60.0).contains(&seconds);
    let whole = (*parts.first()?)?;
    let degrees = whole.abs() + minutes / 60.0 + seconds / 3600.0;
    let of_reference = || match reference? {
        Value::Ascii(parts) => sign(*parts.first()?.first()?, letters),
        Value::Byte(bytes) | Value::Undefined(bytes, _) => sign(*bytes.first()?, letters),
        _ => None,
    };
    let of_text = || match value {
        Value::Ascii(parts) => letter(parts.first()?.trim_ascii()).and_then(|letter| sign(letter, letters)),
        _ => None,
    };
    let sign = of_reference().or_else(of_text).or((whole < 0.0).then_some(-1.0))?;
    (fits && degrees.is_finite() && degrees <= most).then_some(sign * degrees)
}

/// The numbers of a value, three at most; `None` for one that is none. 0/0 behind the first means that there is none,
/// which is as good as zero.
fn parts_of(value: &Value) -> Option<Vec<Option<f64>>> {
    let plain = |number: f64| number.is_finite().then_some(number);
    let parts: Vec<Option<f64>> = match value {
        Value::Rational(parts) => ratios(parts.iter().map(|part| (part.num.into(), part.denom.into()))),
        Value::SRational(parts) => ratios(parts.iter().map(|part| (part.num.into(), part.denom.into()))),
        Value::Double(parts) => parts.iter().map(|part| plain(*part)).take(3).collect(),
        Value::Float(parts) => parts.iter().map(|part| plain(f64::from(*part))).take(3).collect(),
        Value::Ascii(parts) => numbers(parts.first()?),
        Value::Byte(_) | Value::Undefined(..) => return None,
        Value::Short(parts) => parts.iter().map(|part| Some(f64::from(*part))).take(3).collect(),
        Value::Long(parts) => parts.iter().map(|part| Some(f64::from(*part))).take(3).collect(),
        Value::SLong(parts) => parts.iter().map(|part| Some(f64::from(*part))).take(3).collect(),
        value => vec![real(value)],
    };
    (!parts.is_empty()).then_some(parts)
}

fn ratios(parts: impl Iterator<Item = (f64, f64)>) -> Vec<Option<f64>> {
    let ratio = |(index, part)| match part {
        (0.0, 0.0) if index > 0 => Some(0.0),
        (_, 0.0) => None,
        (numerator, denominator) => Some(numerator / denominator),
    };
    parts.enumerate().map(ratio).take(3).collect()
}

/// The numbers of a text, such as `48,30,0`, `48 30 0`, `48.5`, `48° 30' 0" N`. A comma is one of decimals only where
/// minutes would not have as many digits: `48,8583`.
fn numbers(text: &[u8]) -> Vec<Option<f64>> {
    let text = String::from_utf8_lossy(text.get(..64).unwrap_or(text));
    let is_number = |letter: char| letter.is_ascii_digit() || letter == '.';
    let is_negative = text.trim_start().starts_with('-');
    let runs: Vec<&str> = text.split(|letter| !is_number(letter)).filter(|run| !run.is_empty()).take(3).collect();
    let decimal_comma = match runs.as_slice() {
        [whole, decimals]
            if decimals.len() > 2 && !decimals.contains('.') && text.contains(&format!("{whole},{decimals}")) =>
        {
            Some(format!("{whole}.{decimals}"))
        }
        _ => None,
    };
    let runs = decimal_comma.as_deref().map_or(runs, |number| vec![number]);
    let signed = |(index, run): (usize, &str)| {
        let number: f64 = run.parse().ok()?;
        Some(if index == 0 && is_negative { -number } else { number })
    };
    runs.into_iter().enumerate().map(signed).collect()
}

/// The letter that a text begins or ends with, if it stands for itself.
fn letter(text: &[u8]) -> Option<u8> {
    let alone = |letter: Option<&u8>, beside: Option<&u8>| {
        letter.copied().filter(u8::is_ascii_alphabetic).filter(|_| !beside.is_some_and(u8::is_ascii_alphabetic))
    };
    let before_last = text.len().checked_sub(2).and_then(|at| text.get(at));
    alone(text.last(), before_last).or_else(|| alone(text.first(), text.get(1)))
}

/// In metres. The reference is 1 below the sea, 3 below the ellipsoid.
fn altitude(fields: &Fields<'_>) -> Option<f64> {
    let metres = match gps(fields, 6)? {
        Value::Ascii(parts) => (*numbers(parts.first()?).first()?)?,
        value => real(value)?,
    };
    let below = gps(fields, 5).and_then(|reference| match reference {
        Value::Undefined(bytes, _) => bytes.first().map(|&byte| u32::from(byte)),
        reference => reference.get_uint(0),
    });
    let metres = if matches!(below, Some(1 | 3)) { -metres } else { metres };
    (metres.is_finite() && metres.abs() <= 1_000_000.0).then_some(metres)
}
