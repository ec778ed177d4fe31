//! False duplicates, false disappearances, wrong files to keep; and rows that Postgres refuses.

use super::{count, world};
use image::ImageFormat;
use image::imageops::FilterType;
use lumina_cluster::catalog::wait_for_end;
use lumina_cluster::photos::{Folder, encode, import, items, jpeg, picture, submit_import};
use lumina_cluster::postgres::Client;

/// The groups in the order of what is kept: the file to keep, and the others, without their folder.
pub(super) fn groups(session: &mut Client, folder: &Folder, rule: &str) -> Vec<(String, Vec<String>)> {
    let submit = "SELECT lumina.detect_duplicates('photos', rule => $1)";
    let job = session.query_one(submit, &[&rule]).unwrap().get(0);
    assert_eq!(wait_for_end(session, job), "succeeded");
    let name = |path: String| path.trim_start_matches(folder.text()).trim_start_matches('/').to_owned();
    let read = "SELECT keep, others FROM lumina.duplicates('photos') ORDER BY keep COLLATE \"C\"";
    let rows = session.query(read, &[]).unwrap();
    rows.iter().map(|row| (name(row.get(0)), row.get::<_, Vec<String>>(1).into_iter().map(name).collect())).collect()
}

#[test]
fn two_names_of_one_file_are_no_duplicates() {
    let folder = Folder::default();
    let bytes = jpeg(1, 200, 150);
    let first = folder.put("a.jpg", &bytes);
    std::fs::hard_link(&first, folder.at("b.jpg")).unwrap();
    let (_cluster, mut session) = world();
    import(&mut session, "photos", folder.path());
    assert_eq!(count(&mut session, "lumina.image_files"), 2);
    assert_eq!(groups(&mut session, &folder, "consensus"), []);
    // One copy, of the one file that has two names.
    folder.put("c.jpg", &bytes);
    import(&mut session, "photos", folder.path());
    assert_eq!(groups(&mut session, &folder, "consensus"), [("a.jpg".into(), vec!["c.jpg".into()])]);
}

#[test]
fn a_picture_that_ends_early_is_not_the_one_to_keep() {
    let folder = Folder::default();
    let large = picture(2, 1200, 900);
    let bytes = encode(&large, ImageFormat::Jpeg);
    folder.put("large.jpg", &bytes[..bytes.len() * 95 / 100]);
    folder.put("small.jpg", encode(&large.resize_exact(400, 300, FilterType::Triangle), ImageFormat::Jpeg));
    let (_cluster, mut session) = world();
    import(&mut session, "photos", folder.path());
    assert_eq!(count(&mut session, "lumina.images WHERE truncated"), 1);
    let expected = [("small.jpg".to_owned(), vec!["large.jpg".to_owned()])];
    assert_eq!(groups(&mut session, &folder, r#"[{"dhash": 16}]"#), expected);
    let page: String = session.query_one("SELECT lumina.duplicates_html('photos')", &[]).unwrap().get(0);
    assert!(page.contains("the only one that is whole"));
}

/// Copies of an old disk, one byte of each changed or some data lost: the same size in pixels and nearly in bytes, the
/// same time, and before the whole ones in every order of names and imports.
#[test]
fn a_picture_of_damaged_data_is_not_the_one_to_keep() {
    let folder = Folder::default();
    let mut expected = Vec::new();
    for seed in 0..6_u64 {
        let bytes = jpeg(seed + 20, 640, 480);
        let start = bytes.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
        let place = |share: usize| start + (bytes.len() - start) * share / 100;
        let damaged = match seed % 3 {
            // Of several blocks: what decodes to as many blocks as before is no damage that can be seen.
            0 => [&bytes[..place(95)], &[0x12, 0x34, 0x56, 0x78].repeat(40)[..], &bytes[place(95)..]].concat(),
            1 => [&bytes[..place(97)], &[0xff, 0xd9][..]].concat(),
            _ => [&bytes[..place(97)], &bytes[place(98)..]].concat(),
        };
        folder.put(format!("backup/{seed}.jpg"), &bytes);
        folder.put(format!("a/{seed}.jpg"), &damaged);
        expected.push((format!("backup/{seed}.jpg"), vec![format!("a/{seed}.jpg")]));
    }
    let (_cluster, mut session) = world();
    import(&mut session, "photos", &folder.at("a"));
    import(&mut session, "photos", &folder.at("backup"));
    assert_eq!(count(&mut session, "lumina.images WHERE damaged_data AND NOT truncated AND dhash IS NOT NULL"), 6);
    assert_eq!(count(&mut session, "lumina.import_items WHERE reason = 'damaged_data' AND error <> ''"), 6);
    for rule in ["consensus", "verified", r#"[{"dhash": 16}]"#] {
        let mut found = groups(&mut session, &folder, rule);
        found.sort();
        assert_eq!(found, expected, "{rule}");
    }
    let page: String = session.query_one("SELECT lumina.duplicates_html('photos')", &[]).unwrap().get(0);
    assert!(page.contains("the only one that is whole"));
    for path in expected.iter().flat_map(|(_, others)| others) {
        let read = "SELECT image_phash(pg_read_binary_file($1), 'dhash')";
        let error = session.query(read, &[&folder.at(path).to_str().unwrap()]).unwrap_err();
        assert_eq!(error.code().unwrap().code(), "22000", "{path}");
    }
}

#[test]
fn a_directory_that_is_empty_all_at_once_is_not_believed() {
    let folder = Folder::default();
    let photo = folder.put("disk/a.jpg", jpeg(3, 100, 80));
    let (_cluster, mut session) = world();
    import(&mut session, "photos", &folder.at("disk"));
    std::fs::remove_file(photo).unwrap();
    let job = submit_import(&mut session, "photos", &folder.at("disk"));
    assert_eq!(wait_for_end(&mut session, job), "failed");
    let code = "SELECT error_code FROM lumina.jobs WHERE id = $1";
    assert_eq!(session.query_one(code, &[&job]).unwrap().get::<_, &str>(0), "source_empty");
    assert_eq!(count(&mut session, "lumina.image_files WHERE missing_since IS NOT NULL"), 0);
    // A directory that was always empty is no failure.
    std::fs::create_dir(folder.at("new")).unwrap();
    import(&mut session, "photos", &folder.at("new"));
}

#[test]
fn files_below_what_is_left_alone_are_not_missed() {
    let folder = Folder::default();
    folder.put(".hidden/a.jpg", jpeg(4, 100, 80));
    folder.put("b.jpg", jpeg(5, 100, 80));
    let (_cluster, mut session) = world();
    import(&mut session, "photos", &folder.at(".hidden"));
    import(&mut session, "photos", folder.path());
    assert_eq!(count(&mut session, "lumina.image_files WHERE missing_since IS NULL"), 2);
}

#[test]
fn a_row_that_is_refused_stops_no_other() {
    let folder = Folder::default();
    for (name, seed, width) in [("a.jpg", 6, 100), ("b.jpg", 7, 111), ("c.jpg", 8, 100)] {
        folder.put(name, jpeg(seed, width, 80));
    }
    folder.put("copy.jpg", jpeg(7, 111, 80));
    let (_cluster, mut session) = world();
    session.batch_execute("ALTER TABLE lumina.images ADD CONSTRAINT odd CHECK (width <> 111)").unwrap();
    let job = import(&mut session, "photos", folder.path());
    let found = items(&mut session, job, folder.path());
    for (name, state) in [
        ("a.jpg", "imported"),
        ("b.jpg", "failed not_written"),
        ("c.jpg", "imported"),
        ("copy.jpg", "failed not_written"),
    ] {
        assert!(found[name].starts_with(state), "{name}: {}", found[name]);
    }
    assert_eq!(count(&mut session, "lumina.image_files"), 2);
    let failed = "SELECT items_failed FROM lumina.jobs WHERE id = $1";
    assert_eq!(session.query_one(failed, &[&job]).unwrap().get::<_, i64>(0), 2);
}
