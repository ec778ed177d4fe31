//! The hamming index: searches, size, building, inserts, from ten thousand to ten million hashes, beside plain
//! Postgres.
//!
//! Searches are prepared statements, one client, warm; half the queries are hashes of the table with up to r bits
//! flipped, half are random. Times are the client's: the whole statement with its round trip, which `SELECT 1` measures
//! alone; [`lookups`] measures in the server.

use crate::bulk::copy;
use crate::{lookups, pgvector};
use lumina_cluster::Cluster;
use lumina_cluster::postgres::{Client, Statement};
use std::num::NonZero;
use std::process::Command;
use std::time::{Duration, Instant};

/// A set: the kind, the words of a hash, the number of hashes, and the search radii.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    pub(crate) words: usize,
    pub(crate) count: usize,
    pub(crate) radii: &'static [u32],
    /// Bands of the index; 0: the default.
    pub(crate) bands: usize,
}

impl Set {
    /// The name by which the set is selected.
    pub(crate) fn name(&self) -> String {
        format!("{}{}-{}", self.name, self.words * 64, self.count)
    }

    fn title(&self) -> String {
        let bands = if self.bands > 0 { format!(", {} bands", self.bands) } else { String::new() };
        format!("{}, {} bits{bands}", self.name, self.words * 64)
    }
}

const SETS: &[Set] = &[
    Set { name: "uniform", words: 1, count: 10_000, radii: &[0, 5, 10, 16], bands: 0 },
    Set { name: "uniform", words: 1, count: 100_000, radii: &[0, 5, 10, 16], bands: 0 },
    Set { name: "uniform", words: 1, count: 1_000_000, radii: &[0, 2, 5, 8, 10, 16], bands: 0 },
    Set { name: "photo", words: 1, count: 1_000_000, radii: &[0, 2, 5, 8, 10, 16], bands: 0 },
    Set { name: "uniform", words: 1, count: 10_000_000, radii: &[0, 5, 10, 16], bands: 0 },
    Set { name: "uniform", words: 4, count: 1_000_000, radii: &[0, 10, 20, 31], bands: 0 },
    Set { name: "uniform", words: 4, count: 1_000_000, radii: &[0, 10, 20, 31], bands: 16 },
];

/// Measured only if selected by its full name.
const LARGE: Set = Set { name: "uniform", words: 4, count: 10_000_000, radii: &[0, 10, 20, 31], bands: 0 };

/// Concurrent sessions, and for how long they search.
const CLIENTS: usize = 8;
const BUSY: Duration = Duration::from_secs(3);

/// Rows inserted one by one, and rows copied.
const INSERTS: usize = 100_000;
const COPIED: usize = 1_000_000;

/// Pins client and server to one processor, so that they hand over to each other. On a virtual machine, waking another
/// processor takes as long as a search, twice for each statement.
pub(crate) struct Together {
    processes: Vec<u32>,
    processors: usize,
}

impl Together {
    pub(crate) fn new(session: &mut Client) -> Self {
        let server: i32 = number(session, "SELECT pg_backend_pid()");
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let both = Together { processes: vec![std::process::id(), server.unsigned_abs()], processors };
        both.run_on("0");
        both
    }

    fn run_on(&self, processors: &str) {
        for process in &self.processes {
            let set = Command::new("taskset").args(["-c", "-p", processors, &process.to_string()]).output();
            assert!(set.expect("taskset, of util-linux").status.success(), "processors are assigned");
        }
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        self.run_on(&format!("0-{}", self.processors - 1));
    }
}

/// Prints the tables.
pub(crate) fn print(cluster: &Cluster, wanted: &str) {
    let mut session = connect(cluster);
    let idle = session.prepare("SELECT 1").expect("a statement");
    let together = Together::new(&mut session);
    let mut times: Vec<Duration> =
        (0..1000).map(|_| timed(|| session.query(&idle, &[]).map(drop).expect("one"))).collect();
    drop(together);
    times.sort();
    println!("\nThe index; `SELECT 1` takes {} here.\n", micros(quantile(&times, 500)));
    println!("| set | rows | search | median | p99 | rows found | with a tier full | sequential scan |");
    println!("|---|---|---|---|---|---|---|---|");
    let (mut sizes, mut looked_up) = (Vec::new(), Vec::new());
    let large = (LARGE.name() == wanted).then_some(&LARGE);
    let is_whole = SETS.iter().any(|set| set.name() == wanted);
    let is_wanted = |set: &&Set| if is_whole { set.name() == wanted } else { set.name().contains(wanted) };
    for set in SETS.iter().filter(is_wanted).chain(large) {
        sizes.push(measure(cluster, &mut session, set, &mut looked_up));
        session.batch_execute("DROP TABLE indexed").expect("the table goes");
    }
    println!(
        "\n| set | rows | build, s | bytes a row | WAL bytes a row | bytes a row after a quarter more | \
        searches a second, {CLIENTS} clients |\n|---|---|---|---|---|---|---|"
    );
    sizes.iter().for_each(|row| println!("{row}"));
    lookups::print_header();
    looked_up.iter().for_each(|row| println!("{row}"));
    inserts(&mut session);
    pgvector::print(&mut session, wanted);
}

fn connect(cluster: &Cluster) -> Client {
    let mut session = cluster.connect();
    session.batch_execute("SET work_mem = '4MB'; SET maintenance_work_mem = '256MB'").expect("settings");
    session
}

pub(crate) fn micros(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    if micros < 1000.0 { format!("{micros:.0} µs") } else { format!("{:.2} ms", micros / 1000.0) }
}

/// The quantile of the sorted `times` at `thousandths`.
pub(crate) fn quantile(times: &[Duration], thousandths: usize) -> Duration {
    times[times.len() * thousandths / 1000]
}

pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

pub(crate) fn number<T: for<'a> lumina_cluster::postgres::types::FromSql<'a>>(session: &mut Client, query: &str) -> T {
    session.query_one(query, &[]).expect("a figure").get(0)
}

/// The hashes of a set, as bytes.
pub(crate) fn hashes(set: &Set) -> Vec<Vec<u8>> {
    let planes = match set.name {
        "photo" => lumina_sets::photo(set.count, 1),
        _ => lumina_sets::uniform(set.words, set.count, if set.words == 1 { 6 } else { 31 }, 1),
    };
    let hash = |row: usize| (0..set.words).flat_map(|p| planes[p * set.count + row].to_be_bytes()).collect();
    (0..set.count).map(hash).collect()
}

pub(crate) fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Prints one row per search; returns the row of the sizes, and adds the look-ups in the server.
fn measure(cluster: &Cluster, session: &mut Client, set: &Set, looked_up: &mut Vec<String>) -> String {
    let Set { words, count, radii, bands, .. } = set;
    let title = set.title();
    let hashes = hashes(set);
    session.batch_execute(&format!("CREATE TABLE indexed (id bigint, h phash({}))", words * 64)).expect("a table");
    copy(session, "indexed", hashes.iter().enumerate().map(|(id, hash)| format!("{id}\t{}\n", hex(hash))));
    for statement in ["VACUUM (ANALYZE) indexed", "CHECKPOINT"] {
        session.batch_execute(statement).expect("vacuum");
    }
    let before: String = number(session, "SELECT pg_current_wal_insert_lsn()::text");
    let with = if *bands > 0 { format!("WITH (bands = {bands})") } else { String::new() };
    let create = format!("CREATE INDEX ON indexed USING hamming (h) {with}");
    let built = timed(|| session.batch_execute(&create).expect("an index"));
    let wal = format!("SELECT (pg_current_wal_insert_lsn() - '{before}'::pg_lsn)::float8 / {count}");
    let wal: f64 = number(session, &wal);
    let size = "SELECT pg_relation_size('indexed_h_idx')::float8 / count(*) FROM indexed";
    let bytes: f64 = number(session, size);

    let rate = busy(cluster, set, &hashes);
    looked_up.extend(lookups::measure(cluster, set, &title, &hashes));
    *session = connect(cluster);

    // A quarter more, so that every tier has as many runs as it takes.
    let fresh = searches(session, set, &hashes);
    let more = count / 4;
    copy(session, "indexed", (0..more).map(|id| format!("{id}\t{}\n", hex(&flipped(&hashes[id], 3, id as u64)))));
    let later = searches(session, set, &hashes);
    let after: f64 = number(session, size);
    for ((search, first), later) in
        radii.iter().map(|r| format!("within {r}")).chain(["10 nearest".into()]).zip(fresh).zip(later)
    {
        let scan = first.scan.map_or("".into(), micros);
        println!(
            "| {title} | {count} | {search} | {} | {} | {:.1} | {} | {scan} |",
            micros(first.median),
            micros(first.slow),
            first.rows,
            micros(later.median)
        );
    }
    format!("| {title} | {count} | {:.2} | {bytes:.1} | {wal:.1} | {after:.1} | {rate} |", built.as_secs_f64())
}

struct Times {
    median: Duration,
    slow: Duration,
    rows: f64,
    scan: Option<Duration>,
}

pub(crate) fn flipped(hash: &[u8], flips: u64, seed: u64) -> Vec<u8> {
    let mut hash = hash.to_vec();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for _ in 0..flips {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let bit = (state >> 33) as usize % (hash.len() * 8);
        hash[bit / 8] ^= 1 << (bit % 8);
    }
    hash
}

/// Each search in turn: within each radius, then the nearest.
fn searches(session: &mut Client, set: &Set, hashes: &[Vec<u8>]) -> Vec<Times> {
    let width = set.words * 64;
    let within = |r: &u32| (*r, format!("SELECT id FROM indexed WHERE h <@ phash_ball($1::text::phash({width}), {r})"));
    let nearest = (5, format!("SELECT id FROM indexed ORDER BY h <~> $1::text::phash({width}) LIMIT 10"));
    let forms: Vec<(u32, String)> = set.radii.iter().map(within).chain([nearest]).collect();
    let mut all = Vec::new();
    let _together = Together::new(session);
    // The widest radius first: it sees most pages.
    for (radius, form) in forms.into_iter().rev() {
        let statement = session.prepare(&form).expect("a statement");
        let count = if set.count > 1_000_000 { 100 } else { 400 };
        let query = |at: usize| {
            let random = (at as u64 + 1).wrapping_mul(0xd6e8_feb8_6659_fd93);
            let hash = &hashes[random as usize % hashes.len()];
            // Flipping as many bits as there are makes an unrelated hash.
            let flips = if at.is_multiple_of(2) { width as u64 * 4 } else { random >> 40 & u64::from(radius) };
            hex(&flipped(hash, flips, random))
        };
        let queries: Vec<String> = (0..count).map(query).collect();
        let one = |session: &mut Client, statement: &Statement, query: &String| {
            session.query(statement, &[query]).expect("rows").len()
        };
        // Other queries first: the session maps the pages that it has not seen yet.
        for query in (count..count * 2).map(query) {
            one(session, &statement, &query);
        }
        let mut rows = 0;
        let mut times: Vec<Duration> =
            queries.iter().map(|query| timed(|| rows += one(session, &statement, query))).collect();
        times.sort();
        session.batch_execute("SET enable_indexscan = off; SET enable_bitmapscan = off").expect("settings");
        let plain = session.prepare(&form).expect("a statement");
        let mut scans: Vec<Duration> = queries
            .iter()
            .take(5)
            .map(|query| timed(|| assert!(one(session, &plain, query) <= hashes.len() * 2)))
            .collect();
        scans.sort();
        session.batch_execute("RESET enable_indexscan; RESET enable_bitmapscan").expect("settings");
        all.push(Times {
            median: quantile(&times, 500),
            slow: quantile(&times, 990),
            rows: rows as f64 / times.len() as f64,
            scan: scans.get(2).copied(),
        });
    }
    all.reverse();
    all
}

/// Searches per second of all clients together, within 5 bits, or 31 for wide hashes.
fn busy(cluster: &Cluster, set: &Set, hashes: &[Vec<u8>]) -> String {
    let (width, radius) = (set.words * 64, if set.words == 1 { 5 } else { 31 });
    let one = |client: usize| {
        let mut session = cluster.connect();
        let form = format!("SELECT id FROM indexed WHERE h <@ phash_ball($1::text::phash({width}), {radius})");
        let statement = session.prepare(&form).expect("a statement");
        let start = Instant::now();
        let mut done = 0;
        while start.elapsed() < BUSY {
            let random = (done * CLIENTS + client + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let query = hex(&flipped(&hashes[random % hashes.len()], 3, random as u64));
            assert!(!session.query(&statement, &[&query]).expect("rows").is_empty());
            done += 1;
        }
        done
    };
    let all: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || one(client))).collect();
        clients.into_iter().map(|client| client.join().expect("a client")).sum()
    });
    format!("{:.0} (within {radius})", all as f64 / BUSY.as_secs_f64())
}

/// Rows inserted one by one, and copied, beside a btree on random bigints.
fn inserts(session: &mut Client) {
    println!(
        "\n| {INSERTS} single inserts in a transaction, of {COPIED} rows | median | p99.9 | slowest | \
        COPY of {COPIED} rows into the empty table, s | WAL bytes a row of that |"
    );
    println!("|---|---|---|---|---|---|");
    let kinds = [
        ("no index", ""),
        ("btree on random bigints", "CREATE INDEX ON written (number)"),
        ("hamming on `phash(64)`", "CREATE INDEX ON written USING hamming (h)"),
    ];
    for (name, index) in kinds {
        session
            .batch_execute(&format!("CREATE TABLE written (id bigint, number bigint, h phash(64)); {index}"))
            .expect("a table");
        let before: String = number(session, "SELECT pg_current_wal_insert_lsn()::text");
        let row = |id: u64| {
            let random = (id + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let random = (random ^ random >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (random as i64, format!("{random:016x}"))
        };
        let copied = timed(|| {
            copy(
                session,
                "written",
                (0..COPIED as u64).map(|id| {
                    let (number, h) = row(id);
                    format!("{id}\t{number}\t{h}\n")
                }),
            );
        });
        let wal = format!("SELECT (pg_current_wal_insert_lsn() - '{before}'::pg_lsn)::float8 / {COPIED}");
        let wal: f64 = number(session, &wal);
        let statement =
            session.prepare("INSERT INTO written VALUES ($1, $2, $3::text::phash(64))").expect("a statement");
        session.batch_execute("BEGIN").expect("begin");
        let together = Together::new(session);
        let mut times: Vec<Duration> = (0..INSERTS as u64)
            .map(|id| {
                let (number, h) = row(id + COPIED as u64);
                timed(|| assert_eq!(session.execute(&statement, &[&(id as i64), &number, &h]).expect("a row"), 1))
            })
            .collect();
        drop(together);
        session.batch_execute("COMMIT; DROP TABLE written").expect("commit");
        times.sort();
        println!(
            "| {name} | {} | {} | {} | {:.2} | {wal:.0} |",
            micros(quantile(&times, 500)),
            micros(quantile(&times, 999)),
            micros(times[INSERTS - 1]),
            copied.as_secs_f64()
        );
    }
}
