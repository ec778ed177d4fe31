//! Functions that SQL calls: arguments, results, errors.
//!
//! - [`arguments`]: the arguments of a running call.
//! - [`array`]: one-dimensional arrays.
//! - [`call`]: functions that run once a row.
//! - [`datum`]: hashes and balls as function arguments and results.
//! - [`encoding`]: the encoding of the database, and users' texts in messages.
//! - [`error`]: what can be wrong with arguments, queries and names, and what the server can lack.
//! - [`hook`]: functions of users, called as the role that they belong to.
//! - [`jsonb`]: values of that type.
//! - [`message`]: texts and binary messages from a client.
//! - [`owner`]: functions that every role calls and the owner carries out.
//! - [`procedure`]: procedures that wait.
//! - [`raise`]: errors of ours, raised to Postgres.
//! - [`record`]: functions that return one row of several columns.
//! - [`rows`]: functions that return a set of rows.

pub(crate) mod arguments;
pub(crate) mod array;
pub(crate) mod call;
pub(crate) mod datum;
pub(crate) mod encoding;
pub(crate) mod error;
pub(in crate::pg) mod hook;
pub(crate) mod jsonb;
pub(crate) mod message;
pub(in crate::pg) mod owner;
pub(crate) mod procedure;
pub(crate) mod raise;
pub(crate) mod record;
pub(crate) mod rows;
