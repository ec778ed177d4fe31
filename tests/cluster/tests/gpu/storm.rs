//! Random faults, repeatedly, and kills under load.

use super::{NOTICE, digest, info, kill, server};
use lumina_cluster::Random;
use lumina_cluster::gpu::Card;
use postgres::Client;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Reads a number from the environment: longer storms are run by hand.
fn times(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

const SMALL: &str = "phash_pairs('SELECT id, h64 FROM hashes', 9)";

fn rows(session: &mut Client) -> i64 {
    session.query_one(&format!("SELECT count(*) FROM {SMALL}"), &[]).unwrap().get(0)
}

/// One session, and a random fault in every other statement: each returns all rows, and nothing is left at the end.
#[test]
fn random_faults() {
    const CALLS: [&str; 7] = [
        "cuMemAlloc_v2",
        "cuMemcpyHtoDAsync_v2",
        "cuMemcpyDtoHAsync_v2",
        "cuMemsetD8Async",
        "cuStreamSynchronize",
        "cuLaunchKernel",
        "launch",
    ];
    let card = Card::new("");
    let cluster = server(&card, &[], 150);
    let notices = Arc::new(AtomicUsize::new(0));
    let mut config = postgres::Config::new();
    config.host_path(cluster.socket_folder()).port(cluster.port()).dbname("postgres").user("postgres");
    let heard = Arc::clone(&notices);
    config.notice_callback(move |notice| {
        assert!(format!("NOTICE:  {}", notice.message()).starts_with(NOTICE), "{notice:?}");
        heard.fetch_add(1, Ordering::Relaxed);
    });
    let mut session = config.connect(postgres::NoTls).unwrap();
    session.batch_execute("SET lumina.device = cpu").unwrap();
    let wanted = rows(&mut session);
    session.batch_execute("SET lumina.device = cuda").unwrap();
    let files = |session: &mut Client| {
        let pid: i32 = session.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
    };
    assert_eq!(rows(&mut session), wanted);
    let before = files(&mut session);
    let mut random = Random(7);
    let count = times("LUMINA_GPU_FAULTS", 150);
    for _ in 0..count {
        let call = CALLS[random.below(CALLS.len() as u64) as usize];
        let (nth, code) = (1 + random.below(6), [1, 2, 304, 700, 719][random.below(5) as usize]);
        let fault = if random.below(2) == 0 { String::new() } else { format!("fail {call} {nth} {code}") };
        card.set(&fault);
        match session.query_one(&format!("SELECT count(*) FROM {SMALL}"), &[]) {
            Ok(row) => assert_eq!(row.get::<_, i64>(0), wanted, "{fault}"),
            // The device could not be opened, which is an error where it is asked for.
            Err(error) => {
                assert_eq!(error.code().map(postgres::error::SqlState::code), Some("55000"), "{fault}: {error}")
            }
        }
        session.batch_execute("SELECT lumina.gpu_reset()").unwrap();
    }
    card.set("");
    session.batch_execute("SELECT lumina.gpu_reset()").unwrap();
    assert_eq!(rows(&mut session), wanted);
    assert!(notices.load(Ordering::Relaxed) > count / 25, "{notices:?}");
    assert_eq!(files(&mut session), before, "descriptors");
    let report = card.report_now("", "end", || assert_eq!(rows(&mut session), wanted));
    assert!(report.faults.is_empty(), "{report:?}");
    // The memory of the last search, which the next one reuses, and that for transfers.
    assert!(
        report.alive["allocations"] <= 1 && report.alive["pinned"] <= 1 && report.alive["contexts"] == 1,
        "{report:?}"
    );
}

/// The process is killed repeatedly under eight sessions, which always get all rows.
#[test]
fn kills_under_load() {
    let card = Card::new("slow 5ms");
    let cluster = server(&card, &[("lumina.concurrent_searches", "8")], 150);
    let wanted = digest(&cluster, "cpu", SMALL);
    let wanted: i64 = wanted.split(' ').next().unwrap().parse().unwrap();
    let (is_over, searches, wrong) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut session = cluster.connect();
                session.batch_execute("SET lumina.device = cuda").unwrap();
                while !is_over.load(Ordering::Relaxed) {
                    match session.query_one(&format!("SELECT count(*) FROM {SMALL}"), &[]) {
                        Ok(row) if row.get::<_, i64>(0) == wanted => {}
                        Ok(row) => wrong.lock().unwrap().push(format!("{} rows", row.get::<_, i64>(0))),
                        Err(error) => wrong.lock().unwrap().push(format!("{error:?}")),
                    }
                    searches.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut random = Random(3);
        let mut kills = 0;
        while kills < times("LUMINA_GPU_KILLS", 12) {
            std::thread::sleep(Duration::from_millis(random.below(700)));
            if let Ok(process) = info(&cluster, "process").parse() {
                kill(process);
                kills += 1;
            }
            cluster.sql("postgres", "SELECT lumina.gpu_reset()");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(searches.into_inner() > 50);
    assert_eq!(digest(&cluster, "cuda", SMALL), digest(&cluster, "cpu", SMALL));
}
