//! Jobs: work that outlives the session that asked for it, done by background workers inside the database.
//!
//! - [`kind`]: what a kind of job is. [`kinds`]: those there are; adding one is a file and a line there.
//! - [`start`]: when a session starts a worker.
//! - [`submit`]: the functions by which SQL submits, shows, resumes and stops jobs.
//! - [`worker`]: the process that claims jobs and runs them, one after the other.
//! - [`claim`]: how a worker chooses and claims a job.
//! - [`job`]: a running job, as its kind uses it: progress, batches, the end.
//! - [`store`]: the states of a job: every statement of a worker that changes its row.
//! - [`stop`]: why a job ends before it is done.
//! - [`launcher`]: starts a worker in every database now and then, where the library is preloaded.
//! - [`wait`]: the procedure `wait_for_job`.
//! - [`error`]: what can be wrong with a job that is waited for.
//! - [`session`]: the search session of a job that computes on threads.
//! - [`results`]: results that are written at once, by kinds that replace those of a whole catalog.
//! - [`bursts`]: the kind `detect_bursts`.
//! - [`duplicates`]: the kind `detect_duplicates`.
//! - [`import`]: the kind `import`.
//! - [`scores`]: the kind `score_quality`.
//!
//! Invariants. A worker holds the lock of its job from before it claims it until after it has ended it: a running job
//! whose lock is free is an orphan. Every transaction that writes for a job first finds the job running under the
//! worker's own token. A result and the state `succeeded` commit together. No transaction is open while a job computes.
//!
//! Lock order in a transaction: the tables of jobs and catalogs, the catalog's row, the job's row, everything else.

mod bursts;
mod claim;
mod duplicates;
mod error;
mod import;
mod job;
mod kind;
mod kinds;
mod launcher;
mod results;
mod scores;
mod session;
mod start;
mod stop;
mod store;
mod submit;
mod wait;
mod worker;
