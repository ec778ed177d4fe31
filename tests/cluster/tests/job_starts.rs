//! How many workers are started: none that would find nothing to do, however often it is requested; and no job is
//! forgotten.

use lumina_cluster::Cluster;
use lumina_cluster::catalog::{fill, leftovers, state, submit, wait_for_end, wait_for_phase};
use lumina_cluster::cluster::wait_until;
use postgres::Client;
use postgres::error::SqlState;
use std::time::{Duration, Instant};

/// How often each session requests one.
const TIMES: usize = 500;

/// How many workers the server has started so far; Postgres logs them at DEBUG1.
fn started(cluster: &Cluster) -> usize {
    cluster.log().matches("starting background worker process \"lumina worker").count()
}

/// A server with one place for jobs, and two catalogs.
fn world() -> (Cluster, Client) {
    let cluster = Cluster::start_with(&[("lumina.max_job_workers", "1"), ("log_min_messages", "debug1")]);
    let mut session = cluster.connect();
    for (seed, catalog) in ["a", "b"].iter().enumerate() {
        fill(&mut session, catalog, &lumina_sets::photo(300, seed as u64));
    }
    session.batch_execute("CREATE ROLE curator LOGIN").unwrap();
    for catalog in ["a", "b"] {
        session.execute("SELECT lumina.grant_catalog($1, 'curator', 'curate')", &[&catalog]).unwrap();
    }
    (cluster, session)
}

/// Keeps the job of a catalog from ending.
fn lock_catalog(cluster: &Cluster, catalog: &str) -> Client {
    let mut holder = cluster.connect();
    holder.batch_execute("BEGIN").unwrap();
    holder.query_one("SELECT id FROM lumina.catalogs WHERE name = $1 FOR NO KEY UPDATE", &[&catalog]).unwrap();
    holder
}

/// Two sessions repeat something all the time; panics if that starts many workers: more than a few, plus one per second
/// and session.
fn few(cluster: &Cluster, what: &str, act: impl Fn(&mut Client) + Sync) {
    let (before, began) = (started(cluster), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut session = cluster.connect_to("postgres", "curator");
                (0..TIMES).for_each(|_| act(&mut session));
            });
        }
    });
    let workers = started(cluster) - before;
    let few = 2 * (4 + began.elapsed().as_secs() as usize);
    assert!(workers <= few, "{} times {what} started {workers} workers, more than {few}", 2 * TIMES);
}

fn count(session: &mut Client, from: &str) -> i64 {
    session.query_one(&format!("SELECT count(*) FROM {from}"), &[]).unwrap().get(0)
}

fn refused(session: &mut Client, catalog: &str) {
    let error = session.query("SELECT lumina.detect_duplicates($1)", &[&catalog]).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::OBJECT_IN_USE), "{error}");
}

#[test]
fn refused_submissions_start_few_workers() {
    let (cluster, mut session) = world();
    let holder = lock_catalog(&cluster, "a");
    let first = submit(&mut session, "a", 5);
    wait_for_phase(&mut session, first, "writing");
    let second = submit(&mut session, "b", 5);
    few(&cluster, "of a job that runs", |session| refused(session, "a"));
    few(&cluster, "of a job that waits for the only place", |session| refused(session, "b"));
    session.batch_execute("SELECT lumina.stop_workers()").unwrap();
    // The worker waits for the row of the catalog, and gets no cancel request meanwhile.
    drop(holder);
    wait_until("the job is given back or done", || state(&mut session, first) != "running");
    few(&cluster, "of a job that waits for resume_jobs", |session| refused(session, "b"));
    let mut locker = cluster.connect();
    locker.batch_execute("BEGIN; SELECT FROM lumina.jobs WHERE state = 'queued' FOR UPDATE").unwrap();
    session.batch_execute("SELECT lumina.resume_jobs()").unwrap();
    few(&cluster, "of a job that nobody can claim", |session| refused(session, "b"));
    locker.batch_execute("ROLLBACK").unwrap();
    // The next one is still started by it.
    wait_until("it is claimed", || {
        if state(&mut session, second) == "queued" {
            let _ = session.query("SELECT lumina.detect_duplicates('b')", &[]); // it may have ended meanwhile
        }
        state(&mut session, second) != "queued"
    });
    assert_eq!(wait_for_end(&mut session, second), "succeeded");
}

#[test]
fn what_is_taken_back_starts_few_workers() {
    let (cluster, mut session) = world();
    few(&cluster, "a submission that is rolled back", |session| {
        session.batch_execute("BEGIN; SELECT lumina.detect_duplicates('a'); ROLLBACK").unwrap();
    });
    let savepoint = std::sync::Mutex::new(());
    few(&cluster, "a submission to a savepoint", |session| {
        let _one = savepoint.lock().unwrap(); // the other one would wait for its end
        session
            .batch_execute("BEGIN; SAVEPOINT s; SELECT lumina.detect_duplicates('a'); ROLLBACK TO s; COMMIT")
            .unwrap();
    });
    // A queued job of the curator, and one that nobody can claim.
    let holder = lock_catalog(&cluster, "a");
    let first = submit(&mut session, "a", 5);
    wait_for_phase(&mut session, first, "writing");
    let second = submit(&mut cluster.connect_to("postgres", "curator"), "b", 5);
    let cancel = format!("BEGIN; SELECT lumina.cancel_job({second}); ROLLBACK");
    few(&cluster, "a cancellation", |session| session.batch_execute(&cancel).unwrap());
    few(&cluster, "resume_jobs", |session| session.batch_execute("SELECT lumina.resume_jobs()").unwrap());
    let mut locker = cluster.connect();
    locker.execute("SELECT lumina.cancel_job($1)", &[&first]).unwrap();
    locker.batch_execute("BEGIN").unwrap();
    locker.query_one("SELECT id FROM lumina.jobs WHERE id = $1 FOR NO KEY UPDATE", &[&second]).unwrap();
    drop(holder);
    assert_eq!(wait_for_end(&mut session, first), "cancelled");
    few(&cluster, "resume_jobs for what nobody can claim", |session| {
        session.batch_execute("SELECT lumina.resume_jobs()").unwrap();
    });
    locker.batch_execute("ROLLBACK").unwrap();
    session.batch_execute(&format!("CALL lumina.wait_for_job({second})")).unwrap();
    assert_eq!(leftovers(&mut session), [""; 0]);
}

/// Earlier starts for other reasons do not prevent requested ones.
#[test]
fn resume_jobs_starts_workers_whatever_was_before() {
    let (cluster, mut session) = world();
    let mut curator = cluster.connect_to("postgres", "curator");
    session.batch_execute("SELECT lumina.stop_workers()").unwrap();
    let job = submit(&mut session, "a", 5);
    for _ in 0..6 {
        let other = submit(&mut session, "b", 5);
        session.execute("SELECT lumina.cancel_job($1)", &[&other]).unwrap();
        refused(&mut session, "a");
    }
    wait_until("the workers that were started have ended", || {
        count(&mut curator, "pg_stat_activity WHERE backend_type = 'lumina worker'") == 0
    });
    session.batch_execute("SELECT lumina.resume_jobs()").unwrap();
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
}

/// Many jobs in one transaction, and many transactions of a session: all are run, without a launcher and without a
/// waiting session.
#[test]
fn no_job_is_forgotten() {
    let cluster = Cluster::start_with(&[("log_min_messages", "debug1")]);
    let mut session = cluster.connect();
    let catalogs: Vec<String> = (0..30).map(|number| format!("catalog {number}")).collect();
    for (seed, catalog) in catalogs.iter().enumerate() {
        fill(&mut session, catalog, &lumina_sets::photo(20, seed as u64));
    }
    for at_once in [true, false, false, false] {
        if at_once {
            session.batch_execute("BEGIN").unwrap();
        }
        let jobs: Vec<i64> = catalogs.iter().map(|catalog| submit(&mut session, catalog, 5)).collect();
        let before = started(&cluster);
        if at_once {
            session.batch_execute("COMMIT").unwrap();
        }
        for job in jobs {
            assert_eq!(wait_for_end(&mut session, job), "succeeded");
        }
        assert!(
            !at_once || started(&cluster) - before <= 4,
            "{} workers for one transaction",
            started(&cluster) - before
        );
    }
    // A savepoint that is rolled back unlocks the row of a job that a worker has skipped meanwhile.
    let job = {
        let mut other = cluster.connect();
        session.batch_execute("SELECT lumina.stop_workers()").unwrap();
        let job = submit(&mut other, "catalog 0", 4);
        session.batch_execute(&format!("BEGIN; SAVEPOINT s; SELECT lumina.cancel_job({job})")).unwrap();
        other.batch_execute("SELECT lumina.resume_jobs()").unwrap();
        job
    };
    let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'lumina worker'";
    let mut other = cluster.connect();
    wait_until("the worker has passed by", || other.query_one(workers, &[]).unwrap().get::<_, i64>(0) == 0);
    session.batch_execute("ROLLBACK TO s; COMMIT").unwrap();
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
}

/// Each submission needs a worker, and most find their job cancelled: they leave slots to others all the same.
#[test]
fn what_is_cancelled_leaves_slots_to_others() {
    let (cluster, mut session) = world();
    std::thread::scope(|scope| {
        let sessions: Vec<_> = ["a", "b"]
            .map(|catalog| {
                let cluster = &cluster;
                scope.spawn(move || {
                    let mut session = cluster.connect_to("postgres", "curator");
                    for _ in 0..TIMES / 4 {
                        let job = submit(&mut session, catalog, 5);
                        session.execute("SELECT lumina.cancel_job($1)", &[&job]).unwrap();
                        session.batch_execute(&format!("CALL lumina.wait_for_job({job})")).unwrap_err();
                    }
                })
            })
            .into();
        let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'lumina worker'";
        let mut most = 0;
        while sessions.iter().any(|session| !session.is_finished()) {
            most = most.max(session.query_one(workers, &[]).unwrap().get::<_, i64>(0));
        }
        // One for each of both; one that has ended its last job beside one of them; cancelling starts one more.
        assert!(most <= 5, "{most} workers at once");
    });
    assert!(!cluster.log().contains("no background worker is free"), "{}", cluster.log());
    assert_eq!(leftovers(&mut session), [""; 0]);
}

/// What a transaction did before it queued a job does not keep it from starting a worker for that, and it waits for no
/// worker that waits for it.
#[test]
fn a_job_beside_others_is_started() {
    let (_cluster, mut session) = world();
    let mixed = "BEGIN; SAVEPOINT s; SELECT lumina.detect_duplicates('a');
        SELECT lumina.cancel_job(max(id)) FROM lumina.jobs; ROLLBACK TO s;
        SELECT lumina.detect_duplicates('b'); SELECT lumina.detect_duplicates('a'); COMMIT";
    let waiting = "lumina.jobs WHERE state IN ('queued', 'running')";
    let mut took = Duration::ZERO;
    for _ in 0..10 {
        let began = Instant::now();
        session.batch_execute(mixed).unwrap();
        took += began.elapsed();
        // Nothing but the transaction has started a worker.
        wait_until("both jobs have ended", || count(&mut session, waiting) == 0);
    }
    assert!(took < Duration::from_secs(5), "{took:?}"); // a second each, if it waited
}

#[test]
fn a_wait_names_what_it_waits_for() {
    let cluster = Cluster::start_with(&[("max_worker_processes", "0")]);
    let mut session = cluster.connect();
    fill(&mut session, "a", &lumina_sets::photo(300, 1));
    let job = submit(&mut session, "a", 5);
    let calls = [
        format!("SET statement_timeout = '4s'; CALL lumina.wait_for_job({job})"),
        "SELECT lumina.resume_jobs()".into(),
        "SELECT lumina.detect_duplicates('a')".into(),
    ];
    for call in calls {
        let said = cluster.psql("postgres", &["-A", "-t"], &call).text;
        assert!(said.contains("WARNING:  no background worker is free"), "{call}: {said}");
        assert!(said.contains("max_worker_processes = 0 "), "{call}: {said}");
    }
    let note = "SELECT note FROM lumina.job_progress WHERE job = $1";
    wait_until("the note says so", || {
        session.query_one(note, &[&job]).unwrap().get::<_, &str>(0).contains("max_worker_processes")
    });
}
