//! Many sessions that insert, delete, update and search concurrently, under the most aggressive autovacuum: every
//! search is compared with a sequential scan in the same snapshot.

use super::world::{
    Hashes, ScanKind, Search, assert_well, check, compare_all, compare_some, copy, each, hex, value, world, world_with,
};
use lumina_cluster::postgres::{Client, Error};
use lumina_cluster::report::{number, say};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The tables, and the bits of their hashes: with wide ones a batch of staging pages fills soon.
pub(crate) const TABLES: [(&str, usize); 2] = [("narrow", 64), ("wide", 1024)];
/// Rows of a worker at a time, about.
const ROWS: i64 = 1200;
/// Ids are partitioned by their remainder: each worker changes its own rows, so there are no waits for row locks.
const WORKERS: i64 = 16;

/// The most aggressive autovacuum, and frequent checkpoints.
pub(crate) const EAGER: [(&str, &str); 9] = [
    ("autovacuum", "on"),
    ("autovacuum_naptime", "1s"),
    ("autovacuum_vacuum_threshold", "0"),
    ("autovacuum_vacuum_scale_factor", "0"),
    ("autovacuum_vacuum_insert_threshold", "0"),
    ("autovacuum_vacuum_insert_scale_factor", "0"),
    ("autovacuum_vacuum_cost_delay", "0"),
    ("max_wal_size", "64MB"),
    ("log_autovacuum_min_duration", "0"),
];

pub(crate) fn make_tables(session: &mut Client) {
    for (table, bits) in TABLES {
        each(
            session,
            &format!(
                "CREATE TABLE {table} (id int8 PRIMARY KEY, h phash({bits}), n int) WITH (fillfactor = 80);
                CREATE INDEX {table}_h ON {table} USING hamming (h)"
            ),
        );
    }
}

/// The repeated work of one session.
pub(crate) struct Worker {
    place: i64,
    table: &'static str,
    bits: usize,
    hashes: Hashes,
    first: i64,
    next: i64,
}

impl Worker {
    /// The worker of this number, below 16.
    pub(crate) fn new(place: i64) -> Self {
        let (table, bits) = TABLES[place as usize % TABLES.len()];
        let seed = number("LUMINA_SEED", 1) * 1000 + place as u64;
        Worker { place, table, bits, hashes: Hashes::new(bits, seed), first: 0, next: 0 }
    }

    fn id(&self, at: i64) -> i64 {
        at * WORKERS + self.place
    }

    fn values(&mut self, count: i64) -> String {
        let mut text = String::new();
        for at in 0..count {
            let hash = self.hashes.next().map_or_else(|| "NULL".into(), |hash| format!("'{}'", hex(&hash)));
            let comma = if at == 0 { "" } else { ", " };
            write!(text, "{comma}({}, {hash}, {})", self.id(self.next + at), at % 10).unwrap();
        }
        self.next += count;
        text
    }

    /// Continues after an error: whether the last rows exist is unknown, and their ids are not reused.
    pub(crate) fn lose(&mut self) {
        self.next += 200;
    }

    /// Does something, and returns its name. Errors are the server's; wrong results of the index panic.
    pub(crate) fn step(&mut self, session: &mut Client) -> Result<&'static str, Error> {
        let table = self.table;
        if self.next - self.first > ROWS {
            let (from, to) = (self.id(self.first), self.id(self.next - ROWS / 2));
            session.batch_execute(&format!(
                "DELETE FROM {table} WHERE id % {WORKERS} = {} AND id BETWEEN {from} AND {to}",
                self.place
            ))?;
            self.first = self.next - ROWS / 2;
            return Ok("delete");
        }
        let any = self.first + self.hashes.random.below((self.next - self.first + 1) as u64) as i64;
        let mine = format!("id = {}", self.id(any));
        let near = hex(&self.hashes.near());
        match self.hashes.random.below(20) {
            0..=4 => {
                let count = [1, 5, 60, 200][self.hashes.random.below(4) as usize];
                let values = self.values(count);
                session.batch_execute(&format!("INSERT INTO {table} VALUES {values}"))?;
                Ok("insert")
            }
            5 => {
                for _ in 0..10 {
                    let values = self.values(1);
                    session.batch_execute(&format!("INSERT INTO {table} VALUES {values}"))?;
                }
                Ok("insert")
            }
            6 => {
                let values = self.values(50);
                session.batch_execute(&format!("BEGIN; INSERT INTO {table} VALUES {values}; ROLLBACK"))?;
                Ok("rollback")
            }
            7 => session.batch_execute(&format!("DELETE FROM {table} WHERE {mine}")).map(|()| "delete"),
            8 => session.batch_execute(&format!("UPDATE {table} SET n = n + 1 WHERE {mine}")).map(|()| "update"),
            9 => session.batch_execute(&format!("UPDATE {table} SET h = '{near}' WHERE {mine}")).map(|()| "update"),
            10 => session.batch_execute(&format!("UPDATE {table} SET h = NULL WHERE {mine}")).map(|()| "update"),
            11 if self.place < 2 => {
                session.batch_execute(&format!("SELECT hamming_index_merge('{table}_h')")).map(|()| "merge")
            }
            12 if self.place < 2 => session.batch_execute(&format!("VACUUM {table}")).map(|()| "vacuum"),
            _ => self.search(session).map(|()| "search"),
        }
    }

    fn search(&mut self, session: &mut Client) -> Result<(), Error> {
        let (table, bits) = (self.table, self.bits);
        let (a, b) = (self.hashes.center(), self.hashes.center());
        let radius = [0, 1, 3, 5, 9, bits / 4, bits / 2, bits][self.hashes.random.below(8) as usize];
        let limit = [Some(1), Some(20), Some(400), None][self.hashes.random.below(4) as usize];
        let (search, kind) = match self.hashes.random.below(5) {
            0 => (Search::ball(table, &a, radius), ScanKind::Bitmap),
            1 => (Search::ball(table, &a, radius), ScanKind::Index),
            2 => (Search::ball(table, &a, radius).by(&a), ScanKind::Index),
            3 => (Search { limit, ..Search::ball(table, &a, bits / 2).by(&b) }, ScanKind::Index),
            _ => (Search::nearest(table, &a, limit), ScanKind::Index),
        };
        search.try_compare(session, kind).map(drop)
    }
}

/// Sets a flag, even if a test unwinds: others wait for it.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Checks the state after a load: the index is complete, and no index has grown out of bounds.
pub(crate) fn assert_whole(session: &mut Client, places: std::ops::Range<i64>) -> String {
    let mut told = String::new();
    for (table, bits) in TABLES {
        check(session, &format!("{table}_h"));
        let mut hashes = Hashes::new(bits, 5);
        compare_some(session, table, bits, &mut hashes);
        compare_all(session, table, &hashes.center());
        let rows: i64 = value(session, &format!("SELECT count(*) FROM {table}")).parse().unwrap();
        let size = value(session, &format!("SELECT pg_relation_size('{table}_h') / 1024")).parse::<i64>().unwrap();
        write!(told, "{table}: {rows} rows, index {size} kB; ").unwrap();
        assert!(rows <= (ROWS + 200) * places.clone().count() as i64, "{told}");
    }
    told
}

#[test]
fn eight_sessions() {
    let (cluster, mut session) = world_with(&EAGER);
    make_tables(&mut session);
    // To truncate a table, VACUUM waits five seconds for an exclusive lock, and never gets it: dead rows accumulate
    // meanwhile, fifteen times as many as live ones. Without truncation, there are ten times as many vacuums.
    for (table, _) in TABLES {
        each(&mut session, &format!("ALTER TABLE {table} SET (vacuum_truncate = off)"));
    }
    let stop = AtomicBool::new(false);
    let until = Instant::now() + Duration::from_secs(number("LUMINA_LOAD_SECONDS", 5));
    let mut done: BTreeMap<&str, u64> = BTreeMap::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|place| {
                let (cluster, stop) = (&cluster, &stop);
                scope.spawn(move || {
                    let _stop = Stop(stop);
                    let (mut session, mut worker) = (cluster.connect(), Worker::new(place));
                    let mut done: BTreeMap<&str, u64> = BTreeMap::new();
                    while Instant::now() < until && !stop.load(Ordering::Acquire) {
                        let what = worker.step(&mut session).unwrap_or_else(|error| panic!("{error:?}"));
                        *done.entry(what).or_default() += 1;
                    }
                    done
                })
            })
            .collect();
        for worker in workers {
            for (what, count) in worker.join().unwrap() {
                *done.entry(what).or_default() += count;
            }
        }
    });
    let told = assert_whole(&mut session, 0..8);
    say(&format!("eight sessions: {done:?}; {told}"));
    // The size is bounded by the tables' size at a time, not by their total throughput.
    for (table, _) in TABLES {
        let size = |session: &mut Client| {
            value(session, &format!("SELECT pg_relation_size('{table}_h')")).parse::<f64>().unwrap()
        };
        let loaded = size(&mut session);
        each(&mut session, &format!("VACUUM {table}; REINDEX INDEX {table}_h"));
        let fresh = size(&mut session);
        // The throughput in the time that pages wait for reuse, and the largest number of runs of a batch.
        assert!(loaded < 3.0 * fresh + 64e6, "{table}: {loaded} bytes under load, {fresh} when built");
    }
    assert_well(&cluster);
}

/// Rows that come and go leave pages that later ones reuse: the index soon reaches its final length, and a crash costs
/// a third of it once.
#[test]
fn pages_are_taken_again() {
    let (cluster, mut session) = world();
    each(
        &mut session,
        "CREATE TABLE t (id int8 PRIMARY KEY, h phash(1024), n int); CREATE INDEX t_h ON t USING hamming (h)",
    );
    let mut hashes = Hashes::new(1024, 86);
    let mut pages = Vec::new();
    for round in 0..24 {
        if round == 16 {
            // Free pages are not logged: the vacuum after a crash finds them. The vacuum before must not be lost
            // itself: its end does not wait for a WAL flush, and from Postgres 17 on the WAL is not flushed at once.
            each(&mut session, "SELECT pg_logical_emit_message(true, 'lumina', 'what was logged before is written')");
            cluster.kill();
            cluster.restart();
            session = cluster.connect();
        }
        copy(&mut session, "t", &hashes.rows(round * 2500, 2500));
        each(&mut session, &format!("DELETE FROM t WHERE id < {}", round * 2500 + 1500));
        if round % 2 == 1 {
            each(&mut session, "VACUUM t");
            pages.push(value(&mut session, "SELECT pages FROM hamming_index_stats('t_h')").parse::<f64>().unwrap());
        }
    }
    assert!(pages[7] < pages[2] + 60.0, "{pages:?}");
    // Free blocks are not searched for before they are a quarter of the file.
    assert!(pages[8] < pages[7] * 4.0 / 3.0 && pages[11] < pages[8] + 60.0, "{pages:?}");
    check(&mut session, "t_h");
}

/// A transaction reuses the pages that it has freed itself, and a vacuum those of the last transaction, though the xid
/// horizon of all snapshots is not past them; not while another session has an older snapshot.
#[test]
fn pages_are_taken_by_the_transaction_that_frees_them() {
    let (cluster, mut session) = world();
    each(&mut session, "CREATE TABLE t (id int8, h phash(1024)); CREATE INDEX t_h ON t USING hamming (h)");
    let pages =
        |session: &mut _| value(session, "SELECT pages FROM hamming_index_stats('t_h')").parse::<u64>().unwrap();
    let fill = "INSERT INTO t SELECT id, repeat(md5(id::text), 8)::phash(1024) FROM generate_series(1, 40000) id";
    each(&mut session, fill);
    let alone = pages(&mut session);
    each(&mut session, "VACUUM t");
    let vacuumed = pages(&mut session);
    each(&mut session, "TRUNCATE t");
    let mut other = cluster.connect();
    each(&mut other, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
    each(&mut session, fill);
    let watched = pages(&mut session);
    each(&mut other, "COMMIT");
    assert!(vacuumed * 4 < watched * 3, "{alone}, vacuumed {vacuumed}, watched {watched}");
    check(&mut session, "t_h");
}
