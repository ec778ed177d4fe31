//! Photographs of real cameras.

use super::*;

/// Real photographs, if they are beside the repository.
fn photographs(folder: &str) -> Option<Vec<(PathBuf, Vec<u8>)>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/photos").join(folder);
    let Ok(files) = std::fs::read_dir(&root) else {
        println!("skipped: {} is not there", root.display());
        return None;
    };
    let paths = files.map(|file| file.unwrap().path());
    Some(paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect())
}

#[test]
fn photographs_as_the_parser_sees_them_whole() {
    use exif::{In, Reader, Tag};
    let mut seen = 0;
    for folder in ["cameras", "exif-org", "gps", "hdr", "mobile", "orientation", "tiff", "heic"] {
        for (path, bytes) in photographs(folder).into_iter().flatten() {
            let format = detect(&bytes).unwrap();
            let found = read(&bytes, format);
            let whole = Reader::new().continue_on_error(true).read_from_container(&mut std::io::Cursor::new(&bytes));
            let Ok(whole) = whole.or_else(|error| error.distill_partial_result(|_| ())) else { continue };
            let number = |tag| whole.get_field(tag, In::PRIMARY).and_then(|field| field.value.get_uint(0));
            let named = |tag| whole.get_field(tag, In::PRIMARY).is_some();
            assert_eq!(found.orientation.map(u32::from), number(Tag::Orientation).filter(|&n| (1..=8).contains(&n)));
            assert!(found.model.is_some() || !named(Tag::Model), "{}", path.display());
            assert_eq!(
                found.f_number.is_some(),
                named(Tag::FNumber) || named(Tag::ApertureValue),
                "{}",
                path.display()
            );
            assert!(found.date_time_original.is_none() || crate::dates::from_metadata(&found).is_some(), "{found:?}");
            if !matches!(format, Format::Heic | Format::Avif | Format::Jxl) {
                assert_eq!(
                    Some(orientation(&bytes, format).exif()),
                    found.orientation.or(Some(1)),
                    "{}",
                    path.display()
                );
            }
            seen += 1;
        }
    }
    println!("{seen} photographs");
}

#[test]
fn photographs_turned_in_eight_ways() {
    for (path, bytes) in photographs("orientation").into_iter().flatten() {
        let number: u8 = path.file_stem().unwrap().to_str().unwrap().rsplit('_').next().unwrap().parse().unwrap();
        assert_eq!(orientation(&bytes, Format::Jpeg).exif(), number, "{}", path.display());
    }
}

#[test]
fn photographs_of_which_only_the_size_is_read() {
    for (path, bytes) in photographs("heic").into_iter().flatten() {
        let sizes = [(4032, 3024), (640, 426)];
        let found = dimensions_of_heif(&bytes).unwrap_or_else(|| panic!("{}", path.display()));
        assert!(sizes.contains(&found), "{found:?}");
    }
}

#[test]
fn photographs_with_places() {
    for (path, bytes) in photographs("gps").into_iter().flatten() {
        let gps = read(&bytes, Format::Jpeg).gps.unwrap_or_else(|| panic!("{}", path.display()));
        assert!((43.46..43.47).contains(&gps.latitude) && (11.87..11.89).contains(&gps.longitude), "{gps:?}");
    }
}
