//! Every long operation is cancelled half-way: it ends at once, holds nothing, and the index is intact.

use super::world::{Hashes, assert_well, check, compare_all, compare_some, copy, each, fill, value, world};
use lumina_cluster::Cluster;
use lumina_cluster::cluster::wait_until;
use lumina_cluster::postgres::{Client, NoTls};
use lumina_cluster::report::{number, say};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// More than the promised second: the machine may be busy.
const SOON: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq)]
enum CancelKind {
    /// Like psql on Ctrl-C.
    Cancel,
    Timeout,
    Terminate,
}

/// Runs a statement and cancels it after `moment`. Returns whether it was cancelled, and how soon it ended.
fn end(
    cluster: &Cluster,
    admin: &mut Client,
    settings: &str,
    statement: &str,
    kind: CancelKind,
    moment: Duration,
) -> (bool, Duration) {
    let mut session = cluster.connect();
    each(&mut session, settings);
    let pid: i32 = session.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    if kind == CancelKind::Timeout {
        each(&mut session, &format!("SET statement_timeout = {}", moment.as_millis().max(1)));
    }
    let token = session.cancel_token();
    let text = statement.to_owned();
    let began = Instant::now();
    let running = std::thread::spawn(move || {
        let outcome = session.batch_execute(&text);
        (session, outcome, Instant::now())
    });
    if kind != CancelKind::Timeout {
        std::thread::sleep(moment); // the moment itself
    }
    let sent = Instant::now();
    match kind {
        CancelKind::Cancel => token.cancel_query(NoTls).unwrap(),
        CancelKind::Terminate => drop(admin.execute("SELECT pg_terminate_backend($1)", &[&pid]).unwrap()),
        CancelKind::Timeout => {}
    }
    let (session, outcome, ended) = running.join().unwrap();
    let sent = if kind == CancelKind::Timeout { began + moment } else { sent };
    let was_ended = match outcome {
        Ok(()) => false,
        Err(error) => {
            let code = error.code().map(|code| code.code().to_owned());
            assert!(matches!(code.as_deref(), Some("57014" | "57P01") | None), "{statement}: {error:?}");
            true
        }
    };
    // No locks are held, whether or not the session still exists.
    let mut held = Vec::new();
    wait_until("everything is given back", || {
        let locks = "SELECT locktype || ' ' || mode FROM pg_locks WHERE pid = $1";
        held = admin.query(locks, &[&pid]).unwrap();
        held.is_empty() || ended.elapsed() > SOON
    });
    assert!(
        held.is_empty(),
        "{statement}, {kind:?}: {:?}",
        held.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>()
    );
    drop(session);
    (was_ended, ended.saturating_duration_since(sent))
}

/// Cancels a statement at several moments of its duration, and checks the index after each.
struct Ending<'a> {
    cluster: &'a Cluster,
    admin: &'a mut Client,
    slowest: (Duration, String),
}

impl Ending<'_> {
    /// `prepare` sets up the table, undoing the effect of a statement that was not cancelled.
    fn at_every_moment(&mut self, settings: &str, prepare: &str, statement: &str, look: impl Fn(&mut Client)) {
        each(self.admin, prepare);
        let mut session = self.cluster.connect();
        each(&mut session, settings);
        let began = Instant::now();
        session.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        let took = began.elapsed();
        drop(session);
        let (rounds, mut ended) = (number("LUMINA_CANCELS", 3) as u32, 0);
        for round in 0..rounds {
            each(self.admin, prepare);
            let kind = [CancelKind::Cancel, CancelKind::Timeout, CancelKind::Terminate][round as usize % 3];
            let moment = took * (2 * round + 1) / (2 * rounds + 1);
            let (was_ended, after) = end(self.cluster, self.admin, settings, statement, kind, moment);
            ended += u32::from(was_ended);
            assert!(after < SOON, "{statement}: {kind:?} at {moment:?} of {took:?} took {after:?}");
            if after > self.slowest.0 {
                self.slowest = (after, format!("{kind:?} of {statement}"));
            }
            look(self.admin);
        }
        assert!(ended > 0, "{statement} takes {took:?}, and was never in the way");
    }
}

#[test]
fn everything_that_takes_long() {
    let (cluster, mut admin) = world();
    let mut hashes = Hashes::new(256, 81);
    fill(&mut admin, "t", &mut hashes, 40_000);
    let more = hashes.rows(1_000_000, 20_000);
    let center = hashes.center();
    each(&mut admin, "CREATE TABLE more (LIKE t)");
    copy(&mut admin, "more", &more);
    let mut ending = Ending { cluster: &cluster, admin: &mut admin, slowest: (Duration::ZERO, String::new()) };
    let none =
        |admin: &mut Client| assert_eq!(value(admin, "SELECT count(*) FROM pg_class WHERE relname = 't_h'"), "0");
    let whole = |admin: &mut Client| {
        check(admin, "t_h");
        compare_some(admin, "t", 256, &mut Hashes::new(256, 82));
    };
    // Builds, in memory and beyond it.
    for memory in ["64MB", "1MB"] {
        let settings = format!("SET maintenance_work_mem = '{memory}'");
        ending.at_every_moment(
            &settings,
            "DROP INDEX IF EXISTS t_h",
            "CREATE INDEX t_h ON t USING hamming (h)",
            |admin| {
                // It may have finished just before.
                if value(admin, "SELECT count(*) FROM pg_class WHERE relname = 't_h'") == "0" {
                    none(admin)
                } else {
                    check(admin, "t_h")
                }
            },
        );
    }
    ending.at_every_moment(
        "",
        "DROP INDEX IF EXISTS t_h",
        "CREATE INDEX CONCURRENTLY t_h ON t USING hamming (h)",
        |_| {},
    );
    each(ending.admin, "DROP INDEX IF EXISTS t_h; CREATE INDEX t_h ON t USING hamming (h)");
    // Searches: one sweep after the other, and everything into a bitmap.
    let nearest = format!("SELECT count(*) FROM (SELECT h <~> '{center}' FROM t ORDER BY h <~> '{center}' OFFSET 0) s");
    ending.at_every_moment("SET enable_seqscan = off; SET work_mem = '64kB'", "", &nearest, |_| {});
    let everything = format!(
        "SELECT count(*) FROM (SELECT 1 FROM t, generate_series(1, 20) i
            WHERE h <@ phash_ball(CASE WHEN i > 0 THEN phash '{center}' END, 250)) s"
    );
    ending.at_every_moment("SET enable_seqscan = off; SET enable_indexscan = off", "", &everything, |_| {});
    // Checks.
    ending.at_every_moment("", "", "SELECT hamming_index_check('t_h', true)", whole);
    // Inserts with their merges, merges, vacuums.
    ending.at_every_moment("", "DELETE FROM t WHERE id >= 1000000", "INSERT INTO t SELECT * FROM more", whole);
    ending.at_every_moment(
        "",
        "DELETE FROM t WHERE id >= 1000000; VACUUM t; REINDEX INDEX t_h; INSERT INTO t SELECT * FROM more",
        "SELECT hamming_index_merge('t_h')",
        whole,
    );
    ending.at_every_moment(
        "",
        "DELETE FROM t WHERE id >= 1000000; INSERT INTO t SELECT * FROM more ORDER BY id;
        DELETE FROM t WHERE id % 2 = 0 AND id > 30000",
        "VACUUM t",
        whole,
    );
    say(&format!("cancelled: the slowest ended after {:?}: {}", ending.slowest.0, ending.slowest.1));
    // The next session does what was cancelled.
    each(&mut admin, "VACUUM t; SELECT hamming_index_merge('t_h')");
    check(&mut admin, "t_h");
    compare_all(&mut admin, "t", &center);
    assert_well(&cluster);
}

/// A build reports its progress. It is sampled repeatedly; on a busy machine one build does not show every phase.
#[test]
fn progress_is_told() {
    const LINES: [&str; 2] =
        ["building index: reading hashes reads", "building index: sorting and writing bands reads writes"];
    let (cluster, mut admin) = world();
    fill(&mut admin, "t", &mut Hashes::new(256, 83), 60_000);
    let mut told = BTreeSet::new();
    for _ in 0..30 {
        let mut session = cluster.connect();
        let building = std::thread::spawn(move || each(&mut session, "CREATE INDEX t_h ON t USING hamming (h)"));
        while !building.is_finished() {
            let progress = "SELECT phase || CASE WHEN blocks_done > 0 THEN ' reads' ELSE '' END
                || CASE WHEN tuples_done > 0 AND tuples_done < tuples_total THEN ' writes' ELSE '' END
                FROM pg_stat_progress_create_index";
            told.extend(admin.query(progress, &[]).unwrap().iter().map(|row| row.get::<_, String>(0)));
        }
        building.join().unwrap();
        if LINES.iter().all(|line| told.contains(*line)) {
            return assert_well(&cluster);
        }
        each(&mut admin, "DROP INDEX t_h");
    }
    panic!("{told:?}");
}
