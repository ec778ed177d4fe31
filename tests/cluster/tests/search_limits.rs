//! Bulk search that must end early: cancelled in every phase, too many pairs, too little memory.
//!
//! The phase of a search is read from the server's log, which at DEBUG1 reports the end of each.

use lumina_cluster::Cluster;
use lumina_cluster::cluster::wait_until;
use lumina_cluster::report::say;
use lumina_cluster::sessions::{start, waits};
use postgres::Client;
use postgres::error::SqlState;
use std::time::{Duration, Instant};

/// Far more than the promised second: the machine may be busy.
const SOON: Duration = Duration::from_secs(5);

/// 64 random bits of a number.
const HASH: &str = "('x' || substr(md5(i::text), 1, 16))::bit(64)::phash";

fn pid(session: &mut Client) -> i32 {
    session.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0)
}

/// A number in `/proc/PID/status`; sizes are in kilobytes.
fn status(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}

/// The threads of a process: name, state, and where in the kernel each waits.
fn threads(pid: i32) -> Vec<String> {
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| task.unwrap().path());
    tasks.map(|task| format!("{} {}", read(task.join("stat")), read(task.join("syscall")))).collect()
}

fn temporary_bytes(session: &mut Client) -> i64 {
    session.query_one("SELECT coalesce(sum(size), 0)::int8 FROM pg_ls_tmpdir()", &[]).unwrap().get(0)
}

/// Asserts that a search works, and the server has never crashed.
fn assert_usable(cluster: &Cluster, session: &mut Client) {
    let equal = "SELECT count(*) FROM phash_pairs('VALUES (1, phash ''ab''), (2, ''ab'')', 0)";
    assert_eq!(session.query_one(equal, &[]).unwrap().get::<_, i64>(0), 1);
    assert_never_down(cluster);
}

fn assert_never_down(cluster: &Cluster) {
    let log = cluster.log();
    for bad in ["was terminated by signal", "exited with exit code 2", "PANIC", "reinitializing"] {
        assert!(!log.contains(bad), "{bad}");
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum CancelKind {
    /// By `pg_cancel_backend`, which sends one signal. For a client's request Postgres sends two, of which the second
    /// may meet the session's next statement.
    Cancel,
    Timeout,
    Terminate,
}

/// How the beginning of a phase is recognized.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sign {
    /// The session sleeps in pg_sleep.
    Sleeps,
    /// The session is busy with its statement.
    Runs,
    /// The log says this.
    Says(&'static str),
    /// Something was written to the disk.
    Writes,
}

/// A long search, and the phase in which to interrupt it.
struct Phase {
    name: &'static str,
    call: String,
    sign: Sign,
    /// In milliseconds: long enough to reach the phase. Reduced if a machine has finished the search by then.
    timeout: u64,
}

fn phases() -> Vec<Phase> {
    let phase = |name, call: &str, sign| Phase { name, call: call.to_owned(), sign, timeout: 500 };
    let grouping = |name, call: &str| Phase { timeout: 1200, ..phase(name, call, Sign::Says("lumina: found")) };
    let reading =
        "phash_matches('SELECT id, a FROM random', 'SELECT i, phash ''ab'' FROM generate_series(1, 4e9::int8) i', 0)";
    let by_text = "phash_pairs('SELECT md5(id::text), a, b FROM random', ARRAY[16, 16], id => ''::text)";
    let by_bands = "phash_pairs('SELECT id, a, b FROM random', ARRAY[16, 16])";
    let planned = Sign::Says("lumina: planned");
    vec![
        phase("inner query, asleep", "phash_pairs('SELECT 1, phash ''ab'' FROM pg_sleep(1000)', 0)", Sign::Sleeps),
        phase(
            "inner query, busy",
            "phash_pairs('SELECT i, phash ''ab'' FROM generate_series(1, 4e9::int8) i WHERE i < 0', 0)",
            Sign::Runs,
        ),
        phase("inner query, reading", reading, Sign::Says("lumina: read")),
        phase("sort", by_text, Sign::Says("lumina: read")),
        phase("sort and collapse", by_bands, Sign::Says("lumina: read")),
        phase("plan", by_bands, Sign::Says("lumina: collapsed")),
        phase("bands", by_bands, Sign::Says("lumina: planned bands")),
        phase(
            "brute force",
            "phash_pairs('TABLE random', ARRAY[26, 26, 26])",
            Sign::Says("lumina: planned brute force"),
        ),
        phase("search of two sets", "phash_matches('TABLE random', 'TABLE random', ARRAY[16, 16, 26])", planned),
        phase("writing", "phash_pairs('SELECT id, a FROM random', 25)", Sign::Writes),
        phase("edges", "phash_groups('SELECT id, a, b FROM random', ARRAY[16, 16])", planned),
        grouping("cliques", "phash_groups('TABLE cube', 2)"),
        grouping("stars", "phash_groups('TABLE cube', 2, 'star')"),
        grouping("components", "phash_groups('TABLE cube', 2, 'component')"),
    ]
}

#[test]
fn interrupted_in_every_phase() {
    let cluster = Cluster::start_with(&[
        ("log_line_prefix", "[%p] "),
        ("lumina.max_pairs_limit", "2147483647"),
        ("lumina.max_pairs", "2147483647"),
        ("lumina.search_threads", "2"),
    ]);
    let mut admin = cluster.connect();
    // Unordered, so that there is something to sort. The corners of a cube of 17 dimensions have many near ones.
    let tables = format!(
        "CREATE EXTENSION lumina;
        CREATE TABLE random AS SELECT i * 7919::int8 % 400009 AS id, {HASH} AS a, {} AS b, {} AS c
        FROM generate_series(1, 400000) i;
        CREATE TABLE cube AS SELECT i * 7919::int8 % 131071 AS id, i::int8::phash AS a
            FROM generate_series(0, 131070) i",
        HASH.replace("i::text", "(-i)::text"),
        HASH.replace("i::text", "(i * 0.1)::text")
    );
    admin.batch_execute(&tables).unwrap();
    for phase in phases() {
        for kind in [CancelKind::Cancel, CancelKind::Timeout, CancelKind::Terminate] {
            let mut timeout = phase.timeout;
            while !interrupt(&cluster, &mut admin, &phase, kind, timeout) {
                timeout = timeout * 3 / 4;
                assert!(timeout > 100, "{}: too fast to be interrupted", phase.name);
            }
        }
    }
    assert_usable(&cluster, &mut admin);
}

/// Returns whether the search was still running at the timeout.
fn interrupt(cluster: &Cluster, admin: &mut Client, phase: &Phase, kind: CancelKind, timeout: u64) -> bool {
    let case = format!("{}, {kind:?}", phase.name);
    let mut session = cluster.connect();
    let process = pid(&mut session);
    // No untried GPU: whether one has been tried depends on the moment of the interrupt before.
    let settings = "SET client_min_messages = error; SET log_min_messages = debug1; SET lumina.device = cpu";
    session.batch_execute(settings).unwrap();
    let before = cluster.log().len();
    let mut began = Instant::now();
    if kind == CancelKind::Timeout {
        session.batch_execute(&format!("SET statement_timeout = {timeout}")).unwrap();
        began += Duration::from_millis(timeout);
    }
    let running = start(session, format!("SELECT count(*) FROM {}", phase.call));
    if kind != CancelKind::Timeout {
        wait_until(&format!("{case}: begins"), || {
            assert!(!running.is_finished(), "{case}: ended before it was interrupted\n{}", &cluster.log()[before..]);
            match phase.sign {
                Sign::Sleeps => waits(admin, process, "PgSleep"),
                Sign::Runs => {
                    let runs =
                        "SELECT state = 'active' AND query ~ '^SELECT count' FROM pg_stat_activity WHERE pid = $1";
                    admin.query_one(runs, &[&process]).unwrap().get(0)
                }
                Sign::Says(what) => cluster.log()[before..].contains(&format!("[{process}] DEBUG:  {what}")),
                Sign::Writes => temporary_bytes(admin) > 0,
            }
        });
        began = Instant::now();
        let function = if kind == CancelKind::Cancel { "pg_cancel_backend" } else { "pg_terminate_backend" };
        assert!(admin.query_one(&format!("SELECT {function}($1)"), &[&process]).unwrap().get::<_, bool>(0));
    }
    let (mut session, result, ended) = running.join().unwrap();
    let took = ended.saturating_duration_since(began);
    if kind == CancelKind::Timeout && result.is_ok() {
        say(&format!("{case}: ended within {timeout} ms"));
        return false;
    }
    say(&format!("{case}: back after {took:.1?}"));
    let error = result.expect_err(&case);
    assert!(took < SOON, "{case}: took {took:?}");
    if kind == CancelKind::Terminate {
        assert!(error.code() == Some(&SqlState::ADMIN_SHUTDOWN) || session.is_closed(), "{case}: {error:?}");
        wait_until(&format!("{case}: gone"), || !std::path::Path::new(&format!("/proc/{process}")).exists());
    } else {
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{case}: {error:?}");
        wait_until(&format!("{case}: its threads are gone"), || {
            let threads = threads(process);
            assert!(began.elapsed() < 2 * SOON, "{case}: threads are left: {threads:?}");
            threads.len() == 1
        });
        session.batch_execute("RESET ALL").unwrap();
        assert_usable(cluster, &mut session);
    }
    assert_eq!(temporary_bytes(admin), 0, "{case}: temporary files are left");
    assert_never_down(cluster);
    true
}

/// Searches that would find a billion pairs and more. The server's disk and memory must not be affected.
#[test]
fn a_billion_pairs() {
    let cluster = Cluster::start_with(&[("lumina.search_threads", "2")]);
    let mut admin = cluster.connect();
    admin
        .batch_execute(
            "CREATE EXTENSION lumina;
            CREATE TABLE equal AS SELECT i AS id, phash 'c3a1f0e00f1e3c78' AS h FROM generate_series(1, 50000) i;
            CREATE TABLE popular AS SELECT i AS id, (i % 2)::int8::phash AS h FROM generate_series(1, 63000) i;
            CREATE TABLE near AS SELECT i AS id, i::int8::phash AS h FROM generate_series(0, 65535) i",
        )
        .unwrap();
    let calls = [
        ("phash_pairs('TABLE equal', 3)", 10_000_000, "c3a1f0e00f1e3c78: 100 %"),
        ("phash_pairs('TABLE popular', 1)", 10_000_000, "0000000000000001: 50 %"),
        (
            "phash_matches('SELECT id, h FROM popular WHERE id % 2 = 0', \
                'SELECT id, h FROM popular WHERE id % 2 = 1', 1)",
            10_000_000,
            "0000000000000001: 100 %",
        ),
        ("phash_matches('TABLE equal', 'TABLE equal', 64)", 10_000_000, "c3a1f0e00f1e3c78: 100 %"),
        ("phash_pairs('TABLE near', 16)", 1_000_000, "Hashes that take part"),
        ("phash_groups('TABLE near', 16)", 10_000_000, "Hashes that take part"),
        ("phash_groups('TABLE near', 16, 'component')", 10_000_000, "Hashes that take part"),
    ];
    for (call, limit, blamed) in calls {
        let mut session = cluster.connect();
        session.batch_execute(&format!("SET lumina.max_pairs = {limit}")).unwrap();
        let process = pid(&mut session) as u32;
        let running = start(session, format!("SELECT count(*) FROM {call}"));
        let mut written = 0;
        while !running.is_finished() {
            written = written.max(temporary_bytes(&mut admin));
        }
        let (mut session, result, _) = running.join().unwrap();
        let memory = status(process, "VmHWM") / 1024;
        say(&format!("{call}: {memory} MB of memory, {} MB of disk", written >> 20));
        let error = result.expect_err(call);
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code(), &SqlState::CONFIGURATION_LIMIT_EXCEEDED, "{error:?}");
        assert!(error.message().contains("lumina.max_pairs"), "{error:?}");
        assert!(error.detail().unwrap().contains(blamed), "{error:?}");
        // Postgres's own rows of a pair take less than 64 bytes; edges 8, at most twice.
        assert!(written <= limit * 64, "{call}: {written} bytes of disk");
        assert!(memory < 400, "{call}: {memory} MB of memory");
        assert_eq!(temporary_bytes(&mut admin), 0, "{call}: temporary files are left");
        assert_usable(&cluster, &mut session);
    }
    // Up to the limit, the result is returned.
    let all = "SELECT count(*) FROM phash_pairs('SELECT id, h FROM near WHERE id < 1415', 11)";
    assert_eq!(admin.query_one(all, &[]).unwrap().get::<_, i64>(0), 1415 * 1414 / 2);
}

/// Searches that are granted more memory than the system has, at many limits: they end with an error, or their result.
#[test]
fn too_little_address_space() {
    let cluster = Cluster::start_with(&[
        ("shared_buffers", "16MB"),
        ("lumina.search_memory", "2GB"),
        ("lumina.search_threads", "4"),
        ("lumina.max_pairs", "100000000"),
        ("restart_after_crash", "on"),
    ]);
    cluster.sql(
        "postgres",
        &format!(
            "CREATE EXTENSION lumina;
            CREATE TABLE random AS SELECT i AS id, {HASH} AS h FROM generate_series(1, 100000) i"
        ),
    );
    cluster
        .sql("postgres", "CREATE TABLE cube AS SELECT i AS id, i::int8::phash AS h FROM generate_series(0, 16383) i");
    let calls = [
        "phash_pairs('SELECT id, h FROM random UNION ALL SELECT id + 1000000, h FROM random ORDER BY h', 5)",
        "phash_pairs('SELECT id::text, h FROM random', 3, ''::text)",
        "phash_matches('TABLE random', 'TABLE random', 5)",
        "phash_groups('TABLE cube', 3)",
        "phash_plan('TABLE random', 5)",
    ];
    let mut seen = std::collections::BTreeMap::new();
    for megabytes in [4, 6, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 48, 64, 96, 128, 1024] {
        // New sessions inherit the postmaster's limit.
        cluster.limit_address_space(megabytes << 20);
        for call in calls {
            let Some(mut session) = cluster.try_connect() else {
                *seen.entry(format!("{megabytes:4} MB: no session")).or_insert(0) += 1;
                continue;
            };
            let outcome = match session.batch_execute(&format!("SELECT count(*) FROM {call}")) {
                Ok(()) => "done".to_owned(),
                Err(error) => match error.as_db_error() {
                    Some(error) => {
                        let code = error.code();
                        let expected = [
                            &SqlState::OUT_OF_MEMORY,
                            &SqlState::INSUFFICIENT_RESOURCES,
                            &SqlState::from_code("58P01"),
                        ];
                        assert!(expected.contains(&code), "{megabytes} MB, {call}: {error:?}");
                        // This session continues.
                        session.batch_execute("SELECT 1").unwrap();
                        format!("{} {}", code.code(), error.message())
                    }
                    None => panic!("{megabytes} MB, {call}: the server went down: {error:?}"),
                },
            };
            *seen.entry(format!("{megabytes:4} MB: {outcome}")).or_insert(0) += 1;
        }
        assert_never_down(&cluster);
    }
    for (what, times) in &seen {
        say(&format!("{what}, {times} times"));
    }
    assert!(seen.keys().any(|what| what.contains("53200")) && seen.keys().any(|what| what.ends_with("done")));
}
