//! Dates in the names of directories.
//!
//! Called by the module above with the whole path of a file, whose last part is ignored.

use std::borrow::Cow;
use std::path::{Component, Path};

use jiff::civil::Date;

use super::scan::{self, DigitRun};
use super::{DateSource, Moment, PhotoDate, YEARS_OF_NAMES};

/// Directories that are examined, from the deepest up.
const MAX_LEVELS: usize = 64;

/// The date of the deepest directory that has one: `2023-04-15`, `2023/04/15`, `2023/04-15`, `2023-04`, `2023/04`,
/// `2023`. A month is its first day, a year its first month.
pub fn from_directory(path: &Path) -> Option<PhotoDate> {
    let levels: Vec<Cow<'_, str>> = path
        .parent()?
        .components()
        .rev()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_string_lossy()),
            _ => None,
        })
        .take(MAX_LEVELS)
        .collect();
    let found = (0..levels.len()).find_map(|from| day(levels.get(from..)?))?;
    Some(Moment::of_day(found).from(DateSource::Directory))
}

/// The day by the first of these levels, and those above it.
fn day(levels: &[Cow<'_, str>]) -> Option<Date> {
    let name = levels.first()?;
    let above = |level: usize| levels.get(level).map_or("", |name| name.as_ref());
    let numbers = scan::numbers(name);
    let tails = || (0..numbers.len()).filter_map(|from| numbers.get(from..));
    let within = || tails().find_map(|tail| Some(scan::day_at(tail)?.0));
    let month_within = || tails().find_map(month);
    let year_within = || tails().find_map(|tail| year(name, tail.first()?));
    within()
        .or_else(|| below_month(&numbers, above(1), above(2)))
        .or_else(|| below_year(&numbers, above(1)))
        .or_else(month_within)
        .or_else(|| scan::day(year_within()?, 1, 1))
}

/// `15` in `04` in `2023`.
fn below_month(numbers: &[DigitRun<'_>], month: &str, year: &str) -> Option<Date> {
    let day = leading(numbers, 0)?;
    let month = scan::numbers(month);
    scan::day(whole_year(year)?, leading(&month, 0)?, day)
}

/// `04-15` or `04` in `2023`.
fn below_year(numbers: &[DigitRun<'_>], year: &str) -> Option<Date> {
    let year = whole_year(year)?;
    let month = leading(numbers, 0)?;
    let day_of_month = match numbers {
        [first, second, ..] if matches!(first.after, "-" | "_" | ".") && second.len() == 2 => second.value(),
        _ => None,
    };
    day_of_month.and_then(|day| scan::day(year, month, day)).or_else(|| scan::day(year, month, 1))
}

/// The number of two digits that a name begins with, alone or before a word of its own: `04`, `04 April`, `04-April`.
fn leading(numbers: &[DigitRun<'_>], start: usize) -> Option<i16> {
    let first = numbers.first()?;
    let ends = !first.after.starts_with(char::is_alphanumeric);
    (first.start == start && first.len() == 2 && ends).then(|| first.value())?
}

/// A name that is a year and nothing else.
fn whole_year(name: &str) -> Option<i16> {
    let year: i16 = name.parse().ok()?;
    (name.len() == 4 && YEARS_OF_NAMES.contains(&year)).then_some(year)
}

/// `2023-04`.
fn month(numbers: &[DigitRun<'_>]) -> Option<Date> {
    let [first, second] = numbers.get(..2)? else { return None };
    let shaped = first.len() == 4 && second.len() == 2 && matches!(first.after, "-" | "_" | ".");
    shaped.then(|| scan::day(first.value()?, second.value()?, 1))?
}

/// A year that stands for itself: no side of a resolution (`1920x1080`), no name of a model (`2000D`).
fn year(name: &str, number: &DigitRun<'_>) -> Option<i16> {
    let before = name.get(..number.start)?;
    let side =
        before.strip_suffix(['x', 'X', '×']).is_some_and(|rest| rest.ends_with(|last: char| last.is_ascii_digit()));
    let unit = number.after.starts_with(|next: char| next.is_alphabetic() || next == '×');
    let found = number.value().filter(|_| number.len() == 4 && !side && !unit)?;
    YEARS_OF_NAMES.contains(&found).then_some(found)
}
