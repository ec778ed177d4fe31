//! The checking program of `make gpu-check`; `run` calls it, on a machine with a GPU.
//!
//! | command | does |
//! |---|---|
//! | `device` | opens the device, and describes it |
//! | `compare SCALE` | compares searches on the device with the CPU's, pair by pair ([`compare`]) |
//! | `compare-inside SCALE` | compares within this process, for compute-sanitizer |
//! | `rates SCALE` | measures searches in the GPU process ([`rates`]) |
//! | `hashes SET WORDS COUNT` | prints hashes for `COPY`: number, tab, hexadecimal ([`sets`]) |
//! | `fill` | takes all free memory of the card, until its standard input ends ([`fill`]) |
//! | `serve SOCKET MEGABYTES` | the GPU process that the others start ([`engine`]) |
//!
//! SCALE is `full`, `quick` or `tiny`; tiny is for the stand-in for the driver (`tests/libcuda`). Rows of the table for
//! the documentation go to the standard output, all else to the standard error. The exit status is 0 where every
//! result was right, however long it took.

mod compare;
mod cpu;
mod engine;
mod fill;
mod rates;
mod sets;
mod table;

use crate::engine::Engine;
use crate::sets::Kind;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// Any error.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// The extent of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scale {
    /// About a minute on a stand-in that compares a million pairs a second.
    Tiny,
    /// Some minutes on a GPU.
    Quick,
    /// All of it.
    Full,
}

impl Scale {
    fn named(name: &str) -> Option<Self> {
        [("tiny", Self::Tiny), ("quick", Self::Quick), ("full", Self::Full)]
            .into_iter()
            .find_map(|(known, scale)| (known == name).then_some(scale))
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match command(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lumina-gpu-check: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: &[&str]) -> Result<(), Error> {
    let usage =
        "device, compare|compare-inside|rates full|quick|tiny, hashes SET WORDS COUNT, fill, serve SOCKET MEGABYTES";
    let scale = |name| Scale::named(name).ok_or(usage);
    match arguments {
        ["device"] => {
            println!("{}", engine::describe()?);
            Ok(())
        }
        ["compare", name] => compare::run(scale(name)?, Engine::start),
        ["compare-inside", name] => compare::run(scale(name)?, Engine::inside),
        ["rates", name] => rates::run(scale(name)?),
        ["hashes", name, words, count] => write_hashes(Kind::named(name).ok_or(usage)?, words.parse()?, count.parse()?),
        ["fill"] => fill::run(),
        ["serve", socket, megabytes] => engine::serve_at(Path::new(socket), megabytes.parse()?),
        _ => Err(usage.into()),
    }
}

fn write_hashes(kind: Kind, words: usize, count: usize) -> Result<(), Error> {
    let hashes = sets::column(kind, words, count, 1);
    let mut output = BufWriter::new(io::stdout().lock());
    for (row, hash) in hashes.chunks_exact(words).enumerate() {
        write!(output, "{}\t", row + 1)?;
        for word in hash {
            write!(output, "{word:016x}")?;
        }
        writeln!(output)?;
    }
    Ok(output.flush()?)
}
