//! A GPU process on the stand-in for the driver, and the oracle: a comparison of every row with every other.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

use lumina_gpu::client::{Answer, Client};
use lumina_gpu::protocol::{Question, SetShape, Status};
use lumina_gpu::server::{End, Settings, serve};
use lumina_gpu::shared::Draft;
use lumina_gpu::{Device, PairMethod};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Timeout of everything here.
const PATIENCE: Duration = Duration::from_secs(120);

/// Rows of several columns: `columns[c]` has `words[c]` words a row.
pub struct Rows {
    count: usize,
    words: Vec<usize>,
    columns: Vec<Vec<u64>>,
}

fn number(place: u64) -> u64 {
    let mixed = place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

impl Rows {
    /// Rows of which half are near the one before, in all columns.
    pub fn random(seed: u64, count: usize, words: &[usize]) -> Self {
        let mut columns = Vec::new();
        for (column, &words) in words.iter().enumerate() {
            let seed = seed * 1000 + column as u64;
            let mut data: Vec<u64> = (0..(count * words) as u64).map(|word| number(seed << 32 | word)).collect();
            for row in (1..count).filter(|row| row % 2 == 1) {
                let (before, here) = data.split_at_mut(row * words);
                here[..words].copy_from_slice(&before[(row - 1) * words..]);
                for flip in 0..number(seed + row as u64) % 8 {
                    let bit = number(seed ^ (row as u64) << 20 ^ flip) as usize % (words * 64);
                    here[bit / 64] ^= 1 << (bit % 64);
                }
            }
            columns.push(data);
        }
        Rows { count, words: words.to_vec(), columns }
    }

    /// Rows of which a third are near a row of `others`.
    pub fn near(others: &Rows, seed: u64, count: usize) -> Self {
        let mut rows = Self::random(seed, count, &others.words);
        for row in (0..count).step_by(3).filter(|_| others.count > 0) {
            let other = number(seed * 7 + row as u64) as usize % others.count;
            for ((to, from), &words) in rows.columns.iter_mut().zip(&others.columns).zip(&others.words) {
                to[row * words..(row + 1) * words].copy_from_slice(&from[other * words..(other + 1) * words]);
                to[row * words] ^= 1 << (row % 64);
            }
        }
        rows
    }

    /// Rows with at most `different` values.
    pub fn repeated(seed: u64, count: usize, words: &[usize], different: u64) -> Self {
        let value = |row: usize| number(seed + row as u64) % different;
        let column = |&words: &usize| {
            (0..count).flat_map(|row| (0..words).map(move |word| number(value(row) * 64 + word as u64))).collect()
        };
        Rows { count, words: words.to_vec(), columns: words.iter().map(column).collect() }
    }

    fn row(&self, column: usize, row: usize) -> &[u64] {
        let words = self.words[column];
        &self.columns[column][row * words..(row + 1) * words]
    }

    /// Whether two rows are equal in all columns.
    pub fn equal(&self, one: usize, other: usize) -> bool {
        (0..self.words.len()).all(|column| self.row(column, one) == self.row(column, other))
    }

    fn shape(&self) -> SetShape {
        SetShape { rows: self.count, words: self.words.clone() }
    }

    /// A file for a question: the rows, then those of the right set.
    pub fn file(&self, right: Option<&Rows>) -> OwnedFd {
        let words: Vec<u64> =
            self.columns.iter().chain(right.iter().flat_map(|right| &right.columns)).flatten().copied().collect();
        let mut draft = Draft::new(words.len(), || Ok(())).unwrap();
        draft.words().copy_from_slice(&words);
        draft.seal().unwrap()
    }
}

/// A pair, and its distance in each column.
pub type Found = Vec<(u32, u32, Vec<u16>)>;

/// Every pair within all radii, in order.
pub fn pairs(left: &Rows, right: Option<&Rows>, radii: &[u32]) -> Found {
    let others = right.unwrap_or(left);
    let mut found = Vec::new();
    for a in 0..left.count {
        'pairs: for b in if right.is_some() { 0 } else { a + 1 }..others.count {
            let mut distances = Vec::with_capacity(radii.len());
            for (column, radius) in radii.iter().enumerate() {
                let words = left.row(column, a).iter().zip(others.row(column, b));
                let bits: u32 = words.map(|(one, other)| (one ^ other).count_ones()).sum();
                if bits > *radius {
                    continue 'pairs;
                }
                distances.push(bits as u16);
            }
            found.push((a as u32, b as u32, distances));
        }
    }
    found
}

/// The question for these sets.
pub fn question(left: &Rows, right: Option<&Rows>, radii: &[u32], driving: usize, method: &PairMethod) -> Question {
    let right = right.map(Rows::shape);
    Question::Pairs { left: left.shape(), right, radii: radii.to_vec(), driving, method: method.clone() }
}

/// Asks, and returns all pairs, in order. Errors: the process's error, wrapped in an I/O error; or the system's own.
pub fn search(
    client: &mut Client,
    left: &Rows,
    right: Option<&Rows>,
    radii: &[u32],
    driving: usize,
    method: &PairMethod,
) -> io::Result<Found> {
    client.ask(&question(left, right, radii, driving, method), Some(left.file(right)))?;
    let mut found = Vec::new();
    answers(client, |answer| {
        if let Answer::Pairs(pairs, distances) = answer {
            let each = distances.chunks_exact(radii.len());
            found.extend(pairs.iter().zip(each).map(|(pair, distances)| (pair.0, pair.1, distances.to_vec())));
        }
    })?;
    found.sort_unstable();
    Ok(found)
}

/// Receives answers until the last one.
pub fn answers(client: &mut Client, mut take: impl FnMut(Answer<'_>)) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match client.receive()? {
            Some(Answer::Done) => return Ok(()),
            Some(Answer::Failed(error)) => return Err(io::Error::other(error)),
            Some(answer) => take(answer),
            None => client.wait(Duration::from_millis(50))?,
        }
        assert!(began.elapsed() < PATIENCE, "no answer");
    }
}

/// Waits for a condition that holds soon.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The device that the stand-in emulates.
#[derive(Clone, Copy)]
pub struct Card<'a> {
    pub capability: &'a str,
    /// In bytes.
    pub memory: usize,
    /// Lines of the control file.
    pub faults: &'a str,
}

impl Default for Card<'_> {
    fn default() -> Self {
        Card { capability: "9.0", memory: 2 << 30, faults: "" }
    }
}

/// The target directory of cargo.
fn target() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned()
}

/// A directory in which the driver's library is the stand-in.
pub fn stand_in() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let name = "liblumina_libcuda.so";
    let built = [target().join("deps").join(name), target().join(name)];
    let library = built.iter().find(|path| path.exists()).expect("the stand-in is a dependency of these tests");
    std::os::unix::fs::symlink(library, folder.path().join("libcuda.so.1")).unwrap();
    folder
}

/// Serves as the environment says, and exits: with 0 when idle or when standard input ends, 3 when the device is lost,
/// 4 when there is none. Does nothing if the environment says nothing.
pub fn serve_if_told() {
    let Ok(settings) = std::env::var("LUMINA_GPU_PROCESS") else { return };
    let settings: Vec<&str> = settings.split(' ').collect();
    let device = Device::open(settings[1].parse::<usize>().unwrap() << 20);
    let code = device.map_or_else(
        |error| {
            eprintln!("{error}");
            4
        },
        |device| {
            let listener = UnixListener::bind(settings[0]).unwrap();
            let idle = Duration::from_millis(settings[2].parse().unwrap());
            match serve(&listener, &device, Settings { idle }, &input_has_ended) {
                End::Idle | End::Stopped => 0,
                End::Lost(_) => 3,
                End::System(error) => panic!("{error}"),
            }
        },
    );
    std::process::exit(code);
}

/// Whether the parent process has gone, or closed the pipe.
fn input_has_ended() -> bool {
    let input = io::stdin();
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}

/// A serving process; killed when it is dropped.
pub struct Process {
    child: Mutex<Child>,
    folder: TempDir,
}

fn spawn(stand_in: &TempDir, card: &Card<'_>, folder: &Path, megabytes: usize, idle: Duration) -> Child {
    let control = folder.join("control");
    let report = folder.join("report");
    let lines =
        format!("capability {}\nmemory {}\nreport {}\n{}", card.capability, card.memory, report.display(), card.faults);
    std::fs::write(&control, lines).unwrap();
    let settings = format!("{} {megabytes} {}", folder.join("socket").display(), idle.as_millis());
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_itself", "--nocapture"])
        .env("LUMINA_GPU_PROCESS", settings)
        .env("LD_LIBRARY_PATH", stand_in.path())
        .env("LUMINA_CUDA_STANDIN", &control)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

impl Process {
    pub fn start(stand_in: &TempDir, card: &Card<'_>, megabytes: usize) -> Self {
        Self::start_with(stand_in, card, megabytes, Duration::from_secs(600))
    }

    pub fn start_with(stand_in: &TempDir, card: &Card<'_>, megabytes: usize, idle: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = spawn(stand_in, card, folder.path(), megabytes, idle);
        let process = Process { child: Mutex::new(child), folder };
        wait_until("the process serves", || {
            assert_eq!(process.child.lock().unwrap().try_wait().unwrap().map(|status| status.to_string()), None);
            process.try_connect().is_ok()
        });
        process
    }

    /// The exit code and the output of a process that fails to start.
    pub fn refused(stand_in: &TempDir, card: &Card<'_>) -> (Option<i32>, String) {
        let folder = tempfile::tempdir().unwrap();
        let child = spawn(stand_in, card, folder.path(), 64, Duration::from_secs(1));
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub fn try_connect(&self) -> io::Result<Client> {
        Client::connect(&self.socket())
    }

    pub fn connect(&self) -> Client {
        self.try_connect().unwrap()
    }

    pub fn status(&self) -> Status {
        let mut client = self.connect();
        client.ask(&Question::Status, None).unwrap();
        let mut found = None;
        wait_until("the status", || {
            if let Some(Answer::Status(status)) = client.receive().unwrap() {
                found = Some(status);
            }
            found.is_some()
        });
        found.unwrap()
    }

    /// Tells it to end, and checks the stand-in's report: nothing is left on the device, and no call was wrong.
    pub fn end(self) {
        drop(self.child.lock().unwrap().stdin.take());
        assert_eq!(self.exit_code(), Some(0));
        let report = std::fs::read_to_string(self.folder.path().join("report")).unwrap();
        let wrong = |line: &&str| line.starts_with("fault") || line.starts_with("alive") && !line.ends_with(" 0");
        let wrong: Vec<&str> = report.lines().filter(wrong).collect();
        assert!(wrong.is_empty() && report.ends_with("end\n"), "{report}");
    }

    pub fn kill(&self) {
        self.child.lock().unwrap().kill().unwrap();
    }

    /// Its exit code, once it has ended by itself.
    pub fn exit_code(&self) -> Option<i32> {
        let mut status = None;
        wait_until("the process ends", || {
            status = self.child.lock().unwrap().try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let report = std::fs::read_to_string(self.folder.path().join("report"));
            eprintln!("the stand-in reports: {}", report.unwrap_or_default());
        }
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}
