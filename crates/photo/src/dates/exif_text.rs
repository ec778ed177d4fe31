//! Dates in EXIF's format: `2023:04:15 14:32:18`, and its variants by other programs.
//!
//! Called by the module above, with untrusted texts.

use jiff::civil::{Date, Time};
use jiff::tz::Offset;

use super::{Moment, YEARS_OF_EXIF};

/// Reads `YYYY:MM:DD`, `YYYY-MM-DD`, also with `/` or `.`, and then `HH:MM:SS`, a fraction after `.`, an offset
/// `+HH:MM` or `Z`. `None` without a day that exists; a time that does not exist is no time, and the day remains.
pub(super) fn parse(text: &str) -> Option<Moment> {
    let text = text.trim_matches([' ', '\0']);
    let (day, rest) = text.as_bytes().split_at_checked(10)?;
    let day = parse_day(day)?;
    Some(parse_time(day, rest).unwrap_or_else(|| Moment::of_day(day)))
}

fn parse_day(text: &[u8]) -> Option<Date> {
    let separator = *text.get(4)?;
    if !matches!(separator, b':' | b'-' | b'/' | b'.') || text.get(7) != Some(&separator) {
        return None;
    }
    let year = i16::try_from(digits(text.get(..4)?)?).ok()?;
    let (month, day) = (pair(text, 5)?, pair(text, 8)?);
    YEARS_OF_EXIF.contains(&year).then(|| Date::new(year, month, day).ok())?
}

fn parse_time(day: Date, text: &[u8]) -> Option<Moment> {
    let text = text.strip_prefix(b" ").or_else(|| text.strip_prefix(b"T"))?;
    if text.get(2) != Some(&b':') || text.get(5) != Some(&b':') {
        return None;
    }
    let (hour, minute, second) = (pair(text, 0)?, pair(text, 3)?, pair(text, 6)?);
    let rest = text.get(8..)?;
    let (nanosecond, rest) = fraction(rest);
    // 24:00:00 is the end of the day, which is the beginning of the next; the 60th second is a leap second, which no
    // clock of Postgres knows.
    let (day, hour) = match (hour, minute, second) {
        (24, 0, 0) => (day.tomorrow().ok()?, 0),
        _ => (day, hour),
    };
    let time = Time::new(hour, minute, if second == 60 { 59 } else { second }, nanosecond).ok()?;
    Some(Moment { at: day.to_datetime(time), offset: offset(rest.trim_ascii()), has_time: true })
}

/// Nanoseconds, and what follows them.
fn fraction(text: &[u8]) -> (i32, &[u8]) {
    let Some(text) = text.strip_prefix(b".").or_else(|| text.strip_prefix(b",")) else { return (0, text) };
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(length);
    let padded = digits.iter().map(|digit| i32::from(digit - b'0')).chain(std::iter::repeat(0)).take(9);
    (padded.fold(0, |sum, digit| sum * 10 + digit), rest)
}

/// `Z`, `+HH:MM`, `+HHMM`, `+HH`. An offset that no place on Earth has is none.
fn offset(text: &[u8]) -> Option<Offset> {
    let (sign, rest) = match text.split_first()? {
        (b'Z', []) => return Some(Offset::UTC),
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let minutes = match rest {
        [_, _] => 0,
        [_, _, b':', minutes @ ..] | [_, _, minutes @ ..] if minutes.len() == 2 => digits(minutes)?,
        _ => return None,
    };
    let seconds = i32::from(pair(rest, 0)?) * 3600 + minutes * 60;
    (minutes < 60 && seconds <= 14 * 3600).then(|| Offset::from_seconds(sign * seconds).ok())?
}

/// Two digits.
fn pair(text: &[u8], at: usize) -> Option<i8> {
    i8::try_from(digits(text.get(at..at.checked_add(2)?)?)?).ok()
}

/// At most nine digits, and nothing else.
fn digits(text: &[u8]) -> Option<i32> {
    text.iter().try_fold(0_i32, |sum, byte| match byte {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(i32::from(byte - b'0')),
        _ => None,
    })
}
