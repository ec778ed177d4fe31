//! Imports that are interrupted for real, in every way, at the boundaries of their phases and at random moments: each
//! time the import resumes by itself from the last batch that it has committed, finished work is not repeated, and in
//! the end the catalog holds what is in the directory, once.
//!
//! `LUMINA_KILLS` sets the number (21 by default), `LUMINA_SEED` the random seed. Only the random moments depend on the
//! speed of the machine: otherwise the worker waits for a row that a session has locked, until it is hit.

use lumina_cluster::catalog::{leftovers, state};
use lumina_cluster::cluster::wait_until;
use lumina_cluster::kills::{Hits, INTERRUPTIONS, Interruption, connect, under_a_reader};
use lumina_cluster::pictures::Pictures;
use lumina_cluster::report::{number, say};
use lumina_cluster::{Cluster, Random};
use postgres::Client;
use std::time::{Duration, Instant};

/// The time after the server is up within which a job is resumed, or has ended.
const SOON: Duration = Duration::from_secs(2);

/// When the interruption happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The job has a worker, which has done nothing.
    Claimed,
    /// Some files have rows, others not yet.
    Scanning,
    /// All files have rows, none was analyzed.
    Scanned,
    /// Some were analyzed.
    Analyzing,
    /// Only the last transaction is left.
    Finishing,
    /// Some files of a preview were analyzed.
    Previewing,
    /// A preview is ready; or, if the worker is hit, has been approved and claimed.
    Approved,
    /// Some files of an approved preview were imported.
    Importing,
    /// Any.
    Random,
}

/// A number coprime to the number of ways: in 70 rounds each stage meets each way.
const STAGES: [Stage; 10] = [
    Stage::Analyzing,
    Stage::Claimed,
    Stage::Previewing,
    Stage::Random,
    Stage::Scanning,
    Stage::Importing,
    Stage::Finishing,
    Stage::Scanned,
    Stage::Random,
    Stage::Approved,
];

/// Where a worker is made to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spot {
    /// Before it reads the directory.
    Claimed,
    /// Before it writes the last rows of the found files.
    Scanning,
    /// Before it writes the batch with this one of the analyzed files.
    Item(usize),
    /// Before the last transaction.
    Finishing,
}

/// A file after the first batch: that has 200 files, and those that have waited for them.
const LATER: usize = 450;

struct World {
    cluster: Cluster,
    pictures: Pictures,
}

impl World {
    fn make() -> Self {
        let cluster = Cluster::start_with(&[
            ("shared_preload_libraries", "lumina"),
            ("lumina.launcher_interval", "60"),
            // For the reader: Postgres 15 itself panics if the postmaster dies under a JIT-compiled parallel query.
            ("jit", "off"),
            ("max_parallel_workers_per_gather", "0"),
        ]);
        let pictures = Pictures::make(&cluster);
        connect(&cluster).batch_execute("CREATE EXTENSION lumina").unwrap();
        World { cluster, pictures }
    }

    /// A new catalog and an import into it, which no worker takes before `resume_jobs`.
    fn submit_stopped(&self, session: &mut Client, preview: bool) -> i64 {
        session.batch_execute("SELECT lumina.create_catalog('photos'); SELECT lumina.stop_workers()").unwrap();
        self.pictures.submit(session, "photos", preview)
    }

    /// A session that locks what a worker needs at a spot. The item must exist, or must not exist yet, as the spot
    /// requires.
    fn block_worker(&self, job: i64, spot: Spot) -> Client {
        let mut holder = connect(&self.cluster);
        holder.batch_execute("BEGIN").unwrap();
        let catalog = format!("(SELECT j.catalog FROM lumina.jobs j WHERE j.id = {job})");
        let (take, path) = match spot {
            Spot::Claimed => (
                format!("INSERT INTO lumina.sources (catalog, path, name) SELECT {catalog}, $1, 'held'"),
                self.pictures.path(),
            ),
            Spot::Scanning => {
                let last = self.pictures.last().to_owned();
                (format!("INSERT INTO lumina.import_items (job, catalog, path) SELECT {job}, {catalog}, $1"), last)
            }
            Spot::Item(n) => {
                let path = self.pictures.looked_into()[n].to_owned();
                (format!("SELECT FROM lumina.import_items WHERE job = {job} AND path = $1 FOR UPDATE"), path)
            }
            Spot::Finishing => (
                format!("SELECT FROM lumina.catalogs WHERE id = {catalog} AND $1 <> '' FOR NO KEY UPDATE"),
                "any".into(),
            ),
        };
        assert_eq!(holder.execute(&take, &[&path]).unwrap(), 1, "{spot:?}");
        holder
    }

    /// Lets workers take a queued job, until its worker waits at a spot.
    fn halt(&self, session: &mut Client, job: i64, spot: Spot) -> Client {
        let scanned = "SELECT checkpoint ? 'scanned' FROM lumina.jobs WHERE id = $1";
        let is_scanned: bool = session.query_one(scanned, &[&job]).unwrap().get(0);
        // A missing row cannot be locked: the worker is kept from ending the scan meanwhile.
        let first = if matches!(spot, Spot::Item(_)) && !is_scanned { Spot::Scanning } else { spot };
        let mut holder = self.block_worker(job, first);
        session.batch_execute("SELECT lumina.resume_jobs()").unwrap();
        wait_for(session, &mut holder, job);
        if first != spot {
            let mut second = self.block_worker(job, spot);
            drop(holder);
            wait_for(session, &mut second, job);
            holder = second;
        }
        holder
    }

    /// Crashes a worker that waits at a spot. No other one takes the job before `resume_jobs`.
    fn lose_worker(&self, session: &mut Client, job: i64, spot: Spot) -> Client {
        let holder = self.halt(session, job, spot);
        // The waiting worker does not notice.
        session.batch_execute("SELECT lumina.stop_workers()").unwrap();
        let hit = Interruption::KillWorker.strike(&self.cluster, session, job);
        drop(holder);
        Interruption::KillWorker.recover(&self.cluster, session, hit)
    }
}

/// Waits until the worker of a job waits for a session.
fn wait_for(session: &mut Client, holder: &mut Client, job: i64) {
    let pid: i32 = holder.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    wait_until("the worker waits", || {
        let blocked = "SELECT $1 = ANY (pg_blocking_pids(worker_pid)), state::text, coalesce(error, '')
            FROM lumina.jobs WHERE id = $2";
        let row = session.query_one(blocked, &[&pid, &job]).unwrap();
        let (state, error): (&str, &str) = (row.get(1), row.get(2));
        assert!(["queued", "running"].contains(&state), "job {job} is {state} before it has come there: {error}");
        row.get::<_, Option<bool>>(0) == Some(true)
    });
}

/// Waits until a job is ready or has ended.
fn wait_for_stop(session: &mut Client, job: i64) -> String {
    let mut last = String::new();
    wait_until(&format!("job {job} stops"), || {
        last = state(session, job);
        ["ready", "succeeded", "failed", "cancelled"].contains(&last.as_str())
    });
    last
}

fn number_of(session: &mut Client, query: &str) -> i64 {
    session.query_one(query, &[]).unwrap().get(0)
}

/// The finished work of an import, for comparison: of a preview what is ready, otherwise what is imported.
fn done(session: &mut Client, job: i64, approved: bool) -> Vec<(i64, String)> {
    // The end of an import decides which of equal files is the first, and which are its copies.
    let done = "SELECT t.id, (to_jsonb(t) - 'reason' - 'error')::text FROM lumina.import_items t WHERE t.job = $1
        AND t.state <> 'found' AND NOT ($2 AND t.state = 'ready') ORDER BY t.id";
    session.query(done, &[&job, &approved]).unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// What must always hold during an import: no partial batch, and no excess.
fn look(session: &mut Client) -> Result<(), postgres::Error> {
    let wrong = "
        SELECT 'image without a file' FROM lumina.images i
            WHERE NOT EXISTS (SELECT FROM lumina.image_files f WHERE f.image = i.id)
        UNION ALL SELECT 'imported without a file: ' || t.path FROM lumina.import_items t WHERE t.state = 'imported'
            AND NOT EXISTS (SELECT FROM lumina.image_files f WHERE f.catalog = t.catalog AND f.path = t.path
                AND f.image = t.image)
        UNION ALL SELECT 'file that nobody has imported: ' || f.path FROM lumina.image_files f WHERE NOT EXISTS (
            SELECT FROM lumina.import_items t WHERE t.job = f.import_job AND t.path = f.path AND t.state = 'imported')
        UNION ALL SELECT 'at ' || percent || ' %' FROM lumina.job_progress WHERE percent > 100 OR done > total
            OR failed > done
        UNION ALL SELECT 'at ' || progress_percent || ' %' FROM lumina.import_jobs_summary WHERE progress_percent > 100
        LIMIT 3";
    let wrong: Vec<String> = session.query(wrong, &[])?.iter().map(|row| row.get(0)).collect();
    assert_eq!(wrong, [""; 0], "what a reader saw");
    Ok(())
}

/// One import that is interrupted once, with its expectations.
struct Round<'a> {
    world: &'a World,
    interruption: Interruption,
    stage: Stage,
    /// For a random moment: when, and whether the import was a preview first.
    moment: (Duration, bool),
}

impl Round<'_> {
    /// Returns whether it hit a worker, and how long it took to be resumed, or to end.
    fn run(&self, session: &mut Client) -> (bool, Duration) {
        let (world, interruption, stage) = (self.world, self.interruption, self.stage);
        let what = format!("{interruption:?} at {stage:?} ({:?})", self.moment);
        let (job, is_approved, holder) = self.begin(session);
        let shown = "SELECT attempts FROM lumina.jobs WHERE id = $1";
        let attempts: i32 = session.query_one(shown, &[&job]).unwrap().get(0);
        let before = done(session, job, is_approved);
        let least = match stage {
            Stage::Claimed | Stage::Approved | Stage::Random => 0,
            Stage::Scanning | Stage::Scanned => 200, // by their names
            _ => 400,
        };
        assert!(before.len() >= least, "{what}: {} files were done with", before.len());
        let hit = interruption.strike(&world.cluster, session, job);
        drop(holder);
        *session = interruption.recover(&world.cluster, session, hit);
        let up = Instant::now();
        let is_held = stage != Stage::Random;
        wait_until(&format!("{what}: resumed, or at an end"), || {
            let row = session.query_one(shown, &[&job]).unwrap();
            match state(session, job).as_str() {
                "running" => row.get::<_, i32>(0) > attempts && !(interruption.cancels() && is_held) || !hit,
                state => ["ready", "succeeded", "failed", "cancelled"].contains(&state),
            }
        });
        let took = up.elapsed();
        let end = wait_for_stop(session, job);
        let is_right = if interruption.cancels() { end == "cancelled" || !is_held } else { end != "cancelled" };
        assert!(is_right, "{what}: {end}");
        // Finished work is unchanged: it has not been repeated.
        let after = done(session, job, is_approved);
        let missing = before.iter().find(|item| after.binary_search(item).is_err());
        assert_eq!(missing, None, "{what}: {} of {} files", after.len(), before.len());
        self.end(session, job, &end, &what);
        (hit, took)
    }

    /// Submits the import, and waits until it is at its spot: the job, whether it is an approved preview, what blocks
    /// it.
    fn begin(&self, session: &mut Client) -> (i64, bool, Option<Client>) {
        let world = self.world;
        let (moment, was_preview) = self.moment;
        let is_approved =
            matches!(self.stage, Stage::Approved | Stage::Importing) || self.stage == Stage::Random && was_preview;
        let job = world.submit_stopped(session, is_approved || self.stage == Stage::Previewing);
        let spot = match self.stage {
            Stage::Random => None,
            Stage::Claimed => Some(Spot::Claimed),
            Stage::Approved => (!self.interruption.ends_server() && self.interruption != Interruption::CancelJob)
                .then_some(Spot::Claimed),
            Stage::Scanning => Some(Spot::Scanning),
            Stage::Scanned => Some(Spot::Item(0)),
            Stage::Analyzing | Stage::Previewing | Stage::Importing => Some(Spot::Item(LATER)),
            Stage::Finishing => Some(Spot::Finishing),
        };
        if is_approved {
            session.batch_execute("SELECT lumina.resume_jobs()").unwrap();
            assert_eq!(wait_for_stop(session, job), "ready");
            if self.stage != Stage::Approved || spot.is_some() {
                session.batch_execute("SELECT lumina.stop_workers()").unwrap();
                session.execute("SELECT lumina.run_import($1)", &[&job]).unwrap();
            }
        }
        let holder = spot.map(|spot| world.halt(session, job, spot));
        if self.stage == Stage::Random {
            session.batch_execute("SELECT lumina.resume_jobs()").unwrap();
            std::thread::sleep(moment); // the moment itself
        }
        (job, is_approved, holder)
    }

    /// Completes the import, whatever became of it, and checks everything.
    fn end(&self, session: &mut Client, job: i64, end: &str, what: &str) {
        let (mut last, mut end) = (job, end.to_owned());
        while end != "succeeded" {
            match end.as_str() {
                "ready" => drop(session.execute("SELECT lumina.run_import($1)", &[&last]).unwrap()),
                "cancelled" if last == job => {
                    last = session.query_one("SELECT lumina.retry_job($1)", &[&last]).unwrap().get(0);
                }
                _ => {
                    let error = "SELECT error FROM lumina.jobs WHERE id = $1";
                    let error: String = session.query_one(error, &[&last]).unwrap().get(0);
                    panic!("{what}: {end}: {error}");
                }
            }
            end = wait_for_stop(session, last);
        }
        assert_eq!(self.world.pictures.mistakes(session, "photos", last, last == job), [""; 0], "{what}");
        assert_eq!(leftovers(session), [""; 0], "{what}");
        let again = format!(
            "SELECT count(*) FROM lumina.import_items t JOIN lumina.import_items b ON b.path = t.path AND b.job = {job}
            WHERE t.job = {last} AND {last} <> {job}
                AND (b.state = 'imported') <> (t.reason IS NOT DISTINCT FROM 'unchanged')"
        );
        assert_eq!(number_of(session, &again), 0, "{what}: files that were imported were looked at again");
        let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'lumina worker'";
        wait_until("the worker has gone", || number_of(session, workers) == 0);
        session.batch_execute("SELECT lumina.drop_catalog('photos')").unwrap();
    }
}

#[test]
fn killed_at_every_moment() {
    let world = World::make();
    let mut session = connect(&world.cluster);
    session.batch_execute("SELECT lumina.create_catalog('photos')").unwrap();
    let began = Instant::now();
    let job = world.pictures.submit(&mut session, "photos", false);
    assert_eq!(wait_for_stop(&mut session, job), "succeeded");
    let took = began.elapsed();
    assert_eq!(world.pictures.mistakes(&mut session, "photos", job, true), [""; 0], "undisturbed");
    session.batch_execute("SELECT lumina.drop_catalog('photos')").unwrap();
    let (kills, seed) = (number("LUMINA_KILLS", 21), number("LUMINA_SEED", 1));
    let (mut random, mut hits, mut slowest) = (Random(seed), Hits::default(), (Duration::ZERO, String::new()));
    let mut stages = std::collections::BTreeMap::new();
    let reads = under_a_reader(&world.cluster, look, |is_well| {
        for round in 0..kills as usize {
            let (interruption, stage) = (INTERRUPTIONS[round % INTERRUPTIONS.len()], STAGES[round % STAGES.len()]);
            let moment = (took.mul_f64(random.below(1000) as f64 / 900.0), random.below(3) == 0);
            let (hit, recovered) = Round { world: &world, interruption, stage, moment }.run(&mut session);
            hits.count(interruption, hit);
            *stages.entry(format!("{stage:?}")).or_insert(0) += usize::from(hit);
            if recovered > slowest.0 {
                slowest = (recovered, format!("{interruption:?} at {stage:?}"));
            }
            is_well();
        }
    });
    say(&format!(
        "{kills} imports of {took:?} hit, from seed {seed}, by: {}; at: {stages:?}; {reads} reads meanwhile; the \
        slowest was resumed, or at its end, after {slowest:?}",
        hits.told()
    ));
    assert!(slowest.0 < SOON, "{slowest:?}");
    assert!(!world.cluster.log().contains("PANIC"), "{}", world.cluster.log());
}

/// A job that has lost its worker three times fails, unless it has committed something in between.
#[test]
fn a_batch_is_what_counts_as_getting_further() {
    let world = World::make();
    let mut session = connect(&world.cluster);
    let job = world.submit_stopped(&mut session, false);
    let failures = "SELECT failures FROM lumina.jobs WHERE id = $1";
    for spot in [Spot::Scanning, Spot::Item(0), Spot::Item(250), Spot::Item(500), Spot::Finishing] {
        session = world.lose_worker(&mut session, job, spot);
        assert!(session.query_one(failures, &[&job]).unwrap().get::<_, i32>(0) <= 1, "{spot:?}");
    }
    session.batch_execute("SELECT lumina.resume_jobs()").unwrap();
    assert_eq!(wait_for_stop(&mut session, job), "succeeded");
    assert_eq!(number_of(&mut session, &format!("SELECT attempts::int8 FROM lumina.jobs WHERE id = {job}")), 6);
    assert_eq!(world.pictures.mistakes(&mut session, "photos", job, true), [""; 0]);
    session.batch_execute("SELECT lumina.drop_catalog('photos')").unwrap();

    // At each of these spots all uncommitted work of an earlier worker is repeated, and nothing more.
    let mut job = world.submit_stopped(&mut session, false);
    for spot in [Spot::Claimed, Spot::Item(0), Spot::Finishing] {
        for _ in 0..3 {
            session = world.lose_worker(&mut session, job, spot);
        }
        // The first one's commits do not count as its failure.
        if spot != Spot::Claimed {
            session = world.lose_worker(&mut session, job, spot);
        }
        session.batch_execute("SELECT lumina.resume_jobs()").unwrap();
        assert_eq!(wait_for_stop(&mut session, job), "failed", "{spot:?}");
        let code = session.query_one("SELECT error_code FROM lumina.jobs WHERE id = $1", &[&job]).unwrap();
        assert_eq!(code.get::<_, &str>(0), "worker_lost");
        session.batch_execute("SELECT lumina.stop_workers()").unwrap();
        job = session.query_one("SELECT lumina.retry_job($1)", &[&job]).unwrap().get(0);
    }
    session.batch_execute("SELECT lumina.resume_jobs()").unwrap();
    assert_eq!(wait_for_stop(&mut session, job), "succeeded");
    assert_eq!(world.pictures.mistakes(&mut session, "photos", job, false), [""; 0]);
    assert!(!world.cluster.log().contains("PANIC"), "{}", world.cluster.log());
}
