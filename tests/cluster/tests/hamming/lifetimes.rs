//! Crashes, transactions and dumps: indexes that are unlogged, temporary, new in their transaction, prepared, restored.

use super::world::{
    Hashes, ScanKind, Search, assert_well, check, compare_all, compare_some, copy, each, fill, value, world, world_with,
};
use lumina_cluster::{Cluster, Shutdown};

#[test]
fn unlogged() {
    let (cluster, mut session) = world();
    let mut hashes = Hashes::new(64, 51);
    fill(&mut session, "t", &mut hashes, 3000);
    each(&mut session, "ALTER TABLE t SET UNLOGGED; CREATE INDEX t_h ON t USING hamming (h)");
    copy(&mut session, "t", &hashes.rows(5000, 1000));
    compare_some(&mut session, "t", 64, &mut hashes);
    // A clean shutdown keeps it.
    cluster.restart();
    let mut session = cluster.connect();
    assert_eq!(value(&mut session, "SELECT count(*) FROM t"), "4000");
    compare_some(&mut session, "t", 64, &mut hashes);
    check(&mut session, "t_h");
    // A crash empties both, and both are usable at once.
    cluster.kill();
    cluster.restart();
    let mut session = cluster.connect();
    assert_eq!(value(&mut session, "SELECT count(*) FROM t"), "0");
    check(&mut session, "t_h");
    compare_all(&mut session, "t", &hashes.center());
    copy(&mut session, "t", &hashes.rows(1, 2000));
    each(&mut session, "SELECT hamming_index_merge('t_h'); DELETE FROM t WHERE id % 2 = 0; VACUUM t");
    compare_some(&mut session, "t", 64, &mut hashes);
    check(&mut session, "t_h");
    // Logged from now on; and a table that was emptied by a crash.
    each(&mut session, "ALTER TABLE t SET LOGGED");
    copy(&mut session, "t", &hashes.rows(10_000, 100));
    cluster.kill();
    cluster.restart();
    let mut session = cluster.connect();
    assert_eq!(value(&mut session, "SELECT count(*) FROM t"), "1100");
    compare_some(&mut session, "t", 64, &mut hashes);
    check(&mut session, "t_h");
    assert_well(&cluster);
}

#[test]
fn temporary() {
    let (cluster, mut session) = world();
    let mut hashes = Hashes::new(64, 52);
    each(&mut session, "CREATE TEMPORARY TABLE t (id int8 PRIMARY KEY, h phash(64), n int) ON COMMIT PRESERVE ROWS");
    copy(&mut session, "t", &hashes.rows(1, 2000));
    each(&mut session, "CREATE INDEX t_h ON t USING hamming (h)");
    copy(&mut session, "t", &hashes.rows(5000, 3000));
    compare_some(&mut session, "t", 64, &mut hashes);
    each(&mut session, "DELETE FROM t WHERE id % 3 = 0; VACUUM t; SELECT hamming_index_merge('t_h')");
    compare_some(&mut session, "t", 64, &mut hashes);
    check(&mut session, "t_h");
    // Emptied at each commit.
    each(
        &mut session,
        "CREATE TEMPORARY TABLE brief (id int8, h phash(64), n int) ON COMMIT DELETE ROWS;
        CREATE INDEX brief_h ON brief USING hamming (h)",
    );
    for _ in 0..3 {
        each(&mut session, "BEGIN");
        copy(&mut session, "brief", &hashes.rows(1, 500));
        check(&mut session, "brief_h");
        each(&mut session, "COMMIT");
        check(&mut session, "brief_h");
        compare_all(&mut session, "brief", &hashes.center());
    }
    assert_well(&cluster);
}

/// With no WAL for a relation created in its transaction, its file is what survives.
#[test]
fn new_in_its_transaction_at_wal_level_minimal() {
    let settings = [("wal_level", "minimal"), ("max_wal_senders", "0"), ("max_prepared_transactions", "5")];
    let (cluster, mut session) = world_with(&settings);
    for skip in ["0", "1GB"] {
        let mut hashes = Hashes::new(64, 53);
        each(&mut session, &format!("SET wal_skip_threshold = '{skip}'; DROP TABLE IF EXISTS t; BEGIN"));
        fill(&mut session, "t", &mut hashes, 3000);
        each(&mut session, "CREATE INDEX t_h ON t USING hamming (h)");
        copy(&mut session, "t", &hashes.rows(5000, 1000));
        each(
            &mut session,
            "COMMIT; DELETE FROM t WHERE id % 5 = 0; BEGIN; REINDEX INDEX t_h; SELECT hamming_index_merge('t_h')",
        );
        copy(&mut session, "t", &hashes.rows(7000, 100));
        each(&mut session, "COMMIT");
        cluster.kill();
        cluster.restart();
        session = cluster.connect();
        assert_eq!(value(&mut session, "SELECT count(*) FROM t"), "3300");
        check(&mut session, "t_h");
        compare_some(&mut session, "t", 64, &mut hashes);
    }
    // Rows of a transaction that was prepared, and committed after a crash.
    let mut hashes = Hashes::new(64, 54);
    each(&mut session, "BEGIN");
    copy(&mut session, "t", &hashes.rows(20_000, 500));
    each(
        &mut session,
        "PREPARE TRANSACTION 'rows'; BEGIN; INSERT INTO t VALUES (30000, 'c3a1f0e00f1e3c78', 1);
        PREPARE TRANSACTION 'none'",
    );
    compare_all(&mut session, "t", &hashes.center());
    cluster.kill();
    cluster.restart();
    let mut session = cluster.connect();
    compare_all(&mut session, "t", &hashes.center());
    each(&mut session, "COMMIT PREPARED 'rows'; ROLLBACK PREPARED 'none'; VACUUM t");
    assert_eq!(value(&mut session, "SELECT count(*) FROM t"), "3800");
    compare_some(&mut session, "t", 64, &mut hashes);
    check(&mut session, "t_h");
    assert_well(&cluster);
}

/// An index created and rolled back leaves no file; one whose server crashes leaves nothing visible.
#[test]
fn made_in_vain() {
    let (cluster, mut session) = world();
    let mut hashes = Hashes::new(64, 55);
    fill(&mut session, "t", &mut hashes, 3000);
    let files = |session: &mut _| {
        value(
            session,
            "SELECT count(*) FROM pg_ls_dir('base/' || (SELECT oid FROM pg_database WHERE datname = 'postgres'))",
        )
    };
    each(&mut session, "CHECKPOINT");
    let before = files(&mut session);
    each(
        &mut session,
        "BEGIN; CREATE INDEX t_h ON t USING hamming (h); INSERT INTO t VALUES (-1, 'c3a1f0e00f1e3c78', 1)",
    );
    assert_eq!(Search::ball("t", "c3a1f0e00f1e3c78", 1).compare_in(&mut session), 1);
    each(&mut session, "ROLLBACK; CHECKPOINT");
    assert_eq!(files(&mut session), before);
    assert_eq!(value(&mut session, "SELECT count(*) FROM pg_class WHERE relname = 't_h'"), "0");
    // In a subtransaction, and again in the same transaction.
    each(
        &mut session,
        "BEGIN; SAVEPOINT a; CREATE INDEX t_h ON t USING hamming (h); ROLLBACK TO a;
        CREATE INDEX t_h ON t USING hamming (h); COMMIT",
    );
    compare_some(&mut session, "t", 64, &mut hashes);
    each(&mut session, "BEGIN; DROP INDEX t_h; ROLLBACK; BEGIN; REINDEX INDEX t_h");
    copy(&mut session, "t", &hashes.rows(9000, 100));
    cluster.stop(Shutdown::Immediate);
    cluster.restart();
    let mut session = cluster.connect();
    compare_some(&mut session, "t", 64, &mut hashes);
    check(&mut session, "t_h");
    assert_well(&cluster);
}

impl Search {
    /// How many rows the index returns, in the session's current transaction.
    fn compare_in(&self, session: &mut lumina_cluster::postgres::Client) -> usize {
        each(session, "SET LOCAL enable_seqscan = off");
        value(session, &format!("SELECT count(*) FROM {} WHERE {}", self.table, self.filter)).parse().unwrap()
    }
}

#[test]
fn dumped_restored_and_dropped() {
    let (cluster, mut session) = world();
    let mut hashes = Hashes::new(64, 56);
    fill(&mut session, "t", &mut hashes, 2000);
    each(
        &mut session,
        "CREATE INDEX t_h ON t USING hamming (h) WITH (bands = 5); CREATE INDEX t_p ON t USING hamming (h) WHERE n = 1;
        CREATE INDEX t_e ON t USING hamming ((h::varbit::phash::phash(64))); CREATE TABLE u (id int8, h phash(256));
        CREATE INDEX u_h ON u USING hamming (h); CREATE TABLE words (word text);
        CREATE FUNCTION bits(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT md5($1)$$;
        CREATE INDEX words_h ON words USING hamming ((bits(word)::phash(128)))",
    );
    let dump = cluster.dump("postgres", &[]);
    each(&mut session, "CREATE DATABASE restored");
    cluster.sql("restored", &dump);
    let mut restored = cluster.connect_to("restored", "postgres");
    compare_some(&mut restored, "t", 64, &mut hashes);
    for index in ["t_h", "t_p", "t_e", "u_h"] {
        check(&mut restored, index);
    }
    assert_eq!(value(&mut restored, "SELECT bands FROM hamming_index_stats('t_h')"), "5");
    // DROP EXTENSION fails while there is an index, without CASCADE.
    let error = session.batch_execute("DROP EXTENSION lumina").unwrap_err();
    assert_eq!(error.code().unwrap().code(), "2BP01");
    assert!(error.as_db_error().unwrap().detail().unwrap().contains("index words_h"), "{error:?}");
    each(&mut session, "BEGIN; DROP EXTENSION lumina CASCADE; ROLLBACK");
    compare_some(&mut session, "t", 64, &mut hashes);
    each(&mut session, "DROP EXTENSION lumina CASCADE");
    assert_eq!(
        value(&mut session, "SELECT count(*) FROM pg_class WHERE relname IN ('t_h', 't_p', 't_e', 'u_h', 'words_h')"),
        "0"
    );
    each(&mut session, "CREATE EXTENSION lumina; DROP TABLE t");
    fill(&mut session, "t", &mut hashes, 100);
    each(&mut session, "CREATE INDEX t_h ON t USING hamming (h)");
    compare_some(&mut session, "t", 64, &mut hashes);
    // In a schema that is not on the path.
    each(&mut session, "DROP EXTENSION lumina CASCADE; CREATE SCHEMA hashing; CREATE EXTENSION lumina SCHEMA hashing");
    each(
        &mut session,
        "DROP TABLE t; CREATE TABLE t (id int8, h hashing.phash(64), n int); CREATE INDEX t_h ON t USING hamming (h)",
    );
    copy(&mut session, "t", &hashes.rows(1, 500));
    each(&mut session, "SET search_path = public, hashing");
    compare_some(&mut session, "t", 64, &mut hashes);
    check(&mut session, "t_h");
    assert_well(&cluster);
}

/// A base backup taken during inserts yields a complete server and index.
#[test]
fn copied_while_it_is_written() {
    let (cluster, mut session) = world();
    let mut hashes = Hashes::new(64, 57);
    fill(&mut session, "t", &mut hashes, 5000);
    each(&mut session, "CREATE INDEX t_h ON t USING hamming (h)");
    let copied: Cluster = std::thread::scope(|scope| {
        let copying = scope.spawn(|| cluster.copy());
        let mut next = 10_000;
        while !copying.is_finished() {
            copy(&mut session, "t", &hashes.rows(next, 500));
            each(&mut session, "DELETE FROM t WHERE id % 7 = 0; VACUUM t; SELECT hamming_index_merge('t_h')");
            next += 500;
        }
        copying.join().unwrap()
    });
    let mut session = copied.connect();
    check(&mut session, "t_h");
    assert_eq!(
        Search::nearest("t", &hashes.center(), None).compare(&mut session, ScanKind::Index).to_string(),
        value(&mut session, "SELECT count(*) FROM t")
    );
    assert_well(&copied);
}
