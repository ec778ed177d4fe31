//! Snapshots that are too old: with `old_snapshot_threshold`, Postgres 15 and 16 let VACUUM remove rows that a snapshot
//! sees. A search by such a snapshot finds what the snapshot sees, or raises 72000 like every scan of Postgres; it
//! never finds less.
//!
//! The setting is a minute, its smallest real value (0 makes VACUUM remove nothing): the test waits for two or three.

use super::world::{Hashes, Row, ScanKind, Search, assert_well, copy, each, fill, rows, value, world, world_with};
use lumina_cluster::cluster::wait_until_within;
use lumina_cluster::postgres::Client;
use std::time::Duration;

const TOO_OLD: &str = "72000";

/// Rows of a page of a table, at most.
const MOST_OF_PAGE: &str = "226";

/// The result of a search; `None` if its snapshot is too old. The transaction continues.
fn found(session: &mut Client, kind: ScanKind, sql: &str) -> Option<Vec<Row>> {
    session.batch_execute(&format!("SAVEPOINT before; {}", kind.settings())).unwrap();
    let found = rows(session, sql);
    session.batch_execute("ROLLBACK TO before").unwrap();
    match found {
        Ok(mut rows) => {
            rows.sort_unstable();
            Some(rows)
        }
        Err(error) => {
            let code = error.code().map(|code| code.code().to_owned());
            assert_eq!(code.as_deref(), Some(TOO_OLD), "{sql}: {error:?}");
            None
        }
    }
}

/// Tables whose index loses rows on pages of each kind, and how they are made.
const KINDS: [(&str, &str); 5] = [
    ("in_runs", "CREATE INDEX ON $ USING hamming (h)"),
    // Staging pages that are rewritten, and those that become a run.
    ("in_staging", "TRUNCATE $; CREATE INDEX ON $ USING hamming (h)"),
    ("flushed", "TRUNCATE $; CREATE INDEX ON $ USING hamming (h)"),
    // Nothing is left: only block 0 has changed, and lists nothing.
    ("emptied", "CREATE INDEX ON $ USING hamming (h)"),
    // The rows are copied into another run.
    ("merged", "CREATE INDEX ON $ USING hamming (h)"),
];

fn searches(table: &str, hashes: &mut Hashes, bits: usize) -> Vec<(ScanKind, Search)> {
    let mut searches = Vec::new();
    for _ in 0..4 {
        let center = hashes.center();
        for kind in [ScanKind::Index, ScanKind::Bitmap] {
            searches.push((kind, Search::ball(table, &center, bits / 16)));
            searches.push((kind, Search::ball(table, &center, bits / 2)));
        }
        searches.push((ScanKind::Index, Search::nearest(table, &center, None)));
        searches.push((ScanKind::Index, Search::ball(table, &center, bits / 3).by(&center)));
    }
    searches
}

#[test]
fn nothing_is_lost_to_an_old_snapshot() {
    let (probe, mut session) = world();
    if value(&mut session, "SELECT count(*) FROM pg_settings WHERE name = 'old_snapshot_threshold'") == "0" {
        return lumina_cluster::report::say("skipped: this Postgres has no old_snapshot_threshold");
    }
    drop((session, probe));
    let (cluster, mut session) = world_with(&[("old_snapshot_threshold", "1min")]);
    let session = &mut session;
    let mut tables = Vec::new();
    for bits in [64, 256] {
        let mut hashes = Hashes::new(bits, 97);
        for (kind, index) in KINDS {
            let table = format!("{kind}_{bits}");
            fill(session, &table, &mut hashes, 3000);
            each(session, &index.replace('$', &table));
            match kind {
                "in_staging" => copy(session, &table, &hashes.rows(10_000, 300)),
                "flushed" => copy(session, &table, &hashes.rows(10_000, 6000)),
                _ => {}
            }
            tables.push((table, kind));
        }
    }
    let mut old = cluster.connect();
    each(&mut old, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    let mut expected = Vec::new();
    for (table, _) in &tables {
        let bits = if table.ends_with("64") { 64 } else { 256 };
        for (kind, search) in searches(table, &mut Hashes::new(bits, 97), bits) {
            let rows = found(&mut old, kind, &search.sql()).expect("a snapshot of this moment is not too old");
            expected.push((kind, search, rows));
        }
    }
    // Running searches: what they return after their first row was found before.
    each(&mut old, ScanKind::Index.settings());
    let mut cursors = Vec::new();
    for (table, _) in &tables {
        let bits = if table.ends_with("64") { 64 } else { 256 };
        let center = Hashes::new(bits, 97).center();
        for search in [Search::ball(table, &center, bits / 2), Search::nearest(table, &center, None)] {
            let (cursor, all) = (format!("c{}", cursors.len()), rows(&mut old, &search.sql()).unwrap());
            each(&mut old, &format!("DECLARE {cursor} CURSOR FOR {}", search.sql()));
            assert!(all.len() > 1 && rows(&mut old, &format!("FETCH 1 FROM {cursor}")).unwrap().len() == 1);
            cursors.push((cursor, search, all.len() - 1));
        }
    }
    for (table, kind) in &tables {
        let kept = if *kind == "emptied" { "false" } else { "id % 7 = 0" };
        each(session, &format!("DELETE FROM {table} WHERE NOT {kept}"));
    }
    wait_until_within(Duration::from_secs(600), "the rows that the old snapshot sees are removed", || {
        // Other sessions' work advances the horizon, a minute at a time.
        std::thread::sleep(Duration::from_secs(1));
        each(session, "SELECT pg_current_xact_id()");
        tables.iter().all(|(table, _)| {
            each(session, &format!("VACUUM {table}"));
            // Except on the two pages that cursors have pinned.
            let left = format!(
                "SELECT entries + nulls <= (SELECT count(*) FROM {table}) + 2 * $most
                FROM hamming_index_stats('{table}_h_idx')"
            );
            value(session, &left.replace("$most", MOST_OF_PAGE)) == "true"
        })
    });
    for (table, _) in tables.iter().filter(|(_, kind)| *kind == "merged") {
        copy(session, table, &Hashes::new(if table.ends_with("64") { 64 } else { 256 }, 98).rows(20_000, 100));
        each(session, &format!("SELECT hamming_index_merge('{table}_h_idx')"));
    }
    let mut too_old = 0;
    for (kind, search, expected) in &expected {
        match found(&mut old, *kind, &search.sql()) {
            None => too_old += 1,
            Some(rows) => {
                assert_eq!(rows.len(), expected.len(), "an old snapshot has lost rows, {kind:?}: {}", search.sql());
            }
        }
    }
    assert_eq!(too_old, expected.len(), "searches of an index that has lost all that the snapshot saw");
    for (cursor, search, left) in cursors {
        let rest = found(&mut old, ScanKind::Index, &format!("FETCH ALL FROM {cursor}"));
        assert_eq!(rest.map(|rows| rows.len()), None, "of {left} rows that were to come: {}", search.sql());
    }
    // A new snapshot finds the remaining rows.
    each(&mut old, "COMMIT");
    for (kind, search, _) in expected {
        search.compare(&mut old, kind);
    }
    assert_well(&cluster);
}
