//! Jobs: submitted, awaited, cancelled, refused; their guarantees to other sessions.

use lumina_cluster::Cluster;
use lumina_cluster::catalog::{fill, leftovers, result, state, submit, wait_for_end, wait_for_phase};
use lumina_cluster::cluster::wait_until;
use postgres::Client;
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use std::time::{Duration, Instant};

/// Hashes of which none are near one another, and enough of them that comparing takes seconds.
fn slow(session: &mut Client, catalog: &str) {
    fill(session, catalog, &lumina_sets::uniform(1, 120_000, 0, 7));
}

/// Submits a search that takes seconds: on one thread, within a distance at which bands do not help.
fn submit_slow(session: &mut Client, catalog: &str) -> i64 {
    session.batch_execute("SET lumina.search_threads = 1; SET lumina.max_pairs = 100000000").unwrap();
    let rule = "[{\"dhash\": 16, \"pdq\": 10}]";
    session.query_one("SELECT lumina.detect_duplicates($1, rule => $2)", &[&catalog, &rule]).unwrap().get(0)
}

fn error_of(result: Result<impl Sized, postgres::Error>) -> (SqlState, String, String) {
    let error = result.err().expect("an error");
    let error = error.as_db_error().expect("an error of the server");
    (error.code().clone(), error.message().into(), error.hint().unwrap_or_default().into())
}

#[test]
fn a_job_is_submitted_with_its_transaction() {
    let cluster = Cluster::start_with(&[("max_prepared_transactions", "2")]);
    let mut session = cluster.connect();
    fill(&mut session, "a", &lumina_sets::photo(500, 1));
    // Rolled back: no effect.
    session.batch_execute("BEGIN").unwrap();
    let job = submit(&mut session, "a", 5);
    let waiting = error_of(session.batch_execute(&format!("CALL lumina.wait_for_job({job})")));
    assert_eq!(waiting.0, SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    session.batch_execute("ROLLBACK").unwrap();
    assert_eq!(state(&mut session, job), "gone");
    // A savepoint as well.
    session.batch_execute("BEGIN; SAVEPOINT s").unwrap();
    let job = submit(&mut session, "a", 5);
    session.batch_execute("ROLLBACK TO s; COMMIT").unwrap();
    assert_eq!(state(&mut session, job), "gone");
    // Idle in its transaction: nobody else sees it, and nothing of other catalogs waits for it.
    fill(&mut session, "b", &lumina_sets::photo(500, 2));
    session.batch_execute("BEGIN").unwrap();
    let job = submit(&mut session, "a", 5);
    let mut other = cluster.connect();
    assert_eq!(state(&mut other, job), "gone");
    let elsewhere = submit(&mut other, "b", 5);
    assert_eq!(wait_for_end(&mut other, elsewhere), "succeeded");
    session.batch_execute("COMMIT").unwrap();
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    // Prepared: it stays queued until `resume_jobs`, say, since it is unknown when that is committed.
    session.batch_execute("BEGIN").unwrap();
    let job = submit(&mut session, "a", 5);
    session.batch_execute("PREPARE TRANSACTION 'p'").unwrap();
    session.batch_execute("COMMIT PREPARED 'p'").unwrap();
    assert_eq!(state(&mut session, job), "queued");
    assert_eq!(session.query_one("SELECT lumina.resume_jobs()", &[]).unwrap().get::<_, i32>(0), 1);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    assert_eq!(leftovers(&mut session), [""; 0]);
}

#[test]
fn two_submitters_get_one_job() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    fill(&mut session, "a", &lumina_sets::photo(500, 1));
    session.batch_execute("BEGIN").unwrap();
    let job = submit(&mut session, "a", 5);
    // The other one waits for the first to commit, and then gets that job.
    let mut other = cluster.connect();
    let second = std::thread::spawn(move || error_of(other.query_one("SELECT lumina.detect_duplicates('a')", &[])));
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    let mut third = cluster.connect();
    wait_until("the second submitter waits", || third.query_one(waiting, &[]).unwrap().get::<_, i64>(0) > 0);
    // The worker must not finish before the second has seen the job: it cannot lock the catalog.
    third.batch_execute("BEGIN; SELECT FROM lumina.catalogs FOR NO KEY UPDATE").unwrap();
    session.batch_execute("COMMIT").unwrap();
    let (code, message, hint) = second.join().unwrap();
    assert_eq!(code, SqlState::OBJECT_IN_USE);
    assert!(message.ends_with(&format!("already: {job}")), "{message}");
    assert!(hint.contains("wait_for_job"), "{hint}");
    third.batch_execute("COMMIT").unwrap();
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    assert_eq!(session.query_one("SELECT count(*) FROM lumina.jobs", &[]).unwrap().get::<_, i64>(0), 1);
}

#[test]
fn jobs_wait_for_a_worker() {
    let cluster = Cluster::start_with(&[("max_worker_processes", "0"), ("lumina.max_job_workers", "1")]);
    let mut session = cluster.connect();
    let catalogs = ["a", "b", "c", "d"];
    for (seed, catalog) in catalogs.iter().enumerate() {
        fill(&mut session, catalog, &lumina_sets::photo(300, seed as u64));
    }
    // No slot for any worker: a warning with a hint, and the job exists.
    let script = "SELECT lumina.detect_duplicates('a')";
    let said = cluster.psql("postgres", &["-A", "-t"], script).text;
    assert!(said.contains("WARNING:  no background worker is free: the job stays queued"), "{said}");
    assert!(said.contains("HINT:  SELECT lumina.resume_jobs()"), "{said}");
    drop(session);
    cluster.configure(&[("max_worker_processes", "8")]);
    cluster.restart();
    let mut session = cluster.connect();
    assert_eq!(state(&mut session, 1), "queued");
    // The next job's worker takes the older one first. All are run, though only one may run at once.
    let jobs: Vec<i64> = catalogs[1..].iter().map(|catalog| submit(&mut session, catalog, 5)).collect();
    for job in [1].iter().chain(&jobs) {
        assert_eq!(wait_for_end(&mut session, *job), "succeeded");
    }
    let order = "SELECT array_agg(id ORDER BY claimed_at) = array_agg(id ORDER BY id), max(attempts) FROM lumina.jobs";
    let row = session.query_one(order, &[]).unwrap();
    assert!(row.get::<_, bool>(0) && row.get::<_, i32>(1) == 1, "jobs were not run in turn");
    let overlap = "SELECT count(*) FROM lumina.jobs a JOIN lumina.jobs b ON a.id < b.id AND a.ended_at > b.claimed_at";
    assert_eq!(session.query_one(overlap, &[]).unwrap().get::<_, i64>(0), 0, "two ran at once");
}

#[test]
fn cancelled() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    slow(&mut session, "slow");
    fill(&mut session, "quick", &lumina_sets::photo(2000, 1));
    let job = submit(&mut session, "quick", 5);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    assert!(!session.query_one("SELECT lumina.cancel_job($1)", &[&job]).unwrap().get::<_, bool>(0), "it has ended");
    // While it compares: an open transaction's request has no effect; when it commits, the job ends.
    let mut other = cluster.connect();
    for phase in ["comparing", "starting"] {
        let job = submit_slow(&mut session, "slow");
        if phase == "comparing" {
            wait_for_phase(&mut session, job, phase);
        }
        other.batch_execute("BEGIN").unwrap();
        other.query_one("SELECT lumina.cancel_job($1)", &[&job]).unwrap();
        std::thread::sleep(Duration::from_millis(50)); // not for anything to happen: for nothing to
        assert!(["queued", "running"].contains(&state(&mut session, job).as_str()));
        other.batch_execute("COMMIT").unwrap();
        assert_eq!(wait_for_end(&mut session, job), "cancelled");
        let row = session
            .query_one("SELECT error_code, error, error_sqlstate FROM lumina.jobs WHERE id = $1", &[&job])
            .unwrap();
        assert_eq!(row.get::<_, &str>(0), "cancelled");
        assert!(row.get::<_, &str>(1).starts_with("cancelled by \"postgres\""), "{}", row.get::<_, &str>(1));
        let waited = error_of(session.batch_execute(&format!("CALL lumina.wait_for_job({job})")));
        assert_eq!(waited.0, SqlState::QUERY_CANCELED);
    }
    // By pg_cancel_backend.
    let job = submit_slow(&mut session, "slow");
    wait_for_phase(&mut session, job, "comparing");
    session.execute("SELECT pg_cancel_backend(worker_pid) FROM lumina.jobs WHERE id = $1", &[&job]).unwrap();
    assert_eq!(wait_for_end(&mut session, job), "cancelled");
    // Retried, as a new job, which refers to the old one.
    let again: i64 = session.query_one("SELECT lumina.retry_job($1)", &[&job]).unwrap().get(0);
    session.query_one("SELECT lumina.cancel_job($1)", &[&again]).unwrap();
    assert_eq!(wait_for_end(&mut session, again), "cancelled");
    let parent = "SELECT parent = $1 AND parameters = (SELECT parameters FROM lumina.jobs WHERE id = $1)
        FROM lumina.jobs WHERE id = $2";
    assert!(session.query_one(parent, &[&job, &again]).unwrap().get::<_, bool>(0));
    assert_eq!(leftovers(&mut session), [""; 0]);
}

#[test]
fn a_failure_leaves_the_old_groups() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    fill(&mut session, "a", &lumina_sets::photo(20_000, 1));
    let job = submit(&mut session, "a", 5);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    let before = result(&mut session, "a");
    session.batch_execute("SET lumina.max_pairs = 10").unwrap();
    let job = submit(&mut session, "a", 6);
    let (code, message, hint) = error_of(session.batch_execute(&format!("CALL lumina.wait_for_job({job})")));
    assert_eq!(code, SqlState::CONFIGURATION_LIMIT_EXCEEDED);
    assert!(message.contains("more than 10 pairs") && hint.contains("lumina.max_pairs"), "{message} {hint}");
    let row = session.query_one("SELECT error_code FROM lumina.jobs WHERE id = $1", &[&job]).unwrap();
    assert_eq!(row.get::<_, &str>(0), "too_many_pairs");
    assert_eq!(result(&mut session, "a"), before);
    session.batch_execute("SET lumina.max_pairs = 1000000; SET lumina.search_memory = '1MB'").unwrap();
    let job = submit(&mut session, "a", 6);
    let (code, ..) = error_of(session.batch_execute(&format!("CALL lumina.wait_for_job({job})")));
    assert_eq!(code, SqlState::CONFIGURATION_LIMIT_EXCEEDED);
    assert_eq!(result(&mut session, "a"), before);
    assert_eq!(leftovers(&mut session), [""; 0]);
    // The worker whose job failed serves the next job.
    session.batch_execute("RESET lumina.search_memory").unwrap();
    let job = submit(&mut session, "a", 6);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    assert_ne!(result(&mut session, "a"), before);
}

/// Whatever the database's and the role's settings are, and even if the submitter cannot log in.
#[test]
fn the_worker_has_an_environment_of_its_own() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    fill(&mut session, "a", &lumina_sets::photo(1000, 1));
    session
        .batch_execute(
            "CREATE ROLE album NOLOGIN; SELECT lumina.grant_catalog('a', 'album', 'curate');
            CREATE SCHEMA evil; CREATE FUNCTION evil.unnest(int8[]) RETURNS SETOF int8 LANGUAGE sql AS 'SELECT 1/0';
            GRANT USAGE ON SCHEMA evil TO album;
            ALTER DATABASE postgres SET default_transaction_read_only = on;
            ALTER DATABASE postgres SET default_transaction_isolation = serializable;
            ALTER DATABASE postgres SET search_path = evil, pg_catalog, public;
            ALTER DATABASE postgres SET statement_timeout = '1ms';
            ALTER DATABASE postgres SET lock_timeout = '1ms';
            ALTER DATABASE postgres SET session_replication_role = replica;
            ALTER DATABASE postgres SET synchronous_commit = off;
            ALTER DATABASE postgres SET row_security = off;
            ALTER DATABASE postgres SET datestyle = 'SQL, DMY';
            ALTER ROLE album SET work_mem = '64kB'",
        )
        .unwrap();
    session.batch_execute("SET ROLE album").unwrap();
    let job = submit(&mut session, "a", 5);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    let row = session.query_one("SELECT owner::text, attempts FROM lumina.jobs WHERE id = $1", &[&job]).unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, i32>(1)), ("album", 1));
    // Rights are also checked when a job is claimed.
    session.batch_execute("RESET ROLE; BEGIN; SET LOCAL ROLE album").unwrap();
    let job = submit(&mut session, "a", 5);
    session.batch_execute("RESET ROLE; SELECT lumina.revoke_catalog('a', 'album', 'curate'); COMMIT").unwrap();
    assert_eq!(wait_for_end(&mut session, job), "failed");
    let row = session.query_one("SELECT error_code, error FROM lumina.jobs WHERE id = $1", &[&job]).unwrap();
    assert_eq!(row.get::<_, &str>(0), "permission_denied", "{}", row.get::<_, &str>(1));
}

#[test]
fn everybody_who_listens_is_told() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    fill(&mut session, "a secret name", &lumina_sets::photo(1000, 1));
    let mut listener = cluster.connect();
    listener.batch_execute("LISTEN lumina_jobs").unwrap();
    let job = submit(&mut session, "a secret name", 5);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    let mut heard = listener.notifications();
    let mut heard = heard.timeout_iter(Duration::from_secs(30));
    let mut states = Vec::new();
    while states.last().is_none_or(|state: &String| !state.contains("succeeded")) {
        let payload = heard.next().unwrap().expect("a notification").payload().to_owned();
        assert!(!payload.contains("secret"), "{payload}");
        assert!(payload.contains(&format!("\"job\" : {job}")), "{payload}");
        states.push(payload);
    }
    for (heard, expected) in states.iter().zip(["queued", "running"]) {
        assert!(heard.contains(expected), "{states:?}");
    }
}

#[test]
fn waiting_goes_on_in_any_transaction() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    slow(&mut session, "slow");
    let job = submit_slow(&mut session, "slow");
    // In a block, with a snapshot from before the end; and outside of one, without a snapshot.
    let mut inside = cluster.connect();
    let inside = std::thread::spawn(move || {
        inside.batch_execute(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT; CALL lumina.wait_for_job({job}); COMMIT"
        ))
    });
    let mut outside = cluster.connect();
    let pid: i32 = outside.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let outside = std::thread::spawn(move || outside.batch_execute(&format!("CALL lumina.wait_for_job({job})")));
    wait_for_phase(&mut session, job, "comparing");
    let holds = "SELECT backend_xmin IS NOT NULL FROM pg_stat_activity WHERE pid = $1";
    let mut free = 0;
    while state(&mut session, job) == "running" {
        free += usize::from(!session.query_one(holds, &[&pid]).unwrap().get::<_, bool>(0));
    }
    assert!(free > 10, "a waiting session held a snapshot all the time: {free}");
    inside.join().unwrap().unwrap();
    outside.join().unwrap().unwrap();
}

#[test]
fn workers_are_stopped_for_drop_database() {
    let cluster = Cluster::start();
    let mut admin = cluster.connect();
    admin.batch_execute("CREATE DATABASE photos").unwrap();
    let mut session = cluster.connect_to("photos", "postgres");
    slow(&mut session, "slow");
    let job = submit_slow(&mut session, "slow");
    wait_for_phase(&mut session, job, "comparing");
    assert_eq!(session.query_one("SELECT lumina.stop_workers()", &[]).unwrap().get::<_, i32>(0), 1);
    wait_until("the job is given back", || state(&mut session, job) == "queued");
    let note = "SELECT note FROM lumina.job_progress WHERE job = $1";
    assert!(session.query_one(note, &[&job]).unwrap().get::<_, &str>(0).contains("resume_jobs"));
    // No worker resumes it, until requested.
    fill(&mut session, "quick", &lumina_sets::photo(100, 1));
    let waiting = submit(&mut session, "quick", 5);
    let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'lumina worker'";
    wait_until("workers are gone", || session.query_one(workers, &[]).unwrap().get::<_, i64>(0) == 0);
    assert_eq!((state(&mut session, job).as_str(), state(&mut session, waiting).as_str()), ("queued", "queued"));
    assert_eq!(session.query_one("SELECT lumina.resume_jobs()", &[]).unwrap().get::<_, i32>(0), 2);
    assert_eq!(wait_for_end(&mut session, waiting), "succeeded");
    wait_for_phase(&mut session, job, "comparing");
    session.query_one("SELECT lumina.stop_workers()", &[]).unwrap();
    drop(session);
    admin.batch_execute("DROP DATABASE photos").unwrap();
    // Or WITH (FORCE).
    admin.batch_execute("CREATE DATABASE photos").unwrap();
    let mut session = cluster.connect_to("photos", "postgres");
    slow(&mut session, "slow");
    let job = submit_slow(&mut session, "slow");
    wait_for_phase(&mut session, job, "comparing");
    drop(session);
    admin.batch_execute("DROP DATABASE photos WITH (FORCE)").unwrap();
    assert!(!cluster.log().contains("PANIC") && !cluster.log().contains("terminated by signal"));
}

#[test]
fn what_a_job_is_for_may_go_while_it_runs() {
    let cluster = Cluster::start();
    let mut session = cluster.connect();
    for drop in ["SELECT lumina.drop_catalog('slow')", "DROP EXTENSION lumina"] {
        slow(&mut session, "slow");
        let job = submit_slow(&mut session, "slow");
        wait_for_phase(&mut session, job, "comparing");
        session.batch_execute(drop).unwrap();
        let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'lumina worker'";
        wait_until("the worker has gone", || session.query_one(workers, &[]).unwrap().get::<_, i64>(0) == 0);
    }
    let log = cluster.log();
    assert!(log.contains("is gone"), "{log}");
    assert!(!log.contains("WARNING") && !log.contains("PANIC") && !log.contains("deadlock"), "{log}");
}

#[test]
fn ended_jobs_go_after_a_while() {
    let cluster = Cluster::start_with(&[("lumina.job_retention", "0")]);
    let mut session = cluster.connect();
    fill(&mut session, "a", &lumina_sets::photo(300, 1));
    for distance in 3..7 {
        let job = submit(&mut session, "a", distance);
        // The next reader may see it deleted.
        wait_for_end(&mut session, job);
        let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'lumina worker'";
        wait_until("the worker has gone", || session.query_one(workers, &[]).unwrap().get::<_, i64>(0) == 0);
    }
    // The job whose groups are shown stays; the runs of the others were deleted with them.
    let left = "SELECT array_agg(j.id), (SELECT count(*) FROM lumina.duplicate_runs) FROM lumina.jobs j";
    let row = session.query_one(left, &[]).unwrap();
    assert_eq!((row.get::<_, Vec<i64>>(0), row.get::<_, i64>(1)), (vec![4], 1));
    assert_ne!(result(&mut session, "a"), "none 0");
}

/// If all places for searches are taken a job waits for one, reports that, and can be cancelled meanwhile.
#[test]
fn a_job_that_waits_for_a_place_says_so() {
    let cluster = Cluster::start_with(&[("lumina.concurrent_searches", "1"), ("work_mem", "64kB")]);
    let mut session = cluster.connect();
    fill(&mut session, "a", &lumina_sets::photo(500, 1));
    session.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let mut holder = cluster.connect();
    let holding = std::thread::spawn(move || {
        let large = "SELECT count(*) FROM phash_pairs('SELECT i, i::int8::phash FROM generate_series(1, 20000) i
            UNION ALL SELECT 0, 0::int8::phash FROM pg_advisory_xact_lock(1)', 0)";
        holder.batch_execute(large).unwrap();
    });
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    wait_until("a search has the place", || session.query_one(waits, &[]).unwrap().get::<_, i64>(0) == 1);
    let note = |session: &mut Client, job: i64| -> String {
        session.query_one("SELECT note FROM lumina.job_progress WHERE job = $1", &[&job]).unwrap().get(0)
    };
    for end in ["cancel_job", "pg_cancel_backend"] {
        let job = submit(&mut session, "a", 5);
        wait_until("the job says why it waits", || note(&mut session, job).contains("lumina.concurrent_searches"));
        assert_eq!(state(&mut session, job), "running");
        let began = Instant::now();
        match end {
            "cancel_job" => drop(session.query_one("SELECT lumina.cancel_job($1)", &[&job]).unwrap()),
            _ => {
                drop(session.query_one("SELECT pg_cancel_backend(worker_pid) FROM lumina.jobs WHERE id = $1", &[&job]))
            }
        }
        assert_eq!(wait_for_end(&mut session, job), "cancelled");
        assert!(began.elapsed() < Duration::from_secs(4), "{end}: {:?}", began.elapsed());
    }
    let job = submit(&mut session, "a", 5);
    wait_until("the job says why it waits", || note(&mut session, job).contains("lumina.concurrent_searches"));
    session.batch_execute("SELECT pg_advisory_unlock(1)").unwrap();
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    assert_eq!(note(&mut session, job), "");
    holding.join().unwrap();
}
