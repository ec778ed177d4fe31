//! The engine of searches: a GPU process, with requests like a server's, or the device within this process.

use crate::Error;
use lumina_gpu::client::{Answer, Client};
use lumina_gpu::protocol::{Question, SetShape};
use lumina_gpu::server::{End, Settings, serve};
use lumina_gpu::shared::Draft;
use lumina_gpu::{Device, GpuError, HashMemory, Hashes, PairMethod, PairRequest, Set, Step, TolerantBand};
use lumina_search::{PairQuery, Plan, SearchContext, Values};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Timeout of all operations.
const PATIENCE: Duration = Duration::from_secs(300);

/// A search in the device's format.
#[derive(Debug)]
pub(crate) struct Task {
    left: SetShape,
    right: Option<SetShape>,
    radii: Vec<u32>,
    driving: usize,
    method: PairMethod,
    /// The hashes of the left set, column after column, then those of the right one.
    words: Vec<u64>,
}

impl Task {
    /// A search by a plan, in the form of `src/search/gpu.rs`.
    pub(crate) fn new(query: &PairQuery<'_>, plan: &Plan, context: &SearchContext) -> Result<Self, Error> {
        let shape = |values: &Values| SetShape { rows: values.count(), words: values.row_words() };
        let band = |band: lumina_search::transfer::PlacedBand| TolerantBand {
            word: band.word,
            start: band.start,
            width: band.width,
            tolerance: band.tolerance,
        };
        let method = match plan.is_brute_force() {
            true => PairMethod::BruteForce,
            false => PairMethod::Bands(plan.placed_bands().map(band).collect()),
        };
        let mut words = vec![0; query.left.all_words() + query.right.map_or(0, Values::all_words)];
        let (left, right) = words.split_at_mut(query.left.all_words());
        query.left.write_rows(left, context)?;
        query.right.map_or(Ok(()), |values| values.write_rows(right, context))?;
        Ok(Task {
            left: shape(query.left),
            right: query.right.map(shape),
            radii: query.radii.to_vec(),
            driving: plan.column,
            method,
            words,
        })
    }

    fn request(self) -> Result<PairRequest, Error> {
        let source: HashMemory = Arc::new(self.words);
        let left = set(&source, 0, &self.left)?;
        let right = match &self.right {
            Some(right) => Some(set(&source, self.left.size().ok_or("a set that is too large")?, right)?),
            None => None,
        };
        Ok(PairRequest { left, right, radii: self.radii, driving: self.driving, method: self.method })
    }
}

fn set(source: &HashMemory, mut first: usize, shape: &SetShape) -> Result<Set, Error> {
    let mut columns = Vec::new();
    for words in &shape.words {
        columns.push(Hashes::new(source, first, shape.rows, *words).ok_or("a set without hashes")?);
        first += shape.rows * words;
    }
    Ok(Set { rows: shape.rows, columns })
}

/// Receives pairs: numbers of values, and their distances, those of a pair together.
pub(crate) type Take<'t> = dyn FnMut(&[(u32, u32)], &[u16]) + 't;

/// Where searches run.
#[derive(Debug)]
pub(crate) enum Engine {
    /// In a process of their own.
    Process(Process),
    /// In this one.
    Inside(Box<Device>),
}

impl Engine {
    /// A GPU process, whose searches get this number of megabytes of the device's memory.
    pub(crate) fn start(megabytes: usize) -> Result<Self, Error> {
        Process::start(megabytes).map(Self::Process)
    }

    /// The device opened in this process, which can do so once at a time.
    pub(crate) fn inside(megabytes: usize) -> Result<Self, Error> {
        Ok(Self::Inside(Box::new(Device::open(megabytes << 20)?)))
    }

    /// Searches; returns the time from the question to the last answer.
    pub(crate) fn find(&self, task: Task, take: &mut Take<'_>) -> Result<Duration, Error> {
        match self {
            Self::Process(process) => {
                let file = file(&task.words)?;
                let Task { left, right, radii, driving, method, .. } = task;
                process.ask(&Question::Pairs { left, right, radii, driving, method }, file, take)
            }
            Self::Inside(device) => {
                let began = Instant::now();
                let mut search = lumina_gpu::begin_search(device, task.request()?)?;
                while Step::Done
                    != search.step::<GpuError>(&mut |pairs, distances| {
                        take(pairs, distances);
                        Ok(())
                    })?
                {}
                Ok(began.elapsed())
            }
        }
    }

    /// For each row the first one that is equal to it.
    pub(crate) fn firsts(&self, (rows, words): (usize, &[usize]), hashes: Vec<u64>) -> Result<Vec<u32>, Error> {
        let shape = SetShape { rows, words: words.to_vec() };
        let mut found = Vec::new();
        match self {
            Self::Process(process) => {
                let file = file(&hashes)?;
                let question = Question::Firsts { set: shape, seed: 5 };
                answers(&mut process.connect()?, &question, Some(file), &mut |answer| {
                    if let Answer::Firsts(firsts) = answer {
                        found.extend_from_slice(firsts);
                    }
                })?;
            }
            Self::Inside(device) => {
                let source: HashMemory = Arc::new(hashes);
                let mut collapse = lumina_gpu::begin_collapse(device, &set(&source, 0, &shape)?, 5)?;
                while collapse.step()? {}
                while collapse.take::<GpuError>(1 << 18, |firsts| {
                    found.extend_from_slice(firsts);
                    Ok(())
                })? {}
            }
        }
        Ok(found)
    }
}

/// Hashes in shared memory.
fn file(hashes: &[u64]) -> io::Result<OwnedFd> {
    let mut draft = Draft::new(hashes.len(), || Ok(()))?;
    draft.words().copy_from_slice(hashes);
    draft.seal()
}

/// Asks, and receives answers until the last one. Errors: those of the process, or of the system.
fn answers(
    client: &mut Client,
    question: &Question,
    file: Option<OwnedFd>,
    take: &mut dyn FnMut(Answer<'_>),
) -> Result<(), Error> {
    client.ask(question, file)?;
    let mut heard = Instant::now();
    loop {
        match client.receive()? {
            Some(Answer::Done) => return Ok(()),
            Some(Answer::Failed(error)) => return Err(error.into()),
            Some(answer) => {
                take(answer);
                heard = Instant::now();
            }
            None if heard.elapsed() > PATIENCE => return Err("the GPU process says nothing any more".into()),
            None => client.wait(Duration::from_millis(50))?,
        }
    }
}

/// A GPU process; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    folder: TempDir,
    /// Pairs of 256-bit hashes that the device compares per second, as measured by the process.
    pub(crate) rate: f64,
}

impl Process {
    fn start(megabytes: usize) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(folder.path().join("socket"))
            .arg(megabytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        // It prints its rate when it serves; otherwise it prints the reason on standard error, and exits.
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        match line.trim().parse() {
            Ok(rate) => Ok(Process { child, folder, rate }),
            Err(_) => {
                child.wait()?;
                Err("the GPU process has not started".into())
            }
        }
    }

    fn connect(&self) -> io::Result<Client> {
        Client::connect(&self.folder.path().join("socket"))
    }

    fn ask(&self, question: &Question, file: OwnedFd, take: &mut Take<'_>) -> Result<Duration, Error> {
        let began = Instant::now();
        answers(&mut self.connect()?, question, Some(file), &mut |answer| {
            if let Answer::Pairs(pairs, distances) = answer {
                take(pairs, distances);
            }
        })?;
        Ok(began.elapsed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens the device, and describes it.
pub(crate) fn describe() -> Result<String, Error> {
    let device = Device::open(1 << 30)?;
    let info = device.info();
    let ((major, minor), driver) = (info.capability, info.driver);
    let cuda = format!("CUDA {}.{}", driver / 1000, driver % 1000 / 10);
    let (sms, memory) = (info.multiprocessors, info.memory >> 20);
    Ok(format!("{}, sm_{major}{minor}, {sms} SMs, {memory} MiB, {cuda}", info.name))
}

/// The GPU process: serves at a socket until its standard input ends.
pub(crate) fn serve_at(socket: &Path, megabytes: usize) -> Result<(), Error> {
    let device = Device::open(megabytes << 20)?;
    let rate = lumina_gpu::measure_rate(&device)?;
    let listener = UnixListener::bind(socket)?;
    println!("{rate}");
    let has_ended = Arc::new(AtomicBool::new(false));
    std::thread::spawn({
        let has_ended = Arc::clone(&has_ended);
        move || {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            has_ended.store(true, Ordering::Relaxed);
        }
    });
    let stop = || has_ended.load(Ordering::Relaxed);
    match serve(&listener, &device, Settings { idle: Duration::from_secs(3600) }, &stop) {
        End::Idle | End::Stopped => Ok(()),
        End::Lost(error) => Err(error.into()),
        End::System(error) => Err(error.into()),
    }
}
