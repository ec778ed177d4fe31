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
    Visit { roots, pixels: 1_000_000, now: Timestamp::now(), room_for: |_| true, decoder: None }
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

/// Without the program that decodes it a picture has not been looked at: the next import comes to it.
#[cfg(feature = "avif")]
#[test]
fn a_missing_decoder_is_no_fault_of_a_file() {
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../photo/tests/golden/images/avif-420.avif");
    let directory = in_directory(&[("a.avif", &fs::read(picture).unwrap())]);
    for decoder in [None, Some("/nowhere/lumina-decoder"), Some("/bin/true"), Some("/bin/cat")] {
        let visit = Visit { decoder: decoder.map(PathBuf::from), ..visit(directory.path()) };
        let outcome = visited(&start(&visit), task(1, directory.path().join("a.avif")), false).unwrap();
        let Finding::Failed { reason, error, .. } = &outcome.finding else { panic!("{decoder:?}: {outcome:?}") };
        assert_eq!(reason, "decoder_unavailable");
        assert!(error.starts_with("AVIF images cannot be decoded here: the program lumina-decoder "), "{error}");
    }
}

/// The dates of files beside a picture, for new contents and for known ones; not of links, pipes, directories, or what
/// cannot be understood.
#[test]
fn files_beside_a_picture_give_it_a_date() {
    let xmp = |date: &str| {
        format!(
            "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
            <rdf:Description xmlns:exif='http://ns.adobe.com/exif/1.0/' exif:DateTimeOriginal='{date}'/></rdf:RDF>
            </x:xmpmeta>"
        )
    };
    let takeout = |seconds: u32| format!(r#"{{"photoTakenTime": {{"timestamp": "{seconds}"}}}}"#);
    let long = "0123456789_0123456789_0123456789_0123456789";
    let (one, other) = (xmp("2019-07-05T12:00:00"), xmp("2018-01-01T00:00:00"));
    let large = format!("{}{one}", " ".repeat(2 << 20));
    /// A picture, the files beside it with their contents, and its date with its source.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let beside: [Case<'_>; 11] = [
        ("a.bmp", &[("a.bmp.xmp", &one), ("a.xmp", &other)], "xmp:DateTimeOriginal 2019-07-05T12:00:00Z"),
        ("b.bmp", &[("b.bmp.xmp", "no XMP"), ("b.XMP", &other)], "xmp:DateTimeOriginal 2018-01-01T00:00:00Z"),
        ("c.bmp", &[("c.bmp.json", &takeout(1_562_320_800))], "takeout:photoTakenTime 2019-07-05T10:00:00+00:00"),
        ("d.bmp", &[("d.json", &takeout(1)), ("e.bmp.json", &takeout(1))], "file_time"),
        (
            "f(1).bmp",
            &[("f.bmp.supplemental-metadata(1).json", &takeout(1_562_320_801)), ("f.bmp.json", &takeout(2))],
            "takeout:photoTakenTime 2019-07-05T10:00:01+00:00",
        ),
        (
            "20200102.bmp",
            &[("20200102.bmp.json", &takeout(1_562_320_802))],
            "takeout:photoTakenTime 2019-07-05T10:00:02+00:00",
        ),
        (
            &format!("{long}.bmp"),
            &[(&format!("{long}.bm.json"), &takeout(1_562_320_803))],
            "takeout:photoTakenTime 2019-07-05T10:00:03+00:00",
        ),
        ("g.bmp", &[("g.xmp", &large)], "file_time"),
        ("h.bmp", &[("h.bmp.json", "{}"), ("h.xmp", "")], "file_time"),
        ("i.bmp", &[("i.xmp", &other), ("i.bmp.json", &takeout(1))], "xmp:DateTimeOriginal 2018-01-01T00:00:00Z"),
        ("j.bmp", &[], "file_time"),
    ];
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for (number, (name, files, _)) in (1..).zip(&beside) {
        fs::write(at(name), picture(40, 30, number)).unwrap();
        files.iter().for_each(|(name, text)| fs::write(at(name), text).unwrap());
    }
    std::os::unix::fs::symlink(at("a.bmp.xmp"), at("j.xmp")).unwrap();
    fs::create_dir(at("j.bmp.json")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("j.bmp.xmp"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let pool = start(&visit(directory.path()));
    for knows in [false, true] {
        for (name, _, expected) in &beside {
            let Finding::Image { facts, date, .. } = visited(&pool, task(1, at(name)), knows).unwrap().finding else {
                panic!("{name}")
            };
            let date = date.unwrap();
            if let Some(facts) = facts {
                assert_eq!(facts.captured_at.as_ref(), Some(&date.captured_at), "{name}");
                assert_eq!(facts.date_source.as_ref(), Some(&date.date_source), "{name}");
            }
            let found = match date.date_source.as_str() {
                "file_time" => "file_time".to_owned(),
                source => format!("{source} {}", date.captured_at),
            };
            assert_eq!(found, *expected, "{name}");
        }
    }
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
