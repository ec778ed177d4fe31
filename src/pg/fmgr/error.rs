//! What can be wrong with arguments, queries and names of indexes, and what the server can lack.

use crate::error::{OutOfMemory, Report, UserError};
use pgrx::PgSqlErrorCode::*;

/// What is wrong with an argument, known to users by its name.
#[derive(Debug)]
pub(crate) enum ArgumentError {
    Null(&'static str),
    ArrayShape { name: &'static str, dimensions: i32 },
    ArrayNull { name: &'static str },
}

impl UserError for ArgumentError {
    fn report(&self) -> Report {
        const LIST: &str = "Write a list of numbers, such as ARRAY[5,5].";
        match self {
            Self::Null(name) => {
                let hint = match *name {
                    "strategy" => "If it is meant as the type of the ids, write id => NULL::text.",
                    "job" => "Give the number of a job: TABLE lumina.job_progress lists them.",
                    _ => "Only the argument id may be NULL: it gives the type of the ids.",
                };
                Report::new(ERRCODE_NULL_VALUE_NOT_ALLOWED, format!("{name} must not be NULL")).hint(hint)
            }
            Self::ArrayShape { name, dimensions } => {
                let message = format!("{name} must be an array of one dimension, not of {dimensions}");
                Report::new(ERRCODE_ARRAY_ELEMENT_ERROR, message).hint(LIST)
            }
            Self::ArrayNull { name } => {
                Report::new(ERRCODE_NULL_VALUE_NOT_ALLOWED, format!("{name} must not hold NULL")).hint(LIST)
            }
        }
    }
}

/// What is wrong with a user's query.
#[derive(Debug)]
pub(in crate::pg) enum QueryError {
    /// It holds this many statements.
    Count(usize),
    /// It is this command.
    Command(String),
    /// It is a SELECT that does this.
    Writes(&'static str),
    Changed,
}

impl UserError for QueryError {
    fn report(&self) -> Report {
        const SELECT: &str = "Give one plain SELECT, VALUES, TABLE or WITH ... SELECT.";
        match self {
            Self::Count(statements) => {
                let message = format!("the inner query holds {statements} statements instead of one");
                Report::new(ERRCODE_SYNTAX_ERROR, message).hint(SELECT)
            }
            Self::Command(command) => {
                let message = format!("the inner query must be a SELECT, not {command}");
                Report::new(ERRCODE_FEATURE_NOT_SUPPORTED, message).hint(SELECT)
            }
            Self::Writes(what) => {
                Report::new(ERRCODE_READ_ONLY_SQL_TRANSACTION, format!("the inner query {what}")).hint(SELECT)
            }
            Self::Changed => {
                let message = "the columns of the inner query changed while it was prepared";
                Report::new(ERRCODE_FEATURE_NOT_SUPPORTED, message).hint("Run the search again.")
            }
        }
    }
}

/// Why an index cannot be used under the name that was given.
#[derive(Debug)]
pub(in crate::pg) enum IndexNameError {
    NotHamming(String),
    Partitioned(String),
    OtherTemporary(String),
    Invalid(String),
}

impl UserError for IndexNameError {
    fn report(&self) -> Report {
        match self {
            Self::NotHamming(index) => {
                Report::new(ERRCODE_WRONG_OBJECT_TYPE, format!("\"{index}\" is not a hamming index"))
                    .hint("Give the name of an index that was made with USING hamming.")
            }
            Self::Partitioned(index) => {
                Report::new(ERRCODE_WRONG_OBJECT_TYPE, format!("index \"{index}\" is partitioned"))
                    .hint("Give the name of the index of a partition.")
            }
            Self::OtherTemporary(index) => {
                let message = format!("index \"{index}\" is a temporary one of another session");
                Report::new(ERRCODE_FEATURE_NOT_SUPPORTED, message).hint("Only that session can read it.")
            }
            Self::Invalid(index) => {
                Report::new(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, format!("index \"{index}\" is not valid"))
                    .hint(format!("REINDEX INDEX {index}; or drop it."))
            }
        }
    }
}

/// All places for bulk searches are taken.
#[derive(Debug)]
pub(crate) struct Busy {
    pub(in crate::pg) limit: u32,
}

impl UserError for Busy {
    fn report(&self) -> Report {
        let message = format!("all places for bulk searches on this server are taken: {}", self.limit);
        Report::new(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, message)
            .hint("Wait until one has ended, or ask the superuser to raise lumina.concurrent_searches.")
    }
}

/// Threads could not be started.
#[derive(Debug)]
pub(crate) struct ThreadsNotStarted {
    pub(crate) threads: usize,
    pub(crate) why: String,
}

impl UserError for ThreadsNotStarted {
    fn report(&self) -> Report {
        let message = format!("{} threads could not be started: {}", self.threads, self.why);
        Report::new(ERRCODE_INSUFFICIENT_RESOURCES, message).hint("Lower lumina.search_threads.")
    }
}

/// The memory for all images of the server is full. In kilobytes.
#[derive(Debug)]
pub(in crate::pg) struct ImageMemoryFull {
    pub(in crate::pg) needed: u64,
    pub(in crate::pg) limit: u64,
}

impl UserError for ImageMemoryFull {
    fn report(&self) -> Report {
        let ImageMemoryFull { needed, limit } = self;
        let message = format!(
            "the image needs {needed} kB of memory, more than is left of the {limit} kB for all images of the server"
        );
        let hint = match needed > limit {
            true => "Ask the superuser to raise lumina.image_memory_total, or scale the image down.",
            false => "Wait until other images are done, or ask the superuser to raise lumina.image_memory_total.",
        };
        Report::new(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, message).hint(hint)
    }
}

/// Memory that an index needs and the system has not got.
#[derive(Debug)]
pub(crate) struct IndexMemory;

impl UserError for IndexMemory {
    fn report(&self) -> Report {
        OutOfMemory.report().hint("Lower work_mem and maintenance_work_mem, or the number of sessions.")
    }
}

/// A part of the extension is not where the called function is.
#[derive(Debug)]
pub(crate) struct IncompleteExtension;

impl UserError for IncompleteExtension {
    fn report(&self) -> Report {
        let message = "the schema of the called function lacks other parts of the extension lumina";
        Report::new(ERRCODE_UNDEFINED_OBJECT, message).hint("Create the extension again.")
    }
}
