//! Decisions about duplicates: what each changes, that it is taken back exactly, what is refused, and sessions that
//! decide at the same moment.
//!
//! The hook on_resolve is in `hook.rs`, all groups at once in `all.rs`, damaged images and originals in `originals.rs`,
//! what is listed against what is rejected in `redundant.rs`.

mod all;
mod hook;
mod originals;
mod redundant;

use lumina_cluster::Cluster;
use lumina_cluster::catalog::{submit, wait_for_end};
use lumina_cluster::cluster::wait_until;
use lumina_cluster::postgres::{Client, Error};
use lumina_cluster::sessions::{start, waits};

/// Sixteen groups of three pictures with equal hashes, the best first by its number, of which each tenth image has two
/// files; and one image with three files alone. Group g has the images 3g-2 to 3g.
const SETUP: &str = "
    CREATE EXTENSION lumina;
    CREATE ROLE owner LOGIN; CREATE ROLE curator LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE stranger LOGIN;
    GRANT EXECUTE ON FUNCTION lumina.create_catalog TO owner;
    SET ROLE owner;
    SELECT lumina.create_catalog('photos'), lumina.grant_catalog('photos', 'curator', 'curate'),
        lumina.grant_catalog('photos', 'reader', 'read');
    RESET ROLE;
    INSERT INTO lumina.sources (catalog, path, name, protected) VALUES (1, '/a', 'a', false), (1, '/b', 'b', true);
    INSERT INTO lumina.images (catalog, sha256, size, format, width, height, captured_at, date_source,
            date_confidence, ahash, dhash, dct, pdq, hash_valid)
        SELECT 1, sha256(convert_to(n::text, 'UTF8')), 9000000 - n % 3 * 1000000, 'jpeg', 6000 - n % 3 * 2000, 3000,
            CASE WHEN n % 3 > 0 THEN '2020-01-01'::timestamptz END, CASE WHEN n % 3 > 0 THEN 'exif' END,
            CASE WHEN n % 3 > 0 THEN 50 + n % 3 END, h, h, h, repeat(h::text, 4)::phash, true
        FROM generate_series(0, 47) n,
            LATERAL (SELECT (lpad(to_hex(n / 3 * 16843009), 8, '0')
                || lpad(to_hex(n / 3 * 269488144::int8), 8, '0'))::phash(64) AS h) x
        ORDER BY n;
    INSERT INTO lumina.images (catalog, sha256, size, format) VALUES (1, sha256('alone'), 5000, 'gif');
    INSERT INTO lumina.image_files (catalog, image, path, original_path, source)
        SELECT 1, i.id, p.path, p.path, 1 FROM lumina.images i, generate_series(1, 3) copy,
            LATERAL (SELECT format('/a/%s/%s.jpg', copy, i.id) AS path) p
        WHERE copy = 1 OR copy = 2 AND i.id % 10 = 0 OR i.id = 49 ORDER BY copy, i.id";

/// Everything that a decision may change, as text; not what is only added: the actions.
const STATE: &str = "
    SELECT string_agg(t, chr(10) ORDER BY t) FROM (
        SELECT 'image ' || i::text AS t FROM lumina.images i
        UNION ALL SELECT 'file ' || f::text FROM lumina.image_files f
        UNION ALL SELECT 'run ' || r::text FROM lumina.duplicate_runs r
        UNION ALL SELECT 'group ' || g::text FROM lumina.duplicate_groups g
        UNION ALL SELECT 'member ' || m::text FROM lumina.duplicate_members m
        UNION ALL SELECT 'distinct ' || d::text FROM lumina.distinct_images d
        UNION ALL SELECT 'distinct ' || d::text FROM lumina.distinct_files d) s";

/// A server with the groups of [`SETUP`].
pub(crate) fn world() -> (Cluster, Client) {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    session.batch_execute(SETUP).unwrap();
    search(&mut session);
    (cluster, session)
}

/// Searches for duplicates once more.
fn search(session: &mut Client) {
    let job = submit(session, "photos", 0);
    assert_eq!(wait_for_end(session, job), "succeeded");
}

/// Searches with arguments of `detect_duplicates` behind the first two.
pub(crate) fn search_with(session: &mut Client, more: &str) {
    let comma = if more.is_empty() { "" } else { ", " };
    let job = format!("SELECT lumina.detect_duplicates('photos', 0{comma}{more})");
    let job: i64 = session.query_one(&job, &[]).unwrap().get(0);
    assert_eq!(wait_for_end(session, job), "succeeded");
}

/// One value, as text.
fn text(session: &mut Client, statement: &str) -> String {
    let row = session.query_one(statement, &[]).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    row.get::<_, Option<String>>(0).unwrap_or_default()
}

/// SQLSTATE and message of an error.
fn told(error: &Error) -> String {
    let Some(error) = error.as_db_error() else { panic!("the session is gone: {error}") };
    format!("{} {}", error.code().code(), error.message())
}

/// The error of a statement.
fn refused(session: &mut Client, statement: &str) -> String {
    told(&session.batch_execute(statement).expect_err(statement))
}

/// The group that an image is in.
pub(crate) fn group_of(session: &mut Client, image: i64) -> i64 {
    let read = "SELECT m.group_id FROM lumina.duplicate_members m JOIN lumina.duplicate_runs r ON r.id = m.run
        WHERE r.is_current AND m.image = $1";
    session.query_one(read, &[&image]).unwrap().get(0)
}

/// The images that are rejected, and the files.
fn rejected(session: &mut Client) -> String {
    text(
        session,
        "SELECT coalesce((SELECT string_agg(id::text, ' ' ORDER BY id) FROM lumina.images
                WHERE status = 'rejected'), '-')
            || ' | ' || coalesce((SELECT string_agg(path, ' ' ORDER BY path) FROM lumina.image_files
                WHERE state = 'rejected'), '-')",
    )
}

#[test]
fn each_decision_does_what_it_says_and_is_taken_back_exactly() {
    let (_cluster, mut session) = world();
    let before = text(&mut session, STATE);
    let open = "SELECT count(DISTINCT group_id)::text FROM lumina.image_duplicates";
    assert_eq!(text(&mut session, open), "17");
    let g = |session: &mut Client, image: i64| group_of(session, image);
    // Of each: the call; what is rejected; what is recorded as distinct; and how many groups are open after it.
    let (one, ten, alone) = (g(&mut session, 1), g(&mut session, 10), g(&mut session, 49));
    for (call, gone, distinct, groups) in [
        (format!("keep_best({one})"), "2 3 | -", "0 0", "16"),
        (format!("keep_best({ten})"), "11 12 | /a/2/10.jpg", "0 0", "16"),
        (format!("keep_best({alone})"), "- | /a/2/49.jpg /a/3/49.jpg", "0 0", "16"),
        (format!("resolve({one}, ARRAY[3])"), "1 2 | -", "0 0", "16"),
        (format!("resolve({one}, ARRAY[3, 1])"), "2 | -", "2 0", "16"),
        (format!("resolve({ten}, ARRAY[12, 11, 10])"), "- | /a/2/10.jpg", "3 0", "16"),
        (format!("keep_all({one})"), "- | -", "3 0", "16"),
        (format!("keep_all({ten})"), "- | -", "3 2", "16"),
        (format!("keep_all({alone})"), "- | -", "0 3", "16"),
        (format!("split_group({one}, ARRAY[2, 3])"), "- | -", "3 0", "17"),
        (format!("split_group({ten}, ARRAY[10])"), "- | -", "3 0", "18"),
        ("set_image_status('photos', ARRAY[1, 5], 'archived')".to_owned(), "- | -", "0 0", "17"),
    ] {
        session.batch_execute(&format!("SELECT * FROM lumina.{call}")).unwrap_or_else(|e| panic!("{call}: {e:?}"));
        assert_eq!(rejected(&mut session), gone, "{call}");
        let counts = "SELECT (SELECT count(*) FROM lumina.distinct_images) || ' '
            || (SELECT count(*) FROM lumina.distinct_files)";
        assert_eq!(text(&mut session, counts), distinct, "{call}");
        assert_eq!(text(&mut session, open), groups, "{call}");
        assert_ne!(text(&mut session, STATE), before, "{call}");
        let action: i64 = session.query_one("SELECT max(id) FROM lumina.duplicate_actions", &[]).unwrap().get(0);
        let undo: i64 = session.query_one("SELECT lumina.undo($1)", &[&action]).unwrap().get(0);
        assert_eq!(text(&mut session, STATE), before, "undo of {call}");
        let twice = refused(&mut session, &format!("SELECT lumina.undo({action})"));
        assert_eq!(twice, format!("55000 action {action} was undone already, by action {undo}"));
        assert!(refused(&mut session, &format!("SELECT lumina.undo({undo})")).starts_with("55000 "));
    }
    // Who, what, and what has undone it.
    assert_eq!(
        text(
            &mut session,
            "SELECT concat_ws(' ', catalog, kind, group_id, actor, images, files, undone_by)
                FROM lumina.action_history WHERE action = 1"
        ),
        format!("photos keep_best {one} postgres 2 0 2")
    );
}

#[test]
fn what_was_rejected_is_offered_to_what_is_kept() {
    let (_cluster, mut session) = world();
    session
        .batch_execute(
            "UPDATE lumina.images SET latitude = 50, longitude = 8, camera_make = 'Make', lens_model = 'Lens',
                metadata = '{\"keywords\": [\"sea\"], \"has_time\": true, \"width\": 8, \"height\": 9}'
                WHERE id = 2;
            UPDATE lumina.images SET camera_make = 'Other', camera_model = 'Model' WHERE id = 4;
            UPDATE lumina.images SET camera_make = 'Lost', date_confidence = 99 WHERE id = 5;
            INSERT INTO lumina.sidecars (catalog, path, file, kind) SELECT 1, f.path || '.xmp', f.id, 'edit'
                FROM lumina.image_files f WHERE f.image IN (2, 4, 5) OR f.path = '/a/2/49.jpg'",
        )
        .unwrap();
    let (one, two, alone) = (group_of(&mut session, 1), group_of(&mut session, 4), group_of(&mut session, 49));
    let expected = r#"[
        {"from": 2, "to": 1, "date": {"captured_at": "2020-01-01T00:00:00+00:00", "source": "exif", "confidence": 51},
            "place": {"latitude": 50, "longitude": 8}, "camera": {"make": "Make"}, "lens": "Lens",
            "metadata": {"keywords": ["sea"]}, "sidecars": [{"path": "/a/1/2.jpg.xmp", "kind": "edit"}]},
        {"from": 3, "to": 1, "date": {"captured_at": "2020-01-01T00:00:00+00:00", "source": "exif", "confidence": 52}}
    ]"#;
    session.batch_execute("SET timezone = 'UTC'").unwrap();
    let offered = text(&mut session, &format!("SELECT carried::text FROM lumina.keep_best({one})"));
    assert_eq!(offered, text(&mut session, &format!("SELECT ('{expected}'::jsonb)::text")));
    // What the kept one has itself is not offered, but for a date that is better known.
    let offered = text(&mut session, &format!("SELECT carried::text FROM lumina.resolve({two}, ARRAY[4])"));
    assert!(offered.contains("\"confidence\": 99") && !offered.contains("Lost"), "{offered}");
    assert!(!offered.contains("sidecars"), "{offered}");
    let offered = text(&mut session, &format!("SELECT carried::text FROM lumina.keep_best({alone})"));
    assert!(offered.contains("/a/2/49.jpg.xmp"), "{offered}");
}

#[test]
fn bad_input_is_refused_and_changes_nothing() {
    let (cluster, mut session) = world();
    let (one, ten, alone) = (group_of(&mut session, 1), group_of(&mut session, 10), group_of(&mut session, 49));
    let before = text(&mut session, STATE);
    for (call, error) in [
        ("keep_best(NULL)".to_owned(), "22004 "),
        ("keep_best(987654)".to_owned(), "42704 group 987654 does not exist, or not any more"),
        (format!("resolve({one}, NULL)"), "22004 "),
        (format!("resolve({one}, ARRAY[1, NULL])"), "22004 "),
        (format!("resolve({one}, '{{}}')"), "22023 at least one image must be kept"),
        (format!("resolve({one}, ARRAY[1, 2, 1])"), "22023 image 1 is to be kept twice"),
        (format!("resolve({one}, ARRAY[1, 4])"), "22023 image 4 is not in group"),
        (format!("resolve({one}, ARRAY[1, 98765])"), "22023 image 98765 is not in group"),
        (format!("split_group({one}, NULL)"), "22004 "),
        (format!("split_group({one}, '{{}}')"), "22023 "),
        (format!("split_group({one}, ARRAY[1, 2, 3])"), "22023 "),
        (format!("split_group({one}, ARRAY[9])"), "22023 image 9 is not in group"),
        (format!("split_group({alone}, ARRAY[49])"), "22023 "),
        ("undo(NULL)".to_owned(), "22004 "),
        ("undo(98765)".to_owned(), "42704 action 98765 does not exist"),
        ("set_image_status('photos', ARRAY[1], 'rejected')".to_owned(), "22023 "),
        ("set_image_status('photos', ARRAY[1], 'nothing')".to_owned(), "22023 "),
        (
            "set_image_status('photos', ARRAY[1, 98765], 'flagged')".to_owned(),
            "22023 catalog \"photos\" has no image 98765",
        ),
        ("set_image_status('photos', NULL, 'flagged')".to_owned(), "22004 "),
        ("keep_best_in_all('photos', NULL)".to_owned(), "22004 "),
        ("keep_best_in_all('photos', -1)".to_owned(), "22003 "),
        ("keep_best_in_all('photos', 'NaN')".to_owned(), "22003 "),
        ("keep_best_in_all('nothing')".to_owned(), "42704 "),
    ] {
        let told = refused(&mut session, &format!("SELECT * FROM lumina.{call}"));
        assert!(told.starts_with(error), "{call}: {told}");
    }
    assert_eq!(text(&mut session, STATE), before);
    // A group that is not as it was found: an image or a file gone, come, missing, rejected.
    for change in [
        "DELETE FROM lumina.images WHERE id = 11",
        "DELETE FROM lumina.image_files WHERE path = '/a/2/10.jpg'",
        "UPDATE lumina.image_files SET missing_since = now() WHERE image = 12",
        "UPDATE lumina.images SET status = 'rejected' WHERE id = 10",
        "UPDATE lumina.image_files SET state = 'trashed' WHERE path = '/a/2/10.jpg'",
        "INSERT INTO lumina.image_files (catalog, image, path, original_path) VALUES (1, 11, '/a/n.jpg', '/a/n.jpg')",
    ] {
        for call in ["keep_best(?)", "resolve(?, ARRAY[11])", "keep_all(?)", "split_group(?, ARRAY[12])"] {
            let call = call.replace('?', &ten.to_string());
            let mut transaction = session.transaction().unwrap();
            transaction.batch_execute(change).unwrap();
            let error = transaction.batch_execute(&format!("SELECT lumina.{call}")).expect_err(&call);
            assert_eq!(told(&error), format!("55000 group {ten} has changed since it was found"), "{change}: {call}");
        }
    }
    // Decided already, and replaced by a newer search.
    let action: i64 = session.query_one("SELECT lumina.keep_all($1)", &[&one]).unwrap().get(0);
    for call in ["keep_best(?)", "resolve(?, ARRAY[1])", "keep_all(?)", "split_group(?, ARRAY[1])"] {
        let told = refused(&mut session, &format!("SELECT lumina.{}", call.replace('?', &one.to_string())));
        assert_eq!(told, format!("55000 group {one} was decided already, by action {action}"));
    }
    session.batch_execute(&format!("SELECT lumina.undo({action})")).unwrap();
    search(&mut session);
    for group in [one, ten] {
        let told = refused(&mut session, &format!("SELECT lumina.keep_best({group})"));
        assert_eq!(
            told,
            format!("42704 group {group} does not exist, or not any more: a newer search has replaced it")
        );
    }
    // Rights: none is told apart from nothing.
    let one = group_of(&mut session, 1);
    for (role, error) in [("reader", "42501 "), ("stranger", "42704 ")] {
        let mut other = cluster.connect_to("postgres", role);
        for call in ["keep_best(?)", "resolve(?, ARRAY[1])", "keep_all(?)", "split_group(?, ARRAY[1])", "undo(1)"] {
            let told = refused(&mut other, &format!("SELECT lumina.{}", call.replace('?', &one.to_string())));
            assert!(told.starts_with(error), "{role}: {call}: {told}");
        }
        for call in ["keep_best_in_all('photos')", "set_image_status('photos', '{1}', 'flagged')"] {
            assert!(refused(&mut other, &format!("SELECT lumina.{call}")).starts_with(error), "{role}: {call}");
        }
    }
    let mut curator = cluster.connect_to("postgres", "curator");
    curator.batch_execute(&format!("SELECT lumina.keep_best({one})")).unwrap();
    assert_eq!(text(&mut session, "SELECT actor::text FROM lumina.action_history LIMIT 1"), "curator");
}

#[test]
fn what_has_changed_since_is_not_undone() {
    let (_cluster, mut session) = world();
    let (one, ten) = (group_of(&mut session, 1), group_of(&mut session, 10));
    session.batch_execute(&format!("SELECT lumina.keep_best({one}), lumina.keep_best({ten})")).unwrap();
    let file = text(&mut session, "SELECT id::text FROM lumina.image_files WHERE path = '/a/2/10.jpg'");
    let gone = format!("file {file} is gone");
    for (change, action, why) in [
        ("UPDATE lumina.images SET status = 'flagged' WHERE id = 3", 1, "image 3 is flagged by now, not rejected"),
        (
            "SELECT lumina.set_image_status('photos', ARRAY[2], 'archived')",
            1,
            "image 2 is archived by now, not rejected",
        ),
        ("DELETE FROM lumina.images WHERE id = 2", 1, "image 2 is gone"),
        ("DELETE FROM lumina.image_files WHERE path = '/a/2/10.jpg'", 2, &gone),
        (
            "UPDATE lumina.image_files SET state = 'trashed' WHERE path = '/a/2/10.jpg'",
            2,
            "file /a/2/10.jpg has the state trashed by now, not rejected",
        ),
        (
            "UPDATE lumina.image_files SET image = 20 WHERE path = '/a/2/10.jpg'",
            2,
            "file /a/2/10.jpg is another picture by now",
        ),
    ] {
        let mut transaction = session.transaction().unwrap();
        transaction.batch_execute(change).unwrap();
        let error = transaction.batch_execute(&format!("SELECT lumina.undo({action})")).expect_err(change);
        assert_eq!(told(&error), format!("55000 action {action} cannot be undone: {why}"), "{change}");
    }
    // A split is not undone under a decision about one of its parts.
    let four = group_of(&mut session, 4);
    let made: (i64, Vec<i64>) = {
        let row = session.query_one("SELECT * FROM lumina.split_group($1, ARRAY[5, 6])", &[&four]).unwrap();
        (row.get(0), row.get(1))
    };
    let decided: i64 = session.query_one("SELECT action FROM lumina.keep_best($1)", &[&made.1[0]]).unwrap().get(0);
    let told = refused(&mut session, &format!("SELECT lumina.undo({})", made.0));
    assert!(told.starts_with("55000 ") && told.contains(&format!("by action {decided}")), "{told}");
    session.batch_execute(&format!("SELECT lumina.undo({decided}), lumina.undo({})", made.0)).unwrap();
    // After a newer search what was decided can still be taken back.
    search(&mut session);
    session.batch_execute("SELECT lumina.undo(1), lumina.undo(2)").unwrap();
    assert_eq!(rejected(&mut session), "- | -");
}

#[test]
fn actions_are_never_changed_and_go_with_their_catalog() {
    let (_cluster, mut session) = world();
    let (one, two, alone) = (group_of(&mut session, 1), group_of(&mut session, 4), group_of(&mut session, 49));
    session
        .batch_execute(&format!(
            "SELECT lumina.keep_best({one}), lumina.keep_all({two}), lumina.keep_best({alone}), lumina.undo(1)"
        ))
        .unwrap();
    for table in ["duplicate_actions", "action_images", "action_files"] {
        for statement in ["UPDATE lumina.? SET catalog = catalog", "DELETE FROM lumina.?", "TRUNCATE lumina.? CASCADE"]
        {
            let told = refused(&mut session, &statement.replace('?', table));
            assert!(told.starts_with("23000 "), "{statement}: {table}: {told}");
        }
    }
    session.batch_execute("DELETE FROM lumina.images").unwrap(); // what was decided about them stays
    assert_eq!(text(&mut session, "SELECT count(*)::text FROM lumina.action_images"), "5");
    session.batch_execute("SELECT lumina.drop_catalog('photos')").unwrap();
    for table in ["duplicate_actions", "action_images", "action_files", "distinct_images", "distinct_files"] {
        assert_eq!(text(&mut session, &format!("SELECT count(*)::text FROM lumina.{table}")), "0", "{table}");
    }
}

#[test]
fn files_of_protected_sources_are_never_rejected() {
    let (_cluster, mut session) = world();
    let (one, ten, alone) = (group_of(&mut session, 1), group_of(&mut session, 10), group_of(&mut session, 49));
    // A protected copy is kept instead of the first, and an image with one is not rejected, even if it is missing.
    session
        .batch_execute(
            "UPDATE lumina.image_files SET path = '/b' || path
                WHERE image = 2 OR path IN ('/a/2/10.jpg', '/a/3/49.jpg')",
        )
        .unwrap();
    let told = refused(&mut session, &format!("SELECT lumina.keep_best({one})"));
    assert_eq!(told, "55000 image 2 has a file in a protected source, and is never rejected");
    let told = refused(&mut session, &format!("SELECT lumina.resolve({one}, ARRAY[1, 3])"));
    assert_eq!(told, "55000 image 2 has a file in a protected source, and is never rejected");
    session.batch_execute(&format!("SELECT lumina.resolve({one}, ARRAY[1, 2])")).unwrap();
    session.batch_execute(&format!("SELECT lumina.keep_best({ten}), lumina.keep_best({alone})")).unwrap();
    assert_eq!(rejected(&mut session), "3 11 12 | /a/1/10.jpg /a/1/49.jpg /a/2/49.jpg");
    // Where all are protected, all are kept, and none is ever listed.
    session
        .batch_execute("SELECT lumina.undo(3); UPDATE lumina.image_files SET path = '/b' || path WHERE image = 49")
        .unwrap();
    session.batch_execute(&format!("SELECT lumina.keep_best({alone})")).unwrap();
    assert_eq!(rejected(&mut session), "3 11 12 | /a/1/10.jpg");
    search(&mut session);
    let listed = "SELECT count(*)::text FROM lumina.image_duplicates WHERE image = 49";
    assert_eq!(text(&mut session, listed), "0");
}

#[test]
fn one_of_two_decisions_at_the_same_moment_wins() {
    let (cluster, mut session) = world();
    let (one, four, seven) = (group_of(&mut session, 1), group_of(&mut session, 4), group_of(&mut session, 7));
    let ten = group_of(&mut session, 10);
    let action: i64 = session.query_one("SELECT action FROM lumina.keep_best($1)", &[&ten]).unwrap().get(0);
    for (first, second) in [
        (format!("keep_best({one})"), format!("keep_best({one})")),
        (format!("keep_best({four})"), format!("resolve({four}, ARRAY[5])")),
        (format!("keep_all({seven})"), format!("split_group({seven}, ARRAY[8])")),
        (format!("undo({action})"), format!("undo({action})")),
    ] {
        let mut winner = cluster.connect_to("postgres", "owner");
        winner.batch_execute(&format!("BEGIN; SELECT lumina.{first}")).unwrap();
        let mut loser = cluster.connect_to("postgres", "curator");
        let pid: i32 = loser.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        let running = start(loser, format!("SELECT lumina.{second}"));
        wait_until("the second waits", || waits(&mut session, pid, "transactionid"));
        winner.batch_execute("COMMIT").unwrap();
        let (_, result, _) = running.join().unwrap();
        let told = told(&result.expect_err(&second));
        assert!(told.starts_with("55000 ") && told.contains(" already, by action "), "{second}: {told}");
    }
    assert_eq!(rejected(&mut session), "2 3 5 6 | -");
}

#[test]
fn a_search_that_ends_meanwhile_is_seen_or_sees_the_decision() {
    let (cluster, mut session) = world();
    let one = group_of(&mut session, 1);
    // A decision that is open keeps the search from ending; then the search finds images changed, and begins again.
    let mut curator = cluster.connect_to("postgres", "curator");
    curator.batch_execute(&format!("BEGIN; SELECT lumina.keep_best({one})")).unwrap();
    let job = submit(&mut session, "photos", 0);
    let worker = "SELECT EXISTS (SELECT FROM pg_stat_activity
        WHERE backend_type = 'lumina worker' AND wait_event = 'transactionid')";
    wait_until("the search waits", || session.query_one(worker, &[]).unwrap().get(0));
    curator.batch_execute("COMMIT").unwrap();
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    assert_eq!(
        text(
            &mut session,
            "SELECT string_agg(id::text, ' ' ORDER BY id) FROM lumina.images
        WHERE status = 'rejected'"
        ),
        "2 3"
    );
    assert_eq!(text(&mut session, "SELECT count(*)::text FROM lumina.duplicate_members WHERE image <= 3"), "0");
    // A search that is about to end keeps a decision waiting, which then finds no such group.
    let four = group_of(&mut session, 4);
    let mut ending = cluster.connect();
    ending.batch_execute("BEGIN; SELECT FROM lumina.catalogs FOR NO KEY UPDATE").unwrap();
    let pid: i32 = curator.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let running = start(curator, format!("SELECT lumina.keep_best({four})"));
    wait_until("the decision waits", || waits(&mut session, pid, "transactionid"));
    ending.batch_execute("DELETE FROM lumina.duplicate_members; DELETE FROM lumina.duplicate_groups; COMMIT").unwrap();
    let (_, result, _) = running.join().unwrap();
    assert!(told(&result.unwrap_err()).starts_with("42704 group "));
    assert_eq!(rejected(&mut session), "2 3 | -");
}
