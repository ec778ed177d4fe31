//! What an import finds out of where pictures come from, and that the original is kept and not a larger copy of it.

use super::{lies, world};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat};
use lumina_cluster::catalog::wait_for_end;
use lumina_cluster::photos::{Folder, Shot, encode, import, picture, with_shot};
use lumina_cluster::postgres::Client;
use lumina_cluster::random::Random;

const SHOT: Shot<'_> = Shot { second: "2019:05:01 10:00:00", fraction: "" };

/// A picture with detail as fine as its pixels, as a sensor's noise is.
fn scene(seed: u64) -> DynamicImage {
    let mut picture = picture(seed, 480, 360).to_rgb8();
    let mut random = Random(seed);
    for pixel in picture.pixels_mut() {
        let noise = random.below(25) as i32 - 12;
        pixel.0 = pixel.0.map(|sample| (i32::from(sample) + noise).clamp(6, 249) as u8);
    }
    DynamicImage::ImageRgb8(picture)
}

fn jpeg_of(picture: &DynamicImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality)).unwrap();
    bytes
}

/// As a camera writes it: EXIF in place of the header of JFIF.
fn of_camera(jpeg: &[u8]) -> Vec<u8> {
    let behind = 4 + usize::from(u16::from_be_bytes([jpeg[4], jpeg[5]])) - 2;
    assert_eq!((&jpeg[2..4], &jpeg[6..10]), (&[0xff, 0xe0][..], &b"JFIF"[..]));
    with_shot(&[&jpeg[..2], &jpeg[2 + behind..]].concat(), SHOT)
}

/// The file to keep of each group, and how many others there are.
fn kept(session: &mut Client, folder: &Folder) -> Vec<String> {
    let job = session.query_one("SELECT lumina.detect_duplicates('photos', rule => 'verified')", &[]).unwrap().get(0);
    assert_eq!(wait_for_end(session, job), "succeeded");
    let groups = "SELECT replace(keep, $1, '') || ' ' || cardinality(others) FROM lumina.duplicates('photos')
        ORDER BY 1";
    session.query(groups, &[&format!("{}/", folder.text())]).unwrap().iter().map(|row| row.get(0)).collect()
}

#[test]
fn originals_are_told_from_their_copies() {
    let folder = Folder::default();
    for seed in 0..4 {
        let camera = jpeg_of(&scene(seed), 80);
        let decoded = image::load_from_memory(&camera).unwrap();
        let larger = decoded.resize_exact(960, 720, FilterType::CatmullRom);
        folder.put(format!("{seed}/camera"), of_camera(&camera));
        folder.put(format!("{seed}/lossless"), encode(&decoded, ImageFormat::Png));
        folder.put(format!("{seed}/finer"), jpeg_of(&decoded, 98));
        folder.put(format!("{seed}/saved"), with_shot(&jpeg_of(&decoded, 98), SHOT));
        folder.put(format!("{seed}/larger"), jpeg_of(&larger, 95));
    }
    // No camera's data anywhere: a drawing, and what was made of it.
    let drawn = scene(9);
    let coarse = jpeg_of(&drawn, 50);
    folder.put("drawn/original", encode(&drawn, ImageFormat::Png));
    folder.put("drawn/coarse", &coarse);
    folder.put("drawn/copy.bmp", encode(&image::load_from_memory(&coarse).unwrap(), ImageFormat::Bmp));
    let (_cluster, mut session) = world();
    import(&mut session, "photos", folder.path());
    assert_eq!(lies(&mut session), [""; 0]);
    let facts = "SELECT regexp_replace(f.path, '^.*/([^/]+/[^/]+)$', '\\1'), i.originality::int4, i.detail, i.fineness
        FROM lumina.images i JOIN lumina.image_files f ON f.image = i.id";
    let rows = session.query(facts, &[]).unwrap();
    let of = |name: &str| {
        let row = rows.iter().find(|row| row.get::<_, &str>(0) == name).unwrap();
        (row.get::<_, i32>(1), row.get::<_, f32>(2), row.get::<_, f32>(3))
    };
    for seed in 0..4 {
        let names = ["camera", "lossless", "finer", "saved", "larger"];
        let [camera, lossless, finer, saved, larger] = names.map(|name| of(&format!("{seed}/{name}")));
        // With a camera's data 8, as it writes files 4, not changed 2, not compressed before 1.
        let found = [camera, lossless, finer, saved, larger].map(|facts| facts.0);
        assert_eq!(found, [15, 0, 0, 10, 1], "{seed}");
        assert!(camera.1 > 0.0 && larger.2 < camera.2 / 2.0, "{camera:?}, {larger:?}");
    }
    assert_eq!(["original", "coarse", "copy.bmp"].map(|name| of(&format!("drawn/{name}")).0), [1, 1, 0]);
    let expected = ["0/camera 4", "1/camera 4", "2/camera 4", "3/camera 4", "drawn/original 2"];
    assert_eq!(kept(&mut session, &folder), expected);
}
