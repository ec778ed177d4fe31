//! The server's GPU process: started when a search needs it, shared by all searches, watched by a background worker,
//! and disabled where it keeps failing.
//!
//! - [`worker`]: the background worker that starts the process, watches it, and records how it ended.
//! - [`record`]: what is known of the device, in a file that all sessions read.
//! - [`connect`]: connects a session to the process.
//! - [`functions`]: `gpu_info` and `gpu_reset`.
//! - [`error`]: why the GPU cannot be used.
//!
//! `search` decides what is searched and when a GPU is worth it; `crates/gpu` holds what runs on the device.
//!
//! Invariant: no process of Postgres ever calls the driver.

pub(crate) mod connect;
mod error;
mod functions;
pub(crate) mod record;
mod worker;

pub(crate) use error::Unavailable;
