//! AVIF and JPEG XL on a server: imported and hashed by a process for each file, of which none is left over.

use super::{count, lies, world};
use lumina_cluster::catalog::wait_for_end;
use lumina_cluster::cluster::wait_until;
use lumina_cluster::photos::{Folder, import, items, submit_import};
use lumina_cluster::postgres::Client;
use lumina_cluster::postgres::error::SqlState;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// More than the promised second: the machine may be busy.
const SOON: Duration = Duration::from_secs(3);

/// A file of `crates/photo/tests`.
pub(super) fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/photo/tests").join(name)).unwrap()
}

/// The name and the parent of a process (proc(5), stat).
fn process(id: &str) -> Option<(String, String)> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (name, rest) = text.split_once('(')?.1.rsplit_once(')')?;
    Some((name.into(), rest.split_whitespace().nth(1)?.into()))
}

/// Decoders of a backend, and those without one.
fn decoders(backend: i32) -> (usize, usize) {
    let (mut own, mut orphans) = (0, 0);
    for entry in std::fs::read_dir("/proc").unwrap() {
        let id = entry.unwrap().file_name().into_string().unwrap();
        let Some((name, parent)) = process(&id).filter(|(name, _)| name == "lumina-decoder") else { continue };
        own += usize::from(parent == backend.to_string());
        orphans += usize::from(process(&parent).is_none_or(|(parent, _)| parent != "postgres" && parent != name));
    }
    (own, orphans)
}

/// The worker of an import, once a decoder runs for it.
fn decoding_worker(session: &mut Client, job: i64) -> i32 {
    let worker = "SELECT coalesce(worker_pid, 0) FROM lumina.jobs WHERE id = $1";
    let mut pid = 0;
    wait_until("a decoder runs", || {
        pid = session.query_one(worker, &[&job]).unwrap().get(0);
        pid > 0 && decoders(pid).0 > 0
    });
    pid
}

#[test]
fn avif_is_imported() {
    let folder = Folder::default();
    let image = |name: &str| file(&format!("golden/images/{name}.avif"));
    let mut expected = BTreeMap::new();
    let mut put = |name: &str, bytes: &[u8], state: &str| {
        folder.put(name, bytes);
        expected.insert(name.to_owned(), state.to_owned());
    };
    for name in ["avif-420", "avif-orientation6", "avif-10bit-444", "avif-grid", "avif-rgba"] {
        put(name, &image(name), "imported");
    }
    let whole = image("avif-odd-444");
    put("cut", &whole[..whole.len() - 300], "failed damaged");
    put("container", &whole[..100], "failed damaged");
    let mut frame = image("avif-odd-420");
    let behind = frame.len() - 200;
    frame[behind..].fill(0x55);
    folder.put("frame", &frame);
    let (_cluster, mut session) = world();
    let job = import(&mut session, "photos", folder.path());
    let mut found = items(&mut session, job, folder.path());
    // What comes of damaged samples is the decoder's choice.
    assert!(found.remove("frame").is_some());
    assert_eq!(found, expected);
    assert_eq!(lies(&mut session), [""; 0]);
    let turned = "SELECT i.width, i.height, i.orientation::int4 FROM lumina.images i JOIN lumina.image_files f
            ON f.image = i.id WHERE f.path LIKE '%orientation6'";
    let row = session.query_one(turned, &[]).unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1), row.get::<_, i32>(2)), (96, 64, 6));
    wait_until("no decoder is left over", || decoders(0).1 == 0);
}

/// The golden files of JPEG XL, with the hashes of what djxl decodes, as Python's imagehash and pdqhash have them.
#[test]
fn jxl_is_imported() {
    let table = String::from_utf8(file("golden/jxl.tsv")).unwrap();
    let mut lines = table.lines();
    let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let column = |name: &str| columns.iter().position(|column| *column == name).unwrap();
    let places = ["ahash8", "dhash8", "dct8", "pdq"].map(column);
    let folder = Folder::default();
    let mut expected = BTreeMap::new();
    for line in lines {
        let cells: Vec<&str> = line.split('\t').collect();
        folder.put(cells[0], file(&format!("golden/{}", cells[0])));
        expected.insert(cells[0].to_owned(), places.map(|place| cells[place].to_owned()));
    }
    assert!(expected.len() > 50);
    let lossy = file("golden/jxl/lossy.jxl");
    folder.put("cut", &lossy[..lossy.len() / 2]);
    folder.put("header", &lossy[..20]);
    let (_cluster, mut session) = world();
    let job = import(&mut session, "photos", folder.path());
    let found = items(&mut session, job, folder.path());
    let lost = expected.keys().filter(|name| !found[*name].starts_with("imported"));
    assert_eq!(lost.collect::<Vec<_>>(), [""; 0]);
    assert!(found["cut"].starts_with("failed damaged") && found["header"].starts_with("failed damaged"), "{found:?}");
    assert_eq!(lies(&mut session), [""; 0]);
    let hashes = "SELECT f.path, i.ahash::text, i.dhash::text, i.dct::text, i.pdq::text, i.format
        FROM lumina.images i JOIN lumina.image_files f ON f.image = i.id";
    let mut seen = 0;
    for row in session.query(hashes, &[]).unwrap() {
        let name = Path::new(row.get::<_, &str>(0)).strip_prefix(folder.path()).unwrap().to_str().unwrap();
        assert_eq!(row.get::<_, String>(5), "jxl", "{name}");
        assert_eq!([1, 2, 3, 4].map(|place| row.get::<_, String>(place)), expected[name], "{name}");
        seen += 1;
    }
    assert_eq!(seen, expected.len());
    wait_until("no decoder is left over", || decoders(0).1 == 0);
}

#[test]
fn a_cancelled_import_leaves_no_decoder() {
    const FILES: usize = 120;
    let folder = Folder::default();
    let large = file("hostile/avif/flat-444.avif");
    for n in 0..FILES {
        folder.put(format!("{n}.avif"), [large.as_slice(), &n.to_le_bytes()].concat());
    }
    let (_cluster, mut session) = world();
    for how in ["lumina.cancel_job(id)", "pg_cancel_backend(worker_pid)", "pg_terminate_backend(worker_pid, 60000)"] {
        let job = submit_import(&mut session, "photos", folder.path());
        let pid = decoding_worker(&mut session, job);
        let asked = Instant::now();
        session.query_one(&format!("SELECT {how} FROM lumina.jobs WHERE id = $1"), &[&job]).unwrap();
        if how.contains("terminate") {
            wait_until("the worker has ended", || process(&pid.to_string()).is_none());
            session.query_one("SELECT lumina.cancel_job($1)", &[&job]).unwrap();
        } else {
            assert_eq!(wait_for_end(&mut session, job), "cancelled", "{how}");
        }
        assert!(asked.elapsed() < SOON, "{how} has taken {:?}", asked.elapsed());
        assert_eq!(decoders(pid).0, 0, "{how}");
        // Those of a backend that has ended are killed as it ends, and reaped by whom they were left to.
        wait_until("no decoder is left over", || decoders(pid).1 == 0);
        assert!(count(&mut session, "lumina.images") < FILES as i64);
    }
}

/// The server takes in what its processes leave behind, as in a container; a decoder that a signal had ended would be
/// taken for a crash, and all sessions ended.
#[test]
fn decoders_of_ended_sessions_harm_no_other() {
    const ROUNDS: u64 = 24;
    let (cluster, session) = world();
    drop(session);
    cluster.restart_as_reaper();
    let mut witness = cluster.connect();
    let large = file("hostile/avif/flat-444.avif");
    let many = "SELECT image_phash($1::bytea || n::text::bytea, 'dhash') FROM generate_series(1, 100) n";
    for round in 0..ROUNDS {
        let mut session = cluster.connect();
        let pid: i32 = session.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        std::thread::scope(|scope| {
            let decodes = scope.spawn(|| session.query(many, &[&large]));
            wait_until("a decoder runs", || decoders(pid).0 > 0);
            std::thread::sleep(Duration::from_millis(round * 4));
            let ended = witness.query_one("SELECT pg_terminate_backend($1, 60000)", &[&pid]).unwrap();
            assert!(ended.get::<_, bool>(0));
            assert!(decodes.join().unwrap().is_err());
        });
    }
    let folder = Folder::default();
    for n in 0..40 {
        folder.put(format!("{n}.avif"), [large.as_slice(), &[n]].concat());
    }
    for _ in 0..3 {
        let job = submit_import(&mut witness, "photos", folder.path());
        let pid = decoding_worker(&mut witness, job);
        witness.query_one("SELECT pg_terminate_backend($1, 60000)", &[&pid]).unwrap();
        witness.query_one("SELECT lumina.cancel_job($1)", &[&job]).unwrap();
        let ended = "SELECT state NOT IN ('queued', 'running') FROM lumina.jobs WHERE id = $1";
        wait_until("the job has ended", || witness.query_one(ended, &[&job]).unwrap().get(0));
    }
    let postmaster = cluster.postmaster().unwrap() as i32;
    wait_until("no decoder is left over", || decoders(postmaster).0 == 0);
    assert!(!cluster.log().contains("any other active server processes"));
}

#[test]
fn functions_decode_avif_and_are_cancelled() {
    let (cluster, mut session) = world();
    let pid: i32 = session.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let small = file("golden/images/avif-420.avif");
    let row = session.query_one("SELECT image_phash($1, 'dhash')::text, image_info($1)::text", &[&small]).unwrap();
    let table = String::from_utf8(file("golden/golden.tsv")).unwrap();
    let golden = table.lines().find(|line| line.starts_with("images/avif-420.avif")).unwrap();
    assert!(golden.split('\t').any(|cell| cell == row.get::<_, String>(0)));
    assert!(row.get::<_, String>(1).contains("\"width\": 96"), "{}", row.get::<_, String>(1));
    // Nothing is left of a statement that has ended, was refused, or ran out of time.
    let cut = &small[..small.len() - 50];
    let error = session.query_one("SELECT image_phash($1, 'dhash')", &[&cut]).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::DATA_EXCEPTION));
    let large = file("hostile/avif/flat-444.avif");
    session.batch_execute("SET lumina.image_memory = '20MB'").unwrap();
    let error = session.query_one("SELECT image_phash($1, 'dhash')", &[&large]).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::CONFIGURATION_LIMIT_EXCEEDED));
    session.batch_execute("RESET lumina.image_memory; SET statement_timeout = '100ms'").unwrap();
    let began = Instant::now();
    let many = "SELECT image_phash($1::bytea || n::text::bytea, 'dhash') FROM generate_series(1, 100) n";
    let error = session.query(many, &[&large]).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(decoders(pid).0, 0);
    // A decoder that is stopped answers no more, but its statement can be cancelled.
    session.batch_execute("SET statement_timeout = '2s'").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("a decoder runs", || {
                let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
                let first = list.split_whitespace().next();
                first.is_some_and(|id| {
                    std::process::Command::new("kill").args(["-STOP", id]).status().unwrap().success()
                })
            });
        });
        let error = session.query(many, &[&large]).unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    });
    assert_eq!(decoders(pid).0, 0);
    // The server is up, and its sessions go on.
    drop(cluster.connect());
    assert_eq!(session.query_one("SELECT 1", &[]).unwrap().get::<_, i32>(0), 1);
}
