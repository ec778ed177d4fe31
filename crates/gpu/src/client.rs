//! A client of the GPU process: sends a question and receives answers. It never blocks, so that its caller can check
//! for interrupts.

use crate::error::GpuError;
use crate::protocol::{Ask, FrameKind, Question, Status, VERSION, first_frame, frame};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    connect, sendmsg, socket_with,
};
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes per read.
const PIECE: usize = 1 << 20;

/// An answer of the GPU process.
#[derive(Debug)]
pub enum Answer<'a> {
    /// Pairs of rows, and their distances, one a column, those of a pair together.
    Pairs(&'a [(u32, u32)], &'a [u16]),
    /// For each of the next rows, the first row equal to it.
    Firsts(&'a [u32]),
    /// The search is still running.
    Alive,
    /// The search is done.
    Done,
    /// The search has ended with an error.
    Failed(GpuError),
    /// The process's status.
    Status(Status),
}

/// A connection to the GPU process.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    /// Bytes of `input` that were consumed.
    used: usize,
    pairs: Vec<(u32, u32)>,
    distances: Vec<u16>,
    firsts: Vec<u32>,
    columns: usize,
    /// When bytes last arrived.
    heard: Instant,
}

impl Client {
    /// Connects to the socket at `path`. Errors: the system's; `WouldBlock` where the process is too busy to accept
    /// anyone, `NotFound` and `ConnectionRefused` where no process serves it, `PermissionDenied` where it belongs to
    /// another user.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        let stream = UnixStream::from(socket);
        let peer = rustix::net::sockopt::socket_peercred(&stream)?;
        if peer.uid != rustix::process::geteuid() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let (pairs, distances, firsts) = (Vec::new(), Vec::new(), Vec::new());
        let (input, heard) = (Vec::new(), Instant::now());
        Ok(Client { stream, input, used: 0, pairs, distances, firsts, columns: 0, heard })
    }

    /// Sends a question; `file` holds the hashes. Errors: the system's, `UnexpectedEof` where the process is gone.
    pub fn ask(&mut self, question: &Question, file: Option<OwnedFd>) -> io::Result<()> {
        self.columns = match question {
            Question::Pairs { radii, .. } => radii.len(),
            _ => 0,
        };
        let ask = Ask { version: VERSION, question: question.clone() };
        let text = serde_json::to_vec(&ask).map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        frame(&mut bytes, FrameKind::Ask, &[&text]).map_err(io::Error::other)?;
        // The message is shorter than what an empty socket buffer takes at once.
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut with = SendAncillaryBuffer::new(&mut space);
        let files: Vec<BorrowedFd<'_>> = file.iter().map(AsFd::as_fd).collect();
        if !files.is_empty() && !with.push(SendAncillaryMessage::ScmRights(&files)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let sent = sendmsg(&self.stream, &[IoSlice::new(&bytes)], &mut with, SendFlags::NOSIGNAL);
        let sent = sent.map_err(|error| is_gone(error.into()))?;
        if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// The next answer; `None` where none has arrived. Errors: `UnexpectedEof` where the process is gone, `InvalidData`
    /// for a message outside of the protocol.
    pub fn receive(&mut self) -> io::Result<Option<Answer<'_>>> {
        loop {
            match first_frame(&self.input[self.used..]) {
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                Ok(Some((kind, body, length))) => {
                    let body = self.used + length - body.len()..self.used + length;
                    self.used += length;
                    return self.answer(kind, body).map(Some);
                }
                Ok(None) => {}
            }
            self.input.drain(..std::mem::take(&mut self.used));
            let before = self.input.len();
            reserve(&mut self.input, PIECE)?;
            self.input.resize(before + PIECE, 0);
            let outcome = self.stream.read(&mut self.input[before..]);
            self.input.truncate(before + outcome.as_ref().copied().unwrap_or(0));
            match outcome {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => self.heard = Instant::now(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(is_gone(error)),
            }
        }
    }

    fn answer(&mut self, kind: FrameKind, body: std::ops::Range<usize>) -> io::Result<Answer<'_>> {
        let body = &self.input[body];
        let invalid = |_: serde_json::Error| io::Error::from(io::ErrorKind::InvalidData);
        Ok(match kind {
            FrameKind::Pairs => {
                let (pairs, distances) = body.split_at(body.len() / (8 + 2 * self.columns) * 8);
                self.pairs.clear();
                self.distances.clear();
                reserve(&mut self.pairs, pairs.len() / 8)?;
                reserve(&mut self.distances, distances.len() / 2)?;
                self.pairs.extend(pairs.chunks_exact(8).map(|pair| {
                    let number = |at: usize| u32::from_ne_bytes([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]]);
                    (number(0), number(4))
                }));
                self.distances.extend(distances.chunks_exact(2).map(|bits| u16::from_ne_bytes([bits[0], bits[1]])));
                if self.distances.len() != self.pairs.len() * self.columns {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Answer::Pairs(&self.pairs, &self.distances)
            }
            FrameKind::Firsts => {
                self.firsts.clear();
                reserve(&mut self.firsts, body.len() / 4)?;
                let first = |bytes: &[u8]| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                self.firsts.extend(body.chunks_exact(4).map(first));
                Answer::Firsts(&self.firsts)
            }
            FrameKind::Alive => Answer::Alive,
            FrameKind::Done => Answer::Done,
            FrameKind::Failed => Answer::Failed(serde_json::from_slice(body).map_err(invalid)?),
            FrameKind::Status => Answer::Status(serde_json::from_slice(body).map_err(invalid)?),
            FrameKind::Ask => return Err(io::ErrorKind::InvalidData.into()),
        })
    }

    /// How long nothing has arrived, counted from the connection at first.
    pub fn silent_for(&self) -> Duration {
        self.heard.elapsed()
    }

    /// Waits until something arrives, or until the timeout.
    pub fn wait(&self, at_most: Duration) -> io::Result<()> {
        let at_most = at_most.min(Duration::from_secs(3600));
        let timeout = Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: i64::from(at_most.subsec_nanos()) };
        match poll(&mut [PollFd::new(&self.stream, PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Reserves room in a vector; a failed allocation is an error and does not abort the process.
fn reserve<T>(vec: &mut Vec<T>, elements: usize) -> io::Result<()> {
    vec.try_reserve(elements).map_err(|_| io::ErrorKind::OutOfMemory.into())
}

/// Maps the errors of a stream whose other end is gone to the end of the stream.
fn is_gone(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => io::ErrorKind::UnexpectedEof.into(),
        _ => error,
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
