//! `lumina-decoder`: decodes pictures from its standard input to its standard output, for lumina.
//!
//! The protocol is that of the library beside. The decoders, one a module and a cargo feature, contain unsafe code;
//! their input is hostile. So [`sandbox`] takes all rights from the process before the first byte of a picture is read.
//! It has one thread and no file.
#![cfg_attr(
    not(any(feature = "av1", feature = "jxl")),
    allow(dead_code, unused_imports, reason = "no decoder is built in")
)]

#[cfg(feature = "av1")]
mod av1;
#[cfg(feature = "jxl")]
mod jxl;
mod memory;
mod sandbox;

use lumina_isolated::{Codec, Frame, Refusal, Reply, Start, exit};
use rustix::io::{Errno, read, write};
use rustix::stdio::{stdin, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(sandbox::forget_parent()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Errno::INVAL) => ExitCode::from(exit::LANGUAGE as u8),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Answers one item after the other, until the input ends. Errors: the parent is gone, or speaks another language.
fn run(is_alone: Result<(), sandbox::NotLocked>) -> Result<(), Errno> {
    let mut start = [0; Start::LENGTH];
    if receive(&mut start)? < start.len() {
        return Err(Errno::INVAL);
    }
    let start = Start::from_bytes(start).ok_or(Errno::INVAL)?;
    if is_alone.and_then(|()| sandbox::enter(&start)).is_err() {
        return send(&Reply::Refused(Refusal::NoSandbox).to_bytes());
    }
    match start.codec {
        #[cfg(feature = "av1")]
        Codec::Av1 => answer::<av1::Decoder>(&start),
        #[cfg(feature = "jxl")]
        Codec::JpegXl => answer::<jxl::Item>(&start),
        #[allow(unreachable_patterns, reason = "none is left where all are built in")]
        _ => send(&Reply::Refused(Refusal::NotBuilt).to_bytes()),
    }
}

/// A decoder of one item.
trait Decoder: Sized {
    type Picture: Picture;

    /// With room for an item of `length` bytes.
    fn new(start: &Start, length: usize) -> Result<Self, Refusal>;

    /// Where the item's bytes are to be written: `length` of them.
    fn room(&mut self) -> &mut [u8];

    /// The picture. Its frame is within the limits of [`Start`].
    fn decode(self) -> Result<Self::Picture, Refusal>;
}

/// A decoded frame with its samples.
trait Picture {
    fn frame(&self) -> Frame;

    /// The bytes of row `row` of plane `plane` (0 to 2).
    fn row(&self, plane: usize, row: u32) -> &[u8];
}

/// Answers one item after the other.
fn answer<D: Decoder>(start: &Start) -> Result<(), Errno> {
    send(&Reply::Ready.to_bytes())?;
    loop {
        let mut length = [0; 8];
        match receive(&mut length)? {
            0 => return Ok(()),
            8 => {}
            _ => return Err(Errno::INVAL),
        }
        let length = u64::from_le_bytes(length);
        let length = usize::try_from(length).ok().filter(|_| length <= start.memory);
        let mut decoder = length.ok_or(Refusal::Memory).and_then(|length| D::new(start, length));
        // Where the item cannot be held, no further one can be found either.
        let Ok(room) = decoder.as_mut().map(D::room) else {
            return send(&Reply::Refused(Refusal::Memory).to_bytes());
        };
        let length = room.len();
        if receive(room)? < length {
            return Err(Errno::INVAL);
        }
        match decoder.and_then(D::decode) {
            Ok(picture) => {
                send(&Reply::Frame(picture.frame()).to_bytes())?;
                send_rows(&picture)?;
            }
            Err(refusal) => send(&Reply::Refused(refusal).to_bytes())?,
        }
    }
}

/// Sends all strips of a picture.
fn send_rows(picture: &impl Picture) -> Result<(), Errno> {
    let Frame { layout, width, height, .. } = picture.frame();
    let rows = layout.rows();
    for strip in 0..height.div_ceil(rows) {
        for row in strip * rows..height.min(strip * rows + rows) {
            send(picture.row(0, row))?;
        }
        if layout.chroma(width, height).is_some() {
            send(picture.row(1, strip))?;
            send(picture.row(2, strip))?;
        }
    }
    Ok(())
}

/// Fills the buffer, and returns how much of it: less only at the end of the input.
fn receive(buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read(stdin(), &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn send(mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(stdout(), bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
