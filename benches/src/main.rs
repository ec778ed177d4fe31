//! The figures in `docs/benchmarks.md`: a column of `phash(64)` beside plain Postgres, on one server, in one run.
//!
//! `make bench`, or `cargo run -p lumina-bench -- ROWS RUNS`. Prints Markdown. With 0 rows the type itself is left out;
//! a third argument (`uniform64-1000000`, say, or a part of names) measures the index on these sets and nothing else,
//! and `pages` the groups, decisions and bursts of a large catalog.
//! Compared statements run in turn, so that load on the machine affects both; the table gives the fastest and the
//! median run of each.
#![allow(clippy::expect_used, reason = "a program for developers: it stops where it fails")]

mod bulk;
mod catalog;
mod changes;
mod curation;
mod import;
mod index;
mod lookups;
mod pages;
mod pgvector;

use lumina_cluster::Cluster;
use lumina_cluster::postgres::Client;
use std::time::{Duration, Instant};

/// One statement in each of the competing forms; the last one is lumina's.
struct Contest {
    what: &'static str,
    forms: &'static [(&'static str, &'static str)],
}

const CONTESTS: &[Contest] = &[
    Contest {
        what: "count of rows within 5 bits, sequential scan",
        forms: &[
            ("no condition at all, for comparison", "SELECT count(*) FROM as_phash"),
            (
                "`bit_count(h # q) <= 5`, `bit(64)`",
                "SELECT count(*) FROM as_bit WHERE bit_count(h # x'c3a1f0e00f1e3c78') <= 5",
            ),
            (
                "`phash_within(h, q, 5)`, `phash(64)`",
                "SELECT count(*) FROM as_phash WHERE phash_within(h, 'c3a1f0e00f1e3c78', 5)",
            ),
        ],
    },
    Contest {
        what: "10 nearest by a sort, sequential scan",
        forms: &[
            (
                "`ORDER BY bit_count(h # q)`, `bit(64)`",
                "SELECT id FROM as_bit ORDER BY bit_count(h # x'c3a1f0e00f1e3c78') LIMIT 10",
            ),
            ("`ORDER BY h <~> q`, `phash(64)`", "SELECT id FROM as_phash ORDER BY h <~> 'c3a1f0e00f1e3c78' LIMIT 10"),
        ],
    },
    Contest { what: "ANALYZE", forms: &[("`bytea`", "ANALYZE as_bytea (h)"), ("`phash(64)`", "ANALYZE as_phash (h)")] },
    Contest {
        what: "sort in memory",
        forms: &[
            ("`bytea`", "SELECT count(*) FROM (SELECT h FROM as_bytea ORDER BY h OFFSET 0) s"),
            ("`phash(64)`", "SELECT count(*) FROM (SELECT h FROM as_phash ORDER BY h OFFSET 0) s"),
        ],
    },
    Contest {
        what: "hash aggregate, all values distinct",
        forms: &[
            ("`bytea`", "SELECT count(*) FROM (SELECT h FROM as_bytea GROUP BY h OFFSET 0) g"),
            ("`phash(64)`", "SELECT count(*) FROM (SELECT h FROM as_phash GROUP BY h OFFSET 0) g"),
        ],
    },
    Contest {
        what: "hash join with itself",
        forms: &[
            ("`bytea`", "SELECT count(*) FROM as_bytea a JOIN as_bytea b USING (h)"),
            ("`phash(64)`", "SELECT count(*) FROM as_phash a JOIN as_phash b USING (h)"),
        ],
    },
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise| arguments.next().map_or(otherwise, |number| number.parse().expect("a number"));
    let (rows, runs): (u64, u64) = (number(1_000_000), number(9));
    let only_index = arguments.next();
    let cluster = Cluster::start_with(&[
        ("shared_buffers", "1GB"),
        ("work_mem", "1GB"),
        ("hash_mem_multiplier", "2"),
        ("max_wal_size", "8GB"),
        ("max_parallel_workers_per_gather", "0"),
        ("jit", "off"),
        ("autovacuum", "off"),
    ]);
    cluster.disable_checksums(); // as Postgres up to 17 comes; what they change is in a table of its own
    cluster.sql("postgres", "CREATE EXTENSION lumina");
    if only_index.as_deref() == Some("pages") {
        pages::print(&cluster, runs as usize);
        return;
    }
    index::print(&cluster, only_index.as_deref().unwrap_or_default());
    if only_index.is_some() {
        return;
    }
    if rows > 0 {
        values(&cluster, rows, runs);
    }
    bulk::print(&cluster, runs as usize);
    catalog::print(&cluster, runs as usize);
    pages::print(&cluster, runs as usize);
    import::print(runs as usize);
}

/// The type beside plain Postgres.
fn values(cluster: &Cluster, rows: u64, runs: u64) {
    let mut session = cluster.connect();
    let version: String = session.query_one("SHOW server_version", &[]).expect("a version").get(0);
    fill(cluster, rows);

    println!(
        "Postgres {version}, {rows} rows of (bigint, hash), one session, warm; {runs} runs in turn, fastest / median \
        in ms.\n"
    );
    println!("| statement | form | fastest | median |\n|---|---|---|---|");
    for contest in CONTESTS {
        let mut times = vec![Vec::new(); contest.forms.len()];
        for _ in 0..runs {
            for ((_, statement), times) in contest.forms.iter().zip(&mut times) {
                times.push(time(&mut session, statement));
            }
        }
        for ((form, _), mut times) in contest.forms.iter().zip(times) {
            times.sort();
            let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
            let (fastest, median) = (milliseconds(times[0]), milliseconds(times[times.len() / 2]));
            println!("| {} | {form} | {fastest:.1} | {median:.1} |", contest.what);
        }
    }
    println!("\n| table of (bigint, …) | bytes a row |\n|---|---|");
    for (table, form) in [("as_bit", "`bit(64)`"), ("as_bytea", "`bytea`"), ("as_phash", "`phash(64)`")] {
        let size = format!("SELECT pg_relation_size('{table}')::float8 / {rows}");
        let bytes: f64 = session.query_one(&size, &[]).expect("a size").get(0);
        println!("| {form} | {bytes:.1} |");
    }
}

/// One set of hashes in three types.
fn fill(cluster: &Cluster, rows: u64) {
    cluster.sql(
        "postgres",
        &format!(
            "CREATE TABLE as_bit AS
            SELECT i AS id, hashint8extended(i, 0)::bit(64) AS h FROM generate_series(1::bigint, {rows}) i;
            CREATE TABLE as_bytea AS SELECT id, int8send(h::bigint) AS h FROM as_bit;
            CREATE TABLE as_phash AS SELECT id, h::bigint::phash::phash(64) AS h FROM as_bit;
            VACUUM (ANALYZE) as_bit, as_bytea, as_phash;
            CHECKPOINT"
        ),
    );
}

fn time(session: &mut Client, statement: &str) -> Duration {
    let start = Instant::now();
    session.simple_query(statement).expect("the statement runs");
    start.elapsed()
}
