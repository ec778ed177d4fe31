//! Look-ups in the server: thousands of searches in one statement, so that neither the client nor its wake-up is timed;
//! with Postgres's data checksums and without, on the same index.

use crate::index::{Set, flipped, hex, micros, timed};
use lumina_cluster::Cluster;
use lumina_cluster::postgres::Client;
use std::time::Duration;

/// Times each statement is run; the fastest counts.
const RUNS: usize = 5;

/// Prints the header of the rows of [`measure`].
pub(crate) fn print_header() {
    println!(
        "\n| set | rows | search, in the server | without data checksums | with | ratio |\n|---|---|---|---|---|---|"
    );
}

/// How often both are measured in turn: a machine is not equally fast all the time.
const ROUNDS: usize = 5;

/// The rows of the table `indexed`, with its index. Stops the server, which ends all sessions.
pub(crate) fn measure(cluster: &Cluster, set: &Set, title: &str, hashes: &[Vec<u8>]) -> Vec<String> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        take_faster(&mut without, all(cluster, set, hashes));
        cluster.enable_checksums();
        take_faster(&mut with, all(cluster, set, hashes));
        cluster.disable_checksums();
    }
    let rows = without.into_iter().zip(with).map(|((search, without), (_, with))| {
        let ratio = without.as_secs_f64() / with.as_secs_f64();
        format!("| {title} | {} | {search} | {} | {} | {ratio:.2} |", set.count, micros(without), micros(with))
    });
    rows.collect()
}

/// Keeps the shorter time of each search.
fn take_faster(known: &mut Vec<(String, Duration)>, measured: Vec<(String, Duration)>) {
    if known.is_empty() {
        *known = measured;
    } else {
        known.iter_mut().zip(measured).for_each(|((_, time), (_, again))| *time = again.min(*time));
    }
}

/// Each search with its time per look-up.
fn all(cluster: &Cluster, set: &Set, hashes: &[Vec<u8>]) -> Vec<(String, Duration)> {
    let mut session = cluster.connect();
    session.batch_execute("SET enable_seqscan = off; SET enable_bitmapscan = off").expect("settings");
    let width = set.words * 64;
    let within = |radius: &u32| {
        let found = format!("SELECT id FROM indexed WHERE h <@ phash_ball(q.h, {radius})");
        (format!("within {radius}"), *radius, found)
    };
    let nearest = "SELECT id FROM indexed ORDER BY h <~> q.h LIMIT 10".to_owned();
    let searches = set.radii.iter().map(within).chain([("10 nearest".to_owned(), 5, nearest)]);
    searches.map(|(name, radius, found)| (name, look_up(&mut session, width, radius, &found, hashes))).collect()
}

fn look_up(session: &mut Client, width: usize, radius: u32, found: &str, hashes: &[Vec<u8>]) -> Duration {
    // Searches that cost milliseconds each run less often.
    let is_costly = found.contains("ORDER") || radius as usize * 8 > width;
    let count = if is_costly { 400 } else { 4000 } / if hashes.len() > 1_000_000 { 4 } else { 1 };
    let query = |at: usize| {
        let random = (at as u64 + 1).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let flips = if at.is_multiple_of(2) { width as u64 * 4 } else { random >> 40 & u64::from(radius) };
        format!("('{}')", hex(&flipped(&hashes[random as usize % hashes.len()], flips, random)))
    };
    let values: Vec<String> = (0..count).map(query).collect();
    session
        .batch_execute(&format!(
            "CREATE TEMPORARY TABLE queries (h phash({width})); INSERT INTO queries VALUES {}; ANALYZE queries",
            values.join(", ")
        ))
        .expect("queries");
    let statement = format!("SELECT count(*) FROM queries q, LATERAL ({found}) f");
    let plan = session.query(&format!("EXPLAIN {statement}"), &[]).expect("a plan");
    let uses_index = plan.iter().any(|line| line.get::<_, &str>(0).contains("Index Scan using indexed_h_idx"));
    assert!(uses_index, "the index is used: {plan:?}");
    let prepared = session.prepare(&statement).expect("a statement");
    let mut times: Vec<Duration> =
        (0..=RUNS).map(|_| timed(|| session.query(&prepared, &[]).map(drop).expect("a count"))).collect();
    times.remove(0); // the session maps the pages
    session.batch_execute("DROP TABLE queries").expect("the queries go");
    times.into_iter().min().unwrap_or_default() / count as u32
}
