//! Reads while the index changes: cursors of every form, old snapshots, locked rows, serializable transactions.

use super::world::{Hashes, Row, ScanKind, Search, check, copy, each, explain, fill, rows, value, world};
use lumina_cluster::Cluster;
use lumina_cluster::cluster::wait_until;
use lumina_cluster::postgres::Client;

fn furnished(count: i64) -> (Cluster, Client, Hashes) {
    let (cluster, mut session) = world();
    let mut hashes = Hashes::new(64, 22);
    fill(&mut session, "t", &mut hashes, count);
    each(&mut session, "CREATE INDEX t_h ON t USING hamming (h); ANALYZE t");
    (cluster, session, hashes)
}

const BY_INDEX: &str = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_indexscan = on";
const BY_SCAN: &str = "SET enable_seqscan = on; SET enable_bitmapscan = off; SET enable_indexscan = off";

#[test]
fn fetch_move_and_hold() {
    let (_cluster, mut session, mut hashes) = furnished(2500);
    copy(&mut session, "t", &hashes.rows(5000, 500));
    let center = hashes.center();
    each(&mut session, BY_INDEX);
    let nearest = format!("SELECT id::int8, h <~> '{center}' FROM t ORDER BY h <~> '{center}'");
    let all = rows(&mut session, &nearest).unwrap();
    assert_eq!(all.len(), 3000);
    session
        .batch_execute(&format!(
            "BEGIN; DECLARE c SCROLL CURSOR FOR {nearest}; DECLARE d NO SCROLL CURSOR FOR {nearest}"
        ))
        .unwrap();
    // A scrolling cursor returns the same rows at each position.
    let mut at = 0i64;
    let total = all.len() as i64;
    for _ in 0..60 {
        let count = hashes.random.below(700) as i64;
        let (statement, range) = match hashes.random.below(4) {
            0 => (format!("FETCH FORWARD {count} FROM c"), at.min(total)..(at + count).min(total)),
            1 => (format!("FETCH BACKWARD {count} FROM c"), (at - 1 - count).max(0)..(at - 1).max(0)),
            2 => {
                let to = hashes.random.below(3000) as i64;
                session.batch_execute(&format!("MOVE ABSOLUTE {to} FROM c")).unwrap();
                at = to;
                continue;
            }
            _ => {
                session.batch_execute("MOVE ALL FROM c; FETCH PRIOR FROM c").unwrap();
                at = total;
                continue;
            }
        };
        if count == 0 {
            continue;
        }
        let mut found = rows(&mut session, &statement).unwrap();
        if statement.contains("BACKWARD") {
            found.reverse();
            at = (at - count).max(0);
        } else {
            at = (at + count).min(total + 1);
        }
        assert_eq!(found, all[range.start as usize..range.end as usize], "{statement}");
    }
    // A cursor that cannot scroll reports that.
    let mut found = rows(&mut session, "FETCH 10 FROM d").unwrap();
    found.extend(rows(&mut session, "FETCH ALL FROM d").unwrap());
    assert_eq!(found, all);
    assert_eq!(session.batch_execute("FETCH BACKWARD 1 FROM d").unwrap_err().code().unwrap().code(), "55000");
    session.batch_execute("ROLLBACK").unwrap();
    // Held beyond its transaction.
    session.batch_execute(&format!("BEGIN; DECLARE held CURSOR WITH HOLD FOR {nearest}; FETCH 100 FROM held")).unwrap();
    each(&mut session, "COMMIT; DELETE FROM t WHERE id % 2 = 0; VACUUM t; SELECT hamming_index_merge('t_h')");
    assert_eq!(rows(&mut session, "FETCH ALL FROM held").unwrap(), all[100..]);
    each(&mut session, "CLOSE held");
    // Its current row can be updated.
    each(
        &mut session,
        &format!("BEGIN; DECLARE c CURSOR FOR SELECT id FROM t WHERE phash_within(h, '{center}', 64) AND n = 3"),
    );
    let first: i64 = session.query_one("FETCH 1 FROM c", &[]).unwrap().get(0);
    each(
        &mut session,
        "UPDATE t SET n = -1 WHERE CURRENT OF c; FETCH 1 FROM c; DELETE FROM t WHERE CURRENT OF c; COMMIT",
    );
    assert_eq!(value(&mut session, "SELECT id FROM t WHERE n = -1"), first.to_string());
    check(&mut session, "t_h");
}

/// Cursors by index and by sequential scan, opened in one snapshot, return the same, however much the index changes.
#[test]
fn old_snapshots() {
    let (cluster, mut session, mut hashes) = furnished(12_000);
    let mut writer = cluster.connect();
    let centers = [hashes.center(), hashes.center()];
    let searches = [
        Search::nearest("t", &centers[0], None),
        Search::ball("t", &centers[1], 34).by(&centers[0]),
        Search::ball("t", &centers[1], 36),
    ];
    session.batch_execute("SET work_mem = '64kB'").unwrap(); // so that there are many sweeps
    session.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
    let mut found: Vec<Vec<Row>> = Vec::new();
    for (at, search) in searches.iter().enumerate() {
        let sql = query(search);
        for (settings, name) in [(BY_SCAN, "scan"), (BY_INDEX, "index")] {
            each(&mut session, settings);
            let plan = explain(&mut session, &sql).unwrap();
            assert_eq!(plan.contains("Index Scan using t_h"), name == "index", "{plan}");
            session.batch_execute(&format!("DECLARE {name}{at} CURSOR FOR {sql}")).unwrap();
        }
        found.push(rows(&mut session, &format!("FETCH 10 FROM index{at}")).unwrap());
    }
    for change in [
        "DELETE FROM t WHERE id % 3 = 0",
        "UPDATE t SET h = (~ h::varbit)::phash WHERE id % 3 = 1",
        "INSERT INTO t SELECT 100000 + i, h, n FROM generate_series(1, 5) i, t WHERE id % 1 = 0 LIMIT 40000",
        "VACUUM t",
        "SELECT hamming_index_merge('t_h')",
        "UPDATE t SET n = 0 WHERE id > 0",
        "VACUUM t",
        "SELECT hamming_index_merge('t_h')",
    ] {
        let change = change.replace("100000 + i, h", "100000 + 100000 * i + id, h");
        each(&mut writer, &change);
        for (at, found) in found.iter_mut().enumerate() {
            found.extend(rows(&mut session, &format!("FETCH 500 FROM index{at}")).unwrap());
        }
    }
    for (at, search) in searches.iter().enumerate() {
        found[at].extend(rows(&mut session, &format!("FETCH ALL FROM index{at}")).unwrap());
        let expected = rows(&mut session, &format!("FETCH ALL FROM scan{at}")).unwrap();
        search.assert_same(&found[at], &expected);
        // A search that begins only now, in the old snapshot.
        each(&mut session, BY_INDEX);
        search.assert_same(&rows(&mut session, &query(search)).unwrap(), &expected);
    }
    session.batch_execute("COMMIT").unwrap();
    each(&mut writer, "VACUUM t; SELECT hamming_index_merge('t_h')");
    for search in searches {
        search.compare(&mut session, ScanKind::Index);
    }
    check(&mut session, "t_h");
}

fn query(search: &Search) -> String {
    let filter = if search.filter.is_empty() { String::new() } else { format!("WHERE {}", search.filter) };
    let order = if search.ordered { format!("ORDER BY h <~> {}", search.center) } else { String::new() };
    format!("SELECT id::int8, h <~> {} FROM t {filter} {order}", search.center)
}

/// A cursor does not see later changes of its own transaction.
#[test]
fn changes_of_ones_own() {
    let (_cluster, mut session, mut hashes) = furnished(3000);
    let center = hashes.center();
    each(&mut session, BY_INDEX);
    let search = Search::nearest("t", &center, None);
    let before = rows(&mut session, &query(&search)).unwrap();
    each(
        &mut session,
        &format!(
            "BEGIN; DECLARE c CURSOR FOR {};
            INSERT INTO t SELECT 90000 + i, '{center}', 1 FROM generate_series(1, 2000) i;
            DELETE FROM t WHERE id % 5 = 1;
            SELECT hamming_index_merge('t_h')",
            query(&search)
        ),
    );
    search.assert_same(&rows(&mut session, "FETCH ALL FROM c").unwrap(), &before);
    let inside = rows(&mut session, &query(&search)).unwrap();
    each(&mut session, BY_SCAN);
    search.assert_same(&inside, &rows(&mut session, &query(&search)).unwrap());
    each(&mut session, "COMMIT");
    search.compare(&mut session, ScanKind::Index);
    // An insert that reads through the index that it writes to ends, and has read only earlier rows.
    each(
        &mut session,
        &format!("{BY_INDEX}; INSERT INTO t SELECT id + 1000000, h, n FROM t WHERE phash_within(h, '{center}', 30)"),
    );
    search.compare(&mut session, ScanKind::Index);
    check(&mut session, "t_h");
}

/// A row that left the ball, or was deleted, while a locking query waited for it is rechecked.
#[test]
fn rows_that_change_while_they_are_waited_for() {
    let (cluster, mut session, _) = furnished(100);
    let (near, far) = ("c3a1f0e00f1e3c78", "3c5e0f1ff0e1c387");
    each(&mut session, &format!("UPDATE t SET h = '{far}'; UPDATE t SET h = '{near}' WHERE id IN (7, 8); {BY_INDEX}"));
    let mut waiting = cluster.connect();
    let pid: i32 = waiting.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    each(&mut waiting, BY_INDEX);
    for (change, expected) in [
        (format!("UPDATE t SET h = '{far}' WHERE id = 7"), vec![8]),
        ("DELETE FROM t WHERE id = 7".to_owned(), vec![8]),
        ("UPDATE t SET n = 77 WHERE id = 7".to_owned(), vec![7, 8]),
    ] {
        session.batch_execute(&format!("BEGIN; {change}")).unwrap();
        let locking = format!("SELECT id::int8, h <~> '{near}' FROM t WHERE phash_within(h, '{near}', 3) FOR UPDATE");
        assert!(explain(&mut waiting, &locking).unwrap().contains("Index Scan using t_h"));
        let thread = std::thread::spawn(move || {
            let found = rows(&mut waiting, &locking).unwrap();
            (waiting, found)
        });
        wait_until("it waits for the row", || {
            let waits = format!("SELECT EXISTS (SELECT FROM pg_locks WHERE pid = {pid} AND NOT granted)");
            session.query_one(&waits, &[]).unwrap().get(0)
        });
        session.batch_execute("COMMIT").unwrap();
        let (back, found) = thread.join().unwrap();
        waiting = back;
        let mut ids: Vec<i64> = found.iter().map(|row| row.0).collect();
        ids.sort_unstable();
        assert_eq!(ids, expected, "{change}");
        each(&mut session, &format!("DELETE FROM t WHERE id = 7; INSERT INTO t VALUES (7, '{near}', 7)"));
    }
}

/// Two transactions that each search for something near, and add it: one of them must fail.
#[test]
fn serializable_transactions() {
    let (cluster, mut a, _) = furnished(100);
    let mut b = cluster.connect();
    let near = "c3a1f0e00f1e3c78";
    each(&mut a, &format!("DELETE FROM t WHERE phash_within(h, '{near}', 5)"));
    for session in [&mut a, &mut b] {
        each(session, &format!("{BY_INDEX}; BEGIN ISOLATION LEVEL SERIALIZABLE"));
        let search = Search::ball("t", near, 5);
        assert_eq!(rows(session, &query(&search)).unwrap(), []);
    }
    each(&mut a, &format!("INSERT INTO t VALUES (1000, '{near}', 1)"));
    let second = b.batch_execute(&format!("INSERT INTO t VALUES (1001, '{near}', 1)")).and_then(|()| {
        a.batch_execute("COMMIT")?;
        b.batch_execute("COMMIT")
    });
    assert_eq!(second.unwrap_err().code().unwrap().code(), "40001");
}
