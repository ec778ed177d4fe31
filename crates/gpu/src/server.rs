//! The GPU process: runs the searches of all clients on this host on one device.
//!
//! One thread does everything: it accepts questions, runs one step of each search in turn, and sends results as fast as
//! each client reads them. So a short search overtakes a long one, and a disconnected client is noticed between two
//! steps. A search whose client does not read keeps its device memory; another search that needs that memory waits for
//! it, and fails after two seconds, so that its client can search on the CPU.
//!
//! The process has no state that outlives it: when it ends, for any reason, its clients see the end of the stream, and
//! search elsewhere. It ends by itself when nobody has asked for a while, when the device is lost, and when it is told
//! to stop.

use crate::collapse::RowCollapse;
use crate::device::Device;
use crate::error::GpuError;
use crate::proof::{begin_collapse, begin_search};
use crate::protocol::{Ask, FrameKind, PAIRS, Question, Status, VERSION, Version, first_frame, frame};
use crate::request::HashMemory;
use crate::search::{GpuSearch, Step};
use crate::shared::Sealed;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::{self, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Unsent bytes per client at which its search pauses.
const BEHIND: usize = 4 << 20;
/// How often a client is told that its search is still running.
const ALIVE: Duration = Duration::from_secs(1);
/// The most concurrent clients; more are refused.
const CLIENTS: usize = 256;
/// How long a search waits for memory of other searches. Then it fails, and its client uses the CPU.
const MEMORY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the process sleeps while all searches wait for memory, in nanoseconds.
const PAUSE: i64 = 10_000_000;
/// Rows of an answer that are sent at a time.
const FIRSTS: usize = 1 << 18;

/// Settings of the process.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The process ends when nobody has asked for this long, even if clients are connected.
    pub idle: Duration,
}

/// Why the process has ended.
#[derive(Debug)]
pub enum End {
    /// Nobody has asked for the idle time.
    Idle,
    /// It was told to stop.
    Stopped,
    /// The device is lost.
    Lost(GpuError),
    /// A system call failed without which it cannot continue.
    System(io::Error),
}

/// Serves clients until there is a reason to end. `stop` is called between two steps: a launch or a copy of some 50 ms,
/// the sort of a set, and, on first use of a kind of kernel, its compilation and proof.
pub fn serve(listener: &UnixListener, device: &Device, settings: Settings, stop: &dyn Fn() -> bool) -> End {
    if let Err(error) = listener.set_nonblocking(true) {
        return End::System(error);
    }
    let mut server = Server {
        device,
        clients: Vec::new(),
        began: SystemTime::now(),
        asked: Instant::now(),
        searches: 0,
        is_outdated: false,
    };
    loop {
        if stop() {
            return End::Stopped;
        }
        if let Err(error) = server.wait(listener) {
            return End::System(error);
        }
        server.accept(listener);
        if let Err(error) = server.turn() {
            let end = error.clone();
            server.clients.iter_mut().for_each(|client| client.fail(&error));
            return End::Lost(end);
        }
        server.clients.retain(|client| !client.is_gone);
        let is_busy = server.clients.iter().any(|client| client.work.is_some() || !client.output.is_empty());
        if is_busy {
            server.asked = Instant::now();
        } else if server.is_outdated {
            return End::Stopped;
        } else if server.asked.elapsed() > settings.idle {
            return End::Idle;
        }
    }
}

struct Server<'d> {
    device: &'d Device,
    clients: Vec<ServedClient<'d>>,
    began: SystemTime,
    /// When a client was last active.
    asked: Instant,
    searches: u64,
    /// Whether a client is of a newer version: a process of that version can start once this one has ended.
    is_outdated: bool,
}

impl<'d> Server<'d> {
    /// Waits for events; returns at once if a search can continue.
    fn wait(&mut self, listener: &UnixListener) -> io::Result<()> {
        let runs = |client: &ServedClient<'_>| client.is_runnable() && client.waits.is_none();
        let has_input = self.clients.iter().any(|client| client.has_question());
        let nanoseconds = if has_input || self.clients.iter().any(runs) {
            0
        } else if self.clients.iter().any(ServedClient::is_runnable) {
            PAUSE
        } else {
            100_000_000
        };
        let mut sockets = Vec::with_capacity(self.clients.len() + 1);
        for client in &self.clients {
            let writes = if client.output.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            sockets.push(PollFd::new(&client.stream, PollFlags::IN | writes));
        }
        sockets.push(PollFd::new(listener, PollFlags::IN));
        let timeout = Timespec { tv_sec: 0, tv_nsec: nanoseconds };
        match poll(&mut sockets, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<PollFlags> = sockets.iter().map(PollFd::revents).collect();
        for (client, ready) in self.clients.iter_mut().zip(ready) {
            if ready.contains(PollFlags::OUT) {
                client.write();
            }
            if ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                client.read();
            }
        }
        Ok(())
    }

    fn accept(&mut self, listener: &UnixListener) {
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Out of descriptors, say: the socket stays ready, and polling would spin.
                Err(_) => return std::thread::sleep(Duration::from_millis(10)),
            };
            // Accepts only processes of the same user: the socket's folder keeps others out as well.
            let is_ours =
                rustix::net::sockopt::socket_peercred(&stream).is_ok_and(|peer| peer.uid == rustix::process::geteuid());
            if is_ours && self.clients.len() < CLIENTS && stream.set_nonblocking(true).is_ok() {
                self.clients.push(ServedClient::new(stream));
            }
        }
    }

    /// Answers new questions; runs one step of each search that can continue. Errors: the device is lost.
    fn turn(&mut self) -> Result<(), GpuError> {
        let active = self.clients.iter().filter(|client| client.work.is_some()).count();
        for client in &mut self.clients {
            let Some(ask) = client.take_question() else { continue };
            let begun = ask.and_then(|question| {
                // A client that only asks for the status does not keep the process alive.
                if question == Question::Status {
                    let status = Status {
                        process: std::process::id(),
                        info: self.device.info().clone(),
                        limit: self.device.limit(),
                        allocated: self.device.allocated(),
                        searches: self.searches,
                        active,
                        started: self.began,
                    };
                    let text = serde_json::to_vec(&status).unwrap_or_default();
                    return frame(&mut client.output, FrameKind::Status, &[&text]);
                }
                self.asked = Instant::now();
                client.begin(self.device, &question)
            });
            if let Err(error) = begun {
                self.is_outdated |= client.is_newer;
                client.fail(&error);
                if error.is_lost() {
                    return Err(error);
                }
            }
            client.write();
        }
        for client in &mut self.clients {
            if !client.is_runnable() {
                continue;
            }
            let is_search = matches!(client.work, Some(ClientWork::Pairs(_)));
            match client.step() {
                Ok(Step::Worked) => client.waits = None,
                Ok(Step::Waits) => {
                    if client.waits.get_or_insert_with(Instant::now).elapsed() > MEMORY_TIMEOUT {
                        client.fail(&GpuError::OutOfMemory(self.device.limit()));
                    }
                }
                Ok(Step::Done) => {
                    client.waits = None;
                    self.searches += u64::from(is_search);
                }
                Err(error) => {
                    client.fail(&error);
                    if error.is_lost() {
                        return Err(error);
                    }
                }
            }
            client.write();
        }
        Ok(())
    }
}

/// What runs for a client.
enum ClientWork<'d> {
    Pairs(Box<GpuSearch<'d>>),
    Firsts(Box<RowCollapse<'d>>),
}

struct ServedClient<'d> {
    stream: UnixStream,
    input: Vec<u8>,
    /// The file that came with the question.
    file: Option<OwnedFd>,
    output: Vec<u8>,
    /// Bytes of `output` that were sent.
    sent: usize,
    work: Option<ClientWork<'d>>,
    /// Since when its search waits for memory.
    waits: Option<Instant>,
    heard: Instant,
    is_gone: bool,
    /// Whether the client is of a newer version than this process.
    is_newer: bool,
}

impl<'d> ServedClient<'d> {
    fn new(stream: UnixStream) -> Self {
        let (input, output) = (Vec::new(), Vec::new());
        let heard = Instant::now();
        ServedClient {
            stream,
            input,
            file: None,
            output,
            sent: 0,
            work: None,
            waits: None,
            heard,
            is_gone: false,
            is_newer: false,
        }
    }

    /// Whether its search can continue: its client reads the results.
    fn is_runnable(&self) -> bool {
        self.work.is_some() && self.listens()
    }

    /// Whether the client is connected, and reads the results.
    fn listens(&self) -> bool {
        !self.is_gone && self.output.len() - self.sent < BEHIND
    }

    /// Whether a complete question may have arrived.
    fn has_question(&self) -> bool {
        self.listens() && !matches!(first_frame(&self.input), Ok(None))
    }

    /// Reads what has arrived, and the file that may come with it.
    fn read(&mut self) {
        let mut bytes = [0; 4096];
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut with = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            match recvmsg(&self.stream, &mut [IoSliceMut::new(&mut bytes)], &mut with, flags) {
                Ok(message) if message.bytes > 0 => {
                    self.input.extend_from_slice(&bytes[..message.bytes]);
                    for part in with.drain() {
                        if let RecvAncillaryMessage::ScmRights(files) = part {
                            // One question at a time.
                            if self.file.is_some() {
                                return self.leave();
                            }
                            self.file = files.last();
                        }
                    }
                    // A question is short, and a client sends nothing while its search runs.
                    if self.input.len() > 1 << 16 {
                        return self.leave();
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => return,
                // The end of the stream: the client has disconnected.
                _ => return self.leave(),
            }
        }
    }

    fn leave(&mut self) {
        self.work = None;
        self.is_gone = true;
    }

    /// Writes what the client's socket accepts.
    fn write(&mut self) {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(bytes) if bytes > 0 => {
                    self.sent += bytes;
                    self.heard = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                _ => return self.leave(),
            }
        }
        // Moved only when the rest is shorter than what was sent.
        if self.sent * 2 >= self.output.len() {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Takes a complete question.
    fn take_question(&mut self) -> Option<Result<Question, GpuError>> {
        if !self.listens() {
            return None;
        }
        let (question, length) = match first_frame(&self.input) {
            Ok(None) => return None,
            Ok(Some((FrameKind::Ask, body, length))) => {
                let question = match serde_json::from_slice::<Ask>(body) {
                    Ok(ask) if ask.version == VERSION => Ok(ask.question),
                    _ => {
                        // A session that is older than this process must not end it.
                        let asked = serde_json::from_slice::<Version>(body).map_or(0, |asked| asked.version);
                        self.is_newer |= asked > VERSION;
                        Err(GpuError::OtherVersion)
                    }
                };
                (question, length)
            }
            Ok(Some((_, _, length))) => (Err(GpuError::refused("an answer", 0)), length),
            Err(error) => (Err(error), self.input.len()),
        };
        self.input.drain(..length);
        Some(if self.work.is_some() { Err(GpuError::refused("a question before the answer", 0)) } else { question })
    }

    fn begin(&mut self, device: &'d Device, question: &Question) -> Result<(), GpuError> {
        let wrong = || GpuError::refused("the hashes of a question", 0);
        let words = question.size().ok_or_else(wrong)?;
        // A lost or unmappable file means a shortage in this process.
        let shortage = || GpuError::OutOfMemory(words.saturating_mul(8).max(1));
        let file = self.file.take().ok_or_else(shortage)?;
        let source: HashMemory = Arc::new(Sealed::open(file, words).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => wrong(),
            _ => shortage(),
        })?);
        self.work = Some(match question {
            Question::Firsts { .. } => {
                let (set, seed) = question.set(&source).ok_or_else(wrong)?;
                ClientWork::Firsts(Box::new(begin_collapse(device, &set, seed)?))
            }
            _ => ClientWork::Pairs(Box::new(begin_search(device, question.request(&source).ok_or_else(wrong)?)?)),
        });
        Ok(())
    }

    /// Runs one step of the search.
    fn step(&mut self) -> Result<Step, GpuError> {
        let output = &mut self.output;
        let step = match &mut self.work {
            None => Step::Done,
            Some(ClientWork::Pairs(search)) => search.step(&mut |pairs: &[(u32, u32)], distances: &[u16]| {
                let columns = distances.len() / pairs.len().max(1);
                for (pairs, distances) in pairs.chunks(PAIRS).zip(distances.chunks(PAIRS * columns)) {
                    let mut body = Vec::new();
                    let bytes = pairs.len() * (8 + 2 * columns);
                    body.try_reserve_exact(bytes).map_err(|_| GpuError::OutOfMemory(bytes))?;
                    pairs.iter().for_each(|(left, right)| {
                        body.extend_from_slice(&left.to_ne_bytes());
                        body.extend_from_slice(&right.to_ne_bytes());
                    });
                    distances.iter().for_each(|bits| body.extend_from_slice(&bits.to_ne_bytes()));
                    frame(output, FrameKind::Pairs, &[&body])?;
                }
                Ok::<_, GpuError>(())
            })?,
            Some(ClientWork::Firsts(collapse)) => {
                let goes_on = collapse.step()?
                    || collapse.take(FIRSTS, |firsts| {
                        let bytes: Vec<u8> = firsts.iter().flat_map(|first| first.to_ne_bytes()).collect();
                        frame(output, FrameKind::Firsts, &[&bytes])
                    })?;
                if goes_on { Step::Worked } else { Step::Done }
            }
        };
        if step == Step::Done {
            self.work = None;
            frame(&mut self.output, FrameKind::Done, &[])?;
        } else if self.heard.elapsed() > ALIVE && self.output.is_empty() {
            frame(&mut self.output, FrameKind::Alive, &[])?;
        }
        Ok(step)
    }

    /// Ends the search, and sends the error to the client.
    fn fail(&mut self, error: &GpuError) {
        (self.work, self.waits) = (None, None);
        let text = serde_json::to_vec(error).unwrap_or_default();
        if frame(&mut self.output, FrameKind::Failed, &[&text]).is_err() {
            self.is_gone = true;
        }
        self.write();
    }
}
