//! Bursts through SQL: the rules on rows of tables, detection again, choices by hand, wrong input, rights, dumps.
//!
//! What a burst is is tested against its definition in `crates/catalog`; here, that rows reach it and come back.

mod kills;

use lumina_cluster::Cluster;
use lumina_cluster::catalog::{leftovers, wait_for_end, wait_for_phase};
use lumina_cluster::cluster::wait_until;
use postgres::Client;

/// A catalog without images.
fn catalog(cluster: &Cluster, name: &str) -> (Client, i64) {
    let mut session = cluster.connect();
    session.batch_execute("CREATE EXTENSION IF NOT EXISTS lumina").unwrap();
    let catalog = session.query_one("SELECT lumina.create_catalog($1)", &[&name]).unwrap().get(0);
    (session, catalog)
}

/// Adds a photograph of a name, taken `seconds` seconds after noon. `facts` sets columns.
fn shoot(session: &mut Client, catalog: i64, name: &str, seconds: f64, facts: &str) -> i64 {
    let facts = if facts.is_empty() { "size = 1000" } else { facts };
    let script = format!(
        "WITH image AS (INSERT INTO lumina.images (catalog, sha256, size, format, width, height, captured_at,
                date_source, date_confidence, camera_make, camera_model, metadata)
            VALUES ({catalog}, sha256('{catalog}/{name}'), 1000, 'jpeg', 100, 100,
                '2023-04-15 12:00:00+00'::timestamptz + {seconds} * '1 second'::interval, 'exif:DateTimeOriginal', 95,
                'Canon', 'EOS R5', '{{\"has_time\": true}}') RETURNING id)
        INSERT INTO lumina.image_files (catalog, image, path, original_path)
            SELECT {catalog}, id, p, p FROM image, LATERAL (SELECT '/photos/{name}' AS p) p RETURNING image"
    );
    let image: i64 = session.query_one(&script, &[]).unwrap().get(0);
    session.execute(&format!("UPDATE lumina.images SET {facts} WHERE id = $1"), &[&image]).unwrap();
    image
}

/// Photographs of consecutive numbers at these times; returns the images.
fn series(session: &mut Client, catalog: i64, prefix: &str, times: &[f64]) -> Vec<i64> {
    let name = |at: usize| format!("{prefix}{:04}.JPG", at + 1);
    times.iter().enumerate().map(|(at, &seconds)| shoot(session, catalog, &name(at), seconds, "")).collect()
}

/// The state of a job that has ended, and what its result counts.
#[derive(Debug, PartialEq)]
struct Outcome {
    state: String,
    bursts: i64,
    frames: i64,
    suspects: i64,
    chosen: i64,
}

/// Detects bursts.
fn detect(session: &mut Client, arguments: &str) -> Outcome {
    let job = submit(session, arguments);
    let state = wait_for_end(session, job);
    let counts = "SELECT (result->>'bursts')::int8, (result->>'frames')::int8, (result->>'suspects')::int8,
        (result->>'chosen')::int8 FROM lumina.jobs WHERE id = $1";
    let row = session.query_one(counts, &[&job]).unwrap();
    assert_eq!(leftovers(session), [""; 0]);
    let count = |column| row.get::<_, Option<i64>>(column).unwrap_or_default();
    Outcome { state, bursts: count(0), frames: count(1), suspects: count(2), chosen: count(3) }
}

/// The outcome of a job that has succeeded.
fn counts(bursts: i64, frames: i64, suspects: i64, chosen: i64) -> Outcome {
    Outcome { state: "succeeded".into(), bursts, frames, suspects, chosen }
}

fn submit(session: &mut Client, arguments: &str) -> i64 {
    session.query_one(&format!("SELECT lumina.detect_bursts({arguments})"), &[]).unwrap().get(0)
}

/// The bursts of a catalog, oldest first: the names of its images with their shots, a star at the best one, a question
/// mark where it is a suspect.
fn shown(session: &mut Client, catalog: i64) -> Vec<String> {
    let read = "SELECT string_agg(format('%s%s:%s', regexp_replace(f.path, '^.*/|[.].*$', '', 'g'),
                CASE WHEN f.is_best THEN '*' END, coalesce(f.shot::text, '-')), ' ' ORDER BY f.position)
            || CASE WHEN b.suspect THEN ' ?' ELSE '' END
        FROM lumina.bursts b JOIN lumina.burst_images f ON f.burst = b.id
        WHERE b.catalog = $1 GROUP BY b.id, b.started_at, b.suspect ORDER BY b.started_at, b.id";
    session.query(read, &[&catalog]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// SQLSTATE, message and hint of a statement that fails.
fn error_of(session: &mut Client, statement: &str) -> (String, String, String) {
    let error = session.batch_execute(statement).expect_err(statement);
    let error = error.as_db_error().expect("an error of the server");
    (error.code().code().into(), error.message().into(), error.hint().unwrap_or_default().into())
}

#[test]
fn bursts_of_a_day() {
    let cluster = Cluster::start();
    let (mut session, id) = catalog(&cluster, "day");
    series(&mut session, id, "IMG_", &[0.0, 0.5, 1.0, 11.0, 12.0, 13.0, 14.0, 60.0]);
    assert_eq!(detect(&mut session, "'day'"), counts(2, 7, 0, 0));
    assert_eq!(
        shown(&mut session, id),
        ["IMG_0001*:0 IMG_0002:1 IMG_0003:2", "IMG_0004*:0 IMG_0005:1 IMG_0006:2 IMG_0007:3"]
    );
    let row = "SELECT frames, shots, extract(epoch FROM duration)::float8, camera_make || ' ' || camera_model,
            best_by, started_at = '2023-04-15 12:00:00+00', ended_at = '2023-04-15 12:00:01+00'
        FROM lumina.bursts ORDER BY id LIMIT 1";
    let row = session.query_one(row, &[]).unwrap();
    assert_eq!((row.get(0), row.get(1), row.get(2), row.get(3)), (3, 3, 1.0, "Canon EOS R5"));
    assert_eq!((row.get(4), row.get(5), row.get(6)), ("quality", true, true));
    // Another catalog keeps its own.
    let (mut session, empty) = catalog(&cluster, "empty");
    assert_eq!(detect(&mut session, "'empty'").bursts, 0);
    assert_eq!((shown(&mut session, id).len(), shown(&mut session, empty).len()), (2, 0));
}

/// Each fact of a row that takes part: which photographs are a burst with it.
#[test]
fn facts_of_rows() {
    let cluster = Cluster::start();
    let (mut session, id) = catalog(&cluster, "facts");
    let cases = [
        ("", 1),
        ("camera_model = 'EOS R6'", 0),
        ("camera_make = ' canon '", 1),
        ("camera_make = NULL, camera_model = NULL", 0),
        ("date_confidence = 70", 1),
        ("date_confidence = 69", 0),
        ("date_confidence = NULL", 0),
        ("captured_at = NULL", 0),
        ("metadata = '{\"has_time\": false}'", 0),
        ("metadata = '{}'", 1),
        ("metadata = '{\"has_time\": \"unknown\"}'", 1),
        ("latitude = 47.00018, longitude = 8", 1), // the others have no place
        ("status = 'rejected'", 1),
        ("status = 'archived', hash_valid = false, damaged_data = true", 1),
    ];
    for (round, (facts, bursts)) in cases.into_iter().enumerate() {
        session.batch_execute("DELETE FROM lumina.images").unwrap();
        series(&mut session, id, "IMG_", &[0.0, 1.0]);
        shoot(&mut session, id, "IMG_0003.JPG", 2.0, facts);
        assert_eq!(detect(&mut session, "'facts'").bursts, bursts, "{round}: {facts}");
    }
    // Midnight, where nothing says that it is a time.
    for (metadata, bursts) in [("{}", 0), ("{\"has_time\": true}", 1)] {
        session.batch_execute("DELETE FROM lumina.images").unwrap();
        series(&mut session, id, "IMG_", &[43_199.0, 43_200.0, 43_201.0]);
        session.execute(&format!("UPDATE lumina.images SET metadata = '{metadata}'"), &[]).unwrap();
        assert_eq!(detect(&mut session, "'facts'").bursts, bursts, "{metadata}");
    }
    // 9 and 11 metres; a file that is gone, in the trash, of no number.
    for (metres, bursts) in [(9.0, 1), (11.0, 0)] {
        session.batch_execute("DELETE FROM lumina.images").unwrap();
        for at in 0..3 {
            let place = format!("latitude = {}, longitude = -8.5", 47.0 + metres * f64::from(at) / 111_194.93);
            shoot(&mut session, id, &format!("IMG_{at:04}.JPG"), f64::from(at), &place);
        }
        assert_eq!(detect(&mut session, "'facts'").bursts, bursts, "{metres} m");
    }
    session.batch_execute("UPDATE lumina.images SET latitude = NULL").unwrap();
    for (files, bursts) in [
        ("state = 'rejected'", 1),
        ("state = 'trashed'", 0),
        ("state = 'keep', missing_since = now()", 0),
        ("missing_since = NULL, path = '/photos/beach.jpg'", 1),
        ("path = '/photos/DSC_0001.JPG'", 0),
    ] {
        session.execute(&format!("UPDATE lumina.image_files SET {files} WHERE path ~ '1.JPG|beach'"), &[]).unwrap();
        assert_eq!(detect(&mut session, "'facts'").bursts, bursts, "{files}");
    }
}

#[test]
fn copies_of_shots_and_suspects() {
    let cluster = Cluster::start();
    let (mut session, id) = catalog(&cluster, "copies");
    // Raw files with their JPEGs, and an export of one.
    for at in 1..4 {
        for format in ["CR2", "JPG"] {
            shoot(&mut session, id, &format!("raw/IMG_{at:04}.{format}"), f64::from(at), "");
        }
    }
    shoot(&mut session, id, "exports/IMG_0002-edit.tif", 2.0, "");
    // By the instant; a series of exposures; frames of one second.
    for (name, seconds) in [("a1", 100.25), ("a2", 100.5), ("a3", 100.75), ("b", 100.5)] {
        shoot(&mut session, id, &format!("{name}.jpg"), seconds, "");
    }
    series(&mut session, id, "BRK_", &[200.0, 200.0, 201.0]);
    series(&mut session, id, "FAST", &[300.0, 300.0, 300.0, 300.0]);
    assert_eq!(detect(&mut session, "'copies'"), counts(4, 18, 1, 0));
    let bursts = shown(&mut session, id);
    assert_eq!(
        bursts[0].replace('*', ""),
        "IMG_0001:0 IMG_0001:0 IMG_0002:1 IMG_0002:1 IMG_0002-edit:1 IMG_0003:2 IMG_0003:2"
    );
    assert_eq!(bursts[1].replace('*', ""), "a1:0 b:1 a2:1 a3:2");
    assert_eq!(bursts[2], "BRK_0001*:0 BRK_0002:1 BRK_0003:2");
    assert_eq!(bursts[3], "FAST0001*:- FAST0002:- FAST0003:- FAST0004:- ?");
    let listed = "SELECT frames, shots, suspect FROM lumina.list_bursts('copies', sort => 'oldest')";
    let listed: Vec<(i32, i32, bool)> =
        session.query(listed, &[]).unwrap().iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(listed, [(7, 3, false), (4, 3, false), (3, 3, false), (4, 4, true)]);
}

#[test]
fn presets_and_parameters() {
    let cluster = Cluster::start();
    let (mut session, id) = catalog(&cluster, "presets");
    series(&mut session, id, "A", &[0.0, 0.5, 1.0, 1.5, 2.0]);
    series(&mut session, id, "B", &[100.0, 103.0, 106.0, 109.0]);
    series(&mut session, id, "C", &[200.0, 205.0, 210.0]);
    series(&mut session, id, "D", &[300.0, 302.0, 304.0]);
    let quality = "UPDATE lumina.images SET width = 4000, height = 3000 FROM lumina.image_files f
        WHERE f.image = images.id AND f.path LIKE '%A0002%'";
    session.batch_execute(quality).unwrap();
    let firsts = |session: &mut Client, arguments: &str| -> String {
        assert_eq!(detect(session, &format!("'presets'{arguments}")).state, "succeeded");
        shown(session, id).iter().map(|burst| &burst[..1]).collect()
    };
    assert_eq!(firsts(&mut session, ""), "AD");
    assert_eq!(firsts(&mut session, ", 'sports'"), "A");
    assert_eq!(firsts(&mut session, ", 'portrait'"), "ABCD");
    assert_eq!(firsts(&mut session, ", preset => 'events'"), "AB");
    assert_eq!(firsts(&mut session, ", gap => '3 s'"), "ABD");
    assert_eq!(firsts(&mut session, ", 'sports', min_frames => 6"), "");
    assert_eq!(firsts(&mut session, ", 'portrait', gap => '0.5 s', min_frames => 2"), "A");
    for (best, name) in [("quality", "A0002"), ("first", "A0001"), ("middle", "A0003")] {
        firsts(&mut session, &format!(", best => '{best}'"));
        assert!(shown(&mut session, id)[0].contains(&format!("{name}*")), "{best}");
        let by = "SELECT DISTINCT best_by FROM lumina.bursts";
        assert_eq!(session.query_one(by, &[]).unwrap().get::<_, &str>(0), best);
    }
}

/// A detection replaces what was there, and carries over what was chosen.
#[test]
fn detection_again() {
    let cluster = Cluster::start();
    let (mut session, id) = catalog(&cluster, "again");
    let images = series(&mut session, id, "IMG_", &[0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0]);
    detect(&mut session, "'again'");
    let burst = "SELECT burst FROM lumina.burst_frames WHERE image = $1";
    let burst = |session: &mut Client, image: i64| session.query_one(burst, &[&image]).unwrap().get::<_, i64>(0);
    let choose = "SELECT lumina.set_burst_best($1, $2)";
    let (old, other) = (burst(&mut session, images[0]), burst(&mut session, images[4]));
    session.query_one(choose, &[&old, &images[2]]).unwrap();
    session.query_one(choose, &[&other, &images[5]]).unwrap();
    session.query_one(choose, &[&other, &images[6]]).unwrap();
    let chosen = ["IMG_0001:0 IMG_0002:1 IMG_0003*:2 IMG_0004:3", "IMG_0005:0 IMG_0006:1 IMG_0007*:2"];
    for round in 0..3 {
        assert_eq!(shown(&mut session, id), chosen, "{round}");
        assert_eq!(detect(&mut session, "'again', best => 'middle'").chosen, 2, "{round}");
    }
    assert_ne!(burst(&mut session, images[0]), old);
    let gone = error_of(&mut session, &format!("SELECT lumina.set_burst_best({old}, {})", images[2]));
    assert_eq!((gone.0.as_str(), gone.1), ("42704", format!("burst {old} does not exist")));
    assert!(gone.2.contains("list_bursts"), "{}", gone.2);
    // A new frame changes nothing; without the chosen image, or half of the others, the choice is gone.
    shoot(&mut session, id, "IMG_0008.JPG", 13.0, "");
    detect(&mut session, "'again'");
    assert_eq!(shown(&mut session, id)[1], "IMG_0005:0 IMG_0006:1 IMG_0007*:2 IMG_0008:3");
    session.execute("DELETE FROM lumina.images WHERE id = $1", &[&images[6]]).unwrap();
    let left = "SELECT frames, rejected, best_image, best FROM lumina.list_bursts('again') LIMIT 1";
    let row = session.query_one(left, &[]).unwrap();
    assert_eq!((row.get(0), row.get(1)), (3, 0));
    assert_eq!((row.get::<_, Option<i64>>(2), row.get::<_, Option<&str>>(3)), (None, None));
    let later = "UPDATE lumina.images SET captured_at = captured_at + '1 minute' WHERE id = ANY ($1)";
    session.execute(later, &[&vec![images[0], images[1]]]).unwrap();
    assert_eq!(detect(&mut session, "'again', best => 'first'").chosen, 0);
    assert_eq!(shown(&mut session, id), ["IMG_0005*:0 IMG_0006:1 IMG_0008:2"]);
    // Nothing is left of what is no burst any more.
    assert_eq!(detect(&mut session, "'again', min_frames => 4").bursts, 0);
    assert_eq!(shown(&mut session, id), [""; 0]);
}

/// While the catalog is locked a job cannot end: what happens meanwhile counts.
#[test]
fn what_happens_while_a_job_ends() {
    let cluster = Cluster::start();
    let (mut session, id) = catalog(&cluster, "late");
    let images = series(&mut session, id, "IMG_", &[0.0, 1.0, 2.0, 3.0]);
    detect(&mut session, "'late'");
    let mut other = cluster.connect();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'lumina worker'
        AND wait_event_type = 'Lock'";
    let mut late = |what: &str, end: &str| -> Vec<String> {
        other.batch_execute("BEGIN; SELECT FROM lumina.catalogs FOR NO KEY UPDATE").unwrap();
        let job = submit(&mut session, "'late'");
        wait_for_phase(&mut session, job, "writing");
        wait_until("the worker waits", || session.query_one(waiting, &[]).unwrap().get::<_, i64>(0) > 0);
        other.batch_execute(what).unwrap();
        other.batch_execute("COMMIT").unwrap();
        assert_eq!(wait_for_end(&mut session, job), end, "{what}");
        assert_eq!(leftovers(&mut session), [""; 0], "{what}");
        shown(&mut session, id)
    };
    let choose =
        format!("SELECT lumina.set_burst_best(burst, image) FROM lumina.burst_frames WHERE image = {}", images[3]);
    assert_eq!(late(&choose, "succeeded"), ["IMG_0001:0 IMG_0002:1 IMG_0003:2 IMG_0004*:3"]);
    let go = format!("DELETE FROM lumina.images WHERE id = {}", images[1]);
    assert_eq!(late(&go, "succeeded"), ["IMG_0001:0 IMG_0003:1 IMG_0004*:2"]);
    let go = format!("DELETE FROM lumina.images WHERE id = {}", images[0]);
    assert_eq!(late(&go, "succeeded"), [""; 0]);
    // Cancelled: the old bursts stay.
    let mut other = cluster.connect();
    shoot(&mut other, id, "IMG_0002.JPG", 1.0, "");
    assert_eq!(late("SELECT 1", "succeeded"), ["IMG_0002*:0 IMG_0003:1 IMG_0004:2"]);
    other.batch_execute("UPDATE lumina.images SET captured_at = captured_at + id * '1 minute'::interval").unwrap();
    let cancel = "SELECT lumina.cancel_job(max(id)) FROM lumina.jobs";
    assert_eq!(late(cancel, "cancelled"), ["IMG_0002*:0 IMG_0003:1 IMG_0004:2"]);
    assert_eq!(late("SELECT lumina.stop_workers(), lumina.resume_jobs()", "succeeded"), [""; 0]);
}

#[test]
fn wrong_input() {
    let cluster = Cluster::start();
    let (mut session, id) = catalog(&cluster, "wrong");
    let images = series(&mut session, id, "IMG_", &[0.0, 1.0, 2.0, 60.0]);
    detect(&mut session, "'wrong'");
    let burst: i64 = session.query_one("SELECT id FROM lumina.bursts", &[]).unwrap().get(0);
    let (mut session, elsewhere) = catalog(&cluster, "elsewhere");
    let stranger = series(&mut session, elsewhere, "IMG_", &[0.0, 1.0, 2.0]);
    let calls = [
        ("detect_bursts(NULL)".into(), "22004", "catalog must not be NULL"),
        ("detect_bursts('none')".into(), "42704", "catalog \"none\" does not exist"),
        ("detect_bursts('wrong', NULL)".into(), "22004", "preset and best must not be NULL"),
        ("detect_bursts('wrong', best => NULL)".into(), "22004", "preset and best must not be NULL"),
        ("detect_bursts('wrong', 'party')".into(), "22023", "unknown preset \"party\""),
        ("detect_bursts('wrong', best => 'manual')".into(), "22023", "unknown way \"manual\""),
        ("detect_bursts('wrong', gap => '0.099 s')".into(), "22003", "gap 00:00:00.099 is not between"),
        ("detect_bursts('wrong', gap => '30.1 s')".into(), "22003", "gap 00:00:30.1 is not between"),
        ("detect_bursts('wrong', gap => '-1 s')".into(), "22003", "gap -00:00:01 is not between"),
        ("detect_bursts('wrong', gap => '1 month')".into(), "22003", "gap 1 mon is not between"),
        ("detect_bursts('wrong', min_frames => 1)".into(), "22003", "min_frames 1 is not between 2 and 1000"),
        ("detect_bursts('wrong', min_frames => 1001)".into(), "22003", "min_frames 1001 is not between"),
        (format!("set_burst_best(NULL, {})", images[0]), "22004", "burst and image must not be NULL"),
        (format!("set_burst_best({burst}, NULL)"), "22004", "burst and image must not be NULL"),
        (format!("set_burst_best(-1, {})", images[0]), "42704", "burst -1 does not exist"),
        (format!("set_burst_best({burst}, {})", images[3]), "22023", "is not in burst"),
        (format!("set_burst_best({burst}, {})", stranger[0]), "22023", "is not in burst"),
        (format!("set_burst_best({burst}, -1)"), "22023", "image -1 is not in burst"),
        ("list_bursts(NULL)".into(), "22004", "catalog must not be NULL"),
        ("list_bursts('none')".into(), "42704", "catalog \"none\" does not exist"),
        ("list_bursts('wrong', 'best')".into(), "22023", "unknown order \"best\""),
        ("list_bursts('wrong', NULL)".into(), "22004", "sort and with_rejected must not be NULL"),
        ("list_bursts('wrong', with_rejected => NULL)".into(), "22004", "sort and with_rejected must not be NULL"),
        ("list_bursts('wrong', \"limit\" => 0)".into(), "22003", "limit 0 is not positive"),
    ];
    for (call, code, message) in calls {
        let error = error_of(&mut session, &format!("SELECT lumina.{call}"));
        assert_eq!(error.0, code, "{call}: {}", error.1);
        assert!(error.1.contains(message), "{call}: {}", error.1);
        assert!(!error.2.is_empty(), "{call}: no hint");
    }
    assert_eq!(shown(&mut session, id), ["IMG_0001*:0 IMG_0002:1 IMG_0003:2"]);
    // Parameters of another version.
    session.batch_execute("BEGIN; SELECT FROM lumina.catalogs FOR NO KEY UPDATE").unwrap();
    let forged = "SELECT lumina_internal.submit(10, 'detect_bursts', $1, '{\"gap\": \"long\"}')";
    let job: i64 = session.query_one(forged, &[&id]).unwrap().get(0);
    session.batch_execute("COMMIT").unwrap();
    assert_eq!(wait_for_end(&mut session, job), "failed");
    let code = session.query_one("SELECT error_code FROM lumina.jobs WHERE id = $1", &[&job]).unwrap();
    assert_eq!(code.get::<_, &str>(0), "invalid_parameters");
}

#[test]
fn lists_of_bursts() {
    let cluster = Cluster::start();
    let (mut session, id) = catalog(&cluster, "list");
    let old = series(&mut session, id, "A", &[0.0, 1.0, 2.0]);
    series(&mut session, id, "B", &[100.0, 101.0, 102.0, 103.0, 104.0]);
    series(&mut session, id, "C", &[200.0, 201.0, 202.0, 203.0]);
    detect(&mut session, "'list'");
    let list = |session: &mut Client, arguments: &str| -> String {
        let list = format!("SELECT best, rejected FROM lumina.list_bursts('list'{arguments})");
        let name = |row: &postgres::Row| {
            let path: &str = row.get(0);
            format!("{}{}", &path[8..9], row.get::<_, i32>(1))
        };
        session.query(&list, &[]).unwrap().iter().map(name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list(&mut session, ""), "C0 B0 A0");
    assert_eq!(list(&mut session, ", 'oldest'"), "A0 B0 C0");
    assert_eq!(list(&mut session, ", 'largest'"), "B0 C0 A0");
    assert_eq!(list(&mut session, ", 'largest', 2"), "B0 C0");
    assert_eq!(list(&mut session, ", 'newest', NULL"), "C0 B0 A0");
    let reject = "UPDATE lumina.images SET status = 'rejected' WHERE id = ANY ($1)";
    session.execute(reject, &[&old[..2].to_vec()]).unwrap();
    assert_eq!(list(&mut session, ", 'oldest', 1"), "A2", "some are rejected");
    session.execute(reject, &[&old]).unwrap();
    assert_eq!(list(&mut session, ", 'oldest', 1"), "B0", "all are rejected");
    assert_eq!(list(&mut session, ", 'oldest', 1, true"), "A3");
}

#[test]
fn rights_to_bursts() {
    let cluster = Cluster::start();
    let (mut session, id) = catalog(&cluster, "rights");
    let images = series(&mut session, id, "IMG_", &[0.0, 1.0, 2.0]);
    session
        .batch_execute(
            "CREATE ROLE curator LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE stranger LOGIN;
            SELECT lumina.grant_catalog('rights', 'curator', 'curate'),
                lumina.grant_catalog('rights', 'reader', 'read')",
        )
        .unwrap();
    let mut curator = cluster.connect_to("postgres", "curator");
    assert_eq!(detect(&mut curator, "'rights'"), counts(1, 3, 0, 0));
    let burst: i64 = curator.query_one("SELECT id FROM lumina.bursts", &[]).unwrap().get(0);
    let choose = format!("SELECT lumina.set_burst_best({burst}, {})", images[1]);
    curator.batch_execute(&choose).unwrap();
    let mut reader = cluster.connect_to("postgres", "reader");
    assert_eq!(shown(&mut reader, id), ["IMG_0001:0 IMG_0002*:1 IMG_0003:2"]);
    assert_eq!(reader.query("SELECT FROM lumina.list_bursts('rights')", &[]).unwrap().len(), 1);
    for call in ["SELECT lumina.detect_bursts('rights')", &choose] {
        assert_eq!(error_of(&mut reader, call).0, "42501", "{call}");
    }
    // Who may not read the catalog is told what is told of a burst that is not there.
    let mut stranger = cluster.connect_to("postgres", "stranger");
    assert_eq!(shown(&mut stranger, id), [""; 0]);
    let (code, message, _) = error_of(&mut stranger, &choose);
    assert_eq!((code.as_str(), message), ("42704", format!("burst {burst} does not exist")));
    assert_eq!(error_of(&mut stranger, "SELECT * FROM lumina.list_bursts('rights')").0, "42704");
    // A right that is taken back while the job waits.
    session.batch_execute("SELECT lumina.stop_workers()").unwrap();
    let job = submit(&mut curator, "'rights'");
    let revoke = "SELECT lumina.revoke_catalog('rights', 'curator', 'curate'), lumina.resume_jobs()";
    session.batch_execute(revoke).unwrap();
    assert_eq!(wait_for_end(&mut session, job), "failed");
    assert_eq!(shown(&mut session, id), ["IMG_0001:0 IMG_0002*:1 IMG_0003:2"]);
}

#[test]
fn a_dump_has_bursts() {
    let cluster = Cluster::start();
    let (mut session, id) = catalog(&cluster, "dump");
    let images = series(&mut session, id, "IMG_", &[0.0, 1.0, 2.0]);
    detect(&mut session, "'dump'");
    let choose = "SELECT lumina.set_burst_best(id, $1) FROM lumina.bursts";
    session.query_one(choose, &[&images[1]]).unwrap();
    let dump = cluster.dump("postgres", &[]);
    session.batch_execute("CREATE DATABASE copy").unwrap();
    cluster.sql("copy", &dump);
    let mut copy = cluster.connect_to("copy", "postgres");
    assert_eq!(shown(&mut copy, id), ["IMG_0001:0 IMG_0002*:1 IMG_0003:2"]);
    assert_eq!(detect(&mut copy, "'dump'"), counts(1, 3, 0, 1));
    // Catalogs are dropped with their bursts.
    copy.batch_execute("SELECT lumina.drop_catalog('dump')").unwrap();
    let left = "SELECT (SELECT count(*) FROM lumina.bursts) + (SELECT count(*) FROM lumina.burst_frames)";
    assert_eq!(copy.query_one(left, &[]).unwrap().get::<_, i64>(0), 0);
}
