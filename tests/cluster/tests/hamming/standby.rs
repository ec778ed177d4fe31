//! A streaming standby that is searched while the primary inserts, deletes, vacuums and merges; killed, and promoted.

use super::load::Stop;
use super::world::{
    Hashes, Row, ScanKind, Search, assert_well, check, compare_some, copy, each, fill, hex, refusal, rows, value,
    world_with,
};
use lumina_cluster::cluster::wait_until;
use lumina_cluster::kills::connect;
use lumina_cluster::postgres::{Client, Error};
use lumina_cluster::report::{number, say};
use lumina_cluster::{Cluster, Random};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Searches the standby's tables until `stop`, comparing; returns the number of searches, and of recovery conflicts.
fn search(standby: &Cluster, seed: u64, stop: &AtomicBool) -> (u64, u64) {
    let (mut searched, mut conflicts) = (0, 0);
    let tables = [("t", 64), ("w", 512)];
    let mut hashes = tables.map(|(_, bits)| Hashes::new(bits, seed));
    while !stop.load(Ordering::Acquire) {
        let mut session = connect(standby);
        while !stop.load(Ordering::Acquire) {
            let which = (searched % 2) as usize;
            let ((table, bits), hashes) = (tables[which], &mut hashes[which]);
            let center = hashes.center();
            let radius = [0, 2, 5, bits / 4, bits / 2][hashes.random.below(5) as usize];
            let outcome = match hashes.random.below(5) {
                0 => Search::ball(table, &center, radius).try_compare(&mut session, ScanKind::Bitmap).map(drop),
                1 => Search::ball(table, &center, radius).try_compare(&mut session, ScanKind::Index).map(drop),
                2 => Search::nearest(table, &center, Some(50)).try_compare(&mut session, ScanKind::Index).map(drop),
                3 => slowly(&mut session, table, &center),
                _ => Search::ball(table, &center, bits / 2)
                    .by(&hashes.center())
                    .try_compare(&mut session, ScanKind::Index)
                    .map(drop),
            };
            match outcome {
                Ok(()) => searched += 1,
                Err(error) => {
                    // A standby's snapshot may still need what the primary's vacuum removes: Postgres then cancels the
                    // statement, or ends the session if it does not yield.
                    let code = error.code().map(|code| code.code().to_owned());
                    let known = matches!(code.as_deref(), None | Some("40001" | "25P02" | "57P01" | "57P02" | "57P03"));
                    assert!(known, "{error:?}");
                    conflicts += 1;
                    if code.is_none() || session.batch_execute("ROLLBACK").is_err() {
                        break;
                    }
                }
            }
        }
    }
    (searched, conflicts)
}

/// All rows by distance, a few at a time, while the primary's changes arrive in between.
fn slowly(session: &mut Client, table: &str, center: &str) -> Result<(), Error> {
    let search = Search::nearest(table, center, None);
    let sql = format!("SELECT id::int8, h <~> '{center}' FROM {table}");
    session.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL enable_seqscan = off")?;
    session
        .batch_execute(&format!("SET LOCAL work_mem = '64kB'; DECLARE c CURSOR FOR {sql} ORDER BY h <~> '{center}'"))?;
    let mut found: Vec<Row> = Vec::new();
    let mut count = 20;
    loop {
        let some = rows(session, &format!("FETCH {count} FROM c"))?;
        let is_end = some.len() < count;
        found.extend(some);
        if is_end {
            break;
        }
        count *= 4;
        std::thread::sleep(Duration::from_millis(10)); // so that something arrives
    }
    session.batch_execute("SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off")?;
    let expected = rows(session, &sql)?;
    session.batch_execute("COMMIT")?;
    search.assert_same(&found, &expected);
    Ok(())
}

/// Changes the primary's tables until `stop`: as much merging, removal and page reuse as possible.
fn churn(primary: &Cluster, stop: &AtomicBool, changes: &AtomicU64) {
    let mut session = primary.connect();
    let mut random = Random(number("LUMINA_SEED", 1));
    let mut made = [Hashes::new(64, 71), Hashes::new(512, 72)];
    let mut next = 100_000;
    while !stop.load(Ordering::Acquire) {
        for (table, hashes) in ["t", "w"].into_iter().zip(&mut made) {
            let count = 200 + random.below(1500) as i64;
            copy(&mut session, table, &hashes.rows(next, count));
            next += count;
            let some = random.below(5);
            each(&mut session, &format!("DELETE FROM {table} WHERE id < {} OR id % 7 = {some}", next - 6000));
            each(&mut session, &format!("UPDATE {table} SET h = '{}' WHERE id % 50 = {some}", hex(&hashes.near())));
            each(
                &mut session,
                ["VACUUM t; VACUUM w", "SELECT hamming_index_merge('t_h'); SELECT hamming_index_merge('w_h')", ""]
                    [random.below(3) as usize],
            );
            changes.fetch_add(1, Ordering::AcqRel);
        }
    }
}

#[test]
fn searched_while_it_follows() {
    let (primary, mut session) = world_with(&[("wal_level", "replica")]);
    for (table, bits, count) in [("t", 64, 5000), ("w", 512, 3000)] {
        fill(&mut session, table, &mut Hashes::new(bits, 70), count);
        each(&mut session, &format!("CREATE INDEX {table}_h ON {table} USING hamming (h)"));
    }
    let standby = primary.standby();
    // It delays replay only briefly, and the primary does not know its snapshots: pages are reused under its readers.
    standby.configure(&[("max_standby_streaming_delay", "200ms"), ("hot_standby_feedback", "off")]);
    standby.restart();
    let seconds = number("LUMINA_LOAD_SECONDS", 6);
    let (stop, stop_churn, changes) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
    let (mut searched, mut conflicts) = (0, 0);
    std::thread::scope(|scope| {
        let (_a, _b) = (Stop(&stop), Stop(&stop_churn));
        let churning = scope.spawn(|| {
            let _stop = Stop(&stop);
            churn(&primary, &stop_churn, &changes);
        });
        let searching: Vec<_> = (0..3)
            .map(|seed| {
                let (standby, stop) = (&standby, &stop);
                scope.spawn(move || {
                    let _stop = Stop(stop);
                    search(standby, seed, stop)
                })
            })
            .collect();
        let began = Instant::now();
        let mut kills = 0;
        wait_until("time is up", || {
            if kills == 0 && began.elapsed() > Duration::from_secs(seconds) / 2 {
                // During replay.
                standby.kill();
                standby.restart();
                kills += 1;
            }
            stop.load(Ordering::Acquire) || began.elapsed() > Duration::from_secs(seconds.min(110))
        });
        while began.elapsed() < Duration::from_secs(seconds) && !stop.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(100));
        }
        stop_churn.store(true, Ordering::Release);
        churning.join().unwrap();
        stop.store(true, Ordering::Release);
        for thread in searching {
            let (some, few) = thread.join().unwrap();
            (searched, conflicts) = (searched + some, conflicts + few);
        }
    });
    say(&format!(
        "standby: {searched} searches, {conflicts} taken back, during {} changes",
        changes.load(Ordering::Acquire)
    ));
    assert!(searched > 20, "{searched} searches, {conflicts} taken back");
    // Caught up, it returns the same; it is read-only.
    standby.catch_up_with(&primary);
    let mut reader = standby.connect();
    for (table, bits) in [("t", 64), ("w", 512)] {
        let mut hashes = Hashes::new(bits, 74);
        compare_some(&mut reader, table, bits, &mut hashes);
        compare_some(&mut session, table, bits, &mut hashes);
        check(&mut reader, &format!("{table}_h"));
        check(&mut session, &format!("{table}_h"));
        let stats = format!("SELECT s::text FROM hamming_index_stats('{table}_h') s");
        assert!(!value(&mut reader, &stats).is_empty());
        let (code, ..) = refusal(&mut reader, &format!("SELECT hamming_index_merge('{table}_h')"));
        assert!(["25006", "55000"].contains(&code.as_str()), "{code}");
    }
    assert_well(&primary);
    drop((session, primary));
    standby.promote();
    each(&mut reader, "VACUUM t; SELECT hamming_index_merge('w_h')");
    for (table, bits) in [("t", 64), ("w", 512)] {
        let mut hashes = Hashes::new(bits, 75);
        copy(&mut reader, table, &hashes.rows(50_000_000, 3000));
        each(
            &mut reader,
            &format!("DELETE FROM {table} WHERE id % 3 = 0; VACUUM {table}; SELECT hamming_index_merge('{table}_h')"),
        );
        compare_some(&mut reader, table, bits, &mut hashes);
        check(&mut reader, &format!("{table}_h"));
    }
    assert_well(&standby);
}
