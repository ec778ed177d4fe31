//! Dates in the names that cameras, phones, messengers and people give to files.
//!
//! Called by the module above with the name alone, without directories.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;

use super::scan::{self, DigitRun};
use super::{DateSource, Moment, PhotoDate};

/// Words between a day and a time in names of screenshots and messengers: English, German, French, Spanish, Italian,
/// Portuguese, Dutch, Danish and Norwegian.
const WORDS_BEFORE_TIMES: [&str; 9] = ["at", "um", "à", "a las", "alle", "às", "om", "kl.", "kl"];
/// Milliseconds since 1970 of the names of messengers: 2005 to 2039. Other numbers of 13 digits are mostly barcodes.
const EPOCHS_OF_NAMES: std::ops::Range<i64> = 1_104_537_600_000..2_208_988_800_000;

/// The first day in the name, with the time that follows it: `IMG_20230415_143218`, `PXL_20230415_143218123`,
/// `20230415143218`, `2023-04-15 14.30.22`, `WhatsApp Image 2023-04-15 at 14.32.18`, `15.04.2023`; or the instant that
/// a number of 13 digits is in milliseconds since 1970: `FB_IMG_1681569138123`.
pub fn from_file_name(name: &str) -> Option<PhotoDate> {
    let numbers = scan::numbers(name);
    let moment = (0..numbers.len()).find_map(|from| moment(numbers.get(from..)?))?;
    Some(moment.from(DateSource::FileName))
}

fn moment(numbers: &[DigitRun<'_>]) -> Option<Moment> {
    let first = numbers.first()?;
    if first.len() == 13 {
        return epoch(first.digits.parse().ok()?);
    }
    if matches!(first.len(), 14 | 17) {
        let day = scan::day(first.part(0, 4)?, first.part(4, 6)?, first.part(6, 8)?)?;
        return Some(at(day, compact(first, 8)?));
    }
    let (day, taken) = scan::day_at(numbers)?;
    let last = numbers.get(taken.checked_sub(1)?)?;
    let time = time_after(last.after, numbers.get(taken..).unwrap_or_default());
    Some(time.map_or_else(|| Moment::of_day(day), |time| at(day, time)))
}

/// In UTC.
fn epoch(milliseconds: i64) -> Option<Moment> {
    let found = EPOCHS_OF_NAMES.contains(&milliseconds).then(|| Timestamp::from_millisecond(milliseconds).ok())?;
    Some(Moment { at: Offset::UTC.to_datetime(found?), offset: Some(Offset::UTC), has_time: true })
}

fn at(day: Date, time: Time) -> Moment {
    Moment { at: day.to_datetime(time), offset: None, has_time: true }
}

/// The time of day at the start of these numbers, if the separator between it and the day is a usual one.
fn time_after(between: &str, numbers: &[DigitRun<'_>]) -> Option<Time> {
    // `日` and `일` end a day.
    let between = between.trim().trim_start_matches(['日', '일']).trim();
    if !matches!(between, "" | "_" | "-" | "T" | "t" | "." | "," | "--") {
        let between = between.to_lowercase();
        WORDS_BEFORE_TIMES.iter().find(|word| **word == between)?;
    }
    let first = numbers.first()?;
    if matches!(first.len(), 6 | 9) {
        return compact(first, 0);
    }
    let [hour, minute, second] = numbers.get(..3)? else { return None };
    let separated = matches!(hour.after, ":" | "." | "-" | "_") && hour.after == minute.after;
    if !separated || hour.len() > 2 || minute.len() != 2 || second.len() != 2 {
        return None;
    }
    let hours = half_of_day(hour.value()?, second.after)?;
    clock(hours, minute.value()?, second.value()?, 0)
}

/// `HHMMSS`, with milliseconds or without, from digit `from` on.
fn compact(number: &DigitRun<'_>, from: usize) -> Option<Time> {
    let milliseconds = if number.len() == from + 9 { number.part(from + 6, from + 9)? } else { 0 };
    let part = |skip: usize| number.part(from + skip, from + skip + 2);
    clock(part(0)?, part(2)?, part(4)?, milliseconds)
}

/// The hour of the day, by the `PM` or `AM` that follows the time.
fn half_of_day(hour: i16, after: &str) -> Option<i16> {
    let mut letters = after.trim_start().chars().map(|letter| letter.to_ascii_uppercase());
    match (letters.next(), letters.next(), letters.next().is_some_and(char::is_alphabetic)) {
        (Some(half @ ('A' | 'P')), Some('M'), false) if (1..=12).contains(&hour) => {
            Some(hour % 12 + if half == 'P' { 12 } else { 0 })
        }
        _ => Some(hour),
    }
}

fn clock(hour: i16, minute: i16, second: i16, milliseconds: i16) -> Option<Time> {
    let [hour, minute, second] = [hour, minute, second].map(i8::try_from);
    Time::new(hour.ok()?, minute.ok()?, second.ok()?, i32::from(milliseconds) * 1_000_000).ok()
}
