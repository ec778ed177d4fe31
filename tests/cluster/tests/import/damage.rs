//! Damaged files among others: none is ever the one to keep.

use super::{count, world};
use image::ImageFormat;
use image::imageops::FilterType;
use lumina_cluster::catalog::wait_for_end;
use lumina_cluster::photos::{Folder, Shot, encode, import, picture, with_shot};
use lumina_cluster::postgres::Client;
use lumina_cluster::random::Random;
use lumina_cluster::report::say;
use std::collections::BTreeSet;

const FORMATS: [ImageFormat; 6] =
    [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::Tiff, ImageFormat::WebP, ImageFormat::Bmp];

/// A damaged copy of a file.
type Way = fn(&[u8], &mut Random) -> Vec<u8>;

/// Ways in which disks, transfers and rescue programs damage files. All are in the last fifth, so that the pictures
/// still look alike.
const WAYS: [Way; 8] = [
    // It ends early.
    |bytes, random| bytes[..late(bytes, random)].to_vec(),
    // With an end marker, as rescue programs write it.
    |bytes, random| [&bytes[..late(bytes, random)], &[0xff, 0xd9][..]].concat(),
    // A run of zeros, to the end or to some place.
    |bytes, random| {
        let place = late(bytes, random);
        [&bytes[..place], &vec![0; bytes.len() - place]].concat()
    },
    |bytes, random| {
        let place = late(bytes, random);
        let end = bytes.len().min(place + 512);
        [&bytes[..place], &vec![0; end - place], &bytes[end..]].concat()
    },
    // Bytes of another file.
    |bytes, random| {
        let place = late(bytes, random);
        let end = bytes.len().min(place + 256);
        let other: Vec<u8> = (place..end).map(|_| random.below(256) as u8).collect();
        [&bytes[..place], &other, &bytes[end..]].concat()
    },
    // Lost, or twice.
    |bytes, random| {
        let place = late(bytes, random);
        [&bytes[..place], &bytes[bytes.len().min(place + 100)..]].concat()
    },
    |bytes, random| {
        let place = late(bytes, random);
        [&bytes[..place], &bytes[place - 100..]].concat()
    },
    // And larger than the whole copy.
    |bytes, random| [&bytes[..late(bytes, random)], &vec![0; 60_000]].concat(),
];

/// A place in the last fifth, not in the last bytes.
fn late(bytes: &[u8], random: &mut Random) -> usize {
    let fifth = bytes.len() / 5;
    bytes.len() - fifth + random.below(fifth as u64 / 2) as usize
}

/// 1,000 files, of which 50 are damaged copies: in better places, with a date and a camera, of more pixels than the
/// whole copies or of as many.
#[test]
fn no_damaged_file_is_the_one_to_keep() {
    let folder = Folder::default();
    let mut random = Random(5);
    let scenes: Vec<_> = (0..60).map(|seed| picture(seed, 160, 120)).collect();
    for number in 0..950 {
        let scene = number % scenes.len();
        folder.put(format!("b/{number}"), encode(&scenes[scene], FORMATS[number / scenes.len() % FORMATS.len()]));
    }
    for number in 0..50 {
        // JPEG is what most photographs are.
        let format = FORMATS[if number % 2 == 0 { 0 } else { number / 2 % FORMATS.len() }];
        let scene = &scenes[number];
        let larger = || scene.resize_exact(320, 240, FilterType::Triangle);
        let mut bytes = if number % 3 == 0 { encode(&larger(), format) } else { encode(scene, format) };
        if format == ImageFormat::Jpeg {
            bytes = with_shot(&bytes, Shot { second: "2010:05:01 10:00:00", fraction: "" });
        }
        // Wrong bytes can be seen where there is a checksum, or a code that not all bytes are of.
        let ways = if matches!(format, ImageFormat::Jpeg | ImageFormat::Png) { &WAYS[..] } else { &WAYS[..1] };
        folder.put(format!("a/{number}"), ways[number / 2 % ways.len()](&bytes, &mut random));
    }
    let (_cluster, mut session) = world();
    import(&mut session, "photos", folder.path());
    let damaged = "SELECT count(*) FILTER (WHERE i.truncated OR i.damaged_data), count(*) FROM lumina.images i
        JOIN lumina.image_files f ON f.image = i.id WHERE f.path LIKE '%/a/%'";
    let row = session.query_one(damaged, &[]).unwrap();
    let (seen, imported): (i64, i64) = (row.get(0), row.get(1));
    let unseen = "SELECT f.path || ' ' || i.format FROM lumina.images i JOIN lumina.image_files f ON f.image = i.id
        WHERE f.path LIKE '%/a/%' AND NOT i.truncated AND NOT i.damaged_data";
    let unseen: Vec<String> = session.query(unseen, &[]).unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(unseen, [""; 0]);
    let refused = count(&mut session, "lumina.import_items WHERE state = 'failed' AND reason = 'damaged'");
    assert_eq!((seen, imported + refused), (imported, 50));
    assert_eq!(count(&mut session, "lumina.images WHERE truncated OR damaged_data"), imported, "no whole file");
    let mut with_copies = BTreeSet::new();
    for rule in ["consensus", "verified", r#"[{"dhash": 14}]"#] {
        for strategy in ["clique", "star", "component"] {
            for (keep, others) in groups(&mut session, rule, strategy) {
                assert!(!keep.contains("/a/"), "{rule}, {strategy}: {keep} is kept, and not {others:?}");
                with_copies.extend(others.into_iter().filter(|path| path.contains("/a/")));
            }
        }
    }
    assert!(with_copies.len() * 10 >= imported as usize * 7, "{} of {imported}: shows nothing", with_copies.len());
    say(&format!("{imported} of 50 damaged files imported, {refused} refused, {} beside a copy", with_copies.len()));
}

/// The files to keep, and the others.
fn groups(session: &mut Client, rule: &str, strategy: &str) -> Vec<(String, Vec<String>)> {
    let submit = "SELECT lumina.detect_duplicates('photos', rule => $1, strategy => $2)";
    let job = session.query_one(submit, &[&rule, &strategy]).unwrap().get(0);
    assert_eq!(wait_for_end(session, job), "succeeded");
    let rows = session.query("SELECT keep, others FROM lumina.duplicates('photos')", &[]).unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}
