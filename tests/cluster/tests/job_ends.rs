//! Jobs whose ground goes away: catalog, extension and database dropped at any moment, the disk full.
//!
//! `LUMINA_KILLS` says how often (24 by default), `LUMINA_SEED` where the random numbers begin.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use lumina_cluster::catalog::{fill, leftovers, result, submit, wait_for_end};
use lumina_cluster::cluster::wait_until;
use lumina_cluster::report::{number, say};
use lumina_cluster::{Cluster, Random, installation};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn dropped_at_every_moment() {
    const WAYS: [&str; 5] =
        ["catalog", "extension", "database by force", "database after stop_workers", "catalog while it is cancelled"];
    let cluster = Cluster::start_with(&[("shared_preload_libraries", "lumina"), ("lumina.launcher_interval", "1")]);
    let mut admin = cluster.connect();
    admin.batch_execute("CREATE DATABASE furnished").unwrap();
    let mut session = cluster.connect_to("furnished", "postgres");
    fill(&mut session, "photos", &lumina_sets::photo(20_000, 3));
    drop(session);
    admin.batch_execute("CREATE DATABASE photos TEMPLATE furnished").unwrap();
    let mut session = cluster.connect_to("photos", "postgres");
    let began = Instant::now();
    let job = submit(&mut session, "photos", 5);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    let took = began.elapsed();
    drop(session);
    let (kills, mut random) = (number("LUMINA_KILLS", 24), Random(number("LUMINA_SEED", 1)));
    let (mut running, mut slowest) = (0, Duration::ZERO);
    for round in 0..kills {
        let way = WAYS[round as usize % WAYS.len()];
        admin.batch_execute("DROP DATABASE IF EXISTS photos WITH (FORCE)").unwrap();
        admin.batch_execute("CREATE DATABASE photos TEMPLATE furnished").unwrap();
        let mut session = cluster.connect_to("photos", "postgres");
        let job = submit(&mut session, "photos", 5);
        std::thread::sleep(took.mul_f64(random.below(1000) as f64 / 1000.0)); // the moment itself
        let runs = "SELECT state = 'running' FROM lumina.jobs WHERE id = $1";
        running += usize::from(session.query_one(runs, &[&job]).unwrap().get::<_, bool>(0));
        let dropped = Instant::now();
        match way {
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
        slowest = slowest.max(dropped.elapsed());
        if way.starts_with("catalog") {
            assert_eq!(leftovers(&mut session), [""; 0], "round {round}");
            let rows = "SELECT (SELECT count(*) FROM lumina.images) + (SELECT count(*) FROM lumina.jobs)
                + (SELECT count(*) FROM lumina.duplicate_members)";
            assert_eq!(session.query_one(rows, &[]).unwrap().get::<_, i64>(0), 0, "round {round}");
        }
    }
    say(&format!("{kills} drops, {running} while the job ran; the slowest was done after {slowest:?}"));
    assert!(running > 0, "no job was ever hit");
    let log = cluster.log();
    for bad in ["PANIC", "deadlock", "terminated by signal", "has failed"] {
        assert!(!log.contains(bad), "{bad}: {log}");
    }
}

/// A small file system of its own; `None` where we may not mount one.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(&folder).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            return None;
        }
        installation::give(&folder);
        Some(Disk(folder))
    }

    /// Leaves room for so many bytes more than are used, in pages.
    fn leave(&self, bytes: u64) {
        let used = Command::new("df").args(["--output=used", "-B1"]).arg(&self.0).output().unwrap();
        let used = String::from_utf8_lossy(&used.stdout).lines().last().unwrap().trim().parse::<u64>().unwrap();
        let size = format!("remount,size={}", used + bytes);
        assert!(Command::new("mount").args(["-o", &size]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

#[test]
fn the_disk_is_full() {
    let cluster = Cluster::start_with(&[("autovacuum", "off")]);
    let Some(disk) = Disk::mount(cluster.socket_folder().join("small")) else {
        return say("skipped: the disk that is full: no file system can be mounted here");
    };
    let mut session = cluster.connect();
    fill(&mut session, "photos", &lumina_sets::photo(20_000, 3));
    let job = submit(&mut session, "photos", 5);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    let before = result(&mut session, "photos");
    session.batch_execute(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.0.display())).unwrap();
    for table in ["duplicate_groups", "duplicate_members"] {
        session.batch_execute(&format!("ALTER TABLE lumina.{table} SET TABLESPACE small")).unwrap();
    }
    let room: Vec<u64> = (0..6).map(|round| round * 40_960).collect();
    for bytes in room {
        disk.leave(bytes);
        let job = submit(&mut session, "photos", 4);
        assert_eq!(wait_for_end(&mut session, job), "failed", "{bytes} bytes left");
        let row = session
            .query_one("SELECT error_code, error_sqlstate, error_hint FROM lumina.jobs WHERE id = $1", &[&job])
            .unwrap();
        assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("disk_full", "53100"));
        assert!(row.get::<_, &str>(2).contains("disk space"));
        assert_eq!(result(&mut session, "photos"), before, "{bytes} bytes left");
        assert_eq!(leftovers(&mut session), [""; 0], "{bytes} bytes left");
    }
    disk.leave(32 << 20);
    let failed: i64 = session.query_one("SELECT max(id) FROM lumina.jobs", &[]).unwrap().get(0);
    let job: i64 = session.query_one("SELECT lumina.retry_job($1)", &[&failed]).unwrap().get(0);
    assert_eq!(wait_for_end(&mut session, job), "succeeded");
    assert_ne!(result(&mut session, "photos"), before);
}
