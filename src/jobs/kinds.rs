//! The kinds of jobs that this library knows. Workers find the work of a job here (`claim.rs`), and sessions what they
//! may submit (`submit.rs`). Invariant: nothing that a kind uses imports this file.

use super::bursts::DetectBursts;
use super::duplicates::DetectDuplicates;
use super::import::Import;
use super::job::Work;
use super::scores::ScoreQuality;

/// All kinds.
static KINDS: &[&dyn Work] = &[&DetectBursts, &DetectDuplicates, &Import, &ScoreQuality];

/// The kind of that name.
pub(super) fn named(name: &str) -> Option<&'static dyn Work> {
    KINDS.iter().find(|kind| kind.name() == name).copied()
}
