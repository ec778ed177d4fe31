//! The kinds of jobs.

use super::duplicates::DetectDuplicates;
use super::import::Import;
use super::job::Job;
use super::stop::Stop;

/// What a kind of job is.
pub(super) trait Kind: Sync {
    /// Its name in SQL.
    fn name(&self) -> &'static str;

    /// The right to the catalog that the submitting role needs: when it submits the job, whenever that is claimed, and
    /// in every transaction that writes for it.
    fn right(&self) -> &'static str;

    /// What else allows the job, as a text that changes with it. Read when the job begins and in every transaction that
    /// writes for it: where it has changed but still allows the job, the job starts over from what is committed. In a
    /// transaction.
    ///
    /// Errors: nothing allows it any more.
    fn permission(&self, job: &Job) -> Result<String, Stop>;

    /// Whether it moves or removes files: after a failover it then waits for `resume_jobs(force => true)`.
    fn moves_files(&self) -> bool {
        false
    }

    /// Does the work that committed batches have left, up to [`Job::finish`].
    fn run(&self, job: &Job) -> Result<(), Stop>;
}

/// All kinds.
static KINDS: &[&dyn Kind] = &[&DetectDuplicates, &Import];

/// The kind of that name.
pub(super) fn named(name: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().find(|kind| kind.name() == name).copied()
}
