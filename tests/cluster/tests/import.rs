//! Imports of directories: the outcome of each file, of the next import, of previews; cancellation; little memory.
//!
//! Rights to import are tested in `import/rights.rs`; hostile or changing directories in `import_hostile.rs`.

mod damage;
mod faults;
mod isolated;
mod limits;
mod odd;
mod order;
mod originals;
mod previews;
mod real;
mod rights;
mod withdrawn;

use image::{DynamicImage, ImageFormat, RgbImage};
use lumina_cluster::Cluster;
use lumina_cluster::catalog::wait_for_end;
use lumina_cluster::photos::{
    Folder, claiming_png, dng, encode, import, items, jpeg, make_catalog, picture, png, sha256, shared,
    with_orientation, wrong_counters,
};
use lumina_cluster::postgres::Client;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A server that may import everything below /tmp, and a catalog.
fn world() -> (Cluster, Client) {
    let cluster = Cluster::start_with(&[("lumina.import_roots", "/tmp")]);
    let mut session = cluster.connect();
    make_catalog(&mut session, "photos");
    (cluster, session)
}

/// A directory with what an import may meet, and the expected outcomes: `image` and `twin` are pictures of which one is
/// imported and the other a copy; the words after the state are the format, the size in pixels and the orientation.
fn zoo() -> (Folder, BTreeMap<String, (&'static str, &'static str)>) {
    let folder = Folder::default();
    let mut expected = BTreeMap::new();
    let mut put = |name: &str, bytes: &[u8], state: &'static str, facts: &'static str| {
        folder.put(name, bytes);
        expected.insert(name.to_owned(), (state, facts));
    };
    let photo = jpeg(1, 640, 480);
    put("a.jpg", &photo, "twin", "jpeg 640x480 1");
    put("sub/Ä new name", &photo, "twin", "jpeg 640x480 1");
    put("b.png", &png(2, 200, 301), "imported", "png 200x301 1");
    put("c.gif", &encode(&picture(3, 100, 80), ImageFormat::Gif), "imported", "gif 100x80 1");
    put("d.bmp", &encode(&picture(4, 90, 120), ImageFormat::Bmp), "imported", "bmp 90x120 1");
    put("e.tiff", &encode(&picture(5, 130, 97), ImageFormat::Tiff), "imported", "tiff 130x97 1");
    put("f.webp", &encode(&picture(6, 140, 97), ImageFormat::WebP), "imported", "webp 140x97 1");
    put("sub/deep/turned.JPG", &with_orientation(&jpeg(7, 320, 240), 6), "imported", "jpeg 320x240 6");
    put("picture.txt", &jpeg(8, 320, 200), "imported", "jpeg 320x200 1");
    let cut = jpeg(9, 400, 300);
    put("cut.jpg", &cut[..cut.len() * 6 / 10], "imported truncated", "jpeg 400x300 1");
    let cut = jpeg(15, 400, 300);
    let marked = [&cut[..cut.len() * 6 / 10], b"\xff\xd9"].concat();
    put("marked.jpg", &marked, "imported damaged_data", "jpeg 400x300 1");
    let grey = DynamicImage::ImageRgb8(RgbImage::from_pixel(80, 60, image::Rgb([99, 99, 99])));
    put("flat.png", &encode(&grey, ImageFormat::Png), "imported flat", "png 80x60 1");
    put("x.jpg", &jpeg(10, 300, 200), "imported", "jpeg 300x200 1");
    put("x.dng", &dng(&jpeg(11, 300, 200)), "imported", "dng 300x200 1");
    put("y.jpg", &jpeg(12, 300, 200), "imported", "jpeg 300x200 1");
    for name in ["x.xmp", "x.jpg.xmp", "x.AAE", "y.xmp", "lone.xmp"] {
        put(name, name.as_bytes(), "skipped sidecar", "");
    }
    // Of a Takeout: x.jpg has one alone, the other files' are linked by number, by a longer name, by one that is cut.
    put("y(1).jpg", &jpeg(16, 300, 200), "imported", "jpeg 300x200 1");
    let long = "zz 0123456789 0123456789 0123456789 0123456789.jpg";
    put(long, &jpeg(17, 300, 200), "imported", "jpeg 300x200 1");
    for name in [
        "x.jpg.json",
        "y.jpg.supplemental-metadata.json",
        "y.jpg.supplemental-metadata(1).json",
        "zz 0123456789 0123456789 0123456789 0123456789.json",
        "lone.jpg.supplemental-met.json",
    ] {
        put(name, br#"{"photoTakenTime": {"timestamp": "1562320800"}}"#, "skipped sidecar", "");
    }
    put("metadata.json", b"{}", "skipped no_image", "");
    for name in ["x.mov", "y_HEVC.MOV", "film.mp4", "lone_HEVC.MOV"] {
        put(name, name.as_bytes(), "skipped video", "");
    }
    put("words.jpg", b"these are words", "skipped no_image", "");
    put("empty.jpg", b"", "failed empty", "");
    put("damaged.png", &[&png(13, 50, 50)[..16], [0xff; 64].as_slice()].concat(), "failed damaged", "");
    put("huge.png", &claiming_png(50_000, 50_000), "failed too_many_pixels", "");
    put("large.jpg", &[jpeg(14, 50, 50), vec![7; 17 << 20]].concat(), "failed over_limit", "");
    put(".hidden.jpg", &photo, "skipped hidden", "");
    put("z@SynoResource", &photo, "skipped synology", "");
    // Known, and not decoded.
    let pixels = |count: usize| vec![0x5A; count];
    put("a.ppm", &[&b"P6\n40 30\n255\n"[..], &pixels(3600)].concat(), "imported unsupported_format", "pnm 40x30 1");
    let psd = [&b"8BPS\0\x01\0\0\0\0\0\0\0\x03\0\0\0\x1E\0\0\0\x28\0\x08\0\x03"[..], &pixels(99)].concat();
    put("a.psd", &psd, "imported unsupported_format", "psd 40x30 1");
    let sigma = [&b"FOVb\0\0\x02\0"[..], &pixels(20), &[40, 0, 0, 0, 30, 0, 0, 0], &pixels(99)].concat();
    put("s.x3f", &sigma, "imported unsupported_format", "x3f 40x30 1");
    let jp2 = b"\xFF\x4F\xFF\x51\0\x29\0\0\0\0\0\x28\0\0\0\x1E\0\0\0\0\0\0\0\0";
    put("a.j2k", jp2, "imported unsupported_format", "jp2 40x30 1");
    put("phone.jpg", b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf", "failed damaged", "");
    put("a.avif", &isolated::file("golden/images/avif-420.avif"), "imported", "avif 96x64 1");
    put("a.jxl", &isolated::file("golden/jxl/orientation-6.jxl"), "imported", "jxl 131x97 6");
    if let Some(heic) = shared("heic/samplefilehub.heif") {
        put("phone.heic", &heic, "imported", "heic 640x426 1");
    }
    // Of these only the directory has a row.
    folder.put("@eaDir/a.jpg/thumb.jpg", &photo);
    folder.put("sub/.git/a.jpg", &photo);
    std::fs::create_dir(folder.at("nothing")).unwrap();
    expected.insert("@eaDir".into(), ("skipped synology", ""));
    expected.insert("sub/.git".into(), ("skipped hidden", ""));
    // The mtime of a clock that was far ahead.
    let future = SystemTime::UNIX_EPOCH + Duration::from_micros(32_503_680_000_123_457);
    File::options().write(true).open(folder.at("b.png")).unwrap().set_modified(future).unwrap();
    (folder, expected)
}

/// Inconsistencies of a catalog with its files: rows of missing files, of other contents, or with other facts.
fn lies(session: &mut Client) -> Vec<String> {
    let mut lies = Vec::new();
    let read =
        "SELECT f.path, i.sha256, i.size, f.size FROM lumina.image_files f JOIN lumina.images i ON i.id = f.image
        WHERE f.missing_since IS NULL";
    for row in session.query(read, &[]).unwrap() {
        let path: &str = row.get(0);
        let bytes =
            std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file()).then(|| std::fs::read(path).unwrap());
        let size = bytes.as_ref().map(|bytes| bytes.len() as i64);
        if bytes.is_none_or(|bytes| sha256(&bytes) != row.get::<_, Vec<u8>>(1)) {
            lies.push(format!("{path} has another content"));
        } else if (size, size) != (Some(row.get(2)), Some(row.get(3))) {
            lies.push(format!("{path} has another size"));
        }
    }
    let hashes = "
        SELECT i.path FROM (SELECT f.path, i.* FROM lumina.image_files f JOIN lumina.images i ON i.id = f.image
            WHERE f.missing_since IS NULL AND NOT i.truncated AND NOT i.damaged_data
                AND i.format <> ALL ('{jp2,pnm,psd,x3f}') OFFSET 0) i
        CROSS JOIN LATERAL (SELECT pg_read_binary_file(i.path) AS bytes OFFSET 0) b
        CROSS JOIN LATERAL image_phashes(b.bytes) h
        WHERE (i.ahash, i.dhash, i.dct, i.pdq, i.pdq_quality::int4, i.sharpness, i.orientation::int4) IS DISTINCT FROM
                (image_phash(b.bytes, 'ahash'), image_phash(b.bytes, 'dhash'), image_phash(b.bytes, 'dct'), h.pdq,
                    h.pdq_quality::int4, h.sharpness::float4, h.orientation::int4)";
    lies.extend(
        session.query(hashes, &[]).unwrap().iter().map(|row| format!("{} has other hashes", row.get::<_, &str>(0))),
    );
    let orphans =
        "SELECT i.id FROM lumina.images i WHERE NOT EXISTS (SELECT FROM lumina.import_items t WHERE t.image = i.id)";
    lies.extend(
        session.query(orphans, &[]).unwrap().iter().map(|row| format!("image {} of no file", row.get::<_, i64>(0))),
    );
    lies
}

fn set_of<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The files of a catalog that are marked as missing.
fn missing(session: &mut Client, folder: &Folder) -> BTreeSet<String> {
    let read = "SELECT path FROM lumina.image_files WHERE missing_since IS NOT NULL";
    let below = |path: &str| Path::new(path).strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned();
    session.query(read, &[]).unwrap().iter().map(|row| below(row.get(0))).collect()
}

fn count(session: &mut Client, from: &str) -> i64 {
    session.query_one(&format!("SELECT count(*) FROM {from}"), &[]).unwrap().get(0)
}

#[test]
fn every_file_has_a_row_that_says_what_became_of_it() {
    let (folder, expected) = zoo();
    let (_cluster, mut session) = world();
    session.batch_execute("SET lumina.import_memory = '16MB'; SET lumina.import_threads = 2").unwrap();
    let job = import(&mut session, "photos", folder.path());
    let found = items(&mut session, job, folder.path());
    let (mut images, mut twins) = (0, Vec::new());
    for (name, (state, facts)) in &expected {
        let item = found.get(name).unwrap_or_else(|| panic!("{name} has no row"));
        match *state {
            "twin" => twins.push(item.as_str()),
            state => assert_eq!(item, state, "{name}"),
        }
        let text = item.starts_with("failed")
            || ["truncated", "damaged_data", "flat", "unsupported_format"].iter().any(|word| item.ends_with(word));
        let row = session
            .query_one(
                "SELECT concat_ws(' ', i.format, i.width || 'x' || i.height, i.orientation), i.sha256, i.size, t.size,
                    t.error <> '', i.hash_valid, i.ahash IS NOT NULL, t.action::text
                FROM lumina.import_items t LEFT JOIN lumina.images i ON i.id = t.image
                WHERE t.job = $1 AND t.path = $2",
                &[&job, &folder.at(name).to_str().unwrap()],
            )
            .unwrap();
        assert_eq!(row.get::<_, Option<bool>>(4).unwrap_or(false), text, "the text of {name}, which is {item}");
        let bytes = std::fs::metadata(folder.at(name)).unwrap();
        assert_eq!(row.get::<_, Option<i64>>(3), bytes.is_file().then_some(bytes.len() as i64), "{name}");
        if item.starts_with("imported") {
            images += 1;
            let bytes = std::fs::read(folder.at(name)).unwrap();
            assert_eq!((row.get(1), row.get(2)), (Some(sha256(&bytes)), Some(bytes.len() as i64)), "{name}");
            let decoded = !item.ends_with("unsupported_format");
            let valid = decoded && !item.ends_with("flat");
            let trusted = (row.get::<_, bool>(5), row.get::<_, bool>(6), row.get::<_, &str>(7));
            assert_eq!(trusted, (valid, decoded, "reference"), "{name}");
            let told: &str = row.get(0);
            assert_eq!(told, *facts, "{name}");
        }
    }
    twins.sort_unstable();
    assert_eq!(twins, ["imported", "imported copy"]);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert_eq!((count(&mut session, "lumina.image_files"), count(&mut session, "lumina.images")), (images, images - 1));
    assert_eq!(lies(&mut session), [""; 0]);
    assert_eq!(wrong_counters(&mut session, job), [""; 0]);
    let linked = "SELECT s.path, f.path, s.kind, s.size FROM lumina.sidecars s
        JOIN lumina.image_files f ON f.id = s.file ORDER BY 1";
    let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let linked: Vec<(String, String, String)> = session
        .query(linked, &[])
        .unwrap()
        .iter()
        .map(|row| (name(row.get(0)), name(row.get(1)), row.get(2)))
        .collect();
    let expected_links = [
        ("x.AAE", "x.dng", "edit"),
        ("x.jpg.json", "x.jpg", "metadata"),
        ("x.jpg.xmp", "x.jpg", "edit"),
        ("x.mov", "x.jpg", "video"),
        ("x.xmp", "x.dng", "edit"),
        ("y.jpg.supplemental-metadata(1).json", "y(1).jpg", "metadata"),
        ("y.jpg.supplemental-metadata.json", "y.jpg", "metadata"),
        ("y.xmp", "y.jpg", "edit"),
        ("y_HEVC.MOV", "y.jpg", "video"),
        (
            "zz 0123456789 0123456789 0123456789 0123456789.json",
            "zz 0123456789 0123456789 0123456789 0123456789.jpg",
            "metadata",
        ),
    ];
    assert_eq!(linked, expected_links.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
    let dates = "SELECT count(*) FROM lumina.images WHERE date_source = 'takeout:photoTakenTime'
        AND captured_at = '2019-07-05T10:00:00Z' AND date_confidence = 80";
    assert_eq!(session.query_one(dates, &[]).unwrap().get::<_, i64>(0), 4);
    // Again: no imported file is read again, whatever its mtime.
    let before: i64 = count(&mut session, "lumina.images");
    let again = import(&mut session, "photos", folder.path());
    for (name, item) in items(&mut session, again, folder.path()) {
        let was = &found[&name];
        assert_eq!(item, if was.starts_with("imported") { "skipped unchanged" } else { was }, "{name}");
    }
    let unread = "lumina.import_items WHERE job = (SELECT max(id) FROM lumina.jobs) AND reason = 'unchanged'
        AND (image IS NULL OR sha256 IS NOT NULL)";
    assert_eq!(count(&mut session, unread), 0);
    assert_eq!(count(&mut session, "lumina.images"), before);
    assert_eq!(count(&mut session, "lumina.sidecars"), 10);
    assert_eq!(missing(&mut session, &folder), set_of([]));
    assert_eq!(wrong_counters(&mut session, again), [""; 0]);
}

#[test]
fn what_changes_between_imports() {
    let folder = Folder::default();
    for (seed, name) in (100..).zip([
        "touched.jpg",
        "rewritten.jpg",
        "overwritten.jpg",
        "old name.jpg",
        "gone.jpg",
        "kept.jpg",
        "text.jpg",
        "bad.jpg",
        "link.jpg",
        "sub/moved.jpg",
        "other/gone.jpg",
        "fifo.jpg",
    ]) {
        folder.put(name, jpeg(seed, 200, 150));
    }
    folder.put("hidden.xmp", "");
    let (_cluster, mut session) = world();
    import(&mut session, "photos", folder.path());
    assert_eq!(count(&mut session, "lumina.image_files"), 12);
    let kept = std::fs::read(folder.at("kept.jpg")).unwrap();
    File::options().write(true).open(folder.at("touched.jpg")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    folder.put("rewritten.jpg", jpeg(200, 200, 150));
    folder.put("overwritten.jpg", &kept);
    std::fs::rename(folder.at("old name.jpg"), folder.at("new name.jpg")).unwrap();
    std::fs::rename(folder.at("gone.jpg"), folder.at(".gone.jpg")).unwrap();
    std::fs::rename(folder.at("sub"), folder.at("sub 2")).unwrap();
    let other = std::fs::read(folder.at("other/gone.jpg")).unwrap();
    std::fs::remove_dir_all(folder.at("other")).unwrap();
    folder.put("text.jpg", "words");
    folder.put("bad.jpg", &jpeg(1, 20, 20)[..20]);
    std::fs::remove_file(folder.at("link.jpg")).unwrap();
    std::os::unix::fs::symlink("kept.jpg", folder.at("link.jpg")).unwrap();
    folder.put("added.jpg", jpeg(201, 200, 150));
    folder.put("added too.jpg", jpeg(201, 200, 150));
    let job = import(&mut session, "photos", folder.path());
    let mut found = items(&mut session, job, folder.path());
    let mut twins = [found.remove("added.jpg").unwrap(), found.remove("added too.jpg").unwrap()];
    twins.sort();
    assert_eq!(twins, ["imported", "imported copy"]);
    let expected = [
        (".gone.jpg", "skipped hidden"),
        ("bad.jpg", "failed damaged"),
        ("fifo.jpg", "skipped unchanged"),
        ("hidden.xmp", "skipped sidecar"),
        ("kept.jpg", "skipped unchanged"),
        ("link.jpg", "skipped symbolic_link"),
        ("new name.jpg", "imported copy"),
        ("overwritten.jpg", "imported copy"),
        ("rewritten.jpg", "imported"),
        ("sub 2/moved.jpg", "imported copy"),
        ("text.jpg", "skipped no_image"),
        ("touched.jpg", "imported same_content"),
    ];
    let found: Vec<(&str, &str)> = found.iter().map(|(name, item)| (name.as_str(), item.as_str())).collect();
    assert_eq!(found, expected);
    // Old facts are not kept for a changed file.
    let gone = ["bad.jpg", "gone.jpg", "link.jpg", "old name.jpg", "other/gone.jpg", "sub/moved.jpg", "text.jpg"];
    assert_eq!(missing(&mut session, &folder), set_of(gone));
    assert_eq!(lies(&mut session), [""; 0]);
    assert_eq!(wrong_counters(&mut session, job), [""; 0]);
    // Back again, and another one disappears. Importing a part of the directory says nothing about the rest.
    folder.put("other/gone.jpg", &other);
    std::fs::rename(folder.at(".gone.jpg"), folder.at("gone.jpg")).unwrap();
    std::fs::remove_file(folder.at("kept.jpg")).unwrap();
    let job = import(&mut session, "photos", &folder.at("other"));
    assert_eq!(
        items(&mut session, job, folder.path()),
        [("other/gone.jpg".to_owned(), "imported same_content".to_owned())].into()
    );
    assert!(
        !missing(&mut session, &folder).contains("kept.jpg") && missing(&mut session, &folder).contains("gone.jpg")
    );
    let job = import(&mut session, "photos", &folder.at("gone.jpg"));
    assert_eq!(
        items(&mut session, job, folder.path()),
        [("gone.jpg".to_owned(), "imported same_content".to_owned())].into()
    );
    import(&mut session, "photos", folder.path());
    assert_eq!(
        missing(&mut session, &folder),
        set_of(["bad.jpg", "kept.jpg", "link.jpg", "old name.jpg", "sub/moved.jpg", "text.jpg"])
    );
    assert_eq!(lies(&mut session), [""; 0]);
}

/// A camera's JPEG ranks behind its raw file; a copy of it elsewhere is still a duplicate.
#[test]
fn raw_files_and_their_jpegs() {
    let folder = Folder::default();
    let photo = jpeg(1, 400, 300);
    folder.put("IMG_1.JPG", &photo);
    folder.put("IMG_1.DNG", dng(&photo));
    folder.put("IMG_2.JPG", jpeg(2, 400, 300));
    let (_cluster, mut session) = world();
    import(&mut session, "photos", folder.path());
    let groups = |session: &mut Client, how: Option<&str>| -> Vec<(String, Vec<String>)> {
        let submit = "SELECT lumina.detect_duplicates('photos', raw_jpeg => $1)";
        let submit_default = "SELECT lumina.detect_duplicates('photos')";
        let job: i64 = match how {
            Some(how) => session.query_one(submit, &[&how]).unwrap().get(0),
            None => session.query_one(submit_default, &[]).unwrap().get(0),
        };
        assert_eq!(wait_for_end(session, job), "succeeded");
        let read = "SELECT g.kind::text, array_agg(DISTINCT f.path ORDER BY f.path) FROM lumina.duplicate_groups g
            JOIN lumina.duplicate_members m ON m.group_id = g.id JOIN lumina.image_files f ON f.image = m.image
            GROUP BY g.id, g.kind ORDER BY 2";
        let name = |path: String| path.strip_prefix(&format!("{}/", folder.text())).unwrap().to_owned();
        let read = session.query(read, &[]).unwrap();
        read.iter().map(|row| (row.get(0), row.get::<_, Vec<String>>(1).into_iter().map(name).collect())).collect()
    };
    let both = vec![("identical".to_owned(), vec!["IMG_1.DNG".to_owned(), "IMG_1.JPG".to_owned()])];
    assert_eq!(groups(&mut session, None), []);
    assert_eq!(groups(&mut session, Some("duplicate")), both);
    folder.put("copies/again.jpg", &photo);
    import(&mut session, "photos", folder.path());
    let exact = vec![("exact".to_owned(), vec!["IMG_1.JPG".to_owned(), "copies/again.jpg".to_owned()])];
    assert_eq!(groups(&mut session, None), exact);
}
