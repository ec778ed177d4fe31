//! Streams: work that is issued now and done when something waits for it. Called by [`crate::entry`].
//!
//! The latest possible moment is as valid as the earliest: a program that reads results before it waits for them gets
//! the old ones, each time. Invariant: work of a stream is done in the order of its issue.

use crate::code::*;
use crate::driver::Driver;
use crate::host;
use lumina_ptx::{FaultKind, Options, launch};
use std::collections::VecDeque;
use std::time::Instant;

/// The most bytes of a copy from pageable memory that the driver stages at once.
pub(crate) const STAGED: usize = 64 << 10;

/// Work of a stream.
#[derive(Debug)]
pub(crate) enum StreamWork {
    Launch {
        function: usize,
        grid: [u32; 3],
        block: [u32; 3],
        params: Vec<u8>,
        dynamic_shared: u32,
    },
    /// From bytes that were staged when the copy was issued.
    CopyStaged {
        to: u64,
        bytes: Vec<u8>,
    },
    /// From pinned host memory, read when the work is done.
    CopyIn {
        to: u64,
        from: usize,
        length: usize,
    },
    CopyOut {
        to: usize,
        from: u64,
        length: usize,
    },
    CopyInside {
        to: u64,
        from: u64,
        length: usize,
    },
    /// Fills memory with a repeated pattern.
    Fill {
        at: u64,
        length: usize,
        pattern: Vec<u8>,
    },
    Free(u64),
    Record(usize),
    /// Waits until another stream has done that many pieces of work.
    Wait {
        stream: usize,
        until: u64,
    },
}

/// A stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    queue: VecDeque<StreamWork>,
    /// Pieces of work issued, and done.
    pub(crate) issued: u64,
    pub(crate) done: u64,
    /// Destroyed by the program; its work continues.
    pub(crate) is_destroyed: bool,
}

impl Driver {
    /// Issues work on a stream.
    pub(crate) fn issue(&mut self, stream: usize, work: StreamWork) -> Result<(), Code> {
        let handle = self.stream(stream)?;
        if let Some(stream) = self.streams.get_mut(&handle) {
            stream.queue.push_back(work);
            stream.issued += 1;
        }
        if self.control().is_eager { self.drain(handle) } else { Ok(()) }
    }

    /// Does all work of a stream.
    pub(crate) fn drain(&mut self, stream: usize) -> Result<(), Code> {
        let issued = self.streams.get(&stream).map_or(0, |stream| stream.issued);
        self.drain_until(stream, issued)
    }

    /// Does the first `until` pieces of work of a stream.
    pub(crate) fn drain_until(&mut self, stream: usize, until: u64) -> Result<(), Code> {
        while let Some(of) = self.streams.get_mut(&stream) {
            if of.done >= until {
                break;
            }
            let Some(work) = of.queue.pop_front() else { break };
            of.done += 1;
            if let Some(code) = self.sticky {
                return Err(code);
            }
            if let Err(code) = self.perform(work) {
                self.sticky = Some(code);
                return Err(code);
            }
        }
        self.sticky.map_or(Ok(()), Err)
    }

    /// Does one piece of work, as if time passed while a program polls the stream.
    pub(crate) fn advance(&mut self, stream: usize, until: u64) -> Result<(), Code> {
        let done = self.streams.get(&stream).map_or(until, |stream| stream.done);
        if done >= until {
            return self.sticky.map_or(Ok(()), Err);
        }
        self.drain_until(stream, done + 1)?;
        Err(NOT_READY)
    }

    /// Does all work of all streams.
    pub(crate) fn drain_all(&mut self) -> Result<(), Code> {
        let mut handles: Vec<usize> = self.streams.keys().copied().collect();
        handles.sort_unstable();
        let done = handles.into_iter().try_for_each(|stream| self.drain(stream));
        self.streams.retain(|_, stream| !stream.is_destroyed || !stream.queue.is_empty());
        done
    }

    /// Does a piece of work; an error loses the device.
    fn perform(&mut self, work: StreamWork) -> Result<(), Code> {
        let out = |_| ILLEGAL_ADDRESS;
        match work {
            StreamWork::Launch { function, grid, block, params, dynamic_shared } => {
                self.run_kernel(function, grid, block, &params, dynamic_shared)
            }
            StreamWork::CopyStaged { to, bytes } => self.memory.write(to, &bytes).map_err(out),
            StreamWork::CopyIn { to, from, length } => self.memory.write(to, &host::read(from, length)).map_err(out),
            StreamWork::CopyOut { to, from, length } => {
                host::write(to, &self.memory.read(from, length).map_err(out)?);
                Ok(())
            }
            StreamWork::CopyInside { to, from, length } => self.memory.copy(to, from, length).map_err(out),
            StreamWork::Fill { at, length, pattern } => match pattern[..] {
                [byte] => self.memory.fill(at, length, byte).map_err(out),
                _ => self.memory.write(at, &pattern.repeat(length / pattern.len())).map_err(out),
            },
            StreamWork::Free(address) => self.free(address).map_err(|_| ILLEGAL_ADDRESS),
            StreamWork::Record(event) => {
                if let Some(event) = self.events.get_mut(&event) {
                    event.time = Some(Instant::now());
                }
                Ok(())
            }
            StreamWork::Wait { stream, until } => self.drain_until(stream, until),
        }
    }

    fn run_kernel(
        &mut self,
        function: usize,
        grid: [u32; 3],
        block: [u32; 3],
        params: &[u8],
        dynamic_shared: u32,
    ) -> Result<(), Code> {
        let Some((_, entry)) = self.functions.get(&function).cloned() else { return Err(LAUNCH_FAILED) };
        *self.calls.entry("launch").or_default() += 1;
        std::thread::sleep(self.control().slow);
        if let Some(code) = self.source.control.count("launch") {
            return Err(Code(code));
        }
        let control = self.control();
        let options = Options {
            order: control.order,
            limit: control.limit,
            checks_unwritten: control.checks_unwritten,
            checks_races: control.checks_races,
            dynamic_shared,
        };
        match launch(&entry, grid, block, params, &mut self.memory, &options) {
            Ok(_) => Ok(()),
            Err(fault) => {
                self.messages.push(fault.to_string());
                Err(match fault.kind {
                    FaultKind::Address => ILLEGAL_ADDRESS,
                    FaultKind::Misaligned => MISALIGNED_ADDRESS,
                    FaultKind::Endless => LAUNCH_TIMEOUT,
                    _ => LAUNCH_FAILED,
                })
            }
        }
    }
}
