//! From files to groups: raw files with the pictures beside them, frames of a burst with their exports, and brackets;
//! imported, and searched for bursts and then for duplicates.

use image::imageops::FilterType;
use image::{DynamicImage, GenericImage, ImageFormat, Rgba};
use lumina_cluster::Cluster;
use lumina_cluster::catalog::wait_for_end;
use lumina_cluster::photos::{Folder, Shot, dng_of_shot, encode, import, make_catalog, picture, with_shot};
use postgres::Client;

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
