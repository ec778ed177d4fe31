//! `lumina.image_memory_total`: images of many sessions share one bound, with the library preloaded and without; a
//! share is released however its process ends.

use lumina_cluster::Cluster;
use lumina_cluster::cluster::wait_until;
use lumina_cluster::report::say;
use postgres::Client;
use postgres::error::SqlState;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Far more than the promised second, and less than the five for which a statement waits for room.
const SOON: Duration = Duration::from_secs(4);

/// The limit for all images, in kilobytes.
const TOTAL: u64 = 64 << 10;

/// A server on which images share [`TOTAL`].
fn server(preloaded: bool, settings: &[(&str, &str)]) -> Cluster {
    let preload = [("shared_preload_libraries", "lumina")];
    let mut all = vec![("lumina.image_memory_total", "64MB"), ("restart_after_crash", "on")];
    all.extend(preload.iter().filter(|_| preloaded));
    all.extend(settings);
    let cluster = Cluster::start_with(&all);
    cluster.sql("postgres", "CREATE EXTENSION lumina");
    cluster
}

/// A grey PNG of one colour: it takes a byte of memory per pixel.
fn flat(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&vec![0; (width * height) as usize]).unwrap();
    bytes
}

/// One of these fits the total, two do not.
fn large() -> Vec<u8> {
    static LARGE: OnceLock<Vec<u8>> = OnceLock::new();
    LARGE.get_or_init(|| flat(7000, 6000)).clone()
}

/// Too small to be counted.
fn small() -> Vec<u8> {
    flat(500, 500)
}

fn pid(session: &mut Client) -> i32 {
    session.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0)
}

fn signal(pid: i32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

fn hash(session: &mut Client, image: &[u8]) -> Result<(), postgres::Error> {
    session.query("SELECT image_phash($1, 'ahash')", &[&image]).map(drop)
}

/// Kilobytes of private memory of all processes of a server.
fn memory(cluster: &Cluster) -> u64 {
    let postmaster = cluster.postmaster().unwrap();
    let children =
        std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap_or_default();
    children.split_whitespace().map(memory_of).sum()
}

/// Kilobytes of private memory of a process; 0 if there is none.
fn memory_of(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:").map(str::to_owned));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The peak memory of a server until `running` are done.
fn peak<T>(cluster: &Cluster, running: &[JoinHandle<T>]) -> u64 {
    let mut most = 0;
    while running.iter().any(|thread| !thread.is_finished()) {
        most = most.max(memory(cluster));
        thread::sleep(Duration::from_millis(2));
    }
    most
}

fn refused(error: &postgres::Error) {
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code(), &SqlState::CONFIGURATION_LIMIT_EXCEEDED, "{error:?}");
    assert!(error.hint().unwrap().contains("lumina.image_memory_total"), "{error:?}");
}

#[test]
fn many_sessions_share_the_memory() {
    for preloaded in [true, false] {
        let cluster = server(preloaded, &[]);
        let image = large();
        let mut sessions: Vec<Client> = (0..8).map(|_| cluster.connect()).collect();
        sessions.iter_mut().for_each(|session| hash(session, &small()).unwrap());
        let before = memory(&cluster);
        let hashed = |mut session: Client| {
            let image = image.clone();
            thread::spawn(move || {
                (0..3).filter(|_| hash(&mut session, &image).map_err(|error| refused(&error)).is_ok()).count()
            })
        };
        let running: Vec<_> = sessions.into_iter().map(hashed).collect();
        let most = peak(&cluster, &running) - before;
        let done: usize = running.into_iter().map(|thread| thread.join().unwrap()).sum();
        say(&format!("preloaded: {preloaded}: {done} of 24 images hashed, {} MB at most", most >> 10));
        // In addition to the images each session has its statement, with the image's bytes.
        assert!(most < TOTAL + 8 * 2048, "preloaded: {preloaded}: {most} kB");
        assert!(most > 30 << 10 && done >= 3, "preloaded: {preloaded}: {most} kB, {done} images");
    }
}

/// For Postgres's lock manager the processes of a parallel query are one.
#[test]
fn parallel_workers_share_the_memory() {
    for preloaded in [true, false] {
        let settings = [("max_parallel_workers_per_gather", "3"), ("max_worker_processes", "16")];
        let cluster = server(preloaded, &settings);
        let mut session = cluster.connect();
        session
            .batch_execute(
                "CREATE TABLE images (id int, page text, bytes bytea);
                ALTER TABLE images ALTER bytes SET STORAGE EXTERNAL, ALTER page SET STORAGE PLAIN",
            )
            .unwrap();
        // Each on its own page: workers divide pages among themselves.
        let page = "x".repeat(6000);
        for id in 0..9 {
            session.execute("INSERT INTO images VALUES ($1, $2, $3)", &[&id, &page, &large()]).unwrap();
        }
        session
            .batch_execute(
                "INSERT INTO images SELECT id, NULL, NULL FROM generate_series(10, 200000) id; ANALYZE images;
                SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
                SET parallel_leader_participation = off",
            )
            .unwrap();
        let query = "SELECT count(image_phash(bytes, 'ahash')) FROM images";
        let plan: Vec<String> =
            session.query(&format!("EXPLAIN {query}"), &[]).unwrap().iter().map(|row| row.get(0)).collect();
        assert!(plan.iter().any(|line| line.contains("Workers Planned: 3")), "{plan:?}");
        let before = memory(&cluster);
        let running = vec![thread::spawn(move || session.query_one(query, &[]).map(|row| row.get::<_, i64>(0)))];
        let most = peak(&cluster, &running) - before;
        for thread in running {
            assert_eq!(thread.join().unwrap().unwrap(), 9);
        }
        say(&format!("preloaded: {preloaded}: parallel workers had {} MB at most", most >> 10));
        // Each worker has some megabytes without any image; three concurrent images were 199 MB.
        assert!(most < TOTAL + 4 * (20 << 10), "preloaded: {preloaded}: {most} kB");
    }
}

/// A session that is stopped in the middle of a large image, with its share.
fn stopped(cluster: &Cluster, other: &mut Client) -> (i32, JoinHandle<Result<(), postgres::Error>>) {
    let mut session = cluster.connect();
    let pid = pid(&mut session);
    let image = large();
    let running = thread::spawn(move || {
        let many = "SELECT count(image_phash($1, 'ahash', 4 * (1 + i % 4))) FROM generate_series(1, 100000) i";
        session.query(many, &[&image]).map(drop)
    });
    wait_until("a session stands still with a share", || {
        signal(pid, "-STOP");
        let stands = unless_it_hangs(pid, || {
            // It may be stopped between two images.
            other.batch_execute("SET statement_timeout = '200ms'").unwrap();
            let waits = hash(other, &large()).is_err_and(|error| error.code() == Some(&SqlState::QUERY_CANCELED));
            other.batch_execute("RESET statement_timeout").unwrap();
            drop(cluster.connect());
            // On a slow machine the timeout may hit an image that has room.
            waits && hash(other, &large()).map_err(|error| refused(&error)).is_err()
        });
        if stands != Some(true) {
            signal(pid, "-CONT");
        }
        stands == Some(true)
    });
    (pid, running)
}

/// What others see while a process is stopped. `None` if it has to continue first: it may have stopped with a
/// lightweight lock of Postgres, for which a statement waits regardless of its timeout.
fn unless_it_hangs<R>(pid: i32, look: impl FnOnce() -> R) -> Option<R> {
    let (done, waits) = channel::<()>();
    let release = thread::spawn(move || {
        let hangs = waits.recv_timeout(4 * SOON) == Err(RecvTimeoutError::Timeout);
        if hangs {
            signal(pid, "-CONT");
        }
        hangs
    });
    let seen = look();
    drop(done);
    (!release.join().unwrap()).then_some(seen)
}

#[test]
fn a_share_comes_back_whatever_ends_its_session() {
    for preloaded in [true, false] {
        let cluster = server(preloaded, &[]);
        let mut other = cluster.connect();
        for end in ["-CONT", "-INT", "-TERM", "-KILL"] {
            let (pid, running) = stopped(&cluster, &mut other);
            let case = format!("preloaded: {preloaded}, {end}");
            // A waiting session can be cancelled, and small images do not wait.
            other.batch_execute("SET statement_timeout = '300ms'").unwrap();
            let began = Instant::now();
            let error = hash(&mut other, &large()).unwrap_err();
            assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{case}: {error:?}");
            assert!(began.elapsed() < SOON, "{case}: {:?}", began.elapsed());
            hash(&mut other, &small()).unwrap();
            other.batch_execute("RESET statement_timeout").unwrap();
            let waiting = (end == "-INT").then(|| {
                let mut third = cluster.connect();
                thread::spawn(move || hash(&mut third, &large()))
            });
            if end != "-CONT" {
                signal(pid, end);
            }
            if end != "-KILL" {
                signal(pid, "-CONT"); // none of the others ends a process that stands still
            }
            if end == "-CONT" {
                // It continues with image after image: they alternate.
                wait_until("two sessions take turns", || hash(&mut other, &large()).is_ok());
                signal(pid, "-INT");
            }
            running.join().unwrap().unwrap_err();
            if let Some(waiting) = waiting {
                waiting.join().unwrap().unwrap();
            }
            if end == "-KILL" {
                wait_until("Postgres is back", || cluster.log().matches("ready to accept connections").count() >= 2);
                other = cluster.connect();
            }
            let began = Instant::now();
            hash(&mut other, &large()).unwrap();
            assert!(began.elapsed() < SOON, "{case}: {:?}", began.elapsed());
        }
    }
}

/// An error releases the share, even if it is caught and the transaction continues.
#[test]
fn an_error_gives_the_share_back() {
    for preloaded in [true, false] {
        let cluster = server(preloaded, &[]);
        let (mut session, mut other) = (cluster.connect(), cluster.connect());
        let mut damaged = large();
        damaged.truncate(damaged.len() / 2);
        session.batch_execute("CREATE TEMP TABLE damaged (image bytea); BEGIN").unwrap();
        session.execute("INSERT INTO damaged VALUES ($1)", &[&damaged]).unwrap();
        session
            .batch_execute(
                "DO $$ BEGIN FOR i IN 1..3 LOOP
                    BEGIN PERFORM image_phash(image, 'ahash') FROM damaged; RAISE 'no error';
                    EXCEPTION WHEN data_exception THEN NULL; END;
                END LOOP; END $$",
            )
            .unwrap();
        hash(&mut other, &large()).unwrap();
        session.batch_execute("COMMIT").unwrap();
        // An image that can never fit is refused at once.
        let huge = flat(9000, 9000);
        let began = Instant::now();
        refused(&hash(&mut session, &huge).unwrap_err());
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }
}

/// An abandoned decoder keeps its share until it ends.
#[test]
fn a_decoder_that_is_left_keeps_its_share() {
    let cluster = server(false, &[("lumina.image_memory_total", "4GB")]);
    let (mut session, mut admin) = (cluster.connect(), cluster.connect());
    let pid = pid(&mut session);
    // A small picture in several scans that claims to be a large one, which takes a second to transform.
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/photo/tests/golden/images/jpeg-progressive.jpg");
    let mut bytes = std::fs::read(golden).unwrap();
    let frame = bytes.windows(2).position(|marker| marker == [0xff, 0xc2]).unwrap();
    let side = 12_000_u16.to_be_bytes();
    bytes[frame + 5..frame + 9].copy_from_slice(&[side, side].concat());
    let parts = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 19576 AND pid = $1";
    let threads = || std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count();
    hash(&mut session, &small()).unwrap(); // the library is loaded
    // Where the decoder hardly runs it cannot see that its caller has cancelled, nor end. It inherits its processor.
    let crowd = Crowd::new();
    crowd.take_in(pid);
    thread::scope(|scope| {
        let running = scope.spawn(|| hash(&mut session, &bytes));
        // By then it has read its input, where it would see it.
        wait_until("the decoder transforms", || threads() == 2 && memory_of(&pid.to_string()) > 2 * TOTAL);
        crowd.release(pid);
        let began = Instant::now();
        admin.execute("SELECT pg_cancel_backend($1)", &[&pid]).unwrap();
        assert_eq!(running.join().unwrap().unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    });
    let mut crowd = Some(crowd);
    let mut seen = 0;
    loop {
        session.batch_execute("SELECT 1").unwrap(); // releases the shares of decoders that have ended
        let held = admin.query_one(parts, &[&pid]).unwrap().get::<_, i64>(0);
        if threads() == 1 {
            break; // it has ended, before or after the look
        }
        // The thread frees its memory, then its share, and is still there for a moment.
        let ends = crowd.is_none() && memory_of(&pid.to_string()) < TOTAL;
        assert!(held > 0 || ends, "a decoder runs without a share");
        seen += 1;
        if seen == 10 {
            crowd = None;
        }
    }
    drop(crowd);
    assert!(seen >= 10, "the decoder was seen {seen} times after its call");
    wait_until("the share is given back", || {
        session.batch_execute("SELECT 1").unwrap();
        admin.query_one(parts, &[&pid]).unwrap().get::<_, i64>(0) == 0
    });
    assert!(!cluster.log().contains("WARNING"), "{}", cluster.log());
}

/// Processes that keep one processor busy: a thread that may use no other hardly ever runs.
struct Crowd {
    /// The processors that this process may use.
    all: String,
    processor: String,
    processes: Vec<Child>,
}

impl Crowd {
    fn new() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let all = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim();
        let processor = all.split(['-', ',']).next().unwrap();
        // Each in a session of its own: some kernels give each session, and not each process, as much time.
        let busy = ["taskset", "-c", processor, "sh", "-c", "while :; do :; done"];
        let processes: Vec<Child> = (0..50).map(|_| Command::new("setsid").args(busy).spawn().unwrap()).collect();
        wait_until("the processor is busy", || {
            let name = |process: &Child| std::fs::read_to_string(format!("/proc/{}/comm", process.id()));
            processes.iter().all(|process| name(process).is_ok_and(|name| name == "sh\n"))
        });
        Self { all: all.to_owned(), processor: processor.to_owned(), processes }
    }

    /// Lets a thread, and those that it starts, use the busy processor alone.
    fn take_in(&self, thread: i32) {
        run_on(&self.processor, thread);
    }

    fn release(&self, thread: i32) {
        run_on(&self.all, thread);
    }
}

fn run_on(processors: &str, thread: i32) {
    let moved = Command::new("taskset").args(["-p", "-c", processors, &thread.to_string()]).output().unwrap();
    assert!(moved.status.success(), "{moved:?}");
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
