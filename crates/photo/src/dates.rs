//! When a photograph was taken, as far as it can be determined, with a confidence.
//!
//! Called for every imported file, after its metadata is read. The sources are tried in the order of their confidence,
//! and the first that has a date wins: nothing is averaged and no source outvotes another. An implausible date is
//! marked, and not dropped.

mod directory;
mod exif_text;
mod file_name;
mod scan;

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time, date};
use jiff::tz::Offset;

use crate::metadata::Metadata;

pub use directory::from_directory;
pub use file_name::from_file_name;

/// Years of dates in names: other numbers of four digits are more common there than photographs of other years.
const YEARS_OF_NAMES: std::ops::RangeInclusive<i16> = 1900..=2100;
/// Years of dates that EXIF gives. Before them there was no photography.
const YEARS_OF_EXIF: std::ops::RangeInclusive<i16> = 1826..=2100;

/// Where a date is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DateSource {
    /// EXIF: when it was taken.
    DateTimeOriginal,
    /// EXIF: when it was digitized.
    DateTimeDigitized,
    /// EXIF: when the file was changed.
    DateTime,
    /// The name of the file.
    FileName,
    /// The names of the directories that it is in.
    Directory,
    /// The file's modification time.
    FileTime,
}

impl DateSource {
    /// The name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::DateTimeOriginal => "exif:DateTimeOriginal",
            Self::DateTimeDigitized => "exif:DateTimeDigitized",
            Self::DateTime => "exif:DateTime",
            Self::FileName => "file_name",
            Self::Directory => "directory",
            Self::FileTime => "file_time",
        }
    }

    /// 0 to 100.
    pub fn confidence(self) -> u8 {
        match self {
            Self::DateTimeOriginal | Self::DateTimeDigitized => 95,
            Self::DateTime => 85,
            Self::FileName => 70,
            Self::Directory => 50,
            Self::FileTime => 30,
        }
    }
}

/// Why a date is implausible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suspicion {
    /// It is in the future.
    Future,
    /// It is the start of an unset clock: midnight of 1 January 1970, 1980 or 2000.
    ClockStart,
    /// It is before 1990, when there were hardly any digital cameras.
    BeforeDigital,
}

impl Suspicion {
    /// The name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Future => "future",
            Self::ClockStart => "clock_start",
            Self::BeforeDigital => "before_1990",
        }
    }
}

/// When a photograph was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhotoDate {
    /// Local time of the camera, or of the person who named the file; UTC for a file time. With sub-seconds.
    pub at: DateTime,
    /// The clock's offset from UTC, if known.
    pub offset: Option<Offset>,
    /// The source.
    pub source: DateSource,
    /// The confidence of the source: 0 to 100.
    pub confidence: u8,
    /// Whether the time of day is known; otherwise `at` is midnight.
    pub has_time: bool,
    /// Whether it is implausible.
    pub suspicious: Option<Suspicion>,
}

/// A date with its details, before its source is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    at: DateTime,
    offset: Option<Offset>,
    has_time: bool,
}

impl Moment {
    fn of_day(day: jiff::civil::Date) -> Self {
        Self { at: day.to_datetime(Time::midnight()), offset: None, has_time: false }
    }

    fn from(self, source: DateSource) -> PhotoDate {
        let starts = [1970, 1980, 2000].map(|year| date(year, 1, 1).to_datetime(Time::midnight()));
        let suspicious = match self.at {
            at if starts.contains(&at) => Some(Suspicion::ClockStart),
            at if at.year() < 1990 => Some(Suspicion::BeforeDigital),
            _ => None,
        };
        let Self { at, offset, has_time } = self;
        PhotoDate { at, offset, source, confidence: source.confidence(), has_time, suspicious }
    }
}

impl PhotoDate {
    /// Marks the date if it is after `now`. A clock without a known offset may be as far ahead of UTC as clocks are.
    fn judged(mut self, now: Timestamp) -> Self {
        let furthest = Offset::from_seconds(14 * 3600).unwrap_or(Offset::UTC);
        let earliest = self.offset.unwrap_or(furthest).to_timestamp(self.at);
        // A date that no timestamp can hold is past the year 9999.
        if earliest.map_or(self.at.year() > 0, |earliest| earliest > now) {
            self.suspicious = Some(Suspicion::Future);
        }
        self
    }
}

/// The date that EXIF gives.
pub fn from_exif(metadata: &Metadata) -> Option<PhotoDate> {
    let read = |text: &Option<String>, source| Some(exif_text::parse(text.as_deref()?)?.from(source));
    read(&metadata.date_time_original, DateSource::DateTimeOriginal)
        .or_else(|| read(&metadata.date_time_digitized, DateSource::DateTimeDigitized))
        .or_else(|| read(&metadata.date_time, DateSource::DateTime))
}

/// The file's modification time: seconds since 1970 in UTC, and nanoseconds.
pub fn from_file_time(seconds: i64, nanoseconds: i32) -> Option<PhotoDate> {
    let at = Offset::UTC.to_datetime(Timestamp::new(seconds, nanoseconds).ok()?);
    Some(Moment { at, offset: Some(Offset::UTC), has_time: true }.from(DateSource::FileTime))
}

/// The best date: EXIF, the file's name, its directories, its modification time (as in [`from_file_time`]), checked
/// against `now`.
pub fn best(
    metadata: &Metadata,
    path: Option<&Path>,
    modified: Option<(i64, i32)>,
    now: Timestamp,
) -> Option<PhotoDate> {
    let of_name = || from_file_name(&path?.file_name()?.to_string_lossy());
    let found = from_exif(metadata)
        .or_else(of_name)
        .or_else(|| from_directory(path?))
        .or_else(|| modified.and_then(|(seconds, nanoseconds)| from_file_time(seconds, nanoseconds)));
    Some(found?.judged(now))
}

#[cfg(test)]
mod tests;
