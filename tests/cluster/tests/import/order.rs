//! The outcome of files of one content does not depend on which is read first: neither within an import, nor over
//! several.

use super::{lies, world};
use lumina_cluster::catalog::{submit, wait_for_end};
use lumina_cluster::photos::{Folder, import, jpeg, preview};
use lumina_cluster::postgres::Client;
use std::fs::File;
use std::time::{Duration, SystemTime};

/// Writes a file with an mtime this many days after 1970.
fn put(folder: &Folder, name: &str, bytes: &[u8], days: u64) {
    let path = folder.put(name, bytes);
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400)).unwrap();
}

/// The date of each image, with its source.
fn dates(session: &mut Client) -> Vec<String> {
    let read = "SELECT concat_ws(' ', captured_at AT TIME ZONE 'UTC', date_source, date_confidence,
        metadata->>'has_time', metadata->>'suspicious_date')
        FROM lumina.images ORDER BY sha256";
    session.query(read, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// Three files of one content, in this order of names and with these days; and the folder of an earlier import, by day.
const DAYS: [u64; 3] = [16_000, 12_000, 14_000];
const EARLIEST: &str = "2002-11-09 00:00:00 file_time 30 true";

#[test]
fn the_date_of_a_content_is_that_of_its_earliest_file() {
    let photo = jpeg(1, 300, 200);
    // Within one import, by one thread, which reads them in the order of their names.
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
        let folder = Folder::default();
        for (name, file) in ["a.jpg", "b.jpg", "c.jpg"].iter().zip(order) {
            put(&folder, name, &photo, DAYS[file]);
        }
        let (_cluster, mut session) = world();
        session.batch_execute("SET lumina.import_threads = 1").unwrap();
        import(&mut session, "photos", folder.path());
        assert_eq!(dates(&mut session), [EARLIEST], "{order:?}");
        assert_eq!(lies(&mut session), [""; 0]);
    }
    // Over several imports: a later one moves the date back, never forward.
    for order in [[0, 1, 2], [1, 0, 2]] {
        let folder = Folder::default();
        let (_cluster, mut session) = world();
        for file in order {
            put(&folder, &format!("{file}/x.jpg"), &photo, DAYS[file]);
            import(&mut session, "photos", &folder.at(file.to_string()));
        }
        assert_eq!(dates(&mut session), [EARLIEST], "{order:?}");
    }
}

#[test]
fn a_source_that_is_trusted_more_wins_and_a_suspicious_date_loses() {
    let photo = jpeg(1, 300, 200);
    let name = "2019-05-06 00:00:00 file_name 70 false";
    let directory = "2017-03-04 00:00:00 directory 50 false";
    let cases: [(&[(&str, u64)], &str); 4] = [
        (&[("a.jpg", 12_000), ("IMG_20190506.jpg", 18_500)], name),
        (&[("2017-03-04/a.jpg", 18_000), ("b.jpg", 12_000)], directory),
        (&[("2017-03-04/a.jpg", 18_000), ("IMG_20190506.jpg", 12_000), ("IMG_20200506.jpg", 12_000)], name),
        // Clocks that were never set.
        (&[("a.jpg", 0), ("b.jpg", 12_000)], EARLIEST),
    ];
    for (files, expected) in cases {
        for reversed in [false, true] {
            let mut files = files.to_vec();
            if reversed {
                files.reverse();
            }
            let (_cluster, mut session) = world();
            let folder = Folder::default();
            for (number, (name, days)) in files.into_iter().enumerate() {
                put(&folder, &format!("import {number}/{name}"), &photo, days);
                import(&mut session, "photos", &folder.at(format!("import {number}")));
            }
            assert_eq!(dates(&mut session), [expected], "reversed: {reversed}");
        }
    }
}

/// Threads finish in any order: here their outcomes are written in every order, in batches of one.
#[test]
fn batches_in_any_order_come_to_the_same() {
    let mut all = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let folder = Folder::default();
        let cut = &jpeg(1, 400, 300);
        for (name, days) in ["a.jpg", "b.jpg", "c.jpg"].iter().zip(DAYS) {
            put(&folder, name, &cut[..cut.len() * 6 / 10], days);
        }
        let (_cluster, mut session) = world();
        let job = preview(&mut session, "photos", folder.path());
        write_in_order(&mut session, job, folder.text(), &order);
        let mut found = dates(&mut session);
        let read = "SELECT concat_ws(' ', replace(path, $2, ''), state, reason, error) FROM lumina.import_items
            WHERE job = $1 ORDER BY path";
        found.extend(session.query(read, &[&job, &folder.text()]).unwrap().iter().map(|row| row.get::<_, String>(0)));
        let search = submit(&mut session, "photos", 5);
        assert_eq!(wait_for_end(&mut session, search), "succeeded");
        let kept = "SELECT replace(keep || ' before ' || path, $1, '') FROM lumina.image_duplicates ORDER BY 1";
        found.extend(session.query(kept, &[&folder.text()]).unwrap().iter().map(|row| row.get::<_, String>(0)));
        all.push(found);
    }
    assert_eq!(
        all[0],
        [
            EARLIEST,
            "/a.jpg imported truncated the JPEG image ends before its last pixel",
            "/b.jpg imported copy",
            "/c.jpg imported copy",
            "/a.jpg before /b.jpg",
            "/a.jpg before /c.jpg"
        ]
    );
    assert!(all.iter().all(|found| *found == all[0]), "{all:#?}");
}

/// Writes a preview's findings as its run would if the files finished in this order: the facts of the first, and for
/// the others that they have the same content.
fn write_in_order(session: &mut Client, job: i64, folder: &str, order: &[usize]) {
    let keep = format!(
        "CREATE TEMP TABLE items AS SELECT t.*, row_number() OVER (ORDER BY t.id) - 1 AS place
            FROM lumina.import_items t WHERE t.job = {job}"
    );
    session.batch_execute(&keep).unwrap();
    let write = "WITH facts AS (SELECT analysis->'facts' AS facts, analysis->'reason' AS reason,
                analysis->'error' AS error FROM items WHERE jsonb_typeof(analysis->'facts') = 'object')
        SELECT lumina_internal.import_batch($1, t.catalog, NULL, jsonb_build_array(t.analysis || CASE WHEN $3
            THEN jsonb_build_object('reason', f.reason, 'error', f.error,
                'facts', f.facts || jsonb_build_object('captured_at',
                    to_timestamp((t.analysis->'file_status'->>'modified')::float8 / 1000000)))
            ELSE '{\"facts\": null, \"reason\": null, \"error\": null}' END), false)
        FROM items t, facts f WHERE t.place = $2";
    for (turn, place) in order.iter().enumerate() {
        assert_eq!(session.query(write, &[&job, &(*place as i64), &(turn == 0)]).unwrap().len(), 1);
    }
    session.query("SELECT lumina_internal.finish_import($1, 1, $2, false)", &[&job, &folder]).unwrap();
}
