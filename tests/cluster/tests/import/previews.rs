//! Previews: nothing is imported until it is approved, and then the files as they are at that moment.

use super::{count, lies, missing, set_of, world};
use lumina_cluster::photos::{Folder, import, items, jpeg, make_catalog, preview, wait_for_state, wrong_counters};
use lumina_cluster::postgres::Client;
use std::path::Path;

fn run(session: &mut Client, job: i64) {
    session.query_one("SELECT lumina.run_import($1)", &[&job]).unwrap();
    wait_for_state(session, job, "succeeded");
}

/// Everything about the files of a catalog, except numbers and times.
fn contents(session: &mut Client, catalog: &str) -> Vec<String> {
    let read = "SELECT row(f.path, f.size, f.device, f.inode, f.modified_at, f.changed_at, f.state,
            f.missing_since IS NULL, i.sha256, i.size, i.format, i.width, i.height, i.orientation, i.truncated,
            i.damaged_data, i.captured_at, i.metadata, i.ahash, i.dhash, i.dct, i.pdq, i.pdq_quality, i.hash_valid,
            i.sharpness, (SELECT array_agg(s.path ORDER BY s.path) FROM lumina.sidecars s WHERE s.file = f.id))::text
        FROM lumina.image_files f JOIN lumina.images i ON i.id = f.image JOIN lumina.catalogs c ON c.id = f.catalog
        WHERE c.name = $1 ORDER BY f.path";
    session.query(read, &[&catalog]).unwrap().iter().map(|row| row.get(0)).collect()
}

fn refused(session: &mut Client, statement: &str) -> String {
    let error = session.query(statement, &[]).expect_err(statement);
    error.code().unwrap().code().to_owned()
}

fn some_photos() -> Folder {
    let folder = Folder::default();
    for n in 0..6 {
        folder.put(format!("{n}.jpg"), jpeg(n, 300, 200));
    }
    folder.put("twin 1.jpg", jpeg(50, 300, 200));
    folder.put("twin 2.jpg", jpeg(50, 300, 200));
    folder.put("0.xmp", "");
    folder.put("words.jpg", "words");
    folder.put("empty.jpg", "");
    folder
}

#[test]
fn a_preview_imports_nothing_and_then_what_it_has_found() {
    let folder = some_photos();
    let (_cluster, mut session) = world();
    make_catalog(&mut session, "directly");
    let job = preview(&mut session, "photos", folder.path());
    for table in ["images", "image_files", "sources", "sidecars"] {
        assert_eq!(count(&mut session, &format!("lumina.{table}")), 0, "{table}");
    }
    let read = "SELECT result->>$2 FROM lumina.jobs WHERE id = $1";
    let size: u64 = (0..6)
        .map(|n| format!("{n}.jpg"))
        .chain(["twin 1.jpg".into(), "twin 2.jpg".into()])
        .map(|name| std::fs::metadata(folder.at(name)).unwrap().len())
        .sum();
    for (word, expected) in [
        ("files", 11),
        ("new_files", 7),
        ("duplicate_files", 1),
        ("unchanged_files", 0),
        ("skipped_files", 2),
        ("error_files", 1),
        ("total_size", size),
    ] {
        let told: String = session.query_one(read, &[&job, &word]).unwrap().get(0);
        assert_eq!(told, expected.to_string(), "{word}");
    }
    let found = items(&mut session, job, folder.path());
    assert_eq!(
        (found["3.jpg"].as_str(), found["0.xmp"].as_str(), found["empty.jpg"].as_str()),
        ("ready", "skipped sidecar", "failed empty")
    );
    let note = "SELECT note FROM lumina.job_progress WHERE job = $1";
    assert!(session.query_one(note, &[&job]).unwrap().get::<_, &str>(0).contains("run_import"));
    run(&mut session, job);
    import(&mut session, "directly", folder.path());
    let imported = contents(&mut session, "photos");
    assert_eq!((imported.len(), &imported), (8, &contents(&mut session, "directly")));
    assert_eq!(wrong_counters(&mut session, job), [""; 0]);
    assert_eq!(lies(&mut session), [""; 0]);
    // Nothing of it is left to run.
    assert_eq!(refused(&mut session, &format!("SELECT lumina.run_import({job})")), "55000");
    let kept = "lumina.import_items WHERE analysis IS NOT NULL";
    assert_eq!(count(&mut session, kept), 0);
}

#[test]
fn what_changes_after_a_preview_is_looked_at_once_more() {
    let folder = some_photos();
    let (_cluster, mut session) = world();
    let job = preview(&mut session, "photos", folder.path());
    let before = items(&mut session, job, folder.path());
    folder.put("1.jpg", jpeg(60, 300, 200));
    folder.put("2.jpg", "words");
    std::fs::remove_file(folder.at("3.jpg")).unwrap();
    folder.put("empty.jpg", jpeg(61, 300, 200));
    folder.put("added.jpg", jpeg(62, 300, 200));
    // The decoded one of two equal files changes: now the other must be decoded. Which one it was is not shown.
    assert_eq!((before["twin 1.jpg"].as_str(), before["twin 2.jpg"].as_str()), ("ready", "ready copy"));
    let decoded = "SELECT path LIKE '%twin 1.jpg' FROM lumina.import_items
        WHERE jsonb_typeof(analysis->'facts') = 'object' AND path LIKE '%twin%'";
    let (first, second) = match session.query_one(decoded, &[]).unwrap().get(0) {
        true => ("twin 1.jpg", "twin 2.jpg"),
        false => ("twin 2.jpg", "twin 1.jpg"),
    };
    folder.put(first, jpeg(63, 300, 200));
    run(&mut session, job);
    let found = items(&mut session, job, folder.path());
    for (name, item) in [
        ("0.jpg", "imported"),
        ("1.jpg", "imported"),
        ("2.jpg", "skipped no_image"),
        ("3.jpg", "failed vanished"),
        (first, "imported"),
        (second, "imported"),
    ] {
        assert_eq!(found[name], item, "{name}");
    }
    assert!(!found.contains_key("added.jpg"), "nobody has seen it in the preview");
    assert_eq!(count(&mut session, "lumina.image_files"), 6);
    assert_eq!(count(&mut session, "lumina.images"), 6);
    assert_eq!(lies(&mut session), [""; 0]);
    let job = import(&mut session, "photos", folder.path());
    let found = items(&mut session, job, folder.path());
    assert_eq!(
        (found["added.jpg"].as_str(), found["empty.jpg"].as_str(), found[second].as_str()),
        ("imported", "imported", "skipped unchanged")
    );
    assert_eq!(lies(&mut session), [""; 0]);
}

/// Another import, between a preview and its run, finds files that the preview does not know.
#[test]
fn a_late_run_misses_nothing_that_is_there() {
    let folder = some_photos();
    let (_cluster, mut session) = world();
    let job = preview(&mut session, "photos", folder.path());
    folder.put("later/added.jpg", jpeg(70, 300, 200));
    folder.put("later/added.xmp", "");
    import(&mut session, "photos", &folder.at("later"));
    assert_eq!(count(&mut session, "lumina.sidecars"), 1);
    run(&mut session, job);
    assert_eq!(missing(&mut session, &folder), set_of([]));
    assert_eq!(count(&mut session, "lumina.image_files"), 9);
    assert_eq!(count(&mut session, "lumina.sidecars"), 2);
}

#[test]
fn only_who_may_runs_a_preview_and_only_once() {
    let folder = some_photos();
    let (cluster, mut session) = world();
    session
        .batch_execute(
            "CREATE ROLE owner LOGIN; CREATE ROLE importer LOGIN; CREATE ROLE colleague LOGIN; CREATE ROLE reader LOGIN;
            CREATE ROLE stranger LOGIN;
            GRANT EXECUTE ON FUNCTION lumina.create_catalog TO owner",
        )
        .unwrap();
    let mut owner = cluster.connect_to("postgres", "owner");
    make_catalog(&mut owner, "theirs");
    owner
        .batch_execute(
            "SELECT lumina.grant_catalog('theirs', 'importer', 'import'),
                lumina.grant_catalog('theirs', 'colleague', 'import'),
                lumina.grant_catalog('theirs', 'reader', 'read')",
        )
        .unwrap();
    let mut importer = cluster.connect_to("postgres", "importer");
    let job = preview(&mut importer, "theirs", folder.path());
    let statement = format!("SELECT lumina.run_import({job})");
    for (role, code) in [("colleague", "42501"), ("reader", "42501"), ("stranger", "42704")] {
        assert_eq!(refused(&mut cluster.connect_to("postgres", role), &statement), code, "{role}");
    }
    assert_eq!(count(&mut session, "lumina.images"), 0);
    // The catalog's owner may approve it, and it remains the importer's.
    owner.batch_execute("BEGIN").unwrap();
    owner.query(&statement, &[]).unwrap();
    assert_eq!(refused(&mut owner, &statement), "55000", "it is queued");
    owner.batch_execute("ROLLBACK").unwrap();
    let other = preview(&mut importer, "theirs", folder.path());
    run(&mut owner, job);
    let read = "SELECT owner::text FROM lumina.jobs WHERE id = $1";
    let job_owner: String = session.query_one(read, &[&job]).unwrap().get(0);
    assert_eq!(job_owner, "importer");
    // The second preview finds the same again, and everything in the catalog already.
    run(&mut importer, other);
    assert_eq!((count(&mut session, "lumina.images"), count(&mut session, "lumina.image_files")), (7, 8));
    assert!(items(&mut session, other, folder.path()).values().all(|item| !item.starts_with("ready")));
    // Jobs that are no preview, were cancelled, or do not exist.
    let direct = import(&mut importer, "theirs", Path::new(folder.text()));
    assert_eq!(refused(&mut importer, &format!("SELECT lumina.run_import({direct})")), "55000");
    assert_eq!(refused(&mut importer, "SELECT lumina.run_import(4711)"), "42704");
    assert_eq!(refused(&mut importer, "SELECT lumina.run_import(NULL)"), "22004");
    let cancelled = preview(&mut importer, "theirs", folder.path());
    assert!(importer.query_one("SELECT lumina.cancel_job($1)", &[&cancelled]).unwrap().get::<_, bool>(0));
    wait_for_state(&mut importer, cancelled, "cancelled");
    assert_eq!(refused(&mut importer, &format!("SELECT lumina.run_import({cancelled})")), "55000");
    // A retried preview is a preview again.
    let again: i64 = importer.query_one("SELECT lumina.retry_job($1)", &[&cancelled]).unwrap().get(0);
    wait_for_state(&mut importer, again, "ready");
}
