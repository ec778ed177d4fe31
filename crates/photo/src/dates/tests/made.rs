//! Any text, and every day in the ways in which it is written.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn no_text_is_too_strange(text in ".{0,80}", path in "(/?[0-9xX_\\-. é]{0,12}){0,6}") {
        check(&text, &path);
    }

    #[test]
    fn near_misses_are_no_worse(
        text in "[0-9]{2,5}[-:_/. x]?[0-9]{1,4}[-:_/.]?[0-9]{0,4}[ T_-]?[0-9:.]{0,12}[+\\-Z]?[0-9:]{0,6}( ?[AP]M)?",
        path in "([0-9]{1,4}[-_x ]?[0-9]{0,4}/){0,5}[0-9]{0,8}",
    ) {
        check(&text, &path);
    }

    #[test]
    fn any_file_time(seconds: i64, nanoseconds: i32) {
        let _ = best(&Metadata::default(), None, None, Some((seconds, nanoseconds)), now());
    }

    #[test]
    fn every_day_comes_back(year in 1900_i16..=2100, month in 1_i8..=12, day in 1_i8..=28, second in 0_i32..86_400) {
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let at = civil(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"));
        let time = format!("{hour:02}{minute:02}{second:02}");
        let names = [
            format!("IMG_{year:04}{month:02}{day:02}_{time}.jpg"),
            format!("{year:04}-{month:02}-{day:02} {hour:02}.{minute:02}.{second:02}.jpg"),
            format!("{day:02}.{month:02}.{year:04}_{time}.jpg"),
            format!("{day}.{month}.{year:04} {hour:02}.{minute:02}.{second:02}.jpg"),
            format!("{year:04}年{month}月{day}日_{time}.jpg"),
        ];
        for name in names {
            prop_assert_eq!(from_file_name(&name).map(|found| (found.at, found.has_time)), Some((at, true)));
        }
        // Which is the month is told by a number above twelve, or does not matter.
        let told = (day > 12 || day == month).then_some((at, true));
        for (first, second) in [(month, day), (day, month)] {
            let name = format!("{first:02}-{second:02}-{year:04}_{time}.jpg");
            prop_assert_eq!(from_file_name(&name).map(|found| (found.at, found.has_time)), told);
        }
        // EXIF's text, and what other programs write for it.
        let half = if hour < 12 { "AM" } else { "PM" };
        let clock = (hour + 11) % 12 + 1;
        let texts = [
            format!("{year:04}:{month:02}:{day:02} {hour:02}:{minute:02}:{second:02}"),
            format!("{year:04}:{month:02}:{day:02} {hour:2}:{minute:2}:{second:2}"),
            format!("{year:04}:{month:02}:{day:02}:{hour:02}:{minute:02}:{second:02}"),
            format!("{year:04}/{month}/{day} {clock}:{minute:02}:{second:02} {half}"),
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
            format!("{year:04}{month:02}{day:02}T{time}"),
            format!("{year:04}.{month:02}.{day:02} {hour:02}.{minute:02}.{second:02}"),
        ];
        for text in texts {
            prop_assert_eq!(from_metadata(&original(&text)).map(|found| (found.at, found.has_time)), Some((at, true)));
        }
        let path = format!("/p/{year:04}/{month:02}/{day:02}/x.jpg");
        prop_assert_eq!(from_directory(Path::new(&path)).map(|found| found.at.date()), Some(at.date()));
    }
}

fn check(text: &str, path: &str) {
    for text in [text, path] {
        let years = [
            from_metadata(&original(text)).map(|found| found.at.year()),
            from_file_name(text).map(|found| found.at.year()),
            from_directory(Path::new(text)).map(|found| found.at.year()),
        ];
        assert!(years.into_iter().flatten().all(|year| (1826..=2101).contains(&year)), "{text}");
        let _ = best(&original(text), None, Some(Path::new(path)), None, now());
    }
}
