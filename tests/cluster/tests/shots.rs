//! From files to groups: raw files with the pictures beside them, frames of a burst with their exports, and brackets;
//! imported, and searched for bursts and then for duplicates.

use image::imageops::FilterType;
use image::{DynamicImage, GenericImage, ImageFormat, Rgba};
use lumina_cluster::Cluster;
use lumina_cluster::catalog::wait_for_end;
use lumina_cluster::photos::{Folder, Shot, dng, dng_of_shot, encode, import, make_catalog, picture, with_shot};
use lumina_cluster::report::say;
use postgres::Client;
use std::path::Path;

/// A frame of a series: one picture with a spot that wanders.
fn frame(seed: u64, number: u32) -> DynamicImage {
    let mut picture = picture(seed, 600, 400);
    for (x, y) in (0..8).flat_map(|x| (0..8).map(move |y| (x, y))) {
        picture.put_pixel(20 + 10 * number + x, 30 + y, Rgba([255, 255, 255, 255]));
    }
    picture
}

fn small(picture: &DynamicImage) -> DynamicImage {
    picture.resize_exact(300, 200, FilterType::Triangle)
}

fn jpeg(picture: &DynamicImage) -> Vec<u8> {
    encode(picture, ImageFormat::Jpeg)
}

fn run(session: &mut Client, call: &str) {
    let job = session.query_one(&format!("SELECT lumina.{call}"), &[]).unwrap().get(0);
    assert_eq!(wait_for_end(session, job), "succeeded", "{call}");
}

/// The files of each row of a query, from the second column of which paths come, without the folder.
fn names(session: &mut Client, query: &str, folder: &Folder) -> Vec<String> {
    let rows = session.query(query, &[]).unwrap();
    rows.iter().map(|row| row.get::<_, String>(0).replace(&format!("{}/", folder.text()), "")).collect()
}

const BURSTS: &str = "
    SELECT concat_ws(' ', b.shots, CASE WHEN b.suspect THEN 'suspect' END,
        (SELECT string_agg(p.path || ':' || coalesce(f.shot::text, '-'), ' ' ORDER BY p.path COLLATE \"C\")
            FROM lumina.burst_frames f JOIN lumina.image_files p ON p.image = f.image WHERE f.burst = b.id))
    FROM lumina.bursts b ORDER BY b.started_at";

const GROUPS: &str = "
    SELECT (SELECT string_agg(f.path, ' ' ORDER BY f.path COLLATE \"C\") FROM lumina.duplicate_members m
        JOIN lumina.image_files f ON f.image = m.image WHERE m.group_id = g.id)
    FROM lumina.duplicate_groups g ORDER BY (SELECT min(f.path COLLATE \"C\") FROM lumina.duplicate_members m
        JOIN lumina.image_files f ON f.image = m.image WHERE m.group_id = g.id)";

#[test]
fn bursts_exports_raw_files_and_brackets() {
    let folder = Folder::default();
    let shot = |second, fraction| Shot { second, fraction };
    // Frames within a second, of which one was exported, smaller, into another folder and under another name.
    for (number, fraction) in [(1, "00"), (2, "30"), (3, "60"), (4, "90")] {
        let taken = shot("2024:05:01 10:00:00", fraction);
        folder.put(format!("DSC_000{number}.JPG"), with_shot(&jpeg(&frame(1, number)), taken));
    }
    let export = jpeg(&small(&frame(1, 2)));
    folder.put("web/holiday.jpg", with_shot(&export, shot("2024:05:01 10:00:00", "30")));
    // Three shots, each as a raw file and as a picture; the second one was exported.
    for (number, fraction) in [(1, "10"), (2, "50"), (3, "90")] {
        let (taken, made) = (shot("2024:05:01 11:00:00", fraction), jpeg(&frame(2, number)));
        folder.put(format!("P100000{number}.DNG"), dng_of_shot(&made, taken));
        folder.put(format!("P100000{number}.JPG"), with_shot(&made, taken));
    }
    let export = jpeg(&small(&frame(2, 2)));
    folder.put("web/P1000002.jpg", with_shot(&export, shot("2024:05:01 11:00:00", "50")));
    // A raw file and its picture alone, with an export that has lost its EXIF data.
    let made = jpeg(&frame(3, 1));
    folder.put("single/R1.DNG", dng_of_shot(&made, shot("2024:05:01 12:00:00", "00")));
    folder.put("single/R1.JPG", with_shot(&made, shot("2024:05:01 12:00:00", "00")));
    folder.put("single/messenger.jpg", jpeg(&small(&frame(3, 1))));
    // Two brackets: dark, right and bright, by a camera that notes fractions of seconds, and by one that does not.
    for (seed, second, fractions) in
        [(4, "2024:05:01 13:00:00", ["00", "20", "40"]), (5, "2024:05:01 14:00:00", [""; 3])]
    {
        for (number, (brighter, fraction)) in [-30, 0, 30].into_iter().zip(fractions).enumerate() {
            let made = jpeg(&frame(seed, 1).brighten(brighter));
            folder.put(format!("BRK_{seed}00{number}.JPG"), with_shot(&made, shot(second, fraction)));
        }
    }

    let cluster = Cluster::start_with(&[("lumina.import_roots", "/tmp")]);
    let mut session = cluster.connect();
    session.batch_execute("CREATE EXTENSION lumina").unwrap();
    make_catalog(&mut session, "shots");
    let job = import(&mut session, "shots", folder.path());
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    run(&mut session, "detect_bursts('shots')");
    let bursts = [
        "4 DSC_0001.JPG:0 DSC_0002.JPG:1 DSC_0003.JPG:2 DSC_0004.JPG:3 web/holiday.jpg:1",
        "3 P1000001.DNG:0 P1000001.JPG:0 P1000002.DNG:1 P1000002.JPG:1 P1000003.DNG:2 P1000003.JPG:2 \
         web/P1000002.jpg:1",
        "3 BRK_4000.JPG:0 BRK_4001.JPG:1 BRK_4002.JPG:2",
        "3 suspect BRK_5000.JPG:- BRK_5001.JPG:- BRK_5002.JPG:-",
    ];
    assert_eq!(names(&mut session, BURSTS, &folder), bursts);

    // Different shots are no duplicates, copies of one are; a picture beside a raw file goes with it. What may be a
    // bracket or copies, nobody can tell from the times, is shown.
    run(&mut session, "detect_duplicates('shots')");
    let suspects = "BRK_5000.JPG BRK_5001.JPG BRK_5002.JPG";
    let of_raw = "single/R1.DNG single/messenger.jpg";
    let groups = names(&mut session, GROUPS, &folder);
    assert_eq!(groups, [suspects, "DSC_0002.JPG web/holiday.jpg", "P1000002.DNG web/P1000002.jpg", of_raw]);
    // The pictures beside raw files as any other: still no two shots together.
    run(&mut session, "detect_duplicates('shots', raw_jpeg => 'duplicate')");
    let groups = names(&mut session, GROUPS, &folder);
    assert_eq!(
        groups,
        [
            suspects,
            "DSC_0002.JPG web/holiday.jpg",
            "P1000001.DNG P1000001.JPG",
            "P1000002.DNG P1000002.JPG web/P1000002.jpg",
            "P1000003.DNG P1000003.JPG",
            "single/R1.DNG single/R1.JPG single/messenger.jpg",
        ]
    );
    // Bursts as near as they are.
    run(&mut session, "detect_duplicates('shots', exclude_bursts => false)");
    let groups = names(&mut session, GROUPS, &folder);
    assert!(groups.contains(&"BRK_4000.JPG BRK_4001.JPG BRK_4002.JPG".into()), "{groups:?}");
    assert!(groups.iter().any(|group| group.contains("DSC_0001.JPG DSC_0002.JPG DSC_0003.JPG")), "{groups:?}");
}

/// A catalog of the pictures in a folder.
fn imported(folder: &Folder) -> (Cluster, Client) {
    let cluster = Cluster::start_with(&[("lumina.import_roots", "/tmp")]);
    let mut session = cluster.connect();
    session.batch_execute("CREATE EXTENSION lumina").unwrap();
    make_catalog(&mut session, "shots");
    let job = import(&mut session, "shots", folder.path());
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    (cluster, session)
}

/// What `explain_pair` says of raw files and pictures, for the pictures of two names.
fn raw_reasons(session: &mut Client, folder: &Folder, a: &str, b: &str) -> i64 {
    let reasons = "SELECT count(*) FROM lumina.image_files a, lumina.image_files b,
        lumina.explain_pair(a.image, b.image) e WHERE a.path = $1 AND b.path = $2 AND e.aspect = 'raw and JPEG'";
    let path = |name: &str| format!("{}/{name}", folder.text());
    session.query_one(reasons, &[&path(a), &path(b)]).unwrap().get(0)
}

/// A picture beside a raw file of the same name goes with it if it is the same shot: by time and camera, however it was
/// changed, or by its hashes. Counters begin again: another picture of the same name is compared as any other. Each has
/// a small copy elsewhere, which forms a group with what is compared.
#[test]
fn siblings_are_of_one_shot() {
    let folder = Folder::default();
    let taken = |minute| format!("2024:05:01 10:{minute:02}:00");
    fn shot(second: &str) -> Shot<'_> {
        Shot { second, fraction: "" }
    }
    let plain = |seed| jpeg(&frame(seed, 1));
    let mut expected = Vec::new();
    let mut minute = 0;
    let mut put =
        |raw: &str, picture: &str, of_raw: u64, shown: Vec<u8>, seed: u64, is_sibling: bool, dated: [u32; 2]| {
            minute += 1;
            let copy = format!("copies/{minute:02}.png");
            folder.put(&copy, encode(&small(&frame(seed, 1)), ImageFormat::Png));
            let [of_file, of_picture] = dated.map(|minutes| taken(minute + minutes));
            let made = plain(of_raw);
            folder.put(raw, if dated[0] == 9 { dng(&made) } else { dng_of_shot(&made, shot(&of_file)) });
            folder.put(picture, if dated[1] == 9 { shown } else { with_shot(&shown, shot(&of_picture)) });
            // What is near: the raw file, if it shows the same, and the picture, if it is compared.
            let mut group = vec![copy.clone()];
            group.extend((of_raw == seed).then(|| raw.to_owned()));
            group.extend((!is_sibling).then(|| picture.to_owned()));
            group.sort();
            expected.extend((group.len() > 1).then(|| group.join(" ")));
        };
    let inverted = |seed| {
        let mut picture = frame(seed, 1);
        picture.invert();
        jpeg(&picture)
    };
    // The same shot by time and camera: as it is, and inverted, of which there is no near copy but the raw file's.
    put("a/IMG_1.DNG", "a/IMG_1.JPG", 101, plain(101), 101, true, [0, 0]);
    put("a/IMG_2.DNG", "a/IMG_2.JPG", 102, inverted(102), 102, true, [0, 0]);
    // By the hashes: without dates, and by clocks that differ.
    put("a/IMG_3.DNG", "a/IMG_3.JPG", 103, plain(103), 103, true, [9, 9]);
    put("a/IMG_4.DNG", "a/IMG_4.JPG", 104, plain(104), 104, true, [0, 9]);
    put("a/IMG_5.DNG", "a/IMG_5.JPG", 105, jpeg(&small(&frame(105, 1))), 105, true, [0, 8]);
    // Other pictures of the same name.
    put("a/IMG_6.DNG", "a/IMG_6.JPG", 206, plain(106), 106, false, [9, 9]);
    put("a/IMG_7.DNG", "a/IMG_7.JPG", 207, plain(107), 107, false, [0, 8]);
    put("a/IMG_8.DNG", "a/IMG_8.JPG", 208, plain(108), 108, false, [9, 0]);
    // In folders that are named by their formats, side by side, within one another, and above those of a day.
    put("b/RAW/IMG_1.DNG", "b/JPG/IMG_1.JPG", 109, plain(109), 109, true, [0, 0]);
    put("b/raw/IMG_2.DNG", "b/IMG_2.JPG", 110, plain(110), 110, true, [0, 0]);
    put("b/DNG/2024/IMG_3.DNG", "b/Jpeg/2024/IMG_3.JPG", 111, plain(111), 111, true, [9, 9]);
    put("b/RAW/IMG_4.DNG", "b/JPG/IMG_4.JPG", 212, plain(112), 112, false, [0, 8]);
    // In other folders, and by other names, it is a copy as any other.
    put("c/RAW/IMG_1.DNG", "d/JPG/IMG_1.JPG", 113, plain(113), 113, false, [0, 0]);
    put("c/RAWHIDE/IMG_2.DNG", "c/IMG_2.JPG", 114, plain(114), 114, false, [0, 0]);
    put("c/RAW/IMG_3.DNG", "c/JPG/IMG_30.JPG", 115, plain(115), 115, false, [0, 0]);

    let (_cluster, mut session) = imported(&folder);
    run(&mut session, "detect_duplicates('shots', rule => 'verified')");
    expected.sort();
    let mut found = names(&mut session, GROUPS, &folder);
    found.sort();
    assert_eq!(found, expected);
    for (a, b, reasons) in [
        ("a/IMG_2.DNG", "a/IMG_2.JPG", 1),
        ("a/IMG_6.DNG", "a/IMG_6.JPG", 0),
        ("b/RAW/IMG_1.DNG", "b/JPG/IMG_1.JPG", 1),
        ("b/RAW/IMG_4.DNG", "b/JPG/IMG_4.JPG", 0),
        ("c/RAW/IMG_1.DNG", "d/JPG/IMG_1.JPG", 0),
    ] {
        assert_eq!(raw_reasons(&mut session, &folder, a, b), reasons, "{a}, {b}");
    }
    // What was no sibling becomes one, and is found without comparing all images.
    session
        .batch_execute(
            "UPDATE lumina.images i SET (captured_at, camera_make, camera_model)
                = (r.captured_at, r.camera_make, r.camera_model)
                FROM lumina.images r, lumina.image_files f, lumina.image_files g
                WHERE i.id = f.image AND f.path LIKE '%/b/JPG/IMG_4.JPG'
                    AND r.id = g.image AND g.path LIKE '%/b/RAW/IMG_4.DNG'",
        )
        .unwrap();
    run(&mut session, "detect_duplicates('shots', rule => 'verified', scope => 'changes')");
    let before = found.len();
    let found = names(&mut session, GROUPS, &folder);
    assert!(
        found.len() == before - 1 && !found.iter().any(|group| group.contains("IMG_4.JPG") && group.contains("b/"))
    );
    // Sidecars go by the whole path, whatever their folder is called.
    let links = "SELECT count(*) FROM lumina.sidecars";
    folder.put("b/RAW/IMG_1.xmp", "<x/>");
    folder.put("b/JPG/IMG_9.xmp", "<x/>");
    import(&mut session, "shots", folder.path());
    assert_eq!(session.query_one(links, &[]).unwrap().get::<_, i64>(0), 1);
}

/// The files of a fault: a raw file, another picture of the same name, and a smaller copy of that.
#[test]
fn another_picture_beside_a_raw_file() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/faults/f12_raw_and_other_jpeg");
    let folder = Folder::default();
    for name in ["shoot/IMG_0001.dng", "shoot/IMG_0001.jpg", "elsewhere/IMG_0001 (small).jpg"] {
        let Ok(bytes) = std::fs::read(shared.join(name)) else {
            say(&format!("skipped: there is no {}", shared.join(name).display()));
            return;
        };
        folder.put(name, bytes);
    }
    let (_cluster, mut session) = imported(&folder);
    run(&mut session, "detect_duplicates('shots')");
    assert_eq!(names(&mut session, GROUPS, &folder), ["elsewhere/IMG_0001 (small).jpg shoot/IMG_0001.jpg"]);
}
