//! The numbers in a name, and the days that they may mean.
//!
//! Called by `file_name` and `directory`. A number is a maximal run of digits, so that no date is ever read from within
//! a longer one: a serial number, a resolution, a checksum.

use jiff::civil::Date;

use super::YEARS_OF_NAMES;

/// More numbers than a sensible file name can contain.
const MAX_NUMBERS: usize = 128;

/// A run of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DigitRun<'a> {
    /// The digits.
    pub(super) digits: &'a str,
    /// The text between it and the next number, or the end.
    pub(super) after: &'a str,
    /// Where it begins.
    pub(super) start: usize,
}

impl DigitRun<'_> {
    /// How many digits.
    pub(super) fn len(&self) -> usize {
        self.digits.len()
    }

    /// Digits `from` to `to` of it as a number.
    pub(super) fn part(&self, from: usize, to: usize) -> Option<i16> {
        self.digits.get(from..to)?.parse().ok()
    }

    /// All of it.
    pub(super) fn value(&self) -> Option<i16> {
        self.digits.parse().ok()
    }
}

/// All numbers of a name, in order.
pub(super) fn numbers(name: &str) -> Vec<DigitRun<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    let is_digit = |character: char| character.is_ascii_digit();
    while let Some(skip) = name.get(at..).and_then(|rest| rest.find(is_digit)) {
        let start = at + skip;
        let rest = name.get(start..).unwrap_or_default();
        let length = rest.find(|character| !is_digit(character)).unwrap_or(rest.len());
        let (digits, rest) = rest.split_at(length);
        let (after, _) = rest.split_at(rest.find(is_digit).unwrap_or(rest.len()));
        found.push(DigitRun { digits, after, start });
        at = start + length + after.len();
        if found.len() == MAX_NUMBERS {
            break;
        }
    }
    found
}

/// A day that exists, in a year of photographs.
pub(super) fn day(year: i16, month: i16, day: i16) -> Option<Date> {
    let found = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok();
    found.filter(|_| YEARS_OF_NAMES.contains(&year))
}

/// The day that begins with the first of these numbers, and how many of them it takes: `2023-04-15`, `2023_04_15`,
/// `20230415`, `2023年4月15日`, `15.04.2023`, `15-04-2023`, `04-15-2023`.
///
/// With dots the day is before the month. With hyphens or underscores it may be either, so that `05-03-2023` is no
/// date: a wrong one would be worse.
pub(super) fn day_at(numbers: &[DigitRun<'_>]) -> Option<(Date, usize)> {
    let first = numbers.first()?;
    if first.len() == 8 {
        return Some((day(first.part(0, 4)?, first.part(4, 6)?, first.part(6, 8)?)?, 1));
    }
    let [first, second, third] = numbers.get(..3)? else { return None };
    let [a, b, c] = [first.value()?, second.value()?, third.value()?];
    let found = match (first.len(), second.len(), third.len(), first.after.trim(), second.after.trim()) {
        (4, 1 | 2, 1 | 2, "年", "月") | (4, 1 | 2, 1 | 2, "년", "월") => day(a, b, c)?,
        _ => match (first.len(), second.len(), third.len(), first.after, second.after) {
            (4, 2, 2, "-", "-") | (4, 2, 2, "_", "_") | (4, 2, 2, ".", ".") => day(a, b, c)?,
            (1 | 2, 1 | 2, 4, ".", ".") => day(c, b, a)?,
            (2, 2, 4, "-", "-") | (2, 2, 4, "_", "_") => match (day(c, b, a), day(c, a, b)) {
                (Some(one), Some(other)) if one != other => return None,
                (one, other) => one.or(other)?,
            },
            _ => return None,
        },
    };
    Some((found, 3))
}
