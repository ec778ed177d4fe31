//! What any process of a server has: memory, interrupts, locks, threads, reports.
//!
//! - [`allocator`]: memory for what is too small to be asked for with care.
//! - [`context`]: where an error happened, kept while it passes through Rust.
//! - [`image_memory`]: what all images of the server take together.
//! - [`interrupts`]: interrupts in the middle of somebody else's code.
//! - [`latch`]: a backend that waits.
//! - [`lock`]: locks of our own in Postgres's lock table.
//! - [`place`]: how many searches run at once on the server.
//! - [`report`]: messages that are no errors.
//! - [`role`]: roles of the cluster.
//! - [`server`]: where this server lives, and as which user.
//! - [`shared_memory`]: what all processes share, where the library is preloaded.
//! - [`threads`]: what must hold around the start of threads.

pub(crate) mod allocator;
pub(in crate::pg) mod context;
pub(crate) mod image_memory;
pub(crate) mod interrupts;
pub(crate) mod latch;
pub(crate) mod lock;
pub(crate) mod place;
pub(crate) mod report;
pub(crate) mod role;
pub(crate) mod server;
pub(crate) mod shared_memory;
pub(crate) mod threads;
