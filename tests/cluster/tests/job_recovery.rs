//! Jobs whose workers end, wait, or are blocked: no job is forgotten, and none waits needlessly.

use lumina_cluster::Cluster;
use lumina_cluster::catalog::{fill, leftovers, result, state, submit, wait_for_end, wait_for_phase};
use lumina_cluster::cluster::{Shutdown, wait_until};
use postgres::Client;
use postgres::error::SqlState;
use std::time::Duration;

/// The workers of this database; the launcher starts them in others, too.
fn workers(session: &mut Client) -> i64 {
    let count =
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'lumina worker' AND datname = current_database()";
    session.query_one(count, &[]).unwrap().get(0)
}

/// Locks the row of a catalog, so that its job reaches the end of its work and stops there.
fn lock_catalog(cluster: &Cluster, catalog: &str) -> Client {
    let mut holder = cluster.connect();
    holder.batch_execute("BEGIN").unwrap();
    let lock = "SELECT id FROM lumina.catalogs WHERE name = $1 FOR NO KEY UPDATE";
    holder.query_one(lock, &[&catalog]).unwrap();
    holder
}

/// Terminates the worker of a job that the catalog's row blocks, and waits until it has exited.
fn terminate(session: &mut Client, job: i64) {
    wait_for_phase(session, job, "writing");
    let end = "SELECT pg_terminate_backend(worker_pid, 60000) FROM lumina.jobs WHERE id = $1";
    assert!(session.query_one(end, &[&job]).unwrap().get::<_, bool>(0));
    wait_until("the worker has gone", || workers(session) == 0);
}

#[test]
fn a_worker_survives_the_errors_of_its_jobs() {
    let cluster = Cluster::start_with(&[("lumina.max_job_workers", "1")]);
    let mut session = cluster.connect();
    session.batch_execute("CREATE ROLE album").unwrap();
    for catalog in ["a", "b", "c"] {
        fill(&mut session, catalog, &lumina_sets::photo(300, 1));
        session.execute("SELECT lumina.grant_catalog($1, 'album', 'curate')", &[&catalog]).unwrap();
    }
    // An error during reading, for roles subject to row-level security.
    session.batch_execute("CREATE POLICY broken ON lumina.images AS RESTRICTIVE USING (1 / (id - id) = 1)").unwrap();
    session.batch_execute("BEGIN; SET LOCAL ROLE album").unwrap();
    let jobs = ["a", "b", "c"].map(|catalog| submit(&mut session, catalog, 5));
    session.batch_execute("COMMIT").unwrap();
    for job in jobs {
        assert_eq!(wait_for_end(&mut session, job), "failed");
        let row = session.query_one("SELECT error_sqlstate, error FROM lumina.jobs WHERE id = $1", &[&job]).unwrap();
        assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("22012", "division by zero"));
    }
    wait_until("the worker has gone", || workers(&mut session) == 0);
    session.batch_execute("DROP POLICY broken ON lumina.images; SET ROLE album").unwrap();
    let job = submit(&mut session, "a", 5);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
}

#[test]
fn ends_on_request_are_no_failures() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    fill(&mut session, "a", &lumina_sets::photo(500, 1));
    let holder = lock_catalog(&cluster, "a");
    let job = submit(&mut session, "a", 5);
    for round in 0..5 {
        if round % 2 == 0 {
            terminate(&mut session, job);
        } else {
            wait_for_phase(&mut session, job, "writing");
            drop(cluster.connect().query_one("SELECT lumina.stop_workers()", &[]).unwrap());
            // It waits for the catalog's row, and gets no cancel request meanwhile.
            let end = "SELECT pg_terminate_backend(worker_pid, 60000) FROM lumina.jobs WHERE id = $1";
            session.query_one(end, &[&job]).unwrap();
            wait_until("the worker has gone", || workers(&mut session) == 0);
        }
        // The worker has requeued its job itself.
        assert_eq!(state(&mut session, job), "queued");
        let failures = "SELECT failures FROM lumina.jobs WHERE id = $1";
        assert_eq!(session.query_one(failures, &[&job]).unwrap().get::<_, i32>(0), 0);
        // The next submission reports it, and starts it again. So does waiting for it.
        match round {
            0 | 2 => {
                let error = session.query_one("SELECT lumina.detect_duplicates('a')", &[]).unwrap_err();
                assert_eq!(error.code(), Some(&SqlState::OBJECT_IN_USE));
            }
            4 => (),
            _ => drop(session.query_one("SELECT lumina.resume_jobs()", &[]).unwrap()),
        }
    }
    drop(holder);
    session.batch_execute(&format!("CALL lumina.wait_for_job({job})")).unwrap();
    assert_eq!(state(&mut session, job), "succeeded");
    assert_eq!(leftovers(&mut session), [""; 0]);
}

#[test]
fn who_cancels_and_thinks_better_of_it_loses_no_job() {
    let cluster = Cluster::start_with(&[("lumina.max_job_workers", "1")]);
    let mut session = cluster.connect();
    for catalog in ["a", "b"] {
        fill(&mut session, catalog, &lumina_sets::photo(500, 1));
    }
    // One job occupies the only worker; the other is queued, and is being cancelled when the worker reaches it.
    let holder = lock_catalog(&cluster, "a");
    let first = submit(&mut session, "a", 5);
    wait_for_phase(&mut session, first, "writing");
    let second = submit(&mut session, "b", 5);
    let mut other = cluster.connect();
    other.batch_execute("BEGIN").unwrap();
    assert!(other.query_one("SELECT lumina.cancel_job($1)", &[&second]).unwrap().get::<_, bool>(0));
    drop(holder);
    assert_eq!(wait_for_end(&mut session, first), "succeeded");
    wait_until("the worker has given up", || workers(&mut session) == 0);
    assert_eq!(state(&mut session, second), "queued");
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(wait_for_end(&mut session, second), "succeeded");
    // An orphan, and an open transaction that has requested its cancellation: it is resumed all the same.
    let holder = lock_catalog(&cluster, "a");
    let job = submit(&mut session, "a", 4);
    terminate(&mut session, job);
    drop(holder);
    session.batch_execute("BEGIN").unwrap();
    session.execute("INSERT INTO lumina.job_cancellations (job, requested_by) VALUES ($1, 'x')", &[&job]).unwrap();
    other.query_one("SELECT lumina.resume_jobs()", &[]).unwrap();
    assert_eq!(wait_for_end(&mut other, job), "succeeded");
    session.batch_execute("ROLLBACK").unwrap();
}

#[test]
fn cancelled_at_the_last_moment() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    fill(&mut session, "a", &lumina_sets::photo(2000, 1));
    let job = submit(&mut session, "a", 5);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    let before = result(&mut session, "a");
    let holder = lock_catalog(&cluster, "a");
    let job = submit(&mut session, "a", 4);
    wait_for_phase(&mut session, job, "writing");
    assert!(session.query_one("SELECT lumina.cancel_job($1)", &[&job]).unwrap().get::<_, bool>(0));
    drop(holder);
    assert_eq!(wait_for_end(&mut session, job), "cancelled");
    assert_eq!(result(&mut session, "a"), before);
    assert_eq!(leftovers(&mut session), [""; 0]);
}

#[test]
fn images_that_change_meanwhile_are_compared_once_more() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    let twins = [1u64, 1, 2, 2, 0xffff_ffff_0000_0000];
    fill(&mut session, "a", &twins);
    let holder = lock_catalog(&cluster, "a");
    let job = submit(&mut session, "a", 0);
    wait_for_phase(&mut session, job, "writing");
    session
        .batch_execute(
            "UPDATE lumina.images SET status = 'rejected' WHERE id = 1; DELETE FROM lumina.images WHERE id = 3",
        )
        .unwrap();
    drop(holder);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    // Neither pair exists any more.
    let groups = "SELECT count(*) FROM lumina.duplicate_groups WHERE images > 1";
    assert_eq!(session.query_one(groups, &[]).unwrap().get::<_, i64>(0), 0);
    // What disappears after a run is not shown, and another image is kept.
    fill(&mut session, "b", &[7, 7, 7, 9, 9]);
    let job = submit(&mut session, "b", 0);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    let kept = "SELECT keep, cardinality(others) FROM lumina.duplicates('b') ORDER BY 2 DESC, 1";
    let row = &session.query(kept, &[]).unwrap()[0];
    let (keep, others): (String, i32) = (row.get(0), row.get(1));
    let gone = "UPDATE lumina.image_files SET missing_since = now() WHERE path = $1 RETURNING image";
    let image: i64 = session.query_one(gone, &[&keep]).unwrap().get(0);
    session.execute("UPDATE lumina.images SET status = 'rejected' WHERE id = $1", &[&image]).unwrap();
    let row = &session.query(kept, &[]).unwrap()[0];
    assert_ne!(row.get::<_, String>(0), keep);
    assert!(row.get::<_, i32>(1) < others);
    let shown = "SELECT count(*) FROM lumina.image_duplicates WHERE path = $1 OR keep = $1";
    assert_eq!(session.query_one(shown, &[&keep]).unwrap().get::<_, i64>(0), 0);
}

#[test]
fn tables_that_are_locked_for_long_take_no_workers() {
    let cluster = Cluster::start_with(&[("shared_preload_libraries", "lumina"), ("lumina.launcher_interval", "1")]);
    let mut session = cluster.connect();
    fill(&mut session, "a", &lumina_sets::photo(500, 1));
    let mut owner = cluster.connect();
    owner.batch_execute("BEGIN; LOCK lumina.workers_stopped").unwrap();
    let job = submit(&mut session, "a", 5);
    for _ in 0..40 {
        assert!(workers(&mut session) <= 3, "{} workers wait", workers(&mut session));
        std::thread::sleep(Duration::from_millis(100)); // four seconds of the launcher's rounds
    }
    let queued = "SELECT state = 'queued' FROM lumina.jobs WHERE id = $1";
    assert!(session.query_one(queued, &[&job]).unwrap().get::<_, bool>(0));
    owner.batch_execute("ROLLBACK").unwrap();
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
}

#[test]
fn names_are_in_any_encoding() {
    let cluster = Cluster::start();
    let mut admin = cluster.connect();
    admin.batch_execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0").unwrap();
    let mut session = cluster.connect_to("latin", "postgres");
    fill(&mut session, "früher", &lumina_sets::photo(500, 1));
    session
        .batch_execute("CREATE ROLE jörg; SELECT lumina.grant_catalog('früher', 'jörg', 'curate'); SET ROLE jörg")
        .unwrap();
    let job = submit(&mut session, "früher", 5);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    let holder = {
        let mut holder = cluster.connect_to("latin", "postgres");
        holder.batch_execute("BEGIN; SELECT FROM lumina.catalogs FOR NO KEY UPDATE").unwrap();
        holder
    };
    let job = submit(&mut session, "früher", 5);
    wait_for_phase(&mut session, job, "writing");
    session.query_one("SELECT lumina.cancel_job($1)", &[&job]).unwrap();
    drop(holder);
    assert_eq!(wait_for_end(&mut session, job), "cancelled");
    let error = session.batch_execute(&format!("CALL lumina.wait_for_job({job})")).unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains("cancelled by"), "{error}");
}

/// A database's owner has put operators into the schema in which the extension is created.
#[test]
fn operators_of_others_are_not_taken_into_the_catalog() {
    let cluster = Cluster::start();
    let mut admin = cluster.connect();
    admin.batch_execute("CREATE ROLE landlord").unwrap();
    admin.batch_execute("CREATE DATABASE house OWNER landlord").unwrap();
    let mut session = cluster.connect_to("house", "postgres");
    let pairs = [
        ("real", "int4"),
        ("real", "float8"),
        ("numeric", "int4"),
        ("numeric", "int8"),
        ("int4", "numeric"),
        ("int2", "numeric"),
    ];
    session.batch_execute("ALTER SCHEMA public OWNER TO landlord; SET ROLE landlord").unwrap();
    for (left, right) in pairs {
        for (operator, result) in [
            (">=", "bool"),
            ("<=", "bool"),
            (">", "bool"),
            ("=", "bool"),
            ("*", "numeric"),
            ("/", "numeric"),
            ("-", "numeric"),
        ] {
            let name: String = operator.bytes().map(|byte| byte.to_string()).collect();
            let trap = format!(
                "CREATE FUNCTION public.trap_{name}({left}, {right}) RETURNS {result} LANGUAGE plpgsql AS
                    'BEGIN RAISE EXCEPTION ''trapped''; END';
                CREATE OPERATOR public.{operator} (PROCEDURE = public.trap_{name}, LEFTARG = {left},
                    RIGHTARG = {right})"
            );
            session.batch_execute(&trap).unwrap();
        }
    }
    session.batch_execute("RESET ROLE").unwrap();
    fill(&mut session, "a", &lumina_sets::photo(500, 1));
    let job = submit(&mut session, "a", 5);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    for query in
        ["TABLE lumina.job_progress", "SELECT * FROM lumina.duplicates('a')", "TABLE lumina.duplicate_statistics"]
    {
        session.query(query, &[]).unwrap();
    }
    // Only their own operators depend on them.
    let caught = "SELECT pg_describe_object(d.classid, d.objid, d.objsubid)
        FROM pg_depend d
        LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
        LEFT JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
        WHERE coalesce(o.oprowner, p.proowner) = 'landlord'::regrole AND d.classid <> 'pg_operator'::regclass";
    let caught: Vec<String> = session.query(caught, &[]).unwrap().iter().map(|row| row.get(0)).collect();
    assert!(caught.is_empty(), "{caught:?}");
}

/// A long job, and a launcher that resumes it whenever it has lost its worker.
fn begin_long_job() -> (Cluster, Client, i64) {
    let cluster = Cluster::start_with(&[("shared_preload_libraries", "lumina"), ("lumina.launcher_interval", "1")]);
    let mut session = cluster.connect();
    fill(&mut session, "a", &lumina_sets::uniform(1, 120_000, 0, 7));
    session.batch_execute("SET lumina.search_threads = 1; SET lumina.max_pairs = 100000000").unwrap();
    let submit = "SELECT lumina.detect_duplicates('a', rule => '[{\"dhash\": 16, \"pdq\": 10}]')";
    let job = session.query_one(submit, &[]).unwrap().get(0);
    (cluster, session, job)
}

/// Waits until the worker of this claim of a job, counted from 1, compares.
fn wait_for_claim(session: &mut Client, job: i64, claim: i32) {
    let claims = "SELECT attempts FROM lumina.jobs WHERE id = $1";
    wait_until(&format!("the job is claimed {claim} times"), || {
        session.query_one(claims, &[&job]).unwrap().get::<_, i32>(0) == claim
    });
    wait_for_phase(session, job, "comparing");
}

/// How often a job has lost its worker, and how often with the whole server.
fn losses(session: &mut Client, job: i64) -> (i32, i32) {
    let row = session.query_one("SELECT failures, restarts FROM lumina.jobs WHERE id = $1", &[&job]).unwrap();
    (row.get(0), row.get(1))
}

#[test]
fn restarts_of_the_server_are_no_failures() {
    let (cluster, mut session, job) = begin_long_job();
    for claim in 1..=5 {
        wait_for_claim(&mut session, job, claim);
        cluster.stop(Shutdown::Immediate);
        cluster.restart();
        session = cluster.connect();
    }
    wait_for_claim(&mut session, job, 6);
    assert_eq!(losses(&mut session, job), (1, 5), "the claim that runs counts until it gets further");
    // There is still a limit: if one crash ends the server, nothing distinguishes it from a restart.
    session.batch_execute("SELECT lumina.stop_workers()").unwrap();
    wait_until("the job is given back", || state(&mut session, job) == "queued");
    session.execute("UPDATE lumina.jobs SET restarts = 100 WHERE id = $1", &[&job]).unwrap();
    session.batch_execute("SELECT lumina.resume_jobs()").unwrap();
    assert_eq!(wait_for_end(&mut session, job), "failed");
    let row = session.query_one("SELECT error_code, error FROM lumina.jobs WHERE id = $1", &[&job]).unwrap();
    assert_eq!(row.get::<_, &str>(0), "worker_lost");
    assert!(row.get::<_, &str>(1).contains("with the whole server 100 times"), "{}", row.get::<_, &str>(1));
}

/// A crash of one backend ends all of them, but not the postmaster.
#[test]
fn crashes_that_a_job_may_have_caused_are_failures() {
    let (cluster, mut session, job) = begin_long_job();
    for claim in 1..=3 {
        wait_for_claim(&mut session, job, claim);
        assert_eq!(losses(&mut session, job), (claim, 0));
        let pid = "SELECT worker_pid FROM lumina.jobs WHERE id = $1";
        let pid: i32 = session.query_one(pid, &[&job]).unwrap().get(0);
        let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
        assert!(killed.success());
        wait_until("the server has ended its sessions", || session.simple_query("").is_err());
        wait_until("the server takes sessions again", || cluster.try_connect().map(|again| session = again).is_some());
    }
    assert_eq!(wait_for_end(&mut session, job), "failed");
    let row = session.query_one("SELECT error_code FROM lumina.jobs WHERE id = $1", &[&job]).unwrap();
    assert_eq!(row.get::<_, &str>(0), "worker_lost");
}
