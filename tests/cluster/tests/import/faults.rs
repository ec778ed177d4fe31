//! Files of public reports (`../shared/faults`) and others of their kinds, from files to what a catalog says of them.

use super::odd::groups;
use super::{count, world};
use lumina_cluster::photos::{Folder, Shot, import, jpeg, with_shot};
use lumina_cluster::report::say;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The bytes of a known file; says so if it is missing.
fn known(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/faults").join(name);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        say(&format!("skipped: there is no {}", path.display()));
    }
    bytes
}

/// A photograph on an old disk, damaged near its end, and the whole copy of it in a backup that is imported later.
#[test]
fn the_damaged_copy_of_an_old_disk() {
    const FILES: [&str; 2] = ["old_disk/IMG_0001.jpg", "backup/IMG_0001.jpg"];
    let folder = Folder::default();
    for name in FILES {
        let Some(bytes) = known(&format!("f1_keep/{name}")) else { return };
        folder.put(name, bytes);
    }
    let (_cluster, mut session) = world();
    import(&mut session, "photos", &folder.at("old_disk"));
    import(&mut session, "photos", &folder.at("backup"));
    assert_eq!(count(&mut session, "lumina.import_items WHERE reason = 'damaged_data'"), 1);
    for rule in ["consensus", "verified"] {
        let expected = [(FILES[1].to_owned(), vec![FILES[0].to_owned()])];
        assert_eq!(groups(&mut session, &folder, rule), expected, "{rule}");
    }
    for name in ["f1_damaged_last5.jpg", "f1_damaged_half.jpg", "f1_zeros_mid.jpg", "f1_cut_half_eoi.jpg"] {
        let Some(bytes) = known(name) else { continue };
        for statement in ["SELECT image_phash($1, 'dhash')", "SELECT image_pdq($1)", "SELECT image_phashes($1)"] {
            let error = session.query(statement, &[&bytes]).unwrap_err();
            assert_eq!(error.code().unwrap().code(), "22000", "{name}: {statement}");
        }
    }
    if let Some(bytes) = known("f10_no_eoi.jpg") {
        let hash = session.query_one("SELECT image_phash($1, 'dhash')::text", &[&bytes]).unwrap();
        assert_eq!(hash.get::<_, &str>(0), "b63a323e3de9e093");
    }
}

/// Two copies of each picture, equal but for the date: the start of a clock that was never set, and a day. Whatever the
/// times of the files, the former is not the older one.
#[test]
fn the_start_of_a_clock_is_not_older() {
    const STARTS: [&str; 5] = [
        "2002:12:08 12:00:00",
        "1970:01:01 00:00:00",
        "1980:01:01 00:00:31",
        "1904:01:01 00:00:00",
        "2000:01:01 00:00:00",
    ];
    let folder = Folder::default();
    let mut expected = Vec::new();
    for (seed, start) in (40..).zip(STARTS) {
        let (made, day) = (jpeg(seed, 320, 240), format!("2005:03:{:02} 10:00:00", seed - 30));
        let clock = folder.put(format!("a/{seed}"), with_shot(&made, Shot { second: start, fraction: "" }));
        folder.put(format!("b/{seed}"), with_shot(&made, Shot { second: &day, fraction: "" }));
        // The time of the file is a clock's start as well, or long after the day.
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(if seed % 2 == 0 { 0 } else { 1_700_000_000 });
        File::options().write(true).open(clock).unwrap().set_modified(modified).unwrap();
        expected.push((format!("b/{seed}"), vec![format!("a/{seed}")]));
    }
    let (_cluster, mut session) = world();
    import(&mut session, "photos", folder.path());
    assert_eq!(count(&mut session, "lumina.images WHERE date_confidence = 95"), 5);
    assert_eq!(count(&mut session, "lumina.images WHERE date_confidence <= 30"), 5);
    for rule in ["consensus", "verified"] {
        assert_eq!(groups(&mut session, &folder, rule), expected, "{rule}");
    }
}

/// The films that iCloud calls `IMG_1_HEVC.MOV`: of the photograph `IMG_1`, unless one of the whole name is there.
#[test]
fn films_of_icloud() {
    let folder = Folder::default();
    for (seed, name) in
        (60..).zip(["IMG_1.HEIC", "sub/IMG_2.JPG", "IMG_3.jpeg", "IMG_4.jpg", "IMG_4_HEVC.jpg", "IMG_55.jpg"])
    {
        folder.put(name, jpeg(seed, 160, 120)); // the content decides what it is
    }
    let films = [
        ("IMG_1_HEVC.MOV", Some("IMG_1.HEIC")),
        ("sub/IMG_2_HEVC.mov", Some("sub/IMG_2.JPG")),
        ("IMG_3_hevc.MP4", Some("IMG_3.jpeg")),
        ("IMG_4_HEVC.MOV", Some("IMG_4_HEVC.jpg")),
        ("IMG_4.MOV", Some("IMG_4.jpg")),
        ("IMG_5_HEVC.MOV", None),
        ("IMG_1HEVC.MOV", None),
        ("IMG_2_HEVC.MOV", None),
        ("IMG_3_HEVC_1.MOV", None),
    ];
    for (name, _) in films {
        folder.put(name, "film");
    }
    let (_cluster, mut session) = world();
    import(&mut session, "photos", folder.path());
    let read = "SELECT s.path, f.path FROM lumina.sidecars s JOIN lumina.image_files f ON f.id = s.file
        WHERE s.kind = 'video'";
    let name = |path: &str| path.trim_start_matches(folder.text()).trim_start_matches('/').to_owned();
    let mut found: Vec<(String, String)> =
        session.query(read, &[]).unwrap().iter().map(|row| (name(row.get(0)), name(row.get(1)))).collect();
    found.sort();
    let mut expected: Vec<(String, String)> =
        films.iter().filter_map(|(film, of)| Some(((*film).to_owned(), (*of)?.to_owned()))).collect();
    expected.sort();
    assert_eq!(found, expected);
}
