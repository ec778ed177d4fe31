//! Dumps, copies and standbys: rows are copied, jobs resume by themselves only where the server itself continues.

use lumina_cluster::catalog::{fill, leftovers, result, state, submit, wait_for_end};
use lumina_cluster::cluster::wait_until;
use lumina_cluster::{Cluster, Shutdown};
use postgres::Client;
use postgres::error::SqlState;

const LAUNCHED: [(&str, &str); 2] = [("shared_preload_libraries", "lumina"), ("lumina.launcher_interval", "1")];

/// Every table of the catalog layer whose rows are dumped, without unfinished jobs, as text.
fn contents(session: &mut Client) -> Vec<(String, String)> {
    let tables = "SELECT relname::text FROM pg_class WHERE relnamespace = 'lumina'::regnamespace AND relkind = 'r'
        AND relname <> 'workers_stopped' ORDER BY 1";
    let tables: Vec<String> = session.query(tables, &[]).unwrap().iter().map(|row| row.get(0)).collect();
    let read = |table: &String| {
        let unended = match table.as_str() {
            "jobs" => "WHERE t.state NOT IN ('queued', 'running')",
            "job_cancellations" | "import_items" => {
                "WHERE t.job IN (SELECT id FROM lumina.jobs WHERE state NOT IN ('queued', 'running'))"
            }
            _ => "",
        };
        let digest = format!(
            "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '')
                FROM lumina.{table} t {unended}"
        );
        (table.clone(), session.query_one(&digest, &[]).unwrap().get(0))
    };
    tables.iter().map(read).collect()
}

/// A database with rows in every table, and jobs in every state; two of them are queued, with the workers stopped.
fn furnish(session: &mut Client) {
    fill(session, "a", &lumina_sets::photo(2000, 1));
    for distance in [4, 5] {
        let job = submit(session, "a", distance);
        assert_eq!(wait_for_end(session, job), "succeeded");
    }
    session
        .batch_execute(
            "CREATE ROLE curator; SELECT lumina.grant_catalog('a', 'curator', 'curate');
            INSERT INTO lumina.sources (catalog, path, name) VALUES (1, '/photos', 'all');
            UPDATE lumina.image_files SET source = 1 WHERE id % 3 = 0;
            INSERT INTO lumina.sidecars (catalog, path, file, kind)
                SELECT catalog, path || '.xmp', id, 'edit' FROM lumina.image_files WHERE id <= 3;
            SELECT lumina.create_catalog('b'); SELECT lumina.create_catalog('c');
            BEGIN; SELECT lumina.detect_duplicates('b'); SELECT lumina.cancel_job(3); COMMIT;
            SELECT lumina.retry_job(3)",
        )
        .unwrap();
    assert_eq!(wait_for_end(session, 4), "succeeded");
    session
        .batch_execute(
            "INSERT INTO lumina.jobs (kind, catalog, owner, state, attempts, system_identifier, database, timeline,
                    directory)
                SELECT kind, 3, owner, 'ready', 1, system_identifier, database, timeline, directory
                FROM lumina.jobs WHERE id = 1;
            INSERT INTO lumina.import_items (job, catalog, path) VALUES (5, 3, '/photos/x.jpg');
            SELECT lumina.stop_workers()",
        )
        .unwrap();
    submit(session, "a", 3);
    submit(session, "b", 3);
    session
        .batch_execute("INSERT INTO lumina.import_items (job, catalog, path) VALUES (6, 1, '/photos/y.jpg')")
        .unwrap();
    // Decisions, which change nothing of what searches find, one of them undone.
    session
        .batch_execute(
            "SELECT lumina.set_image_status('a', ARRAY[1, 2], 'flagged');
            SELECT lumina.set_image_status('a', ARRAY[3], 'flagged');
            SELECT lumina.undo(1);
            INSERT INTO lumina.action_files (action, catalog, file, image, before, after)
                VALUES (2, 1, 1, 1, 'keep', 'keep');
            INSERT INTO lumina.distinct_images (action, catalog, sha256, part) VALUES (2, 1, sha256('x'), 0);
            INSERT INTO lumina.distinct_files (action, catalog, file) VALUES (2, 1, 1);
            INSERT INTO lumina.bursts (catalog, frames, shots, started_at, ended_at, best_image, best_by, suspect)
                VALUES (1, 3, 3, '2024-05-01 10:00:00+00', '2024-05-01 10:00:02+00', 2, 'manual', false);
            INSERT INTO lumina.burst_frames (image, burst, catalog, position, shot)
                SELECT n, 1, 1, n - 1, n - 1 FROM generate_series(1, 3) n;
            UPDATE lumina.duplicate_groups SET decision = 2 WHERE id = (SELECT min(id) FROM lumina.duplicate_groups)",
        )
        .unwrap();
}

/// In a copy: jobs exist but do not run, whatever is done except adopting them.
fn assert_fenced(session: &mut Client) {
    let workers =
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'lumina worker' AND datname = current_database()";
    assert_eq!(session.query_one("SELECT lumina.resume_jobs(true)", &[]).unwrap().get::<_, i32>(0), 0);
    fill(session, "new", &lumina_sets::photo(300, 2));
    let job = submit(session, "new", 5);
    assert_eq!(wait_for_end(session, job), "succeeded");
    wait_until("the worker has gone", || session.query_one(workers, &[]).unwrap().get::<_, i64>(0) == 0);
    for job in [6, 7] {
        assert_eq!(state(session, job), "fenced");
        let error = session.batch_execute(&format!("CALL lumina.wait_for_job({job})")).unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE));
        let attempts = "SELECT attempts FROM lumina.jobs WHERE id = $1";
        assert_eq!(session.query_one(attempts, &[&job]).unwrap().get::<_, i32>(0), 0);
    }
    // One is adopted, the other cancelled.
    assert_eq!(session.query_one("SELECT lumina.adopt_catalog('a')", &[]).unwrap().get::<_, i32>(0), 1);
    assert_eq!(wait_for_end(session, 6), "succeeded");
    assert_eq!(state(session, 7), "fenced");
    session.query_one("SELECT lumina.cancel_job(7)", &[]).unwrap();
    assert_eq!(state(session, 7), "cancelled");
    assert_eq!(leftovers(session), [""; 0]);
}

#[test]
fn dumped_and_restored() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    furnish(&mut session);
    let before = contents(&mut session);
    assert!(before.iter().all(|(table, rows)| !rows.starts_with("0 ") || table == "import_items"), "{before:?}");
    let groups = result(&mut session, "a");
    let plain = cluster.dump("postgres", &[]);
    let inserts = cluster.dump("postgres", &["--rows-per-insert", "100"]);
    let file = cluster.socket_folder().join("dump");
    let file = file.to_str().unwrap();
    cluster.client("pg_dump", &["-Fc", "-f", file, "postgres"]);
    // Into another cluster, in every way.
    let other = Cluster::start_with(&LAUNCHED);
    let mut admin = other.connect();
    admin.batch_execute("CREATE ROLE curator").unwrap();
    for way in ["plain", "inserts", "custom", "parallel"] {
        admin.batch_execute(&format!("CREATE DATABASE \"{way}\"")).unwrap();
        match way {
            "plain" => drop(other.sql(way, &plain)),
            "inserts" => drop(other.sql(way, &inserts)),
            "custom" => drop(other.client("pg_restore", &["-d", way, "--exit-on-error", file])),
            // The tables belong to the extension, and pg_restore knows no order among their rows.
            _ => drop(other.client_with(
                "pg_restore",
                &["-d", way, "-j4", file],
                &[("PGOPTIONS", "-c session_replication_role=replica")],
            )),
        }
        let mut restored = other.connect_to(way, "postgres");
        assert_eq!(contents(&mut restored), before, "{way}");
        assert_eq!(result(&mut restored, "a"), groups, "{way}");
        let unended = "SELECT count(*) FROM lumina.jobs WHERE state IN ('queued', 'running')";
        assert_eq!(restored.query_one(unended, &[]).unwrap().get::<_, i64>(0), 0, "{way}");
        // The copy is usable: sequences continue, jobs run, constraints hold.
        let newer: i64 = restored.query_one("SELECT lumina.create_catalog('d')", &[]).unwrap().get(0);
        assert!(newer > 3, "{way}");
        restored.batch_execute("SET ROLE curator").unwrap();
        let job = submit(&mut restored, "a", 5);
        assert!(job > 7, "{way}");
        assert_eq!(wait_for_end(&mut restored, job), "succeeded", "{way}");
        assert_eq!(result(&mut restored, "a"), groups, "{way}");
        restored.batch_execute("RESET ROLE").unwrap();
        let orphan =
            "INSERT INTO lumina.image_files (catalog, image, path, original_path) VALUES (1, 99999999, '/x', '/x')";
        assert_eq!(restored.batch_execute(orphan).unwrap_err().code(), Some(&SqlState::FOREIGN_KEY_VIOLATION), "{way}");
        restored.batch_execute("SELECT lumina.drop_catalog('a')").unwrap();
        assert_eq!(leftovers(&mut restored), [""; 0], "{way}");
    }
}

#[test]
fn cloned_within_the_server() {
    let cluster = Cluster::start_with(&LAUNCHED);
    let mut admin = cluster.connect();
    admin.batch_execute("CREATE DATABASE photos").unwrap();
    let mut session = cluster.connect_to("photos", "postgres");
    furnish(&mut session);
    let before = contents(&mut session);
    drop(session);
    admin.batch_execute("CREATE DATABASE copy TEMPLATE photos").unwrap();
    let mut copy = cluster.connect_to("copy", "postgres");
    assert_eq!(contents(&mut copy), before);
    assert_fenced(&mut copy);
    // The original continues.
    let mut session = cluster.connect_to("photos", "postgres");
    assert_eq!(session.query_one("SELECT lumina.resume_jobs()", &[]).unwrap().get::<_, i32>(0), 2);
    for job in [6, 7] {
        assert_eq!(wait_for_end(&mut session, job), "succeeded");
    }
}

#[test]
fn copied_by_a_base_backup() {
    let cluster = Cluster::start_with(&LAUNCHED);
    let mut session = cluster.connect();
    furnish(&mut session);
    let copy = cluster.copy();
    assert_fenced(&mut copy.connect());
    // The original stays the original, also after a crash.
    cluster.kill();
    cluster.restart();
    let mut session = cluster.connect();
    assert_eq!(session.query_one("SELECT lumina.resume_jobs()", &[]).unwrap().get::<_, i32>(0), 2);
    for job in [6, 7] {
        assert_eq!(wait_for_end(&mut session, job), "succeeded");
    }
}

#[test]
fn read_on_a_standby_and_resumed_after_a_failover() {
    let cluster = Cluster::start_with(&LAUNCHED);
    let mut session = cluster.connect();
    fill(&mut session, "a", &lumina_sets::photo(2000, 1));
    let job = submit(&mut session, "a", 5);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    let standby = cluster.standby();
    let mut reader = standby.connect();
    // A running job that is kept from ending.
    let mut holder = cluster.connect();
    holder.batch_execute("BEGIN; SELECT FROM lumina.catalogs FOR NO KEY UPDATE").unwrap();
    let job = submit(&mut session, "a", 4);
    wait_until("it is at its end", || {
        session.query_one("SELECT phase = 'writing' FROM lumina.jobs WHERE id = $1", &[&job]).unwrap().get(0)
    });
    standby.catch_up_with(&cluster);
    assert_eq!(result(&mut reader, "a"), result(&mut session, "a"));
    for query in
        ["TABLE lumina.image_duplicates", "SELECT * FROM lumina.duplicates('a')", "TABLE lumina.duplicate_statistics"]
    {
        assert!(!reader.query(query, &[]).unwrap().is_empty(), "{query}");
    }
    let row = reader.query_one("SELECT state, note FROM lumina.job_progress WHERE job = $1", &[&job]).unwrap();
    assert_eq!(row.get::<_, &str>(0), "running");
    assert!(row.get::<_, &str>(1).contains("standby"), "{}", row.get::<_, &str>(1));
    let writing =
        ["SELECT lumina.detect_duplicates('a')", "SELECT lumina.cancel_job(2)", "SELECT lumina.create_catalog('x')"];
    for query in writing {
        let error = reader.query(query, &[]).unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION), "{query}");
    }
    let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'lumina%'";
    assert_eq!(reader.query_one(workers, &[]).unwrap().get::<_, i64>(0), 0);
    // The primary is stopped, and the standby promoted: the job continues there.
    cluster.stop(Shutdown::Immediate);
    standby.promote();
    let mut promoted = standby.connect();
    assert_eq!(wait_for_end(&mut promoted, job), "succeeded");
    assert_eq!(leftovers(&mut promoted), [""; 0]);
}

#[test]
fn a_library_of_another_version_touches_nothing() {
    let cluster = Cluster::start_with(&LAUNCHED);
    let mut session = cluster.connect();
    fill(&mut session, "a", &lumina_sets::photo(300, 1));
    session.batch_execute("SELECT lumina.stop_workers()").unwrap();
    let job = submit(&mut session, "a", 5);
    session
        .batch_execute(
            "UPDATE pg_extension SET extversion = '0.0.1' WHERE extname = 'lumina'; DELETE FROM lumina.workers_stopped",
        )
        .unwrap();
    wait_until("a worker has said so", || cluster.log().contains("WARNING:  extension_version_mismatch"));
    assert_eq!(state(&mut session, job), "queued");
    let note = "SELECT note FROM lumina.job_progress WHERE job = $1";
    assert!(session.query_one(note, &[&job]).unwrap().get::<_, &str>(0).starts_with("extension_version_mismatch"));
    for call in ["SELECT lumina.detect_duplicates('a')".into(), format!("CALL lumina.wait_for_job({job})")] {
        let error = session.batch_execute(&call).unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE), "{call}");
        assert!(error.as_db_error().unwrap().message().starts_with("extension_version_mismatch"), "{call}");
    }
    session
        .batch_execute("UPDATE pg_extension SET extversion = lumina.library_version() WHERE extname = 'lumina'")
        .unwrap();
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
}
