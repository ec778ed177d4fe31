//! What is listed and counted as redundant is what decisions reject: protected files, files that somebody has decided
//! to keep, names of one file; and decisions beside imports and changes of what is protected.

use super::{SETUP, STATE, group_of, refused, rejected, search, text, told, world};
use lumina_cluster::Cluster;
use lumina_cluster::cluster::wait_until;
use lumina_cluster::postgres::Client;
use lumina_cluster::report::say;
use lumina_cluster::sessions::start;

/// What is listed of a group, and counted: the file to keep, the others, and how many of how many bytes are redundant.
fn listed(session: &mut Client, group: i64) -> String {
    let list = format!(
        "SELECT concat_ws(' ', d.keep, d.others, d.savings, g.current_redundant, g.current_savings,
                (SELECT count(*) FROM lumina.image_duplicates i WHERE i.group_id = g.id))
            FROM lumina.duplicate_groups g LEFT JOIN lumina.duplicates('photos') d ON d.group_id = g.id
            WHERE g.id = {group}"
    );
    text(session, &list)
}

/// What is proposed is what is done, where one file is in a preferred folder and another one protected: both stay.
#[test]
fn what_is_listed_is_what_is_rejected() {
    let (_cluster, mut session) = world();
    let alone = group_of(&mut session, 49);
    let before = text(&mut session, STATE);
    assert_eq!(listed(&mut session, alone), "/a/1/49.jpg {/a/2/49.jpg,/a/3/49.jpg} 10000 2 10000 2");
    session
        .batch_execute(
            "INSERT INTO lumina.sources (catalog, path, name) VALUES (1, '/a/2', 'two'), (1, '/a/3/49.jpg', 'file');
            SELECT lumina.protect_source('photos', 'two')",
        )
        .unwrap();
    assert_eq!(listed(&mut session, alone), "/a/2/49.jpg {/a/1/49.jpg,/a/3/49.jpg} 10000 2 10000 2");
    let prefer = "SELECT lumina.set_catalog_option('photos', 'preferred_folders', '[\"/a/1\"]')";
    session.batch_execute(prefer).unwrap();
    assert_eq!(listed(&mut session, alone), "/a/1/49.jpg {/a/3/49.jpg} 5000 1 5000 1");
    let of_all = format!(
        "SELECT concat_ws(' ', rejected_files, savings, skipped)
            FROM lumina.keep_best_in_all('photos') WHERE group_id = {alone}"
    );
    assert_eq!(text(&mut session, &of_all), "1 5000");
    session.batch_execute(&format!("SELECT lumina.keep_best({alone})")).unwrap();
    assert_eq!(rejected(&mut session), "- | /a/3/49.jpg");
    session.batch_execute("SELECT lumina.undo(max(id)) FROM lumina.duplicate_actions").unwrap();
    session.batch_execute("SELECT lumina.keep_best_in_all('photos', 100, false)").unwrap();
    assert_eq!(rejected(&mut session), "- | /a/3/49.jpg");
    session.batch_execute("SELECT lumina.undo(max(id)) FROM lumina.duplicate_actions").unwrap();

    // A source may be one file. Where all is protected nothing is proposed, and nothing is listed.
    session.batch_execute("SELECT lumina.protect_source('photos', 'file')").unwrap();
    assert_eq!(listed(&mut session, alone), "0 0 0");
    assert_eq!(text(&mut session, &of_all), "0 0 protected");
    session.batch_execute("SELECT lumina.protect_source('photos', '/a')").unwrap();
    let open =
        "SELECT concat_ws(' ', (SELECT count(*) FROM lumina.duplicates('photos')), groups, redundant_files, savings)
        FROM lumina.duplicate_statistics";
    assert_eq!(text(&mut session, open), "0 0 0 0");
    session
        .batch_execute(
            "SELECT lumina.set_catalog_option('photos', 'preferred_folders', NULL),
                lumina.protect_source('photos', 'a', false), lumina.protect_source('photos', 'two', false);
            DELETE FROM lumina.sources WHERE name = 'file'",
        )
        .unwrap();
    assert_eq!(text(&mut session, STATE), before);
}

/// Paths are in the order of their bytes, whatever the collation of the database.
#[test]
fn files_are_in_the_order_of_bytes() {
    let cluster = Cluster::start();
    let create = "CREATE DATABASE words TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en'";
    if let Err(error) = cluster.connect().batch_execute(create) {
        let said = told(&error);
        assert!(said.contains("ICU is not supported"), "{said}");
        return say("skipped: this Postgres has no ICU");
    }
    let mut session = cluster.connect_to("words", "postgres");
    session.batch_execute(SETUP).unwrap();
    session
        .batch_execute(
            "UPDATE lumina.image_files SET import_job = 7,
                path = overlay(path PLACING (ARRAY['a', 'B', 'C'])[substr(path, 4, 1)::int] FROM 4 FOR 1)",
        )
        .unwrap();
    assert_eq!(text(&mut session, "SELECT min(path COLLATE \"default\") FROM lumina.image_files"), "/a/a/1.jpg");
    search(&mut session);
    let alone = group_of(&mut session, 49);
    assert_eq!(listed(&mut session, alone), "/a/B/49.jpg {/a/C/49.jpg,/a/a/49.jpg} 10000 2 10000 2");
    let all = "SELECT string_agg(concat_ws(' ', d.keep, d.others, d.savings), ' | ' ORDER BY d.group_id)
        FROM lumina.duplicates('photos') d";
    let pages = all.replace("('photos')", "('photos', 100)");
    let whole = all.replace("lumina.duplicates('photos')", "lumina_internal.all_duplicates(1, 'savings', 100)");
    let view = "SELECT string_agg(concat_ws(' ', v.keep, v.others, v.size), ' | ' ORDER BY v.group_id)
        FROM (SELECT i.group_id, i.keep, array_agg(i.path ORDER BY g.place, i.path COLLATE \"C\") AS others,
                sum(i.size) AS size
            FROM lumina.image_duplicates i JOIN lumina.duplicate_members g ON g.image = i.image
            GROUP BY i.group_id, i.keep) v";
    assert_eq!(text(&mut session, all), text(&mut session, &pages));
    assert_eq!(text(&mut session, all), text(&mut session, view));
    assert_eq!(text(&mut session, all), text(&mut session, &whole));
    let folders = "SELECT string_agg(d.keep, ' ') FROM lumina.duplicates('photos', 100, 'folder') d";
    let by_bytes = "SELECT string_agg(d.keep, ' ' ORDER BY g.folder COLLATE \"C\", g.id)
        FROM lumina.duplicates('photos') d JOIN lumina.duplicate_groups g ON g.id = d.group_id
        WHERE g.folder = left(d.keep, -position('/' in reverse(d.keep)))";
    assert_eq!(text(&mut session, folders), text(&mut session, by_bytes));
    session.batch_execute(&format!("SELECT lumina.keep_best({alone})")).unwrap();
    assert_eq!(rejected(&mut session), "- | /a/C/49.jpg /a/a/49.jpg");
    session.batch_execute("SELECT lumina.undo(max(id)) FROM lumina.duplicate_actions").unwrap();
    session.batch_execute("SELECT lumina.keep_best_in_all('photos', 0, false, true)").unwrap();
    let of_that = "SELECT string_agg(path, ' ' ORDER BY path) FROM lumina.image_files
        WHERE image = 49 AND state = 'rejected'";
    assert_eq!(text(&mut session, of_that), "/a/C/49.jpg /a/a/49.jpg");
}

/// Files that somebody has decided to keep are kept with their image, by whichever name; and an image of which a file
/// is protected stays: nothing else is listed than what a decision rejects.
#[test]
fn what_stays_is_not_listed() {
    let (_cluster, mut session) = world();
    session.batch_execute("UPDATE lumina.image_files SET device = 1, inode = id").unwrap();
    let add = |session: &mut Client, image: i64, path: &str, inode: &str| {
        let add = format!(
            "INSERT INTO lumina.image_files (catalog, image, path, original_path, device, inode)
                SELECT 1, {image}, '{path}', '{path}', 1, {inode}"
        );
        session.batch_execute(&add).unwrap();
    };
    // Of image 10 both files are wanted, by names that are not the best ones later.
    let ten = group_of(&mut session, 10);
    session.batch_execute(&format!("SELECT lumina.resolve({ten}, ARRAY[10]); SELECT lumina.undo(1)")).unwrap();
    session.batch_execute("DELETE FROM lumina.image_files WHERE image IN (11, 12)").unwrap();
    search(&mut session);
    let ten = group_of(&mut session, 10);
    session.batch_execute(&format!("SELECT lumina.keep_all({ten})")).unwrap();
    let inode = "(SELECT inode FROM lumina.image_files WHERE path = '/a/2/10.jpg')";
    add(&mut session, 10, "/z/link.jpg", inode);
    add(&mut session, 10, "/a/4/10.jpg", "7000");
    add(&mut session, 11, "/a/1/11.jpg", "7001");
    session.batch_execute("SELECT lumina.set_catalog_option('photos', 'preferred_folders', '[\"/z\"]')").unwrap();
    search(&mut session);
    let ten = group_of(&mut session, 10);
    assert_eq!(listed(&mut session, ten), "/z/link.jpg {/a/4/10.jpg,/a/1/11.jpg} 17000000 2 17000000 2");
    let (all, skipped) = (
        format!(
            "SELECT concat_ws(' ', rejected_files, savings) FROM lumina.keep_best_in_all('photos')
            WHERE group_id = {ten}"
        ),
        format!("SELECT skipped FROM lumina.keep_best_in_all('photos') WHERE group_id = {ten}"),
    );
    assert_eq!(text(&mut session, &all), "1 17000000");
    assert_eq!(text(&mut session, &skipped), "wanted");
    session.batch_execute(&format!("SELECT lumina.keep_best({ten})")).unwrap();
    assert_eq!(rejected(&mut session), "11 | /a/4/10.jpg");
    session.batch_execute("SELECT lumina.undo(max(id)) FROM lumina.duplicate_actions").unwrap();
    // Taken back, they are redundant again.
    session.batch_execute("SELECT lumina.undo(3)").unwrap();
    assert_eq!(listed(&mut session, ten), "/z/link.jpg {/a/1/10.jpg,/a/4/10.jpg,/a/1/11.jpg} 26000000 3 26000000 3");

    // Of a later image that has a protected file, even a missing one, no decision rejects the first file.
    session
        .batch_execute(
            "SELECT lumina.protect_source('photos', 'b'), lumina.set_catalog_option('photos', 'preferred_folders',
                '[\"/a/1/1.jpg\", \"/a\"]')",
        )
        .unwrap();
    add(&mut session, 2, "/b/2.jpg", "8000");
    add(&mut session, 2, "/c/2.jpg", "8001");
    for missing in ["NULL", "now()"] {
        let miss = format!("UPDATE lumina.image_files SET missing_since = {missing} WHERE path = '/b/2.jpg'");
        session.batch_execute(&miss).unwrap();
        search(&mut session);
        let one = group_of(&mut session, 1);
        assert_eq!(listed(&mut session, one), "/a/1/1.jpg {/c/2.jpg,/a/1/3.jpg} 15000000 2 15000000 2", "{missing}");
        let told = refused(&mut session, &format!("SELECT lumina.keep_best({one})"));
        assert_eq!(told, "55000 image 2 has a file in a protected source, and is never rejected");
        let all = format!(
            "SELECT concat_ws(' ', savings, skipped) FROM lumina.keep_best_in_all('photos') WHERE group_id = {one}"
        );
        assert_eq!(text(&mut session, &all), "15000000 protected");
        session.batch_execute(&format!("SELECT lumina.resolve({one}, ARRAY[1, 2])")).unwrap();
        assert_eq!(rejected(&mut session), "3 | /c/2.jpg", "{missing}");
        session.batch_execute("SELECT lumina.undo(max(id)) FROM lumina.duplicate_actions").unwrap();
    }

    // The folder of a group is that of the file to keep; another path is counted at once.
    session.batch_execute("SELECT lumina.set_catalog_option('photos', 'preferred_folders', '[\"/p\"]')").unwrap();
    add(&mut session, 4, "/b/4.jpg", "9000");
    add(&mut session, 4, "/p/4.jpg", "9000");
    search(&mut session);
    let four = group_of(&mut session, 4);
    let folder = format!("SELECT folder FROM lumina.duplicate_groups WHERE id = {four}");
    assert!(listed(&mut session, four).starts_with("/b/4.jpg {/a/1/4.jpg,"));
    assert_eq!(text(&mut session, &folder), "/b");
    session.batch_execute("UPDATE lumina.image_files SET path = '/b/more.jpg' WHERE path = '/a/1/4.jpg'").unwrap();
    assert!(listed(&mut session, four).starts_with("/b/more.jpg {/a/1/5.jpg,"));
    let counted = format!("SELECT current_redundant::text FROM lumina.duplicate_groups WHERE id = {four}");
    assert_eq!(text(&mut session, &counted), "2");
}

/// A decision waits for who adds a file, and sees it; one whose snapshot is older than a change of what is protected is
/// refused; and sources are locked after the catalog, as at the end of an import.
#[test]
fn decisions_beside_imports_and_protected_sources() {
    let (cluster, mut session) = world();
    let one = group_of(&mut session, 1);
    session.batch_execute("UPDATE lumina.image_files SET path = '/b' || path WHERE path = '/a/2/10.jpg'").unwrap();
    for (decision, expected) in [
        (format!("keep_best({one})"), format!("55000 group {one} has changed since it was found")),
        ("keep_best_in_all('photos', 0, false)".into(), "40001 groups change at this moment".into()),
    ] {
        let (mut import, mut deciding) = (cluster.connect(), cluster.connect());
        let pid: i32 = deciding.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        import
            .batch_execute(
                "BEGIN; INSERT INTO lumina.image_files (catalog, image, path, original_path)
                    VALUES (1, 2, '/b/2.jpg', '/b/2.jpg')",
            )
            .unwrap();
        let decided = std::thread::spawn(move || {
            told(&deciding.batch_execute(&format!("SELECT lumina.{decision}")).unwrap_err())
        });
        wait_until("the decision waits", || {
            let blocked = "SELECT cardinality(pg_blocking_pids($1)) > 0";
            session.query_one(blocked, &[&pid]).unwrap().get::<_, bool>(0)
        });
        import.batch_execute("COMMIT").unwrap();
        assert_eq!(decided.join().unwrap(), expected);
        assert_eq!(rejected(&mut session), "- | -");
        session.batch_execute("DELETE FROM lumina.image_files WHERE path = '/b/2.jpg'").unwrap();
    }

    let (mut older, mut import) = (cluster.connect(), cluster.connect());
    for decision in [format!("keep_best({one})"), "keep_best_in_all('photos', 0, false)".into()] {
        older.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM lumina.sources").unwrap();
        session
            .batch_execute(
                "SELECT lumina.protect_source('photos', 'b', NOT protected) FROM lumina.sources WHERE name = 'b'",
            )
            .unwrap();
        assert!(refused(&mut older, &format!("SELECT lumina.{decision}")).starts_with("40001 "), "{decision}");
        older.batch_execute("ROLLBACK").unwrap();
    }
    // As the last transaction of an import: the catalog, then its source.
    import.batch_execute("BEGIN; SELECT FROM lumina.catalogs FOR NO KEY UPDATE").unwrap();
    let protecting = cluster.connect();
    let protecting = start(protecting, "SELECT lumina.protect_source('photos', 'a')".into());
    wait_until("the change waits", || {
        let blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        session.query_one(blocked, &[]).unwrap().get::<_, i64>(0) > 0
    });
    import
        .batch_execute("SET lock_timeout = '20s'; UPDATE lumina.sources SET last_scanned_at = now(); COMMIT")
        .unwrap();
    protecting.join().unwrap().1.unwrap();
    assert_eq!(text(&mut session, "SELECT groups::text FROM lumina.duplicate_statistics"), "0");
}

/// Names of one file are decided together: what is rejected by one name does not come back by another.
#[test]
fn names_of_one_file_are_one() {
    let (_cluster, mut session) = world();
    session
        .batch_execute(
            "UPDATE lumina.image_files SET device = 1, inode = id;
            UPDATE lumina.image_files SET inode = 5000 WHERE path IN ('/a/2/49.jpg', '/a/3/49.jpg');
            UPDATE lumina.image_files SET inode = 6000 WHERE path IN ('/a/1/10.jpg', '/a/2/10.jpg')",
        )
        .unwrap();
    search(&mut session);
    let grouped = "SELECT count(*)::text FROM lumina.duplicate_members WHERE image = 49";
    let decide = |session: &mut Client, call: &str| {
        session.batch_execute(&format!("SELECT lumina.{call}")).unwrap_or_else(|error| panic!("{call}: {error:?}"));
        let gone = rejected(session);
        search(session);
        let in_groups = text(session, grouped);
        session.batch_execute("SELECT lumina.undo(max(id)) FROM lumina.duplicate_actions").unwrap();
        search(session);
        format!("{gone} | {in_groups}")
    };
    let alone = |session: &mut Client| group_of(session, 49);
    let group = alone(&mut session);
    assert_eq!(listed(&mut session, group), "/a/1/49.jpg {/a/2/49.jpg} 5000 1 5000 1");
    let all_names = "- | /a/2/49.jpg /a/3/49.jpg | 0";
    assert_eq!(decide(&mut session, &format!("keep_best({group})")), all_names);
    assert_eq!(decide(&mut session, "keep_best_in_all('photos', 100, false)"), all_names);
    let group = alone(&mut session);
    assert_eq!(decide(&mut session, &format!("resolve({group}, ARRAY[49])")), all_names);
    // The file to keep keeps its names.
    let ten = group_of(&mut session, 10);
    assert_eq!(decide(&mut session, &format!("keep_best({ten})")), "11 12 | - | 1");

    // One of which a name is missing, which may be back; one that is preferred by its other name.
    let missing = |name: &str, value: &str| {
        format!("UPDATE lumina.image_files SET missing_since = {value} WHERE path = '/a/{name}/49.jpg'")
    };
    session.batch_execute(&missing("2", "now()")).unwrap();
    let group = alone(&mut session);
    assert_eq!(decide(&mut session, &format!("keep_best({group})")), all_names);
    session.batch_execute(&missing("2", "NULL")).unwrap();
    session.batch_execute("SELECT lumina.set_catalog_option('photos', 'preferred_folders', '[\"/a/3\"]')").unwrap();
    search(&mut session);
    let group = alone(&mut session);
    assert_eq!(listed(&mut session, group), "/a/3/49.jpg {/a/1/49.jpg} 5000 1 5000 1");
    assert_eq!(decide(&mut session, &format!("keep_best({group})")), "- | /a/1/49.jpg | 0");

    // A decision to keep both holds, by whichever name they are known.
    let group = alone(&mut session);
    session.batch_execute(&format!("SELECT lumina.keep_all({group})")).unwrap();
    session.batch_execute("SELECT lumina.set_catalog_option('photos', 'preferred_folders', NULL)").unwrap();
    search(&mut session);
    assert_eq!(text(&mut session, grouped), "0");
    assert_eq!(text(&mut session, "SELECT count(*)::text FROM lumina.distinct_files"), "3");
    session.batch_execute("SELECT lumina.undo(max(id)) FROM lumina.duplicate_actions").unwrap();

    // A file with a protected name is protected.
    session
        .batch_execute("INSERT INTO lumina.sources (catalog, path, name, protected) VALUES (1, '/a/3', 'three', true)")
        .unwrap();
    search(&mut session);
    let group = alone(&mut session);
    assert_eq!(listed(&mut session, group), "/a/3/49.jpg {/a/1/49.jpg} 5000 1 5000 1");
    for call in [format!("keep_best({group})"), "keep_best_in_all('photos', 100, false)".into()] {
        assert_eq!(decide(&mut session, &call), "- | /a/1/49.jpg | 0", "{call}");
    }
}
