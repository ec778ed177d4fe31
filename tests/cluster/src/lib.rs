//! Throwaway Postgres clusters: real servers with lumina installed, for tests, benches and the demo.
//!
//! A [`Cluster`] lives in a temporary folder, listens on a Unix socket in that folder alone, and is stopped and removed
//! when it is dropped. It can be stopped in each of Postgres's ways, killed for real, restarted, and given a standby.
//! Sessions are [`postgres::Client`]s, as many as a test wants, or runs of `psql`.
//!
//! - [`catalog`]: catalogs with rows like those of an import, and the results of a run.
//! - [`gpu`]: a server with a GPU, emulated by the stand-in for the driver.
//! - [`installation`]: which Postgres, and the user who runs it.
//! - [`cluster`]: the server's life cycle.
//! - [`disk`]: a disk that can be filled.
//! - [`kills`]: the ways in which jobs are interrupted.
//! - [`pictures`]: a directory to import, and a check of the result.
//! - [`photos`]: directories of generated pictures, and imports of them.
//! - [`psql`]: psql sessions and their output; dumps.
//! - [`sessions`]: sessions that wait, and statements that run beside others.
//! - [`report`]: messages of tests, and their settings.
//! - [`random`]: random hashes, the same ones each time.
//! - `watchdog`: ends a test that hangs.
//!
//! Everything here panics on failure: it is for tests alone, and a test that cannot start its server has failed.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test harness: a failure is a failed test")]

pub mod catalog;
pub mod cluster;
pub mod disk;
pub mod gpu;
pub mod installation;
pub mod kills;
pub mod photos;
pub mod pictures;
pub mod psql;
pub mod random;
pub mod report;
pub mod sessions;
mod watchdog;

pub use cluster::{Cluster, Shutdown};
pub use postgres;
pub use psql::Output;
pub use random::Random;
