//! Bulk search: every pair within a distance, SQL to SQL, from ten thousand to ten million hashes.
//!
//! `SELECT count(*) FROM phash_pairs(...)`, so that every pair is made, spooled and read again. Beside it, where it
//! ends within a minute, plain Postgres: a self-join with `bit_count`. The sets are those of `tests/sets`.

use crate::time;
use lumina_cluster::Cluster;
use lumina_cluster::postgres::{Client, CopyInWriter};
use std::io::Write;
use std::time::Duration;

/// A set: how many hashes of how many words, a maximum distance, and what is counted.
struct Search {
    set: &'static str,
    words: usize,
    count: usize,
    distance: u32,
    function: &'static str,
}

const fn pairs(set: &'static str, words: usize, count: usize, distance: u32) -> Search {
    Search { set, words, count, distance, function: "phash_pairs" }
}

const SEARCHES: &[Search] = &[
    pairs("uniform", 1, 10_000, 5),
    pairs("uniform", 1, 98_932, 5),
    pairs("uniform", 1, 1_000_000, 5),
    pairs("uniform", 1, 10_000_000, 5),
    pairs("photo", 1, 10_000, 5),
    pairs("photo", 1, 98_932, 5),
    Search { set: "photo", words: 1, count: 98_932, distance: 5, function: "phash_groups" },
    Search { set: "photo", words: 1, count: 1_000_000, distance: 3, function: "phash_groups" },
    pairs("uniform", 1, 1_000_000, 10),
    pairs("uniform", 4, 98_932, 31),
    pairs("uniform", 4, 98_932, 90),
    pairs("uniform", 4, 1_000_000, 31),
];

/// Prints the table.
pub(crate) fn print(cluster: &Cluster, runs: usize) {
    let mut session = cluster.connect();
    let threads = "SELECT threads FROM phash_plan('SELECT 1, phash ''ab''', 0)";
    let threads: i32 = session.query_one(threads, &[]).expect("a plan").get(0);
    println!("\nEvery pair within a distance, {threads} threads, {runs} runs, fastest / median in ms.\n");
    println!(
        "| set | hashes | within | function | rows | method | fastest | median | memory, MiB | `bit_count` self-join |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for search in SEARCHES {
        fill(&mut session, search);
        row(&mut session, search, runs);
        session.batch_execute("DROP TABLE bulk").expect("the table goes");
    }
}

fn row(session: &mut Client, search: &Search, runs: usize) {
    let Search { set, words, count, distance, function } = search;
    let counting = format!("SELECT count(*) FROM {function}('SELECT id, h FROM bulk', {distance})");
    let found: i64 = session.query_one(&counting, &[]).expect("a search").get(0);
    let mut times: Vec<Duration> = (0..runs).map(|_| time(session, &counting)).collect();
    times.sort();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let plan = format!(
        "SELECT method || coalesce(' ' || (SELECT string_agg(w || '±' || t, ' ')
            FROM unnest(widths, tolerances) u(w, t)), ''),
            memory / 1048576 FROM phash_plan('SELECT id, h FROM bulk', {distance})"
    );
    let plan = session.query_one(&plan, &[]).expect("a plan");
    let (method, memory): (String, i64) = (plan.get(0), plan.get(1));
    let alone = if *count <= 10_000 && *words == 1 {
        let joined =
            format!("SELECT count(*) FROM as_bit a, as_bit b WHERE a.id < b.id AND bit_count(a.h # b.h) <= {distance}");
        session.batch_execute("CREATE TEMP TABLE as_bit AS SELECT id, h::bit(64) h FROM bulk").expect("bits");
        let took = time(session, &joined);
        session.batch_execute("DROP TABLE as_bit").expect("the table goes");
        format!("{:.0}", milliseconds(took))
    } else {
        String::new()
    };
    println!(
        "| {set}, {} bits | {count} | {distance} | `{function}` | {found} | {method} | \
        {:.0} | {:.0} | {memory} | {alone} |",
        words * 64,
        milliseconds(times[0]),
        milliseconds(times[times.len() / 2]),
    );
}

fn fill(session: &mut Client, search: &Search) {
    let (words, count) = (search.words, search.count);
    let planes = match search.set {
        "photo" => lumina_sets::photo(count, 1),
        _ => lumina_sets::uniform(words, count, if words == 1 { 6 } else { 31 }, 1),
    };
    let table = format!("CREATE TABLE bulk (id bigint, h phash({}))", words * 64);
    session.batch_execute(&table).expect("a table");
    copy(
        session,
        "bulk",
        (0..count).map(|row| {
            let hash: String = (0..words).map(|plane| format!("{:016x}", planes[plane * count + row])).collect();
            format!("{row}\t{hash}\n")
        }),
    );
    session.batch_execute("VACUUM ANALYZE bulk").expect("vacuum");
}

/// Copies lines into a table.
pub(crate) fn copy(session: &mut Client, table: &str, lines: impl Iterator<Item = String>) {
    let mut rows: CopyInWriter<'_> = session.copy_in(&format!("COPY {table} FROM STDIN")).expect("COPY begins");
    lines.for_each(|line| rows.write_all(line.as_bytes()).expect("a row is sent"));
    rows.finish().expect("COPY ends");
}
