//! Jobs that are interrupted for real, in every way and at every moment: each time the job resumes by itself and ends
//! correctly, nothing is missing, doubled or left over, and readers see the old groups or the new ones.
//!
//! `LUMINA_KILLS` sets the number (42 by default, six times each), `LUMINA_SEED` the random seed.

use lumina_cluster::catalog::{RESULT, fill, leftovers, result, submit, wait_for_end};
use lumina_cluster::cluster::wait_until;
use lumina_cluster::kills::{Hits, INTERRUPTIONS, Interruption, connect, under_a_reader};
use lumina_cluster::report::{number, say};
use lumina_cluster::{Cluster, Random, Shutdown};
use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;
use std::time::{Duration, Instant};

/// When the interruption happens.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// When the job reports this progress.
    Progress(&'static str),
    /// This long after the submission.
    After(Duration),
}

impl Moment {
    /// Waits for it.
    fn wait(self, listener: &mut Client, job: i64) {
        let share = match self {
            Moment::After(time) => return std::thread::sleep(time), // the moment itself
            Moment::Progress(share) => share,
        };
        let wanted = format!("\"progress\" : {share}");
        let mut heard = listener.notifications();
        let mut heard = heard.timeout_iter(Duration::from_secs(20));
        while let Ok(Some(notification)) = heard.next() {
            let payload = notification.payload();
            let of_job = payload.contains(&format!("\"job\" : {job},")) && !payload.contains("queued");
            if of_job && (payload.contains(&wanted) || !payload.contains("running")) {
                break;
            }
        }
    }
}

/// Asserts that the catalog's groups are one of the possible results.
fn look(session: &mut Client, known: &[String]) -> Result<(), postgres::Error> {
    let seen: String = session.query_one(RESULT, &[&"photos"])?.get(0);
    assert!(known.contains(&seen), "a reader saw {seen}, which is none of {known:?}");
    Ok(())
}

#[test]
fn killed_at_every_moment() {
    let cluster = Cluster::start_with(&[
        ("shared_preload_libraries", "lumina"),
        ("lumina.launcher_interval", "60"),
        // For the reader: Postgres 15 itself panics if the postmaster dies under a JIT-compiled parallel query.
        ("jit", "off"),
        ("max_parallel_workers_per_gather", "0"),
    ]);
    let mut session = connect(&cluster);
    fill(&mut session, "photos", &lumina_sets::photo(30_000, 3));
    // The undisturbed result of each distance: the data do not change, so each later run must give the same.
    let distances = [3, 5];
    let mut known = Vec::new();
    let mut took = Duration::ZERO;
    for distance in distances {
        let began = Instant::now();
        let job = submit(&mut session, "photos", distance);
        assert_eq!(wait_for_end(&mut session, job), "succeeded");
        took = began.elapsed();
        known.push(result(&mut session, "photos"));
    }
    assert_ne!(known[0], known[1]);
    let (kills, mut random) = (number("LUMINA_KILLS", 42), Random(number("LUMINA_SEED", 1)));
    let mut slowest = Duration::ZERO;
    let mut hits = Hits::default();
    let reads = under_a_reader(
        &cluster,
        |session| look(session, &known),
        |is_well| {
            for round in 0..kills {
                let interruption = INTERRUPTIONS[round as usize % INTERRUPTIONS.len()];
                let moment = match random.below(6) {
                    0 => Moment::Progress("0.000"),
                    1 => Moment::Progress("0.200"),
                    2 => Moment::Progress("0.600"),
                    3 => Moment::Progress("0.800"),
                    _ => Moment::After(took.mul_f64(random.below(1000) as f64 / 900.0)),
                };
                let distance = distances[random.below(2) as usize];
                let before = result(&mut session, "photos");
                let mut listener = connect(&cluster);
                listener.batch_execute("LISTEN lumina_jobs").unwrap();
                let job = submit(&mut session, "photos", distance);
                moment.wait(&mut listener, job);
                let hit = interruption.strike(&cluster, &mut session, job);
                session = interruption.recover(&cluster, &mut session, hit);
                let up = Instant::now();
                let end = wait_for_end(&mut session, job);
                slowest = slowest.max(up.elapsed().saturating_sub(took));
                hits.count(interruption, hit);
                let after = result(&mut session, "photos");
                let what = format!("round {round}: {interruption:?} at {moment:?}, distance {distance}: {end}");
                let new = &known[usize::from(distance == 5)];
                match end.as_str() {
                    "succeeded" => assert_eq!(&after, new, "{what}"),
                    "cancelled" if interruption.cancels() => assert_eq!(after, before, "{what}"),
                    _ => panic!("{what}"),
                }
                assert_eq!(leftovers(&mut session), [""; 0], "{what}");
                is_well();
            }
        },
    );
    say(&format!(
        "{kills} jobs hit, a running worker by: {}; {reads} reads meanwhile; the slowest needed \
        {slowest:?} more than an undisturbed one",
        hits.told()
    ));
    assert!(!cluster.log().contains("PANIC"), "{}", cluster.log());
}

/// Without the preloaded library nothing resumes by itself: the next job, or `resume_jobs`, finds orphaned jobs.
#[test]
fn orphans_are_found_by_the_next_job() {
    let cluster = Cluster::start();
    let mut session = connect(&cluster);
    fill(&mut session, "photos", &lumina_sets::photo(60_000, 3));
    fill(&mut session, "other", &lumina_sets::photo(100, 4));
    for round in 0..3 {
        let job = submit(&mut session, "photos", 5);
        wait_until("it runs", || {
            let running = "SELECT state = 'running' FROM lumina.jobs WHERE id = $1";
            session.query_one(running, &[&job]).unwrap().get(0)
        });
        cluster.stop(Shutdown::Immediate);
        cluster.restart();
        session = connect(&cluster);
        let shown = "SELECT state, note FROM lumina.job_progress WHERE job = $1";
        let row = session.query_one(shown, &[&job]).unwrap();
        assert_eq!(row.get::<_, &str>(0), "orphaned");
        assert!(row.get::<_, &str>(1).contains("resume_jobs"), "{}", row.get::<_, &str>(1));
        let mut jobs = vec![job];
        if round == 0 {
            jobs.push(submit(&mut session, "other", 5));
        } else {
            session.query_one("SELECT lumina.resume_jobs()", &[]).unwrap();
        }
        for job in jobs {
            assert_eq!(wait_for_end(&mut session, job), "succeeded");
        }
        assert_eq!(leftovers(&mut session), [""; 0]);
    }
    // Three workers crashed without progress: the job has failed, with a reason.
    let job = submit(&mut session, "photos", 4);
    for attempt in 1..=3 {
        wait_until("it is claimed", || {
            let claimed = "SELECT attempts = $2 AND state = 'running' FROM lumina.jobs WHERE id = $1";
            session.query_one(claimed, &[&job, &attempt]).unwrap().get(0)
        });
        let hit = Interruption::KillWorker.strike(&cluster, &mut session, job);
        session = Interruption::KillWorker.recover(&cluster, &mut session, hit);
        session.query_one("SELECT lumina.resume_jobs()", &[]).unwrap();
    }
    assert_eq!(wait_for_end(&mut session, job), "failed");
    let code = session.query_one("SELECT error_code FROM lumina.jobs WHERE id = $1", &[&job]).unwrap();
    assert_eq!(code.get::<_, &str>(0), "worker_lost");
    assert_eq!(leftovers(&mut session), [""; 0]);
}
