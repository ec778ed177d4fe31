//! Background workers, their transactions, processes below them.
//!
//! - [`background`]: background workers: started, set up, woken.
//! - [`child`]: a process of our own below a background worker.
//! - [`databases`]: the databases of the server.
//! - [`home`]: what tells this database from every copy of it.
//! - [`settings`]: those of a background worker, whatever its database has preset.
//! - [`transaction`]: transactions of background workers, and the end of a session's.

pub(crate) mod background;
pub(crate) mod child;
pub(crate) mod databases;
pub(crate) mod home;
pub(crate) mod settings;
pub(crate) mod transaction;
