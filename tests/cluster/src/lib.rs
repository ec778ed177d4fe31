//! Throwaway Postgres clusters: real servers with lumina installed, for tests, benches and the demo.
//!
//! A [`Cluster`] lives in a temporary folder, listens on a Unix socket in that folder alone, and is stopped and removed
//! when it is dropped. It can be stopped in each of Postgres's ways, killed for real, restarted, and given a standby.
//! Sessions are [`postgres::Client`]s, as many as a test wants, or runs of `psql`.
//!
//! - [`catalog`]: catalogs with rows as an import would write them, and what a run left.
//! - [`gpu`]: a server with a GPU, which the stand-in for the driver pretends to be.
//! - [`installation`]: which Postgres, and the user who runs it.
//! - [`cluster`]: the server's life.
//! - [`disk`]: a disk that can be full.
//! - [`kills`]: the ways in which jobs are ended in the middle.
//! - [`pictures`]: a directory to import, and whether an import has found what is in it.
//! - [`photos`]: directories of pictures that are made, and imports of them.
//! - [`psql`]: what a user types, and what comes back; dumps.
//! - [`sessions`]: sessions that wait, and statements that run beside others.
//! - [`report`]: what tests say and are told.
//! - [`random`]: random hashes, the same ones each time.
//! - `watchdog`: ends a test that hangs.
//!
//! Everything here panics where it fails: it is for tests alone, and a test that cannot start its server has failed.
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
