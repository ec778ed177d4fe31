//! Threads that visit files: their findings, the order of their questions, and that they end.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use jiff::Timestamp;
use lumina_import::pool::Pool;
use lumina_import::read::{HEAD, OpenFile};
use lumina_import::visit::{FileEvent, FileTask, Visit};
use lumina_import::{FileOutcome, Finding, Roots};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// A BMP of 24 bits a pixel with enough detail to hash.
fn picture(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let row = (width as usize * 3).next_multiple_of(4);
    let size = 54 + row * height as usize;
    let mut bytes = b"BM".to_vec();
    for number in [size as u32, 0, 54, 40, width, height, 0x0018_0001, 0, 0, 0, 0, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    for y in 0..height {
        let start = bytes.len();
        for x in 0..width {
            let value = (x.wrapping_mul(37) ^ y.wrapping_mul(101) ^ seed).wrapping_mul(2_654_435_761) >> 26;
            let light = (100 * ((x / 20 + y / 15 + seed) % 2) + 90 * y / height + value) as u8;
            bytes.extend([light, light.wrapping_add((seed % 50) as u8), 255 - light]);
        }
        bytes.resize(start + row, 0);
    }
    bytes
}

fn visit(roots: &Path) -> Visit {
    let roots = Roots::new([roots.to_owned()], []);
    Visit { roots, pixels: 1_000_000, now: Timestamp::now(), room_for: |_| true }
}

fn start(visit: &Visit) -> Pool<Visit> {
    Pool::start(2, visit, |work| thread::Builder::new().spawn(work)).unwrap()
}

fn task(item: i64, path: PathBuf) -> FileTask {
    FileTask { item, path, known: None, memory: 64 << 20 }
}

/// Visits one file, with a catalog that knows no content, or every one.
fn visited(pool: &Pool<Visit>, task: FileTask, knows: bool) -> Result<FileOutcome, u64> {
    pool.submit(task);
    loop {
        match pool.event(Duration::from_secs(20)).unwrap().unwrap() {
            FileEvent::Hashed { is_known, .. } => is_known.send(knows).unwrap(),
            FileEvent::Done(outcome) => return Ok(outcome),
            FileEvent::NeedsMore(_, needed) => return Err(needed),
        }
    }
}

fn in_directory(files: &[(&str, &[u8])]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

#[test]
fn each_file_gets_what_it_deserves() {
    let whole = picture(120, 80, 1);
    let flat = {
        let mut flat = picture(64, 64, 1);
        flat[54..].fill(90);
        flat
    };
    let directory = in_directory(&[
        ("IMG_20230415_143218.bmp", &whole),
        ("cut.bmp", &whole[..whole.len() / 2]),
        ("flat.bmp", &flat),
        ("large.bmp", &picture(1001, 1000, 1)),
        ("text.jpg", b"no picture at all"),
        ("empty.jpg", b""),
    ]);
    let pool = start(&visit(directory.path()));
    let at = |name: &str| task(7, directory.path().join(name));
    let outcome = visited(&pool, at("IMG_20230415_143218.bmp"), false).unwrap();
    assert_eq!((outcome.item, outcome.file_status.unwrap().size), (7, whole.len() as u64));
    let Finding::Image { sha256, reason: None, facts: Some(facts), .. } = outcome.finding else {
        panic!("{outcome:?}")
    };
    assert_eq!(sha256, lower_hex(&Sha256::digest(&whole)));
    assert_eq!(
        (facts.format.as_str(), facts.width, facts.height, facts.hash_valid),
        ("bmp", Some(120), Some(80), true)
    );
    assert_eq!(facts.captured_at.as_deref(), Some("2023-04-15T14:32:18Z"));
    assert_eq!((facts.dhash.unwrap().len(), facts.pdq.unwrap().len()), (16, 64));

    let reason = |name| match visited(&pool, at(name), false).unwrap().finding {
        Finding::Image { reason, facts, .. } => {
            format!("image {} {}", reason.unwrap_or_default(), facts.unwrap().hash_valid)
        }
        Finding::Skipped { reason } => format!("skipped {reason}"),
        Finding::Failed { reason, .. } => format!("failed {reason}"),
    };
    assert_eq!(reason("flat.bmp"), "image flat false");
    assert_eq!(reason("large.bmp"), "failed too_many_pixels");
    assert_eq!(reason("text.jpg"), "skipped no_image");
    assert_eq!(reason("empty.jpg"), "failed empty");
    assert_eq!(reason("none.jpg"), "failed vanished");
    assert!(["failed damaged", "image truncated true", "image truncated false"].contains(&reason("cut.bmp").as_str()));
}

fn lower_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_is_known_is_not_decoded_and_what_is_unchanged_not_read() {
    let directory = in_directory(&[("a.bmp", &picture(50, 50, 3))]);
    let pool = start(&visit(directory.path()));
    let first = visited(&pool, task(1, directory.path().join("a.bmp")), true).unwrap();
    assert!(matches!(first.finding, Finding::Image { facts: None, .. }));
    let again = FileTask { known: first.file_status, ..task(2, directory.path().join("a.bmp")) };
    assert_eq!(visited(&pool, again.clone(), false).unwrap().finding, Finding::skipped("unchanged"));
    // Its bytes and its times are equal, but not its inode.
    fs::copy(directory.path().join("a.bmp"), directory.path().join("b.bmp")).unwrap();
    fs::rename(directory.path().join("b.bmp"), directory.path().join("a.bmp")).unwrap();
    assert!(matches!(visited(&pool, again, true).unwrap().finding, Finding::Image { facts: None, .. }));
}

#[test]
fn one_that_needs_more_memory_says_how_much() {
    let bytes = picture(400, 300, 4);
    let directory = in_directory(&[("a.bmp", &bytes)]);
    let pool = start(&visit(directory.path()));
    let with = |memory| visited(&pool, FileTask { memory, ..task(1, directory.path().join("a.bmp")) }, false);
    assert_eq!(with(1000), Err(bytes.len() as u64));
    let needed = with(bytes.len() as u64 + 1000).unwrap_err();
    assert!(needed > 2 * bytes.len() as u64 - 100, "{needed}");
    assert!(with(needed + (4 << 20)).is_ok());
}

#[test]
fn a_pool_ends_whatever_its_threads_wait_for() {
    let directory = in_directory(&[("a.bmp", &picture(900, 900, 5)), ("b.bmp", &picture(900, 900, 6))]);
    let pool = start(&visit(directory.path()));
    for name in ["a.bmp", "b.bmp", "a.bmp", "b.bmp"] {
        pool.submit(task(1, directory.path().join(name)));
    }
    // One waits for an answer that never comes, the other may be decoding.
    let asked = pool.event(Duration::from_secs(20)).unwrap().unwrap();
    assert!(matches!(asked, FileEvent::Hashed { .. }));
    drop(pool);
    drop(asked);
}

#[test]
fn bytes_are_of_one_moment() {
    let directory = in_directory(&[("a", &vec![7; HEAD + 10])]);
    let path = directory.path().join("a");
    let open = || OpenFile::new(File::open(&path).unwrap().into()).unwrap();
    let reason = |finding: Finding| match finding {
        Finding::Failed { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    let mut opened = open();
    let head = opened.head().unwrap();
    assert_eq!(head.len(), HEAD);
    let (bytes, sum) = opened.all(head, || false).unwrap().unwrap();
    assert_eq!((bytes.len(), sum), (HEAD + 10, Sha256::digest(vec![7; HEAD + 10]).into()));

    let mut grown = open();
    let head = grown.head().unwrap();
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    assert_eq!(reason(grown.all(head, || false).unwrap_err()), "changed_while_read");

    let mut cut = open();
    let head = cut.head().unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(HEAD as u64 + 1).unwrap();
    assert_eq!(reason(cut.all(head, || false).unwrap_err()), "changed_while_read");

    // A replaced path changes nothing: the opened file is read.
    let mut replaced = open();
    let head = replaced.head().unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another").unwrap();
    assert_eq!(replaced.all(head, || false).unwrap().unwrap().0, vec![7; HEAD + 1]);

    let mut unwanted = open();
    let head = unwanted.head().unwrap();
    assert!(unwanted.all(head, || true).unwrap().is_some(), "all of it was the head");
}
