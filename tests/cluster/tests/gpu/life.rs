//! The process: started once, ended in every way, including every end of the server.

use super::{NOTICE, SEARCH, digest, info, is_there, kill, process, server, sum};
use lumina_cluster::cluster::{Shutdown, wait_until};
use lumina_cluster::gpu::Card;
use lumina_cluster::installation::programs;
use lumina_cluster::{Cluster, catalog, sessions};
use std::time::{Duration, Instant};

/// Eight concurrent sessions start one process, which ends when idle, and starts again.
#[test]
fn one_for_all() {
    let card = Card::new("");
    let cluster = server(
        &card,
        &[("lumina.gpu_idle_timeout", "1s"), ("lumina.concurrent_searches", "8"), ("max_worker_processes", "2")],
        200,
    );
    let wanted = digest(&cluster, "cpu", SEARCH);
    for _ in 0..3 {
        std::thread::scope(|scope| {
            let searches: Vec<_> = (0..8).map(|_| scope.spawn(|| digest(&cluster, "cuda", SEARCH))).collect();
            searches.into_iter().for_each(|search| assert_eq!(search.join().unwrap(), wanted));
        });
        assert_eq!(info(&cluster, "state, searches"), "running|8");
        let process = process(&cluster);
        wait_until("the process ends by itself", || !is_there(process));
        wait_until("nobody serves", || info(&cluster, "state") == "stopped");
    }
    assert_eq!(info(&cluster, "failures"), "0");
    // Its background worker has exited as well.
    let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'lumina gpu'";
    wait_until("no worker is left", || cluster.sql("postgres", workers).trim() == "0");
}

/// Without a slot for its worker there is an error that says so, or the CPU searches.
#[test]
fn no_place() {
    let card = Card::new("");
    let cluster = server(&card, &[("max_worker_processes", "0")], 100);
    let refused = digest(&cluster, "cuda", SEARCH);
    assert!(refused.contains("ERROR:  the GPU cannot be used: no background worker is free, of 0"), "{refused}");
    assert!(refused.contains("HINT:  Raise max_worker_processes"), "{refused}");
    assert_eq!(digest(&cluster, "auto", SEARCH), digest(&cluster, "cpu", SEARCH));
}

/// A search is cancelled within a second, by the user and by a timeout; the process continues.
#[test]
fn cancelled() {
    let card = Card::new("");
    let cluster = server(&card, &[], 3000);
    assert!(!digest(&cluster, "cuda", "phash_pairs('SELECT id, h64 FROM hashes WHERE id < 50', 5)").contains("ERROR"));
    let before = process(&cluster);
    card.set("slow 1000ms");
    let mut session = cluster.connect();
    session.batch_execute("SET lumina.device = cuda; SET statement_timeout = '1s'").unwrap();
    let began = Instant::now();
    let error =
        session.batch_execute("SELECT count(*) FROM phash_pairs('SELECT id, h64 FROM hashes', 64)").unwrap_err();
    assert_eq!(error.code().unwrap().code(), "57014");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    session.batch_execute("SET statement_timeout = 0").unwrap();
    let pid: i32 = session.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let running = sessions::start(session, "SELECT count(*) FROM phash_pairs('SELECT id, h64 FROM hashes', 64)".into());
    wait_until("the search runs", || info(&cluster, "active_searches") == "1");
    cluster.sql("postgres", &format!("SELECT pg_cancel_backend({pid})"));
    let cancelled = Instant::now();
    let (mut session, result, ended) = running.join().unwrap();
    assert_eq!(result.unwrap_err().code().unwrap().code(), "57014");
    assert!(ended - cancelled < Duration::from_secs(1), "{:?}", ended - cancelled);
    wait_until("the process has given it up", || info(&cluster, "active_searches") == "0");
    session.batch_execute("SELECT count(*) FROM phash_pairs('SELECT id, h64 FROM hashes WHERE id < 50', 5)").unwrap();
    assert_eq!((process(&cluster), info(&cluster, "failures")), (before, "0".into()));
}

/// The process is killed in the middle of a search: of pairs, of groups, in a subtransaction, of a job.
#[test]
fn killed_in_the_middle() {
    let card = Card::new("");
    let cluster = server(&card, &[], 400);
    let mut admin = cluster.connect();
    cluster.sql(
        "postgres",
        "CREATE FUNCTION caught() RETURNS TABLE (a int8, b int8, distance int4) LANGUAGE plpgsql AS $$
         BEGIN RETURN QUERY SELECT * FROM phash_pairs('SELECT id, h256 FROM hashes', 90);
         EXCEPTION WHEN OTHERS THEN RAISE WARNING 'an error: %', SQLERRM; END $$",
    );
    for call in [SEARCH, "phash_groups('SELECT id, h256 FROM hashes', 90)", "caught()"] {
        let wanted = digest(&cluster, "cpu", call);
        let mut was_killed = false;
        wait_until("a search is met in the middle", || {
            card.set("");
            digest(&cluster, "cuda", call); // the process runs, and has proved its kernels
            card.set("slow 100ms");
            let found = std::thread::scope(|scope| {
                let search = scope.spawn(|| digest(&cluster, "cuda", call));
                while !search.is_finished() && !was_killed {
                    let row = admin.query_one("SELECT process, active_searches FROM lumina.gpu_info()", &[]).unwrap();
                    was_killed = row.get::<_, Option<i32>>(1) == Some(1);
                    if was_killed {
                        kill(row.get::<_, i32>(0) as u32);
                    }
                }
                search.join().unwrap()
            });
            // Repeated on the GPU if nothing had arrived yet, or continued on the CPU.
            assert!(found == wanted || (found.starts_with(NOTICE) && found.ends_with(&wanted)), "{call}: {found}");
            was_killed
        });
        cluster.sql("postgres", "SELECT lumina.gpu_reset()");
    }
    let mut session = cluster.connect();
    let hashes: Vec<u64> = (0..300).map(|n: u64| (n / 2).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (n & 1)).collect();
    let mut results = Vec::new();
    for device in ["cpu", "cuda"] {
        catalog::fill(&mut session, device, &hashes);
        session.batch_execute(&format!("SET lumina.device = {device}")).unwrap();
        let job = catalog::submit(&mut session, device, 5);
        if device == "cuda" {
            session.batch_execute("SET lumina.device = cpu").unwrap(); // the job keeps what it was submitted with
            wait_until("the process runs", || info(&cluster, "state") == "running");
            kill(process(&cluster));
        }
        assert_eq!(catalog::wait_for_end(&mut session, job), "succeeded");
        let groups = "SELECT string_agg(kind || ' ' || distance || ' ' || images, ',' ORDER BY g.id)
             FROM lumina.duplicate_groups g
             JOIN lumina.catalogs c ON c.id = g.catalog WHERE c.name = $1";
        results.push(session.query_one(groups, &[&device]).unwrap().get::<_, Option<String>>(0));
    }
    assert!(results[0].is_some() && results[0] == results[1], "{results:?}");
    // The job's device is the one that its submitter had: by itself no job starts the process for so little.
    if info(&cluster, "state") == "running" {
        kill(process(&cluster));
    }
    wait_until("the process has ended", || info(&cluster, "state") != "running");
    session.batch_execute("SET lumina.device = cuda").unwrap();
    let job = catalog::submit(&mut session, "cuda", 4);
    assert_eq!(catalog::wait_for_end(&mut session, job), "succeeded");
    assert_eq!(info(&cluster, "state"), "running");
}

/// The process of Postgres of this type.
fn pid_of(cluster: &Cluster, backend_type: &str) -> u32 {
    let pid = format!("SELECT pid FROM pg_stat_activity WHERE backend_type = '{backend_type}'");
    cluster.sql("postgres", &pid).trim().parse().unwrap()
}

/// However the server ends, the process ends with it; also after a crash of a session or a kill of the worker.
#[test]
fn it_ends_with_the_server() {
    let card = Card::new("");
    let cluster = server(&card, &[], 100);
    for how in [Shutdown::Fast, Shutdown::Immediate] {
        digest(&cluster, "cuda", SEARCH);
        let process = process(&cluster);
        cluster.stop(how);
        wait_until("the process is gone", || !is_there(process));
        cluster.restart();
        assert_eq!(info(&cluster, "state, failures"), "not tried|0");
    }
    // The postmaster, or the worker of the process, is killed while the driver is busy for an hour.
    for kills_postmaster in [true, false] {
        digest(&cluster, "cuda", SEARCH);
        let busy = process(&cluster);
        card.set("slow 3600000ms");
        let mut session = cluster.connect();
        session.batch_execute("SET lumina.device = cuda").unwrap();
        let search = std::thread::spawn(move || session.batch_execute(&format!("SELECT count(*) FROM {SEARCH}")));
        wait_until("the process does not answer any more", || info(&cluster, "active_searches").is_empty());
        if kills_postmaster {
            cluster.kill();
        } else {
            kill(pid_of(&cluster, "lumina gpu"));
        }
        assert!(search.join().unwrap().is_err());
        wait_until("the process is gone", || !is_there(busy));
        card.set("");
        if kills_postmaster {
            cluster.restart();
        } else {
            wait_until("the server is back", || cluster.try_connect().is_some());
        }
    }
    // A session crashes: all of the server's processes end, and the GPU's.
    let wanted = digest(&cluster, "cuda", SEARCH);
    let second = process(&cluster);
    kill(pid_of(&cluster, "checkpointer"));
    wait_until("the process is gone", || !is_there(second));
    wait_until("the server is back", || cluster.try_connect().is_some());
    assert_eq!(digest(&cluster, "cuda", SEARCH), wanted);
    // The worker is terminated, which is no failure.
    let third = process(&cluster);
    cluster.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'lumina gpu'");
    wait_until("the process is gone", || !is_there(third));
    assert_eq!(digest(&cluster, "cuda", SEARCH), wanted);
    assert_eq!(info(&cluster, "failures"), "0");
    // So may the process be.
    let fourth = process(&cluster);
    assert!(std::process::Command::new("kill").arg(fourth.to_string()).status().unwrap().success());
    wait_until("the process is gone", || !is_there(fourth));
    wait_until("nobody serves", || info(&cluster, "state") == "stopped");
    assert_eq!((digest(&cluster, "cuda", SEARCH), info(&cluster, "failures")), (wanted, "0".into()));
}

/// A hot standby has a GPU process of its own.
#[test]
fn on_a_standby() {
    let card = Card::new("");
    let cluster = server(&card, &[], 100);
    let wanted = digest(&cluster, "cuda", SEARCH);
    let standby = cluster.standby();
    assert_eq!(info(&standby, "state"), "not tried");
    assert_eq!(digest(&standby, "cuda", SEARCH), wanted);
    assert_ne!(process(&standby), process(&cluster));
}

/// The process has no shared memory of Postgres, and none of its files.
#[test]
fn it_has_nothing_of_the_servers() {
    let card = Card::new("");
    let cluster = server(&card, &[], 50);
    digest(&cluster, "cuda", SEARCH);
    let process = process(&cluster);
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let postmaster = std::fs::read_to_string(format!("/proc/{}/maps", cluster.postmaster().unwrap())).unwrap();
    let shared = |maps: &str| {
        let names = ["/dev/zero", "SYSV", "/dev/shm/PostgreSQL"];
        let ours = |line: &&str| line.contains("rw-s") && names.iter().any(|name| line.contains(name));
        maps.lines().filter(ours).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(shared(&postmaster).iter().any(|line| line.contains("PostgreSQL")) && shared(&postmaster).len() > 1);
    // Only the word that it shares with its worker.
    assert_eq!(shared(&maps).len(), 1, "{maps}");
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let names: Vec<String> =
        files.map(|file| std::fs::read_link(file.unwrap().path()).unwrap().to_string_lossy().into_owned()).collect();
    let data = cluster.data();
    assert!(!names.iter().any(|name| name.starts_with(data.to_str().unwrap())), "{names:?}");
    assert!(names.len() < 12, "{names:?}");
}

/// A job is cancelled during the start of the process, which takes this driver a minute.
#[test]
fn cancelled_at_the_start() {
    let card = Card::new("slow 3000ms");
    let cluster = server(&card, &[], 10);
    let mut session = cluster.connect();
    let hashes: Vec<u64> = (0..100).map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    catalog::fill(&mut session, "photos", &hashes);
    session.batch_execute("SET lumina.device = cuda").unwrap();
    let job = catalog::submit(&mut session, "photos", 5);
    wait_until("the process starts", || info(&cluster, "state") == "starting");
    session.execute("SELECT lumina.cancel_job($1)", &[&job]).unwrap();
    assert_eq!(catalog::wait_for_end(&mut session, job), "cancelled");
    assert_eq!(info(&cluster, "state"), "starting", "it has waited");
}

/// The extension's library loads without CUDA.
#[test]
fn it_links_nothing_of_cuda() {
    let folder = std::process::Command::new(programs().join("pg_config")).arg("--pkglibdir").output().unwrap();
    let library = format!("{}/lumina.so", String::from_utf8(folder.stdout).unwrap().trim());
    let linked = std::process::Command::new("ldd").arg(&library).output().unwrap();
    let linked = String::from_utf8(linked.stdout).unwrap().to_lowercase();
    assert!(linked.contains("libc.so") && !linked.contains("cuda") && !linked.contains("nvidia"), "{linked}");
}

/// While the process starts, however long that takes, `auto` uses the CPU.
#[test]
fn auto_does_not_wait() {
    let card = Card::new("slow 30000ms");
    let cluster = server(&card, &[], 3000);
    let small = "phash_pairs('SELECT id, h1024 FROM hashes', 100)";
    // It takes one thread longer than a process takes to start, so that it asks for one.
    let query =
        "SELECT n, (sha512(int8send(n / 2)) || sha512(int8send(-n / 2)))::phash FROM generate_series(1, 80000) n";
    let large = format!("phash_pairs('{query}', 100)");
    let on = |device: &str, call: &str| {
        let script = format!("SET lumina.search_threads = 1; SET lumina.device = {device}; {}", sum(call));
        cluster.psql("postgres", &["-A", "-t", "-q"], &script).text.trim().to_owned()
    };
    let planned = format!(
        "SET lumina.search_threads = 1; SET lumina.device = auto; SELECT device FROM phash_plan('{query}', 100)"
    );
    let (wanted, wanted_large) = (on("cpu", small), on("cpu", &large));
    std::thread::scope(|scope| {
        let starter = scope.spawn(|| digest(&cluster, "cuda", SEARCH));
        wait_until("the process starts", || info(&cluster, "state") == "starting");
        assert_eq!(on("auto", small), wanted);
        assert_eq!(cluster.sql("postgres", &planned).trim(), "cuda");
        // It waits for no longer than the CPU takes.
        assert_eq!(on("auto", &large), wanted_large);
        assert_eq!(info(&cluster, "state"), "starting", "it has waited");
        let workers = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'lumina gpu'";
        cluster.sql("postgres", workers);
        card.set("");
        starter.join().unwrap();
    });
}
