//! The kind `score_quality`: writes the score that the catalog's option `quality` gives to each of its images.
//!
//! It walks through the images by their ids, in batches that commit; the checkpoint says where the last one ended. It
//! scores by the option as it was when the walk began: where that has changed, it begins again, in the same job. So all
//! images that are there at the end have scores by the option as it is then; import scores new ones itself.

use super::job::{Job, Progress, Work};
use super::kind::Kind;
use super::stop::Stop;
use crate::pg::spi::statement::{self, Argument};
use pgrx::JsonB;
use pgrx::pg_sys::Oid;
use serde_json::{Value, json};

/// Images in a batch: some tenths of a second, if all of them are written.
const IMAGES: i32 = 5000;

/// `score_quality`.
pub(super) struct ScoreQuality;

impl Kind for ScoreQuality {
    fn name(&self) -> &'static str {
        "score_quality"
    }

    fn right(&self) -> &'static str {
        "curate"
    }

    fn permission(&self, _role: Oid, _parameters: &Value) -> Result<String, Stop> {
        Ok(String::new()) // it reads and writes the catalog, and nothing else
    }
}

impl Work for ScoreQuality {
    fn run(&self, job: &Job) -> Result<(), Stop> {
        let mut walk = job.read(|| Ok(ScoreWalk::resume(job)))?;
        job.phase(walk.progress())?;
        loop {
            while walk.step(job)? {}
            let mut has_changed = false;
            let finished = job.finish(|| {
                has_changed = option(job) != walk.option;
                // An error rolls back; this one is not reported, and the walk begins again.
                if has_changed { Err(Stop::LostClaim) } else { Ok(walk.result()) }
            });
            if !has_changed {
                return finished;
            }
            walk = job.read(|| Ok(ScoreWalk::begin(job)))?;
        }
    }
}

/// A walk through the images of a catalog.
#[derive(Debug, Clone)]
struct ScoreWalk {
    /// The option by which it scores, as a text.
    option: String,
    /// The last image that was scored.
    after: i64,
    scored: i64,
    changed: i64,
    /// How many images there are, about.
    total: i64,
}

/// The option `quality` of the catalog, as a text. In a transaction.
fn option(job: &Job) -> String {
    let read = "SELECT lumina_internal.quality_option($1)";
    statement::row(read, &[job.catalog.into()], |row| row.get(1)).flatten().unwrap_or_default()
}

impl ScoreWalk {
    /// From the first image. In a transaction.
    fn begin(job: &Job) -> Self {
        let count = "SELECT pg_catalog.count(*) FROM lumina.images i WHERE i.catalog = $1";
        let total = statement::row(count, &[job.catalog.into()], |row| row.known(1)).unwrap_or_default();
        ScoreWalk { option: option(job), after: 0, scored: 0, changed: 0, total }
    }

    /// From where an earlier worker of the job has come to, if the option is the same. In a transaction.
    fn resume(job: &Job) -> Self {
        let begun = Self::begin(job);
        let read = "SELECT j.checkpoint FROM lumina.jobs j WHERE j.id = $1";
        let checkpoint = statement::row(read, &[job.id.into()], |row| row.get::<JsonB>(1)).flatten();
        let checkpoint = checkpoint.map_or(Value::Null, |checkpoint| checkpoint.0);
        let number = |key: &str| checkpoint.get(key).and_then(Value::as_i64);
        if checkpoint.get("option").and_then(Value::as_str) != Some(begun.option.as_str()) {
            return begun;
        }
        match (number("after"), number("scored"), number("changed")) {
            (Some(after), Some(scored), Some(changed)) => ScoreWalk { after, scored, changed, ..begun },
            _ => begun,
        }
    }

    /// Scores the next images. Returns whether there may be more. Where the option has changed the walk is over.
    fn step(&mut self, job: &Job) -> Result<bool, Stop> {
        let (before, mut next): (&ScoreWalk, Option<ScoreWalk>) = (self, None);
        job.batch(|| {
            next = before.score_batch(job);
            let shown = next.as_ref().unwrap_or(before);
            job.add_to_checkpoint(json!({
                "option": shown.option, "after": shown.after, "scored": shown.scored, "changed": shown.changed,
            }));
            Ok(shown.progress())
        })?;
        match next {
            Some(next) if next.scored > self.scored => {
                *self = next;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The walk after the next images; `None` where the option has changed. In a transaction.
    fn score_batch(&self, job: &Job) -> Option<Self> {
        let score = "SELECT s.last, s.scored, s.changed FROM lumina_internal.score_batch($1, $2, $3, $4) s";
        let arguments: [Argument<'_>; 4] =
            [job.catalog.into(), self.option.as_str().into(), self.after.into(), IMAGES.into()];
        let batch = statement::row(score, &arguments, |row| Some((row.get(1)?, row.get(2)?, row.get(3)?)));
        let (after, scored, changed): (i64, i64, i64) = batch.flatten()?;
        Some(ScoreWalk { after, scored: self.scored + scored, changed: self.changed + changed, ..self.clone() })
    }

    fn progress(&self) -> Progress {
        let total = self.total.max(self.scored);
        let share = if total > 0 { self.scored as f32 / total as f32 } else { 0.0 };
        Progress { phase: "scoring", share, done: self.scored, total: Some(total), ..Progress::default() }
    }

    /// The value of `jobs.result`.
    fn result(&self) -> Value {
        json!({"images": self.scored, "changed": self.changed})
    }
}
