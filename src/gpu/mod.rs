//! The server's GPU process: started when a search needs it, shared by all searches, watched by a background worker,
//! and left alone where it fails.
//!
//! - [`worker`]: the background worker that starts the process, watches it, and records how it ended.
//! - [`record`]: what is known of the device, in a file that all sessions read.
//! - [`unavailable`]: why the GPU cannot be used.
//! - [`connect`]: connects a session to the process.
//! - [`functions`]: `gpu_info` and `gpu_reset`.
//!
//! `search` decides what is searched and when a GPU is worth it; `crates/gpu` holds what runs on the device.
//!
//! Invariant: no process of Postgres ever calls the driver.

pub(crate) mod connect;
mod functions;
pub(crate) mod record;
mod unavailable;
mod worker;

pub(crate) use unavailable::Unavailable;
