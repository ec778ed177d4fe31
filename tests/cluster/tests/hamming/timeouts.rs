//! Statements that are repeatedly cancelled by `statement_timeout`: every session still makes progress.

use super::load::{Stop, Worker, assert_whole, make_tables};
use super::world::{Hashes, ScanKind, Search, assert_well, check, each, hex, value, world};
use lumina_cluster::cluster::wait_until;
use lumina_cluster::postgres::Client;
use lumina_cluster::report::{number, say};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Locks that a session holds while it is idle.
fn held(session: &mut Client, pids: &[i32]) -> Vec<String> {
    let locks = "SELECT locktype || ' ' || coalesce(relation::regclass::text, '') || ' ' || mode || ' of ' || query
        FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE pid = ANY ($1)";
    session.query(locks, &[&pids]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// Resets the timeouts of a session, and ends its transaction: that may be cancelled, too.
fn unlimited(session: &mut Client) {
    wait_until("the session has its time back", || {
        session.batch_execute("ROLLBACK; SET statement_timeout = 0").is_ok()
    });
}

/// 1 to 50 ms for everything: inserts, searches, merges, vacuums.
#[test]
fn everything_is_cut_off() {
    let (cluster, mut session) = world();
    make_tables(&mut session);
    let stop = AtomicBool::new(false);
    let until = Instant::now() + Duration::from_secs(number("LUMINA_LOAD_SECONDS", 4));
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut sessions = Vec::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..6)
            .map(|place| {
                let (cluster, stop) = (&cluster, &stop);
                scope.spawn(move || {
                    let _stop = Stop(stop);
                    let (mut session, mut worker) = (cluster.connect(), Worker::new(place));
                    let mut hashes = Hashes::new(64, place as u64);
                    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
                    while Instant::now() < until && !stop.load(Ordering::Acquire) {
                        let limit = 1 + hashes.random.below(50);
                        if let Err(error) = session.batch_execute(&format!("SET statement_timeout = {limit}")) {
                            // The reset is subject to the timeout itself.
                            assert_eq!(error.code().map(|code| code.code()), Some("57014"), "{error:?}");
                            continue;
                        }
                        let maintain = [
                            "VACUUM narrow",
                            "SELECT hamming_index_merge('wide_h')",
                            "VACUUM wide",
                            "SELECT hamming_index_merge('narrow_h')",
                        ];
                        let done = match place {
                            0 | 1 => {
                                let what = maintain[hashes.random.below(4) as usize];
                                session.batch_execute(what).map(|()| &what[..6])
                            }
                            _ => worker.step(&mut session),
                        };
                        unlimited(&mut session);
                        match done {
                            Ok(what) => counts.entry(what).or_default().0 += 1,
                            Err(error) => {
                                let code = error.code().unwrap_or_else(|| panic!("{error:?}")).code();
                                assert!(["57014", "25P02"].contains(&code), "{error:?}");
                                worker.lose();
                                counts.entry("cut off").or_default().1 += 1;
                            }
                        }
                    }
                    let pid: i32 = session.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
                    (session, pid, counts)
                })
            })
            .collect();
        for worker in workers {
            let (session, pid, some) = worker.join().unwrap();
            sessions.push((session, pid));
            for (what, (done, cut)) in some {
                let count = counts.entry(what).or_default();
                *count = (count.0 + done, count.1 + cut);
            }
        }
    });
    let pids: Vec<i32> = sessions.iter().map(|session| session.1).collect();
    assert_eq!(held(&mut session, &pids), [""; 0]);
    for what in ["insert", "search", "delete", "VACUUM", "SELECT", "cut off"] {
        assert!(counts.get(what).is_some_and(|(done, cut)| done + cut > 0), "no {what} among {counts:?}");
    }
    // While these sessions exist, a session without a timeout finishes its work.
    let began = Instant::now();
    each(
        &mut session,
        "SELECT hamming_index_merge('wide_h'); SELECT hamming_index_merge('narrow_h'); VACUUM wide; VACUUM narrow",
    );
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let told = assert_whole(&mut session, 0..50);
    say(&format!("cut off: {counts:?}; {told}"));
    let bytes: i64 = value(&mut session, "SELECT pg_relation_size('wide_h')").parse().unwrap();
    assert!(bytes < 30_000_000, "{told}");
    assert_well(&cluster);
}

/// Only inserters, none of which has time for a whole batch: they make progress, and do not wait for one another in a
/// cycle.
#[test]
fn inserts_that_have_little_time() {
    let (cluster, mut session) = world();
    let bits = number("LUMINA_BITS", 1024) as usize;
    let rows = number("LUMINA_ROWS", 4000);
    each(
        &mut session,
        &format!("CREATE TABLE t (id serial8 PRIMARY KEY, h phash({bits})); CREATE INDEX t_h ON t USING hamming (h)"),
    );
    let stop = AtomicBool::new(false);
    let milliseconds = number("LUMINA_TIMEOUT", 10);
    let results: Vec<(u64, u64, u64)> = std::thread::scope(|scope| {
        let inserters: Vec<_> = (0..3u64)
            .map(|seed| {
                let (cluster, stop) = (&cluster, &stop);
                scope.spawn(move || {
                    let _stop = Stop(stop);
                    let (mut session, mut hashes) = (cluster.connect(), Hashes::new(bits, seed));
                    let insert = session.prepare("INSERT INTO t (h) VALUES ($1::text::phash)").unwrap();
                    session.batch_execute(&format!("SET statement_timeout = {milliseconds}")).unwrap();
                    let (mut done, mut cut, mut longest, mut row) = (0u64, 0u64, 0u64, 0u64);
                    let until = Instant::now() + Duration::from_secs(60);
                    // Several times what the batches have room for.
                    while done < rows && Instant::now() < until {
                        let hash = hashes.next().map(|hash| hex(&hash));
                        match session.execute(&insert, &[&hash]) {
                            Ok(_) => (done, row) = (done + 1, 0),
                            Err(error) => {
                                assert_eq!(error.code().map(|code| code.code()), Some("57014"), "{error:?}");
                                (cut, row) = (cut + 1, row + 1);
                                longest = longest.max(row);
                            }
                        }
                    }
                    (done, cut, longest)
                })
            })
            .collect();
        inserters.into_iter().map(|inserter| inserter.join().unwrap()).collect()
    });
    let size = value(&mut session, "SELECT pg_size_pretty(pg_relation_size('t_h'))");
    say(&format!("within {milliseconds} ms: (inserted, cut off, in a row): {results:?}; index {size}"));
    assert!(results.iter().all(|(done, _, in_a_row)| *done >= rows && *in_a_row < 50), "stuck: {results:?}");
    let bytes: f64 = value(&mut session, "SELECT pg_relation_size('t_h')").parse().unwrap();
    // Pages of cancelled work are reused.
    assert!(bytes < 3.0 * 600.0 * 3.0 * rows as f64, "{size}");
    check(&mut session, "t_h");
    Search::nearest("t", &"00".repeat(bits / 8), None).compare(&mut session, ScanKind::Index);
    assert_well(&cluster);
}
