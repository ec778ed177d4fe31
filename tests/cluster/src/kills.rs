//! The ways in which jobs are interrupted for real: seven that kill, stop or cancel, and five that remove what they
//! work on.

use crate::catalog::{leftovers, wait_for_end};
use crate::cluster::{Cluster, Shutdown, wait_until};
use crate::random::Random;
use crate::report::{number, say};
use postgres::{Client, Config, NoTls};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a server may take to notice that a process was killed.
const NOTICE: Duration = Duration::from_secs(10);

/// How a job is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// SIGKILL to its worker.
    KillWorker,
    /// `pg_terminate_backend`.
    TerminateBackend,
    /// `pg_cancel_backend`.
    CancelBackend,
    /// `cancel_job`.
    CancelJob,
    /// SIGKILL to the postmaster.
    KillPostmaster,
    /// An immediate shutdown.
    Immediate,
    /// A fast shutdown.
    Fast,
}

/// All of them.
pub const INTERRUPTIONS: [Interruption; 7] = [
    Interruption::KillWorker,
    Interruption::TerminateBackend,
    Interruption::CancelBackend,
    Interruption::CancelJob,
    Interruption::KillPostmaster,
    Interruption::Immediate,
    Interruption::Fast,
];

impl Interruption {
    /// Whether it cancels the job, which then must not resume.
    pub fn cancels(self) -> bool {
        matches!(self, Interruption::CancelBackend | Interruption::CancelJob)
    }

    /// Whether it stops the server.
    pub fn ends_server(self) -> bool {
        matches!(self, Interruption::KillPostmaster | Interruption::Immediate | Interruption::Fast)
    }

    /// Does it. Returns whether it hit a worker.
    pub fn strike(self, cluster: &Cluster, session: &mut Client, job: i64) -> bool {
        let pid = "SELECT worker_pid FROM lumina.jobs WHERE id = $1 AND state = 'running'";
        let worker = |session: &mut Client| session.query_opt(pid, &[&job]).unwrap().map(|row| row.get::<_, i32>(0));
        match self {
            Interruption::KillWorker => {
                let Some(pid) = worker(session) else { return false };
                // The worker may have exited since.
                return std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success();
            }
            Interruption::TerminateBackend | Interruption::CancelBackend => {
                let Some(pid) = worker(session) else { return false };
                let function =
                    if self == Interruption::CancelBackend { "pg_cancel_backend" } else { "pg_terminate_backend" };
                session.execute(&format!("SELECT {function}($1)"), &[&pid]).unwrap();
            }
            Interruption::CancelJob => {
                return session.query_one("SELECT lumina.cancel_job($1)", &[&job]).unwrap().get(0);
            }
            Interruption::KillPostmaster => cluster.kill(),
            Interruption::Immediate => cluster.stop(Shutdown::Immediate),
            Interruption::Fast => cluster.stop(Shutdown::Fast),
        }
        true
    }

    /// Starts the server again if it is down, and returns a session as soon as one is accepted. `session` is an older
    /// one, `hit` the result of [`Interruption::strike`].
    pub fn recover(self, cluster: &Cluster, session: &mut Client, hit: bool) -> Client {
        if !cluster.running() {
            cluster.restart();
        }
        if self == Interruption::KillWorker && hit {
            // The postmaster ends all sessions; it needs a moment to notice. A worker that had already exited, but was
            // not yet reaped, is no crash: otherwise the job does not end, and the test fails waiting for it.
            let struck = Instant::now();
            while !session.is_closed() && session.simple_query("").is_ok() && struck.elapsed() < NOTICE {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        connect(cluster)
    }
}

/// A session, as soon as the server accepts one.
pub fn connect(cluster: &Cluster) -> Client {
    let mut config = Config::new();
    config.host_path(cluster.socket_folder()).port(cluster.port()).dbname("postgres").user("postgres");
    let mut session = None;
    wait_until("the server takes a session", || {
        session = config.connect(NoTls).ok();
        session.is_some()
    });
    session.unwrap()
}

/// Runs `work` while a reader checks, as fast as it can, what must always hold: `look` panics if it does not. The
/// server may go down at any time. `work` gets a function that panics if the reader has. Returns the number of checks.
pub fn under_a_reader(
    cluster: &Cluster,
    mut look: impl FnMut(&mut Client) -> Result<(), postgres::Error> + Send,
    work: impl FnOnce(&dyn Fn()),
) -> usize {
    let (stop, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        let reader = scope.spawn(|| {
            while !stop.load(Ordering::Acquire) {
                let mut session = connect(cluster);
                while !stop.load(Ordering::Acquire) && look(&mut session).is_ok() {
                    reads.fetch_add(1, Ordering::AcqRel);
                }
            }
        });
        work(&|| assert!(!reader.is_finished(), "the reader has failed"));
    });
    reads.load(Ordering::Acquire)
}

/// Stops the reader even if the work panics: it would be joined.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// How often each of [`INTERRUPTIONS`] was tried, and hit a running worker.
#[derive(Debug, Default)]
pub struct Hits([usize; INTERRUPTIONS.len()]);

impl Hits {
    /// Counts a hit, if it was one.
    pub fn count(&mut self, interruption: Interruption, hit: bool) {
        self.0[interruption as usize] += usize::from(hit);
    }

    /// In words; panics if one of them has never hit.
    pub fn told(&self) -> String {
        let told: Vec<String> = INTERRUPTIONS
            .iter()
            .map(|&interruption| format!("{interruption:?} {}", self.0[interruption as usize]))
            .collect();
        assert!(self.0.iter().all(|hits| *hits > 0), "an interruption never hit a running job: {told:?}");
        told.join(", ")
    }
}

/// Drops catalog, extension and database at random moments of a job, `LUMINA_KILLS` times, by default `default`: the
/// worker soon exits, and nothing is left. `furnish` fills a database for the job that `submit` starts; both get a
/// session in it.
pub fn drop_at_every_moment(
    cluster: &Cluster,
    default: u64,
    furnish: impl Fn(&mut Client),
    submit: impl Fn(&mut Client) -> i64,
) {
    const REMOVALS: [&str; 5] =
        ["catalog", "extension", "database by force", "database after stop_workers", "catalog while it is cancelled"];
    let mut admin = cluster.connect();
    admin.batch_execute("CREATE DATABASE furnished").unwrap();
    furnish(&mut cluster.connect_to("furnished", "postgres"));
    admin.batch_execute("CREATE DATABASE photos TEMPLATE furnished").unwrap();
    let mut session = cluster.connect_to("photos", "postgres");
    let began = Instant::now();
    let job = submit(&mut session);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    let took = began.elapsed();
    drop(session);
    let (kills, seed) = (number("LUMINA_KILLS", default), number("LUMINA_SEED", 1));
    let (mut random, mut running, mut slowest) = (Random(seed), 0, (Duration::ZERO, ""));
    for round in 0..kills {
        let removal = REMOVALS[round as usize % REMOVALS.len()];
        admin.batch_execute("DROP DATABASE IF EXISTS photos WITH (FORCE)").unwrap();
        admin.batch_execute("CREATE DATABASE photos TEMPLATE furnished").unwrap();
        let mut session = cluster.connect_to("photos", "postgres");
        let job = submit(&mut session);
        std::thread::sleep(took.mul_f64(random.below(1000) as f64 / 1000.0)); // the moment itself
        let runs = "SELECT state = 'running' FROM lumina.jobs WHERE id = $1";
        running += usize::from(session.query_one(runs, &[&job]).unwrap().get::<_, bool>(0));
        let dropped = Instant::now();
        match removal {
            "catalog" => session.batch_execute("SELECT lumina.drop_catalog('photos')").unwrap(),
            "extension" => session.batch_execute("DROP EXTENSION lumina").unwrap(),
            "database by force" => {
                drop(session);
                admin.batch_execute("DROP DATABASE photos WITH (FORCE)").unwrap();
                session = cluster.connect();
            }
            "database after stop_workers" => {
                session.query_one("SELECT lumina.stop_workers()", &[]).unwrap();
                drop(session);
                admin.batch_execute("DROP DATABASE photos").unwrap();
                session = cluster.connect();
            }
            _ => session
                .batch_execute(&format!(
                    "BEGIN; SELECT lumina.cancel_job({job}); SELECT lumina.drop_catalog('photos'); COMMIT"
                ))
                .unwrap(),
        }
        let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'lumina worker' AND state = 'active'";
        wait_until("the worker has gone", || session.query_one(workers, &[]).unwrap().get::<_, i64>(0) == 0);
        slowest = slowest.max((dropped.elapsed(), removal));
        if removal.starts_with("catalog") {
            assert_eq!(leftovers(&mut session), [""; 0], "round {round}");
            let rows = "SELECT (SELECT count(*) FROM lumina.images) + (SELECT count(*) FROM lumina.jobs)
                + (SELECT count(*) FROM lumina.duplicate_members) + (SELECT count(*) FROM lumina.image_files)
                + (SELECT count(*) FROM lumina.import_items) + (SELECT count(*) FROM lumina.sources)";
            assert_eq!(session.query_one(rows, &[]).unwrap().get::<_, i64>(0), 0, "round {round}");
        }
    }
    say(&format!(
        "{kills} drops from seed {seed}, {running} while the job ran; the slowest was done after {slowest:?}"
    ));
    assert!(running > 0, "no job was ever hit");
    let log = cluster.log();
    for bad in ["PANIC", "deadlock", "terminated by signal", "has failed"] {
        assert!(!log.contains(bad), "{bad}: {log}");
    }
}
