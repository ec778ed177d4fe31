//! Dates in EXIF's format, `2023:04:15 14:32:18`, and in the forms that programs write in its place, ISO 8601 among
//! them.
//!
//! Called by the module above, with untrusted texts.

use jiff::civil::{Date, Time};
use jiff::tz::Offset;

use super::{Moment, YEARS_OF_EXIF};

/// Reads a day, `YYYY:MM:DD` with `:`, `-`, `/` or `.`, or `YYYYMMDD`; then a time, `HH:MM:SS` with or without seconds,
/// also with `.` or `-`, or `HHMMSS`, by 24 hours or with AM or PM; a fraction; and an offset, `+HH:MM` or `Z`. A space
/// may stand for a leading zero.
///
/// `None` without a day that exists; a time that does not exist is no time, and the day remains.
pub(super) fn parse(text: &str) -> Option<Moment> {
    let text = text.trim_matches([' ', '\0']).as_bytes();
    let (day, rest) = parse_day(text)?;
    Some(parse_time(day, rest).unwrap_or_else(|| Moment::of_day(day)))
}

/// The day, and the text behind it.
fn parse_day(text: &[u8]) -> Option<(Date, &[u8])> {
    let (year, rest) = text.split_at_checked(4)?;
    let year = i16::try_from(digits(year)?).ok()?;
    let (month, day, rest) = match rest.split_first()? {
        (separator @ (b':' | b'-' | b'/' | b'.'), rest) => {
            let (month, rest) = number(rest)?;
            let (day, rest) = number(rest.strip_prefix(&[*separator])?)?;
            (month, day, rest)
        }
        _ => (pair(rest, 0)?, pair(rest, 2)?, rest.get(4..)?),
    };
    if rest.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Some((YEARS_OF_EXIF.contains(&year).then(|| Date::new(year, month, day).ok())??, rest))
}

fn parse_time(day: Date, text: &[u8]) -> Option<Moment> {
    let text = match text.split_first()? {
        (b' ' | b'T' | b't' | b':' | b'_' | b',', rest) => rest.trim_ascii_start(),
        // Not that of an offset.
        (b'-', rest) if rest.get(2) == Some(&b'-') => rest,
        _ => return None,
    };
    let (half_before, text) = half_of_day(text);
    let (hour, minute, second, rest) = clock(text.trim_ascii_start())?;
    let (nanosecond, rest) = fraction(rest);
    let (half_after, rest) = half_of_day(rest.trim_ascii_start());
    let hour = match half_before.or(half_after) {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        _ => hour,
    };
    // 24:00:00 is the end of the day, which is the beginning of the next; the 60th second is a leap second, which no
    // clock of Postgres knows.
    let (day, hour) = match (hour, minute, second) {
        (24, 0, 0) => (day.tomorrow().ok()?, 0),
        _ => (day, hour),
    };
    let time = Time::new(hour, minute, if second == 60 { 59 } else { second }, nanosecond).ok()?;
    Some(Moment { at: day.to_datetime(time), offset: offset(rest.trim_ascii()), has_time: true })
}

/// Hour, minute, second, and the text behind them. A time of digits alone has six of them, or four before an end.
fn clock(text: &[u8]) -> Option<(i8, i8, i8, &[u8])> {
    let run = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if matches!(run, 4 | 6) {
        let second = if run == 6 { pair(text, 4)? } else { 0 };
        return Some((pair(text, 0)?, pair(text, 2)?, second, text.get(run..)?));
    }
    let (hour, rest) = number(text)?;
    let (separator, rest) = rest.split_first()?;
    if !matches!(separator, b':' | b'.' | b'-') {
        return None;
    }
    let (minute, rest) = number(rest)?;
    // `14:32-08:00` is an hour, a minute and an offset: what follows seconds is no colon.
    let second = rest.strip_prefix(&[*separator]).and_then(number);
    match second.filter(|(_, after)| *separator != b'-' || after.first() != Some(&b':')) {
        Some((second, after)) => Some((hour, minute, second, after)),
        None => Some((hour, minute, 0, rest)),
    }
}

/// The hours to add for `AM` or `PM`, also `A.M.`, at the start of a text, and what follows it.
fn half_of_day(text: &[u8]) -> (Option<i8>, &[u8]) {
    let after = |forms: [&[u8]; 2]| {
        let form =
            forms.into_iter().find(|form| text.get(..form.len()).is_some_and(|head| head.eq_ignore_ascii_case(form)));
        text.get(form?.len()..).filter(|rest| !rest.first().is_some_and(u8::is_ascii_alphabetic))
    };
    let am = after([b"A.M.", b"AM"]).map(|rest| (Some(0), rest));
    am.or_else(|| after([b"P.M.", b"PM"]).map(|rest| (Some(12), rest))).unwrap_or((None, text))
}

/// Nanoseconds, and what follows them.
fn fraction(text: &[u8]) -> (i32, &[u8]) {
    let Some(text) = text.strip_prefix(b".").or_else(|| text.strip_prefix(b",")) else { return (0, text) };
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(length);
    let padded = digits.iter().map(|digit| i32::from(digit - b'0')).chain(std::iter::repeat(0)).take(9);
    (padded.fold(0, |sum, digit| sum * 10 + digit), rest)
}

/// `Z`, `UTC`, `GMT`, `+HH:MM`, `+H:MM`, `+HHMM`, `+HH`. An offset that no place on Earth has is none.
fn offset(text: &[u8]) -> Option<Offset> {
    if [&b"Z"[..], b"UTC", b"GMT"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
        return Some(Offset::UTC);
    }
    let (sign, rest) = match text.split_first()? {
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest {
        [_, _] => (rest, 0),
        [hours @ .., b':', tens, ones] if matches!(hours.len(), 1 | 2) => (hours, digits(&[*tens, *ones])?),
        [_, _, minutes @ ..] if minutes.len() == 2 => (&rest[..2], digits(minutes)?),
        _ => return None,
    };
    let seconds = digits(hours)? * 3600 + minutes * 60;
    (minutes < 60 && seconds <= 14 * 3600).then(|| Offset::from_seconds(sign * seconds).ok())?
}

/// A number of one or two digits, behind a space perhaps, and the text behind it.
fn number(text: &[u8]) -> Option<(i8, &[u8])> {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let length = text.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    let (found, rest) = text.split_at_checked(length).filter(|_| length < 3)?;
    Some((i8::try_from(digits(found)?).ok()?, rest))
}

/// Two digits.
fn pair(text: &[u8], at: usize) -> Option<i8> {
    i8::try_from(digits(text.get(at..at.checked_add(2)?)?)?).ok()
}

/// At most nine digits, and nothing else; at least one.
fn digits(text: &[u8]) -> Option<i32> {
    let value = text.iter().try_fold(0_i32, |sum, byte| match byte {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(i32::from(byte - b'0')),
        _ => None,
    });
    value.filter(|_| !text.is_empty())
}
