//! Pages of groups against the whole list, and what is left of groups against a count of everything.

use lumina_cluster::catalog::{fill, submit, wait_for_end};
use lumina_cluster::{Cluster, Random};
use postgres::Client;
use std::collections::BTreeSet;

/// The orders, each with its definition.
const ORDERS: [(&str, &str); 5] = [
    ("savings", "g.savings DESC, g.id DESC"),
    ("kind", "g.kind, g.savings DESC, g.id DESC"),
    ("confidence", "g.confidence DESC, g.savings DESC, g.id DESC"),
    ("date", "nullif(g.captured_at, '-infinity') DESC NULLS LAST, g.id DESC"),
    ("folder", "g.folder COLLATE \"C\", g.id"),
];

/// The files of groups that are there, each by its best name, and which of them are redundant, by the definition.
const FILES: &str = "
    SELECT f.group_id, f.image, f.size, f.file, CASE
            WHEN f.place = min(f.place) OVER (PARTITION BY f.group_id) OR f.keeps_image
            THEN NOT f.is_protected AND NOT f.is_wanted AND row_number() OVER (PARTITION BY f.image
                ORDER BY f.folder, NOT f.is_protected, NOT f.is_wanted, f.import_job NULLS FIRST, f.file, f.path) > 1
            ELSE true END AS is_redundant
    FROM (SELECT DISTINCT ON (f.image, CASE WHEN f.inode IS NULL THEN f.id::text ELSE f.device || ' ' || f.inode END)
            m.group_id, m.image, m.place, i.size, f.id AS file, f.path, f.import_job, l.is_protected, l.folder,
            EXISTS (SELECT FROM lumina.distinct_files d JOIN lumina.image_files n ON n.id = d.file
                WHERE n.image = f.image AND (n.id = f.id OR (n.device, n.inode) = (f.device, f.inode))
                AND n.state = 'keep' AND n.missing_since IS NULL) AS is_wanted,
            EXISTS (SELECT FROM lumina.image_files n JOIN lumina.sources s ON s.protected AND n.path LIKE s.path || '/%'
                WHERE n.image = f.image AND n.state = 'keep') AS keeps_image
        FROM lumina.duplicate_members m
        JOIN lumina.images i ON i.id = m.image AND i.status <> 'rejected'
        JOIN lumina.image_files f ON f.image = i.id AND f.state = 'keep' AND f.missing_since IS NULL
        CROSS JOIN LATERAL (SELECT
            EXISTS (SELECT FROM lumina.sources s WHERE s.protected AND f.path LIKE s.path || '/%') AS is_protected,
            coalesce((SELECT min(p.place) FROM lumina.catalogs c,
                jsonb_array_elements_text(c.settings->'preferred_folders') WITH ORDINALITY p (path, place)
                WHERE f.path LIKE p.path || '/%'), 1000) AS folder) l
        ORDER BY f.image, CASE WHEN f.inode IS NULL THEN f.id::text ELSE f.device || ' ' || f.inode END,
            NOT l.is_protected, l.folder, f.import_job NULLS FIRST, f.id, f.path) f";

/// A catalog with groups of all kinds, in folders, found by a run.
fn world(images: usize) -> (Cluster, Client) {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    fill(&mut session, "photos", &lumina_sets::photo(images, 1));
    session
        .batch_execute(
            "UPDATE lumina.image_files SET path = format('/photos/%s/a b/%s', image % 17, id);
            UPDATE lumina.image_files SET path = format('/%s', id) WHERE image % 41 = 0;
            INSERT INTO lumina.sources (catalog, path, name)
                SELECT 1, p, p FROM unnest('{/photos/3,/photos/4,/photos/5,/more,/else}'::text[]) p",
        )
        .unwrap();
    search(&mut session);
    (cluster, session)
}

/// From how many groups or images on whole tables are joined.
fn join_from(session: &mut Client, groups: i32) {
    let replace = format!(
        "CREATE OR REPLACE FUNCTION lumina_internal.many_groups() RETURNS int4 STABLE LANGUAGE sql RETURN {groups}"
    );
    session.batch_execute(&replace).unwrap();
}

fn search(session: &mut Client) {
    let job = submit(session, "photos", 5);
    assert_eq!(wait_for_end(session, job), "succeeded");
}

/// Groups as rows, without what differs between a page and the whole; and the cursor of the last one.
fn groups(session: &mut Client, arguments: &str) -> (Vec<(i64, String)>, Option<String>) {
    let read = format!(
        "SELECT d.group_id, row(d.group_id, d.kind, d.keep, d.others, d.distances, d.confidence, d.win_back, d.savings,
            d.also_near, d.more)::text, d.cursor FROM lumina.duplicates('photos', {arguments}) d"
    );
    let rows = session.query(&read, &[]).unwrap_or_else(|error| panic!("{arguments}: {error}"));
    (rows.iter().map(|row| (row.get(0), row.get(1))).collect(), rows.last().map(|row| row.get(2)))
}

/// The pages of an order, one after the other.
fn pages(session: &mut Client, order: &str, size: usize) -> Vec<(i64, String)> {
    let (mut all, mut after) = (Vec::new(), "NULL".to_owned());
    loop {
        let arguments = format!("{size}, '{order}', {after}, max_others => 1000000");
        let (page, cursor) = groups(session, &arguments);
        let is_last = page.len() < size;
        all.extend(page);
        if is_last {
            return all;
        }
        after = format!("'{}'", cursor.unwrap());
    }
}

fn ids(session: &mut Client, query: &str) -> Vec<i64> {
    session.query(query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// Pages make the whole, which is what the tables say; what is left of each group is what is there.
fn check(session: &mut Client, what: &str) {
    let wrong = format!(
        "WITH files AS ({FILES})
        SELECT g.id FROM lumina.duplicate_groups g
        LEFT JOIN (SELECT f.group_id, count(DISTINCT f.image) AS images,
                count(*) FILTER (WHERE f.is_redundant) AS redundant,
                coalesce(sum(f.size) FILTER (WHERE f.is_redundant), 0) AS savings
            FROM files f GROUP BY f.group_id) c ON c.group_id = g.id
        WHERE (g.current_images, g.current_redundant, g.current_savings)
                IS DISTINCT FROM (coalesce(c.images, 0), coalesce(c.redundant, 0), coalesce(c.savings, 0))
            OR g.is_open IS DISTINCT FROM (coalesce(c.redundant, 0) > 0)"
    );
    assert_eq!(ids(session, &wrong), [0; 0], "{what}: counts of groups");
    let wrong = format!(
        "WITH files AS ({FILES})
        SELECT coalesce(f.file, d.file) FROM (SELECT * FROM files WHERE is_redundant) f
        FULL JOIN lumina.image_duplicates d ON d.file = f.file WHERE f.file IS NULL OR d.file IS NULL"
    );
    assert_eq!(ids(session, &wrong), [0; 0], "{what}: redundant files");
    let open: BTreeSet<i64> =
        ids(session, "SELECT DISTINCT group_id FROM lumina.image_duplicates").into_iter().collect();
    for (order, definition) in ORDERS {
        let (whole, _) = groups(session, &format!("order_by => '{order}'"));
        let expected = ids(session, &format!("SELECT g.id FROM lumina.duplicate_groups g ORDER BY {definition}"));
        let expected: Vec<i64> = expected.into_iter().filter(|id| open.contains(id)).collect();
        assert_eq!(whole.iter().map(|group| group.0).collect::<Vec<_>>(), expected, "{what}: {order}");
        join_from(session, 1);
        for cut in ["", ", max_others => 2"] {
            let arguments = format!("order_by => '{order}'{cut}");
            let (joined, _) = groups(session, &arguments);
            join_from(session, 1_000_000);
            assert_eq!(joined, groups(session, &arguments).0, "{what}: joined by {order}{cut}");
            join_from(session, 1);
        }
        join_from(session, 1_000_000);
        for size in [7, 100, 10_000] {
            assert_eq!(pages(session, order, size), whole, "{what}: pages of {size} by {order}");
        }
    }
    let summary = "SELECT s.groups, s.redundant_files::int8, s.savings::int8, s.exact + s.identical + s.near,
            (SELECT count(DISTINCT group_id) FROM lumina.image_duplicates),
            (SELECT count(*) FROM lumina.image_duplicates),
            (SELECT coalesce(sum(size), 0)::int8 FROM lumina.image_duplicates)
        FROM lumina.duplicate_statistics s";
    let row = session.query_one(summary, &[]).unwrap();
    let number = |column: usize| row.get::<_, i64>(column);
    assert_eq!((number(0), number(1), number(2)), (number(4), number(5), number(6)), "{what}: statistics");
    assert_eq!(number(0), number(3), "{what}: kinds");
}

#[test]
fn pages_make_the_whole_whatever_becomes_of_images_and_files() {
    let (_cluster, mut session) = world(2000);
    // An action, of which files are wanted below.
    session
        .batch_execute(
            "SELECT lumina.set_image_status('photos', '{1}', 'flagged');
            SELECT lumina.set_image_status('photos', '{1}', 'active')",
        )
        .unwrap();
    check(&mut session, "a new run");
    let mut random = Random(7);
    let some = |random: &mut Random| format!("% 13 = {}", random.below(13));
    for round in 0..6 {
        let changes = [
            format!("UPDATE lumina.images SET status = 'rejected' WHERE id {}", some(&mut random)),
            format!("UPDATE lumina.images SET status = 'flagged' WHERE id {}", some(&mut random)),
            format!("UPDATE lumina.images SET status = 'active' WHERE id {}", some(&mut random)),
            format!("UPDATE lumina.image_files SET missing_since = now() WHERE id {}", some(&mut random)),
            format!("UPDATE lumina.image_files SET missing_since = NULL WHERE id {}", some(&mut random)),
            format!("UPDATE lumina.image_files SET state = 'trashed' WHERE id {}", some(&mut random)),
            format!("UPDATE lumina.image_files SET state = 'keep' WHERE id {}", some(&mut random)),
            format!(
                "INSERT INTO lumina.image_files (catalog, image, path, original_path)
                SELECT catalog, id, p, p FROM lumina.images, LATERAL (SELECT format('/more/{round}/%s', id) AS p) p
                WHERE id {}",
                some(&mut random)
            ),
            format!(
                "INSERT INTO lumina.image_files (catalog, image, path, original_path)
                SELECT catalog, id, p, p FROM lumina.images, LATERAL (SELECT format('/else/{round}/%s', id) AS p) p
                WHERE id {}",
                some(&mut random)
            ),
            // Names of one file.
            format!("UPDATE lumina.image_files SET device = 3, inode = image WHERE id {}", some(&mut random)),
            format!("UPDATE lumina.image_files SET device = 3, inode = image WHERE image {}", some(&mut random)),
            // Files that somebody has decided to keep, of an action that was made for them.
            format!(
                "INSERT INTO lumina.distinct_files (action, catalog, file)
                    SELECT 1, 1, id FROM lumina.image_files WHERE id {} ON CONFLICT DO NOTHING",
                some(&mut random)
            ),
            format!("DELETE FROM lumina.distinct_files WHERE file {}", some(&mut random)),
            format!("UPDATE lumina.image_files SET path = '/photos/3/' || id || path WHERE id {}", some(&mut random)),
            format!("UPDATE lumina.sources SET protected = true WHERE id % 5 = {}", random.below(5)),
            format!("UPDATE lumina.sources SET protected = false WHERE id % 5 = {}", random.below(5)),
            format!(
                "SELECT lumina.set_catalog_option('photos', 'preferred_folders', '[\"/more/{}\", \"/photos/{}\"]')",
                random.below(6),
                random.below(17)
            ),
        ];
        for (place, change) in changes.iter().enumerate() {
            // Both ways to count what is left.
            join_from(&mut session, if (place + round) % 2 == 0 { 1 } else { 1_000_000 });
            session.batch_execute(change).unwrap();
        }
        check(&mut session, &format!("round {round}"));
    }
    join_from(&mut session, 1);
    session.batch_execute("UPDATE lumina.images SET status = 'rejected'").unwrap();
    check(&mut session, "all rejected");
    join_from(&mut session, 1);
    session.batch_execute("UPDATE lumina.images SET status = 'active'").unwrap();
    check(&mut session, "none rejected");
    search(&mut session);
    check(&mut session, "the next run");
}

/// A group that stays is on one page, whatever is decided between two pages, and whichever rows have gone.
#[test]
fn pages_go_on_where_groups_are_resolved_removed_or_replaced() {
    let (_cluster, mut session) = world(2000);
    for (order, _) in ORDERS {
        let (whole, _) = groups(&mut session, &format!("order_by => '{order}'"));
        let (first, cursor) = groups(&mut session, &format!("20, '{order}'"));
        // The last group of the page is removed; others before and after it are resolved.
        let gone: Vec<i64> = [5, 12, 19, 20, 25].iter().map(|place| whole[*place].0).collect();
        session.execute("DELETE FROM lumina.duplicate_groups WHERE id = $1", &[&gone[2]]).unwrap();
        let reject = "UPDATE lumina.images SET status = 'rejected'
            WHERE id IN (SELECT image FROM lumina.duplicate_members WHERE group_id = ANY ($1))";
        session.execute(reject, &[&gone]).unwrap();
        let (rest, _) = groups(&mut session, &format!("10000, '{order}', '{}'", cursor.as_deref().unwrap()));
        let seen: Vec<i64> = first.iter().chain(&rest).map(|group| group.0).collect();
        let stayed: Vec<i64> = whole
            .iter()
            .enumerate()
            .filter(|(place, group)| *place < 20 || !gone.contains(&group.0))
            .map(|(_, group)| group.0)
            .collect();
        assert_eq!(seen, stayed, "{order}");
        // Another run has other groups; the place in the order is the same.
        search(&mut session);
        let (rest, _) = groups(&mut session, &format!("10, '{order}', '{}'", cursor.unwrap()));
        assert_eq!(rest.len(), 10, "{order}");
        session.batch_execute("UPDATE lumina.images SET status = 'active'").unwrap();
        search(&mut session);
    }
}

/// Two transactions that change one group at the same time: the second one counts what the first one did.
#[test]
fn what_is_left_is_counted_under_concurrent_changes() {
    let (cluster, mut session) = world(500);
    let pair = "SELECT m.group_id, min(m.image), max(m.image) FROM lumina.duplicate_members m
        JOIN lumina.duplicate_groups g ON g.id = m.group_id AND g.images = 2 AND g.files = 2 GROUP BY 1 LIMIT 1";
    let row = session.query_one(pair, &[]).unwrap();
    let (group, one, other): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let change = "UPDATE lumina.images SET status = $2::text::lumina.image_status WHERE id = $1";
    let left = "SELECT current_redundant FROM lumina.duplicate_groups WHERE id = $1";
    for (before, after, expected) in [("active", "rejected", 0), ("rejected", "active", 1)] {
        for image in [one, other] {
            session.execute(change, &[&image, &before]).unwrap();
        }
        let mut first = session.transaction().unwrap();
        first.execute(change, &[&one, &after]).unwrap();
        let mut second = cluster.connect();
        let pid: i32 = second.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        let waiting = std::thread::spawn(move || second.execute(change, &[&other, &after]).unwrap());
        let blocked = "SELECT cardinality(pg_blocking_pids($1)) > 0";
        let mut watcher = cluster.connect();
        lumina_cluster::cluster::wait_until("the second one waits", || {
            watcher.query_one(blocked, &[&pid]).unwrap().get::<_, bool>(0)
        });
        first.commit().unwrap();
        waiting.join().unwrap();
        assert_eq!(session.query_one(left, &[&group]).unwrap().get::<_, i32>(0), expected, "{after}");
    }
}

#[test]
fn large_groups_are_cut_in_pages_alone() {
    let (_cluster, mut session) = world(2000);
    let read = "SELECT cardinality(others), cardinality(distances), more, savings FROM lumina.duplicates('photos', ";
    let mut first = |arguments: &str| -> (i32, i32, i32, i64) {
        let row = session.query_one(&format!("{read}{arguments}) ORDER BY savings DESC LIMIT 1"), &[]).unwrap();
        (row.get(0), row.get(1), row.get(2), row.get(3))
    };
    let (others, _, more, savings) = first("NULL");
    assert!(others > 5 && more == 0, "{others}");
    assert_eq!(first("1, max_others => 5"), (5, 5, others - 5, savings));
    assert_eq!(first("NULL, max_others => 5"), (5, 5, others - 5, savings));
    assert_eq!(first("1, max_others => 1000"), (others, others, 0, savings));
    // What is near is cut to a quarter of that, rounded up, and the rest counted.
    session
        .batch_execute(
            "UPDATE lumina.duplicate_groups g SET also_near_count = 12,
                also_near = ARRAY(SELECT i.id FROM lumina.images i ORDER BY i.id LIMIT g.id % 9)",
        )
        .unwrap();
    for (most_others, near) in [(1, 1), (4, 1), (5, 2), (100, 25)] {
        let wrong = format!(
            "SELECT g.id FROM lumina.duplicates('photos') w,
                lumina.duplicates('photos', 10000, max_others => {most_others}) p,
                (SELECT *, least({near}, cardinality(also_near)) AS near FROM lumina.duplicate_groups) g
            WHERE w.group_id = g.id AND p.group_id = g.id AND (p.also_near IS DISTINCT FROM
                    w.also_near[:near] || lumina_internal.and_more(g.also_near_count - near)
                OR w.also_near IS DISTINCT FROM
                    w.also_near[:cardinality(g.also_near)] || lumina_internal.and_more(12 - cardinality(g.also_near)))"
        );
        assert_eq!(ids(&mut session, &wrong), [0; 0], "{most_others}");
    }
}

#[test]
fn wrong_arguments_are_errors() {
    let (_cluster, mut session) = world(300);
    session.batch_execute("SELECT lumina.create_catalog('empty')").unwrap();
    for (arguments, state, message) in [
        ("'photos', 0", "22003", "max_groups 0 is not between 1 and 10000"),
        ("'photos', -1", "22003", "max_groups -1 is not between 1 and 10000"),
        ("'photos', 2147483647", "22003", "max_groups 2147483647 is not between 1 and 10000"),
        ("'photos', 5, NULL", "22004", "order_by must not be NULL"),
        ("'photos', 5, 'size'", "22023", "unknown order \"size\""),
        ("'photos', 5, 'savings', ''", "22023", "\"\" is no place in the order savings"),
        ("'photos', 5, 'savings', 'kind near 5 5'", "22023", "\"kind near 5 5\" is no place in the order savings"),
        ("'photos', 5, 'kind', 'kind far 5 5'", "22023", "\"kind far 5 5\" is no place in the order kind"),
        ("'photos', 5, 'savings', 'savings -1 5'", "22023", "\"savings -1 5\" is no place in the order savings"),
        (
            "'photos', 5, 'date', 'date 2020-02-31T00:00:00.000000 5'",
            "22023",
            "\"date 2020-02-31T00:00:00.000000 5\" is no place in the order date",
        ),
        ("'photos', after => 'savings 5 5'", "22023", "after goes with max_groups alone"),
        ("'photos', 5, max_others => 0", "22003", "max_others 0 is not positive"),
        ("'unknown', 5", "42704", "catalog \"unknown\" does not exist"),
    ] {
        let error = session.query(&format!("SELECT * FROM lumina.duplicates({arguments})"), &[]).expect_err(arguments);
        let error = error.as_db_error().unwrap();
        assert_eq!((error.code().code(), error.message()), (state, message), "{arguments}");
        assert!(error.hint().is_some(), "{arguments}");
    }
    // A place is values: of another catalog, or beyond the last group, it is a place all the same.
    for arguments in ["'empty', 5, after => 'savings 900000000 3'", "'photos', 5, after => 'savings 0 0'"] {
        let rows = session.query(&format!("SELECT * FROM lumina.duplicates({arguments})"), &[]).unwrap();
        assert_eq!(rows.len(), 0, "{arguments}");
    }
    let page: String = session.query_one("SELECT lumina.duplicates_html('photos', 3, 'folder')", &[]).unwrap().get(0);
    assert_eq!(page.matches("<section").count(), 3);
    let wrong = session.query("SELECT lumina.duplicates_html('photos', 3, 'folder', 'x')", &[]).unwrap_err();
    assert_eq!(wrong.code().unwrap().code(), "22023");
}

/// A page reads what it shows, wherever it is, and however many groups before it are resolved.
#[test]
fn a_page_reads_a_bounded_number_of_rows() {
    let (cluster, mut session) = world(6000);
    session.batch_execute("CREATE ROLE reader LOGIN; SELECT lumina.grant_catalog('photos', 'reader', 'read')").unwrap();
    // All but the last groups of the order by bytes are resolved.
    let resolve = "UPDATE lumina.images SET status = 'rejected' WHERE id IN (SELECT m.image
        FROM lumina.duplicate_members m JOIN (SELECT id FROM lumina.duplicate_groups
            ORDER BY savings DESC, id DESC LIMIT (SELECT count(*) - 60 FROM lumina.duplicate_groups)) g
            ON g.id = m.group_id)";
    let counted = "SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int8
        FROM pg_stat_xact_user_tables WHERE schemaname = 'lumina' AND relname LIKE ANY (ARRAY['image%', 'dup%'])";
    let mut reader = cluster.connect_to("postgres", "reader");
    for state in ["all open", "most resolved"] {
        for (order, _) in ORDERS {
            let (page, cursor) = groups(&mut session, &format!("20, '{order}'"));
            assert_eq!(page.len(), 20);
            for after in ["NULL".to_owned(), format!("'{}'", cursor.unwrap())] {
                let mut end = reader.transaction().unwrap();
                let before: i64 = end.query_one(counted, &[]).unwrap().get(0);
                let read = format!("SELECT * FROM lumina.duplicates('photos', 20, '{order}', {after}, 10)");
                let shown: usize =
                    end.query(&read, &[]).unwrap().iter().map(|row| row.get::<_, Vec<String>>(3).len() + 1).sum();
                assert!(shown >= 40, "{shown}");
                let rows: i64 = end.query_one(counted, &[]).unwrap().get::<_, i64>(0) - before;
                end.commit().unwrap();
                // Of the whole 7000.
                assert!(rows < 10 * shown as i64 + 1000, "{state}, {order}: {rows} rows read for {shown} files");
            }
        }
        session.batch_execute(resolve).unwrap();
    }
}
