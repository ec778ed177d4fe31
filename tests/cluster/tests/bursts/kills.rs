//! Detections that are interrupted for real, in every way and at any moment: a reader sees the old bursts or the new
//! ones, and the job resumes by itself.
//!
//! `LUMINA_KILLS` sets the number (21 by default), `LUMINA_SEED` the random seed.

use super::submit;
use lumina_cluster::catalog::{fill, leftovers, wait_for_end};
use lumina_cluster::kills::{Hits, INTERRUPTIONS, connect, under_a_reader};
use lumina_cluster::report::{number, say};
use lumina_cluster::{Cluster, Random};
use postgres::Client;
use std::time::{Duration, Instant};

/// Everything about the bursts of a database, except their numbers.
const RESULT: &str = "
    SELECT coalesce(md5(string_agg(b::text, '|' ORDER BY b)), 'none') || ' ' || count(*) FROM (
        SELECT row(b.frames, b.shots, b.started_at, b.ended_at, b.best_image, b.best_by, b.suspect,
            array_agg(row(f.image, f.position, f.shot) ORDER BY f.position))::text AS b
        FROM lumina.bursts b JOIN lumina.burst_frames f ON f.burst = b.id GROUP BY b.id, b.catalog) b";

fn result(session: &mut Client) -> String {
    session.query_one(RESULT, &[]).unwrap().get(0)
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
    fill(&mut session, "photos", &lumina_sets::photo(40_000, 3));
    session
        .batch_execute(
            "UPDATE lumina.images SET date_confidence = 95, metadata = '{\"has_time\": true}',
                captured_at = '2023-04-15 12:00:00+00'::timestamptz + id / 8 * '1 minute'::interval
                    + id % 8 * '0.4 s'::interval",
        )
        .unwrap();
    session.batch_execute("VACUUM ANALYZE lumina.images").unwrap();
    let presets = ["'photos', 'sports'", "'photos', min_frames => 4, best => 'middle'"];
    let (mut known, mut took) = (Vec::new(), Duration::ZERO);
    for preset in presets {
        let began = Instant::now();
        let job = submit(&mut session, preset);
        assert_eq!(wait_for_end(&mut session, job), "succeeded");
        took = began.elapsed();
        known.push(result(&mut session));
    }
    assert!(known[0] != known[1] && known[0].ends_with(" 5000"), "{known:?}");
    let (kills, mut random) = (number("LUMINA_KILLS", 21), Random(number("LUMINA_SEED", 1)));
    let mut hits = Hits::default();
    let look = |session: &mut Client| {
        let seen: String = session.query_one(RESULT, &[])?.get(0);
        assert!(known.contains(&seen), "a reader saw {seen}, which is none of {known:?}");
        Ok(())
    };
    let reads = under_a_reader(&cluster, look, |is_well| {
        for round in 0..kills {
            let interruption = INTERRUPTIONS[round as usize % INTERRUPTIONS.len()];
            let preset = random.below(2) as usize;
            let before = result(&mut session);
            let job = submit(&mut session, presets[preset]);
            std::thread::sleep(took.mul_f64(random.below(1000) as f64 / 1000.0)); // the moment itself
            let hit = interruption.strike(&cluster, &mut session, job);
            session = interruption.recover(&cluster, &mut session, hit);
            let end = wait_for_end(&mut session, job);
            hits.count(interruption, hit);
            let after = result(&mut session);
            let what = format!("round {round}: {interruption:?}: {end}");
            match end.as_str() {
                "succeeded" => assert_eq!(after, known[preset], "{what}"),
                "cancelled" if interruption.cancels() => assert_eq!(after, before, "{what}"),
                _ => panic!("{what}"),
            }
            assert_eq!(leftovers(&mut session), [""; 0], "{what}");
            is_well();
        }
    });
    say(&format!("{kills} detections hit: {hits:?}; {reads} reads meanwhile"));
    assert!(!cluster.log().contains("PANIC"), "{}", cluster.log());
}
