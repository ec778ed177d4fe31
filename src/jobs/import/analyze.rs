//! The second phase of an import: threads read and analyze the files, this thread writes the outcomes.

use super::job::ImportJob;
use super::write::batch;
use crate::error::{LuminaError, OutOfMemory};
use crate::guc;
use crate::jobs::job::{Job, Progress};
use crate::jobs::stop::{Failure, Stop};
use crate::pg::backend::allocator::{reserve_spent, room_for};
use crate::pg::backend::server::decoder;
use crate::pg::backend::threads::start_pool;
use crate::pg::spi::statement::{self, ResultRow};
use jiff::Timestamp;
use lumina_import::contents::{Contents, KnownChecksums, Sha256};
use lumina_import::pool::Pool;
use lumina_import::queue::{Queue, TooLarge};
use lumina_import::visit::{FileEvent, FileTask, Visit};
use lumina_import::{FileOutcome, FileStatus, Finding};
use pgrx::JsonB;
use pgrx::PgSqlErrorCode::ERRCODE_INTERNAL_ERROR;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How many outcomes are written at a time, at most.
const BATCH: usize = 200;
/// How long outcomes are kept, at most.
const OFTEN: Duration = Duration::from_secs(2);
/// How many rows are read at a time.
const ROWS_AT_ONCE: i64 = 1000;
/// How many checksums of the catalog are read at a time.
const CHECKSUMS_AT_ONCE: i64 = 20_000;
/// How long this thread sleeps, at most.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// A file that is not finished.
struct PendingFile {
    path: PathBuf,
    /// In bytes, from the walk.
    size: i64,
    /// The outcome in an approved preview.
    stored: Option<FileOutcome>,
}

/// Sums over files.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    files: i64,
    bytes: i64,
    failed: i64,
}

struct Analyzer<'a> {
    job: &'a Job,
    import: &'a ImportJob,
    pool: Pool<Visit>,
    queue: Queue,
    contents: Contents,
    catalog: KnownChecksums,
    last_item: i64,
    pending: HashMap<i64, PendingFile>,
    outcomes: Vec<FileOutcome>,
    /// Of the files of `outcomes`.
    unwritten: Totals,
    written_at: Instant,
    all: Totals,
    done: Totals,
}

/// Reads all files that have no outcome yet.
pub(super) fn analyze(job: &Job, import: &ImportJob) -> Result<(), Stop> {
    let (all, done) = job.read(|| Ok(totals(job, import)))?;
    let mut analyzer = Analyzer {
        job,
        import,
        pool: start(import)?,
        queue: Queue::new(guc::import_threads(), guc::import_memory().value as u64),
        contents: Contents::default(),
        catalog: known_checksums(job)?,
        last_item: 0,
        pending: HashMap::new(),
        outcomes: Vec::new(),
        unwritten: Totals::default(),
        written_at: Instant::now(),
        all,
        done,
    };
    job.phase(progress(import, all, done))?;
    if import.is_preview {
        job.read(|| Ok(found(job)))?.into_iter().for_each(|sha256| analyzer.contents.add(sha256));
    }
    analyzer.run()
}

/// Starts the threads. Errors: 53000, 53200.
fn start(import: &ImportJob) -> Result<Pool<Visit>, LuminaError> {
    let pixels = guc::max_image_pixels().value as u64;
    let visit =
        Visit { roots: import.roots.clone(), pixels, now: Timestamp::now(), room_for, decoder: Some(decoder()) };
    start_pool(guc::import_threads(), &visit)
}

impl Analyzer<'_> {
    fn run(&mut self) -> Result<(), Stop> {
        loop {
            while self.queue.is_hungry() {
                let page = self.read()?;
                self.queue.put(page);
            }
            while let Some(task) = self.queue.take() {
                self.pool.submit(task);
            }
            if self.queue.is_empty() {
                // An empty batch would reset the job's failures without any progress.
                if !self.outcomes.is_empty() {
                    self.write()?;
                }
                return self.job.phase(progress(self.import, self.all, self.done));
            }
            match self.pool.event(LONGEST_SLEEP) {
                Ok(Some(event)) => self.take(event)?,
                Ok(None) => (),
                Err(broken) => {
                    let hint = "The server's log may say more.";
                    let failure = Failure::new("internal_error", ERRCODE_INTERNAL_ERROR, broken.to_string(), hint);
                    return Err(Stop::Failed(failure));
                }
            }
            if reserve_spent() {
                return Err(OutOfMemory.into());
            }
            self.job.check_cancelled()?;
            let is_due = self.outcomes.len() >= BATCH || self.written_at.elapsed() >= OFTEN;
            if is_due && !self.outcomes.is_empty() {
                self.write()?;
            }
        }
    }

    fn take(&mut self, event: FileEvent) -> Result<(), Stop> {
        match event {
            FileEvent::Hashed { item, sha256, is_known } => {
                let known = self.contents.is_known(item, &sha256) || catalog_has(self.job, &self.catalog, &sha256)?;
                if !known {
                    self.contents.decode(item, sha256);
                }
                let _ = is_known.send(known); // a thread that has ended does not care
            }
            FileEvent::NeedsMore(task, needed) => {
                let item = task.item;
                if self.queue.put_back(task, needed) == Err(TooLarge) {
                    let allowed = guc::import_memory();
                    let (needed, allowed, setting) = (needed / 1024, allowed.value / 1024, allowed.setting);
                    let words = format!(
                        "the file needs {needed} kB of memory, more than the {allowed} kB that {setting} allows"
                    );
                    self.end(FileOutcome { item, file_status: None, finding: Finding::failed("over_limit", words) })?;
                }
            }
            FileEvent::Done(outcome) => {
                self.queue.done();
                let outcome = self.stored(&outcome).unwrap_or(outcome);
                self.end(outcome)?;
            }
        }
        Ok(())
    }

    /// The outcome in an approved preview of a file that has not changed since.
    fn stored(&mut self, outcome: &FileOutcome) -> Option<FileOutcome> {
        let is_unchanged = matches!(&outcome.finding, Finding::Skipped { reason } if reason == "unchanged");
        self.pending.get_mut(&outcome.item).filter(|_| is_unchanged)?.stored.take()
    }

    /// Finishes a file.
    fn end(&mut self, outcome: FileOutcome) -> Result<(), Stop> {
        let (job, catalog) = (self.job, &self.catalog);
        let follow_up = self.contents.finish(outcome, |sha256| catalog_has(job, catalog, sha256))?;
        for outcome in follow_up.write {
            let pending = self.pending.remove(&outcome.item);
            self.unwritten.files += 1;
            self.unwritten.bytes += pending.map_or(0, |pending| pending.size);
            self.outcomes.push(outcome);
        }
        for item in follow_up.revisit {
            if let Some(pending) = self.pending.get(&item) {
                self.queue.put_first(FileTask { item, path: pending.path.clone(), known: None, memory: 0 });
            }
        }
        Ok(())
    }

    /// Reads the next rows of files without an outcome.
    fn read(&mut self) -> Result<Vec<FileTask>, Stop> {
        let state = if self.import.is_approved { "('found', 'ready')" } else { "('found')" };
        let page = format!(
            "SELECT t.id, pg_catalog.convert_to(t.path, 'UTF8'), coalesce(t.size, 0), t.analysis, f.size, f.device,
                f.inode, {}, {} FROM lumina.import_items t
            LEFT JOIN LATERAL (SELECT f.* FROM lumina.image_files f
                WHERE f.path = t.path AND f.catalog + 0 = t.catalog AND f.missing_since IS NULL OFFSET 0) f ON true
            WHERE t.job = $1 AND t.state IN {state} AND t.id > $2 ORDER BY t.id LIMIT $3",
            micros("f.modified_at"),
            micros("f.changed_at"),
        );
        let (job, last) = (self.job, self.last_item);
        let rows = job.read(|| Ok(statement::rows(&page, &[job.id.into(), last.into(), ROWS_AT_ONCE.into()], row)))?;
        let mut tasks = Vec::with_capacity(rows.len());
        for (item, pending, imported) in rows {
            self.last_item = item;
            // An unchanged file of a preview keeps its outcome; an unchanged file that was imported is skipped.
            let known = pending.stored.as_ref().and_then(|stored| stored.file_status).or(imported);
            tasks.push(FileTask { item, path: pending.path.clone(), known, memory: 0 });
            self.pending.insert(item, pending);
        }
        Ok(tasks)
    }

    /// Writes the outcomes since the last time.
    fn write(&mut self) -> Result<(), Stop> {
        let outcomes = std::mem::take(&mut self.outcomes);
        let unwritten = std::mem::take(&mut self.unwritten);
        let (import, all, before) = (self.import, self.all, self.done);
        let after = |files: usize, failed: i64| {
            let share = files as f64 / unwritten.files.max(1) as f64;
            let bytes = before.bytes + (unwritten.bytes as f64 * share) as i64;
            Totals { files: before.files + files as i64, bytes, failed: before.failed + failed }
        };
        let failed = batch(self.job, import, outcomes, |files, failed| progress(import, all, after(files, failed)))?;
        self.done = after(unwritten.files as usize, failed);
        if !import.is_preview {
            self.contents.written().for_each(|sha256| self.catalog.add(&sha256));
        }
        self.written_at = Instant::now();
        Ok(())
    }
}

/// The contents in the catalog. Nobody else imports into it meanwhile; what its owner inserts by hand is found when it
/// is written.
fn known_checksums(job: &Job) -> Result<KnownChecksums, Stop> {
    let page = "SELECT i.id, pg_catalog.substr(i.sha256, 1, 8) FROM lumina.images i
        WHERE i.catalog = $1 AND i.id > $2 ORDER BY i.id LIMIT $3";
    let (mut known, mut last) = (KnownChecksums::default(), 0_i64);
    while !known.is_full() {
        job.check_cancelled()?;
        let read = |row: &ResultRow<'_>| (row.known::<i64>(1), row.known::<Vec<u8>>(2));
        let rows =
            job.read(|| Ok(statement::rows(page, &[job.catalog.into(), last.into(), CHECKSUMS_AT_ONCE.into()], read)))?;
        let Some((id, _)) = rows.last() else { break };
        last = *id;
        rows.iter().for_each(|(_, prefix)| known.add(prefix));
    }
    Ok(known)
}

fn catalog_has(job: &Job, catalog: &KnownChecksums, sha256: &Sha256) -> Result<bool, Stop> {
    if !catalog.may_contain(sha256) {
        return Ok(false);
    }
    let has = "SELECT 1 FROM lumina.images i WHERE i.sha256 = $2 AND i.catalog + 0 = $1";
    job.read(|| Ok(statement::execute(has, &[job.catalog.into(), sha256.as_slice().into()])))
}

fn micros(column: &str) -> String {
    // As numeric: a float8 is too imprecise for microseconds of far times.
    format!("(pg_catalog.extract('epoch', {column}) * 1000000)::pg_catalog.int8")
}

fn row(row: &ResultRow<'_>) -> (i64, PendingFile, Option<FileStatus>) {
    let stored = row.get::<JsonB>(4).and_then(|stored| serde_json::from_value(stored.0).ok());
    let path = PathBuf::from(row.utf8(2).unwrap_or_default());
    let number = |column| row.get::<i64>(column);
    let status = || {
        Some(FileStatus {
            size: number(5)? as u64,
            device: number(6)?,
            inode: number(7)?,
            modified: number(8)?,
            changed: number(9)?,
        })
    };
    (row.known(1), PendingFile { path, size: row.known(3), stored }, status())
}

/// All files of a job, and those that are finished. In a transaction.
fn totals(job: &Job, import: &ImportJob) -> (Totals, Totals) {
    let sums = format!(
        "SELECT pg_catalog.count(*), coalesce(pg_catalog.sum(t.size), 0)::pg_catalog.int8,
            pg_catalog.count(*) FILTER (WHERE t.state NOT IN {0}),
            coalesce(pg_catalog.sum(t.size) FILTER (WHERE t.state NOT IN {0}), 0)::pg_catalog.int8,
            pg_catalog.count(*) FILTER (WHERE t.state = 'failed')
        FROM lumina.import_items t WHERE t.job = $1",
        if import.is_approved { "('found', 'ready')" } else { "('found')" }
    );
    let totals = statement::row(&sums, &[job.id.into()], |row| {
        let all = Totals { files: row.known(1), bytes: row.known(2), failed: 0 };
        (all, Totals { files: row.known(3), bytes: row.known(4), failed: row.known(5) })
    });
    totals.unwrap_or_default()
}

/// Contents that a preview has found before. In a transaction.
fn found(job: &Job) -> Vec<Sha256> {
    let found =
        "SELECT t.sha256 FROM lumina.import_items t WHERE t.job = $1 AND t.state = 'ready' AND t.sha256 IS NOT NULL";
    let read = |row: &ResultRow<'_>| row.known::<Vec<u8>>(1).try_into().unwrap_or_default();
    statement::rows(found, &[job.id.into()], read)
}

fn progress(import: &ImportJob, all: Totals, done: Totals) -> Progress {
    // A constant cost per file beside its bytes.
    let weight = |totals: Totals| totals.bytes as f64 + 20_000.0 * totals.files as f64;
    let share = if all.files == 0 { 1.0 } else { (weight(done) / weight(all)).min(1.0) };
    Progress {
        phase: if import.is_approved { "importing" } else { "analyzing" },
        share: (0.01 + 0.97 * share) as f32,
        done: done.files.min(all.files),
        total: Some(all.files),
        failed: done.failed.min(done.files),
        bytes_done: done.bytes.min(all.bytes),
        bytes_total: Some(all.bytes),
    }
}
