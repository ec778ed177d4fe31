//! Servers that are killed under load, at any moment and in several ways: after recovery the index is intact.

use super::load::{EAGER, Stop, Worker, assert_whole, make_tables};
use super::world::{assert_well, world_with};
use lumina_cluster::cluster::wait_until;
use lumina_cluster::kills::connect;
use lumina_cluster::report::{number, say};
use lumina_cluster::{Cluster, Random, Shutdown};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How a server goes down.
#[derive(Debug, Clone, Copy)]
enum KillKind {
    /// SIGKILL to every process of the server at once.
    Everything,
    /// SIGKILL to the postmaster alone: the others end when they notice.
    Postmaster,
    /// SIGKILL to one backend: the postmaster ends all others, and recovers.
    Session,
    /// An immediate shutdown.
    Immediate,
}

const KILL_KINDS: [KillKind; 4] = [KillKind::Everything, KillKind::Session, KillKind::Immediate, KillKind::Postmaster];

fn processes(cluster: &Cluster) -> Vec<String> {
    let pid = cluster.postmaster().unwrap();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let mut all = vec![pid.to_string()];
    all.extend(children.split_whitespace().map(str::to_owned));
    all
}

/// Takes a server down, sets the flag, and waits until it is up again.
fn strike(cluster: &Cluster, kind: KillKind, random: &mut Random, is_down: impl FnOnce()) {
    match kind {
        KillKind::Everything => {
            let all = processes(cluster);
            drop(Command::new("kill").arg("-9").args(&all).output());
            wait_until("all processes are gone", || {
                !all.iter().any(|pid| std::path::Path::new(&format!("/proc/{pid}")).exists())
            });
        }
        KillKind::Postmaster => cluster.kill(),
        KillKind::Session => {
            let children = processes(cluster);
            let sessions: Vec<&String> = children[1..]
                .iter()
                .filter(|pid| {
                    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                    String::from_utf8_lossy(&line).contains("postgres postgres [local]")
                })
                .collect();
            let mut witness = connect(cluster);
            let Some(session) = sessions.get(random.below(sessions.len().max(1) as u64) as usize) else { return };
            drop(Command::new("kill").args(["-9", session]).output());
            // It ends all sessions, and restarts by itself.
            wait_until("the server has noticed", || witness.batch_execute("").is_err());
        }
        KillKind::Immediate => cluster.stop(Shutdown::Immediate),
    }
    is_down();
    if !cluster.running() {
        cluster.restart();
    }
}

#[test]
fn killed_under_load() {
    let (cluster, mut session) = world_with(&EAGER);
    make_tables(&mut session);
    drop(session);
    let (rounds, seed) = (number("LUMINA_KILLS", 3), number("LUMINA_SEED", 1));
    let (stop, pause, steps) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
    let mut random = Random(seed);
    let mut told = String::new();
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        let workers: Vec<_> = (0..6)
            .map(|place| {
                let (cluster, stop, pause, steps) = (&cluster, &stop, &pause, &steps);
                scope.spawn(move || {
                    let _stop = Stop(stop);
                    let mut worker = Worker::new(place);
                    while !stop.load(Ordering::Acquire) {
                        let mut session = connect(cluster);
                        while !stop.load(Ordering::Acquire) {
                            if pause.load(Ordering::Acquire) {
                                std::thread::sleep(Duration::from_millis(5));
                            } else if worker.step(&mut session).is_err() {
                                worker.lose();
                                break;
                            } else {
                                steps.fetch_add(1, Ordering::AcqRel);
                            }
                        }
                    }
                })
            })
            .collect();
        for round in 0..rounds {
            let (before, began) = (steps.load(Ordering::Acquire), Instant::now());
            wait_until("the load is on", || {
                steps.load(Ordering::Acquire) > before + 50 || stop.load(Ordering::Acquire)
            });
            std::thread::sleep(Duration::from_millis(random.below(700))); // the moment itself
            assert!(!workers.iter().any(|worker| worker.is_finished()), "a worker has failed");
            let kind = KILL_KINDS[round as usize % KILL_KINDS.len()];
            strike(&cluster, kind, &mut random, || pause.store(true, Ordering::Release));
            let mut session = connect(&cluster);
            told = assert_whole(&mut session, 0..6);
            pause.store(false, Ordering::Release);
            if number("LUMINA_KILLS", 0) > 0 {
                say(&format!("round {round}: {kind:?} after {:?}: {told}", began.elapsed()));
            }
        }
    });
    say(&format!("{rounds} kills from seed {seed} among {} steps; {told}", steps.load(Ordering::Acquire)));
    assert_well(&cluster);
}
