//! The kinds of jobs.

use super::duplicates::DetectDuplicates;
use super::import::Import;
use super::job::Job;
use super::stop::Stop;

/// What a kind of job is.
pub(super) trait Kind: Sync {
    /// What SQL calls it.
    fn name(&self) -> &'static str;

    /// The right to the catalog that whoever submits it needs: when it is submitted, whenever it is claimed, and in
    /// every transaction that writes for it.
    fn right(&self) -> &'static str;

    /// What else allows the job, as a text that is another where that has changed. Asked when the job begins and in
    /// every transaction that writes for it: a job that is still allowed, but by something else, begins once more from
    /// what is committed. In a transaction.
    ///
    /// Errors: nothing allows it any more.
    fn permission(&self, job: &Job) -> Result<String, Stop>;

    /// Whether it moves or removes files: after a failover it then waits for `resume_jobs(force => true)`.
    fn moves_files(&self) -> bool {
        false
    }

    /// Does the work, from whatever batches are committed already, to the last line: [`Job::finish`].
    fn run(&self, job: &Job) -> Result<(), Stop>;
}

/// All of them.
static KINDS: &[&dyn Kind] = &[&DetectDuplicates, &Import];

/// The one of that name.
pub(super) fn named(name: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().find(|kind| kind.name() == name).copied()
}
