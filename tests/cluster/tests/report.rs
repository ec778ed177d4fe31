//! The report of duplicates: why one is kept is what decided, protected files are no gain, bursts, decisions; and how
//! much is read for it. No file is there: pages with pictures are in `import`.

use crate::decisions;
use lumina_cluster::Cluster;
use lumina_cluster::catalog::{fill, wait_for_end};
use postgres::{Client, Transaction};
use std::collections::BTreeMap;

/// What a page says where another image would be kept by now.
const CHANGED: &str = "by now another one is preferred";

fn page(session: &mut Client) -> String {
    session.query_one("SELECT lumina.duplicates_html('photos')", &[]).unwrap().get(0)
}

/// The text of HTML: without style and tags, lines and blanks as single blanks.
fn text(html: &str) -> String {
    let html = html.split("</style>").last().unwrap_or_default();
    let text: String = html.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect();
    let text = text.replace('\u{a0}', " ").replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'");
    text.replace("&quot;", "\"").replace("&amp;", "&").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text of the group that has a file of this name.
fn group(html: &str, name: &str) -> String {
    let sections = html.split("<section").map(|section| text(&format!("<section{section}")));
    sections.into_iter().find(|section| section.contains(name)).unwrap_or_else(|| panic!("{name} is in no group"))
}

fn search(session: &mut Client, arguments: &str) {
    let submit = format!("SELECT lumina.detect_duplicates('photos', {arguments}, scope => 'all')");
    let job: i64 = session.query_one(&submit, &[]).unwrap().get(0);
    assert_eq!(wait_for_end(session, job), "succeeded");
}

/// Adds a photograph with files at these paths; those of one hash are a group. `facts` sets columns.
fn add(session: &mut Client, hash: u8, paths: &[&str], facts: &str) -> i64 {
    let bits = u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let image = format!(
        "INSERT INTO lumina.images (catalog, sha256, size, format, width, height, captured_at, date_source, ahash,
                dhash, dct, pdq, hash_valid)
            SELECT 1, sha256($1::text::bytea), 5000000, 'jpeg', 5000, 4000, '2020-01-01', 'exif', h, h, h,
                repeat(h::text, 4)::phash, true
            FROM (SELECT '{bits:016x}'::phash(64) AS h) x RETURNING id"
    );
    let id: i64 = session.query_one(&image, &[&paths[0]]).unwrap().get(0);
    session.execute(&format!("UPDATE lumina.images SET {facts} WHERE id = $1"), &[&id]).unwrap();
    for path in paths {
        let file = "INSERT INTO lumina.image_files (catalog, image, path, original_path) VALUES (1, $1, $2, $2)";
        session.execute(file, &[&id, path]).unwrap();
    }
    id
}

/// An empty catalog, with a preferred folder /sel and a protected source /safe.
fn world() -> (Cluster, Client) {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    session
        .batch_execute(
            "CREATE EXTENSION lumina; SELECT lumina.create_catalog('photos');
            INSERT INTO lumina.sources (catalog, path, name, protected) VALUES (1, '/safe', 'safe', true),
                (1, '/x', 'x', false);
            SELECT lumina.set_catalog_option('photos', 'preferred_folders', '[\"/sel\"]')",
        )
        .unwrap();
    (cluster, session)
}

#[test]
fn what_decided_is_told() {
    let (_cluster, mut session) = world();
    let same = "size = size";
    let small = "width = 1000, height = 800";
    // Of a lower score, by less than counts.
    let trimmed = "width = 4760, height = 4000, size = 4865000, captured_at = '2018-01-01'";
    for (number, keep, facts, other, other_facts) in [
        (1u8, "/sel/a1", small, "/x/a2", same),
        (2, "/safe/b1", small, "/x/b2", same),
        (3, "/x/c1", small, "/x/c2", "truncated = true"),
        (4, "/x/d1", "size = 9000000", "/x/d2", small),
        (5, "/x/e1", trimmed, "/x/e2", "size = 5400000"),
        (6, "/x/f1", "captured_at = '2019-01-01', size = 4900000", "/x/f2", same),
    ] {
        add(&mut session, number, &[keep], facts);
        add(&mut session, number, &[other], other_facts);
    }
    add(&mut session, 7, &["/x/g1", "/sel/g2", "/safe/g3"], "size = 10");
    search(&mut session, "0");
    let html = page(&mut session);
    for (name, expected) in [
        ("/x/a2", "✓ Keep in a preferred folder /sel/a1"),
        ("/x/b2", "✓ Keep protected /safe/b1 protected"),
        ("/x/c2", "✓ Keep the only one that is whole /x/c1"),
        ("/x/d2", "✓ Keep more pixels, larger file (score "),
        ("/x/e2", "✓ Keep older /x/e1 Size4.6 MB"),
        ("/x/f2", "✓ Keep older /x/f1"),
        ("/x/g1", "✓ Keep in a preferred folder /sel/g2Protected 1 copy, the same byte for byte:/safe/g3 protected"),
        ("/x/g1", "protectedRedundant 1 copy, the same byte for byte:/x/g1"),
    ] {
        let group = group(&html, name);
        assert!(group.contains(expected), "{expected} is not in {group}");
    }
    assert!(!html.contains(CHANGED));

    // What is chosen stays until the next search; what is told does not claim otherwise.
    session.batch_execute("SELECT lumina.set_catalog_option('photos', 'preferred_folders', NULL)").unwrap();
    let html = page(&mut session);
    assert!(group(&html, "/x/a2").contains(CHANGED));
    assert!(group(&html, "/x/g1").contains("✓ Keep in a protected source /safe/g3 protected"));
    let reject = "UPDATE lumina.images SET status = 'rejected' WHERE sha256 = sha256('/x/h1')";
    add(&mut session, 8, &["/x/h1"], "size = 9000000");
    add(&mut session, 8, &["/x/h2"], same);
    add(&mut session, 8, &["/x/h3"], same);
    search(&mut session, "0");
    assert!(!page(&mut session).contains(CHANGED));
    session.batch_execute(reject).unwrap();
    let group = group(&page(&mut session), "/x/h3");
    assert!(group.contains("the one that was chosen is rejected or gone"), "{group}");
}

/// A number that a page says of the whole catalog: the value behind words.
fn total(html: &str, before: &str) -> i64 {
    let rest = html.split_once(before).unwrap_or_else(|| panic!("{before}")).1;
    let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
    digits.parse().unwrap()
}

/// Of many groups, by each strategy and score: the reasons are those of the choice that was made, and the numbers of
/// the page those of what is redundant.
#[test]
fn pages_and_searches_agree() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    fill(&mut session, "photos", &lumina_sets::photo(1_500, 7));
    session
        .batch_execute(
            "UPDATE lumina.image_files SET path = format('/p/%s/%s', image * 7 % 5, id);
            UPDATE lumina.images SET truncated = id % 2 = 0, damaged_data = id % 2 = 1 WHERE id % 23 = 0;
            UPDATE lumina.images SET width = 2000 - id % 60, height = 1500, size = 1000000 + id % 90 * 1000
                WHERE id % 3 > 0;
            UPDATE lumina.images SET camera_make = 'Canon' WHERE id % 4 = 0;
            UPDATE lumina.images SET sharpness = id % 700, jpeg_quality = CASE WHEN format = 'jpeg'
                THEN 60 + id % 40 END;
            INSERT INTO lumina.sources (catalog, path, name, protected) VALUES (1, '/p/1', 'one', true),
                (1, '/p/2', 'two', true), (1, '/p/3', 'three', false)",
        )
        .unwrap();
    let composite = "SELECT lumina.set_catalog_option('photos', 'quality', '{\"score\": \"composite\"}')";
    let folders = "SELECT lumina.set_catalog_option('photos', 'preferred_folders', '[\"/p/2\", \"/p/0\"]')";
    for (option, arguments) in [
        ("SELECT 1", "5"),
        ("SELECT 1", "5, 'star'"),
        (folders, "8, 'component'"),
        (composite, "5"),
        ("SELECT 1", "5, 'star'"),
    ] {
        session.batch_execute(option).unwrap();
        if option == composite {
            let job: i64 = session.query_one("SELECT lumina.score_quality('photos')", &[]).unwrap().get(0);
            assert_eq!(wait_for_end(&mut session, job), "succeeded");
        }
        search(&mut session, arguments);
        let html = page(&mut session);
        assert!(html.matches("<section").count() > 50);
        assert!(!html.contains(CHANGED), "{option}, {arguments}: {}", group(&html, CHANGED));
        let redundant = "SELECT count(*), sum(size)::int8 FROM lumina.image_duplicates";
        let row = session.query_one(redundant, &[]).unwrap();
        let told =
            (total(&html, "<dt>redundant files</dt><dd>"), total(&html, "<dt>to win back</dt><dd><data value=\""));
        assert_eq!(told, (row.get::<_, i64>(0), row.get::<_, i64>(1)), "{option}, {arguments}");
        let groups: i64 = html.split("<h2><data value=\"").skip(1).map(|rest| total(rest, "")).sum();
        assert_eq!(groups, told.1, "the groups add up");
        let numbers = "SELECT count(*) FILTER (WHERE is_protected) FROM lumina_internal.current_files";
        assert!(session.query_one(numbers, &[]).unwrap().get::<_, i64>(0) > 20);
    }
}

#[test]
fn bursts() {
    let (_cluster, mut session) = world();
    let images: Vec<i64> = (0..5).map(|n| add(&mut session, n / 2, &[&format!("/x/{n}<i>")], "size = size")).collect();
    session
        .batch_execute(&format!(
            "INSERT INTO lumina.bursts (catalog, frames, shots, started_at, ended_at, camera_make, camera_model,
                    best_image, best_by, suspect)
                VALUES (1, 3, 2, '2023-04-15 12:00:00+00', '2023-04-15 12:00:01+00', 'Canon', 'Canon <R5>', {0},
                    'quality', false),
                (1, 2, 2, '2023-04-16 12:00:00+00', '2023-04-16 12:00:00+00', NULL, NULL, {3}, 'quality', true),
                (1, 9, 9, '2024-04-16 12:00:00+00', '2024-04-16 12:00:00+00', NULL, NULL, NULL, 'first', false);
            INSERT INTO lumina.burst_frames (image, burst, catalog, position, shot) VALUES ({0}, 1, 1, 0, 0),
                ({1}, 1, 1, 1, 0), ({2}, 1, 1, 2, 1), ({3}, 2, 1, 0, NULL)",
            images[0], images[1], images[2], images[3]
        ))
        .unwrap();
    search(&mut session, "0");
    let html = page(&mut session);
    let section = text(html.split_once("id=\"bursts\"").unwrap().1);
    let newest = "3 bursts Photographs that a camera took one after the other. The newest are shown by their best \
                  pictures. All of them: SELECT * FROM lumina.list_bursts('photos');";
    for expected in [
        newest,
        "2 frames 2 shots, or no burst: all are of one second /x/3<i>",
        "3 frames 2 shots /x/0<i> Burst1 Taken2023-04-15 12:00:00 CameraCanon <R5>",
    ] {
        assert!(section.contains(expected), "{expected} is not in {section}");
    }
    let group = group(&html, "/x/1<i>");
    for expected in ["frame 1 of 3, shot 1, the best one burst 1", "frame 2 of 3, shot 1 burst 1"] {
        assert!(group.contains(expected), "{expected} is not in {group}");
    }
    // Further pages are of groups alone.
    let further = "SELECT lumina.duplicates_html('photos', after => 'savings 999999999 9')";
    let further: String = session.query_one(further, &[]).unwrap().get(0);
    assert!(further.contains("/x/") || further.contains("<section"), "{further}");
    assert!(!further.contains("list_bursts"));
    session.batch_execute("DELETE FROM lumina.bursts").unwrap();
    assert!(!page(&mut session).contains("list_bursts"));
}

#[test]
fn decided_so_far() {
    let (cluster, mut session) = decisions::world();
    assert!(!page(&mut session).contains("lumina.undo"));
    session
        .batch_execute(
            "CREATE ROLE \"<b>Ann's</b>\" LOGIN;
            SELECT lumina.grant_catalog('photos', '<b>Ann''s</b>', 'curate')",
        )
        .unwrap();
    let mut ann = cluster.connect_to("postgres", "<b>Ann's</b>");
    let (one, ten) = (decisions::group_of(&mut session, 1), decisions::group_of(&mut session, 10));
    let all = format!("SELECT * FROM lumina.keep_best({one}); SELECT * FROM lumina.keep_best({ten})");
    ann.batch_execute(&all).unwrap();
    ann.batch_execute("SELECT lumina.undo(1); SELECT lumina.set_image_status('photos', ARRAY[40], 'flagged')").unwrap();
    let mut reader = cluster.connect_to("postgres", "reader");
    let html = page(&mut reader);
    let section = text(html.split_once("id=\"decisions\"").unwrap().1);
    let expected = "2 decisions stand Rejected by them: 2 pictures, and 1 file of pictures that are kept. All of them, \
                    newest first: TABLE lumina.action_history; To take action n back: SELECT lumina.undo(n); The \
                    status of images is set action 4 · by <b>Ann's</b> · 20";
    assert!(section.contains(expected), "{section}");
    for expected in [
        "· 1 picture changed Action 1 is taken back action 3 · by".to_owned(),
        format!("The best of group {ten} is kept action 2 · by <b>Ann's</b>"),
        " · 2 pictures and 1 file changed ".to_owned(),
        " · 2 pictures changed · taken back by action 3".to_owned(),
    ] {
        assert!(section.contains(&expected), "{expected} is not in {section}");
    }
    // Of the catalog, as it is without the groups that are decided.
    let open: i64 = session.query_one("SELECT count(*) FROM lumina.duplicates('photos')", &[]).unwrap().get(0);
    assert_eq!(total(&html, "<dt>groups</dt><dd>"), open);
    let stranger = cluster.connect_to("postgres", "stranger").query("SELECT lumina.duplicates_html('photos')", &[]);
    assert_eq!(stranger.unwrap_err().code().unwrap().code(), "42704");
    let other = "SELECT lumina.create_catalog('other'); SELECT lumina.duplicates_html('other')";
    session.batch_execute(other).unwrap();
    let other: String = session.query_one("SELECT lumina.duplicates_html('other')", &[]).unwrap().get(0);
    assert!(!other.contains("Ann") && !other.contains("lumina.undo"), "decisions of another catalog");
}

/// What is read for a page is in proportion to what it shows, but for counts by an index.
#[test]
fn a_page_reads_what_it_shows() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    fill(&mut session, "photos", &lumina_sets::photo(6_000, 1));
    session
        .batch_execute(
            "INSERT INTO lumina.bursts (catalog, frames, shots, started_at, ended_at, best_image, best_by, suspect)
                SELECT 1, 3, 3, '2020-01-01'::timestamptz + n * '1 day'::interval,
                    '2020-01-01'::timestamptz + n * '1 day'::interval, n * 3, 'quality', false
                FROM generate_series(1, 2000) n;
            INSERT INTO lumina.burst_frames (image, burst, catalog, position, shot)
                SELECT i, (i - 1) / 3 + 1, 1, (i - 1) % 3, (i - 1) % 3 FROM generate_series(1, 6000) i;
            INSERT INTO lumina.duplicate_actions (catalog, kind, actor, images, files)
                SELECT 1, 'set_image_status', 'postgres', 1, 0 FROM generate_series(1, 3000);
            INSERT INTO lumina.sources (catalog, path, name, protected) VALUES (1, '/photos/1/1/10', 'ten', true);
            SELECT lumina.set_catalog_option('photos', 'preferred_folders', '[\"/photos/1/1/20\"]')",
        )
        .unwrap();
    search(&mut session, "3");
    session.batch_execute("VACUUM ANALYZE").unwrap();
    let read = "SELECT relname::text, (seq_tup_read + coalesce(idx_tup_fetch, 0))::int8 FROM pg_stat_xact_user_tables
        WHERE schemaname = 'lumina' AND seq_tup_read + coalesce(idx_tup_fetch, 0) > 0";
    // What earlier transactions have read may be counted still.
    let counts = |transaction: &mut Transaction<'_>| -> BTreeMap<String, i64> {
        transaction.query(read, &[]).unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    let mut reading = session.transaction().unwrap();
    let before = counts(&mut reading);
    let html: String = reading.query_one("SELECT lumina.duplicates_html('photos', 20)", &[]).unwrap().get(0);
    let rows = counts(&mut reading);
    let shown = html.matches("class=\"path\"").count() as i64;
    assert!(shown > 40 && html.contains("2,000\u{a0}bursts") && html.contains("3,000\u{a0}decisions"));
    for (table, count) in rows {
        let count = count - before.get(&table).copied().unwrap_or_default();
        // Groups, bursts and decisions are counted; where a page of the table is not all visible, by their rows.
        let counted = match table.as_str() {
            "duplicate_groups" => 6_000,
            "bursts" => 2_000,
            "duplicate_actions" => 3_000,
            _ => 0,
        };
        assert!(count < 12 * shown + 200 + counted, "{table}: {count} rows for {shown} files");
    }
}
