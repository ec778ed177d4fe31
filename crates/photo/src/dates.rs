//! When a photograph was taken, as far as it can be determined, with a confidence.
//!
//! Called for every imported file, after its metadata is read. The source of the highest confidence that has a date
//! wins: nothing is averaged and no source outvotes another. An implausible date is marked, and not dropped; that of a
//! clock that was never set is trusted less than any other.

mod directory;
mod exif_text;
mod file_name;
mod scan;

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, date};
use jiff::tz::Offset;

use crate::metadata::{self, Metadata};

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
    /// XMP: when it was taken.
    XmpDateTimeOriginal,
    /// XMP: when what is shown was made (`photoshop:DateCreated`).
    XmpDateCreated,
    /// IPTC: when what is shown was made.
    IptcDateCreated,
    /// EXIF's GPS directory: when the position was determined.
    GpsDateTime,
    /// XMP: when it was digitized, or its first file written.
    XmpDateTimeDigitized,
    /// PNG: when the original was made.
    PngCreationTime,
    /// EXIF: when the file was changed.
    DateTime,
    /// Google Takeout's file beside the photograph: when it was taken, as Google Photos shows it.
    Takeout,
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
            Self::XmpDateTimeOriginal => "xmp:DateTimeOriginal",
            Self::XmpDateCreated => "photoshop:DateCreated",
            Self::IptcDateCreated => "iptc:DateCreated",
            Self::GpsDateTime => "gps",
            Self::XmpDateTimeDigitized => "xmp:CreateDate",
            Self::PngCreationTime => "png:CreationTime",
            Self::DateTime => "exif:DateTime",
            Self::Takeout => "takeout:photoTakenTime",
            Self::FileName => "file_name",
            Self::Directory => "directory",
            Self::FileTime => "file_time",
        }
    }

    /// Whether a person or a program has written it, rather than a clock.
    fn is_of_names(self) -> bool {
        matches!(self, Self::FileName | Self::Directory)
    }

    /// 0 to 100.
    pub fn confidence(self) -> u8 {
        match self {
            Self::DateTimeOriginal | Self::DateTimeDigitized => 95,
            Self::XmpDateTimeOriginal => 93,
            Self::XmpDateCreated | Self::IptcDateCreated => 92,
            Self::GpsDateTime => 90,
            Self::XmpDateTimeDigitized => 88,
            Self::PngCreationTime => 87,
            Self::DateTime => 85,
            Self::Takeout => 80,
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
    /// It is the start of a clock that was never set, or that lost its time.
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

/// Days on which clocks start, at any time of the day: those of Unix (also as seen from west of Greenwich), of FAT, of
/// the Macintosh, of Nikon. There were no digital cameras.
const CLOCK_DAYS: [Date; 5] =
    [date(1970, 1, 1), date(1969, 12, 31), date(1980, 1, 1), date(1904, 1, 1), date(1978, 1, 1)];
/// Minutes in which clocks start that may also be those of photographs.
const CLOCK_MINUTES: [DateTime; 1] = [date(2000, 1, 1).at(0, 0, 0, 0)];
/// What Qualcomm's camera library writes in the place of a time, exactly; many phones with Android have it.
const CLOCK_SECONDS: [DateTime; 1] = [date(2002, 12, 8).at(12, 0, 0, 0)];
/// The confidence of a clock's start, less than that of a file time.
const CONFIDENCE_OF_CLOCK_STARTS: u8 = 20;

/// Whether it is what a clock says that was never set. The first of January of any other year is what people write into
/// scans of which they know the year alone.
fn is_clock_start(at: DateTime) -> bool {
    let to_minute = |at: DateTime| (at.date(), at.hour(), at.minute());
    CLOCK_DAYS.contains(&at.date())
        || CLOCK_MINUTES.iter().any(|start| to_minute(*start) == to_minute(at))
        || CLOCK_SECONDS.contains(&at)
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
    /// The confidence of the source, or that of a clock's start: 0 to 100.
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
    fn of_day(day: Date) -> Self {
        Self { at: day.to_datetime(Time::midnight()), offset: None, has_time: false }
    }

    fn from(self, source: DateSource) -> PhotoDate {
        let suspicious = match self.at {
            at if is_clock_start(at) && (self.has_time || !source.is_of_names()) => Some(Suspicion::ClockStart),
            at if at.year() < 1990 => Some(Suspicion::BeforeDigital),
            _ => None,
        };
        let confidence = match suspicious {
            Some(Suspicion::ClockStart) => CONFIDENCE_OF_CLOCK_STARTS,
            _ => source.confidence(),
        };
        let Self { at, offset, has_time } = self;
        PhotoDate { at, offset, source, confidence, has_time, suspicious }
    }
}

impl PhotoDate {
    /// The date by RFC 3339, but for the offset where none is known: `2023-04-15T14:32:18.25+02:00`.
    pub fn rfc3339(&self) -> String {
        let offset = self.offset.map_or_else(String::new, |offset| {
            let minutes = offset.seconds() / 60;
            let sign = if minutes < 0 { '-' } else { '+' };
            format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
        });
        format!("{}{offset}", self.at)
    }

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

/// The date that the metadata give.
pub fn from_metadata(metadata: &Metadata) -> Option<PhotoDate> {
    let sources = [
        (&metadata.date_time_original, DateSource::DateTimeOriginal),
        (&metadata.date_time_digitized, DateSource::DateTimeDigitized),
        (&metadata.xmp_date_time_original, DateSource::XmpDateTimeOriginal),
        (&metadata.xmp_date_created, DateSource::XmpDateCreated),
        (&metadata.iptc_date_created, DateSource::IptcDateCreated),
        (&metadata.gps_date_time, DateSource::GpsDateTime),
        (&metadata.xmp_date_time_digitized, DateSource::XmpDateTimeDigitized),
        (&metadata.png_creation_time, DateSource::PngCreationTime),
        (&metadata.date_time, DateSource::DateTime),
    ];
    most_trusted(
        sources.into_iter().filter_map(|(text, source)| Some(exif_text::parse(text.as_deref()?)?.from(source))),
    )
}

/// The first of the dates with the highest confidence.
pub fn most_trusted(dates: impl Iterator<Item = PhotoDate>) -> Option<PhotoDate> {
    dates.reduce(|best, next| if next.confidence > best.confidence { next } else { best })
}

/// The date that the XMP packet of a file beside the photograph gives.
pub fn from_xmp_sidecar(packet: &[u8]) -> Option<PhotoDate> {
    from_metadata(&metadata::of_xmp(packet))
}

/// A clock that a source tells as seconds since 1970 in UTC, and nanoseconds: [`DateSource::FileTime`], the file's
/// modification time, or [`DateSource::Takeout`].
pub fn from_unix_time(seconds: i64, nanoseconds: i32, source: DateSource) -> Option<PhotoDate> {
    let at = Offset::UTC.to_datetime(Timestamp::new(seconds, nanoseconds).ok()?);
    Some(Moment { at, offset: Some(Offset::UTC), has_time: true }.from(source))
}

/// The best date: of the metadata, of files beside it, of the file's name, its directories, its modification time (as
/// in [`from_unix_time`]), checked against `now`.
pub fn best(
    metadata: &Metadata,
    beside: Option<PhotoDate>,
    path: Option<&Path>,
    modified: Option<(i64, i32)>,
    now: Timestamp,
) -> Option<PhotoDate> {
    let of_metadata = from_metadata(metadata);
    let of_name = path.and_then(Path::file_name).and_then(|name| from_file_name(&name.to_string_lossy()));
    let of_directory = path.and_then(from_directory);
    let of_file =
        modified.and_then(|(seconds, nanoseconds)| from_unix_time(seconds, nanoseconds, DateSource::FileTime));
    let found = most_trusted([of_metadata, beside, of_name, of_directory, of_file].into_iter().flatten());
    Some(found?.judged(now))
}

#[cfg(test)]
mod tests;
