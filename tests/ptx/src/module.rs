//! A parsed text and its entries.

use crate::fault::ParseError;
use crate::parse::{self, Header};
use crate::program::Program;
use crate::token::Tokens;
use std::sync::Arc;
use thiserror::Error;

/// A device that a text is checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// The compute capability, times ten: 90 for 9.0.
    pub capability: u32,
    /// The newest PTX version that its driver takes.
    pub version: (u32, u32),
}

/// The text is not for this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unsupported {
    /// `.version` is newer than what the driver takes.
    #[error("PTX version {}.{} is newer than the driver's", .0.0, .0.1)]
    Version((u32, u32)),
    /// `.target` is newer than the device.
    #[error("target sm_{0} is newer than the device")]
    Target(u32),
}

impl Header {
    /// Reads the directives at the start of a text, whether the rest is known or not.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::header(&mut Tokens::split(text)?)
    }

    /// Whether `device` accepts such a text.
    pub fn check(&self, device: &Device) -> Result<(), Unsupported> {
        if self.version > device.version {
            return Err(Unsupported::Version(self.version));
        }
        if self.target > device.capability {
            return Err(Unsupported::Target(self.target));
        }
        Ok(())
    }
}

/// A parameter of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// Where it begins among the bytes of all parameters.
    pub offset: usize,
    /// Its bytes.
    pub size: usize,
}

/// A kernel.
#[derive(Debug, Clone)]
pub struct Entry {
    pub(crate) program: Arc<Program>,
    /// The text, for faults.
    pub(crate) lines: Arc<[String]>,
}

impl Entry {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.program.name
    }

    /// Its parameters.
    pub fn params(&self) -> Vec<Param> {
        let params = self.program.params.iter();
        params.map(|(offset, size)| Param { offset: *offset as usize, size: *size as usize }).collect()
    }

    /// The bytes of all parameters.
    pub fn params_size(&self) -> usize {
        self.program.params.last().map_or(0, |(offset, size)| (offset + size) as usize)
    }

    /// The most threads of a block that `.maxntid` allows, if it is there.
    pub fn max_threads(&self) -> Option<u32> {
        self.program.max_threads.map(|shape| shape.iter().product())
    }

    /// Bytes of shared memory that it declares.
    pub fn shared_size(&self) -> u32 {
        self.program.shared.iter().map(|(_, size)| size).sum()
    }

    /// Bytes of local memory a thread has.
    pub fn local_size(&self) -> u32 {
        self.program.local
    }

    /// Instructions after all calls were expanded.
    pub fn instructions(&self) -> usize {
        self.program.code.len()
    }
}

/// A parsed text.
#[derive(Debug, Clone)]
pub struct Module {
    header: Header,
    entries: Vec<Entry>,
}

impl Module {
    /// Parses a text and decodes all of its entries. Unknown constructs are errors that name their line.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let parsed = parse::text(&mut Tokens::split(text)?)?;
        let lines: Arc<[String]> = text.lines().map(|line| line.trim().to_owned()).collect();
        let mut entries = Vec::new();
        for function in parsed.functions.iter().filter(|function| function.is_entry) {
            let program = Arc::new(crate::decode::entry(&parsed, function)?);
            entries.push(Entry { program, lines: lines.clone() });
        }
        Ok(Self { header: parsed.header, entries })
    }

    /// The requirements of the text.
    pub fn header(&self) -> Header {
        self.header
    }

    /// The entry of that name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name() == name)
    }

    /// All entries, in the order of the text.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
