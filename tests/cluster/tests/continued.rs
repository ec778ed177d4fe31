//! Searches for duplicates that go on from the one before: over random histories of a catalog they find what a search
//! of all images finds, by an index and without one; what they read; when they cannot go on.

mod reads;

use crate::decisions::{group_of, world};
use lumina_cluster::Cluster;
use lumina_cluster::Random;
use lumina_cluster::catalog::{leftovers, wait_for_end};
use lumina_cluster::cluster::wait_until;
use lumina_cluster::kills::{Hits, INTERRUPTIONS};
use lumina_cluster::postgres::Client;
use lumina_cluster::report::{number as number_of, say};
use std::fmt::Write as _;
use std::time::Instant;

/// The groups of the catalog, with everything but their numbers.
const GROUPS: &str = "
    SELECT coalesce(string_agg(s.g, chr(10) ORDER BY s.g), '') FROM (
        SELECT row(array_agg(row(m.image, m.place, m.distance, m.ahash_distance, m.dhash_distance, m.dct_distance,
                m.pdq_distance) ORDER BY m.place),
            g.kind, g.distance, g.images, g.files, g.bytes, g.savings,
            ARRAY(SELECT unnest(g.also_near) ORDER BY 1), g.also_near_count, g.decision, g.captured_at, g.folder,
            g.current_images, g.current_redundant, g.current_savings)::text AS g
        FROM lumina.duplicate_groups g LEFT JOIN lumina.duplicate_members m ON m.group_id = g.id AND m.run = g.run
        GROUP BY g.id, g.run, g.catalog) s";

fn text(session: &mut Client, query: &str) -> String {
    session.query_one(query, &[]).unwrap_or_else(|error| panic!("{query}: {error:?}")).get(0)
}

fn number(session: &mut Client, query: &str) -> i64 {
    session.query_one(query, &[]).unwrap_or_else(|error| panic!("{query}: {error:?}")).get(0)
}

/// Searches, and returns the job.
fn search(session: &mut Client, arguments: &str) -> i64 {
    let job = number(session, &format!("SELECT lumina.detect_duplicates('photos', {arguments})"));
    let error = format!("SELECT concat_ws(' ', state, error) FROM lumina.jobs WHERE id = {job}");
    assert_eq!(wait_for_end(session, job), "succeeded", "{}", text(session, &error));
    job
}

/// A value of a job's result.
fn result(session: &mut Client, job: i64, key: &str) -> String {
    text(session, &format!("SELECT coalesce(result->>'{key}', '') FROM lumina.jobs WHERE id = {job}"))
}

/// A history of a catalog.
struct History {
    random: Random,
    session: Client,
    /// Contents so far.
    contents: u64,
}

impl History {
    fn new(cluster: &Cluster, seed: u64) -> Self {
        let mut session = cluster.connect();
        session.batch_execute("CREATE EXTENSION lumina; SELECT lumina.create_catalog('photos')").unwrap();
        History { random: Random(seed), session, contents: 0 }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random.below(limit)
    }

    /// An image of the catalog, at random; `None` where there is none.
    fn image(&mut self) -> Option<i64> {
        let at = self.below(1 << 20);
        let pick =
            "SELECT id FROM lumina.images ORDER BY id OFFSET $1 % greatest((SELECT count(*) FROM lumina.images), 1)
            LIMIT 1";
        self.session.query_opt(pick, &[&(at as i64)]).unwrap().map(|row| row.get(0))
    }

    /// A group that nobody has decided, at random.
    fn group(&mut self) -> Option<i64> {
        let at = self.below(1 << 20);
        let pick = "SELECT id FROM lumina.duplicate_groups WHERE is_open ORDER BY id
            OFFSET $1 % greatest((SELECT count(*) FROM lumina.duplicate_groups WHERE is_open), 1) LIMIT 1";
        self.session.query_opt(pick, &[&(at as i64)]).unwrap().map(|row| row.get(0))
    }

    /// New images near some centre, so that there are chains, copies, and lone ones; some with several files, some raw
    /// ones with a picture beside.
    fn import(&mut self) {
        let count = 1 + self.below(12);
        let mut script = String::new();
        for _ in 0..count {
            self.contents += 1;
            let content = self.contents;
            // Centres that are some bits apart, and up to three bits beside.
            let center = 0x0123_4567_89ab_cdef_u64.rotate_left(self.below(6) as u32 * 9);
            let mut hash = center ^ ((self.below(4) * 0x0f) << 40);
            for _ in 0..self.below(4) {
                hash ^= 1 << self.below(64);
            }
            let is_flat = self.below(12) == 0;
            let format = ["jpeg", "png", "dng", "heic"][self.below(4) as usize];
            let day = self.below(300);
            let name = self.below(40); // some share a stem
            let folder = ["", "", "RAW/", "Jpg/"][self.below(4) as usize];
            let model = ["'A'", "'B'", "NULL"][self.below(3) as usize];
            write!(
                script,
                "WITH image AS (INSERT INTO lumina.images (catalog, sha256, size, format, width, height, captured_at,
                        camera_make, camera_model, ahash, dhash, dct, pdq, hash_valid)
                    SELECT 1, sha256('{content}'), {size}, '{format}', {width}, 1000,
                        CASE WHEN {day} > 50 THEN '2020-01-01'::timestamptz + {day} * '1 hour'::interval END,
                        'M', {model}, h, h, h, repeat(h::text, 4)::phash, NOT {is_flat}
                        FROM (SELECT '{hash:016x}'::phash(64) AS h) h
                    RETURNING id)
                INSERT INTO lumina.image_files (catalog, image, path, original_path, device, inode)
                    SELECT 1, id, p, p, 1, {inode} + copy FROM image, generate_series(0, {copies}) copy,
                        LATERAL (SELECT format('/p/%s/{folder}{name}.{content}', copy) AS p) p;",
                size = 1000 + self.below(50) * 100,
                width = 1000 + self.below(3) * 500,
                copies = [0, 0, 0, 1, 2][self.below(5) as usize],
                inode = content * 10,
            )
            .unwrap();
        }
        // A raw file's picture has its path but for what comes after the last dot: here the content's number. Which of
        // them are of one shot is at random: some are near, some of one time and camera.
        self.session.batch_execute(&script).unwrap();
    }

    /// One change of another kind; what cannot be done, since there is nothing to do it to, is left.
    fn change(&mut self) {
        let Some(image) = self.image() else { return self.import() };
        let group = self.group();
        let hash = self.random.next();
        let script = match (self.below(17), group) {
            (0, _) => format!("DELETE FROM lumina.images WHERE id = {image}"),
            (1, _) => format!("DELETE FROM lumina.image_files WHERE image = {image}"),
            (2, _) => format!("UPDATE lumina.image_files SET missing_since = now() WHERE image = {image}"),
            (3, _) => "UPDATE lumina.image_files SET missing_since = NULL".into(),
            (4, _) => format!("UPDATE lumina.image_files SET path = path || '.moved' WHERE image = {image}"),
            (5, _) => format!("UPDATE lumina.images SET size = size + 5000 WHERE id = {image}"),
            // The shot of any other image.
            (15, _) => format!(
                "UPDATE lumina.images i SET (captured_at, camera_make, camera_model) =
                        (o.captured_at, o.camera_make, o.camera_model)
                    FROM (SELECT * FROM lumina.images ORDER BY (id * 7919) % {} LIMIT 1) o WHERE i.id = {image}",
                2 + self.below(100)
            ),
            (6, _) => format!("UPDATE lumina.images SET hash_valid = NOT hash_valid WHERE id = {image}"),
            (7, _) => {
                format!("UPDATE lumina.images SET ahash = '{hash:016x}', dhash = '{hash:016x}' WHERE id = {image}")
            }
            (8, _) => {
                let status = ["active", "archived", "flagged", "rejected"][self.below(4) as usize];
                format!("UPDATE lumina.images SET status = '{status}' WHERE id = {image}")
            }
            (9, _) => format!(
                "DELETE FROM lumina.burst_frames; DELETE FROM lumina.bursts;
                INSERT INTO lumina.bursts (catalog, frames, shots, started_at, ended_at, best_by, suspect)
                    VALUES (1, 5, 5, now(), now(), 'quality', false);
                INSERT INTO lumina.burst_frames (image, burst, catalog, position, shot)
                    SELECT id, (SELECT max(id) FROM lumina.bursts), 1, n, n / 2
                    FROM (SELECT id, row_number() OVER (ORDER BY id)::int4 - 1 AS n FROM lumina.images
                        WHERE id >= {image} ORDER BY id LIMIT 5) i"
            ),
            (10, Some(group)) => format!("SELECT lumina.keep_best({group})"),
            (11, Some(group)) => format!("SELECT lumina.keep_all({group})"),
            (12, Some(group)) => format!(
                "SELECT lumina.split_group({group}, ARRAY[image]) FROM lumina.duplicate_members m
                    JOIN lumina.duplicate_groups g ON g.id = m.group_id
                    WHERE m.group_id = {group} AND m.place = 1 AND g.current_images > 1
                    AND EXISTS (SELECT FROM lumina.images i JOIN lumina.image_files f ON f.image = i.id
                        WHERE i.id = m.image AND i.status <> 'rejected' AND f.state = 'keep'
                        AND f.missing_since IS NULL)"
            ),
            (13, _) => "SELECT lumina.undo(max(a.id)) FROM lumina.duplicate_actions a WHERE a.undo_of IS NULL
                AND NOT EXISTS (SELECT FROM lumina.duplicate_actions u WHERE u.undo_of = a.id) HAVING max(a.id) > 0"
                .into(),
            (14, _) => "SELECT lumina.keep_best_in_all('photos', 0, false)".into(),
            _ => return self.import(),
        };
        // A decision on what has changed meanwhile is refused, as it should be; everything else succeeds.
        if let Err(error) = self.session.batch_execute(&script) {
            let is_decision = script.trim_start().starts_with("SELECT lumina.");
            assert!(is_decision && error.as_db_error().is_some(), "{script}: {error:?}");
        }
    }
}

/// Seventeen histories of imports and changes: after each step a search that goes on, and in the end one of all images.
fn as_a_whole_search(seed: u64, by_index: bool, arguments: &str) {
    // The planner would read so small a table from end to end.
    let cluster =
        Cluster::start_with(if by_index { &[("enable_seqscan", "off"), ("seq_page_cost", "100000")] } else { &[] });
    let mut history = History::new(&cluster, seed);
    if by_index {
        history.session.batch_execute("CREATE INDEX near ON lumina.images USING hamming (dhash)").unwrap();
    }
    for _ in 0..4 {
        history.import();
    }
    search(&mut history.session, &format!("{arguments}, scope => 'all'"));
    for sequence in 0..17 {
        for step in 0..3 {
            for _ in 0..=history.below(4) {
                if history.below(3) == 0 { history.import() } else { history.change() }
            }
            let job = search(&mut history.session, &format!("{arguments}, scope => 'changes'"));
            assert_eq!(result(&mut history.session, job, "scope"), "changes", "{sequence}, {step}");
        }
        let found = text(&mut history.session, GROUPS);
        let run = "SELECT groups || ' ' || members FROM lumina.duplicate_runs WHERE is_current";
        let counts = text(&mut history.session, run);
        search(&mut history.session, &format!("{arguments}, scope => 'all'"));
        let wanted = text(&mut history.session, GROUPS);
        assert_eq!(found, wanted, "seed {seed}, {arguments}, sequence {sequence}");
        assert_eq!(counts, text(&mut history.session, run), "seed {seed}, {arguments}, sequence {sequence}");
    }
    let left = number(&mut history.session, "SELECT count(*) FROM lumina_internal.image_changes");
    assert_eq!(left, 0, "what was seen is forgotten");
    if by_index {
        let scans = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'near'";
        wait_until("scans of the index are counted", || number(&mut history.session, scans) > 100);
    }
}

#[test]
fn equal_to_a_whole_search_in_cliques() {
    as_a_whole_search(1, false, "3");
}

#[test]
fn equal_to_a_whole_search_by_an_index() {
    as_a_whole_search(2, true, "3, 'star'");
}

#[test]
fn equal_to_a_whole_search_in_components_by_another_rule() {
    as_a_whole_search(
        3,
        false,
        r#"NULL, 'component', '[{"dhash": 2, "pdq": 20}, {"dct": 4, "ahash": 1}]', 'duplicate', false"#,
    );
}

/// Killed in every way, at any moment, while images come and go and decisions are made: no change is lost, none of the
/// decisions, and in the end the groups are those of a whole search. `LUMINA_KILLS` sets the number (21 by default),
/// `LUMINA_SEED` the random seed.
#[test]
fn killed_at_any_moment() {
    let preloaded = [("shared_preload_libraries", "lumina"), ("lumina.launcher_interval", "60")];
    let cluster = Cluster::start_with(&preloaded);
    let mut history = History::new(&cluster, number_of("LUMINA_SEED", 1));
    (0..60).for_each(|_| history.import());
    search(&mut history.session, "3, scope => 'all'");
    let began = Instant::now();
    history.import();
    search(&mut history.session, "3, scope => 'changes'");
    let took = began.elapsed();
    let (kills, mut hits, mut decisions) = (number_of("LUMINA_KILLS", 21), Hits::default(), 0);
    for round in 0..kills {
        history.import();
        history.change();
        // After many rounds there may be too many changes to go on.
        let job = number(&mut history.session, "SELECT lumina.detect_duplicates('photos', 3)");
        let moment = took.mul_f64(history.below(1000) as f64 / 1000.0);
        let submitted = Instant::now();
        history.change();
        if let Some(group) = history.group() {
            let keep = format!("SELECT lumina.keep_all({group})");
            decisions += i64::from(history.session.batch_execute(&keep).is_ok());
        }
        std::thread::sleep(moment.saturating_sub(submitted.elapsed())); // the moment itself
        let interruption = INTERRUPTIONS[round as usize % INTERRUPTIONS.len()];
        let hit = interruption.strike(&cluster, &mut history.session, job);
        history.session = interruption.recover(&cluster, &mut history.session, hit);
        let end = wait_for_end(&mut history.session, job);
        assert!(
            end == "succeeded" || end == "cancelled" && interruption.cancels(),
            "round {round}: {interruption:?}: {end}"
        );
        hits.count(interruption, hit);
        // Images may have gone since, and members with them.
        let left = leftovers(&mut history.session).into_iter().filter(|left| !left.contains("number of members"));
        assert_eq!(left.collect::<Vec<_>>(), [""; 0], "round {round}: {interruption:?}");
    }
    search(&mut history.session, "3, scope => 'changes'");
    let found = text(&mut history.session, GROUPS);
    search(&mut history.session, "3, scope => 'all'");
    assert_eq!(found, text(&mut history.session, GROUPS));
    let made = "SELECT count(*) FROM lumina.duplicate_actions WHERE kind = 'keep_all'";
    assert!(number(&mut history.session, made) >= decisions, "a decision was lost");
    let twice = "SELECT count(*) FROM (SELECT FROM lumina.duplicate_actions a
        WHERE a.group_id IS NOT NULL AND a.undo_of IS NULL
            AND NOT EXISTS (SELECT FROM lumina.duplicate_actions u WHERE u.undo_of = a.id)
        GROUP BY a.group_id HAVING count(*) > 1) g";
    assert_eq!(number(&mut history.session, twice), 0, "groups that were decided twice");
    let continued = "SELECT count(*) FROM lumina.jobs WHERE result->>'scope' = 'changes'";
    let continued = number(&mut history.session, continued);
    assert!(continued * 3 > kills as i64, "{continued} of {kills} searches went on from the one before");
    say(&format!(
        "{kills} searches hit: {hits:?}; {continued} went on from the one before; {decisions} groups decided meanwhile"
    ));
    assert!(!cluster.log().contains("PANIC"), "{}", cluster.log());
}

/// What was not seen stays noted: a change that commits after the search has read is found by the next one.
#[test]
fn a_change_that_commits_late_is_not_lost() {
    let (cluster, mut session) = world();
    let mut other = cluster.connect();
    other
        .batch_execute(
            "BEGIN; INSERT INTO lumina.images (catalog, sha256, size, format, ahash, dhash, dct, pdq, hash_valid)
                SELECT 1, sha256('late'), 10, 'jpeg', ahash, dhash, dct, pdq, true FROM lumina.images WHERE id = 1;
            INSERT INTO lumina.image_files (catalog, image, path, original_path)
                SELECT 1, max(id), '/a/late.jpg', '/a/late.jpg' FROM lumina.images",
        )
        .unwrap();
    for scope in ["changes", "all"] {
        search(&mut session, &format!("0, scope => '{scope}'"));
    }
    other.batch_execute("COMMIT").unwrap();
    let before = text(&mut session, GROUPS);
    let job = search(&mut session, "0");
    assert_eq!(result(&mut session, job, "scope"), "changes");
    assert_eq!(result(&mut session, job, "changed"), "1");
    assert_eq!(result(&mut session, job, "images"), "4", "the image, and the three that it equals");
    let found = text(&mut session, GROUPS);
    assert_ne!(found, before);
    search(&mut session, "0, scope => 'all'");
    assert_eq!(text(&mut session, GROUPS), found);
}

/// When a search compares all images, and why; what it says where it is not allowed to.
#[test]
fn what_it_cannot_go_on_from() {
    let (_cluster, mut session) = world();
    let last = |session: &mut Client, arguments: &str| {
        let job = search(session, arguments);
        (result(session, job, "scope"), result(session, job, "reason"))
    };
    let all = |reason: &str| ("all".to_owned(), reason.to_owned());
    assert_eq!(last(&mut session, "0"), ("changes".into(), String::new()), "nothing has changed");
    assert_eq!(last(&mut session, "1"), all("other parameters"));
    assert_eq!(last(&mut session, "1, 'star'"), all("other parameters"));
    assert_eq!(last(&mut session, "1, 'star', scope => 'all'"), all(""));
    session.batch_execute("SELECT lumina.set_catalog_option('photos', 'preferred_folders', '[\"/b\"]')").unwrap();
    assert_eq!(last(&mut session, "1, 'star'"), all("another order of preference"));
    session.batch_execute("UPDATE lumina.sources SET protected = true WHERE path = '/a'").unwrap();
    assert_eq!(last(&mut session, "1, 'star'"), all("another order of preference"));
    session.batch_execute("SELECT lumina_internal.note_everything(1)").unwrap();
    let job = number(&mut session, "SELECT lumina.detect_duplicates('photos', 1, 'star', scope => 'changes')");
    assert_eq!(wait_for_end(&mut session, job), "failed");
    let error = format!(
        "SELECT concat_ws('|', error_code, error_sqlstate, error, error_hint) FROM lumina.jobs
        WHERE id = {job}"
    );
    assert_eq!(
        text(&mut session, &error),
        "cannot_continue|55000|the search cannot go on from the one before: too many changes|Leave out scope, or give \
        'all', to compare all images of the catalog."
    );
    assert_eq!(last(&mut session, "1, 'star'"), all("too many changes"));
    assert_eq!(last(&mut session, "1, 'star'"), ("changes".into(), String::new()));
    // What the run says of itself.
    let run = "SELECT (refreshed_by = (SELECT max(id) FROM lumina.jobs))::text || ' ' || (refreshed_at > created_at)
        FROM lumina.duplicate_runs WHERE is_current";
    assert_eq!(text(&mut session, run), "true true");
    let error = session.execute("SELECT lumina.detect_duplicates('photos', scope => 'some')", &[]).unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!((error.code().code(), error.message()), ("22023", "unknown scope \"some\""));
}

/// Where the run is of another order of preference by the time that groups are written, all images are compared.
#[test]
fn another_order_of_preference_meanwhile() {
    let (cluster, mut session) = world();
    session.batch_execute("UPDATE lumina.images SET captured_at = now() WHERE id IN (1, 4, 7)").unwrap();
    // The job has read what has changed, and waits for the catalog where it writes.
    let mut other = cluster.connect();
    other.batch_execute("BEGIN; SELECT FROM lumina.catalogs FOR NO KEY UPDATE").unwrap();
    let job = number(&mut session, "SELECT lumina.detect_duplicates('photos', 0)");
    wait_until("the job waits", || {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        number(&mut session, waits) > 0
    });
    other.batch_execute("UPDATE lumina.duplicate_runs SET basis = 'another'; COMMIT").unwrap();
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    let told = (result(&mut session, job, "scope"), result(&mut session, job, "reason"));
    assert_eq!(told, ("all".into(), "another order of preference".into()));
}

/// Where the order of preference changes while all images are compared, they are put into the new order.
#[test]
fn another_order_of_preference_meanwhile_in_a_whole_search() {
    let (cluster, mut session) = world();
    let mut other = cluster.connect();
    other.batch_execute("BEGIN; SELECT FROM lumina.catalogs FOR NO KEY UPDATE").unwrap();
    let job = number(&mut session, "SELECT lumina.detect_duplicates('photos', 0, scope => 'all')");
    wait_until("the job waits", || {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        number(&mut session, waits) > 0
    });
    other
        .batch_execute(
            "INSERT INTO lumina.sources (catalog, path, name, protected) VALUES (1, '/a/1/3.jpg', 'three', true);
            SELECT lumina.set_catalog_option('photos', 'preferred_folders', '[\"/a/1/2.jpg\"]'); COMMIT",
        )
        .unwrap();
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    let first = "SELECT concat_ws(' ', string_agg(m.image::text, ' ' ORDER BY m.place), min(g.current_redundant))
        FROM lumina.duplicate_groups g JOIN lumina.duplicate_members m ON m.group_id = g.id
        GROUP BY g.id HAVING 1 = ANY (array_agg(m.image))";
    assert_eq!(text(&mut session, first), "2 3 1 1");
    let found = text(&mut session, GROUPS);
    search(&mut session, "0, scope => 'all'");
    assert_eq!(text(&mut session, GROUPS), found);
}

/// Where groups come out otherwise one after the other, all images are compared after a while.
#[test]
fn a_chain_that_never_settles() {
    let (_cluster, mut session) = world();
    // Rows of 32 images, each near the next one alone; in stars they are grouped in pairs. Without the first one of
    // its row each pair is another one.
    session
        .batch_execute(
            "INSERT INTO lumina.images (catalog, sha256, size, format, width, height, captured_at, ahash, dhash, dct,
                    pdq, hash_valid)
                SELECT 1, sha256(int4send(n)), 1000, 'jpeg', 100, 100,
                    '2020-01-01'::timestamptz + n * '1 hour'::interval, h, h, h, repeat(h::text, 4)::phash, true
                FROM generate_series(1, 3000) n, LATERAL (SELECT
                    (lpad(to_hex((1::int8 << 32) - (1::int8 << (32 - n % 32))
                        # (n / 32 * 2654435761 & 4294967295)), 8, '0')
                    || lpad(to_hex(n / 32), 8, '0'))::phash(64) AS h) x;
            INSERT INTO lumina.image_files (catalog, image, path, original_path)
                SELECT 1, id, p, p FROM lumina.images, LATERAL (SELECT '/chain/' || id AS p) p
                    WHERE size = 1000",
        )
        .unwrap();
    search(&mut session, "1, 'star', scope => 'all'");
    session
        .batch_execute(
            "DELETE FROM lumina.images WHERE id IN (SELECT id FROM lumina.images WHERE size = 1000
        AND (id - 49) % 32 = 0)",
        )
        .unwrap();
    let job = search(&mut session, "1, 'star'");
    assert_eq!(result(&mut session, job, "reason"), "too many changes");
    let found = text(&mut session, GROUPS);
    search(&mut session, "1, 'star', scope => 'all'");
    assert_eq!(text(&mut session, GROUPS), found);
}

/// A group that has lost all of its members goes, and one that has lost some is formed again.
#[test]
fn groups_that_lose_their_images() {
    let (_cluster, mut session) = world();
    let (one, two) = (group_of(&mut session, 1), group_of(&mut session, 4));
    session.batch_execute("DELETE FROM lumina.images WHERE id IN (1, 2, 3, 5)").unwrap();
    let job = search(&mut session, "0, scope => 'changes'");
    assert_eq!(result(&mut session, job, "replaced_groups"), "2");
    let left = format!("SELECT count(*) FROM lumina.duplicate_groups WHERE id IN ({one}, {two})");
    assert_eq!(number(&mut session, &left), 0);
    let found = text(&mut session, GROUPS);
    search(&mut session, "0, scope => 'all'");
    assert_eq!(text(&mut session, GROUPS), found);
}

/// A catalog that goes leaves no notes behind.
#[test]
fn a_catalog_that_goes() {
    let (_cluster, mut session) = world();
    session.batch_execute("UPDATE lumina.images SET size = size + 1; SELECT lumina.drop_catalog('photos')").unwrap();
    let left = text(&mut session, "SELECT coalesce(string_agg(c::text, ' '), '') FROM lumina_internal.image_changes c");
    assert_eq!(left, "");
}
