//! Directories of generated photographs for tests of imports, and the outcome of the imports.
//!
//! A [`Folder`] lies directly under /tmp, belongs to the user who runs the servers, and is removed when dropped.
//! Pictures are deterministic; two of different seeds are not near one another.

use crate::cluster::wait_until;
use crate::installation::give;
use crate::random::Random;
use image::{DynamicImage, ImageFormat, RgbImage};
use postgres::Client;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A directory that the server can read.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Default for Folder {
    fn default() -> Self {
        let folder = tempfile::Builder::new().prefix("lumina-photos-").tempdir_in("/tmp").expect("a temporary folder");
        give(folder.path());
        Folder(folder)
    }
}

impl Folder {
    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Its path as text.
    pub fn text(&self) -> &str {
        self.path().to_str().expect("a path in UTF-8")
    }

    /// A path in it.
    pub fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Creates or overwrites a file, with the directories that it needs.
    pub fn put(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
        std::fs::write(&path, bytes).expect("a file is written");
        path
    }
}

/// A picture of waves and spots, with enough detail for every hash.
pub fn picture(seed: u64, width: u32, height: u32) -> DynamicImage {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995);
    // Waves on a small picture, which is then enlarged: fast, and smooth like photographs.
    let waves: Vec<[f32; 5]> = (0..8)
        .map(|_| {
            let mut number = |most: u64| random.below(most * 1000) as f32 / 1000.0;
            [number(3) - 1.5, number(3) - 1.5, number(7), number(3), 0.3 + number(1)]
        })
        .collect();
    let spots: Vec<[f32; 4]> = (0..24)
        .map(|_| {
            [
                random.below(64) as f32,
                random.below(64) as f32,
                2.0 + random.below(8) as f32,
                random.below(200) as f32 - 100.0,
            ]
        })
        .collect();
    let small = RgbImage::from_fn(64, 64, |x, y| {
        let (x, y) = (x as f32, y as f32);
        let spot = |[a, b, radius, height]: &[f32; 4]| if (a - x).hypot(b - y) < *radius { *height } else { 0.0 };
        let spots: f32 = spots.iter().map(spot).sum();
        let (x, y) = (x / 64.0 * 6.3, y / 64.0 * 6.3);
        image::Rgb([0.0, 1.0, 2.0].map(|channel: f32| {
            let wave = |[a, b, phase, shift, height]: &[f32; 5]| {
                (a * x * 2.0 + b * y * 2.0 + phase + shift * channel).sin() * height
            };
            (128.0 + spots + 32.0 * waves.iter().map(wave).sum::<f32>()).clamp(0.0, 255.0) as u8
        }))
    });
    DynamicImage::ImageRgb8(small).resize_exact(width, height, image::imageops::FilterType::Triangle)
}

/// A picture as the bytes of a file.
pub fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("a picture is encoded");
    bytes.into_inner()
}

/// A JPEG.
pub fn jpeg(seed: u64, width: u32, height: u32) -> Vec<u8> {
    encode(&picture(seed, width, height), ImageFormat::Jpeg)
}

/// A PNG.
pub fn png(seed: u64, width: u32, height: u32) -> Vec<u8> {
    encode(&picture(seed, width, height), ImageFormat::Png)
}

/// A JPEG with a segment after its first two bytes.
pub fn with_segment(jpeg: &[u8], marker: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 2).expect("a segment is short").to_be_bytes();
    [&jpeg[..2], &[0xff, marker], &length, data, &jpeg[2..]].concat()
}

/// When and by what a picture was taken, as a camera notes it.
#[derive(Debug, Clone, Copy)]
pub struct Shot<'a> {
    /// As EXIF writes it: `2024:05:01 10:00:00`.
    pub second: &'a str,
    /// Digits behind the second; empty where the camera notes none.
    pub fraction: &'a str,
}

/// A JPEG with an orientation in its EXIF data.
pub fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    with_exif(jpeg, &[(0x112, 3, u32::from(orientation))], None)
}

/// A JPEG as a camera writes it, with its make and model and the time.
pub fn with_shot(jpeg: &[u8], shot: Shot<'_>) -> Vec<u8> {
    with_exif(jpeg, &[], Some(shot))
}

fn with_exif(jpeg: &[u8], numbers: &[(u16, u16, u32)], shot: Option<Shot<'_>>) -> Vec<u8> {
    let tags = [b"Exif\0\0II*\0\x08\0\0\0".as_slice(), &directories(8, numbers, shot)].concat();
    with_segment(jpeg, 0xe1, &tags)
}

/// A raw file: a DNG whose preview is a JPEG.
pub fn dng(jpeg: &[u8]) -> Vec<u8> {
    raw(jpeg, None)
}

/// A raw file as a camera writes it, with its make and model and the time.
pub fn dng_of_shot(jpeg: &[u8], shot: Shot<'_>) -> Vec<u8> {
    raw(jpeg, Some(shot))
}

fn raw(jpeg: &[u8], shot: Option<Shot<'_>>) -> Vec<u8> {
    let first = 8 + jpeg.len() as u32 + jpeg.len() as u32 % 2;
    let numbers = [(259, 3, 7), (273, 4, 8), (279, 4, jpeg.len() as u32), (0xc612, 1, 0x0000_0401)];
    let mut file = [b"II*\0".as_slice(), &first.to_le_bytes(), jpeg].concat();
    file.resize(first as usize, 0);
    file.extend(directories(first, &numbers, shot));
    file
}

/// The directories of a TIFF file, the first of which is `at` this offset: entries with their types and one value each,
/// and those of a shot, in the order of their tags.
fn directories(at: u32, numbers: &[(u16, u16, u32)], shot: Option<Shot<'_>>) -> Vec<u8> {
    const POINTER: u16 = 0x8769;
    let one = |(tag, kind, value): &(u16, u16, u32)| (*tag, *kind, if *kind == 1 { 4 } else { 1 }, value.to_le_bytes());
    let mut first: Vec<_> = numbers.iter().map(one).collect();
    let Some(shot) = shot else { return directory(&first) };
    let length_of = |entries: usize| 2 + 12 * entries as u32 + 4;
    let second_at = at + length_of(first.len() + 3);
    let times: Vec<(u16, &str)> =
        [(0x9003, shot.second), (0x9291, shot.fraction)].into_iter().filter(|(_, text)| !text.is_empty()).collect();
    // A value of at most four bytes stands in its entry, any other behind the directories.
    let (mut values, values_at) = (Vec::new(), second_at + length_of(times.len()));
    let mut text = |(tag, text): (u16, &str)| {
        let mut bytes = [text.as_bytes(), b"\0"].concat();
        let count = bytes.len() as u32;
        let place = values_at + values.len() as u32;
        let value = if count <= 4 {
            bytes.resize(4, 0);
            [bytes[0], bytes[1], bytes[2], bytes[3]]
        } else {
            values.extend(bytes);
            place.to_le_bytes()
        };
        (tag, 2, count, value)
    };
    first.extend([(0x010f, "Maker"), (0x0110, "Model 1")].map(&mut text));
    first.push((POINTER, 4, 1, second_at.to_le_bytes()));
    first.sort_by_key(|(tag, ..)| *tag);
    let second: Vec<_> = times.into_iter().map(text).collect();
    [directory(&first), directory(&second), values].concat()
}

/// A directory: tags, types, counts and values.
fn directory(entries: &[(u16, u16, u32, [u8; 4])]) -> Vec<u8> {
    let mut bytes = (entries.len() as u16).to_le_bytes().to_vec();
    for (tag, kind, count, value) in entries {
        bytes.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        bytes.extend([count.to_le_bytes(), *value].concat());
    }
    bytes.extend([0; 4]);
    bytes
}

/// A PNG that claims this size.
pub fn claiming_png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png(1, 16, 16);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let mut sum = !0_u32;
    for &byte in &bytes[12..29] {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = sum >> 1 ^ (0xedb8_8320 & 0_u32.wrapping_sub(sum & 1));
        }
    }
    bytes[29..33].copy_from_slice(&(!sum).to_be_bytes());
    bytes
}

/// The SHA-256 checksum.
pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// The bytes of a photograph that is shared between projects; prints a note if it is missing.
pub fn shared(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/photos").join(name);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        crate::report::say(&format!("skipped: there is no {}", path.display()));
    }
    bytes
}

/// Creates the extension, if missing, and a catalog.
pub fn make_catalog(session: &mut Client, catalog: &str) -> i64 {
    session.batch_execute("CREATE EXTENSION IF NOT EXISTS lumina").expect("the extension");
    session.query_one("SELECT lumina.create_catalog($1)", &[&catalog]).expect("a catalog").get(0)
}

/// Submits an import; returns the job.
pub fn submit_import(session: &mut Client, catalog: &str, path: &Path) -> i64 {
    let path = path.to_str().expect("a path in UTF-8");
    session.query_one("SELECT lumina.import($1, $2)", &[&catalog, &path]).expect("a job").get(0)
}

/// Submits a preview and waits until it is ready; returns the job.
pub fn preview(session: &mut Client, catalog: &str, path: &Path) -> i64 {
    let path = path.to_str().expect("a path in UTF-8");
    let submit = "SELECT lumina.import($1, $2, preview => true)";
    let job = session.query_one(submit, &[&catalog, &path]).expect("a job").get(0);
    wait_for_state(session, job, "ready");
    job
}

/// Imports, and waits for the job to succeed; returns the job.
pub fn import(session: &mut Client, catalog: &str, path: &Path) -> i64 {
    let job = submit_import(session, catalog, path);
    wait_for_state(session, job, "succeeded");
    job
}

/// Waits until a job is neither queued nor running; panics unless its state is then `state`.
pub fn wait_for_state(session: &mut Client, job: i64, state: &str) {
    let look = "SELECT state::text, coalesce(error, ''), coalesce(error_code, '') FROM lumina.jobs WHERE id = $1";
    wait_until(&format!("job {job} is {state}"), || {
        let row = session.query_one(look, &[&job]).expect("the job is there");
        let found: &str = row.get(0);
        let goes_on = ["queued", "running"].contains(&found);
        assert!(goes_on || found == state, "job {job} is {found}: {} {}", row.get::<_, &str>(2), row.get::<_, &str>(1));
        !goes_on
    });
}

/// The outcome of each file of an import: by its path below `folder`, state and reason with a space between.
pub fn items(session: &mut Client, job: i64, folder: &Path) -> BTreeMap<String, String> {
    let read = "SELECT path, concat_ws(' ', state, reason) FROM lumina.import_items WHERE job = $1";
    let root = format!("{}/", folder.display());
    let mut items = BTreeMap::new();
    for row in session.query(read, &[&job]).expect("items") {
        let path: String = row.get(0);
        let path = path.strip_prefix(&root).unwrap_or(&path).to_owned();
        assert!(items.insert(path, row.get(1)).is_none(), "two rows of one file");
    }
    items
}

/// Every counter of an import that is not the true sum over its rows: in its result, in the summary, in the job itself.
pub fn wrong_counters(session: &mut Client, job: i64) -> Vec<String> {
    let look = "
        WITH t AS (SELECT * FROM lumina.import_items WHERE job = $1),
        n AS (SELECT count(*) AS files, coalesce(sum(size), 0) AS bytes,
                count(*) FILTER (WHERE state = 'imported') AS imported,
                count(*) FILTER (WHERE state = 'imported' AND reason = 'copy') AS copies,
                count(*) FILTER (WHERE state = 'skipped' AND reason = 'unchanged') AS unchanged,
                count(*) FILTER (WHERE state = 'skipped' AND reason <> 'unchanged') AS skipped,
                count(*) FILTER (WHERE state = 'failed') AS failed,
                count(*) FILTER (WHERE state = 'ready') AS ready FROM t)
        SELECT w.what || ': ' || coalesce(w.told::text, 'NULL') || ' instead of ' || w.expected
        FROM n, lumina.jobs j, lumina.import_jobs_summary s, LATERAL (VALUES
            ('result.files', (j.result->>'files')::numeric, n.files::numeric),
            ('result.imported', (j.result->>'imported')::numeric, n.imported),
            ('result.bytes', (j.result->>'bytes')::numeric, n.bytes),
            ('result.copies', (j.result->>'copies')::numeric, n.copies),
            ('result.unchanged', (j.result->>'unchanged')::numeric, n.unchanged),
            ('result.skipped', (j.result->>'skipped')::numeric, n.skipped),
            ('result.failed', (j.result->>'failed')::numeric, n.failed),
            ('summary.files', s.files, n.files), ('summary.imported', s.imported, n.imported),
            ('summary.copies', s.copies, n.copies),
            ('summary.ready', s.ready, n.ready), ('summary.unchanged', s.unchanged, n.unchanged),
            ('summary.skipped', s.skipped, n.skipped),
            ('summary.failed', s.failed, n.failed), ('summary.bytes', s.bytes, n.bytes),
            ('summary.progress_percent', s.progress_percent, 100),
            ('jobs.items_total', j.items_total, n.files), ('jobs.items_done', j.items_done, n.files),
            ('jobs.items_failed', j.items_failed, n.failed),
            ('jobs.bytes_total', j.bytes_total, n.bytes), ('jobs.bytes_done', j.bytes_done, n.bytes),
            ('states', n.imported + n.unchanged + n.skipped + n.failed, n.files)) w (what, told, expected)
        WHERE j.id = $1 AND s.job = j.id AND w.told IS DISTINCT FROM w.expected ORDER BY 1";
    session.query(look, &[&job]).expect("counters").iter().map(|row| row.get(0)).collect()
}
