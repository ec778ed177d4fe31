//! The parameters of a job: checked when it was submitted, and the rule also by the table of runs.

use crate::jobs::stop::{Failure, Stop};
use lumina_catalog::PairRule;
use lumina_search::group::Strategy;
use pgrx::PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE;
use serde_json::Value;

/// How much is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// What has changed since the search before, where it can go on from that; else all.
    Auto,
    /// All images.
    All,
    /// What has changed, or nothing.
    Changes,
}

/// The parameters of a job.
pub(super) struct DuplicateParameters {
    pub(super) rule: PairRule,
    /// The rule as it was submitted, for the table of runs.
    pub(super) rule_json: Value,
    pub(super) strategy: Strategy,
    pub(super) strategy_name: String,
    /// Whether the JPEG that a camera wrote beside a raw file belongs to that, and is not compared itself.
    pub(super) leave_out_siblings: bool,
    /// Whether different shots of a burst are kept apart.
    pub(super) exclude_bursts: bool,
    pub(super) scope: Scope,
}

impl DuplicateParameters {
    /// Reads the parameters of a job.
    pub(super) fn read(parameters: &Value) -> Result<Self, Stop> {
        let read = || {
            let rule_json = parameters.get("rule")?.clone();
            let strategy_name = parameters.get("strategy")?.as_str()?.to_owned();
            Some(DuplicateParameters {
                rule: PairRule::from_json(&rule_json)?,
                rule_json,
                strategy: Strategy::named(&strategy_name)?,
                strategy_name,
                leave_out_siblings: parameters.get("raw_jpeg").and_then(Value::as_str) != Some("duplicate"),
                exclude_bursts: parameters.get("exclude_bursts").and_then(Value::as_bool).unwrap_or(true),
                scope: match parameters.get("scope").and_then(Value::as_str) {
                    Some("all") => Scope::All,
                    Some("changes") => Scope::Changes,
                    _ => Scope::Auto,
                },
            })
        };
        read().ok_or_else(|| {
            let message = format!("the job has parameters that this library does not understand: {parameters}");
            let hint = "It was submitted by another version: submit it again.";
            Stop::Failed(Failure::new("invalid_parameters", ERRCODE_INVALID_PARAMETER_VALUE, message, hint))
        })
    }
}
