//! The places of bulk searches: how many run at once, who holds one and for how long, and what happens without one.

use lumina_cluster::Cluster;
use lumina_cluster::cluster::wait_until;
use lumina_cluster::sessions::{start, waits};
use postgres::Client;
use postgres::error::SqlState;
use std::process::Command;
use std::time::{Duration, Instant};

/// Far more than the promised second, and less than the five for which a search waits for a place.
const SOON: Duration = Duration::from_secs(4);

fn pid(session: &mut Client) -> i32 {
    session.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0)
}

/// A search of few rows, the last of which arrives when `last` does: it has no place until then.
fn search(last: &str) -> String {
    format!("SELECT * FROM phash_pairs($$SELECT 1, phash 'ab' FROM {last}$$, 0)")
}

/// A search of more rows than fit in `work_mem`: it has its place when it reads the last one.
fn large_search(last: &str) -> String {
    format!(
        "SELECT * FROM phash_pairs($$SELECT i, i::int8::phash FROM generate_series(1, 20000) i
            UNION ALL SELECT 0, 0::int8::phash FROM {last}$$, 0)"
    )
}

const AT_ONCE: &str = "(VALUES (1)) v";
const ONE_PLACE: [(&str, &str); 3] =
    [("lumina.concurrent_searches", "1"), ("work_mem", "64kB"), ("restart_after_crash", "on")];

fn admitted(session: &mut Client) {
    session.batch_execute(&search(AT_ONCE)).unwrap();
}

/// Refused before anything is read.
fn refused(session: &mut Client) {
    let began = Instant::now();
    let error = session.batch_execute(&search("pg_sleep(1000)")).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::CONFIGURATION_LIMIT_EXCEEDED), "{error:?}");
    assert!(error.as_db_error().unwrap().hint().unwrap().contains("lumina.concurrent_searches"));
    assert!(began.elapsed() < SOON);
}

#[test]
fn one_search_at_a_time() {
    let cluster = Cluster::start_with(&ONE_PLACE);
    cluster.sql("postgres", "CREATE EXTENSION lumina; CREATE DATABASE other");
    cluster.sql("other", "CREATE EXTENSION lumina");
    let sleep = |admin: &mut Client, session: Client, process| {
        let running = start(session, large_search("pg_sleep(1000)"));
        wait_until("the first search sleeps", || waits(admin, process, "PgSleep"));
        running
    };
    let (mut admin, mut second) = (cluster.connect(), cluster.connect());
    let mut elsewhere = cluster.connect_to("other", "postgres");

    // Cancelled: also in a subtransaction, whose end releases the place.
    let mut first = cluster.connect();
    let process = pid(&mut first);
    let running = sleep(&mut admin, first, process);
    refused(&mut second);
    refused(&mut elsewhere);
    admin.execute("SELECT pg_cancel_backend($1)", &[&process]).unwrap();
    let (mut first, result, _) = running.join().unwrap();
    assert_eq!(result.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
    admitted(&mut second);
    admitted(&mut elsewhere);
    let fails = large_search("generate_series(1, 1 / (random() * 0)::int)");
    first.batch_execute("BEGIN; SAVEPOINT s").unwrap();
    first.batch_execute(&fails).unwrap_err();
    first.batch_execute("ROLLBACK TO s").unwrap();
    admitted(&mut second);
    // Ended: at the end of the call, not of the transaction.
    first.batch_execute(&search(AT_ONCE)).unwrap();
    admitted(&mut second);
    first
        .batch_execute("DECLARE c CURSOR FOR SELECT * FROM phash_pairs('VALUES (1, phash ''ab''), (2, ''ab'')', 0)")
        .unwrap();
    first.batch_execute("FETCH c").unwrap();
    admitted(&mut second);
    first.batch_execute("COMMIT; SELECT pg_advisory_unlock_all()").unwrap();
    admin.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let running = start(first, large_search("pg_advisory_xact_lock(1)"));
    wait_until("the first search waits", || waits(&mut admin, process, "advisory"));
    refused(&mut second);
    admin.batch_execute("SELECT pg_advisory_unlock(1)").unwrap();
    let (first, result, _) = running.join().unwrap();
    result.unwrap();
    admitted(&mut second);

    // Terminated.
    let running = sleep(&mut admin, first, process);
    refused(&mut second);
    admin.execute("SELECT pg_terminate_backend($1)", &[&process]).unwrap();
    running.join().unwrap().1.unwrap_err();
    wait_until("the first search is gone", || second.batch_execute(&search(AT_ONCE)).is_ok());

    // Killed: Postgres restarts, and the place is free.
    let mut first = cluster.connect();
    let process = pid(&mut first);
    let running = sleep(&mut admin, first, process);
    assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
    running.join().unwrap().1.unwrap_err();
    wait_until("Postgres is back", || cluster.log().matches("ready to accept connections").count() >= 2);
    admitted(&mut cluster.connect());
}

/// A slow query occupies no place, however deeply it is nested; nested searches share a place and a memory grant.
#[test]
fn a_session_has_one_place_and_none_while_it_reads() {
    let cluster = Cluster::start_with(&ONE_PLACE);
    cluster.sql("postgres", "CREATE EXTENSION lumina");
    let (mut admin, mut first, mut second) = (cluster.connect(), cluster.connect(), cluster.connect());
    let process = pid(&mut first);
    let sleeps = [
        "phash_pairs($a$SELECT 1::int8, phash 'ab' FROM phash_pairs($b$SELECT 1::int8, phash 'ab'
            FROM phash_pairs($c$SELECT 1, phash 'ab' FROM pg_sleep(1000)$c$, 0)$b$, 0)$a$, 0)",
        // Both queries are read before it takes a place.
        "phash_matches('SELECT 2, phash ''ab''', 'SELECT 1, phash ''ab'' FROM pg_sleep(1000)', 0)",
        "phash_groups('SELECT 1, phash ''ab'' FROM pg_sleep(1000)', 0)",
        "phash_plan('SELECT 1, phash ''ab'' FROM pg_sleep(1000)', 0)",
    ];
    for call in sleeps {
        let running = start(first, format!("SELECT * FROM {call}"));
        wait_until("a query of a search sleeps", || waits(&mut admin, process, "PgSleep"));
        admitted(&mut second);
        second.batch_execute(&large_search(AT_ONCE)).unwrap();
        admin.execute("SELECT pg_cancel_backend($1)", &[&process]).unwrap();
        let (back, result, _) = running.join().unwrap();
        assert_eq!(result.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED), "{call}");
        first = back;
    }

    // The outer one holds the place when the inner one needs one.
    let nested = |rows: u32| {
        format!(
            "SELECT count(*) FROM phash_pairs($$SELECT i, i::int8::phash FROM generate_series(1, {rows}) i
            UNION ALL SELECT x.b + 1000000, x.b::phash
            FROM phash_pairs('SELECT i, (i / 2)::int8::phash FROM generate_series(2, {rows} - 1) i', 0) x$$, 0)"
        )
    };
    let beside = "SELECT count(*) FROM phash_pairs('VALUES (1, phash ''ab''), (2, ''ab'')', 0) a,
        phash_pairs('VALUES (1, phash ''ab''), (2, ''ab'')', 0) b";
    for _ in 0..3 {
        assert!(first.query_one(&nested(20_000), &[]).unwrap().get::<_, i64>(0) > 0);
        assert_eq!(first.query_one(beside, &[]).unwrap().get::<_, i64>(0), 1);
        admitted(&mut second);
    }
    // Each of them alone has enough memory.
    let many = "SELECT i, (i / 2)::int8::phash FROM generate_series(2, 199999) i";
    first.batch_execute("SET lumina.search_memory = '8MB'").unwrap();
    first.batch_execute(&format!("SELECT count(*) FROM phash_pairs('{many}', 0)")).unwrap();
    let inside = format!("{many} UNION ALL SELECT x.b, x.b::phash FROM phash_pairs('{many}', 0) x WHERE x.a < 0");
    let error = first.batch_execute(&format!("SELECT count(*) FROM phash_pairs($${inside}$$, 0)")).unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains("lumina.search_memory"), "{error:?}");
    first.batch_execute("RESET lumina.search_memory").unwrap();

    // A caught error releases the place, while the transaction continues.
    admin.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let fails = large_search("generate_series(1, 1 / (random() * 0)::int)");
    let caught = format!(
        "DO $do$ BEGIN
            BEGIN PERFORM FROM ({fails}) f; RAISE 'no error'; EXCEPTION WHEN division_by_zero THEN NULL; END;
            PERFORM pg_advisory_xact_lock(1);
        END $do$"
    );
    let running = start(first, caught);
    wait_until("the transaction goes on", || waits(&mut admin, process, "advisory"));
    admitted(&mut second);
    admin.batch_execute("SELECT pg_advisory_unlock(1)").unwrap();
    running.join().unwrap().1.unwrap();
}

/// A search that finds no place after reading waits for one with a timeout, and can be cancelled.
#[test]
fn a_search_that_has_read_waits() {
    let cluster = Cluster::start_with(&ONE_PLACE);
    cluster.sql("postgres", "CREATE EXTENSION lumina");
    let (mut admin, mut holder, mut session) = (cluster.connect(), cluster.connect(), cluster.connect());
    let (held_by, process) = (pid(&mut holder), pid(&mut session));
    for end in ["admitted", "cancelled", "refused"] {
        admin.batch_execute("SELECT pg_advisory_lock(1), pg_advisory_lock(2)").unwrap();
        let reading = start(session, search("pg_advisory_xact_lock(2)"));
        wait_until("the session reads", || waits(&mut admin, process, "advisory"));
        let holding = start(holder, large_search("pg_advisory_xact_lock(1)"));
        wait_until("another one has the place", || waits(&mut admin, held_by, "advisory"));
        admin.batch_execute("SELECT pg_advisory_unlock(2)").unwrap();
        wait_until("the session waits", || waits(&mut admin, process, "Extension"));
        let began = Instant::now();
        match end {
            "admitted" => admin.batch_execute("SELECT pg_advisory_unlock(1)").unwrap(),
            "cancelled" => drop(admin.execute("SELECT pg_cancel_backend($1)", &[&process]).unwrap()),
            _ => {}
        }
        let (back, result, ended) = reading.join().unwrap();
        match end {
            "admitted" => result.unwrap(),
            "cancelled" => {
                assert_eq!(result.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
                let took = ended.saturating_duration_since(began);
                assert!(took < Duration::from_secs(2), "{took:?}");
            }
            _ => assert_eq!(result.unwrap_err().code(), Some(&SqlState::CONFIGURATION_LIMIT_EXCEEDED)),
        }
        admin.batch_execute("SELECT pg_advisory_unlock_all()").unwrap();
        (session, holder) = (back, holding.join().unwrap().0);
        admitted(&mut session);
    }
}
