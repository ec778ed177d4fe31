//! What a kind of job is, apart from the work of it: its name, and who may run it.
//!
//! The kinds implement [`Kind`] (`import.rs`, `duplicates.rs`, `bursts.rs`, `scores.rs`), and [`super::job::Work`] with
//! what they do; `kinds.rs` lists them. Claims and running jobs ask them for rights. Invariant: nothing here knows a
//! running job, or writes.

use super::stop::{Failure, Stop};
use pgrx::PgSqlErrorCode::{ERRCODE_INSUFFICIENT_PRIVILEGE, ERRCODE_UNDEFINED_OBJECT};
use pgrx::pg_sys::Oid;
use serde_json::Value;

/// What a kind of job is.
pub(super) trait Kind: Sync {
    /// Its name in SQL.
    fn name(&self) -> &'static str;

    /// The right to the catalog that the submitting role needs: when it submits the job, whenever that is claimed, and
    /// in every transaction that writes for it.
    fn right(&self) -> &'static str;

    /// What else allows a job that this role has submitted with these parameters, as a text that changes with it. Read
    /// when the job begins and in every transaction that writes for it: where it has changed but still allows the job,
    /// the job starts over from what is committed. In a transaction.
    ///
    /// Errors: nothing allows it any more.
    fn permission(&self, role: Oid, parameters: &Value) -> Result<String, Stop>;

    /// Whether it moves or removes files: after a failover it then waits for `resume_jobs(force => true)`.
    fn moves_files(&self) -> bool {
        false
    }
}

/// Why a job of this kind must not run for its owner, if so. `rights` are those of the owner to the catalog.
pub(super) fn refusal(kind: &dyn Kind, owner: &str, owner_exists: bool, rights: &[String]) -> Option<Failure> {
    if !owner_exists {
        let message = format!("the role \"{owner}\", who submitted the job, does not exist any more");
        return Some(Failure::new("role_missing", ERRCODE_UNDEFINED_OBJECT, message, "Submit it as another role."));
    }
    let needed = kind.right();
    if !rights.iter().any(|right| right == needed) {
        let message = format!("the role \"{owner}\" has no right to {needed} in this catalog any more");
        let hint = "The catalog's owner can grant it again: SELECT lumina.grant_catalog(...).";
        return Some(Failure::new("permission_denied", ERRCODE_INSUFFICIENT_PRIVILEGE, message, hint));
    }
    None
}
